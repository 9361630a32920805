//! On an executor: the frames of a chunk, from all pieces, become its census or its records.
//!
//! Grouping, ties and assembly are those of one machine ([`Index`], [`Assembler`]). A census sees no payloads: rows of one
//! length and one XXH3-64 are taken for equal, and a conversation whose tie or size cannot be decided so is named, to be
//! decided in a job that brings its payloads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::census::{CensusRow, ChunkCensus};
use super::frame::{Frame, FrameRow, FrameSum};
use super::order::{Brings, Order};
use super::records::{ChunkRecords, Record};
use super::{EngineError, Fault, LEDGER, frame};
use crate::domain::grouping::dedup::{Closing, Conversation, GroupTally, Index};
use crate::domain::json::JsonError;
use crate::domain::record::assembler::Assembler;
use crate::domain::record::header::{Header, HeaderBatch, Position};
use crate::domain::record::row::RowShape;
use crate::domain::sampling::thresholds::best_of_chunk;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::{Rank, Ranker};
use crate::domain::selection::stratum::{Membership, Selection, StratumId};

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

/// The rows of a chunk.
pub struct Group {
    order: Order,
    chunk: u32,
    seen: BTreeSet<(u32, u32)>,
    sum: FrameSum,
    index: Index,
    is_assembled: bool,
    /// The payloads, one after the other.
    text: Vec<u8>,
    /// Where that of a row is, by its piece and line.
    payloads: HashMap<(u32, u64), Range<usize>>,
}

/// Groups what has arrived for a chunk; gives what is to be sent to the driver. Ledgers are passed on as they are.
///
/// # Errors
/// If a frame arrived twice, was damaged, or is of another chunk or job.
pub fn group(
    order: &[u8],
    chunk: i32,
    frames: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Vec<Vec<u8>>, EngineError> {
    if chunk == LEDGER {
        return Ok(frames.into_iter().collect());
    }
    let mut group = Group::new(Order::from_bytes(order)?, chunk.cast_unsigned());
    let is_packed = group.order.brings.has_payloads();
    for bytes in frames {
        let added = match is_packed {
            true => frame::unpacked(&bytes).and_then(|frame| group.add(&frame)),
            false => group.add(&bytes),
        };
        added.map_err(|fault| fault.of_chunk(chunk))?;
    }
    let result = group.finish()?;
    Ok(vec![match is_packed {
        true => frame::pack(&result),
        false => result,
    }])
}

impl Group {
    /// None yet.
    pub fn new(order: Order, chunk: u32) -> Self {
        Self {
            order,
            chunk,
            seen: BTreeSet::new(),
            sum: FrameSum::default(),
            index: Index::default(),
            is_assembled: false,
            text: Vec::new(),
            payloads: HashMap::new(),
        }
    }

    /// Takes the rows of a frame.
    ///
    /// # Errors
    /// If it arrived before, was damaged, or is of another chunk or job.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let frame = Frame::read(bytes, self.order.job, self.chunk)?;
        if !self.seen.insert((frame.piece, frame.part)) {
            return Err(Fault::Twice);
        }
        self.sum.count(bytes);
        self.is_assembled |= frame.is_assembled;
        let mut batch = HeaderBatch::new(frame.shape);
        for row in frame.rows() {
            let row = row?;
            self.keep_payload(frame.piece, &row);
            batch.push(row.id, header(frame.piece, &row));
        }
        self.index.observe(&batch);
        Ok(())
    }

    fn keep_payload(&mut self, piece: u32, row: &FrameRow<'_>) {
        if self.order.brings.has_payloads() {
            let start = self.text.len();
            self.text.extend_from_slice(row.payload);
            self.payloads
                .insert((piece, row.line), start..self.text.len());
        }
    }

    fn payload(&self, row: &Position) -> Option<&[u8]> {
        let place = self.payloads.get(&(row.store, row.offset))?;
        Some(&self.text[place.clone()])
    }

    /// All frames are in.
    ///
    /// # Errors
    /// If the order cannot be carried out, or a payload is not what it was.
    pub fn finish(self) -> Result<Vec<u8>, EngineError> {
        let selection = self.order.rules.selection()?;
        match self.order.brings {
            Brings::Records => self.records(&selection),
            _ => self.census(&selection),
        }
    }

    fn closing<'s>(&self, selection: &'s Selection) -> Closing<'s> {
        Closing {
            assembler: Assembler::new(selection, self.order.rules.nested()),
            selection,
            max_record: self.order.rules.max_record,
            keep_cut: self.order.rules.keep_cut,
            trusts_checksums: !self.order.brings.has_payloads(),
        }
    }

    /// Decides a conversation; `None`: it cannot be decided without its payloads.
    fn close(
        &self,
        number: u32,
        closing: &Closing<'_>,
        emit: &mut dyn FnMut(Conversation<'_>),
    ) -> Result<Option<GroupTally>, EngineError> {
        let mut read = |position: &Position, out: &mut Vec<u8>| match self.payload(position) {
            Some(payload) => self.append(payload, closing, out).map_err(Undecided::from),
            None => Err(Undecided::NoPayload),
        };
        match self
            .index
            .close(number..number + 1, closing, &mut read, emit)
        {
            Ok(tally) => Ok(Some(tally)),
            Err(Undecided::NoPayload) => Ok(None),
            Err(Undecided::Json) => Err(self.changed()),
        }
    }

    /// Appends a row as ties and sizes are decided by it: a conversation as its record would be written.
    fn append(
        &self,
        payload: &[u8],
        closing: &Closing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        let start = out.len();
        match self.index.shape() {
            Some(RowShape::Conversations) if self.is_assembled => {
                closing.assembler.from_columns(payload, out).map(drop)
            }
            Some(RowShape::Conversations) => {
                out.extend_from_slice(payload);
                closing.assembler.fill(out, start)
            }
            _ => {
                out.extend_from_slice(payload);
                Ok(())
            }
        }
    }

    fn changed(&self) -> EngineError {
        Fault::Damaged.of_chunk(self.chunk.cast_signed())
    }

    fn census(self, selection: &Selection) -> Result<Vec<u8>, EngineError> {
        let closing = self.closing(selection);
        let mut census = ChunkCensus {
            frames: self.sum,
            ..ChunkCensus::default()
        };
        if !self.order.brings.has_payloads() {
            census.grouped.duplicate_conversations = self.index.shorter_duplicates();
        }
        let mut best = Best::new(selection);
        for number in 0..self.index.conversations() {
            let id = self.index.id(number);
            let hash = kusto_hash::hash(id);
            let mut whole = None;
            let mut emit = |found: Conversation<'_>| whole = Some((found.turns, found.group));
            let Some(tally) = self.close(number, &closing, &mut emit)? else {
                census.undecided.push(hash);
                continue;
            };
            census.grouped.add(tally);
            let Some((turns, group)) = whole else {
                continue;
            };
            census.checksum.count(hash);
            let residue = Selection::residue(id, group);
            census.counts.add(selection, residue, turns, 1);
            if let Membership::Stratum(stratum) = selection.membership(id, group, turns) {
                best.put(stratum, id, number, (turns, group.byte()));
            }
        }
        for (stratum, mut found) in best.by_stratum {
            let cut = self.cut(stratum, &mut found);
            census.cut.extend(cut.map(|rank| (stratum, rank)));
            for (_, number, (turns, group)) in found {
                let id = String::from_utf8_lossy(self.index.id(number)).into_owned();
                census.conversations.push(CensusRow { id, turns, group });
            }
        }
        Ok(census.to_bytes())
    }

    /// Leaves the best ranks of a stratum that are to be brought; says up to which they are, if they are not all.
    fn cut(&self, stratum: StratumId, found: &mut Vec<Found>) -> Option<Rank> {
        let all = found.len();
        match &self.order.brings {
            Brings::Census(candidates) => {
                let wanted = candidates.get(&stratum).copied().unwrap_or(0);
                let most = best_of_chunk(wanted, all as u64, self.order.chunks);
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                found.sort_unstable_by_key(|(rank, number, _)| (*rank, *number));
                let (last, ..) = *found.get(most.checked_sub(1)?)?;
                found.retain(|(rank, ..)| *rank <= last);
                (found.len() < all).then_some(last)
            }
            Brings::CensusUpTo(ranks) => {
                let last = ranks.get(&stratum).copied().flatten()?;
                found.retain(|(rank, ..)| *rank <= last);
                Some(last)
            }
            Brings::Decisions | Brings::Records => None,
        }
    }

    fn records(self, selection: &Selection) -> Result<Vec<u8>, EngineError> {
        let closing = self.closing(selection);
        let mut records = ChunkRecords::new(self.sum);
        let mut failed = false;
        for number in 0..self.index.conversations() {
            let mut emit = |found: Conversation<'_>| {
                let text = self.record(&found, &closing);
                failed |= text.is_none();
                records.push(Record {
                    id_hash: kusto_hash::hash(found.id),
                    turns: found.turns,
                    text: text.unwrap_or_default(),
                });
            };
            // All payloads are here.
            self.close(number, &closing, &mut emit)?;
        }
        match failed {
            true => Err(self.changed()),
            false => Ok(records.to_bytes()),
        }
    }

    /// The record of a conversation.
    fn record(&self, found: &Conversation<'_>, closing: &Closing<'_>) -> Option<Vec<u8>> {
        let rows: Option<Vec<&[u8]>> = found.rows.iter().map(|row| self.payload(row)).collect();
        let mut text = Vec::new();
        match (self.index.shape(), &rows?[..]) {
            (Some(RowShape::Conversations), [row]) => self.append(row, closing, &mut text).ok()?,
            (_, rows) => {
                let (id, rows) = (String::from_utf8_lossy(found.id), rows.iter().copied());
                closing.assembler.from_turns(&id, rows, &mut text).ok()?;
            }
        }
        Some(text)
    }
}

/// Rank, number, and turns and group of a conversation.
type Found = (Rank, u32, (u64, u8));

/// The conversations of each stratum.
struct Best {
    ranker: Ranker,
    by_stratum: BTreeMap<StratumId, Vec<Found>>,
}

impl Best {
    fn new(selection: &Selection) -> Self {
        Self {
            ranker: Ranker::new(selection.seed()),
            by_stratum: BTreeMap::new(),
        }
    }

    fn put(&mut self, stratum: StratumId, id: &[u8], number: u32, known: (u64, u8)) {
        let found = self.by_stratum.entry(stratum).or_default();
        found.push((self.ranker.rank(id), number, known));
    }
}

fn header(piece: u32, row: &FrameRow<'_>) -> Header {
    Header {
        id_length: 0,
        id_hash: kusto_hash::hash(row.id),
        turn: row.turn,
        at: row.at,
        flags: row.flags,
        group: row.group,
        position: Position {
            store: piece,
            length: row.length,
            offset: row.line,
            checksum: row.checksum,
        },
    }
}
