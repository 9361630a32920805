//! Providers of language models.

use crate::privacy::rule::Rule;

const OPENAI: &str = "https://platform.openai.com/docs/api-reference/authentication";

pub const RULES: &[Rule] = &[
    Rule::secret(
        "openai-key",
        "OPENAI_KEY",
        OPENAI,
        &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-service-"],
        r"sk-(?:proj|svcacct|admin|service)-[A-Za-z0-9_-]{40,220}",
    ),
    Rule::secret(
        "openai-user-key",
        "OPENAI_KEY",
        OPENAI,
        &["T3BlbkFJ"],
        r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
    )
    .before(23),
    Rule::secret(
        "anthropic-key",
        "ANTHROPIC_KEY",
        "https://docs.anthropic.com/en/api/overview",
        &["sk-ant-"],
        r"sk-ant-(?:api|admin|oat|ort|sid)[0-9]{2}-[A-Za-z0-9_-]{80,120}",
    ),
    Rule::secret(
        "hugging-face-token",
        "HUGGING_FACE_TOKEN",
        "https://huggingface.co/docs/hub/security-tokens",
        &["hf_", "api_org_"],
        r"(?:hf|api_org)_[A-Za-z]{34}",
    )
    .checked(|token| super::looks_random(token, 3.8)),
    Rule::secret(
        "groq-key",
        "GROQ_KEY",
        "https://console.groq.com/docs/quickstart",
        &["gsk_"],
        r"gsk_[A-Za-z0-9]{52}",
    ),
    Rule::secret(
        "xai-key",
        "XAI_KEY",
        "https://docs.x.ai/docs/tutorial",
        &["xai-"],
        r"xai-[A-Za-z0-9]{80}",
    ),
    Rule::secret(
        "perplexity-key",
        "PERPLEXITY_KEY",
        "https://docs.perplexity.ai/getting-started/quickstart",
        &["pplx-"],
        r"pplx-[A-Za-z0-9]{48}",
    ),
    Rule::secret(
        "openrouter-key",
        "OPENROUTER_KEY",
        "https://openrouter.ai/docs/api-reference/authentication",
        &["sk-or-v1-"],
        r"sk-or-v1-[a-f0-9]{64}",
    ),
    Rule::secret(
        "deepseek-key",
        "DEEPSEEK_KEY",
        "https://api-docs.deepseek.com/",
        &["sk-"],
        r"sk-[a-f0-9]{32}",
    ),
    Rule::secret(
        "replicate-token",
        "REPLICATE_TOKEN",
        "https://replicate.com/docs/topics/security/api-tokens",
        &["r8_"],
        r"r8_[A-Za-z0-9]{37}",
    ),
    Rule::secret(
        "langsmith-key",
        "LANGSMITH_KEY",
        "https://docs.smith.langchain.com/administration/how_to_guides/organization_management/create_account_api_key",
        &["lsv2_"],
        r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}",
    ),
    Rule::secret(
        "nvidia-key",
        "NVIDIA_KEY",
        "https://docs.nvidia.com/ngc/latest/ngc-user-guide.html",
        &["nvapi-"],
        r"nvapi-[A-Za-z0-9_-]{60,74}",
    ),
    Rule::secret(
        "fireworks-key",
        "FIREWORKS_KEY",
        "https://docs.fireworks.ai/api-reference/introduction",
        &["fw_"],
        r"fw_[A-Za-z0-9]{22,28}",
    )
    .checked(|token| super::looks_random(token, 3.8)),
];
