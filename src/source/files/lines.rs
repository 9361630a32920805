//! Cutting a stream of bytes into blocks of whole lines.
//!
//! The number of a block's first line counts from 1 at the beginning of the piece. Lines within a
//! block are numbered one after the other; a line that is too large ends its block and is given as
//! a reject, so its number is the one after the block's last line.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use memchr::{memchr, memchr_iter, memrchr};

use super::super::{BLOCK_BYTES, BlockReader, Reject, RowBlock, RowLocation, SourceError};
use super::ahead::AtWork;
use super::reading::{BOM, Input, TextStream, read_some};
use super::{LargeRow, readable_id, take_large};
use crate::domain::record::rename::Renames;
use crate::domain::record::row::MalformedReason;
use crate::domain::scheduling::chunk::Piece;

/// Reads lines from a stream.
pub struct LineReader<R> {
    input: Input<R>,
    max_record: u64,
    large: LargeRow,
    /// The input file's number, if rows stay in it.
    file: Option<u32>,
    /// Offset of the next unread byte.
    offset: u64,
    /// Lines that begin here or later belong to the next piece.
    end: u64,
    /// The beginning of a line that the last block did not hold whole.
    carry: Vec<u8>,
    /// The number of the next line.
    line: u64,
    at_start: bool,
    finished: bool,
    /// The names of fields: lines that are too long are searched for an id.
    fields: Arc<Renames>,
    /// Of a reader that reads ahead.
    at_work: Option<AtWork>,
    /// A buffer for what is read ahead.
    spare: Vec<u8>,
}

/// The lines of a byte range of a plain file: those that begin in it.
///
/// # Errors
/// If the file cannot be opened.
pub fn plain(
    path: PathBuf,
    piece: Piece,
    max_record: u64,
    large: LargeRow,
) -> Result<LineReader<File>, SourceError> {
    let io = |error| SourceError::Io {
        path: path.clone(),
        source: error,
    };
    let mut input = File::open(&path).map_err(io)?;
    let mut offset = piece.start;
    if piece.start > 0 {
        // A line begins right after a newline; the byte before the piece may be one.
        offset = next_line(&mut input, piece.start - 1).map_err(io)?;
    }
    if offset < piece.end {
        input.seek(SeekFrom::Start(offset)).map_err(io)?;
    }
    Ok(LineReader {
        input: Input::new(input, path),
        max_record,
        large,
        file: Some(piece.file),
        offset,
        end: piece.end,
        carry: Vec::new(),
        line: 1,
        at_start: piece.start == 0,
        finished: offset >= piece.end,
        fields: Arc::default(),
        at_work: None,
        spare: Vec::new(),
    })
}

/// The lines of a stream that cannot be read again by position.
pub fn spooled<R: TextStream>(input: Input<R>, max_record: u64, large: LargeRow) -> LineReader<R> {
    LineReader {
        input,
        max_record,
        large,
        file: None,
        offset: 0,
        end: u64::MAX,
        carry: Vec::new(),
        line: 1,
        at_start: true,
        finished: false,
        fields: Arc::default(),
        at_work: None,
        spare: Vec::new(),
    }
}

/// The offset behind the first newline at or after `from`.
fn next_line(file: &mut File, from: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from))?;
    let mut at = from;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = read_some(file, &mut buffer)?;
        if n == 0 {
            return Ok(u64::MAX);
        }
        if let Some(found) = memchr(b'\n', &buffer[..n]) {
            return Ok(at + found as u64 + 1);
        }
        at += n as u64;
    }
}

impl<R: TextStream + 'static> LineReader<R> {
    /// Looks for the ids of lines that are too long under the names of the input.
    pub fn with_fields(self, fields: Arc<Renames>) -> Self {
        Self { fields, ..self }
    }

    /// Reads ahead on another thread, as long as there are idle processors.
    pub fn ahead(self, at_work: AtWork) -> Self {
        let at_work = Some(at_work);
        Self { at_work, ..self }
    }

    /// Passes the rest of a line that is too large, keeping what follows it.
    fn skip_line(&mut self, rest: &mut Vec<u8>) -> Result<(), SourceError> {
        loop {
            rest.clear();
            let at_end = self.input.fill(rest, 64 * 1024)?;
            if let Some(found) = memchr(b'\n', rest) {
                self.offset += found as u64 + 1;
                rest.drain(..=found);
                return Ok(());
            }
            if at_end {
                self.finished = true;
                rest.clear();
                return Ok(());
            }
            self.offset += rest.len() as u64;
        }
    }

    /// Fills a block's bytes for the first time, or takes what was read ahead.
    fn first(&mut self, bytes: &mut Vec<u8>) -> Result<bool, SourceError> {
        if let Some((filled, at_end)) = self.input.filled_ahead()? {
            self.spare = std::mem::replace(bytes, filled);
            return Ok(at_end);
        }
        let wanted = begin(bytes, &mut self.carry);
        self.input.fill(bytes, wanted)
    }

    /// Has the next block's bytes read while this one is looked at, if that is worth it. What was
    /// read so far must have needed `memory`: more is paid first.
    fn go_ahead(&mut self, memory: u64) -> Result<(), SourceError> {
        let is_worth = |at_work: &AtWork| at_work.leaves_processors_idle();
        if self.finished
            || !self.at_work.as_ref().is_some_and(is_worth)
            || self.input.memory() > memory
        {
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.spare);
        if bytes.capacity() > 4 * BLOCK_BYTES {
            bytes = Vec::new();
        }
        bytes.clear();
        let wanted = begin(&mut bytes, &mut self.carry);
        if let Some(bytes) = self.input.fill_ahead(bytes, wanted)? {
            self.carry = bytes;
        }
        Ok(())
    }

    fn read(&mut self, block: &mut RowBlock) -> Result<(), SourceError> {
        let memory = self.input.memory();
        let mut at_end = self.first(&mut block.bytes)?;
        let bytes = &mut block.bytes;
        if std::mem::take(&mut self.at_start) && bytes.starts_with(BOM) {
            bytes.drain(..BOM.len());
            self.offset += BOM.len() as u64;
        }
        let large = LargeRow::clone(&self.large);
        let mut guard = None;
        let whole = loop {
            if at_end {
                self.finished = true;
                break bytes.len();
            }
            if let Some(newline) = memrchr(b'\n', bytes) {
                break newline + 1;
            }
            if self.input.memory() > memory {
                // What reading on needs is paid first.
                self.carry = std::mem::take(bytes);
                return Ok(());
            }
            // One line is longer than the block so far.
            guard.get_or_insert_with(|| take_large(&large));
            if bytes.len() as u64 > self.max_record + 2 {
                self.offset += bytes.len() as u64;
                let held = bytes.trim_ascii_start();
                let held = &held[..held.len().min(self.max_record as usize)];
                block.rejects.push(Reject {
                    line: self.line,
                    reason: MalformedReason::TooLarge,
                    id: readable_id(&self.fields, held),
                });
                let mut rest = std::mem::take(&mut self.carry);
                self.skip_line(&mut rest)?;
                self.carry = rest;
                self.line += 1;
                bytes.clear();
                bytes.shrink_to(BLOCK_BYTES);
                return Ok(());
            }
            at_end = self.input.fill(bytes, bytes.len().max(BLOCK_BYTES))?;
        };
        self.carry.extend_from_slice(&bytes[whole..]);
        bytes.truncate(whole);
        self.keep_own_lines(block);
        Ok(())
    }

    /// Places the block's lines and leaves out those that begin in the next piece.
    fn keep_own_lines(&mut self, block: &mut RowBlock) {
        let bytes = &mut block.bytes;
        block.first_line = self.line;
        if let Some(file) = self.file {
            block.location = RowLocation::InFile {
                file,
                offset: self.offset,
            };
            if self.offset + bytes.len() as u64 >= self.end {
                let own = own_bytes(bytes, self.end.saturating_sub(self.offset));
                bytes.truncate(own);
                self.finished = true;
            }
        }
        self.offset += bytes.len() as u64;
        self.line += memchr_iter(b'\n', bytes).count() as u64;
    }
}

/// Puts what was left over into a buffer that is empty: how much more it should get.
fn begin(bytes: &mut Vec<u8>, carry: &mut Vec<u8>) -> usize {
    bytes.reserve(BLOCK_BYTES);
    bytes.append(carry);
    BLOCK_BYTES.saturating_sub(bytes.len()).max(1)
}

/// The length of the lines that begin in the first `own` bytes.
fn own_bytes(bytes: &[u8], own: u64) -> usize {
    let Ok(own) = usize::try_from(own) else {
        return bytes.len();
    };
    match own {
        0 => 0,
        // The last line that is ours began before `own`; it ends at the first newline from there.
        _ => memchr(b'\n', &bytes[own - 1..]).map_or(bytes.len(), |newline| own + newline),
    }
}

impl<R: TextStream + 'static> BlockReader for LineReader<R> {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        if self.carry.capacity() > 4 * BLOCK_BYTES && self.carry.is_empty() {
            self.carry = Vec::new();
        }
        if self.finished {
            return Ok(false);
        }
        let memory = self.input.memory();
        self.read(block)?;
        block.input_bytes = self.input.newly_consumed();
        self.go_ahead(memory)?;
        Ok(true)
    }

    fn memory(&self) -> u64 {
        let blocks = 1 + u64::from(self.at_work.is_some());
        blocks * BLOCK_BYTES as u64 + self.input.memory()
    }

    fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.input.stop_with(stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines with their numbers and offsets, and the numbers of those that were rejected.
    type Found = (Vec<(u64, u64, Vec<u8>)>, Vec<u64>);

    fn lines_of(reader: &mut dyn BlockReader) -> Found {
        let mut block = RowBlock::default();
        let (mut lines, mut rejects) = (Vec::new(), Vec::new());
        loop {
            block.clear();
            if !reader.read_block(&mut block).expect("readable") {
                return (lines, rejects);
            }
            let base = match block.location {
                RowLocation::InFile { offset, .. } => offset,
                RowLocation::Spool => 0,
            };
            let mut at = 0;
            for (number, line) in
                (block.first_line..).zip(block.bytes.split_inclusive(|&b| b == b'\n'))
            {
                let text = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
                lines.push((number, base + at, text));
                at += line.len() as u64;
            }
            rejects.extend(block.rejects.iter().map(|reject| reject.line));
        }
    }

    fn read_pieces(content: &[u8], cuts: &[u64], max_record: u64) -> Vec<(u64, Vec<u8>)> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, content).expect("writable");
        let mut bounds = vec![0];
        bounds.extend_from_slice(cuts);
        bounds.push(content.len() as u64);
        bounds.sort_unstable();
        let mut lines = Vec::new();
        for pair in bounds.windows(2) {
            let piece = Piece {
                file: 0,
                start: pair[0],
                end: pair[1],
            };
            let mut reader =
                plain(path.clone(), piece, max_record, LargeRow::default()).expect("there");
            lines.extend(
                lines_of(&mut reader)
                    .0
                    .into_iter()
                    .map(|(_, at, text)| (at, text)),
            );
        }
        lines
    }

    proptest! {
        #[test]
        fn every_line_is_in_exactly_one_piece(
            lengths in prop::collection::vec(0usize..40, 0..40),
            cuts in prop::collection::vec(0u64..600, 0..6),
            newline_at_end in any::<bool>(),
        ) {
            let mut content: Vec<u8> = Vec::new();
            let mut expected = Vec::new();
            for (i, length) in lengths.iter().enumerate() {
                let text = vec![b'a' + (i % 26) as u8; *length];
                expected.push((content.len() as u64, text.clone()));
                content.extend(text);
                content.push(b'\n');
            }
            if !newline_at_end && lengths.last().is_some_and(|&n| n > 0) {
                content.pop();
            }
            let cuts: Vec<u64> = cuts.into_iter().map(|c| c.min(content.len() as u64)).collect();
            prop_assert_eq!(read_pieces(&content, &cuts, 1 << 20), expected);
        }
    }

    #[test]
    fn lines_longer_than_a_block_are_read_or_rejected() {
        let long = vec![b'x'; 3 * BLOCK_BYTES + 7];
        let content = [b"a\n", &long[..], b"\nb\nc"].concat();
        let found = read_pieces(&content, &[], 10 << 20);
        assert_eq!(
            found.iter().map(|l| l.1.len()).collect::<Vec<_>>(),
            [1, long.len(), 1, 1]
        );
        let mut reader = spooled(
            Input::new(io::Cursor::new(content), PathBuf::new()),
            1000,
            LargeRow::default(),
        );
        let (lines, rejects) = lines_of(&mut reader);
        let numbered: Vec<_> = lines
            .iter()
            .map(|(n, _, text)| (*n, text.as_slice()))
            .collect();
        assert_eq!(numbered, [(1, &b"a"[..]), (3, b"b"), (4, b"c")]);
        assert_eq!(rejects, [2]);
    }

    #[test]
    fn what_is_read_ahead_is_read_once_and_in_order() {
        let lengths = [9, 70, 3 * BLOCK_BYTES, 70, 2 * BLOCK_BYTES, 5];
        let line =
            |(i, &length): (usize, &usize)| [&vec![b'a' + i as u8; length][..], b"\n"].concat();
        let content: Vec<u8> = lengths.iter().enumerate().flat_map(line).collect();
        let input = || Input::new(io::Cursor::new(content.repeat(2)), PathBuf::new());
        let most = 1000;
        let mut one = spooled(input(), most, LargeRow::default());
        let expected = lines_of(&mut one);
        assert_eq!((expected.0.len(), &expected.1[..]), (8, &[3, 5, 9, 11][..]));
        let readers = super::super::ahead::Readers::default();
        let mut other = spooled(input(), most, LargeRow::default()).ahead(readers.enter());
        assert_eq!(lines_of(&mut other), expected);
        // Some was: on a machine with one processor nothing is.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(other.spare.capacity() > 0, processors > 1);
    }

    /// A text whose second half needs more memory.
    struct Hungry {
        parts: Vec<&'static [u8]>,
        memory: u64,
    }

    impl TextStream for Hungry {
        fn append(&mut self, bytes: &mut Vec<u8>, _: usize) -> io::Result<bool> {
            if self.parts.len() == 1 && self.memory == 0 {
                self.memory = 1 << 30;
                return Ok(false);
            }
            bytes.extend_from_slice(self.parts.remove(0));
            Ok(self.parts.is_empty())
        }

        fn memory(&self) -> u64 {
            self.memory
        }
    }

    #[test]
    fn more_memory_is_paid_before_it_is_taken() {
        for parts in [vec![&b"a\nb"[..], b"c\nd"], vec![b"a", b"c\nd"]] {
            let whole = parts.concat();
            let input = Input::new(Hungry { parts, memory: 0 }, PathBuf::new());
            let readers = super::super::ahead::Readers::default();
            let at_work = readers.enter();
            let mut reader = spooled(input, 100, LargeRow::default()).ahead(at_work);
            let before = reader.memory();
            let (mut block, mut read) = (RowBlock::default(), Vec::new());
            let mut grown_at = None;
            while reader.read_block(&mut block).expect("readable") {
                read.append(&mut block.bytes);
                if reader.memory() > before {
                    grown_at.get_or_insert(read.len());
                }
                block.clear();
            }
            assert_eq!(read, whole);
            // Before the second part was read.
            assert!(grown_at.is_some_and(|at| at <= 2), "{grown_at:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let content = [BOM, b"a\nb\n"].concat();
        let found = read_pieces(&content, &[], 100);
        assert_eq!(found, [(3, b"a".to_vec()), (5, b"b".to_vec())]);
    }
}
