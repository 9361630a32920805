//! What is published of groups (`selection.split_by`).

use crate::domain::dataset::groups::{self, GroupCounts};
use crate::domain::selection::stratum::Selection;
use crate::pipeline::error::RunError;
use crate::pipeline::supervisor::RunOutput;

/// The number of groups in each split, if groups decide.
///
/// # Errors
/// If one is in two splits.
pub fn counts(output: &RunOutput, selection: &Selection) -> Result<Option<GroupCounts>, RunError> {
    if selection.split_by().is_none() {
        return Ok(None);
    }
    let splits: Vec<String> = (selection.splits().iter())
        .map(|split| split.name.clone())
        .collect();
    let of_strata = output.strata.iter().map(|result| {
        let split = selection.split(result.stratum);
        (split.name.as_str(), result.groups.as_slice())
    });
    Ok(Some(groups::count(&splits, of_strata)?))
}
