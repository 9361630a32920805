//! What a run does: the configuration after validation. Every value is meaningful; nothing here
//! can be out of range.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::benchmarks::Decontamination;
use crate::domain::conversion::Preset;
use crate::domain::near_duplicates::NearDuplicates;
use crate::domain::privacy::policy::Policy;
use crate::domain::record::rename::Renames;
use crate::domain::record::row::RowShape;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::scheduling::fault_names::{Kind, Stage};
use crate::domain::selection::cut::Cut;
use crate::domain::selection::exclude::ExcludeList;
use crate::domain::selection::stratum::Selection;
use crate::sink::azure_blob::settings::AzureBlob;
use crate::source::kusto::settings::Kusto;
use crate::source::synthetic::settings::Synthetic;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The dataset's name with `{total}`, `{window}` and `{timestamp}` in it.
    pub name: String,
    /// The source of rows.
    pub source: Source,
    /// Fields that have other names in the input.
    pub fields: Renames,
    /// The schema of the rows; `None`: each row shows it by its fields.
    pub schema: Option<RowShape>,
    /// Of Copilot Chat telemetry: what turns are none of whose rows names a mode.
    pub mode_unknown: ModeUnknown,
    /// Whether telemetry may be a sample of what was sent.
    pub allow_sampled: bool,
    /// Ids that stand for "no id".
    pub ignore_ids: Vec<String>,
    /// Whether input with files that are not read (hidden, another ending, a dataset's own) is refused.
    pub strict_input: bool,
    /// The window of timestamps; `None`: all.
    pub window: Option<Window>,
    /// Number of chunks, and what happens to one that fails.
    pub chunks: Chunks,
    /// Strata, targets and seed.
    pub selection: Selection,
    /// `selection.cut`
    pub cut: Cut,
    /// The conversations and users that must not be in the dataset (`selection.exclude`). A host may set it.
    pub exclude: ExcludeList,
    /// The sink of the dataset.
    pub sink: Sink,
    /// `[privacy]`
    pub privacy: Policy,
    /// `[decontaminate]`, if it names files.
    pub decontamination: Option<Arc<Decontamination>>,
    /// `[near_duplicates]`, if its scope is not `off`.
    pub near_duplicates: Option<NearDuplicates>,
    /// Number of workers of each kind, and when one counts as stalled.
    pub workers: Workers,
    /// Limits of memory, disk and record size.
    pub limits: Limits,
    /// Presets that the program converts the dataset for, once it is published (`output.for`). A host
    /// that wants that calls [`convert`](crate::convert::convert).
    pub convert_for: Vec<Preset>,
    /// Faults to inject (`--chaos`); none by default.
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
    /// Synthetic telemetry.
    Synthetic(Synthetic),
    /// Azure Data Explorer.
    Kusto(Kusto),
    /// A source of the host's own, as it describes itself.
    Custom(serde_json::Value),
}

/// `[window]` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The timestamps inside.
    pub span: Span,
    /// Rows may arrive this late: a [`Span::Last`] ends this long before the run starts, and
    /// younger rows are ignored.
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
        /// Length of the window.
        length: Duration,
    },
}

/// `[chunks]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Hash chunks, or pieces of files: 1 to 100,000.
    pub count: NonZeroU32,
    /// Attempts on one chunk before the run fails: 1 to 100,000.
    pub max_attempts: NonZeroU32,
    /// Chunks that a published dataset may lack: 0 or more; always 0 for files.
    pub allow_missing: u32,
}

/// `[sink]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// The sink and its location.
    pub target: SinkTarget,
    /// One JSON array a file, or one record a line.
    pub format: Format,
    /// Whether nested objects of assembled records are written with sorted keys.
    pub sort_keys: SortKeys,
}

/// The sink and its location.
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
    /// Chunks fetched at once: 1 to 256.
    pub fetchers: NonZeroUsize,
    /// Batches validated at once: 1 to 256.
    pub validators: NonZeroUsize,
    /// Blocks written at once: 1 to 256.
    pub uploaders: NonZeroUsize,
    /// Restarts of actors within the window before the run fails; 0: none.
    pub restarts: usize,
    /// The window of `restarts`.
    pub restart_window: Duration,
    /// How long a worker may be busy without progress before it is replaced: 1 s or more.
    pub stall_timeout: Duration,
}

/// `[chaos]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chaos {
    /// Seed of the faults that are drawn.
    pub seed: u64,
    /// Number of faults that are drawn.
    pub faults: usize,
    /// A fault fires at one of the first `max_hits` hits of its site; 1 or more.
    pub max_hits: u64,
    /// Stages that get faults; empty: all.
    pub stages: Vec<Stage>,
    /// Kinds of faults that are drawn; empty: all.
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
