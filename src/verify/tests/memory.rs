//! A dataset in memory that can be damaged.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::{Finding, SUMS, VerifyReport, verify};
use crate::domain::dataset::accounting::Population;
use crate::domain::dataset::left_out::invalid_report;
use crate::domain::dataset::manifest;
use crate::domain::dataset::manifest::{
    ChunksRecord, FileRecord, Framing, Manifest, SelectionRecord, StratumRecord, Tool,
    WindowInstants,
};
use crate::domain::record::validation::Code;
use crate::domain::sampling::stratum_fill::InvalidRecord;
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::Selection;
use crate::domain::selection::stratum::fixtures::selection;
use crate::sink::MANIFEST;
use crate::sink::reader::DatasetReader;

pub const REPORT: &str = "invalid_records_train_20250101_000000.json";
pub const SHORT: &str = "train/short_3_to_5_turns.json";

/// Records for each stratum.
pub const TARGET: u64 = 4;

/// Files by path, and the manifest beside them, to be changed together or alone.
#[derive(Clone)]
pub struct Memory {
    pub files: BTreeMap<String, Vec<u8>>,
    pub manifest: Manifest,
}

impl DatasetReader for Memory {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn files(&self) -> io::Result<Vec<String>> {
        let named = self.files.keys().filter(|path| !path.starts_with('.'));
        Ok(named.cloned().collect())
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.files.get(path).map(|bytes| bytes.len() as u64))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        let bytes = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(io::Cursor::new(bytes.clone())))
    }
}

/// Some ids of a split in the order of ranks; other ones for every `bucket`.
pub fn ids(selection: &Selection, split: &str, bucket: usize, number: usize) -> Vec<String> {
    let candidates = (0..).map(|i| format!("{bucket}-{i}"));
    let of_split = candidates.filter(|id| selection.split_of(id.as_bytes()).name == split);
    let mut ids: Vec<String> = of_split.take(number).collect();
    let mut ranker = Ranker::new(selection.seed());
    ids.sort_by_cached_key(|id| (ranker.rank(id.as_bytes()), id.clone()));
    ids
}

fn record(id: &str, bucket: &str, turns: u64) -> Value {
    let turn = |i: u64| json!({"turnIndex": i, "userMessage": "SECRET", "modelMessage": "m"});
    json!({
        "conversationId": id, "userName": "n", "turnCount": turns, "bucket": bucket,
        "turnsArray": (1..=turns).map(turn).collect::<Vec<_>>(),
        // Every fourth record of a stratum, more or less, has a warning.
        "promptTokens": u64::from(!id.ends_with('3')), "completionTokens": 0,
    })
}

/// The report of one invalid record.
fn report_of(conversation_id: String, bucket: &str) -> Vec<u8> {
    let record = InvalidRecord {
        conversation_id: conversation_id.into(),
        turns: 3,
        errors: Box::new([(Code::FirstTurn, "what, at turn 1".into())]),
    };
    invalid_report(&[(bucket, &record)])
}

fn framed(framing: Framing, records: &[String]) -> Vec<u8> {
    let body = records.join(framing.between);
    format!("{}{body}{}", framing.before, framing.after).into_bytes()
}

impl Memory {
    /// `TARGET` records in every stratum but the last, which is empty; one invalid in the first.
    pub fn good(framing: Framing) -> Self {
        let selection = selection(TARGET);
        let mut files = BTreeMap::new();
        let mut strata = Vec::new();
        let mut warned = 0;
        let mut invalid_files = Vec::new();
        for stratum in selection.strata() {
            let (split, bucket) = (selection.split(stratum), selection.bucket(stratum));
            let file = manifest::stratum_path(&split.name, bucket, framing);
            let empty = split.name == "test" && bucket.name == "long";
            let invalid = u64::from(strata.is_empty());
            let number = TARGET + invalid;
            let mut ids = ids(
                &selection,
                &split.name,
                usize::from(stratum.0),
                number as usize,
            );
            if invalid == 1 {
                let bytes = report_of(ids.remove(1), &bucket.name);
                invalid_files.push(file_record(REPORT, &bytes));
                files.insert(REPORT.to_owned(), bytes);
            }
            if empty {
                ids.clear();
            }
            warned += ids.iter().filter(|id| id.ends_with('3')).count() as u64;
            let records: Vec<String> = ids
                .iter()
                .map(|id| record(id, &bucket.name, bucket.turns[0]).to_string())
                .collect();
            let of_file = (!records.is_empty()).then(|| {
                let bytes = framed(framing, &records);
                let of_file = file_record(&file, &bytes);
                files.insert(file.clone(), bytes);
                of_file
            });
            let records = records.len() as u64;
            strata.push(StratumRecord {
                split: split.name.clone(),
                bucket: bucket.name.clone(),
                target: Some(TARGET),
                population: records + invalid + 10,
                records,
                invalid,
                not_sampled: 10,
                shortfall: TARGET - records,
                near_duplicates: 0,
                contaminated: 0,
                tokens: None,
                bytes: of_file.as_ref().map_or(0, |file| file.bytes),
                sha256: of_file.as_ref().map(|file| file.sha256.clone()),
                file: of_file.map(|file| file.path),
            });
        }
        assert!(warned > 0, "there is a warning to be counted");
        let manifest = manifest(&selection, framing, strata, invalid_files, warned);
        let mut dataset = Self { files, manifest };
        dataset.seal();
        dataset
    }

    /// Writes manifest and sums anew, as given.
    pub fn seal(&mut self) {
        let sums = manifest::sha256sums(&self.manifest.files());
        self.files.insert(SUMS.to_owned(), sums.into_bytes());
        let bytes = self.manifest.seal().expect("JSON");
        self.files.insert(MANIFEST.to_owned(), bytes);
    }

    /// A forger's work: a file is changed, and every digest with it.
    pub fn forge(&mut self, path: &str, change: impl FnOnce(String) -> String) {
        let text = String::from_utf8(self.files[path].clone()).expect("text");
        let bytes = change(text).into_bytes();
        let of_file = file_record(path, &bytes);
        let strata = self.manifest.strata.iter_mut();
        for stratum in strata.filter(|s| s.file.as_deref() == Some(path)) {
            (stratum.bytes, stratum.sha256) = (of_file.bytes, Some(of_file.sha256.clone()));
        }
        for report in &mut self.manifest.invalid_files {
            if report.path == path {
                *report = of_file.clone();
            }
        }
        self.manifest.content_sha256 = manifest::content_sha256(&self.manifest.strata);
        self.files.insert(path.to_owned(), bytes);
        self.seal();
    }

    pub fn verify(&self, quick: bool) -> VerifyReport {
        verify(self, None, quick).expect("a dataset")
    }

    #[track_caller]
    pub fn expect(&self, path: &str, words: &str) {
        let report = self.verify(false);
        let found = |f: &Finding| f.path == path && f.what.contains(words);
        assert!(
            report.findings.iter().any(found),
            "{path}: {words}: {:?}",
            report.findings
        );
        let text = json!(report).to_string();
        assert!(!text.contains("SECRET"), "no text of a conversation");
    }
}

fn file_record(path: &str, bytes: &[u8]) -> FileRecord {
    FileRecord {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        sha256: manifest::hex(&Sha256::digest(bytes)),
    }
}

fn manifest(
    selection: &Selection,
    framing: Framing,
    strata: Vec<StratumRecord>,
    invalid_files: Vec<FileRecord>,
    warned: u64,
) -> Manifest {
    Manifest {
        format_version: manifest::FORMAT_VERSION,
        dataset: "d".to_owned(),
        created_at: "2025-01-01T00:00:00Z".to_owned(),
        tool: Tool {
            name: "gleaner".to_owned(),
            version: "0".to_owned(),
        },
        run_id: "1".to_owned(),
        fingerprint: "f".to_owned(),
        seed: selection.seed().to_owned(),
        hash: manifest::HASH.to_owned(),
        window: WindowInstants::default(),
        looked_at: WindowInstants::default(),
        source: json!({}),
        rules: Default::default(),
        selection: SelectionRecord::from(selection),
        copilot_chat: None,
        format: framing.ending.to_owned(),
        privacy: None,
        near_duplicates: None,
        groups: None,
        exclude: None,
        decontamination: None,
        sort_keys: "auto".to_owned(),
        chunks: ChunksRecord {
            count: 1,
            ..ChunksRecord::default()
        },
        population: Population {
            conversations: strata.iter().map(|s| s.population).sum(),
            ..Population::default()
        },
        malformed: BTreeMap::new(),
        warnings: [("empty_model_message", 0), ("token_counts", warned)]
            .map(|(code, count)| (code.to_owned(), count))
            .into(),
        invalid_files,
        card: None,
        content_sha256: manifest::content_sha256(&strata),
        strata,
        manifest_sha256: String::new(),
        statistics: BTreeMap::new(),
    }
}
