//! What was found in all records of a stratum.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Checked, Finding, Kind, TemplateFails};
use crate::conversion::tokens::Lengths;

/// How often something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// Records that have it.
    pub records: u64,
    /// Times that they have it.
    pub times: u64,
}

/// What was found in the records of a stratum.
#[derive(Debug, Clone, Default)]
pub struct StratumTally {
    /// Records looked at.
    pub records: u64,
    /// Records by the worst that happens to them, each once.
    pub worst: BTreeMap<Kind, u64>,
    /// What was found.
    pub findings: BTreeMap<Finding, Count>,
    /// The lengths of those that are not dropped, if they were measured.
    pub lengths: Lengths,
    /// Tokens behind the longest length.
    pub tokens_lost: u64,
    /// Those of them that the model wrote, as far as they can be told apart.
    pub model_tokens_lost: u64,
    /// Records too long whose tokens of the model cannot be told apart.
    pub unmarked: u64,
    /// Records that the template refuses, by why.
    pub template_fails: BTreeMap<TemplateFails, u64>,
}

impl StratumTally {
    /// Adds a record.
    pub fn add(&mut self, checked: &Checked) {
        self.records += 1;
        if let Some(worst) = checked.worst() {
            *self.worst.entry(worst).or_default() += 1;
        }
        for (finding, times) in &checked.findings {
            let count = self.findings.entry(*finding).or_default();
            count.records += 1;
            count.times += times;
        }
        if let Some(why) = &checked.template_fails {
            *self.template_fails.entry(why.clone()).or_default() += 1;
        }
        if let Some(length) = &checked.length {
            self.lengths.add(length.tokens);
            self.tokens_lost += length.lost;
            match length.model_lost {
                Some(lost) => self.model_tokens_lost += lost,
                None => self.unmarked += 1,
            }
        }
    }

    /// Adds what was found in other records.
    pub fn merge(&mut self, other: Self) {
        self.records += other.records;
        for (kind, records) in other.worst {
            *self.worst.entry(kind).or_default() += records;
        }
        for (finding, more) in other.findings {
            let count = self.findings.entry(finding).or_default();
            count.records += more.records;
            count.times += more.times;
        }
        self.lengths.merge(other.lengths);
        self.tokens_lost += other.tokens_lost;
        self.model_tokens_lost += other.model_tokens_lost;
        self.unmarked += other.unmarked;
        for (why, records) in other.template_fails {
            *self.template_fails.entry(why).or_default() += records;
        }
    }

    /// Records whose worst is of a kind.
    pub fn worst(&self, kind: Kind) -> u64 {
        self.worst.get(&kind).copied().unwrap_or(0)
    }
}
