//! Why a run ended without a dataset.

use std::time::Duration;

use thiserror::Error;

use crate::domain::dataset::accounting::{Imbalance, MalformedReport};
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::supervision::Cause;
use crate::runtime::JobError;
use crate::sink::SinkError;
use crate::source::SourceError;
use crate::spool::SpoolError;
use crate::spool::payloads::PayloadError;

use crate::pipeline::state::work_dir::WorkDirError;

/// Why a run ended without a dataset. The work directory is resumable after each of them, unless
/// it says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The source cannot be used at all.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A chunk could not be fetched.
    #[error("chunk {chunk} failed at attempt {attempt}: {error}")]
    Chunk {
        /// Which.
        chunk: Chunk,
        /// Its last attempt.
        attempt: u32,
        /// Why.
        error: SourceError,
    },
    /// The sink refused.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The work directory refused.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// A sealed chunk could not be written or read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A payload could not be read again.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// Too many rows cannot be read.
    #[error(
        "{malformed} of {rows} rows are malformed, more than the {percent}% that are allowed{examples}"
    )]
    TooManyMalformed {
        /// How many.
        malformed: u64,
        /// Of how many.
        rows: u64,
        /// `limits.max_malformed_percent`
        percent: f64,
        /// `; the first: not_json at a.jsonl:3, ...`
        examples: String,
        /// All that are listed.
        report: Box<MalformedReport>,
    },
    /// An actor died, and more had died in a short time than may be started again.
    #[error(
        "the {actor} {cause}, and more actors have ended in {} s than workers.restarts allows", .within.as_secs()
    )]
    ActorDied {
        /// Which.
        actor: String,
        /// How.
        cause: Cause,
        /// The window that restarts are counted in.
        within: Duration,
    },
    /// The supervisor died: nobody is left to start it again.
    #[error("the supervisor ended early")]
    SupervisorDied,
    /// A neighbour's mailbox was closed. The death watch says why, and the supervisor what follows.
    #[error("the {0} did not answer")]
    NoAnswer(&'static str),
    /// A job of the CPU pool did not end.
    #[error(transparent)]
    Job(#[from] JobError),
    /// No record is valid: there is nothing to publish.
    #[error("nothing to publish: no record is valid{}", listed(.reasons))]
    NothingToPublish {
        /// Why, a line each.
        reasons: Vec<String>,
    },
    /// The counts do not add up.
    #[error(transparent)]
    Imbalance(#[from] Imbalance),
    /// The settings and the parts given do not fit, such as a dataset name that is no name.
    #[error("{0}")]
    Settings(String),
    /// Somebody asked the run to stop.
    #[error("interrupted")]
    Interrupted,
    /// Somebody asked the run to stop at once.
    #[error("cancelled")]
    Cancelled,
    /// The source or the sink panicked where no actor was in between.
    #[error("the source or the sink panicked; if it is none of yours, please report it")]
    PartPanicked,
    /// The actor system or the runtime that the run lived in was stopped.
    #[error("the actor system that the run lived in was stopped")]
    HostStopped,
}

fn listed(reasons: &[String]) -> String {
    reasons
        .iter()
        .map(|reason| format!("\n  {reason}"))
        .collect()
}
