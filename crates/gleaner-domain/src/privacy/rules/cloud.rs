//! Clouds, and what runs and watches services in them.

use crate::privacy::checks::has_grafana_checksum;
use crate::privacy::rule::Rule;

const AWS: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids";
const GOOGLE: &str = "https://cloud.google.com/docs/authentication/api-keys";

pub const RULES: &[Rule] = &[
    Rule::secret("aws-access-key-id", "AWS_KEY", AWS, &["AKIA", "ASIA", "ABIA", "ACCA"], r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    Rule::secret("aws-secret-access-key", "AWS_SECRET", "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html", &["aws_secret", "aws-secret", "awssecret", "secretaccesskey", "secret_access_key", "secret access key"],
        r#"(?i:(?:aws[_-]?)?secret[_ -]?(?:access[_ -]?)?(?:key)?)[\\"'`]{0,4}[ \t]{0,4}(?:=>|:=|=|:|,|\bis\b|\\[tn])[ \t]{0,4}[\\"'`]{0,4}([A-Za-z0-9/+]{40})"#).checked(|key| super::looks_random(key, 4.0)),
    Rule::secret("aws-session-token", "AWS_SESSION_TOKEN", "https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html", &["FwoGZXIvYXdz", "IQoJb3JpZ2lu"], r"(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9+/%]{80,}={0,2}"),
    Rule::secret("aws-bedrock-key", "AWS_BEDROCK_KEY", "https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html", &["ABSKQmVkcm9ja0FQSUtleS"], r"ABSKQmVkcm9ja0FQSUtleS[A-Za-z0-9+/]{80,260}={0,2}"),
    Rule::secret("google-api-key", "GOOGLE_API_KEY", GOOGLE, &["AIza"], r"AIza[A-Za-z0-9_-]{35}"),
    Rule::secret("google-oauth-secret", "GOOGLE_CLIENT_SECRET", "https://developers.google.com/identity/protocols/oauth2", &["GOCSPX-"], r"GOCSPX-[A-Za-z0-9_-]{28}"),
    Rule::secret("google-access-token", "GOOGLE_ACCESS_TOKEN", "https://cloud.google.com/docs/authentication/token-types#access", &["ya29."], r"ya29\.[A-Za-z0-9_-]{30,}"),
    Rule::secret("google-refresh-token", "GOOGLE_REFRESH_TOKEN", "https://developers.google.com/identity/protocols/oauth2/web-server", &["1//0"], r"1//0[A-Za-z0-9_-]{40,200}").checked(|token| super::looks_random(token, 4.0)),
    Rule::secret("digitalocean-token", "DIGITALOCEAN_TOKEN", "https://docs.digitalocean.com/reference/api/create-personal-access-token/", &["dop_v1_", "doo_v1_", "dor_v1_"], r"do[opr]_v1_[a-f0-9]{64}"),
    Rule::secret("heroku-key", "HEROKU_KEY", "https://devcenter.heroku.com/articles/authentication", &["HRKU-"], r"HRKU-(?:AA[A-Za-z0-9_-]{58}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"),
    Rule::secret("netlify-token", "NETLIFY_TOKEN", "https://docs.netlify.com/api/get-started/", &["nfp_"], r"nfp_[A-Za-z0-9]{36,40}"),
    Rule::secret("fly-token", "FLY_TOKEN", "https://fly.io/docs/security/tokens/", &["fo1_", "fm2_"], r"(?:fo1_[A-Za-z0-9_-]{43}|fm2_[A-Za-z0-9+/]{100,}={0,3})"),
    Rule::secret("render-key", "RENDER_KEY", "https://api-docs.render.com/reference/authentication", &["rnd_"], r"rnd_[A-Za-z0-9]{32}"),
    Rule::secret("cloudflare-origin-ca-key", "CLOUDFLARE_KEY", "https://developers.cloudflare.com/fundamentals/api/get-started/ca-keys/", &["v1.0-"], r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"),
    Rule::secret("supabase-key", "SUPABASE_KEY", "https://supabase.com/docs/guides/api/api-keys", &["sbp_", "sb_secret_"], r"(?:sbp_(?:v0_)?[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{22,60})"),
    Rule::secret("planetscale-token", "PLANETSCALE_TOKEN", "https://planetscale.com/docs/api/reference/service-tokens", &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"], r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.-]{32,64}"),
    Rule::secret("alibaba-access-key-id", "ALIBABA_KEY", "https://www.alibabacloud.com/help/en/ram/user-guide/create-an-accesskey-pair", &["LTAI"], r"LTAI[A-Za-z0-9]{12,26}").checked(|key| super::looks_random(key, 3.2)),
    Rule::secret("tencent-secret-id", "TENCENT_KEY", "https://www.tencentcloud.com/document/product/598/32675", &["AKID"], r"AKID[A-Za-z0-9]{32}"),
    Rule::secret("databricks-token", "DATABRICKS_TOKEN", "https://docs.databricks.com/aws/en/dev-tools/auth/pat", &["dapi"], r"dapi[a-f0-9]{32}(?:-[0-9]{1,2})?"),
    Rule::secret("terraform-token", "TERRAFORM_TOKEN", "https://developer.hashicorp.com/terraform/cloud-docs/api-docs/user-tokens", &[".atlasv1."], r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}").before(14),
    Rule::secret("vault-token", "VAULT_TOKEN", "https://developer.hashicorp.com/vault/docs/concepts/tokens", &["hvs.", "hvb.", "hvr."], r"hv[sbr]\.[A-Za-z0-9_-]{24,300}"),
    Rule::secret("pulumi-token", "PULUMI_TOKEN", "https://www.pulumi.com/docs/administration/access-identity/access-tokens/", &["pul-"], r"pul-[a-f0-9]{40}"),
    Rule::secret("doppler-token", "DOPPLER_TOKEN", "https://docs.doppler.com/reference/auth-token-formats", &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."],
        r"dp\.(?:pt|ct|sa|scim|audit|st(?:\.[a-z0-9_-]{2,35})?)\.[A-Za-z0-9]{40,44}"),
    Rule::secret("grafana-cloud-token", "GRAFANA_TOKEN", "https://grafana.com/docs/grafana-cloud/account-management/authentication-and-permissions/access-policies/", &["glc_"], r"glc_[A-Za-z0-9+/]{32,}={0,3}"),
    Rule::secret("grafana-service-account-token", "GRAFANA_TOKEN", "https://grafana.com/docs/grafana/latest/administration/service-accounts/", &["glsa_"], r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}").checked(has_grafana_checksum),
    Rule::secret("datadog-key", "DATADOG_KEY", "https://docs.datadoghq.com/account_management/api-app-keys/", &["dd_api_key", "dd_app_key", "dd-api-key", "dd-application-key", "datadog_api_key", "datadog_app_key"],
        r#"(?i:(?:dd|datadog)[_-](?:api|app|application)[_-]key)[\\"']{0,4}\s{0,3}(?::=|=|:|,)\s{0,3}[\\"']{0,4}([a-f0-9]{40}|[a-f0-9]{32})"#),
    Rule::secret("new-relic-key", "NEW_RELIC_KEY", "https://docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys/", &["NRAK-", "NRIQ-", "NRII-", "NRRA-"], r"(?:NRAK-[A-Z0-9]{27}|NR(?:IQ|II)-[A-Za-z0-9_-]{32}|NRRA-[a-f0-9]{42})"),
    Rule::secret("new-relic-licence", "NEW_RELIC_KEY", "https://docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys/", &["FFFFNRAL", "NRAL"], r"[a-f0-9]{32}(?:FFFF|[a-f0-9]{4})NRAL").run(|byte| byte.is_ascii_hexdigit(), 36),
    Rule::secret("tailscale-key", "TAILSCALE_KEY", "https://tailscale.com/kb/1277/key-prefixes", &["tskey-"], r"tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{24,48}"),
    Rule::secret("age-secret-key", "AGE_SECRET_KEY", "https://github.com/C2SP/C2SP/blob/main/age.md", &["AGE-SECRET-KEY-1"], r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    Rule::secret("onepassword-token", "ONEPASSWORD_TOKEN", "https://developer.1password.com/docs/service-accounts/", &["ops_eyJ"], r"ops_eyJ[A-Za-z0-9+/_-]{250,}={0,3}"),
];
