//! Values as a record has them.

use crate::json::{JsonError, Kind, Scanner, Value, text};
use crate::record::fields::key_text;

/// A string with the fewest escapes, anything else as it stands.
pub(super) fn write_plain(value: &Value<'_>, out: &mut Vec<u8>) {
    match value.string_body() {
        Some(body) if value.escaped => {
            out.push(b'"');
            text::write_body(body, out);
            out.push(b'"');
        }
        _ => out.extend_from_slice(value.text),
    }
}

/// Writes checked JSON compact, keys sorted by their decoded bytes at every level.
pub(super) fn write_sorted(json: &[u8], out: &mut Vec<u8>) {
    // The text was checked when its row was read; should that be untrue, it stays as it is.
    let mut scanner = Scanner::of_checked(json);
    let start = out.len();
    if sorted(&mut scanner, out).is_err() {
        out.truncate(start);
        out.extend_from_slice(json);
    }
}

/// Recursion is bounded by the depth that rows may have.
fn sorted(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match scanner.kind()? {
        Kind::Object => {
            let mut members = Vec::new();
            scanner.open_object()?;
            while let Some(key) = scanner.next_key(members.is_empty())? {
                members.push((key_text(&key), key, scanner.value()?));
            }
            members.sort_by(|a, b| a.0.cmp(&b.0));
            out.push(b'{');
            for (index, (_, key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_plain(key, out);
                out.push(b':');
                sorted(&mut Scanner::of_checked(value.text), out)?;
            }
            out.push(b'}');
        }
        Kind::Array => scanner.write_elements(out, sorted)?,
        _ => write_plain(&scanner.value()?, out),
    }
    Ok(())
}
