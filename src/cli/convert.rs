//! `gleaner convert`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::exit::{CliError, Exit};
use super::host::{Host, cannot_start};
use super::outcome::{Outcome, Shown};
use super::place::ReachArgs;
use super::table::TextTable;
use super::words::{count, size};
use super::{place, report};
use crate::config::name::is_folder_name;
use crate::convert::{
    Conversion, ConversionReport, ConvertedFormat, SharedDataset, convert, converted_name,
};
use crate::domain::conversion::rule::Rule;
use crate::domain::conversion::{Options, Preset, Unfinished, check_tools};
use crate::runtime::CpuPool;
use crate::sink::DatasetSink;

/// How records are converted, for those who convert and those who look ahead.
#[derive(Debug, Clone, Args)]
pub struct MappingArgs {
    /// What to do with a turn whose tool call has no result
    #[arg(long, value_enum, default_value = "drop-turn-and-after")]
    pub unfinished: UnfinishedArg,
    /// Tool definitions for records that have none: a JSON file with a list
    #[arg(long, value_name = "FILE")]
    pub tools: Option<PathBuf>,
}

/// The arguments of `convert`.
#[derive(Debug, Clone, Args)]
pub struct ConvertArgs {
    /// The dataset's folder, or its address in a container
    pub dataset: String,
    /// The trainer: trl, openai, llamafactory, verl, mistral or atif
    #[arg(long = "for", value_name = "PRESET", default_value = "trl")]
    pub preset: Preset,
    /// The folder or the container of the new dataset [default: that of the old one]
    #[arg(long, value_name = "PLACE")]
    pub out: Option<String>,
    /// The name of the new dataset [default: the old name followed by the preset]
    #[arg(long)]
    pub name: Option<String>,
    /// json, jsonl or parquet [default: what the preset's loader reads]
    #[arg(long)]
    pub format: Option<ConvertedFormat>,
    /// How records are converted.
    #[command(flatten)]
    pub mapping: MappingArgs,
    /// Largest size of a file; the record that would exceed it begins a new one
    #[arg(long, value_name = "SIZE", default_value = "500MB", value_parser = file_size, allow_hyphen_values = true)]
    pub max_file: ByteSize,
    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The length of a file, which is more than nothing.
fn file_size(text: &str) -> Result<ByteSize, String> {
    match text.parse() {
        Ok(ByteSize(0)) | Err(_) => {
            Err("write a size of more than nothing, such as 500MB".to_owned())
        }
        Ok(size) => Ok(size),
    }
}

/// What becomes of a turn with a call that has no result.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum UnfinishedArg {
    /// End the conversation before it
    DropTurnAndAfter,
    /// Drop the record
    DropRecord,
    /// Write the call without a result
    Keep,
}

/// What was made, and where.
#[derive(Debug)]
pub struct Made {
    report: ConversionReport,
    location: String,
}

/// Converts a dataset.
///
/// # Errors
/// If it cannot be read, or the new one cannot be written.
pub fn run(args: &ConvertArgs, host: &Host) -> Result<Outcome, CliError> {
    let (config, set) = (args.reach.config.as_ref(), &args.reach.set);
    let runtime = host.runtime()?;
    let source = Arc::new(Mutex::new(place::open(&args.dataset, config, set, host)?));
    let (sink, name) = {
        let _inside = runtime.enter();
        place::of_dataset(&target(args)?, config, set)?
    };
    let options = options(&args.mapping)?;
    let conversion = Conversion {
        options,
        format: args.format.unwrap_or(ConvertedFormat::of(args.preset)),
        shard_bytes: args.max_file.as_u64(),
        ..Conversion::new(args.preset, name)
    };
    let made = runtime.block_on(make(&conversion, &source, &*sink))??;
    let shown = Shown::either(args.json, || made.json(), || made.text());
    Ok(Outcome::new(shown, made.exit()))
}

/// Makes one; on all threads of the machine.
///
/// # Errors
/// As for [`run`].
pub async fn make(
    conversion: &Conversion,
    source: &SharedDataset,
    sink: &dyn DatasetSink,
) -> Result<Made, CliError> {
    let pool = CpuPool::of_machine().map_err(cannot_start)?;
    let report = convert(conversion, source, sink, &pool).await?;
    Ok(Made {
        location: format!("{}/{}", sink.location(), report.manifest.dataset),
        report,
    })
}

/// How records are converted.
pub(super) fn options(mapping: &MappingArgs) -> Result<Options, CliError> {
    Ok(Options {
        unfinished: match mapping.unfinished {
            UnfinishedArg::DropTurnAndAfter => Unfinished::DropTurnAndAfter,
            UnfinishedArg::DropRecord => Unfinished::DropRecord,
            UnfinishedArg::Keep => Unfinished::Keep,
        },
        tools: mapping.tools.as_deref().map(read_tools).transpose()?,
    })
}

/// The address of the new dataset.
fn target(args: &ConvertArgs) -> Result<String, CliError> {
    let dataset = args.dataset.trim_end_matches('/');
    let (place, old) = match dataset.rsplit_once('/') {
        Some((place, old)) => (place, old),
        None => (".", dataset),
    };
    let name = match &args.name {
        Some(name) if !is_folder_name(name) => {
            return Err(CliError::usage(
                format!("{name:?} cannot be the name of a dataset"),
                "it must be one folder's name of letters, digits, '.', '_' and '-'",
            ));
        }
        Some(name) => name.clone(),
        None => converted_name(old, args.preset),
    };
    let place = args.out.as_deref().unwrap_or(place).trim_end_matches('/');
    if format!("{place}/").starts_with(&format!("{dataset}/")) {
        return Err(CliError::usage(
            format!("{place} lies in the dataset itself, which must not change"),
            "name another place with --out",
        ));
    }
    Ok(format!("{place}/{name}"))
}

fn read_tools(path: &Path) -> Result<Vec<u8>, CliError> {
    let what = path.display();
    let tools = fs::read(path).map_err(|error| {
        CliError::usage(
            format!("cannot read {what}: {error}"),
            "name a file that is there",
        )
    })?;
    match check_tools(&tools) {
        Ok(()) => Ok(tools),
        Err(error) => Err(CliError::usage(
            format!("{what} is no list of tools: {error}"),
            "write a JSON array of definitions, each with a name of its own; leave --tools out if there are none",
        )),
    }
}

impl Made {
    /// How the program ends: records that were dropped are a shortfall.
    pub fn exit(&self) -> Exit {
        let manifest = &self.report.manifest;
        match manifest.records_in - manifest.records_out {
            0 => Exit::Success,
            _ => Exit::Shortfall,
        }
    }

    /// For a machine.
    pub fn json(&self) -> Value {
        let mut value = serde_json::json!(self.report.manifest);
        value["location"] = self.location.as_str().into();
        value["was_there"] = self.report.was_there.into();
        value
    }

    /// For a person.
    pub fn text(&self) -> String {
        let manifest = &self.report.manifest;
        let mut table = TextTable::new(&["file", "records", "size"]);
        for shard in manifest.shards() {
            let size = size(shard.file.bytes);
            table.row([shard.file.path.clone(), shard.records.to_string(), size]);
        }
        let mut out = table.for_stdout();
        if !manifest.rules.is_empty() {
            out.push('\n');
        }
        for rule in Rule::ALL {
            if let Some(done) = manifest.rules.get(rule.code()) {
                let records = count(done.records, "record");
                let times = count(done.times, "time");
                let (effect, code) = (&done.effect, rule.code());
                out.push_str(&format!("\n{effect}: {code} ({records}, {times})"));
            }
        }
        out.push_str(&format!(
            "\n\nrecords {} = written {} + dropped {}",
            manifest.records_in,
            manifest.records_out,
            manifest.records_in - manifest.records_out
        ));
        out.push('\n');
        out.push_str(&report::privacy(manifest.privacy.as_ref()));
        let done = match self.report.was_there {
            true => "is there already",
            false => "published",
        };
        out.push_str(&format!(
            "\n{done}: {}\ncontent_sha256 {}",
            self.location, manifest.content_sha256
        ));
        out
    }
}
