//! Exit codes, and how an error is shown: a sentence, a hint, a code. What an error says and what to
//! do about it stands beside the error; here is which code it ends with.

use std::fmt;
use std::process::ExitCode;

use super::terminal::{clean, one_line};
use crate::config::ConfigError;
use crate::convert::ConvertError;
use crate::domain::describe_error;
use crate::pipeline::state::work_dir::WorkDirError;
use crate::pipeline::{BuildError, RunError};
use crate::sink::SinkError;
use crate::sink::azure_blob::settings::NO_CONTAINER;
use crate::source::SourceError;
#[cfg(feature = "kusto")]
use crate::source::kusto::error::Failure;
use crate::tokenizer::TokenizerError;
use crate::verify::VerifyError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// What an error is about, for a program that has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The arguments or the configuration.
    Config,
    /// What is read: files, a cluster, its rows.
    Input,
    /// Where the dataset goes.
    Output,
    /// The folder with which a stopped run goes on.
    WorkDir,
    /// A published dataset that is read.
    Dataset,
    /// The run itself: it was stopped, the system refused something, or gleaner has a defect.
    Run,
}

/// An error for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// What happened, in one line.
    pub message: String,
    /// More of it, a line each.
    pub details: Vec<String>,
    /// What the user can do.
    pub hint: String,
    /// The exit code.
    pub exit: Exit,
    /// What it is about.
    pub about: About,
}

impl CliError {
    /// An error of usage or configuration.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            details: Vec::new(),
            hint: hint.into(),
            exit: Exit::Usage,
            about: About::Config,
        }
    }

    /// A failure.
    pub fn failure(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failure,
            about: About::Run,
            ..Self::usage(message, hint)
        }
    }

    /// The same, about something else.
    #[must_use]
    fn about(self, about: About) -> Self {
        Self { about, ..self }
    }

    /// The same with more lines.
    #[must_use]
    fn with_details(self, details: impl IntoIterator<Item = String>) -> Self {
        Self {
            details: details.into_iter().collect(),
            ..self
        }
    }
}

impl CliError {
    /// All of it as it may be shown: the message, more of it and the hint, a line each.
    pub fn text(&self) -> String {
        // A secret that was typed in the wrong place is in the message.
        let line = |text: &str| one_line(&crate::azure::redact_sas(text));
        let mut out = line(&self.message);
        for detail in &self.details {
            out.push_str(&format!("\n  {}", line(detail)));
        }
        out.push_str(&format!("\n  hint: {}", line(&self.hint)));
        clean(&out)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.text())
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        match error {
            // The parser shows the place under the line.
            ConfigError::Toml { path, reason } => {
                Self::usage(format!("{} is no valid TOML", path.display()), hint)
                    .with_details(reason.lines().map(str::to_owned))
            }
            error => Self::usage(describe_error(&error), hint),
        }
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        let hint = error.hint().into_owned();
        let (exit, about) = (exit_of(&error), about(&error));
        let (message, details) = match error {
            RunError::Interrupted | RunError::Cancelled => {
                ("interrupted; nothing was published".to_owned(), Vec::new())
            }
            RunError::NothingToPublish { reasons } => {
                ("nothing to publish: no record is valid".to_owned(), reasons)
            }
            RunError::WorkDir(error) => return error.into(),
            error => (describe_error(&error), Vec::new()),
        };
        Self {
            message,
            details,
            hint,
            exit,
            about,
        }
    }
}

fn about(error: &RunError) -> About {
    match error {
        RunError::Source(_)
        | RunError::Chunk { .. }
        | RunError::TooManyMalformed { .. }
        | RunError::NothingToPublish { .. }
        | RunError::ChunkChanged { .. } => About::Input,
        RunError::Sink(_) | RunError::PublishedManifest { .. } => About::Output,
        RunError::WorkDir(_) | RunError::Spool(_) => About::WorkDir,
        _ => About::Run,
    }
}

fn exit_of(error: &RunError) -> Exit {
    match error {
        RunError::Interrupted
        | RunError::Cancelled
        | RunError::InterruptedPublishing { .. }
        | RunError::HostStopped => Exit::Interrupted,
        RunError::Source(error) | RunError::Chunk { source: error, .. } => exit_of_source(error),
        RunError::Sink(error) => exit_of_sink(error),
        _ => Exit::Failure,
    }
}

fn exit_of_source(error: &SourceError) -> Exit {
    match error {
        SourceError::NoInput(_)
        | SourceError::NotGiven { .. }
        | SourceError::NotAFile { .. }
        | SourceError::DeadLink { .. }
        | SourceError::MixedShapes { .. }
        | SourceError::OtherSchema { .. }
        | SourceError::NoGroups { .. }
        | SourceError::Sampled { .. }
        | SourceError::SkippedInput { .. }
        | SourceError::Cluster { .. } => Exit::Usage,
        #[cfg(feature = "kusto")]
        SourceError::Query { .. } => Exit::Usage,
        #[cfg(feature = "kusto")]
        SourceError::Kusto(error) if matches!(error.source, Failure::Audience(_)) => Exit::Usage,
        _ => Exit::Failure,
    }
}

fn exit_of_sink(error: &SinkError) -> Exit {
    match error {
        SinkError::Exists(_)
        | SinkError::Link { .. }
        | SinkError::Claimed { .. }
        | SinkError::ClaimLost { .. }
        | SinkError::Unusable { .. } => Exit::Usage,
        SinkError::Remote { hint, .. } if *hint == NO_CONTAINER => Exit::Usage,
        SinkError::GivenUp { source, .. } => exit_of_sink(source),
        _ => Exit::Failure,
    }
}

impl From<SinkError> for CliError {
    fn from(error: SinkError) -> Self {
        Self {
            exit: exit_of_sink(&error),
            about: About::Output,
            ..Self::failure(describe_error(&error), error.hint())
        }
    }
}

impl From<BuildError> for CliError {
    fn from(error: BuildError) -> Self {
        let hint = error.hint().into_owned();
        match error {
            BuildError::Config(error) => error.into(),
            BuildError::Source(error) => RunError::from(error).into(),
            BuildError::Sink(error) => error.into(),
            BuildError::WorkDir(error) => error.into(),
            error @ BuildError::Start(_) => Self::failure(describe_error(&error), hint),
            error @ BuildError::RuleName(_) => Self::usage(error.to_string(), hint),
        }
    }
}

impl From<WorkDirError> for CliError {
    fn from(error: WorkDirError) -> Self {
        let hint = error.hint();
        let refused = match error {
            WorkDirError::OtherSettings { path, diff } => {
                let path = path.display();
                let what =
                    format!("the work directory {path} belongs to a run with other settings");
                Self::usage(what, hint).with_details(diff)
            }
            error @ WorkDirError::Io(_) => Self::failure(describe_error(&error), hint),
            error => Self::usage(error.to_string(), hint),
        };
        refused.about(About::WorkDir)
    }
}

impl From<ConvertError> for CliError {
    fn from(error: ConvertError) -> Self {
        let hint = error.hint().into_owned();
        match error {
            ConvertError::Dataset(error) => error.into(),
            ConvertError::Sink(error) => error.into(),
            error @ (ConvertError::Format { .. }
            | ConvertError::Columns { .. }
            | ConvertError::SplitNames { .. }) => Self::usage(error.to_string(), hint),
            ConvertError::Changed { location, findings } => {
                let found = findings
                    .iter()
                    .map(|found| format!("{}: {}", found.path, found.what));
                Self::failure(format!("{location} is not as it was published"), hint)
                    .with_details(found)
                    .about(About::Dataset)
            }
            error => Self::failure(describe_error(&error), hint).about(About::Dataset),
        }
    }
}

impl From<TokenizerError> for CliError {
    fn from(error: TokenizerError) -> Self {
        Self::usage(describe_error(&error), error.hint())
    }
}

impl From<VerifyError> for CliError {
    fn from(error: VerifyError) -> Self {
        let message = describe_error(&error);
        let refused = match error {
            VerifyError::Io { .. } if message.contains(NO_CONTAINER) => {
                Self::usage(message, "correct the address, or have the container made")
            }
            error @ VerifyError::Converted { .. } => Self::usage(message, error.hint()),
            error => Self::failure(message, error.hint()),
        };
        refused.about(About::Dataset)
    }
}
