//! Groups: conversations that stay together in one split, such as all of one user.
//!
//! `selection.split_by` names the field of a record that says its group: a top-level name, or a path with dots into
//! objects. Its text decides the split, as the id does without it: `hash(text) % 100`. A record whose field is absent,
//! null, blank or no text has no group: it is invalid (`missing_group`), and counted in the split of its id.
//!
//! A record that is put together from turns or from telemetry has one such field, `userName`: the name of the first
//! turn that has one.

use std::fmt;

use super::kusto_hash;
use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value, text};
use crate::record::fields::key_text;

/// Fields that gleaner writes or counts itself: they say nothing of who belongs together.
const OWN: [&str; 7] = [
    "conversationId",
    "turnsArray",
    "turnCount",
    "bucket",
    "promptTokens",
    "completionTokens",
    "llmCallCount",
];

/// The field whose text splits the population.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupField {
    written: String,
}

impl GroupField {
    /// The field of this name or path.
    ///
    /// # Errors
    /// Why no record can be split by it.
    pub fn new(written: &str) -> Result<Self, &'static str> {
        let mut parts = written.split('.');
        if parts.clone().any(|part| part.trim().is_empty()) {
            return Err("it names no field; dots lead into objects, as in \"session.id\"");
        }
        if parts.next().is_some_and(|first| OWN.contains(&first)) {
            return Err(
                "that field does not say who belongs together; name one that does, such as userName",
            );
        }
        Ok(Self {
            written: written.to_owned(),
        })
    }

    /// As it is written in the configuration.
    pub fn name(&self) -> &str {
        &self.written
    }

    /// Whether it is the name of the user: the only one that records of turns and telemetry have.
    pub fn is_user(&self) -> bool {
        self.written == "userName"
    }

    /// The group that a record or the row of a conversation names.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn of_record(&self, record: &[u8]) -> Result<Group, JsonError> {
        let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
        let value = find(&mut scanner, &self.written)?;
        Ok(value.map_or(Group::Absent, |value| Group::of(&value)))
    }

    /// The text that names the group, decoded; `None` if there is none.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn text_of(&self, record: &[u8]) -> Result<Option<Vec<u8>>, JsonError> {
        let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
        let value = find(&mut scanner, &self.written)?;
        let is_named = |value: &Value<'_>| matches!(Group::of(value), Group::Named(_));
        Ok(value
            .filter(is_named)
            .map(|value| key_text(&value).into_owned()))
    }

    /// The group that the row of a turn names. A turn's other fields are not of the record.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn of_turn(&self, row: &[u8]) -> Result<Group, JsonError> {
        match self.is_user() {
            true => self.of_record(row),
            false => Ok(Group::Absent),
        }
    }
}

impl fmt::Display for GroupField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The value at a path of the object that is next. Of equal names the last one counts, as where records are read.
fn find<'a>(scanner: &mut Scanner<'a>, path: &str) -> Result<Option<Value<'a>>, JsonError> {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let mut found = None;
    scanner.each_member(|key, scanner| {
        let is_it = *key_text(key) == *name.as_bytes();
        match rest {
            Some(rest) if is_it && scanner.kind()? == Kind::Object => found = find(scanner, rest)?,
            _ => {
                let value = scanner.value()?;
                if is_it {
                    found = Some(value).filter(|_| rest.is_none());
                }
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// What a record or a row says of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Group {
    /// Nothing: the field is absent, null or blank.
    #[default]
    Absent,
    /// Something that is no text, or a text with half a character.
    NoText,
    /// `hash` (Kusto's) of the text that names it.
    Named(i64),
}

impl Group {
    /// The group that a value names.
    pub fn of(value: &Value<'_>) -> Self {
        match (value.kind, value.string_body()) {
            (Kind::Null, _) => Self::Absent,
            (_, None) => Self::NoText,
            (_, Some(body)) if text::is_blank(body) => Self::Absent,
            (_, Some(body)) if !value.escaped => Self::Named(kusto_hash::hash(body)),
            (_, Some(body)) => {
                let mut decoded = Vec::with_capacity(body.len());
                match text::decode(body, &mut decoded) {
                    true => Self::NoText,
                    false => Self::Named(kusto_hash::hash(&decoded)),
                }
            }
        }
    }

    /// The group of a text, which names it unless it is blank.
    pub fn of_text(text: &str) -> Self {
        match text.trim().is_empty() {
            true => Self::Absent,
            false => Self::Named(kusto_hash::hash(text.as_bytes())),
        }
    }

    /// What a header keeps of it.
    pub fn mark(self) -> GroupMark {
        match self {
            Self::Absent => GroupMark::ABSENT,
            Self::NoText => GroupMark::NO_TEXT,
            Self::Named(hash) => GroupMark::of_hash(hash),
        }
    }

    /// The hash of its name, if it has one.
    pub fn hash(self) -> Option<i64> {
        match self {
            Self::Named(hash) => Some(hash),
            Self::Absent | Self::NoText => None,
        }
    }
}

/// What a header keeps of a group, in one byte: `hash % 100`, which is all that a split needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupMark(u8);

impl GroupMark {
    /// [`Group::Absent`]; also where nothing but the id splits.
    pub const ABSENT: Self = Self(255);
    /// [`Group::NoText`]
    pub const NO_TEXT: Self = Self(254);

    /// Of the hash of a group's name.
    pub fn of_hash(hash: i64) -> Self {
        // Below 100, so it fits.
        Self(kusto_hash::modulo(hash, 100) as u8)
    }

    /// Of a remainder that was computed elsewhere; none if it is not one of 0 to 99.
    pub fn of_residue(residue: i64) -> Self {
        match residue {
            0..=99 => Self(residue as u8),
            _ => Self::ABSENT,
        }
    }

    /// The mark of a byte.
    pub fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// `hash % 100` of the group's name; `None` if it has none.
    pub fn residue(self) -> Option<u32> {
        (self.0 < 100).then(|| u32::from(self.0))
    }

    /// The group of a conversation whose turns, in order, have these marks: the first that is not absent.
    pub fn first(marks: impl IntoIterator<Item = Self>) -> Self {
        let mut marks = marks.into_iter();
        marks
            .find(|mark| *mark != Self::ABSENT)
            .unwrap_or(Self::ABSENT)
    }
}

impl Default for GroupMark {
    fn default() -> Self {
        Self::ABSENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(field: &str, record: &str) -> Group {
        let field = GroupField::new(field).expect("right");
        field.of_record(record.as_bytes()).expect("JSON")
    }

    fn named(text: &str) -> Group {
        Group::Named(kusto_hash::hash(text.as_bytes()))
    }

    #[test]
    fn a_text_that_is_not_blank_names_a_group() {
        for (value, expected) in [
            (r#""World""#, named("World")),
            (r#""W\u006frld""#, named("World")),
            (r#"" ann ""#, named(" ann ")),
            (r#""""#, Group::Absent),
            ("\" \u{a0}\u{3000}\"", Group::Absent),
            (r#""\u2003\n""#, Group::Absent),
            ("null", Group::Absent),
            ("7", Group::NoText),
            ("true", Group::NoText),
            (r#"["ann"]"#, Group::NoText),
            (r#"{"ann":1}"#, Group::NoText),
            (r#""\ud83d""#, Group::NoText),
        ] {
            let record = format!(r#"{{"a":{{"userName":"x"}},"userName":{value}}}"#);
            assert_eq!(group("userName", &record), expected, "{value}");
        }
        assert_eq!(group("userName", "{}"), Group::Absent);
        assert_eq!(named("World").mark().residue(), Some(51));
        assert_eq!(Group::of_text("World"), named("World"));
        assert_eq!(Group::of_text(" \u{2003}"), Group::Absent);
    }

    #[test]
    fn dots_lead_into_objects_and_the_last_of_equal_names_counts() {
        let record = r#"{"a":{"b":{"c":"x"},"c":"y"},"a.c":"no","c":"z"}"#;
        assert_eq!(group("a.b.c", record), named("x"));
        assert_eq!(group("a.c", record), named("y"));
        assert_eq!(group("c", record), named("z"));
        assert_eq!(group("a.b", record), Group::NoText);
        assert_eq!(group("c.a", record), Group::Absent);
        let twice = r#"{"a":{"b":"x"},"a":{"b":"y"}}"#;
        assert_eq!(group("a.b", twice), named("y"));
        assert_eq!(
            group("a.b", r#"{"a":{"b":"x"},"a":3}"#),
            Group::Absent,
            "the last one has no such member"
        );
        assert_eq!(group("c", r#"{"c":"x","\u0063":"y"}"#), named("y"));
    }

    #[test]
    fn fields_that_name_nobody_are_refused() {
        for bad in ["", " ", ".", "a.", ".a", "a..b", "bucket", "turnsArray.x"] {
            assert!(GroupField::new(bad).is_err(), "{bad:?}");
        }
        let field = GroupField::new("userName").expect("right");
        assert!(field.is_user() && field.name() == "userName");
        assert!(!GroupField::new("repo").expect("right").is_user());
    }

    #[test]
    fn a_mark_is_one_byte() {
        assert_eq!(size_of::<GroupMark>(), 1);
        for group in [
            Group::Absent,
            Group::NoText,
            Group::Named(-1),
            Group::Named(0),
        ] {
            let mark = group.mark();
            assert_eq!(GroupMark::from_byte(mark.byte()), mark);
            let residue = group.hash().map(|hash| kusto_hash::modulo(hash, 100));
            assert_eq!(mark.residue(), residue);
        }
        for (residue, expected) in [(-1, None), (0, Some(0)), (99, Some(99)), (100, None)] {
            assert_eq!(GroupMark::of_residue(residue).residue(), expected);
        }
        let (absent, no_text) = (GroupMark::ABSENT, GroupMark::NO_TEXT);
        let ann = named("ann").mark();
        assert_eq!(GroupMark::first([absent, ann, no_text]), ann);
        assert_eq!(GroupMark::first([absent, no_text, ann]), no_text);
        assert_eq!(GroupMark::first([]), absent);
    }

    #[test]
    fn a_turn_names_a_user_and_nothing_else_of_the_record() {
        let row = br#"{"userName":"ann","repo":"x"}"#;
        let of = |field: &str| GroupField::new(field).expect("right").of_turn(row);
        assert_eq!(of("userName").expect("JSON"), named("ann"));
        assert_eq!(of("repo").expect("JSON"), Group::Absent);
    }
}
