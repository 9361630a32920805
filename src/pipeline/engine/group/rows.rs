//! Rows of turns or conversations, grouped as one machine groups them ([`Index`], [`Assembler`]).
//!
//! A census sees no payloads: rows of one length and one XXH3-64 are taken for equal, and a conversation whose tie or size
//! cannot be decided so is named, to be decided in a job that brings its payloads.

use super::Arrived;
use super::whole::Whole;
use crate::domain::grouping::dedup::{Closing, Conversation, GroupTally, Index};
use crate::domain::json::JsonError;
use crate::domain::record::assembler::Assembler;
use crate::domain::record::header::Position;
use crate::domain::record::row::RowShape;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::stratum::Selection;
use crate::pipeline::engine::EngineError;
use crate::pipeline::engine::order::Brings;
use crate::pipeline::engine::records::{ChunkRecords, Record};

/// What keeps a conversation from being decided.
enum Undecided {
    /// Its payloads are not here.
    NoPayload,
    /// They are, and are not what they were.
    Json,
}

impl From<JsonError> for Undecided {
    fn from(_: JsonError) -> Self {
        Self::Json
    }
}

/// The rows of a chunk, all of which are in.
pub struct RowGroup<'g> {
    arrived: &'g Arrived,
    index: Index,
    closing: Closing<'g>,
}

impl<'g> RowGroup<'g> {
    /// Rows that have arrived.
    pub fn new(arrived: &'g Arrived, index: Index, selection: &'g Selection) -> Self {
        let rules = &arrived.order.rules;
        Self {
            arrived,
            index,
            closing: Closing {
                assembler: Assembler::new(selection, rules.nested()),
                selection,
                max_record: rules.max_record,
                keep_cut: rules.membership.keep_cut,
                trusts_checksums: !arrived.order.brings.has_payloads(),
            },
        }
    }

    /// What the order asks for.
    ///
    /// # Errors
    /// If a payload is not what it was.
    pub fn finish(self) -> Result<Vec<u8>, EngineError> {
        match self.arrived.order.brings {
            Brings::Users | Brings::Records | Brings::SharedRows => self.records(),
            Brings::Census(_) | Brings::CensusUpTo(_) | Brings::Decisions => self.census(),
        }
    }

    /// Decides a conversation; `None`: it cannot be decided without its payloads.
    fn close(
        &self,
        number: u32,
        emit: &mut dyn FnMut(Conversation<'_>),
    ) -> Result<Option<GroupTally>, EngineError> {
        let mut read = |row: &Position, out: &mut Vec<u8>| match self.arrived.payloads.of(row) {
            Some(payload) => self.append(payload, out).map_err(Undecided::from),
            None => Err(Undecided::NoPayload),
        };
        match self
            .index
            .close(number..number + 1, &self.closing, &mut read, emit)
        {
            Ok(tally) => Ok(Some(tally)),
            Err(Undecided::NoPayload) => Ok(None),
            Err(Undecided::Json) => Err(self.arrived.damaged()),
        }
    }

    /// Appends a row as ties and sizes are decided by it: a conversation as its record would be written.
    fn append(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
        let (start, assembler) = (out.len(), &self.closing.assembler);
        match self.index.shape() {
            Some(RowShape::Conversations) if self.arrived.is_assembled => {
                assembler.from_columns(payload, out).map(drop)
            }
            Some(RowShape::Conversations) => {
                out.extend_from_slice(payload);
                assembler.fill(out, start)
            }
            _ => {
                out.extend_from_slice(payload);
                Ok(())
            }
        }
    }

    fn census(self) -> Result<Vec<u8>, EngineError> {
        let mut whole = Whole::new(self.closing.selection, self.arrived.sum);
        let (mut grouped, mut undecided) = (GroupTally::default(), Vec::new());
        if self.closing.trusts_checksums {
            grouped.duplicate_conversations = self.index.shorter_duplicates();
        }
        for number in 0..self.index.conversations() {
            let mut emit =
                |found: Conversation<'_>| whole.put(number, (found.id, found.group), found.turns);
            match self.close(number, &mut emit)? {
                Some(tally) => grouped.add(tally),
                None => undecided.push(kusto_hash::hash(self.index.id(number))),
            }
        }
        let mut census = whole.census(&self.arrived.order, |number| self.index.id(number));
        (census.grouped, census.undecided) = (grouped, undecided);
        Ok(census.to_bytes())
    }

    fn records(self) -> Result<Vec<u8>, EngineError> {
        let mut records = ChunkRecords::new(self.arrived.sum);
        let mut failed = false;
        for number in 0..self.index.conversations() {
            let mut emit = |found: Conversation<'_>| {
                let text = self.record(&found);
                failed |= text.is_none();
                records.push(Record {
                    id_hash: kusto_hash::hash(found.id),
                    turns: found.turns,
                    text: text.unwrap_or_default(),
                });
            };
            // All payloads are here.
            self.close(number, &mut emit)?;
        }
        match failed {
            true => Err(self.arrived.damaged()),
            false => Ok(records.to_bytes()),
        }
    }

    /// The record of a conversation.
    fn record(&self, found: &Conversation<'_>) -> Option<Vec<u8>> {
        let payload = |row| self.arrived.payloads.of(row);
        let rows: Option<Vec<&[u8]>> = found.rows.iter().map(payload).collect();
        let mut text = Vec::new();
        match (self.index.shape(), &rows?[..]) {
            (Some(RowShape::Conversations), [row]) => self.append(row, &mut text).ok()?,
            (_, rows) => {
                let (id, rows) = (String::from_utf8_lossy(found.id), rows.iter().copied());
                let assembler = &self.closing.assembler;
                assembler.from_turns(&id, rows, &mut text).ok()?;
            }
        }
        Some(text)
    }
}
