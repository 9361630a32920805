//! Rows that are the elements of one JSON array, in any layout: pretty printed over lines, all on
//! one line, several a line.
//!
//! The array is read as a stream. An element is held whole, and at most `limits.max_record` bytes
//! of it: a larger one is a reject, and reading goes on behind it. An element that spans lines is
//! written without the white space between its tokens, because a row is a line; any other stays
//! byte for byte. Rows are numbered by their place in the array, from 1.
//!
//! What is no array any more (no `]`, something behind it, no comma between elements, an element
//! that is no JSON) is damage and ends the run: the number of lost rows is unknown. An element
//! that is JSON but no row, that is not UTF-8 or nested too deep, is a malformed row as on a line.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::super::{BLOCK_BYTES, BlockReader, Reject, RowBlock, SourceError};
use super::extent::{Extent, extent, is_space, one_line};
use super::reading::{BOM, Input, TextStream};
use super::{LargeRow, MOST_REJECTS, RowLimits, readable_id, take_large};
use crate::domain::json::{NotAValue, Skip};
use crate::domain::record::row::MalformedReason;

/// The state of the reader.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Before the array's `[`.
    Start,
    /// Behind `[`: an element or `]`.
    First,
    /// Behind a comma: an element.
    Element,
    /// Behind an element: a comma or `]`.
    Next,
    /// In an element that is too large to be held.
    Skip(Skip),
    /// Behind `]`.
    End,
}

/// Reads the elements of an array.
pub struct ArrayReader<R> {
    input: Input<R>,
    limits: RowLimits,
    state: State,
    /// What the last block left over: a byte that is done with, and what follows. The byte makes
    /// room for the newline of the row before.
    carry: Vec<u8>,
    /// The offset in the (decoded) file of the second byte of what is at hand.
    offset: u64,
    /// The number of the next element.
    row: u64,
    at_end: bool,
    finished: bool,
}

impl<R: TextStream> ArrayReader<R> {
    /// Reads an array from its beginning.
    pub fn new(input: Input<R>, limits: RowLimits) -> Self {
        Self {
            input,
            limits,
            state: State::Start,
            carry: vec![b' '],
            offset: 0,
            row: 1,
            at_end: false,
            finished: false,
        }
    }

    fn damaged(&self, at: usize, what: &str) -> SourceError {
        let byte = self.offset + at as u64 - 1;
        self.input
            .damaged(format!("{what} at byte {byte}, at element {}", self.row))
    }

    fn read(&mut self, block: &mut RowBlock) -> Result<(), SourceError> {
        block.first_line = self.row;
        let mut bytes = std::mem::take(&mut block.bytes);
        bytes.clear();
        bytes.reserve(BLOCK_BYTES);
        bytes.append(&mut self.carry);
        let large = LargeRow::clone(&self.limits.large);
        let mut guard = None;
        loop {
            if !self.at_end {
                // Twice as much each time, so that an element is not scanned too often; not much
                // more than the largest one.
                let room = (self.limits.max_record as usize).saturating_sub(bytes.len());
                let wanted = bytes.len().min(room).max(BLOCK_BYTES);
                self.at_end = self.input.fill(&mut bytes, wanted)?;
            }
            let (done, written) = self.split(&mut bytes, block)?;
            self.offset += done as u64 - 1;
            if written > 0 || !block.rejects.is_empty() {
                self.carry.extend_from_slice(&bytes[done - 1..]);
                bytes.truncate(written);
                if written == 0 {
                    bytes.shrink_to(BLOCK_BYTES);
                }
                break;
            }
            bytes.drain(..done - 1);
            if self.at_end && bytes.len() == 1 {
                if !matches!(self.state, State::End) {
                    return Err(self.damaged(1, "the array is cut off: it has no ]"));
                }
                self.finished = true;
                bytes.clear();
                break;
            }
            if bytes.len() > BLOCK_BYTES {
                guard.get_or_insert_with(|| take_large(&large));
            }
        }
        block.bytes = bytes;
        Ok(())
    }

    /// Takes what is whole: how many bytes are done with, and how many bytes of lines were written
    /// to the beginning. Lines never reach what is not done with yet: each has a byte more than its
    /// element, and at least one byte was before that.
    fn split(
        &mut self,
        bytes: &mut [u8],
        block: &mut RowBlock,
    ) -> Result<(usize, usize), SourceError> {
        let (mut at, mut written) = (1, 0);
        if matches!(self.state, State::Start) && self.offset == 0 && bytes[1..].starts_with(BOM) {
            at += BOM.len();
        }
        loop {
            if let State::Skip(skip) = &mut self.state {
                match skip.end(&bytes[at..]) {
                    Ok(Some(end)) => {
                        at += end;
                        self.state = State::Next;
                    }
                    Ok(None) => return Ok((bytes.len(), written)),
                    Err(NotAValue { at: wrong }) => {
                        return Err(self.damaged(at + wrong, "not JSON"));
                    }
                }
            }
            let space = bytes[at..].iter().take_while(|byte| is_space(**byte));
            at += space.count();
            let Some(&byte) = bytes.get(at) else {
                return Ok((at, written));
            };
            match (self.state, byte) {
                (State::Start, b'[') => self.state = State::First,
                (State::First | State::Next, b']') => self.state = State::End,
                (State::Next, b',') => self.state = State::Element,
                (State::First | State::Element, _) => {
                    match self.element(bytes, at)? {
                        Extent::Whole(length) => {
                            written = one_line(bytes, at..at + length, written);
                            bytes[written] = b'\n';
                            written += 1;
                            at += length;
                            self.state = State::Next;
                        }
                        Extent::More => return Ok((at, written)),
                        Extent::TooLarge => {
                            block.rejects.push(self.too_large(&bytes[at..]));
                            self.state = State::Skip(Skip::default());
                        }
                    }
                    self.row += 1;
                    if block.rejects.len() == MOST_REJECTS {
                        return Ok((at, written));
                    }
                    continue;
                }
                (State::Next, _) => return Err(self.damaged(at, "a comma or ] is missing")),
                (State::End, _) => {
                    return Err(self.damaged(at, "there is something behind the array's ]"));
                }
                (State::Start | State::Skip(_), _) => {
                    return Err(self.damaged(at, "it is no array"));
                }
            }
            at += 1;
        }
    }

    /// What is reported of an element that is not kept, from as much of it as is held.
    fn too_large(&self, held: &[u8]) -> Reject {
        let most = held.len().min(self.limits.max_record as usize);
        Reject {
            line: self.row,
            reason: MalformedReason::TooLarge,
            id: readable_id(&self.limits.fields, &held[..most]),
        }
    }

    /// Classifies the text at a position.
    fn element(&self, bytes: &[u8], at: usize) -> Result<Extent, SourceError> {
        match extent(&bytes[at..], self.at_end, self.limits.max_record) {
            Ok(Extent::More) if self.at_end => {
                Err(self.damaged(bytes.len(), "the array is cut off"))
            }
            Ok(extent) => Ok(extent),
            Err(NotAValue { at: wrong }) => Err(self.damaged(at + wrong, "not JSON")),
        }
    }
}

impl<R: TextStream> BlockReader for ArrayReader<R> {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        if !self.finished {
            self.read(block)?;
        }
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
pub(super) mod tests;
