//! What a run does: the configuration after validation. Every value is meaningful; nothing here
//! can be out of range.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::record::rename::Renames;
use crate::domain::record::row::RowShape;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::scheduling::fault_names::{Kind, Stage};
use crate::domain::selection::cut::Cut;
use crate::domain::selection::stratum::Selection;
use crate::sink::azure_blob::settings::AzureBlob;
use crate::source::kusto::settings::Kusto;
use crate::source::synthetic::settings::Synthetic;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The dataset's name with `{total}`, `{window}` and `{timestamp}` in it.
    pub name: String,
    /// Where rows come from.
    pub source: Source,
    /// Fields that have other names in the input.
    pub fields: Renames,
    /// What rows are; `None`: it is told by their fields.
    pub schema: Option<RowShape>,
    /// Of Copilot Chat telemetry: what turns are none of whose rows names a mode.
    pub mode_unknown: ModeUnknown,
    /// Whether telemetry may be a sample of what was sent.
    pub allow_sampled: bool,
    /// Ids that stand for "no id".
    pub ignore_ids: Vec<String>,
    /// Whether input with files that are not read (hidden, another ending, a dataset's own) is refused.
    pub strict_input: bool,
    /// Which timestamps count, as written; `None`: all.
    pub window: Option<Window>,
    /// How the work is cut.
    pub chunks: Chunks,
    /// What is sampled.
    pub selection: Selection,
    /// `selection.cut`
    pub cut: Cut,
    /// Where the dataset goes.
    pub sink: Sink,
    /// How many actors of each kind.
    pub workers: Workers,
    /// What a run may use.
    pub limits: Limits,
    /// What goes wrong on purpose, if that is asked for (`--chaos`).
    pub chaos: Chaos,
}

/// `source.mode_unknown`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeUnknown {
    /// They are left out, as turns of another mode.
    Drop,
    /// They are an agent's.
    Agent,
}

/// `[source]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files, folders and globs, as written.
    Files(Vec<PathBuf>),
    /// Made-up telemetry.
    Synthetic(Synthetic),
    /// Azure Data Explorer.
    Kusto(Kusto),
    /// A source of the host's own, as it describes itself.
    Custom(serde_json::Value),
}

/// `[window]` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Which timestamps are inside.
    pub span: Span,
    /// How late rows may arrive: a [`Span::Last`] ends this long before the run starts, and no row
    /// that is younger exists for the run.
    pub ingestion_lag: Duration,
    /// Rows this far behind the end exist, only to see which conversations the end cuts.
    pub slack: Duration,
}

/// The timestamps of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Absolute: `start <= Timestamp < end`; one side may be open.
    Between {
        /// First instant inside.
        start: Option<UtcInstant>,
        /// First instant outside.
        end: Option<UtcInstant>,
    },
    /// The last while before the run starts.
    Last {
        /// As written, for the dataset's name: `15d`.
        text: String,
        /// How long.
        length: Duration,
    },
}

/// `[chunks]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Hash chunks, or pieces of files.
    pub count: NonZeroU32,
    /// Tries of one chunk before the run fails.
    pub max_attempts: NonZeroU32,
    /// How many may be missing from what is published.
    pub allow_missing: u32,
}

/// `[sink]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Which sink.
    pub target: SinkTarget,
    /// One JSON array a file, or one record a line.
    pub format: Format,
    /// Whether nested objects of assembled records are written with sorted keys.
    pub sort_keys: SortKeys,
}

/// Which sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTarget {
    /// A folder that holds datasets.
    Local(PathBuf),
    /// A container of Azure Blob Storage.
    AzureBlob(AzureBlob),
    /// A sink of the host's own, by its location.
    Custom(String),
}

/// The format of the stratum files; also their ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One array, a record a line.
    Json,
    /// A record a line.
    Jsonl,
}

/// When nested objects are written with sorted keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKeys {
    /// Only where the source does not keep their order (Kusto).
    Auto,
    /// In every assembled record.
    Always,
}

/// `[workers]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// Chunks fetched at once.
    pub fetchers: NonZeroUsize,
    /// Batches validated at once.
    pub validators: NonZeroUsize,
    /// Blocks written at once.
    pub uploaders: NonZeroUsize,
    /// How often dead actors are started again within the window before the run fails.
    pub restarts: usize,
    /// The window.
    pub restart_window: Duration,
    /// How long a worker may be busy without progress before it is replaced.
    pub stall_timeout: Duration,
}

/// `[chaos]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chaos {
    /// Of the faults that are drawn.
    pub seed: u64,
    /// How many are drawn.
    pub faults: usize,
    /// Each strikes at one of the first so many hits of its site.
    pub max_hits: u64,
    /// Where; empty: everywhere.
    pub stages: Vec<Stage>,
    /// What; empty: everything.
    pub kinds: Vec<Kind>,
    /// These faults instead of drawn ones, if it is not empty: `fetch:3:hang dedup:1:abort`.
    pub plan: String,
}

/// `[limits]`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Payload on its way between actors.
    pub in_flight: u64,
    /// Sealed chunks on disk.
    pub spool: u64,
    /// The largest row, and the largest assembled conversation.
    pub max_record: u64,
    /// The share of malformed rows above which the run fails.
    pub max_malformed_percent: f64,
}
