//! `gleaner export --for PRESET`: what was published is converted in the same run.

use std::sync::{Arc, Mutex};

use super::convert::{self, Made};
use super::exit::CliError;
use super::host::{Host, Interrupted};
use super::verify;
use crate::config::settings::{Settings, SinkTarget};
use crate::convert::{Conversion, SharedDataset, converted_name};
use crate::domain::conversion::Preset;
use crate::pipeline::RunReport;
use crate::pipeline::host::setup;
use crate::sink::reader::{DatasetReader, LocalDataset};

/// Converts a published dataset for each preset of the settings, until one cannot be made; gives those
/// that were made, and why one was not.
pub fn run(
    settings: &Settings,
    report: &RunReport,
    host: &Host,
) -> (Vec<Made>, Result<(), CliError>) {
    let mut made = Vec::new();
    for preset in &settings.convert_for {
        match one(settings, *preset, report, host) {
            Ok(one) => made.push(one),
            Err(error) => return (made, Err(after_publishing(error, *preset, report))),
        }
    }
    (made, Ok(()))
}

/// The error of a conversion, whose dataset is published all the same.
fn after_publishing(error: CliError, preset: Preset, report: &RunReport) -> CliError {
    let location = &report.location;
    CliError {
        message: format!(
            "{location} is published; its conversion for {preset} is not: {}",
            error.message
        ),
        hint: format!(
            "{}; then go on with `gleaner convert {location} --for {preset}`",
            error.hint
        ),
        ..error
    }
}

fn one(
    settings: &Settings,
    preset: Preset,
    report: &RunReport,
    host: &Host,
) -> Result<Made, CliError> {
    let dataset = &report.manifest.dataset;
    let runtime = host.runtime()?;
    let source: SharedDataset = Arc::new(Mutex::new(reader(settings, dataset)?));
    let sink = {
        let _inside = runtime.enter();
        setup::sink(&settings.sink.target)?
    };
    let conversion = Conversion::new(preset, converted_name(dataset, preset));
    let made = runtime.block_on(convert::make(&conversion, &source, &*sink));
    made.map_err(|interrupted: Interrupted| CliError {
        hint: "nothing of it was published".to_owned(),
        ..interrupted.into()
    })?
}

fn reader(settings: &Settings, dataset: &str) -> Result<Box<dyn DatasetReader>, CliError> {
    match &settings.sink.target {
        SinkTarget::Local(folder) => Ok(Box::new(LocalDataset::new(folder.join(dataset)))),
        SinkTarget::AzureBlob(blob) => verify::reader(blob, dataset),
        SinkTarget::Custom(location) => Err(CliError::usage(
            format!("{location} is a sink that nothing is read from here"),
            "convert the dataset where it lies",
        )),
    }
}
