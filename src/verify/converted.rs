//! A converted dataset: its own sums, its files and their digests, and the number of its records.

use std::io::{BufRead, BufReader};

use serde::Deserialize;

use super::{FileReport, Hashed, VerifyError, VerifyReport, io_error, listed};
use crate::domain::dataset::converted::{CONVERTED_VERSION, ConvertedManifest};
use crate::domain::dataset::manifest::{self, FileRecord};
use crate::sink::MANIFEST;
use crate::sink::reader::DatasetReader;

/// Whether a manifest is that of a converted dataset.
pub fn is_converted(manifest: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Version {
        #[serde(rename = "converted_version")]
        _version: u32,
    }
    serde_json::from_slice::<Version>(manifest).is_ok()
}

pub fn parse_manifest(
    dataset: &dyn DatasetReader,
    bytes: &[u8],
) -> Result<ConvertedManifest, VerifyError> {
    let unreadable = |reason| VerifyError::Manifest {
        location: dataset.location(),
        reason,
    };
    let manifest: ConvertedManifest =
        serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    match manifest.converted_version {
        CONVERTED_VERSION => Ok(manifest),
        other => Err(unreadable(format!(
            "its converted_version is {other}, this gleaner reads {CONVERTED_VERSION}"
        ))),
    }
}

/// Checks a converted dataset by its manifest's bytes; `quick` compares lengths and recorded digests
/// only.
pub fn verify(
    dataset: &dyn DatasetReader,
    bytes: &[u8],
    quick: bool,
) -> Result<VerifyReport, VerifyError> {
    let manifest = parse_manifest(dataset, bytes)?;
    let files = manifest.files();
    let recorded = |path: &str| {
        let mut shards = manifest.shards();
        let shard = shards.find(|shard| shard.file.path == path);
        shard.map_or(0, |shard| shard.records)
    };
    let mut report = VerifyReport {
        location: dataset.location(),
        dataset: manifest.dataset.clone(),
        quick,
        records: if quick { manifest.records_out } else { 0 },
        bytes: 0,
        files: files
            .iter()
            .map(|file| FileReport {
                path: file.path.clone(),
                records: if quick { recorded(&file.path) } else { 0 },
                bytes: file.bytes,
                findings: 0,
            })
            .collect(),
        findings: Vec::new(),
        found: 0,
        unchecked: Vec::new(),
    };
    check_manifest(&manifest, bytes, &mut report);
    listed::check(dataset, &files, &mut report)?;
    if !quick {
        for file in &files {
            let is_there = dataset.length(&file.path).map_err(io_error(&file.path))?;
            if is_there.is_some() {
                check_file(dataset, file, recorded(&file.path), &mut report)?;
            }
        }
    }
    Ok(report)
}

fn check_manifest(manifest: &ConvertedManifest, bytes: &[u8], report: &mut VerifyReport) {
    let sealed = manifest::own_digest(bytes);
    if sealed.is_none_or(|(_, sha256)| sha256 != manifest.manifest_sha256) {
        report.find(
            MANIFEST,
            "was changed: manifest_sha256 does not fit its bytes",
        );
    }
    if let Err(imbalance) = manifest.check() {
        report.find(MANIFEST, imbalance.to_string());
    }
    if manifest.content_digest() != manifest.content_sha256 {
        report.find(MANIFEST, "content_sha256 does not follow from the files");
    }
}

/// Hashes a file; counts its records, where it has a record a line.
fn check_file(
    dataset: &dyn DatasetReader,
    file: &FileRecord,
    expected: u64,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let path = file.path.as_str();
    let mut hashed = Hashed::new(dataset.open(path).map_err(io_error(path))?);
    let mut reader = BufReader::with_capacity(1 << 18, &mut hashed);
    let mut records = 0;
    let mut line_starts = true;
    loop {
        let piece = reader.fill_buf().map_err(io_error(path))?;
        if piece.is_empty() {
            break;
        }
        for line in piece.split_inclusive(|&byte| byte == b'\n') {
            // An array has its brackets on lines of their own.
            records += u64::from(line_starts && line[0] == b'{');
            line_starts = line.ends_with(b"\n");
        }
        let length = piece.len();
        report.bytes += length as u64;
        reader.consume(length);
    }
    let has_lines = path.ends_with(".json") || path.ends_with(".jsonl");
    if expected > 0 && has_lines && records != expected {
        report.find(path, format!("has {records} records instead of {expected}"));
    }
    let records = if has_lines {
        records.min(expected)
    } else {
        expected
    };
    report.records += records;
    if let Some(of_file) = report.files.iter_mut().find(|of| of.path == path) {
        of_file.records = records;
    }
    if hashed.sha256() != file.sha256 {
        report.find(path, "has another SHA-256 than metadata.json says");
    }
    Ok(())
}
