//! Texts as JavaScript has them: UTF-16 units, halves of pairs included.

/// A text in UTF-16 units.
pub type Units = Vec<u16>;

/// The units of a text.
pub fn of_text(text: &str) -> Units {
    text.encode_utf16().collect()
}

/// Whether JavaScript's `trim` removes a unit.
fn is_space(unit: u16) -> bool {
    matches!(
        unit,
        0x09..=0x0D | 0x20 | 0xA0 | 0x1680 | 0x2000..=0x200A | 0x2028 | 0x2029 | 0x202F | 0x205F | 0x3000 | 0xFEFF
    )
}

/// A text without the white space at its end.
pub fn trim_end(text: &[u16]) -> &[u16] {
    let end = text.iter().rposition(|unit| !is_space(*unit));
    &text[..end.map_or(0, |end| end + 1)]
}

/// A text without the white space at both ends.
pub fn trim(text: &[u16]) -> &[u16] {
    let text = trim_end(text);
    let start = text.iter().position(|unit| !is_space(*unit));
    &text[start.unwrap_or(text.len())..]
}

/// Appends a text as a JSON string; half a pair is an escape.
pub fn write_json(text: &[u16], out: &mut String) {
    out.push('"');
    for decoded in char::decode_utf16(text.iter().copied()) {
        match decoded {
            Ok(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Ok('\n') => out.push_str("\\n"),
            Ok('\r') => out.push_str("\\r"),
            Ok('\t') => out.push_str("\\t"),
            Ok(c @ '\0'..' ') => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            Ok(c) => out.push(c),
            Err(half) => out.push_str(&format!("\\u{:04x}", half.unpaired_surrogate())),
        }
    }
    out.push('"');
}

/// A text as a JSON string.
pub fn json(text: &[u16]) -> String {
    let mut out = String::new();
    write_json(text, &mut out);
    out
}
