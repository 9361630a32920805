//! A sealed chunk, and its headers read again.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::super::SpoolError;
use super::{Footer, HEADER, REPLAY_BATCH, checksum_of, number, telemetry};
use crate::domain::copilot_chat::header::TelemetryHeader;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::grouping::batch::Batch;
use crate::domain::record::header::{Header, Position, RowFlags};
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::source::RowEncoding;

/// A chunk that is done.
#[derive(Debug, Clone)]
pub struct SealedChunk {
    pub(super) seal: PathBuf,
    pub(super) rows: PathBuf,
    pub(super) headers_bytes: u64,
    pub(super) footer: Footer,
}

impl SealedChunk {
    /// The chunk.
    pub fn chunk(&self) -> Chunk {
        self.footer.chunk_pass.chunk
    }

    /// Counts of the chunk.
    pub fn tally(&self) -> &ChunkTally {
        &self.footer.tally
    }

    /// The encoding of its rows.
    pub fn encoding(&self) -> RowEncoding {
        self.footer.encoding
    }

    /// The file with its payloads.
    pub fn rows_path(&self) -> &Path {
        &self.rows
    }

    /// The lines of rows, counted from the chunk's beginning; the rows are given by the offsets of
    /// their payloads, in their order. Reads the headers up to the last of them.
    ///
    /// # Errors
    /// If the headers cannot be read, or there is no such row.
    pub fn lines_of(&self, offsets: &[u64]) -> Result<Vec<u64>, SpoolError> {
        let mut replay = self.replay(0)?;
        let mut id = Vec::new();
        let mut line_at = |offset| loop {
            let (bytes, ..) = replay.read_bytes(&mut id)?;
            if number(&bytes[24..32]) == offset {
                return Ok(number(&bytes[40..48]));
            }
        };
        offsets
            .iter()
            .map(|&offset| line_at(offset).map_err(SpoolError::io("read", &self.seal)))
            .collect()
    }

    /// Whether its rows are those of its headers, one after the other, and nothing else.
    pub(super) fn rows_fit(&self) -> io::Result<bool> {
        let file = File::open(&self.rows)?;
        if file.metadata()?.len() != self.footer.rows_bytes {
            return Ok(false);
        }
        let mut rows = BufReader::with_capacity(1 << 18, file);
        let mut replay = self.replayed(0)?;
        let (mut id, mut end) = (Vec::new(), 0);
        for _ in 0..self.footer.headers {
            let position = replay.read_header(&mut id)?.0.position;
            let length = u64::from(position.length);
            let checksum = checksum_of((&mut rows).take(length))?;
            if position.offset != end || checksum != position.checksum {
                return Ok(false);
            }
            end += length;
        }
        Ok(end == self.footer.rows_bytes)
    }

    /// The schema of its rows.
    pub fn shape(&self) -> RowShape {
        self.footer.shape
    }

    /// Reads its headers again; `store` is the number that the run gives its rows.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn replay(&self, store: u32) -> Result<Replay, SpoolError> {
        self.replayed(store)
            .map_err(SpoolError::io("open", &self.seal))
    }

    pub(super) fn replayed(&self, store: u32) -> io::Result<Replay> {
        let file = File::open(&self.seal)?;
        Ok(Replay {
            reader: BufReader::with_capacity(1 << 18, file.take(self.headers_bytes)),
            left: self.footer.headers,
            shape: self.footer.shape,
            grouped: self.footer.grouped,
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
    grouped: bool,
    pub(super) seal: PathBuf,
    store: u32,
}

impl Replay {
    /// The next headers; `None` after the last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, SpoolError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut batch = Batch::new(self.shape);
        let mut id = Vec::new();
        for _ in 0..self.left.min(REPLAY_BATCH) {
            let (header, telemetry) = self
                .read_header(&mut id)
                .map_err(SpoolError::io("read", &self.seal))?;
            batch.push(&id, header, telemetry);
            self.left -= 1;
        }
        Ok(Some(batch))
    }

    /// The next header's bytes, its id, what telemetry has besides, and its group.
    fn read_bytes(
        &mut self,
        id: &mut Vec<u8>,
    ) -> io::Result<([u8; HEADER], Option<TelemetryHeader>, GroupMark)> {
        let mut bytes = [0; HEADER];
        self.reader.read_exact(&mut bytes)?;
        id.resize(number(&bytes[..4]) as usize, 0);
        self.reader.read_exact(id)?;
        let is_malformed = RowFlags::from_byte(bytes[48]).has(RowFlags::MALFORMED);
        let mut telemetry = None;
        if self.shape == RowShape::CopilotChat && !is_malformed {
            let mut besides = [0; telemetry::LENGTH];
            self.reader.read_exact(&mut besides)?;
            telemetry = Some(telemetry::from_bytes(&besides)?);
        }
        let mut group = GroupMark::ABSENT;
        if self.grouped {
            let mut byte = [0];
            self.reader.read_exact(&mut byte)?;
            group = GroupMark::from_byte(byte[0]);
        }
        if let Some(telemetry) = &mut telemetry {
            telemetry.group = group;
        }
        Ok((bytes, telemetry, group))
    }

    fn read_header(&mut self, id: &mut Vec<u8>) -> io::Result<(Header, Option<TelemetryHeader>)> {
        let (bytes, telemetry, group) = self.read_bytes(id)?;
        let field = |from: usize, to: usize| number(&bytes[from..to]);
        let header = Header {
            id_length: id.len() as u32,
            id_hash: kusto_hash::hash(id),
            turn: field(8, 16) as i64,
            at: field(16, 24) as i64,
            flags: RowFlags::from_byte(bytes[48]),
            group,
            position: Position {
                store: self.store,
                length: field(4, 8) as u32,
                offset: field(24, 32),
                checksum: field(32, 40),
            },
        };
        Ok((header, telemetry))
    }
}
