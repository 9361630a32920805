//! What goes wrong with a sink, what the pipeline does about it, and what a person can do.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use super::Action;

/// The errors of a sink.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// There is a dataset of that name.
    #[error("the dataset {0} exists already and is never overwritten")]
    Exists(String),
    /// Under the name of the dataset lies a symbolic link.
    #[error("{path} is a symbolic link, and nothing is written through one")]
    Link {
        /// The link.
        path: String,
    },
    /// Another run is writing it.
    #[error("{dataset} belongs to run {run_id}, which claimed it at {since}")]
    Claimed {
        /// The dataset.
        dataset: String,
        /// The other run.
        run_id: String,
        /// When it made the claim, RFC 3339.
        since: String,
    },
    /// The run's own claim was taken away.
    #[error("the claim of run {run_id} on {dataset} was taken away, nothing more is written there")]
    ClaimLost {
        /// The dataset.
        dataset: String,
        /// The run that had it.
        run_id: String,
    },
    /// The sink cannot be written at all.
    #[error("cannot write to {location}: {reason}")]
    Unwritable {
        /// The location, without secrets.
        location: String,
        /// The error of the operating system.
        reason: String,
    },
    /// The settings of the sink cannot be used.
    #[error("cannot use {location}: {reason}")]
    Unusable {
        /// The location, without secrets.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Under the name of a file of the dataset lies something else.
    #[error("{path} is there already, and is not what this run writes")]
    Conflict {
        /// The file.
        path: String,
    },
    /// A service did not do what it was asked for.
    #[error("cannot {action} {path}: {reason}")]
    Remote {
        /// The operation that failed: `stage`, `commit`, ...
        action: &'static str,
        /// The file or container.
        path: String,
        /// The error of the service or the connection, without secrets.
        reason: String,
        /// What the user can do.
        hint: &'static str,
        /// Whether the service answered that it will not do it (HTTP 4xx), so that nothing was changed.
        is_refusal: bool,
    },
    /// It does not answer.
    #[error("no answer for {} s when asked to {action} {path}", .timeout.as_secs())]
    Timeout {
        /// The operation that failed: `stage`, `commit`, ...
        action: &'static str,
        /// The file or container.
        path: String,
        /// Time waited.
        timeout: Duration,
    },
    /// Work on the sink did not come to its end.
    #[error(transparent)]
    Job(#[from] crate::runtime::JobError),
    /// It has asked for the same call again until all attempts were used up.
    #[error("cannot {action} {path}: given up after {attempts} attempts")]
    GivenUp {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: String,
        /// How often.
        attempts: u32,
        /// What the last one said.
        source: Box<SinkError>,
    },
    /// A sink of somebody's own could not do it.
    #[error("{reason}")]
    Custom {
        /// Why: no text of a conversation, and no secret.
        reason: String,
        /// What to do about it: a call cannot be split, and has no census.
        action: Action,
    },
    /// Something failed on the way.
    #[error("cannot {action} {path}")]
    Io {
        /// `stage`, `commit`, ...
        action: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SinkError {
    /// Whether the same call is to be made again.
    pub fn action(&self) -> Action {
        use std::io::ErrorKind::{
            ConnectionAborted, ConnectionReset, Interrupted, ResourceBusy, TimedOut, WouldBlock,
        };
        match self {
            Self::Custom { action, .. } => *action,
            Self::Io { source, .. } => match source.kind() {
                ConnectionAborted | ConnectionReset | Interrupted | ResourceBusy | TimedOut
                | WouldBlock => Action::Retry,
                _ => Action::Fail,
            },
            // A service has been asked again for as long as its settings say.
            _ => Action::Fail,
        }
    }

    /// What a person should do about it.
    pub fn hint(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Exists(_) => "choose another name with --name, or another place with --out",
            Self::Claimed {
                dataset, run_id, ..
            } => {
                return Cow::Owned(format!(
                    "let that run finish, or choose another name with --name; if that run is gone for good: `gleaner unlock {dataset} --run {run_id} --yes`"
                ));
            }
            Self::Link { .. } => "remove the link, or choose another name with --name",
            Self::ClaimLost { .. } => {
                "somebody removed it with `gleaner unlock` or by hand: ask them, then run the same command again"
            }
            Self::Unwritable { .. } => "choose a place that can be written with --out",
            Self::Unusable { .. } => "correct it and run the command again",
            Self::Conflict { .. } => {
                "see who put it there, and remove it; or choose another name with --name"
            }
            Self::Remote { hint, .. } => hint,
            Self::GivenUp { source, .. } => return source.hint(),
            Self::Custom { .. } => {
                "see to what the sink says; then run the same command again: it resumes where it stopped"
            }
            Self::Timeout { .. } => {
                "see what holds it up, or raise workers.stall_timeout; then run the same command again: it resumes where it stopped"
            }
            Self::Io { .. } | Self::Job(_) => {
                "make room if the disk is full; then run the same command again: it resumes where it stopped"
            }
        })
    }
}
