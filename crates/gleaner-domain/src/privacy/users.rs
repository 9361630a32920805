//! `privacy.users`: what becomes of `userName`, of a record and of its turns.

use std::ops::Range;

use super::placeholder::Key;
use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value, text};
use crate::record::fields::Field;

/// What is done with the names of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Users {
    /// They stay.
    #[default]
    Keep,
    /// Each becomes the same pseudonym everywhere: `user_` and 16 digits.
    Pseudonym,
    /// The field is taken out.
    Drop,
}

/// What a pseudonym begins with.
const PREFIX: &str = "user_";

/// Hexadecimal digits of a pseudonym: 64 bits, so that two of a million users have one with a chance of 1 in 36 million.
const DIGITS: usize = 16;

impl Users {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Keep, Self::Pseudonym, Self::Drop];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Pseudonym => "pseudonym",
            Self::Drop => "drop",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|users| users.name() == name)
    }

    /// Whether a record may have no `userName`.
    pub fn may_be_absent(self) -> bool {
        self == Self::Drop
    }

    /// What a published record says against it, if anything. Blank names and null name nobody.
    ///
    /// # Errors
    /// If the record is no JSON object.
    pub fn fault(self, record: &[u8]) -> Result<Option<&'static str>, JsonError> {
        if self == Self::Keep {
            return Ok(None);
        }
        let mut is_kept = true;
        each_name(record, &mut |member| {
            is_kept &= self == Self::Pseudonym
                && (is_nobody(&member.value) || is_pseudonym(&member.value));
        })?;
        Ok((!is_kept).then_some(match self {
            Self::Drop => "has a userName, and privacy.users is drop",
            _ => "has a userName that is no pseudonym, and privacy.users is pseudonym",
        }))
    }
}

/// Applies [`Users`] to records; the memory that it needs is kept.
pub struct UserNames<'k> {
    /// The key of pseudonyms; without it names are taken out.
    key: Option<&'k Key>,
    edits: Vec<(Range<usize>, Vec<u8>)>,
    before: Vec<u8>,
}

impl<'k> UserNames<'k> {
    /// Gets ready; `None` if names stay. Pseudonyms need a key: without one names are taken out.
    pub fn new(users: Users, key: Option<&'k Key>) -> Option<Self> {
        let key = match users {
            Users::Keep => return None,
            Users::Pseudonym => key,
            Users::Drop => None,
        };
        Some(Self {
            key,
            edits: Vec::new(),
            before: Vec::new(),
        })
    }

    /// Edits the record that stands in `text` from `start` on; says whether anything changed.
    ///
    /// # Errors
    /// If the record is no JSON object; then nothing changed.
    pub fn apply(&mut self, text: &mut Vec<u8>, start: usize) -> Result<bool, JsonError> {
        self.edits.clear();
        let (edits, key) = (&mut self.edits, self.key);
        each_name(&text[start..], &mut |member| match key {
            None => edits.push((member.whole, Vec::new())),
            Some(_) if is_nobody(&member.value) => {}
            Some(key) => edits.push((member.at, pseudonym(&member.value, key))),
        })?;
        if self.edits.is_empty() {
            return Ok(false);
        }
        self.before.clear();
        self.before.extend_from_slice(&text[start..]);
        text.truncate(start);
        let mut at = 0;
        for (range, with) in &self.edits {
            text.extend_from_slice(&self.before[at..range.start]);
            text.extend_from_slice(with);
            at = range.end;
        }
        text.extend_from_slice(&self.before[at..]);
        Ok(true)
    }
}

/// A member `userName`.
struct Member<'a> {
    value: Value<'a>,
    /// Where the value is.
    at: Range<usize>,
    /// What is taken out with it: key, value and one comma.
    whole: Range<usize>,
}

/// Calls `visit` with each `userName` of a record and of its turns, in order.
fn each_name<'a>(record: &'a [u8], visit: &mut impl FnMut(Member<'a>)) -> Result<(), JsonError> {
    let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
    each_name_of_object(&mut scanner, visit, &mut |scanner, field, visit| {
        if field != Some(Field::TurnsArray) || scanner.kind()? != Kind::Array {
            return scanner.value().map(|_| ());
        }
        scanner.each_element(|scanner| match scanner.kind()? {
            Kind::Object => each_name_of_object(scanner, visit, &mut |scanner, _, _| {
                scanner.value().map(|_| ())
            }),
            _ => scanner.value().map(|_| ()),
        })
    })?;
    scanner.end()
}

/// Calls `visit` with each `userName` of the object that is next, and has `other` pass every other value.
fn each_name_of_object<'a, V: FnMut(Member<'a>)>(
    scanner: &mut Scanner<'a>,
    visit: &mut V,
    other: &mut impl FnMut(&mut Scanner<'a>, Option<Field>, &mut V) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    // Where the last member that stays ends, and names before the first one that does.
    let mut kept_to = None;
    let mut leading: Vec<(Value<'a>, Range<usize>, usize)> = Vec::new();
    let mut end = 0;
    scanner.each_member(|key, scanner| {
        let from = scanner.place_of(key).start;
        for (value, at, start) in leading.drain(..) {
            visit(Member {
                value,
                at,
                whole: start..from,
            });
        }
        let field = Field::named(key);
        if field != Some(Field::UserName) {
            other(scanner, field, visit)?;
            kept_to = Some(scanner.position());
            return Ok(());
        }
        let value = scanner.value()?;
        let at = scanner.place_of(&value);
        end = at.end;
        match kept_to {
            Some(kept) => {
                let whole = kept..at.end;
                kept_to = Some(at.end);
                visit(Member { value, at, whole });
            }
            None => leading.push((value, at, from)),
        }
        Ok(())
    })?;
    for (value, at, start) in leading {
        visit(Member {
            value,
            at,
            whole: start..end,
        });
    }
    Ok(())
}

/// Whether a value names nobody: null, or a text of white space.
fn is_nobody(value: &Value<'_>) -> bool {
    value.kind == Kind::Null || value.string_body().is_some_and(text::is_blank)
}

fn is_pseudonym(value: &Value<'_>) -> bool {
    let digits = value
        .string_body()
        .and_then(|body| body.strip_prefix(PREFIX.as_bytes()));
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(is_digit))
}

/// `"user_1a2b3c4d5e6f7a8b"`: the first 16 hexadecimal digits of HMAC-SHA256 of `userName`, a zero byte and the name.
fn pseudonym(value: &Value<'_>, key: &Key) -> Vec<u8> {
    let mut name = Vec::new();
    match value.string_body() {
        Some(body) => {
            text::decode(body, &mut name);
        }
        None => name.extend_from_slice(value.text),
    }
    let digits = key.digits(&[b"userName", b"\0", &name], DIGITS);
    format!("\"{PREFIX}{digits}\"").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(users: Users, record: &str) -> String {
        let key = Key::new(&[7; 32]).expect("long enough");
        let mut names = UserNames::new(users, Some(&key)).expect("not kept");
        let mut text = format!("before{record}").into_bytes();
        let is_changed = names.apply(&mut text, 6).expect("JSON");
        let text = String::from_utf8(text).expect("UTF-8");
        let text = text.strip_prefix("before").expect("untouched").to_owned();
        assert_eq!(is_changed, text != record);
        assert_eq!(users.fault(text.as_bytes()).expect("JSON"), None, "{text}");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        text
    }

    #[test]
    fn names_are_taken_out_with_one_comma() {
        for (record, expected) in [
            (r#"{"userName":"a"}"#, r#"{}"#),
            (r#"{"userName" : "a" , "x":1}"#, r#"{"x":1}"#),
            (r#"{"x":1, "userName":null ,"y":2}"#, r#"{"x":1 ,"y":2}"#),
            (r#"{ "x":1,"userName":{"n":1} }"#, r#"{ "x":1 }"#),
            (
                r#"{"userName":1,"user\u004eame":2,"x":3,"userName":4}"#,
                r#"{"x":3}"#,
            ),
            (r#"{"userName":1,"userName":2}"#, r#"{}"#),
            (
                r#"{"turnsArray":[{"userName":"b","userMessage":"userName"},{"u":{"userName":1}},5],"userName":"a"}"#,
                r#"{"turnsArray":[{"userMessage":"userName"},{"u":{"userName":1}},5]}"#,
            ),
            (
                r#"{"turnsArray":"userName"}"#,
                r#"{"turnsArray":"userName"}"#,
            ),
        ] {
            assert_eq!(applied(Users::Drop, record), expected, "{record}");
        }
    }

    #[test]
    fn the_same_name_has_the_same_pseudonym_everywhere() {
        let text = applied(
            Users::Pseudonym,
            r#"{"userName":"Zo\u00eb","turnsArray":[{"userName":"Zoë"},{"userName":"zoë"},{"userName":" "},{"userName":null}],"n":{"userName":"Zoë"}}"#,
        );
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let name = |turn: usize| record["turnsArray"][turn]["userName"].clone();
        // printf 'userName\0Zoë' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707...07 (32 bytes)
        assert_eq!(record["userName"], "user_bd59108827e66d4e");
        assert_eq!(record["userName"], name(0));
        assert_ne!(name(0), name(1));
        assert_eq!((name(2), name(3)), (" ".into(), serde_json::Value::Null));
        assert_eq!(record["n"]["userName"], "Zoë");
        assert!(
            applied(Users::Pseudonym, r#"{"userName":7}"#).starts_with(r#"{"userName":"user_"#)
        );
        assert_eq!(applied(Users::Pseudonym, "{}"), "{}");
    }

    #[test]
    fn what_is_left_of_a_name_is_a_fault() {
        let fault = |users: Users, record: &str| users.fault(record.as_bytes()).expect("JSON");
        let named = r#"{"turnsArray":[{"userName":"user_12"}]}"#;
        assert_eq!(fault(Users::Keep, named), None);
        assert!(fault(Users::Pseudonym, named).is_some_and(|fault| fault.contains("no pseudonym")));
        assert!(fault(Users::Drop, named).is_some_and(|fault| fault.contains("is drop")));
        assert!(fault(Users::Drop, r#"{"userName":null}"#).is_some());
    }
}
