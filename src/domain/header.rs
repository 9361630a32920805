//! Headers: what is known of a row without its text.

use super::row::RowShape;
use super::timestamp::Ticks;

/// Where a payload lies, and how to tell that it is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The header of a row that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the id, which stands in the batch.
    pub id_length: u32,
    /// `hash(id)`, Kusto's.
    pub id_hash: i64,
    /// An event's `turnIndex`, a conversation's number of turns.
    pub turn: i64,
    /// An event's `Timestamp`, else 0.
    pub at: Ticks,
    /// Whether a conversation row was found prevalidated when it was read.
    pub prevalidated: bool,
    /// Where the row is.
    pub position: Position,
}

/// Headers of one shape, as they travel: thousands at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderBatch {
    /// Of all rows in the batch.
    pub shape: RowShape,
    /// The ids, one after the other.
    pub ids: Vec<u8>,
    /// The headers, in the order of the ids.
    pub headers: Vec<Header>,
}

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
