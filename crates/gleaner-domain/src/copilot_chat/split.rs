//! Values that were split over several properties, put together again.
//!
//! Two ways of splitting are known. A numbered family (`key`, `key_02` to `key_50`) holds the value in
//! parts of 8,192 UTF-16 units; each part has lost the white space at its ends, and what would need a
//! 51st part was dropped. A compressed family (`keyChunk`, `keyChunk_2` and so on) holds all of it as
//! gzip in base64, exactly; `key` then holds only its beginning.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::bufread::GzDecoder;

use super::wtf8;

/// Units after which the extension and the SDK cut a value.
pub const CUT: usize = 8192;

/// Parts that a numbered family has at most.
pub const MOST_PARTS: usize = 50;

/// Units after which the extension cuts the JSON of a message or of options, an event a piece.
pub const EVENT_CUT: usize = 8000;

/// A value that was put together.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Joined {
    /// Its text (WTF-8).
    pub text: Vec<u8>,
    /// What may have been lost.
    pub loss: Loss,
}

/// What a value may have lost on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Loss {
    /// Nothing: it came compressed.
    #[default]
    None,
    /// White space at its ends, if it had any.
    Ends,
    /// The same, and white space before its last part.
    Perhaps,
    /// White space where it was split, for sure: a part is short.
    Inner,
    /// A character that was split, of which both halves were replaced.
    Character,
    /// What followed: the last part is full.
    Cut,
}

/// Puts parts together, in their order, that were cut after so many units.
pub fn join<'p>(parts: impl Iterator<Item = Cow<'p, [u8]>>, cut: usize) -> Joined {
    const REPLACED: &[u8] = "\u{fffd}".as_bytes();
    let mut text: Vec<u8> = Vec::new();
    let (mut loss, mut count, mut last_is_full) = (Loss::Ends, 0, false);
    for part in parts {
        if count > 0 {
            loss = loss.max(match last_is_full {
                true => Loss::Perhaps,
                false => Loss::Inner,
            });
            if text.ends_with(REPLACED) && part.starts_with(REPLACED) {
                loss = Loss::Character;
            }
        }
        // There are no more units than bytes.
        last_is_full = part.len() >= cut && wtf8::units(&part) >= cut;
        match count {
            0 => text = part.into_owned(),
            _ => wtf8::push(&mut text, &part),
        }
        count += 1;
    }
    // A value of exactly 8,192 units is not split, and the SDK cuts what was not split before.
    if cut == CUT && (count == 1 || count == MOST_PARTS) && last_is_full {
        loss = Loss::Cut;
    }
    Joined { text, loss }
}

/// Why compressed parts cannot be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnpackError {
    /// No base64, no gzip, a wrong checksum, no UTF-8.
    Damaged,
    /// More than the limit.
    TooLarge,
}

/// Unpacks the parts of a compressed family, in their order, to at most `limit` bytes.
pub fn unpack<'p>(
    parts: impl Iterator<Item = &'p [u8]>,
    limit: u64,
) -> Result<Vec<u8>, UnpackError> {
    let base64: Vec<u8> = parts.flatten().copied().collect();
    let packed = STANDARD.decode(&base64).map_err(|_| UnpackError::Damaged)?;
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(&packed[..]).take(limit.saturating_add(1));
    let read = decoder.read_to_end(&mut text);
    if text.len() as u64 > limit {
        return Err(UnpackError::TooLarge);
    }
    // Nothing may follow, and the length and checksum behind the text must be its own.
    if read.is_err() || !decoder.into_inner().into_inner().is_empty() {
        return Err(UnpackError::Damaged);
    }
    match simdutf8::basic::from_utf8(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(UnpackError::Damaged),
    }
}

/// Whether a text may be the whole of a value that begins as `key` says, which has lost the white
/// space at its ends.
pub fn begins_with(whole: &[u8], key: &[u8]) -> bool {
    // The first part is cut between units, and its white space at the end removed.
    let mut key = wtf8::trim(key);
    if let [head @ .., 0xED, 0xA0..=0xAF, _] = key {
        // Half a pair: the other half is in the whole text only.
        key = head;
    }
    wtf8::trim_start(whole).starts_with(key)
}
