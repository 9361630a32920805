//! `dataset_info.json`, by which LLaMA-Factory finds datasets: a key for each split.
//!
//! Source: `data/README.md` of LLaMA-Factory 0.9.5 (formatting `sharegpt`, columns and tags).

use serde_json::{Map, Value, json};

use crate::domain::dataset::converted::ConvertedManifest;
use crate::domain::json::canonical::sorted;

/// The file.
pub fn text(manifest: &ConvertedManifest) -> Vec<u8> {
    let mut datasets = Map::new();
    for split in &manifest.splits {
        for (number, shard) in split.files.iter().enumerate() {
            let name = match split.files.len() {
                1 => format!("{}_{}", manifest.dataset, split.name),
                _ => format!("{}_{}_{number:05}", manifest.dataset, split.name),
            };
            datasets.insert(name, entry(&shard.file.path));
        }
    }
    let mut text = serde_json::to_vec_pretty(&sorted(Value::Object(datasets))).unwrap_or_default();
    text.push(b'\n');
    text
}

fn entry(path: &str) -> Value {
    json!({
        "file_name": path,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
        "tags": {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": "human",
            "assistant_tag": "gpt",
            "observation_tag": "observation",
            "function_tag": "function_call",
        },
    })
}
