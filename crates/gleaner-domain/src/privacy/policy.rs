//! `[privacy]`: what is done with what is found, record by record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::Documents;
use super::finder::Finder;
use super::own::OwnRules;
use super::placeholder::Key;
use super::redaction::Redactor;
use super::rule::{Class, Rule};
use super::rules::RULES_VERSION;
use super::users::{UserNames, Users};
use crate::json::JsonError;

/// What is done with what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Nothing is looked for.
    #[default]
    Off,
    /// It is counted.
    Report,
    /// It is counted, and a placeholder put in its place.
    Redact,
    /// The record is invalid: `secret:<rule>`.
    Reject,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Off, Self::Report, Self::Redact, Self::Reject];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Redact => "redact",
            Self::Reject => "reject",
        }
    }
}

/// What is done with what.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// `privacy.secrets`
    pub secrets: Action,
    /// `privacy.personal`
    pub personal: Action,
    /// `privacy.users`; pseudonyms need the key.
    pub users: Users,
    /// `privacy.rules`: a user's own rules for secrets.
    pub own: OwnRules,
    /// The key of placeholders and pseudonyms; without it all placeholders of a kind are one.
    pub key: Option<Key>,
}

impl Policy {
    /// Whether records stay as they are and nothing is looked for.
    pub fn is_off(&self) -> bool {
        !self.is_scan() && self.users == Users::Keep
    }

    /// Whether secrets or personal data are looked for.
    pub fn is_scan(&self) -> bool {
        self.secrets != Action::Off || self.personal != Action::Off
    }

    fn of(&self, class: Class) -> Action {
        match class {
            Class::Secret => self.secrets,
            Class::Personal => self.personal,
        }
    }

    /// What `metadata.json` says about it, if anything was done.
    pub fn record(&self) -> Option<PrivacyRecord> {
        (!self.is_off()).then(|| PrivacyRecord {
            secrets: self.secrets.name().to_owned(),
            personal: self.personal.name().to_owned(),
            users: self.users.name().to_owned(),
            rules_version: RULES_VERSION,
            rules_sha256: Some(self.own.sha256.clone()).filter(|sha256| !sha256.is_empty()),
            key_id: self.key.as_ref().map(Key::id),
            found: FoundCounts::new(),
        })
    }
}

/// How much a rule found in the records that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FoundCount {
    /// Records with it.
    pub records: u64,
    /// Times that they have it.
    pub times: u64,
}

/// The same by rule.
pub type FoundCounts = BTreeMap<String, FoundCount>;

/// Adds what was found elsewhere.
pub fn add_counts(counts: &mut FoundCounts, more: &FoundCounts) {
    for (rule, count) in more {
        let all = counts.entry(rule.clone()).or_default();
        all.records += count.records;
        all.times += count.times;
    }
}

/// `[privacy]` in `metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyRecord {
    /// What was done with secrets.
    pub secrets: String,
    /// What was done with personal data.
    pub personal: String,
    /// What was done with the names of users.
    #[serde(default = "kept", skip_serializing_if = "is_kept")]
    pub users: String,
    /// The version of gleaner's rules.
    pub rules_version: u32,
    /// SHA-256 of the file of a user's own rules, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_sha256: Option<String>,
    /// The id of the key of placeholders and pseudonyms, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// What was found in the records that were written, before it was taken out of them.
    pub found: FoundCounts,
}

fn kept() -> String {
    Users::Keep.name().to_owned()
}

fn is_kept(users: &str) -> bool {
    users == Users::Keep.name()
}

impl PrivacyRecord {
    /// Whether secrets or personal data were looked for.
    pub fn is_scan(&self) -> bool {
        [&self.secrets, &self.personal]
            .into_iter()
            .any(|action| action != Action::Off.name())
    }

    /// What was done with the names of users; `None` if a later version did what this one does not know.
    pub fn users(&self) -> Option<Users> {
        Users::named(&self.users)
    }
}

/// What was found in a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordPrivacy {
    /// How often by rule.
    pub found: BTreeMap<&'static str, u64>,
    /// The rules of which one makes the record invalid.
    pub rejected: BTreeMap<&'static str, &'static str>,
    /// Whether anything was taken out of it or replaced.
    pub is_changed: bool,
}

impl RecordPrivacy {
    fn add(&mut self, rule: &'static Rule, action: Action) {
        *self.found.entry(rule.id).or_default() += 1;
        if action == Action::Reject {
            self.rejected.insert(rule.id, super::rules::code_of(rule));
        }
    }
}

/// A policy, ready for records.
pub struct Guard {
    policy: Policy,
    /// Of what is only counted, or makes a record invalid.
    seen: Finder,
    /// Of what is taken out.
    cut: Finder,
}

impl Guard {
    /// Gets ready; `None` if there is nothing to do.
    pub fn new(policy: Policy) -> Option<Self> {
        let is = |action: Action, wanted: &[Action]| wanted.contains(&action);
        let finder = |wanted: &[Action]| {
            Finder::new(
                is(policy.secrets, wanted),
                is(policy.personal, wanted),
                &policy.own,
            )
        };
        let (seen, cut) = (
            finder(&[Action::Report, Action::Reject]),
            finder(&[Action::Redact]),
        );
        (!policy.is_off()).then_some(Self { policy, seen, cut })
    }

    /// Looks at one record after the other.
    pub fn records(&self) -> GuardedRecords<'_> {
        GuardedRecords {
            policy: &self.policy,
            seen: (!self.seen.is_empty()).then(|| Documents::new(&self.seen)),
            cut: (!self.cut.is_empty()).then(|| Redactor::new(&self.cut, self.policy.key.as_ref())),
            users: UserNames::new(self.policy.users, self.policy.key.as_ref()),
        }
    }

    /// What is done with the names of users.
    pub fn users(&self) -> Users {
        self.policy.users
    }
}

/// Looks at one record after the other.
pub struct GuardedRecords<'g> {
    policy: &'g Policy,
    seen: Option<Documents<'g>>,
    cut: Option<Redactor<'g>>,
    users: Option<UserNames<'g>>,
}

impl GuardedRecords<'_> {
    /// Applies the policy to the record that stands in `text` from `start` on.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn apply(&mut self, text: &mut Vec<u8>, start: usize) -> Result<RecordPrivacy, JsonError> {
        let mut found = RecordPrivacy::default();
        if let Some(seen) = &mut self.seen {
            seen.each(&text[start..], |hit| {
                found.add(hit.rule, self.policy.of(hit.rule.class))
            })?;
        }
        if let Some(cut) = &mut self.cut {
            found.is_changed = cut.redact(text, start, |rule| {
                *found.found.entry(rule.id).or_default() += 1
            })?;
        }
        if let Some(users) = &mut self.users {
            found.is_changed |= users.apply(text, start)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::examples::example;

    fn applied(secrets: Action, personal: Action) -> (String, RecordPrivacy) {
        let record = format!(
            r#"{{"a":"{} {}"}}"#,
            example("ghp_{30w}{crc}", 1).text,
            example("{8z}@{8z}.co.uk", 1).text
        );
        let guard = Guard::new(Policy {
            secrets,
            personal,
            ..Policy::default()
        })
        .expect("not off");
        let mut text = record.clone().into_bytes();
        let found = guard.records().apply(&mut text, 0).expect("JSON");
        let text = String::from_utf8(text).expect("UTF-8");
        assert_eq!(found.is_changed, text != record);
        (text, found)
    }

    #[test]
    fn each_class_has_its_own_action() {
        let (text, found) = applied(Action::Redact, Action::Report);
        assert!(
            text.contains("<GITHUB_TOKEN>") && text.contains('@'),
            "{text}"
        );
        assert_eq!(
            found.found,
            BTreeMap::from([("email", 1), ("github-pat", 1)])
        );
        assert!(found.rejected.is_empty());
        let (_, found) = applied(Action::Reject, Action::Off);
        assert_eq!(
            found.rejected,
            BTreeMap::from([("github-pat", "secret:github-pat")])
        );
        let (text, found) = applied(Action::Off, Action::Redact);
        assert!(text.contains("ghp_") && text.contains("<EMAIL>"), "{text}");
        assert_eq!(found.found, BTreeMap::from([("email", 1)]));
        assert!(Guard::new(Policy::default()).is_none());
    }
}
