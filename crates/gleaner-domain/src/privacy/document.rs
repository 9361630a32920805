//! Looking at every text of a record: decoded strings, keys and values, also those of JSON that is written in a string,
//! at any depth.
//!
//! What is found is reported with its place in the record's own bytes, whatever the escapes between: a placeholder,
//! which needs none, can be put there and nothing else changes.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;

use super::checks::is_secret_value;
use super::finder::{Finder, Found};
use super::names::names_a_secret;
use super::rule::Rule;
use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value, text};

/// JSON in JSON that is looked into; what is written deeper is looked at as text.
const LEVELS: usize = 8;

/// Something that was found in a record.
pub struct Hit<'h> {
    /// By which rule.
    pub rule: &'static Rule,
    /// Where in the bytes of the record, inside a string.
    pub at: Range<usize>,
    /// What it is, decoded. It stays out of every report.
    pub text: &'h [u8],
    /// Where in its structure.
    pub place: &'h Place<'h>,
}

/// Where a value stands: its own step, and where what holds it stands.
pub struct Place<'p> {
    outer: Option<&'p Place<'p>>,
    step: Step<'p>,
}

enum Step<'p> {
    Root,
    /// The member of an object, by its key's body.
    Member(&'p [u8]),
    /// The key itself.
    Key,
    Element,
    /// The JSON that is written in a string.
    Inside,
}

impl Place<'_> {
    const ROOT: Place<'static> = Place {
        outer: None,
        step: Step::Root,
    };

    fn is_root(&self) -> bool {
        self.outer.is_none()
    }

    /// Whether this is an element of `turnsArray`.
    fn is_turn(&self) -> bool {
        matches!(self.step, Step::Element)
            && self.outer.is_some_and(|array| {
                matches!(array.step, Step::Member(b"turnsArray"))
                    && array.outer.is_some_and(Place::is_root)
            })
    }
}

/// `turnsArray[].trajectory[].arguments|env.API_KEY`: `|` goes into JSON in a string. A key that might be text of the
/// conversation is `*`.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outer) = self.outer else {
            return Ok(());
        };
        outer.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Element => f.write_str("[]"),
            Step::Inside => f.write_str("|"),
            Step::Key => f.write_str("{key}"),
            Step::Member(key) => {
                let dot = if matches!(outer.step, Step::Root | Step::Inside) {
                    ""
                } else {
                    "."
                };
                let shown = std::str::from_utf8(key).ok().filter(|key| is_name(key));
                write!(f, "{dot}{}", shown.unwrap_or("*"))
            }
        }
    }
}

/// A name as programs give it to a field: letters, few digits.
fn is_name(key: &str) -> bool {
    let is_of = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    (1..=32).contains(&key.len()) && key.bytes().all(is_of) && digits <= 2
}

/// A text that is looked at, and where it comes from: the record itself, or a string that holds JSON.
struct Level<'l> {
    number: usize,
    /// The level, the place of the string's body in its text, and the body.
    outer: Option<(&'l Level<'l>, usize, &'l [u8])>,
    /// A place in the decoded body and the same place in the body.
    cursor: Cell<(usize, usize)>,
}

impl<'l> Level<'l> {
    fn record() -> Self {
        Self {
            number: 0,
            outer: None,
            cursor: Cell::new((0, 0)),
        }
    }

    fn inside(outer: &'l Level<'l>, at: usize, body: &'l [u8]) -> Self {
        Self {
            number: outer.number + 1,
            outer: Some((outer, at, body)),
            cursor: Cell::new((0, 0)),
        }
    }

    /// The place in the record of a place in this level's text.
    fn in_record(&self, at: usize) -> usize {
        let Some((outer, body_at, body)) = self.outer else {
            return at;
        };
        let from = match self.cursor.get() {
            from if from.0 <= at => from,
            _ => (0, 0),
        };
        let cursor = text::advance(body, from, at);
        self.cursor.set(cursor);
        outer.in_record(body_at + cursor.1)
    }
}

/// Looks at records one after the other; the memory that it needs is kept.
pub struct Documents<'f> {
    finder: &'f Finder,
    /// Decoded texts, one a level.
    texts: Vec<Vec<u8>>,
    found: Vec<Found>,
}

impl<'f> Documents<'f> {
    /// Looks for what `finder` finds.
    pub fn new(finder: &'f Finder) -> Self {
        Self {
            finder,
            texts: vec![Vec::new(); LEVELS + 1],
            found: Vec::new(),
        }
    }

    /// Calls `visit` with what is found in a record, in the order of its bytes.
    ///
    /// # Errors
    /// If the record is no JSON.
    pub fn each(
        &mut self,
        record: &[u8],
        mut visit: impl FnMut(&Hit<'_>),
    ) -> Result<(), JsonError> {
        let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
        let mut walk = Walk {
            documents: self,
            visit: &mut visit,
        };
        walk.value(&mut scanner, &Place::ROOT, &Level::record(), b"")?;
        scanner.end()
    }

    /// Calls `visit` with what is found in text that is no JSON.
    pub fn each_in_text(&mut self, text: &[u8], mut visit: impl FnMut(&Hit<'_>)) {
        let mut walk = Walk {
            documents: self,
            visit: &mut visit,
        };
        let whole = walk.find(text, b"");
        for found in &whole {
            let hit = Hit {
                rule: walk.documents.finder.rule(found.rule),
                at: found.at.clone(),
                text: &text[found.at.clone()],
                place: &Place::ROOT,
            };
            (walk.visit)(&hit);
        }
        walk.documents.found = whole;
    }
}

struct Walk<'w, 'f, V> {
    documents: &'w mut Documents<'f>,
    visit: &'w mut V,
}

impl<V: FnMut(&Hit<'_>)> Walk<'_, '_, V> {
    /// Passes the next value. `name` is the body of the key that it stands under.
    fn value(
        &mut self,
        scanner: &mut Scanner<'_>,
        place: &Place<'_>,
        level: &Level<'_>,
        name: &[u8],
    ) -> Result<(), JsonError> {
        match scanner.kind()? {
            Kind::Object => scanner.each_member(|key, scanner| {
                let body = key.string_body().unwrap_or_default();
                if is_identity(place, body) {
                    return scanner.value().map(|_| ());
                }
                self.string(
                    key,
                    scanner.place_of(key).end,
                    &Place {
                        outer: Some(place),
                        step: Step::Key,
                    },
                    level,
                    b"",
                );
                let place = Place {
                    outer: Some(place),
                    step: Step::Member(body),
                };
                self.value(scanner, &place, level, body)
            }),
            Kind::Array => scanner.each_element(|scanner| {
                let place = Place {
                    outer: Some(place),
                    step: Step::Element,
                };
                self.value(scanner, &place, level, name)
            }),
            Kind::String => {
                let value = scanner.value()?;
                self.string(&value, scanner.place_of(&value).end, place, level, name);
                Ok(())
            }
            _ => scanner.value().map(|_| ()),
        }
    }

    /// Looks at a string that ends before `end` in the level's text.
    fn string(
        &mut self,
        value: &Value<'_>,
        end: usize,
        place: &Place<'_>,
        level: &Level<'_>,
        name: &[u8],
    ) {
        let body = value.string_body().unwrap_or_default();
        if body.len() < SHORTEST {
            return;
        }
        let level = Level::inside(level, end - 1 - body.len(), body);
        if !value.escaped {
            return self.text(body, place, &level, name);
        }
        let number = level.number.min(LEVELS);
        let mut text = std::mem::take(&mut self.documents.texts[number]);
        text.clear();
        text::decode(body, &mut text);
        self.text(&text, place, &level, name);
        self.documents.texts[number] = text;
    }

    fn text(&mut self, text: &[u8], place: &Place<'_>, level: &Level<'_>, name: &[u8]) {
        if level.number < LEVELS && holds_json(text) {
            let mut scanner = Scanner::new(text);
            let place = Place {
                outer: Some(place),
                step: Step::Inside,
            };
            // It was checked just now.
            let _ = self.value(&mut scanner, &place, level, name);
            return;
        }
        let found = self.find(text, name);
        for one in &found {
            let hit = Hit {
                rule: self.documents.finder.rule(one.rule),
                at: level.in_record(one.at.start)..level.in_record(one.at.end),
                text: &text[one.at.clone()],
                place,
            };
            (self.visit)(&hit);
        }
        self.documents.found = found;
    }

    /// What is found in a text that stands under a name.
    fn find(&mut self, text: &[u8], name: &[u8]) -> Vec<Found> {
        let mut found = std::mem::take(&mut self.documents.found);
        found.clear();
        self.documents.finder.find(text, &mut found);
        if let Some(rule) = self.documents.finder.named_secret()
            && found.is_empty()
            && is_secret_value(text)
            && names_a_secret(name)
        {
            found.push(Found {
                rule,
                at: 0..text.len(),
            });
        }
        found
    }
}

/// Nothing shorter is a secret or names a person.
const SHORTEST: usize = 6;

/// What says which record this is, and who wrote it, which `privacy.users` is about.
fn is_identity(place: &Place<'_>, key: &[u8]) -> bool {
    match key {
        b"conversationId" | b"bucket" => place.is_root(),
        b"userName" => place.is_root() || place.is_turn(),
        _ => false,
    }
}

/// Whether a text is a JSON object, array or string.
fn holds_json(text: &[u8]) -> bool {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(first, Some(b'{' | b'[' | b'"')) {
        return false;
    }
    let mut scanner = Scanner::new(text);
    scanner.value().is_ok() && scanner.end().is_ok()
}
