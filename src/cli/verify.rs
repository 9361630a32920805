//! `gleaner verify`.

use std::path::PathBuf;

use bytesize::ByteSize;

use super::args::VerifyArgs;
use super::exit::{CliError, Exit};
use super::report::new_table;
use super::{print, print_json};
use crate::config::{self, Layers};
use crate::sink::reader::LocalDataset;
use crate::verify::{self, VerifyError, VerifyReport};

/// Checks a dataset.
///
/// # Errors
/// If it cannot be checked at all.
pub fn run(args: &VerifyArgs) -> Result<Exit, CliError> {
    if args.dataset.starts_with("az://") {
        return Err(CliError::usage(
            "datasets in Azure Blob Storage cannot be verified by this version of gleaner",
            "download the folder and verify it there",
        ));
    }
    let selection = match (&args.config, &args.set[..]) {
        (None, []) => None,
        (config, set) => {
            let layers = config
                .iter()
                .try_fold(Layers::default(), |l, path| l.file(path))?;
            let layers = layers.set(set)?;
            Some(config::validate(&layers, &[])?.selection)
        }
    };
    let dataset = LocalDataset::new(PathBuf::from(&args.dataset));
    let report = verify::verify(&dataset, selection, args.quick).map_err(cannot)?;
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
        VerifyError::Io { .. } => CliError::failure(message, "check the disk and the rights"),
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
