//! A converted record as columns, which become a line of JSON or a row of Parquet.

use super::shape::Shape;
use crate::debug_lengths;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A JSON value.
    Json,
    /// A JSON array.
    JsonList,
    /// A text.
    Text,
    /// A whole number.
    Integer,
}

impl ColumnKind {
    /// The shape of a column that holds nothing else.
    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Json => Shape::Json,
            Self::JsonList => Shape::List(Box::new(Shape::Json)),
            Self::Text => Shape::Text,
            Self::Integer => Shape::Integer,
        }
    }
}

/// What stands around a key: `,"` and `":`.
const KEY: usize = 4;

/// What stands behind a record's last cell: `}`.
const END: usize = 1;

/// A column of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

impl Column {
    pub(super) const fn new(name: &'static str, kind: ColumnKind) -> Self {
        Self { name, kind }
    }
}

/// A cell of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cell<'r> {
    /// Its column.
    pub column: Column,
    /// Its JSON, on one line.
    pub json: &'r [u8],
}

debug_lengths!(Cell<'_> { column } lengths { json });

/// Records as they are written: JSON objects on one line each, one behind the other. Of the last one it
/// is known where its cells lie, in the order of columns.
#[derive(Default)]
pub struct Row {
    bytes: Vec<u8>,
    /// Where the record begins.
    start: usize,
    /// The columns that are there, and where each begins.
    cells: Vec<(Column, usize)>,
}

debug_lengths!(Row { start, cells } lengths { bytes });

impl Row {
    /// No record, in a buffer whose memory is used.
    pub fn in_buffer(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// Begins a record behind the bytes that are there.
    pub(super) fn begin(&mut self) {
        self.start = self.bytes.len();
        self.cells.clear();
    }

    /// Begins a cell, whose JSON is appended to what this returns.
    pub(super) fn cell(&mut self, column: Column) -> &mut Vec<u8> {
        let before: &[u8] = if self.cells.is_empty() {
            b"{\""
        } else {
            b",\""
        };
        self.bytes.extend_from_slice(before);
        self.bytes.extend_from_slice(column.name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
        self.cells.push((column, self.bytes.len()));
        &mut self.bytes
    }

    /// Ends the record.
    pub(super) fn end(&mut self) {
        self.bytes.push(b'}');
    }

    /// The cells of the last record.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let next = self.cells.iter().skip(1);
        let ends = next.map(|(column, start)| start - column.name.len() - KEY);
        let ends = ends.chain([self.bytes.len() - END]);
        self.cells
            .iter()
            .zip(ends)
            .map(|(&(column, start), end)| Cell {
                column,
                json: &self.bytes[start..end],
            })
    }

    /// The last record as a JSON object on one line, without the line's end.
    pub fn json(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Appends what stands between records.
    pub fn separate(&mut self, between: &str) {
        self.bytes.extend_from_slice(between.as_bytes());
    }

    /// The length of all records and of what stands between them.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// All records.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
