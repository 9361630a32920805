//! The reference evaluator: a sequential, plain reading of the specification. It shares no code
//! with the pipeline; every other test holds the pipeline against it. It is slow, holds all rows in
//! memory, and does one thing after the other.

pub mod fitness;
mod grouping;
mod groups;
mod json;
pub mod near_duplicates;
pub mod records;
pub mod rows;
mod sampling;
pub mod telemetry;
pub mod trust;

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh64::xxh64;

pub use json::ticks;

/// What is asked for.
#[derive(Clone)]
pub struct Asked {
    pub seed: String,
    /// (split, bucket) -> target, in the splits and buckets of the specification.
    pub targets: BTreeMap<(&'static str, &'static str), usize>,
    pub ignore: Vec<String>,
    /// `selection.exclude`: ids, and users.
    pub exclude: BTreeSet<String>,
    pub exclude_users: BTreeSet<String>,
    /// Half open, in ticks.
    pub window: (i64, i64),
    /// Rows so far behind the window's end exist, in ticks.
    pub slack: i64,
    /// `selection.cut = "keep"`
    pub keep_cut: bool,
    pub max_record: usize,
    pub sort_keys: bool,
    /// `selection.split_by`; `None`: the id.
    pub split_by: Option<String>,
    /// `selection.valid_for = ["trl"]`
    pub valid_for_trl: bool,
    /// `selection.max_tokens`, where a token is a word between white space.
    pub max_words: Option<usize>,
    /// `privacy.users`
    pub users: trust::Users,
    /// `privacy.secrets = "redact"`
    pub redacts: bool,
    /// The text of a benchmark.
    pub benchmark: Option<String>,
    pub near_duplicates: Option<near_duplicates::NearDuplicates>,
}

pub const SPLITS: [(&str, i64); 3] = [("train", 83), ("val", 92), ("test", 100)];
pub const BUCKETS: [(&str, usize, usize, &str); 3] = [
    ("short", 3, 5, "short_3_to_5_turns"),
    ("medium", 6, 10, "medium_6_to_10_turns"),
    ("long", 11, 20, "long_11_to_20_turns"),
];

impl Asked {
    pub fn new(seed: &str, target: usize) -> Self {
        let pairs = SPLITS
            .iter()
            .flat_map(|s| BUCKETS.iter().map(|b| (s.0, b.0)));
        Self {
            seed: seed.to_owned(),
            targets: pairs.map(|pair| (pair, target)).collect(),
            ignore: vec!["unknown".to_owned()],
            exclude: BTreeSet::new(),
            exclude_users: BTreeSet::new(),
            window: (i64::MIN, i64::MAX),
            slack: 86_400 * 10_000_000,
            keep_cut: false,
            max_record: 64_000_000,
            sort_keys: false,
            split_by: None,
            valid_for_trl: false,
            max_words: None,
            users: trust::Users::Keep,
            redacts: false,
            benchmark: None,
            near_duplicates: None,
        }
    }
}

/// What comes out.
#[derive(Default, Debug)]
pub struct Outcome {
    pub rows: BTreeMap<&'static str, u64>,
    pub filtered_by: BTreeMap<&'static str, u64>,
    pub strata: BTreeMap<(&'static str, &'static str), Stratum>,
    pub warnings: BTreeMap<&'static str, u64>,
    /// File and line of every malformed row.
    pub malformed: BTreeSet<(String, usize)>,
}

impl Outcome {
    fn count(&mut self, key: &'static str, n: u64) {
        *self.rows.entry(key).or_default() += n;
    }

    fn filter(&mut self, reason: &'static str, n: u64) {
        if n > 0 {
            self.count("filtered", n);
            *self.filtered_by.entry(reason).or_default() += n;
        }
    }
}

#[derive(Default, Debug)]
pub struct Stratum {
    pub population: usize,
    pub records: Vec<Vec<u8>>,
    /// Ids with their codes.
    pub invalid: Vec<(String, Vec<&'static str>)>,
    /// Ids with the ids that they repeat.
    pub near_duplicates: Vec<(String, String)>,
}

pub fn hash(text: &[u8]) -> i64 {
    xxh64(text, 0) as i64
}

pub fn split_of(id: &str) -> &'static str {
    let residue = hash(id.as_bytes()).rem_euclid(100);
    SPLITS
        .iter()
        .find(|split| residue < split.1)
        .expect("below 100")
        .0
}

fn bucket_of(turns: usize) -> Option<(&'static str, &'static str)> {
    let bucket = BUCKETS.iter().find(|b| (b.1..=b.2).contains(&turns))?;
    Some((bucket.0, bucket.3))
}

/// Evaluates files of lines and of arrays.
pub fn evaluate(files: &[(String, Vec<u8>)], asked: &Asked) -> Outcome {
    let mut out = Outcome::default();
    let input = grouping::receive(files, asked, &mut out);
    let records = grouping::group(input, asked, &mut out);
    let malformed = out.malformed.len() as u64;
    out.count("malformed", malformed);
    sampling::sample(records, asked, &mut out);
    out
}
