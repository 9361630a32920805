//! An actor that dies or hangs is replaced, and the dataset is the same; too many exits end the run
//! with a clear error and a work directory that can be resumed. Never a hang: each case has the time
//! of a long coffee break, and needs a moment.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gleaner::config;
use gleaner::config::Layers;
use gleaner::config::settings::Settings;
use gleaner::pipeline;
use gleaner::pipeline::{RunError, RunReport};
use gleaner::runtime::CpuPool;
use gleaner::sink::local_dir::LocalDir;
use gleaner::sink::{Block, BlockReceipt, DatasetSink, SinkError, SinkFuture};
use gleaner::source::synthetic::SyntheticSource;
use gleaner::source::{ConversationSource, FetchFuture, FetchOrder, RowSink, SourceError, Survey};
use gleaner::telemetry::Counters;
use tokio::sync::Notify;

use crate::forward::forward_to_inner;
use crate::support::pipeline::{run_parts, synthetic};

/// What goes wrong, the n-th time.
#[derive(Clone, Copy, PartialEq)]
enum Mishap {
    None,
    Panic,
    Io,
    /// It never answers.
    Hang,
}

struct Troubled<T> {
    inner: T,
    mishap: Mishap,
    calls: AtomicU32,
    /// RunEvent when it goes wrong.
    struck: Arc<Notify>,
}

impl<T> Troubled<T> {
    fn new(inner: T, mishap: Mishap, struck: &Arc<Notify>) -> Self {
        Self {
            struck: Arc::clone(struck),
            inner,
            mishap,
            calls: AtomicU32::new(0),
        }
    }

    /// The second call goes wrong.
    fn strikes(&self) -> Option<Mishap> {
        let second = self.calls.fetch_add(1, Ordering::Relaxed) == 1;
        let struck = second.then_some(self.mishap).filter(|m| *m != Mishap::None);
        if struck.is_some() {
            self.struck.notify_one();
        }
        struck
    }
}

fn io_error() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset)
}

impl ConversationSource for Troubled<SyntheticSource> {
    fn describe(&self) -> serde_json::Value {
        self.inner.describe()
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        self.inner.survey()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            match self.strikes() {
                Some(Mishap::Panic) => std::panic::panic_any("a source that panics"),
                Some(Mishap::Hang) => pending().await,
                Some(_) => Err(SourceError::Io {
                    path: "somewhere".into(),
                    source: io_error(),
                }),
                None => self.inner.fetch(order, rows).await,
            }
        }
        .boxed()
    }
}

impl DatasetSink for Troubled<LocalDir> {
    forward_to_inner!(location, block_bytes, claim, commit, publish, release);

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        async move {
            match self.strikes() {
                Some(Mishap::Panic) => std::panic::panic_any("a sink that panics"),
                Some(Mishap::Hang) => pending().await,
                Some(_) => Err(SinkError::Io {
                    action: "write",
                    path: "somewhere".to_owned(),
                    source: std::io::ErrorKind::StorageFull.into(),
                }),
                None => self.inner.stage(block).await,
            }
        }
        .boxed()
    }
}

const CONFIG: &str = "
source.kind = 'synthetic'
workers = { stall_timeout = '1s', fetchers = 1, uploaders = 1 }
[selection.targets]
train = { short = 20, medium = 20, long = 20 }
val = { short = 2, medium = 2, long = 2 }
test = { short = 2, medium = 2, long = 2 }
";

fn settings(restarts: usize) -> Settings {
    let restarts = format!("workers.restarts = {restarts}");
    let layers = Layers::default().text("test", CONFIG).expect("TOML");
    let layers = layers.text("restarts", &restarts).expect("TOML");
    config::validate(&layers, &[]).expect("valid")
}

/// One start of a run, whose source and sink have their mishaps, and whose actors may be started
/// again so many times. Without restarts, whoever hangs is interrupted.
fn start(
    folder: &Path,
    source: Mishap,
    sink: Mishap,
    restarts: usize,
) -> Result<RunReport, RunError> {
    let settings = settings(restarts);
    let struck = Arc::new(Notify::new());
    let hangs = restarts == 0 && (source == Mishap::Hang || sink == Mishap::Hang);
    let source = Troubled::new(synthetic(500, &settings), source, &struck);
    let sink = Troubled::new(LocalDir::new(folder.join("out")), sink, &struck);
    let (source, sink) = (Arc::new(source), Arc::new(sink));
    let telemetry = Counters::new(&settings.selection);
    let pool = Arc::new(CpuPool::new(2).expect("threads"));
    let parts = run_parts(folder, settings, source, sink, telemetry, pool);
    let run = async {
        let limit = Duration::from_secs(300);
        let interrupt = async {
            match hangs {
                true => struck.notified().await,
                false => pending().await,
            }
        };
        tokio::time::timeout(limit, pipeline::run(parts, interrupt)).await
    };
    actix_rt::System::new().block_on(run).expect("no hang")
}

/// The digest of what is published without any mishap.
fn expected() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    undisturbed(folder.path()).manifest.content_sha256
}

/// A start without any mishap.
fn undisturbed(folder: &Path) -> RunReport {
    start(folder, Mishap::None, Mishap::None, 0).expect("good")
}

const PANICS: [(Mishap, Mishap, &str); 2] = [
    (Mishap::Panic, Mishap::None, "fetcher"),
    (Mishap::None, Mishap::Panic, "uploader"),
];

#[test]
fn a_fetcher_or_uploader_that_dies_or_hangs_is_replaced() {
    let expected = expected();
    let hangs = [
        (Mishap::Hang, Mishap::None, "fetcher"),
        (Mishap::None, Mishap::Hang, "uploader"),
    ];
    for (source, sink, actor) in PANICS.into_iter().chain(hangs) {
        let folder = tempfile::tempdir().expect("a folder");
        let report = start(folder.path(), source, sink, 5).expect("good");
        assert_eq!(report.manifest.content_sha256, expected, "{actor}");
        let events = &report.manifest.statistics["events"];
        let count = |kind: &str| events[kind].as_u64().expect("a count");
        assert_eq!(
            (count("actor_exits"), count("restarts")),
            (1, 1),
            "{events}"
        );
        let hangs = source == Mishap::Hang || sink == Mishap::Hang;
        assert_eq!(count("lease_losses"), u64::from(hangs), "{events}");
        let requeued = source == Mishap::Panic;
        assert_eq!(count("requeues"), u64::from(requeued), "{events}");
    }
}

#[test]
fn without_restarts_the_dead_actor_is_named_and_the_run_goes_on_next_time() {
    let expected = expected();
    for (source, sink, actor) in PANICS {
        let folder = tempfile::tempdir().expect("a folder");
        let error = start(folder.path(), source, sink, 0).expect_err("an exit");
        assert!(matches!(error, RunError::ActorDied { .. }), "{error}");
        assert!(error.to_string().contains(actor), "{error}");
        assert!(!folder.path().join("out/d/metadata.json").exists());
        let report = undisturbed(folder.path());
        assert!(report.resumed);
        assert_eq!(report.manifest.content_sha256, expected);
    }
}

#[test]
fn a_failed_fetch_is_tried_again_and_a_full_disk_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let retried =
        start(folder.path(), Mishap::Io, Mishap::None, 0).expect("good at the second try");
    let folder = tempfile::tempdir().expect("a folder");
    let error = start(folder.path(), Mishap::None, Mishap::Io, 0).expect_err("a failure");
    assert!(
        matches!(error, RunError::Sink(SinkError::Io { .. })),
        "{error}"
    );
    let report = undisturbed(folder.path());
    assert_eq!(
        report.manifest.content_sha256,
        retried.manifest.content_sha256
    );
    assert_eq!(report.chunks_replayed, 40, "nothing is fetched again");
}

#[test]
fn a_source_or_sink_that_hangs_does_not_keep_an_interrupted_run() {
    for (source, sink) in [(Mishap::Hang, Mishap::None), (Mishap::None, Mishap::Hang)] {
        let folder = tempfile::tempdir().expect("a folder");
        let error = start(folder.path(), source, sink, 0).expect_err("interrupted");
        assert!(matches!(error, RunError::Interrupted), "{error}");
        assert!(undisturbed(folder.path()).resumed);
    }
}
