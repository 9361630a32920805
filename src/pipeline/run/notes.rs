//! What a person should know of a run that has published.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::settings::Settings;
use crate::domain::dataset::loader_names;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::selection::exclude::ExcludeRecord;
use crate::pipeline::supervisor::RunOutput;
use crate::telemetry::{Snapshot, Telemetry};

pub(super) fn statistics(
    output: &RunOutput,
    now: &Snapshot,
    elapsed: Duration,
) -> BTreeMap<String, Value> {
    let bytes: u64 = output.rows().values().map(|tally| tally.bytes).sum();
    let tallies = output.rows().values();
    let counted_only: u64 = tallies.map(|tally| tally.undelivered.conversations()).sum();
    BTreeMap::from([
        ("elapsed_seconds".to_owned(), json!(elapsed.as_secs_f64())),
        ("bytes_read".to_owned(), json!(bytes)),
        ("chunks_replayed".to_owned(), json!(output.replayed)),
        ("top_up_rounds".to_owned(), json!(output.rounds)),
        ("counted_only".to_owned(), json!(counted_only)),
        ("wider_censuses".to_owned(), json!(output.wider_censuses)),
        ("attempts_failed".to_owned(), json!(now.chunks_failed)),
        ("throttled".to_owned(), json!(now.events["throttles"])),
        ("events".to_owned(), json!(now.events)),
        (
            "backpressure_waits".to_owned(),
            json!(now.backpressure_waits),
        ),
        ("in_flight_peak".to_owned(), json!(now.in_flight_peak)),
    ])
}

pub(super) fn notes(settings: &Settings, output: &RunOutput, only_complete: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let conversations = output
        .rows()
        .values()
        .any(|t| t.first_conversation.is_some());
    if !output.missing.is_empty() {
        notes.push(missing_note(settings, output));
    }
    // A source that leaves out incomplete conversations keeps the window, too.
    if settings.window.is_some() && conversations && !only_complete {
        notes.push(
            "the rows are whole conversations without a Timestamp: the window left none of them out"
                .to_owned(),
        );
    }
    let selection = &settings.selection;
    let splits = selection.splits().iter().map(|split| split.name.as_str());
    let buckets = selection
        .buckets()
        .iter()
        .map(|bucket| bucket.file.as_str());
    notes.extend(loader_names::warnings(&settings.name, splits, buckets));
    notes
}

/// What of `selection.exclude` the input does not have, if there is any.
pub(super) fn exclude_note(record: ExcludeRecord) -> Option<String> {
    let ExcludeRecord { listed, matched } = record;
    (matched < listed).then(|| {
        format!(
            "selection.exclude: {} of {listed} ids and users are not in the input",
            listed - matched
        )
    })
}

/// What an earlier start had uploaded, if anything was kept of it.
pub(super) fn kept_note(telemetry: &Telemetry) -> Option<String> {
    let kept = telemetry.kept.get();
    let size = bytesize::ByteSize::b(kept).display().si();
    (kept > 0)
        .then(|| format!("{size} had been uploaded by an earlier start and were not sent again"))
}

/// What missing chunks mean for the sample: chunk and split come of one hash, so a chunk that is
/// missing is missed by some splits only. Where groups decide, all may miss it.
pub(super) fn missing_note(settings: &Settings, output: &RunOutput) -> String {
    let selection = &settings.selection;
    // A group's conversations are in chunks of all kinds.
    let is_by_id = selection.split_by().is_none();
    let touched = |residue: u32| {
        !is_by_id
            || output.missing.iter().any(|chunk| match chunk {
                Chunk::Hash(chunk) => {
                    let common = gcd(chunk.count, 100);
                    chunk.index % common == residue % common
                }
                Chunk::Piece(_) => true,
            })
    };
    let mut splits: Vec<&str> = selection
        .strata()
        .filter(|&stratum| {
            let residues = selection.residues(stratum);
            residues.is_some_and(|mut residues| residues.any(touched))
        })
        .map(|stratum| selection.split(stratum).name.as_str())
        .collect();
    splits.dedup();
    let names: Vec<String> = output.missing.iter().map(Chunk::to_string).collect();
    format!(
        "{} chunks are missing ({}); their conversations are in the splits {}, whose samples are not of the whole population",
        names.len(),
        names.join(", "),
        splits.join(", ")
    )
}

pub(super) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
