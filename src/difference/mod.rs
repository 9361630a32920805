//! What changed between two published datasets: settings, counts, and every record, without its text.
//!
//! - Files that have one digest in both manifests are not read: their records are the same.
//! - The others are read by rank and checked as they are read, as for a conversion.
//! - Memory is 40 bytes for each record of the first dataset in such files, a few batches of 1 MB, and what is listed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::config;
use crate::convert::ConvertError;
use crate::convert::records::{BATCH_BYTES, Lines, Records};
use crate::domain::conversion::id_of;
use crate::domain::dataset::manifest::{Manifest, StratumRecord};
use crate::domain::json::canonical::sorted;
use crate::runtime::buffers::Buffers;
use crate::sink::reader::DatasetReader;

mod report;

pub use report::{Change, DiffReport, RecordDiff, StratumDiff};

/// Differences that are listed, unless all are asked for.
const MOST_LISTED: usize = 100;

/// What the manifests say of themselves, which is another for every run, and what is held against each other
/// apart.
const OF_THE_RUN: [&str; 10] = [
    "card",
    "chunks",
    "content_sha256",
    "created_at",
    "dataset",
    "fingerprint",
    "invalid_files",
    "manifest_sha256",
    "run_id",
    "statistics",
];

/// The keys of a manifest that count.
const COUNTS: [&str; 5] = ["groups", "malformed", "population", "strata", "warnings"];

/// A dataset, and what its manifest says.
pub struct Side<'d> {
    /// Its files.
    pub dataset: &'d dyn DatasetReader,
    /// Its manifest.
    pub manifest: &'d Manifest,
}

/// A record of the first dataset: digests of its id and of its text, and its stratum.
struct Known {
    id: [u8; 16],
    text: [u8; 16],
    stratum: u16,
    is_in_both: bool,
}

/// The name of a stratum: split and bucket.
type Name = (String, String);

/// Compares two datasets; `lists_all` lists every record that differs instead of the first hundred of each kind.
///
/// # Errors
/// If one of them cannot be read, or is not what its manifest says.
pub fn compare(a: &Side<'_>, b: &Side<'_>, lists_all: bool) -> Result<DiffReport, ConvertError> {
    let names = names(a.manifest, b.manifest);
    let most = if lists_all { usize::MAX } else { MOST_LISTED };
    let mut report = DiffReport::new(a, b, &names, most);
    report.configuration = differences(a.manifest, b.manifest, |key| {
        !OF_THE_RUN.contains(&key) && !COUNTS.contains(&key)
    });
    report.counts = differences(a.manifest, b.manifest, |key| COUNTS.contains(&key));
    let [of_a, of_b] = [
        unlike(a.manifest, b.manifest),
        unlike(b.manifest, a.manifest),
    ];
    let mut known = Vec::new();
    each(a.dataset, &of_a, &names, |stratum, id, text| {
        known.push(Known {
            id: digest(id.as_bytes()),
            text: digest(text),
            stratum,
            is_in_both: false,
        });
    })?;
    known.sort_unstable_by_key(|known| known.id);
    each(b.dataset, &of_b, &names, |stratum, id, text| {
        let found = known.binary_search_by_key(&digest(id.as_bytes()), |known| known.id);
        let Ok(found) = found else {
            return report.add(Change::OnlyInB, id, None, Some(stratum));
        };
        let known = &mut known[found];
        known.is_in_both = true;
        let places = (Some(known.stratum), Some(stratum));
        if known.stratum != stratum {
            report.add(Change::Moved, id, places.0, places.1);
        } else if known.text != digest(text) {
            report.add(Change::Changed, id, places.0, places.1);
        }
    })?;
    // Their ids were not kept; nothing has to be read for none.
    if known.iter().any(|known| !known.is_in_both) {
        each(a.dataset, &of_a, &names, |stratum, id, _| {
            let found = known.binary_search_by_key(&digest(id.as_bytes()), |known| known.id);
            if found.is_ok_and(|found| !known[found].is_in_both) {
                report.add(Change::OnlyInA, id, Some(stratum), None);
            }
        })?;
    }
    report.finish();
    Ok(report)
}

fn digest(text: &[u8]) -> [u8; 16] {
    xxh3_128(text).to_le_bytes()
}

/// The strata of both, those of the first before those that only the second has.
fn names(a: &Manifest, b: &Manifest) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for stratum in a.strata.iter().chain(&b.strata) {
        let name = name(stratum);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn name(stratum: &StratumRecord) -> Name {
    (stratum.split.clone(), stratum.bucket.clone())
}

/// A manifest with those strata alone whose files the other does not have in the same place.
fn unlike(manifest: &Manifest, other: &Manifest) -> Manifest {
    let mut unlike = manifest.clone();
    let is_like = |stratum: &StratumRecord| {
        let mut same = other.strata.iter();
        same.any(|one| name(one) == name(stratum) && one.sha256 == stratum.sha256)
    };
    unlike.strata.retain(|stratum| !is_like(stratum));
    unlike
}

/// Visits the records of a manifest's strata, split by split in the order of ranks: the place of their stratum
/// among `names`, id and text.
fn each(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    names: &[Name],
    visit: impl FnMut(u16, &str, &[u8]),
) -> Result<(), ConvertError> {
    let buffers = Buffers::new(2 * BATCH_BYTES);
    let place = |stratum: &StratumRecord| {
        let name = name(stratum);
        // A selection has at most 1,000 strata.
        names.iter().position(|one| *one == name).unwrap_or(0) as u16
    };
    let places: BTreeMap<&str, u16> = (manifest.strata.iter())
        .filter_map(|stratum| Some((stratum.file.as_deref()?, place(stratum))))
        .collect();
    let visit = RefCell::new(visit);
    for split in &manifest.selection.splits {
        Records::new(manifest, &split.name, &buffers)?.read(dataset, |lines: Lines| {
            let mut visit = visit.borrow_mut();
            for line in lines.iter() {
                let place = places.get(line.path).copied().unwrap_or(0);
                visit(place, &id_of(line.text), line.text);
            }
            true
        })?;
    }
    Ok(())
}

/// The keys of two manifests whose values differ.
fn differences(a: &Manifest, b: &Manifest, is_asked: impl Fn(&str) -> bool) -> Vec<String> {
    let of = |manifest: &Manifest| {
        let value = json!(manifest);
        let members = value.as_object().cloned().unwrap_or_default().into_iter();
        let asked = members.filter(|(key, _)| is_asked(key));
        let asked: Map<_, _> = asked
            .map(|(key, value)| (key.clone(), comparable(&key, value)))
            .collect();
        sorted(Value::Object(asked))
    };
    config::diff(&of(a), &of(b))
}

/// A value of a manifest without what says nothing new: strata by their names and without their files, the counts
/// of malformed rows without examples.
fn comparable(key: &str, mut value: Value) -> Value {
    match key {
        "strata" => {
            let strata = value.as_array_mut().map(std::mem::take).unwrap_or_default();
            let named = strata.into_iter().map(|mut stratum| {
                let name = |key: &str| stratum[key].as_str().unwrap_or_default().to_owned();
                let name = format!("{}/{}", name("split"), name("bucket"));
                for key in ["split", "bucket", "file", "sha256", "bytes", "tokens"] {
                    stratum.as_object_mut().map(|members| members.remove(key));
                }
                (name, stratum)
            });
            Value::Object(named.collect())
        }
        "near_duplicates" => {
            value.as_object_mut().map(|members| members.remove("files"));
            value
        }
        "malformed" => {
            let reasons = value
                .as_object_mut()
                .map(std::mem::take)
                .unwrap_or_default();
            let counts = reasons
                .into_iter()
                .map(|(reason, of)| (reason, of["count"].clone()));
            Value::Object(counts.collect())
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_new_is_left_out() {
        let strata =
            json!([{"split": "train", "bucket": "short", "records": 3, "file": "f", "bytes": 7}]);
        assert_eq!(
            comparable("strata", strata),
            json!({"train/short": {"records": 3}})
        );
        let malformed = json!({"not_json": {"count": 2, "examples": ["x"]}});
        assert_eq!(comparable("malformed", malformed), json!({"not_json": 2}));
        let similar = json!({"scope": "all", "files": [{"path": "near_duplicates_train_1.json"}]});
        assert_eq!(
            comparable("near_duplicates", similar),
            json!({"scope": "all"})
        );
        assert_eq!(comparable("seed", json!("s")), json!("s"));
    }
}
