//! A driver that dies goes on where it was.

use gleaner::domain::copilot_chat::sender::Era;
use gleaner::pipeline::RunError;

use super::{ledger, on_engine, run_over, write};
use crate::support::corpus::{Files, events, shuffled, telemetry};
use crate::support::embedded::{finish, folder};
use crate::support::engine::LocalEngine;

/// Has the driver die in every job of an export, early and late; gives the names of the jobs.
fn goes_on(files: &Files, more: &str) -> Vec<String> {
    let folder = folder();
    write(folder.path(), files);
    let run = |name: &str| run_over(folder.path(), name, &format!("chunks.count = 8\n{more}"));
    let alone = finish(run("alone")).expect("published").manifest;
    let (engine, _) = on_engine(run("undisturbed"), LocalEngine::new(1));
    let all = engine.jobs();
    let names = |jobs: &[(String, usize, usize)]| -> Vec<String> {
        jobs.iter().map(|(name, ..)| name.clone()).collect()
    };
    for job in 0..all.len() {
        let (_, pieces, chunks) = all[job];
        for results in [0, 3, pieces + chunks - 1] {
            let name = format!("d{job}-{results}");
            let (_, died) = on_engine(run(&name), LocalEngine::new(1).dying(job, results));
            assert!(
                matches!(died, Err(RunError::Source(_) | RunError::Chunk { .. })),
                "{died:?}"
            );
            let (engine, manifest) = on_engine(run(&name), LocalEngine::new(2));
            assert_eq!(ledger(&manifest.expect("published")), ledger(&alone));
            let jobs = engine.jobs();
            assert_eq!(names(&jobs), names(&all)[job..], "killed in job {job}");
            // Some of the results are counts of pieces.
            let kept = results.saturating_sub(pieces);
            assert!(jobs[0].2 + kept <= chunks, "{jobs:?}, after {results}");
        }
    }
    names(&all)
}

#[test]
fn what_a_job_has_brought_is_not_brought_again() {
    let jobs = goes_on(&shuffled(&events(3, 600), 4, 3), "");
    assert!(
        jobs.len() > 3,
        "with decisions and a second round: {jobs:?}"
    );
}

#[test]
fn rows_of_telemetry_and_shared_rows_are_not_brought_again() {
    let rows = telemetry(3, Some(Era::V035), 24);
    let jobs = goes_on(&shuffled(&rows, 4, 3), "source.allow_sampled = true");
    assert!(jobs.contains(&"shared".to_owned()), "{jobs:?}");
}
