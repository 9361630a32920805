//! The words of texts, and shingles: runs of words that follow each other, each as a 64-bit hash.
//!
//! - **Words** are what stands between Unicode `White_Space`, each character in its own lower case
//!   (`Lowercase_Mapping` without context).
//! - **A conversation's text** is the `userMessage` and then the `modelMessage` of each turn, in the order of turns; what
//!   is no string is left out. A message ends a word; shingles run over the ends of messages.
//! - **A word's hash** is XXH3-64 of its UTF-8 bytes. **A shingle's hash**, of words with the hashes `h1 ... hn`, is
//!   `mix(h1 * A^(n-1) + ... + hn)`, all modulo 2^64, see [`FACTOR`] and [`mix`].
//!
//! Near-duplicates look at shingles of 5 words, decontamination at those of 13. Nothing is allocated for a word.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::debug_lengths;
use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, text};
use crate::record::fields::Field;

/// `A` in a shingle's hash: 2^64 divided by the golden ratio, odd.
pub const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

const SPACE: u8 = b' ';

/// Words in lower case, with one space between. It is filled again and again without new memory.
#[derive(Default)]
pub struct Words {
    text: Vec<u8>,
    /// A message without its escapes.
    decoded: Vec<u8>,
}

debug_lengths!(Words { } lengths { text });

impl Words {
    /// No words.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all words, and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// Reads a record's texts in place of what was there.
    ///
    /// # Errors
    /// If the record is no JSON.
    pub fn read_record(&mut self, record: &[u8]) -> Result<(), JsonError> {
        self.clear();
        let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
        scanner.each_member(|key, scanner| {
            let is_turns = Field::named(key) == Some(Field::TurnsArray);
            if !is_turns || scanner.kind()? != Kind::Array {
                return scanner.value().map(drop);
            }
            scanner.each_element(|scanner| {
                if scanner.kind()? != Kind::Object {
                    return scanner.value().map(drop);
                }
                let mut messages = [None; 2];
                scanner.each_member(|key, scanner| {
                    let value = scanner.value()?;
                    match Field::named(key) {
                        Some(Field::UserMessage) => messages[0] = Some(value),
                        Some(Field::ModelMessage) => messages[1] = Some(value),
                        _ => {}
                    }
                    Ok(())
                })?;
                for message in messages.into_iter().flatten() {
                    if let Some(body) = message.string_body() {
                        self.push_body(body, message.escaped);
                    }
                }
                Ok(())
            })
        })
    }

    /// Adds the words of a JSON string, given by what stands between its quotes.
    fn push_body(&mut self, body: &[u8], is_escaped: bool) {
        if !is_escaped {
            return self.push(&String::from_utf8_lossy(body));
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        text::decode(body, &mut decoded);
        self.push(&String::from_utf8_lossy(&decoded));
        self.decoded = decoded;
    }

    /// Adds the words of a text. Its first word is another one than the last before it.
    pub fn push(&mut self, text: &str) {
        let begun = self.text.len();
        let mut end = begun;
        // Room for every byte and the space before them; lower case may need more.
        self.text.resize(begun + text.len() + 1, 0);
        if !matches!(self.text[..begun].last(), None | Some(&SPACE)) {
            self.text[end] = SPACE;
            end += 1;
        }
        let mut is_after_space = true;
        let mut rest = text;
        while !rest.is_empty() {
            let mut ascii = 0;
            for &byte in rest.as_bytes() {
                let lower = LOWER[byte as usize];
                if lower == NOT_ASCII {
                    break;
                }
                // White space that follows white space is written over.
                let is_space = lower == SPACE;
                self.text[end] = lower;
                end += usize::from(!(is_space && is_after_space));
                is_after_space = is_space;
                ascii += 1;
            }
            rest = &rest[ascii..];
            let Some(c) = rest.chars().next() else { break };
            rest = &rest[c.len_utf8()..];
            (end, is_after_space) = self.put(c, end, is_after_space, rest.len());
        }
        self.text.truncate(end);
    }

    /// Puts a character that is not ASCII at `end`, and leaves room for `ahead` bytes.
    fn put(
        &mut self,
        c: char,
        mut end: usize,
        is_after_space: bool,
        ahead: usize,
    ) -> (usize, bool) {
        if c.is_whitespace() {
            self.text[end] = SPACE;
            return (end + usize::from(!is_after_space), true);
        }
        for lower in c.to_lowercase() {
            let needed = end + lower.len_utf8() + ahead;
            if self.text.len() < needed {
                self.text.resize(needed + needed / 8, 0);
            }
            end += lower.encode_utf8(&mut self.text[end..]).len();
        }
        (end, false)
    }

    /// The words with one space between, as UTF-8.
    pub fn normal(&self) -> &[u8] {
        self.text.strip_suffix(&[SPACE]).unwrap_or(&self.text)
    }

    /// XXH3-128 of [`Self::normal`]: equal for equal texts.
    pub fn text_hash(&self) -> u128 {
        xxh3_128(self.normal())
    }

    /// The words in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let normal = self.normal();
        let mut start = 0;
        let ends =
            memchr::memchr_iter(SPACE, normal).chain((!normal.is_empty()).then_some(normal.len()));
        ends.map(move |end| {
            let word = &normal[start..end];
            start = end + 1;
            word
        })
    }

    /// The hashes of all runs of `N` words, in their order; none if there are fewer words.
    pub fn shingles<const N: usize>(&self) -> impl Iterator<Item = u64> {
        let mut window = Window::<N>::new();
        self.iter()
            .filter_map(move |word| window.push(xxh3_64(word)))
    }
}

/// The last `N` words of a text that is passed word by word.
struct Window<const N: usize> {
    last: [u64; N],
    at: usize,
    /// Words that are still missing to the first shingle.
    missing: usize,
    sum: u64,
}

impl<const N: usize> Window<N> {
    /// `FACTOR` to the power of `N`.
    const LAST_FACTOR: u64 = {
        let (mut factor, mut power) = (1u64, 0);
        while power < N {
            factor = factor.wrapping_mul(FACTOR);
            power += 1;
        }
        factor
    };

    fn new() -> Self {
        const { assert!(N > 0) };
        Self {
            last: [0; N],
            at: 0,
            missing: N,
            sum: 0,
        }
    }

    /// Passes a word; the shingle that ends with it.
    #[inline]
    fn push(&mut self, word: u64) -> Option<u64> {
        let gone = std::mem::replace(&mut self.last[self.at], word);
        self.at = if self.at + 1 == N { 0 } else { self.at + 1 };
        let sum = self.sum.wrapping_mul(FACTOR);
        self.sum = sum
            .wrapping_sub(gone.wrapping_mul(Self::LAST_FACTOR))
            .wrapping_add(word);
        self.missing = self.missing.saturating_sub(1);
        (self.missing == 0).then(|| mix(self.sum))
    }
}

/// Spreads a number over all its bits: the last step of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014).
#[inline]
pub fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

const NOT_ASCII: u8 = 0xFF;

/// Each ASCII byte in lower case, white space as a space.
const LOWER: [u8; 256] = {
    let mut table = [NOT_ASCII; 256];
    let mut byte = 0;
    while byte < 0x80 {
        table[byte] = match byte as u8 {
            b'\t'..=b'\r' => SPACE,
            other => other.to_ascii_lowercase(),
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
