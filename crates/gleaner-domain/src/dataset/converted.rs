//! `metadata.json` of a converted dataset.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::accounting::{Imbalance, balance};
use super::manifest::{FileRecord, Tool, hex, seal_own_digest, sha256sums};
use crate::conversion::rule::{Findings, Rule};
use crate::decontamination::DecontaminationRecord;
use crate::privacy::policy::PrivacyRecord;

/// The version of this kind of `metadata.json`.
pub const CONVERTED_VERSION: u32 = 1;

/// What a conversion made, of what, and what became of each record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvertedManifest {
    /// [`CONVERTED_VERSION`]
    pub converted_version: u32,
    /// The name of the converted dataset.
    pub dataset: String,
    /// When the dataset that it was made of was published, RFC 3339: a conversion has no time of its
    /// own.
    pub created_at: String,
    /// The program that wrote it.
    pub tool: Tool,
    /// Hash of all that decides the bytes.
    pub run_id: String,
    /// The dataset that it was made of.
    pub derived_from: DerivedFrom,
    /// What was done there with secrets and personal data; absent: they were not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<PrivacyRecord>,
    /// The benchmarks that none of its records repeats; absent: none was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decontamination: Option<DecontaminationRecord>,
    /// The preset.
    pub preset: String,
    /// `json`, `jsonl` or `parquet`
    pub format: String,
    /// What becomes of calls without results.
    pub unfinished: String,
    /// SHA-256 of the tools that were given to records without any; null if there were none.
    pub tools_sha256: Option<String>,
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Records that were not written, by code.
    pub dropped: BTreeMap<String, u64>,
    /// What each rule did.
    pub rules: BTreeMap<String, RuleCount>,
    /// The splits, in the order of the dataset that it was made of.
    pub splits: Vec<ConvertedSplit>,
    /// Files beside the records.
    pub other_files: Vec<FileRecord>,
    /// Over the files of records, as in the dataset that it was made of.
    pub content_sha256: String,
    /// SHA-256 of this file's own bytes with these 64 digits as zeros.
    pub manifest_sha256: String,
}

/// A dataset, by name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerivedFrom {
    /// Its name.
    pub dataset: String,
    /// Its `content_sha256`.
    pub content_sha256: String,
}

/// How often a rule applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleCount {
    /// What it does.
    pub effect: String,
    /// Records that it applied to.
    pub records: u64,
    /// Times that it applied.
    pub times: u64,
}

/// A split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvertedSplit {
    /// Its name in the dataset that it was made of.
    pub split: String,
    /// Its name in the names of files, as loaders know it.
    pub name: String,
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records: u64,
    /// Its files, in their order.
    pub files: Vec<Shard>,
}

/// A file of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Records in it.
    pub records: u64,
    /// Its path, length and digest.
    #[serde(flatten)]
    pub file: FileRecord,
}

impl ConvertedManifest {
    /// All files but `SHA256SUMS` and `metadata.json`.
    pub fn files(&self) -> Vec<FileRecord> {
        let shards = self.shards().map(|shard| shard.file.clone());
        shards.chain(self.other_files.iter().cloned()).collect()
    }

    /// All files of records.
    pub fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.splits.iter().flat_map(|split| &split.files)
    }

    /// What `content_sha256` is to be: over the files of records.
    pub fn content_digest(&self) -> String {
        let shards: Vec<_> = self.shards().map(|shard| shard.file.clone()).collect();
        hex(&Sha256::digest(sha256sums(&shards)))
    }

    /// Checks every sum.
    ///
    /// # Errors
    /// Names the sum that does not come out.
    pub fn check(&self) -> Result<(), Imbalance> {
        let dropped: u64 = self.dropped.values().sum();
        balance("records_in", self.records_in, self.records_out + dropped)?;
        let of_splits = |count: fn(&ConvertedSplit) -> u64| self.splits.iter().map(count).sum();
        balance(
            "records_in of the splits",
            self.records_in,
            of_splits(|s| s.records_in),
        )?;
        balance(
            "records_out of the splits",
            self.records_out,
            of_splits(|s| s.records),
        )?;
        self.splits.iter().try_for_each(|split| {
            let shards = split.files.iter().map(|shard| shard.records).sum();
            balance(
                &format!("records of {}", split.split),
                split.records,
                shards,
            )
        })
    }

    /// Computes `content_sha256` and `manifest_sha256`, and gives the bytes of `metadata.json`.
    ///
    /// # Errors
    /// Never for a manifest of this type; the serializer cannot know that.
    pub fn seal(&mut self) -> serde_json::Result<Vec<u8>> {
        self.content_sha256 = self.content_digest();
        self.manifest_sha256 = "0".repeat(64);
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        if let Some(sha256) = seal_own_digest(&mut bytes) {
            self.manifest_sha256 = sha256;
        }
        Ok(bytes)
    }
}

/// Counts over all records of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// What each rule did.
    pub rules: BTreeMap<Rule, (u64, u64)>,
    /// Records that were not written.
    pub dropped: BTreeMap<Rule, u64>,
}

impl Counts {
    /// Counts what the rules did to one record.
    pub fn add(&mut self, findings: &Findings) {
        for (rule, times) in findings.iter() {
            let (records, all) = self.rules.entry(rule).or_default();
            *records += 1;
            *all += u64::from(times);
        }
    }

    /// Counts a record that was not written.
    pub fn drop_record(&mut self, rule: Rule) {
        *self.dropped.entry(rule).or_default() += 1;
    }

    /// Adds the counts of other records.
    pub fn merge(&mut self, other: &Self) {
        for (rule, (records, times)) in &other.rules {
            let counts = self.rules.entry(*rule).or_default();
            counts.0 += records;
            counts.1 += times;
        }
        for (rule, records) in &other.dropped {
            *self.dropped.entry(*rule).or_default() += records;
        }
    }

    /// As the manifest has them.
    pub fn by_code(&self) -> (BTreeMap<String, u64>, BTreeMap<String, RuleCount>) {
        let dropped = self.dropped.iter();
        let dropped = dropped.map(|(rule, records)| (rule.code().to_owned(), *records));
        let rules = self.rules.iter().map(|(rule, &(records, times))| {
            let effect = rule.effect().name().to_owned();
            let count = RuleCount {
                effect,
                records,
                times,
            };
            (rule.code().to_owned(), count)
        });
        (dropped.collect(), rules.collect())
    }
}
