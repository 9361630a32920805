//! A driver that dies goes on where it was.

use gleaner::pipeline::RunError;

use super::{ledger, on_engine, run_over, write};
use crate::support::corpus::{events, shuffled};
use crate::support::embedded::{finish, folder};
use crate::support::engine::LocalEngine;

#[test]
fn what_a_job_has_brought_is_not_brought_again() {
    let folder = folder();
    write(folder.path(), &shuffled(&events(3, 600), 4, 3));
    let run = |name: &str| run_over(folder.path(), name, "chunks.count = 8");
    let alone = finish(run("alone")).expect("published").manifest;
    let (engine, _) = on_engine(run("undisturbed"), LocalEngine::new(1));
    let all = engine.jobs();
    assert!(all.len() > 3, "with decisions and a second round: {all:?}");
    for job in 0..all.len() {
        // Four pieces, and the chunks.
        let of_job = all[job].2 + 4;
        for results in [0, 3, of_job - 1] {
            let name = format!("d{job}-{results}");
            let (_, died) = on_engine(run(&name), LocalEngine::new(1).dying(job, results));
            assert!(
                matches!(died, Err(RunError::Source(_) | RunError::Chunk { .. })),
                "{died:?}"
            );
            let (engine, manifest) = on_engine(run(&name), LocalEngine::new(2));
            assert_eq!(ledger(&manifest.expect("published")), ledger(&alone));
            let jobs = engine.jobs();
            let names = |jobs: &[(String, usize, usize)]| -> Vec<String> {
                jobs.iter().map(|(name, ..)| name.clone()).collect()
            };
            assert_eq!(names(&jobs), names(&all)[job..], "killed in job {job}");
            // Of the results up to four are counts of pieces.
            let kept = results.saturating_sub(4);
            assert!(jobs[0].2 + kept <= all[job].2, "{jobs:?}, after {results}");
        }
    }
}
