//! Counts of a chunk, made while its rows are read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dataset::accounting::{EXAMPLES_PER_REASON, FilterReason, FilteredBy, ModesSeen};
use crate::dataset::telemetry_seen::TelemetrySeen;
use crate::json::Scanner;
use crate::record::fields::key_text;
use crate::record::row::{MalformedReason, Oddities, RowShape};
use crate::record::row_fault;
use crate::sampling::rank_ranges::ChunkChecksum;
use crate::sampling::thresholds::Undelivered;
use crate::selection::group::GroupMark;

/// The counts of one chunk's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkTally {
    /// All rows.
    pub rows_read: u64,
    /// Rows left out when they were read: those that do not exist for the run, and ignored ids.
    pub filtered: FilteredBy,
    /// Rows that cannot be read, by reason.
    pub malformed: BTreeMap<MalformedReason, MalformedLines>,
    /// Lines in the chunk, blank ones included.
    pub lines: u64,
    /// Bytes that were read, decoded.
    pub bytes: u64,
    /// Bytes of the input that this took: fewer for compressed files.
    #[serde(default)]
    pub input_bytes: u64,
    /// The line of the first conversation row.
    pub first_conversation: Option<u64>,
    /// The line of the first turn row.
    pub first_turn: Option<u64>,
    /// The line of the first row of Copilot Chat telemetry.
    #[serde(default)]
    pub first_telemetry: Option<u64>,
    /// What was seen of Copilot Chat telemetry.
    #[serde(default)]
    pub telemetry: TelemetrySeen,
    /// Modes of turns' rows that are not `agent`.
    #[serde(default)]
    pub modes_seen: ModesSeen,
    /// Turns' rows without a `userMessage`.
    #[serde(default)]
    pub no_user_message: Option<FirstOfMany>,
    /// The numbers of the ids of `selection.exclude` that rows name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub excluded: BTreeSet<u32>,
    /// What rows say of groups, if these decide the split.
    #[serde(default, skip_serializing_if = "GroupsSeen::is_empty")]
    pub groups: GroupsSeen,
    /// Of a census of some ranks: the conversations that it has only counted. They are among the rows read.
    #[serde(default, skip_serializing_if = "Undelivered::is_empty")]
    pub undelivered: Undelivered,
    /// The counts of the source, if it gives any.
    #[serde(default)]
    pub chunk_checksum: Option<ChunkChecksum>,
}

/// Malformed rows of one reason; lines count from the chunk's beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MalformedLines {
    /// All of them.
    pub count: u64,
    /// The first ones.
    pub lines: Vec<u64>,
    /// What is wrong with each of these, where that can be said; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub whats: Vec<String>,
}

impl MalformedLines {
    /// The first ones, with what is wrong with them.
    pub fn examples(&self) -> impl Iterator<Item = (u64, Option<&str>)> {
        let what = |place: usize| self.whats.get(place).filter(|what| !what.is_empty());
        let numbered = self.lines.iter().enumerate();
        numbered.map(move |(place, &line)| (line, what(place).map(String::as_str)))
    }
}

/// Rows of one kind: how many, and of the first its line and what is odd about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FirstOfMany {
    /// All of them.
    pub count: u64,
    /// The line of the first, counted from the chunk's beginning.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// Rows that name a group, and rows that do not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupsSeen {
    /// Rows that name one.
    pub named: u64,
    /// The first row that does not: its line, and the names of its fields.
    pub first_unnamed: Option<(u64, Vec<String>)>,
}

impl GroupsSeen {
    /// Whether there was no row.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes a row.
    pub fn note(&mut self, group: GroupMark, row: &[u8], line: u64) {
        match group.residue() {
            Some(_) => self.named += 1,
            None if self.first_unnamed.is_none() => {
                self.first_unnamed = Some((line, fields_of(row)));
            }
            None => {}
        }
    }
}

/// Fields of a row that are named, and the characters of a name.
const MOST_FIELDS: usize = 20;
const LONGEST_FIELD: usize = 60;

/// The names of a row's first fields.
fn fields_of(row: &[u8]) -> Vec<String> {
    let mut fields = Vec::new();
    // What was read as a row is an object.
    let _ = Scanner::new(row).each_member(|key, scanner| {
        if fields.len() < MOST_FIELDS {
            let name = String::from_utf8_lossy(&key_text(key)).into_owned();
            fields.push(name.chars().take(LONGEST_FIELD).collect());
        }
        scanner.value().map(drop)
    });
    fields
}

/// A mode whose JSON text is longer than this, in bytes, is cut.
const LONGEST_MODE: usize = 160;

impl ChunkTally {
    /// Counts a malformed row. `what` is asked what is wrong with it, if it is to be listed.
    pub fn malformed(
        &mut self,
        reason: MalformedReason,
        line: u64,
        what: impl FnOnce() -> Option<String>,
    ) {
        self.rows_read += 1;
        let of_reason = self.malformed.entry(reason).or_default();
        of_reason.count += 1;
        if of_reason.lines.len() == EXAMPLES_PER_REASON {
            return;
        }
        if let Some(what) = what() {
            of_reason.whats.resize(of_reason.lines.len(), String::new());
            of_reason.whats.push(what);
        }
        of_reason.lines.push(line);
    }

    /// Notes what is odd about the good row of a turn.
    pub fn oddities(&mut self, row: &[u8], oddities: &Oddities<'_>, agent: bool, line: u64) {
        if !agent {
            let json = oddities.mode.map_or(&b""[..], |mode| mode.text);
            let cut = &json[..json.len().min(LONGEST_MODE)];
            self.modes_seen.add(&String::from_utf8_lossy(cut), 1);
        }
        if oddities.no_user_message {
            let first = self.no_user_message.get_or_insert_with(|| FirstOfMany {
                count: 0,
                line,
                what: row_fault::no_user_message(row),
            });
            first.count += 1;
        }
    }

    /// Adds the rows of telemetry of another tally, but not those that are malformed.
    pub fn add_telemetry(&mut self, other: &Self) {
        self.rows_read += other.rows_read;
        for (&reason, rows) in &other.filtered {
            *self.filtered.entry(reason).or_default() += rows;
        }
        self.first_telemetry = self.first_telemetry.or(other.first_telemetry);
        self.telemetry.merge(&other.telemetry);
    }

    /// Counts a row that was read and kept as malformed after all: its conversation is larger than a record may be.
    /// Lines stay in their order.
    pub fn too_large(&mut self, line: u64) {
        let of_reason = self.malformed.entry(MalformedReason::TooLarge).or_default();
        of_reason.count += 1;
        let place = of_reason.lines.partition_point(|&before| before <= line);
        of_reason.lines.insert(place, line);
        if place < of_reason.whats.len() {
            of_reason.whats.insert(place, String::new());
        }
        of_reason.lines.truncate(EXAMPLES_PER_REASON);
        of_reason.whats.truncate(EXAMPLES_PER_REASON);
    }

    /// Rows that were wanted, delivered and not kept.
    pub fn left_out(&self) -> u64 {
        let malformed = self.malformed.values().map(|lines| lines.count);
        let filtered = self.filtered.iter();
        let filtered = filtered.filter(|(reason, _)| **reason != FilterReason::Excluded);
        malformed.sum::<u64>() + filtered.map(|(_, rows)| rows).sum::<u64>()
    }

    /// The line of the first row of each schema, in the order of schemas.
    pub fn firsts(&self) -> impl Iterator<Item = (RowShape, u64)> {
        let firsts = [
            (RowShape::Turns, self.first_turn),
            (RowShape::Conversations, self.first_conversation),
            (RowShape::CopilotChat, self.first_telemetry),
        ];
        firsts
            .into_iter()
            .filter_map(|(shape, line)| Some((shape, line?)))
    }

    /// Notes the shape of a good row.
    pub fn shape(&mut self, shape: RowShape, line: u64) {
        let first = match shape {
            RowShape::Turns => &mut self.first_turn,
            RowShape::Conversations => &mut self.first_conversation,
            RowShape::CopilotChat => &mut self.first_telemetry,
        };
        first.get_or_insert(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_rows_are_all_counted_and_the_first_ones_listed() {
        let mut tally = ChunkTally::default();
        let many = EXAMPLES_PER_REASON as u64 + 5;
        for line in 0..many {
            let what = (line > 0).then(|| format!("fault {line}"));
            tally.malformed(MalformedReason::NotJson, line, || {
                assert!(line < EXAMPLES_PER_REASON as u64, "it is not listed");
                what
            });
        }
        tally.malformed(MalformedReason::TooDeep, 7, || None);
        assert_eq!(tally.rows_read, many + 1);
        let [first, other] = [MalformedReason::NotJson, MalformedReason::TooDeep]
            .map(|reason| &tally.malformed[&reason]);
        assert_eq!(first.count, many);
        assert_eq!(first.lines, Vec::from_iter(0..EXAMPLES_PER_REASON as u64));
        assert_eq!((other.count, &other.lines[..]), (1, &[7][..]));
        assert!(other.examples().eq([(7, None)]));
        let examples: Vec<_> = first.examples().take(3).collect();
        assert_eq!(
            examples,
            [(0, None), (1, Some("fault 1")), (2, Some("fault 2"))]
        );
    }

    #[test]
    fn rows_of_conversations_that_are_too_large_take_their_place_among_the_malformed() {
        let mut tally = ChunkTally::default();
        for line in [2, 9] {
            tally.malformed(MalformedReason::TooLarge, line, || {
                Some(format!("fault {line}"))
            });
        }
        for line in [5, 20, 1] {
            tally.too_large(line);
        }
        assert_eq!(tally.rows_read, 2, "they were counted when they were read");
        let large = &tally.malformed[&MalformedReason::TooLarge];
        let examples: Vec<_> = large.examples().collect();
        let expected = [
            (1, None),
            (2, Some("fault 2")),
            (5, None),
            (9, Some("fault 9")),
            (20, None),
        ];
        assert_eq!((large.count, &examples[..]), (5, &expected[..]));
        (30..200).for_each(|line| tally.too_large(line));
        let large = &tally.malformed[&MalformedReason::TooLarge];
        assert_eq!((large.count, large.lines.len()), (175, EXAMPLES_PER_REASON));
    }

    #[test]
    fn of_each_shape_the_first_line_is_remembered() {
        let mut tally = ChunkTally::default();
        for line in [4, 5] {
            tally.shape(RowShape::Turns, line);
        }
        assert_eq!(
            (tally.first_turn, tally.first_conversation),
            (Some(4), None)
        );
        for line in [6, 7] {
            tally.shape(RowShape::Conversations, line);
        }
        assert_eq!(
            (tally.first_turn, tally.first_conversation),
            (Some(4), Some(6))
        );
    }

    #[test]
    fn telemetry_rows_of_a_piece_are_added_without_the_malformed_ones() {
        let mut piece = ChunkTally {
            rows_read: 3,
            filtered: BTreeMap::from([(FilterReason::Mode, 2)]),
            first_telemetry: Some(8),
            ..ChunkTally::default()
        };
        let mut tally = ChunkTally {
            rows_read: 4,
            ..ChunkTally::default()
        };
        tally.add_telemetry(&piece);
        piece.first_telemetry = Some(1);
        piece.malformed(MalformedReason::NotJson, 1, || None);
        tally.add_telemetry(&piece);
        let expected = ChunkTally {
            rows_read: 4 + 3 + 4,
            filtered: BTreeMap::from([(FilterReason::Mode, 4)]),
            first_telemetry: Some(8),
            ..ChunkTally::default()
        };
        assert_eq!(tally, expected);
    }
}
