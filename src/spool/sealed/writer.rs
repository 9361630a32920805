//! Writing one attempt at a chunk aside, and sealing it.

use std::io::{self, BufWriter, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rustix::io::Errno;
use xxhash_rust::xxh3::Xxh3;

use super::super::SpoolError;
use super::{Footer, HEADER, MAGIC, SealedChunk, Spool, SpooledRow, lock, telemetry};
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::pass::ChunkPass;
use crate::fault::{Kind, Site};
use crate::runtime::storage::{self, DiskFile};

/// A writer that sums up what it writes.
pub(super) struct Checked<W> {
    inner: W,
    checksum: Xxh3,
    written: u64,
}

impl<W: Write> Checked<W> {
    pub(super) fn new(inner: W) -> Self {
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
pub(super) struct TempFiles {
    pub(super) spool: Spool,
    pub(super) chunk_pass: ChunkPass,
    /// Bytes of rows so far.
    pub(super) bytes: u64,
}

impl TempFiles {
    pub(super) fn path(&self, ending: &str) -> PathBuf {
        let Self {
            spool, chunk_pass, ..
        } = self;
        spool.path(*chunk_pass, &format!("{}.{ending}.part", spool.epoch))
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

impl Drop for TempFiles {
    fn drop(&mut self) {
        self.spool.used.fetch_sub(self.bytes, Ordering::Relaxed);
        for ending in ["rows", "sealed"] {
            // After sealing they are not there; else the next start removes what stays.
            let _ = storage::remove_file(&self.path(ending));
        }
    }
}

/// Whether a chunk must survive a power cut once it is sealed. Of a file it need not: it is read again
/// sooner than it is synced, and what a power cut leaves of it is held against its checksums before it
/// is used. Rows of a cluster cost a query.
fn must_survive(chunk: Chunk) -> bool {
    matches!(chunk, Chunk::Hash(_))
}

/// The rows of one attempt at a chunk. Dropped without [`Self::seal`], it leaves nothing.
pub struct ChunkWriter {
    pub(super) rows: DiskFile,
    pub(super) headers: Checked<BufWriter<DiskFile>>,
    pub(super) footer: Footer,
    /// Last: its files are removed after they are closed.
    pub(super) aside: TempFiles,
}

impl ChunkWriter {
    /// Keeps rows. They are written from where they lie: those of a block take one call and no copy.
    ///
    /// # Errors
    /// If the disk or the spool's limit is full.
    pub fn append(&mut self, rows: &[SpooledRow<'_>]) -> Result<(), SpoolError> {
        for row in rows {
            self.note(row)?;
        }
        let mut payloads: Vec<_> = rows.iter().map(|row| IoSlice::new(&row.payload)).collect();
        let mut payloads = &mut payloads[..];
        // Passes the empty ones at the beginning.
        IoSlice::advance_slices(&mut payloads, 0);
        while !payloads.is_empty() {
            match self.rows.write_vectored(payloads) {
                Ok(0) => return Err(self.io("write", "rows")(io::ErrorKind::WriteZero.into())),
                Ok(written) => IoSlice::advance_slices(&mut payloads, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.io("write", "rows")(error)),
            }
        }
        Ok(())
    }

    /// Writes a row's header.
    fn note(&mut self, row: &SpooledRow<'_>) -> Result<(), SpoolError> {
        let SpooledRow { id, facts, payload } = row;
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
                _ => return Err(self.io("write", "rows")(Errno::IO.into())),
            };
            return Err(self.io("write", "rows")(error.into()));
        }
        let offset = self.footer.rows_bytes;
        self.footer.rows_bytes += bytes;
        self.footer.headers += 1;
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(id.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[8..16].copy_from_slice(&facts.turn.to_le_bytes());
        header[16..24].copy_from_slice(&facts.at.to_le_bytes());
        header[24..32].copy_from_slice(&offset.to_le_bytes());
        header[32..40].copy_from_slice(&xxhash_rust::xxh3::xxh3_64(payload).to_le_bytes());
        header[40..48].copy_from_slice(&facts.line.to_le_bytes());
        header[48] = facts.flags.byte();
        let besides = facts.telemetry.as_ref().map(telemetry::to_bytes);
        self.headers
            .put(&header)
            .and_then(|()| self.headers.put(id))
            .and_then(|()| {
                self.headers
                    .put(besides.as_ref().map_or(&[], |bytes| bytes))
            })
            .and_then(|()| match self.footer.grouped {
                true => self.headers.put(&[facts.group.byte()]),
                false => Ok(()),
            })
            .map_err(self.io("write", "sealed"))
    }

    /// The path is made only if there is an error: rows are many.
    fn io(
        &self,
        action: &'static str,
        ending: &'static str,
    ) -> impl FnOnce(io::Error) -> SpoolError {
        move |error| SpoolError::io(action, self.aside.path(ending))(error)
    }

    /// Seals the chunk: from here on it is done.
    ///
    /// # Errors
    /// If the disk refuses, or a later lease has started the part; the chunk is then not sealed.
    pub fn seal(mut self, tally: ChunkTally) -> Result<SealedChunk, SpoolError> {
        let chunk_pass = self.footer.chunk_pass;
        self.footer.tally = tally;
        let headers_bytes = self.headers.written;
        let result = self.write_footer(headers_bytes);
        result.map_err(self.io("write", "sealed"))?;
        let is_durable = must_survive(chunk_pass.chunk);
        if is_durable {
            let headers = self.headers.inner.get_ref();
            headers.sync_data().map_err(self.io("sync", "sealed"))?;
            self.rows.sync_data().map_err(self.io("sync", "rows"))?;
        }
        let spool = self.aside.spool.clone();
        let rows = spool.path(chunk_pass, "rows");
        let seal = spool.path(chunk_pass, "sealed");
        let rename = |ending: &'static str, to: &Path| {
            storage::rename(&self.aside.path(ending), to).map_err(self.io("rename", ending))
        };
        let state = spool.state(chunk_pass);
        let mut state = lock(&state);
        // Held to the end, so that the part is neither started nor checked between the two renames.
        if state.epoch != spool.epoch {
            return Err(SpoolError::Superseded { chunk_pass });
        }
        rename("rows", &rows)?;
        spool.faults.pass(Site::BeforeSeal);
        // Either side of the rename that seals.
        let passage = spool.faults.enter_now(Site::Seal);
        if let Some(error) = passage.error_before() {
            return Err(self.io("rename", "sealed")(error));
        }
        rename("sealed", &seal)?;
        if is_durable {
            storage::sync_folder(&spool.folder).map_err(SpoolError::io("sync", &spool.folder))?;
        }
        // Its room is the sealed part's from here on.
        let bytes = std::mem::take(&mut self.aside.bytes);
        let before = std::mem::replace(&mut state.sealed_bytes, bytes);
        spool.used.fetch_sub(before, Ordering::Relaxed);
        spool.faults.pass(Site::AfterSeal);
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
        self.headers.inner.flush()
    }
}
