//! Whose folder it is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::super::{Claim, ClaimRecord, MANIFEST, SinkError};
use super::durable::{put_new, read_if_there, remove_if_there};

/// The claim's file in the dataset's folder.
pub const CLAIM: &str = ".claim.json";

/// What a dataset's folder says to a claim; `None`: nothing, it is free.
pub fn look(folder: &Path, claim: &ClaimRecord) -> io::Result<Option<Result<Claim, SinkError>>> {
    let name = folder.display();
    if let Some(manifest) = read_if_there(&folder.join(MANIFEST))? {
        return Ok(Some(match run_id_of(&manifest) {
            Some(run_id) if run_id == claim.run_id => Ok(Claim::Published(manifest)),
            _ => Err(SinkError::Exists(name.to_string())),
        }));
    }
    if let Some(text) = read_if_there(&folder.join(CLAIM))? {
        return Ok(Some(match serde_json::from_slice::<ClaimRecord>(&text) {
            Ok(found) if found.run_id == claim.run_id => Ok(Claim::Granted),
            Ok(found) => Err(SinkError::Claimed {
                dataset: name.to_string(),
                run_id: found.run_id,
                since: found.since,
            }),
            Err(_) => Err(SinkError::Exists(format!(
                "{name} (its {CLAIM} cannot be read)"
            ))),
        }));
    }
    Ok(stray(folder)?.map(|found| {
        Err(SinkError::Exists(format!(
            "{name} (unfinished, unclaimed, with {found} in it)"
        )))
    }))
}

/// Claims a free folder; `false` if another run was faster.
pub fn put_claim(folder: &Path, claim: &ClaimRecord) -> io::Result<bool> {
    let path = folder.join(CLAIM);
    let text = serde_json::to_vec_pretty(claim)?;
    match put_new(&path, &claim.run_id, &text) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        result => result?,
    }
    // Another run may have claimed, published and given back since somebody looked.
    if stray(folder)?.is_none() {
        return Ok(true);
    }
    remove_if_there(&path)?;
    Ok(false)
}

/// Something that lies in a folder and is neither a claim nor what a crash during one may leave.
fn stray(folder: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != CLAIM && !(name.starts_with(CLAIM) && name.ends_with(".part")) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn run_id_of(manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    Some(manifest.get("run_id")?.as_str()?.to_owned())
}
