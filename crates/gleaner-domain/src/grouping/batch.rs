//! Headers as they travel, thousands at a time, and the index that takes them.

use super::dedup::Index;
use super::telemetry_index::TelemetryIndex;
use crate::copilot_chat::header::TelemetryHeader;
use crate::debug_lengths;
use crate::record::header::{Header, HeaderBatch, Position};
use crate::record::row::RowShape;
use crate::selection::kusto_hash;

/// Headers of one schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// Of turns or conversations, and of malformed rows.
    Rows(HeaderBatch),
    /// Of Copilot Chat telemetry.
    Telemetry(TelemetryBatch),
}

impl Batch {
    /// An empty batch for rows of this shape.
    pub fn new(shape: RowShape) -> Self {
        match shape {
            RowShape::CopilotChat => Self::Telemetry(TelemetryBatch::default()),
            RowShape::Turns | RowShape::Conversations => Self::Rows(HeaderBatch::new(shape)),
        }
    }

    /// Adds a row, with what telemetry has besides: of a malformed row nothing.
    pub fn push(&mut self, id: &[u8], header: Header, telemetry: Option<TelemetryHeader>) {
        match (self, telemetry) {
            (Self::Rows(batch), _) => batch.push(id, header),
            (Self::Telemetry(batch), Some(row)) => {
                batch.push(id, header.id_hash, row, header.position)
            }
            (Self::Telemetry(batch), None) => batch.push_malformed(id),
        }
    }

    /// Adds what is known of a malformed row: that it damages this conversation.
    pub fn push_malformed(&mut self, id: &[u8]) {
        match self {
            Self::Rows(batch) => batch.push_malformed(id),
            Self::Telemetry(batch) => batch.push_malformed(id),
        }
    }

    /// How many headers it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Rows(batch) => batch.headers.len(),
            Self::Telemetry(batch) => batch.headers.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A row of Copilot Chat telemetry, by its key, which stands in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedHeader {
    /// Bytes of the key: the id of its conversation, or of what it is a piece of.
    pub key_length: u32,
    /// `hash(key)`, Kusto's.
    pub key_hash: i64,
    /// What is known of it.
    pub header: TelemetryHeader,
    /// Where it is.
    pub position: Position,
}

/// Headers of Copilot Chat telemetry.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TelemetryBatch {
    /// The keys, one after the other.
    pub keys: Vec<u8>,
    /// The headers, in the order of the keys.
    pub headers: Vec<KeyedHeader>,
    /// The conversations of malformed rows.
    pub malformed: Vec<Box<[u8]>>,
}

debug_lengths!(TelemetryBatch {} lengths { keys, headers, malformed });

impl TelemetryBatch {
    /// Adds a row; `hash` is its key's.
    pub fn push(&mut self, key: &[u8], hash: i64, header: TelemetryHeader, position: Position) {
        self.keys.extend_from_slice(key);
        self.headers.push(KeyedHeader {
            // A row is at most 4 GiB long, and so is its key.
            key_length: key.len() as u32,
            key_hash: hash,
            header,
            position,
        });
    }

    /// Adds what is known of a malformed row: that it damages this conversation.
    pub fn push_malformed(&mut self, id: &[u8]) {
        self.malformed.push(id.into());
    }

    /// The headers with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &KeyedHeader)> {
        let mut rest = &self.keys[..];
        self.headers.iter().map(move |header| {
            let (key, tail) = rest.split_at(header.key_length as usize);
            rest = tail;
            (key, header)
        })
    }
}

/// The rows of a run, whatever their schema: which it is shows only when the first good row comes.
#[derive(Debug, Default)]
pub struct RowIndex {
    rows: Index,
    telemetry: TelemetryIndex,
}

/// An index to which no rows are added any more.
#[derive(Debug)]
pub enum ClosedIndex {
    /// Of turns or conversations.
    Rows(Index),
    /// Of Copilot Chat telemetry.
    Telemetry(TelemetryIndex),
}

impl RowIndex {
    /// Takes the headers of some rows.
    pub fn observe(&mut self, batch: &Batch) {
        match batch {
            Batch::Rows(batch) => self.rows.observe(batch),
            Batch::Telemetry(batch) => {
                for (key, row) in batch.iter() {
                    self.telemetry
                        .observe(key, row.key_hash, &row.header, &row.position);
                }
                batch
                    .malformed
                    .iter()
                    .for_each(|id| self.rows.observe_malformed(id));
            }
        }
    }

    /// Whether there are rows of Copilot Chat telemetry: conversations that name shared rows of other
    /// chunks.
    pub fn has_telemetry(&self) -> bool {
        !self.telemetry.is_empty()
    }

    /// All rows are in. (A run of two schemas ends otherwise.)
    pub fn closed(mut self) -> ClosedIndex {
        if !self.has_telemetry() {
            return ClosedIndex::Rows(self.rows);
        }
        for id in self.rows.damaged_ids() {
            self.telemetry.observe_malformed(id, kusto_hash::hash(id));
        }
        ClosedIndex::Telemetry(self.telemetry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copilot_chat::event::EventKind;
    use crate::copilot_chat::header::Mode;
    use crate::copilot_chat::membership::MembershipRules;
    use crate::grouping::dedup::Fault;
    use crate::selection::group::GroupMark;

    #[test]
    fn malformed_rows_damage_conversations_of_telemetry_whatever_comes_first() {
        let header = TelemetryHeader {
            at: 1,
            request: 1,
            call: 0,
            content: 1,
            position: 1,
            event: EventKind::UserText,
            mode: Mode::Agent,
            group: GroupMark::ABSENT,
        };
        let position = Position {
            store: 0,
            length: 1,
            offset: 0,
            checksum: 0,
        };
        let mut rows = TelemetryBatch::default();
        for id in [&b"a"[..], b"b"] {
            rows.push(id, kusto_hash::hash(id), header, position);
        }
        let mut malformed = HeaderBatch::new(RowShape::Conversations);
        malformed.push_malformed(b"a");
        let mut named = TelemetryBatch::default();
        named.push_malformed(b"a");
        let batches = [
            Batch::Telemetry(rows),
            Batch::Rows(malformed),
            Batch::Telemetry(named),
        ];
        for order in [[0, 1], [1, 0], [0, 2], [2, 0]] {
            let batches = order.map(|place| &batches[place]);
            let mut index = RowIndex::default();
            batches.into_iter().for_each(|batch| index.observe(batch));
            assert!(index.has_telemetry());
            let ClosedIndex::Telemetry(index) = index.closed() else {
                panic!("it has telemetry");
            };
            let mut whole = Vec::new();
            let tally = index.close(
                0..index.conversations(),
                &MembershipRules::ALL,
                &mut |conversation| whole.push(conversation.id.to_vec()),
            );
            assert_eq!(whole, [b"b"]);
            assert_eq!(tally.of_fault(Fault::Damaged), 1);
        }
        let mut only_malformed = RowIndex::default();
        only_malformed.observe(&batches[1]);
        assert!(matches!(only_malformed.closed(), ClosedIndex::Rows(_)));
    }
}
