//! Checks a published dataset again, without its source: digests, counts, every rule, the order of
//! ranks, that no conversation is there twice, and no group in two splits.
//!
//! Stratum files are streamed; memory is one record, and a hash for each id and group. The reports of invalid
//! records are read whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::domain::dataset::manifest;
use crate::domain::dataset::manifest::{FileRecord, Framing, Manifest, StratumRecord};
use crate::domain::record::validation::Code;
use crate::domain::selection::stratum::{Selection, SelectionError};
use crate::sink::MANIFEST;
use crate::sink::reader::DatasetReader;

mod converted;
mod groups;
mod listed;
mod near_duplicates;
mod reports;
mod stratum;

use groups::Groups;
use stratum::{Ids, StratumCheck};

#[cfg(feature = "cli")]
pub(crate) use reports::split_of;
pub(crate) use stratum::LONGEST;

/// The digests of all files but itself and the manifest.
const SUMS: &str = "SHA256SUMS";

/// Findings that are listed for one file; more are only counted.
const LISTED: u64 = 20;

/// The errors of a check that could not be made.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// There is no manifest.
    #[error("{0} is no dataset, or not a finished one: it has no {MANIFEST}")]
    NoManifest(String),
    /// The manifest cannot be understood.
    #[error("{MANIFEST} of {location} cannot be read: {reason}")]
    Manifest {
        /// The dataset.
        location: String,
        /// The cause, in one line.
        reason: String,
    },
    /// It was converted, and what is wanted is the dataset that it was made of.
    #[error("{location} is a converted dataset, made of the dataset {of:?}")]
    Converted {
        /// The dataset.
        location: String,
        /// The name of what it was made of.
        of: String,
    },
    /// The manifest's selection makes no sense.
    #[error("{MANIFEST}: the selection cannot be used")]
    Selection(#[from] SelectionError),
    /// The dataset cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl VerifyError {
    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoManifest(_) => {
                "name the dataset's own folder; if its export was stopped, run that again"
            }
            Self::Converted { .. } => "name that dataset instead; `gleaner verify` takes both",
            Self::Manifest { .. } | Self::Selection(_) => {
                "the manifest was damaged or changed; export the dataset again"
            }
            Self::Io { .. } => "check the place, the connection and the rights",
        }
    }
}

/// A difference between a dataset and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// What is wrong; never text of a conversation.
    pub what: String,
}

/// The result of a check.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// The location of the dataset.
    pub location: String,
    /// Its name.
    pub dataset: String,
    /// Whether records were looked at.
    pub quick: bool,
    /// Records that were looked at.
    pub records: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Each file that the manifest names.
    pub files: Vec<FileReport>,
    /// Findings; the first ones of each file.
    pub findings: Vec<Finding>,
    /// Number of findings, those not listed included.
    pub found: u64,
    /// Codes that could not be looked for: lengths, without their tokenizer; splits, where names of groups were
    /// replaced (that no group is in two splits was checked if each has its own pseudonym).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<&'static str>,
}

/// The result for one file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// Its path.
    pub path: String,
    /// Records in it; none for reports.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// Number of findings in the file.
    pub findings: u64,
}

impl VerifyReport {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.found == 0
    }

    fn find(&mut self, path: &str, what: impl Into<String>) {
        let of_file = self.files.iter_mut().find(|file| file.path == path);
        let count = of_file.map_or(0, |file| {
            file.findings += 1;
            file.findings
        });
        self.found += 1;
        if count <= LISTED {
            self.findings.push(Finding {
                path: path.to_owned(),
                what: what.into(),
            });
        }
    }
}

/// The selection that a dataset says it was chosen by. The tokenizer of its limit is not in it.
///
/// # Errors
/// If there is no dataset, or its selection cannot be used.
pub fn recorded_selection(dataset: &dyn DatasetReader) -> Result<Selection, VerifyError> {
    let manifest = read_manifest(dataset)?;
    Ok(manifest.selection.selection(&manifest.seed)?)
}

/// Checks a dataset. `quick` compares lengths and recorded digests only. With a `selection` the
/// splits and buckets of records are held against that one instead of the dataset's own; its
/// targets and its seed say how to sample, which a dataset's records do not show, and are not
/// looked at.
///
/// # Errors
/// If it cannot be checked at all; what is wrong with it is in the report.
pub fn verify(
    dataset: &dyn DatasetReader,
    selection: Option<Selection>,
    quick: bool,
) -> Result<VerifyReport, VerifyError> {
    let bytes = manifest_bytes(dataset)?;
    if converted::is_converted(&bytes) {
        return converted::verify(dataset, &bytes, quick);
    }
    let manifest = parse_manifest(dataset, &bytes)?;
    let own = manifest.selection.selection(&manifest.seed);
    let mut report = VerifyReport {
        location: dataset.location(),
        dataset: manifest.dataset.clone(),
        quick,
        records: if quick {
            recorded(&manifest).values().sum()
        } else {
            0
        },
        bytes: 0,
        files: files(&manifest, quick),
        findings: Vec::new(),
        found: 0,
        unchecked: Vec::new(),
    };
    check_manifest(&manifest, &bytes, &mut report);
    let selection = match (selection, own) {
        (None, own) => {
            let own = own?;
            check_strata(&manifest, &own, &mut report);
            own
        }
        (Some(other), Ok(own)) => {
            check_strata(&manifest, &own, &mut report);
            other
        }
        (Some(other), Err(error)) => {
            report.find(MANIFEST, format!("the selection: {error}"));
            other
        }
    };
    listed::check(dataset, &manifest.files(), &mut report)?;
    if !quick && selection.fitness().lacks_tokenizer() {
        report.unchecked.push(Code::TooLong.name());
    }
    if !quick {
        let ids = check_records(dataset, &manifest, &selection, &mut report)?;
        reports::check(dataset, &manifest, &selection, &ids, &mut report)?;
        near_duplicates::check(dataset, &manifest, &selection, &ids, &mut report)?;
        check_card(dataset, &manifest, &mut report)?;
    }
    Ok(report)
}

/// The card's bytes; what it says is for loaders and people.
fn check_card(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let Some(card) = &manifest.card else {
        return Ok(());
    };
    let length = dataset.length(&card.path).map_err(io_error(&card.path))?;
    if length.is_none() {
        return Ok(());
    }
    let bytes = read_all(dataset, &card.path)?;
    report.bytes += bytes.len() as u64;
    if manifest::hex(&Sha256::digest(&bytes)) != card.sha256 {
        report.find(&card.path, "has another SHA-256 than metadata.json says");
    }
    Ok(())
}

/// The files without findings; with the records of the manifest if they are not counted.
fn files(manifest: &Manifest, quick: bool) -> Vec<FileReport> {
    let recorded = recorded(manifest);
    let records = |file: &FileRecord| match quick {
        true => recorded.get(file.path.as_str()).copied().unwrap_or(0),
        false => 0,
    };
    let report = |file: &FileRecord| FileReport {
        path: file.path.clone(),
        records: records(file),
        bytes: file.bytes,
        findings: 0,
    };
    manifest.files().iter().map(report).collect()
}

/// The records of the stratum files, as the manifest has them.
fn recorded(manifest: &Manifest) -> BTreeMap<&str, u64> {
    let strata = manifest.strata.iter();
    strata
        .filter_map(|s| Some((s.file.as_deref()?, s.records)))
        .collect()
}

fn io_error(path: &str) -> impl FnOnce(io::Error) -> VerifyError {
    let path = path.to_owned();
    move |error| VerifyError::Io {
        path,
        source: error,
    }
}

fn read_all(dataset: &dyn DatasetReader, path: &str) -> Result<Vec<u8>, VerifyError> {
    let mut bytes = Vec::new();
    dataset
        .open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(io_error(path))?;
    Ok(bytes)
}

fn manifest_bytes(dataset: &dyn DatasetReader) -> Result<Vec<u8>, VerifyError> {
    let length = dataset.length(MANIFEST).map_err(io_error(MANIFEST))?;
    match length {
        None => Err(VerifyError::NoManifest(dataset.location())),
        Some(_) => read_all(dataset, MANIFEST),
    }
}

/// The manifest of a dataset as it was exported.
pub(crate) fn read_manifest(dataset: &dyn DatasetReader) -> Result<Manifest, VerifyError> {
    let bytes = manifest_bytes(dataset)?;
    if converted::is_converted(&bytes) {
        return Err(VerifyError::Converted {
            location: dataset.location(),
            of: converted::parse_manifest(dataset, &bytes)?
                .derived_from
                .dataset,
        });
    }
    parse_manifest(dataset, &bytes)
}

fn parse_manifest(dataset: &dyn DatasetReader, bytes: &[u8]) -> Result<Manifest, VerifyError> {
    let unreadable = |reason| VerifyError::Manifest {
        location: dataset.location(),
        reason,
    };
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    let version = manifest.format_version;
    if !(1..=manifest::FORMAT_VERSION).contains(&version) {
        let known = manifest::FORMAT_VERSION;
        return Err(unreadable(format!(
            "its format_version is {version}, this gleaner reads 1 to {known}"
        )));
    }
    Ok(manifest)
}

/// The manifest's own sums and digests.
fn check_manifest(manifest: &Manifest, bytes: &[u8], report: &mut VerifyReport) {
    let is_sealed = || match manifest::own_digest(bytes) {
        Some((_, sha256)) => sha256 == manifest.manifest_sha256,
        None => false,
    };
    if manifest.format_version > 1 && !is_sealed() {
        report.find(
            MANIFEST,
            "was changed: manifest_sha256 does not fit its bytes",
        );
    }
    if manifest.hash != manifest::HASH {
        report.find(MANIFEST, format!("the hash is not {}", manifest::HASH));
    }
    if let Err(imbalance) = manifest.check() {
        report.find(MANIFEST, imbalance.to_string());
    }
    if manifest::content_sha256(&manifest.strata) != manifest.content_sha256 {
        report.find(MANIFEST, "content_sha256 does not follow from the strata");
    }
}

/// A stratum for each target of the manifest's own selection, in order, each with its own file.
fn check_strata(manifest: &Manifest, own: &Selection, report: &mut VerifyReport) {
    let Some(framing) = Framing::of(&manifest.format) else {
        return report.find(MANIFEST, "the format is not known");
    };
    let mut listed = manifest.strata.iter();
    for stratum in own.strata() {
        let (split, bucket) = (&own.split(stratum).name, own.bucket(stratum));
        let target = own.wanted(stratum);
        let path = manifest::stratum_path(split, bucket, framing);
        let has_its_file = |s: &StratumRecord| match (&s.file, &s.sha256) {
            (Some(file), Some(_)) => {
                *file == path && (s.records > 0 || manifest.format_version == 1)
            }
            (None, None) => s.records == 0 && s.bytes == 0,
            _ => false,
        };
        let is_listed = |s: &StratumRecord| {
            s.split == *split && s.bucket == bucket.name && s.target == target && has_its_file(s)
        };
        if !listed.next().is_some_and(is_listed) {
            let what = format!(
                "the strata are not those of the selection, from {split}/{} on",
                bucket.name
            );
            return report.find(MANIFEST, what);
        }
    }
    if listed.next().is_some() {
        report.find(MANIFEST, "there are more strata than the selection has");
    }
}

/// Hashes what passes through.
pub(crate) struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R> Hashed<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
        }
    }

    /// The SHA-256 of what has passed, lower-case hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        manifest::hex(&self.hasher.clone().finalize())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

fn check_records(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    selection: &Selection,
    report: &mut VerifyReport,
) -> Result<Ids, VerifyError> {
    let mut ids = Ids::new();
    let mut groups = Groups::new(manifest, selection);
    let Some(framing) = Framing::of(&manifest.format) else {
        report.find(
            MANIFEST,
            "the format is not known, so no record was looked at",
        );
        return Ok(ids);
    };
    let mut warnings = BTreeMap::<String, u64>::new();
    for (index, record) in manifest.strata.iter().enumerate() {
        let Some(path) = &record.file else {
            continue;
        };
        if dataset.length(path).map_err(io_error(path))?.is_none() {
            continue;
        }
        let mut hashed = Hashed::new(dataset.open(path).map_err(io_error(path))?);
        let mut check = StratumCheck::new(record, index as u32, framing, selection, manifest);
        let mut reader = BufReader::with_capacity(1 << 18, &mut hashed);
        check
            .read(&mut reader, (&mut ids, &mut groups))
            .map_err(io_error(path))?;
        report.records += check.records;
        report.bytes += check.bytes;
        if let Some(file) = report.files.iter_mut().find(|file| file.path == *path) {
            file.records = check.records;
        }
        for (code, count) in check.warnings {
            *warnings.entry(code.name().to_owned()).or_default() += count;
        }
        for what in check.findings {
            report.find(path, what);
        }
        if check.records != record.records {
            let what = format!(
                "has {} records instead of {}",
                check.records, record.records
            );
            report.find(path, what);
        }
        if Some(hashed.sha256()) != record.sha256 {
            report.find(path, "has another SHA-256 than metadata.json says");
        }
    }
    groups.finish(manifest, report);
    let codes: BTreeSet<&String> = manifest.warnings.keys().chain(warnings.keys()).collect();
    for code in codes {
        let count = |of: &BTreeMap<String, u64>| of.get(code).copied().unwrap_or(0);
        let (reported, found) = (count(&manifest.warnings), count(&warnings));
        // A rule of the host's own cannot be checked here.
        if found != reported && !manifest.rules.contains_key(code) {
            let what = format!("the warning {code} is counted {reported} times, there are {found}");
            report.find(MANIFEST, what);
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests;
