//! A table of the engine's own instead of files.

use std::path::{Path, PathBuf};

use gleaner::PipelineBuilder;

use super::{CONFIG, ledger, on_engine, run_over, write};
use crate::support::corpus::{Files, events, shuffled};
use crate::support::embedded::{finish, folder};
use crate::support::engine::LocalEngine;

/// Writes the parts of a table, as an executor does.
fn parts(folder: &Path, name: &str, files: &Files) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder.join(name)).expect("a folder");
    let part = |(file, bytes): &(String, Vec<u8>)| {
        let path = folder.join(name).join(file);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    files.iter().map(part).collect()
}

fn run(folder: &Path, name: &str) -> PipelineBuilder {
    gleaner::Pipeline::builder()
        .config(CONFIG)
        .config("source.kind = 'table'")
        .out(&folder.join(name).display().to_string())
        .work_dir(folder.join(format!("{name}-work")))
}

#[test]
fn its_parts_may_be_others_each_time() {
    let folder = folder();
    let rows = events(4, 600);
    write(folder.path(), &shuffled(&rows, 3, 4));
    let alone = finish(run_over(folder.path(), "alone", "")).expect("published");
    let table = [(5, 1), (2, 2), (7, 3)].map(|(files, seed)| {
        parts(
            folder.path(),
            &format!("t{seed}"),
            &shuffled(&rows, files, seed),
        )
    });
    let engine = LocalEngine::new(1).with_table(table.to_vec());
    let (engine, manifest) = on_engine(run(folder.path(), "engine"), engine);
    let manifest = manifest.expect("published");
    assert!(engine.jobs().len() > 2, "{:?}", engine.jobs());
    let [mut found, mut expected] = [&manifest, &alone.manifest].map(ledger);
    for of in [&mut found, &mut expected] {
        // Malformed rows are named by part.
        for reason in of["malformed"]
            .as_object_mut()
            .expect("by reason")
            .values_mut()
        {
            reason["examples"].take();
        }
    }
    assert_eq!(found, expected);
    let first = manifest
        .malformed
        .values()
        .find_map(|of| of.examples.first());
    assert!(first.expect("malformed rows").file.starts_with("part "));
}

#[test]
fn other_rows_are_refused_and_refused_again() {
    let folder = folder();
    let rows = events(4, 600);
    let first = parts(folder.path(), "t1", &shuffled(&rows, 3, 1));
    // One row more, in the round, and it is ignored.
    let mut more = rows.clone();
    more.push(br#"{"conversationId":"unknown","turnIndex":1,"Timestamp":"2025-01-02T00:00:00Z","mode":"agent","userMessage":"u"}"#.to_vec());
    let more = parts(folder.path(), "t2", &shuffled(&more, 3, 2));
    // As many rows, and one of them says something else.
    let mut said = rows.clone();
    let row = said
        .iter_mut()
        .find(|row| row.windows(6).any(|text| text == b"userNa"));
    let row = row.expect("a row with a user");
    *row = String::from_utf8_lossy(row)
        .replacen("userName", "otherName", 1)
        .into_bytes();
    let said = parts(folder.path(), "t3", &shuffled(&said, 3, 2));
    for other in [more, said] {
        refuses(folder.path(), &first, &other);
    }
}

fn refuses(folder: &Path, first: &[PathBuf], other: &[PathBuf]) {
    let table = other[0].parent().and_then(Path::file_name);
    let name = format!("d-{}", table.expect("a folder").display());
    let [first, other] = [first.to_vec(), other.to_vec()];
    for (start, table) in [vec![first.clone(), first, other.clone()], vec![other]]
        .into_iter()
        .enumerate()
    {
        let engine = LocalEngine::new(1).with_table(table);
        let (_, published) = on_engine(run(folder, &name), engine);
        let error = published.expect_err("refused");
        let cause = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        assert!(
            cause.contains("has other rows each time that it is evaluated"),
            "start {start}: {error}: {cause}"
        );
    }
}
