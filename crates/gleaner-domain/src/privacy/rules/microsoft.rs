//! Azure's keys first. Microsoft marks its newer keys with four letters at a fixed place.

use crate::privacy::rule::Rule;

const IDENTIFIABLE: &str =
    "https://github.com/microsoft/security-utilities/blob/main/docs/ReadMe.md";
const STORAGE: &str =
    "https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string";
const MESSAGING: &str = "https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas";

pub const RULES: &[Rule] = &[
    // 64 bytes in base64.
    Rule::secret("azure-account-key", "AZURE_ACCOUNT_KEY", STORAGE, &["accountkey", "account-key", "account_key", "storage_key", "storagekey"],
        r#"(?i:account[-_]?key|storage_?key)["']?(?:\s{0,2}[=:]\s{0,2}|\s)["']?([A-Za-z0-9+/]{86}==)"#),
    Rule::secret("azure-functions-key", "AZURE_FUNCTION_KEY", "https://learn.microsoft.com/azure/azure-functions/function-keys-how-to", &["x-functions-key"],
        r#"(?i:x-functions-key)["']?\s{0,2}[=:]\s{0,2}["']?([A-Za-z0-9+/_-]{40,88}={0,2})"#),
    Rule::secret("azure-storage-key", "AZURE_ACCOUNT_KEY", IDENTIFIABLE, &["+ASt"],
        r"[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{6}==").before(76),
    Rule::secret("azure-cosmos-key", "AZURE_COSMOS_KEY", IDENTIFIABLE, &["ACDb"],
        r"[A-Za-z0-9+/]{76}ACDb[A-Za-z0-9+/]{6}==").before(76),
    Rule::secret("azure-batch-key", "AZURE_BATCH_KEY", IDENTIFIABLE, &["+ABa"],
        r"[A-Za-z0-9+/]{76}\+ABa[A-Za-z0-9+/]{6}==").before(76),
    Rule::secret("azure-api-management-key", "AZURE_API_MANAGEMENT_KEY", IDENTIFIABLE, &["APIM"],
        r"[A-Za-z0-9+/]{76}APIM[A-Za-z0-9+/]{6}==").before(76),
    // A signature: HMAC-SHA256 in base64, as it stands in an address or decoded.
    Rule::secret("azure-sas", "AZURE_SAS", "https://learn.microsoft.com/rest/api/storageservices/create-service-sas", &["sig="],
        r"sig=((?:[A-Za-z0-9+/_-]|%2[BbFf]){43}(?:=|%3[Dd])?)"),
    Rule::secret("azure-client-secret", "AZURE_CLIENT_SECRET", IDENTIFIABLE, &["Q~"],
        r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}").before(4),
    Rule::secret("azure-devops-pat", "AZURE_DEVOPS_TOKEN", "https://learn.microsoft.com/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate", &["AZDO"],
        r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}").before(76),
    Rule::secret("azure-annotated-key", "AZURE_KEY", IDENTIFIABLE, &["JQQJ9"],
        r"[A-Za-z0-9]{52}JQQJ9[9DH][A-Za-z0-9]{24,29}={0,2}").before(52),
    // 32 bytes in base64.
    Rule::secret("azure-shared-access-key", "AZURE_SHARED_ACCESS_KEY", MESSAGING, &["sharedaccesskey"],
        r#"(?i:SharedAccessKey)["']?\s{0,2}[=:]\s{0,2}["']?([A-Za-z0-9+/]{43}=)"#),
    Rule::secret("azure-service-bus-key", "AZURE_SHARED_ACCESS_KEY", IDENTIFIABLE, &["+ASb"],
        r"[A-Za-z0-9+/]{33}\+ASb[A-Za-z0-9+/]{6}=").before(33),
    Rule::secret("azure-event-hub-key", "AZURE_SHARED_ACCESS_KEY", IDENTIFIABLE, &["+AEh"],
        r"[A-Za-z0-9+/]{33}\+AEh[A-Za-z0-9+/]{6}=").before(33),
    Rule::secret("azure-iot-key", "AZURE_SHARED_ACCESS_KEY", IDENTIFIABLE, &["AIoT"],
        r"[A-Za-z0-9+/]{33}AIoT[A-Za-z0-9+/]{6}=").before(33),
    Rule::secret("azure-event-grid-key", "AZURE_EVENT_GRID_KEY", IDENTIFIABLE, &["AZEG"],
        r"[A-Za-z0-9+/]{33}AZEG[A-Za-z0-9+/]{6}=").before(33),
    Rule::secret("azure-redis-key", "AZURE_REDIS_KEY", IDENTIFIABLE, &["AzCa"],
        r"[A-Za-z0-9]{33}AzCa[A-P][A-Za-z0-9]{5}=").before(33),
    Rule::secret("azure-search-key", "AZURE_SEARCH_KEY", IDENTIFIABLE, &["AzSe"],
        r"[A-Za-z0-9]{42}AzSe[A-D][A-Za-z0-9]{5}").before(42),
    Rule::secret("azure-function-key", "AZURE_FUNCTION_KEY", IDENTIFIABLE, &["AzFu"],
        r"[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]==").before(44),
    Rule::secret("azure-container-registry-key", "AZURE_REGISTRY_KEY", IDENTIFIABLE, &["+ACR"],
        r"[A-Za-z0-9+/]{42}\+ACR[A-D][A-Za-z0-9]{5}").before(42),
    Rule::secret("azure-access-key", "AZURE_ACCESS_KEY", "https://learn.microsoft.com/azure/azure-signalr/concept-connection-string", &["accesskey="],
        r"(?i:AccessKey)=([A-Za-z0-9+/]{43}=)"),
    Rule::secret("azure-app-configuration-secret", "AZURE_APP_CONFIGURATION_SECRET", "https://learn.microsoft.com/azure/azure-app-configuration/rest-api-authentication-hmac", &[";secret="],
        r";(?i:Secret)=([A-Za-z0-9+/]{43}=)"),
    Rule::secret("azure-subscription-key", "AZURE_SUBSCRIPTION_KEY", "https://learn.microsoft.com/azure/ai-services/authentication", &["subscription-key"],
        r#"(?i:subscription-key)[\\"']{0,4}\s{0,2}[=:]\s{0,2}[\\"']{0,4}([0-9a-f]{32})"#),
    Rule::secret("teams-webhook", "TEAMS_WEBHOOK", "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook", &["webhook.office.com/webhookb2/"],
        r"(?i:webhook\.office\.com/webhookb2/)([0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36}(?:/[A-Za-z0-9_-]{1,80})?)"),
    Rule::secret("nuget-key", "NUGET_KEY", "https://learn.microsoft.com/nuget/nuget-org/scoped-api-keys", &["oy2"],
        r"oy2[a-z0-9]{43}"),
];
