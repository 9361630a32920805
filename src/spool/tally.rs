//! What was counted while the rows of a chunk were read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ledger::EXAMPLES_PER_REASON;
use crate::domain::row::{MalformedReason, RowShape};
use crate::domain::selector::ChunkChecksum;

/// The counts of one chunk's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkTally {
    /// All rows.
    pub rows_read: u64,
    /// Rows left out by mode, window or ignored id.
    pub filtered: u64,
    /// Rows that cannot be read, by reason.
    pub malformed: BTreeMap<MalformedReason, MalformedLines>,
    /// Lines in the chunk, blank ones included.
    pub lines: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The line of the first conversation row.
    pub first_conversation: Option<u64>,
    /// The line of the first event row.
    pub first_event: Option<u64>,
    /// What the source counted, if it did.
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
}

impl ChunkTally {
    /// Counts a malformed row.
    pub fn malformed(&mut self, reason: MalformedReason, line: u64) {
        self.rows_read += 1;
        let of_reason = self.malformed.entry(reason).or_default();
        of_reason.count += 1;
        if of_reason.lines.len() < EXAMPLES_PER_REASON {
            of_reason.lines.push(line);
        }
    }

    /// Notes the shape of a good row.
    pub fn shape(&mut self, shape: RowShape, line: u64) {
        let first = match shape {
            RowShape::Events => &mut self.first_event,
            RowShape::Conversations => &mut self.first_conversation,
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
            tally.malformed(MalformedReason::NotJson, line);
        }
        tally.malformed(MalformedReason::TooDeep, 7);
        assert_eq!(tally.rows_read, many + 1);
        let [first, other] = [MalformedReason::NotJson, MalformedReason::TooDeep]
            .map(|reason| &tally.malformed[&reason]);
        assert_eq!(first.count, many);
        assert_eq!(first.lines, Vec::from_iter(0..EXAMPLES_PER_REASON as u64));
        assert_eq!((other.count, &other.lines[..]), (1, &[7][..]));
    }

    #[test]
    fn of_each_shape_the_first_line_is_remembered() {
        let mut tally = ChunkTally::default();
        for line in [4, 5] {
            tally.shape(RowShape::Events, line);
        }
        assert_eq!(
            (tally.first_event, tally.first_conversation),
            (Some(4), None)
        );
        for line in [6, 7] {
            tally.shape(RowShape::Conversations, line);
        }
        assert_eq!(
            (tally.first_event, tally.first_conversation),
            (Some(4), Some(6))
        );
    }
}
