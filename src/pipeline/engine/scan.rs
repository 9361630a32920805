//! On an executor: the rows of a piece, as frames for the chunks, and the piece's ledger behind them.
//!
//! Rows are read as one machine reads them, by the same readers and the same [`ChunkReader`]. Of a census only what is
//! known of a row without its text goes on; of the conversations that are wanted the text too.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::frame::{Frames, PieceLedger, pack};
use super::order::{Brings, Order, PieceOrder};
use super::{EngineError, LEDGER};
use crate::domain::record::row::{self, RowShape};
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::pass::{ChunkPass, Pass};
use crate::domain::selection::kusto_hash;
use crate::fault::Faults;
use crate::pipeline::ingest::chunk_reader::{ChunkReader, malformed_row};
use crate::pipeline::ingest::user_look::UserLook;
use crate::source::files::FilesSource;
use crate::source::{BlockReader, RowBlock, RowEncoding, RowLocation, SourceError};
use crate::spool::sealed::SpooledRow;
use crate::telemetry::Counters;

/// A piece that is being read. Gives, by chunk, its frames, and last its ledger ([`LEDGER`]).
pub struct Scan {
    order: Order,
    piece: PieceOrder,
    source: FilesSource,
    reader: Box<dyn BlockReader>,
    block: RowBlock,
    /// Until the piece was read to its end, or failed.
    rows: Option<ChunkReader>,
    /// Looks for the users that are left out, if that is asked for.
    users: Option<UserLook>,
    /// What the rows of a table are hashed to.
    content: u64,
    sorting: Sorting,
    ready: VecDeque<(i32, Vec<u8>)>,
}

/// What goes where.
struct Sorting {
    chunks: u32,
    done: Vec<u32>,
    /// `None`: all.
    wanted: Option<HashSet<i64>>,
    /// Whether it is shared rows of Copilot Chat telemetry that are wanted.
    shares: bool,
    frames: Frames,
}

impl Scan {
    /// Begins to read a piece.
    ///
    /// # Errors
    /// If an order cannot be read, or a file not be opened.
    pub fn new(order: &[u8], piece: &[u8]) -> Result<Self, EngineError> {
        Self::of(order, PieceOrder::from_bytes(piece)?)
    }

    /// Begins to read a piece.
    ///
    /// # Errors
    /// If an order cannot be read, or a file not be opened.
    pub fn of(order: &[u8], piece: PieceOrder) -> Result<Self, EngineError> {
        let order = Order::from_bytes(order)?;
        let selection = order.rules.selection()?;
        let telemetry = Counters::new(&selection);
        let rules = Arc::new(order.rules.row_rules(selection, &order.exclude));
        let users = (order.brings == Brings::Users)
            .then(|| UserLook::new(Arc::clone(&rules), &order.exclude.list));
        let chunk_pass = ChunkPass {
            chunk: Chunk::Piece(piece.piece),
            pass: Pass::All,
        };
        let rows = ChunkReader::new(chunk_pass, rules, None, telemetry, Faults::default());
        let path = &piece.input.path;
        if !path.exists() {
            return Err(EngineError::NotThere { path: path.clone() });
        }
        let paths = vec![path.clone()];
        let source = FilesSource::new(paths, NonZeroU32::MIN, order.rules.max_record)
            .max_window(order.rules.max_window)
            .fields(order.rules.renames()?);
        let reader = source.reader_of(&piece.input, piece.piece)?;
        let has_payloads = order.brings.has_payloads();
        let wanted = has_payloads.then(|| order.wanted.iter().copied().collect());
        let sorting = Sorting {
            chunks: order.chunks.max(1),
            done: order.done.clone(),
            wanted,
            shares: order.brings == Brings::SharedRows,
            frames: Frames::new(order.job, piece.number, has_payloads),
        };
        Ok(Self {
            order,
            piece,
            source,
            reader,
            block: RowBlock::default(),
            rows: Some(rows),
            users,
            content: 0,
            sorting,
            ready: VecDeque::new(),
        })
    }

    /// Reads the next rows.
    fn step(&mut self, mut rows: ChunkReader) -> Result<(), SourceError> {
        self.block.clear();
        if !self.reader.read_block(&mut self.block)? {
            return self.finish(rows);
        }
        if let Some(users) = &mut self.users {
            users.look_at(&self.block);
        }
        if self.order.of_table {
            let lines = self.block.bytes.split(|&byte| byte == b'\n').map(row::trim);
            let rows = lines.filter(|row| !row.is_empty()).map(xxh3_64);
            self.content = rows.fold(self.content, u64::wrapping_add);
        }
        // Where they lie means nothing to who groups them.
        self.block.location = RowLocation::Spool;
        let is_assembled = self.block.encoding == RowEncoding::Assembled;
        self.sorting.frames.assembled(is_assembled);
        for row in rows.rows_of(&self.block) {
            self.ready.extend(self.sorting.put(rows.shape(), &row));
        }
        self.rows = Some(rows);
        Ok(())
    }

    /// The piece was read to its end.
    fn finish(&mut self, rows: ChunkReader) -> Result<(), SourceError> {
        self.source.check_unchanged(&self.piece.input)?;
        let (tally, damaged) = rows.counted();
        for id in &damaged {
            let row = malformed_row(id);
            self.ready
                .extend(self.sorting.put(RowShape::Conversations, &row));
        }
        self.ready.extend(self.sorting.rest());
        let ledger = PieceLedger {
            job: self.order.job,
            piece: self.piece.number,
            tally,
            frames: self.sorting.frames.sums().clone(),
            content: self.content,
            users: self.users.take().map(UserLook::found).unwrap_or_default(),
        };
        self.ready.push_back((LEDGER, ledger.to_bytes()));
        Ok(())
    }
}

impl Sorting {
    /// Puts a row to those of its chunk; gives what is to be sent.
    fn put(&mut self, shape: RowShape, row: &SpooledRow<'_>) -> Option<(i32, Vec<u8>)> {
        let hash = kusto_hash::hash(&row.id);
        let is_shared = (row.facts.telemetry).is_some_and(|header| header.event.is_shared());
        let is_wanted = |wanted: &HashSet<i64>| is_shared == self.shares && wanted.contains(&hash);
        if !self.wanted.as_ref().is_none_or(is_wanted) {
            return None;
        }
        let chunk = kusto_hash::modulo(hash, self.chunks);
        let frame = self.frames.add(chunk, shape, row)?;
        self.addressed(chunk, frame)
    }

    /// The frames that are not full.
    fn rest(&mut self) -> Vec<(i32, Vec<u8>)> {
        let mut rest = Vec::new();
        while let Some((chunk, frame)) = self.frames.rest() {
            rest.extend(self.addressed(chunk, frame));
        }
        rest
    }

    fn addressed(&self, chunk: u32, frame: Vec<u8>) -> Option<(i32, Vec<u8>)> {
        if self.done.binary_search(&chunk).is_ok() {
            return None;
        }
        let bytes = match self.wanted {
            Some(_) => pack(&frame),
            None => frame,
        };
        // There are at most 100,000 chunks.
        Some((chunk.cast_signed(), bytes))
    }
}

impl Iterator for Scan {
    type Item = Result<(i32, Vec<u8>), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(Ok(ready));
            }
            let rows = self.rows.take()?;
            if let Err(error) = self.step(rows) {
                return Some(Err(match self.order.of_table {
                    true => EngineError::of_part(self.piece.number, error),
                    false => error.into(),
                }));
            }
        }
    }
}
