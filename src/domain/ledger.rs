//! What happened to every row and every conversation (promise P4).
//!
//! Rows: `rows_read = malformed + filtered + collapsed + duplicates + kept_rows`.
//! Conversations: `conversations = incomplete + out_of_range + no_target + the strata's
//! populations`. Strata: `population = records + invalid + not_sampled`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::row::MalformedReason;

/// The flat counts of `metadata.json`'s `population`; `None` where a source cannot know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Population {
    /// All rows, malformed ones included; blank lines are not rows.
    pub rows_read: Option<u64>,
    /// Rows that cannot be read as telemetry.
    pub malformed: Option<u64>,
    /// Rows left out by mode, window or ignored id.
    pub filtered: Option<u64>,
    /// Turns that were delivered more than once, less the one that was kept.
    pub collapsed: Option<u64>,
    /// Conversation rows that lost against another of the same id.
    pub duplicates: Option<u64>,
    /// The rest.
    pub kept_rows: Option<u64>,
    /// Distinct ids among the kept rows.
    pub conversations: u64,
    /// Conversations that do not begin at turn 1 or have gaps.
    pub incomplete: Option<u64>,
    /// Complete conversations in no bucket.
    pub out_of_range: u64,
    /// Conversations in a split and bucket without a target.
    pub no_target: u64,
}

/// A sum that does not come out: a defect in gleaner, never the input's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the counts do not add up: {name} is {total}, its parts are {parts}; nothing was published, please report this"
)]
pub struct Imbalance {
    /// Which sum.
    pub name: String,
    /// The whole.
    pub total: u64,
    /// What its parts add up to.
    pub parts: u64,
}

impl Population {
    /// Checks the sums of rows and of conversations. `strata` are the strata's populations.
    pub fn check(&self, strata: u64) -> Result<(), Imbalance> {
        let known = |n: Option<u64>| n.unwrap_or(0);
        if let Some(rows) = self.rows_read {
            balance(
                "rows_read",
                rows,
                [
                    self.malformed,
                    self.filtered,
                    self.collapsed,
                    self.duplicates,
                    self.kept_rows,
                ]
                .map(known)
                .iter()
                .sum(),
            )?;
        }
        balance(
            "conversations",
            self.conversations,
            known(self.incomplete) + self.out_of_range + self.no_target + strata,
        )
    }
}

/// Checks one sum.
pub fn balance(name: &str, total: u64, parts: u64) -> Result<(), Imbalance> {
    if total == parts {
        Ok(())
    } else {
        Err(Imbalance {
            name: name.to_owned(),
            total,
            parts,
        })
    }
}

/// How many examples of malformed rows are listed for each reason.
pub const EXAMPLES_PER_REASON: usize = 100;

/// A malformed row's place: a line of a file, or of what a source delivered of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowPlace {
    /// The file, or what the source calls its input.
    pub file: String,
    /// From 1.
    pub line: u64,
}

/// Malformed rows of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Malformed {
    /// All of them.
    pub count: u64,
    /// The first ones in the order of (file, line), at most [`EXAMPLES_PER_REASON`].
    pub examples: Vec<RowPlace>,
}

/// Malformed rows by reason: `metadata.json`'s `malformed`.
pub type MalformedReport = BTreeMap<MalformedReason, Malformed>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_nobody_accounts_for_is_noticed() {
        let mut p = Population {
            rows_read: Some(10),
            malformed: Some(1),
            filtered: Some(2),
            collapsed: Some(3),
            duplicates: Some(0),
            kept_rows: Some(4),
            conversations: 3,
            incomplete: Some(1),
            out_of_range: 1,
            no_target: 0,
        };
        assert_eq!(p.check(1), Ok(()));
        p.kept_rows = Some(3);
        assert_eq!(p.check(1).map_err(|e| e.name), Err("rows_read".to_owned()));
        p.kept_rows = Some(4);
        assert_eq!(
            p.check(0).map_err(|e| e.name),
            Err("conversations".to_owned())
        );
    }

    #[test]
    fn every_part_of_a_sum_counts() {
        let p = Population {
            rows_read: Some(31),
            malformed: Some(1),
            filtered: Some(2),
            collapsed: Some(4),
            duplicates: Some(8),
            kept_rows: Some(16),
            conversations: 15,
            incomplete: Some(1),
            out_of_range: 2,
            no_target: 4,
        };
        assert_eq!(p.check(8), Ok(()));
        let unknown = Population {
            rows_read: None,
            kept_rows: None,
            ..p
        };
        assert_eq!(unknown.check(8), Ok(()), "what a source cannot know");
        let changes: [fn(&mut Population); 9] = [
            |p| p.rows_read = Some(30),
            |p| p.malformed = None,
            |p| p.filtered = None,
            |p| p.collapsed = None,
            |p| p.duplicates = None,
            |p| p.kept_rows = None,
            |p| p.incomplete = None,
            |p| p.out_of_range = 3,
            |p| p.no_target = 5,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut wrong = p;
            change(&mut wrong);
            assert!(wrong.check(8).is_err(), "change {number}");
        }
    }
}
