//! Values as JSON.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{Int96, Int96Type};
use parquet::errors::{ParquetError, Result};
use parquet::record::{Field, Row};

use super::shape::{Leaf, Shape};
use crate::domain::json;
use crate::domain::json::text;
use crate::domain::record::rename::Renames;
use crate::domain::record::row::MalformedReason;
use crate::domain::record::timestamp;

/// Columns whose text is JSON.
const JSON_COLUMNS: [&str; 2] = ["turnsArray", "trajectory"];

/// Values of a column of 96 bits that are read together.
const BATCH: usize = 1024;

/// The Julian day of 1970-01-01.
const JULIAN_DAY_OF_1970: i128 = 2_440_588;

const NANOSECONDS_IN_A_DAY: i128 = 86_400_000_000_000;

/// The timestamps of 96 bits of one column, in full: the record reader cuts them to milliseconds.
pub struct Int96Values {
    reader: ColumnReaderImpl<Int96Type>,
    values: Vec<Int96>,
    next: usize,
}

impl Int96Values {
    /// Those of a column of a row group; `None` for a column of another type.
    pub fn of(reader: ColumnReader) -> Option<Self> {
        match reader {
            ColumnReader::Int96ColumnReader(reader) => Some(Self {
                reader,
                values: Vec::new(),
                next: 0,
            }),
            _ => None,
        }
    }

    /// The next value that is not null, in nanoseconds since 1970.
    fn next(&mut self) -> Result<i128> {
        while self.next == self.values.len() {
            self.values.clear();
            self.next = 0;
            let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
            let (records, _, _) = self.reader.read_records(
                BATCH,
                Some(&mut definitions),
                Some(&mut repetitions),
                &mut self.values,
            )?;
            if records == 0 {
                return Err(ParquetError::EOF("a column of INT96".to_owned()));
            }
        }
        let value = self.values[self.next];
        self.next += 1;
        let [low, high, day] = [0, 1, 2].map(|at| i128::from(value.data()[at]));
        let of_day = high << 32 | low;
        Ok((day - JULIAN_DAY_OF_1970) * NANOSECONDS_IN_A_DAY + of_day)
    }
}

/// Writes rows.
#[derive(Default)]
pub struct ValueWriter {
    /// Values of INT96 columns, by column number.
    pub int96: Vec<Option<Int96Values>>,
    /// The fault of the current row.
    malformed: Option<MalformedReason>,
    /// A column with bytes that are no text.
    pub no_text: Option<String>,
}

impl ValueWriter {
    /// Writes a row as a JSON object. What it is malformed for stands behind its whole length, so
    /// that a row both too large and malformed is known to be too large.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn row(
        &mut self,
        row: &Row,
        shape: &Shape,
        fields: &Renames,
        out: &mut Vec<u8>,
    ) -> Result<Option<MalformedReason>> {
        let Shape::Group(members) = shape else {
            return Err(no_fit());
        };
        self.malformed = None;
        out.push(b'{');
        for (index, ((name, field), (_, shape))) in row.get_column_iter().zip(members).enumerate() {
            self.key(index, name, out);
            match field {
                Field::Str(content) if JSON_COLUMNS.contains(&fields.name_of(name)) => {
                    self.embedded(content, out);
                }
                field => self.value(field, shape, out)?,
            }
        }
        out.push(b'}');
        Ok(self.malformed)
    }

    /// JSON that comes as text.
    fn embedded(&mut self, content: &str, out: &mut Vec<u8>) {
        if let Err(error) = json::check(content.as_bytes()) {
            self.malformed.get_or_insert(error.into());
        }
        out.extend(content.bytes().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => other,
        }));
    }

    fn key(&self, index: usize, name: &str, out: &mut Vec<u8>) {
        if index > 0 {
            out.push(b',');
        }
        text::write_string(name, out);
        out.push(b':');
    }

    fn value(&mut self, field: &Field, shape: &Shape, out: &mut Vec<u8>) -> Result<()> {
        match (field, shape) {
            (Field::Null, _) => out.extend_from_slice(b"null"),
            (field, Shape::Leaf(leaf)) => self.leaf(field, leaf, out)?,
            (field, Shape::Bare(name, inner)) => {
                out.push(b'{');
                self.key(0, name, out);
                self.value(field, inner, out)?;
                out.push(b'}');
            }
            (Field::Group(row), Shape::Group(members)) => {
                out.push(b'{');
                let members = row.get_column_iter().zip(members);
                for (index, ((name, field), (_, shape))) in members.enumerate() {
                    self.key(index, name, out);
                    self.value(field, shape, out)?;
                }
                out.push(b'}');
            }
            (Field::ListInternal(list), Shape::NestedList(inner)) => match list.elements() {
                [] => out.extend_from_slice(b"[]"),
                [only] => self.value(only, inner, out)?,
                _ => return Err(no_fit()),
            },
            (Field::ListInternal(list), Shape::List(element)) => {
                out.push(b'[');
                for (index, field) in list.elements().iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.value(field, element, out)?;
                }
                out.push(b']');
            }
            (Field::MapInternal(map), Shape::Map(key_shape, value_shape)) => {
                out.push(b'{');
                for (index, (key, value)) in map.entries().iter().enumerate() {
                    let mut name = Vec::new();
                    self.value(key, key_shape, &mut name)?;
                    if index > 0 {
                        out.push(b',');
                    }
                    match name.first() {
                        Some(b'"') => out.extend_from_slice(&name),
                        _ => text::write_string(&String::from_utf8_lossy(&name), out),
                    }
                    out.push(b':');
                    self.value(value, value_shape, out)?;
                }
                out.push(b'}');
            }
            _ => return Err(no_fit()),
        }
        Ok(())
    }

    fn leaf(&mut self, field: &Field, leaf: &Leaf, out: &mut Vec<u8>) -> Result<()> {
        // Numbers that JSON does not know are null, as serde_json writes them.
        let number = |value: serde_json::Result<String>, out: &mut Vec<u8>| {
            out.extend_from_slice(value.as_deref().unwrap_or("null").as_bytes());
        };
        match (field, leaf) {
            (_, Leaf::Int96(column)) => {
                let values = self.int96.get_mut(*column).and_then(Option::as_mut);
                write_instant(values.ok_or_else(no_fit)?.next()?, out);
            }
            (Field::Long(n), Leaf::Timestamp(unit)) => {
                write_instant(i128::from(*n) * i128::from(*unit), out);
            }
            (Field::TimestampMillis(ms), _) => write_instant(i128::from(*ms) * 1_000_000, out),
            (Field::TimestampMicros(us), _) => write_instant(i128::from(*us) * 1000, out),
            (Field::Str(content), Leaf::Json) => self.embedded(content, out),
            (Field::Str(content), _) => text::write_string(content, out),
            (Field::Bytes(bytes), Leaf::Uuid) => text::write_string(&uuid(bytes.data()), out),
            (Field::Bytes(bytes), leaf) => match (std::str::from_utf8(bytes.data()), leaf) {
                (Ok(content), _) => text::write_string(content, out),
                (Err(_), leaf) => {
                    if let Leaf::Bytes(name) = leaf {
                        self.no_text.get_or_insert_with(|| name.clone());
                    }
                    self.malformed.get_or_insert(MalformedReason::InvalidUtf8);
                    text::write_string(&String::from_utf8_lossy(bytes.data()), out);
                }
            },
            (Field::Float(value), _) => number(serde_json::to_string(value), out),
            (Field::Double(value), _) => number(serde_json::to_string(value), out),
            (Field::Float16(value), _) => number(serde_json::to_string(&value.to_f32()), out),
            (
                Field::Date(_) | Field::Decimal(_) | Field::TimeMillis(_) | Field::TimeMicros(_),
                _,
            ) => text::write_string(&field.to_string(), out),
            // Booleans and integers are written as JSON writes them.
            (other, _) => out.extend_from_slice(other.to_string().as_bytes()),
        }
        Ok(())
    }
}

fn write_instant(nanoseconds: i128, out: &mut Vec<u8>) {
    text::write_string(&timestamp::to_text(nanoseconds), out);
}

/// `8-4-4-4-12`
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn no_fit() -> ParquetError {
    ParquetError::General("values that are not as the schema says".to_owned())
}
