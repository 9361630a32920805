//! `gleaner status`: what a stopped or running run has done and what is left.

use std::fs;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::args::StatusArgs;
use super::exit::{CliError, Exit};
use super::outcome::{Outcome, Shown};
use super::progress::incidents;
use super::words::count;
use crate::pipeline::state::status_file;
use crate::pipeline::state::work_dir;
use crate::pipeline::state::work_dir::{RunRecord, RunState};
use crate::telemetry::events::current_kind;

/// Shows one work directory, or all below `.gleaner`.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn run(args: &StatusArgs) -> Result<Outcome, CliError> {
    let paths = match &args.work_dir {
        Some(path) => vec![path.clone()],
        None => below(Path::new(".gleaner")),
    };
    let mut runs = Vec::new();
    for path in paths {
        if let Some(record) = work_dir::read_record(&path)? {
            runs.push(status(&path, &record));
        } else if args.work_dir.is_some() {
            return Err(CliError::usage(
                format!("{} is no work directory", path.display()),
                "name the folder given with --work-dir, or one below .gleaner",
            ));
        }
    }
    let texts = || match runs.is_empty() {
        true => "no runs below .gleaner".to_owned(),
        false => runs.iter().map(text).collect::<Vec<_>>().join("\n\n"),
    };
    let shown = Shown::either(args.json, || json!({ "runs": runs }), texts);
    Ok(Outcome::new(shown, Exit::Success))
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn status(path: &Path, record: &RunRecord) -> Value {
    let (mut sealed, mut bytes) = (0u64, 0u64);
    for entry in fs::read_dir(path.join("chunks"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        sealed += u64::from(name.ends_with(".sealed"));
        bytes += entry.metadata().map_or(0, |metadata| metadata.len());
    }
    let state = match (record.state, work_dir::is_busy(path)) {
        (RunState::Published, false) => "published",
        (_, true) => "running",
        (RunState::Running, false) => "stopped",
    };
    json!({
        "work_dir": path,
        "state": state,
        "run_id": record.run_id,
        "fingerprint": record.fingerprint,
        "started": record.started,
        "dataset": record.dataset,
        "location": record.location,
        "sealed_chunks": sealed,
        "chunks_planned": record.settings["chunks"]["count"],
        "work_dir_bytes": bytes,
        "input_files": record.inputs.as_ref().map(Vec::len),
        "last": status_file::read(path),
    })
}

fn text(run: &Value) -> String {
    let word = |key: &str| run[key].as_str().unwrap_or_default().to_owned();
    let left = match run["state"].as_str() {
        Some("stopped") => "run the same export again: it resumes where it stopped",
        Some("running") => "it is being worked on",
        _ => "nothing is left to do",
    };
    let last = match run["last"]["phase"].as_str() {
        None => "nothing is known".to_owned(),
        Some(phase) => {
            let number = |key: &str| run["last"][key].as_u64().unwrap_or(0);
            let events = run["last"]["events"].as_object().into_iter().flatten();
            let events = events.map(|(kind, n)| (current_kind(kind), n.as_u64().unwrap_or(0)));
            let paused = incidents(events, number("paused"));
            format!(
                "{phase}, chunk {}/{}{paused}",
                number("chunks_done"),
                number("chunks_total")
            )
        }
    };
    format!(
        "{}: {}\n  dataset  {}/{}\n  run      {} since {}\n  sealed   {}, {}\n  last     {last}\n  next     {left}",
        word("work_dir"),
        word("state"),
        word("location"),
        word("dataset"),
        word("run_id"),
        word("started"),
        count(run["sealed_chunks"].as_u64().unwrap_or(0), "chunk"),
        ByteSize::b(run["work_dir_bytes"].as_u64().unwrap_or(0))
            .display()
            .si(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exits_of_actors_are_read_under_their_old_name_too() {
        for name in ["actor_exits", "deaths"] {
            let last = json!({"phase": "fetching", "events": {name: 2, "restarts": 0}});
            let text = text(&json!({ "last": last }));
            assert!(text.contains("2 actor exits"), "{name}: {text}");
        }
    }
}
