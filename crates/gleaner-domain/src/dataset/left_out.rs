//! What a dataset says of conversations that it leaves out: those that are not valid, and those that are nearly the
//! same as another one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::manifest::FileRecord;
use crate::json::text;
use crate::near_duplicates::decisions::NearDuplicate;
use crate::near_duplicates::index::BANDS;
use crate::near_duplicates::signature::BINS;
use crate::near_duplicates::{NEAR_DUPLICATES_VERSION, NearDuplicates, SHINGLE_WORDS};
use crate::sampling::stratum_fill::InvalidRecord;
use crate::selection::stratum::Selection;

/// How near-duplicates were decided, and how many there are. The version stands for all that is fixed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicatesRecord {
    /// Of the definition: [`NEAR_DUPLICATES_VERSION`].
    pub version: u32,
    /// `across_splits` or `all`
    pub scope: String,
    /// The Jaccard similarity from which on records repeat each other.
    pub threshold: f64,
    /// Words in a shingle.
    pub shingle_words: u32,
    /// Hashes of a signature.
    pub hashes: u32,
    /// Bands of a signature.
    pub bands: u32,
    /// Shingles that did not count, because so many conversations have them.
    pub template_shingles: u64,
    /// Conversations that were left out.
    pub left_out: u64,
    /// Records that others repeat: how many records have so many near-duplicates.
    pub clusters: BTreeMap<u64, u64>,
    /// The reports, one for each split that has any.
    pub files: Vec<FileRecord>,
}

impl NearDuplicatesRecord {
    /// Of what was decided; the reports are still to come.
    pub fn new(
        settings: NearDuplicates,
        template_shingles: u64,
        clusters: BTreeMap<u64, u64>,
    ) -> Self {
        Self {
            version: NEAR_DUPLICATES_VERSION,
            scope: settings.scope.name().to_owned(),
            threshold: settings.threshold.share(),
            shingle_words: SHINGLE_WORDS as u32,
            hashes: BINS as u32,
            bands: BANDS as u32,
            template_shingles,
            left_out: clusters.iter().map(|(size, count)| size * count).sum(),
            clusters,
            files: Vec::new(),
        }
    }
}

/// The report of a split's invalid records, in rank order, each with its bucket. No message text.
pub fn invalid_report(records: &[(&str, &InvalidRecord)]) -> Vec<u8> {
    let mut summary = BTreeMap::<&str, u64>::new();
    for (_, record) in records {
        let codes: BTreeSet<_> = record.errors.iter().map(|(code, _)| code.name()).collect();
        for code in codes {
            *summary.entry(code).or_default() += 1;
        }
    }
    let mut out = format!(
        "{{\"summary\": {{\"total_invalid\": {}, \"error_summary\": {{",
        records.len()
    )
    .into_bytes();
    for (index, (code, count)) in summary.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        out.extend_from_slice(format!("{comma}\"{code}\": {count}").as_bytes());
    }
    out.extend_from_slice(b"}},\n\"invalid_records\": [");
    for (index, (bucket, record)) in records.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",\n" } else { b"\n" });
        out.extend_from_slice(b"{\"conversationId\": ");
        text::write_string(&record.conversation_id, &mut out);
        out.extend_from_slice(b", \"bucket\": ");
        text::write_string(bucket, &mut out);
        out.extend_from_slice(
            format!(", \"turnCount\": {}, \"errors\": [", record.turns).as_bytes(),
        );
        for (index, (code, what)) in record.errors.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b", " } else { b"" });
            text::write_string(&format!("{code}: {what}"), &mut out);
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"\n]}\n");
    out
}

/// The report of a split's near-duplicates, in rank order, each with its bucket. No message text.
pub fn near_duplicates_report(
    records: &[(&str, &NearDuplicate)],
    selection: &Selection,
) -> Vec<u8> {
    let mut out = format!(
        "{{\"summary\": {{\"total_near_duplicates\": {}}},\n\"near_duplicates\": [",
        records.len()
    )
    .into_bytes();
    for (index, (bucket, record)) in records.iter().enumerate() {
        let string = |key: &str, text: &str, out: &mut Vec<u8>| {
            out.extend_from_slice(key.as_bytes());
            text::write_string(text, out);
        };
        out.extend_from_slice(if index > 0 { b",\n" } else { b"\n" });
        string(
            "{\"conversationId\": ",
            &String::from_utf8_lossy(&record.id),
            &mut out,
        );
        string(", \"bucket\": ", bucket, &mut out);
        out.extend_from_slice(format!(", \"turnCount\": {}", record.turns).as_bytes());
        string(
            ", \"repeats\": ",
            &String::from_utf8_lossy(&record.of),
            &mut out,
        );
        let split = &selection.split(record.of_stratum).name;
        string(", \"repeatsSplit\": ", split, &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"\n]}\n");
    out
}
