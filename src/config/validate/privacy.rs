//! `[privacy]`: what is done with secrets and personal data, and the key of placeholders.

use std::path::Path;

use super::names;
use super::values::{bad, choice, text};
use crate::config::ConfigError;
use crate::config::raw;
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

/// The policy that a table means.
pub(super) fn policy(privacy: raw::Privacy) -> Result<Policy, ConfigError> {
    let actions = names(Action::ALL, Action::name);
    let policy = Policy {
        secrets: choice("privacy.secrets", privacy.secrets, &actions)?,
        personal: choice("privacy.personal", privacy.personal, &actions)?,
        users: choice(USERS, privacy.users, &names(Users::ALL, Users::name))?,
        key: None,
    };
    if policy.is_off() {
        return Ok(policy);
    }
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
    if key.is_empty() && file.is_empty() {
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
