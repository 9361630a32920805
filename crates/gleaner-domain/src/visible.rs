//! Characters that must not reach a terminal or a page as they are.

use std::borrow::Cow;

/// Whether a terminal would obey a character instead of showing it, or shows what follows in another
/// order. Line feeds and tabs are layout.
pub fn is_unfit(c: char) -> bool {
    let is_layout = matches!(c, '\n' | '\t');
    let is_bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() && !is_layout || is_bidi || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A text with those characters as `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.escape_unicode().to_string())
}

/// A text with those characters written in another way.
pub fn escaped(text: &str, written: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(is_unfit) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unfit(c) {
            true => out.push_str(&written(c)),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}
