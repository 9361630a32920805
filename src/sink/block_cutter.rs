//! A file on its way to a sink: bytes become blocks.
//!
//! Pure: it hashes, counts and cuts; others stage and commit. Blocks have the sink's length however the
//! bytes come, so whoever writes the same file again cuts the same blocks.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Block, BlockReceipt, FileCommit};
use crate::domain::dataset::manifest::{FileRecord, hex};
use crate::runtime::buffers::{Buffer, Buffers, PAGE};

/// Cuts the bytes of one file into blocks. A clone of an empty one is another beginning of it.
#[derive(Clone)]
pub struct BlockCutter {
    dataset: String,
    path: String,
    block_bytes: usize,
    buffers: Buffers,
    block: Buffer,
    /// Where the block begins in its buffer: sinks write whole pages faster.
    before: usize,
    blocks: u32,
    bytes: u64,
    hasher: Sha256,
}

impl BlockCutter {
    /// An empty file.
    pub fn new(dataset: String, path: String, block_bytes: usize, buffers: Buffers) -> Self {
        Self {
            dataset,
            path,
            block_bytes: block_bytes.max(1),
            buffers,
            block: Buffer::default(),
            before: 0,
            blocks: 0,
            bytes: 0,
            hasher: Sha256::new(),
        }
    }

    /// Buffers that fit blocks of this length.
    pub fn buffers(block_bytes: usize) -> Buffers {
        Buffers::new(block_bytes + PAGE)
    }

    /// The file's path in the dataset.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Appends bytes; `full` is given the blocks that became full.
    pub fn append(&mut self, mut bytes: &[u8], full: &mut Vec<Block>) {
        self.hasher.update(bytes);
        while !bytes.is_empty() {
            if self.block.capacity() == 0 {
                (self.block, self.before) = self.buffers.take_page(self.block_bytes);
            }
            let room = self.before + self.block_bytes - self.block.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.block.extend_from_slice(now);
            bytes = later;
            if now.len() == room {
                full.push(self.cut());
            }
        }
    }

    fn cut(&mut self) -> Block {
        let bytes = std::mem::take(&mut self.block);
        let block = Block {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            index: self.blocks,
            offset: self.bytes,
            bytes: Bytes::from_owner(bytes).slice(self.before..),
        };
        self.blocks += 1;
        self.bytes += block.bytes.len() as u64;
        block
    }

    /// Ends the file; `full` is given its last block, unless that is empty.
    pub fn finish(mut self, full: &mut Vec<Block>) -> FileRecord {
        if !self.block.is_empty() {
            full.push(self.cut());
        }
        FileRecord {
            path: self.path,
            bytes: self.bytes,
            sha256: hex(&self.hasher.finalize()),
        }
    }
}

impl FileCommit {
    /// The commit of a file whose blocks were staged.
    pub fn of(dataset: &str, file: &FileRecord, blocks: Vec<BlockReceipt>) -> Self {
        Self {
            dataset: dataset.to_owned(),
            path: file.path.clone(),
            blocks,
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        }
    }
}
