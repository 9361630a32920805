//! Faults that strike a run inside another program: each run has its own, and whatever one waits
//! for, it can be cancelled. The clock is tokio's paused one.
#![cfg(feature = "fault-injection")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gleaner::domain::describe_error;
use gleaner::fault::{FaultPlan, Faults, Injector, Kind, Site};
use gleaner::pipeline::RunError;
use gleaner::pipeline::host::run_actor::Cancel;
use gleaner::telemetry::State;

use crate::support::embedded::{digest, digest_of, finish_here, folder, inline, paused, run_in};

/// Some faults for each of ten runs, none of which ends the process.
fn plans() -> Vec<FaultPlan> {
    let sites: Vec<Site> = (Site::ALL.iter().copied())
        .filter(|site| *site != Site::Supervisor)
        .collect();
    let kinds: Vec<Kind> = (Kind::ALL.iter().copied())
        .filter(|kind| *kind != Kind::Crash)
        .collect();
    (0..10)
        .map(|i| FaultPlan::draw(i, 2 + i as usize % 3, 12, &sites, &kinds))
        .collect()
}

#[test]
fn ten_runs_in_one_system_have_their_own_faults_and_none_disturbs_another() {
    let seeds: Vec<String> = (0..10).map(|i| format!("s{i}")).collect();
    let folders: Vec<_> = seeds.iter().map(|_| folder()).collect();
    let digest = |seed: &String| digest_of(run_in(folder().path()).seed(seed));
    let expected: Vec<_> = seeds.iter().map(digest).collect();
    assert_eq!(
        expected.iter().collect::<BTreeSet<_>>().len(),
        10,
        "ten samples"
    );
    let mut resumed = 0;
    paused(async {
        let start = |i: usize, faults: Option<Faults>| {
            run_in(folders[i].path())
                .seed(&seeds[i])
                .pool(inline())
                .faults(faults.unwrap_or_default())
                .build()
                .expect("ready")
                .spawn_local()
        };
        let plans = plans();
        let injectors: Vec<Arc<Injector>> = plans
            .iter()
            .map(|plan| Arc::new(Injector::new(plan.clone())))
            .collect();
        let runs: Vec<_> = (injectors.iter().enumerate())
            .map(|(i, injector)| start(i, Some(Faults::from(Arc::clone(injector)))))
            .collect();
        let controllers: Vec<_> = runs.iter().map(|run| run.controller()).collect();
        let results = join_all(runs.into_iter().map(|run| run.join())).await;
        for (i, result) in results.into_iter().enumerate() {
            let view = controllers[i].status();
            let struck = injectors[i].struck().len();
            let report = match result {
                Ok(report) => {
                    assert_eq!(view.state, State::Published);
                    let event = &report.manifest.statistics["events"];
                    let seen = serde_json::json!(view.events);
                    assert_eq!(*event, seen, "run {i} tells of its own events");
                    report
                }
                Err(error) => {
                    assert_eq!(view.state, State::Failed, "run {i}: {error}");
                    assert_eq!(view.error, Some(describe_error(&error)));
                    assert!(struck > 0, "run {i} failed without a fault: {error}");
                    resumed += 1;
                    start(i, None).join().await.expect("goes on")
                }
            };
            assert_eq!(
                report.manifest.content_sha256, expected[i],
                "run {i}: {}",
                plans[i]
            );
        }
    });
    assert!(resumed < 10, "most retry_on_panic their faults");
}

/// Whatever a run waits for, for ever, it can be cancelled.
#[test]
fn a_run_that_hangs_anywhere_is_cancelled_at_once() {
    let expected = digest_of(run_in(folder().path()));
    for site in [Site::Fetch, Site::Validator, Site::Stage, Site::Commit] {
        let folder = folder();
        paused(async {
            let plan: FaultPlan = format!("{site}:1:hang").parse().expect("a plan");
            let injector = Arc::new(Injector::new(plan));
            let patient = run_in(folder.path()).set("workers.stall_timeout", "30d");
            let run = patient
                .pool(inline())
                .faults(Faults::from(Arc::clone(&injector)))
                .build()
                .expect("ready")
                .spawn_local();
            let controller = run.controller();
            let cancelling = async {
                // All that can be done is done after an hour.
                tokio::time::sleep(Duration::from_secs(3600)).await;
                assert_eq!(injector.struck().len(), 1, "{site}");
                assert_eq!(controller.status().state, State::Running);
                controller.address().do_send(Cancel);
                tokio::time::Instant::now()
            };
            let ((result, ended), at) = tokio::join!(
                async { (run.join().await, tokio::time::Instant::now()) },
                cancelling
            );
            assert!(
                matches!(result, Err(RunError::Cancelled)),
                "{site}: {result:?}"
            );
            assert!(ended - at < Duration::from_secs(1), "{site}");
            let again = run_in(folder.path())
                .set("workers.stall_timeout", "30d")
                .pool(inline());
            assert_eq!(digest(finish_here(again).await), expected, "{site}");
        });
    }
}
