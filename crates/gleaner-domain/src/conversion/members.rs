//! The members of an object, by name.

use std::borrow::Cow;

use super::text::Text;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;

/// The members of one object: few, so they are looked through.
pub struct Members<'a>(Vec<(Cow<'a, [u8]>, Value<'a>)>);

impl<'a> Members<'a> {
    /// The members of a value that was checked before; `None` if it is no object.
    pub fn of(value: &Value<'a>) -> Option<Self> {
        if value.kind != Kind::Object {
            return None;
        }
        Self::scan(Scanner::of_checked(value.text)).ok()
    }

    /// The members of a text that is an object.
    pub fn read(text: &'a [u8]) -> Result<Self, JsonError> {
        // A record is two levels deeper than the rows that it was put together from.
        Self::scan(Scanner::with_max_depth(text, crate::json::MAX_DEPTH + 2))
    }

    fn scan(mut scanner: Scanner<'a>) -> Result<Self, JsonError> {
        let mut members = Vec::with_capacity(12);
        scanner.each_member(|key, scanner| {
            members.push((key_text(key), scanner.value()?));
            Ok(())
        })?;
        scanner.end()?;
        Ok(Self(members))
    }

    /// All of them, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Value<'a>)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// The value of the first of these names that is there and not null.
    pub fn get(&self, names: &[&str]) -> Option<Value<'a>> {
        names.iter().find_map(|name| {
            let mut named = self.0.iter().filter(|(key, _)| **key == *name.as_bytes());
            named
                .next_back()
                .map(|(_, value)| *value)
                .filter(|value| value.kind != Kind::Null)
        })
    }

    /// Whether there is a value of that name, null or not.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| **key == *name.as_bytes())
    }

    /// The text of the first of these names that is there.
    pub fn text(&self, names: &[&str]) -> Option<Text<'a>> {
        self.get(names).and_then(|value| Text::of(&value))
    }

    /// Whether a text member is this word.
    pub fn is(&self, name: &str, word: &str) -> bool {
        let body = self.get(&[name]).and_then(|value| value.string_body());
        body == Some(word.as_bytes())
    }

    /// A member that is an object.
    pub fn object(&self, names: &[&str]) -> Option<Self> {
        self.get(names).and_then(|value| Self::of(&value))
    }

    /// The elements of a member that is an array; none of another.
    pub fn list(&self, names: &[&str]) -> Vec<Value<'a>> {
        self.get(names)
            .map_or_else(Vec::new, |value| elements(&value))
    }
}

/// The elements of an array that was checked before; none of another value.
pub fn elements<'a>(value: &Value<'a>) -> Vec<Value<'a>> {
    let mut elements = Vec::new();
    if value.kind == Kind::Array {
        let read = Scanner::of_checked(value.text).each_element(|scanner| {
            elements.push(scanner.value()?);
            Ok(())
        });
        debug_assert!(read.is_ok(), "it was checked");
    }
    elements
}
