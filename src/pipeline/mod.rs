//! The pipeline: actors as thin shells around the pure types of [`crate::domain`].
//!
//! ```text
//!             leases, backpressure, rounds
//!  ┌──────────────────── Supervisor ────────────────────┐
//! Fetcher xN ─► Dedup ─► Sampler x(split,bucket) ─► Validator xM ─► Uploader xK
//!    └──── payloads: sealed chunks on disk, read again by rank ────┘
//! ```
//!
//! [`run`] takes a run from its work directory to its dataset. It must be called on an actix
//! arbiter; all actors live on that one thread, the work is done on the pool of threads that it is
//! given and on tokio's blocking threads. When it returns or is dropped, no actor is left.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

mod actor_monitor;
mod builder;
mod byte_budget;
mod census;
mod chunk_reader;
mod deduper;
mod error;
mod fetcher;
mod handle;
mod messages;
mod panic_retry;
mod publish;
mod recovery;
mod roster;
mod rounds;
pub(crate) mod rows_report;
pub mod run_actor;
mod run_control;
mod sampler;
pub(crate) mod setup;
pub mod start;
pub(crate) mod status_file;
mod stratum_writer;
mod supervisor;
mod turns;
mod uploader;
mod validator;
pub mod work_dir;
mod workers;

pub use builder::{BuildError, Pipeline, PipelineBuilder};
pub use error::RunError;
pub use handle::{Controller, Handle};

use actor_monitor::{ActorExit, ActorMonitor, Role};
use byte_budget::ByteBudget;
use chunk_reader::RowRules;
use fetcher::FetchParts;
use messages::{ActorDied, Drain};
use publish::{PublishParts, SinkWithTimeout};
use rows_report::RowsReport;
use run_control::RunControl;
use sampler::{BATCH_BYTES, WriteParts};
use status_file::StatusFile;
use stratum_writer::StratumFile;
use supervisor::{RunOutput, SamplerPlan, Supervisor, SupervisorParts};
use turns::Turns;
use validator::ValidateParts;
use work_dir::{RunRecord, RunState, WorkDir};

use crate::azure::redact_sas;
use crate::config::settings::{Cut, Format, Settings, SortKeys, Source};
use crate::domain::canonical::sorted;
use crate::domain::chunk::Chunk;
use crate::domain::manifest::{self, Framing, Manifest};
use crate::domain::record::Nested;
use crate::domain::rule::Rule;
use crate::domain::timestamp::Ticks;
use crate::fault::Faults;
use crate::runtime::CpuPool;
use crate::runtime::buffers::{Buffers, PAGE};
use crate::sink::{Claim, ClaimRecord, DatasetSink, SinkError};
use crate::source::{ConversationSource, SourceError, Survey};
use crate::spool::payloads::{PayloadError, Payloads};
use crate::spool::sealed::Spool;
use crate::telemetry::heartbeat::Heartbeat;
use crate::telemetry::{Phase, Snapshot, State, Telemetry};

/// What a run works with.
pub struct RunParts {
    /// What was asked for.
    pub settings: Settings,
    /// Where rows come from.
    pub source: Arc<dyn ConversationSource>,
    /// Where the dataset goes.
    pub sink: Arc<dyn DatasetSink>,
    /// Rules besides gleaner's own, each with another name.
    pub rules: Arc<[Arc<dyn Rule>]>,
    /// What is remembered, and by whom it is held.
    pub work_dir: WorkDir,
    /// What is told.
    pub telemetry: Telemetry,
    /// Where work runs.
    pub pool: Arc<CpuPool>,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

/// A published dataset and how it came about.
#[derive(Debug)]
pub struct RunReport {
    /// What was published.
    pub manifest: Manifest,
    /// Where, for a person.
    pub location: String,
    /// How long this start of the run took.
    pub elapsed: Duration,
    /// Whether an earlier start was continued.
    pub resumed: bool,
    /// Whether an earlier start had published it, and nothing was done now.
    pub already_published: bool,
    /// Chunks that were not read again.
    pub chunks_replayed: u64,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The invalid records by code, each counted once a record; empty if an earlier start had
    /// published.
    pub invalid_codes: BTreeMap<String, u64>,
}

/// Takes a run to its dataset. `interrupt` completes when somebody wants it to stop; the run then
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

/// As [`run`], and does what it is told meanwhile.
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
    let (watch, mut deaths) = ActorMonitor::new(parts.faults.clone(), Arc::clone(&telemetry));
    // Whatever an actor still waits for (a source that hangs, say) is dropped with it, also if the
    // run itself is dropped.
    let everybody = EndAll(watch);
    let result = tokio::select! {
        biased;
        () = run_control.cancelled() => Err(RunError::Cancelled),
        () = interrupt => Err(RunError::Interrupted),
        result = survive_parts(publish_all(parts, run_control, &everybody.0, &mut deaths, &begun)) => result,
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
    while let Some(death) = deaths.recv().await {
        tracing::debug!(actor = %death.actor, cause = ?death.cause, "ended");
    }
    pool.over().await;
    sink.settled().await;
    telemetry.sample();
    let error = |error: &RunError| Some(redact_sas(&error.to_string()));
    match &result {
        Ok(_) => telemetry.ended(State::Published, None),
        Err(RunError::Interrupted) => telemetry.ended(State::Interrupted, None),
        Err(RunError::Cancelled) => telemetry.ended(State::Cancelled, None),
        Err(failure) => telemetry.ended(State::Failed, error(failure)),
    }
    status.close().await;
    // Last: killed before, the next start finds its own dataset and finishes; killed after, it would
    // begin anew.
    let result = result.map(|(mut report, mut work_dir)| {
        work_dir.record.state = RunState::Published;
        // The dataset is there whatever happens now; the next start tidies up.
        if let Err(error) = work_dir.save().and_then(|()| work_dir.clear()) {
            tracing::warn!(%error, "published; the work directory could not be cleaned up");
            let note = format!("the work directory could not be cleaned up: {error}");
            report.notes.push(note);
        }
        report
    });
    drop(lock);
    result
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
    deaths: &mut mpsc::UnboundedReceiver<ActorExit>,
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
    if let Claim::Published(bytes) = claimed {
        let manifest = read_manifest(&bytes)?;
        let note = "the dataset had been published already; the run was finished".to_owned();
        return finish(parts, manifest, begun, 0, vec![note]).await;
    }
    let survey = match survey {
        Some(survey) => survey,
        None => parts.source.survey().await?,
    };
    pin_inputs(&mut parts.work_dir, &survey)?;
    if let Some(bytes) = survey.bytes {
        parts.telemetry.bytes_total.set(bytes);
    }
    let rows = RowsReport {
        inputs: survey.input_fingerprints.clone(),
        payloads: Payloads::new(parts.faults.clone()),
        max_percent: parts.settings.limits.max_malformed_percent,
    };
    for input in &survey.input_fingerprints {
        rows.payloads.add_input(&input.path);
    }
    let spool = Spool::open(parts.work_dir.chunks(), parts.settings.limits.spool)?
        .with_faults(parts.faults.clone());
    let (chunks, only_complete) = (survey.chunks.len(), survey.only_complete);
    if run_control.is_stopping() {
        return Err(RunError::Interrupted);
    }
    let harvesting = Harvesting {
        parts: &parts,
        run_control,
        watch,
        deaths,
    };
    let harvest = harvesting.harvest(survey, rows.clone(), &spool).await;
    let harvest = harvest.inspect_err(|error| invalidate(&spool, error))?;
    if let Err(nothing) = publish::check_something(&harvest, &rows, only_complete) {
        give_back(&parts).await;
        return Err(nothing);
    }
    // A paused run begins nothing.
    run_control.gate().pass().await;
    parts.telemetry.enter(Phase::Publishing);
    let elapsed = begun.elapsed();
    let publish_parts = PublishParts {
        settings: &parts.settings,
        record: &parts.work_dir.record,
        source: sorted(parts.source.describe()),
        rules: &parts.rules,
        only_complete,
        chunks,
        rows: &rows,
        statistics: statistics(&harvest, &parts.telemetry.snapshot(), elapsed),
        created_at: Timestamp::now().to_string(),
    };
    let manifest = publish::publish(&patient(&parts), &harvest, publish_parts).await?;
    tracing::info!(
        chunks,
        records = parts.settings.selection.total(),
        "published"
    );
    let mut notes = notes(&parts.settings, &harvest, only_complete);
    let is_empty = manifest.strata.iter().all(|stratum| stratum.records == 0);
    notes.extend(rows.explain(&harvest.tallies, is_empty));
    let kept = parts.telemetry.kept.get();
    if kept > 0 {
        let size = bytesize::ByteSize::b(kept).display().si();
        notes.push(format!(
            "{size} had been uploaded by an earlier start and were not sent again"
        ));
    }
    let (mut report, work_dir) = finish(parts, manifest, begun, harvest.replayed, notes).await?;
    let codes = publish::codes(&harvest).into_iter();
    report.invalid_codes = codes
        .map(|(code, count)| (code.to_owned(), count))
        .collect();
    Ok((report, work_dir))
}

/// Gives the claim of a run back that has nothing to publish. Another run may have the name then; a
/// claim that stays says whose it is.
async fn give_back(parts: &RunParts) {
    let dataset = &parts.work_dir.record.dataset;
    let releasing = parts.sink.release(dataset);
    if let Err(error) = patient(parts).wait("give back", dataset, releasing).await {
        tracing::warn!(%error, "the claim is left there");
    }
}

/// Looks the input over and claims the output. A new run first sees that there is something to
/// read: a wrong path must not leave a claim. A resumed one may have published already, and then
/// needs no input any more: its survey comes later.
async fn begin(parts: &mut RunParts) -> Result<(Option<Survey>, Claim), RunError> {
    let survey = match parts.work_dir.resumed {
        true => None,
        false => Some(parts.source.survey().await?),
    };
    for before in parts.work_dir.record.replaced() {
        take_over(parts, before).await?;
    }
    let claimed = claim_free_name(parts).await?;
    if !parts.work_dir.resumed {
        parts.work_dir.begin()?;
    }
    Ok((survey, claimed))
}

/// Claims the dataset. A name with a timestamp that another run took within the same second gets the
/// next free suffix.
async fn claim_free_name(parts: &mut RunParts) -> Result<Claim, RunError> {
    let first_name = parts.work_dir.record.dataset.clone();
    let mut suffix = 2;
    loop {
        let claimed = claim(parts).await;
        let record = &mut parts.work_dir.record;
        // Inputs are pinned behind this: before that nothing is claimed for good.
        let may_differ = parts.settings.name.contains("{timestamp}") && record.inputs.is_none();
        match claimed {
            Err(RunError::Sink(SinkError::Exists(_) | SinkError::Claimed { .. }))
                if may_differ && suffix <= LAST_SUFFIX =>
            {
                record.dataset = format!("{first_name}_{suffix}");
                parts.telemetry.rename(&record.dataset);
                parts.work_dir.save()?;
                suffix += 1;
            }
            claimed => return claimed,
        }
    }
}

async fn claim(parts: &RunParts) -> Result<Claim, RunError> {
    let record = &parts.work_dir.record;
    let claim = ClaimRecord {
        run_id: record.run_id.clone(),
        fingerprint: record.fingerprint.clone(),
        since: record.started.to_string(),
    };
    let claiming = parts.sink.claim(&record.dataset, &claim);
    Ok(patient(parts)
        .wait("claim", &record.dataset, claiming)
        .await?)
}

/// Takes the claim away of a run whose place this one takes: with its work directory it cannot be
/// continued any more.
async fn take_over(parts: &RunParts, before: &RunRecord) -> Result<(), RunError> {
    if before.state == RunState::Published {
        return Ok(());
    }
    let revoking = parts.sink.revoke(&before.dataset, &before.run_id);
    match patient(parts)
        .wait("clear", &before.dataset, revoking)
        .await
    {
        // Not its own, or not to be taken away: this run's own claim says what follows.
        Err(SinkError::Claimed { .. } | SinkError::Exists(_) | SinkError::Unusable { .. }) => {
            Ok(())
        }
        done => Ok(done?),
    }
}

/// A run that ended before it began leaves no claim and no work directory. Where its claim may be
/// there and cannot be given back the work directory stays: it alone knows whose the claim is.
async fn abandon(parts: RunParts, error: &RunError) {
    let record = &parts.work_dir.record;
    let before_its_claim = matches!(
        error,
        RunError::Source(_)
            | RunError::Sink(
                SinkError::Exists(_) | SinkError::Claimed { .. } | SinkError::Unusable { .. }
            )
    );
    if !before_its_claim || record.replaces.is_some() {
        let revoking = parts.sink.revoke(&record.dataset, &record.run_id);
        let revoked = patient(&parts)
            .wait("give back", &record.dataset, revoking)
            .await;
        match revoked {
            Ok(()) | Err(SinkError::Claimed { .. } | SinkError::Exists(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "the claim may be left; run the same command again");
                return;
            }
        }
    }
    parts.work_dir.forget();
}

/// The dataset that this run has published before, if it is still there; else the run starts again.
async fn finished_before(parts: &mut RunParts) -> Result<Option<RunReport>, RunError> {
    let begun = Instant::now();
    let Claim::Published(bytes) = claim(parts).await? else {
        parts.work_dir.start_again()?;
        return Ok(None);
    };
    let manifest = read_manifest(&bytes)?;
    let note = format!(
        "published already at {}; nothing was done",
        manifest.created_at
    );
    parts.telemetry.enter(Phase::Done);
    // Nobody has set it before.
    let _ = parts.telemetry.provenance.set(json!(manifest));
    Ok(Some(RunReport {
        already_published: true,
        ..report_of(parts, manifest, begun, 0, vec![note])
    }))
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, RunError> {
    serde_json::from_slice(bytes)
        .map_err(|error| RunError::Settings(format!("the published manifest: {error}")))
}

/// Runs that may start within one second and take the same name but for a suffix.
const LAST_SUFFIX: u32 = 100;

/// The sink, outside of the actors.
fn patient(parts: &RunParts) -> SinkWithTimeout<'_> {
    SinkWithTimeout::new(&*parts.sink, parts.settings.workers.stall_timeout)
}

/// After publishing: the claim goes back.
async fn finish(
    parts: RunParts,
    manifest: Manifest,
    begun: Instant,
    chunks_replayed: u64,
    mut notes: Vec<String>,
) -> Result<(RunReport, WorkDir), RunError> {
    let releasing = parts.sink.release(&manifest.dataset);
    let sink = patient(&parts);
    if let Err(error) = sink.wait("give back", &manifest.dataset, releasing).await {
        // The dataset is there; a claim beside it keeps nobody from anything.
        notes.push(format!("its claim is left there: {error}"));
    }
    // Nobody has set it before.
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

/// Pins the inputs of a new run, or holds them against those of the start before.
fn pin_inputs(work_dir: &mut WorkDir, survey: &Survey) -> Result<(), RunError> {
    let Some(pinned) = &work_dir.record.inputs else {
        work_dir.record.inputs = Some(survey.input_fingerprints.clone());
        return Ok(work_dir.save()?);
    };
    let changed = |path: &std::path::Path, what: &str| {
        RunError::from(SourceError::Changed {
            path: path.to_owned(),
            what: what.to_owned(),
        })
    };
    for old in pinned {
        match survey
            .input_fingerprints
            .iter()
            .find(|new| new.path == old.path)
        {
            None => return Err(changed(&old.path, "it is not there any more")),
            Some(new) if new != old => {
                return Err(changed(&old.path, "its length or time is another"));
            }
            Some(_) => {}
        }
    }
    match survey
        .input_fingerprints
        .iter()
        .find(|new| !pinned.contains(new))
    {
        Some(new) => Err(changed(&new.path, "it was not there")),
        None => Ok(()),
    }
}

/// What the actors are run with.
struct Harvesting<'a> {
    parts: &'a RunParts,
    run_control: &'a RunControl,
    watch: &'a ActorMonitor,
    deaths: &'a mut mpsc::UnboundedReceiver<ActorExit>,
}

impl Harvesting<'_> {
    /// Runs the actors until the strata are written, and ends them.
    async fn harvest(
        self,
        survey: Survey,
        rows: RowsReport,
        spool: &Spool,
    ) -> Result<RunOutput, RunError> {
        let supervisor_parts = self.supervisor_parts(survey, rows, spool);
        // Whoever works on a thread, where nobody can end it, looks at this now and then.
        let _stop = StopWork(Arc::clone(&supervisor_parts.stop));
        let (outcome, mut ended) = oneshot::channel();
        let jitter_seed = self.parts.work_dir.record.started.as_nanosecond() as u64;
        let heartbeat = Heartbeat::default();
        let start = |_, _: &mut _| Supervisor::new(supervisor_parts, jitter_seed, outcome);
        let (_, supervisor) = (self.watch).start(Role::Supervisor, "supervisor", &heartbeat, start);
        let mut stopping = std::pin::pin!(self.run_control.stopping().fuse());
        let result = loop {
            tokio::select! {
                biased;
                result = &mut ended => break result.unwrap_or(Err(RunError::SupervisorDied)),
                () = &mut stopping => supervisor.do_send(Drain),
                // If the supervisor is dead itself, its outcome channel says so.
                Some(death) = self.deaths.recv() => supervisor.do_send(ActorDied(death)),
            }
        };
        self.watch.end_all();
        result
    }
}

/// Has work on threads stop when it is dropped.
struct StopWork(Arc<AtomicBool>);

impl Drop for StopWork {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends every actor when it is dropped.
struct EndAll(ActorMonitor);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.end_all();
    }
}

impl Harvesting<'_> {
    fn supervisor_parts(&self, survey: Survey, rows: RowsReport, spool: &Spool) -> SupervisorParts {
        let (parts, watch) = (self.parts, self.watch.clone());
        let (settings, pool) = (&parts.settings, Arc::clone(&parts.pool));
        let selection = Arc::new(settings.selection.clone());
        let gate = self.run_control.gate().clone();
        let byte_budget = ByteBudget::new(
            settings.limits.in_flight,
            Arc::clone(&parts.telemetry),
            gate,
        );
        let nested = nested(settings);
        let framing = framing(settings);
        let stop = Arc::new(AtomicBool::new(false));
        let record = &parts.work_dir.record;
        let rules = RowRules {
            ignore_ids: settings
                .ignore_ids
                .iter()
                .map(|id| id.clone().into_bytes())
                .collect(),
            window: record.window_start.map(ticks)..record.window_end.map(ticks),
            look: record.look_start.map(ticks)..record.look_end.map(ticks),
            max_record: settings.limits.max_record,
            selection: Arc::clone(&selection),
            nested,
        };
        let write = Arc::new(WriteParts {
            dataset: record.dataset.clone(),
            byte_budget: byte_budget.clone(),
            pool: Arc::clone(&pool),
            files: Arc::new(Semaphore::new(settings.workers.uploaders.get())),
            turns: Turns::new(settings.workers.uploaders.get()),
            telemetry: Arc::clone(&parts.telemetry),
            stop: Arc::clone(&stop),
            faults: parts.faults.clone(),
        });
        let blocks = Buffers::new(parts.sink.block_bytes() + PAGE);
        let samplers = selection.strata().filter_map(|stratum| {
            let target = selection.target(stratum)?;
            let (split, bucket) = (selection.split(stratum), selection.bucket(stratum));
            let file = StratumFile::new(
                record.dataset.clone(),
                manifest::stratum_path(&split.name, bucket, framing),
                bucket.name.clone(),
                framing,
                target.get(),
                parts.sink.block_bytes(),
                blocks.clone(),
            );
            Some(SamplerPlan {
                stratum,
                name: format!("sampler of {}/{}", split.name, bucket.name),
                candidates: selection.candidates_for(target),
                file,
            })
        });
        SupervisorParts {
            chunks: survey.chunks,
            self_contained: survey.self_contained,
            census: survey.census,
            max_concurrency: survey.max_concurrency,
            operation_timeout: survey.operation_timeout,
            allow_missing: settings.chunks.allow_missing as usize,
            max_attempts: settings.chunks.max_attempts.get(),
            fetchers: settings.workers.fetchers.get(),
            validators: settings.workers.validators.get(),
            uploaders: settings.workers.uploaders.get(),
            sink: Arc::clone(&parts.sink),
            samplers: samplers.collect(),
            write,
            restarts: (settings.workers.restarts, settings.workers.restart_window),
            stall_timeout: settings.workers.stall_timeout,
            max_record: settings.limits.max_record,
            keep_cut: settings.cut == Cut::Keep,
            telemetry: Arc::clone(&parts.telemetry),
            fetch: Arc::new(FetchParts {
                source: Arc::clone(&parts.source),
                rules: Arc::new(rules),
                spool: spool.clone(),
                pool: Arc::clone(&pool),
                byte_budget,
                telemetry: Arc::clone(&parts.telemetry),
                stop: Arc::clone(&stop),
                faults: parts.faults.clone(),
            }),
            validate: Arc::new(ValidateParts {
                payloads: rows.payloads.clone(),
                selection: Arc::clone(&selection),
                rules: Arc::clone(&parts.rules),
                stop: Arc::clone(&stop),
                nested,
                framing,
                buffers: Buffers::new(4 * BATCH_BYTES as usize),
                pool,
                telemetry: Arc::clone(&parts.telemetry),
                faults: parts.faults.clone(),
            }),
            rows,
            stop,
            watch,
            faults: parts.faults.clone(),
        }
    }
}

/// How nested values of assembled records are written.
fn nested(settings: &Settings) -> Nested {
    match (settings.sink.sort_keys, &settings.source) {
        (SortKeys::Always, _) | (SortKeys::Auto, Source::Kusto(_)) => Nested::Sorted,
        (SortKeys::Auto, _) => Nested::AsIs,
    }
}

/// The framing of the stratum files.
pub fn framing(settings: &Settings) -> Framing {
    match settings.sink.format {
        Format::Json => manifest::JSON,
        Format::Jsonl => manifest::JSONL,
    }
}

fn ticks(at: Timestamp) -> Ticks {
    // The range of `Timestamp` is within 10,000 years, far below 2^63 ticks.
    (at.as_nanosecond().div_euclid(100)) as Ticks
}

/// A payload of a sealed chunk that is not what it was: the chunk is fetched again next time.
fn invalidate(spool: &Spool, error: &RunError) {
    if let RunError::Payload(PayloadError::Changed { path, sealed: true }) = error {
        spool.invalidate(path);
    }
}

fn statistics(harvest: &RunOutput, now: &Snapshot, elapsed: Duration) -> BTreeMap<String, Value> {
    let bytes: u64 = harvest.tallies.values().map(|tally| tally.bytes).sum();
    BTreeMap::from([
        ("elapsed_seconds".to_owned(), json!(elapsed.as_secs_f64())),
        ("bytes_read".to_owned(), json!(bytes)),
        ("chunks_replayed".to_owned(), json!(harvest.replayed)),
        ("top_up_rounds".to_owned(), json!(harvest.rounds)),
        ("attempts_failed".to_owned(), json!(now.chunks_failed)),
        ("throttled".to_owned(), json!(now.events["throttles"])),
        ("events".to_owned(), json!(now.events)),
        (
            "backpressure_waits".to_owned(),
            json!(now.backpressure_waits),
        ),
        ("in_flight_peak".to_owned(), json!(now.in_flight_peak)),
    ])
}

fn notes(settings: &Settings, harvest: &RunOutput, only_complete: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let conversations = harvest
        .tallies
        .values()
        .any(|t| t.first_conversation.is_some());
    if !harvest.missing.is_empty() {
        notes.push(missing_note(settings, harvest));
    }
    // A source that leaves out incomplete conversations keeps the window, too.
    if settings.window.is_some() && conversations && !only_complete {
        notes.push(
            "the rows are whole conversations without a Timestamp: the window left none of them out"
                .to_owned(),
        );
    }
    notes
}

/// What missing chunks mean for the sample: chunk and split come of one hash, so a chunk that is
/// missing is missed by some splits only.
fn missing_note(settings: &Settings, harvest: &RunOutput) -> String {
    let selection = &settings.selection;
    let touched = |residue: u32| {
        harvest.missing.iter().any(|chunk| match chunk {
            Chunk::Hash(chunk) => {
                let common = gcd(chunk.count, 100);
                chunk.index % common == residue % common
            }
            Chunk::Piece(_) => true,
        })
    };
    let mut splits: Vec<&str> = selection
        .strata()
        .filter(|&stratum| {
            let residues = selection.residues(stratum);
            residues.is_some_and(|mut residues| residues.any(touched))
        })
        .map(|stratum| selection.split(stratum).name.as_str())
        .collect();
    splits.dedup();
    let names: Vec<String> = harvest.missing.iter().map(Chunk::to_string).collect();
    format!(
        "{} chunks are missing ({}); their conversations are in the splits {}, whose samples are not of the whole population",
        names.len(),
        names.join(", "),
        splits.join(", ")
    )
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
