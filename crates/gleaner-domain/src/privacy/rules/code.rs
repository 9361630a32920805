//! Places where code, packages and images lie.

use crate::privacy::checks::has_base62_checksum;
use crate::privacy::rule::Rule;

const GITHUB: &str = "https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/";
const GITLAB: &str = "https://docs.gitlab.com/security/tokens/#token-prefixes";

pub const RULES: &[Rule] = &[
    Rule::secret(
        "github-pat",
        "GITHUB_TOKEN",
        GITHUB,
        &["ghp_"],
        r"ghp_[A-Za-z0-9]{36,251}",
    )
    .checked(has_base62_checksum),
    Rule::secret(
        "github-oauth",
        "GITHUB_TOKEN",
        GITHUB,
        &["gho_"],
        r"gho_[A-Za-z0-9]{36,251}",
    )
    .checked(has_base62_checksum),
    Rule::secret(
        "github-user-to-server",
        "GITHUB_TOKEN",
        GITHUB,
        &["ghu_"],
        r"ghu_[A-Za-z0-9]{36,251}",
    )
    .checked(has_base62_checksum),
    Rule::secret(
        "github-server-to-server",
        "GITHUB_TOKEN",
        GITHUB,
        &["ghs_"],
        r"ghs_[A-Za-z0-9]{36,251}",
    )
    .checked(has_base62_checksum),
    Rule::secret(
        "github-refresh",
        "GITHUB_TOKEN",
        GITHUB,
        &["ghr_"],
        r"ghr_[A-Za-z0-9]{36,251}",
    )
    .checked(has_base62_checksum),
    Rule::secret(
        "github-fine-grained-pat",
        "GITHUB_TOKEN",
        "https://docs.github.com/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens",
        &["github_pat_"],
        r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    ),
    Rule::secret(
        "gitlab-pat",
        "GITLAB_TOKEN",
        GITLAB,
        &["glpat-"],
        r"glpat-[A-Za-z0-9_-]{20,300}(?:\.[0-9a-z]{2}\.[0-9a-z]{7,12})?",
    ),
    Rule::secret(
        "gitlab-deploy-token",
        "GITLAB_TOKEN",
        GITLAB,
        &["gldt-"],
        r"gldt-[A-Za-z0-9_-]{20,50}",
    ),
    Rule::secret(
        "gitlab-runner-token",
        "GITLAB_TOKEN",
        GITLAB,
        &["glrt-", "glrtr-", "GR1348941"],
        r"(?:glrtr?-|GR1348941)[A-Za-z0-9_-]{20,300}(?:\.[0-9a-z]{2}\.[0-9a-z]{7,12})?",
    ),
    Rule::secret(
        "gitlab-job-token",
        "GITLAB_TOKEN",
        GITLAB,
        &["glcbt-"],
        r"glcbt-[A-Za-z0-9]{1,5}_[A-Za-z0-9_-]{20}",
    ),
    Rule::secret(
        "gitlab-trigger-token",
        "GITLAB_TOKEN",
        GITLAB,
        &["glptt-"],
        r"glptt-[A-Za-z0-9_-]{20,40}",
    ),
    Rule::secret(
        "gitlab-other-token",
        "GITLAB_TOKEN",
        GITLAB,
        &[
            "gloas-", "glft-", "glimt-", "glagent-", "glsoat-", "glffct-",
        ],
        r"(?:gloas|glft|glimt|glagent|glsoat|glffct)-[A-Za-z0-9_-]{20,64}",
    ),
    Rule::secret(
        "bitbucket-app-password",
        "BITBUCKET_TOKEN",
        "https://support.atlassian.com/bitbucket-cloud/docs/app-passwords/",
        &["ATBB"],
        r"ATBB[A-Za-z0-9]{32}",
    ),
    Rule::secret(
        "atlassian-token",
        "ATLASSIAN_TOKEN",
        "https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/",
        &["ATATT3", "ATCTT3"],
        r"AT[AC]TT3[A-Za-z0-9_=-]{60,250}",
    ),
    Rule::secret(
        "npm-token",
        "NPM_TOKEN",
        "https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/",
        &["npm_"],
        r"npm_[A-Za-z0-9]{36}",
    )
    .checked(has_base62_checksum),
    Rule::secret(
        "pypi-token",
        "PYPI_TOKEN",
        "https://docs.pypi.org/api/secrets/",
        &["pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw"],
        r"pypi-Ag(?:EIcHlwaS5vcmc|ENdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{50,}",
    ),
    Rule::secret(
        "rubygems-key",
        "RUBYGEMS_KEY",
        "https://guides.rubygems.org/api-key-scopes/",
        &["rubygems_"],
        r"rubygems_[a-f0-9]{48}",
    ),
    Rule::secret(
        "crates-io-token",
        "CRATES_IO_TOKEN",
        "https://doc.rust-lang.org/cargo/reference/registry-authentication.html",
        &["cio"],
        r"cio[A-Za-z0-9]{32}",
    )
    .checked(|token| super::looks_random(token, 3.6)),
    Rule::secret(
        "docker-token",
        "DOCKER_TOKEN",
        "https://docs.docker.com/security/access-tokens/",
        &["dckr_pat_", "dckr_oat_"],
        r"dckr_[po]at_[A-Za-z0-9_-]{27,36}",
    ),
    Rule::secret(
        "circleci-token",
        "CIRCLECI_TOKEN",
        "https://circleci.com/docs/managing-api-tokens/",
        &["CCIPAT_", "CCIPRJ_"],
        r"CCIP(?:AT|RJ)_[A-Za-z0-9]{22}_[a-f0-9]{40}",
    ),
    Rule::secret(
        "buildkite-token",
        "BUILDKITE_TOKEN",
        "https://buildkite.com/docs/apis/managing-api-tokens",
        &["bkua_"],
        r"bkua_[a-f0-9]{40}",
    ),
    Rule::secret(
        "sourcegraph-token",
        "SOURCEGRAPH_TOKEN",
        "https://sourcegraph.com/docs/cli/how-tos/creating_an_access_token",
        &["sgp_"],
        r"sgp_(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}",
    ),
    Rule::secret(
        "sentry-token",
        "SENTRY_TOKEN",
        "https://docs.sentry.io/account/auth-tokens/",
        &["sntryu_", "sntrys_"],
        r"sntry(?:u_[a-f0-9]{64}|s_eyJ[A-Za-z0-9+/=_-]{60,})",
    ),
    Rule::secret(
        "linear-key",
        "LINEAR_KEY",
        "https://linear.app/developers/graphql",
        &["lin_api_", "lin_oauth_"],
        r"lin_(?:api_[A-Za-z0-9]{40}|oauth_[a-f0-9]{64})",
    ),
    Rule::secret(
        "postman-key",
        "POSTMAN_KEY",
        "https://learning.postman.com/docs/developer/postman-api/authentication/",
        &["PMAK-"],
        r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    ),
    Rule::secret(
        "figma-token",
        "FIGMA_TOKEN",
        "https://www.figma.com/developers/api#access-tokens",
        &["figd_", "figp_"],
        r"fig[dp]_[A-Za-z0-9_-]{40,64}",
    ),
    Rule::secret(
        "notion-token",
        "NOTION_TOKEN",
        "https://developers.notion.com/docs/authorization",
        &["ntn_", "secret_"],
        r"(?:ntn_[0-9]{11}[A-Za-z0-9]{35}|secret_[A-Za-z0-9]{43})",
    )
    .checked(|token| super::looks_random(token, 3.8)),
];
