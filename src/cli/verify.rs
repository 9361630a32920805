//! `gleaner verify`.

use std::path::PathBuf;

use bytesize::ByteSize;

use super::args::VerifyArgs;
use toml::{Table, Value};

use super::args::put_out;
use super::exit::{CliError, Exit, sink_error};
use super::report::new_table;
use super::{print, print_json};
use crate::config::settings::SinkTarget;
use crate::config::{self, Layers};
use crate::domain::stratum::Selection;
use crate::sink::azure_blob::BlobDataset;
use crate::sink::reader::{DatasetReader, LocalDataset};
use crate::verify::{self, VerifyError, VerifyReport};

/// Checks a dataset.
///
/// # Errors
/// If it cannot be checked at all.
pub fn run(args: &VerifyArgs) -> Result<Exit, CliError> {
    let dataset: Box<dyn DatasetReader> = match args.dataset.strip_prefix("az://") {
        None => Box::new(LocalDataset::new(PathBuf::from(&args.dataset))),
        Some(_) => Box::new(blob_dataset(args)?),
    };
    let report = verify::verify(&*dataset, selection(args)?, args.quick).map_err(cannot)?;
    if args.json {
        let mut value = serde_json::json!(report);
        value["good"] = serde_json::json!(report.is_good());
        print_json(&value)?;
    } else {
        print(&text(&report));
    }
    Ok(if report.is_good() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

/// A selection to hold the records against, if one is told.
fn selection(args: &VerifyArgs) -> Result<Option<Selection>, CliError> {
    // How to reach a dataset says nothing about what should be in it.
    let is_told = |pair: &String| !pair.trim_start().starts_with("sink.");
    if args.config.is_none() && !args.set.iter().any(is_told) {
        return Ok(None);
    }
    Ok(Some(config::validate(&layers(args)?, &[])?.selection))
}

fn layers(args: &VerifyArgs) -> Result<Layers, CliError> {
    let layers = args
        .config
        .iter()
        .try_fold(Layers::default(), |l, path| l.file(path))?;
    Ok(layers.set(&args.set)?)
}

/// A dataset in a container: the address says which, the configuration how to log in.
fn blob_dataset(args: &VerifyArgs) -> Result<BlobDataset, CliError> {
    let address = args.dataset.trim_end_matches('/');
    let (out, dataset) = address.rsplit_once('/').unwrap_or((address, ""));
    let mut table = Table::new();
    put_out(&mut table, "the dataset", out)?;
    let source = [("kind".to_owned(), Value::String("synthetic".to_owned()))];
    table.insert(
        "source".to_owned(),
        Value::Table(source.into_iter().collect()),
    );
    let layers = args
        .config
        .iter()
        .try_fold(Layers::default(), |l, path| l.file(path))?
        .env(std::env::vars())?
        .set(&args.set)?
        .table("the dataset's address", table)?;
    match config::validate(&layers, &[])?.sink.target {
        SinkTarget::AzureBlob(blob) => {
            BlobDataset::new(&blob, dataset).map_err(|error| sink_error(error.to_string(), &error))
        }
        SinkTarget::Local(_) | SinkTarget::Own(_) => Err(CliError::usage(
            format!("{} names no dataset in a container", args.dataset),
            "write it as az://ACCOUNT/CONTAINER/PREFIX/DATASET",
        )),
    }
}

fn cannot(error: VerifyError) -> CliError {
    let message = error.to_string();
    match error {
        VerifyError::NoManifest(_) => CliError::failure(
            message,
            "name the dataset's own folder; if its export was stopped, run that again",
        ),
        VerifyError::Manifest { .. } | VerifyError::Selection(_) => CliError::failure(
            message,
            "the manifest was damaged or changed; export the dataset again",
        ),
        VerifyError::Io { .. } => {
            CliError::failure(message, "check the place, the connection and the rights")
        }
    }
}

fn text(report: &VerifyReport) -> String {
    let mut table = new_table(&["file", "records", "size", "findings"]);
    for file in &report.files {
        table.add_row([
            file.path.clone(),
            file.records.to_string(),
            ByteSize::b(file.bytes).display().si().to_string(),
            file.findings.to_string(),
        ]);
    }
    let mut out = table.to_string();
    for finding in &report.findings {
        out.push_str(&format!("\n{}: {}", finding.path, finding.what));
    }
    let depth = match report.quick {
        true => "lengths and recorded digests".to_owned(),
        false => format!("{} records, every rule and digest", report.records),
    };
    let verdict = match report.found {
        0 => "all good".to_owned(),
        1 => "1 difference found".to_owned(),
        n => format!("{n} differences found"),
    };
    let unlisted = report.found.saturating_sub(report.findings.len() as u64);
    if unlisted > 0 {
        out.push_str(&format!("\n... and {unlisted} more of the same files"));
    }
    out.push_str(&format!("\n\n{}: {verdict} ({depth})", report.location));
    out
}
