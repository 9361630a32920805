//! Whose folder it is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::super::claim::{self, CLAIM, claimed, published};
use super::super::{Claim, ClaimRecord, MANIFEST, SinkError};
use super::durable::{put_new, read_if_there};
use crate::runtime::storage::remove_if_there;

/// Checks a dataset's folder against a claim; `None`: it is free.
pub fn look(folder: &Path, mine: &ClaimRecord) -> io::Result<Option<Result<Claim, SinkError>>> {
    let name = folder.display().to_string();
    if let Some(manifest) = read_if_there(&folder.join(MANIFEST))? {
        return Ok(Some(published(&name, manifest, mine)));
    }
    if let Some(text) = read_if_there(&folder.join(CLAIM))? {
        return Ok(Some(claimed(&name, &text, mine)));
    }
    let found = stray(folder)?;
    Ok(found.map(|found| Err(claim::stray(&name, &found))))
}

/// Claims a free folder; `false` if another run was faster.
pub fn put_claim(folder: &Path, mine: &ClaimRecord) -> io::Result<bool> {
    let path = folder.join(CLAIM);
    let text = serde_json::to_vec_pretty(mine)?;
    match put_new(&path, &mine.run_id, &text) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        result => result?,
    }
    // Another run may have claimed, published and released since the last read.
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
