//! What a test needs to run the pipeline in its own process.

use std::path::Path;

use gleaner::config;
use gleaner::config::settings::Settings;
use gleaner::pipeline::state::start::StartOptions;
use gleaner::pipeline::state::work_dir::{RunRecord, RunState, WorkDir};
use jiff::Timestamp;

/// A work directory in `folder` for a run of these settings that writes the dataset `d`.
pub fn work_dir(folder: &Path, settings: &Settings) -> WorkDir {
    let described = config::described(settings);
    let fingerprint = config::fingerprint(&described);
    let record = RunRecord {
        run_id: "run".to_owned(),
        fingerprint: fingerprint.clone(),
        settings: described.clone(),
        started: Timestamp::UNIX_EPOCH,
        window_start: None,
        window_end: None,
        look_start: None,
        look_end: None,
        dataset: "d".to_owned(),
        location: "out".to_owned(),
        inputs: None,
        state: RunState::Running,
        replaces: None,
    };
    WorkDir::open(&folder.join("work"), record, StartOptions::default()).expect("free")
}
