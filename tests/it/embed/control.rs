//! gleaner inside other programs: paused, drained, cancelled and abandoned. Where time matters it is
//! tokio's paused clock.

use std::time::Duration;

use futures_util::StreamExt;
use gleaner::pipeline::host::run_actor::{GetStatus, Pause, Resume};
use gleaner::pipeline::state::work_dir::WorkDirError;
use gleaner::pipeline::{BuildError, Controller, Handle, RunError, RunReport};
use gleaner::telemetry::{Notice, State};
use tokio::time::Instant;

use crate::support::embedded::{
    digest, digest_of, finish_here, folder, inline, paused, run_in, started_in,
};

#[test]
fn a_paused_run_begins_nothing_and_goes_on_to_the_same_dataset() {
    let expected = digest_of(run_in(folder().path()));
    let folder = folder();
    paused(async {
        let run = started_in(folder.path());
        run.address().send(Pause).await.expect("alive");
        // Two hours.
        tokio::time::sleep(Duration::from_secs(7_200)).await;
        let view = run.address().send(GetStatus).await.expect("alive");
        assert_eq!((view.state, view.totals.rows), (State::Paused, 0));
        assert_eq!(
            view.events.values().sum::<u64>(),
            0,
            "nobody is taken for dead: {:?}",
            view.recent
        );
        run.address().send(Resume).await.expect("alive");
        assert_eq!(digest(run.join().await), expected);
    });
}

/// Pauses at every kind of moment, for many times as long as an actor may stall.
#[test]
fn a_run_can_be_paused_at_any_notice() {
    let expected = digest_of(run_in(folder().path()));
    for nth in [1, 8, 15, 17, 22] {
        let folder = folder();
        let pausing = async |controller: &Controller| {
            controller.pause();
            tokio::time::sleep(Duration::from_secs(300)).await;
            let (state, totals) = (controller.status().state, controller.status().totals);
            assert_eq!(state, State::Paused, "at notice {nth}");
            tokio::time::sleep(Duration::from_secs(600)).await;
            let later = controller.status().totals;
            assert_eq!(
                (later.rows, later.bytes_written),
                (totals.rows, totals.bytes_written)
            );
            controller.resume();
        };
        let ended = paused(async { at_notice(nth, started_in(folder.path()), pausing).await });
        let report = ended.result.expect("published");
        assert_eq!(report.manifest.content_sha256, expected, "at notice {nth}");
        let events = &report.manifest.statistics["events"];
        assert_eq!(events["actor_exits"], 0, "at notice {nth}: {events}");
    }
}

/// A run that something was done to.
struct Ended {
    result: Result<RunReport, RunError>,
    /// From what was done to its end.
    took: Duration,
}

/// Does something to a run once it has published so many notices.
async fn at_notice(nth: usize, run: Handle, meddle: impl AsyncFnOnce(&Controller)) -> Ended {
    let (controller, notices) = (run.controller(), run.event_stream().take(nth));
    let meddling = async {
        notices.count().await;
        meddle(&controller).await;
        Instant::now()
    };
    let ending = async { (run.join().await, Instant::now()) };
    let ((result, ended), done) = tokio::join!(ending, meddling);
    Ended {
        result,
        took: ended.saturating_duration_since(done),
    }
}

#[test]
fn a_run_that_is_drained_or_cancelled_at_any_notice_goes_on_to_the_same_dataset() {
    let expected = digest_of(run_in(folder().path()));
    let (mut stopped, mut kept) = (0, 0);
    for nth in 0..28 {
        let drains = nth % 2 == 0;
        let folder = folder();
        paused(async {
            let run = started_in(folder.path());
            let controller = run.controller();
            let stopping = async |controller: &Controller| match drains {
                true => controller.drain(),
                false => controller.cancel(),
            };
            let Ended { result, took } = at_notice(nth, run, stopping).await;
            assert!(took < Duration::from_secs(1), "notice {nth}: {took:?}");
            let state = controller.status().state;
            match (result, drains) {
                (Ok(report), _) => {
                    assert_eq!(report.manifest.content_sha256, expected);
                    assert_eq!(state, State::Published);
                    return;
                }
                (Err(RunError::Interrupted), true) => assert_eq!(state, State::Interrupted),
                (Err(RunError::Cancelled), false) => assert_eq!(state, State::Cancelled),
                (Err(error), _) => panic!("notice {nth}: {error}"),
            }
            stopped += 1;
            let again = finish_here(run_in(folder.path()).pool(inline())).await;
            let report = again.expect("goes on");
            assert_eq!(report.manifest.content_sha256, expected, "notice {nth}");
            kept += report.chunks_replayed;
        });
    }
    assert!(
        stopped > 15 && kept > 50,
        "{stopped} stopped, {kept} chunks kept"
    );
}

#[test]
fn dropping_the_handle_cancels_and_detaching_does_not() {
    let expected = digest_of(run_in(folder().path()));
    let folder = folder();
    let run = run_in(folder.path())
        .build()
        .expect("ready")
        .spawn_thread()
        .expect("a thread");
    let controller = run.controller();
    run.pause();
    drop(run);
    block_on(controller.ended());
    assert_eq!(controller.status().state, State::Cancelled);
    // The thread gives the work directory back just after it has said so.
    let again = loop {
        match run_in(folder.path()).build() {
            Ok(again) => break again,
            Err(BuildError::WorkDir(WorkDirError::Busy { .. })) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    let controller = again.spawn_thread().expect("a thread").detach();
    block_on(controller.ended());
    assert_eq!(controller.status().state, State::Published);
    let event = controller.status().provenance.expect("a manifest");
    assert_eq!(event["content_sha256"], *expected);
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

#[test]
fn a_host_that_stops_its_system_leaves_a_run_that_can_go_on() {
    let expected = digest_of(run_in(folder().path()));
    for panics in [false, true] {
        let folder = folder();
        let (send, run) = std::sync::mpsc::channel();
        let path = folder.path().to_owned();
        let host = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let run = run_in(&path).build().expect("ready").spawn_local();
                let mut events = run.event_stream();
                send.send(run).expect("somebody waits");
                while let Some(event) = events.next().await {
                    if matches!(event.notice, Notice::Chunk { .. }) {
                        break;
                    }
                }
                assert!(!panics, "the host panics");
            });
        });
        let run = run.recv().expect("a run");
        let controller = run.controller();
        let result = run.join_blocking();
        assert!(matches!(result, Err(RunError::HostStopped)), "{result:?}");
        assert_eq!(host.join().is_err(), panics);
        assert_eq!(controller.status().state, State::Failed);
        assert_eq!(
            digest_of(run_in(folder.path())),
            expected,
            "panics: {panics}"
        );
    }
}
