//! The files that a manifest lists, whatever is in them.

use std::collections::BTreeSet;

use super::{SUMS, VerifyError, VerifyReport, io_error, read_all};
use crate::domain::dataset::manifest::{self, FileRecord};
use crate::sink::MANIFEST;
use crate::sink::reader::DatasetReader;

/// Checks that these files are there with their lengths and the digests that were stored with them, and
/// nothing else; and that `SHA256SUMS` names them.
pub fn check(
    dataset: &dyn DatasetReader,
    files: &[FileRecord],
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    check_sums(dataset, files, report)?;
    check_names(dataset, files, report)?;
    for file in files {
        check_stored(dataset, file, report)?;
    }
    Ok(())
}

/// Holds what is stored about a file, without its content, against the manifest.
fn check_stored(
    dataset: &dyn DatasetReader,
    file: &FileRecord,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    match dataset.length(&file.path).map_err(io_error(&file.path))? {
        None => report.find(&file.path, "is not there"),
        Some(length) if length != file.bytes => report.find(
            &file.path,
            format!("has {length} bytes instead of {}", file.bytes),
        ),
        Some(_) => {
            let stored = dataset.stored_sha256(&file.path);
            match stored.map_err(io_error(&file.path))? {
                Some(stored) if stored != file.sha256 => report.find(
                    &file.path,
                    "was stored with another SHA-256 than metadata.json says",
                ),
                None if report.quick && dataset.keeps_digests() => report.find(
                    &file.path,
                    "has lost the SHA-256 that was stored with it: verify it without --quick",
                ),
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_sums(
    dataset: &dyn DatasetReader,
    files: &[FileRecord],
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    if dataset.length(SUMS).map_err(io_error(SUMS))?.is_none() {
        report.find(SUMS, "is not there");
        return Ok(());
    }
    if read_all(dataset, SUMS)? != manifest::sha256sums(files).into_bytes() {
        report.find(SUMS, "does not have the digests of metadata.json");
    }
    Ok(())
}

/// Nothing may lie in the dataset that it does not name.
fn check_names(
    dataset: &dyn DatasetReader,
    files: &[FileRecord],
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let mut named: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    named.extend([MANIFEST, SUMS]);
    for path in dataset.files().map_err(io_error(&dataset.location()))? {
        if !named.contains(path.as_str()) {
            report.find(&path, "is not part of the dataset");
        }
    }
    Ok(())
}
