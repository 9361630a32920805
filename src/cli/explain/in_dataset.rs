//! What a dataset says of a conversation.

use std::cell::RefCell;
use std::io::Read;

use serde_json::Value;

use crate::convert::ConvertError;
use crate::convert::records::{BATCH_BYTES, Lines, Records};
use crate::domain::conversion::id_of;
use crate::domain::dataset::manifest::{FileRecord, Manifest};
use crate::domain::selection::rank::{Rank, Ranker};
use crate::runtime::buffers::Buffers;
use crate::sink::reader::DatasetReader;
use crate::verify::{VerifyError, split_of};

/// What was found.
#[derive(Debug)]
pub struct Sought {
    /// Its split; `None` if only the source could say: groups decide, and the dataset does not name it.
    pub split: Option<String>,
    /// Its rank under the dataset's seed.
    pub rank: Rank,
    /// Where it is, if it is there: place in the manifest's strata, and line.
    pub found: Option<(usize, u64)>,
    /// Its entry in a report of invalid records: bucket, and errors without text.
    pub invalid: Option<(String, Vec<String>)>,
    /// Its entry in a report of near-duplicates: bucket, and the id that it repeats.
    pub near_duplicate: Option<(String, String)>,
    /// The rank of the last record of each stratum of its split, or of all splits if it is not known, by place in the
    /// manifest's strata.
    pub last: Vec<(usize, Option<Rank>)>,
}

/// Looks for a conversation in its split, or in all of them if it is not known.
///
/// # Errors
/// If a file cannot be read, or is not what the manifest says.
pub fn seek(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    split: Option<&str>,
    id: &str,
) -> Result<Sought, ConvertError> {
    let splits = manifest.selection.splits.iter();
    let splits = splits.map(|split| split.name.as_str());
    let splits: Vec<&str> = splits
        .filter(|name| split.is_none_or(|split| split == *name))
        .collect();
    let rank = Ranker::new(&manifest.seed).rank(id.as_bytes());
    let strata = (0..).zip(&manifest.strata);
    let strata = strata.filter(|(_, stratum)| splits.contains(&stratum.split.as_str()));
    let mut sought = Sought {
        invalid: None,
        near_duplicate: None,
        last: strata.map(|(place, _)| (place, None)).collect(),
        split: split.map(str::to_owned),
        rank,
        found: None,
    };
    for name in &splits {
        let invalid = invalid(dataset, manifest, name, id)?;
        let near_duplicate = near_duplicate(dataset, manifest, name, id)?;
        if invalid.is_some() || near_duplicate.is_some() {
            sought.split.get_or_insert_with(|| (*name).to_owned());
            (sought.invalid, sought.near_duplicate) = (invalid, near_duplicate);
        }
    }
    let sought = RefCell::new(sought);
    let buffers = Buffers::new(2 * BATCH_BYTES);
    for name in &splits {
        Records::new(manifest, name, &buffers)?.read(dataset, |lines: Lines| {
            let mut sought = sought.borrow_mut();
            let mut ranker = Ranker::new(&manifest.seed);
            for line in lines.iter() {
                let (place, own) = (manifest.stratum_of_file(line.path), id_of(line.text));
                let last = sought.last.iter_mut().find(|(one, _)| Some(*one) == place);
                if let Some((_, last)) = last {
                    *last = Some(ranker.rank(own.as_bytes()));
                }
                if own == id {
                    sought.found = place.map(|place| (place, line.number));
                    sought.split.get_or_insert_with(|| (*name).to_owned());
                }
            }
            true
        })?;
    }
    let mut sought = sought.into_inner();
    if let Some(split) = &sought.split {
        let strata = &manifest.strata;
        sought
            .last
            .retain(|&(place, _)| strata[place].split == *split);
    }
    Ok(sought)
}

/// What the report of invalid records of a split says of an id.
fn invalid(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    split: &str,
    id: &str,
) -> Result<Option<(String, Vec<String>)>, VerifyError> {
    let files = manifest.invalid_files.iter();
    let files = files.filter(|file| split_of(&file.path, "invalid_records_") == Some(split));
    let entry = entry(dataset, files, "invalid_records", id)?;
    Ok(entry.map(|entry| {
        let errors = entry["errors"].as_array().into_iter().flatten();
        (text(&entry["bucket"]), errors.map(text).collect())
    }))
}

/// What the report of near-duplicates of a split says of an id: its bucket, and the id that it repeats.
fn near_duplicate(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    split: &str,
    id: &str,
) -> Result<Option<(String, String)>, VerifyError> {
    let files = manifest.near_duplicates.iter();
    let files = files.flat_map(|record| &record.files);
    let files = files.filter(|file| split_of(&file.path, "near_duplicates_") == Some(split));
    let entry = entry(dataset, files, "near_duplicates", id)?;
    Ok(entry.map(|entry| (text(&entry["bucket"]), text(&entry["repeats"]))))
}

/// The entry of an id in the list of that name of some reports. What is wrong with a report, `verify` says.
fn entry<'m>(
    dataset: &dyn DatasetReader,
    files: impl Iterator<Item = &'m FileRecord>,
    list: &str,
    id: &str,
) -> Result<Option<Value>, VerifyError> {
    for file in files {
        let mut bytes = Vec::new();
        let read = dataset.open(&file.path);
        let read = read.and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|source| VerifyError::Io {
            path: file.path.clone(),
            source,
        })?;
        let mut report: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let entries = report[list].as_array_mut().map(std::mem::take);
        let mut entries = entries.into_iter().flatten();
        if let Some(found) = entries.find(|entry| entry["conversationId"] == id) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
