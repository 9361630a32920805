//! Engines that others run (Spark, Ray): they schedule and shuffle, gleaner does the rest.
//!
//! A job has two stages on executors. A `scan` reads a piece of the input and gives frames of rows, each for a hash chunk;
//! the engine brings those of a chunk together; a `group` makes of them the chunk's census, or the records of the
//! conversations that are wanted. The driver holds what comes back against what was sent (`exchange`), remembers it
//! (`store`), and is a source ([`EngineSource`]): all else (rounds, near-duplicates, privacy, reports, sinks, resuming) is
//! the run as it always is.
//!
//! An engine is not trusted: it may run a task twice, and lose, double or exchange what goes between stages. See
//! `docs/adr/0019-an-engine-is-a-source.md`.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::source::SourceError;

mod census;
mod exchange;
mod frame;
mod group;
mod input;
mod jobs;
mod order;
mod records;
mod scan;
mod source;
mod store;

pub use group::group;
pub use input::{EngineInput, EngineParts};
pub use order::{EngineRules, PieceOrder};
pub use scan::Scan;
pub use source::EngineSource;

/// The number, among those of chunks, under which a scan sends the ledger of its piece.
pub const LEDGER: i32 = -1;

/// A job of an engine: every piece is scanned, what comes of it is brought together by chunk, and grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What it is for, for a person.
    pub name: String,
    /// What [`Scan::new`] and [`group`] are given.
    pub order: Vec<u8>,
    /// What [`Scan::new`] is given of each piece; empty: the engine has a table of its own, whose parts it gives to
    /// [`Scan::of`].
    pub pieces: Vec<Vec<u8>>,
    /// Whether what comes back may be large: it has the text of conversations.
    pub has_text: bool,
    /// Hash chunks: the engine may bring several together.
    pub chunks: u32,
}

/// Takes what a group gives, by chunk ([`LEDGER`]: of a piece). What it refuses ends the job.
pub type Take<'a> = dyn FnMut(i32, &[u8]) -> Result<(), SourceError> + 'a;

/// What schedules and shuffles.
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// Its name, for the manifest: `spark`.
    fn name(&self) -> &str;

    /// Whether it has a table of its own, and reads no files.
    fn has_table(&self) -> bool {
        false
    }

    /// Runs a job. A task may run again, and only what one of its runs gives may be taken.
    ///
    /// # Errors
    /// Why the job failed, for a person; or what `take` refused.
    fn run(&self, job: &Job, take: &mut Take<'_>) -> Result<(), SourceError>;

    /// Ends the job that runs now, from another thread, if there is one.
    fn stop(&self);
}

/// What is wrong with something that an engine has delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// Its checksum does not fit, or it cannot be read.
    #[error("was damaged")]
    Damaged,
    /// It was delivered before.
    #[error("came twice")]
    Twice,
    /// It is another chunk's.
    #[error("went to another chunk")]
    OtherChunk,
    /// It is another job's.
    #[error("is of another job")]
    OtherJob,
    /// It did not arrive.
    #[error("did not arrive, or not as it was sent")]
    Missing,
    /// A piece has other rows than when it was read first.
    #[error("is another than when it was read first")]
    Changed,
}

impl Fault {
    fn of_chunk(self, chunk: i32) -> EngineError {
        EngineError::Exchange {
            what: format!("what was sent for chunk {chunk}"),
            fault: self,
        }
    }

    fn of_piece(self, piece: u32) -> EngineError {
        EngineError::Exchange {
            what: format!("the count of piece {piece}"),
            fault: self,
        }
    }
}

/// Why a stage failed.
#[derive(Debug, Error)]
pub enum EngineError {
    /// An order cannot be carried out.
    #[error("the order of a job cannot be read: {reason}")]
    Order {
        /// Why.
        reason: String,
    },
    /// The engine has lost, doubled or changed something.
    #[error("{what} {fault}")]
    Exchange {
        /// What of it.
        what: String,
        /// What is wrong.
        fault: Fault,
    },
    /// A file is not where the driver has found it.
    #[error("{} is not there on the machine of an executor", path.display())]
    NotThere {
        /// The file.
        path: PathBuf,
    },
    /// A part of a table cannot be read.
    #[error("part {number} of the table: {reason}")]
    Part {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
    },
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl EngineError {
    /// What is wrong with a part of a table, without the name of the file that it passes through.
    pub fn of_part(number: u32, error: SourceError) -> Self {
        match error {
            SourceError::Damaged { reason, .. } => Self::Part { number, reason },
            SourceError::Unsupported { what, hint, .. } => Self::Part {
                number,
                reason: format!("{what}; {hint}"),
            },
            other => Self::Source(other),
        }
    }

    fn order(reason: &dyn fmt::Display) -> Self {
        Self::Order {
            reason: reason.to_string(),
        }
    }
}

impl From<EngineError> for SourceError {
    fn from(error: EngineError) -> Self {
        let reason = error.to_string();
        let hint = match error {
            EngineError::Source(error) => return error,
            EngineError::Exchange { .. } => return Self::Exchange { reason },
            EngineError::Order { .. } => {
                "install one version of gleaner-sft on the driver and on all executors"
            }
            EngineError::NotThere { .. } => {
                "put the input where all machines see it under the paths of the driver's (a volume, NFS)"
            }
            EngineError::Part { .. } => "mend the table, then start over with --fresh",
        };
        Self::Engine {
            reason,
            hint: Some(hint.to_owned()),
        }
    }
}
