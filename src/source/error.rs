//! Why a source could not deliver, and what to do about it.

use std::borrow::Cow;
use std::path::PathBuf;

use thiserror::Error;

#[cfg(feature = "kusto")]
use super::kusto;
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::retry::Action;

/// What to do when the work directory is left resumable.
pub(crate) const RERUN: &str = "run the same command again: it resumes where it stopped";

/// The same after something that should never happen.
pub(crate) const DEFECT: &str = "run the same command again: it resumes where it stopped; unless --chaos asked for it this is a defect in gleaner, please report it";

/// What to do when an input is not what it was.
pub(crate) const INPUT_CHANGED: &str =
    "the input must not change during a run; once it is at rest, start over with --fresh";

/// What to do about a query that does not fit.
#[cfg(feature = "kusto")]
pub(crate) const QUERY_HINT: &str =
    "correct the query; `gleaner queries check FILE` says more, and queries/ has examples";

/// Why a source could not deliver, and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing matched the configured paths.
    #[error("no input: {0}")]
    NoInput(String),
    /// The source has no such chunk: it was asked for one of another source.
    #[error("the source has no chunk {chunk}")]
    UnknownChunk {
        /// What was asked for.
        chunk: Chunk,
    },
    /// The settings name a source of the host's own, and the host has given none.
    #[error("the source {described} was not given")]
    NotGiven {
        /// What the settings say of it.
        described: String,
    },
    /// Something is named like rows, or was named, and cannot be read as often as needed.
    #[error("{path} is {what}, and only regular files can be read")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// `a pipe`, ...
        what: &'static str,
    },
    /// A link leads nowhere.
    #[error("{path} is a link to {target}, which does not exist")]
    DeadLink {
        /// The link.
        path: PathBuf,
        /// The target of the link.
        target: PathBuf,
    },
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A compressed or Parquet file is damaged.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error of the decoder.
        reason: String,
    },
    /// A file holds an answer of a query API that says that it is not the whole one.
    #[error("{path} is not the whole answer to its query: {reason}")]
    PartialAnswer {
        /// The file.
        path: PathBuf,
        /// The codes of the error, and its message.
        reason: String,
    },
    /// A file is whole, but uses what cannot be read.
    #[error("{path} cannot be read: it uses {what}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The feature, with what is supported.
        what: String,
        /// What the user can do.
        hint: String,
    },
    /// Files were left out, and the settings say that none may be.
    #[error("source.strict_input: {count} files of the input are not read: {listed}")]
    SkippedInput {
        /// The number of files.
        count: usize,
        /// The first of them, each with its reason.
        listed: String,
    },
    /// An input is no longer what it was when the run started.
    #[error("{path} has changed since the run started: {what}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// What has changed: size, time or content.
        what: String,
    },
    /// Rows of several schemas in one run.
    #[error("the input mixes {} schemas: {}", rows.len(), sentence(rows))]
    MixedShapes {
        /// The first row of each, as `file:line`.
        rows: Vec<(RowShape, String)>,
    },
    /// Rows of another schema than `source.schema` says.
    #[error("source.schema is \"{}\", but {}", said.name(), sentence(rows))]
    OtherSchema {
        /// What was said.
        said: RowShape,
        /// The first row of each other schema, as `file:line`.
        rows: Vec<(RowShape, String)>,
    },
    /// No row names a group, and groups decide the split.
    #[error("selection.split_by is {field:?}, but {}", no_groups(*assembled, first, fields))]
    NoGroups {
        /// `selection.split_by`
        field: String,
        /// The schema of rows whose records never have that field.
        assembled: Option<RowShape>,
        /// The first row, as `file:line`.
        first: String,
        /// The names of its fields.
        fields: Vec<String>,
    },
    /// Telemetry that is only a sample of what was sent.
    #[error(
        "the telemetry is sampled: {rows} rows stand for others that are missing (ItemCount above 1); the first is {first}"
    )]
    Sampled {
        /// How many rows.
        rows: u64,
        /// `file:line` of the first.
        first: String,
    },
    /// A request to a cluster failed.
    #[cfg(feature = "kusto")]
    #[error(transparent)]
    Kusto(Box<kusto::error::KustoError>),
    /// A query file cannot be used.
    #[cfg(feature = "kusto")]
    #[error("the query file {path} cannot be used")]
    Query {
        /// The file.
        path: PathBuf,
        /// Why.
        source: kusto::query::QueryError,
    },
    /// The address of a cluster cannot be used.
    #[error("source.kusto.cluster = \"{cluster}\" cannot be used: {reason}")]
    Cluster {
        /// As written.
        cluster: String,
        /// The cause, in one line.
        reason: String,
    },
    /// The payloads are not those of the census.
    #[error(
        "the payloads do not fit the census: {missing} conversations are missing, {surplus} are too many, {changed} have changed since"
    )]
    NotAsCensus {
        /// In the census, but not delivered.
        missing: u64,
        /// Delivered, but not in the census or twice.
        surplus: u64,
        /// With another number of turns or another time.
        changed: u64,
    },
    /// Writing a sealed chunk failed.
    #[error("cannot write to the work directory")]
    Spool {
        /// The error of the work directory.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What the user can do.
        hint: &'static str,
        /// Whether the same may succeed a moment later.
        is_transient: bool,
    },
    /// Work on the rows did not come to its end.
    #[error(transparent)]
    Job(#[from] crate::runtime::JobError),
    /// An engine (Spark, Ray) could not do a job.
    #[error("{reason}")]
    Engine {
        /// The cause, without text of a conversation or a secret.
        reason: String,
        /// What to do about it, if that is known.
        hint: Option<String>,
    },
    /// A table has other rows than when it was read first.
    #[error("the table has other rows each time that it is evaluated")]
    TableChanged,
    /// An engine has lost, doubled or changed what goes between two stages of a job.
    #[error("the engine's exchange cannot be trusted: {reason}")]
    Exchange {
        /// What was noticed.
        reason: String,
    },
    /// A source of the host's own failed.
    #[error("{reason}")]
    Custom {
        /// The cause, without text of a conversation or a secret.
        reason: String,
        /// What the pipeline does next.
        action: Action,
    },
    /// The run is stopping.
    #[error("the run was stopped")]
    Stopped,
}

/// Why no row names a group.
fn no_groups(assembled: Option<RowShape>, first: &str, fields: &[String]) -> String {
    match assembled {
        Some(shape) => format!(
            "{first} is {}: the records of such rows have no other field than userName that could say who belongs together",
            shape.description()
        ),
        None => format!(
            "no row has a text there; the fields of {first} are {}",
            fields.join(", ")
        ),
    }
}

/// The first row of each schema, in a sentence.
fn sentence(rows: &[(RowShape, String)]) -> String {
    let first = |(shape, place): &(RowShape, String)| format!("{place} is {}", shape.description());
    rows.iter().map(first).collect::<Vec<_>>().join(", ")
}

impl SourceError {
    /// What the pipeline does next.
    pub fn action(&self) -> Action {
        use std::io::ErrorKind::{InvalidInput, NotFound, PermissionDenied};
        match self {
            #[cfg(feature = "kusto")]
            Self::Kusto(error) => error.source.action(),
            Self::Custom { action, .. } => *action,
            Self::NotAsCensus { .. } => Action::RetryThenRefetchCensus,
            Self::Io { source, .. }
                if !matches!(source.kind(), NotFound | PermissionDenied | InvalidInput) =>
            {
                Action::Retry
            }
            // An attempt that panics is discarded, like one that fails.
            Self::Job(crate::runtime::JobError::Panicked) => Action::Retry,
            Self::Spool {
                is_transient: true, ..
            } => Action::Retry,
            _ => Action::Fail,
        }
    }

    fn hint_of_engine(&self) -> &str {
        match self {
            Self::Engine {
                hint: Some(hint), ..
            } => hint,
            Self::TableChanged => {
                "nothing was published; write it to a table or to files first, and export that (rand(), uuid(), the time of now and functions of yours may give other rows each time); then start over with --fresh"
            }
            Self::Exchange { .. } => {
                "nothing was published; run the same command again, and should it come again, use another engine or one machine"
            }
            _ => {
                "see the log of the executor that failed; then run the same command again: what is done stays done"
            }
        }
    }

    /// What a person should do about it.
    pub fn hint(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::NoInput(_) => "check the paths given with --input",
            Self::UnknownChunk { .. } => DEFECT,
            Self::NotGiven { .. } => "give it to the builder with `source`",
            Self::NotAFile { .. } => {
                "write what it gives into a file with a known ending and name that with --input"
            }
            Self::DeadLink { .. } => {
                "bring back what it leads to (is a disk not mounted?), or correct or remove the link"
            }
            Self::MixedShapes { .. } => {
                "export each schema in a run of its own, with its own --input"
            }
            Self::OtherSchema { .. } => {
                "say the schema that the rows have (--schema), or leave it to their fields (--schema auto)"
            }
            Self::NoGroups { .. } => {
                "name the field of a conversation that says who belongs together, such as userName; rows of turns and telemetry can be split by userName or by conversationId, which is the default"
            }
            Self::Sampled { .. } => {
                "sampled conversations lack rows that nobody can bring back; to take what is there all the same, set source.allow_sampled=true"
            }
            Self::Changed { .. } => INPUT_CHANGED,
            Self::Damaged { .. } => {
                "get the file again from where it came, then start over with --fresh"
            }
            Self::PartialAnswer { .. } => {
                "ask again for less at once (a shorter time, fewer columns), and give the answers as several files"
            }
            Self::Unsupported { hint, .. } => hint,
            Self::SkippedInput { .. } => {
                "name the files to read with --input, move the others away, or leave out --strict-input"
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "give this user the right to read it"
            }
            Self::Spool { hint, .. } => hint,
            #[cfg(feature = "kusto")]
            Self::Query { .. } => QUERY_HINT,
            Self::Cluster { .. } => {
                "write it as https://NAME.REGION.kusto.windows.net, or as a proxy's address with its path"
            }
            #[cfg(feature = "kusto")]
            Self::Kusto(error) => error.source.hint(),
            Self::NotAsCensus { .. } => {
                "the telemetry changes while it is read: let the window end earlier (window.ingestion_lag), then start over with --fresh"
            }
            Self::Engine { .. } | Self::TableChanged | Self::Exchange { .. } => {
                self.hint_of_engine()
            }
            Self::Io { .. } | Self::Job(_) | Self::Stopped | Self::Custom { .. } => RERUN,
        })
    }
}
