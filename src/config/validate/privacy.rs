//! `[privacy]`: what is done with secrets and personal data, and the key of placeholders.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::names;
use super::values::{bad, choice, text};
use crate::config::ConfigError;
use crate::config::raw;
use crate::domain::dataset::manifest::hex;
use crate::domain::privacy::own::{OwnRules, RulesFile};
use crate::domain::privacy::placeholder::{Key, SHORTEST_KEY};
use crate::domain::privacy::policy::{Action, Policy};
use crate::domain::privacy::users::Users;
use crate::secrets;

/// The variable that holds the key, if no file does.
pub const KEY_VARIABLE: &str = "GLEANER_PSEUDONYM_KEY";

const USERS: &str = "privacy.users";

const NO_KEY: &str = "pseudonyms need a key, and there is none: make one with `gleaner key new FILE` and name it \
                      (privacy.key_file, or its text in GLEANER_PSEUDONYM_KEY), or leave names out with --set \
                      privacy.users=drop";

/// The rules of a file in gitleaks' format; none if it has no name. `key` is where it was named.
///
/// # Errors
/// If it cannot be read, or a rule is not right.
pub fn own_rules(key: &'static str, file: &Path) -> Result<OwnRules, ConfigError> {
    if file.as_os_str().is_empty() {
        return Ok(OwnRules::default());
    }
    let wrong = |reason: String| bad(key, file.display(), reason);
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let rules: RulesFile = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
        let (line, what) = (line.unwrap_or_default(), error.message());
        wrong(format!("it is no file of rules for gitleaks: {line}{what}"))
    })?;
    let sha256 = hex(&Sha256::digest(&text));
    OwnRules::new(rules, sha256).map_err(|fault| wrong(fault.to_string()))
}

/// The policy that a table means.
pub(super) fn policy(privacy: raw::Privacy) -> Result<Policy, ConfigError> {
    let actions = names(Action::ALL, Action::name);
    let policy = Policy {
        // A file that is named is read, also if it has no use now: it says what is wrong with it.
        own: own_rules("privacy.rules", Path::new(&text(privacy.rules)))?,
        secrets: choice("privacy.secrets", privacy.secrets, &actions)?,
        personal: choice("privacy.personal", privacy.personal, &actions)?,
        users: choice(USERS, privacy.users, &names(Users::ALL, Users::name))?,
        ..Policy::default()
    };
    let file = text(privacy.key_file);
    let (from, key) = match file.as_str() {
        "" => (
            KEY_VARIABLE,
            std::env::var(KEY_VARIABLE).unwrap_or_default(),
        ),
        file => {
            let read = std::fs::read_to_string(Path::new(file));
            let key = read.map_err(|error| {
                bad(
                    "privacy.key_file",
                    file,
                    format!("{error}; make one with `gleaner key new FILE`"),
                )
            })?;
            (file, key)
        }
    };
    let key = key.trim();
    if file.is_empty() && (policy.is_off() || key.is_empty()) {
        return match policy.users {
            Users::Pseudonym => Err(bad(USERS, Users::Pseudonym.name(), NO_KEY)),
            _ => Ok(policy),
        };
    }
    secrets::register(key);
    let made = Key::new(key.as_bytes()).ok_or_else(|| {
        let reason = format!("its key has {} bytes, and it needs at least {SHORTEST_KEY}; make one with `gleaner key new FILE`", key.len());
        bad("privacy.key_file", from, reason)
    });
    Ok(Policy {
        key: Some(made?),
        ..policy
    })
}
