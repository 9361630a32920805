//! What jobs have brought, on the driver's disk: a run that is started again asks for nothing twice.
//!
//! A folder for each job, and in it a file for each chunk, as it came (it ends with a checksum), and `done.json` once the
//! job was held against what was sent. A file is written aside and renamed, and not synced: what a power cut leaves of it
//! is held against its checksum. One that was damaged is not there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Fault;
use super::census::ChunkCensus;
use super::exchange::Counted;
use super::frame::{FrameSum, sealed};
use super::records::{ChunkRecords, RecordsHead};
use crate::runtime::storage;
use crate::source::SourceError;
use crate::spool::SpoolError;
use crate::spool::stored;

/// The name of a job that brings shared rows.
pub const SHARED: &str = "shared";

/// That a job is done, and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The rows of its pieces.
    pub counted: Counted,
    /// The chunks that it brought, with the frames that they were made of.
    pub chunks: BTreeMap<u32, FrameSum>,
}

/// The folder of a job.
#[derive(Debug, Clone)]
pub struct JobStore {
    folder: PathBuf,
}

impl JobStore {
    /// The folder of a job below that of a run.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(run: &Path, job: &str) -> Result<Self, SourceError> {
        let folder = run.join(job);
        storage::make_private_folder(&folder).map_err(SpoolError::io("open", &folder))?;
        Ok(Self { folder })
    }

    /// The folder of a job that is part of this one.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn below(&self, job: &str) -> Result<Self, SourceError> {
        Self::open(&self.folder, job)
    }

    /// The folder of the job that brings the shared rows which this one's rows of telemetry name. It is made with
    /// [`JobStore::below`], if they name some; else nothing is kept in it.
    pub fn shared_rows(&self) -> Self {
        let folder = self.folder.join(SHARED);
        Self { folder }
    }

    /// The job, for a person.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn path(&self, chunk: u32) -> PathBuf {
        self.folder.join(format!("{chunk}.chunk"))
    }

    /// Keeps what a chunk has brought.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(&self, chunk: u32, bytes: &[u8]) -> Result<(), SourceError> {
        let path = self.path(chunk);
        let kept = storage::replace_private(&path, bytes);
        Ok(kept.map_err(SpoolError::io("write", path))?)
    }

    /// What a chunk has brought; `None`: nothing, or it was damaged.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn kept(&self, chunk: u32) -> Result<Option<Vec<u8>>, SourceError> {
        let path = self.path(chunk);
        match fs::read(&path) {
            Ok(bytes) if sealed(&bytes).is_ok() => Ok(Some(bytes)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SpoolError::io("read", path)(error).into()),
        }
    }

    /// The census that a chunk has brought; an empty one of a chunk without rows.
    ///
    /// # Errors
    /// If the disk refuses, or it cannot be read.
    pub fn census(&self, chunk: u32) -> Result<ChunkCensus, SourceError> {
        self.read(chunk, ChunkCensus::from_bytes)
    }

    /// The records that a chunk has brought; none of a chunk without rows.
    ///
    /// # Errors
    /// If the disk refuses, or they cannot be read.
    pub fn records(&self, chunk: u32) -> Result<ChunkRecords, SourceError> {
        self.read(chunk, ChunkRecords::from_bytes)
    }

    /// What a chunk has brought besides the texts; nothing of a chunk without rows.
    ///
    /// # Errors
    /// If the disk refuses, or it cannot be read.
    pub fn records_head(&self, chunk: u32) -> Result<RecordsHead, SourceError> {
        self.read(chunk, RecordsHead::from_bytes)
    }

    fn read<T: Default>(
        &self,
        chunk: u32,
        from: impl Fn(&[u8]) -> Result<T, Fault>,
    ) -> Result<T, SourceError> {
        match self.kept(chunk)? {
            None if self.has_brought(chunk)? => Err(SpoolError::Damaged(self.path(chunk)).into()),
            None => Ok(T::default()),
            Some(bytes) => from(&bytes).map_err(|fault| fault.of_chunk(chunk.cast_signed()).into()),
        }
    }

    /// Whether a job that is done has brought something of a chunk.
    fn has_brought(&self, chunk: u32) -> Result<bool, SourceError> {
        let done = self.finished()?;
        Ok(done.is_some_and(|done| done.chunks.contains_key(&chunk)))
    }

    /// The chunks that have brought something.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn chunks(&self) -> Result<Vec<u32>, SourceError> {
        let number = |path: &Path| -> Option<u32> {
            let is_chunk = path.extension()? == "chunk";
            let stem = path.file_stem()?.to_str()?;
            is_chunk.then(|| stem.parse().ok()).flatten()
        };
        let list = || -> io::Result<Vec<u32>> {
            let mut chunks = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                chunks.extend(number(&entry?.path()));
            }
            chunks.sort_unstable();
            Ok(chunks)
        };
        Ok(list().map_err(SpoolError::io("read", &self.folder))?)
    }

    /// Remembers that the job is done, and what it came to.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finish(&self, done: &Done) -> Result<(), SourceError> {
        let path = self.folder.join("done.json");
        Ok(stored::save(&path, done).map_err(SpoolError::io("write", path))?)
    }

    /// What it came to, if it is done.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finished(&self) -> Result<Option<Done>, SourceError> {
        let path = self.folder.join("done.json");
        match stored::load(&path) {
            Ok(value) => Ok(value),
            // It is done again.
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(SpoolError::io("read", path)(error).into()),
        }
    }

    /// Forgets all of it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn clear(&self) -> Result<(), SourceError> {
        let folder = &self.folder;
        storage::remove_dir_all(folder).map_err(SpoolError::io("remove", folder))?;
        storage::make_private_folder(folder).map_err(SpoolError::io("open", folder))?;
        Ok(())
    }
}

/// By chunk, what a value of each says of what it brought.
///
/// # Errors
/// If the disk refuses.
pub fn kept_by_chunk<T>(
    store: &JobStore,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<BTreeMap<u32, T>, SourceError> {
    let mut found = BTreeMap::new();
    for chunk in store.chunks()? {
        if let Some(value) = store.kept(chunk)?.as_deref().and_then(&read) {
            found.insert(chunk, value);
        }
    }
    Ok(found)
}
