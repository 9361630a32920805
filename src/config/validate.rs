//! From what is written to what it means.

use std::path::PathBuf;

use super::raw::{self, Flag, Number, Text};
use super::settings::{
    Chaos, Chunks, Limits, ModeUnknown, Settings, Source, Span, Window, Workers,
};
use super::{ConfigError, DEFAULTS, Layers};
use crate::domain::conversion::Preset;
use crate::domain::near_duplicates::{NearDuplicates, Scope, Threshold};
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::fault_names::{Kind, Stage};
use crate::domain::selection::cut::Cut;
use crate::domain::selection::quality::{QualityCode, QualityCodes};

mod decontamination;
mod privacy;
mod selection;
mod sink;
mod source;
mod values;

pub use privacy::own_rules;
use selection::selection;
use sink::sink;
use source::{fields, schema_of, source};
use values::{
    allow_missing, at_least_one, bad, bytes, choice, duration, duration_or_zero, instant, percent,
    stall_timeout, text, texts, workers_of,
};

/// The default window for Kusto.
const KUSTO_WINDOW: &str = "15d";

/// Records are addressed with 32 bits.
const LARGEST_RECORD: u64 = u32::MAX as u64;

/// The settings that layers (without the defaults) mean. `splits` names the only splits that are
/// wanted, if it is not empty.
///
/// # Errors
/// Names the key, the value, and what would be right.
pub fn validate(layers: &Layers, splits: &[String]) -> Result<Settings, ConfigError> {
    let defaults = DEFAULTS.parse().map_err(|error| ConfigError::Toml {
        path: PathBuf::from("defaults"),
        reason: format!("{error}"),
    })?;
    let (defaults, layers) = layers.over(defaults)?;
    let written = layers.merged()?;
    let config = defaults.below(&layers).merged()?;
    let default_targets = defaults.merged()?.selection.and_then(|s| s.targets);
    let source_table = config.source.unwrap_or_default();
    let ignore_ids = texts(source_table.ignore_ids.clone());
    let schema = source_table.schema.clone();
    let schema = choice("source.schema", schema, &SOURCE_SCHEMAS)?;
    let mode_unknown = source_table.mode_unknown.clone();
    let mode_unknown = choice("source.mode_unknown", mode_unknown, &MODES_UNKNOWN)?;
    let allow_sampled = source_table.allow_sampled.is_some_and(|Flag(is)| is);
    let strict_input = source_table.strict_input.is_some_and(|Flag(is)| is);
    let written_fields = source_table.fields.clone().unwrap_or_default();
    let mut source = source(source_table, schema)?;
    let schema = schema_of(&source, schema);
    let fields = fields(written_fields, &source)?;
    let selection_table = config.selection.unwrap_or_default();
    let cut = choice("selection.cut", selection_table.cut.clone(), &CUTS)?;
    let reject_quality = quality_codes(selection_table.reject_quality.clone())?;
    let fitness = selection::fitness(&selection_table)?;
    let privacy = privacy::policy(config.privacy.unwrap_or_default())?;
    let split_by = selection::split_by(&selection_table, schema, &mut source, privacy.users)?;
    let exclude = selection::exclude(selection_table.exclude.clone(), &mut source)?;
    let selection = selection(
        selection_table,
        default_targets.unwrap_or_default(),
        written
            .selection
            .and_then(|s| s.targets)
            .unwrap_or_default(),
        splits,
    )?;
    let selection = selection.splitting_by(split_by);
    Ok(Settings {
        name: text(config.name),
        window: window(config.window.unwrap_or_default(), &source)?,
        schema,
        mode_unknown,
        allow_sampled,
        ignore_ids,
        strict_input,
        fields,
        chunks: chunks(config.chunks.unwrap_or_default(), &source)?,
        selection: selection.rejecting(reject_quality).fitting(fitness),
        cut,
        exclude,
        sink: sink(config.sink.unwrap_or_default())?,
        decontamination: decontamination::read(config.decontaminate.unwrap_or_default())?,
        privacy,
        near_duplicates: near_duplicates(config.near_duplicates.unwrap_or_default())?,
        workers: workers(config.workers.unwrap_or_default())?,
        limits: limits(config.limits.unwrap_or_default())?,
        convert_for: presets(config.output.unwrap_or_default().r#for)?,
        chaos: chaos(config.chaos.unwrap_or_default())?,
        source,
    })
}

fn chunks(chunks: raw::Chunks, source: &Source) -> Result<Chunks, ConfigError> {
    Ok(Chunks {
        count: at_least_one("chunks.count", chunks.count)?,
        max_attempts: at_least_one("chunks.max_attempts", chunks.max_attempts)?,
        allow_missing: allow_missing(chunks.allow_missing, source)?,
    })
}

fn near_duplicates(written: raw::NearDuplicates) -> Result<Option<NearDuplicates>, ConfigError> {
    let scopes = Scope::ALL.map(|scope| (scope.name(), Some(scope)));
    let choices = [[("off", None)].as_slice(), &scopes].concat();
    let scope = choice("near_duplicates.scope", written.scope, &choices)?;
    let share = written.threshold.map_or(0.0, |Number(share)| share);
    let threshold = Threshold::new(share).ok_or_else(|| {
        let reason = "it must be above 0 and at most 1, with six decimals at most";
        bad("near_duplicates.threshold", share, reason)
    })?;
    Ok(scope.map(|scope| NearDuplicates { scope, threshold }))
}

fn workers(workers: raw::Workers) -> Result<Workers, ConfigError> {
    Ok(Workers {
        fetchers: workers_of("workers.fetchers", workers.fetchers)?,
        validators: workers_of("workers.validators", workers.validators)?,
        uploaders: workers_of("workers.uploaders", workers.uploaders)?,
        restarts: workers.restarts.map_or(0, |Number(n)| n),
        restart_window: duration("workers.restart_window", &text(workers.restart_window))?,
        stall_timeout: stall_timeout(workers.stall_timeout)?,
    })
}

fn limits(limits: raw::Limits) -> Result<Limits, ConfigError> {
    Ok(Limits {
        in_flight: bytes("limits.in_flight", limits.in_flight)?,
        spool: bytes("limits.spool", limits.spool)?,
        max_record: bytes("limits.max_record", limits.max_record)?.min(LARGEST_RECORD),
        max_malformed_percent: percent(limits.max_malformed_percent)?,
    })
}

fn chaos(chaos: raw::Chaos) -> Result<Chaos, ConfigError> {
    let stages = names(Stage::ALL.iter().copied(), |stage| stage.name());
    let kinds = names(Kind::ALL.iter().copied(), |kind| kind.name());
    let each = |key, values: Option<Vec<Text>>| texts(values).into_iter().map(move |v| (key, v));
    Ok(Chaos {
        seed: chaos.seed.map_or(0, |Number(n)| n),
        faults: chaos.faults.map_or(0, |Number(n)| n),
        max_hits: chaos.max_hits.map_or(1, |Number(n)| n),
        stages: each("chaos.stages", chaos.stages)
            .map(|(key, value)| choice(key, Some(Text(value)), &stages))
            .collect::<Result<_, _>>()?,
        kinds: each("chaos.kinds", chaos.kinds)
            .map(|(key, value)| choice(key, Some(Text(value)), &kinds))
            .collect::<Result<_, _>>()?,
        plan: text(chaos.plan),
    })
}

fn names<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
) -> Vec<(&'static str, T)> {
    all.into_iter().map(|one| (name(one), one)).collect()
}

impl Layers {
    /// These layers with stronger ones above.
    fn below(&self, stronger: &Self) -> Self {
        let mut all = self.clone();
        all.extend(stronger);
        all
    }
}

/// `selection.cut` alone, of layers that need not be a whole configuration.
///
/// # Errors
/// Names the key and what would be right.
pub fn cut(layers: &Layers) -> Result<Cut, ConfigError> {
    let defaults = Layers::default().text("defaults", DEFAULTS)?;
    let config = defaults.below(layers).merged()?;
    let written = config.selection.unwrap_or_default().cut;
    choice("selection.cut", written, &CUTS)
}

/// `selection.reject_quality`
fn quality_codes(codes: Option<Vec<Text>>) -> Result<QualityCodes, ConfigError> {
    let known = names(QualityCode::ALL, QualityCode::name);
    let codes = codes.unwrap_or_default().into_iter();
    codes
        .map(|code| choice("selection.reject_quality", Some(code), &known))
        .collect()
}

/// `output.for`; a preset that is named twice is made once.
fn presets(presets: Option<Vec<Text>>) -> Result<Vec<Preset>, ConfigError> {
    let known = names(Preset::ALL, Preset::name);
    let presets = presets.unwrap_or_default().into_iter();
    let mut all = Vec::new();
    for preset in presets {
        let preset = choice("output.for", Some(preset), &known)?;
        if !all.contains(&preset) {
            all.push(preset);
        }
    }
    Ok(all)
}

const SOURCE_SCHEMAS: [(&str, Option<RowShape>); 4] = [
    ("auto", None),
    ("conversations", Some(RowShape::Conversations)),
    ("turns", Some(RowShape::Turns)),
    ("copilot_chat", Some(RowShape::CopilotChat)),
];

const MODES_UNKNOWN: [(&str, ModeUnknown); 2] =
    [("drop", ModeUnknown::Drop), ("agent", ModeUnknown::Agent)];

const CUTS: [(&str, Cut); 2] = [("drop", Cut::Drop), ("keep", Cut::Keep)];

fn window(window: raw::Window, source: &Source) -> Result<Option<Window>, ConfigError> {
    let ingestion_lag = duration("window.ingestion_lag", &text(window.ingestion_lag))?;
    let slack = duration_or_zero("window.slack", &text(window.slack))?;
    let of_span = |span| {
        Some(Window {
            span,
            ingestion_lag,
            slack,
        })
    };
    let start = instant("window.start", window.start)?;
    let end = instant("window.end", window.end)?;
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        return Err(bad(
            "window.end",
            end,
            format!("it must be after window.start, {start}"),
        ));
    }
    if start.is_some() || end.is_some() {
        return Ok(of_span(Span::Between { start, end }));
    }
    let last = match (window.last, source) {
        (Some(Text(last)), _) => last,
        (None, Source::Kusto(_)) => KUSTO_WINDOW.to_owned(),
        (None, _) => return Ok(None),
    };
    Ok(of_span(Span::Last {
        length: duration("window.last", &last)?,
        text: last,
    }))
}
