//! An engine brings the dataset and the ledger of one machine, or refuses.

mod equal;
mod faults;
mod resume;
mod table;
mod telemetry;

use std::path::Path;
use std::sync::Arc;

use gleaner::domain::dataset::manifest::Manifest;
use gleaner::pipeline::RunError;
use gleaner::{Pipeline, PipelineBuilder};
use serde_json::{Value, json};

use crate::support::corpus::Files;
use crate::support::embedded::finish;
use crate::support::engine::LocalEngine;

const CONFIG: &str = "
name = 'd'
limits.max_malformed_percent = 100
[selection]
seed = 's1'
[selection.targets]
train = { short = 20, medium = 10, long = 10 }
val = { short = 2, medium = 2, long = 2 }
test = { short = 2, medium = 2, long = 2 }
";

/// A run over some files below a folder.
fn run_over(folder: &Path, name: &str, more: &str) -> PipelineBuilder {
    Pipeline::builder()
        .config(CONFIG)
        .config(more)
        .input([folder.join("in").display().to_string()])
        .out(&folder.join(name).display().to_string())
        .work_dir(folder.join(format!("{name}-work")))
}

fn write(folder: &Path, files: &Files) {
    std::fs::create_dir_all(folder.join("in")).expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.join("in").join(name), bytes).expect("written");
    }
}

fn on_engine(
    builder: PipelineBuilder,
    engine: LocalEngine,
) -> (Arc<LocalEngine>, Result<Manifest, RunError>) {
    let engine = Arc::new(engine);
    let run = finish(builder.engine(engine.clone()));
    (engine, run.map(|report| report.manifest))
}

/// What an engine may not change of a manifest.
fn ledger(manifest: &Manifest) -> Value {
    let mut malformed = json!(manifest.malformed);
    if let Some(too_large) = malformed.get_mut("too_large") {
        // Of rows that are equal any may be the one.
        too_large["examples"] = Value::Null;
    }
    let mut near_duplicates = json!(manifest.near_duplicates);
    for file in near_duplicates["files"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        // It names the second in which the run began.
        file["path"] = Value::Null;
    }
    json!({
        "content": manifest.content_sha256,
        "strata": manifest.strata,
        "population": manifest.population,
        "malformed": malformed,
        "warnings": manifest.warnings,
        "groups": manifest.groups,
        "near_duplicates": near_duplicates,
        "privacy": manifest.privacy,
        "exclude": manifest.exclude,
        "invalid": manifest.invalid_files.iter().map(|file| &file.sha256).collect::<Vec<_>>(),
    })
}
