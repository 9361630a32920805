//! Checks the reports of invalid records: what they say of themselves, and against the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::stratum::{Ids, id_hash};
use super::{VerifyError, VerifyReport, io_error, read_all};
use crate::domain::dataset::manifest;
use crate::domain::dataset::manifest::{FileRecord, Manifest};
use crate::domain::privacy::{own, rules};
use crate::domain::record::validation::Code;
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::Selection;
use crate::sink::MANIFEST;
use crate::sink::reader::DatasetReader;

#[derive(Deserialize)]
struct InvalidReport {
    summary: Summary,
    invalid_records: Vec<Entry>,
}

#[derive(Deserialize)]
struct Summary {
    total_invalid: u64,
    error_summary: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    conversation_id: String,
    bucket: String,
    errors: Vec<String>,
}

/// Invalid records by split and bucket.
type Counts = BTreeMap<(String, String), u64>;

/// Checks all reports that the manifest names. `written` are the ids of the written records.
///
/// # Errors
/// If one cannot be read.
pub fn check(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    selection: &Selection,
    written: &Ids,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let mut counts = Counts::new();
    read_each(dataset, &manifest.invalid_files, report, |file, bytes| {
        faults(file, bytes, manifest, selection, written, &mut counts)
    })?;
    for stratum in &manifest.strata {
        let key = (stratum.split.clone(), stratum.bucket.clone());
        let listed = counts.remove(&key).unwrap_or(0);
        let left_out = stratum.invalid + stratum.contaminated;
        if listed != left_out {
            let what = format!(
                "{left_out} records of {}/{} are invalid or contaminated, the reports list {listed}",
                stratum.split, stratum.bucket
            );
            report.find(MANIFEST, what);
        }
    }
    for ((split, bucket), listed) in counts {
        let what =
            format!("the reports list {listed} records of {split}/{bucket}, which is no stratum");
        report.find(MANIFEST, what);
    }
    Ok(())
}

/// Reads reports, and notes what `faults` finds in each. One that is not there is noted elsewhere.
///
/// # Errors
/// If one cannot be read.
pub(super) fn read_each<'m>(
    dataset: &dyn DatasetReader,
    files: impl IntoIterator<Item = &'m FileRecord>,
    report: &mut VerifyReport,
    mut faults: impl FnMut(&FileRecord, &[u8]) -> Vec<String>,
) -> Result<(), VerifyError> {
    for file in files {
        let length = dataset.length(&file.path).map_err(io_error(&file.path))?;
        if length.is_none() {
            continue;
        }
        let bytes = read_all(dataset, &file.path)?;
        report.bytes += bytes.len() as u64;
        for what in faults(file, &bytes) {
            report.find(&file.path, what);
        }
    }
    Ok(())
}

/// Whether a record may have been refused by a rule that is not gleaner's.
fn has_own_rules(manifest: &Manifest) -> bool {
    let privacy = manifest.privacy.as_ref();
    privacy.is_some_and(|privacy| privacy.rules_sha256.is_some())
}

/// The faults of one report. Never names an id.
fn faults(
    file: &FileRecord,
    bytes: &[u8],
    manifest: &Manifest,
    selection: &Selection,
    written: &Ids,
    counts: &mut Counts,
) -> Vec<String> {
    let mut faults = Vec::new();
    if manifest::hex(&Sha256::digest(bytes)) != file.sha256 {
        faults.push("has another SHA-256 than metadata.json says".to_owned());
    }
    let Some(split) = split_of(&file.path, "invalid_records_") else {
        faults.push("its name is not that of a report".to_owned());
        return faults;
    };
    let Ok(found) = serde_json::from_slice::<InvalidReport>(bytes) else {
        faults.push("is not a report of invalid records".to_owned());
        return faults;
    };
    if found.summary.total_invalid != found.invalid_records.len() as u64 {
        faults.push("lists another number of records than it sums up".to_owned());
    }
    let mut summary = BTreeMap::<String, u64>::new();
    let mut ranker = Ranker::new(&manifest.seed);
    let mut last = None;
    for (entry, number) in found.invalid_records.into_iter().zip(1u64..) {
        let mut find = |what: &str| faults.push(format!("record {number}: {what}"));
        if entry.errors.is_empty() {
            find("has no errors");
        }
        let mut codes = BTreeSet::new();
        for error in &entry.errors {
            let code = error.split_once(": ").map_or("", |(code, _)| code);
            let is_known = Code::ALL
                .iter()
                .any(|known| known.is_fatal() && known.name() == code);
            let is_known =
                is_known || rules::is_code(code) || (has_own_rules(manifest) && own::is_code(code));
            if !is_known && !manifest.rules.contains_key(code) {
                find("has an error without a known code");
            }
            codes.insert(code.to_owned());
        }
        for code in &codes {
            *summary.entry(code.clone()).or_default() += 1;
        }
        let id = &entry.conversation_id;
        // Where groups decide, the report does not say which; without one the id decides.
        let is_by_id = selection.split_by().is_none() || codes.contains(Code::MissingGroup.name());
        if is_by_id && selection.split_of(id.as_bytes()).name != split {
            find("its id belongs to another split");
        }
        if written.contains_key(&id_hash(id)) {
            find("its id is that of a written record");
        }
        let key = (ranker.rank(id.as_bytes()), entry.conversation_id);
        if last.as_ref().is_some_and(|last| *last >= key) {
            find("is not in the order of ranks");
        }
        last = Some(key);
        *counts.entry((split.to_owned(), entry.bucket)).or_default() += 1;
    }
    if summary != found.summary.error_summary {
        faults.push("its error_summary does not follow from its records".to_owned());
    }
    faults
}

/// The split in `<kind><split>_<date>_<time>.json`; a split's name may have `_` in it.
pub(crate) fn split_of<'p>(path: &'p str, kind: &str) -> Option<&'p str> {
    let name = path.strip_prefix(kind)?;
    let mut parts = name.strip_suffix(".json")?.rsplitn(3, '_');
    parts.nth(2)
}
