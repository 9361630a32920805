//! From rows to headers: reads every row of a chunk, counts it, and keeps what is wanted.
//!
//! The same for every source. Runs on the CPU pool; holds one batch of headers in the making, and
//! for rows that are spooled a writer of the chunk. Rows that stay where they are (plain files)
//! cost their header only.
//!
//! A row whose reading panics is read again; should that panic too, it is malformed. The rest of
//! the chunk goes on. A malformed row whose id can be read damages its conversation: the id is kept
//! among the headers, once a chunk. Reading has no effect, so nothing is done twice; a panic of what follows
//! (keeping the row) fails the attempt.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use memchr::memchr;

use crate::domain::copilot_chat::row::ReadRow;
use crate::domain::dataset::accounting::FilterReason;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::grouping::batch::Batch;
use crate::domain::grouping::telemetry_index::TelemetryIndex;
use crate::domain::record::header::RowFlags;
use crate::domain::record::row;
use crate::domain::record::row::{
    MalformedReason, MalformedRow, Row, RowByFields, RowKind, RowShape,
};
use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::domain::scheduling::pass::{ChunkPass, Pass};
use crate::domain::selection::kusto_hash;
use crate::domain::selection::stratum::Selection;
use crate::fault::{Faults, Site};
use crate::pipeline::lifecycle::panic_retry::retry_on_panic;
use crate::source::{
    ParsedRow, ReceivedRow, Reject, RowBlock, RowEncoding, RowLocation, SourceError,
};
use crate::spool::sealed::{ChunkWriter, RowFacts, Spool, SpooledRow};
use crate::telemetry::{Event, Telemetry};

mod groups;
mod keeping;
mod one_row;
mod rules;
mod telemetry;

pub use keeping::{Headers, malformed_row};
pub(super) use one_row::Reading;
use one_row::readable_id;
pub use rules::RowRules;
pub(super) use telemetry::whole;

/// Headers in a batch: large enough that messages cost nothing, small enough to be freed early.
const BATCH: usize = 4096;

/// The longest text of keys that a conversation or a turn lacks, with nulls.
const NULLS: u64 = 256;

/// How a row is read in full.
pub(super) type Read =
    for<'a> fn(&'a [u8], &Selection, Option<RowShape>) -> Result<RowByFields<'a>, MalformedRow<'a>>;

/// A row that was read.
pub(super) enum AnyRow<'a> {
    /// A turn, a conversation, or the header of one.
    Row(Row<'a>),
    /// Copilot Chat telemetry.
    Telemetry(ReadRow<'a>),
}

/// Reads the rows of one attempt at a chunk.
pub struct ChunkReader {
    chunk_pass: ChunkPass,
    rules: Arc<RowRules>,
    /// Where rows go that do not stay where they are; `None`: to who asks for them.
    spool: Option<Spool>,
    writer: Option<ChunkWriter>,
    tally: ChunkTally,
    shape: Option<RowShape>,
    batches: Vec<Batch>,
    /// The conversations of malformed rows.
    damaged: BTreeSet<Box<[u8]>>,
    /// A record that is being put together.
    record: Vec<u8>,
    /// Of the candidates of a round: what the source says that it delivered.
    received: Vec<ReceivedRow>,
    /// And what was kept of it: hash and number of turns.
    kept: Vec<(i64, i64)>,
    /// The conversations of telemetry of which rows may still come.
    open: TelemetryIndex,
    read: Read,
    telemetry: Telemetry,
    faults: Faults,
}

/// What came of an attempt, before it is sealed: for the comparison with a census.
#[derive(Debug, Default)]
pub struct Candidates {
    /// What the source says that it delivered.
    pub received: Vec<ReceivedRow>,
    /// Hash and number of turns of what was kept.
    pub kept: Vec<(i64, i64)>,
    /// Whether conversations are put together here: then not all that were delivered need be whole, and
    /// the census may have counted other turns.
    pub assembled: bool,
}

impl ChunkReader {
    /// Starts an attempt.
    pub fn new(
        chunk_pass: ChunkPass,
        rules: Arc<RowRules>,
        spool: Option<Spool>,
        telemetry: Telemetry,
        faults: Faults,
    ) -> Self {
        Self {
            chunk_pass,
            rules,
            spool,
            writer: None,
            tally: ChunkTally::default(),
            shape: None,
            batches: Vec::new(),
            damaged: BTreeSet::new(),
            record: Vec::new(),
            received: Vec::new(),
            kept: Vec::new(),
            open: TelemetryIndex::default(),
            read: row::read_by_fields,
            telemetry,
            faults,
        }
    }

    /// Notes what the source counted.
    pub fn set_checksum(&mut self, chunk_checksum: Option<ChunkChecksum>) {
        self.tally.chunk_checksum = chunk_checksum;
    }

    /// Takes what was delivered and kept, for the comparison with a census.
    pub fn take_candidates(&mut self) -> Candidates {
        Candidates {
            received: std::mem::take(&mut self.received),
            kept: std::mem::take(&mut self.kept),
            assembled: self.rules.schema == Some(RowShape::CopilotChat),
        }
    }

    /// The schema of the rows that are kept.
    pub fn shape(&self) -> RowShape {
        self.shape.unwrap_or(RowShape::Conversations)
    }

    /// Rows, bytes, and bytes of the input read so far.
    pub fn progress(&self) -> (u64, u64, u64) {
        let ChunkTally {
            rows_read,
            bytes,
            input_bytes,
            ..
        } = self.tally;
        (rows_read, bytes, input_bytes)
    }

    /// Reads all rows of a block, and spools those that do not stay where they are.
    ///
    /// # Errors
    /// If a row cannot be spooled.
    pub fn absorb(&mut self, block: &RowBlock) -> Result<(), SourceError> {
        let rows = self.rows_of(block);
        self.spool(block.encoding, &rows)
    }

    /// Reads all rows of a block, and gives those that are wanted and do not stay where they are.
    pub fn rows_of<'a>(&mut self, block: &'a RowBlock) -> Vec<SpooledRow<'a>> {
        let bytes = block.bytes.len() as u64;
        self.tally.bytes += bytes;
        self.tally.input_bytes += block.input_bytes.unwrap_or(bytes);
        // Nearly always the whole block is UTF-8, and asking once is much cheaper.
        let all_utf8 = block.is_utf8 || simdutf8::basic::from_utf8(&block.bytes).is_ok();
        let mut line = block.first_line;
        let mut start = 0;
        let mut parsed = block.parsed.iter();
        let mut rejects = block.rejects.iter().peekable();
        let mut spooled = Vec::new();
        // What follows the last newline is a line only if it is not empty.
        while let Some(rest) = block.bytes.get(start..).filter(|rest| !rest.is_empty()) {
            let parsed = parsed.next();
            let length = match parsed {
                Some(parsed) => rest.len().min(parsed.length as usize),
                None => memchr(b'\n', rest).unwrap_or(rest.len()),
            };
            let span = start..start + length;
            while let Some(reject) = rejects.next_if(|reject| reject.line <= line) {
                self.reject(block.encoding, reject);
                line = line.max(reject.line + 1);
            }
            self.line(block, span, line, all_utf8, parsed, &mut spooled);
            line += 1;
            start += length + 1;
        }
        for reject in rejects {
            self.reject(block.encoding, reject);
            line = line.max(reject.line + 1);
        }
        self.tally.lines = self.tally.lines.max(line.saturating_sub(1));
        for &counted in &block.undelivered {
            self.tally.rows_read += counted.conversations;
            self.tally.undelivered.add(&self.rules.selection, counted);
        }
        if matches!(self.chunk_pass.pass, Pass::Round(_)) && !block.received.is_empty() {
            // What is left out is not expected either.
            let received = block.received.iter().copied();
            let excluded = &self.rules.excluded;
            self.received
                .extend(received.filter(|row| !excluded.has_hash(row.id_hash)));
            self.settle();
        }
        spooled
    }

    /// Reads one line. A row that is to be spooled is put to the others of the block.
    fn line<'a>(
        &mut self,
        block: &'a RowBlock,
        span: std::ops::Range<usize>,
        line: u64,
        utf8: bool,
        parsed: Option<&'a ParsedRow>,
        spooled: &mut Vec<SpooledRow<'a>>,
    ) {
        let text = &block.bytes[span.clone()];
        let row_text = row::trim(text);
        if row_text.is_empty() {
            return;
        }
        // Both slices lie in the block, so the distance of their starts is the offset.
        let at = span.start + (row_text.as_ptr().addr() - text.as_ptr().addr());
        let read = retry_on_panic(
            self,
            |chunk_reader| chunk_reader.read(block, row_text, utf8, parsed),
            |chunk_reader, panic| {
                chunk_reader.telemetry.events.publish(Event::RowPanic {
                    chunk: chunk_reader.chunk_pass.chunk.to_string(),
                    line,
                    time: panic.time,
                    injected: panic.injected,
                });
            },
        );
        let place = (at, row_text, line);
        match read.unwrap_or_else(|| Err(self.panicked(row_text))) {
            Ok(AnyRow::Row(row)) => self.row(block, place, row, spooled),
            Ok(AnyRow::Telemetry(row)) => self.telemetry_row(block, place, row, spooled),
            Err(MalformedRow { reason, id }) => {
                let rules = Arc::clone(&self.rules);
                let what = || rules.describe(row_text, reason);
                self.malformed(block.encoding, reason, line, id.as_deref(), what);
            }
        }
    }

    /// Takes a row of a turn, a conversation or a census, at its place: offset, text, line.
    fn row<'a>(
        &mut self,
        block: &'a RowBlock,
        (at, row_text, line): (usize, &'a [u8], u64),
        row: Row<'a>,
        spooled: &mut Vec<SpooledRow<'a>>,
    ) {
        let (shape, turn, time, flags) = match row.kind {
            RowKind::Turn { turn, at, agent } => {
                let flags = self.rules.flags_of_turn(at, agent);
                (RowShape::Turns, turn, at, flags)
            }
            RowKind::Conversation {
                turns,
                prevalidated,
            } => {
                // What was judged is not what will be written if it is put together.
                let prevalidated = prevalidated && block.encoding != RowEncoding::Assembled;
                let flags = RowFlags::default().with(RowFlags::PREVALIDATED, prevalidated);
                (RowShape::Conversations, i64::from(turns), 0, flags)
            }
            RowKind::Census { turns, last, .. } => {
                let flags = RowFlags::default();
                (RowShape::Conversations, i64::from(turns), last, flags)
            }
        };
        let payload = match block.encoding {
            // Its header is all there is.
            RowEncoding::Census => &row_text[..0],
            _ => row_text,
        };
        self.tally.rows_read += 1;
        if !matches!(row.kind, RowKind::Census { .. }) {
            self.tally.shape(shape, line);
        }
        if let RowKind::Turn { agent, .. } = row.kind {
            self.tally.oddities(row_text, &row.oddities, agent, line);
        }
        if let Some(reason) = self.rules.left_out(&row) {
            *self.tally.filtered.entry(reason).or_default() += 1;
            return;
        }
        if self.exclude(&row.id) {
            return;
        }
        if *self.shape.get_or_insert(shape) != shape {
            // The run will end for mixing shapes; it names the first row of each.
            return;
        }
        let is_round = matches!(self.chunk_pass.pass, Pass::Round(_));
        if is_round && block.location == RowLocation::Spool {
            self.kept.push((kusto_hash::hash(&row.id), turn));
        }
        let group = self.rules.group_of(&row, row_text);
        self.rules
            .note_group(&mut self.tally, group, row_text, line);
        let facts = RowFacts {
            turn,
            at: time,
            flags,
            group,
            line,
            telemetry: None,
        };
        let row = SpooledRow {
            id: row.id,
            facts,
            payload: Cow::Borrowed(payload),
        };
        self.keep(block, at, shape, row, spooled);
    }

    /// Whether a row of this conversation is left out because `selection.exclude` names it; counts it then.
    fn exclude(&mut self, id: &[u8]) -> bool {
        let Some(number) = self.rules.excluded.number(id) else {
            return false;
        };
        self.tally.excluded.insert(number);
        *self
            .tally
            .filtered
            .entry(FilterReason::Excluded)
            .or_default() += 1;
        true
    }

    /// Counts a row that never became a line of its block.
    fn reject(&mut self, encoding: RowEncoding, reject: &Reject) {
        let id = reject.id.as_deref();
        self.malformed(encoding, reject.reason, reject.line, id, || None);
    }

    /// Counts a malformed row, and keeps whose it is. (A row of a census is none of telemetry.)
    fn malformed(
        &mut self,
        encoding: RowEncoding,
        reason: MalformedReason,
        line: u64,
        id: Option<&[u8]>,
        what: impl FnOnce() -> Option<String>,
    ) {
        self.tally.malformed(reason, line, what);
        let id = id.filter(|_| encoding != RowEncoding::Census);
        if let Some(id) = id.filter(|id| !self.rules.is_ignored(id)) {
            if let Some(number) = self.rules.excluded.number(id) {
                self.tally.excluded.insert(number);
                return;
            }
            self.damaged.insert(id.into());
            if matches!(self.chunk_pass.pass, Pass::Round(_)) {
                self.open.observe_malformed(id, kusto_hash::hash(id));
            }
        }
    }

    /// A row whose reading has panicked twice. Its id is looked for on another way.
    fn panicked<'a>(&mut self, row: &'a [u8]) -> MalformedRow<'a> {
        let id = retry_on_panic(self, |_| readable_id(row), |_, _| {});
        MalformedRow {
            reason: MalformedReason::RowPanic,
            id: id.flatten(),
        }
    }

    /// What a row without white space around is. Changes nothing, so it can be done again.
    fn read<'a>(
        &mut self,
        block: &RowBlock,
        row: &'a [u8],
        utf8: bool,
        parsed: Option<&'a ParsedRow>,
    ) -> Result<AnyRow<'a>, MalformedRow<'a>> {
        self.faults.enter_now(Site::Row).leave();
        let reading = Reading {
            rules: &self.rules,
            read: self.read,
            expects_telemetry: self.tally.first_telemetry.is_some(),
        };
        reading.row(&mut self.record, block, row, utf8, parsed)
    }

    /// The chunk was read to its end: what was counted, and the conversations of malformed rows.
    pub fn counted(self) -> (ChunkTally, BTreeSet<Box<[u8]>>) {
        (self.tally, self.damaged)
    }

    /// The chunk was read to its end: seals what was spooled.
    ///
    /// # Errors
    /// If the chunk cannot be sealed.
    pub fn finish(mut self) -> Result<(ChunkTally, Headers), SourceError> {
        if self.chunk_pass.pass != Pass::All {
            // That there is nothing is worth knowing too.
            self.begin_spooling(RowEncoding::AsWritten)?;
        }
        match self.writer {
            Some(mut writer) => {
                let damaged: Vec<_> = self.damaged.iter().map(|id| malformed_row(id)).collect();
                writer.append(&damaged)?;
                let sealed = writer.seal(self.tally)?;
                Ok((sealed.tally().clone(), Headers::Sealed(Box::new(sealed))))
            }
            None => {
                let shape = self.shape();
                for ids in self.damaged.iter().collect::<Vec<_>>().chunks(BATCH) {
                    let mut batch = Batch::new(shape);
                    ids.iter().for_each(|id| batch.push_malformed(id));
                    self.batches.push(batch);
                }
                Ok((self.tally, Headers::InMemory(self.batches)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
