//! Sinks: where a dataset goes.
//!
//! A dataset is a folder of files. It **is there** if and only if its `metadata.json` is, and that
//! is written last. The pipeline claims the folder, stages blocks (in any order, from several
//! uploaders at once, any of them twice), commits each file once it is whole, and publishes.
//!
//! To write a sink, implement [`DatasetSink`] and a [`reader::DatasetReader`], and hold both against
//! [`testing::sink_conformance`](crate::testing::sink_conformance), which lists what they owe clause by
//! clause; the tests of `local_dir` and `azure_blob` do. [`testing::MemorySink`](crate::testing::MemorySink)
//! is one in memory.

use crate::domain::debug_lengths;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use crate::domain::scheduling::retry::Action;
pub use error::SinkError;

pub mod address;
#[cfg(feature = "azure")]
pub mod azure_blob;
/// Every build reads and checks the configuration of containers.
#[cfg(not(feature = "azure"))]
pub mod azure_blob {
    pub mod settings;
}
#[doc(hidden)]
pub mod block_cutter;
#[doc(hidden)]
pub mod claim;
mod error;
pub mod local_dir;
pub mod reader;

/// The file that makes a dataset be there.
pub const MANIFEST: &str = "metadata.json";

/// Whose folder it is: what a claim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// Random, made once for a run, kept in its work directory.
    pub run_id: String,
    /// Fingerprint of the run's settings; two runs may share it.
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

/// One block of a file. A clone shares the bytes.
#[derive(Clone)]
pub struct Block {
    /// The dataset's folder.
    pub dataset: String,
    /// The file in it, with `/` between folders.
    pub path: String,
    /// Counts from 0.
    pub index: u32,
    /// Position of its first byte in the file.
    pub offset: u64,
    /// Its bytes: every block but a file's last has `DatasetSink::block_bytes`.
    pub bytes: Bytes,
}

debug_lengths!(Block { dataset, path, index, offset } lengths { bytes });

/// The receipt of a block, which the commit gives back to the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockReceipt {
    /// As in the block.
    pub index: u32,
    /// The block's length.
    pub bytes: u64,
    /// The sink's own name for the block; empty if it needs none.
    pub id: String,
    /// Whether it was sent now; else an earlier start had sent it, and it was only checked.
    pub sent: bool,
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

impl FileCommit {
    /// Whether the receipts are those of the whole file, in order.
    pub fn is_whole(&self) -> bool {
        let staged: u64 = self.blocks.iter().map(|block| block.bytes).sum();
        let in_order = (0..).zip(&self.blocks).all(|(i, block)| block.index == i);
        staged == self.bytes && in_order
    }
}

/// What a call of a [`DatasetSink`] gives: a result, later.
pub type SinkFuture<'a, T> = BoxFuture<'a, Result<T, SinkError>>;

/// A place for datasets. To write one, implement this trait, and hold it against
/// [`testing::sink_conformance`](crate::testing::sink_conformance).
///
/// A run may be killed at any instant and started again: every method is called again by the next
/// start, of a new sink on the same place.
///
/// An error that asks for it ([`SinkError::action`]) has the same call made again after a while, as
/// often as `chunks.max_attempts` says; throttled calls do not count, and may wait for
/// `workers.stall_timeout` in all. Whether the first call has taken effect is not known then, so
/// every method with an error must bear being called again with the same arguments: `claim` grants
/// the claim again, `stage` and `commit` find what is there, `put_sidecar` replaces it, `release` and
/// `revoke` have nothing left to do. After a `publish` that is answered [`SinkError::Exists`] the
/// second time the run asks by `claim` whose manifest it is. Paths have `/` between folders; gleaner's own are of ASCII
/// letters, digits, `.`, `_` and `-`.
pub trait DatasetSink: Send + Sync + 'static {
    /// The location for display: a path or an address without secrets.
    fn location(&self) -> String;

    /// The length of a full block: at least 1, and always the same.
    fn block_bytes(&self) -> usize;

    /// Time that one block or commit may take, the sink's own retries included, where that is long:
    /// an uploader that waits longer is stalled.
    fn operation_timeout(&self) -> Option<Duration> {
        None
    }

    /// Takes the dataset's folder for this run: nothing may be staged before. Also the probe
    /// that shows, before anything is fetched, whether the sink can be written at all. Of claims by
    /// several runs at the same moment one is granted; the run that has it is granted it again.
    ///
    /// # Errors
    /// [`SinkError::Claimed`] if it is another run's; [`SinkError::Exists`] if another run has
    /// published it, or if there are files without a claim: they are left untouched.
    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim>;

    /// Keeps a block aside. Staging the same block again is harmless, also after the commit; of two
    /// blocks with one index the later counts.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt>;

    /// Makes a file of its blocks, whole and under its name: of these and no others, whatever was
    /// staged for the name before. Nothing is there before, and never a part. It is durable when
    /// [`Self::publish`] puts the manifest there, at the latest. Doing it again is harmless, also at the
    /// same moment, and also by a later start.
    ///
    /// # Errors
    /// If the receipts are not the whole file ([`FileCommit::is_whole`]) or not of blocks that were
    /// staged. Other bytes under the name of a file that is there are refused
    /// ([`SinkError::Conflict`]), or replace it wholly.
    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()>;

    /// Writes `metadata.json`: from here on the dataset is there, durable with all its committed files.
    /// Never overwrites.
    ///
    /// # Errors
    /// [`SinkError::Exists`] if there is another manifest. For the same bytes once more that, or
    /// success: the answer to the first may have been lost.
    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()>;

    /// Whether [`Self::rename`] can be called. Where it cannot, whoever does not know the names of files
    /// beforehand commits none until it does.
    fn renames(&self) -> bool {
        false
    }

    /// Gives a committed file of a dataset that is not published another name; a file of that name
    /// is replaced. Durable as a commit is. Doing it again is harmless.
    ///
    /// # Errors
    /// If there is no such file, or if the sink cannot do it.
    fn rename<'a>(&'a self, dataset: &'a str, from: &'a str, _to: &'a str) -> SinkFuture<'a, ()> {
        let refused = SinkError::Unusable {
            location: format!("{}/{dataset}/{from}", self.location()),
            reason: "this sink cannot give a file another name".to_owned(),
        };
        Box::pin(std::future::ready(Err(refused)))
    }

    /// Gives the claim back after publishing, and removes what was staged and never committed. Doing
    /// it again is harmless.
    ///
    /// Before publishing it gives the dataset up: if nothing of it was committed it is free for any
    /// run, else its files stay without an owner, and every claim is refused with
    /// [`SinkError::Exists`] until they are removed.
    ///
    /// # Errors
    /// If the claim cannot be removed. Of a dataset that was never claimed it is harmless, or refused.
    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()>;

    /// The claim on a dataset; `None` if there is none. A sink that does not show its claims always
    /// returns `None`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read_claim<'a>(&'a self, _dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Takes an abandoned run's claim away, and before it all that the run has staged and
    /// committed; of a published dataset only the claim. Then the dataset is free. Without a claim
    /// that is harmless, and nothing is removed.
    ///
    /// Should that run still be going on, it finds its claim gone: every commit and publish looks,
    /// and is refused with [`SinkError::ClaimLost`].
    ///
    /// # Errors
    /// [`SinkError::Claimed`] if it is another run's; if something cannot be removed; if the sink
    /// cannot do it.
    fn revoke<'a>(&'a self, dataset: &'a str, _run_id: &'a str) -> SinkFuture<'a, ()> {
        let refused = SinkError::Unusable {
            location: format!("{}/{dataset}", self.location()),
            reason: "this sink cannot take a claim away".to_owned(),
        };
        Box::pin(std::future::ready(Err(refused)))
    }

    /// Waits until dropped operations have stopped: a run that is cancelled must not write after it
    /// has reported its end. For sinks with threads of their own; where dropping a future stops the
    /// work, return at once.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Puts a document beside the datasets, such as the report of one; one of that name is replaced.
    /// A sink that keeps nothing but datasets says so.
    fn put_sidecar<'a>(&'a self, name: &'a str, _document: Vec<u8>) -> SinkFuture<'a, ()> {
        let refused = SinkError::Unusable {
            location: format!("{}/{name}", self.location()),
            reason: "this sink keeps nothing beside datasets".to_owned(),
        };
        Box::pin(std::future::ready(Err(refused)))
    }
}

impl<T: DatasetSink + ?Sized> DatasetSink for Arc<T> {
    fn location(&self) -> String {
        (**self).location()
    }

    fn block_bytes(&self) -> usize {
        (**self).block_bytes()
    }

    fn operation_timeout(&self) -> Option<Duration> {
        (**self).operation_timeout()
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        (**self).claim(dataset, claim)
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        (**self).stage(block)
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        (**self).commit(file)
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        (**self).publish(dataset, manifest)
    }

    fn renames(&self) -> bool {
        (**self).renames()
    }

    fn rename<'a>(&'a self, dataset: &'a str, from: &'a str, to: &'a str) -> SinkFuture<'a, ()> {
        (**self).rename(dataset, from, to)
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        (**self).release(dataset)
    }

    fn read_claim<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        (**self).read_claim(dataset)
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        (**self).revoke(dataset, run_id)
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        (**self).flush()
    }

    fn put_sidecar<'a>(&'a self, name: &'a str, document: Vec<u8>) -> SinkFuture<'a, ()> {
        (**self).put_sidecar(name, document)
    }
}
