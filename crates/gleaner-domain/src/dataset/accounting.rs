//! What happened to every row and every conversation; the sums are checked before a run publishes.
//!
//! Rows: `rows_read = malformed + filtered + duplicate_turns + duplicate_conversations +
//! duplicate_rows + shared_rows + kept_rows`.
//! Conversations: `conversations = excluded + damaged + cut_by_mode + cut_by_window + incomplete +
//! out_of_range + no_target + the strata's populations`; each counts once, by the first that holds.
//! Strata: `population = records + invalid + not_sampled`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::record::row::MalformedReason;

/// The counts of `metadata.json`'s `population`; `None` where a source cannot know. Datasets of
/// 0.1.0 have other names for two of them and lack some.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Population {
    /// All rows, malformed ones included; blank lines are not rows.
    pub rows_read: Option<u64>,
    /// Rows that cannot be read as telemetry.
    pub malformed: Option<u64>,
    /// Rows left out, for the reasons in `filtered_by`.
    pub filtered: Option<u64>,
    /// Turns that were delivered more than once, less the one that was kept.
    #[serde(alias = "collapsed")]
    pub duplicate_turns: Option<u64>,
    /// Conversation rows that lost against another of the same id.
    #[serde(alias = "duplicates")]
    pub duplicate_conversations: Option<u64>,
    /// Rows of Copilot Chat telemetry that were delivered again.
    #[serde(default)]
    pub duplicate_rows: Option<u64>,
    /// Rows of Copilot Chat telemetry that several conversations name.
    #[serde(default)]
    pub shared_rows: Option<u64>,
    /// The rest: the rows that conversations are made of, those that are not sampled included.
    pub kept_rows: Option<u64>,
    /// Requests of Copilot Chat that an edit or a retry replaced; not part of a sum.
    #[serde(default)]
    pub superseded_turns: Option<u64>,
    /// Distinct ids with a turn inside window and mode, or of which only malformed rows are there.
    pub conversations: u64,
    /// Conversations that `selection.exclude` names.
    #[serde(default)]
    pub excluded: Option<u64>,
    /// Conversations with a malformed row.
    #[serde(default)]
    pub damaged: Option<u64>,
    /// Conversations some of whose turns are of another mode.
    #[serde(default)]
    pub cut_by_mode: Option<u64>,
    /// Conversations some of whose turns are outside the window.
    #[serde(default)]
    pub cut_by_window: Option<u64>,
    /// Conversations that do not begin at turn 1 or have gaps.
    pub incomplete: Option<u64>,
    /// Complete conversations in no bucket.
    pub out_of_range: u64,
    /// Conversations in a split and bucket without a target.
    pub no_target: u64,
    /// `filtered`, by reason.
    #[serde(default)]
    pub filtered_by: FilteredBy,
}

/// Why a row is left out that is no fault. The names are stable: `metadata.json` uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterReason {
    /// Its turn is of another mode than `agent`.
    Mode,
    /// It does not exist for the run, or its turn is outside the window.
    Window,
    /// Its id is in `source.ignore_ids`.
    IgnoredIds,
    /// Telemetry of other events.
    OtherEvents,
    /// `selection.exclude` names its conversation or a user of it.
    Excluded,
}

/// Rows left out, by reason.
pub type FilteredBy = BTreeMap<FilterReason, u64>;

/// A sum that does not come out: a defect in gleaner, never the input's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the counts do not add up: {name} is {total}, its parts are {parts}")]
pub struct Imbalance {
    /// The name of the sum.
    pub name: String,
    /// The whole.
    pub total: u64,
    /// The sum of its parts.
    pub parts: u64,
}

impl Population {
    /// Checks the sums of rows and of conversations. `strata` are the strata's populations.
    pub fn check(&self, strata: u64) -> Result<(), Imbalance> {
        let sum = |counts: &[Option<u64>]| counts.iter().flatten().sum::<u64>();
        if let Some(rows) = self.rows_read {
            let parts = [
                self.malformed,
                self.filtered,
                self.duplicate_turns,
                self.duplicate_conversations,
                self.duplicate_rows,
                self.shared_rows,
                self.kept_rows,
            ];
            balance("rows_read", rows, sum(&parts))?;
        }
        // Datasets of 0.1.0 do not say why.
        if let Some(filtered) = self.filtered.filter(|_| !self.filtered_by.is_empty()) {
            balance("filtered", filtered, self.filtered_by.values().sum())?;
        }
        let known = [
            self.excluded,
            self.damaged,
            self.cut_by_mode,
            self.cut_by_window,
            self.incomplete,
        ];
        balance(
            "conversations",
            self.conversations,
            sum(&known) + self.out_of_range + self.no_target + strata,
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
    /// What is wrong with it: what was found and what is wanted. Key names and types; values only
    /// of `Timestamp`, `turnIndex` and `mode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match &self.what {
            Some(what) => write!(f, ": {what}"),
            None => Ok(()),
        }
    }
}

/// Malformed rows of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Malformed {
    /// All of them.
    pub count: u64,
    /// The first ones in the order of (file, line), at most [`EXAMPLES_PER_REASON`].
    pub examples: Vec<RowPlace>,
}

/// The modes of rows that are not `agent`, by their JSON text; of [`MODES_SEEN`] each, the rest together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModesSeen {
    /// How many rows have it, by its JSON text; by an empty one, those that have none.
    pub rows: BTreeMap<String, u64>,
    /// Rows with further modes.
    pub others: u64,
}

/// How many modes are distinguished.
pub const MODES_SEEN: usize = 10;

impl ModesSeen {
    /// Counts rows of a mode, given as JSON.
    pub fn add(&mut self, mode: &str, rows: u64) {
        let has_room = self.rows.len() < MODES_SEEN;
        match self.rows.get_mut(mode) {
            Some(count) => *count += rows,
            None if has_room => {
                self.rows.insert(mode.to_owned(), rows);
            }
            None => self.others += rows,
        }
    }

    /// Adds what was seen elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (mode, &rows) in &other.rows {
            self.add(mode, rows);
        }
        self.others += other.others;
    }
}

/// Malformed rows by reason: `metadata.json`'s `malformed`.
pub type MalformedReport = BTreeMap<MalformedReason, Malformed>;

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of which each is a power of two, so that no two errors cancel out.
    fn population() -> Population {
        Population {
            rows_read: Some(127),
            malformed: Some(1),
            filtered: Some(2),
            duplicate_turns: Some(4),
            duplicate_conversations: Some(8),
            duplicate_rows: Some(16),
            shared_rows: Some(32),
            kept_rows: Some(64),
            superseded_turns: Some(7),
            conversations: 255,
            excluded: Some(1),
            damaged: Some(2),
            cut_by_mode: Some(4),
            cut_by_window: Some(8),
            incomplete: Some(16),
            out_of_range: 32,
            no_target: 64,
            filtered_by: [(FilterReason::Mode, 2)].into(),
        }
    }

    #[test]
    fn of_many_modes_the_first_are_counted_separately() {
        let mut seen = ModesSeen::default();
        for number in 0..MODES_SEEN + 3 {
            seen.add(&format!("{number:02}"), 2);
        }
        seen.add("00", 1);
        let mut twice = seen.clone();
        twice.merge(&seen);
        assert_eq!(
            (seen.rows.len(), seen.rows["00"], seen.others),
            (MODES_SEEN, 3, 6)
        );
        assert_eq!(
            (twice.rows.len(), twice.rows["00"], twice.others),
            (MODES_SEEN, 6, 12)
        );
    }

    #[test]
    fn every_part_of_a_sum_counts() {
        assert_eq!(population().check(128), Ok(()));
        type Change = (&'static str, fn(&mut Population));
        let changes: [Change; 17] = [
            ("rows_read", |p| p.rows_read = Some(126)),
            ("rows_read", |p| p.malformed = None),
            ("rows_read", |p| p.filtered = None),
            ("rows_read", |p| p.duplicate_turns = None),
            ("rows_read", |p| p.duplicate_conversations = None),
            ("rows_read", |p| p.duplicate_rows = None),
            ("rows_read", |p| p.shared_rows = None),
            ("rows_read", |p| p.kept_rows = None),
            ("filtered", |p| {
                p.filtered_by.insert(FilterReason::Window, 1);
            }),
            ("conversations", |p| p.conversations = 254),
            ("conversations", |p| p.excluded = None),
            ("conversations", |p| p.damaged = None),
            ("conversations", |p| p.cut_by_mode = None),
            ("conversations", |p| p.cut_by_window = None),
            ("conversations", |p| p.incomplete = None),
            ("conversations", |p| p.out_of_range = 33),
            ("conversations", |p| p.no_target = 65),
        ];
        for (number, (name, change)) in changes.into_iter().enumerate() {
            let mut wrong = population();
            change(&mut wrong);
            let found = wrong.check(128).map_err(|imbalance| imbalance.name);
            assert_eq!(found, Err(name.to_owned()), "change {number}");
        }
        assert!(population().check(127).is_err());
    }

    #[test]
    fn what_a_source_cannot_know_is_no_part_of_a_sum() {
        let unknown = Population {
            rows_read: None,
            kept_rows: None,
            ..population()
        };
        assert_eq!(unknown.check(128), Ok(()));
    }

    #[test]
    fn the_counts_of_0_1_0_are_read() {
        let text = r#"{"rows_read":15,"malformed":1,"filtered":2,"collapsed":3,"duplicates":4,
            "kept_rows":5,"conversations":9,"incomplete":2,"out_of_range":3,"no_target":4}"#;
        let old: Population = serde_json::from_str(text).expect("an old manifest's");
        assert_eq!(
            (
                old.duplicate_turns,
                old.duplicate_conversations,
                old.damaged
            ),
            (Some(3), Some(4), None)
        );
        assert_eq!(old.check(0), Ok(()));
    }
}
