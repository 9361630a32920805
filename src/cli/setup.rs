//! From settings to the parts of a run: the source, the sink, the work directory.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::args::ExportArgs;
use super::exit::{CliError, sink_error};
use crate::config::settings::{Kusto, Settings, SinkTarget, Source, Window};
use crate::config::{self, name};
use crate::domain::manifest::hex;
use crate::pipeline::RunError;
use crate::pipeline::work_dir::{RunRecord, RunState, WorkDir};
use crate::sink::DatasetSink;
use crate::sink::azure_blob::AzureBlob;
use crate::sink::local_dir::LocalDir;
use crate::source::ConversationSource;
use crate::source::files::FilesSource;
use crate::source::kusto::{KustoSource, Population};
use crate::source::synthetic::SyntheticSource;

/// The settings that the arguments mean.
///
/// # Errors
/// If they do not fit together.
pub fn settings(args: &ExportArgs) -> Result<Settings, CliError> {
    let mut settings = config::validate(&args.layers()?, &args.split)?;
    settings.chunks.allow_missing = args.allow_missing_chunks.unwrap_or(0);
    if settings.chunks.allow_missing > 0 && matches!(settings.source, Source::Files(_)) {
        return Err(CliError::usage(
            "--allow-missing-chunks does not go with files: every piece of a file is needed",
            "leave it out, or leave the damaged file out of --input",
        ));
    }
    Ok(settings)
}

/// The source that the settings ask for, with the window of a run.
///
/// # Errors
/// If an address or a query file cannot be used.
pub fn source(
    settings: &Settings,
    record: &RunRecord,
) -> Result<Arc<dyn ConversationSource>, CliError> {
    let chunks = settings.chunks.count;
    Ok(match &settings.source {
        Source::Files(paths) => Arc::new(FilesSource::new(
            paths.clone(),
            chunks,
            settings.limits.max_record,
        )),
        Source::Synthetic(synthetic) => Arc::new(SyntheticSource::new(*synthetic, chunks)),
        Source::Kusto(kusto) => Arc::new(kusto_source(kusto, settings, record)?),
    })
}

/// A cluster, with the window of a run.
///
/// # Errors
/// If its address or a query file cannot be used.
pub fn kusto_source(
    kusto: &Kusto,
    settings: &Settings,
    record: &RunRecord,
) -> Result<KustoSource, CliError> {
    let population = Population {
        chunks: settings.chunks.count,
        start: record.window_start,
        end: record.window_end,
        ignored: settings.ignore_ids.clone(),
        selection: Arc::new(settings.selection.clone()),
        max_record: settings.limits.max_record,
    };
    KustoSource::new(kusto.clone(), population).map_err(|error| RunError::from(error).into())
}

/// The sink that the settings ask for.
///
/// # Errors
/// If an address or a credential cannot be used.
pub fn sink(settings: &Settings) -> Result<Arc<dyn DatasetSink>, CliError> {
    match &settings.sink.target {
        SinkTarget::Local(path) => Ok(Arc::new(LocalDir::new(path.clone()))),
        SinkTarget::AzureBlob(blob) => match AzureBlob::new(blob) {
            Ok(sink) => Ok(Arc::new(sink)),
            Err(error) => Err(sink_error(error.to_string(), &error)),
        },
    }
}

/// The fingerprint of the settings, and the work directory that follows from it.
pub fn work_dir_path(args: &ExportArgs, fingerprint: &str) -> PathBuf {
    args.work_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(".gleaner").join(fingerprint))
}

/// Takes the work directory of a run.
///
/// # Errors
/// If it was refused.
pub fn work_dir(
    args: &ExportArgs,
    settings: &Settings,
    location: &str,
) -> Result<WorkDir, CliError> {
    let described = config::described(settings);
    let fingerprint = config::fingerprint(&described);
    let record = new_record(settings, &described, &fingerprint, location)?;
    let path = work_dir_path(args, &fingerprint);
    Ok(WorkDir::open(
        &path,
        &fingerprint,
        &described,
        args.fresh,
        || record,
    )?)
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
) -> Result<RunRecord, CliError> {
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
            let before = |at: Timestamp, by: std::time::Duration| {
                let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
                at.checked_sub(by).unwrap_or(Timestamp::MIN)
            };
            let end = before(started, *settle);
            (Some(before(end, *length)), Some(end))
        }
    }
}

fn run_id() -> Result<String, CliError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        CliError::failure(
            format!("the system gives no random numbers: {error}"),
            "check /dev/urandom",
        )
    })?;
    Ok(hex(&bytes))
}
