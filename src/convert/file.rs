//! A file on its way to a sink.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::domain::dataset::manifest::{FileRecord, hex};
use crate::sink::{Block, BlockReceipt, DatasetSink, FileCommit, SinkError};

/// Cuts bytes into blocks, and hashes them.
pub struct FileWriter {
    dataset: String,
    path: String,
    block_bytes: usize,
    block: Vec<u8>,
    receipts: Vec<BlockReceipt>,
    hasher: Sha256,
    bytes: u64,
}

impl FileWriter {
    /// An empty file.
    pub fn new(dataset: &str, path: &str, block_bytes: usize) -> Self {
        Self {
            dataset: dataset.to_owned(),
            path: path.to_owned(),
            block_bytes: block_bytes.max(1),
            block: Vec::new(),
            receipts: Vec::new(),
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    /// Appends bytes, and stages the blocks that are full.
    pub async fn append(
        &mut self,
        sink: &dyn DatasetSink,
        mut bytes: &[u8],
    ) -> Result<(), SinkError> {
        self.hasher.update(bytes);
        while !bytes.is_empty() {
            if self.block.capacity() == 0 {
                self.block.reserve_exact(self.block_bytes);
            }
            let room = (self.block_bytes - self.block.len()).min(bytes.len());
            self.block.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            if self.block.len() == self.block_bytes {
                self.stage(sink).await?;
            }
        }
        Ok(())
    }

    async fn stage(&mut self, sink: &dyn DatasetSink) -> Result<(), SinkError> {
        let bytes = Bytes::from(std::mem::take(&mut self.block));
        let offset = self.bytes;
        self.bytes += bytes.len() as u64;
        let block = Block {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            index: self.receipts.len() as u32,
            offset,
            bytes,
        };
        self.receipts.push(sink.stage(block).await?);
        Ok(())
    }

    /// Stages the rest, and makes the file.
    pub async fn commit(mut self, sink: &dyn DatasetSink) -> Result<FileRecord, SinkError> {
        if !self.block.is_empty() {
            self.stage(sink).await?;
        }
        let file = FileRecord {
            path: self.path.clone(),
            bytes: self.bytes,
            sha256: hex(&self.hasher.finalize()),
        };
        let commit = FileCommit {
            dataset: self.dataset,
            path: self.path,
            blocks: self.receipts,
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        };
        sink.commit(commit).await?;
        Ok(file)
    }
}
