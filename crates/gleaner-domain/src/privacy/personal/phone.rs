//! Telephone numbers.

use std::ops::Range;

use super::super::checks::is_boundary_before;
use super::{goes_on, grouped};

/// `+` with a country code, or ten digits as they are written in North America.
pub fn phone(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let start = run.start;
    let before = &text[..start];
    if let [rest @ .., b'+'] = before {
        let is_begin =
            is_boundary_before(text, start - 1) && !matches!(rest, [.., b'+' | b')' | b']' | b'}']);
        let length = 48.min(text.len() - start);
        let (digits, end) = international(&text[start..start + length]);
        let end = start + end;
        let least = if end - start == digits { 10 } else { 9 };
        let signs: Vec<u8> = text[start..end]
            .iter()
            .copied()
            .filter(u8::is_ascii_digit)
            .collect();
        let is_fiction = matches!(
            &signs[..],
            [b'1', _, _, _, b'5', b'5', b'5', b'0', b'1', ..]
        );
        let is_phone = is_begin
            && !is_fiction
            && text[start] != b'0'
            && (least..=15).contains(&digits)
            && !goes_on(text, end);
        return is_phone.then_some(start - 1..end);
    }
    if text[run.clone()].starts_with(b"00") {
        return with_zeros(text, run);
    }
    north_american(text, run)
}

/// `0049 30 1234567`: a country code behind two zeros, in groups.
fn with_zeros(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let start = run.start;
    let is_begin = is_boundary_before(text, start)
        && !matches!(text[..start], [.., b'.' | b'-' | b'/' | b'_' | b'#']);
    let (digits, end) = grouped(text, start, 18);
    let number = &text[start..end];
    let groups: Vec<usize> = number
        .split(|byte| !byte.is_ascii_digit())
        .map(<[u8]>::len)
        .collect();
    // Four digits in every group are a dump of bytes.
    let is_grouped = (3..=5).contains(&groups.len())
        && (3..=5).contains(&groups[0])
        && groups.iter().any(|length| *length != groups[0]);
    let mut seen = [false; 10];
    let of_digits = number.iter().filter(|byte| byte.is_ascii_digit());
    of_digits.for_each(|byte| seen[usize::from(byte - b'0')] = true);
    let is_varied = seen.iter().filter(|seen| **seen).count() > 4;
    let is_phone = is_begin
        && is_grouped
        && is_varied
        && text[start + 2] != b'0'
        && (11..=17).contains(&digits)
        && !goes_on(text, end);
    is_phone.then_some(start..end)
}

/// `(212) 555-1234`, `212-555-1234`, `212.555.1234`.
fn north_american(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let start = run.start;
    let before = &text[..start];
    let opened = before.ends_with(b"(");
    if before
        .last()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b".-/_=#".contains(byte))
    {
        return None;
    }
    let area = run.len() == 3;
    let mut at = run.end;
    if !area {
        return None;
    }
    if opened {
        at += usize::from(text.get(at) == Some(&b')'));
        if at == run.end {
            return None;
        }
    }
    let sign = *text.get(at)?;
    at += match sign {
        b'-' | b'.' => 1,
        b' ' if opened => 1,
        b'0'..=b'9' if opened => 0,
        _ => return None,
    };
    let exchange = text.get(at..at + 3)?;
    let second = *text.get(at + 3)?;
    let line = text.get(at + 4..at + 8)?;
    let end = at + 8;
    let is_written = exchange.iter().chain(line).all(u8::is_ascii_digit)
        && (second == b'-' || (second == sign && sign == b'.'));
    let is_given = text[start] >= b'2' && exchange[0] >= b'2';
    // Numbers for films and books.
    let is_fiction = exchange == b"555" && line.starts_with(b"01");
    let is_phone = is_written && is_given && !is_fiction && !goes_on(text, end);
    is_phone.then_some(start - usize::from(opened)..end)
}

/// The digits behind `+`, with blanks, dots, dashes and one pair of parentheses between them.
fn international(text: &[u8]) -> (usize, usize) {
    let (mut digits, mut end, mut gap) = (0, 0, 0);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                (end, gap) = (at + 1, 0);
            }
            b' ' | b'-' | b'.' | b'(' | b')' if gap < 2 => gap += 1,
            _ => break,
        }
        if digits == 15 {
            break;
        }
    }
    (digits, end)
}
