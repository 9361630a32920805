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

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::scheduling::chunk::Chunk;
use crate::source::SourceError;

pub mod disk;
pub mod payloads;
pub mod sealed;
pub mod stored;
pub mod tally;

/// Which of a chunk's rows are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Portion {
    /// All of them.
    Whole,
    /// The headers of all, without payloads.
    Census,
    /// The payloads of the candidates of a round, from 0.
    Round(u32),
}

/// A part of a chunk that is sealed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Of which chunk.
    pub chunk: Chunk,
    /// Which rows.
    pub portion: Portion,
}

impl fmt::Display for Part {
    /// Stable, and fit for a file name: `h40-7`, `h40-7-census`, `h40-7-round0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.portion {
            Portion::Whole => write!(f, "{}", self.chunk),
            Portion::Census => write!(f, "{}-census", self.chunk),
            Portion::Round(round) => write!(f, "{}-round{round}", self.chunk),
        }
    }
}

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
    /// Another attempt, with a later lease, has begun the same part: this one is refused.
    #[error("{part} belongs to a later attempt")]
    Superseded {
        /// Of which chunk.
        part: Part,
    },
    /// The census of a chunk was sealed and cannot be found any more.
    #[error("the census of chunk {chunk} is gone")]
    CensusGone {
        /// Of which chunk.
        chunk: Chunk,
    },
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
            source: Box::new(error),
        }
    }
}

impl SpoolError {
    /// Whether the same may succeed a moment later, see [`disk::is_transient`].
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { error, .. } if disk::is_transient(error))
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
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scheduling::chunk::{HashChunk, Piece};

    #[test]
    fn a_part_has_a_name_that_no_other_part_has() {
        let hash = Chunk::Hash(HashChunk {
            count: 40,
            index: 7,
            depth: 0,
        });
        let piece = Chunk::Piece(Piece {
            file: 1,
            start: 0,
            end: 9,
        });
        for (chunk, portion, name) in [
            (hash, Portion::Whole, "h40-7"),
            (hash, Portion::Census, "h40-7-census"),
            (hash, Portion::Round(0), "h40-7-round0"),
            (hash, Portion::Round(12), "h40-7-round12"),
            (piece, Portion::Whole, "f1-0-9"),
        ] {
            assert_eq!(Part { chunk, portion }.to_string(), name);
        }
    }
}
