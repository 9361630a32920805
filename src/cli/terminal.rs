//! The one way for texts to the terminal: without secrets, and without control characters.
//!
//! Names of files, datasets and columns and the texts of servers may hold escape sequences that would
//! move the cursor, hide text or set the window's title. They are shown as `\u{1b}`. Line feeds and tabs
//! stay.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::domain::visible::{escaped, visible};
use crate::secrets::redact;

/// A text as it may be shown.
pub fn clean(text: &str) -> String {
    visible(&redact(text)).into_owned()
}

/// A text in one line: a name with a line break cannot pass for a line of gleaner's own.
pub fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\t', "\\t")
}

/// A JSON text as it may be shown: still JSON, and equal but for secrets.
pub fn clean_json(text: &str) -> String {
    let as_units = |c: char| {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units).iter();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    };
    escaped(&redact(text), as_units).into_owned()
}

/// Writes a line to standard error; a reader that has gone away is no error of ours.
pub fn error_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", clean(text));
}

/// Where log lines go.
#[derive(Debug, Clone, Copy)]
pub struct Log;

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Log {
    /// Takes a whole line: the subscriber writes each event at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = one_line(text.strip_suffix('\n').unwrap_or(&text));
        writeln!(io::stderr().lock(), "{}", clean(&text))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_layout_stays() {
        for (text, shown) in [
            ("plain é 漢\n\tb", "plain é 漢\n\tb"),
            ("a\u{1b}[31mb\u{7}", "a\\u{1b}[31mb\\u{7}"),
            ("a\rb\u{7f}\u{9b}0m", "a\\u{d}b\\u{7f}\\u{9b}0m"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    #[test]
    fn a_json_text_stays_the_same_value() {
        let value = serde_json::json!({"a\u{9b}": "b\u{7f}\u{202e}\u{1b}\n"});
        let text = clean_json(&value.to_string());
        assert!(!text.contains(char::is_control), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, value);
    }
}
