//! What makes two runs the same run: the settings that decide what is in the dataset and where it
//! goes, and nothing else. Worker counts, limits, timeouts and progress may change on a resume.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::settings::{ModeUnknown, Settings, SinkTarget, Source, Span, Window};
use crate::domain::dataset::manifest::{SelectionRecord, hex};
use crate::domain::json::canonical::sorted;
use crate::domain::near_duplicates::NEAR_DUPLICATES_VERSION;
use crate::domain::privacy::users::Users;

/// The settings that the fingerprint covers, with sorted keys.
pub fn described(settings: &Settings) -> Value {
    // What says nothing else than before is left out: work directories go on.
    let mut rows = Map::new();
    if let Some(schema) = settings.schema {
        rows.insert("schema".to_owned(), json!(schema.name()));
    }
    if settings.mode_unknown != ModeUnknown::Drop {
        rows.insert("mode_unknown".to_owned(), json!(settings.mode_unknown));
    }
    if settings.allow_sampled {
        rows.insert("allow_sampled".to_owned(), json!(true));
    }
    let mut selection = json!(SelectionRecord::from(&settings.selection));
    selection["seed"] = json!(settings.selection.seed());
    selection["cut"] = json!(settings.cut);
    let mut described = json!({
        "name": settings.name,
        "source": source(settings),
        "ignore_ids": settings.ignore_ids,
        "window": settings.window.as_ref().map(window),
        "chunks": {"count": settings.chunks.count},
        "selection": selection,
        "sink": {
            "target": target(&settings.sink.target),
            "format": settings.sink.format,
            "sort_keys": settings.sink.sort_keys,
        },
    });
    if !rows.is_empty() {
        described["rows"] = Value::Object(rows);
    }
    if let Some(decontamination) = &settings.decontamination {
        described["decontaminate"] = json!(decontamination.record(|_| 0));
    }
    if let Some(record) = settings.privacy.record() {
        described["privacy"] = json!({
            "secrets": record.secrets,
            "personal": record.personal,
            "rules_version": record.rules_version,
            "key": record.key_id,
        });
        if let Some(sha256) = record.rules_sha256 {
            described["privacy"]["rules_sha256"] = json!(sha256);
        }
        if settings.privacy.users != Users::Keep {
            described["privacy"]["users"] = json!(record.users);
        }
    }
    if let Some(near_duplicates) = settings.near_duplicates {
        described["near_duplicates"] = json!({
            "scope": near_duplicates.scope.name(),
            "threshold": near_duplicates.threshold.share(),
            "version": NEAR_DUPLICATES_VERSION,
        });
    }
    sorted(described)
}

fn source(settings: &Settings) -> Value {
    match &settings.source {
        // Settings without renamed fields keep the fingerprint that they had before fields could be
        // renamed, so that older work directories can be resumed.
        Source::Files(paths) if settings.fields.is_empty() => {
            json!({"kind": "files", "paths": paths})
        }
        Source::Files(paths) => {
            json!({"kind": "files", "paths": paths, "fields": settings.fields.paths()})
        }
        Source::Synthetic(synthetic) => json!({
            "kind": "synthetic",
            "conversations": synthetic.conversations,
            "seed": synthetic.seed,
            "schema": synthetic.schema,
        }),
        Source::Kusto(kusto) => json!({
            "kind": "kusto",
            "cluster": kusto.cluster,
            "database": kusto.database,
            "query": kusto.query.path,
            "query_sha256": kusto.query.sha256(),
            "census_sha256": kusto.census.sha256(),
            "passes": kusto.passes,
        }),
        Source::Custom(described) => json!({"own": described}),
    }
}

fn window(window: &Window) -> Value {
    let mut written = match &window.span {
        Span::Between { start, end } => json!({
            "start": start.map(|at| at.to_string()),
            "end": end.map(|at| at.to_string()),
        }),
        Span::Last { text, .. } => json!({"last": text}),
    };
    written["ingestion_lag_seconds"] = json!(window.ingestion_lag.as_secs());
    written["slack_seconds"] = json!(window.slack.as_secs());
    written
}

fn target(target: &SinkTarget) -> Value {
    match target {
        SinkTarget::Local(path) => json!({"local": path}),
        SinkTarget::AzureBlob(blob) => json!({
            "account": blob.account,
            "container": blob.container,
            "prefix": blob.prefix,
            "endpoint": blob.endpoint,
        }),
        SinkTarget::Custom(location) => json!({"own": location}),
    }
}

/// SHA-256 over the canonical JSON, its first 16 digits. Keys are sorted here: a program that uses this
/// library may have `serde_json` keep them in another order.
pub fn fingerprint(described: &Value) -> String {
    hex(&Sha256::digest(sorted(described.clone()).to_string()))[..16].to_owned()
}

/// The keys whose values differ: `selection.seed: "a" -> "b"`.
pub fn diff(old: &Value, new: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    collect(old, new, "", &mut lines);
    lines
}

fn collect(old: &Value, new: &Value, path: &str, lines: &mut Vec<String>) {
    if old == new {
        return;
    }
    if let (Some(old), Some(new)) = (by_name(old), by_name(new)) {
        return collect(&old, &new, path, lines);
    }
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        let join = |key: &str| match path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let absent = Value::Null;
        let get =
            |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or(absent.clone());
        let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            collect(&get(old, key), &get(new, key), &join(key), lines);
        }
        return;
    }
    let text = |value: &Value| match value {
        Value::Null => "not set".to_owned(),
        value => value.to_string(),
    };
    lines.push(format!("{path}: {} -> {}", text(old), text(new)));
}

/// A list of things with a name each as an object of them.
fn by_name(list: &Value) -> Option<Value> {
    let mut named = Map::new();
    for element in list.as_array()? {
        let name = element.get("name")?.as_str()?;
        if named.insert(name.to_owned(), element.clone()).is_some() {
            return None;
        }
    }
    (!named.is_empty()).then_some(Value::Object(named))
}
