//! A host that turns on `serde_json/preserve_order` gets the same fingerprint, work directory and dataset
//! as the program, and each goes on with a run of the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use gleaner::Pipeline;
use serde_json::{Value, json};

const TARGETS: &str = "selection.targets = { train = { short = 20, medium = 20, long = 20 }, val = { short = 2, medium = 2, long = 2 }, test = { short = 2, medium = 2, long = 2 } }";

/// The ordinary program, built with `fault-injection`.
fn program(folder: &Path, args: &[&str], kill_at: Option<&str>) -> ExitStatus {
    let path = std::env::var_os("GLEANER_TEST_PROGRAM")
        .expect("GLEANER_TEST_PROGRAM is not set: run this with ./test.sh");
    let mut command = Command::new(path);
    command
        .current_dir(folder)
        .args(args)
        .envs(kill_at.map(|at| ("GLEANER_FAULTS", format!("{at}:crash"))));
    command.status().expect("it runs")
}

fn export_by_program(folder: &Path, kill_at: Option<&str>) -> ExitStatus {
    fs::write(folder.join("targets.toml"), TARGETS).expect("written");
    let args = "export --config targets.toml --input in --out out --name d --work-dir work --seed s --progress none --max-malformed 100";
    program(folder, &args.split(' ').collect::<Vec<_>>(), kill_at)
}

/// The same, by this host. Paths are part of what a run is: it must stand in the same place.
fn export_by_host(folder: &Path) -> gleaner::pipeline::RunReport {
    std::env::set_current_dir(folder).expect("a folder");
    let run = Pipeline::builder()
        .config(TARGETS)
        .set("name", "d")
        .set("source.kind", "files")
        .set("source.files.paths", vec!["in"])
        .set("limits.max_malformed_percent", 100)
        .seed("s")
        .out("out")
        .work_dir("work")
        .build()
        .expect("good settings")
        .spawn_thread()
        .expect("a thread");
    run.join_blocking().expect("published")
}

/// A folder with the input of every run.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let made = program(
        folder.path(),
        &[
            "synth",
            "--conversations",
            "600",
            "--seed",
            "3",
            "--out",
            "in",
        ],
        None,
    );
    assert!(made.success());
    folder
}

/// Reports of invalid records have the second of the run's start in their names.
const REPORT: &str = "invalid_records_";

/// Without what differs from run to run; the order of keys stays.
fn masked(value: &mut Value, is_volatile: bool) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let volatile = [
                    "run_id",
                    "created_at",
                    "started",
                    "checksum",
                    "statistics",
                    "manifest_sha256",
                    "modified_ns",
                ];
                masked(value, is_volatile || volatile.contains(&key.as_str()));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| masked(value, is_volatile)),
        leaf if is_volatile => *leaf = Value::Null,
        Value::String(text) if text.starts_with(REPORT) => text.truncate(REPORT.len()),
        _ => {}
    }
}

/// Every file below a folder, by its path.
fn texts(folder: &Path, of: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts(&path, of, found);
            continue;
        }
        let mut text = fs::read_to_string(&path).expect("text");
        if path.ends_with("metadata.json") || path.ends_with("run.json") {
            let mut value: Value = serde_json::from_str(&text).expect("JSON");
            masked(&mut value, false);
            text = serde_json::to_string_pretty(&value).expect("text");
        }
        let name = path.strip_prefix(of).expect("below");
        // The digest of a masked file, and of reports named for their instant.
        if !name.ends_with("SHA256SUMS") {
            found.insert(name.to_owned(), text);
        }
    }
}

fn dataset(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    texts(&folder.join("out/d"), &folder.join("out"), &mut found);
    found.retain(|name, _| !name.to_string_lossy().contains(REPORT));
    let run = folder.join("work");
    let mut state = BTreeMap::new();
    texts(&run, folder, &mut state);
    found.extend(
        state
            .into_iter()
            .filter(|(name, _)| name.ends_with("run.json")),
    );
    found
}

#[test]
fn the_order_of_keys_changes_nothing() {
    assert_eq!(
        json!({"b": 1, "a": 2}).to_string(),
        r#"{"b":1,"a":2}"#,
        "the feature is on"
    );
    let (by_program, by_host, stopped) = (folder(), folder(), folder());
    let status = export_by_program(by_program.path(), None);
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    let expected = dataset(by_program.path());
    assert!(expected.len() > 4, "{:?}", expected.keys());

    export_by_host(by_host.path());
    assert_same(&dataset(by_host.path()), &expected);

    let killed = export_by_program(stopped.path(), Some("upload.stage.before:1"));
    assert_eq!(killed.code(), None, "killed");
    let report = export_by_host(stopped.path());
    assert!(report.resumed);
    assert_same(&dataset(stopped.path()), &expected);
}

fn assert_same(found: &BTreeMap<PathBuf, String>, expected: &BTreeMap<PathBuf, String>) {
    let names: [Vec<_>; 2] = [found, expected].map(|files| files.keys().collect());
    assert_eq!(names[0], names[1]);
    for (name, text) in expected {
        assert_eq!(&found[name], text, "{}", name.display());
    }
}
