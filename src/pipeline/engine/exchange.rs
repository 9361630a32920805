//! On the driver: a job is run, and what comes back is held against what was sent.
//!
//! Each piece must come exactly once, with its ledger; each chunk at most once. What a chunk says that it was given must be
//! what all pieces together say that they sent, by number and by the sum of checksums: a frame that was lost, doubled,
//! changed or exchanged for another shows there. The driver needs memory for the chunks and the pieces, not for both
//! multiplied.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::frame::{FrameSum, PieceLedger};
use super::order::{Brings, Order, PieceOrder};
use super::{Engine, EngineError, Fault, Job, LEDGER};
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::selection::exclude::FoundUsers;
use crate::source::SourceError;
use crate::telemetry::Counters;

/// A job that is to be run.
pub struct Exchange<'a> {
    /// What it is for, for a person.
    pub name: String,
    /// Who runs it.
    pub engine: &'a dyn Engine,
    /// Where is said how far it is.
    pub telemetry: &'a Counters,
    /// What executors are given.
    pub order: Order,
    /// The pieces; empty: the parts of a table of the engine's own.
    pub pieces: &'a [PieceOrder],
    /// Of the chunks that an earlier job has brought: the frames that they were made of.
    pub done: &'a BTreeMap<u32, FrameSum>,
}

/// What all pieces have counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Their rows, by piece.
    pub pieces: BTreeMap<u32, ChunkTally>,
    /// Of a table: the sum of what its rows are hashed to (wrapping).
    pub content: u64,
}

impl Counted {
    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.pieces.values().map(|tally| tally.rows_read).sum()
    }
}

/// What a job has come to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The rows of all pieces.
    pub counted: Counted,
    /// The chunks that have rows, with the frames that they were made of.
    pub chunks: BTreeMap<u32, FrameSum>,
    /// The conversations of users that are left out, if the job looks for them.
    pub users: FoundUsers,
}

/// What came back.
#[derive(Default)]
struct Received {
    outcome: Outcome,
    sent: BTreeMap<u32, FrameSum>,
}

impl Exchange<'_> {
    /// Runs the job. `take` gets what each chunk brings that has rows, and says of which frames it was made. Gives what
    /// it has come to.
    ///
    /// # Errors
    /// What the engine or `take` fails with, or what was lost, doubled or changed.
    pub fn run(
        mut self,
        mut take: impl FnMut(u32, &[u8]) -> Result<FrameSum, SourceError>,
    ) -> Result<Outcome, SourceError> {
        self.order.done = self.done.keys().copied().collect();
        self.order = self.order.numbered();
        let job = Job {
            name: self.name.clone(),
            order: self.order.to_bytes(),
            pieces: self.pieces.iter().map(PieceOrder::to_bytes).collect(),
            has_text: self.order.brings.has_payloads(),
            chunks: self.order.chunks,
        };
        let telemetry = self.telemetry;
        // Users are looked for in pieces alone.
        let chunks = match self.order.brings {
            Brings::Users => 0,
            _ => u64::from(job.chunks),
        };
        let kept = self.done.len() as u64;
        telemetry.begin_job(&job.name, job.pieces.len() as u64, [chunks, kept]);
        let mut received = Received::default();
        self.engine.run(&job, &mut |chunk, bytes| {
            if chunk == LEDGER {
                let rows = received.ledger(&self, bytes)?;
                telemetry.job_has_piece(rows);
                return Ok(());
            }
            let number = chunk.cast_unsigned();
            if number >= self.order.chunks || self.done.contains_key(&number) {
                return Err(Fault::OtherChunk.of_chunk(chunk).into());
            }
            if received.outcome.chunks.contains_key(&number) {
                return Err(Fault::Twice.of_chunk(chunk).into());
            }
            (received.outcome.chunks).insert(number, take(number, bytes)?);
            telemetry.job_has_chunk();
            Ok(())
        })?;
        let outcome = received.whole(&self)?;
        telemetry.end_job();
        Ok(outcome)
    }
}

impl Received {
    /// Takes what a piece has counted; gives its rows.
    fn ledger(&mut self, of: &Exchange<'_>, bytes: &[u8]) -> Result<u64, EngineError> {
        let ledger = PieceLedger::from_bytes(bytes).map_err(|fault| EngineError::Exchange {
            what: "the count of a piece".to_owned(),
            fault,
        })?;
        let piece = ledger.piece;
        if ledger.job != of.order.job {
            return Err(Fault::OtherJob.of_piece(piece));
        }
        for (chunk, sum) in ledger.frames {
            self.sent.entry(chunk).or_default().add(sum);
        }
        self.outcome.users.merge(ledger.users);
        let counted = &mut self.outcome.counted;
        counted.content = counted.content.wrapping_add(ledger.content);
        let rows = ledger.tally.rows_read;
        match counted.pieces.insert(piece, ledger.tally) {
            Some(_) => Err(Fault::Twice.of_piece(piece)),
            None => Ok(rows),
        }
    }

    /// The job has ended: everything must be here.
    fn whole(mut self, of: &Exchange<'_>) -> Result<Outcome, EngineError> {
        let mut numbers = of.pieces.iter().map(|piece| piece.number);
        let came = &self.outcome.counted.pieces;
        if let Some(piece) = numbers.find(|piece| !came.contains_key(piece)) {
            return Err(Fault::Missing.of_piece(piece));
        }
        // None of these has come: they were not asked for.
        self.outcome.chunks.extend(of.done);
        let chunks = &self.outcome.chunks;
        let all: BTreeSet<u32> = self.sent.keys().chain(chunks.keys()).copied().collect();
        for chunk in all {
            let [arrived, sent] = [chunks, &self.sent].map(|sums| sums.get(&chunk).copied());
            if arrived.unwrap_or_default() != sent.unwrap_or_default() {
                return Err(Fault::Missing.of_chunk(chunk.cast_signed()));
            }
        }
        Ok(self.outcome)
    }
}
