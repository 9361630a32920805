//! What a run does about the answers of a host's sink, and about those that never come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::pending;
use gleaner::cli::exit::CliError;
use gleaner::pipeline::RunError;
use gleaner::sink::{Action, SinkError};
use gleaner::testing::MemorySink;
use gleaner::{Pipeline, PipelineBuilder};

use super::hooked_sink::{HookedSink, When};
use crate::support::embedded::{digest_of, inline, paused};

const CONFIG: &str = "
name = 'd'
source.kind = 'synthetic'
source.synthetic.conversations = 200
[selection.targets]
train = { short = 6, medium = 5 }
val = { short = 1 }
";

fn run(folder: &std::path::Path) -> PipelineBuilder {
    Pipeline::builder()
        .config(CONFIG)
        .work_dir(folder.join("work"))
}

#[test]
fn a_run_cancelled_once_its_manifest_was_sent_never_says_that_nothing_was_published() {
    for (call, when, is_published) in [
        ("publish", When::Before, false),
        ("publish", When::After, false),
        ("release", When::Before, true),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (reached, wait) = mpsc::channel();
        let sink = HookedSink::new(MemorySink::new(), move |name, _, at| {
            if (name, at) != (call, when) {
                return async { Ok(()) }.boxed();
            }
            reached.send(()).expect("the test waits");
            pending().boxed()
        });
        let run = run(folder.path()).sink(sink).build().expect("ready");
        let run = run.spawn_thread().expect("a thread");
        wait.recv().expect("it comes so far");
        run.cancel();
        let error = run.join_blocking().expect_err("cancelled");
        let expected = matches!(&error, RunError::InterruptedPublishing { dataset, is_published: shown }
            if dataset == "d" && *shown == is_published);
        assert!(expected, "{call}: {error:?}");
        let shown = CliError::from(error).to_string();
        assert!(!shown.contains("nothing was published"), "{shown}");
        assert!(shown.contains("run the same command again"), "{shown}");
    }
}

/// An error that passes, and asks for the same call again.
fn again(action: Action) -> SinkError {
    let reason = "the bucket is away".to_owned();
    SinkError::Custom { reason, action }
}

/// Fails each call `times` times, before it takes effect or after, as `answer` says.
fn flaky(times: u32, when: When, action: Action, calls: &Calls) -> HookedSink {
    let calls = Arc::clone(calls);
    HookedSink::new(MemorySink::new(), move |name, what, at| {
        if at != when {
            return async { Ok(()) }.boxed();
        }
        let mut calls = calls.lock().expect("no panic");
        let count = calls.entry((name, what.to_owned())).or_default();
        *count += 1;
        let answer = match *count <= times {
            true => Err(again(action)),
            false => Ok(()),
        };
        async { answer }.boxed()
    })
}

type Calls = Arc<Mutex<BTreeMap<(&'static str, String), u32>>>;

#[test]
fn what_a_sink_asks_for_again_is_done_again_and_the_dataset_is_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let steady = digest_of(run(&folder.path().join("steady")).sink(MemorySink::new()));
    let retry_after = Some(Duration::from_secs(90));
    for (nth, (times, when, action)) in [
        (1, When::Before, Action::Retry),
        (4, When::Before, Action::Retry),
        (1, When::After, Action::Retry),
        (4, When::After, Action::Retry),
        (6, When::Before, Action::Throttle { retry_after }),
    ]
    .into_iter()
    .enumerate()
    {
        let calls = Calls::default();
        let sink = flaky(times, when, action, &calls);
        let folder = folder.path().join(nth.to_string());
        let (result, view) = paused(async {
            let run = run(&folder).report(true).pool(inline()).sink(sink);
            let run = run.build().expect("ready").spawn_local();
            let controller = run.controller();
            (run.join().await, controller.status())
        });
        let report = result.expect("published");
        assert_eq!(report.manifest.content_sha256, steady, "{times} {action:?}");
        let calls = calls.lock().expect("no panic");
        let names: BTreeSet<&str> = calls.keys().map(|(name, _)| *name).collect();
        let all = [
            "claim",
            "commit",
            "publish",
            "put_sidecar",
            "release",
            "stage",
        ];
        assert_eq!(names.into_iter().collect::<Vec<_>>(), all);
        let made: u32 = calls.values().sum();
        let retries = u64::from(made) - calls.len() as u64;
        assert!(retries >= u64::from(times) * 6, "{retries}");
        // No event is published once a run has ended: the report is put beside it then.
        let counted = view.events["sink_retries"];
        assert!(counted > 0 && counted <= retries, "{counted} of {retries}");
        let published = report.manifest.statistics["events"]["sink_retries"].as_u64();
        assert!(published.is_some_and(|count| count > 0), "{published:?}");
        let text = view.recent.iter().map(|event| event.text.as_str());
        let text: Vec<&str> = text.collect();
        assert!(
            text.iter()
                .any(|text| text.contains("retrying in") && text.contains("the bucket is away")),
            "{text:?}"
        );
    }
}

#[test]
fn a_sink_that_fails_for_ever_ends_the_run_with_the_cause_and_what_to_do() {
    for (call, verb) in [
        ("claim", "cannot claim d"),
        ("stage", "cannot write "),
        ("commit", "cannot commit "),
        ("publish", "cannot publish d"),
    ] {
        for action in [
            Action::Retry,
            Action::Throttle { retry_after: None },
            Action::Split,
            Action::Fail,
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let sink = HookedSink::new(MemorySink::new(), move |name, _, at| {
                let fails = name == call && at == When::Before;
                let answer = if fails { Err(again(action)) } else { Ok(()) };
                async { answer }.boxed()
            });
            let result = paused(async {
                let run = run(folder.path()).pool(inline()).sink(sink);
                run.build().expect("ready").spawn_local().join().await
            });
            let shown = CliError::from(result.expect_err("a failure")).to_string();
            assert!(shown.contains("the bucket is away"), "{shown}");
            assert!(shown.contains("run the same command again"), "{shown}");
            if action == Action::Retry {
                assert!(shown.contains(verb), "{shown}");
                assert!(shown.contains("given up after 5 attempts"), "{shown}");
            }
        }
    }
}

#[test]
fn a_flaky_sink_keeps_the_contract() {
    let place = MemorySink::new();
    let calls = Calls::default();
    let (at, calls) = (place.clone(), calls);
    let kit = gleaner::testing::sink_conformance(
        move || {
            let calls = Arc::clone(&calls);
            Box::new(HookedSink::new(at.clone(), move |name, what, when| {
                let mut calls = calls.lock().expect("no panic");
                let count = calls.entry((name, what.to_owned())).or_default();
                *count += 1;
                let fails = *count <= 2 && when == When::After;
                let answer = if fails {
                    Err(again(Action::Retry))
                } else {
                    Ok(())
                };
                async { answer }.boxed()
            }))
        },
        move |dataset| Box::new(place.reader(dataset)),
    );
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(kit);
}
