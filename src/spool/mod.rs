//! Sealed chunks: the rows of a chunk on disk, and the only state that a run keeps.
//!
//! A chunk is two files: `<chunk>.rows` with the payloads, one after the other, and
//! `<chunk>.sealed` with their headers and what was counted. Both are written aside (`.part`) and
//! synced; renaming `.sealed` is what seals the chunk. A crash before that leaves only `.part`
//! files, which the next start removes, and a `.rows` file without its seal, which the next attempt
//! replaces. An attempt writes under the epoch of its lease, and one whose chunk has gone to a later
//! lease can neither begin nor seal: what it had written aside is removed. When a run
//! is resumed every sealed chunk is read in full and held against its checksums: a damaged one is
//! removed and fetched again, never trusted.

use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::pass::ChunkPass;
use crate::source::{RERUN, SourceError};

pub mod disk;
pub mod payloads;
pub mod sealed;
pub mod stored;

/// The errors of the work directory.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The file system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// The operation that failed: `stage`, `commit`, ...
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A later attempt has started on the same chunk: this one is refused.
    #[error("{chunk_pass} belongs to a later attempt")]
    Superseded {
        /// The chunk and pass of both attempts.
        chunk_pass: ChunkPass,
    },
    /// The census of a chunk was sealed and cannot be found any more.
    #[error("the census of chunk {chunk} is gone")]
    CensusGone {
        /// The chunk.
        chunk: Chunk,
    },
    /// What an engine's job has brought of a chunk is not there, or not as it was written.
    #[error("{0} is gone or damaged")]
    Damaged(
        /// Its file.
        PathBuf,
    ),
    /// `limits.spool` is used up.
    #[error("the sealed chunks need more than limits.spool ({limit} bytes)")]
    Full {
        /// The limit in bytes.
        limit: u64,
    },
}

impl From<SpoolError> for SourceError {
    fn from(error: SpoolError) -> Self {
        Self::Spool {
            is_transient: error.is_transient(),
            hint: error.hint(),
            source: Box::new(error),
        }
    }
}

impl SpoolError {
    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Full { .. } => {
                "raise it with --set limits.spool=..., or export fewer files at once; then run the same command again"
            }
            Self::Io { source, .. }
                if source.raw_os_error() == Some(Errno::MFILE.raw_os_error()) =>
            {
                "raise the limit of open files (`ulimit -n 4096`); then run the same command again"
            }
            Self::Io { .. } => {
                "make room, or choose another disk with --work-dir; then run the same command again"
            }
            Self::Damaged(_) => "start over with --fresh",
            Self::Superseded { .. } | Self::CensusGone { .. } => RERUN,
        }
    }

    /// Whether the same may succeed a moment later, see [`disk::is_transient`].
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { source, .. } if disk::is_transient(source))
    }

    /// An `Io` error of an action on a path.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io {
            action,
            path,
            source: error,
        }
    }
}
