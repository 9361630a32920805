//! `README.md`, the dataset's card: how loaders find the splits, and what a person should know.
//!
//! Source of the header: <https://huggingface.co/docs/hub/datasets-cards> (`configs`, `data_files`,
//! `size_categories`).

use std::fmt::Write as _;

use super::shards::Format;
use crate::domain::conversion::rule::Rule;
use crate::domain::conversion::{ColumnKind, Preset};
use crate::domain::dataset::card::{opening, trust};
use crate::domain::dataset::converted::ConvertedManifest;
use crate::domain::dataset::manifest::Manifest;

/// The card of a converted dataset.
pub fn card(manifest: &ConvertedManifest, source: &Manifest) -> String {
    let mut card = header(manifest);
    // Writing to a string cannot fail.
    let _ = write!(
        card,
        "\n# {}\n\nConversations for supervised fine-tuning, for the preset `{}` of gleaner {}. Made of the dataset\n`{}` (content {}), which was sampled with the seed `{}`.\n\n",
        manifest.dataset,
        manifest.preset,
        manifest.tool.version,
        manifest.derived_from.dataset,
        manifest.derived_from.content_sha256,
        source.seed,
    );
    card.push_str("| split | records read | records | files | bytes |\n|---|---|---|---|---|\n");
    for split in &manifest.splits {
        let bytes: u64 = split.files.iter().map(|shard| shard.file.bytes).sum();
        let _ = writeln!(
            card,
            "| {} | {} | {} | {} | {bytes} |",
            split.name,
            split.records_in,
            split.records,
            split.files.len(),
        );
    }
    card.push_str("\n## What was left out or changed\n\n");
    if manifest.rules.is_empty() {
        card.push_str("Nothing.\n");
    } else {
        card.push_str("| rule | effect | records | times |\n|---|---|---|---|\n");
        for rule in Rule::ALL {
            if let Some(count) = manifest.rules.get(rule.code()) {
                let _ = writeln!(
                    card,
                    "| `{}` | {} | {} | {} |",
                    rule.code(),
                    count.effect,
                    count.records,
                    count.times
                );
            }
        }
    }
    card.push_str("\n## What was looked for\n");
    let decontamination = manifest.decontamination.as_ref();
    card.push_str(&trust(manifest.privacy.as_ref(), decontamination));
    card.push_str("\n## How to load it\n\n```python\nfrom datasets import load_dataset\n\ndataset = load_dataset(\"PATH\")\n```\n\n`sha256sum -c SHA256SUMS` and `gleaner verify PATH` check it.\n");
    card
}

/// What loaders read: YAML between two lines of dashes.
fn header(manifest: &ConvertedManifest) -> String {
    let mut header = opening(manifest.records_out);
    let preset: Option<Preset> = manifest.preset.parse().ok();
    // Columns of members have types of their own in their files.
    let has_types = manifest.format == Format::Parquet.to_string();
    if !(has_types && preset.is_some_and(Preset::is_nested)) {
        header.push_str(&features(preset));
    }
    header.push_str("configs:\n- config_name: default\n  data_files:\n");
    for split in manifest
        .splits
        .iter()
        .filter(|split| !split.files.is_empty())
    {
        let _ = writeln!(
            header,
            "  - split: {}\n    path: \"data/{}-*.{}\"",
            split.name, split.name, manifest.format
        );
    }
    header.push_str("---\n");
    header
}

/// The types of columns. Without them a loader guesses, and gives every tool the keys of all others, with
/// nulls, which templates then show. Loaders of before datasets 4.7 do not know the type `json`.
fn features(preset: Option<Preset>) -> String {
    let mut features = String::from("dataset_info:\n  config_name: default\n  features:\n");
    for column in preset.map_or_else(Vec::new, Preset::columns) {
        let (key, of) = match column.kind {
            ColumnKind::Json => ("dtype", "json"),
            ColumnKind::JsonList => ("list", "json"),
            ColumnKind::Text => ("dtype", "string"),
            ColumnKind::Integer => ("dtype", "int64"),
        };
        let _ = writeln!(features, "  - name: {}\n    {key}: {of}", column.name);
    }
    features
}
