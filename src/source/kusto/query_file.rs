//! Query files: those on disk, and the shipped ones, which are compiled in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::domain::dataset::manifest::hex;

/// The shipped queries by their paths: those of `AppEvents`, those of a table of one row a turn, and the
/// censuses of both for `selection.split_by`.
pub const SHIPPED: [(&str, &str); 10] = [
    (
        "queries/sft_candidates_hash_chunked.kql",
        include_str!("../../../queries/sft_candidates_hash_chunked.kql"),
    ),
    (
        "queries/sft_census_hash_chunked.kql",
        include_str!("../../../queries/sft_census_hash_chunked.kql"),
    ),
    (
        "queries/sft_test_100_with_trajectory.kql",
        include_str!("../../../queries/sft_test_100_with_trajectory.kql"),
    ),
    (
        "queries/sft_test_100_lite.kql",
        include_str!("../../../queries/sft_test_100_lite.kql"),
    ),
    (
        "queries/turns/sft_candidates_hash_chunked.kql",
        include_str!("../../../queries/turns/sft_candidates_hash_chunked.kql"),
    ),
    (
        "queries/turns/sft_census_hash_chunked.kql",
        include_str!("../../../queries/turns/sft_census_hash_chunked.kql"),
    ),
    (
        "queries/turns/sft_test_100_with_trajectory.kql",
        include_str!("../../../queries/turns/sft_test_100_with_trajectory.kql"),
    ),
    (
        "queries/turns/sft_test_100_lite.kql",
        include_str!("../../../queries/turns/sft_test_100_lite.kql"),
    ),
    (
        "queries/sft_census_by_user.kql",
        include_str!("../../../queries/sft_census_by_user.kql"),
    ),
    (
        "queries/turns/sft_census_by_user.kql",
        include_str!("../../../queries/turns/sft_census_by_user.kql"),
    ),
];

/// A query file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFile {
    /// As written.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl QueryFile {
    /// Reads a file; a shipped query need not lie on disk.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let shipped = SHIPPED.iter().find(|(name, _)| Path::new(name) == path);
        let text = match (fs::read_to_string(path), shipped) {
            (Ok(text), _) => text,
            (Err(error), Some((_, text))) if error.kind() == io::ErrorKind::NotFound => {
                (*text).to_owned()
            }
            (Err(error), _) => return Err(error),
        };
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// The shipped query of the same name that asks a table of one row a turn, if this is one of those
    /// that ask `AppEvents`.
    pub fn of_turns(&self) -> Option<Self> {
        let name = self.path.strip_prefix("queries").ok()?;
        let path = Path::new("queries/turns").join(name);
        let is_shipped = SHIPPED.iter().any(|(known, _)| Path::new(known) == path);
        is_shipped.then(|| Self::read(&path).ok()).flatten()
    }

    /// The shipped census that also says what the name of a conversation's user hashes to, if this is a shipped census as it
    /// is shipped.
    pub fn by_user(&self) -> Option<Self> {
        let is_shipped = |path: &Path| {
            let mut shipped = SHIPPED.iter();
            shipped.any(|(known, text)| Path::new(known) == path && *text == self.text)
        };
        let is_census =
            self.path.ends_with("sft_census_hash_chunked.kql") && is_shipped(&self.path);
        let path = self.path.with_file_name("sft_census_by_user.kql");
        is_census.then(|| Self::read(&path).ok()).flatten()
    }

    /// SHA-256 of its text, as the fingerprint and the manifest name it.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.text))
    }
}
