//! Headers: what is known of a row without its text.

use serde::{Deserialize, Serialize};

use super::row::RowShape;
use super::timestamp::Ticks;
use crate::debug_lengths;
use crate::selection::group::GroupMark;
use crate::selection::kusto_hash;

/// Where a payload lies, and how to tell that it is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which file, as the run numbers them.
    pub store: u32,
    /// Bytes of the payload.
    pub length: u32,
    /// Offset of its first byte.
    pub offset: u64,
    /// XXH3-64 of its bytes.
    pub checksum: u64,
}

/// What else is known of a row, in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowFlags(u8);

impl RowFlags {
    /// A conversation row in which the rules will find nothing.
    pub const PREVALIDATED: Self = Self(1);
    /// A turn of another mode than the one that is wanted.
    pub const OTHER_MODE: Self = Self(2);
    /// A turn that exists for the run, but outside its window.
    pub const OUTSIDE_WINDOW: Self = Self(4);
    /// No row that is kept, but the id of one that is malformed: its conversation is damaged.
    pub const MALFORMED: Self = Self(8);

    /// The flags of a byte.
    pub fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// These and another if it applies.
    #[must_use]
    pub fn with(self, flag: Self, applies: bool) -> Self {
        Self(if applies { self.0 | flag.0 } else { self.0 })
    }

    /// Whether all of `flag` are set.
    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 == flag.0
    }
}

/// The header of a row that was kept, or of one that damages its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the id, which stands in the batch.
    pub id_length: u32,
    /// `hash(id)`, Kusto's.
    pub id_hash: i64,
    /// A turn row's `turnIndex`, a conversation's number of turns.
    pub turn: i64,
    /// A turn row's `Timestamp`, else 0.
    pub at: Ticks,
    /// What else is known of it.
    pub flags: RowFlags,
    /// What it says of its conversation's group.
    pub group: GroupMark,
    /// Where the row is.
    pub position: Position,
}

/// Headers of one shape, as they travel: thousands at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderBatch {
    /// Of all rows in the batch; means nothing for malformed ones.
    pub shape: RowShape,
    /// The ids, one after the other.
    pub ids: Vec<u8>,
    /// The headers, in the order of the ids.
    pub headers: Vec<Header>,
}

debug_lengths!(HeaderBatch { shape } lengths { ids, headers });

impl HeaderBatch {
    /// An empty batch.
    pub fn new(shape: RowShape) -> Self {
        Self {
            shape,
            ids: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Adds a header; its `id_length` is set from the id.
    pub fn push(&mut self, id: &[u8], mut header: Header) {
        // A row is at most 4 GiB long, and so is its id.
        header.id_length = id.len() as u32;
        self.ids.extend_from_slice(id);
        self.headers.push(header);
    }

    /// Adds what is known of a malformed row: that it damages this conversation.
    pub fn push_malformed(&mut self, id: &[u8]) {
        let header = Header {
            id_length: 0,
            id_hash: kusto_hash::hash(id),
            turn: 0,
            at: 0,
            flags: RowFlags::MALFORMED,
            group: GroupMark::ABSENT,
            position: Position {
                store: 0,
                length: 0,
                offset: 0,
                checksum: 0,
            },
        };
        self.push(id, header);
    }

    /// The headers with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Header)> {
        let mut rest = &self.ids[..];
        self.headers.iter().map(move |header| {
            let (id, tail) = rest.split_at(header.id_length as usize);
            rest = tail;
            (id, header)
        })
    }
}
