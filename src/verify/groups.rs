//! Checks that every group is in one split only, and where that can be seen in its own.
//!
//! Takes 16 bytes for each group, and what it takes to find them.

use std::collections::BTreeMap;

use super::VerifyReport;
use crate::domain::dataset::groups::GroupCounts;
use crate::domain::dataset::manifest::Manifest;
use crate::domain::json::JsonError;
use crate::domain::privacy::placeholder;
use crate::domain::privacy::policy::Action;
use crate::domain::privacy::users::Users;
use crate::domain::record::validation::Code;
use crate::domain::selection::group::{Group, GroupField};
use crate::domain::selection::stratum::Selection;
use crate::sink::MANIFEST;

/// The groups of the records so far.
#[derive(Debug, Default)]
pub struct Groups {
    field: Option<GroupField>,
    /// Whether names are pseudonyms: each stands for one group, whose hash is another's.
    are_pseudonyms: bool,
    /// Whether placeholders may stand in a name: one may stand for several groups.
    may_be_redacted: bool,
    /// The number of the split that each was first seen in, by hash.
    splits: BTreeMap<i64, u16>,
    names: Vec<String>,
    /// Records whose group is hidden by a placeholder.
    hidden: u64,
}

/// What a record shows of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What decided its split; nothing if the id did.
    AsRead(Option<Group>),
    /// A pseudonym of it.
    Pseudonym(Group),
    /// What several groups may be written as.
    Redacted,
}

impl Shown {
    /// What the split can be checked by.
    pub fn as_read(self) -> Option<Group> {
        match self {
            Self::AsRead(group) => group,
            Self::Pseudonym(_) | Self::Redacted => None,
        }
    }
}

impl Groups {
    /// None was seen; `selection` says what decides.
    pub fn new(manifest: &Manifest, selection: &Selection) -> Self {
        let privacy = manifest.privacy.as_ref();
        let field = selection.split_by().cloned();
        let is_user = field.as_ref().is_some_and(GroupField::is_user);
        let users = privacy.and_then(|privacy| privacy.users());
        let redacts = |action: &String| action == Action::Redact.name();
        Self {
            are_pseudonyms: is_user && users == Some(Users::Pseudonym),
            may_be_redacted: privacy
                .is_some_and(|privacy| redacts(&privacy.secrets) || redacts(&privacy.personal)),
            field,
            ..Self::default()
        }
    }

    /// What a record shows of its group.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn shown(&self, record: &[u8]) -> Result<Shown, JsonError> {
        let Some(field) = &self.field else {
            return Ok(Shown::AsRead(None));
        };
        if self.are_pseudonyms {
            return Ok(Shown::Pseudonym(field.of_record(record)?));
        }
        if self.may_be_redacted {
            let text = field.text_of(record)?;
            if text.is_some_and(|text| placeholder::is_in(&text)) {
                return Ok(Shown::Redacted);
            }
        }
        Ok(Shown::AsRead(Some(field.of_record(record)?)))
    }

    /// Notes the group of a record of a split; says what is wrong with it.
    pub fn note(&mut self, shown: Shown, split: &str) -> Option<String> {
        let group = match shown {
            Shown::AsRead(None) => return None,
            Shown::Redacted => {
                self.hidden += 1;
                return None;
            }
            Shown::AsRead(Some(group)) => group,
            Shown::Pseudonym(group @ Group::Named(_)) => group,
            Shown::Pseudonym(_) => {
                let code = Code::MissingGroup;
                return Some(format!("{code}: userName is no text, or blank"));
            }
        };
        let hash = group.hash()?;
        let known = self.names.iter().position(|name| name == split);
        let split = known.unwrap_or_else(|| {
            self.names.push(split.to_owned());
            self.names.len() - 1
        });
        // A selection has at most 1,000 splits.
        let first = *self.splits.entry(hash).or_insert(split as u16);
        (usize::from(first) != split).then(|| {
            let other = &self.names[usize::from(first)];
            format!("its group is in {other} too")
        })
    }

    /// All records were seen: compares with what the manifest counted by the same field, and says what could not be
    /// checked.
    pub fn finish(self, manifest: &Manifest, report: &mut VerifyReport) {
        if self.are_pseudonyms || self.hidden > 0 {
            report.unchecked.push(Code::SplitMismatch.name());
        }
        let field = self.field.as_ref().map(GroupField::name);
        if field != manifest.selection.split_by.as_deref() || self.hidden > 0 {
            return;
        }
        let counted = field.map(|_| {
            let splits = manifest.selection.splits.iter();
            let mut counts: GroupCounts = splits.map(|split| (split.name.clone(), 0)).collect();
            for split in self.splits.into_values() {
                let name = self.names[usize::from(split)].clone();
                *counts.entry(name).or_default() += 1;
            }
            counts
        });
        if counted != manifest.groups {
            report.find(
                MANIFEST,
                "the number of groups does not follow from the records",
            );
        }
    }
}
