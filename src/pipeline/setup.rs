//! From settings to the parts of a run: the source, the sink, what is pinned.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::builder::BuildError;
use super::work_dir::{RunRecord, RunState, WorkDir};
use crate::config::name;
use crate::config::settings::{Kusto, Settings, SinkTarget, Source, Window};
use crate::domain::manifest::{SelectionRecord, hex};
use crate::sink::azure_blob::AzureBlob;
use crate::sink::local_dir::LocalDir;
use crate::sink::{DatasetSink, SinkError};
use crate::source::files::FilesSource;
use crate::source::kusto::{KustoSource, Population};
use crate::source::synthetic::SyntheticSource;
use crate::source::{ConversationSource, SourceError};
use crate::telemetry::RunInfo;

/// The work directory of a run that was not told another.
pub fn default_work_dir(fingerprint: &str) -> PathBuf {
    PathBuf::from(".gleaner").join(fingerprint)
}

/// The source that the settings ask for, with the window of a run.
///
/// # Errors
/// If an address or a query file cannot be used.
pub fn source(
    settings: &Settings,
    record: &RunRecord,
) -> Result<Arc<dyn ConversationSource>, SourceError> {
    let chunks = settings.chunks.count;
    Ok(match &settings.source {
        Source::Files(paths) => Arc::new(FilesSource::new(
            paths.clone(),
            chunks,
            settings.limits.max_record,
        )),
        Source::Synthetic(synthetic) => Arc::new(SyntheticSource::new(*synthetic, chunks)),
        Source::Kusto(kusto) => Arc::new(kusto_source(kusto, settings, record)?),
        Source::Own(described) => return Err(own(described)),
    })
}

fn own(described: &serde_json::Value) -> SourceError {
    SourceError::NoInput(format!("the source {described} was not given"))
}

/// A cluster, with the window of a run.
///
/// # Errors
/// If its address or a query file cannot be used.
pub fn kusto_source(
    kusto: &Kusto,
    settings: &Settings,
    record: &RunRecord,
) -> Result<KustoSource, SourceError> {
    let population = Population {
        chunks: settings.chunks.count,
        start: record.window_start,
        end: record.window_end,
        ignored: settings.ignore_ids.clone(),
        selection: Arc::new(settings.selection.clone()),
        max_record: settings.limits.max_record,
    };
    KustoSource::new(kusto.clone(), population)
}

/// The sink that the settings ask for.
///
/// # Errors
/// If an address or a credential cannot be used.
pub fn sink(settings: &Settings) -> Result<Arc<dyn DatasetSink>, SinkError> {
    match &settings.sink.target {
        SinkTarget::Local(path) => Ok(Arc::new(LocalDir::new(path.clone()))),
        SinkTarget::AzureBlob(blob) => Ok(Arc::new(AzureBlob::new(blob)?)),
        SinkTarget::Own(location) => Err(SinkError::Unusable {
            location: location.clone(),
            reason: "the sink was not given".to_owned(),
        }),
    }
}

/// What is pinned when a run starts now.
///
/// # Errors
/// If the dataset's name is no name, or the system has no randomness.
pub fn new_record(
    settings: &Settings,
    described: &serde_json::Value,
    fingerprint: &str,
    location: &str,
) -> Result<RunRecord, BuildError> {
    let now = Timestamp::now();
    // Whole seconds, as the name has them.
    let started = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let (window_start, window_end) = instants(settings.window.as_ref(), started);
    Ok(RunRecord {
        run_id: run_id()?,
        fingerprint: fingerprint.to_owned(),
        settings: described.clone(),
        started,
        window_start,
        window_end,
        dataset: name::dataset_name(settings, started)?,
        location: location.to_owned(),
        inputs: None,
        state: RunState::Running,
    })
}

/// The instants of a window for a run that starts now.
fn instants(window: Option<&Window>, started: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
    match window {
        None => (None, None),
        Some(Window::Between { start, end }) => (*start, *end),
        Some(Window::Last { length, settle, .. }) => {
            let before = |at: Timestamp, by: Duration| {
                let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
                at.checked_sub(by).unwrap_or(Timestamp::MIN)
            };
            let end = before(started, *settle);
            (Some(before(end, *length)), Some(end))
        }
    }
}

fn run_id() -> Result<String, BuildError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(hex(&bytes))
}

/// What is told of the run itself.
pub(super) fn info(
    settings: &Settings,
    source: &dyn ConversationSource,
    work_dir: &WorkDir,
) -> RunInfo {
    let record = &work_dir.record;
    RunInfo {
        id: record.run_id.clone(),
        dataset: record.dataset.clone(),
        location: record.location.clone(),
        fingerprint: record.fingerprint.clone(),
        seed: settings.selection.seed().to_owned(),
        started_at: record.started.to_string(),
        resumed: work_dir.resumed,
        source: source.describe(),
        selection: json!(SelectionRecord::from(&settings.selection)),
    }
}
