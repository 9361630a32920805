//! Parquet: every row becomes one JSON line, its columns in their order.
//!
//! `turnsArray` and `trajectory` may be nested columns or text that holds JSON; text of the logical type JSON holds it
//! wherever it is. Such text stands in the line as it is, but for newlines between tokens, which become spaces: a row
//! is a line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::record::{Field, Row};
use tracing::warn;

use super::super::{BLOCK_BYTES, BlockReader, Reject, RowBlock, RowEncoding, SourceError};
use super::MOST_REJECTS;
use crate::domain::record::rename::Renames;
use crate::domain::record::row::MalformedReason;
use crate::domain::scheduling::chunk::Piece;

mod shape;
mod values;

use shape::Shape;
use values::{Int96Values, ValueWriter};

/// Rows whose columns are decoded together: few, because a row may be large.
const BATCH: usize = 32;

fn open(path: &Path) -> Result<SerializedFileReader<File>, SourceError> {
    let file = File::open(path).map_err(|error| SourceError::Io {
        path: path.to_owned(),
        source: error,
    })?;
    SerializedFileReader::new(file).map_err(|error| damaged(path, &error))
}

/// The error of a damaged file. The decoder's message may quote the data; only its kind is shown.
fn damaged(path: &Path, error: &ParquetError) -> SourceError {
    let reason = match error {
        ParquetError::NYI(what) => {
            // Names a codec or an encoding, no data.
            let what = what.split(['\n', ':']).next().unwrap_or_default();
            return unsupported(
                path,
                format!("a feature of Parquet that is not read ({what})"),
            );
        }
        ParquetError::General(what) if what.contains("encrypt") => {
            return unsupported(path, "encryption".to_owned());
        }
        ParquetError::EOF(_) => "it ends too early",
        ParquetError::General(what) if what.contains("as String") => {
            "a text column holds bytes that are no UTF-8"
        }
        ParquetError::General(what) if what.contains("magic") || what.contains("footer") => {
            "it is no Parquet file"
        }
        _ => "its contents do not fit its footer",
    };
    SourceError::Damaged {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn unsupported(path: &Path, what: String) -> SourceError {
    SourceError::Unsupported {
        path: path.to_owned(),
        what,
        hint: "write the file anew without it, for example with pyarrow or DuckDB (codecs that are read: snappy, gzip, brotli, lz4, zstd, none)".to_owned(),
    }
}

/// Cuts a file into ranges of row groups of about `piece` bytes.
pub fn cuts(path: &Path, bytes: u64, piece: u64) -> Result<Vec<(u64, u64)>, SourceError> {
    let reader = open(path)?;
    let groups = reader.metadata().num_row_groups() as u64;
    let pieces = bytes.div_ceil(piece).clamp(1, groups.max(1));
    Ok((0..pieces)
        .map(|i| (groups * i / pieces, groups * (i + 1) / pieces))
        .collect())
}

/// A reader of some row groups of a file, which finds by the meaning of the names of columns which of
/// them hold JSON.
///
/// # Errors
/// If it cannot be opened or is no Parquet file.
pub fn reader(
    path: PathBuf,
    piece: Piece,
    max_record: u64,
    fields: Arc<Renames>,
) -> Result<Box<dyn BlockReader>, SourceError> {
    let reader = ParquetReader::open(path, piece, max_record)?;
    Ok(Box::new(reader.with_fields(fields)))
}

/// Reads a range of row groups.
struct ParquetReader {
    path: PathBuf,
    file: SerializedFileReader<File>,
    next_group: u64,
    end: u64,
    rows: Option<ReaderIter>,
    shape: Shape,
    writer: ValueWriter,
    /// Whether a column with bytes that are no text was named.
    named: bool,
    max_record: u64,
    fields: Arc<Renames>,
    line: u64,
}

impl ParquetReader {
    fn open(path: PathBuf, piece: Piece, max_record: u64) -> Result<Self, SourceError> {
        let file = open(&path)?;
        let shape = shape::of_rows(file.metadata().file_metadata().schema())
            .map_err(|column| unsupported(&path, format!("the column {column}")))?;
        Ok(Self {
            shape,
            writer: ValueWriter::default(),
            named: false,
            path,
            file,
            next_group: piece.start,
            end: piece.end,
            rows: None,
            max_record,
            fields: Arc::default(),
            line: 1,
        })
    }

    fn with_fields(self, fields: Arc<Renames>) -> Self {
        Self { fields, ..self }
    }

    fn next_row(&mut self) -> Result<Option<Row>, SourceError> {
        loop {
            if let Some(row) = self.rows.as_mut().and_then(Iterator::next) {
                return row.map(Some).map_err(|error| damaged(&self.path, &error));
            }
            if self.next_group == self.end {
                return Ok(None);
            }
            let group = self
                .file
                .get_row_group(self.next_group as usize)
                .map_err(|error| damaged(&self.path, &error))?;
            let schema = self.file.metadata().file_metadata().schema_descr_ptr();
            let rows = TreeBuilder::new()
                .with_batch_size(BATCH)
                .as_iter(schema, &*group);
            self.rows = Some(rows.map_err(|error| damaged(&self.path, &error))?);
            let columns = 0..group.num_columns();
            let is_int96 = |&column: &usize| {
                let column = group.metadata().column(column);
                column.column_type() == parquet::basic::Type::INT96
            };
            let int96 = columns.map(|column| match is_int96(&column) {
                true => group.get_column_reader(column).map(Int96Values::of),
                false => Ok(None),
            });
            let int96: Result<Vec<_>, _> = int96.collect();
            self.writer.int96 = int96.map_err(|error| damaged(&self.path, &error))?;
            self.next_group += 1;
        }
    }

    /// Writes a row as a JSON object; what it cannot be written for. A row that is too large is
    /// that, whatever else is wrong with it.
    fn write_row(
        &mut self,
        row: &Row,
        out: &mut Vec<u8>,
    ) -> Result<Option<MalformedReason>, SourceError> {
        let start = out.len();
        let malformed = self.writer.row(row, &self.shape, &self.fields, out);
        let malformed = malformed.map_err(|error| damaged(&self.path, &error))?;
        if let Some(column) = self.writer.no_text.take()
            && !std::mem::replace(&mut self.named, true)
        {
            let path = self.path.display();
            warn!(
                "{path}: the column {column:?} holds bytes that are no UTF-8; such rows are malformed (invalid_utf8)"
            );
        }
        Ok(match (out.len() - start) as u64 > self.max_record {
            true => Some(MalformedReason::TooLarge),
            false => malformed,
        })
    }
}

/// The id of a row that cannot be written.
fn id_of(row: &Row, fields: &Renames) -> Option<Box<[u8]>> {
    let mut ids = row
        .get_column_iter()
        .filter(|(name, _)| fields.name_of(name) == "conversationId");
    match (ids.next(), ids.next()) {
        (Some((_, Field::Str(id))), None) if !id.is_empty() => Some(id.as_bytes().into()),
        _ => None,
    }
}

impl BlockReader for ParquetReader {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        block.encoding = RowEncoding::Assembled;
        block.first_line = self.line;
        while block.bytes.len() < BLOCK_BYTES && block.rejects.len() < MOST_REJECTS {
            let Some(row) = self.next_row()? else {
                return Ok(block.first_line < self.line);
            };
            let line = self.line;
            self.line += 1;
            let start = block.bytes.len();
            if let Some(reason) = self.write_row(&row, &mut block.bytes)? {
                block.bytes.truncate(start);
                let id = id_of(&row, &self.fields);
                block.rejects.push(Reject { line, reason, id });
                continue;
            }
            block.bytes.push(b'\n');
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
