//! Hosts that are impatient, and parts of theirs that misbehave: nothing hangs, nothing of a run that
//! is over goes on, and the next start is not disturbed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Actor, Context, Handler};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, pending};
use gleaner::domain::record::rule::{Candidate, Rule};
use gleaner::domain::scheduling::chunk::{Chunk, HashChunk};
use gleaner::pipeline::RunError;
use gleaner::pipeline::host::run_actor::Subscribe;
use gleaner::runtime::CpuPool;
use gleaner::sink::local_dir::LocalDir;
use gleaner::sink::{Claim, ClaimRecord, DatasetSink, SinkFuture};
use gleaner::source::{ConversationSource, FetchFuture, FetchOrder, RowSink, SourceError, Survey};
use gleaner::telemetry::{Notice, RunEvent, State};
use gleaner::{Controller, PipelineBuilder};
use tokio::sync::mpsc;

use crate::forward::forward_to_inner;
use crate::support::embedded::{finish, folder, run_in};

/// Whoever is told that a run has ended may start the next one in the same place, at once.
#[test]
fn nothing_of_a_cancelled_run_disturbs_the_next() {
    let pool = Arc::new(CpuPool::new(2).expect("threads"));
    for local in [true, false] {
        let folder = folder();
        let start = || {
            run_in(folder.path())
                .pool(Arc::clone(&pool))
                .build()
                .expect("free")
        };
        for nth in 0..8 {
            let heard = |run: &gleaner::Handle| {
                let events = run.events();
                (0..nth).for_each(|_| drop(events.recv()));
            };
            let result = match local {
                true => actix_rt::System::new().block_on(async {
                    let run = start().spawn_local();
                    let mut events = run.event_stream();
                    for _ in 0..nth {
                        events.next().await;
                    }
                    run.cancel();
                    run.join().await
                }),
                false => {
                    let run = start().spawn_thread().expect("a thread");
                    heard(&run);
                    run.cancel();
                    run.join_blocking()
                }
            };
            assert!(
                matches!(result, Err(RunError::Cancelled) | Ok(_)),
                "{result:?}"
            );
            if result.is_ok() {
                break;
            }
        }
        let last = finish(run_in(folder.path()).pool(Arc::clone(&pool)));
        // It may have been published by the one before.
        if let Err(error) = last {
            assert!(error.to_string().contains("exists already"), "{error}");
        }
    }
}

/// A source whose run is cancelled just while it is surveyed.
struct CancelledMeanwhile(std::sync::Mutex<std::sync::mpsc::Receiver<Controller>>);

impl ConversationSource for CancelledMeanwhile {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!({"kind": "cancelled"})
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let run = self.0.lock().expect("whole").recv().expect("a run");
        run.cancel();
        let chunk = HashChunk {
            count: 1,
            index: 0,
            depth: 0,
        };
        let survey = Survey::of(vec![Chunk::Hash(chunk)], true);
        Box::pin(std::future::ready(Ok(survey)))
    }

    fn fetch<'a>(&'a self, _: FetchOrder, _: &'a mut dyn RowSink) -> FetchFuture<'a> {
        Box::pin(pending())
    }
}

#[test]
fn a_run_that_is_cancelled_while_it_begins_says_so() {
    let folder = folder();
    // The first start claims its place after the survey, the second before: nothing then comes
    // between the survey and the question whether to go on.
    for start in ["first", "second"] {
        let (tell, event) = std::sync::mpsc::channel();
        let source = CancelledMeanwhile(std::sync::Mutex::new(event));
        let run = run_in(folder.path()).source(source).build();
        let run = run.expect("ready").spawn_thread().expect("a thread");
        tell.send(run.controller()).expect("it is surveyed");
        let result = run.join_blocking();
        assert!(
            matches!(result, Err(RunError::Cancelled)),
            "{start}: {result:?}"
        );
    }
}

/// A rule that takes as long as the test wants, and counts how often it was asked.
struct Slow {
    asked: Arc<AtomicU64>,
    begun: std::sync::mpsc::SyncSender<()>,
    /// Disconnected when it may go on.
    go_on: crossbeam_channel::Receiver<()>,
}

impl Rule for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn check(&self, _: &Candidate<'_>) -> Option<String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Full if nobody listens any more.
        let _ = self.begun.try_send(());
        let _ = self.go_on.recv();
        None
    }
}

#[test]
fn rules_are_not_asked_any_more_once_the_run_is_joined() {
    let folder = folder();
    let asked = Arc::new(AtomicU64::new(0));
    let (begun, begins) = std::sync::mpsc::sync_channel(1);
    let (hold, go_on) = crossbeam_channel::bounded(0);
    let pool = Arc::new(CpuPool::new(2).expect("threads"));
    let slow = Slow {
        asked: Arc::clone(&asked),
        begun,
        go_on,
    };
    let run = run_in(folder.path())
        .pool(Arc::clone(&pool))
        .rule(slow)
        .build()
        .expect("ready");
    let run = run.spawn_thread().expect("a thread");
    begins.recv().expect("a record");
    run.cancel();
    drop(hold);
    let result = run.join_blocking();
    assert!(matches!(result, Err(RunError::Cancelled)), "{result:?}");
    let at_join = asked.load(Ordering::SeqCst);
    // Both threads of the shared pool are free: this waits for whatever they still do.
    let other = tempfile::tempdir().expect("a folder");
    finish(run_in(other.path()).pool(pool)).expect("published");
    assert_eq!(asked.load(Ordering::SeqCst), at_join);
}

#[test]
fn a_run_that_was_never_driven_has_ended_all_the_same() {
    let folder = folder();
    let run = {
        let local = tokio::task::LocalSet::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let _inside = runtime.enter();
        let _set = local.enter();
        run_in(folder.path()).build().expect("ready").spawn_local()
    };
    let controller = run.controller();
    assert!(matches!(run.join_blocking(), Err(RunError::HostStopped)));
    assert_eq!(controller.status().state, State::Failed);
    let event: Vec<RunEvent> = controller.events().into_iter().collect();
    assert!(
        matches!(
            event[..],
            [RunEvent {
                notice: Notice::Ended { .. },
                ..
            }]
        ),
        "{event:?}"
    );
}

#[test]
fn a_run_that_was_never_started_leaves_its_place_as_it_was() {
    let folder = folder();
    drop(run_in(folder.path()).build().expect("ready"));
    assert!(!folder.path().join("work").exists());
}

struct Listener(mpsc::UnboundedSender<RunEvent>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<RunEvent> for Listener {
    type Result = ();

    fn handle(&mut self, event: RunEvent, _: &mut Context<Self>) {
        self.0.send(event).expect("the test listens");
    }
}

/// Whose `put_sidecar` and `claim` are what the test wants.
struct Odd {
    inner: LocalDir,
    beside: Beside,
    claim_panics: bool,
}

#[derive(Clone, Copy)]
enum Beside {
    Hangs,
    Panics,
}

impl DatasetSink for Odd {
    forward_to_inner!(location, block_bytes, stage, commit, publish, release);

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        assert!(!self.claim_panics, "a sink of the host's own");
        self.inner.claim(dataset, claim)
    }

    fn put_sidecar<'a>(&'a self, _: &'a str, _: Vec<u8>) -> SinkFuture<'a, ()> {
        let beside = self.beside;
        Box::pin(async move {
            match beside {
                Beside::Hangs => pending().await,
                Beside::Panics => panic!("a sink of the host's own"),
            }
        })
    }
}

fn odd(folder: &Path, beside: Beside, claim_panics: bool) -> PipelineBuilder {
    // What a file says of another kind of sink is of no consequence.
    run_in(folder)
        .set("sink.kind", "azure_blob")
        .report(true)
        .sink(Odd {
            inner: LocalDir::new(folder.join("out")),
            beside,
            claim_panics,
        })
}

#[test]
fn a_report_that_cannot_be_put_anywhere_costs_a_note_and_no_dataset() {
    let folder = folder();
    let report = finish(odd(folder.path(), Beside::Panics, false)).expect("published");
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("report could not")),
        "{:?}",
        report.notes
    );

    let folder = tempfile::tempdir().expect("a folder");
    actix_rt::System::new().block_on(async {
        let run = odd(folder.path(), Beside::Hangs, false)
            .build()
            .expect("ready")
            .spawn_local();
        let controller = run.controller();
        let cancelling = async {
            controller.ended().await;
            // Who comes late hears of the end.
            let (heard, mut hears) = mpsc::unbounded_channel();
            let listener = Listener(heard).start();
            let address = controller.address();
            address
                .send(Subscribe(listener.recipient()))
                .await
                .expect("alive");
            let event = hears.recv().await.expect("the end");
            assert!(matches!(event.notice, Notice::Ended { .. }), "{event:?}");
            controller.cancel();
        };
        let (result, ()) = tokio::join!(run.join(), cancelling);
        let notes = result.expect("it was published before").notes;
        assert!(
            notes
                .iter()
                .any(|note| note.ends_with("beside it: cancelled")),
            "{notes:?}"
        );
    });
}

#[test]
fn a_part_that_panics_ends_the_run_and_is_reported() {
    let folder = folder();
    let run = odd(folder.path(), Beside::Panics, true)
        .build()
        .expect("ready");
    let run = run.spawn_thread().expect("a thread");
    let controller = run.controller();
    let result = run.join_blocking();
    assert!(matches!(result, Err(RunError::PartPanicked)), "{result:?}");
    assert_eq!(controller.status().state, State::Failed);
    finish(odd(folder.path(), Beside::Panics, false)).expect("published");
}
