//! Runs the actors of a run until its strata are written.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::RunParts;
use crate::config::settings::{Format, Settings, SortKeys, Source};
use crate::domain::dataset::manifest::{self, Framing};
use crate::domain::near_duplicates::templates::CONVERSATIONS;
use crate::domain::privacy::policy::Guard;
use crate::domain::record::assembler::Nested;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::sampling::batches::BATCH_BYTES;
use crate::domain::sampling::thresholds::PopulationSample;
use crate::domain::scheduling::pass::Pass;
use crate::domain::selection::cut::Cut;
use crate::domain::selection::exclude::Excluded;
use crate::domain::selection::stratum::{Selection, StratumId};
use crate::pipeline::actors::fetcher::FetchParts;
use crate::pipeline::actors::messages::{ActorDied, CensusPlan, Drain};
use crate::pipeline::actors::stratum_file::StratumFile;
use crate::pipeline::actors::stratum_writer::WriteParts;
use crate::pipeline::actors::validator::ValidateParts;
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::chunk_reader::RowRules;
use crate::pipeline::ingest::rows_report::RowsReport;
use crate::pipeline::ingest::telemetry_rules::copilot_chat_rules;
use crate::pipeline::lifecycle::actor_monitor::{ActorExit, ActorMonitor, Role};
use crate::pipeline::lifecycle::byte_budget::ByteBudget;
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::pipeline::lifecycle::run_control::RunControl;
use crate::pipeline::lifecycle::sink_calls::SinkRetry;
use crate::pipeline::lifecycle::worker_pool::WorkerPool;
use crate::pipeline::supervisor::{RunOutput, SamplerPlan, Supervisor, SupervisorParts};
use crate::runtime::buffers::Buffers;
use crate::sink::block_cutter::BlockCutter;
use crate::source::Survey;
use crate::spool::sealed::Spool;
use crate::spool::{SpoolError, disk};
use crate::telemetry::heartbeat::Heartbeat;

/// What the actors of a run are made from.
pub(super) struct ActorInputs<'a> {
    pub parts: &'a RunParts,
    pub run_control: &'a RunControl,
    pub monitor: &'a ActorMonitor,
    pub survey: Survey,
    pub rows: RowsReport,
    pub spool: &'a Spool,
    pub excluded: Arc<Excluded>,
}

/// Runs the actors until the strata are written, and ends them.
///
/// # Errors
/// Whatever ends the supervisor.
pub(super) async fn run_actors(
    inputs: ActorInputs<'_>,
    exits: &mut mpsc::UnboundedReceiver<ActorExit>,
) -> Result<RunOutput, RunError> {
    let (run_control, monitor) = (inputs.run_control, inputs.monitor);
    let jitter_seed = inputs.parts.work_dir.record.started.as_nanosecond() as u64;
    let run = Arc::new(context(&inputs));
    let supervisor_parts = supervisor_parts(inputs, &run)?;
    let _stop = StopWork(run);
    let (outcome, mut ended) = oneshot::channel();
    let heartbeat = Heartbeat::default();
    let start = |_, _: &mut _| Supervisor::new(supervisor_parts, jitter_seed, outcome);
    let (_, supervisor) = monitor.start(Role::Supervisor, "supervisor", &heartbeat, start);
    let mut stopping = std::pin::pin!(run_control.stopping().fuse());
    let result = loop {
        tokio::select! {
            biased;
            result = &mut ended => break result.unwrap_or(Err(RunError::SupervisorDied)),
            () = &mut stopping => supervisor.do_send(Drain),
            // If the supervisor is dead itself, its outcome channel says so.
            Some(exit) = exits.recv() => supervisor.do_send(ActorDied(exit)),
        }
    };
    monitor.end_all();
    result
}

/// Has work on threads stop when it is dropped.
struct StopWork(Arc<RunContext>);

impl Drop for StopWork {
    fn drop(&mut self) {
        self.0.stop_work();
    }
}

/// Ends every actor when it is dropped.
pub(super) struct EndAll(pub ActorMonitor);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.end_all();
    }
}

/// What all actors of the run share.
fn context(inputs: &ActorInputs<'_>) -> RunContext {
    let parts = inputs.parts;
    let gate = inputs.run_control.gate().clone();
    let in_flight = parts.settings.limits.in_flight;
    RunContext {
        selection: Arc::new(parts.settings.selection.clone()),
        nested: nested(&parts.settings),
        copilot_chat: Arc::new(copilot_chat_rules(&parts.settings, &parts.work_dir.record)),
        pool: Arc::clone(&parts.pool),
        byte_budget: ByteBudget::new(in_flight, Arc::clone(&parts.telemetry), gate),
        payloads: inputs.rows.payloads.clone(),
        sink_retry: SinkRetry::new(&parts.settings, Arc::clone(&parts.telemetry)),
        telemetry: Arc::clone(&parts.telemetry),
        stop: Arc::new(AtomicBool::new(false)),
        faults: parts.faults.clone(),
    }
}

fn supervisor_parts(
    inputs: ActorInputs<'_>,
    run: &Arc<RunContext>,
) -> Result<SupervisorParts, RunError> {
    let (parts, survey) = (inputs.parts, inputs.survey);
    let settings = &parts.settings;
    let workers = &settings.workers;
    let samplers = sampler_plans(parts, &run.selection);
    Ok(SupervisorParts {
        run: Arc::clone(run),
        chunks: survey.chunks,
        self_contained: survey.self_contained,
        census: census(inputs.spool, survey.census, survey.sample, &samplers)?,
        max_concurrency: survey.max_concurrency,
        operation_timeout: survey.operation_timeout,
        allow_missing: settings.chunks.allow_missing as usize,
        max_attempts: settings.chunks.max_attempts.get(),
        fetchers: workers.fetchers.get(),
        sink: Arc::clone(&parts.sink),
        near_duplicates: settings.near_duplicates,
        samplers,
        write: Arc::new(WriteParts {
            run: Arc::clone(run),
            dataset: parts.work_dir.record.dataset.clone(),
            files: Arc::new(Semaphore::new(workers.uploaders.get())),
            validators: WorkerPool::new(workers.validators.get()),
            uploaders: WorkerPool::new(workers.uploaders.get()),
        }),
        restarts: (workers.restarts, workers.restart_window),
        stall_timeout: workers.stall_timeout,
        max_record: settings.limits.max_record,
        keep_cut: settings.cut == Cut::Keep,
        fetch: Arc::new(FetchParts {
            run: Arc::clone(run),
            source: Arc::clone(&parts.source),
            rules: Arc::new(row_rules(parts, run, inputs.excluded)),
            spool: inputs.spool.clone(),
        }),
        validate: Arc::new(ValidateParts {
            run: Arc::clone(run),
            rules: Arc::clone(&parts.rules),
            decontamination: settings.decontamination.clone(),
            privacy: Guard::new(settings.privacy.clone()),
            max_record: settings.limits.max_record,
            framing: framing(settings),
            buffers: Buffers::new(4 * BATCH_BYTES as usize),
        }),
        rows: inputs.rows,
        watch: inputs.monitor.clone(),
    })
}

/// The census to begin with, if the source delivers one: an earlier start's, or, if the survey has given a `sample`,
/// one that goes as far as candidates are wanted.
fn census(
    spool: &Spool,
    is_delivered: bool,
    sample: Option<PopulationSample>,
    samplers: &[SamplerPlan],
) -> Result<Option<CensusPlan>, RunError> {
    if !is_delivered {
        return Ok(None);
    }
    let begun = disk::retry(|| spool.begun_census(), SpoolError::is_transient)?;
    let first = match &sample {
        Some(_) => Pass::CensusUpTo(0),
        None => Pass::Census,
    };
    let pass = begun.unwrap_or(first);
    if pass == Pass::Census {
        return Ok(Some(CensusPlan { pass, ranks: None }));
    }
    let sample = sample.unwrap_or_default();
    let range = |plan: &SamplerPlan| (plan.stratum, sample.range(plan.stratum, plan.candidates));
    let ranks = Some(Arc::new(samplers.iter().map(range).collect()));
    Ok(Some(CensusPlan { pass, ranks }))
}

/// Which rows are wanted.
fn row_rules(parts: &RunParts, run: &RunContext, excluded: Arc<Excluded>) -> RowRules {
    let (settings, record) = (&parts.settings, &parts.work_dir.record);
    let ignored = settings.ignore_ids.iter();
    let ticks = |at: Option<UtcInstant>| at.map(UtcInstant::ticks);
    RowRules {
        ignore_ids: ignored.map(|id| id.clone().into_bytes()).collect(),
        excluded,
        window: ticks(record.window_start)..ticks(record.window_end),
        look: ticks(record.look_start)..ticks(record.look_end),
        max_record: settings.limits.max_record,
        selection: Arc::clone(&run.selection),
        nested: run.nested,
        schema: settings.schema,
        copilot_chat: Arc::clone(&run.copilot_chat),
        quotes_values: !settings.privacy.is_scan(),
    }
}

/// How rows are read when nothing but their ids and users is asked.
pub(super) fn rules_of_look(parts: &RunParts) -> RowRules {
    let settings = &parts.settings;
    RowRules {
        ignore_ids: Vec::new(),
        excluded: Arc::default(),
        window: None..None,
        look: None..None,
        max_record: settings.limits.max_record,
        selection: Arc::new(settings.selection.clone()),
        nested: nested(settings),
        schema: settings.schema,
        copilot_chat: Arc::new(copilot_chat_rules(settings, &parts.work_dir.record)),
        quotes_values: false,
    }
}

/// A sampler with an empty file for each stratum with a target.
fn sampler_plans(parts: &RunParts, selection: &Selection) -> Vec<SamplerPlan> {
    let framing = framing(&parts.settings);
    let block_bytes = parts.sink.block_bytes();
    let buffers = BlockCutter::buffers(block_bytes);
    let plan = |stratum| {
        let target = selection.target(stratum)?;
        let (split, bucket) = (selection.split(stratum), selection.bucket(stratum));
        let cutter = BlockCutter::new(
            parts.work_dir.record.dataset.clone(),
            manifest::stratum_path(&split.name, bucket, framing),
            block_bytes,
            buffers.clone(),
        );
        let file = StratumFile::new(cutter, framing, target.get());
        Some(SamplerPlan {
            stratum,
            name: format!("sampler of {}/{}", split.name, bucket.name),
            candidates: candidates(&parts.settings, target),
            file,
        })
    };
    selection.strata().filter_map(plan).collect()
}

/// How many candidates of each stratum the first round holds.
pub fn candidates_of(settings: &Settings) -> BTreeMap<StratumId, u64> {
    let selection = &settings.selection;
    let of = |stratum| Some((stratum, candidates(settings, selection.target(stratum)?)));
    selection.strata().filter_map(of).collect()
}

/// How many candidates of a stratum the first round holds. All of the best-ranked conversations, in which templates are
/// looked for, may be of one stratum; without spares that is left to another round.
fn candidates(settings: &Settings, target: NonZeroU64) -> u64 {
    let selection = &settings.selection;
    let candidates = selection.candidates_for(target);
    let best = NonZeroU64::new(CONVERSATIONS as u64).filter(|_| selection.spare_percent() > 0.0);
    match (settings.near_duplicates, best) {
        (Some(_), Some(best)) => candidates.max(selection.candidates_for(best)),
        _ => candidates,
    }
}

/// How nested values of assembled records are written.
pub fn nested(settings: &Settings) -> Nested {
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
