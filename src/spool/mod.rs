//! Sealed chunks: the rows of a chunk on disk, and the only state that a run keeps.
//!
//! A chunk is two files: `<chunk>.rows` with the payloads, one after the other, and
//! `<chunk>.sealed` with their headers and what was counted. Both are written aside (`.part`) and
//! synced; renaming `.sealed` is what seals the chunk. A crash before that leaves only `.part`
//! files and a `.rows` file without its seal: both are overwritten by the next attempt. When a run
//! is resumed every sealed chunk is read in full and held against its checksums: a damaged one is
//! removed and fetched again, never trusted.

use std::path::PathBuf;

use thiserror::Error;

pub mod payloads;
pub mod sealed;
pub mod tally;

/// Why the work directory cannot be used.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The file system refused.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// `limits.spool` is used up.
    #[error("the sealed chunks need more than limits.spool ({limit} bytes)")]
    Full {
        /// The limit in bytes.
        limit: u64,
    },
}

impl SpoolError {
    /// An `Io` error of an action on a path.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io {
            action,
            path,
            error,
        }
    }
}
