//! `README.md`, the dataset's card: how loaders find the splits, and what a person should know.
//!
//! The same records have the same card, whatever the run was called.
//!
//! Source of the header: <https://huggingface.co/docs/hub/datasets-cards> (`configs`, `data_files`,
//! `size_categories`) and, for the type `json`, datasets 4.7 and later.

use std::fmt::Write as _;

use super::loader_names::split_name;
use super::manifest::Manifest;
use crate::decontamination::DecontaminationRecord;
use crate::privacy::policy::PrivacyRecord;
use crate::privacy::users::Users;
use crate::record::columns::{Columns, Kinds};

/// The name of the file.
pub const CARD: &str = "README.md";

/// Fields that stand first, in the order of an assembled record.
const FIRST: [&str; 8] = [
    "conversationId",
    "userName",
    "turnCount",
    "bucket",
    "turnsArray",
    "promptTokens",
    "completionTokens",
    "llmCallCount",
];

/// More fields are no table: records whose fields are ids, say.
const MOST_FIELDS: usize = 500;

/// The card of a dataset whose records have these columns.
pub fn card(manifest: &Manifest, columns: &Columns) -> String {
    let columns = columns.fields(MOST_FIELDS).map(|columns| {
        let mut columns: Vec<_> = columns.collect();
        let place = |name: &str| FIRST.iter().position(|first| *first == name);
        columns.sort_by_key(|(name, _)| place(name).unwrap_or(FIRST.len()));
        columns
    });
    let records = manifest.strata.iter().map(|stratum| stratum.records).sum();
    let mut card = opening(records);
    if let Some(columns) = &columns {
        card.push_str("dataset_info:\n  config_name: default\n  features:\n");
        for (name, kinds) in columns {
            // Only then no loader reads a text as JSON.
            let dtype = if kinds.are_texts() { "string" } else { "json" };
            let _ = writeln!(card, "  - name: {}\n    dtype: {dtype}", quoted(name));
        }
    }
    card.push_str("configs:\n- config_name: default\n  data_files:\n");
    for (split, paths) in splits(manifest) {
        let _ = writeln!(card, "  - split: {split}\n    path:");
        for path in paths {
            let _ = writeln!(card, "    - {}", quoted(path));
        }
    }
    card.push_str("---\n");
    body(manifest, columns.as_deref(), &mut card);
    card
}

/// Where the header begins: what every card of gleaner's says. `records` are all that are in it.
pub fn opening(records: u64) -> String {
    format!(
        "---\nlicense: other # say which one\ntask_categories:\n- text-generation\nsize_categories:\n- {}\n",
        size_category(records)
    )
}

/// The categories of the hub.
fn size_category(records: u64) -> &'static str {
    match records {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        _ => "n>1M",
    }
}

/// A text of JSON is one of YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The splits that have files, each under a name of its own that loaders take.
fn splits(manifest: &Manifest) -> Vec<(String, Vec<&str>)> {
    let mut splits = Vec::<(String, Vec<&str>)>::new();
    for split in &manifest.selection.splits {
        let strata = manifest.strata.iter();
        let strata = strata.filter(|stratum| stratum.split == split.name);
        let paths: Vec<_> = strata
            .filter_map(|stratum| stratum.file.as_deref())
            .collect();
        if paths.is_empty() {
            continue;
        }
        let mut name = split_name(&split.name);
        while splits.iter().any(|(other, _)| *other == name) {
            name.push('_');
        }
        splits.push((name, paths));
    }
    splits
}

fn body(manifest: &Manifest, columns: Option<&[(String, Kinds)]>, card: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(
        card,
        "\n# Conversations for supervised fine-tuning\n\nWhole conversations of agent mode, deduplicated, split by a hash of their {}, and sampled with the seed\n{} by gleaner {}.\n\n| split | bucket | of | invalid | records | bytes |\n|---|---|---|---|---|---|\n",
        manifest.selection.split_by.as_deref().unwrap_or("id"),
        quoted(&manifest.seed),
        manifest.tool.version,
    );
    for stratum in &manifest.strata {
        let _ = writeln!(
            card,
            "| {} | {} | {} | {} | {} | {} |",
            stratum.split,
            stratum.bucket,
            stratum.population,
            stratum.invalid,
            stratum.records,
            stratum.bytes,
        );
    }
    card.push_str("\n## How to load it\n\n```python\nfrom datasets import load_dataset\n\ndataset = load_dataset(\"PATH\")\n```\n\nThat needs datasets 4.7 or later. `gleaner convert PATH --for trl` makes what a trainer takes.\n");
    if manifest.format == "json" {
        card.push_str("Files of arrays are not to be streamed: use `--format jsonl` for that.\n");
    }
    match columns {
        None => {
            card.push_str("\nIts records have too many fields for a table: load it line by line.\n")
        }
        Some(columns) => {
            let mixed = columns.iter().filter(|(_, kinds)| kinds.mix_texts());
            for (name, _) in mixed {
                let name = quoted(name);
                let _ = writeln!(
                    card,
                    "\nThe field {name} has texts and other values: loaders read its texts as JSON where they can."
                );
            }
        }
    }
    card.push_str(&groups(manifest));
    left_out(manifest, card);
    card.push_str(&trust(
        manifest.privacy.as_ref(),
        manifest.decontamination.as_ref(),
    ));
    card.push_str("\n`sha256sum -c SHA256SUMS` and `gleaner verify PATH` check it.\n");
}

/// What was asked to be left out, and what repeats other records.
fn left_out(manifest: &Manifest, card: &mut String) {
    if let Some(exclude) = manifest.exclude {
        let _ = writeln!(
            card,
            "\nConversations of {} ids and users were to be left out; the input had {} of these.",
            exclude.listed, exclude.matched
        );
    }
    if let Some(similar) = &manifest.near_duplicates {
        let compared = match &*similar.scope {
            "all" => "any other",
            _ => "one of another split",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            card,
            "\nRecords that nearly repeat {compared} (Jaccard similarity of {}-word runs at least {}) were left out: {}.",
            similar.shingle_words, similar.threshold, similar.left_out
        );
    }
}

/// What decides the splits, if it is not the id.
fn groups(manifest: &Manifest) -> String {
    let Some((field, groups)) = manifest.groups_by_split() else {
        return String::new();
    };
    let counts = groups.map(|(split, groups)| format!("{split} of {groups}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    format!("\nRecords of one {field} are in one split: {counts}.\n")
}

/// What was done so that the records may be trained on, and what was not.
pub fn trust(
    privacy: Option<&PrivacyRecord>,
    decontamination: Option<&DecontaminationRecord>,
) -> String {
    let benchmarks = decontamination.map(self::decontamination);
    benchmarks.unwrap_or_default() + &self::privacy(privacy)
}

/// The benchmarks that no record repeats.
fn decontamination(decontamination: &DecontaminationRecord) -> String {
    let mut text = format!(
        "\nRecords that repeat {} words of a benchmark were left out.\n\n\
         | benchmark | texts | too short to be looked for | records left out |\n|---|---|---|---|\n",
        decontamination.words
    );
    for one in &decontamination.benchmarks {
        let name = one.name.replace('|', "\\|");
        let (texts, short, left_out) = (one.texts, one.short_texts, one.contaminated);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {texts} | {short} | {left_out} |");
    }
    text
}

/// What was done with the names of users, secrets and personal data.
fn privacy(privacy: Option<&PrivacyRecord>) -> String {
    let users = match privacy.and_then(PrivacyRecord::users) {
        None | Some(Users::Keep) => "",
        Some(Users::Pseudonym) => "\nThe names of users are pseudonyms.\n",
        Some(Users::Drop) => "\nThe names of users were taken out.\n",
    };
    let Some(privacy) = privacy.filter(|privacy| privacy.is_scan()) else {
        return format!(
            "{users}\nNot scanned for secrets and personal data: `gleaner scan PATH` does that.\n"
        );
    };
    let mut text = format!(
        "{users}\nScanned for secrets ({}) and personal data ({}) by the rules of version {}.\n",
        privacy.secrets, privacy.personal, privacy.rules_version
    );
    if !privacy.found.is_empty() {
        text.push_str("\n| rule | records | times |\n|---|---|---|\n");
    }
    for (rule, count) in &privacy.found {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {rule} | {} | {} |", count.records, count.times);
    }
    text
}
