//! A file of the new dataset.

use crate::domain::dataset::manifest::FileRecord;
use crate::runtime::buffers::Buffers;
use crate::sink::block_cutter::BlockCutter;
use crate::sink::{Block, BlockReceipt, DatasetSink, FileCommit, SinkError};

/// Stages the blocks of a file as they become full.
pub struct FileWriter<'s> {
    sink: &'s dyn DatasetSink,
    dataset: &'s str,
    cutter: BlockCutter,
    receipts: Vec<BlockReceipt>,
}

impl<'s> FileWriter<'s> {
    /// An empty file.
    pub fn new(
        sink: &'s dyn DatasetSink,
        dataset: &'s str,
        path: String,
        buffers: &Buffers,
    ) -> Self {
        let block_bytes = sink.block_bytes();
        Self {
            sink,
            dataset,
            cutter: BlockCutter::new(dataset.to_owned(), path, block_bytes, buffers.clone()),
            receipts: Vec::new(),
        }
    }

    /// Appends bytes.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        // A block at a time: a large record is not held twice.
        for piece in bytes.chunks(self.sink.block_bytes()) {
            let mut full = Vec::new();
            self.cutter.append(piece, &mut full);
            stage(self.sink, full, &mut self.receipts).await?;
        }
        Ok(())
    }

    /// Stages the rest, and makes the file.
    pub async fn commit(mut self) -> Result<FileRecord, SinkError> {
        let mut rest = Vec::new();
        let file = self.cutter.finish(&mut rest);
        stage(self.sink, rest, &mut self.receipts).await?;
        let commit = FileCommit::of(self.dataset, &file, self.receipts);
        self.sink.commit(commit).await?;
        Ok(file)
    }
}

async fn stage(
    sink: &dyn DatasetSink,
    blocks: Vec<Block>,
    receipts: &mut Vec<BlockReceipt>,
) -> Result<(), SinkError> {
    for block in blocks {
        receipts.push(sink.stage(block).await?);
    }
    Ok(())
}
