//! `gleaner verify`.

use std::path::Path;

use toml::{Table, Value};

use super::args::VerifyArgs;
use super::config_source::ConfigSource;
use super::exit::{CliError, Exit};
use super::host::Host;
use super::outcome::{Outcome, Shown};
use super::place;
use super::table::TextTable;
use super::words::{count, size};
#[cfg(not(feature = "azure"))]
use crate::config;
use crate::config::settings::SinkTarget;
use crate::config::{Layers, insert, insert_blob};
use crate::domain::selection::stratum::Selection;
#[cfg(not(feature = "azure"))]
use crate::sink::SinkError;
use crate::sink::address::BlobAddress;
#[cfg(feature = "azure")]
use crate::sink::azure_blob::BlobDataset;
use crate::sink::azure_blob::settings::AzureBlob;
use crate::sink::reader::DatasetReader;
use crate::tokenizer;
use crate::verify::{self, VerifyReport};

/// Checks a dataset.
///
/// # Errors
/// If it cannot be checked at all.
pub fn run(args: &VerifyArgs, host: &Host) -> Result<Outcome, CliError> {
    let given = selection(args)?;
    let dataset = place::open(&args.dataset, args.config.as_ref(), &args.set, host)?;
    let selection = match &args.tokenizer {
        Some(file) => Some(measured(file, given, &*dataset)?),
        None => given,
    };
    let report = verify::verify(&*dataset, selection, args.quick)?;
    let value = || {
        let mut value = serde_json::json!(report);
        value["good"] = serde_json::json!(report.is_good());
        value
    };
    let exit = match report.is_good() {
        true => Exit::Success,
        false => Exit::Failure,
    };
    let shown = Shown::either(args.json, value, || text(&report));
    Ok(Outcome::new(shown, exit))
}

#[cfg(feature = "azure")]
pub(super) fn reader(blob: &AzureBlob, name: &str) -> Result<Box<dyn DatasetReader>, CliError> {
    Ok(Box::new(BlobDataset::new(blob, name)?))
}

#[cfg(not(feature = "azure"))]
pub(super) fn reader(_blob: &AzureBlob, name: &str) -> Result<Box<dyn DatasetReader>, CliError> {
    Err(CliError::from(SinkError::Unusable {
        location: name.to_owned(),
        reason: config::NO_AZURE.to_owned(),
    }))
}

/// What is set, with or without the environment. A dataset needs no source.
fn layers(
    config: Option<&ConfigSource>,
    set: &[String],
    with_environment: bool,
) -> Result<Layers, CliError> {
    let mut layers = Layers::default();
    if let Some(config) = config {
        layers = config.onto(layers)?;
    }
    if with_environment {
        layers = layers.env(std::env::vars())?;
    }
    let mut no_source = Table::new();
    insert(
        &mut no_source,
        "source.kind",
        Value::String("synthetic".to_owned()),
    );
    let layers = layers.set(set)?;
    Ok(layers.table("a dataset needs no source", no_source)?)
}

/// A selection to hold the records against, if one is given: how to reach a dataset says nothing
/// about what should be in it.
fn selection(args: &VerifyArgs) -> Result<Option<Selection>, CliError> {
    let layers = layers(args.config.as_ref(), &args.set, false)?;
    if layers.merged()?.selection.is_none() {
        return Ok(None);
    }
    Ok(Some(crate::config::validate(&layers, &[])?.selection))
}

/// The selection with the tokenizer that its limit is counted by.
fn measured(
    file: &Path,
    given: Option<Selection>,
    dataset: &dyn DatasetReader,
) -> Result<Selection, CliError> {
    let tokenizer = tokenizer::load(file)?;
    let selection = match given {
        Some(given) => given,
        None => verify::recorded_selection(dataset)?,
    };
    let counts = selection.fitness().limit().map(|limit| &limit.sha256);
    if counts.is_none_or(|sha256| sha256 != tokenizer.sha256()) {
        return Err(CliError::usage(
            format!(
                "{} is not the tokenizer by which the records were chosen",
                file.display()
            ),
            match counts {
                Some(sha256) => format!("name the file whose SHA-256 is {sha256}"),
                None => "leave it out: the dataset has no limit in tokens".to_owned(),
            },
        ));
    }
    let fitness = selection.fitness().clone().with_tokenizer(tokenizer);
    Ok(selection.fitting(fitness))
}

/// A dataset in a container: the address says which, the configuration how to log in.
pub(super) fn in_container(
    config: Option<&ConfigSource>,
    set: &[String],
    address: BlobAddress,
) -> Result<(AzureBlob, String), CliError> {
    let no_dataset = || {
        CliError::usage(
            "the address is that of a container and names no dataset in it",
            "write it as az://ACCOUNT/CONTAINER/PREFIX/DATASET",
        )
    };
    let (place, dataset) = address.split_dataset().ok_or_else(no_dataset)?;
    let mut table = Table::new();
    insert_blob(&mut table, place);
    let layers = layers(config, set, true)?.table("the dataset's address", table)?;
    match crate::config::validate(&layers, &[])?.sink.target {
        SinkTarget::AzureBlob(blob) => Ok((blob, dataset)),
        SinkTarget::Local(_) | SinkTarget::Custom(_) => Err(no_dataset()),
    }
}

fn text(report: &VerifyReport) -> String {
    let mut table = TextTable::new(&["file", "records", "size", "findings"]);
    for file in &report.files {
        table.row([
            file.path.clone(),
            file.records.to_string(),
            size(file.bytes),
            file.findings.to_string(),
        ]);
    }
    let mut out = table.for_stdout();
    for finding in &report.findings {
        out.push_str(&format!("\n{}: {}", finding.path, finding.what));
    }
    let depth = match report.quick {
        true => "lengths and recorded digests".to_owned(),
        false => format!("{}, every rule and digest", count(report.records, "record")),
    };
    let verdict = match report.found {
        0 if report.unchecked.is_empty() => "all good".to_owned(),
        0 => "nothing wrong in what was checked".to_owned(),
        n => format!("{} found", count(n, "difference")),
    };
    for code in &report.unchecked {
        out.push_str(&match *code {
            "split_mismatch" => format!(
                "\nnot checked: {code}; names of groups were replaced, so their hashes are not those that chose the splits"
            ),
            code => format!("\nnot checked: {code}; name the tokenizer with --tokenizer"),
        });
    }
    let unlisted = report.found.saturating_sub(report.findings.len() as u64);
    if unlisted > 0 {
        out.push_str(&format!("\n... and {unlisted} more of the same files"));
    }
    out.push_str(&format!("\n\n{}: {verdict} ({depth})", report.location));
    out
}
