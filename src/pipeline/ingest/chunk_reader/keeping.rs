//! Keeping a row that is wanted: its header, and the row itself if it does not stay where it is.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::{BATCH, ChunkReader};
use crate::domain::grouping::batch::Batch;
use crate::domain::record::header::{Header, Position, RowFlags};
use crate::domain::record::row::RowShape;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::source::{RowBlock, RowEncoding, RowLocation, SourceError};
use crate::spool::sealed::{RowFacts, SealedChunk, SpooledRow};

/// The headers of a chunk that was read.
#[derive(Debug, Clone)]
pub enum Headers {
    /// Of rows that stay where they are.
    InMemory(Vec<Batch>),
    /// Of rows that were spooled.
    Sealed(Box<SealedChunk>),
}

impl ChunkReader {
    /// Keeps a row of this shape, which begins at the byte `at` of its block. One that is to be
    /// spooled is put to the others of the block.
    pub(super) fn keep<'a>(
        &mut self,
        block: &RowBlock,
        at: usize,
        shape: RowShape,
        row: SpooledRow<'a>,
        spooled: &mut Vec<SpooledRow<'a>>,
    ) {
        match block.location {
            RowLocation::InFile { file, offset } => {
                let position = Position {
                    store: file,
                    // A row is at most `max_record`, which is below 4 GiB.
                    length: row.payload.len() as u32,
                    offset: offset + at as u64,
                    checksum: xxh3_64(&row.payload),
                };
                self.keep_header(shape, &row, position);
            }
            RowLocation::Spool => spooled.push(row),
        }
    }

    /// Spools rows of a block of this encoding.
    pub(super) fn spool(
        &mut self,
        encoding: RowEncoding,
        rows: &[SpooledRow<'_>],
    ) -> Result<(), SourceError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.begin_spooling(encoding)?;
        if let Some(writer) = &mut self.writer {
            writer.append(rows)?;
        }
        Ok(())
    }

    /// Makes the writer of what is spooled, unless it is there. All rows that are kept have the schema of the first.
    pub(super) fn begin_spooling(&mut self, encoding: RowEncoding) -> Result<(), SourceError> {
        if let (None, Some(spool)) = (&self.writer, &self.spool) {
            let shape = self.shape();
            self.writer = Some(spool.create(self.chunk_pass, shape, encoding)?);
        }
        Ok(())
    }

    fn keep_header(&mut self, shape: RowShape, row: &SpooledRow<'_>, position: Position) {
        // All rows that are kept have the schema of the first.
        let is_full = |batch: &Batch| batch.len() == BATCH;
        if self.batches.last().is_none_or(is_full) {
            self.batches.push(Batch::new(shape));
        }
        let header = Header {
            id_length: 0,
            id_hash: kusto_hash::hash(&row.id),
            turn: row.facts.turn,
            at: row.facts.at,
            flags: row.facts.flags,
            group: row.facts.group,
            position,
        };
        if let Some(batch) = self.batches.last_mut() {
            batch.push(&row.id, header, row.facts.telemetry);
        }
    }
}

/// The header of a malformed row, as it is spooled.
pub fn malformed_row(id: &[u8]) -> SpooledRow<'_> {
    SpooledRow {
        id: Cow::Borrowed(id),
        facts: RowFacts {
            turn: 0,
            at: 0,
            flags: RowFlags::MALFORMED,
            group: GroupMark::ABSENT,
            line: 0,
            telemetry: None,
        },
        payload: Cow::Borrowed(&[]),
    }
}
