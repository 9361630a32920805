//! The key under which a list of exclusions goes into a fingerprint: random, and kept beside what is
//! remembered, so that nobody can tell from a fingerprint whom a list names.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config;
use crate::config::settings::Settings;
use crate::domain::dataset::manifest::hex;
use crate::runtime::{files, storage};

/// Its file, in the work directory that was asked for; else beside all of them.
pub const FILE: &str = "exclude.key";

/// Bytes of a key, twice as many as hexadecimal digits.
const BYTES: usize = 32;

/// Whether a key that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is: a run is to begin.
    Make,
    /// No run can have used it, and none begins.
    #[cfg_attr(
        not(feature = "cli"),
        allow(dead_code, reason = "only a plan leaves nothing")
    )]
    Leave,
}

/// The settings that a fingerprint covers, with the digest of the list of exclusions, if there is one.
///
/// # Errors
/// If the key cannot be read or made.
pub fn described(
    settings: &Settings,
    work_dir: Option<&Path>,
    missing: Missing,
) -> io::Result<Value> {
    let mut described = config::described(settings);
    if !settings.exclude.is_empty() {
        let folder = work_dir.map_or_else(|| PathBuf::from(".gleaner"), Path::to_path_buf);
        let key = key(&folder, missing)?;
        described["selection"]["exclude"] = json!(settings.exclude.digest(key.as_bytes()));
    }
    Ok(described)
}

/// The key of a folder.
fn key(folder: &Path, missing: Missing) -> io::Result<String> {
    let path = folder.join(FILE);
    match (read(&path)?, missing) {
        (Some(key), _) => return Ok(key),
        (None, Missing::Leave) => return Ok(String::new()),
        (None, Missing::Make) => {}
    }
    storage::make_private_folder(folder)?;
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let key = hex(&bytes);
    let made = files::create_new_private(&path).and_then(|mut file| {
        writeln!(file, "{key}")?;
        file.sync_all()
    });
    match made {
        Ok(()) => Ok(key),
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(read(&path)?.unwrap_or_default())
        }
        Err(error) => Err(named(&path, &error)),
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(key) => Ok(Some(key.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(path, &error)),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let work = folder.path().join("work");
        let first = key(&work, Missing::Make).expect("made");
        assert_eq!(first.len(), 2 * BYTES);
        assert_eq!(key(&work, Missing::Make).expect("there"), first);
        let mode = fs::metadata(work.join(FILE)).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let other = key(&folder.path().join("other"), Missing::Make);
        assert_ne!(other.expect("made"), first);
    }

    #[test]
    fn a_look_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let work = folder.path().join("work");
        assert_eq!(key(&work, Missing::Leave).expect("no key"), "");
        assert!(!work.exists());
    }
}
