//! Runs the actors of a run until its strata are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::RunParts;
use crate::config::settings::{Format, Settings, SortKeys, Source};
use crate::domain::dataset::manifest::{self, Framing};
use crate::domain::record::assembler::Nested;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::selection::cut::Cut;
use crate::pipeline::actors::fetcher::FetchParts;
use crate::pipeline::actors::messages::{ActorDied, Drain};
use crate::pipeline::actors::sampler::{BATCH_BYTES, WriteParts};
use crate::pipeline::actors::stratum_writer::StratumFile;
use crate::pipeline::actors::validator::ValidateParts;
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::chunk_reader::RowRules;
use crate::pipeline::ingest::rows_report::RowsReport;
use crate::pipeline::lifecycle::actor_monitor::{ActorExit, ActorMonitor, Role};
use crate::pipeline::lifecycle::byte_budget::ByteBudget;
use crate::pipeline::lifecycle::run_control::RunControl;
use crate::pipeline::lifecycle::turns::Turns;
use crate::pipeline::supervisor::{RunOutput, SamplerPlan, Supervisor, SupervisorParts};
use crate::runtime::buffers::{Buffers, PAGE};
use crate::source::Survey;
use crate::spool::sealed::Spool;
use crate::telemetry::heartbeat::Heartbeat;

/// What the actors of a run are made from.
pub(super) struct ActorInputs<'a> {
    pub parts: &'a RunParts,
    pub run_control: &'a RunControl,
    pub monitor: &'a ActorMonitor,
    pub survey: Survey,
    pub rows: RowsReport,
    pub spool: &'a Spool,
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
    let supervisor_parts = supervisor_parts(inputs);
    // Whoever works on a thread, where nobody can end it, looks at this now and then.
    let _stop = StopWork(Arc::clone(&supervisor_parts.stop));
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
struct StopWork(Arc<AtomicBool>);

impl Drop for StopWork {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends every actor when it is dropped.
pub(super) struct EndAll(pub ActorMonitor);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.end_all();
    }
}

fn supervisor_parts(inputs: ActorInputs<'_>) -> SupervisorParts {
    let ActorInputs {
        parts,
        run_control,
        monitor,
        survey,
        rows,
        spool,
    } = inputs;
    let (settings, pool) = (&parts.settings, Arc::clone(&parts.pool));
    let selection = Arc::new(settings.selection.clone());
    let gate = run_control.gate().clone();
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
        window: record.window_start.map(UtcInstant::ticks)
            ..record.window_end.map(UtcInstant::ticks),
        look: record.look_start.map(UtcInstant::ticks)..record.look_end.map(UtcInstant::ticks),
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
        watch: monitor.clone(),
        faults: parts.faults.clone(),
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
