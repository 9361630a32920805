//! The content of JSON strings: decoding, the fewest escapes, blankness, lone surrogates.
//!
//! A **body** is what stands between the quotes, already checked by [`crate::json::Scanner`].

use wide::u8x16;

/// One step through a body.
enum Step {
    /// Plain bytes up to here.
    Plain,
    /// A character that was escaped.
    Char(char),
    /// Half of a surrogate pair, without the other half.
    Lone(u16),
}

/// Walks over a body: `visit(step, the bytes of the step)`.
fn walk(body: &[u8], mut visit: impl FnMut(Step, &[u8])) {
    let mut at = 0;
    while at < body.len() {
        let plain = memchr::memchr(b'\\', &body[at..]).unwrap_or(body.len() - at);
        if plain > 0 {
            visit(Step::Plain, &body[at..at + plain]);
            at += plain;
            continue;
        }
        let (step, length) = escape(&body[at..]);
        let end = (at + length).min(body.len());
        visit(step, &body[at..end]);
        at = end;
    }
}

/// Reads the escape at the beginning of `body`: what it stands for, and its length.
fn escape(body: &[u8]) -> (Step, usize) {
    let simple = |c| (Step::Char(c), 2);
    match body.get(1) {
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'n') => simple('\n'),
        Some(b'r') => simple('\r'),
        Some(b't') => simple('\t'),
        Some(b'u') => {
            let unit = hex(body.get(2..6));
            if let Some(c) = char::from_u32(u32::from(unit)) {
                return (Step::Char(c), 6);
            }
            let low = match body.get(6..8) {
                Some(b"\\u") => hex(body.get(8..12)),
                _ => 0,
            };
            match char::decode_utf16([unit, low]).next() {
                Some(Ok(c)) => (Step::Char(c), 12),
                _ => (Step::Lone(unit), 6),
            }
        }
        Some(&other) => simple(char::from(other)),
        None => (Step::Plain, 1),
    }
}

fn hex(digits: Option<&[u8]>) -> u16 {
    digits
        .and_then(|d| std::str::from_utf8(d).ok())
        .and_then(|d| u16::from_str_radix(d, 16).ok())
        .unwrap_or(0)
}

/// Appends the decoded body; a lone surrogate becomes U+FFFD. Says whether there was one.
pub fn decode(body: &[u8], out: &mut Vec<u8>) -> bool {
    let mut lone = false;
    decode_with(body, out, |_, out| {
        lone = true;
        push_char('\u{fffd}', out);
    });
    lone
}

/// Appends the decoded body; half a surrogate pair is its own three bytes, as if it were a
/// character.
pub fn decode_halves(body: &[u8], out: &mut Vec<u8>) {
    decode_with(body, out, |unit, out| {
        let last = |bits: u16| 0x80 | (bits & 0x3F) as u8;
        out.extend_from_slice(&[0xED, last(unit >> 6), last(unit)]);
    });
}

/// Appends the decoded body; `lone` appends half a surrogate pair.
///
/// JSON that is written within JSON has an escape every few bytes: what lies between is copied
/// without a call.
fn decode_with(body: &[u8], out: &mut Vec<u8>, mut lone: impl FnMut(u16, &mut Vec<u8>)) {
    let mut rest = body;
    out.reserve(body.len());
    while let Some((chunk, behind)) = rest.split_first_chunk::<CHUNK>() {
        let escapes = u8x16::new(*chunk).simd_eq(u8x16::splat(b'\\')).to_bitmask();
        out.extend_from_slice(chunk);
        if escapes == 0 {
            rest = behind;
            continue;
        }
        let plain = escapes.trailing_zeros() as usize;
        out.truncate(out.len() - (CHUNK - plain));
        rest = decode_escape(&rest[plain..], out, &mut lone);
    }
    while let Some(&byte) = rest.first() {
        rest = match byte {
            b'\\' => decode_escape(rest, out, &mut lone),
            _ => {
                out.push(byte);
                &rest[1..]
            }
        };
    }
}

/// Bytes that are copied at once.
const CHUNK: usize = 16;

/// Appends what the escape at the beginning of `rest` stands for; what follows it.
#[inline(always)]
fn decode_escape<'a>(
    rest: &'a [u8],
    out: &mut Vec<u8>,
    lone: &mut impl FnMut(u16, &mut Vec<u8>),
) -> &'a [u8] {
    let length = match rest.get(1) {
        Some(&byte @ (b'"' | b'\\' | b'/')) => {
            out.push(byte);
            2
        }
        Some(b'n') => {
            out.push(b'\n');
            2
        }
        _ => {
            let (step, length) = escape(rest);
            match step {
                Step::Plain => out.extend_from_slice(&rest[..length]),
                Step::Char(c) => push_char(c, out),
                Step::Lone(unit) => lone(unit, out),
            }
            length
        }
    };
    rest.get(length..).unwrap_or_default()
}

/// Goes on from a place in the decoded body and the same place in the body to a later one: `decoded`, and where the body
/// has it. What [`decode`] makes of the body is meant.
pub fn advance(body: &[u8], from: (usize, usize), decoded: usize) -> (usize, usize) {
    let (mut done, mut at) = from;
    while done < decoded && at < body.len() {
        let plain = memchr::memchr(b'\\', &body[at..]).unwrap_or(body.len() - at);
        if plain > 0 {
            let step = plain.min(decoded - done);
            (done, at) = (done + step, at + step);
            continue;
        }
        let (step, length) = escape(&body[at..]);
        done += match step {
            Step::Plain => length,
            Step::Char(c) => c.len_utf8(),
            Step::Lone(_) => char::REPLACEMENT_CHARACTER.len_utf8(),
        };
        at = (at + length).min(body.len());
    }
    (done, at)
}

/// Whether a text (a body, or whole JSON: escapes stand in strings only) has half a surrogate pair.
pub fn has_lone_surrogate(text: &[u8]) -> bool {
    let mut lone = false;
    walk(text, |step, _| lone |= matches!(step, Step::Lone(_)));
    lone
}

/// Whether a body is empty or only Unicode `White_Space`.
pub fn is_blank(body: &[u8]) -> bool {
    let mut rest = body;
    // Ends with the first character that is no white space, which is nearly always the first.
    while let Some(&byte) = rest.first() {
        let (c, length) = match byte {
            b'\\' => match escape(rest) {
                (Step::Char(c), length) => (Some(c), length),
                (_, length) => (None, length),
            },
            0x00..0x80 => (Some(char::from(byte)), 1),
            _ => {
                let first = &rest[..rest.len().min(4)];
                let valid = first.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                (
                    valid.chars().next(),
                    valid.chars().next().map_or(1, char::len_utf8),
                )
            }
        };
        if !c.is_some_and(char::is_whitespace) {
            return false;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    true
}

/// Appends a body written with the fewest escapes (a lone surrogate keeps its own).
pub fn write_body(body: &[u8], out: &mut Vec<u8>) {
    walk(body, |step, bytes| match step {
        Step::Plain => out.extend_from_slice(bytes),
        Step::Char(c) => write_char(c, out),
        Step::Lone(unit) => out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
    });
}

/// Appends a decoded text as a JSON string with the fewest escapes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((chunk, behind)) = rest.split_first_chunk::<CHUNK>() {
        let bytes = u8x16::new(*chunk);
        let last_control = u8x16::splat(0x1f);
        let escaped = bytes.simd_eq(u8x16::splat(b'"'))
            | bytes.simd_eq(u8x16::splat(b'\\'))
            | bytes.min(last_control).simd_eq(bytes);
        let escaped = escaped.to_bitmask();
        if escaped == 0 {
            out.extend_from_slice(chunk);
            rest = behind;
            continue;
        }
        let plain = escaped.trailing_zeros() as usize;
        out.extend_from_slice(&chunk[..plain]);
        write_char(char::from(chunk[plain]), out);
        rest = &rest[plain + 1..];
    }
    for &byte in rest {
        match byte {
            // What is escaped is ASCII, and no part of another character.
            b'"' | b'\\' | ..=0x1f => write_char(char::from(byte), out),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends JSON on one line: between its values newlines become spaces, and in a string there is none.
pub fn write_on_one_line(json: &[u8], out: &mut Vec<u8>) {
    let mut at = out.len();
    out.extend_from_slice(json);
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &out[at..]) {
        out[at + found] = b' ';
        at += found + 1;
    }
}

/// Appends an integer.
pub fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `\"`, `\\`, `\b \t \n \f \r`, `\u00xx` below U+0020, and everything else as it is.
pub fn write_char(c: char, out: &mut Vec<u8>) {
    let escape: &[u8] = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\u{8}' => b"\\b",
        '\t' => b"\\t",
        '\n' => b"\\n",
        '\u{c}' => b"\\f",
        '\r' => b"\\r",
        '\0'..='\u{1f}' => {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            return;
        }
        _ => return push_char(c, out),
    };
    out.extend_from_slice(escape);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(body: &str) -> (String, bool) {
        let mut out = Vec::new();
        let lone = decode(body.as_bytes(), &mut out);
        (String::from_utf8(out).expect("UTF-8"), lone)
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(
            decoded(r#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude42"#).0,
            "a\"\\/\u{8}\u{c}\n\r\té🙂"
        );
    }

    #[test]
    fn half_a_pair_is_found_wherever_it_stands() {
        for body in [
            r"\ud83d",
            r"\ude42",
            r"\ud83dx",
            r"\ud83d\n",
            r"\ud83d\ud83d\ude42",
            r"\ud83d\u0041",
        ] {
            assert!(has_lone_surrogate(body.as_bytes()), "{body}");
            assert!(decoded(body).1, "{body}");
        }
        for body in [r"\ud83d\ude42", r"\\ud83d", "plain", r"\u0041"] {
            assert!(!has_lone_surrogate(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn blank_is_only_unicode_white_space() {
        for body in ["", " ", r"\n\t", "\u{2003}\u{a0}", r"\u2003", "\u{85}"] {
            assert!(is_blank(body.as_bytes()), "{body:?}");
        }
        for body in ["a", " a", r"\n.", "\u{200b}", r"\u200b", r"\ud83d", "é"] {
            assert!(!is_blank(body.as_bytes()), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn escapes_are_decoded_wherever_they_stand(
            pieces in prop::collection::vec(
                prop_oneof![
                    "[a-zé🙂]{0,40}",
                    r#"\\[\"/bfnrt\\]"#,
                    r"\\u00[0-9a-f]{2}",
                    Just(r"\ud83d\ude42".to_owned()),
                ],
                0..12,
            ),
        ) {
            let body = pieces.concat();
            let expected: String = serde_json::from_str(&format!("\"{body}\"")).expect("a string");
            let mut halves = b"before".to_vec();
            decode_halves(body.as_bytes(), &mut halves);
            prop_assert_eq!(&halves[6..], expected.as_bytes());
            prop_assert_eq!(decoded(&body), (expected, false));
        }

        #[test]
        fn the_fewest_escapes_are_those_of_serde_json(text in "(\\PC|[\\x00-\\x1f\"\\\\/é🙂]){0,40}") {
            let expected = serde_json::to_string(&text).expect("a string");
            let mut out = Vec::new();
            write_string(&text, &mut out);
            prop_assert_eq!(&out, expected.as_bytes());
            // And from a body where everything is escaped.
            let body: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            out.clear();
            write_body(body.as_bytes(), &mut out);
            prop_assert_eq!(&out, &expected.as_bytes()[1..expected.len() - 1]);
        }
    }

    #[test]
    fn every_character_below_the_space_is_escaped_as_serde_json_does() {
        for c in (0..=b' ').chain(*b"\"\\/\x7f").map(char::from) {
            let expected = serde_json::to_string(&c).expect("a string");
            let mut out = Vec::new();
            write_string(&c.to_string(), &mut out);
            assert_eq!(out, expected.as_bytes(), "{c:?}");
        }
    }
}
