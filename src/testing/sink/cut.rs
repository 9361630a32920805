//! Files cut into blocks, as the pipeline stages them.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::domain::dataset::manifest::hex;
use crate::sink::{Block, BlockReceipt, ClaimRecord, DatasetSink, FileCommit, SinkError};

/// The time of every claim of the kit.
pub(crate) const SINCE: &str = "2025-01-01T00:00:00Z";

/// The claim of a run.
pub(crate) fn claim_of(run_id: &str) -> ClaimRecord {
    ClaimRecord {
        run_id: run_id.to_owned(),
        fingerprint: "f".to_owned(),
        since: SINCE.to_owned(),
    }
}

/// The manifest of a run, as far as a sink looks at it.
pub(crate) fn manifest_of(run_id: &str) -> Vec<u8> {
    format!("{{\"run_id\": \"{run_id}\"}}\n").into_bytes()
}

/// A file cut into blocks.
pub(crate) struct Cut {
    dataset: String,
    pub(crate) path: String,
    bytes: Vec<u8>,
    block_bytes: usize,
}

impl Cut {
    /// A file of so many blocks; another `salt` makes other bytes.
    pub(crate) fn new(
        sink: &dyn DatasetSink,
        dataset: &str,
        path: &str,
        blocks: usize,
        salt: u8,
    ) -> Self {
        let block_bytes = sink.block_bytes();
        // The last block is a short one, where there is anything to be short of.
        let short = block_bytes.div_ceil(2).min(5);
        let length = (blocks * block_bytes).saturating_sub(blocks.min(1) * (block_bytes - short));
        Self {
            dataset: dataset.to_owned(),
            path: path.to_owned(),
            bytes: (0..length).map(|i| (i % 251) as u8 ^ salt).collect(),
            block_bytes,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn block(&self, index: usize) -> Block {
        let offset = index * self.block_bytes;
        let end = (offset + self.block_bytes).min(self.bytes.len());
        Block {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            index: index as u32,
            offset: offset as u64,
            bytes: self.bytes[offset..end].to_vec().into(),
        }
    }

    pub(crate) fn commit(&self, blocks: Vec<BlockReceipt>) -> FileCommit {
        FileCommit {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            blocks,
            bytes: self.bytes.len() as u64,
            sha256: hex(&Sha256::digest(&self.bytes)),
        }
    }

    /// Stages all blocks in the given order; the commit that follows.
    pub(crate) async fn stage(
        &self,
        sink: &dyn DatasetSink,
        order: &[usize],
    ) -> Result<FileCommit, SinkError> {
        let mut receipts = BTreeMap::new();
        for &index in order {
            receipts.insert(index, sink.stage(self.block(index)).await?);
        }
        Ok(self.commit(receipts.into_values().collect()))
    }
}
