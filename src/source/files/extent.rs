//! Finds the end of a JSON value that may be incomplete, and makes it one line.

use std::ops::Range;

use memchr::memchr2;

use crate::domain::json::{JsonError, NotAValue, Scanner, Skip};

/// So close to the end of what was read an error may only mean that more must be read.
const TOKEN: usize = 16;

/// White space of JSON.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The result for a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A value of this length.
    Whole(usize),
    /// Its end is not there yet; at the end of the text: it is cut off.
    More,
    /// Larger than a row may be.
    TooLarge,
}

/// How far a value reaches that begins with the text. One that is nested too deep is a value.
///
/// # Errors
/// Where it is no JSON.
pub fn extent(text: &[u8], at_end: bool, max_record: u64) -> Result<Extent, NotAValue> {
    let sized = |length: usize| match length as u64 > max_record {
        true => Extent::TooLarge,
        false => Extent::Whole(length),
    };
    let more = || match text.len() as u64 > max_record && !at_end {
        true => Extent::TooLarge,
        false => Extent::More,
    };
    match Scanner::new(text).value() {
        // A number at the end of what was read may continue.
        Ok(value) if value.text.len() == text.len() && !at_end => Ok(more()),
        Ok(value) => Ok(sized(value.text.len())),
        Err(JsonError::TooDeep) => {
            let end = Skip::default().end(text)?;
            Ok(end.map_or_else(more, sized))
        }
        Err(JsonError::Syntax(wrong)) if wrong + TOKEN >= text.len() && !at_end => Ok(more()),
        Err(JsonError::Syntax(wrong)) if wrong >= text.len() => Ok(more()),
        Err(JsonError::Syntax(at)) => Err(NotAValue { at }),
    }
}

/// Moves a value to `to`, which lies not behind it, as one line: where it then ends. A value that
/// spans lines loses the white space between its tokens; its strings have no line breaks.
pub fn one_line(bytes: &mut [u8], value: Range<usize>, mut to: usize) -> usize {
    if memchr2(b'\n', b'\r', &bytes[value.clone()]).is_none() {
        let length = value.len();
        bytes.copy_within(value, to);
        return to + length;
    }
    let (mut string, mut escape) = (false, false);
    for from in value {
        let byte = bytes[from];
        match byte {
            _ if escape => escape = false,
            b'\\' if string => escape = true,
            b'"' => string = !string,
            _ => {}
        }
        if string || !is_space(byte) {
            bytes[to] = byte;
            to += 1;
        }
    }
    to
}

/// Appends a value as one line.
pub fn push_one_line(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(value);
    let end = one_line(out, start..start + value.len(), start);
    out.truncate(end);
}
