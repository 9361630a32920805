//! `metadata.json`, `SHA256SUMS`, the reports of invalid records, and the framing of stratum files:
//! every byte of a dataset that is not a record.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::conversion::tokens::Distribution;
use crate::dataset::accounting::{Imbalance, MalformedReport, Population, balance};
use crate::dataset::groups::GroupCounts;
use crate::dataset::left_out::NearDuplicatesRecord;
use crate::dataset::telemetry_seen::TelemetryRecord;
use crate::decontamination::DecontaminationRecord;
use crate::privacy::policy::PrivacyRecord;
use crate::sampling::rank_ranges::ChunkChecksum;
use crate::selection::exclude::ExcludeRecord;
use crate::selection::fitness::{Fitness, TokenLimit};
use crate::selection::group::GroupField;
use crate::selection::quality::QualityCode;
use crate::selection::stratum::{ALL, Bucket, Selection, SelectionError, Split};

/// The hash behind splits and ranks, as `metadata.json` names it.
pub const HASH: &str = "xxHash64 seed 0 over UTF-8, signed (Kusto hash)";

/// The version of `metadata.json` that is written. Version 1, of gleaner 0.1.0, has no
/// `format_version`, no digest of itself, and a file for a stratum without records; it can still be
/// read.
pub const FORMAT_VERSION: u32 = 2;

/// What stands around the records of a stratum file, of which there is at least one: a stratum
/// without records has no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Before the first record.
    pub before: &'static str,
    /// Between two records.
    pub between: &'static str,
    /// After the last record.
    pub after: &'static str,
    /// The file's ending.
    pub ending: &'static str,
}

/// One JSON array, a record a line.
pub const JSON: Framing = Framing {
    before: "[\n",
    between: ",\n",
    after: "\n]\n",
    ending: "json",
};

/// A record a line.
pub const JSONL: Framing = Framing {
    before: "",
    between: "\n",
    after: "\n",
    ending: "jsonl",
};

impl Framing {
    /// The framing of files with this ending.
    pub fn of(ending: &str) -> Option<Self> {
        [JSON, JSONL].into_iter().find(|f| f.ending == ending)
    }
}

/// `metadata.json`. The dataset is there if and only if it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`]
    #[serde(default = "first_version")]
    pub format_version: u32,
    /// The dataset's name.
    pub dataset: String,
    /// When it was published, RFC 3339.
    pub created_at: String,
    /// The program that wrote it.
    pub tool: Tool,
    /// Random, made once for the run.
    pub run_id: String,
    /// Fingerprint of the settings, 16 hexadecimal digits.
    pub fingerprint: String,
    /// `selection.seed`: decides the ranks.
    pub seed: String,
    /// [`HASH`]
    pub hash: String,
    /// The instants, null where the window is open.
    pub window: WindowInstants,
    /// The instants between which rows were looked at, to see which conversations the window cuts.
    #[serde(default)]
    pub looked_at: WindowInstants,
    /// Description of the source, without secrets.
    pub source: Value,
    /// Enough to check every rule again.
    pub selection: SelectionRecord,
    /// Copilot Chat telemetry, if the rows are that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copilot_chat: Option<TelemetryRecord>,
    /// Rules of the host's own that records were held against besides, with their versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, u32>,
    /// What was done with secrets and personal data; absent: they were not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<PrivacyRecord>,
    /// How much of `selection.exclude` was in the input; absent: nothing was excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<ExcludeRecord>,
    /// The benchmarks that no record repeats; absent: none was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decontamination: Option<DecontaminationRecord>,
    /// How near-duplicates were decided; absent: they were not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_duplicates: Option<NearDuplicatesRecord>,
    /// How many groups of `selection.split_by` the records of each split are of; absent: the id splits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupCounts>,
    /// `json` or `jsonl`
    pub format: String,
    /// `auto` or `always`
    pub sort_keys: String,
    /// The chunks of the run.
    pub chunks: ChunksRecord,
    /// Counts of rows and conversations.
    pub population: Population,
    /// Rows that cannot be read, by reason.
    pub malformed: MalformedReport,
    /// Strata with a target above 0, in the order of the selection.
    pub strata: Vec<StratumRecord>,
    /// Warnings of the records written by code, counted once per record.
    pub warnings: BTreeMap<String, u64>,
    /// The reports of invalid records.
    pub invalid_files: Vec<FileRecord>,
    /// The dataset's card, `README.md`; datasets of 0.1.0 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<FileRecord>,
    /// Equal for equal data in every run: see [`content_sha256`].
    pub content_sha256: String,
    /// SHA-256 of this file's own bytes with these 64 digits as zeros; empty in version 1.
    #[serde(default)]
    pub manifest_sha256: String,
    /// How the run went. Besides `created_at` and `run_id` the only part in which two runs over
    /// the same data may differ.
    pub statistics: BTreeMap<String, Value>,
}

fn first_version() -> u32 {
    1
}

/// The program that wrote a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `gleaner`
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A window as instants, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WindowInstants {
    /// First instant inside.
    pub start: Option<String>,
    /// First instant outside.
    pub end: Option<String>,
}

/// The chunks of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunksRecord {
    /// Number of chunks.
    pub count: u64,
    /// Chunks that the dataset lacks.
    pub missing: Vec<String>,
    /// Chunks that were split, each with its halves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub splits: BTreeMap<String, [String; 2]>,
    /// What the source counted of each, where it does; what was delivered is the same.
    /// Called `certificates` in 0.1.0.
    #[serde(
        default,
        alias = "certificates",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub checksums: BTreeMap<String, ChunkChecksum>,
    /// What was delivered of the payloads of each, in all rounds after a census.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payloads: BTreeMap<String, ChunkChecksum>,
}

/// A stratum of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StratumRecord {
    /// Its split.
    pub split: String,
    /// Its bucket.
    pub bucket: String,
    /// Records wanted; null: all that are valid.
    pub target: Option<u64>,
    /// Conversations that belong to it.
    pub population: u64,
    /// Records written.
    pub records: u64,
    /// Records that failed, up to the last one written.
    pub invalid: u64,
    /// The others.
    pub not_sampled: u64,
    /// Records that are missing.
    pub shortfall: u64,
    /// Conversations left out because another is nearly the same.
    #[serde(default)]
    pub near_duplicates: u64,
    /// Conversations left out because a benchmark has their text.
    #[serde(default)]
    pub contaminated: u64,
    /// How long its records are, if a tokenizer was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Distribution>,
    /// Its file; null if it has no records.
    pub file: Option<String>,
    /// The file's length.
    pub bytes: u64,
    /// The file's SHA-256; null if there is no file.
    pub sha256: Option<String>,
}

/// A file of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path in the dataset.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// A selection, as written into the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectionRecord {
    /// Spare candidates in percent.
    pub spare_percent: f64,
    /// All splits.
    pub splits: Vec<Split>,
    /// All buckets.
    pub buckets: Vec<Bucket>,
    /// Targets above 0, by split and bucket; null: all that is valid.
    pub targets: BTreeMap<String, BTreeMap<String, Option<u64>>>,
    /// The field whose text chooses the split; absent: `conversationId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_by: Option<String>,
    /// Codes of quality that make a record invalid, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reject_quality: Vec<String>,
    /// Presets that take every record, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub valid_for: Vec<String>,
    /// The most tokens of a record, if there is a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<NonZeroU64>,
    /// SHA-256 of the tokenizer that counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer_sha256: Option<String>,
}

impl From<&Selection> for SelectionRecord {
    fn from(selection: &Selection) -> Self {
        let mut targets = BTreeMap::<String, BTreeMap<String, Option<u64>>>::new();
        for stratum in selection.strata() {
            let target = selection.wanted(stratum);
            targets
                .entry(selection.split(stratum).name.clone())
                .or_default()
                .insert(selection.bucket(stratum).name.clone(), target);
        }
        let fitness = selection.fitness();
        Self {
            spare_percent: selection.spare_percent(),
            splits: selection.splits().to_vec(),
            buckets: selection.buckets().to_vec(),
            targets,
            split_by: selection.split_by().map(|field| field.name().to_owned()),
            reject_quality: selection
                .reject_quality()
                .iter()
                .map(|code| code.name().to_owned())
                .collect(),
            valid_for: (fitness.valid_for().iter())
                .map(|preset| preset.name().to_owned())
                .collect(),
            max_tokens: fitness.limit().and_then(|limit| limit.max_tokens),
            tokenizer_sha256: fitness.limit().map(|limit| limit.sha256.clone()),
        }
    }
}

impl SelectionRecord {
    /// The selection again.
    ///
    /// # Errors
    /// If the manifest was tampered with.
    pub fn selection(&self, seed: &str) -> Result<Selection, SelectionError> {
        let targets: Vec<_> = self
            .targets
            .iter()
            .flat_map(|(split, of_split)| {
                of_split
                    .iter()
                    .map(|(bucket, target)| (split.clone(), bucket.clone(), target.unwrap_or(ALL)))
            })
            .collect();
        let selection = Selection::new(
            seed,
            self.spare_percent,
            self.splits.clone(),
            self.buckets.clone(),
            &targets,
        )?;
        // A code of a later version is one that this one cannot look for.
        let codes = self.reject_quality.iter();
        let codes = codes.filter_map(|name| QualityCode::named(name));
        // The same holds for presets. The tokenizer is not in the manifest.
        let presets = self.valid_for.iter().filter_map(|name| name.parse().ok());
        let limit = self.tokenizer_sha256.clone().map(|sha256| TokenLimit {
            max_tokens: self.max_tokens,
            sha256,
            tokenizer: None,
        });
        let fitness = Fitness::new(presets.collect(), limit);
        let split_by = self.split_by.as_deref();
        let field = |name| {
            GroupField::new(name).map_err(|reason| SelectionError::SplitBy {
                name: String::from(name),
                reason,
            })
        };
        let split_by = split_by.map(field).transpose()?;
        let selection = selection.splitting_by(split_by);
        Ok(selection.rejecting(codes.collect()).fitting(fitness))
    }
}

impl StratumRecord {
    /// Checks its sums.
    fn check(&self) -> Result<(), Imbalance> {
        let name = format!("{}/{}", self.split, self.bucket);
        let left_out = self.near_duplicates + self.contaminated;
        let parts = self.records + self.invalid + left_out + self.not_sampled;
        balance(&format!("population of {name}"), self.population, parts)?;
        let wanted = self.records + self.shortfall;
        let target = self.target.unwrap_or(self.records);
        balance(&format!("target of {name}"), target, wanted)
    }

    /// Its file, if it has one.
    pub fn file_record(&self) -> Option<FileRecord> {
        Some(FileRecord {
            path: self.file.clone()?,
            bytes: self.bytes,
            sha256: self.sha256.clone().unwrap_or_default(),
        })
    }
}

impl Manifest {
    /// The field that decides the splits, and how many groups each has; `None` if the id decides.
    pub fn groups_by_split(&self) -> Option<(&str, impl Iterator<Item = (&str, u64)>)> {
        let (field, groups) = (self.selection.split_by.as_deref()?, self.groups.as_ref()?);
        let splits = self.selection.splits.iter();
        let counted = splits.map(|split| {
            let groups = groups.get(&split.name).copied().unwrap_or(0);
            (split.name.as_str(), groups)
        });
        Some((field, counted))
    }

    /// Checks every sum: rows, conversations, and each stratum.
    ///
    /// # Errors
    /// Names the sum that does not come out.
    pub fn check(&self) -> Result<(), Imbalance> {
        self.population
            .check(self.strata.iter().map(|s| s.population).sum())?;
        self.strata.iter().try_for_each(StratumRecord::check)
    }

    /// The place in `strata` of the one that has this file.
    pub fn stratum_of_file(&self, path: &str) -> Option<usize> {
        let mut strata = self.strata.iter();
        strata.position(|stratum| stratum.file.as_deref() == Some(path))
    }

    /// All files but `SHA256SUMS` and `metadata.json`.
    pub fn files(&self) -> Vec<FileRecord> {
        let strata = self.strata.iter().filter_map(StratumRecord::file_record);
        let near_duplicates = self.near_duplicates.iter().flat_map(|found| &found.files);
        let beside = self
            .invalid_files
            .iter()
            .chain(near_duplicates)
            .chain(&self.card);
        strata.chain(beside.cloned()).collect()
    }

    /// Records that are missing over all strata.
    pub fn shortfall(&self) -> u64 {
        self.strata.iter().map(|s| s.shortfall).sum()
    }

    /// Computes `manifest_sha256`, and gives the bytes of `metadata.json`.
    ///
    /// # Errors
    /// Never for a manifest of this type; the serializer cannot know that.
    pub fn seal(&mut self) -> serde_json::Result<Vec<u8>> {
        self.manifest_sha256 = "0".repeat(DIGITS);
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        if let Some(sha256) = seal_own_digest(&mut bytes) {
            self.manifest_sha256 = sha256;
        }
        Ok(bytes)
    }
}

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Where the digits of `manifest_sha256` are in the bytes of a manifest, and what they should be:
/// the SHA-256 of these bytes with zeros for them. `None` if the bytes have no such digits.
pub fn own_digest(manifest: &[u8]) -> Option<(Range<usize>, String)> {
    // A line of its own, indented once: no text and no nested key can look like it.
    const KEY: &[u8] = b"\n  \"manifest_sha256\": \"";
    let start = memchr::memmem::find(manifest, KEY)? + KEY.len();
    let digits = start..start + DIGITS;
    let are_digits = manifest.get(digits.clone())?.iter();
    let end = manifest.get(digits.end..)?;
    if !are_digits.clone().all(u8::is_ascii_hexdigit) || !end.starts_with(b"\"") {
        return None;
    }
    let mut hasher = Sha256::new();
    hasher.update(&manifest[..start]);
    hasher.update([b'0'; DIGITS]);
    hasher.update(end);
    Some((digits, hex(&hasher.finalize())))
}

/// Writes the digest of a manifest's own bytes over its zeros, and gives it.
pub(super) fn seal_own_digest(manifest: &mut [u8]) -> Option<String> {
    let (digits, sha256) = own_digest(manifest)?;
    manifest[digits].copy_from_slice(sha256.as_bytes());
    Some(sha256)
}

/// The path of a stratum's file in the dataset.
pub fn stratum_path(split: &str, bucket: &Bucket, framing: Framing) -> String {
    format!("{split}/{}.{}", bucket.file, framing.ending)
}

/// SHA-256 over the lines `<sha256>  <path>\n` of the stratum files, in bytewise order of paths. A
/// stratum without a file has no line.
pub fn content_sha256(strata: &[StratumRecord]) -> String {
    let files = strata.iter().filter_map(StratumRecord::file_record);
    let files: Vec<FileRecord> = files.collect();
    hex(&Sha256::digest(sha256sums(&files)))
}

/// The text of `SHA256SUMS`, in bytewise order of paths; `sha256sum -c` accepts it.
pub fn sha256sums(files: &[FileRecord]) -> String {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    sorted.iter().fold(String::new(), |mut text, file| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}  {}", file.sha256, file.path);
        text
    })
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
