//! Keys of every kind for tests, made when they are needed: no text of this repository looks like one.
//!
//! Written from what the vendors document, not from the rules' patterns.

use super::checks::{base62_checksum, grafana_checksum};

/// A rule and the form of what it finds. `{16B}` stands for 16 characters of an alphabet, `{crc}` for the checksum of
/// GitHub's tokens, `{crc32}` for that of Grafana's; what stands between `«` and `»` is the secret, else all of it.
pub const FORMS: &[(&str, &str)] = &[
    (
        "azure-account-key",
        "DefaultEndpointsProtocol=https;AccountName=logs;AccountKey=«{86b}==»;EndpointSuffix=core.windows.net",
    ),
    ("azure-account-key", "export AZURE_STORAGE_KEY='«{86b}==»'"),
    (
        "azure-account-key",
        "az storage blob list --account-key «{86b}==» -o tsv",
    ),
    ("azure-functions-key", "x-functions-key: «{54u}==»"),
    (
        "authorization-header",
        "curl -H 'Authorization: token «{40x}»'",
    ),
    ("azure-storage-key", "{76b}+ASt{6b}=="),
    ("azure-cosmos-key", "{76w}ACDb{6b}=="),
    ("azure-batch-key", "{76b}+ABa{6b}=="),
    ("azure-api-management-key", "{76w}APIM{6b}=="),
    (
        "azure-sas",
        "https://logs.blob.core.windows.net/c/b.json?sv=2024-11-04&sr=b&sp=r&sig=«{20w}%2B{22w}%3D»",
    ),
    ("azure-client-secret", "{3w}8Q~{34w}"),
    ("azure-devops-pat", "{76w}AZDO{4w}"),
    ("azure-annotated-key", "{52w}JQQJ99{1A}{1k}{16w}{1l}{7w}"),
    (
        "azure-shared-access-key",
        "Endpoint=sb://hub.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=«{43b}=»",
    ),
    ("azure-service-bus-key", "{33b}+ASb{6b}="),
    ("azure-event-hub-key", "{33b}+AEh{6b}="),
    ("azure-iot-key", "{33b}AIoT{6b}="),
    ("azure-event-grid-key", "{33b}AZEG{6b}="),
    ("azure-redis-key", "{33w}AzCa{1k}{5w}="),
    ("azure-search-key", "{42w}AzSeA{5w}"),
    ("azure-function-key", "{44u}AzFu{5u}A=="),
    ("azure-container-registry-key", "{42b}+ACRA{5w}"),
    (
        "azure-access-key",
        "Endpoint=https://x.service.signalr.net;AccessKey=«{43b}=»;Version=1.0;",
    ),
    (
        "azure-app-configuration-secret",
        "Endpoint=https://x.azconfig.io;Id=ab-l0-s0:c;Secret=«{43b}=»",
    ),
    (
        "azure-subscription-key",
        "curl -H 'Ocp-Apim-Subscription-Key: «{32x}»'",
    ),
    (
        "teams-webhook",
        "https://contoso.webhook.office.com/webhookb2/«{8x}-{4x}-{4x}-{4x}-{12x}@{8x}-{4x}-{4x}-{4x}-{12x}/IncomingWebhook/{32x}/{8x}-{4x}-{4x}-{4x}-{12x}»",
    ),
    ("nuget-key", "oy2{43a}"),
    ("github-pat", "ghp_{30w}{crc}"),
    ("github-oauth", "gho_{30w}{crc}"),
    ("github-user-to-server", "ghu_{30w}{crc}"),
    ("github-server-to-server", "ghs_{30w}{crc}"),
    ("github-refresh", "ghr_{30w}{crc}"),
    ("github-fine-grained-pat", "github_pat_{22w}_{59w}"),
    ("gitlab-pat", "glpat-{20w}"),
    ("gitlab-deploy-token", "gldt-{20w}"),
    ("gitlab-runner-token", "glrt-{20w}"),
    ("gitlab-job-token", "glcbt-64_{20w}"),
    ("gitlab-trigger-token", "glptt-{40x}"),
    ("gitlab-other-token", "glsoat-{20w}"),
    ("bitbucket-app-password", "ATBB{32w}"),
    ("atlassian-token", "ATATT3xFfGF0{172w}={8A}"),
    ("npm-token", "npm_{30w}{crc}"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc{120u}"),
    ("rubygems-key", "rubygems_{48x}"),
    ("crates-io-token", "cio{32w}"),
    ("docker-token", "dckr_pat_{27w}"),
    ("circleci-token", "CCIPAT_{22w}_{40x}"),
    ("buildkite-token", "bkua_{40x}"),
    ("sourcegraph-token", "sgp_{16x}_{40x}"),
    ("sentry-token", "sntryu_{64x}"),
    ("linear-key", "lin_api_{40w}"),
    ("postman-key", "PMAK-{24x}-{34x}"),
    ("figma-token", "figd_{40w}"),
    ("notion-token", "ntn_{11n}{35w}"),
    ("aws-access-key-id", "AKIA{16B}"),
    ("aws-secret-access-key", "aws_secret_access_key = «{40b}»"),
    ("aws-session-token", "IQoJb3JpZ2lu{300b}="),
    ("aws-bedrock-key", "ABSKQmVkcm9ja0FQSUtleS{110b}="),
    ("google-api-key", "AIza{35w}"),
    ("google-oauth-secret", "GOCSPX-{28w}"),
    ("google-access-token", "ya29.{120w}"),
    ("google-refresh-token", "1//0{60w}"),
    ("digitalocean-token", "dop_v1_{64x}"),
    ("heroku-key", "HRKU-AA{58w}"),
    ("netlify-token", "nfp_{36w}"),
    ("fly-token", "fo1_{43w}"),
    ("render-key", "rnd_{32w}"),
    ("cloudflare-origin-ca-key", "v1.0-{24x}-{146x}"),
    ("supabase-key", "sbp_{40x}"),
    ("planetscale-token", "pscale_tkn_{43w}"),
    ("alibaba-access-key-id", "LTAI{20w}"),
    ("tencent-secret-id", "AKID{32w}"),
    ("databricks-token", "dapi{32x}"),
    ("terraform-token", "{14w}.atlasv1.{67w}"),
    ("vault-token", "hvs.{90w}"),
    ("pulumi-token", "pul-{40x}"),
    ("doppler-token", "dp.pt.{43w}"),
    ("grafana-cloud-token", "glc_eyJ{100w}="),
    ("grafana-service-account-token", "glsa_{32w}_{crc32}"),
    ("datadog-key", "DD_API_KEY=«{32x}»"),
    ("new-relic-key", "NRAK-{27A}"),
    ("new-relic-licence", "{32x}FFFFNRAL"),
    ("tailscale-key", "tskey-auth-{11w}CNTRL-{32w}"),
    ("age-secret-key", "AGE-SECRET-KEY-1{58g}"),
    ("onepassword-token", "ops_eyJ{400w}"),
    ("openai-key", "sk-proj-{74u}T3BlbkFJ{74w}"),
    ("openai-user-key", "sk-{20w}T3BlbkFJ{20w}"),
    ("anthropic-key", "sk-ant-api03-{93w}AA"),
    ("hugging-face-token", "hf_{34l}"),
    ("groq-key", "gsk_{52w}"),
    ("xai-key", "xai-{80w}"),
    ("perplexity-key", "pplx-{48w}"),
    ("openrouter-key", "sk-or-v1-{64x}"),
    ("deepseek-key", "sk-{32x}"),
    ("replicate-token", "r8_{37w}"),
    ("langsmith-key", "lsv2_pt_{32x}_{10x}"),
    ("nvidia-key", "nvapi-{64w}"),
    ("fireworks-key", "fw_{24w}"),
    ("slack-bot-token", "xoxb-{12n}-{13n}-{24w}"),
    ("slack-user-token", "xoxp-{12n}-{12n}-{13n}-{32x}"),
    ("slack-app-token", "xapp-1-A{10A}-{13n}-{64x}"),
    ("slack-other-token", "xoxs-{12n}-{12n}-{40x}"),
    (
        "slack-webhook",
        "https://hooks.slack.com/services/«T{8A}/B{8A}/{24w}»",
    ),
    ("stripe-secret-key", "sk_live_{24w}"),
    ("stripe-restricted-key", "rk_live_{24w}"),
    ("stripe-webhook-secret", "whsec_{32w}"),
    ("sendgrid-key", "SG.{22w}.{43w}"),
    ("twilio-key", "SK{32x}"),
    ("mailgun-key", "key-{32x}"),
    ("mailchimp-key", "{32x}-us14"),
    ("brevo-key", "xkeysib-{64x}-{16w}"),
    ("shopify-token", "shpat_{32x}"),
    ("square-token", "sq0csp-{43w}"),
    ("braintree-token", "access_token$production${16a}${32x}"),
    ("easypost-key", "EZAK{54w}"),
    ("shippo-token", "shippo_live_{40x}"),
    ("plaid-token", "access-production-{8x}-{4x}-{4x}-{4x}-{12x}"),
    ("razorpay-key", "rzp_live_{14w}"),
    (
        "discord-webhook",
        "https://discord.com/api/webhooks/{18n}/«{68w}»",
    ),
    ("telegram-bot-token", "{10n}:AA{33w}"),
    ("contentful-token", "CFPAT-{43w}"),
    ("typeform-token", "tfp_{44w}"),
    ("mapbox-token", "sk.eyJ{80w}.{22w}"),
    ("adafruit-key", "aio_{28w}"),
    ("dropbox-token", "sl.u.{140w}"),
    (
        "private-key",
        "-----BEGIN RSA PRIVATE KEY-----\n{64b}\n{64b}\n{40b}==\n-----END RSA PRIVATE KEY-----",
    ),
    (
        "putty-private-key",
        "Private-Lines: 4\n«{64b}\n{64b}\n{64b}\n{16b}»",
    ),
    ("jwt", "eyJ{33w}.eyJ{90w}.{43w}"),
    (
        "url-password",
        "postgres://svc:«{16w}»@db.internal:5432/app",
    ),
    (
        "authorization-header",
        "curl -H 'Authorization: Bearer «{40w}»'",
    ),
    (
        "curl-password",
        "curl -s -u svc_deploy:«{10w}» https://host.co.uk/x",
    ),
    ("named-secret", "DB_PASSWORD=«{6l}{4n}{6w}»"),
    ("named-token", "token = '«{8l}{4n}{16w}»'"),
    ("email", "{2z}{6a}.{4a}@{6z}.co.uk"),
    ("email", "{2z}{6a}.{4a}%40{6z}.co.uk"),
    ("home-path", "/home/«{4z}{3a}»/src/main.rs"),
    ("home-path", "/var/home/«{4z}{3a}»/src/main.rs"),
    ("home-path", "c:/users/«{4z}{3a}»/x"),
    ("home-path-of-two-names", "C:\\Users\\«J{4z} D{5z}»\\x.txt"),
    ("ipv4", "81.{1o}7.1{1o}4.20"),
    ("ipv6", "2a0{1o}:{1o}{3x}:{1o}{3x}::{1o}{2x}f"),
    ("phone", "+49 30 {7o}"),
    ("phone", "0049 30 {7o}"),
    ("phone", "tel:«+1-206-7{1o}5-{4o}»"),
    ("phone", "({1p}{2o}) {1p}{2o}-{4o}"),
];

/// A text with a key of a form in it, and the key.
pub struct Example {
    /// The text.
    pub text: String,
    /// What is to be found in it.
    pub secret: String,
}

/// Makes an example; others with other seeds.
pub fn example(form: &str, seed: u64) -> Example {
    let mut chance = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D;
    let mut text = String::new();
    let (mut start, mut end) = (0, None);
    let mut rest = form;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        match sign {
            '«' => start = text.len(),
            '»' => end = Some(text.len()),
            '{' => {
                let (part, behind) = rest.split_once('}').expect("a part ends");
                rest = behind;
                fill(part, &mut chance, &mut text);
            }
            sign => text.push(sign),
        }
    }
    let secret = text[start..end.unwrap_or(text.len())].to_owned();
    Example { text, secret }
}

fn fill(part: &str, chance: &mut u64, text: &mut String) {
    match part {
        "crc" => {
            let body = &text.as_bytes()[text.len() - 30..];
            text.push_str(&String::from_utf8_lossy(&base62_checksum(body)));
            return;
        }
        "crc32" => {
            let body = text.trim_end_matches('_').to_owned();
            text.push_str(&grafana_checksum(body.as_bytes()));
            return;
        }
        _ => {}
    }
    const ALPHABETS: &[(&str, &str)] = &[
        ("a", "abcdefghijklmnopqrstuvwxyz0123456789"),
        ("A", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
        ("B", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        (
            "b",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        ),
        (
            "u",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        ),
        (
            "w",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        ),
        ("l", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        ("z", "abcdefghijklmnopqrstuvwxyz"),
        ("g", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
        ("k", "ABCDEFGHIJKL"),
        ("x", "0123456789abcdef"),
        ("n", "0123456789"),
        ("o", "123456789"),
        ("p", "2346789"),
    ];
    let (number, name) = part.split_at(part.len() - 1);
    let alphabet = ALPHABETS
        .iter()
        .find(|(one, _)| *one == name)
        .expect("an alphabet")
        .1;
    for _ in 0..number.parse().expect("a number") {
        *chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let sign = (*chance >> 33) as usize % alphabet.len();
        text.push(char::from(alphabet.as_bytes()[sign]));
    }
}
