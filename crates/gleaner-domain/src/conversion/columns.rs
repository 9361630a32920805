//! A converted record as columns, which become a line of JSON or a row of Parquet.

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

/// A record as it is written: the cells that it has, in the order of columns.
#[derive(Default)]
pub struct Row {
    bytes: Vec<u8>,
    /// The columns that are there, and where each begins.
    cells: Vec<(Column, usize)>,
}

debug_lengths!(Row { cells } lengths { bytes });

impl Row {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.cells.clear();
    }

    /// Begins a cell, whose JSON is appended to what this returns.
    pub(super) fn cell(&mut self, column: Column) -> &mut Vec<u8> {
        self.cells.push((column, self.bytes.len()));
        &mut self.bytes
    }

    /// Its cells.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let ends = self.cells.iter().skip(1).map(|&(_, start)| start);
        let ends = ends.chain([self.bytes.len()]);
        self.cells
            .iter()
            .zip(ends)
            .map(|(&(column, start), end)| Cell {
                column,
                json: &self.bytes[start..end],
            })
    }

    /// Its length as [`Self::write_json`] writes it.
    pub fn json_length(&self) -> usize {
        let names: usize = self
            .cells
            .iter()
            .map(|(column, _)| column.name.len() + 4)
            .sum();
        self.bytes.len() + names + 1
    }

    /// Appends it as a JSON object on one line, without the line's end.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.reserve(self.bytes.len() + 32 * self.cells.len() + 1);
        for (place, cell) in self.cells().enumerate() {
            out.extend_from_slice(if place == 0 { b"{\"" } else { b",\"" });
            out.extend_from_slice(cell.column.name.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(cell.json);
        }
        out.push(b'}');
    }
}
