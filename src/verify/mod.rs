//! Checks a published dataset again, without its source: digests, counts, every rule, the order of
//! ranks, and that no conversation is there twice.
//!
//! Files are streamed; memory is one record, and 16 bytes for each id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::domain::manifest::{self, FileRecord, Framing, Manifest};
use crate::domain::stratum::{Selection, SelectionError};
use crate::sink::MANIFEST;
use crate::sink::reader::DatasetReader;

mod stratum;

use stratum::StratumCheck;

/// Findings that are listed for one file; more are only counted.
const LISTED: usize = 20;

/// Why a dataset could not be checked at all.
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
        /// Why.
        reason: String,
    },
    /// The manifest's selection makes no sense.
    #[error("the selection: {0}")]
    Selection(#[from] SelectionError),
    /// The dataset cannot be read.
    #[error("cannot read {path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
}

/// A difference between a dataset and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// What is wrong. Never any text of a conversation.
    pub what: String,
}

/// What was checked, and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// Where the dataset is.
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
    /// All that is wrong.
    pub findings: Vec<Finding>,
}

/// What was checked of one file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// Its path.
    pub path: String,
    /// Records in it; none for reports.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// How much is wrong with it.
    pub findings: u64,
}

impl VerifyReport {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, path: &str, what: impl Into<String>) {
        let of_file = self.files.iter_mut().find(|file| file.path == path);
        let count = of_file.map_or(0, |file| {
            file.findings += 1;
            file.findings
        });
        if count <= LISTED as u64 {
            self.findings.push(Finding {
                path: path.to_owned(),
                what: what.into(),
            });
        }
    }
}

/// Checks a dataset, against another selection than its own if one is given. `quick` compares
/// lengths and recorded digests only.
///
/// # Errors
/// If it cannot be checked at all; what is wrong with it is in the report.
pub fn verify(
    dataset: &dyn DatasetReader,
    selection: Option<Selection>,
    quick: bool,
) -> Result<VerifyReport, VerifyError> {
    let manifest = read_manifest(dataset)?;
    let selection = match selection {
        Some(selection) => selection,
        None => manifest.selection.selection(&manifest.seed)?,
    };
    let mut report = VerifyReport {
        location: dataset.location(),
        dataset: manifest.dataset.clone(),
        quick,
        records: 0,
        bytes: 0,
        files: manifest.files().iter().map(file_report).collect(),
        findings: Vec::new(),
    };
    check_manifest(&manifest, &mut report);
    check_sums(dataset, &manifest, &mut report)?;
    check_names(dataset, &manifest, &mut report)?;
    for file in manifest.files() {
        match dataset.length(&file.path).map_err(io_error(&file.path))? {
            None => report.find(&file.path, "is not there"),
            Some(length) if length != file.bytes => report.find(
                &file.path,
                format!("has {length} bytes instead of {}", file.bytes),
            ),
            Some(_) => {}
        }
    }
    if !quick {
        check_records(dataset, &manifest, &selection, &mut report)?;
        check_invalid_reports(dataset, &manifest, &mut report)?;
    }
    Ok(report)
}

fn file_report(file: &FileRecord) -> FileReport {
    FileReport {
        path: file.path.clone(),
        records: 0,
        bytes: file.bytes,
        findings: 0,
    }
}

fn io_error(path: &str) -> impl FnOnce(io::Error) -> VerifyError {
    let path = path.to_owned();
    move |error| VerifyError::Io { path, error }
}

fn read_all(dataset: &dyn DatasetReader, path: &str) -> Result<Vec<u8>, VerifyError> {
    let mut bytes = Vec::new();
    dataset
        .open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(io_error(path))?;
    Ok(bytes)
}

fn read_manifest(dataset: &dyn DatasetReader) -> Result<Manifest, VerifyError> {
    if dataset
        .length(MANIFEST)
        .map_err(io_error(MANIFEST))?
        .is_none()
    {
        return Err(VerifyError::NoManifest(dataset.location()));
    }
    serde_json::from_slice(&read_all(dataset, MANIFEST)?).map_err(|error| VerifyError::Manifest {
        location: dataset.location(),
        reason: error.to_string(),
    })
}

/// The manifest's own sums and digests.
fn check_manifest(manifest: &Manifest, report: &mut VerifyReport) {
    if let Err(imbalance) = manifest.check() {
        report.find(MANIFEST, imbalance.to_string());
    }
    if manifest::content_sha256(&manifest.strata) != manifest.content_sha256 {
        report.find(MANIFEST, "content_sha256 does not follow from the strata");
    }
}

fn check_sums(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    const SUMS: &str = "SHA256SUMS";
    if dataset.length(SUMS).map_err(io_error(SUMS))?.is_none() {
        report.find(SUMS, "is not there");
        return Ok(());
    }
    if read_all(dataset, SUMS)? != manifest::sha256sums(&manifest.files()).into_bytes() {
        report.find(SUMS, "does not have the digests of metadata.json");
    }
    Ok(())
}

/// Nothing may lie in the dataset that it does not name.
fn check_names(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let mut named: BTreeSet<String> = manifest.files().into_iter().map(|f| f.path).collect();
    named.extend([MANIFEST.to_owned(), "SHA256SUMS".to_owned()]);
    for path in dataset.files().map_err(io_error(""))? {
        if !named.contains(&path) {
            report.find(&path, "is not part of the dataset");
        }
    }
    Ok(())
}

/// Hashes what passes through.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
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
) -> Result<(), VerifyError> {
    let Some(framing) = Framing::of(&manifest.format) else {
        report.find(MANIFEST, "the format is not known");
        return Ok(());
    };
    let mut ids = BTreeMap::new();
    let mut warnings = BTreeMap::<String, u64>::new();
    for (index, record) in manifest.strata.iter().enumerate() {
        let path = &record.file;
        if dataset.length(path).map_err(io_error(path))?.is_none() {
            continue;
        }
        let mut hashed = Hashed {
            inner: dataset.open(path).map_err(io_error(path))?,
            hasher: Sha256::new(),
        };
        let mut check = StratumCheck::new(record, index as u32, framing, selection, &manifest.seed);
        let mut reader = BufReader::with_capacity(1 << 18, &mut hashed);
        check.read(&mut reader, &mut ids).map_err(io_error(path))?;
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
        if manifest::hex(&hashed.hasher.finalize()) != record.sha256 {
            report.find(path, "has another SHA-256 than metadata.json says");
        }
    }
    for (code, told) in &manifest.warnings {
        let found = warnings.get(code).copied().unwrap_or(0);
        if found != *told {
            let what = format!("the warning {code} is counted {told} times, there are {found}");
            report.find(MANIFEST, what);
        }
    }
    Ok(())
}

/// The reports of invalid records: digest, and as many as the strata say.
fn check_invalid_reports(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let mut listed = 0;
    for file in &manifest.invalid_files {
        if dataset
            .length(&file.path)
            .map_err(io_error(&file.path))?
            .is_none()
        {
            continue;
        }
        let bytes = read_all(dataset, &file.path)?;
        if manifest::hex(&Sha256::digest(&bytes)) != file.sha256 {
            report.find(&file.path, "has another SHA-256 than metadata.json says");
        }
        match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(value) => {
                let records = value["invalid_records"].as_array().map_or(0, Vec::len) as u64;
                if value["summary"]["total_invalid"] != records {
                    report.find(
                        &file.path,
                        "lists another number of records than it sums up",
                    );
                }
                listed += records;
            }
            Err(_) => report.find(&file.path, "is not JSON"),
        }
    }
    let told: u64 = manifest.strata.iter().map(|s| s.invalid).sum();
    if listed != told {
        let what = format!("{told} records are invalid, the reports list {listed}");
        report.find(MANIFEST, what);
    }
    Ok(())
}
