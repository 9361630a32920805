//! The frames of Kusto's REST v2 answers, split from the bytes as they arrive.
//!
//! An answer is one JSON array of frames. The rows of the primary result come in one `DataTable`,
//! or in `TableFragment`s between a `TableHeader` and a `TableCompletion`; keys may come in any
//! order. One row at a time is held, never an answer, unless a frame says what its rows are only
//! behind them; then as many as fit into 4 MiB. If these can only be the result's, they are read as
//! such and so is what follows, which is checked at the end of the frame. For that the columns must
//! be known: where they follow more rows than can be held, the rows are passed over, and
//! [`FrameReader::late_columns`] says with which columns another answer can be read
//! ([`FrameReader::expecting`]).
//!
//! A status of 200 says nothing. An answer is whole only if the rows are as many as `RowCount`
//! says, nothing reports an error, `DataSetCompletion` has come, and nothing but white space
//! follows the array's closing bracket (Kusto documentation: "The consumer should ignore the entire
//! result if observing a partial query failure"). [`FrameReader::finish`] says so or why not.

use std::ops::Range;

use super::cells::{Span, ends_itself, is_space, scan_row};
use super::error::{self, Failure};
use super::frame::Frame;
use super::table::{Table, UNDECIDED_BYTES};
use crate::domain::debug_lengths;
use crate::domain::json::{JsonError, NotAValue, Scanner, Skip};
use crate::domain::record::row::MalformedReason;

mod table_sink;

pub use table_sink::{Column, TableSink};

/// The largest value of a frame besides its rows and columns: errors. It is parsed in memory that is
/// many times as large.
const SMALL_VALUE: usize = 1 << 20;

/// The largest list of columns unless `max_row` is less: a table of a cluster has 10,000 at most.
const MOST_COLUMNS: usize = 4 << 20;

/// The largest error that comes instead of an answer, and the longest key.
const SMALLEST_VALUE: usize = 64 << 10;

/// Bytes that may arrive behind a row before the row is looked at.
const MOST_AHEAD: usize = 16 << 20;

/// Bytes of a piece that are at least put behind what the pieces before have left, which is nearly
/// always a row without its end.
const LEAST_AHEAD: usize = 32 << 10;

/// So close to the end of what has arrived an error may only mean that more must arrive.
const TOKEN: usize = 16;

/// The state of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the array.
    Start,
    /// In the array, before a frame or its end; whether a frame has come before.
    Frames { first: bool },
    /// In a frame, before a key or its end.
    Keys { first: bool },
    /// Before the colon of the key read last.
    Colon,
    /// Before the value of the key read last.
    Value,
    /// In a frame's rows, before a row or their end.
    Rows { first: bool },
    /// At a row.
    Row,
    /// In a row that is passed over.
    Skip(Skip),
    /// Behind the array.
    End,
}

/// Reads the frames of one answer.
pub struct FrameReader {
    /// The bytes that earlier pieces left: a value that was not whole.
    rest: Vec<u8>,
    /// The bytes of the current text that are consumed.
    at: usize,
    /// Bytes of the answer before the text at hand.
    done: u64,
    /// The length that the rest must have before a value that was not whole is tried again: twice
    /// what it was, or [`MOST_AHEAD`] more, so that a large row is not scanned too often.
    enough: usize,
    state: State,
    key: String,
    frame: Frame,
    table: Table,
    max_row: usize,
    /// The largest list of columns.
    max_columns: usize,
    /// The cells of the row at hand; kept for its memory.
    spans: Vec<Span>,
}

debug_lengths!(FrameReader { state, at } lengths { rest });

impl FrameReader {
    /// A reader of rows of at most `max_row` bytes; larger ones are rejected.
    pub fn new(max_row: u64) -> Self {
        let max_row = usize::try_from(max_row).unwrap_or(usize::MAX);
        Self {
            rest: Vec::new(),
            at: 0,
            done: 0,
            enough: 0,
            state: State::Start,
            key: String::new(),
            frame: Frame::default(),
            table: Table::default(),
            max_row,
            max_columns: max_row.clamp(SMALLEST_VALUE, MOST_COLUMNS),
            spans: Vec::new(),
        }
    }

    /// Reads rows that come before their columns as rows of these, if there are too many to hold;
    /// the frame must then name the same columns.
    pub fn expecting(mut self, columns: Option<Vec<Column>>) -> Self {
        self.table.expected = columns;
        self
    }

    /// The columns that followed more rows than could be held: the answer is refused for it, and
    /// can be read by a reader that expects them.
    pub fn late_columns(&self) -> Option<&[Column]> {
        self.table.late.as_deref()
    }

    /// Reads what has arrived: a piece of the answer. What is whole in it is read where it is; only
    /// what is not is kept until more has arrived.
    ///
    /// # Errors
    /// If the answer is not one, reports a failure, or the sink refuses.
    pub fn push(&mut self, mut piece: &[u8], sink: &mut impl TableSink) -> Result<(), Failure> {
        while !self.rest.is_empty() && !piece.is_empty() {
            let before = self.rest.len();
            let wanted = self.enough.saturating_sub(before).max(LEAST_AHEAD);
            let (more, behind) = piece.split_at(wanted.min(piece.len()));
            self.rest.extend_from_slice(more);
            if self.rest.len() < self.enough {
                return Ok(());
            }
            let mut rest = std::mem::take(&mut self.rest);
            let done = self.read(&rest, sink)?;
            if done < before || behind.is_empty() {
                rest.drain(..done);
                piece = behind;
            } else {
                rest.clear();
                piece = &piece[done - before..];
            }
            self.rest = rest;
        }
        if !piece.is_empty() {
            let done = self.read(piece, sink)?;
            self.rest.extend_from_slice(&piece[done..]);
        }
        Ok(())
    }

    /// Reads what is whole in a text; gives its length.
    fn read(&mut self, text: &[u8], sink: &mut impl TableSink) -> Result<usize, Failure> {
        self.at = 0;
        while self.step(text, sink)? {}
        self.done += self.at as u64;
        self.enough = self.enough.saturating_sub(self.at);
        Ok(self.at)
    }

    /// Bytes that are kept until more has arrived.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.rest.len()
    }

    /// The body has ended: is it whole?
    ///
    /// # Errors
    /// If not.
    pub fn finish(&mut self, sink: &mut impl TableSink) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.rest);
        let bytes = self.done + rest.len() as u64;
        self.read(&rest, sink)?;
        match self.state {
            State::End => self.table.finish(),
            State::Start if bytes == 0 => Err(damaged("it is empty")),
            _ => Err(damaged(format!("it was cut off after {bytes} bytes"))),
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self, text: &[u8]) -> Option<u8> {
        let rest = &text[self.at..];
        let space = rest.iter().take_while(|byte| is_space(**byte)).count();
        self.at += space;
        text.get(self.at).copied()
    }

    /// Does the next thing; `false` if more bytes must arrive first.
    fn step(&mut self, text: &[u8], sink: &mut impl TableSink) -> Result<bool, Failure> {
        if let State::Skip(skip) = self.state {
            return self.skip(text, skip);
        }
        let Some(byte) = self.peek(text) else {
            return Ok(false);
        };
        match (self.state, byte) {
            (State::Start, b'[') => self.pass(State::Frames { first: true }),
            (State::Start, b'{') => self.read_error(text),
            (State::Start, _) => {
                // A proxy's page, an error as text.
                let reported = error::printable(&text[..text.len().min(64 * 1024)]);
                Err(damaged(format!("it is not a list of frames: {reported}")))
            }
            (State::Frames { .. }, b']') => self.pass(State::End),
            (State::Frames { first: false }, b',') => self.pass(State::Frames { first: true }),
            (State::Frames { first: true }, b'{') => {
                self.frame = Frame::default();
                self.pass(State::Keys { first: true })
            }
            (State::Keys { .. }, b'}') => {
                let frame = std::mem::take(&mut self.frame);
                self.table.end_frame(frame, sink)?;
                self.pass(State::Frames { first: false })
            }
            (State::Keys { first: false }, b',') => self.pass(State::Keys { first: true }),
            (State::Keys { first: true }, b'"') => self.read_key(text),
            (State::Colon, b':') => self.pass(State::Value),
            (State::Colon, _) => Err(damaged("a key of a frame has no value")),
            (State::Value, b'[') if self.key == "Rows" => {
                self.table.begin_rows(&mut self.frame, sink)?;
                self.pass(State::Rows { first: true })
            }
            (State::Value, _) => self.read_value(text),
            (State::Rows { .. }, b']') => self.pass(State::Keys { first: false }),
            (State::Rows { first: false }, b',') => self.pass(State::Rows { first: true }),
            (State::Rows { first: true }, b'[') => {
                self.state = State::Row;
                Ok(true)
            }
            (State::Rows { first: true }, b'{') => self.read_error_row(text),
            (State::Row, _) => self.read_row(text, sink),
            _ => Err(damaged(format!(
                "unexpected {:?} at byte {}",
                char::from(byte),
                self.offset()
            ))),
        }
    }

    /// Bytes of the answer before the position.
    fn offset(&self) -> u64 {
        self.done + self.at as u64
    }

    fn pass(&mut self, state: State) -> Result<bool, Failure> {
        self.at += 1;
        self.state = state;
        Ok(true)
    }

    /// Scans something that must be whole: where it ends, or `None` if more must arrive.
    fn whole(
        &mut self,
        text: &[u8],
        scan: impl for<'a> FnOnce(&mut Scanner<'a>) -> Result<(), JsonError>,
    ) -> Result<Option<Range<usize>>, JsonError> {
        let text = &text[self.at..];
        let mut scanner = Scanner::new(text);
        match scan(&mut scanner) {
            // A number or a word at the end of the text may continue.
            Ok(()) if scanner.position() < text.len() || ends_itself(text) => {
                self.enough = 0;
                Ok(Some(self.at..self.at + scanner.position()))
            }
            Err(error @ JsonError::TooDeep) => Err(error),
            Err(error @ JsonError::Syntax(at)) if at + TOKEN < text.len() => Err(error),
            _ => {
                self.wait(text.len());
                Ok(None)
            }
        }
    }

    /// The range of the next value; it must not be larger than `most`.
    fn whole_value(&mut self, text: &[u8], most: usize) -> Result<Option<Range<usize>>, Failure> {
        let found = self.whole(text, |scanner| scanner.value().map(drop));
        match found.map_err(|error| self.syntax(error))? {
            None if text.len() - self.at > most => Err(self.too_large()),
            Some(value) if value.len() > most => Err(self.too_large()),
            found => Ok(found),
        }
    }

    fn too_large(&self) -> Failure {
        let at = self.offset();
        match (self.state, self.key.as_str()) {
            (State::Value, "Columns") => Failure::Columns(format!(
                "its list of columns has more than {} bytes (limits.max_record)",
                self.max_columns
            )),
            _ => damaged(format!("what begins at byte {at} is too large")),
        }
    }

    fn syntax(&self, error: JsonError) -> Failure {
        damaged(format!("{error} after byte {}", self.offset()))
    }

    fn read_key(&mut self, text: &[u8]) -> Result<bool, Failure> {
        let Some(key) = self.whole_value(text, SMALLEST_VALUE)? else {
            return Ok(false);
        };
        self.key = serde_json::from_slice(&text[key.clone()])
            .map_err(|_| damaged("a key of a frame is no text"))?;
        // Done with the key: white space behind it is passed as it arrives.
        self.at = key.end;
        self.state = State::Colon;
        Ok(true)
    }

    fn read_value(&mut self, text: &[u8]) -> Result<bool, Failure> {
        let is_columns = self.key == "Columns";
        let most = match is_columns {
            true => self.max_columns,
            false => SMALL_VALUE,
        };
        let Some(value) = self.whole_value(text, most)? else {
            return Ok(false);
        };
        let bytes = &text[value.clone()];
        if is_columns {
            self.frame.set_columns(bytes)?;
        } else {
            let parsed = serde_json::from_slice(bytes)
                .map_err(|_| damaged(format!("the frame's {} cannot be read", self.key)))?;
            self.frame.set(&self.key, parsed)?;
        }
        self.at = value.end;
        self.state = State::Keys { first: false };
        Ok(true)
    }

    /// An object in the place of the list of frames: an error, or perhaps an answer of v1, whose
    /// rows are not read.
    fn read_error(&mut self, text: &[u8]) -> Result<bool, Failure> {
        let no_list = || damaged("it is a JSON object, not a list of frames");
        let found = self
            .whole_value(text, SMALLEST_VALUE)
            .map_err(|_| no_list())?;
        let Some(value) = found else {
            return Ok(false);
        };
        let parsed = serde_json::from_slice::<serde_json::Value>(&text[value]);
        match parsed.ok().filter(|parsed| parsed.get("error").is_some()) {
            Some(error) => Err(error::of_one_api(&error)),
            None => Err(no_list()),
        }
    }

    /// An object in the place of a row is an error.
    fn read_error_row(&mut self, text: &[u8]) -> Result<bool, Failure> {
        let Some(value) = self.whole_value(text, SMALL_VALUE)? else {
            return Ok(false);
        };
        let parsed: serde_json::Value = serde_json::from_slice(&text[value])
            .map_err(|_| damaged("an error among the rows cannot be read"))?;
        match parsed.get("OneApiErrors") {
            Some(errors) => Err(error::of_one_api(errors)),
            None => Err(damaged("a row is an object")),
        }
    }

    fn read_row(&mut self, text: &[u8], sink: &mut impl TableSink) -> Result<bool, Failure> {
        let mut spans = std::mem::take(&mut self.spans);
        spans.clear();
        let is_given = self.table.is_given(&self.frame);
        let scanned = self.whole(text, |scanner| match is_given {
            true => scan_row(scanner, &mut spans, |at, scanner| sink.cell(at, scanner)),
            false => scan_row(scanner, &mut spans, |_, scanner| scanner.value()),
        });
        let max_row = match self.table.is_wanted(&self.frame) {
            true => self.max_row,
            // The limit of records is no limit for the server's own messages.
            false => self.max_row.max(UNDECIDED_BYTES),
        };
        let reason = match scanned {
            Ok(Some(row)) if row.len() <= max_row => {
                self.at = row.end;
                let text = &text[row];
                if simdutf8::basic::from_utf8(text).is_err() {
                    return Err(damaged("a row is not UTF-8"));
                }
                let cells: Vec<_> = spans.iter().map(|span| span.of(text)).collect();
                self.table.row(&mut self.frame, text, &cells, sink)?;
                self.spans = spans;
                self.state = State::Rows { first: false };
                return Ok(true);
            }
            Ok(Some(_)) => MalformedReason::TooLarge,
            Ok(None) if text.len() - self.at <= max_row => return Ok(false),
            Ok(None) => MalformedReason::TooLarge,
            Err(JsonError::TooDeep) => match self.too_deep(text, max_row)? {
                Some(reason) => reason,
                None => return Ok(false),
            },
            Err(error) => return Err(self.syntax(error)),
        };
        let rest = &text[self.at..];
        let held = &rest[..rest.len().min(max_row)];
        self.table.reject(&mut self.frame, held, reason, sink)?;
        self.enough = 0;
        self.state = State::Skip(Skip::default());
        Ok(true)
    }

    /// A row is nested too deep: the reason is that, unless the row is also too large. That is
    /// known once it has ended or is larger than it may be, however it arrives; `None` before.
    fn too_deep(
        &mut self,
        text: &[u8],
        max_row: usize,
    ) -> Result<Option<MalformedReason>, Failure> {
        let row = &text[self.at..];
        let end = Skip::default().end(row);
        Ok(match end.map_err(|error| self.broken(error))? {
            Some(length) if length <= max_row => Some(MalformedReason::TooDeep),
            None if row.len() <= max_row => {
                self.wait(row.len());
                None
            }
            _ => Some(MalformedReason::TooLarge),
        })
    }

    fn broken(&self, error: NotAValue) -> Failure {
        damaged(format!(
            "not JSON at byte {}",
            self.offset() + error.at as u64
        ))
    }

    /// The value at the position was not whole in this many bytes.
    fn wait(&mut self, length: usize) {
        self.enough = self.at + length + length.min(MOST_AHEAD);
    }

    /// Passes over the rest of a row.
    fn skip(&mut self, text: &[u8], mut skip: Skip) -> Result<bool, Failure> {
        let end = skip.end(&text[self.at..]);
        match end.map_err(|error| self.broken(error))? {
            Some(length) => {
                self.at += length;
                self.state = State::Rows { first: false };
                Ok(true)
            }
            None => {
                self.at = text.len();
                self.state = State::Skip(skip);
                Ok(false)
            }
        }
    }
}

pub(super) fn damaged(what: impl Into<String>) -> Failure {
    Failure::Damaged(what.into())
}
