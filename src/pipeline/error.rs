//! Why a run ended without a dataset.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use crate::domain::dataset::accounting::{Imbalance, MalformedReport};
use crate::domain::dataset::groups::GroupInTwoSplits;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::supervision::Cause;
use crate::runtime::JobError;
use crate::sink::SinkError;
use crate::source::{DEFECT, INPUT_CHANGED, RERUN, SourceError};
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
    #[error("chunk {chunk} failed at attempt {attempt}")]
    Chunk {
        /// The chunk.
        chunk: Chunk,
        /// Its last attempt.
        attempt: u32,
        /// Why.
        source: SourceError,
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
        /// Malformed rows.
        malformed: u64,
        /// All rows.
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
        /// The name of the actor: `fetcher-2`.
        actor: String,
        /// How it ended.
        cause: Cause,
        /// The window that restarts are counted in.
        within: Duration,
    },
    /// The supervisor died, and nothing starts it again.
    #[error("the supervisor ended early")]
    SupervisorDied,
    /// A neighbour's mailbox was closed. The actor monitor says why, and the supervisor what follows.
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
    /// Conversations of one group are in two splits.
    #[error(transparent)]
    GroupInTwoSplits(#[from] GroupInTwoSplits),
    /// Asked again for a chunk that was read before, the source gave other rows.
    #[error("chunk {chunk} has other rows in another round")]
    ChunkChanged {
        /// The chunk.
        chunk: Chunk,
    },
    /// A wider census counts other conversations than the one before.
    #[error("a wider census counts other conversations than the census before it")]
    CensusChanged,
    /// A record was valid when it was compared, and not when it was to be written, or the other way round.
    #[error("a record came out differently when it was read again")]
    DecidedOtherwise,
    /// The manifest that an earlier start of the run has published is none.
    #[error("the metadata.json of {dataset} cannot be read")]
    PublishedManifest {
        /// The dataset.
        dataset: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The manifest cannot be made.
    #[error("metadata.json cannot be made")]
    Manifest {
        /// What the serializer said.
        source: serde_json::Error,
    },
    /// The run was asked to stop at once when its manifest was on its way, or there already.
    #[error("interrupted while {dataset} was being published: {}", publication(*.is_published))]
    InterruptedPublishing {
        /// The dataset.
        dataset: String,
        /// Whether the sink had said that the manifest is there.
        is_published: bool,
    },
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The run was asked to stop at once.
    #[error("cancelled")]
    Cancelled,
    /// The source or the sink panicked where no actor was in between.
    #[error("the source or the sink panicked")]
    PartPanicked,
    /// The actor system or the runtime that the run lived in was stopped.
    #[error("the actor system that the run lived in was stopped")]
    HostStopped,
}

impl RunError {
    /// What a person should do about it.
    pub fn hint(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Source(error) | Self::Chunk { source: error, .. } => return error.hint(),
            Self::Sink(error) => return error.hint(),
            Self::WorkDir(error) => error.hint(),
            Self::Payload(error) => error.hint(),
            Self::Spool(error) => error.hint(),
            Self::TooManyMalformed { .. } => {
                "correct the input and start over with --fresh, or allow more with --max-malformed PERCENT"
            }
            Self::NothingToPublish { .. } => {
                "nothing was published; change the selection or the input, and run the command again"
            }
            Self::ChunkChanged { .. } | Self::CensusChanged => INPUT_CHANGED,
            Self::PublishedManifest { .. } => {
                "somebody has changed it: see `gleaner verify`, or choose another name with --name"
            }
            Self::Imbalance(_) | Self::GroupInTwoSplits(_) => {
                "nothing was published; this is a defect in gleaner, please report it"
            }
            Self::Manifest { .. }
            | Self::ActorDied { .. }
            | Self::SupervisorDied
            | Self::DecidedOtherwise
            | Self::Job(JobError::Panicked) => DEFECT,
            Self::PartPanicked => {
                "run the same command again: it resumes where it stopped; if neither is of your own, please report it"
            }
            Self::Job(JobError::ShutDown)
            | Self::NoAnswer(_)
            | Self::InterruptedPublishing { .. }
            | Self::Interrupted
            | Self::Cancelled
            | Self::HostStopped => RERUN,
        })
    }
}

fn publication(is_published: bool) -> &'static str {
    match is_published {
        true => "it is published, its claim may be left",
        false => "it may be published, or not",
    }
}

fn listed(reasons: &[String]) -> String {
    reasons
        .iter()
        .map(|reason| format!("\n  {reason}"))
        .collect()
}
