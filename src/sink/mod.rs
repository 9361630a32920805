//! Where a dataset goes.
//!
//! A dataset is a folder of files. It **is there** if and only if its `metadata.json` is, and that
//! is written last. The pipeline claims the folder, stages blocks (in any order, from several
//! uploaders at once, any of them twice), commits each file once it is whole, and publishes. To
//! add a sink, implement [`DatasetSink`]; `local_dir` is the example.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub mod local_dir;
pub mod reader;

/// The file that makes a dataset be there.
pub const MANIFEST: &str = "metadata.json";

/// Whose folder it is: what a claim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// Random, made once for a run, kept in its work directory.
    pub run_id: String,
    /// Of the run's settings; two runs may share it.
    pub fingerprint: String,
    /// RFC 3339, when the run started.
    pub since: String,
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The folder belongs to this run, now or since an earlier start of it.
    Granted,
    /// This very run has published its dataset already; the bytes of its manifest.
    Published(Vec<u8>),
}

/// One block of a file.
#[derive(Debug)]
pub struct Block {
    /// The dataset's folder.
    pub dataset: String,
    /// The file in it, with `/` between folders.
    pub path: String,
    /// Counts from 0.
    pub index: u32,
    /// Where its first byte stands in the file.
    pub offset: u64,
    /// Its bytes: every block but a file's last has `DatasetSink::block_bytes`.
    pub bytes: Vec<u8>,
}

/// What a sink wants to know again at the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockReceipt {
    /// As in the block.
    pub index: u32,
    /// The block's length.
    pub bytes: u64,
    /// The sink's own name for the block; empty if it needs none.
    pub id: String,
}

/// A whole file, ready to be committed.
#[derive(Debug, Clone)]
pub struct FileCommit {
    /// The dataset's folder.
    pub dataset: String,
    /// The file in it.
    pub path: String,
    /// The receipts of its blocks, by index.
    pub blocks: Vec<BlockReceipt>,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// A place for datasets.
pub trait DatasetSink: Send + Sync + 'static {
    /// Where it is, for a person: a path or an address without secrets.
    fn location(&self) -> String;

    /// The length of a full block.
    fn block_bytes(&self) -> usize;

    /// Takes the dataset's folder for this run: nothing may be staged before. Also the probe
    /// that tells, before anything is fetched, whether the sink can be written at all.
    fn claim<'a>(
        &'a self,
        dataset: &'a str,
        claim: &'a ClaimRecord,
    ) -> BoxFuture<'a, Result<Claim, SinkError>>;

    /// Keeps a block aside. Staging the same block again is harmless.
    fn stage(&self, block: Block) -> BoxFuture<'_, Result<BlockReceipt, SinkError>>;

    /// Makes a file of its blocks, durable and under its name. Doing it again is harmless.
    fn commit(&self, file: FileCommit) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Writes `metadata.json`: from here on the dataset is there. Never overwrites.
    fn publish<'a>(
        &'a self,
        dataset: &'a str,
        manifest: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Gives the claim back after publishing.
    fn release<'a>(&'a self, dataset: &'a str) -> BoxFuture<'a, Result<(), SinkError>>;
}

/// Why a sink refused, and what to do.
#[derive(Debug, Error)]
pub enum SinkError {
    /// There is a dataset of that name.
    #[error("the dataset {0} exists already and is never overwritten")]
    Exists(String),
    /// Another run is writing it.
    #[error("{dataset} belongs to run {run_id}, which claimed it at {since}")]
    Claimed {
        /// Where.
        dataset: String,
        /// The other run.
        run_id: String,
        /// When it claimed.
        since: String,
    },
    /// The sink cannot be written at all.
    #[error("cannot write to {location}: {reason}")]
    Unwritable {
        /// Where.
        location: String,
        /// What the system said.
        reason: String,
    },
    /// Work on the sink did not come to its end.
    #[error(transparent)]
    Job(#[from] crate::runtime::JobError),
    /// Something failed on the way.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// `stage`, `commit`, ...
        action: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
}
