//! Exit codes, and how an error is shown: a sentence, a hint, a code.

use std::fmt;
use std::process::ExitCode;

use rustix::io::Errno;

use super::terminal::one_line;
use crate::config::ConfigError;
use crate::pipeline::state::work_dir::WorkDirError;
use crate::pipeline::{BuildError, RunError};
use crate::runtime::JobError;
use crate::sink::SinkError;
use crate::sink::azure_blob::settings::NO_CONTAINER;
use crate::source::SourceError;
#[cfg(feature = "kusto")]
use crate::source::kusto::error::Failure;
use crate::spool::SpoolError;
use crate::spool::payloads::PayloadError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Published and exact; verify: all good.
    Success = 0,
    /// Failed, resumable unless it says otherwise; verify: differences found.
    Failure = 1,
    /// Usage, configuration, a refused work directory, an existing dataset.
    Usage = 2,
    /// Published with a shortfall.
    Shortfall = 3,
    /// Interrupted, resumable.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// How the program ends.
    pub exit: Exit,
}

impl CliError {
    /// An error of usage or configuration.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            exit: Exit::Usage,
        }
    }

    /// A failure.
    pub fn failure(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failure,
            ..Self::usage(message, hint)
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What somebody typed in the wrong place is in the message.
        let message = crate::azure::redact_sas(&self.message);
        // A name with a line feed in it does not begin a line of its own.
        let message = message.replace('\n', "\n  ");
        write!(f, "error: {message}\n  hint: {}", self.hint)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::Unreadable { .. } => "check the path given with --config",
            ConfigError::Address(wrong) => wrong.hint,
            ConfigError::UnknownKey { .. } => {
                "correct the key; docs/configuration.md lists them all, and `gleaner export --help` the flags"
            }
            _ => "correct it and run the command again",
        };
        Self::usage(error.to_string(), hint)
    }
}

/// What to do about an error that leaves the work directory resumable.
const AGAIN: &str = "run the same command again: it goes on where it stopped";

/// The same after something that should never happen.
const DEFECT: &str = "run the same command again: it goes on where it stopped; unless --chaos asked for it this is a defect in gleaner, please report it";

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        let message = error.to_string();
        match &error {
            RunError::Interrupted | RunError::Cancelled | RunError::HostStopped => Self {
                message: "interrupted; nothing was published".to_owned(),
                hint: AGAIN.to_owned(),
                exit: Exit::Interrupted,
            },
            RunError::Source(error) | RunError::Chunk { error, .. } => source_error(message, error),
            RunError::Sink(error) => sink_error(message, error),
            RunError::WorkDir(error) => work_dir_error(message, error),
            RunError::Payload(PayloadError::Changed { sealed: false, .. }) => changed(message),
            RunError::Spool(error) => spool_error(message, error),
            RunError::TooManyMalformed { .. } => Self::failure(
                message,
                "check that the input is what it should be, or allow more with --max-malformed PERCENT",
            ),
            RunError::NothingToPublish { .. } => Self::failure(
                message,
                "nothing was published; change the selection or the input, and run the command again",
            ),
            RunError::ActorDied { .. }
            | RunError::SupervisorDied
            | RunError::Job(JobError::Panicked) => Self::failure(message, DEFECT),
            RunError::Settings(_)
            | RunError::Imbalance(_)
            | RunError::PartPanicked
            | RunError::NoAnswer(_) => Self::failure(message, AGAIN),
            RunError::Payload(_) | RunError::Job(_) => Self::failure(message, AGAIN),
        }
    }
}

fn changed(message: String) -> CliError {
    CliError::failure(
        message,
        "the input must not change during a run; once it is at rest, start over with --fresh",
    )
}

fn spool_error(message: String, error: &SpoolError) -> CliError {
    let hint = match error {
        SpoolError::Full { .. } => {
            "raise it with --set limits.spool=..., or export fewer files at once; then run the same command again"
        }
        SpoolError::Io { error, .. }
            if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) =>
        {
            "raise the limit of open files (`ulimit -n 4096`); then run the same command again"
        }
        SpoolError::Io { .. } => {
            "make room, or choose another disk with --work-dir; then run the same command again"
        }
        SpoolError::Superseded { .. } | SpoolError::CensusGone { .. } => AGAIN,
    };
    CliError::failure(message, hint)
}

fn source_error(message: String, error: &SourceError) -> CliError {
    let message = one_line(&message);
    match error {
        SourceError::NoInput(_) => CliError::usage(message, "check the paths given with --input"),
        SourceError::NotAFile { .. } => CliError::usage(
            message,
            "write what it gives into a file with a known ending and name that with --input",
        ),
        SourceError::DeadLink { .. } => CliError::usage(
            message,
            "bring back what it leads to (is a disk not mounted?), or correct or remove the link",
        ),
        SourceError::MixedShapes { .. } => CliError::usage(
            message,
            "export conversations and turns in two runs, each with its own --input",
        ),
        SourceError::Changed { .. } => changed(message),
        SourceError::Damaged { .. } => CliError::failure(
            message,
            "get the file again from where it came, then start over with --fresh",
        ),
        SourceError::PartialAnswer { .. } => CliError::failure(
            message,
            "ask again for less at once (a shorter time, fewer columns), and give the answers as several files",
        ),
        SourceError::Unsupported { hint, .. } => {
            let hint = hint.clone();
            CliError::failure(message, hint)
        }
        SourceError::SkippedInput { .. } => CliError::usage(
            message,
            "name the files to read with --input, move the others away, or leave out --strict-input",
        ),
        SourceError::Io { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            CliError::failure(message, "give this user the right to read it")
        }
        SourceError::Spool { source, .. } => match source.downcast_ref() {
            Some(error) => spool_error(message, error),
            None => CliError::failure(message, AGAIN),
        },
        #[cfg(feature = "kusto")]
        SourceError::Query { .. } => CliError::usage(
            message,
            "correct the query; `gleaner queries check FILE` says more, and queries/ has examples",
        ),
        SourceError::Cluster { .. } => CliError::usage(
            message,
            "write it as https://NAME.REGION.kusto.windows.net, or as a proxy's address with its path",
        ),
        #[cfg(feature = "kusto")]
        SourceError::Kusto(error) if matches!(error.failure, Failure::Audience(_)) => {
            CliError::usage(message, kusto_hint(&error.failure))
        }
        #[cfg(feature = "kusto")]
        SourceError::Kusto(error) => CliError::failure(message, kusto_hint(&error.failure)),
        SourceError::NotAsCensus { .. } => CliError::failure(
            message,
            "the telemetry changes while it is read: let the window end earlier (window.ingestion_lag), then start over with --fresh",
        ),
        SourceError::Io { .. }
        | SourceError::Job(_)
        | SourceError::Stopped
        | SourceError::Custom { .. } => CliError::failure(message, AGAIN),
    }
}

#[cfg(feature = "kusto")]
fn kusto_hint(failure: &Failure) -> &'static str {
    match failure {
        Failure::Login(_) | Failure::LoginAgain(_) | Failure::Unauthorized(_) => {
            "log in, or set source.kusto.credential; then run the same command again: it goes on where it stopped"
        }
        Failure::Audience(_) => {
            "check source.kusto.cluster; if it is yours and that is the right audience, add the audience's host to source.kusto.trusted_hosts"
        }
        Failure::Permanent(_) => {
            "correct the cluster, the database, the query or your rights on them; what is sealed stays"
        }
        Failure::Columns(_) | Failure::OtherHash(_) => {
            "correct the query; `gleaner queries check FILE` says more, and queries/ has examples"
        }
        Failure::ServerTimeout(_)
        | Failure::ClientTimeout(_)
        | Failure::TooLarge(_)
        | Failure::Runaway(_)
        | Failure::LowMemory(_) => {
            "more and smaller chunks (--chunks) or a shorter window (--window-last) ask for less at once"
        }
        Failure::NotAsCertified { .. } | Failure::Foreign { .. } => {
            "let the window end earlier (window.ingestion_lag) so that late rows have arrived, or run the same command again"
        }
        Failure::Connection(_) => {
            "check source.kusto.cluster and the network; then run the same command again: it goes on where it stopped"
        }
        Failure::Throttled { .. } | Failure::Server(_) | Failure::Damaged(_) => AGAIN,
    }
}

/// A sink's error for a person.
pub fn sink_error(message: String, error: &SinkError) -> CliError {
    let message = one_line(&message);
    match error {
        SinkError::Exists(_) => CliError::usage(
            message,
            "choose another name with --name, or another place with --out",
        ),
        SinkError::Claimed { .. } => CliError::usage(
            message,
            "let that run finish, or choose another name with --name; if that run is gone for good: gleaner unlock DATASET --run ID",
        ),
        SinkError::ClaimLost { .. } => CliError::usage(
            message,
            "somebody removed it with `gleaner unlock` or by hand: ask them, then run the same command again",
        ),
        SinkError::Unwritable { .. } => {
            CliError::failure(message, "choose a place that can be written with --out")
        }
        SinkError::Unusable { .. } => {
            CliError::usage(message, "correct it and run the command again")
        }
        SinkError::Conflict { .. } => CliError::failure(
            message,
            "see who put it there, and remove it; or choose another name with --name",
        ),
        SinkError::Remote { hint, .. } if *hint == NO_CONTAINER => CliError::usage(message, *hint),
        SinkError::Remote { hint, .. } => CliError::failure(message, *hint),
        SinkError::Timeout { .. } => CliError::failure(
            message,
            "see what holds it up, or raise workers.stall_timeout; then run the same command again: it goes on where it stopped",
        ),
        SinkError::Io { .. } | SinkError::Job(_) => CliError::failure(
            message,
            "make room if the disk is full; then run the same command again: it goes on where it stopped",
        ),
    }
}

fn work_dir_error(message: String, error: &WorkDirError) -> CliError {
    match error {
        WorkDirError::OtherSettings { .. } => CliError::usage(
            message,
            "choose another --work-dir, or start over in this one with --fresh",
        ),
        WorkDirError::OtherWindow { .. } => CliError::usage(
            message,
            "put {timestamp} into the name, choose another --name, or give the window that was published",
        ),
        WorkDirError::Busy { .. } => {
            CliError::usage(message, "wait for it, or choose another --work-dir")
        }
        WorkDirError::Damaged { .. } => CliError::usage(message, "start over with --fresh"),
        WorkDirError::Io(_) => CliError::failure(
            message,
            "choose a place that can be written with --work-dir",
        ),
    }
}

impl From<BuildError> for CliError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Config(error) => error.into(),
            BuildError::Source(error) => RunError::from(error).into(),
            BuildError::Sink(error) => sink_error(error.to_string(), &error),
            BuildError::WorkDir(error) => error.into(),
            BuildError::Start(_) => Self::failure(error.to_string(), "check the system's limits"),
            BuildError::RuleName(_) => Self::usage(error.to_string(), "rename the rule"),
        }
    }
}

impl From<WorkDirError> for CliError {
    fn from(error: WorkDirError) -> Self {
        work_dir_error(error.to_string(), &error)
    }
}
