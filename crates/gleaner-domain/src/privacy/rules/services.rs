//! Messages, payments, mail, shops.

use crate::privacy::rule::Rule;

const SLACK: &str = "https://docs.slack.dev/authentication/tokens/";
const STRIPE: &str = "https://docs.stripe.com/keys";
const SHOPIFY: &str = "https://shopify.dev/docs/apps/build/authentication-authorization";
const SQUARE: &str = "https://developer.squareup.com/docs/build-basics/access-tokens";

pub const RULES: &[Rule] = &[
    Rule::secret(
        "slack-bot-token",
        "SLACK_TOKEN",
        SLACK,
        &["xoxb-"],
        r"xoxb-[0-9]{8,14}-[0-9A-Za-z-]{12,80}",
    ),
    Rule::secret(
        "slack-user-token",
        "SLACK_TOKEN",
        SLACK,
        &["xoxp-"],
        r"xoxp-[0-9]{8,14}-[0-9A-Za-z-]{20,120}",
    ),
    Rule::secret(
        "slack-app-token",
        "SLACK_TOKEN",
        SLACK,
        &["xapp-"],
        r"xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,16}-[a-z0-9]{32,80}",
    ),
    Rule::secret(
        "slack-other-token",
        "SLACK_TOKEN",
        SLACK,
        &[
            "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxe.", "xoxc-", "xoxd-",
        ],
        r"xox(?:[arscd]-|e[.-](?:xox[bp]-)?)[0-9A-Za-z%-]{20,260}",
    ),
    Rule::secret(
        "slack-webhook",
        "SLACK_WEBHOOK",
        "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/",
        &["hooks.slack.com/"],
        r"(?i:hooks\.slack\.com)\\?/(?:services|workflows|triggers)\\?/([A-Za-z0-9+_-]{6,40}(?:\\?/[A-Za-z0-9+_-]{6,80}){1,3})",
    ),
    Rule::secret(
        "stripe-secret-key",
        "STRIPE_KEY",
        STRIPE,
        &["sk_live_", "sk_test_"],
        r"sk_(?:live|test)_[A-Za-z0-9]{16,128}",
    ),
    Rule::secret(
        "stripe-restricted-key",
        "STRIPE_KEY",
        STRIPE,
        &["rk_live_", "rk_test_"],
        r"rk_(?:live|test)_[A-Za-z0-9]{16,128}",
    ),
    Rule::secret(
        "stripe-webhook-secret",
        "STRIPE_WEBHOOK_SECRET",
        "https://docs.stripe.com/webhooks",
        &["whsec_"],
        r"whsec_[A-Za-z0-9+/]{32,64}={0,2}",
    ),
    Rule::secret(
        "sendgrid-key",
        "SENDGRID_KEY",
        "https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
        &["SG."],
        r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    ),
    Rule::secret(
        "twilio-key",
        "TWILIO_KEY",
        "https://www.twilio.com/docs/glossary/what-is-a-sid",
        &["SK"],
        r"SK[0-9a-f]{32}",
    ),
    Rule::secret(
        "mailgun-key",
        "MAILGUN_KEY",
        "https://documentation.mailgun.com/docs/mailgun/api-reference/mg-auth",
        &["key-"],
        r"key-[0-9a-f]{32}",
    ),
    Rule::secret(
        "mailchimp-key",
        "MAILCHIMP_KEY",
        "https://mailchimp.com/developer/marketing/docs/fundamentals/",
        &["-us"],
        r"[0-9a-f]{32}-us[0-9]{1,2}",
    )
    .before(32),
    Rule::secret(
        "brevo-key",
        "BREVO_KEY",
        "https://developers.brevo.com/docs/getting-started",
        &["xkeysib-", "xsmtpsib-"],
        r"x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    ),
    Rule::secret(
        "shopify-token",
        "SHOPIFY_TOKEN",
        SHOPIFY,
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    ),
    Rule::secret(
        "square-token",
        "SQUARE_TOKEN",
        SQUARE,
        &["sq0atp-", "sq0csp-"],
        r"sq0(?:atp-[A-Za-z0-9_-]{22}|csp-[A-Za-z0-9_-]{43})",
    ),
    Rule::secret(
        "braintree-token",
        "BRAINTREE_TOKEN",
        "https://developer.paypal.com/braintree/articles/control-panel/important-gateway-credentials",
        &["access_token$"],
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
    ),
    Rule::secret(
        "easypost-key",
        "EASYPOST_KEY",
        "https://docs.easypost.com/docs/authentication",
        &["EZAK", "EZTK"],
        r"EZ[AT]K[A-Za-z0-9]{54}",
    ),
    Rule::secret(
        "shippo-token",
        "SHIPPO_TOKEN",
        "https://docs.goshippo.com/docs/guides_general/authentication/",
        &["shippo_"],
        r"shippo_(?:live|test)_[a-f0-9]{40}",
    ),
    Rule::secret(
        "plaid-token",
        "PLAID_TOKEN",
        "https://plaid.com/docs/api/tokens/",
        &[
            "access-production-",
            "access-sandbox-",
            "access-development-",
        ],
        r"access-(?:production|sandbox|development)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    Rule::secret(
        "razorpay-key",
        "RAZORPAY_KEY",
        "https://razorpay.com/docs/payments/dashboard/account-settings/api-keys/",
        &["rzp_live_", "rzp_test_"],
        r"rzp_(?:live|test)_[A-Za-z0-9]{14}",
    ),
    Rule::secret(
        "discord-webhook",
        "DISCORD_WEBHOOK",
        "https://discord.com/developers/docs/resources/webhook",
        &["discord.com/api/webhooks/", "discordapp.com/api/webhooks/"],
        r"(?i:discord(?:app)?\.com/api/webhooks/)[0-9]{17,20}/([A-Za-z0-9_-]{60,80})",
    ),
    Rule::secret(
        "telegram-bot-token",
        "TELEGRAM_TOKEN",
        "https://core.telegram.org/bots/api#authorizing-your-bot",
        &[":AA"],
        r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    )
    .run(|byte| byte.is_ascii_digit(), 10),
    Rule::secret(
        "contentful-token",
        "CONTENTFUL_TOKEN",
        "https://www.contentful.com/developers/docs/references/authentication/",
        &["CFPAT-"],
        r"CFPAT-[A-Za-z0-9_-]{43}",
    ),
    Rule::secret(
        "typeform-token",
        "TYPEFORM_TOKEN",
        "https://www.typeform.com/developers/get-started/personal-access-token/",
        &["tfp_"],
        r"tfp_[A-Za-z0-9_.=-]{40,59}",
    ),
    Rule::secret(
        "mapbox-token",
        "MAPBOX_TOKEN",
        "https://docs.mapbox.com/help/glossary/access-token/",
        &["sk.eyJ"],
        r"sk\.eyJ[A-Za-z0-9_-]{40,200}\.[A-Za-z0-9_-]{22}",
    ),
    Rule::secret(
        "adafruit-key",
        "ADAFRUIT_KEY",
        "https://io.adafruit.com/api/docs/#authentication",
        &["aio_"],
        r"aio_[A-Za-z0-9]{28}",
    ),
    Rule::secret(
        "dropbox-token",
        "DROPBOX_TOKEN",
        "https://www.dropbox.com/developers/documentation/http/documentation",
        &["sl.u.", "sl.B"],
        r"sl\.(?:u\.|B)[A-Za-z0-9_-]{130,}",
    ),
];
