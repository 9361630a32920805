//! Whose folder it is: what the two small files of a dataset say to a claim.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    may_revoke(name, Some(text), &claim.run_id)?;
    Ok(Claim::Granted)
}

/// What a dataset's claim file says.
///
/// # Errors
/// If it cannot be understood.
pub fn parse(name: &str, text: &[u8]) -> Result<ClaimRecord, SinkError> {
    serde_json::from_slice(text)
        .map_err(|_| SinkError::Exists(format!("{name} (its {CLAIM} cannot be read)")))
}

/// The claims that a sink was granted, by dataset: what its commits hold against the place.
#[derive(Debug, Default)]
pub struct Granted(Mutex<BTreeMap<String, ClaimRecord>>);

impl Granted {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ClaimRecord>> {
        // The guarded value is whole after every statement, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the answer to a claim.
    pub fn note(&self, dataset: &str, mine: &ClaimRecord, answer: &Result<Claim, SinkError>) {
        match answer {
            Ok(Claim::Granted) => drop(self.lock().insert(dataset.to_owned(), mine.clone())),
            // Nothing is left to write.
            Ok(Claim::Published(_)) => self.forget(dataset),
            Err(_) => {}
        }
    }

    /// The claim of this sink on a dataset. None where it was never asked for one: then there is
    /// nothing to hold against what is there.
    pub fn of(&self, dataset: &str) -> Option<ClaimRecord> {
        self.lock().get(dataset).cloned()
    }

    /// The claim was given back.
    pub fn forget(&self, dataset: &str) {
        self.lock().remove(dataset);
    }
}

/// Whether a claim that was granted is still there.
///
/// # Errors
/// [`SinkError::ClaimLost`] if it is not.
pub fn still_held(name: &str, there: Option<&[u8]>, mine: &ClaimRecord) -> Result<(), SinkError> {
    let found = there.and_then(|text| serde_json::from_slice::<ClaimRecord>(text).ok());
    match found {
        Some(found) if found.run_id == mine.run_id => Ok(()),
        _ => Err(SinkError::ClaimLost {
            dataset: name.to_owned(),
            run_id: mine.run_id.clone(),
        }),
    }
}

/// Whether a run's claim may be taken away; `false` if there is none.
///
/// # Errors
/// If it is another run's, or cannot be understood.
pub fn may_revoke(name: &str, there: Option<&[u8]>, run_id: &str) -> Result<bool, SinkError> {
    let Some(text) = there else {
        return Ok(false);
    };
    let found = parse(name, text)?;
    match found.run_id == run_id {
        true => Ok(true),
        false => Err(SinkError::Claimed {
            dataset: name.to_owned(),
            run_id: found.run_id,
            since: found.since,
        }),
    }
}

/// The error of a folder without a claim that is not empty.
pub fn stray(name: &str, found: &str) -> SinkError {
    SinkError::Exists(format!(
        "{name} (unfinished, unclaimed, with {found} in it)"
    ))
}

fn run_id_of(manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    Some(manifest.get("run_id")?.as_str()?.to_owned())
}
