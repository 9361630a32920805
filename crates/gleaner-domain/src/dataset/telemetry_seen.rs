//! What was seen of Copilot Chat telemetry: rows by event and by version of the extension.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::selection::quality::{QualityCode, QualityCodes};

/// Versions that are distinguished.
const VERSIONS: usize = 1000;

/// Bytes of a version that are kept: it is a text of the input.
const VERSION: usize = 32;

/// Rows of the events that are used, duplicates included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TelemetrySeen {
    /// By event; message texts by event and source.
    pub rows_by_event: BTreeMap<String, u64>,
    /// By the version of the extension that sent them (`common.extversion`); empty: the row does not
    /// say. Versions behind the first thousand count as `others`.
    pub rows_by_version: BTreeMap<String, u64>,
    /// Rows that stand for others, which are missing (`ItemCount` above 1).
    pub sampled_rows: u64,
    /// The line of the first of them, counted from the chunk's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sampled: Option<u64>,
}

impl TelemetrySeen {
    /// Counts a row.
    pub fn add(&mut self, event: &str, version: &[u8], item_count: u64, line: u64) {
        match self.rows_by_event.get_mut(event) {
            Some(rows) => *rows += 1,
            None => drop(self.rows_by_event.insert(event.to_owned(), 1)),
        }
        // Nearly always known: nothing is copied.
        let known = std::str::from_utf8(version).ok();
        match known.and_then(|version| self.rows_by_version.get_mut(version)) {
            Some(rows) => *rows += 1,
            None => self.add_version(&shown(version), 1),
        }
        if item_count > 1 {
            self.sampled_rows += 1;
            self.first_sampled.get_or_insert(line);
        }
    }

    fn add_version(&mut self, version: &str, rows: u64) {
        let has_room = self.rows_by_version.len() < VERSIONS;
        let version = match has_room || self.rows_by_version.contains_key(version) {
            true => version,
            false => "others",
        };
        *self.rows_by_version.entry(version.to_owned()).or_default() += rows;
    }

    /// Adds what was seen of other rows; lines mean nothing then.
    pub fn merge(&mut self, other: &Self) {
        for (event, rows) in &other.rows_by_event {
            *self.rows_by_event.entry(event.clone()).or_default() += rows;
        }
        for (version, rows) in &other.rows_by_version {
            self.add_version(version, *rows);
        }
        self.sampled_rows += other.sampled_rows;
        self.first_sampled = None;
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.rows_by_event.is_empty()
    }
}

/// What is not certain about records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QualityTally {
    /// Records by code; a record counts once for each.
    pub records: BTreeMap<String, u64>,
    /// By the version of the extension: turns by code, and records by codes of records.
    pub by_version: BTreeMap<String, BTreeMap<String, u64>>,
}

impl QualityTally {
    /// Counts a record, by its codes and the versions of its turns.
    pub fn add(&mut self, record: &[(QualityCode, String)]) {
        let mut codes = QualityCodes::default();
        for (code, version) in record {
            codes.insert(*code);
            let of_version = self
                .by_version
                .entry(shown(version.as_bytes()))
                .or_default();
            *of_version.entry(code.name().to_owned()).or_default() += 1;
        }
        for code in codes.iter() {
            *self.records.entry(code.name().to_owned()).or_default() += 1;
        }
    }

    /// Adds those of other records.
    pub fn merge(&mut self, other: &Self) {
        for (code, records) in &other.records {
            *self.records.entry(code.clone()).or_default() += records;
        }
        for (version, codes) in &other.by_version {
            let of_version = self.by_version.entry(version.clone()).or_default();
            for (code, turns) in codes {
                *of_version.entry(code.clone()).or_default() += turns;
            }
        }
    }
}

/// What a manifest says of Copilot Chat telemetry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TelemetryRecord {
    /// The rows.
    #[serde(flatten)]
    pub seen: TelemetrySeen,
    /// What is not certain about the records written.
    pub quality: QualityTally,
}

/// A version as it is kept: what else may stand there is cut, and has nothing that a terminal acts on.
fn shown(version: &[u8]) -> String {
    let text = String::from_utf8_lossy(&version[..version.len().min(VERSION)]);
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_by_event_and_version_and_versions_are_bounded() {
        let mut seen = TelemetrySeen::default();
        seen.add("a", b"0.1", 1, 1);
        seen.add("a", b"0.2", 2, 2);
        seen.add("b", b"0.2", 9, 3);
        seen.add("b", "x\u{1b}".repeat(40).as_bytes(), 1, 4);
        assert_eq!(seen.rows_by_event["a"], 2);
        assert_eq!(seen.rows_by_version["0.2"], 2);
        assert_eq!(seen.rows_by_version[&"x".repeat(16)], 1);
        assert_eq!((seen.sampled_rows, seen.first_sampled), (2, Some(2)));
        for version in 0..2 * VERSIONS {
            seen.add("b", version.to_string().as_bytes(), 1, 5);
        }
        assert_eq!(seen.rows_by_version.len(), VERSIONS + 1);
        let mut sum = TelemetrySeen::default();
        sum.merge(&seen);
        sum.merge(&seen);
        assert_eq!(sum.rows_by_event["b"], 2 * seen.rows_by_event["b"]);
        let all = |seen: &TelemetrySeen| seen.rows_by_version.values().sum::<u64>();
        assert_eq!(all(&sum), 2 * all(&seen));
        assert_eq!(sum.sampled_rows, 4);
    }

    #[test]
    fn a_record_counts_once_for_each_code_and_its_turns_by_version() {
        let mut tally = QualityTally::default();
        let code = |code, version: &str| (code, version.to_owned());
        let record = [
            code(QualityCode::ToolsUnknown, "0.1"),
            code(QualityCode::ModelTextCut, "0.1"),
            code(QualityCode::ModelTextCut, "0.2"),
            code(QualityCode::ModelTextCut, "0.2"),
        ];
        tally.add(&record);
        tally.add(&[]);
        assert_eq!(tally.records["model_text_cut"], 1);
        assert_eq!(tally.by_version["0.2"]["model_text_cut"], 2);
        assert_eq!(tally.by_version["0.1"].len(), 2);
        let mut sum = tally.clone();
        sum.merge(&tally);
        assert_eq!(sum.records["tools_unknown"], 2);
        assert_eq!(sum.by_version["0.2"]["model_text_cut"], 4);
    }
}
