//! Rows as Parquet: JSON stands in columns of the logical type JSON, lists of it in lists.
//!
//! Sources: <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md> (JSON, LIST); datasets
//! 4.8 and later read both back as the values that they are.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::basic::{
    Compression, ConvertedType, LogicalType, Repetition, Type as Physical, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use crate::domain::conversion::{Cell, Column, ColumnKind, Preset, Row};
use crate::domain::json::{Kind, Scanner, Value, text};

/// Bytes of records, as JSON, in one group of rows: far below the 100 MB that loaders hold at once.
const GROUP_BYTES: u64 = 16 << 20;

/// Bytes of one page of a column.
const PAGE_BYTES: usize = 1 << 20;

/// Rows on their way into a file.
pub struct ParquetRows {
    columns: Vec<Values>,
    writer: SerializedFileWriter<Drain>,
    written: Drain,
    bytes: u64,
}

/// The values of a column in one group of rows.
struct Values {
    column: Column,
    texts: Vec<ByteArray>,
    numbers: Vec<i64>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl ParquetRows {
    /// An empty file with the columns of a preset.
    pub fn new(preset: Preset) -> Result<Self, ParquetError> {
        let columns = preset.columns();
        let fields: Vec<_> = columns.iter().map(field).collect::<Result<_, _>>()?;
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
            columns: columns.into_iter().map(Values::new).collect(),
            writer,
            written,
            bytes: 0,
        })
    }

    /// Appends a row of `length` bytes as JSON; gives what is to be written now.
    pub fn append(&mut self, row: &Row, length: u64) -> Result<Vec<u8>, ParquetError> {
        for values in &mut self.columns {
            let cell = row
                .cells()
                .find(|cell| cell.column.name == values.column.name);
            values.append(cell.as_ref());
        }
        self.bytes += length;
        if self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(self.written.take())
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for values in &mut self.columns {
            let Some(mut column) = group.next_column()? else {
                break;
            };
            let definitions = Some(values.definitions.as_slice());
            let repetitions = (values.column.kind == ColumnKind::JsonList)
                .then_some(values.repetitions.as_slice());
            match values.column.kind {
                ColumnKind::Integer => {
                    column
                        .typed::<Int64Type>()
                        .write_batch(&values.numbers, definitions, None)?;
                }
                _ => {
                    column.typed::<ByteArrayType>().write_batch(
                        &values.texts,
                        definitions,
                        repetitions,
                    )?;
                }
            }
            column.close()?;
            values.clear();
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

/// The type of a column; every one may be absent.
fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    let bytes = |name: &str, logical, converted| {
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(logical))
            .with_converted_type(converted)
            .build()
    };
    let json = |name: &str| bytes(name, LogicalType::Json, ConvertedType::JSON);
    let field = match column.kind {
        ColumnKind::Json => json(column.name)?,
        ColumnKind::Text => bytes(column.name, LogicalType::String, ConvertedType::UTF8)?,
        ColumnKind::Integer => Type::primitive_type_builder(column.name, Physical::INT64)
            .with_repetition(Repetition::OPTIONAL)
            .build()?,
        ColumnKind::JsonList => {
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(json("element")?)])
                .build()?;
            Type::group_type_builder(column.name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_converted_type(ConvertedType::LIST)
                .with_fields(vec![Arc::new(list)])
                .build()?
        }
    };
    Ok(Arc::new(field))
}

impl Values {
    fn new(column: Column) -> Self {
        Self {
            column,
            texts: Vec::new(),
            numbers: Vec::new(),
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.numbers.clear();
        self.definitions.clear();
        self.repetitions.clear();
    }

    /// Definition levels: of a value 0 absent, 1 there; of a list 0 absent, 1 empty, 3 an element.
    fn append(&mut self, cell: Option<&Cell<'_>>) {
        let Some(cell) = cell else {
            self.definitions.push(0);
            self.repetitions.push(0);
            return;
        };
        match self.column.kind {
            ColumnKind::JsonList => self.append_list(cell.json),
            ColumnKind::Json => self.texts.push(ByteArray::from(cell.json.to_vec())),
            ColumnKind::Text => self.texts.push(decoded(cell.json)),
            ColumnKind::Integer => {
                let number = std::str::from_utf8(cell.json)
                    .ok()
                    .and_then(|text| text.parse().ok());
                self.numbers.push(number.unwrap_or_default());
            }
        }
        if self.column.kind != ColumnKind::JsonList {
            self.definitions.push(1);
            self.repetitions.push(0);
        }
    }

    fn append_list(&mut self, json: &[u8]) {
        let before = self.texts.len();
        let read = Scanner::of_checked(json).each_element(|scanner| {
            let Value { text, .. } = scanner.value()?;
            self.repetitions.push(i16::from(self.texts.len() > before));
            self.definitions.push(3);
            self.texts.push(ByteArray::from(text.to_vec()));
            Ok(())
        });
        debug_assert!(read.is_ok(), "a preset writes JSON");
        if self.texts.len() == before {
            self.definitions.push(1);
            self.repetitions.push(0);
        }
    }
}

/// The text of a JSON string.
fn decoded(json: &[u8]) -> ByteArray {
    let value = Value {
        kind: Kind::String,
        text: json,
        escaped: true,
    };
    let mut out = Vec::with_capacity(json.len());
    text::decode(value.string_body().unwrap_or_default(), &mut out);
    ByteArray::from(out)
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
