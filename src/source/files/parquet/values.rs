//! Values of columns as JSON.

use parquet::data_type::{ByteArray, Int96};
use parquet::errors::{ParquetError, Result};
use parquet::record::Field;

use super::columns::{Column, Single};
use super::shape::{Leaf, Member, Shape};
use crate::domain::json::text;
use crate::domain::json::{self, Kind, MAX_DEPTH, Scanner};
use crate::domain::record::row::MalformedReason;
use crate::domain::record::timestamp;
use crate::domain::record::validation::Turns;

/// The Julian day of 1970-01-01.
const JULIAN_DAY_OF_1970: i128 = 2_440_588;

const NANOSECONDS_IN_A_DAY: i128 = 86_400_000_000_000;

/// In the error of a text column with bytes that are no UTF-8.
pub const NO_TEXT: &str = "no UTF-8 in a text column";

/// Writes values of a row group.
#[derive(Default)]
pub struct ValueWriter {
    /// All columns of the row group.
    pub columns: Vec<Column>,
    /// The fault of the current row.
    pub malformed: Option<MalformedReason>,
    /// Whether JSON in the current row is nested so deep that the row may be malformed for it.
    pub is_deep: bool,
    /// A column with bytes that are no text.
    pub no_text: Option<String>,
}

impl ValueWriter {
    /// Makes sure that the next row of each column is decoded.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn next_row(&mut self) -> Result<()> {
        self.malformed = None;
        self.is_deep = false;
        self.columns.iter_mut().try_for_each(Column::next_row)
    }

    /// Writes a value. What the row is malformed for is noted; the value stands in its whole length nevertheless, so
    /// that a row both too large and malformed is known to be too large.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn value(&mut self, shape: &Shape, out: &mut Vec<u8>) -> Result<()> {
        match shape {
            Shape::Leaf(column, leaf) => return self.leaf(*column, leaf, out),
            Shape::Group(members) => self.group(members, out)?,
            Shape::Optional(present, shape) => {
                let columns = present.columns.clone();
                if self.columns[columns.start].definition() >= present.definition {
                    return self.value(shape, out);
                }
                self.columns[columns].iter_mut().for_each(Column::pass);
                out.extend_from_slice(b"null");
            }
            Shape::List(present, level, element) => {
                out.push(b'[');
                let columns = present.columns.clone();
                self.elements(columns, present.definition, *level, out, |writer, out| {
                    writer.value(element, out)
                })?;
                out.push(b']');
            }
            Shape::Map(present, level, key, value) => {
                out.push(b'{');
                let columns = present.columns.clone();
                let mut name = Vec::new();
                self.elements(columns, present.definition, *level, out, |writer, out| {
                    name.clear();
                    writer.value(key, &mut name)?;
                    match name.first() {
                        Some(b'"') => out.extend_from_slice(&name),
                        _ => text::write_string(&String::from_utf8_lossy(&name), out),
                    }
                    out.push(b':');
                    writer.value(value, out)
                })?;
                out.push(b'}');
            }
        }
        Ok(())
    }

    /// Writes an object.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn group(&mut self, members: &[Member], out: &mut Vec<u8>) -> Result<()> {
        let mut before = b'{';
        for member in members {
            out.push(before);
            before = b',';
            out.extend_from_slice(&member.key);
            self.value(&member.shape, out)?;
        }
        if members.is_empty() {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }

    /// Writes the elements of a list with commas between.
    fn elements(
        &mut self,
        columns: std::ops::Range<usize>,
        definition: i16,
        level: i16,
        out: &mut Vec<u8>,
        mut element: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let first = columns.start;
        if self.columns[first].definition() < definition {
            self.columns[columns].iter_mut().for_each(Column::pass);
            return Ok(());
        }
        loop {
            element(self, out)?;
            if self.columns[first].repetition() < level {
                return Ok(());
            }
            out.push(b',');
        }
    }

    /// Text that is JSON.
    fn embedded(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let content = as_text(content)?.as_bytes();
        let mut scanner = Scanner::with_max_depth(content, MAX_DEPTH - 1);
        if scanner.value().and_then(|_| scanner.end()).is_err() {
            self.judge(content);
        }
        write_json(content, out);
        Ok(())
    }

    /// Looks again at JSON that cannot be read as a value of a row.
    fn judge(&mut self, content: &[u8]) {
        match json::check(content) {
            Ok(()) => self.is_deep = true,
            Err(error) => drop(self.malformed.get_or_insert(error.into())),
        }
    }

    /// Writes the value of `turnsArray`; the number of its turns, if all of them are good.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn turns(&mut self, shape: &Shape, out: &mut Vec<u8>) -> Result<Option<u32>> {
        let start = out.len();
        let (Shape::Leaf(column, Leaf::Json), is_there) = self.present(shape) else {
            self.value(shape, out)?;
            return Ok(read_turns(&out[start..]));
        };
        if !is_there {
            self.value(shape, out)?;
            return Ok(None);
        }
        let (_, single) = self.columns[*column].take()?;
        let Single::Bytes(content) = single else {
            return Err(ParquetError::General("no text in a text column".to_owned()));
        };
        let content = content.clone();
        let content = as_text(content.data())?.as_bytes();
        let turns = read_turns(content);
        if turns.is_none() {
            self.judge(content);
        }
        write_json(content, out);
        Ok(turns)
    }

    /// What a value is where it is there, and whether it is.
    fn present<'s>(&self, shape: &'s Shape) -> (&'s Shape, bool) {
        match shape {
            Shape::Optional(present, shape) => {
                let definition = self.columns[present.columns.start].definition();
                (shape, definition >= present.definition)
            }
            shape => (shape, true),
        }
    }

    fn leaf(&mut self, column: usize, leaf: &Leaf, out: &mut Vec<u8>) -> Result<()> {
        let (descriptor, single) = self.columns[column].take()?;
        let field = match (single, leaf) {
            (Single::Int64(value), Leaf::Integer) => return write_integer(value, out),
            (Single::Int32(value), Leaf::Integer) => return write_integer(value.into(), out),
            (Single::Int64(value), Leaf::Timestamp(unit)) => {
                return write_instant(i128::from(value) * i128::from(*unit), out);
            }
            (Single::Int96(value), _) => return write_instant(nanoseconds(value), out),
            (Single::Bytes(value), Leaf::Text) => {
                text::write_string(as_text(value.data())?, out);
                return Ok(());
            }
            (Single::Bytes(value), Leaf::Json) => {
                let value = value.clone();
                return self.embedded(value.data(), out);
            }
            (Single::Fixed(value), Leaf::Uuid) => {
                text::write_string(&uuid(value.data()), out);
                return Ok(());
            }
            (Single::Bytes(value), Leaf::Bytes(name)) => {
                let value = value.clone();
                self.bytes(value.data(), name, out);
                return Ok(());
            }
            (Single::Fixed(value), Leaf::Bytes(name)) => {
                let value = value.clone();
                self.bytes(value.data(), name, out);
                return Ok(());
            }
            (Single::Bool(value), _) => Field::Bool(value),
            (Single::Float(value), _) => Field::Float(value),
            (Single::Double(value), _) => Field::Double(value),
            (Single::Int32(value), _) => Field::convert_int32(descriptor, value),
            (Single::Int64(value), _) => Field::convert_int64(descriptor, value),
            (Single::Bytes(value), _) => Field::convert_byte_array(descriptor, value.clone())?,
            (Single::Fixed(value), _) => {
                let value = ByteArray::from(value.data().to_vec());
                Field::convert_byte_array(descriptor, value)?
            }
        };
        write_field(&field, out);
        Ok(())
    }

    /// Bytes that may be text.
    fn bytes(&mut self, bytes: &[u8], name: &str, out: &mut Vec<u8>) {
        match simdutf8::basic::from_utf8(bytes) {
            Ok(content) => text::write_string(content, out),
            Err(_) => {
                self.no_text.get_or_insert_with(|| name.to_owned());
                self.malformed.get_or_insert(MalformedReason::InvalidUtf8);
                text::write_string(&String::from_utf8_lossy(bytes), out);
            }
        }
    }
}

/// The number of turns of a value of `turnsArray`, if it is an array of objects without a field twice.
fn read_turns(content: &[u8]) -> Option<u32> {
    let mut scanner = Scanner::with_max_depth(content, MAX_DEPTH - 1);
    if scanner.kind().ok()? != Kind::Array {
        return None;
    }
    let turns = Turns::read(&mut scanner).ok()?;
    scanner.end().ok()?;
    // A row of 4 GiB has fewer turns.
    (!turns.no_object && !turns.duplicate).then_some(turns.count as u32)
}

/// Writes JSON on one line, with room for what follows it: else a large row would be copied for that.
fn write_json(content: &[u8], out: &mut Vec<u8>) {
    out.reserve(content.len() + 4096);
    text::write_on_one_line(content, out);
}

fn as_text(bytes: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| ParquetError::General(NO_TEXT.to_owned()))
}

/// A value that is neither text nor a plain integer nor an instant.
fn write_field(field: &Field, out: &mut Vec<u8>) {
    // Numbers that JSON does not know are null, as serde_json writes them.
    let number = |value: serde_json::Result<String>, out: &mut Vec<u8>| {
        out.extend_from_slice(value.as_deref().unwrap_or("null").as_bytes());
    };
    match field {
        Field::Float(value) => number(serde_json::to_string(value), out),
        Field::Double(value) => number(serde_json::to_string(value), out),
        Field::Float16(value) => number(serde_json::to_string(&value.to_f32()), out),
        Field::Date(_) | Field::Decimal(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => {
            text::write_string(&field.to_string(), out);
        }
        // Booleans and integers are written as JSON writes them.
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) -> Result<()> {
    text::write_integer(value, out);
    Ok(())
}

fn write_instant(nanoseconds: i128, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'"');
    timestamp::write(nanoseconds, out);
    out.push(b'"');
    Ok(())
}

/// In full: the crate's own conversions cut or wrap what is far from 1970.
fn nanoseconds(value: &Int96) -> i128 {
    let [low, high, day] = [0, 1, 2].map(|at| i128::from(value.data()[at]));
    let of_day = high << 32 | low;
    (day - JULIAN_DAY_OF_1970) * NANOSECONDS_IN_A_DAY + of_day
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
