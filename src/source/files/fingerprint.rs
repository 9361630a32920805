//! What tells whether a file is still what it was: its length, and when it was changed.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::FilesSource;
use crate::source::{InputFingerprint, SourceError};

impl FilesSource {
    /// A file must be what it was when the run started.
    pub(crate) fn check_unchanged(&self, input: &InputFingerprint) -> Result<(), SourceError> {
        let changed = |what: &str| SourceError::Changed {
            path: input.path.clone(),
            what: what.to_owned(),
        };
        let now = fingerprint(&input.path).map_err(|error| match error {
            SourceError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                changed("it is not there any more")
            }
            other => other,
        })?;
        if now == *input {
            Ok(())
        } else {
            Err(changed("its length or time is another"))
        }
    }
}

/// A file as it is now.
pub(super) fn fingerprint(path: &Path) -> Result<InputFingerprint, SourceError> {
    let io = |error| SourceError::Io {
        path: path.to_owned(),
        source: error,
    };
    let metadata = fs::metadata(path).map_err(io)?;
    Ok(InputFingerprint {
        path: path.to_owned(),
        bytes: metadata.len(),
        modified_ns: modified_ns(&metadata).map_err(io)?,
    })
}

fn modified_ns(metadata: &Metadata) -> std::io::Result<i128> {
    let modified = metadata.modified()?;
    Ok(match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    })
}
