//! A file of the new dataset.

use futures_util::StreamExt;
use futures_util::future::poll_immediate;
use futures_util::stream::FuturesOrdered;

use crate::domain::dataset::manifest::FileRecord;
use crate::runtime::buffers::Buffers;
use crate::sink::block_cutter::BlockCutter;
use crate::sink::{BlockReceipt, DatasetSink, FileCommit, SinkError, SinkFuture};

/// Blocks of a file that are being staged while the next one is filled.
const STAGING: usize = 2;

/// Stages the blocks of a file as they become full.
pub struct FileWriter<'s> {
    sink: &'s dyn DatasetSink,
    cutter: BlockCutter,
    staging: FuturesOrdered<SinkFuture<'s, BlockReceipt>>,
    receipts: Vec<BlockReceipt>,
}

impl<'s> FileWriter<'s> {
    /// An empty file.
    pub fn new(sink: &'s dyn DatasetSink, dataset: &str, path: String, buffers: &Buffers) -> Self {
        let block_bytes = sink.block_bytes();
        Self {
            sink,
            cutter: BlockCutter::new(dataset.to_owned(), path, block_bytes, buffers.clone()),
            staging: FuturesOrdered::new(),
            receipts: Vec::new(),
        }
    }

    /// Appends bytes.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        // A block at a time: a large record is not held twice.
        for piece in bytes.chunks(self.sink.block_bytes()) {
            let mut full = Vec::new();
            self.cutter.append(piece, &mut full);
            for block in full {
                self.staging.push_back(self.sink.stage(block));
                self.wait_for_all_but(STAGING).await?;
                // A future begins when it is polled.
                if let Some(Some(receipt)) = poll_immediate(self.staging.next()).await {
                    self.receipts.push(receipt?);
                }
            }
        }
        Ok(())
    }

    /// Waits until no more blocks than these are being staged.
    async fn wait_for_all_but(&mut self, most: usize) -> Result<(), SinkError> {
        while self.staging.len() > most
            && let Some(receipt) = self.staging.next().await
        {
            self.receipts.push(receipt?);
        }
        Ok(())
    }

    /// Stages the rest.
    pub async fn finish(mut self) -> Result<StagedFile, SinkError> {
        let mut rest = Vec::new();
        let file = self.cutter.finish(&mut rest);
        self.staging
            .extend(rest.into_iter().map(|block| self.sink.stage(block)));
        // Not a method: the cutter is gone.
        while let Some(receipt) = self.staging.next().await {
            self.receipts.push(receipt?);
        }
        Ok(StagedFile {
            file,
            receipts: self.receipts,
        })
    }
}

/// A file whose blocks are all staged.
pub struct StagedFile {
    /// What it will be.
    pub file: FileRecord,
    receipts: Vec<BlockReceipt>,
}

impl StagedFile {
    /// Makes the file.
    pub async fn commit(&self, sink: &dyn DatasetSink, dataset: &str) -> Result<(), SinkError> {
        let receipts = self.receipts.clone();
        sink.commit(FileCommit::of(dataset, &self.file, receipts))
            .await
    }
}
