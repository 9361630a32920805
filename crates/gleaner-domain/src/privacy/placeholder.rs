//! What stands in the place of what was taken out, and the key that makes it the same everywhere.

use std::fmt;
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::rule::Rule;
use crate::dataset::manifest::hex;

/// Bytes of a placeholder at most: the id of a user's own rule has 64.
const LONGEST: usize = 80;

/// Bytes that a key has at least.
pub const SHORTEST_KEY: usize = 32;

/// The key of pseudonyms. With it one can find out whether a known name or secret is in a dataset.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// A key of at least [`SHORTEST_KEY`] bytes; `None` if there are fewer.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let is_long = bytes.len() >= SHORTEST_KEY;
        is_long.then(|| Self(Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length")))
    }

    /// What names the key without telling it: the first 8 hexadecimal digits of HMAC-SHA256 of `gleaner`.
    pub fn id(&self) -> String {
        self.digits(&[b"gleaner"], 8)
    }

    /// The first hexadecimal digits, at most 64, of HMAC-SHA256 of some texts, one after the other.
    pub(super) fn digits(&self, texts: &[&[u8]], digits: usize) -> String {
        let mut mac = self.0.clone();
        for text in texts {
            mac.update(text);
        }
        let mut all = hex(&mac.finalize().into_bytes());
        all.truncate(digits);
        all
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// Whether a place in a text has nothing but parts of placeholders: what a rule finds there was taken out before.
pub(super) fn are_all(text: &[u8], place: &Range<usize>) -> bool {
    let mut at = place.start;
    while at < place.end {
        // The last one that begins before or here.
        let Some(start) = memchr::memrchr(b'<', &text[..=at]) else {
            return false;
        };
        match length(&text[start..]) {
            Some(length) if start + length > at => at = start + length,
            _ => return false,
        }
    }
    true
}

/// Whether a text has a placeholder.
pub fn is_in(text: &[u8]) -> bool {
    memchr::memchr_iter(b'<', text).any(|start| length(&text[start..]).is_some())
}

/// The length of the placeholder that a text begins with.
fn length(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'>', &text[..text.len().min(LONGEST)])?;
    let is_of = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (end > 1 && text[1].is_ascii_uppercase() && text[1..end].iter().all(is_of)).then_some(end + 1)
}

/// Appends the placeholder of what a rule found: `<AWS_KEY_1a2b3c4d>`, the digits of the rule's id, a zero byte and
/// the text; `<AWS_KEY>` without a key. It needs no escape in JSON, at any depth.
pub fn append(rule: &Rule, secret: &[u8], key: Option<&Key>, out: &mut Vec<u8>) {
    out.push(b'<');
    out.extend_from_slice(rule.placeholder.as_bytes());
    if let Some(key) = key {
        out.push(b'_');
        let digits = key.digits(&[rule.id.as_bytes(), b"\0", secret], 8);
        out.extend_from_slice(digits.as_bytes());
    }
    out.push(b'>');
}
