//! `gleaner plan`: what an export would do and cost, and what it would refuse of files as far as their
//! first rows show. Nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::ExportArgs;
use super::cluster::Cluster;
use super::exit::{CliError, Exit};
use super::host::{Host, cannot_start};
use super::outcome::{Outcome, Shown};
use super::plan_machine::{self, Machine, Need};
use super::setup;
use super::{plan_groups, plan_telemetry, plan_text, plan_trust};
use crate::config;
use crate::config::settings::{Settings, Source};
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::dataset::groups::Spread;
use crate::domain::describe_error;
use crate::domain::record::assembler::Nested;
use crate::domain::record::row::RowShape;
use crate::domain::record::timestamp::UtcInstant;
use crate::pipeline::BuildError;
use crate::pipeline::RunError;
use crate::pipeline::host::setup as parts;
use crate::pipeline::ingest::chunk_reader::RowRules;
use crate::pipeline::ingest::first_rows::{self, FirstRows, Limits};
use crate::pipeline::ingest::group_look;
use crate::pipeline::ingest::telemetry_look::{self, TelemetryLook};
use crate::pipeline::state::exclude_key::{self, Missing};
use crate::pipeline::state::start;
use crate::pipeline::state::start::{Start, StartOptions};
use crate::pipeline::state::work_dir::{self, RunRecord};
use crate::runtime::CpuPool;
use crate::source::files::FilesSource;
use crate::source::kusto::estimate::KustoPlan;
use crate::source::{ConversationSource, SourceError, Survey};

/// What was learnt of the input.
pub(super) struct Looked {
    /// Description of the source, without secrets.
    source: Value,
    pub(super) survey: Survey,
    /// Whether all of the input could be surveyed.
    is_whole: bool,
    /// Of files alone.
    pub(super) first_rows: Option<FirstRows>,
    telemetry: Option<TelemetryLook>,
    /// Of a cluster alone.
    pub(super) counted: Option<KustoPlan>,
    /// If groups decide the split, and the input can be read.
    groups: Option<Spread>,
}

/// Plans an export.
///
/// # Errors
/// If the settings are wrong or the input cannot be looked at.
pub fn run(args: &ExportArgs, host: &Host) -> Result<Outcome, CliError> {
    let (settings, _) = setup::settings(args)?;
    let sink = parts::sink(&settings.sink.target).map_err(BuildError::from)?;
    let work_dir = args.work_dir.as_deref();
    let described = exclude_key::described(&settings, work_dir, Missing::Leave);
    let described = described.map_err(BuildError::from)?;
    let fingerprint = config::fingerprint(&described);
    let fresh = parts::new_record(&settings, &described, &fingerprint, &sink.location())?;
    let looked = look(&settings, &fresh, host)?;
    let path = (args.work_dir.clone()).unwrap_or_else(|| parts::default_work_dir(&fingerprint));
    let found = work_dir::read_record(&path)?;
    let options = StartOptions {
        fresh: args.fresh,
        fixed_name: config::name::is_fixed(&settings),
    };
    let start = start::decide(found.as_ref(), &fresh, options);
    let record = found.filter(|_| start == Start::Resume).unwrap_or(fresh);
    let (need, machine) = (need(&settings, &looked), Machine::here(&path));
    let mut plan = json!({
        "dataset": record.dataset,
        "location": sink.location(),
        "fingerprint": fingerprint,
        "work_dir": path,
        "work": work(start),
        "window": {"start": record.window_start, "end": record.window_end},
        "seed": settings.selection.seed(),
        "records": settings.selection.total(),
        "strata": strata(&settings, looked.counted.as_ref()),
        "trust": plan_trust::record(&settings),
        "memory": plan_machine::memory(),
        "machine": plan_machine::record(need, machine),
        "workers": {
            "fetchers": settings.workers.fetchers,
            "validators": settings.workers.validators,
            "uploaders": settings.workers.uploaders,
        },
    });
    add_input(&mut plan, &looked);
    let split_by = settings.selection.split_by();
    let groups = split_by.zip(looked.groups.as_ref());
    if let Some((field, spread)) = groups {
        plan["groups"] = plan_groups::record(field, spread);
    }
    let texts = || {
        let telemetry = looked.telemetry.as_ref().map(plan_telemetry::text);
        let groups = groups.map(|(field, spread)| plan_groups::text(field, spread));
        let texts = telemetry.into_iter().chain(groups);
        let of_machine = plan_machine::text(need, machine);
        let texts = texts.chain([plan_text::text(&settings, &plan, &looked, &of_machine)]);
        texts.collect::<Vec<_>>().join("\n")
    };
    let shown = Shown::either(args.json, || plan.clone(), texts);
    let is_start_refused = matches!(start, Start::OtherWindow | Start::OtherSettings);
    let is_refused = is_start_refused || looked.first_rows.as_ref().is_some_and(is_refused);
    let exit = match is_refused {
        true => Exit::Usage,
        false => Exit::Success,
    };
    Ok(Outcome::new(shown, exit))
}

/// Looks at the input, as far as that costs little.
fn look(settings: &Settings, fresh: &RunRecord, host: &Host) -> Result<Looked, CliError> {
    let cluster = Cluster::of(settings, fresh).map_err(BuildError::from)?;
    let files = match &settings.source {
        Source::Files(paths) => Some(Arc::new(parts::files_source(paths, settings))),
        Source::Kusto(_) | Source::Synthetic(_) | Source::Custom(_) => None,
    };
    let source = match (&cluster, &files) {
        (Some(cluster), _) => cluster.source(),
        (None, Some(files)) => Arc::clone(files) as Arc<dyn ConversationSource>,
        (None, None) => parts::source(settings, fresh).map_err(BuildError::from)?,
    };
    let runtime = host.runtime()?;
    let survey = runtime.block_on(source.survey())?;
    let (survey, is_whole) = match (survey, &files) {
        (Err(error), Some(files)) => (without_chunks(files, error)?, false),
        (survey, _) => (survey.map_err(RunError::from)?, true),
    };
    let first_rows = files.as_ref().map(|files| first_rows(files, settings));
    let telemetry = match (&files, &first_rows) {
        (Some(files), Some(first)) if first.is_telemetry => {
            let rules = CopilotChatRules::of_agents(settings.limits.max_record);
            Some(telemetry_look::look(files, &rules))
        }
        _ => None,
    };
    let counted = cluster.map(|cluster| runtime.block_on(cluster.plan()));
    let counted = counted.transpose()?.transpose().map_err(RunError::from)?;
    let is_read = is_whole && !first_rows.as_ref().is_some_and(is_refused);
    let groups = match (settings.selection.split_by(), &counted) {
        (None, _) => None,
        (Some(_), Some(counted)) => Some(counted.spread.clone()),
        (Some(_), None) if is_read => {
            let rules = row_rules(settings, Some(fresh));
            let pool = Arc::new(CpuPool::of_machine().map_err(cannot_start)?);
            let spread = group_look::spread(&*source, &survey, rules, &pool);
            Some(runtime.block_on(spread)?.map_err(RunError::from)?)
        }
        (Some(_), None) => None,
    };
    Ok(Looked {
        source: source.describe(),
        survey,
        is_whole,
        first_rows,
        telemetry,
        counted,
        groups,
    })
}

/// How rows are read; `record` says in which window, if it matters.
fn row_rules(settings: &Settings, record: Option<&RunRecord>) -> RowRules {
    let ticks = |at: Option<UtcInstant>| at.map(UtcInstant::ticks);
    let look = record.map(|record| ticks(record.look_start)..ticks(record.look_end));
    let ignored = settings.ignore_ids.iter();
    RowRules {
        ignore_ids: ignored.map(|id| id.clone().into_bytes()).collect(),
        excluded: Arc::default(),
        window: None..None,
        look: look.unwrap_or(None..None),
        max_record: settings.limits.max_record,
        selection: Arc::new(settings.selection.clone()),
        nested: Nested::AsIs,
        schema: settings.schema,
        copilot_chat: Arc::new(CopilotChatRules::of_agents(settings.limits.max_record)),
        quotes_values: !settings.privacy.is_scan(),
    }
}

fn work(start: Start) -> &'static str {
    match start {
        Start::Begin => "start a new run",
        Start::Resume => "resume the run that is there",
        Start::AlreadyPublished => "nothing: it is published already",
        Start::OtherWindow => "refused: its dataset was published with another window",
        Start::OtherSettings => "refused: it belongs to a run with other settings",
    }
}

/// Adds what was learnt of the input.
fn add_input(plan: &mut Value, looked: &Looked) {
    let survey = &looked.survey;
    let of_whole = |value: Value| match looked.is_whole {
        true => value,
        false => Value::Null,
    };
    plan["source"] = looked.source.clone();
    plan["chunks"] = of_whole(json!(survey.chunks.len()));
    plan["input_bytes"] = json!(survey.bytes);
    plan["spooled_input_bytes"] = of_whole(json!(survey.spooled_bytes));
    plan["first_rows"] = json!(looked.first_rows.as_ref().map(seen));
    plan["copilot_chat"] = json!(looked.telemetry.as_ref().map(plan_telemetry::record));
    plan["kusto"] = json!(looked.counted.as_ref().map(fetching));
}

/// What a run of this input needs, as far as it was looked at.
fn need(settings: &Settings, looked: &Looked) -> Need {
    match (&looked.counted, &looked.first_rows) {
        (Some(counted), _) => Need::of_cluster(&settings.source, counted),
        (None, Some(first)) if looked.is_whole => Need::of_files(&looked.survey, first),
        _ => Need::UNKNOWN,
    }
}

/// Whether an export would end at these rows.
fn is_refused(first: &FirstRows) -> bool {
    first.refusal.is_some() || !first.unreadable.is_empty()
}

/// What is known of files when one of them cannot be read: it is named with what else is wrong.
fn without_chunks(files: &FilesSource, error: SourceError) -> Result<Survey, RunError> {
    match (error, files.inputs()) {
        (
            SourceError::Damaged { .. } | SourceError::Unsupported { .. } | SourceError::Io { .. },
            Some(inputs),
        ) => Ok(Survey {
            bytes: Some(inputs.iter().map(|input| input.bytes).sum()),
            input_fingerprints: inputs.to_vec(),
            ..Survey::of(Vec::new(), false)
        }),
        (error, _) => Err(error.into()),
    }
}

/// Looks at the first rows of each file.
fn first_rows(files: &FilesSource, settings: &Settings) -> FirstRows {
    let rules = row_rules(settings, None);
    let limits = Limits {
        max_malformed_percent: settings.limits.max_malformed_percent,
        allow_sampled: settings.allow_sampled,
    };
    first_rows::look(files, &rules, limits)
}

/// What the first rows of files show.
fn seen(first: &FirstRows) -> Value {
    let refusal = first.refusal.as_ref();
    let mixed = match refusal {
        Some(RunError::Source(SourceError::MixedShapes { rows })) => {
            let name = |shape: &RowShape| match shape {
                RowShape::Conversations => "conversation",
                RowShape::Turns => "turn",
                RowShape::CopilotChat => "copilot_chat",
            };
            let named = rows.iter().map(|(shape, place)| (name(shape), place));
            json!(named.collect::<BTreeMap<_, _>>())
        }
        _ => Value::Null,
    };
    let unreadable = first.unreadable.iter().map(|error| describe_error(error));
    json!({
        "files": first.files,
        "rows": first.rows,
        "of_each_file": {"rows": first_rows::MOST_ROWS, "bytes": first_rows::MOST_BYTES},
        "refused": is_refused(first),
        "reason": refusal.map(|refusal| describe_error(refusal)),
        "mixed_schemas": mixed,
        "malformed": first.malformed,
        "unreadable": unreadable.collect::<Vec<_>>(),
        "oddities": first.oddities,
    })
}

/// What fetching from a cluster takes.
fn fetching(counted: &KustoPlan) -> Value {
    json!({
        "conversations": counted.conversations,
        "out_of_range": counted.out_of_range,
        "candidates": counted.candidates,
        "census": counted.census(),
        "census_rows": counted.census_rows,
        "bytes_each": counted.bytes_each,
        "one_pass_bytes": counted.one_pass_bytes,
        "two_pass_bytes": counted.two_pass_bytes,
    })
}

/// The strata that an export would have.
pub(super) fn strata(settings: &Settings, counted: Option<&KustoPlan>) -> Vec<Value> {
    let selection = &settings.selection;
    selection
        .strata()
        .filter_map(|stratum| {
            let target = selection.target(stratum)?;
            let wanted = selection.wanted(stratum);
            Some(json!({
                "split": selection.split(stratum).name,
                "bucket": selection.bucket(stratum).name,
                "target": wanted,
                "candidates": wanted.map(|_| selection.candidates_for(target)),
                "population": counted.and_then(|counted| counted.population.get(&stratum)),
            }))
        })
        .collect()
}
