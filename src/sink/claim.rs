//! Whose folder it is: what the two small files of a dataset say to a claim.

use super::{Claim, ClaimRecord, SinkError};

/// The claim's file in the dataset's folder.
pub const CLAIM: &str = ".claim.json";

/// What a published manifest says to a claim.
///
/// # Errors
/// If another run has published it.
pub fn published(name: &str, manifest: Vec<u8>, claim: &ClaimRecord) -> Result<Claim, SinkError> {
    match run_id_of(&manifest) {
        Some(run_id) if run_id == claim.run_id => Ok(Claim::Published(manifest)),
        _ => Err(SinkError::Exists(name.to_owned())),
    }
}

/// What a claim that is there says to another.
///
/// # Errors
/// If it is not the same run's.
pub fn claimed(name: &str, text: &[u8], claim: &ClaimRecord) -> Result<Claim, SinkError> {
    match serde_json::from_slice::<ClaimRecord>(text) {
        Ok(found) if found.run_id == claim.run_id => Ok(Claim::Granted),
        Ok(found) => Err(SinkError::Claimed {
            dataset: name.to_owned(),
            run_id: found.run_id,
            since: found.since,
        }),
        Err(_) => Err(SinkError::Exists(format!(
            "{name} (its {CLAIM} cannot be read)"
        ))),
    }
}

/// The error of a folder that nobody claims and that is not empty.
pub fn stray(name: &str, found: &str) -> SinkError {
    SinkError::Exists(format!(
        "{name} (unfinished, unclaimed, with {found} in it)"
    ))
}

fn run_id_of(manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    Some(manifest.get("run_id")?.as_str()?.to_owned())
}
