//! Parquet: every row becomes one JSON line, its columns in their order.
//!
//! `turnsArray` and `trajectory` may be nested columns or text that holds JSON; such text stands in
//! the line as it is, but for newlines between tokens, which become spaces: a row is a line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::super::{BLOCK_BYTES, BlockReader, Reject, RowBlock, RowForm, SourceError};
use crate::domain::chunk::Piece;
use crate::domain::json;
use crate::domain::rename::Renames;
use crate::domain::row::MalformedReason;
use crate::domain::text;

/// Rows whose columns are decoded together: few, because a row may be large.
const BATCH: usize = 32;

/// Rejects in a block: a file of nothing else must not be read at one go.
const MOST_REJECTS: usize = 1000;

/// Columns whose text is JSON.
const JSON_COLUMNS: [&str; 2] = ["turnsArray", "trajectory"];

fn open(path: &Path) -> Result<SerializedFileReader<File>, SourceError> {
    let file = File::open(path).map_err(|error| SourceError::Io {
        path: path.to_owned(),
        error,
    })?;
    SerializedFileReader::new(file).map_err(|error| damaged(path, &error))
}

/// A decoder's message may quote the data; only its kind is told.
fn damaged(path: &Path, error: &ParquetError) -> SourceError {
    let reason = match error {
        ParquetError::EOF(_) => "it ends too early",
        ParquetError::NYI(_) => "it uses a feature of Parquet that cannot be read",
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

/// Cuts a file into ranges of row groups of about `piece` bytes.
pub fn cuts(path: &Path, bytes: u64, piece: u64) -> Result<Vec<(u64, u64)>, SourceError> {
    let reader = open(path)?;
    let groups = reader.metadata().num_row_groups() as u64;
    let pieces = bytes.div_ceil(piece).clamp(1, groups.max(1));
    Ok((0..pieces)
        .map(|i| (groups * i / pieces, groups * (i + 1) / pieces))
        .collect())
}

/// Reads a range of row groups.
pub struct ParquetReader {
    path: PathBuf,
    file: SerializedFileReader<File>,
    next_group: u64,
    end: u64,
    rows: Option<ReaderIter>,
    /// Logical nanoseconds, which the row reader does not know; by column.
    nanoseconds: Vec<bool>,
    max_record: u64,
    fields: Arc<Renames>,
    line: u64,
}

impl ParquetReader {
    /// Opens a file for some of its row groups.
    ///
    /// # Errors
    /// If it cannot be opened or is no Parquet file.
    pub fn open(path: PathBuf, piece: Piece, max_record: u64) -> Result<Self, SourceError> {
        let file = open(&path)?;
        Ok(Self {
            nanoseconds: nanoseconds(file.metadata()),
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

    /// Tells which columns hold JSON by what their names mean.
    pub fn with_fields(self, fields: Arc<Renames>) -> Self {
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
            self.next_group += 1;
        }
    }

    /// Writes a row as a JSON object; what it cannot be written for.
    fn write_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), MalformedReason> {
        out.push(b'{');
        for (index, (name, field)) in row.get_column_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text::write_string(name, out);
            out.push(b':');
            match field {
                Field::Str(content) if JSON_COLUMNS.contains(&self.fields.name_of(name)) => {
                    json::check(content.as_bytes())?;
                    let one_line = content.bytes().map(|byte| match byte {
                        b'\n' | b'\r' => b' ',
                        other => other,
                    });
                    out.extend(one_line);
                }
                Field::Long(ns) if self.nanoseconds.get(index) == Some(&true) => {
                    write_instant(Timestamp::from_nanosecond(i128::from(*ns)).ok(), out);
                }
                field => write_field(field, out)?,
            }
        }
        out.push(b'}');
        Ok(())
    }
}

fn nanoseconds(metadata: &ParquetMetaData) -> Vec<bool> {
    use parquet::basic::{LogicalType, TimeUnit};
    let is_nanoseconds = |column: &std::sync::Arc<Type>| {
        matches!(
            column.get_basic_info().logical_type_ref(),
            Some(LogicalType::Timestamp(timestamp)) if timestamp.unit == TimeUnit::NANOS
        )
    };
    let root = metadata.file_metadata().schema();
    root.get_fields().iter().map(is_nanoseconds).collect()
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

fn write_instant(at: Option<Timestamp>, out: &mut Vec<u8>) {
    match at {
        Some(at) => text::write_string(&at.to_string(), out),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_field(field: &Field, out: &mut Vec<u8>) -> Result<(), MalformedReason> {
    // Numbers that JSON does not know are null, as serde_json writes them.
    let number = |value: serde_json::Result<String>, out: &mut Vec<u8>| {
        out.extend_from_slice(value.as_deref().unwrap_or("null").as_bytes());
    };
    match field {
        Field::Null => out.extend_from_slice(b"null"),
        Field::Str(content) => text::write_string(content, out),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(content) => text::write_string(content, out),
            Err(_) => return Err(MalformedReason::InvalidUtf8),
        },
        Field::Float(value) => number(serde_json::to_string(value), out),
        Field::Double(value) => number(serde_json::to_string(value), out),
        Field::Float16(value) => number(serde_json::to_string(&value.to_f32()), out),
        Field::TimestampMillis(ms) => write_instant(Timestamp::from_millisecond(*ms).ok(), out),
        Field::TimestampMicros(us) => write_instant(Timestamp::from_microsecond(*us).ok(), out),
        Field::Group(row) => {
            out.push(b'{');
            for (index, (name, field)) in row.get_column_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                text::write_string(name, out);
                out.push(b':');
                write_field(field, out)?;
            }
            out.push(b'}');
        }
        Field::ListInternal(list) => {
            out.push(b'[');
            for (index, field) in list.elements().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_field(field, out)?;
            }
            out.push(b']');
        }
        Field::MapInternal(map) => {
            out.push(b'{');
            for (index, (key, value)) in map.entries().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                match key {
                    Field::Str(name) => text::write_string(name, out),
                    other => text::write_string(&other.to_string(), out),
                }
                out.push(b':');
                write_field(value, out)?;
            }
            out.push(b'}');
        }
        Field::Date(_) | Field::Decimal(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => {
            text::write_string(&field.to_string(), out);
        }
        // Booleans and integers are written as JSON writes them.
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
    Ok(())
}

impl BlockReader for ParquetReader {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        block.form = RowForm::Assembled;
        block.first_line = self.line;
        while block.bytes.len() < BLOCK_BYTES && block.rejects.len() < MOST_REJECTS {
            let Some(row) = self.next_row()? else {
                return Ok(block.first_line < self.line);
            };
            let line = self.line;
            self.line += 1;
            let start = block.bytes.len();
            let written = self.write_row(&row, &mut block.bytes);
            let length = (block.bytes.len() - start) as u64;
            let written = match written {
                Ok(()) if length > self.max_record => Err(MalformedReason::TooLarge),
                other => other,
            };
            if let Err(reason) = written {
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
mod tests {
    use super::*;
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    fn write(path: &Path, trajectories: &[Option<&str>]) {
        let schema = "message m {
            required binary conversationId (UTF8);
            required int64 turnIndex;
            required int64 Timestamp (TIMESTAMP(NANOS,true));
            required double score;
            optional binary trajectory (UTF8);
        }";
        let schema = Arc::new(parse_message_type(schema).expect("a schema"));
        let file = File::create(path).expect("writable");
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a file");
        let n = trajectories.len();
        for group in [&trajectories[..n / 2], &trajectories[n / 2..]] {
            let mut rows = writer.next_row_group().expect("a group");
            while let Some(mut column) = rows.next_column().expect("a column") {
                let count = group.len();
                match column.untyped() {
                    ColumnWriter::Int64ColumnWriter(w) => {
                        drop(w.write_batch(&vec![1_735_689_600_000_000_123; count], None, None));
                    }
                    ColumnWriter::DoubleColumnWriter(w) => {
                        drop(w.write_batch(&vec![f64::NAN; count], None, None));
                    }
                    ColumnWriter::ByteArrayColumnWriter(w) => {
                        let optional = w.get_descriptor().max_def_level() > 0;
                        let texts: Vec<ByteArray> = if optional {
                            group
                                .iter()
                                .flatten()
                                .map(|t| ByteArray::from(*t))
                                .collect()
                        } else {
                            vec![ByteArray::from("é\"x"); count]
                        };
                        let levels: Vec<i16> =
                            group.iter().map(|t| i16::from(t.is_some())).collect();
                        let levels = optional.then_some(&levels[..]);
                        drop(w.write_batch(&texts, levels, None));
                    }
                    _ => unreachable!("the schema has no other columns"),
                }
                column.close().expect("written");
            }
            rows.close().expect("written");
        }
        writer.close().expect("written");
    }

    fn read(path: &Path, start: u64, end: u64) -> (Vec<String>, Vec<Reject>) {
        let piece = Piece {
            file: 0,
            start,
            end,
        };
        let mut reader = ParquetReader::open(path.to_owned(), piece, 1000).expect("good");
        let mut block = RowBlock::default();
        let (mut lines, mut rejects) = (Vec::new(), Vec::new());
        while reader.read_block(&mut block).expect("good") {
            let text = String::from_utf8(block.bytes.clone()).expect("UTF-8");
            lines.extend(text.lines().map(str::to_owned));
            rejects.append(&mut block.rejects);
            block.clear();
        }
        (lines, rejects)
    }

    #[test]
    fn rows_become_json_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        let long = format!("[\"{}\"]", "x".repeat(2000));
        write(
            &path,
            &[Some("[1,\n 2]"), Some("[1] , 2"), None, Some(&long)],
        );
        let (lines, rejects) = read(&path, 0, 2);
        let line = |trajectory: &str| {
            format!(
                r#"{{"conversationId":"é\"x","turnIndex":1735689600000000123,"Timestamp":"2025-01-01T00:00:00.000000123Z","score":null,"trajectory":{trajectory}}}"#
            )
        };
        assert_eq!(lines, [line("[1,  2]"), line("null")]);
        let reject = |line, reason| Reject {
            line,
            reason,
            id: Some("é\"x".as_bytes().into()),
        };
        assert_eq!(
            rejects,
            [
                reject(2, MalformedReason::NotJson),
                reject(4, MalformedReason::TooLarge)
            ]
        );
        assert_eq!(cuts(&path, 100, 50).expect("good"), [(0, 1), (1, 2)]);
        assert_eq!(read(&path, 1, 2).0, [line("null")]);
    }

    #[test]
    fn what_a_column_is_called_says_whether_it_holds_json() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        write(&path, &[Some("[1]"), Some("[2]")]);
        let pairs = [("userMessage", "trajectory"), ("modelMessage", "x")];
        let owned = pairs.map(|(name, path)| (name.to_owned(), path.to_owned()));
        let fields = Arc::new(Renames::new(owned).expect("good"));
        let piece = Piece {
            file: 0,
            start: 0,
            end: 2,
        };
        let reader = ParquetReader::open(path, piece, 1000).expect("good");
        let mut block = RowBlock::default();
        reader
            .with_fields(fields)
            .read_block(&mut block)
            .expect("good");
        let text = String::from_utf8_lossy(&block.bytes);
        assert!(text.contains(r#""trajectory":"[1]""#), "{text}");
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        write(&path, &[None; 4]);
        let good = std::fs::read(&path).expect("a file");
        for bad in [&good[..good.len() / 2], b"", b"PAR1"] {
            std::fs::write(&path, bad).expect("writable");
            let error = cuts(&path, 1, 1).expect_err("damaged").to_string();
            assert!(error.contains("a.parquet is damaged"), "{error}");
        }
    }
}
