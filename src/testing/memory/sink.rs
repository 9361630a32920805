//! Datasets in memory.

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use sha2::{Digest, Sha256};

use crate::domain::dataset::manifest::hex;
use crate::sink::claim::{Granted, published, stray};
use crate::sink::reader::DatasetReader;
use crate::sink::{
    Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, MANIFEST, SinkError,
    SinkFuture,
};

/// Bytes of a block, unless said otherwise: so few that files of a test have several.
const BLOCK_BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// A sink whose datasets are in memory. A clone, on any thread, is a sink on the same datasets, as a
/// later start of a process would have.
///
/// Files are held against their length and SHA-256 when they are committed.
#[derive(Debug)]
pub struct MemorySink {
    datasets: Datasets,
    block_bytes: NonZeroUsize,
    granted: Granted,
}

impl Clone for MemorySink {
    fn clone(&self) -> Self {
        Self {
            datasets: Arc::clone(&self.datasets),
            block_bytes: self.block_bytes,
            // Another start was granted nothing yet.
            granted: Granted::default(),
        }
    }
}

type Datasets = Arc<Mutex<BTreeMap<String, Dataset>>>;

#[derive(Debug, Default)]
struct Dataset {
    claim: Option<ClaimRecord>,
    /// Blocks that wait for the commit of their file, by path and index, with their digests.
    staged: BTreeMap<(String, u32), (String, Bytes)>,
    /// The files, the manifest included.
    files: BTreeMap<String, Bytes>,
}

impl Default for MemorySink {
    fn default() -> Self {
        Self::new()
    }
}

impl MemorySink {
    /// An empty place.
    pub fn new() -> Self {
        Self {
            datasets: Arc::default(),
            block_bytes: BLOCK_BYTES,
            granted: Granted::default(),
        }
    }

    /// With blocks of so many bytes.
    #[must_use]
    pub fn with_block_bytes(self, block_bytes: NonZeroUsize) -> Self {
        Self {
            block_bytes,
            ..self
        }
    }

    /// A reader of a dataset, published or not, as it is whenever it is asked.
    pub fn reader(&self, dataset: &str) -> MemoryDataset {
        MemoryDataset {
            datasets: Arc::clone(&self.datasets),
            name: dataset.to_owned(),
        }
    }
}

fn lock(datasets: &Datasets) -> MutexGuard<'_, BTreeMap<String, Dataset>> {
    // The guarded value is whole after every statement, so a panic elsewhere does no harm.
    datasets.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

impl Dataset {
    fn claim(&mut self, name: &str, mine: &ClaimRecord) -> Result<Claim, SinkError> {
        if let Some(manifest) = self.files.get(MANIFEST) {
            return published(name, manifest.to_vec(), mine);
        }
        match &self.claim {
            Some(found) if found.run_id == mine.run_id => Ok(Claim::Granted),
            Some(found) => Err(SinkError::Claimed {
                dataset: name.to_owned(),
                run_id: found.run_id.clone(),
                since: found.since.clone(),
            }),
            None => match self.files.keys().next() {
                Some(found) => Err(stray(name, found)),
                None => {
                    self.claim = Some(mine.clone());
                    Ok(Claim::Granted)
                }
            },
        }
    }

    fn still_held(&self, name: &str, mine: Option<ClaimRecord>) -> Result<(), SinkError> {
        match (&self.claim, mine) {
            (_, None) => Ok(()),
            (Some(found), Some(mine)) if found.run_id == mine.run_id => Ok(()),
            (_, Some(mine)) => Err(SinkError::ClaimLost {
                dataset: name.to_owned(),
                run_id: mine.run_id,
            }),
        }
    }

    fn revoke(&mut self, name: &str, run_id: &str) -> Result<(), SinkError> {
        match &self.claim {
            None => return Ok(()),
            Some(found) if found.run_id == run_id => {}
            Some(found) => {
                return Err(SinkError::Claimed {
                    dataset: name.to_owned(),
                    run_id: found.run_id.clone(),
                    since: found.since.clone(),
                });
            }
        }
        if !self.files.contains_key(MANIFEST) {
            self.files.clear();
        }
        self.staged.clear();
        self.claim = None;
        Ok(())
    }

    fn stage(&mut self, block: Block) -> BlockReceipt {
        let receipt = BlockReceipt {
            index: block.index,
            bytes: block.bytes.len() as u64,
            id: digest(&block.bytes),
            sent: true,
        };
        let staged = (receipt.id.clone(), block.bytes);
        self.staged.insert((block.path, block.index), staged);
        receipt
    }

    fn commit(&mut self, file: FileCommit) -> Result<(), SinkError> {
        if let Some(found) = self.files.get(&file.path) {
            return match digest(found) == file.sha256 {
                true => Ok(()),
                false => Err(SinkError::Conflict { path: file.path }),
            };
        }
        let mut bytes = Vec::new();
        for receipt in &file.blocks {
            match self.staged.get(&(file.path.clone(), receipt.index)) {
                Some((id, block)) if *id == receipt.id => bytes.extend_from_slice(block),
                _ => return Err(refused(&file.path, "a block of it was never staged")),
            }
        }
        if !file.is_whole() || digest(&bytes) != file.sha256 {
            return Err(refused(&file.path, "the blocks are not the whole file"));
        }
        self.staged.retain(|(path, _), _| *path != file.path);
        self.files.insert(file.path, bytes.into());
        Ok(())
    }
}

fn refused(path: &str, what: &str) -> SinkError {
    SinkError::Io {
        action: "commit",
        path: path.to_owned(),
        source: io::Error::new(ErrorKind::InvalidData, what),
    }
}

impl DatasetSink for MemorySink {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn block_bytes(&self) -> usize {
        self.block_bytes.get()
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        async move {
            let answer = lock(&self.datasets)
                .entry(dataset.to_owned())
                .or_default()
                .claim(dataset, claim);
            self.granted.note(dataset, claim, &answer);
            answer
        }
        .boxed()
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        async move {
            let mut datasets = lock(&self.datasets);
            Ok(datasets
                .entry(block.dataset.clone())
                .or_default()
                .stage(block))
        }
        .boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        async move {
            let mut datasets = lock(&self.datasets);
            let dataset = datasets.entry(file.dataset.clone()).or_default();
            dataset.still_held(&file.dataset, self.granted.of(&file.dataset))?;
            dataset.commit(file)
        }
        .boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        async move {
            let mut datasets = lock(&self.datasets);
            let found = datasets.entry(dataset.to_owned()).or_default();
            found.still_held(dataset, self.granted.of(dataset))?;
            let files = &mut found.files;
            if files.contains_key(MANIFEST) {
                return Err(SinkError::Exists(dataset.to_owned()));
            }
            files.insert(MANIFEST.to_owned(), manifest.into());
            Ok(())
        }
        .boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        async move {
            if let Some(dataset) = lock(&self.datasets).get_mut(dataset) {
                dataset.claim = None;
                dataset.staged.clear();
            }
            self.granted.forget(dataset);
            Ok(())
        }
        .boxed()
    }

    fn read_claim<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        async move {
            let datasets = lock(&self.datasets);
            Ok(datasets.get(dataset).and_then(|found| found.claim.clone()))
        }
        .boxed()
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        async move {
            match lock(&self.datasets).get_mut(dataset) {
                Some(found) => found.revoke(dataset, run_id),
                None => Ok(()),
            }
        }
        .boxed()
    }
}

/// A dataset of a [`MemorySink`].
#[derive(Debug, Clone)]
pub struct MemoryDataset {
    datasets: Datasets,
    name: String,
}

impl MemoryDataset {
    fn file(&self, path: &str) -> Option<Bytes> {
        let datasets = lock(&self.datasets);
        datasets.get(&self.name)?.files.get(path).cloned()
    }
}

impl DatasetReader for MemoryDataset {
    fn location(&self) -> String {
        format!("memory/{}", self.name)
    }

    fn files(&self) -> io::Result<Vec<String>> {
        let datasets = lock(&self.datasets);
        let files = datasets.get(&self.name).map(|dataset| dataset.files.keys());
        Ok(files.into_iter().flatten().cloned().collect())
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.file(path).map(|bytes| bytes.len() as u64))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        let bytes = self.file(path).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}
