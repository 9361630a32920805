//! What was counted while the rows of a chunk were read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ledger::EXAMPLES_PER_REASON;
use crate::domain::row::{MalformedReason, RowShape};
use crate::domain::selector::Certificate;

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
    pub certificate: Option<Certificate>,
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
