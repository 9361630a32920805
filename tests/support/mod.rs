//! Runs the real binary in a folder of its own and reads its datasets back.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod blob;
pub mod cloud;
pub mod copilot_rows;
pub mod corpus;
pub mod embedded;
pub mod engine;
pub mod files;
#[cfg(feature = "kusto-emulator")]
pub mod kusto;
pub mod leaks;
mod near_duplicates;
pub mod packed;
pub mod pipeline;
pub mod proxy;
pub mod reference;
mod run;
pub mod telemetry_domain;
pub mod telemetry_truth;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use files::{files_below, sha256, sums};
use gleaner::domain::selection::stratum::{Bucket, Selection, Split};
use reference::near_duplicates::NearDuplicates;
use reference::{Asked, BUCKETS, Outcome};
pub use run::Run;
use serde_json::Value;

/// A selection of these splits and buckets, whose files have the buckets' names, with ten records
/// wanted of each stratum that has a target.
pub fn selection(
    seed: &str,
    splits: &[(&str, u32)],
    buckets: &[(&str, [u64; 2])],
    targets: &[(&str, &str)],
) -> Selection {
    let split = |&(name, percent): &(&str, u32)| Split {
        name: name.to_owned(),
        percent,
    };
    let bucket = |&(name, turns): &(&str, [u64; 2])| Bucket {
        name: name.to_owned(),
        turns,
        file: name.to_owned(),
    };
    let target = |(split, bucket): &(&str, &str)| ((*split).to_owned(), (*bucket).to_owned(), 10);
    Selection::new(
        seed,
        5.0,
        splits.iter().map(split).collect(),
        buckets.iter().map(bucket).collect(),
        &targets.iter().map(target).collect::<Vec<_>>(),
    )
    .expect("it makes sense")
}

/// The words of a command line without quotes.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A folder for one test.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

/// The environment in which the program is killed when it reaches an end of an effect for the n-th time:
/// `upload.stage.before:3`.
pub fn kill_at(point: &str) -> [(&'static str, String); 1] {
    [("GLEANER_FAULTS", format!("{point}:crash"))]
}

/// The environment in which the program hangs there.
pub fn hang_at(point: &str) -> [(&'static str, String); 1] {
    [("GLEANER_FAULTS", format!("{point}:hang"))]
}

impl Sandbox {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(&path, bytes).expect("writable");
        path
    }

    /// Files for an input folder `in`.
    pub fn write_input(&self, files: &[(String, Vec<u8>)]) {
        for (name, bytes) in files {
            self.write(&format!("in/{name}"), bytes);
        }
    }

    /// The same compressed: their rows are kept in sealed chunks.
    pub fn write_compressed_input(&self, files: &[(String, Vec<u8>)]) {
        for (name, bytes) in files {
            self.write(&format!("in/{name}.zst"), packed::zst(bytes));
        }
    }

    /// The binary, in this folder, without the environment's settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
        command.current_dir(self.folder.path()).args(args);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GLEANER")) {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().expect("the binary runs").into()
    }

    /// Exports `in` to `out/d` with small targets for every stratum.
    pub fn export_args(&self, asked: &Asked) -> Vec<String> {
        let mut args: Vec<String> = "export --input in --out out --name d --work-dir work --format json --progress none --json --max-malformed 100"
            .split(' ')
            .map(str::to_owned)
            .collect();
        args.extend(["--seed".to_owned(), asked.seed.clone()]);
        if let Some(field) = &asked.split_by {
            args.extend(["--set".to_owned(), format!("selection.split_by={field}")]);
        }
        for ((split, bucket), target) in &asked.targets {
            args.push("--set".to_owned());
            args.push(format!("selection.targets.{split}.{bucket}={target}"));
        }
        for line in asked
            .near_duplicates
            .iter()
            .flat_map(NearDuplicates::settings)
        {
            args.extend(["--set".to_owned(), line]);
        }
        args
    }

    pub fn export_command(&self, asked: &Asked, more: &[&str]) -> Command {
        let mut command = self.command(&[]);
        command.args(self.export_args(asked)).args(more);
        command
    }

    pub fn export(&self, asked: &Asked, more: &[&str]) -> Run {
        let mut command = self.export_command(asked, more);
        command.output().expect("the binary runs").into()
    }

    /// Exports, and is killed at the n-th time that a site is reached: `seal:3`.
    #[track_caller]
    pub fn export_killed(&self, asked: &Asked, site: &str) {
        let mut command = self.export_command(asked, &[]);
        let killed = command.envs(kill_at(site)).output();
        let killed = Run::from(killed.expect("the binary runs"));
        let Run { code, stderr, .. } = &killed;
        assert_eq!(*code, None, "{site} was never reached: {stderr}");
    }

    pub fn dataset(&self) -> Dataset {
        Dataset::read(&self.path("out/d"))
    }
}

/// A published dataset.
pub struct Dataset {
    pub folder: PathBuf,
    pub metadata: Value,
}

impl Dataset {
    pub fn read(folder: &Path) -> Self {
        let text = fs::read(folder.join("metadata.json")).expect("a published dataset");
        Self {
            folder: folder.to_owned(),
            metadata: serde_json::from_slice(&text).expect("JSON"),
        }
    }

    pub fn digest(&self) -> String {
        self.metadata["content_sha256"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }

    pub fn count(&self, key: &str) -> u64 {
        self.metadata["population"][key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key}"))
    }

    pub fn records(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(file)).expect("a stratum file");
        let body = text
            .strip_prefix("[\n")
            .expect("an array")
            .strip_suffix("]\n")
            .expect("closed");
        match body.strip_suffix('\n') {
            None => Vec::new(),
            Some(body) => body.split(",\n").map(str::to_owned).collect(),
        }
    }
}

/// Holds a dataset against the reference, byte for byte and count for count, with the places of
/// malformed rows.
#[track_caller]
pub fn assert_equals_reference(dataset: &Dataset, expected: &Outcome) {
    assert_same_records(dataset, expected);
    assert_same_malformed(dataset, expected);
}

/// Holds a dataset against the reference, byte for byte and count for count.
#[track_caller]
pub fn assert_same_records(dataset: &Dataset, expected: &Outcome) {
    let metadata = &dataset.metadata;
    assert_is_consistent(dataset);
    let reasons = &metadata["population"]["filtered_by"];
    assert_eq!(*reasons, serde_json::json!(expected.filtered_by));
    for key in COUNTS {
        let found = &metadata["population"][key];
        let wanted = expected.rows.get(key).copied().unwrap_or(0);
        assert_eq!(
            found.as_u64(),
            Some(wanted),
            "population.{key} of {metadata}"
        );
    }
    let strata = metadata["strata"].as_array().expect("a list");
    assert_eq!(strata.len(), expected.strata.len());
    for ((split, bucket), wanted) in &expected.strata {
        let same = |s: &&Value| s["split"] == *split && s["bucket"] == *bucket;
        let record = strata.iter().find(same).expect("the stratum");
        let number = |key: &str| record[key].as_u64().expect("a count") as usize;
        assert_eq!(number("population"), wanted.population, "{record}");
        assert_eq!(number("records"), wanted.records.len(), "{record}");
        let contaminated = (wanted.invalid.iter())
            .filter(|(_, codes)| *codes == ["contaminated"])
            .count();
        assert_eq!(number("contaminated"), contaminated, "{record}");
        let invalid = wanted.invalid.len() - contaminated;
        assert_eq!(number("invalid"), invalid, "{record}");
        if wanted.records.is_empty() {
            continue;
        }
        let file = record["file"].as_str().expect("a path");
        let format = metadata["format"].as_str().expect("a format");
        let stem = BUCKETS.iter().find(|b| b.0 == *bucket).expect("known").3;
        assert_eq!(file, format!("{split}/{stem}.{format}"));
        let bytes = fs::read(dataset.folder.join(file)).expect("a stratum file");
        let framed = framed(&wanted.records, format);
        assert!(
            bytes == framed,
            "{file} differs:\n{}\n--- expected\n{}",
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(&framed)
        );
    }
    for (code, found) in metadata["warnings"].as_object().expect("an object") {
        let wanted = expected.warnings.get(code.as_str()).copied().unwrap_or(0);
        assert_eq!(found.as_u64(), Some(wanted), "warning {code}");
    }
    for code in expected.warnings.keys() {
        assert!(metadata["warnings"][code].is_u64(), "no warning {code}");
    }
    assert_eq!(invalid_records(dataset), wanted_invalid(expected));
    near_duplicates::assert_same(dataset, expected);
}

/// The bytes of a stratum file with these records.
fn framed(records: &[Vec<u8>], format: &str) -> Vec<u8> {
    match format {
        "json" => [b"[\n", &records.join(&b",\n"[..])[..], b"\n]\n"].concat(),
        "jsonl" => [&records.join(&b"\n"[..])[..], b"\n"].concat(),
        other => panic!("{other} is no format"),
    }
}

#[track_caller]
fn assert_same_malformed(dataset: &Dataset, expected: &Outcome) {
    let metadata = &dataset.metadata;
    let mut listed = BTreeSet::new();
    for of_reason in metadata["malformed"]
        .as_object()
        .expect("an object")
        .values()
    {
        for place in of_reason["examples"].as_array().expect("a list") {
            let file = Path::new(place["file"].as_str().expect("a path"));
            let name = file
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            listed.insert((name, place["line"].as_u64().expect("a line") as usize));
        }
    }
    let malformed = &expected.malformed;
    assert!(
        listed.is_subset(malformed),
        "{listed:?} is not in {malformed:?}"
    );
    assert!(
        listed.len() == malformed.len() || listed.len() >= 100,
        "{listed:?} {malformed:?}"
    );
}

const COUNTS: [&str; 17] = [
    "rows_read",
    "malformed",
    "filtered",
    "duplicate_turns",
    "duplicate_conversations",
    "duplicate_rows",
    "shared_rows",
    "kept_rows",
    "superseded_turns",
    "conversations",
    "excluded",
    "damaged",
    "cut_by_mode",
    "cut_by_window",
    "incomplete",
    "out_of_range",
    "no_target",
];

/// What a dataset says of itself is true: its keys, its files' digests, its sums.
#[track_caller]
fn assert_is_consistent(dataset: &Dataset) {
    let metadata = &dataset.metadata;
    let counts = metadata["population"].as_object().expect("an object");
    let keys: BTreeSet<&str> = counts.keys().map(String::as_str).collect();
    let mut wanted = BTreeSet::from(COUNTS);
    wanted.insert("filtered_by");
    assert_eq!(keys, wanted);
    let mut files = BTreeMap::new();
    for s in metadata["strata"].as_array().expect("a list") {
        let number = |key: &str| s[key].as_u64().unwrap_or_else(|| panic!("no {key}: {s}"));
        let left_out = number("near_duplicates") + number("contaminated");
        let parts = number("records") + number("invalid") + number("not_sampled") + left_out;
        assert_eq!(number("population"), parts, "{s}");
        assert_eq!(number("target"), number("records") + number("shortfall"));
        if number("records") == 0 {
            assert!(s["file"].is_null() && s["sha256"].is_null(), "{s}");
            assert_eq!(number("bytes"), 0, "{s}");
            continue;
        }
        let path = s["file"].as_str().expect("a path");
        let bytes = fs::read(dataset.folder.join(path)).expect("a stratum file");
        assert_eq!(number("bytes"), bytes.len() as u64, "{path}");
        assert_eq!(
            s["sha256"].as_str(),
            Some(sha256(&bytes).as_str()),
            "{path}"
        );
        files.insert(path.to_owned(), sha256(&bytes));
    }
    assert_eq!(dataset.digest(), sha256(sums(&files).as_bytes()));
    let invalid = metadata["invalid_files"].as_array().expect("a list");
    let near_duplicates = metadata["near_duplicates"]["files"].as_array();
    for file in invalid.iter().chain(near_duplicates.into_iter().flatten()) {
        let path = file["path"].as_str().expect("a path");
        let bytes = fs::read(dataset.folder.join(path)).expect("a report");
        files.insert(path.to_owned(), sha256(&bytes));
    }
    let card = fs::read(dataset.folder.join("README.md")).expect("a card");
    let digest = sha256(&card);
    assert_eq!(metadata["card"]["sha256"].as_str(), Some(digest.as_str()));
    files.insert("README.md".to_owned(), digest);
    let written = fs::read_to_string(dataset.folder.join("SHA256SUMS")).expect("sums");
    assert_eq!(written, sums(&files));
    let text = fs::read_to_string(dataset.folder.join("metadata.json")).expect("a manifest");
    let own = metadata["manifest_sha256"].as_str().expect("a digest");
    let zeros = text.replace(own, &"0".repeat(64));
    assert_eq!(own, sha256(zeros.as_bytes()));
    assert_eq!(metadata["format_version"], 2);
    files.extend(["SHA256SUMS", "metadata.json"].map(|name| (name.to_owned(), String::new())));
    let there = files_below(&dataset.folder);
    assert_eq!(there, files.into_keys().collect(), "no other file is left");
}

type Invalid = BTreeMap<String, Vec<String>>;

fn invalid_records(dataset: &Dataset) -> Invalid {
    let mut found = Invalid::new();
    for file in dataset.metadata["invalid_files"]
        .as_array()
        .expect("a list")
    {
        let path = dataset.folder.join(file["path"].as_str().expect("a path"));
        let report: Value =
            serde_json::from_slice(&fs::read(path).expect("a report")).expect("JSON");
        let seed = dataset.metadata["seed"].as_str().expect("a seed");
        let mut ranks = Vec::new();
        for record in report["invalid_records"].as_array().expect("a list") {
            let errors = record["errors"].as_array().expect("a list").iter();
            let codes = errors.map(|e| {
                e.as_str()
                    .expect("text")
                    .split(": ")
                    .next()
                    .expect("a code")
                    .to_owned()
            });
            let id = record["conversationId"].as_str().expect("text").to_owned();
            ranks.push((
                reference::hash(format!("{seed}/{id}").as_bytes()),
                id.clone(),
            ));
            found.insert(id, codes.collect());
        }
        assert!(ranks.is_sorted(), "a report is in rank order");
        assert_eq!(report["summary"]["total_invalid"], ranks.len());
    }
    found
}

fn wanted_invalid(expected: &Outcome) -> Invalid {
    let all = expected
        .strata
        .values()
        .flat_map(|stratum| &stratum.invalid);
    let owned = |codes: &Vec<&str>| codes.iter().map(|code| (*code).to_owned()).collect();
    all.map(|(id, codes)| (id.clone(), owned(codes))).collect()
}

/// The folder with the real data, if somebody said where it is.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("GLEANER_SHARED").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("GLEANER_SHARED is not set: the test over real data was left out");
    }
    folder
}
