//! Writing, sealing and opening sealed chunks. See the module above for the promise.
//!
//! `<chunk>.sealed` is: headers one after the other, then a footer as JSON, then a trailer
//! of 28 bytes: the length of the headers (u64), the length of the footer (u32), the XXH3-64 of
//! all before it (u64), and the magic. Numbers are little-endian.
//!
//! A header is: the lengths of the id and of the payload (u32 each), turn and time (i64 each), the
//! payload's offset, its XXH3-64 and its line (u64 each), a byte that is 1 for a flawless row, and
//! the id. The line stays on disk: it is asked for only when a row must be named.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::tally::ChunkTally;
use super::{Part, Portion, SpoolError, stored};
use crate::domain::chunk::Chunk;
use crate::domain::header::{Header, HeaderBatch, Position};
use crate::domain::kusto_hash;
use crate::domain::row::RowShape;
use crate::fault::{self, Faults, Kind, Site};
use crate::source::RowForm;

const MAGIC: &[u8; 8] = b"glnseal2";
const TRAILER: usize = 28;

/// Bytes of a header before its id.
const HEADER: usize = 49;

/// What a header says besides the id and the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowFacts {
    /// As in [`Header`].
    pub turn: i64,
    /// As in [`Header`].
    pub at: i64,
    /// As in [`Header`].
    pub flawless: bool,
    /// Where the row stood, counted from the chunk's beginning.
    pub line: u64,
}

/// Headers in a batch when a sealed chunk is read again.
const REPLAY_BATCH: usize = 4096;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Footer {
    part: Part,
    shape: RowShape,
    form: RowForm,
    headers: u64,
    rows_bytes: u64,
    rows_checksum: u64,
    tally: ChunkTally,
}

/// The folder of sealed chunks, as one attempt or the run itself uses it.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
    limit: u64,
    used: Arc<AtomicU64>,
    /// Of the lease that is written under.
    epoch: u64,
    parts: Arc<Mutex<BTreeMap<Part, Arc<Mutex<PartState>>>>>,
    faults: Faults,
}

/// What is known of a part. Held while it is checked or sealed, so that one thing happens at a time.
#[derive(Debug, Default)]
struct PartState {
    /// The latest lease that has begun to write it.
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
        fs::create_dir_all(&folder).map_err(SpoolError::io("create", &folder))?;
        remove_parts(&folder).map_err(SpoolError::io("clean", &folder))?;
        Ok(Self {
            folder,
            limit,
            used: Arc::new(AtomicU64::new(0)),
            epoch: 0,
            parts: Arc::default(),
            faults: Faults::default(),
        })
    }

    /// The same folder, where things go wrong on purpose.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same folder, for what is written under a lease.
    #[must_use]
    pub fn under(&self, epoch: u64) -> Self {
        Self {
            epoch,
            ..self.clone()
        }
    }

    fn state(&self, part: Part) -> Arc<Mutex<PartState>> {
        Arc::clone(lock(&self.parts).entry(part).or_default())
    }

    /// Notes how many bytes of sealed rows a part has.
    fn account(&self, state: &mut PartState, bytes: u64) {
        let before = std::mem::replace(&mut state.sealed_bytes, bytes);
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.used.fetch_sub(before, Ordering::Relaxed);
    }

    fn path(&self, part: Part, ending: &str) -> PathBuf {
        self.folder.join(format!("{part}.{ending}"))
    }

    /// Starts the rows of a part of a chunk anew.
    ///
    /// # Errors
    /// If its files cannot be made, or a later lease has begun it.
    pub fn create(
        &self,
        part: Part,
        shape: RowShape,
        form: RowForm,
    ) -> Result<ChunkWriter, SpoolError> {
        {
            let state = self.state(part);
            let mut state = lock(&state);
            if self.epoch < state.epoch {
                return Err(SpoolError::Superseded { part });
            }
            state.epoch = self.epoch;
        }
        let aside = Aside {
            spool: self.clone(),
            part,
            bytes: 0,
        };
        let create = |ending: &str| {
            let path = aside.path(ending);
            File::create(&path)
                .map(|file| BufWriter::with_capacity(1 << 18, file))
                .map_err(SpoolError::io("create", path))
        };
        Ok(ChunkWriter {
            rows: create("rows")?,
            headers: Checked::new(create("sealed")?),
            checksum: Xxh3::new(),
            aside,
            footer: Footer {
                part,
                shape,
                form,
                headers: 0,
                rows_bytes: 0,
                rows_checksum: 0,
                tally: ChunkTally::default(),
            },
        })
    }

    /// Opens a chunk that an earlier start of the run sealed, after checking every byte of it.
    /// `None` if there is none, or if it was damaged: it is then removed.
    ///
    /// # Errors
    /// If the folder cannot be read or a damaged chunk not be removed.
    pub fn sealed(&self, part: Part) -> Result<Option<SealedChunk>, SpoolError> {
        let seal = self.path(part, "sealed");
        let state = self.state(part);
        let mut state = lock(&state);
        match self.faults.due(Site::Open) {
            Some(Kind::Io) => {
                return Err(SpoolError::io("read", seal)(io::ErrorKind::Other.into()));
            }
            // There may be nothing to damage.
            Some(kind) => drop(damage(&self.path(part, "rows"), kind)),
            None => {}
        }
        match self.check(part, &seal) {
            Ok(sealed) => {
                self.account(&mut state, sealed.footer.rows_bytes);
                Ok(Some(sealed))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !seal.exists() => Ok(None),
            Err(error) => {
                tracing::warn!(chunk = %part, %error, "a sealed chunk is damaged and will be fetched again");
                fs::remove_file(&seal).map_err(SpoolError::io("remove", seal))?;
                self.account(&mut state, 0);
                Ok(None)
            }
        }
    }

    fn check(&self, part: Part, seal: &Path) -> io::Result<SealedChunk> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut file = File::open(seal)?;
        let length = file.metadata()?.len();
        let body = length
            .checked_sub(TRAILER as u64)
            .ok_or_else(|| damaged("the seal is cut off"))?;
        let checksum = checksum_of((&mut file).take(body + 12))?;
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
        if footer.part != part {
            return Err(damaged("the seal is another chunk's"));
        }
        let rows = self.path(part, "rows");
        let file = File::open(&rows)?;
        if file.metadata()?.len() != footer.rows_bytes || checksum_of(file)? != footer.rows_checksum
        {
            return Err(damaged("the rows do not fit the seal"));
        }
        Ok(SealedChunk {
            seal: seal.to_owned(),
            rows,
            headers_bytes,
            footer,
        })
    }

    /// The parts that are sealed, as far as names tell; [`Self::sealed`] checks each.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn parts(&self) -> Result<Vec<Part>, SpoolError> {
        let io = |error| SpoolError::io("read", &self.folder)(error);
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|ending| ending == "sealed")
                && let Ok(footer) = read_footer(&path)
            {
                parts.push(footer.part);
            }
        }
        parts.sort();
        Ok(parts)
    }

    /// Remembers what a round fetches, which the next start of the run must not decide anew. The
    /// first decision counts: what is remembered already is given back. If what was remembered is
    /// damaged or gone, so is what it said about the parts of the round: they are fetched again.
    ///
    /// # Errors
    /// If it cannot be written or read.
    pub fn pin<T: Serialize + DeserializeOwned>(
        &self,
        round: u32,
        decision: T,
    ) -> Result<T, SpoolError> {
        let path = self.folder.join(format!("round{round}.json"));
        match stored::load(&path) {
            Ok(Some(pinned)) => return Ok(pinned),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(round, %error, "what the round fetches is no longer known; it is fetched again");
            }
            Err(error) => return Err(SpoolError::io("read", path)(error)),
        }
        for part in self.parts()? {
            if part.portion == Portion::Round(round) {
                self.distrust(&self.path(part, "rows"));
            }
        }
        stored::save(&path, &decision).map_err(SpoolError::io("write", &path))?;
        Ok(decision)
    }

    /// Removes everything: the dataset is published.
    ///
    /// # Errors
    /// If the folder cannot be removed.
    pub fn clear(&self) -> Result<(), SpoolError> {
        fs::remove_dir_all(&self.folder).map_err(SpoolError::io("remove", &self.folder))
    }

    /// Removes the seal of a chunk that turned out to be damaged.
    pub fn distrust(&self, rows: &Path) {
        // Should that fail, the check at the next start finds the damage again.
        let _ = fs::remove_file(rows.with_extension("sealed"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every statement, so a panic elsewhere has spoilt nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a disk does to a file now and then.
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
            fs::remove_file(path)?;
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

fn checksum_of(mut reader: impl Read) -> io::Result<u64> {
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.digest()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// A writer that sums up what it writes.
struct Checked<W> {
    inner: W,
    checksum: Xxh3,
    written: u64,
}

impl<W: Write> Checked<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            checksum: Xxh3::new(),
            written: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.written += bytes.len() as u64;
        self.inner.write_all(bytes)
    }
}

/// The files that an attempt writes aside, and the room that it takes. Dropping it removes what has
/// not come into place.
struct Aside {
    spool: Spool,
    part: Part,
    /// Bytes of rows so far.
    bytes: u64,
}

impl Aside {
    fn path(&self, ending: &str) -> PathBuf {
        let Self { spool, part, .. } = self;
        spool.path(*part, &format!("{}.{ending}.part", spool.epoch))
    }

    /// Takes room for more rows.
    fn reserve(&mut self, bytes: u64) -> Result<(), SpoolError> {
        let Spool { used, limit, .. } = &self.spool;
        if used.fetch_add(bytes, Ordering::Relaxed) + bytes > *limit {
            used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(SpoolError::Full { limit: *limit });
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.spool.used.fetch_sub(self.bytes, Ordering::Relaxed);
        for ending in ["rows", "sealed"] {
            // After sealing they are not there; else the next start removes what stays.
            let _ = fs::remove_file(self.path(ending));
        }
    }
}

/// The rows of one attempt at a chunk. Dropped without [`Self::seal`], it leaves nothing.
pub struct ChunkWriter {
    rows: BufWriter<File>,
    headers: Checked<BufWriter<File>>,
    checksum: Xxh3,
    footer: Footer,
    /// Last: its files are removed after they are closed.
    aside: Aside,
}

impl ChunkWriter {
    /// Keeps a row.
    ///
    /// # Errors
    /// If the disk or the spool's limit is full.
    pub fn append(&mut self, id: &[u8], facts: RowFacts, payload: &[u8]) -> Result<(), SpoolError> {
        let bytes = payload.len() as u64;
        self.aside.reserve(bytes)?;
        if let Some(kind) = self.aside.spool.faults.due(Site::Append) {
            let error = match kind {
                Kind::NoSpace => io::ErrorKind::StorageFull,
                Kind::ShortWrite => {
                    let half = self.rows.write_all(&payload[..payload.len() / 2]);
                    half.map_err(self.io("write", "rows"))?;
                    io::ErrorKind::WriteZero
                }
                _ => io::ErrorKind::Other,
            };
            return Err(self.io("write", "rows")(error.into()));
        }
        let offset = self.footer.rows_bytes;
        self.footer.rows_bytes += bytes;
        self.footer.headers += 1;
        self.checksum.update(payload);
        self.rows
            .write_all(payload)
            .map_err(self.io("write", "rows"))?;
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(id.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[8..16].copy_from_slice(&facts.turn.to_le_bytes());
        header[16..24].copy_from_slice(&facts.at.to_le_bytes());
        header[24..32].copy_from_slice(&offset.to_le_bytes());
        header[32..40].copy_from_slice(&xxhash_rust::xxh3::xxh3_64(payload).to_le_bytes());
        header[40..48].copy_from_slice(&facts.line.to_le_bytes());
        header[48] = u8::from(facts.flawless);
        self.headers
            .put(&header)
            .and_then(|()| self.headers.put(id))
            .map_err(self.io("write", "sealed"))
    }

    fn io(
        &self,
        action: &'static str,
        ending: &str,
    ) -> impl FnOnce(io::Error) -> SpoolError + use<> {
        SpoolError::io(action, self.aside.path(ending))
    }

    /// Seals the chunk: from here on it is done, whatever happens.
    ///
    /// # Errors
    /// If the disk refuses, or a later lease has begun the part; the chunk is then not sealed.
    pub fn seal(mut self, tally: ChunkTally) -> Result<SealedChunk, SpoolError> {
        let part = self.footer.part;
        self.footer.tally = tally;
        self.footer.rows_checksum = self.checksum.digest();
        let headers_bytes = self.headers.written;
        let result = self.write_footer(headers_bytes);
        result.map_err(self.io("write", "sealed"))?;
        self.rows
            .flush()
            .and_then(|()| self.rows.get_ref().sync_data())
            .map_err(self.io("sync", "rows"))?;
        let spool = self.aside.spool.clone();
        let rows = spool.path(part, "rows");
        let seal = spool.path(part, "sealed");
        let rename = |ending: &str, to: &Path| {
            fs::rename(self.aside.path(ending), to).map_err(self.io("rename", ending))
        };
        let state = spool.state(part);
        let mut state = lock(&state);
        // Held to the end: nobody begins or checks the part between the two renames.
        if state.epoch != spool.epoch {
            return Err(SpoolError::Superseded { part });
        }
        rename("rows", &rows)?;
        fault::point("seal");
        // Either side of the rename that seals.
        let passage = spool.faults.enter_now(Site::Seal);
        if let Some(error) = passage.error_before() {
            return Err(self.io("rename", "sealed")(error));
        }
        rename("sealed", &seal)?;
        File::open(&spool.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(SpoolError::io("sync", &spool.folder))?;
        // Its room is the sealed part's from here on.
        let bytes = std::mem::take(&mut self.aside.bytes);
        let before = std::mem::replace(&mut state.sealed_bytes, bytes);
        spool.used.fetch_sub(before, Ordering::Relaxed);
        fault::point("sealed");
        if let Some(error) = passage.error_after() {
            return Err(self.io("seal", "sealed")(error));
        }
        passage.leave();
        Ok(SealedChunk {
            seal,
            rows,
            headers_bytes,
            footer: self.footer.clone(),
        })
    }

    fn write_footer(&mut self, headers_bytes: u64) -> io::Result<()> {
        let footer = serde_json::to_vec(&self.footer)?;
        self.headers.put(&footer)?;
        self.headers.put(&headers_bytes.to_le_bytes())?;
        self.headers.put(&(footer.len() as u32).to_le_bytes())?;
        let sum = self.headers.checksum.digest();
        self.headers.put(&sum.to_le_bytes())?;
        self.headers.put(MAGIC)?;
        self.headers.inner.flush()?;
        self.headers.inner.get_ref().sync_data()
    }
}

/// A chunk that is done.
#[derive(Debug, Clone)]
pub struct SealedChunk {
    seal: PathBuf,
    rows: PathBuf,
    headers_bytes: u64,
    footer: Footer,
}

impl SealedChunk {
    /// Which chunk it is.
    pub fn chunk(&self) -> Chunk {
        self.footer.part.chunk
    }

    /// What was counted.
    pub fn tally(&self) -> &ChunkTally {
        &self.footer.tally
    }

    /// How its rows become records.
    pub fn form(&self) -> RowForm {
        self.footer.form
    }

    /// The file with its payloads.
    pub fn rows_path(&self) -> &Path {
        &self.rows
    }

    /// The lines of rows, counted from the chunk's beginning; the rows are told by the offsets of
    /// their payloads, in their order. Reads the headers up to the last of them.
    ///
    /// # Errors
    /// If the headers cannot be read, or there is no such row.
    pub fn lines_of(&self, offsets: &[u64]) -> Result<Vec<u64>, SpoolError> {
        let mut replay = self.replay(0)?;
        let mut id = Vec::new();
        let mut line_at = |offset| loop {
            let bytes = replay.read_bytes(&mut id)?;
            if number(&bytes[24..32]) == offset {
                return Ok(number(&bytes[40..48]));
            }
        };
        offsets
            .iter()
            .map(|&offset| line_at(offset).map_err(SpoolError::io("read", &self.seal)))
            .collect()
    }

    /// Reads its headers again; `store` is the number that the run gives its rows.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn replay(&self, store: u32) -> Result<Replay, SpoolError> {
        let file = File::open(&self.seal).map_err(SpoolError::io("open", &self.seal))?;
        Ok(Replay {
            reader: BufReader::with_capacity(1 << 18, file.take(self.headers_bytes)),
            left: self.footer.headers,
            shape: self.footer.shape,
            seal: self.seal.clone(),
            store,
        })
    }
}

/// The headers of a sealed chunk, in batches.
#[derive(Debug)]
pub struct Replay {
    reader: BufReader<io::Take<File>>,
    left: u64,
    shape: RowShape,
    seal: PathBuf,
    store: u32,
}

impl Replay {
    /// The next headers; `None` after the last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<HeaderBatch>, SpoolError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut batch = HeaderBatch::new(self.shape);
        let mut id = Vec::new();
        while self.left > 0 && batch.headers.len() < REPLAY_BATCH {
            let header = self
                .read_header(&mut id)
                .map_err(SpoolError::io("read", &self.seal))?;
            batch.push(&id, header);
            self.left -= 1;
        }
        Ok(Some(batch))
    }

    /// The next header's bytes, and its id.
    fn read_bytes(&mut self, id: &mut Vec<u8>) -> io::Result<[u8; HEADER]> {
        let mut bytes = [0; HEADER];
        self.reader.read_exact(&mut bytes)?;
        id.resize(number(&bytes[..4]) as usize, 0);
        self.reader.read_exact(id)?;
        Ok(bytes)
    }

    fn read_header(&mut self, id: &mut Vec<u8>) -> io::Result<Header> {
        let bytes = self.read_bytes(id)?;
        let field = |from: usize, to: usize| number(&bytes[from..to]);
        Ok(Header {
            id_length: id.len() as u32,
            id_hash: kusto_hash::hash(id),
            turn: field(8, 16) as i64,
            at: field(16, 24) as i64,
            flawless: bytes[48] == 1,
            position: Position {
                store: self.store,
                length: field(4, 8) as u32,
                offset: field(24, 32),
                checksum: field(32, 40),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chunk::{Chunk, HashChunk};
    use crate::spool::Portion;

    fn part() -> Part {
        let chunk = Chunk::Hash(HashChunk {
            count: 40,
            index: 7,
            depth: 0,
        });
        Part {
            chunk,
            portion: Portion::Whole,
        }
    }

    fn facts(i: i64) -> RowFacts {
        RowFacts {
            turn: i,
            at: -i,
            flawless: i % 3 == 0,
            line: 2 * i as u64 + 1,
        }
    }

    fn sealed(folder: &Path) -> (Spool, SealedChunk) {
        let spool = Spool::open(folder.to_owned(), 1 << 30).expect("a folder");
        let mut writer = spool
            .create(part(), RowShape::Events, RowForm::AsWritten)
            .expect("files");
        for i in 0..10_000i64 {
            let id = format!("id-{i}");
            writer
                .append(id.as_bytes(), facts(i), format!("payload {i}").as_bytes())
                .expect("room");
        }
        let tally = ChunkTally {
            rows_read: 10_000,
            ..ChunkTally::default()
        };
        let sealed = writer.seal(tally).expect("room");
        (spool, sealed)
    }

    #[test]
    fn what_was_sealed_is_replayed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, sealed) = sealed(folder.path());
        let again = Spool::open(folder.path().to_owned(), 1 << 30)
            .expect("a folder")
            .sealed(part())
            .expect("readable")
            .expect("sealed");
        assert_eq!(again.tally(), sealed.tally());
        let mut replay = again.replay(3).expect("readable");
        let rows = fs::read(again.rows_path()).expect("rows");
        let mut i = 0;
        while let Some(batch) = replay.next_batch().expect("readable") {
            for (id, header) in batch.iter() {
                assert_eq!(id, format!("id-{i}").as_bytes());
                assert_eq!((header.turn, header.at, header.position.store), (i, -i, 3));
                assert_eq!(header.flawless, i % 3 == 0);
                let start = header.position.offset as usize;
                let payload = &rows[start..start + header.position.length as usize];
                assert_eq!(payload, format!("payload {i}").as_bytes());
                i += 1;
            }
        }
        assert_eq!(i, 10_000);
    }

    #[test]
    fn rows_know_their_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, sealed) = sealed(folder.path());
        let rows = fs::read(sealed.rows_path()).expect("rows");
        let offset = |payload: &[u8]| {
            let at = memchr::memmem::find(&rows, payload).expect("there");
            at as u64
        };
        let offsets = [0, offset(b"payload 7payload"), offset(b"payload 9999")];
        assert_eq!(
            sealed.lines_of(&offsets).expect("readable"),
            [1, 15, 19_999]
        );
        assert!(sealed.lines_of(&[1]).is_err(), "no row begins there");
    }

    #[test]
    fn without_a_seal_there_is_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
        let mut writer = spool
            .create(part(), RowShape::Events, RowForm::AsWritten)
            .expect("files");
        writer.append(b"id", facts(1), b"payload").expect("room");
        drop(writer);
        assert!(spool.sealed(part()).expect("readable").is_none());
    }

    #[test]
    fn an_attempt_whose_lease_was_lost_can_neither_seal_nor_begin() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
        let write = |epoch, payload: &[u8]| {
            let writer = spool
                .under(epoch)
                .create(part(), RowShape::Events, RowForm::AsWritten);
            writer.map(|mut writer| {
                writer.append(b"id", facts(1), payload).expect("room");
                writer
            })
        };
        let late = write(4, b"late").expect("free");
        let current = write(5, b"current").expect("free");
        let refused = late.seal(ChunkTally::default());
        assert!(matches!(refused, Err(SpoolError::Superseded { .. })));
        let sealed = current.seal(ChunkTally::default()).expect("room");
        assert!(matches!(
            write(4, b"later still").err(),
            Some(SpoolError::Superseded { .. })
        ));
        assert_eq!(fs::read(sealed.rows_path()).expect("rows"), b"current");
        assert!(spool.sealed(part()).expect("readable").is_some());
    }

    #[test]
    fn an_attempt_that_fails_leaves_nothing_and_gives_its_room_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path().to_owned(), 20).expect("a folder");
        for epoch in 1..5 {
            let writer = spool
                .under(epoch)
                .create(part(), RowShape::Events, RowForm::AsWritten);
            let mut writer = writer.expect("files");
            writer.append(b"id", facts(1), &[0; 15]).expect("room");
            let more = writer.append(b"id", facts(2), &[0; 15]);
            assert!(matches!(more, Err(SpoolError::Full { limit: 20 })));
            drop(writer);
            assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        }
        // What is sealed keeps its room, and once: also when it is checked or replaced.
        for epoch in 5..8 {
            let writer = spool
                .under(epoch)
                .create(part(), RowShape::Events, RowForm::AsWritten);
            let mut writer = writer.expect("files");
            writer.append(b"id", facts(1), &[0; 10]).expect("room");
            writer.seal(ChunkTally::default()).expect("room");
            assert!(spool.sealed(part()).expect("readable").is_some());
            assert_eq!(spool.used.load(Ordering::Relaxed), 10);
        }
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (spool, chunk_files) = sealed(folder.path());
        for path in [&chunk_files.seal, &chunk_files.rows] {
            let good = fs::read(path).expect("a file");
            let seal = fs::read(&chunk_files.seal).expect("a file");
            for at in (0..good.len())
                .step_by(good.len() / 50)
                .chain([good.len() - 1])
            {
                let mut flipped = good.clone();
                flipped[at] ^= 1;
                for damage in [&flipped[..], &good[..at]] {
                    fs::write(path, damage).expect("writable");
                    assert!(
                        spool.sealed(part()).expect("readable").is_none(),
                        "{path:?} at {at}"
                    );
                    fs::write(&chunk_files.seal, &seal).expect("writable");
                }
            }
            fs::write(path, &good).expect("writable");
            assert!(spool.sealed(part()).expect("readable").is_some());
        }
    }

    #[test]
    fn the_limit_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path().to_owned(), 10).expect("a folder");
        let mut writer = spool
            .create(part(), RowShape::Events, RowForm::AsWritten)
            .expect("files");
        writer.append(b"a", facts(1), b"12345678").expect("room");
        assert!(matches!(
            writer.append(b"b", facts(1), b"123"),
            Err(SpoolError::Full { limit: 10 })
        ));
    }
}
