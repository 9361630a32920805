//! Holds the reports of near-duplicates against the reference.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::Dataset;
use super::reference::{self, Outcome};

/// The reports name what repeats which record, stratum by stratum in rank order.
#[track_caller]
pub fn assert_same(dataset: &Dataset, expected: &Outcome) {
    let record = &dataset.metadata["near_duplicates"];
    let by_id = dataset.metadata["selection"]["split_by"].is_null();
    let mut found = BTreeMap::<(String, String), Vec<(String, String)>>::new();
    for file in record["files"].as_array().into_iter().flatten() {
        let path = file["path"].as_str().expect("a path");
        let split = path.split('_').nth(2).expect("a split");
        let report = fs::read(dataset.folder.join(path)).expect("a report");
        let report: Value = serde_json::from_slice(&report).expect("JSON");
        for one in report["near_duplicates"].as_array().expect("a list") {
            let text = |key: &str| one[key].as_str().expect("text").to_owned();
            if by_id {
                assert_eq!(split, reference::split_of(&text("conversationId")));
                assert_eq!(text("repeatsSplit"), reference::split_of(&text("repeats")));
            }
            let split = split.to_owned();
            let of_stratum = found.entry((split, text("bucket"))).or_default();
            of_stratum.push((text("conversationId"), text("repeats")));
        }
    }
    let mut left_out = 0;
    for ((split, bucket), stratum) in &expected.strata {
        let key = ((*split).to_owned(), (*bucket).to_owned());
        let found = found.remove(&key).unwrap_or_default();
        assert_eq!(found, stratum.near_duplicates, "{split}/{bucket}");
        left_out += found.len();
    }
    assert!(found.is_empty(), "{found:?}");
    if left_out > 0 {
        assert_eq!(record["left_out"], left_out);
    }
}
