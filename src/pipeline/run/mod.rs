//! The way of a run, from its work directory to its dataset.

pub(in crate::pipeline) mod actors;
mod claiming;
mod groups;
mod inputs;
mod near_duplicates;
mod notes;
mod publish;

pub use actors::framing;

use actors::{ActorInputs, EndAll, rules_of_look, run_actors};
use claiming::{abandon, begin, calls, finished_before, give_back, read_manifest, remaining};
use inputs::{pin_inputs, rows_report};
use notes::{exclude_note, kept_note, notes, statistics};

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::pipeline::error::RunError;
use crate::pipeline::ingest::look::Look;
use crate::pipeline::ingest::rows_report::RowsReport;
use crate::pipeline::ingest::user_look;
use crate::pipeline::lifecycle::actor_monitor::{ActorExit, ActorMonitor};
use crate::pipeline::lifecycle::run_control::RunControl;
use crate::pipeline::run::publish::PublishParts;
use crate::pipeline::state::status_file::StatusFile;
use crate::pipeline::state::work_dir::{RunState, WorkDir};
use crate::pipeline::supervisor::RunOutput;

use crate::azure::redact_sas;
use crate::config::settings::Settings;
use crate::domain::dataset::manifest::Manifest;
use crate::domain::describe_error;
use crate::domain::json::canonical::sorted;
use crate::domain::record::rule::Rule;
use crate::domain::scheduling::remaining::Remaining;
use crate::domain::selection::exclude::Excluded;
use crate::fault::Faults;
use crate::runtime::CpuPool;
use crate::sink::DatasetSink;
use crate::source::{ConversationSource, Survey};
use crate::spool::payloads::PayloadError;
use crate::spool::sealed::Spool;
use crate::telemetry::{Phase, Publication, State, Telemetry};

/// What a run works with.
pub struct RunParts {
    /// The settings of the run.
    pub settings: Settings,
    /// The source of rows.
    pub source: Arc<dyn ConversationSource>,
    /// The sink of the dataset.
    pub sink: Arc<dyn DatasetSink>,
    /// Rules besides gleaner's own, each with another name.
    pub rules: Arc<[Arc<dyn Rule>]>,
    /// What is remembered, and by whom it is held.
    pub work_dir: WorkDir,
    /// Events and counters of the run.
    pub telemetry: Telemetry,
    /// The threads of CPU and file work.
    pub pool: Arc<CpuPool>,
    /// Faults to inject.
    pub faults: Faults,
}

/// A published dataset and how it came about.
#[derive(Debug)]
pub struct RunReport {
    /// The manifest of the dataset.
    pub manifest: Manifest,
    /// The location of the dataset, for display.
    pub location: String,
    /// Duration of this start of the run.
    pub elapsed: Duration,
    /// Whether an earlier start was continued.
    pub resumed: bool,
    /// Whether an earlier start had published it, and nothing was done now.
    pub already_published: bool,
    /// Chunks that were not read again.
    pub chunks_replayed: u64,
    /// Notes for the user, a sentence each.
    pub notes: Vec<String>,
    /// The invalid records by code, each counted once a record; empty if an earlier start had
    /// published.
    pub invalid_codes: BTreeMap<String, u64>,
}

/// Takes a run to its dataset. `interrupt` completes when the run is asked to stop; the run then
/// ends with [`RunError::Interrupted`] and can be resumed.
///
/// # Errors
/// See [`RunError`]. Nothing is published then.
pub async fn run(
    parts: RunParts,
    interrupt: impl Future<Output = ()>,
) -> Result<RunReport, RunError> {
    let run_control = RunControl::new(Arc::clone(&parts.telemetry));
    run_under(parts, &run_control, interrupt).await
}

/// As [`run`], and obeys pause, drain and cancel meanwhile.
pub(crate) async fn run_under(
    mut parts: RunParts,
    run_control: &RunControl,
    interrupt: impl Future<Output = ()>,
) -> Result<RunReport, RunError> {
    if parts.work_dir.is_published() {
        let finished = tokio::select! {
            biased;
            () = run_control.cancelled() => Err(RunError::Cancelled),
            finished = survive_parts(finished_before(&mut parts)) => finished,
        };
        if let Some(report) = finished? {
            parts.telemetry.ended(State::Published, None);
            return Ok(report);
        }
    }
    let (telemetry, sink) = (Arc::clone(&parts.telemetry), Arc::clone(&parts.sink));
    let pool = Arc::new(parts.pool.for_run());
    parts.pool = Arc::clone(&pool);
    // Given back when nothing of this run writes any more.
    let lock = parts.work_dir.lock();
    let own = Arc::clone(&pool);
    let begun = Arc::new(AtomicBool::new(parts.work_dir.resumed));
    let path = parts.work_dir.path();
    let status = StatusFile::new(path, Arc::clone(&telemetry), own, Arc::clone(&begun));
    let (watch, mut exits) = ActorMonitor::new(parts.faults.clone(), Arc::clone(&telemetry));
    // Whatever an actor still waits for (a source that hangs, say) is dropped with it, also if the
    // run itself is dropped.
    let everybody = EndAll(watch);
    // On the heap: a host's stack may have no room for what all phases together keep.
    let publish = publish_all(parts, run_control, &everybody.0, &mut exits, &begun);
    let publish = Box::pin(survive_parts(publish));
    let result = tokio::select! {
        biased;
        () = run_control.cancelled() => Err(RunError::Cancelled),
        () = interrupt => Err(RunError::Interrupted),
        result = publish => result,
        result = status.keep() => result,
        result = sample(&telemetry) => result,
    };
    // It may have noticed only that it is to stop, before its cancellation was heard here.
    let result = match result {
        Err(RunError::Interrupted) if run_control.is_cancelled() => Err(RunError::Cancelled),
        result => result,
    };
    drop(everybody);
    // Everybody's end is reported; then the last sender is gone.
    while let Some(exited) = exits.recv().await {
        tracing::debug!(actor = %exited.actor, cause = ?exited.cause, "ended");
    }
    pool.over().await;
    sink.flush().await;
    telemetry.sample();
    let result = result.map_err(|error| late(error, &telemetry));
    report_end(&telemetry, &result);
    status.close().await;
    // Last: killed before, the next start finds its own dataset and finishes; killed after, it would
    // begin anew.
    let result = result.map(|(report, work_dir)| tidy_up(report, work_dir));
    drop(lock);
    result
}

/// Shows how the run has ended.
fn report_end<T>(telemetry: &Telemetry, result: &Result<T, RunError>) {
    let (state, error) = match result {
        Ok(_) => (State::Published, None),
        Err(RunError::Interrupted) => (State::Interrupted, None),
        Err(RunError::Cancelled | RunError::InterruptedPublishing { .. }) => {
            (State::Cancelled, None)
        }
        Err(failure) => {
            let error = redact_sas(&describe_error(failure));
            (State::Failed, Some(error))
        }
    };
    telemetry.ended(state, error);
}

/// The dataset is there whatever happens now; the next start tidies up what this one could not.
fn tidy_up(mut report: RunReport, mut work_dir: WorkDir) -> RunReport {
    work_dir.record.state = RunState::Published;
    if let Err(error) = work_dir.save().and_then(|()| work_dir.clear()) {
        let error = describe_error(&error);
        tracing::warn!(
            error,
            "published; the work directory could not be cleaned up"
        );
        let note = format!("the work directory could not be cleaned up: {error}");
        report.notes.push(note);
    }
    report
}

/// Once the manifest was handed to the sink, something may have been published.
fn late(error: RunError, telemetry: &Telemetry) -> RunError {
    match (error, telemetry.publication()) {
        (error @ (RunError::Interrupted | RunError::Cancelled), Publication::NotBegun) => error,
        (RunError::Interrupted | RunError::Cancelled, publication) => {
            RunError::InterruptedPublishing {
                dataset: telemetry
                    .run_info()
                    .map_or_else(String::new, |info| info.dataset),
                is_published: publication == Publication::Done,
            }
        }
        (error, _) => error,
    }
}

/// Sources and sinks may be of the host's own: a panic of theirs ends the run, not the host's task.
async fn survive_parts<T>(run: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    let survived = AssertUnwindSafe(run).catch_unwind().await;
    survived.unwrap_or(Err(RunError::PartPanicked))
}

/// Notes the run's course, for ever.
async fn sample<T>(telemetry: &Telemetry) -> T {
    loop {
        telemetry.sample();
        tokio::time::sleep(telemetry.timeline.pace()).await;
    }
}

async fn publish_all(
    mut parts: RunParts,
    run_control: &RunControl,
    watch: &ActorMonitor,
    exits: &mut mpsc::UnboundedReceiver<ActorExit>,
    has_begun: &AtomicBool,
) -> Result<(RunReport, WorkDir), RunError> {
    let begun = Instant::now();
    parts.telemetry.enter(Phase::Starting);
    let (survey, claimed) = match begin(&mut parts).await {
        Ok(begun) => begun,
        Err(error) => {
            if !parts.work_dir.resumed {
                abandon(parts, &error).await;
            }
            return Err(error);
        }
    };
    has_begun.store(true, Ordering::Relaxed);
    if let Remaining::Finish(bytes) = remaining(&parts, claimed) {
        let manifest = read_manifest(&parts.work_dir.record.dataset, &bytes)?;
        let note = "the dataset had been published already; the run was finished".to_owned();
        return finish(parts, manifest, begun, 0, vec![note]).await;
    }
    let survey = match survey {
        Some(survey) => survey,
        None => parts.source.survey().await?,
    };
    pin_inputs(&mut parts.work_dir, &survey)?;
    let read = Box::pin(read_rows(&parts, run_control, watch, exits, survey)).await?;
    // A paused run begins nothing.
    run_control.gate().pass().await;
    Box::pin(publish_rows(parts, read, begun)).await
}

/// What was read of the source, before anything is published.
struct RowsRead {
    output: RunOutput,
    excluded: Arc<Excluded>,
    rows: RowsReport,
    chunks: usize,
    only_complete: bool,
}

async fn read_rows(
    parts: &RunParts,
    run_control: &RunControl,
    monitor: &ActorMonitor,
    exits: &mut mpsc::UnboundedReceiver<ActorExit>,
    mut survey: Survey,
) -> Result<RowsRead, RunError> {
    if let Some(bytes) = survey.bytes {
        parts.telemetry.bytes_total.set(bytes);
    }
    let rows = rows_report(parts, &survey);
    let excluded = Arc::new(excluded(parts, &survey, run_control).await?);
    let spool = Spool::open(parts.work_dir.chunks(), parts.settings.limits.spool)?
        .with_groups(parts.settings.selection.split_by().is_some())
        .with_faults(parts.faults.clone());
    let (chunks, only_complete) = (survey.chunks.len(), survey.only_complete);
    let prepared = parts.source.prepare().await?;
    if let Some(prepared) = &prepared {
        survey.sample = Some(prepared.population.clone());
        rows.judge(&prepared.ledger.tallies)?;
    }
    if run_control.is_stopping() {
        return Err(RunError::Interrupted);
    }
    let inputs = ActorInputs {
        parts,
        run_control,
        monitor,
        survey,
        rows: rows.clone(),
        spool: &spool,
        excluded: Arc::clone(&excluded),
    };
    let output = run_actors(inputs, exits).await;
    let mut output = output.inspect_err(|error| invalidate(&spool, error))?;
    output.ledger = prepared.map(|prepared| prepared.ledger);
    if let Err(nothing) = publish::check_something(&output, &rows, only_complete) {
        give_back(parts).await;
        return Err(nothing);
    }
    Ok(RowsRead {
        output,
        excluded,
        rows,
        chunks,
        only_complete,
    })
}

/// The ids that the run leaves out.
async fn excluded(
    parts: &RunParts,
    survey: &Survey,
    run_control: &RunControl,
) -> Result<Excluded, RunError> {
    let list = &parts.settings.exclude;
    if let Some(found) = parts.source.exclude(list).await? {
        return Ok(list.resolve(&found));
    }
    let look = Look {
        source: &*parts.source,
        rules: Arc::new(rules_of_look(parts)),
        pool: &parts.pool,
        gate: run_control.gate(),
    };
    let found = user_look::find(&look, &survey.chunks, list).await?;
    Ok(list.resolve(&found))
}

async fn publish_rows(
    parts: RunParts,
    read: RowsRead,
    begun: Instant,
) -> Result<(RunReport, WorkDir), RunError> {
    let RowsRead {
        output,
        excluded,
        rows,
        chunks,
        only_complete,
    } = read;
    parts.telemetry.enter(Phase::Publishing);
    let elapsed = begun.elapsed();
    let publish_parts = PublishParts {
        settings: &parts.settings,
        telemetry: &parts.telemetry,
        record: &parts.work_dir.record,
        source: sorted(parts.source.describe()),
        rules: &parts.rules,
        only_complete,
        chunks,
        excluded: &excluded,
        rows: &rows,
        statistics: statistics(&output, &parts.telemetry.snapshot(), elapsed),
        created_at: Timestamp::now().to_string(),
        faults: &parts.faults,
    };
    let manifest = publish::publish(&calls(&parts), &output, publish_parts).await?;
    tracing::info!(
        chunks,
        records = parts.settings.selection.total(),
        "published"
    );
    let mut notes = notes(&parts.settings, &output, only_complete);
    let is_empty = manifest.strata.iter().all(|stratum| stratum.records == 0);
    notes.extend(rows.explain(output.rows(), is_empty));
    notes.extend(kept_note(&parts.telemetry));
    notes.extend(manifest.exclude.and_then(exclude_note));
    let (mut report, work_dir) = finish(parts, manifest, begun, output.replayed, notes).await?;
    let codes = publish::codes(&output).into_iter();
    report.invalid_codes = codes
        .map(|(code, count)| (code.to_owned(), count))
        .collect();
    Ok((report, work_dir))
}

/// After publishing: the claim goes back.
async fn finish(
    parts: RunParts,
    manifest: Manifest,
    begun: Instant,
    chunks_replayed: u64,
    mut notes: Vec<String>,
) -> Result<(RunReport, WorkDir), RunError> {
    let release = || parts.sink.release(&manifest.dataset);
    let sink = calls(&parts);
    if let Err(error) = sink.call("give back", &manifest.dataset, release).await {
        // The dataset is there; a claim beside it does no harm.
        let error = describe_error(&error);
        notes.push(format!("its claim is left there: {error}"));
    }
    // It was not set before.
    let _ = parts.telemetry.provenance.set(sorted(json!(manifest)));
    parts.telemetry.enter(Phase::Done);
    let report = report_of(&parts, manifest, begun, chunks_replayed, notes);
    Ok((report, parts.work_dir))
}

fn report_of(
    parts: &RunParts,
    manifest: Manifest,
    begun: Instant,
    chunks_replayed: u64,
    notes: Vec<String>,
) -> RunReport {
    RunReport {
        location: format!("{}/{}", parts.sink.location(), manifest.dataset),
        manifest,
        elapsed: begun.elapsed(),
        resumed: parts.work_dir.resumed,
        already_published: false,
        chunks_replayed,
        notes,
        invalid_codes: BTreeMap::new(),
    }
}

/// A payload of a sealed chunk that is not what it was: the chunk is fetched again next time.
fn invalidate(spool: &Spool, error: &RunError) {
    if let RunError::Payload(PayloadError::Changed { path, sealed: true }) = error {
        spool.invalidate(path);
    }
}
