//! The dataset and the ledger of one machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner::domain::dataset::manifest::Manifest;

use super::{ledger, on_engine, run_over, write};
use crate::support::corpus::{self, Files, conversations, events, repeated, shuffled};
use crate::support::embedded::{finish, folder};
use crate::support::engine::LocalEngine;
use crate::support::packed;

/// Exports on one machine and on an engine; both must be the same.
#[track_caller]
pub fn same(files: &Files, more: &str) -> Manifest {
    let folder = folder();
    write(folder.path(), files);
    same_in(folder.path(), more)
}

#[track_caller]
pub fn same_in(folder: &Path, more: &str) -> Manifest {
    let alone = finish(run_over(folder, "alone", more)).expect("published");
    let (engine, manifest) = on_engine(run_over(folder, "engine", more), LocalEngine::new(7));
    let manifest = manifest.expect("published");
    let jobs = engine.jobs();
    let (found, expected) = (ledger(&manifest), ledger(&alone.manifest));
    for (key, expected) in expected.as_object().expect("an object") {
        assert_eq!(found[key], *expected, "{key}: {more} {jobs:?}");
    }
    assert_eq!(manifest.source["engine"], "local");
    let again = jobs.iter().any(|(name, ..)| name == "census0");
    assert!(!again, "the first census was not wide enough: {jobs:?}");
    manifest
}

#[test]
fn rows_of_turns_with_every_fault() {
    for seed in 1..4 {
        same(&shuffled(&events(seed, 700), 5, seed), "");
    }
}

#[test]
fn rows_of_conversations_with_every_fault() {
    for seed in 1..4 {
        same(&shuffled(&conversations(seed, 900), 5, seed), "");
    }
}

#[test]
fn rows_in_packed_files() {
    let rows = events(5, 500);
    let folder = folder();
    let files = shuffled(&rows, 3, 5);
    write(folder.path(), &Vec::new());
    for (number, (name, bytes)) in files.iter().enumerate() {
        let path = folder.path().join("in").join(name);
        match number {
            0 => std::fs::write(path.with_extension("jsonl.gz"), packed::gzip(bytes)),
            1 => std::fs::write(path.with_extension("jsonl.zst"), packed::zst(bytes)),
            _ => std::fs::write(path, bytes),
        }
        .expect("written");
    }
    same_in(folder.path(), "");
}

#[test]
fn a_window_that_cuts_conversations() {
    let files = shuffled(&events(8, 700), 4, 8);
    for cut in ["drop", "keep"] {
        let more = format!(
            "selection.cut = '{cut}'\nwindow = {{ start = '2025-01-02T00:00:00Z', end = '2025-01-12T00:00:00Z', slack = '2d' }}"
        );
        let manifest = same(&files, &more);
        assert!(manifest.population.filtered > Some(0), "{cut}");
    }
}

#[test]
fn conversations_that_are_too_large_for_a_record() {
    let manifest = same(
        &shuffled(&events(9, 700), 4, 9),
        "limits.max_record = '3KB'",
    );
    assert!(manifest.population.damaged > Some(100));
}

#[test]
fn groups_that_decide_the_split() {
    let files = shuffled(&conversations(4, 900), 3, 4);
    let manifest = same(&files, "selection.split_by = 'userName'");
    assert!(manifest.groups.is_some());
}

#[test]
fn near_duplicates_and_privacy() {
    let mut rows = repeated(3, 900);
    rows.push(corpus::conversation(
        9_000,
        4,
        "write to ann.example@contoso.com",
    ));
    let manifest = same(
        &shuffled(&rows, 3, 3),
        "near_duplicates.scope = 'all'\nprivacy.personal = 'redact'",
    );
    let left_out: u64 = manifest
        .strata
        .iter()
        .map(|stratum| stratum.near_duplicates)
        .sum();
    assert!(left_out > 0, "{:?}", manifest.strata);
}

#[test]
fn what_a_window_does_not_do_is_noted() {
    let folder = folder();
    write(folder.path(), &shuffled(&conversations(6, 60), 2, 6));
    let window = "window = { start = '2025-01-02T00:00:00Z', end = '2025-01-12T00:00:00Z' }";
    let alone = finish(run_over(folder.path(), "alone", window)).expect("published");
    let run = run_over(folder.path(), "engine", window).engine(Arc::new(LocalEngine::new(1)));
    assert_eq!(finish(run).expect("published").notes, alone.notes);
    assert!(
        alone
            .notes
            .iter()
            .any(|note| note.contains("the window left none of them out"))
    );
}

/// Executors work in other folders: they are given whole paths, which [`LocalEngine`] holds them to.
#[test]
fn files_that_are_named_from_the_folder_of_the_driver() {
    let folder = folder();
    write(folder.path(), &shuffled(&conversations(2, 60), 2, 2));
    let here = std::env::current_dir().expect("a folder");
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let below = folder.path().strip_prefix("/").expect("a whole path");
    same_in(&up.join(below), "");
}

#[test]
fn ids_and_users_that_are_left_out() {
    let folder = folder();
    let list = folder.path().join("list.txt");
    let ids: String = (0..200).map(|number| format!("id-{number}\n")).collect();
    std::fs::write(&list, format!("{ids}userName:b\u{e9}a\n")).expect("written");
    write(folder.path(), &shuffled(&events(2, 700), 3, 2));
    let manifest = same_in(
        folder.path(),
        &format!("selection.exclude = '{}'", list.display()),
    );
    assert!(manifest.population.excluded > Some(220));
    assert_eq!(manifest.exclude.map(|found| found.listed), Some(201));
}

#[test]
fn strata_that_fall_short_and_strata_that_take_all() {
    let files = shuffled(&events(6, 300), 3, 6);
    let manifest = same(
        &files,
        "selection.targets.train = { short = 5000, medium = 'all', long = 1 }",
    );
    assert!(manifest.shortfall() > 0);
}

#[test]
fn ranks_that_the_first_census_does_not_reach() {
    // Where nearly all records are invalid, later rounds want more than the first census kept.
    let rows: Vec<_> = (0..8000)
        .map(|number| {
            let row = corpus::conversation(number, 4, "words");
            match number % 100 {
                0 => row,
                _ => String::from_utf8(row)
                    .expect("text")
                    .replace(
                        r#""userMessage":"words"#,
                        r#""userMessage":" ","other":"words"#,
                    )
                    .into_bytes(),
            }
        })
        .collect();
    let folder = folder();
    write(folder.path(), &shuffled(&rows, 3, 1));
    let more = "selection = { spare_percent = 0, targets = { train = { short = 30, medium = 0, long = 0 } } }";
    let alone = finish(run_over(folder.path(), "alone", more)).expect("published");
    let (engine, manifest) =
        on_engine(run_over(folder.path(), "engine", more), LocalEngine::new(5));
    assert_eq!(
        ledger(&manifest.expect("published")),
        ledger(&alone.manifest)
    );
    let jobs = engine.jobs();
    let wider = jobs
        .iter()
        .filter(|(name, ..)| name.starts_with("census"))
        .count();
    assert!(wider > 1, "a wider census: {jobs:?}");
}
