//! Columns of a row group, decoded a page at a time.
//!
//! What is decoded of a column are the rows of one page at most, so that what a file holds decides how much is in
//! memory, and never how many rows there are. Texts are not copied: they lie in their page.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

/// Rows that are decoded at once at most.
const MOST_ROWS: usize = 1024;

/// A column of a row group of so many bytes is decoded at once: thousands of columns must not each keep what it takes
/// to go on with them (150 KB for zstd).
const SMALL_COLUMN: i64 = 16 * 1024;

/// What is known of the page that is being decoded.
#[derive(Debug, Default)]
struct PageState {
    /// Pages with values so far.
    pages: AtomicU64,
    /// Levels of the page: rows, if the column is not in a list.
    levels: AtomicUsize,
}

/// Reads pages and says what they are.
struct Pages {
    inner: SerializedPageReader<File>,
    state: Arc<PageState>,
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        if let Some(page) = page.as_ref().filter(|page| page.is_data_page()) {
            // Values of this encoding are copied, and may be much longer than their page.
            let is_copied = page.encoding() == Encoding::DELTA_BYTE_ARRAY;
            let levels = if is_copied {
                0
            } else {
                page.num_values() as usize
            };
            self.state.levels.store(levels, Ordering::Relaxed);
            self.state.pages.fetch_add(1, Ordering::Relaxed);
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.inner.take_deferred_dictionary()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

/// A column's decoder and the values it has decoded.
struct Typed<T: DataType> {
    /// None once all is decoded.
    reader: Option<ColumnReaderImpl<T>>,
    values: Vec<T::T>,
}

/// Values of one of the physical types.
enum Values {
    Bool(Typed<parquet::data_type::BoolType>),
    Int32(Typed<parquet::data_type::Int32Type>),
    Int64(Typed<parquet::data_type::Int64Type>),
    Int96(Typed<parquet::data_type::Int96Type>),
    Float(Typed<parquet::data_type::FloatType>),
    Double(Typed<parquet::data_type::DoubleType>),
    Bytes(Typed<parquet::data_type::ByteArrayType>),
    Fixed(Typed<parquet::data_type::FixedLenByteArrayType>),
}

/// A single value.
#[derive(Clone, Copy)]
pub enum Single<'a> {
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Int96(&'a Int96),
    Float(f32),
    Double(f64),
    Bytes(&'a ByteArray),
    Fixed(&'a FixedLenByteArray),
}

/// A column of a row group, at one of its levels.
pub struct Column {
    descriptor: ColumnDescPtr,
    values: Values,
    /// How deep each decoded level is defined; none if the column is required.
    definitions: Vec<i16>,
    /// In which list each decoded level goes on; none if the column is in no list.
    repetitions: Vec<i16>,
    /// The decoded level and value at which the column is.
    level: usize,
    value: usize,
    /// Levels that were decoded.
    levels: usize,
    pages: Arc<PageState>,
    /// The number of the page, and levels decoded of it.
    page: (u64, usize),
}

/// Runs the same on whatever type the values have.
macro_rules! each {
    ($values:expr, $typed:ident => $body:expr) => {
        match $values {
            Values::Bool($typed) => $body,
            Values::Int32($typed) => $body,
            Values::Int64($typed) => $body,
            Values::Int96($typed) => $body,
            Values::Float($typed) => $body,
            Values::Double($typed) => $body,
            Values::Bytes($typed) => $body,
            Values::Fixed($typed) => $body,
        }
    };
}

impl Values {
    #[inline]
    fn get(&self, at: usize) -> Option<Single<'_>> {
        match self {
            Self::Bool(typed) => typed.values.get(at).map(|value| Single::Bool(*value)),
            Self::Int32(typed) => typed.values.get(at).map(|value| Single::Int32(*value)),
            Self::Int64(typed) => typed.values.get(at).map(|value| Single::Int64(*value)),
            Self::Int96(typed) => typed.values.get(at).map(Single::Int96),
            Self::Float(typed) => typed.values.get(at).map(|value| Single::Float(*value)),
            Self::Double(typed) => typed.values.get(at).map(|value| Single::Double(*value)),
            Self::Bytes(typed) => typed.values.get(at).map(Single::Bytes),
            Self::Fixed(typed) => typed.values.get(at).map(Single::Fixed),
        }
    }
}

impl Column {
    /// A column of a row group, before its first row.
    ///
    /// # Errors
    /// If its codec is not supported.
    pub fn open(file: &Arc<File>, group: &RowGroupMetaData, number: usize) -> Result<Self> {
        let chunk = group.column(number);
        let descriptor = chunk.column_descr_ptr();
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = Arc::new(PageState::default());
        let inner = SerializedPageReader::new(Arc::clone(file), chunk, rows, None)?;
        let reader = Pages {
            inner,
            state: Arc::clone(&pages),
        };
        macro_rules! typed {
            ($variant:ident, $reader:expr) => {
                Values::$variant(Typed {
                    reader: Some($reader),
                    values: Vec::new(),
                })
            };
        }
        let reader = get_column_reader(Arc::clone(&descriptor), Box::new(reader));
        let values = match reader {
            ColumnReader::BoolColumnReader(reader) => typed!(Bool, reader),
            ColumnReader::Int32ColumnReader(reader) => typed!(Int32, reader),
            ColumnReader::Int64ColumnReader(reader) => typed!(Int64, reader),
            ColumnReader::Int96ColumnReader(reader) => typed!(Int96, reader),
            ColumnReader::FloatColumnReader(reader) => typed!(Float, reader),
            ColumnReader::DoubleColumnReader(reader) => typed!(Double, reader),
            ColumnReader::ByteArrayColumnReader(reader) => typed!(Bytes, reader),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => typed!(Fixed, reader),
        };
        let mut column = Self {
            descriptor,
            values,
            definitions: Vec::new(),
            repetitions: Vec::new(),
            level: 0,
            value: 0,
            levels: 0,
            pages,
            page: (0, 0),
        };
        if is_small(chunk) {
            while column.levels < rows {
                column.decode_first()?;
                column.decode_rows(rows - column.levels)?;
            }
            each!(&mut column.values, typed => typed.reader = None);
        }
        Ok(column)
    }

    /// Makes sure that the next row is decoded.
    ///
    /// # Errors
    /// If the column is damaged, or ends before the rows of its group do.
    #[inline]
    pub fn next_row(&mut self) -> Result<()> {
        match self.level < self.levels {
            // A list's levels are all those of its row.
            true if self.descriptor.max_rep_level() > 0 => Err(ParquetError::General(
                "lists of different lengths in one".to_owned(),
            )),
            true => Ok(()),
            false => self.decode(),
        }
    }

    fn decode(&mut self) -> Result<()> {
        (self.level, self.value, self.levels) = (0, 0, 0);
        empty(&mut self.definitions);
        empty(&mut self.repetitions);
        each!(&mut self.values, typed => empty(&mut typed.values));
        if self.descriptor.max_rep_level() > 0 {
            // How long a list is shows only when it is decoded.
            return self.decode_first();
        }
        let left = self.left_in_page();
        if left == 0 {
            self.decode_first()?;
        }
        let more = self.left_in_page().min(MOST_ROWS);
        self.decode_rows(more).map(drop)
    }

    /// Levels of the page that are not decoded.
    fn left_in_page(&self) -> usize {
        let levels = self.pages.levels.load(Ordering::Relaxed);
        levels.saturating_sub(self.page.1)
    }

    /// Decodes one row, perhaps of the next page. (A page without any ends what is read at once.)
    fn decode_first(&mut self) -> Result<()> {
        loop {
            let before = self.pages.pages.load(Ordering::Relaxed);
            if self.decode_rows(1)? > 0 {
                return Ok(());
            }
            if before == self.pages.pages.load(Ordering::Relaxed) {
                return Err(ParquetError::EOF("a column".to_owned()));
            }
        }
    }

    fn decode_rows(&mut self, rows: usize) -> Result<usize> {
        if rows == 0 {
            return Ok(0);
        }
        let (definitions, repetitions) = (&mut self.definitions, &mut self.repetitions);
        let (records, _, levels) = each!(&mut self.values, typed => match &mut typed.reader {
            Some(reader) => {
                let values = &mut typed.values;
                reader.read_records(rows, Some(definitions), Some(repetitions), values)?
            }
            None => (0, 0, 0),
        });
        self.levels += levels;
        let page = self.pages.pages.load(Ordering::Relaxed);
        self.page = match self.page.0 == page {
            true => (page, self.page.1 + levels),
            false => (page, levels),
        };
        Ok(records)
    }

    /// How deep the current level is defined.
    #[inline]
    pub fn definition(&self) -> i16 {
        self.definitions.get(self.level).copied().unwrap_or(0)
    }

    /// In which list the current level goes on; none behind the last of a row.
    #[inline]
    pub fn repetition(&self) -> i16 {
        self.repetitions.get(self.level).copied().unwrap_or(0)
    }

    /// The current value of a column that is in no list, if it is there.
    pub fn current(&self) -> Option<Single<'_>> {
        let is_there = self.definition() == self.descriptor.max_def_level();
        is_there.then(|| self.values.get(self.value)).flatten()
    }

    /// The current value of a column of text that is in no list, if it is there.
    pub fn text(&self) -> Option<&[u8]> {
        match self.current()? {
            Single::Bytes(value) => Some(value.data()),
            _ => None,
        }
    }

    /// Passes a level without a value.
    #[inline]
    pub fn pass(&mut self) {
        self.level += 1;
    }

    /// The current value, which is passed, and the column's type.
    ///
    /// # Errors
    /// If there is none: the column is damaged.
    #[inline]
    pub fn take(&mut self) -> Result<(&ColumnDescPtr, Single<'_>)> {
        let at = self.value;
        self.value += 1;
        self.level += 1;
        let single = self.values.get(at);
        let single = single.ok_or_else(|| ParquetError::EOF("a column".to_owned()))?;
        Ok((&self.descriptor, single))
    }
}

fn is_small(column: &ColumnChunkMetaData) -> bool {
    let may_grow = column
        .encodings()
        .any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY);
    let is_in_list = column.column_descr().max_rep_level() > 0;
    column.uncompressed_size() <= SMALL_COLUMN && !may_grow && !is_in_list
}

/// Empties a buffer. What a long list has made it is let go.
fn empty<T>(buffer: &mut Vec<T>) {
    buffer.clear();
    buffer.shrink_to(2 * MOST_ROWS);
}
