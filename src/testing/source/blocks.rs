//! The contract of the blocks of a fetch.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::super::clause::{Clause, Verdict};
use super::fetching::{Fetched, lines};
use super::rows::Reading;
use crate::domain::record::row::{RowKind, trim};
use crate::source::{ParsedKind, Pass, RowBlock, RowEncoding, RowLocation, Survey};

const NEWLINE: Clause = Clause("every line ends with a newline, but for the last of a fetch");
const NUMBERED: Clause = Clause("lines are numbered from 1, one block behind the other");
const UTF8: Clause = Clause("is_utf8 is true only if it is");
const KNOWN: Clause = Clause("what is known of the lines is what they say");
const PLACED: Clause = Clause("rows that stay in a file lie where the block says");
const FORM: Clause = Clause("one form in a fetch, the census's in a census alone");

/// Holds the blocks of a fetch against what a block owes. May wait for files.
pub(super) fn hold(survey: &Survey, pass: Pass, fetched: &Fetched, reading: &Reading) -> Verdict {
    let with_lines = || fetched.blocks.iter().filter(|b| !b.bytes.is_empty());
    let last = with_lines().count();
    let encoding = with_lines().next().map(|block| block.encoding);
    let mut next = 1;
    let mut before = None;
    for (number, block) in (1..).zip(with_lines()) {
        NEWLINE.check(number == last || block.bytes.ends_with(b"\n"), || {
            format!("block {number} of {last} ends within a line")
        })?;
        UTF8.check(
            !block.is_utf8 || std::str::from_utf8(&block.bytes).is_ok(),
            || format!("block {number} says so and has bytes that are none"),
        )?;
        let is_fit = Some(block.encoding) == encoding
            && (block.encoding == RowEncoding::Census) == pass.is_census();
        FORM.check(is_fit, || {
            let encoding = block.encoding;
            format!(
                "block {number} of {pass:?} has {encoding:?}, the first has another or it must not"
            )
        })?;
        parsed(number, block, reading)?;
        placed(number, survey, block)?;
        if let Some(before) = before {
            in_file_order(number, survey, before, block)?;
        }
        before = Some(block);
    }
    for (number, block) in (1..).zip(&fetched.blocks) {
        // Of a block without lines its first line means nothing.
        if !block.bytes.is_empty() {
            let first = block.first_line;
            NUMBERED.check(first >= next, || {
                format!(
                    "block {number} begins with line {first}, the lines before it end with {}",
                    next - 1
                )
            })?;
            next = first + lines(block).count() as u64;
        }
        let mut before = 0;
        for reject in &block.rejects {
            NUMBERED.check(reject.line > before, || {
                format!(
                    "block {number} has a reject at line {} behind one at line {before}",
                    reject.line
                )
            })?;
            before = reject.line;
            // Lines behind a reject come after its number.
            let is_among = !block.bytes.is_empty() && (block.first_line..next).contains(&before);
            next = (next + u64::from(is_among)).max(before + 1);
        }
    }
    Ok(())
}

fn parsed(number: usize, block: &RowBlock, reading: &Reading) -> Verdict {
    if block.parsed.is_empty() {
        return Ok(());
    }
    let (parsed, count) = (block.parsed.len(), lines(block).count());
    KNOWN.check(parsed == count, || {
        format!("block {number} has {count} lines and has parsed {parsed}")
    })?;
    for (line, parsed) in lines(block).zip(&block.parsed) {
        let length = line.strip_suffix(b"\n").unwrap_or(line).len();
        let is_unread = parsed.kind == ParsedKind::Unread;
        let is_same = is_unread
            || reading.read(block.encoding, trim(line)).is_some_and(|row| {
                let kind = match row.kind {
                    RowKind::Conversation { turns, .. } => ParsedKind::Conversation { turns },
                    RowKind::Turn { turn, at, agent } if agent && !row.oddities.no_user_message => {
                        ParsedKind::Turn { turn, at }
                    }
                    _ => ParsedKind::Unread,
                };
                kind == parsed.kind && *row.id == *parsed.id
            });
        let kind = parsed.kind;
        KNOWN.check(is_same && length == parsed.length as usize, || {
            format!("a line of block {number} is read otherwise than it is known ({kind:?}), or cannot be read")
        })?;
    }
    Ok(())
}

/// Bytes of an input.
fn bytes_of(survey: &Survey, file: u32, offset: u64, length: u64) -> Verdict<Vec<u8>> {
    let Some(input) = survey.input_fingerprints.get(file as usize) else {
        return PLACED.broken(format!(
            "there is no input {file}, the input fingerprints of the survey has {}",
            survey.input_fingerprints.len()
        ));
    };
    let read = || {
        let mut bytes = Vec::new();
        let mut file = File::open(&input.path)?;
        file.seek(SeekFrom::Start(offset))?;
        file.take(length).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    PLACED.succeeds("reading the input", read())
}

fn placed(number: usize, survey: &Survey, block: &RowBlock) -> Verdict {
    let RowLocation::InFile { file, offset } = block.location else {
        return Ok(());
    };
    let found = bytes_of(survey, file, offset, block.bytes.len() as u64)?;
    PLACED.check(found == block.bytes, || {
        format!("block {number} has other bytes than input {file} at {offset}")
    })
}

/// Of two blocks that stay in one file: the numbers of their lines are as far apart as the lines.
fn in_file_order(number: usize, survey: &Survey, one: &RowBlock, two: &RowBlock) -> Verdict {
    let (
        RowLocation::InFile { file, offset },
        RowLocation::InFile {
            file: of_next,
            offset: next,
        },
    ) = (one.location, two.location)
    else {
        return Ok(());
    };
    if file != of_next {
        return Ok(());
    }
    PLACED.check(next >= offset + one.bytes.len() as u64, || {
        format!("block {number} lies before the end of the one before it")
    })?;
    let between = bytes_of(survey, file, offset, next - offset)?;
    let lines = between.iter().filter(|&&byte| byte == b'\n').count() as u64;
    let (first, right) = (two.first_line, one.first_line + lines);
    NUMBERED.check(first == right, || {
        format!("block {number} begins with line {first} of input {file}, by the newlines between it is {right}")
    })
}
