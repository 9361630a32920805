//! Rows as Parquet: JSON stands in columns of the logical type JSON, lists of it in lists; or, for a loader that
//! knows no such type, members of objects stand in columns of their own.
//!
//! Sources: <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md> (JSON, LIST); datasets
//! 4.8 and later read both back as the values that they are.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::domain::conversion::Row;
use crate::domain::conversion::shape::Shape;

mod nested;

use nested::Nested;

/// Bytes of records, as JSON, in one group of rows: far below the 100 MB that loaders hold at once.
const GROUP_BYTES: u64 = 16 << 20;

/// Bytes of one page of a column.
const PAGE_BYTES: usize = 1 << 20;

/// Rows on their way into a file.
pub struct ParquetRows {
    columns: Vec<Nested>,
    /// Whether a list that is absent is an empty one: verl ends at one that is null.
    has_all_lists: bool,
    writer: SerializedFileWriter<Drain>,
    written: Drain,
    bytes: u64,
}

impl ParquetRows {
    /// An empty file with these columns.
    pub fn new(
        columns: &[(&'static str, Shape)],
        has_all_lists: bool,
    ) -> Result<Self, ParquetError> {
        let columns = columns.iter();
        let columns: Vec<_> = columns
            .map(|(name, shape)| Nested::new(name, shape.clone()))
            .collect();
        let fields = columns.iter().map(Nested::field);
        let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("schema")
            .with_fields(fields)
            .build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(PAGE_BYTES)
            .set_created_by(concat!("gleaner version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let written = Drain::default();
        let writer =
            SerializedFileWriter::new(written.clone(), Arc::new(schema), Arc::new(properties))?;
        Ok(Self {
            columns,
            has_all_lists,
            writer,
            written,
            bytes: 0,
        })
    }

    /// Appends a row of `length` bytes as JSON; gives what is to be written now.
    pub fn append(&mut self, row: &Row, length: u64) -> Result<Vec<u8>, ParquetError> {
        for column in &mut self.columns {
            let cell = row.cells().find(|cell| cell.column.name == column.name);
            let absent = (self.has_all_lists && column.is_list()).then_some(&b"[]"[..]);
            column.append(cell.map(|cell| cell.json).or(absent));
        }
        self.bytes += length;
        if self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(self.written.take())
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        self.bytes = 0;
        Ok(())
    }

    /// Writes what is left and the file's end.
    pub fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        if self.bytes > 0 {
            self.write_group()?;
        }
        self.writer.close()?;
        Ok(self.written.take())
    }
}

/// Bytes that were written and not taken yet.
#[derive(Clone, Default)]
struct Drain(Arc<Mutex<Vec<u8>>>);

impl Drain {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Drain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
