//! Placing verdicts in rank order: exactly `target` valid records, and a report that ends with
//! the last one taken.

use std::collections::BTreeMap;

use crate::conversion::tokens::Lengths;
use crate::dataset::telemetry_seen::QualityTally;
use crate::privacy::policy::FoundCounts;
use crate::record::validation::{Code, Verdict};

/// A record that cannot be published, for the report. There may be millions: each takes what it says,
/// and about a hundred bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRecord {
    /// The conversation's id.
    pub conversation_id: Box<str>,
    /// Its number of turns.
    pub turns: u64,
    /// Each fault with its place; no message text.
    pub errors: Box<[(Code, Box<str>)]>,
}

impl InvalidRecord {
    /// Whether nothing is wrong with it but that it repeats benchmarks: it is counted apart.
    pub fn is_contaminated(&self) -> bool {
        let is_only = |(code, _): &(Code, Box<str>)| matches!(code, Code::Contaminated(_));
        self.errors.iter().all(is_only)
    }
}

/// What has been decided for one stratum. Verdicts must be placed in rank order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StratumFill {
    target: u64,
    /// Records taken.
    pub records: u64,
    /// Records that failed, in rank order.
    pub invalid: Vec<InvalidRecord>,
    /// How many they are by the first of their faults.
    pub first_faults: BTreeMap<Code, u64>,
    /// Warnings of the records taken, once per record and code.
    pub warnings: BTreeMap<Code, u64>,
    /// What is not certain about the records taken.
    pub quality: QualityTally,
    /// Secrets and personal data that were found in the records taken.
    pub privacy: FoundCounts,
    /// Hashes of the groups of the records taken, if groups decide their split.
    pub groups: Vec<i64>,
    /// Lengths of the records taken, if they were measured.
    pub lengths: Lengths,
}

impl StratumFill {
    /// Nothing is placed yet.
    pub fn new(target: u64) -> Self {
        Self {
            target,
            records: 0,
            invalid: Vec::new(),
            first_faults: BTreeMap::new(),
            warnings: BTreeMap::new(),
            quality: QualityTally::default(),
            privacy: FoundCounts::new(),
            groups: Vec::new(),
            lengths: Lengths::default(),
        }
    }

    /// Whether the target is met: what follows is not looked at.
    pub fn is_full(&self) -> bool {
        self.records == self.target
    }

    /// How many records are wanted in all.
    pub fn target(&self) -> u64 {
        self.target
    }

    /// How many records are still wanted.
    pub fn wanted(&self) -> u64 {
        self.target - self.records
    }

    /// Places the verdict on the next candidate; `true` if its record is to be written.
    pub fn place(&mut self, verdict: Verdict, turns: u64) -> bool {
        if self.is_full() {
            return false;
        }
        if let Some((first, _)) = verdict.errors.first() {
            *self.first_faults.entry(*first).or_default() += 1;
            self.invalid.push(InvalidRecord {
                conversation_id: verdict.conversation_id.unwrap_or_default().into(),
                turns,
                errors: verdict
                    .errors
                    .into_iter()
                    .map(|(code, what)| (code, what.into()))
                    .collect(),
            });
            return false;
        }
        self.records += 1;
        self.groups.extend(verdict.group);
        self.quality.add(&verdict.quality);
        verdict
            .tokens
            .into_iter()
            .for_each(|tokens| self.lengths.add(tokens));
        for (rule, times) in verdict.privacy {
            let count = self.privacy.entry(rule.to_owned()).or_default();
            count.records += 1;
            count.times += times;
        }
        for warning in verdict.warnings {
            *self.warnings.entry(warning).or_default() += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(valid: bool) -> Verdict {
        let mut verdict = Verdict::default();
        if !valid {
            verdict.errors.push((Code::FirstTurn, "what".to_owned()));
        }
        verdict.warnings.insert(Code::TokenCounts);
        verdict
    }

    #[test]
    fn what_lies_behind_the_last_record_taken_is_not_reported() {
        let mut placement = StratumFill::new(2);
        let taken: Vec<bool> = [true, false, true, false, true]
            .into_iter()
            .map(|valid| placement.place(verdict(valid), 3))
            .collect();
        assert_eq!(taken, [true, false, true, false, false]);
        assert_eq!((placement.records, placement.invalid.len()), (2, 1));
        assert_eq!(
            placement.warnings[&Code::TokenCounts],
            2,
            "of written records only"
        );
    }

    #[test]
    fn only_records_taken_make_less_wanted() {
        let mut placement = StratumFill::new(3);
        let mut wanted = vec![placement.wanted()];
        for valid in [true, false, true, true, true] {
            placement.place(verdict(valid), 3);
            wanted.push(placement.wanted());
        }
        assert_eq!(wanted, [3, 2, 2, 1, 0, 0]);
    }
}
