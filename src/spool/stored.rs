//! Small JSON files with a checksum.
//!
//! One is the value's object with one key more: `checksum`, the SHA-256 of the object without it,
//! compact and with sorted keys. It is written aside, synced and renamed: what a crash leaves is the
//! old file or the new one. A file that was damaged otherwise is never taken for one that was not.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::dataset::manifest::hex;
use crate::domain::json::canonical::sorted;
use crate::runtime::storage::{self, DiskFile};

const CHECKSUM: &str = "checksum";

/// Writes a value, which must be an object, durably.
///
/// # Errors
/// If the disk refuses.
pub fn save(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let Value::Object(mut object) = sorted(serde_json::to_value(value)?) else {
        let what = "only objects are stored";
        return Err(io::Error::new(ErrorKind::InvalidInput, what));
    };
    object.insert(CHECKSUM.to_owned(), checksum(&object)?.into());
    object.sort_keys();
    let aside = path.with_extension("part");
    let mut file = DiskFile::create_private(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(&object)?)?;
    file.sync()?;
    storage::rename(&aside, path)?;
    match path.parent() {
        Some(folder) if folder != Path::new("") => storage::sync_folder(folder),
        _ => storage::sync_folder(Path::new(".")),
    }
}

/// Reads a value back; `None` if there is no such file.
///
/// # Errors
/// `InvalidData` if it is not what was written; else what the system says.
pub fn load<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let damaged = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    let mut object: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
    let reported = object.remove(CHECKSUM);
    object.values_mut().for_each(Value::sort_all_objects);
    object.sort_keys();
    if reported != Some(checksum(&object)?.into()) {
        return Err(damaged("its checksum does not fit"));
    }
    let value = serde_json::from_value(Value::Object(object));
    value.map(Some).map_err(|error| damaged(&error.to_string()))
}

/// Of an object with sorted keys, so that the same one has the same text.
fn checksum(object: &Map<String, Value>) -> io::Result<String> {
    Ok(hex(&Sha256::digest(serde_json::to_vec(object)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Stored {
        name: String,
        percent: f64,
        big: u64,
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        assert_eq!(load::<Stored>(&path).expect("readable"), None);
        let value = Stored {
            name: "é\"".to_owned(),
            percent: 0.1,
            big: u64::MAX,
        };
        save(&path, &value).expect("written");
        assert_eq!(load(&path).expect("whole"), Some(value.clone()));
        let good = fs::read(&path).expect("a file");
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 0x02;
            for bad in [&flipped[..], &good[..at]] {
                fs::write(&path, bad).expect("writable");
                match load::<Stored>(&path) {
                    // White space means nothing.
                    Ok(found) => assert_eq!(found, Some(value.clone()), "byte {at}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidData, "byte {at}"),
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_absent() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = load::<Stored>(folder.path()).expect_err("a folder is no file");
        assert_ne!(refused.kind(), ErrorKind::InvalidData);
        assert!(
            save(&folder.path().join("a.json"), &7).is_err(),
            "no object"
        );
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
