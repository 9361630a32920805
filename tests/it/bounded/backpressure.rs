//! Whatever is slow, bytes in flight stay within the budget, and fetchers that must wait say so.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use gleaner::pipeline;
use gleaner::pipeline::{RunError, RunReport};
use gleaner::runtime::CpuPool;
use gleaner::sink::local_dir::LocalDir;
use gleaner::sink::{Block, BlockReceipt, DatasetSink, SinkFuture};
use gleaner::telemetry::{Counters, Phase, Telemetry};
use tokio::sync::{Semaphore, oneshot};

use crate::forward::forward_to_inner;
use crate::support::pipeline::{run_parts, settings, synthetic};

/// Room for two fetches that read on the pool, which take half a mebibyte each.
const CONFIG: &str = "
source.kind = 'synthetic'
limits.in_flight = '1100KB'
workers.uploaders = 4
[selection.targets]
train = { short = 200, medium = 200, long = 200 }
val = { short = 20, medium = 20, long = 20 }
test = { short = 20, medium = 20, long = 20 }
";

const BUDGET: u64 = 1_100_000;

const UPLOADERS: usize = 4;

/// A sink whose blocks wait until somebody lets them go.
struct Held {
    inner: LocalDir,
    gate: Arc<Gate>,
}

struct Gate {
    open: Semaphore,
    /// Blocks that have come to it.
    arrived: AtomicUsize,
}

impl Gate {
    /// A gate that lets as many blocks through.
    fn new(blocks: usize) -> Arc<Self> {
        Arc::new(Self {
            open: Semaphore::new(blocks),
            arrived: AtomicUsize::new(0),
        })
    }
}

impl DatasetSink for Held {
    forward_to_inner!(location, claim, commit, publish, release);

    fn block_bytes(&self) -> usize {
        64 * 1024
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        async move {
            self.gate.arrived.fetch_add(1, Ordering::Relaxed);
            let _open = self.gate.open.acquire().await.expect("never closed");
            self.inner.stage(block).await
        }
        .boxed()
    }
}

/// A run over a pool of one thread and a sink behind a gate; `meddle` watches it meanwhile.
fn run(pool: &Arc<CpuPool>, gate: &Arc<Gate>, meddle: impl AsyncFnOnce(Telemetry)) -> RunReport {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(CONFIG);
    let telemetry = Counters::new(&settings.selection);
    let source = Arc::new(synthetic(1500, &settings));
    let sink = Arc::new(Held {
        inner: LocalDir::new(folder.path().join("out")),
        gate: Arc::clone(gate),
    });
    let (counters, pool) = (Arc::clone(&telemetry), Arc::clone(pool));
    let parts = run_parts(folder.path(), settings, source, sink, counters, pool);
    let both = async {
        let run = pipeline::run(parts, pending());
        let (result, ()) = futures_util::future::join(run, meddle(telemetry)).await;
        result
    };
    let limited = async { tokio::time::timeout(Duration::from_secs(300), both).await };
    let result: Result<RunReport, RunError> =
        actix_rt::System::new().block_on(limited).expect("no hang");
    result.expect("good")
}

/// Looks again and again until something is so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn fetchers_pause_while_the_pool_is_held_up_and_go_on_afterwards() {
    let pool = Arc::new(CpuPool::new(1).expect("a thread"));
    let (release, held) = oneshot::channel::<()>();
    let gate = Gate::new(100);
    let of_job = Arc::clone(&pool);
    let report = run(&pool, &gate, async move |telemetry| {
        // A disk that writes nothing, a validator that never ends: the thread is taken.
        let job = of_job.run(move || drop(held.blocking_recv()));
        let watch = async {
            until(|| telemetry.paused.get() == 2).await;
            let seen = telemetry.snapshot();
            assert_eq!(seen.phase, Phase::Reading);
            assert!(seen.in_flight > 1_000_000 && seen.in_flight <= BUDGET);
            release.send(()).expect("the job waits");
        };
        let (job, ()) = futures_util::future::join(job, watch).await;
        job.expect("no panic");
        until(|| telemetry.paused.get() == 0).await;
    });
    let statistics = &report.manifest.statistics;
    assert!(statistics["in_flight_peak"].as_u64().expect("a number") <= BUDGET);
    assert!(statistics["backpressure_waits"].as_u64().expect("a number") >= 2);
}

#[test]
fn a_sink_that_takes_nothing_holds_everybody_up_within_the_budget() {
    let pool = Arc::new(CpuPool::new(2).expect("threads"));
    let gate = Gate::new(0);
    let of_watch = Arc::clone(&gate);
    let report = run(&pool, &gate, async move |telemetry| {
        // A block of each uploader has come to the gate: nothing more is taken.
        until(|| of_watch.arrived.load(Ordering::Relaxed) == UPLOADERS).await;
        let validated = telemetry
            .strata
            .iter()
            .map(|stratum| stratum.validated.get());
        assert!(validated.sum::<u64>() > 0 && telemetry.written.get() == 0);
        assert!(telemetry.in_flight.get() <= BUDGET);
        of_watch.open.add_permits(100);
    });
    let statistics = &report.manifest.statistics;
    assert!(statistics["in_flight_peak"].as_u64().expect("a number") <= BUDGET);
    assert_eq!(report.manifest.strata.len(), 9);
}
