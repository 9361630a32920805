//! Writing, sealing and opening sealed chunks. See the module above for the promise.
//!
//! `<chunk>.sealed` is: headers one after the other, then a footer as JSON, then a trailer
//! of 28 bytes: the length of the headers (u64), the length of the footer (u32), the XXH3-64 of
//! all before it (u64), and the magic. Numbers are little-endian.
//!
//! A header is: the lengths of the id and of the payload (u32 each), turn and time (i64 each), the
//! payload's offset, its XXH3-64 and its line (u64 each), a byte of flags ([`RowFlags`]), the id, and of
//! Copilot Chat telemetry what its header has besides (`telemetry.rs`), and, if groups decide the split, the byte of
//! its group ([`GroupMark`]). The line stays on disk: it is asked for only when a row must be named.
//! Headers of malformed rows come last and have no payload.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::disk;
use super::{SpoolError, stored};
use crate::domain::copilot_chat::header::TelemetryHeader;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::debug_lengths;
use crate::domain::describe_error;
use crate::domain::record::header::RowFlags;
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::pass::ChunkPass;
use crate::domain::selection::group::GroupMark;
use crate::fault::{Faults, Kind, Site};
use crate::runtime::files::refuse_link;
use crate::runtime::storage::{self, DiskFile};
use crate::source::RowEncoding;

mod chunk;
mod pins;
pub mod telemetry;
mod writer;

pub use chunk::{Replay, SealedChunk};
pub use writer::ChunkWriter;
use writer::{Checked, TempFiles};

/// The chunks that the dataset goes without, once that is decided.
const MISSING: &str = "missing.json";

/// The content of that file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Settled {
    chunks: Vec<Chunk>,
}

const MAGIC: &[u8; 8] = b"glnseal3";
const TRAILER: usize = 28;

/// Bytes of a header before its id.
const HEADER: usize = 49;

/// The content of a header besides the id and the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowFacts {
    /// As in [`Header`](crate::domain::record::header::Header).
    pub turn: i64,
    /// As in [`Header`](crate::domain::record::header::Header).
    pub at: i64,
    /// As in [`Header`](crate::domain::record::header::Header).
    pub flags: RowFlags,
    /// As in [`Header`](crate::domain::record::header::Header).
    pub group: GroupMark,
    /// Line of the row in the chunk, from 1.
    pub line: u64,
    /// Of Copilot Chat telemetry: `turn` and `at` mean nothing then.
    pub telemetry: Option<TelemetryHeader>,
}

/// A row that is to be kept.
pub struct SpooledRow<'a> {
    /// Its id, decoded; of Copilot Chat telemetry its key.
    pub id: Cow<'a, [u8]>,
    /// The rest of its header.
    pub facts: RowFacts,
    /// Its text, without white space around.
    pub payload: Cow<'a, [u8]>,
}

debug_lengths!(SpooledRow<'_> { facts } lengths { id, payload });

/// Headers in a batch when a sealed chunk is read again.
const REPLAY_BATCH: u64 = 4096;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Footer {
    #[serde(rename = "part")]
    chunk_pass: ChunkPass,
    shape: RowShape,
    encoding: RowEncoding,
    headers: u64,
    rows_bytes: u64,
    /// Whether each header ends with the byte of its group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    grouped: bool,
    tally: ChunkTally,
}

/// The folder of sealed chunks, as one attempt or the run itself uses it.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
    limit: u64,
    used: Arc<AtomicU64>,
    /// The epoch of the lease under which it is written.
    epoch: u64,
    /// Whether groups decide the split.
    grouped: bool,
    states: Arc<Mutex<BTreeMap<ChunkPass, Arc<Mutex<PassState>>>>>,
    faults: Faults,
}

/// State of a part. Held while the part is checked or sealed, so that only one of them happens at a
/// time.
#[derive(Debug, Default)]
struct PassState {
    /// The latest lease that has started to write it.
    epoch: u64,
    /// Bytes of its sealed rows.
    sealed_bytes: u64,
}

impl Spool {
    /// Uses a folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: PathBuf, limit: u64) -> Result<Self, SpoolError> {
        let open = || {
            refuse_link(&folder)?;
            storage::make_private_folder(&folder)?;
            remove_parts(&folder)
        };
        disk::retry(open, disk::is_transient).map_err(SpoolError::io("open", &folder))?;
        Ok(Self {
            folder,
            limit,
            used: Arc::new(AtomicU64::new(0)),
            epoch: 0,
            grouped: false,
            states: Arc::default(),
            faults: Faults::default(),
        })
    }

    /// The same folder, where things go wrong on purpose.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same folder, where headers have their group.
    #[must_use]
    pub fn with_groups(self, grouped: bool) -> Self {
        Self { grouped, ..self }
    }

    /// The same folder, for what is written under a lease.
    #[must_use]
    pub fn with_epoch(&self, epoch: u64) -> Self {
        Self {
            epoch,
            ..self.clone()
        }
    }

    fn state(&self, chunk_pass: ChunkPass) -> Arc<Mutex<PassState>> {
        Arc::clone(lock(&self.states).entry(chunk_pass).or_default())
    }

    /// Notes how many bytes of sealed rows a part has.
    fn account(&self, state: &mut PassState, bytes: u64) {
        let before = std::mem::replace(&mut state.sealed_bytes, bytes);
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.used.fetch_sub(before, Ordering::Relaxed);
    }

    fn path(&self, chunk_pass: ChunkPass, ending: &str) -> PathBuf {
        self.folder.join(format!("{chunk_pass}.{ending}"))
    }

    /// Starts the rows of a part of a chunk anew.
    ///
    /// # Errors
    /// If its files cannot be made, or a later lease has started the part.
    pub fn create(
        &self,
        chunk_pass: ChunkPass,
        shape: RowShape,
        encoding: RowEncoding,
    ) -> Result<ChunkWriter, SpoolError> {
        {
            let state = self.state(chunk_pass);
            let mut state = lock(&state);
            if self.epoch < state.epoch {
                return Err(SpoolError::Superseded { chunk_pass });
            }
            state.epoch = self.epoch;
        }
        let aside = TempFiles {
            spool: self.clone(),
            chunk_pass,
            bytes: 0,
        };
        let create = |ending: &str| {
            let path = aside.path(ending);
            DiskFile::create_private(&path).map_err(SpoolError::io("create", path))
        };
        let headers = BufWriter::with_capacity(1 << 18, create("sealed")?);
        Ok(ChunkWriter {
            rows: create("rows")?,
            headers: Checked::new(headers),
            aside,
            footer: Footer {
                chunk_pass,
                shape,
                encoding,
                headers: 0,
                rows_bytes: 0,
                grouped: self.grouped,
                tally: ChunkTally::default(),
            },
        })
    }

    /// Opens a chunk that an earlier start of the run sealed, after checking every byte of it.
    /// `None` if there is none, or if it was damaged: it is then removed.
    ///
    /// # Errors
    /// If the folder cannot be read or a damaged chunk not be removed.
    pub fn sealed(&self, chunk_pass: ChunkPass) -> Result<Option<SealedChunk>, SpoolError> {
        let seal = self.path(chunk_pass, "sealed");
        let state = self.state(chunk_pass);
        let mut state = lock(&state);
        match self.faults.due(Site::Open) {
            Some(Kind::Io) => {
                return Err(SpoolError::io("read", seal)(Errno::IO.into()));
            }
            // There may be nothing to damage.
            Some(kind) => drop(damage(&self.path(chunk_pass, "rows"), kind)),
            None => {}
        }
        match self.check(chunk_pass, &seal) {
            Ok(sealed) => {
                self.account(&mut state, sealed.footer.rows_bytes);
                Ok(Some(sealed))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !seal.exists() => Ok(None),
            // Says nothing about the chunk: it may be whole.
            Err(error) if disk::is_transient(&error) => Err(SpoolError::io("read", seal)(error)),
            Err(error) => {
                tracing::warn!(chunk = %chunk_pass, error = describe_error(&error), "a sealed chunk is damaged and will be fetched again");
                storage::remove_if_there(&seal).map_err(SpoolError::io("remove", seal))?;
                self.account(&mut state, 0);
                Ok(None)
            }
        }
    }

    fn check(&self, chunk_pass: ChunkPass, seal: &Path) -> io::Result<SealedChunk> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut file = File::open(seal)?;
        let length = file.metadata()?.len();
        let body = length
            .checked_sub(TRAILER as u64)
            .ok_or_else(|| damaged("the seal is cut off"))?;
        let summed = (&mut file).take(body + 12);
        let checksum = checksum_of(BufReader::with_capacity(1 << 18, summed))?;
        let mut trailer = [0; TRAILER];
        file.seek(SeekFrom::Start(body))?;
        file.read_exact(&mut trailer)?;
        let (headers, rest) = trailer.split_at(8);
        let (footer_length, rest) = rest.split_at(4);
        let (sum, magic) = rest.split_at(8);
        if magic != MAGIC || sum != checksum.to_le_bytes() {
            return Err(damaged("the seal's checksum does not fit"));
        }
        let headers_bytes = number(headers);
        let mut footer = vec![0; number(footer_length) as usize];
        file.seek(SeekFrom::Start(headers_bytes))?;
        file.read_exact(&mut footer)?;
        let footer: Footer = serde_json::from_slice(&footer)?;
        if footer.chunk_pass != chunk_pass {
            return Err(damaged("the seal is another chunk's"));
        }
        let sealed = SealedChunk {
            seal: seal.to_owned(),
            rows: self.path(chunk_pass, "rows"),
            headers_bytes,
            footer,
        };
        match sealed.rows_fit()? {
            true => Ok(sealed),
            false => Err(damaged("the rows do not fit the seal")),
        }
    }

    /// The parts that are sealed by their names; [`Self::sealed`] checks each.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn sealed_passes(&self) -> Result<Vec<ChunkPass>, SpoolError> {
        let io = |error| SpoolError::io("read", &self.folder)(error);
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_none_or(|ending| ending != "sealed") {
                continue;
            }
            match read_footer(&path) {
                Ok(footer) => parts.push(footer.chunk_pass),
                Err(error) if disk::is_transient(&error) => return Err(io(error)),
                // A damaged seal: its chunk is fetched again.
                Err(_) => {}
            }
        }
        parts.sort();
        Ok(parts)
    }

    /// Remembers that the dataset goes without these chunks, before a file is committed without them:
    /// a later start of the run must not commit another.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record_missing(&self, missing: &BTreeSet<Chunk>) -> Result<(), SpoolError> {
        let path = self.folder.join(MISSING);
        let settled = Settled {
            chunks: missing.iter().copied().collect(),
        };
        stored::save(&path, &settled).map_err(SpoolError::io("write", &path))
    }

    /// The chunks that an earlier start has settled to go without; none if that cannot be read any
    /// more.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn recorded_missing(&self) -> Result<BTreeSet<Chunk>, SpoolError> {
        let path = self.folder.join(MISSING);
        match stored::load::<Settled>(&path) {
            Ok(settled) => Ok(settled.unwrap_or_default().chunks.into_iter().collect()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(
                    error = describe_error(&error),
                    "which chunks are missing is no longer known; they are fetched"
                );
                Ok(BTreeSet::new())
            }
            Err(error) => Err(SpoolError::io("read", path)(error)),
        }
    }

    /// Removes everything: the dataset is published.
    ///
    /// # Errors
    /// If the folder cannot be removed.
    pub fn clear(&self) -> Result<(), SpoolError> {
        storage::remove_dir_all(&self.folder).map_err(SpoolError::io("remove", &self.folder))
    }

    /// Removes the seal of a chunk that turned out to be damaged.
    pub fn invalidate(&self, rows: &Path) {
        // Should that fail, the check at the next start finds the damage again.
        let _ = storage::remove_file(&rows.with_extension("sealed"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded value is whole after every statement, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Damages a file as a failing disk does.
fn damage(path: &Path, kind: Kind) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    match bytes.get_mut(middle) {
        Some(byte) if kind == Kind::Corrupt => *byte ^= 1,
        _ => bytes.truncate(middle),
    }
    fs::write(path, bytes)
}

/// Removes what attempts of an earlier start have written aside.
fn remove_parts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "part") {
            storage::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The footer of a seal, unchecked.
fn read_footer(seal: &Path) -> io::Result<Footer> {
    let mut file = File::open(seal)?;
    file.seek(SeekFrom::End(-(TRAILER as i64)))?;
    let mut trailer = [0; TRAILER];
    file.read_exact(&mut trailer)?;
    let (headers, rest) = trailer.split_at(8);
    file.seek(SeekFrom::Start(number(headers)))?;
    let mut footer = Vec::new();
    file.take(number(&rest[..4])).read_to_end(&mut footer)?;
    Ok(serde_json::from_slice(&footer)?)
}

/// Up to eight bytes, little-endian.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// Checksum of the rest of a reader.
fn checksum_of(mut reader: impl BufRead) -> io::Result<u64> {
    let mut hasher = Xxh3::new();
    loop {
        let next = reader.fill_buf()?;
        if next.is_empty() {
            return Ok(hasher.digest());
        }
        hasher.update(next);
        let length = next.len();
        reader.consume(length);
    }
}

#[cfg(test)]
mod tests;
