//! A power cut at any instant of a small export leaves no dataset or a whole one, and the same
//! command on what it leaves ends with the same dataset.
#![cfg(feature = "fault-injection")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner::Pipeline;
use gleaner::pipeline::RunReport;
use gleaner::runtime::CpuPool;
use gleaner::runtime::storage::journal::{self, Op};
use gleaner::sink::reader::LocalDataset;
use gleaner::verify::verify;
use sha2::{Digest, Sha256};

use crate::support::corpus;

mod disk;

use disk::{Disk, State};

/// Fewer would mean that the recording misses most of what a run does; more take minutes.
const STATES: usize = 400;

/// Rows that are spooled, so that chunks are sealed.
fn input(folder: &Path) {
    fs::create_dir(folder.join("in")).expect("writable");
    for (name, bytes) in corpus::in_files(&corpus::events(8, 300), 4, "a") {
        let zst = zstd::encode_all(&bytes[..], 1).expect("memory");
        fs::write(folder.join("in").join(name + ".zst"), zst).expect("writable");
    }
}

fn export(folder: &Path, pool: &Arc<CpuPool>) -> Result<RunReport, String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut run = Pipeline::builder()
        .input([path("in")])
        .out(&path("out"))
        .work_dir(folder.join("work"))
        .pool(Arc::clone(pool))
        .set("name", "d")
        .set("limits.max_malformed_percent", 100);
    for split in ["train", "val", "test"] {
        for bucket in ["short", "medium", "long"] {
            run = run.set(&format!("selection.targets.{split}.{bucket}"), 1);
        }
    }
    let run = run.build().map_err(|error| error.to_string())?;
    let run = run.spawn_thread().map_err(|error| error.to_string())?;
    run.join_blocking().map_err(|error| error.to_string())
}

/// What lies in the output folder and in the work directory.
fn found(root: &Path) -> State {
    fn below(root: &Path, path: &Path, state: &mut State) {
        for entry in fs::read_dir(path).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below the root").to_owned();
            if path.is_dir() {
                state.insert(name, None);
                below(root, &path, state);
            } else {
                state.insert(name, Some(fs::read(path).expect("a file")));
            }
        }
    }
    let mut state = State::new();
    for name in ["out", "work"] {
        state.insert(PathBuf::from(name), None);
        below(root, &root.join(name), &mut state);
    }
    state
}

/// Puts a state in place of what is there.
fn restore(root: &Path, state: &State) {
    for name in ["out", "work"] {
        let path = root.join(name);
        if path.exists() {
            fs::remove_dir_all(path).expect("removable");
        }
    }
    // A folder comes before what is in it.
    for (path, bytes) in state {
        let path = root.join(path);
        match bytes {
            None => fs::create_dir(path).expect("writable"),
            Some(bytes) => fs::write(path, bytes).expect("writable"),
        }
    }
}

/// The content digest of the dataset, which is whole; `None` if there is no dataset.
fn digest(root: &Path) -> Result<Option<String>, String> {
    let folder = root.join("out/d");
    let Ok(manifest) = fs::read(folder.join("metadata.json")) else {
        return Ok(None);
    };
    let report = verify(&LocalDataset::new(folder), None, false);
    let report = report.map_err(|error| error.to_string())?;
    // What a run has written aside may lie beside it until the run is finished.
    let wrong: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| !finding.path.ends_with(".part"))
        .collect();
    if !wrong.is_empty() {
        return Err(format!("{wrong:?}"));
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
    Ok(manifest["content_sha256"].as_str().map(str::to_owned))
}

fn check(root: &Path, pool: &Arc<CpuPool>, state: &State, expected: &str) -> Result<(), String> {
    restore(root, state);
    let left = digest(root).map_err(|what| format!("half a dataset: {what}"))?;
    if left.is_some_and(|left| left != expected) {
        return Err("another dataset".to_owned());
    }
    let report = export(root, pool).map_err(|what| format!("the same command: {what}"))?;
    if report.manifest.content_sha256 != expected {
        return Err("the same command made another dataset".to_owned());
    }
    let again = digest(root).map_err(|what| format!("after the same command: {what}"))?;
    if again.as_deref() != Some(expected) {
        return Err("the same command said that it had published, and did not".to_owned());
    }
    if !report.already_published && root.join("out/d/.claim.json").exists() {
        return Err("the claim is left".to_owned());
    }
    Ok(())
}

/// Two states with one fingerprint are the same.
fn fingerprint(state: &State) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for (path, bytes) in state {
        let content = bytes.as_ref().map(Sha256::digest);
        hasher.update(format!("{}\0{content:?}\0", path.display()));
    }
    hasher.finalize().into()
}

fn recorded(root: &Path, pool: &Arc<CpuPool>) -> (Vec<Op>, String) {
    let recording = journal::record(root);
    let report = export(root, pool).expect("published");
    (recording.ops(), report.manifest.content_sha256)
}

#[test]
fn a_power_cut_leaves_no_dataset_or_a_whole_one_and_the_same_command_ends_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let pool = Arc::new(CpuPool::new(2).expect("threads"));
    input(root);
    let (ops, expected) = recorded(root, &pool);
    let mut disk = Disk::new(root);
    // Only where each state is, not what is in it: that is made again when its turn comes.
    let mut seen = HashSet::new();
    let mut states = Vec::new();
    let mut collect = |disk: &Disk, done: usize| {
        for lost in disk.losses() {
            if seen.insert(fingerprint(&disk.left(lost))) {
                states.push((done, lost));
            }
        }
    };
    collect(&disk, 0);
    for (index, op) in ops.iter().enumerate() {
        disk.apply(op);
        collect(&disk, index + 1);
    }
    assert!(
        disk.whole() == found(root),
        "not all operations were recorded: {:?}",
        differences(&disk.whole(), &found(root))
    );
    eprintln!("{} operations, {} states", ops.len(), states.len());
    assert!(states.len() >= STATES, "only {} states", states.len());
    // Spread over all of them.
    let step = states.len().div_ceil(STATES);
    let (mut disk, mut done) = (Disk::new(root), 0);
    let mut wrong = Vec::new();
    for &(after, lost) in states.iter().step_by(step) {
        ops[done..after].iter().for_each(|op| disk.apply(op));
        done = after;
        if let Err(error) = check(root, &pool, &disk.left(lost), &expected) {
            let last = after.checked_sub(1).map(|last| disk.describe(&ops[last]));
            wrong.push(format!("after {after} ({last:?}), {lost:?}: {error}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} states:\n{}",
        wrong.len(),
        states.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

fn differences(one: &State, other: &State) -> Vec<PathBuf> {
    let names = one.keys().chain(other.keys());
    let mut names: Vec<_> = names
        .filter(|name| one.get(*name) != other.get(*name))
        .collect();
    names.dedup();
    names.into_iter().cloned().collect()
}
