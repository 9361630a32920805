//! Parquet: every row becomes one JSON line, its columns in their order.
//!
//! `turnsArray` and `trajectory` may be nested columns or text that holds JSON; text of the logical type JSON holds it
//! wherever it is. Such text stands in the line as it is, but for newlines between tokens, which become spaces: a row
//! is a line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tracing::warn;

use super::super::{
    BLOCK_BYTES, BlockReader, ParsedKind, ParsedRow, Reject, RowBlock, RowEncoding, SourceError,
};
use super::{Cuts, MOST_REJECTS};
use crate::domain::record::rename::Renames;
use crate::domain::record::row::MalformedReason;
use crate::domain::scheduling::chunk::Piece;

mod columns;
mod footer;
mod heads;
mod shape;
mod values;

use columns::Column;
pub use footer::Footers;
use heads::{Head, Heads};
use shape::{Leaf, Member, Shape};
use values::{NO_TEXT, ValueWriter};

/// Columns whose text is JSON.
const JSON_COLUMNS: [&str; 2] = ["turnsArray", "trajectory"];

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
        ParquetError::General(what) if what.contains(NO_TEXT) => {
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
///
/// # Errors
/// If it cannot be opened or is no Parquet file.
pub(super) fn cuts(
    footers: &Footers,
    path: &Path,
    bytes: u64,
    piece: u64,
) -> Result<Cuts, SourceError> {
    let (_, footer) = footers.open(path)?;
    let groups = footer.num_row_groups() as u64;
    let pieces = bytes.div_ceil(piece).clamp(1, groups.max(1));
    Ok(Cuts {
        ranges: (0..pieces)
            .map(|i| (groups * i / pieces, groups * (i + 1) / pieces))
            .collect(),
        is_spooled: true,
        has_large_rows: footer::has_large_rows(&footer),
    })
}

/// A reader of some row groups of a file, which finds by the meaning of the names of columns which of
/// them hold JSON.
///
/// # Errors
/// If it cannot be opened or is no Parquet file.
pub fn reader(
    footers: &Footers,
    path: PathBuf,
    piece: Piece,
    max_record: u64,
    fields: Arc<Renames>,
) -> Result<Box<dyn BlockReader>, SourceError> {
    let reader = ParquetReader::open(footers, path, piece, max_record, &fields)?;
    Ok(Box::new(reader))
}

/// Reads a range of row groups.
struct ParquetReader {
    path: PathBuf,
    file: Arc<File>,
    footer: Arc<ParquetMetaData>,
    next_group: u64,
    end: u64,
    /// Rows of the current row group that are not read yet.
    rows: u64,
    members: Vec<Member>,
    /// The column of the conversation's id, if there is one that is text.
    id: Option<usize>,
    heads: Heads,
    writer: ValueWriter,
    /// Whether a column with bytes that are no text was named.
    named: bool,
    max_record: u64,
    line: u64,
}

impl ParquetReader {
    fn open(
        footers: &Footers,
        path: PathBuf,
        piece: Piece,
        max_record: u64,
        fields: &Renames,
    ) -> Result<Self, SourceError> {
        let (file, footer) = footers.open(&path)?;
        let mut members = shape::of_rows(footer.file_metadata().schema())
            .map_err(|column| unsupported(&path, format!("the column {column}")))?;
        for member in &mut members {
            let is_json = JSON_COLUMNS.contains(&fields.name_of(&member.name));
            if let Shape::Leaf(_, leaf @ Leaf::Text) = member.shape.present()
                && is_json
            {
                *leaf = Leaf::Json;
            }
        }
        let mut ids = members
            .iter_mut()
            .filter(|member| fields.name_of(&member.name) == "conversationId");
        let id = match (ids.next().map(|member| member.shape.present()), ids.next()) {
            (Some(Shape::Leaf(column, Leaf::Text | Leaf::Json)), None) => Some(*column),
            _ => None,
        };
        Ok(Self {
            path,
            file: Arc::new(file),
            footer,
            next_group: piece.start,
            end: piece.end,
            rows: 0,
            heads: match fields.is_empty() {
                true => Heads::of(&mut members),
                // Its lines are written anew, and then read.
                false => Heads::Unknown,
            },
            members,
            id,
            writer: ValueWriter::default(),
            named: false,
            max_record,
            line: 1,
        })
    }

    /// Goes on to the next row; `false` behind the last.
    fn next_row(&mut self) -> Result<bool, SourceError> {
        while self.rows == 0 {
            if self.next_group == self.end {
                return Ok(false);
            }
            self.open_group()
                .map_err(|error| damaged(&self.path, &error))?;
            self.next_group += 1;
        }
        self.rows -= 1;
        let next = self.writer.next_row();
        next.map_err(|error| damaged(&self.path, &error))?;
        Ok(true)
    }

    fn open_group(&mut self) -> Result<(), ParquetError> {
        // Its columns are let go before others are decoded.
        self.writer.columns.clear();
        let group = self.footer.row_group(self.next_group as usize);
        for number in 0..group.num_columns() {
            let column = Column::open(&self.file, group, number)?;
            self.writer.columns.push(column);
        }
        self.rows = u64::try_from(group.num_rows()).unwrap_or(0);
        Ok(())
    }

    /// Writes a row as a JSON object, and says what it is; what it cannot be written for. A row that is too large is
    /// that, whatever else is wrong with it.
    fn write_row(
        &mut self,
        out: &mut Vec<u8>,
    ) -> Result<Result<ParsedKind, MalformedReason>, SourceError> {
        let start = out.len();
        let head = self.write_members(out);
        let head = head.map_err(|error| damaged(&self.path, &error))?;
        if let Some(column) = self.writer.no_text.take()
            && !std::mem::replace(&mut self.named, true)
        {
            let path = self.path.display();
            warn!(
                "{path}: the column {column:?} holds bytes that are no UTF-8; such rows are malformed (invalid_utf8)"
            );
        }
        if (out.len() - start) as u64 > self.max_record {
            return Ok(Err(MalformedReason::TooLarge));
        }
        Ok(match (self.writer.malformed, self.writer.is_deep) {
            (Some(reason), _) => Err(reason),
            (None, true) => Ok(ParsedKind::Unread),
            (None, false) => Ok(head.kind()),
        })
    }

    fn write_members(&mut self, out: &mut Vec<u8>) -> Result<Head, ParquetError> {
        let mut head = Head {
            turn: self.heads.turn(&self.writer.columns),
            ..Head::default()
        };
        let mut before = b'{';
        for (place, member) in self.members.iter().enumerate() {
            out.push(before);
            before = b',';
            out.extend_from_slice(&member.key);
            let start = out.len();
            match self.heads.turns() == Some(place) {
                true => head.turns = self.writer.turns(&member.shape, out)?,
                false => self.writer.value(&member.shape, out)?,
            }
            if self.heads.at() == Some(place) {
                head.take_time(&out[start..]);
            }
        }
        if self.members.is_empty() {
            out.push(before);
        }
        out.push(b'}');
        Ok(head)
    }
}

impl BlockReader for ParquetReader {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        block.encoding = RowEncoding::Assembled;
        block.first_line = self.line;
        block.is_utf8 = true;
        while block.bytes.len() < BLOCK_BYTES && block.rejects.len() < MOST_REJECTS {
            if !self.next_row()? {
                return Ok(block.first_line < self.line);
            }
            let line = self.line;
            self.line += 1;
            let start = block.bytes.len();
            let id = self
                .id
                .and_then(|column| self.writer.columns[column].text());
            let id: Option<Box<[u8]>> = id.filter(|id| !id.is_empty()).map(Into::into);
            let kind = match self.write_row(&mut block.bytes)? {
                Ok(kind) => kind,
                Err(reason) => {
                    block.bytes.truncate(start);
                    block.rejects.push(Reject { line, reason, id });
                    continue;
                }
            };
            if self.heads != Heads::Unknown {
                let kind = if id.is_some() {
                    kind
                } else {
                    ParsedKind::Unread
                };
                block.parsed.push(ParsedRow {
                    // At most `max_record`, which is below 4 GiB.
                    length: (block.bytes.len() - start) as u32,
                    id: id.unwrap_or_default(),
                    kind,
                });
            }
            block.bytes.push(b'\n');
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
