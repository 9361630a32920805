//! A driver that dies goes on where it was.

use std::fs;
use std::path::{Path, PathBuf};

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

/// What the first chunk of each job has brought.
fn chunk_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut paths: Vec<PathBuf> = (fs::read_dir(folder).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let is_chunk = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "chunk");
    found.extend(paths.iter().find(is_chunk).cloned());
    for path in paths.iter().filter(|path| path.is_dir()) {
        found.extend(chunk_files(path));
    }
    found
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn cut(path: &Path) {
    fs::write(path, "").expect("written");
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("removed");
}

#[test]
fn what_was_damaged_since_is_brought_again() {
    let folder = folder();
    write(folder.path(), &shuffled(&events(3, 600), 4, 3));
    let run = |name: &str| run_over(folder.path(), name, "chunks.count = 8");
    let alone = finish(run("alone")).expect("published").manifest;
    let (engine, _) = on_engine(run("undisturbed"), LocalEngine::new(1));
    let all = engine.jobs();
    for job in 1..all.len() {
        for (what, damage) in [
            ("flip", flip as fn(&Path)),
            ("cut", cut),
            ("remove", remove),
        ] {
            let name = format!("d{job}-{what}");
            let (_, died) = on_engine(run(&name), LocalEngine::new(1).dying(job, 0));
            died.expect_err("the driver dies");
            let jobs = folder.path().join(format!("{name}-work/chunks/engine"));
            for path in chunk_files(&jobs) {
                damage(&path);
            }
            let (engine, manifest) = on_engine(run(&name), LocalEngine::new(2));
            let manifest = manifest.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(ledger(&manifest), ledger(&alone), "{name}");
            let (first, _, chunks) = &engine.jobs()[0];
            assert_eq!((first.as_str(), *chunks), ("census", 1), "{name}");
        }
    }
}
