//! `gleaner explain`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::args::ExportArgs;
use super::exit::{CliError, Exit};
use super::host::{Host, cannot_start};
use super::outcome::{self, Shown};
use super::place::ReachArgs;
use super::setup;
use crate::check::manifest;
use crate::config::{self, settings::Source};
use crate::domain::dataset::manifest::{Manifest, WindowInstants};
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::stratum::Selection;
use crate::pipeline::host::setup as parts;
use crate::pipeline::ingest::trace::{Outcome, Trace, trace};
use crate::pipeline::{BuildError, RunError};
use crate::runtime::CpuPool;
use crate::verify::VerifyError;

mod in_dataset;
mod report;

use in_dataset::seek;
use report::Explanation;

/// The arguments of `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// A conversation's id
    pub id: String,
    /// The dataset's folder, or its address in a container
    pub dataset: String,
    /// Read these files again, as for an export; repeatable
    #[arg(long, value_name = "PATH")]
    pub input: Vec<PathBuf>,
    /// The file of ids and users that the export was given
    #[arg(long, value_name = "FILE")]
    pub exclude: Option<PathBuf>,
    /// What the rows are, as for an export
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// How to reach it; a configuration also says which source to read again.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Says where a conversation is, or why it is not there.
///
/// # Errors
/// If the dataset or the source cannot be read.
pub fn run(args: &ExplainArgs, host: &Host) -> Result<outcome::Outcome, CliError> {
    let dataset = args.reach.open(&args.dataset, host)?;
    let manifest = manifest(&*dataset)?;
    let selection = manifest.selection.selection(&manifest.seed);
    let selection = selection.map_err(VerifyError::from)?;
    let reads_source = !args.input.is_empty() || args.reach.config.is_some();
    let traced = match reads_source {
        true => Some(read_source(args, &manifest, &selection, host)?),
        false => None,
    };
    let split = split(&selection, &args.id, traced.as_ref());
    let sought = seek(&*dataset, &manifest, split.as_deref(), &args.id)?;
    let explained = Explanation {
        id: &args.id,
        manifest: &manifest,
        selection: &selection,
        sought,
        traced,
    };
    let shown = Shown::either(args.json, || explained.json(), || explained.text());
    Ok(outcome::Outcome::new(shown, Exit::Success))
}

/// The split of a conversation, as far as it is known without the dataset: where groups decide, only the source has its.
fn split(selection: &Selection, id: &str, traced: Option<&Trace>) -> Option<String> {
    let group = match (selection.split_by(), traced.map(|traced| traced.outcome)) {
        (None, _) => GroupMark::ABSENT,
        (Some(_), Some(Outcome::Whole(_, group))) => group,
        (Some(_), _) => return None,
    };
    let split = selection.split_of_group(id.as_bytes(), group);
    Some(split.name.clone())
}

/// Reads the source again, as it was when the dataset was made.
fn read_source(
    args: &ExplainArgs,
    manifest: &Manifest,
    selection: &Selection,
    host: &Host,
) -> Result<Trace, CliError> {
    let export = ExportArgs {
        config: args.reach.config.clone(),
        set: args.reach.set.clone(),
        input: args.input.clone(),
        exclude: args.exclude.clone(),
        schema: args.schema.clone(),
        ..ExportArgs::default()
    };
    let (mut settings, _) = setup::settings(&export)?;
    if matches!(settings.source, Source::Files(_)) {
        // A whole file each: lines count from its beginning.
        settings.chunks.count = NonZeroU32::MIN;
    }
    let described = config::described(&settings);
    let mut record = parts::new_record(&settings, &described, "", "")?;
    (record.window_start, record.window_end) = instants(&manifest.window);
    (record.look_start, record.look_end) = instants(&manifest.looked_at);
    let source = parts::source(&settings, &record).map_err(BuildError::from)?;
    let pool = Arc::new(CpuPool::of_machine().map_err(cannot_start)?);
    let runtime = host.runtime()?;
    let traced = runtime.block_on(trace(
        &settings, &record, &*source, selection, &args.id, &pool,
    ));
    traced?.map_err(|error: RunError| error.into())
}

fn instants(window: &WindowInstants) -> (Option<UtcInstant>, Option<UtcInstant>) {
    let instant = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    (instant(&window.start), instant(&window.end))
}
