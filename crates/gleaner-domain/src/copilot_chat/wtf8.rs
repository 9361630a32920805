//! Texts that may have half a surrogate pair (WTF-8): UTF-8 in which a lone half is written as its
//! own three bytes.
//!
//! The extension cuts long values between two UTF-16 units. Where it cuts a pair, each part ends or
//! begins with half of it. [`push`] joins the halves again; one that stays alone is written as an
//! escape, so that the rule `lone_surrogate` finds it.

use std::borrow::Cow;

use crate::json::{Value, text};

/// Appends a piece; a pair that was cut between the two is joined.
pub fn push(out: &mut Vec<u8>, piece: &[u8]) {
    let joined = match (low_half(piece), high_half(out)) {
        (Some(low), Some(high)) => char::decode_utf16([high, low]).next().and_then(Result::ok),
        _ => None,
    };
    match joined {
        Some(c) => {
            out.truncate(out.len() - 3);
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            out.extend_from_slice(&piece[3..]);
        }
        None => out.extend_from_slice(piece),
    }
}

/// The high half that a text ends with.
fn high_half(text: &[u8]) -> Option<u16> {
    match text {
        [.., 0xED, second @ 0xA0..=0xAF, third] => Some(unit(*second, *third)),
        _ => None,
    }
}

/// The low half that a text begins with.
fn low_half(text: &[u8]) -> Option<u16> {
    match text {
        [0xED, second @ 0xB0..=0xBF, third, ..] => Some(unit(*second, *third)),
        _ => None,
    }
}

/// The surrogate whose last two of three bytes these are.
fn unit(second: u8, third: u8) -> u16 {
    0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F)
}

/// The content of a JSON string (its body). Halves of a pair that both stand in it make a pair.
pub fn decode(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    text::decode_halves(body, &mut text);
    text
}

/// The content of a string, decoded; `None` if the value is no string.
pub fn text<'a>(value: &Value<'a>) -> Option<Cow<'a, [u8]>> {
    let body = value.string_body()?;
    if !value.escaped {
        return Some(Cow::Borrowed(body));
    }
    Some(Cow::Owned(decode(body)))
}

/// How many UTF-16 units a text has.
pub fn units(text: &[u8]) -> usize {
    let unit = |&byte: &u8| usize::from(byte & 0xC0 != 0x80) + usize::from(byte >= 0xF0);
    text.iter().map(unit).sum()
}

/// A text without the white space at both ends that JavaScript's `trim` removes, as the SDK does.
pub fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// A text without the white space that it begins with.
pub fn trim_start(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = SPACES.iter().find_map(|space| text.strip_prefix(*space)) {
        text = rest;
    }
    text
}

/// A text without the white space that it ends with.
pub fn trim_end(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = SPACES.iter().find_map(|space| text.strip_suffix(*space)) {
        text = rest;
    }
    text
}

/// White space and line terminators of ECMAScript.
const SPACES: [&[u8]; 25] = [
    b" ",
    b"\n",
    b"\r",
    b"\t",
    b"\x0b",
    b"\x0c",
    "\u{a0}".as_bytes(),
    "\u{1680}".as_bytes(),
    "\u{2000}".as_bytes(),
    "\u{2001}".as_bytes(),
    "\u{2002}".as_bytes(),
    "\u{2003}".as_bytes(),
    "\u{2004}".as_bytes(),
    "\u{2005}".as_bytes(),
    "\u{2006}".as_bytes(),
    "\u{2007}".as_bytes(),
    "\u{2008}".as_bytes(),
    "\u{2009}".as_bytes(),
    "\u{200a}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{2029}".as_bytes(),
    "\u{202f}".as_bytes(),
    "\u{205f}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{feff}".as_bytes(),
];

/// Whether a text has half a surrogate pair.
pub fn has_lone_half(text: &[u8]) -> bool {
    memchr::memchr_iter(0xED, text).any(|at| text.get(at + 1).is_some_and(|next| *next >= 0xA0))
}

/// Appends a text as a JSON string with the fewest escapes; half a pair is an escape.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, &byte) in text.iter().enumerate() {
        let half = byte == 0xED && text.get(at + 1).is_some_and(|next| *next >= 0xA0);
        if !matches!(byte, 0..b' ' | b'"' | b'\\') && !half {
            continue;
        }
        out.extend_from_slice(&text[plain..at]);
        plain = at + 1;
        if half {
            plain = at + 3;
            let unit = unit(text[at + 1], text.get(at + 2).copied().unwrap_or(0));
            out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
        } else {
            text::write_char(char::from(byte), out);
        }
    }
    out.extend_from_slice(text.get(plain..).unwrap_or_default());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A text of UTF-16 units, whatever they are.
    pub fn of_units(units: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                Ok(c) => push(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(half) => {
                    let unit = half.unpaired_surrogate();
                    let bytes = [
                        0xED,
                        0x80 | (unit >> 6 & 0x3F) as u8,
                        0x80 | (unit & 0x3F) as u8,
                    ];
                    push(&mut out, &bytes);
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn pieces_cut_between_any_two_units_join_to_the_same_text(
            text in "[a-c é🙂😀\\n]{0,30}", cut in 0usize..40,
        ) {
            let all: Vec<u16> = text.encode_utf16().collect();
            let cut = cut.min(all.len());
            let mut joined = of_units(&all[..cut]);
            push(&mut joined, &of_units(&all[cut..]));
            prop_assert_eq!(units(&joined), all.len());
            prop_assert_eq!(joined, text.into_bytes());
        }

        #[test]
        fn any_units_are_written_so_that_they_can_be_read_again(all in prop::collection::vec(
            prop_oneof![0u16..0x80, 0xD7F0u16..0xE010], 0..20,
        )) {
            let text = of_units(&all);
            let mut json = Vec::new();
            write_string(&text, &mut json);
            prop_assert_eq!(units(&text), all.len());
            prop_assert_eq!(has_lone_half(&text), crate::json::text::has_lone_surrogate(&json));
            prop_assert_eq!(decode(&json[1..json.len() - 1]), text);
            prop_assert!(crate::json::check(&json).is_ok());
        }

        #[test]
        fn a_text_without_halves_is_written_as_any_other(text in "(\\PC|[\\x00-\\x1f\"\\\\/é🙂]){0,40}") {
            let (mut ours, mut others) = (Vec::new(), Vec::new());
            write_string(text.as_bytes(), &mut ours);
            crate::json::text::write_string(&text, &mut others);
            prop_assert_eq!(ours, others);
        }
    }

    #[test]
    fn white_space_is_that_of_java_script() {
        let all: String = (0..=0xFFFFu32).filter_map(char::from_u32).collect();
        let kept: Vec<char> = all
            .chars()
            .filter(|c| trim(c.to_string().as_bytes()).is_empty())
            .collect();
        let differs = |c: &char| c.is_whitespace() != kept.contains(c);
        let differing: Vec<char> = all.chars().filter(differs).collect();
        assert_eq!(differing, ['\u{85}', '\u{feff}']);
        assert_eq!(trim("\u{feff} a b\u{3000}\n".as_bytes()), b"a b");
    }
}
