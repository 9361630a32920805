//! Uploading overlaps validating, and one file alone keeps all uploaders busy. The sink waits for
//! what must happen meanwhile; if it does not, the run ends after the time of a long coffee break.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use gleaner::pipeline;
use gleaner::runtime::CpuPool;
use gleaner::sink::local_dir::LocalDir;
use gleaner::sink::{Block, BlockReceipt, DatasetSink, SinkFuture};
use gleaner::telemetry::{Counters, Telemetry};

use crate::forward::forward_to_inner;
use crate::support::pipeline::{run_parts, settings, synthetic};

/// One file, many times as long as a block and as a batch of records.
const CONFIG: &str = "
source.kind = 'synthetic'
workers.uploaders = 4
selection.targets.train = { short = 0, medium = 200, long = 0 }
selection.targets.val = { short = 0, medium = 0, long = 0 }
selection.targets.test = { short = 0, medium = 0, long = 0 }
";

/// What the first block waits for before it is written.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    /// More records are validated and placed than when it came.
    MoreIsPlaced,
    /// So many blocks are being written at once.
    Together(usize),
}

struct Waiting {
    inner: LocalDir,
    until: Until,
    telemetry: Telemetry,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Waiting {
    fn placed(&self) -> u64 {
        let strata = self.telemetry.snapshot().strata;
        strata.iter().map(|stratum| stratum.written).sum()
    }

    async fn wait(&self, index: u32) {
        let placed = self.placed();
        let is_over = || match self.until {
            Until::MoreIsPlaced => self.placed() > placed,
            Until::Together(blocks) => self.most.load(Ordering::Relaxed) >= blocks,
        };
        while index == 0 && !is_over() {
            tokio::task::yield_now().await;
        }
    }
}

impl DatasetSink for Waiting {
    forward_to_inner!(location, claim, commit, publish, release);

    fn block_bytes(&self) -> usize {
        16 << 10
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        async move {
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            if block.path.ends_with("turns.jsonl") {
                self.wait(block.index).await;
            }
            let receipt = self.inner.stage(block).await;
            self.now.fetch_sub(1, Ordering::Relaxed);
            receipt
        }
        .boxed()
    }
}

/// An export whose first block waits; the most blocks that were written at once.
fn export(until: Until) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(CONFIG);
    let telemetry = Counters::new(&settings.selection);
    let sink = Arc::new(Waiting {
        inner: LocalDir::new(folder.path().join("out")),
        until,
        telemetry: Arc::clone(&telemetry),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let source = Arc::new(synthetic(1500, &settings));
    let to: Arc<dyn DatasetSink> = sink.clone();
    let pool = Arc::new(CpuPool::new(2).expect("threads"));
    let parts = run_parts(folder.path(), settings, source, to, telemetry, pool);
    let run = async {
        let run = pipeline::run(parts, std::future::pending());
        tokio::time::timeout(Duration::from_secs(300), run).await
    };
    let report = actix_rt::System::new().block_on(run);
    let report = report.expect("what is waited for happens");
    assert_eq!(report.expect("good").manifest.strata[0].records, 200);
    sink.most.load(Ordering::Relaxed)
}

#[test]
fn records_are_validated_while_a_block_is_written() {
    export(Until::MoreIsPlaced);
}

#[test]
fn one_file_alone_keeps_all_uploaders_busy_and_no_more() {
    assert_eq!(export(Until::Together(4)), 4);
}
