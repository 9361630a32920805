//! The document that the query API of Azure Monitor answers with:
//! `{"tables":[{"name":..,"columns":[{"name":..,"type":..}],"rows":[[..],..]}]}`.
//!
//! Every row of every table becomes a line, an object whose keys are the names of the columns. The
//! document is read as a stream: one row is held at a time, and at most `limits.max_record` bytes of
//! it; a larger one is a reject. Rows are numbered from 1 through all tables.
//!
//! A document that says that it is not the whole answer (`error`, though the request succeeded) is an
//! error, as is one that is cut off or has a row with more or fewer cells than its table has columns.

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, MutexGuard};

use super::super::{BLOCK_BYTES, BlockReader, Reject, RowBlock, RowEncoding, SourceError};
use super::extent::{Extent, extent, is_space, push_one_line};
use super::reading::{BOM, Input, TextStream};
use super::{LargeRow, MOST_REJECTS, RowLimits, readable_id, take_large};
use crate::domain::json::{JsonError, Kind, NotAValue, Scanner, Skip};
use crate::domain::record::row::MalformedReason;
use crate::secrets::redacted;

/// Bytes of an error's message that are shown.
const MESSAGE: usize = 200;

/// Whether a text that begins so is such a document.
pub fn is_document(head: &[u8]) -> bool {
    let mut scanner = Scanner::new(head);
    let mut has_error = false;
    let mut first = true;
    if scanner.open_object().is_err() {
        return false;
    }
    while let Ok(Some(key)) = scanner.next_key(std::mem::take(&mut first)) {
        match key.text {
            b"\"tables\"" => return scanner.kind() == Ok(Kind::Array),
            b"\"error\"" => has_error = scanner.kind() == Ok(Kind::Object),
            b"\"statistics\"" | b"\"render\"" => {}
            _ => return false,
        }
        if scanner.value().is_err() {
            return false;
        }
    }
    has_error && scanner.end().is_ok()
}

/// The state of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the document.
    Start,
    /// Among the members of the document; whether before the first.
    Document(bool),
    /// Among the tables.
    Tables(bool),
    /// Among the members of a table.
    Table(bool),
    /// Among the rows of a table.
    Rows(bool),
    /// Behind the document.
    End,
}

/// Held while a row is that is larger than a block.
type Guard<'a> = Option<MutexGuard<'a, ()>>;

/// Reads the rows of a document.
pub struct DocumentReader<R> {
    input: Input<R>,
    limits: RowLimits,
    state: State,
    /// The names of the table's columns as they stand, with their quotes; `None` before they came.
    columns: Option<Vec<Vec<u8>>>,
    /// The bytes read and not consumed: from `at` on.
    held: Vec<u8>,
    at: usize,
    /// The offset in the (decoded) file of the first byte of `held`.
    offset: u64,
    at_end: bool,
    /// The number of the next row.
    row: u64,
}

impl<R: TextStream> DocumentReader<R> {
    /// Reads a document from its beginning.
    pub fn new(input: Input<R>, limits: RowLimits) -> Self {
        Self {
            input,
            limits,
            state: State::Start,
            columns: None,
            held: Vec::new(),
            at: 0,
            offset: 0,
            at_end: false,
            row: 1,
        }
    }

    fn damaged(&self, what: &str) -> SourceError {
        let byte = self.offset + self.at as u64;
        self.input
            .damaged(format!("{what} at byte {byte}, at row {}", self.row))
    }

    /// Reads on; what is done with is dropped.
    fn more(&mut self) -> Result<(), SourceError> {
        self.held.drain(..self.at);
        self.offset += self.at as u64;
        self.at = 0;
        // Twice as much each time, so that a row is not scanned too often; not much more than the
        // largest one.
        let room = (self.limits.max_record as usize).saturating_sub(self.held.len());
        let wanted = self.held.len().min(room).max(BLOCK_BYTES);
        self.at_end = self.input.fill(&mut self.held, wanted)?;
        Ok(())
    }

    /// The next byte that is not white space, not consumed.
    fn peek(&mut self) -> Result<Option<u8>, SourceError> {
        loop {
            let rest = &self.held[self.at..];
            match rest.iter().position(|byte| !is_space(*byte)) {
                Some(found) => {
                    self.at += found;
                    return Ok(self.held.get(self.at).copied());
                }
                None if self.at_end => return Ok(None),
                None => {
                    self.at = self.held.len();
                    self.more()?;
                }
            }
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), SourceError> {
        match self.peek()? {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.damaged(what)),
            None => Err(self.damaged("the document is cut off")),
        }
    }

    /// Whether there is another item in what `close` ends, before which the reader then stands.
    fn next(&mut self, is_first: bool, close: u8) -> Result<bool, SourceError> {
        match self.peek()? {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if is_first => Ok(true),
            _ => {
                self.expect(b',', "a comma or the end of a list is missing")?;
                Ok(true)
            }
        }
    }

    /// Where the next value lies in what is held, which is then passed; `None`, and it is not
    /// passed, if it is larger than a row may be.
    fn value<'a>(
        &mut self,
        large: &'a LargeRow,
        guard: &mut Guard<'a>,
    ) -> Result<Option<Range<usize>>, SourceError> {
        if self.peek()?.is_none() {
            return Err(self.damaged("the document is cut off"));
        }
        loop {
            match extent(&self.held[self.at..], self.at_end, self.limits.max_record) {
                Ok(Extent::Whole(length)) => {
                    let value = self.at..self.at + length;
                    self.at += length;
                    return Ok(Some(value));
                }
                Ok(Extent::TooLarge) => return Ok(None),
                Ok(Extent::More) if self.at_end => {
                    return Err(self.damaged("the document is cut off"));
                }
                Ok(Extent::More) => {
                    self.more()?;
                    if self.held.len() > 2 * BLOCK_BYTES {
                        guard.get_or_insert_with(|| take_large(large));
                    }
                }
                Err(NotAValue { at }) => {
                    self.at += at;
                    return Err(self.damaged("not JSON"));
                }
            }
        }
    }

    /// Passes the next value of any size.
    fn skip(&mut self) -> Result<(), SourceError> {
        self.peek()?;
        let mut skip = Skip::default();
        loop {
            match skip.end(&self.held[self.at..]) {
                Ok(Some(end)) => {
                    self.at += end;
                    return Ok(());
                }
                Ok(None) if self.at_end => return Err(self.damaged("the document is cut off")),
                Ok(None) => {
                    self.at = self.held.len();
                    self.more()?;
                    self.held.shrink_to(2 * BLOCK_BYTES);
                }
                Err(NotAValue { at }) => {
                    self.at += at;
                    return Err(self.damaged("not JSON"));
                }
            }
        }
    }

    /// A value that no document needs to have large: a name, the columns, an error.
    fn small(&mut self) -> Result<Range<usize>, SourceError> {
        let large = LargeRow::default();
        let value = self.value(&large, &mut None)?;
        value.ok_or_else(|| self.damaged("something larger than limits.max_record"))
    }

    fn key(&mut self) -> Result<Vec<u8>, SourceError> {
        if self.peek()? != Some(b'"') {
            return Err(self.damaged("a key is missing"));
        }
        let key = self.small()?;
        let key = self.held[key].to_vec();
        self.expect(b':', "a colon is missing")?;
        Ok(key)
    }

    fn read(&mut self, block: &mut RowBlock) -> Result<(), SourceError> {
        block.first_line = self.row;
        block.encoding = RowEncoding::Assembled;
        let large = LargeRow::clone(&self.limits.large);
        let mut guard = None;
        while block.bytes.len() < BLOCK_BYTES && block.rejects.len() < MOST_REJECTS {
            match self.state {
                State::Start => {
                    self.more()?;
                    if self.held.starts_with(BOM) {
                        self.at = BOM.len();
                    }
                    self.expect(b'{', "it is no document")?;
                    self.state = State::Document(true);
                }
                State::Document(is_first) => self.member(is_first)?,
                State::Tables(is_first) => {
                    self.state = match self.next(is_first, b']')? {
                        true => {
                            self.expect(b'{', "a table is no object")?;
                            self.columns = None;
                            State::Table(true)
                        }
                        false => State::Document(false),
                    };
                }
                State::Table(is_first) => self.table_member(is_first)?,
                State::Rows(is_first) => {
                    self.state = State::Rows(false);
                    match self.next(is_first, b']')? {
                        true => self.take_row(block, &large, &mut guard)?,
                        false => self.state = State::Table(false),
                    }
                }
                State::End => {
                    if self.peek()?.is_some() {
                        return Err(self.damaged("there is something behind the document"));
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    fn member(&mut self, is_first: bool) -> Result<(), SourceError> {
        if !self.next(is_first, b'}')? {
            self.state = State::End;
            return Ok(());
        }
        self.state = State::Document(false);
        match &self.key()?[..] {
            b"\"tables\"" => {
                self.expect(b'[', "its tables are no list")?;
                self.state = State::Tables(true);
            }
            b"\"error\"" => {
                let error = self.small()?;
                let error = &self.held[error];
                if error != b"null" {
                    return Err(self.input.partial_answer(error_text(error)));
                }
            }
            _ => self.skip()?,
        }
        Ok(())
    }

    fn table_member(&mut self, is_first: bool) -> Result<(), SourceError> {
        if !self.next(is_first, b'}')? {
            self.state = State::Tables(false);
            return Ok(());
        }
        self.state = State::Table(false);
        match &self.key()?[..] {
            b"\"columns\"" => {
                let columns = self.small()?;
                let columns = names(&self.held[columns]);
                let columns = columns.ok_or_else(|| self.damaged("a table has no columns"))?;
                self.columns = Some(columns);
            }
            b"\"rows\"" => {
                if self.columns.is_none() {
                    return Err(self.damaged("the rows of a table come before its columns"));
                }
                self.expect(b'[', "the rows of a table are no list")?;
                self.state = State::Rows(true);
            }
            _ => self.skip()?,
        }
        Ok(())
    }

    fn take_row<'a>(
        &mut self,
        block: &mut RowBlock,
        large: &'a LargeRow,
        guard: &mut Guard<'a>,
    ) -> Result<(), SourceError> {
        if self.peek()?.is_some_and(|byte| byte != b'[') {
            return Err(self.damaged("a row is no list"));
        }
        let columns = self.columns.take().unwrap_or_default();
        let start = block.bytes.len();
        let malformed = match self.value(large, guard)? {
            Some(row) => match write_row(&self.held[row], &columns, &mut block.bytes) {
                Ok(true) => None,
                Ok(false) => return Err(self.damaged("a row has not one cell for each column")),
                Err(error) => Some(error.into()),
            },
            None => {
                let held = &self.held[self.at..];
                let held = &held[..held.len().min(self.limits.max_record as usize)];
                // As far as it is held: it may name its conversation.
                write_row(held, &columns, &mut block.bytes).ok();
                Some(MalformedReason::TooLarge)
            }
        };
        match malformed {
            None => block.bytes.push(b'\n'),
            Some(reason) => {
                block.rejects.push(Reject {
                    line: self.row,
                    reason,
                    id: readable_id(&self.limits.fields, &block.bytes[start..]),
                });
                block.bytes.truncate(start);
                if reason == MalformedReason::TooLarge {
                    self.skip()?;
                }
            }
        }
        self.row += 1;
        self.columns = Some(columns);
        Ok(())
    }
}

/// The names of columns, each with its quotes.
fn names(columns: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut scanner = Scanner::new(columns);
    scanner.open_array().ok()?;
    let mut names = Vec::new();
    while scanner.next_element(names.is_empty()).ok()? {
        scanner.open_object().ok()?;
        let (mut name, mut first) = (None, true);
        while let Some(key) = scanner.next_key(std::mem::take(&mut first)).ok()? {
            let value = scanner.value().ok()?;
            if key.text == b"\"name\"" && value.kind == Kind::String {
                name = Some(value.text.to_vec());
            }
        }
        names.push(name?);
    }
    Some(names)
}

/// Writes a row's cells as an object; whether they are as many as the columns. What cannot be read
/// any more, of a row that is cut off, stands behind the last name.
fn write_row(row: &[u8], columns: &[Vec<u8>], out: &mut Vec<u8>) -> Result<bool, JsonError> {
    let mut scanner = Scanner::new(row);
    scanner.open_array()?;
    let mut columns = columns.iter();
    let mut first = true;
    out.push(b'{');
    while scanner.next_element(first)? {
        let Some(name) = columns.next() else {
            return Ok(false);
        };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b':');
        let start = scanner.position();
        match scanner.value() {
            Ok(cell) => push_one_line(cell.text, out),
            Err(error) => {
                push_one_line(&row[start..], out);
                return Err(error);
            }
        }
    }
    out.push(b'}');
    Ok(columns.next().is_none())
}

/// The codes of an error, and its innermost message.
fn error_text(error: &[u8]) -> String {
    let parsed: serde_json::Value = serde_json::from_slice(error).unwrap_or_default();
    let mut codes = Vec::new();
    let mut message = None;
    let mut level = Some(&parsed);
    while let Some(error) = level {
        match &error["code"] {
            serde_json::Value::String(code) => codes.push(code.clone()),
            serde_json::Value::Number(code) => codes.push(code.to_string()),
            _ => {}
        }
        message = error["message"].as_str().or(message);
        let details = error["details"].get(0);
        level = error.get("innererror").or(details);
    }
    let mut text = match codes.is_empty() {
        true => "an error without a code".to_owned(),
        false => codes.join(", "),
    };
    if let Some(message) = message {
        let shown: String = message.chars().take(MESSAGE).collect();
        text = format!("{text}: {}", shown.escape_debug());
    }
    redacted(text)
}

impl<R: TextStream> BlockReader for DocumentReader<R> {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        if self.held.capacity() > 4 * BLOCK_BYTES && self.held.len() <= 2 * BLOCK_BYTES {
            self.held.shrink_to(2 * BLOCK_BYTES);
        }
        self.read(block)?;
        Ok(self.input.has_filled(block))
    }

    fn memory(&self) -> u64 {
        BLOCK_BYTES as u64 + self.input.memory()
    }

    fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.input.stop_with(stop);
    }
}

#[cfg(test)]
mod tests;
