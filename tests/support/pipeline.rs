//! What a test needs to run the pipeline in its own process.

use std::path::Path;
use std::sync::Arc;

use gleaner::config;
use gleaner::config::settings::Settings;
use gleaner::domain::record::row::RowShape;
use gleaner::fault::Faults;
use gleaner::pipeline::RunParts;
use gleaner::pipeline::state::start::StartOptions;
use gleaner::pipeline::state::work_dir::{RunRecord, RunState, WorkDir};
use gleaner::runtime::CpuPool;
use gleaner::sink::DatasetSink;
use gleaner::source::ConversationSource;
use gleaner::source::synthetic::SyntheticSource;
use gleaner::source::synthetic::settings::Synthetic;
use gleaner::telemetry::Telemetry;
use jiff::Timestamp;

/// The settings of a configuration.
pub fn settings(config: &str) -> Settings {
    let layers = config::Layers::default()
        .text("test", config)
        .expect("TOML");
    config::validate(&layers, &[]).expect("valid")
}

/// So many conversations that are made up of turns, in the chunks of the settings.
pub fn synthetic(conversations: u64, settings: &Settings) -> SyntheticSource {
    let synthetic = Synthetic {
        conversations,
        seed: 1,
        schema: RowShape::Turns,
    };
    SyntheticSource::new(synthetic, settings.chunks.count)
}

/// A run without rules and faults, whose work directory is in `folder`.
pub fn run_parts(
    folder: &Path,
    settings: Settings,
    source: Arc<dyn ConversationSource>,
    sink: Arc<dyn DatasetSink>,
    telemetry: Telemetry,
    pool: Arc<CpuPool>,
) -> RunParts {
    RunParts {
        rules: Default::default(),
        work_dir: work_dir(folder, &settings),
        source,
        sink,
        telemetry,
        settings,
        pool,
        faults: Faults::default(),
    }
}

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
