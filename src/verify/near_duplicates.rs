//! Checks the reports of near-duplicates: what they say of themselves, and against the rest. That records of the dataset
//! are no near-duplicates of each other is not looked at again.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::reports::{read_each, split_of};
use super::stratum::{Ids, id_hash};
use super::{VerifyError, VerifyReport};
use crate::domain::dataset::manifest;
use crate::domain::dataset::manifest::{FileRecord, Manifest};
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::Selection;
use crate::sink::MANIFEST;
use crate::sink::reader::DatasetReader;

#[derive(Deserialize)]
struct Report {
    summary: Summary,
    near_duplicates: Vec<Entry>,
}

#[derive(Deserialize)]
struct Summary {
    total_near_duplicates: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    conversation_id: String,
    bucket: String,
    repeats: String,
}

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
    let mut counts = BTreeMap::<(String, String), u64>::new();
    let files = manifest
        .near_duplicates
        .iter()
        .flat_map(|record| &record.files);
    read_each(dataset, files, report, |file, bytes| {
        faults(file, bytes, manifest, selection, written, &mut counts)
    })?;
    for stratum in &manifest.strata {
        let key = (stratum.split.clone(), stratum.bucket.clone());
        let listed = counts.remove(&key).unwrap_or(0);
        if listed != stratum.near_duplicates {
            let what = format!(
                "{} records of {}/{} are near-duplicates, the reports list {listed}",
                stratum.near_duplicates, stratum.split, stratum.bucket
            );
            report.find(MANIFEST, what);
        }
    }
    for (split, bucket) in counts.into_keys() {
        let what =
            format!("the reports list near-duplicates of {split}/{bucket}, which is no stratum");
        report.find(MANIFEST, what);
    }
    Ok(())
}

/// The faults of one report. Never names an id.
fn faults(
    file: &FileRecord,
    bytes: &[u8],
    manifest: &Manifest,
    selection: &Selection,
    written: &Ids,
    counts: &mut BTreeMap<(String, String), u64>,
) -> Vec<String> {
    let mut faults = Vec::new();
    if manifest::hex(&Sha256::digest(bytes)) != file.sha256 {
        faults.push("has another SHA-256 than metadata.json says".to_owned());
    }
    let Ok(found) = serde_json::from_slice::<Report>(bytes) else {
        faults.push("is not a report of near-duplicates".to_owned());
        return faults;
    };
    if found.summary.total_near_duplicates != found.near_duplicates.len() as u64 {
        faults.push("lists another number of records than it sums up".to_owned());
    }
    let mut ranker = Ranker::new(&manifest.seed);
    let mut last = None;
    for (entry, number) in found.near_duplicates.into_iter().zip(1u64..) {
        let mut find = |what: &str| faults.push(format!("record {number}: {what}"));
        let (id, repeated) = (&entry.conversation_id, &entry.repeats);
        if written.contains_key(&id_hash(id)) {
            find("its id is that of a written record");
        }
        if !written.contains_key(&id_hash(repeated)) {
            find("the record that it repeats is not in the dataset");
        }
        if ranker.rank(repeated.as_bytes()) > ranker.rank(id.as_bytes()) {
            find("it has a better rank than the record that it repeats");
        }
        let split = match (
            selection.split_by(),
            split_of(&file.path, "near_duplicates_"),
        ) {
            (Some(_), Some(split)) => split.to_owned(),
            _ => selection.split_of(id.as_bytes()).name.clone(),
        };
        let key = (ranker.rank(id.as_bytes()), entry.conversation_id);
        if last.as_ref().is_some_and(|last| *last >= key) {
            find("is not in the order of ranks");
        }
        last = Some(key);
        *counts.entry((split, entry.bucket)).or_default() += 1;
    }
    faults
}
