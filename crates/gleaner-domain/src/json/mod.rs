//! A strict JSON scanner: checks every byte against RFC 8259 and reports where things are.
//!
//! It exists because of the promise that every row is checked in full, also those that are not
//! chosen, at the speed of reading: it builds nothing, unescapes nothing, and never recurses (a row
//! nested 100,000 deep is an error, not a stack overflow). It accepts exactly what `serde_json`
//! accepts, up to the depth limit and the range of numbers; a property test holds it against that.
//! UTF-8 is not its business: callers check whole blocks with `simdutf8` first.

use crate::debug_lengths;
use std::ops::Range;
use thiserror::Error;

pub mod canonical;
pub mod number;
mod skip;
mod strings;
pub mod text;
mod visit;

pub use skip::{NotAValue, Skip};
use strings::Strings;

/// A row's own object is depth 1; values nested deeper than this are refused.
pub const MAX_DEPTH: u32 = 128;

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not JSON, from about this offset on.
    #[error("not JSON at byte {0}")]
    Syntax(usize),
    /// Nested too deep.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// The kind of a value, known by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{}`
    Object,
    /// `[]`
    Array,
    /// `""`
    String,
    /// Any number.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// A checked value: its text as it stands, without the white space around.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// The kind of the value.
    pub kind: Kind,
    /// Its text; a string with its quotes.
    pub text: &'a [u8],
    /// Whether a string in it has an escape.
    pub escaped: bool,
}

debug_lengths!(Value<'_> { kind, escaped } lengths { text });

impl<'a> Value<'a> {
    /// A string's content between the quotes, escapes as they are; `None` for other kinds.
    pub fn string_body(&self) -> Option<&'a [u8]> {
        (self.kind == Kind::String).then(|| &self.text[1..self.text.len() - 1])
    }
}

/// A position in a text.
#[derive(Clone)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    max_depth: u32,
    /// For every open container, from depth 1 on, whether it is an object.
    objects: [u64; 3],
    strings: Strings,
    /// Whether the text was checked before.
    checked: bool,
}

debug_lengths!(Scanner<'_> { at, depth } lengths { text });

impl<'a> Scanner<'a> {
    /// Starts before a text.
    pub fn new(text: &'a [u8]) -> Self {
        Self::with_max_depth(text, MAX_DEPTH)
    }

    /// Starts before a text that may be nested deeper: an assembled record adds two levels.
    pub fn with_max_depth(text: &'a [u8], max_depth: u32) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            max_depth: max_depth.min(DEPTH_BITS - 1),
            objects: [0; 3],
            strings: Strings::new(),
            checked: false,
        }
    }

    /// Starts before a text that was checked before: objects and arrays are passed by their
    /// brackets, without another look at what is in them. How deep they are was checked too.
    pub fn of_checked(text: &'a [u8]) -> Self {
        Self {
            checked: true,
            ..Self::with_max_depth(text, DEPTH_BITS)
        }
    }

    /// Where the scanner stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Where a value that was passed stands in the text.
    pub fn place_of(&self, value: &Value<'a>) -> Range<usize> {
        let start = value.text.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + value.text.len()
    }

    /// Whether a string so far has a `\ud800` to `\udfff` escape: only then can one be alone. A
    /// string that lies a little ahead may count already.
    pub fn saw_surrogates(&self) -> bool {
        self.strings.saw_surrogates()
    }

    /// Whether there may be white space other than blanks in what was passed: new lines, above all.
    /// Some that lies a little ahead may count already.
    pub fn saw_controls(&mut self) -> bool {
        self.strings.saw_controls(self.text, self.at)
    }

    /// The container that another scanner of the same text has passed since it stood where this
    /// one stands.
    pub fn passed(&mut self, after: &Self) -> Value<'a> {
        let kind = match self.peek() {
            Some(b'{') => Kind::Object,
            _ => Kind::Array,
        };
        Value {
            kind,
            text: &self.text[self.at..after.at],
            escaped: false,
        }
    }

    fn error<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax(self.at))
    }

    /// The next byte that is not white space, not consumed.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// The kind of the next value.
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            _ => self.error(),
        }
    }

    /// Only white space may follow.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.error(),
        }
    }

    /// Enters an object, whose next byte must be `{`.
    pub fn open_object(&mut self) -> Result<(), JsonError> {
        self.open(b'{')
    }

    /// Enters an array, whose next byte must be `[`.
    pub fn open_array(&mut self) -> Result<(), JsonError> {
        self.open(b'[')
    }

    fn open(&mut self, bracket: u8) -> Result<(), JsonError> {
        if self.peek() != Some(bracket) {
            return self.error();
        }
        if self.depth == self.max_depth {
            return Err(JsonError::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if bracket == b'{' {
            self.objects[word as usize] |= bit;
        } else {
            self.objects[word as usize] &= !bit;
        }
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.objects[(self.depth / 64) as usize] & 1 << (self.depth % 64) != 0
    }

    /// The next key of the object that the scanner is in (`first`: right after `open_object`);
    /// `None` when the object has ended. The scanner then stands before the key's value.
    pub fn next_key(&mut self, first: bool) -> Result<Option<Value<'a>>, JsonError> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                self.depth -= 1;
                return Ok(None);
            }
            Some(b',') if !first => self.at += 1,
            Some(b'"') if first => {}
            _ => return self.error(),
        }
        if self.peek() != Some(b'"') {
            return self.error();
        }
        let start = self.at;
        self.string()?;
        let key = Value {
            kind: Kind::String,
            text: &self.text[start..self.at],
            escaped: self.strings.has_escape(start, self.at),
        };
        if self.peek() != Some(b':') {
            return self.error();
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the array that the scanner is in has another element (`first`: right after
    /// `open_array`). The scanner then stands before it.
    pub fn next_element(&mut self, first: bool) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                match self.peek() {
                    Some(b']') | None => self.error(),
                    Some(_) => Ok(true),
                }
            }
            Some(_) if first => Ok(true),
            _ => self.error(),
        }
    }

    /// Checks and passes the next value, whatever it is.
    pub fn value(&mut self) -> Result<Value<'a>, JsonError> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::String => self.string()?,
            Kind::Number | Kind::Bool | Kind::Null => self.scalar()?,
            Kind::Object | Kind::Array if self.checked => self.checked_container()?,
            Kind::Object | Kind::Array => self.container()?,
        }
        Ok(Value {
            kind,
            text: &self.text[start..self.at],
            escaped: self.strings.has_escape(start, self.at),
        })
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.error()
        }
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Result<(), JsonError> {
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.error(),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.digits();
        if self.at == start {
            self.error()
        } else {
            Ok(())
        }
    }

    /// Passes a string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        self.at = string_end(&mut self.strings, self.text, self.at)?;
        Ok(())
    }

    fn checked_container(&mut self) -> Result<(), JsonError> {
        match self.strings.container_end(self.text, self.at) {
            Some(end) => self.at = end,
            None => return self.error(),
        }
        Ok(())
    }

    /// Passes an object or array without recursion. The hot loop of reading: positions and masks
    /// are locals, and no member is given a value of its own.
    fn container(&mut self) -> Result<(), JsonError> {
        let text = self.text;
        let outside = self.depth;
        let mut strings = self.strings;
        let mut bracket = text[self.at];
        'open: loop {
            self.open(bracket)?;
            let mut in_object = bracket == b'{';
            let mut at = skip_space(text, self.at);
            let mut closed = matches!(text.get(at), Some(b'}' | b']'));
            if closed && (text[at] == b'}') != in_object {
                return Err(JsonError::Syntax(at));
            }
            loop {
                if closed {
                    at += 1;
                    self.depth -= 1;
                    if self.depth == outside {
                        self.at = at;
                        self.strings = strings;
                        return Ok(());
                    }
                    in_object = self.in_object();
                } else {
                    // Before a member: a key first, if this is an object, and a value.
                    if in_object {
                        if text.get(at) != Some(&b'"') {
                            return Err(JsonError::Syntax(at));
                        }
                        at = skip_space(text, string_end(&mut strings, text, at)?);
                        if text.get(at) != Some(&b':') {
                            return Err(JsonError::Syntax(at));
                        }
                        at = skip_space(text, at + 1);
                    }
                    match text.get(at) {
                        Some(b'"') => at = string_end(&mut strings, text, at)?,
                        Some(&inner @ (b'{' | b'[')) => {
                            self.at = at;
                            bracket = inner;
                            continue 'open;
                        }
                        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                            self.at = at;
                            self.scalar()?;
                            at = self.at;
                        }
                        _ => return Err(JsonError::Syntax(at)),
                    }
                }
                // Behind a member: another one, or the end of the container.
                at = skip_space(text, at);
                match text.get(at) {
                    Some(b',') => {
                        closed = false;
                        at = skip_space(text, at + 1);
                    }
                    Some(b'}') if in_object => closed = true,
                    Some(b']') if !in_object => closed = true,
                    _ => return Err(JsonError::Syntax(at)),
                }
            }
        }
    }

    /// Passes a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.text[self.at] {
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }
}

/// The first byte from `at` on that is not white space.
#[inline(always)]
fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The byte behind the string whose opening quote is at `at`.
#[inline(always)]
fn string_end(strings: &mut Strings, text: &[u8], at: usize) -> Result<usize, JsonError> {
    strings.end(text, at).map_err(JsonError::Syntax)
}

/// Room for the nesting of `Scanner::objects`.
const DEPTH_BITS: u32 = 192;

/// Checks that a text is exactly one JSON value, UTF-8 included.
pub fn check(text: &[u8]) -> Result<(), JsonError> {
    if let Err(error) = simdutf8::compat::from_utf8(text) {
        return Err(JsonError::Syntax(error.valid_up_to()));
    }
    let mut scanner = Scanner::new(text);
    scanner.value()?;
    scanner.end()
}

#[cfg(test)]
mod tests;
