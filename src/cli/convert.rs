//! `gleaner convert`.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytesize::ByteSize;

use super::args::{ConvertArgs, UnfinishedArg};
use super::exit::{CliError, Exit};
use super::table::TextTable;
use super::words::count;
use super::{export, place, print, print_json};
use crate::config::name::is_folder_name;
use crate::convert::{Conversion, ConversionReport, ConvertedFormat, convert};
use crate::domain::conversion::rule::Rule;
use crate::domain::conversion::{Options, Unfinished, check_tools};
use crate::runtime::CpuPool;

/// Converts a dataset.
///
/// # Errors
/// If it cannot be read, or the new one cannot be written.
pub fn run(args: &ConvertArgs) -> Result<Exit, CliError> {
    let config = args.config.as_deref();
    let runtime = export::runtime().map_err(export::cannot_start)?;
    let source = Arc::new(Mutex::new(place::open(&args.dataset, config, &args.set)?));
    let (sink, name) = {
        let _inside = runtime.enter();
        place::of_dataset(&target(args)?, config, &args.set)?
    };
    let options = Options {
        unfinished: match args.unfinished {
            UnfinishedArg::DropTurnAndAfter => Unfinished::DropTurnAndAfter,
            UnfinishedArg::DropRecord => Unfinished::DropRecord,
            UnfinishedArg::Keep => Unfinished::Keep,
        },
        tools: args.tools.as_deref().map(read_tools).transpose()?,
    };
    let conversion = Conversion {
        preset: args.preset,
        options,
        format: args.format.unwrap_or(ConvertedFormat::of(args.preset)),
        dataset: name,
        shard_bytes: args.max_file.as_u64(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = CpuPool::new(threads).map_err(export::cannot_start)?;
    let report = runtime.block_on(convert(&conversion, &source, &*sink, &pool))?;
    let location = format!("{}/{}", sink.location(), report.manifest.dataset);
    if args.json {
        let mut value = serde_json::json!(report.manifest);
        value["location"] = location.into();
        value["was_there"] = report.was_there.into();
        print_json(&value)?;
    } else {
        print(&text(&report, &location))?;
    }
    let dropped = report.manifest.records_in - report.manifest.records_out;
    Ok(if dropped > 0 {
        Exit::Shortfall
    } else {
        Exit::Success
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
        None => format!("{old}-{}", args.preset),
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

fn text(report: &ConversionReport, location: &str) -> String {
    let manifest = &report.manifest;
    let mut table = TextTable::new(&["file", "records", "size"]);
    for shard in manifest.shards() {
        let size = ByteSize::b(shard.file.bytes).display().si().to_string();
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
    let done = if report.was_there {
        "is there already"
    } else {
        "published"
    };
    out.push_str(&format!(
        "\n{done}: {location}\ncontent_sha256 {}",
        manifest.content_sha256
    ));
    out
}
