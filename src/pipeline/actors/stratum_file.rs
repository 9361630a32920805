//! The file of one stratum in the making: verdicts in rank order become blocks.
//!
//! Pure: it hashes, counts and cuts; others read and write. Blocks have the sink's length, whatever
//! the batches were, so a resumed run cuts the same blocks.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::messages::Validated;
use crate::domain::dataset::manifest::Framing;
use crate::domain::record::tokens::tokens;
use crate::domain::sampling::stratum_fill::StratumFill;
use crate::runtime::buffers::{Buffer, Buffers};
use crate::sink::Block;
use crate::telemetry::distributions::{Distributions, TOKENS_OF};

/// A stratum's file. A clone of an empty one is another beginning of it.
#[derive(Clone)]
pub struct StratumFile {
    dataset: String,
    path: String,
    bucket: String,
    framing: Framing,
    /// What has been decided.
    pub placement: StratumFill,
    /// How the records taken are distributions.
    pub distributions: Distributions,
    hasher: Sha256,
    buffers: Buffers,
    block: Buffer,
    /// Where the block begins in its buffer: sinks write whole pages faster.
    before: usize,
    block_bytes: usize,
    blocks: u32,
    bytes: u64,
}

/// A file that is complete.
pub struct FinishedFile {
    /// Its last block, if it is not empty.
    pub last: Option<Block>,
    /// What has been decided.
    pub placement: StratumFill,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

impl StratumFile {
    /// An empty file.
    pub fn new(
        dataset: String,
        path: String,
        bucket: String,
        framing: Framing,
        target: u64,
        block_bytes: usize,
        buffers: Buffers,
    ) -> Self {
        Self {
            dataset,
            path,
            bucket,
            framing,
            placement: StratumFill::new(target),
            distributions: Distributions::default(),
            hasher: Sha256::new(),
            buffers,
            block: Buffer::default(),
            before: 0,
            block_bytes: block_bytes.max(1),
            blocks: 0,
            bytes: 0,
        }
    }

    /// Its path in the dataset.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Places the verdicts on the next candidates. Gives the blocks that became full.
    pub fn place(&mut self, batch: Validated) -> Vec<Block> {
        let separator = self.framing.between.len();
        let mut full = Vec::new();
        let mut start = 0;
        // Records that follow each other leave in one piece.
        let mut run = 0..0;
        for entry in batch.entries {
            let first = self.placement.records == 0;
            if self
                .placement
                .place(entry.verdict, &self.bucket, entry.turns)
            {
                if first {
                    self.append(self.framing.before.as_bytes(), &mut full);
                }
                self.note(&batch.text[start + separator..entry.end], entry.turns);
                let from = if first { start + separator } else { start };
                if run.end == from {
                    run.end = entry.end;
                } else {
                    self.append(&batch.text[run], &mut full);
                    run = from..entry.end;
                }
            }
            start = entry.end;
        }
        self.append(&batch.text[run], &mut full);
        full
    }

    /// Counts a record that was taken.
    fn note(&mut self, record: &[u8], turns: u64) {
        self.distributions.turns.exact(turns);
        self.distributions.bytes.power_of_two(record.len() as u64);
        if self.placement.records <= TOKENS_OF
            && let Some(tokens) = tokens(record)
        {
            self.distributions.tokens.power_of_two(tokens);
        }
    }

    fn append(&mut self, mut bytes: &[u8], full: &mut Vec<Block>) {
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

    /// Ends the file. Gives the blocks that became full by that, and the rest. A file without
    /// records has no bytes.
    pub fn finish(mut self) -> (Vec<Block>, FinishedFile) {
        let mut full = Vec::new();
        if self.placement.records > 0 {
            self.append(self.framing.after.as_bytes(), &mut full);
        }
        let last = (!self.block.is_empty()).then(|| self.cut());
        let sha256 = crate::domain::dataset::manifest::hex(&self.hasher.finalize());
        let finished = FinishedFile {
            last,
            placement: self.placement,
            bytes: self.bytes,
            sha256,
        };
        (full, finished)
    }
}
