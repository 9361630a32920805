//! The inputs of a run: what they are held against when it goes on, and what is counted of their rows.

use std::path::Path;

use super::RunParts;
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::rows_report::RowsReport;
use crate::pipeline::state::work_dir::WorkDir;
use crate::source::{SourceError, Survey};
use crate::spool::payloads::Payloads;

/// Pins the inputs of a new run, or holds them against those of the start before.
pub(super) fn pin_inputs(work_dir: &mut WorkDir, survey: &Survey) -> Result<(), RunError> {
    let Some(pinned) = &work_dir.record.inputs else {
        work_dir.record.inputs = Some(survey.input_fingerprints.clone());
        return Ok(work_dir.save()?);
    };
    let changed = |path: &Path, what: &str| {
        RunError::from(SourceError::Changed {
            path: path.to_owned(),
            what: what.to_owned(),
        })
    };
    for old in pinned {
        match survey
            .input_fingerprints
            .iter()
            .find(|new| new.path == old.path)
        {
            None => return Err(changed(&old.path, "it is not there any more")),
            Some(new) if new != old => {
                return Err(changed(&old.path, "its length or time is another"));
            }
            Some(_) => {}
        }
    }
    match survey
        .input_fingerprints
        .iter()
        .find(|new| !pinned.contains(new))
    {
        Some(new) => Err(changed(&new.path, "it was not there")),
        None => Ok(()),
    }
}

/// The report on the rows of these inputs.
pub(super) fn rows_report(parts: &RunParts, survey: &Survey) -> RowsReport {
    let limits = &parts.settings.limits;
    let payloads = Payloads::new(parts.faults.clone());
    for input in &survey.input_fingerprints {
        payloads.add_input(&input.path);
    }
    RowsReport {
        inputs: survey.input_fingerprints.clone(),
        payloads,
        max_percent: limits.max_malformed_percent,
        max_record: limits.max_record,
        schema: parts.settings.schema,
        allow_sampled: parts.settings.allow_sampled,
        quotes_values: !parts.settings.privacy.is_scan(),
        split_by: parts.settings.selection.split_by().cloned(),
    }
}
