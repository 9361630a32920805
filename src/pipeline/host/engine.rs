//! From settings to an engine as the source of a run.

use std::sync::Arc;

use serde_json::json;

use super::setup::files_source;
use crate::config::settings::{Settings, Source};
use crate::domain::record::assembler::Nested;
use crate::domain::record::timestamp::UtcInstant;
use crate::pipeline::engine::{Engine, EngineInput, EngineParts, EngineRules, EngineSource};
use crate::pipeline::ingest::telemetry_rules::copilot_chat_rules;
use crate::pipeline::run::actors::{candidates_of, nested};
use crate::pipeline::state::work_dir::{RunRecord, WorkDir};
use crate::source::{ConversationSource, SourceError};
use crate::telemetry::Telemetry;

/// Refuses what an engine cannot do, and says in the settings what is read instead of files.
///
/// # Errors
/// If it cannot do what they ask for.
pub fn adapt(settings: &mut Settings, engine: &dyn Engine) -> Result<(), SourceError> {
    let cannot = |reason: &str| {
        Err(SourceError::Engine {
            reason: format!("{} cannot do this: {reason}", engine.name()),
            hint: Some("correct source.kind, or export on one machine".to_owned()),
        })
    };
    if engine.has_table() {
        settings.source = Source::Custom(json!({"kind": "table", "engine": engine.name()}));
    } else if !matches!(settings.source, Source::Files(_)) {
        return cannot("it reads files and tables; name files with input");
    }
    Ok(())
}

/// An engine as the source of a run.
///
/// # Errors
/// If the settings cannot be used.
pub fn source(
    engine: &Arc<dyn Engine>,
    settings: &Settings,
    work_dir: &WorkDir,
    telemetry: &Telemetry,
) -> Result<Arc<dyn ConversationSource>, SourceError> {
    let input = match &settings.source {
        Source::Files(paths) => EngineInput::Files(files_source(paths, settings)),
        _ => EngineInput::Table,
    };
    Ok(Arc::new(EngineSource::new(EngineParts {
        engine: Arc::clone(engine),
        input,
        rules: rules(settings, &work_dir.record),
        candidates: candidates_of(settings),
        chunks: settings.chunks.count.get(),
        telemetry: Arc::clone(telemetry),
        folder: work_dir.chunks().join("engine"),
    })?))
}

/// The rules of a run, as executors need them.
fn rules(settings: &Settings, record: &RunRecord) -> EngineRules {
    let selection = &settings.selection;
    let targets = selection.strata().filter_map(|stratum| {
        let target = selection.target(stratum)?.get();
        let (split, bucket) = (selection.split(stratum), selection.bucket(stratum));
        Some((split.name.clone(), bucket.name.clone(), target))
    });
    let ticks = |at: Option<UtcInstant>| at.map(UtcInstant::ticks);
    EngineRules {
        seed: selection.seed().to_owned(),
        splits: selection.splits().to_vec(),
        buckets: selection.buckets().to_vec(),
        targets: targets.collect(),
        split_by: selection.split_by().map(|field| field.name().to_owned()),
        ignore_ids: settings.ignore_ids.clone(),
        window: [ticks(record.window_start), ticks(record.window_end)],
        look: [ticks(record.look_start), ticks(record.look_end)],
        max_record: settings.limits.max_record,
        max_window: settings.limits.in_flight,
        fields: settings.fields.paths().clone(),
        schema: settings.schema,
        sorts_keys: nested(settings) == Nested::Sorted,
        membership: copilot_chat_rules(settings, record).membership,
        quotes_values: !settings.privacy.is_scan(),
    }
}
