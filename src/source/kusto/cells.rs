//! The cells of a row, and where values end.

use crate::domain::json::{JsonError, Kind, Scanner, Value};

/// Whether a value at the end of a text is complete without more bytes.
pub fn ends_itself(text: &[u8]) -> bool {
    matches!(text, [.., b'}' | b']' | b'"'])
}

/// White space of JSON.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The place of a cell in its row.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    kind: Kind,
    start: usize,
    end: usize,
    escaped: bool,
}

impl Span {
    /// The cell, in its row.
    pub fn of<'a>(&self, row: &'a [u8]) -> Value<'a> {
        Value {
            kind: self.kind,
            text: &row[self.start..self.end],
            escaped: self.escaped,
        }
    }
}

/// Scans a row and notes its cells; those before a fault stay noted.
pub fn scan_row<'a>(
    scanner: &mut Scanner<'a>,
    spans: &mut Vec<Span>,
    mut pass: impl FnMut(usize, &mut Scanner<'a>) -> Result<Value<'a>, JsonError>,
) -> Result<(), JsonError> {
    scanner.open_array()?;
    while scanner.next_element(spans.is_empty())? {
        let cell = pass(spans.len(), scanner)?;
        let end = scanner.position();
        spans.push(Span {
            kind: cell.kind,
            start: end - cell.text.len(),
            end,
            escaped: cell.escaped,
        });
    }
    Ok(())
}

/// The cells of a row; of one that is broken, those before the fault.
pub fn cells<'a>(
    row: &'a [u8],
    pass: impl FnMut(usize, &mut Scanner<'a>) -> Result<Value<'a>, JsonError>,
) -> Vec<Value<'a>> {
    let mut spans = Vec::with_capacity(16);
    // The cells before a fault are all that is wanted of a broken row.
    let _ = scan_row(&mut Scanner::new(row), &mut spans, pass);
    spans.iter().map(|span| span.of(row)).collect()
}
