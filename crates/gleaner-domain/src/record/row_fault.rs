//! What is wrong with a malformed row, in a sentence for a person: what was found, what is wanted,
//! and the key that is written most alike.
//!
//! A second look at a row that cannot be read, so it may take its time. Found are key names and JSON
//! types; values only of `Timestamp`, `turnIndex` and `mode`. Everything is cut and escaped: keys may
//! be anything.

use super::fields::{Field, key_text};
use super::row::MalformedReason;
use crate::json::text;
use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value};

/// Characters of a name or a value that are shown.
pub const SHOWN_CHARS: usize = 40;

/// Keys of a row that are shown.
const SHOWN_KEYS: usize = 10;

/// Members of a row that are looked at, known ones apart: a row may have millions.
const MOST_MEMBERS: usize = 1000;

/// What is wrong with a row that is malformed for this reason. `None` if there is nothing to add to
/// the reason.
pub fn describe(row: &[u8], reason: MalformedReason) -> Option<String> {
    let look = || Look::at(row);
    Some(match reason {
        MalformedReason::NotJson => not_json(row)?,
        MalformedReason::NotAnObject => {
            let kind = Scanner::new(row).kind().ok()?;
            format!("the row is {}, wanted an object", type_name(kind))
        }
        MalformedReason::InvalidUtf8 => {
            let error = std::str::from_utf8(row).err()?;
            format!("not UTF-8 at byte {} of the row", error.valid_up_to() + 1)
        }
        MalformedReason::TooDeep => format!("nested deeper than {MAX_DEPTH} levels"),
        MalformedReason::TooLarge => format!("{} bytes, more than limits.max_record", row.len()),
        MalformedReason::DuplicateField => look().twice()?,
        MalformedReason::NoSchema => look().no_schema(),
        MalformedReason::ConversationId => match look().value(Field::ConversationId) {
            None => look().missing(Field::ConversationId),
            Some(value) => {
                let found = match value.string_body() {
                    Some([]) => "empty",
                    Some(_) => "text with half a character",
                    None => type_name(value.kind),
                };
                format!("\"conversationId\" is {found}, wanted text that is not empty")
            }
        },
        MalformedReason::TurnIndex => {
            let found = shown_value(&look().value(Field::TurnIndex)?);
            format!("\"turnIndex\" is {found}, wanted an integer")
        }
        MalformedReason::Timestamp => match look().value(Field::Timestamp) {
            None => look().missing(Field::Timestamp),
            Some(value) => format!(
                "\"Timestamp\" is {}, wanted RFC 3339 text such as \"2025-01-02T03:04:05Z\"",
                shown_value(&value)
            ),
        },
        MalformedReason::TurnsArray => {
            let found = type_name(look().value(Field::TurnsArray)?.kind);
            format!("\"turnsArray\" is {found}, wanted an array of turns")
        }
        MalformedReason::TurnNotObject => no_object(&look().value(Field::TurnsArray)?).ok()??,
        MalformedReason::Properties
        | MalformedReason::ChunkMismatch
        | MalformedReason::RowPanic => return None,
    })
}

/// What a turn's row that lacks its `userMessage` has instead.
pub fn no_user_message(row: &[u8]) -> String {
    Look::at(row).missing(Field::UserMessage)
}

/// A value as it may be shown: text and numbers themselves, anything else by its type.
pub fn shown_value(value: &Value<'_>) -> String {
    match (value.kind, value.string_body()) {
        (_, Some(body)) => shown_text(body),
        (Kind::Number, _) => format!(
            "the number {}",
            escaped(&String::from_utf8_lossy(value.text))
        ),
        (Kind::Bool, _) => String::from_utf8_lossy(value.text).into_owned(),
        (kind, _) => type_name(kind).to_owned(),
    }
}

/// The content of a string, quoted.
fn shown_text(body: &[u8]) -> String {
    // Decoding never makes a text longer, and an escape is 6 bytes at most, a character 12.
    let mut decoded = Vec::new();
    text::decode(
        &body[..body.len().min(12 * (SHOWN_CHARS + 1))],
        &mut decoded,
    );
    format!("\"{}\"", escaped(&String::from_utf8_lossy(&decoded)))
}

/// A text without what a terminal would act on, cut.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (number, c) in text.chars().enumerate() {
        if number == SHOWN_CHARS {
            out.push_str("...");
            break;
        }
        match c {
            '\'' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// The type of a value, for a sentence.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "an object",
        Kind::Array => "an array",
        Kind::String => "text",
        Kind::Number => "a number",
        Kind::Bool => "true or false",
        Kind::Null => "null",
    }
}

fn not_json(row: &[u8]) -> Option<String> {
    let mut scanner = Scanner::new(row);
    let scanned = scanner.value().and_then(|_| scanner.end());
    let Err(JsonError::Syntax(at)) = scanned else {
        return None;
    };
    Some(match row.get(at) {
        None => format!("the row breaks off at byte {}", row.len()),
        Some(_) => format!("not JSON at byte {} of the row", at + 1),
    })
}

/// The first element of the array that is no object.
fn no_object(turns: &Value<'_>) -> Result<Option<String>, JsonError> {
    let mut scanner = Scanner::new(turns.text);
    let mut place = 0;
    scanner.open_array()?;
    while scanner.next_element(place == 0)? {
        place += 1;
        let kind = scanner.value()?.kind;
        if kind != Kind::Object {
            let found = type_name(kind);
            let what = format!("turn {place} of \"turnsArray\" is {found}, wanted an object");
            return Ok(Some(what));
        }
    }
    Ok(None)
}

/// The members of a row, as far as it can be read.
#[derive(Default)]
struct Look<'a> {
    members: Vec<(Value<'a>, Value<'a>)>,
    /// How many there are.
    count: usize,
}

impl<'a> Look<'a> {
    fn at(row: &'a [u8]) -> Self {
        let mut look = Self::default();
        // What comes behind a fault is not looked at.
        let _ = look.scan(row);
        look
    }

    fn scan(&mut self, row: &'a [u8]) -> Result<(), JsonError> {
        Scanner::new(row).each_member(|key, scanner| {
            let value = scanner.value()?;
            let (length, is_known) = (self.members.len(), Field::named(key).is_some());
            if length < MOST_MEMBERS || is_known && length < 2 * MOST_MEMBERS {
                self.members.push((*key, value));
            }
            self.count += 1;
            Ok(())
        })
    }

    fn value(&self, field: Field) -> Option<Value<'a>> {
        let mut members = self.members.iter();
        let found = members.find(|(key, _)| Field::named(key) == Some(field));
        found.map(|&(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        let mut members = self.members.iter();
        members.any(|(key, _)| *key_text(key) == *name.as_bytes())
    }

    /// The key that is written most alike, and not known itself.
    fn nearest(&self, field: Field) -> Option<&Value<'a>> {
        let wanted = plain(field.name().as_bytes());
        let unknown = self
            .members
            .iter()
            .filter(|(key, _)| Field::named(key).is_none());
        unknown
            .map(|(key, _)| {
                let found = plain(&key_text(key));
                let distance = strsim::damerau_levenshtein(&wanted, &found);
                (distance * 3, wanted.len().min(found.len()), key)
            })
            .filter(|(distance, length, _)| distance <= length)
            .min_by_key(|&(distance, _, key)| (distance, key.text))
            .map(|(.., key)| key)
    }

    fn missing(&self, field: Field) -> String {
        let found = match self.nearest(field) {
            Some(key) => shown_key(key),
            None => self.keys(|key, _| shown_key(key)),
        };
        format!("no \"{}\" (found {found}; see source.fields)", field.name())
    }

    /// The first keys of the row.
    fn keys(&self, show: impl Fn(&Value<'a>, &Value<'a>) -> String) -> String {
        let first = self.members.iter().take(SHOWN_KEYS);
        let mut found: Vec<String> = first.map(|(key, value)| show(key, value)).collect();
        let more = self.count - found.len();
        if more > 0 {
            found.push(format!("{more} more"));
        }
        match found.is_empty() {
            true => "no keys".to_owned(),
            false => found.join(", "),
        }
    }

    fn no_schema(&self) -> String {
        let pair = |one, other| self.has(one) && self.has(other);
        if pair("Name", "Properties") || pair("name", "customDimensions") {
            return "a row of the schema copilot_chat, which this version does not read".to_owned();
        }
        for field in [Field::TurnsArray, Field::TurnIndex] {
            if self.nearest(field).is_some() {
                return self.missing(field);
            }
        }
        let found =
            self.keys(|key, value| format!("{} ({})", shown_key(key), type_name(value.kind)));
        format!(
            "no \"turnsArray\" (schema conversations), \"turnIndex\" (turns) or \"Name\" with \"Properties\" (copilot_chat); found {found}"
        )
    }

    /// The field that is there twice, in the row or in a turn.
    fn twice(&self) -> Option<String> {
        if let Some(field) = first_twice(self.members.iter().map(|(key, _)| key), |_| true) {
            return Some(format!("\"{}\" is there twice", field.name()));
        }
        self.twice_in_turns().ok()?
    }

    fn twice_in_turns(&self) -> Result<Option<String>, JsonError> {
        let arrays = self.members.iter().filter(|(key, value)| {
            Field::named(key) == Some(Field::TurnsArray) && value.kind == Kind::Array
        });
        for (_, array) in arrays {
            let mut scanner = Scanner::new(array.text);
            let mut place = 0;
            scanner.open_array()?;
            while scanner.next_element(place == 0)? {
                place += 1;
                let turn = Look::at(scanner.value()?.text);
                let keys = turn.members.iter().map(|(key, _)| key);
                if let Some(field) = first_twice(keys, Field::is_of_turn) {
                    let name = field.name();
                    return Ok(Some(format!("\"{name}\" is there twice in turn {place}")));
                }
            }
        }
        Ok(None)
    }
}

fn first_twice<'k, 'a: 'k>(
    keys: impl Iterator<Item = &'k Value<'a>>,
    counts: fn(Field) -> bool,
) -> Option<Field> {
    let mut seen = super::fields::Seen::default();
    keys.filter_map(Field::named)
        .filter(|&field| counts(field))
        .find(|&field| !seen.note(field))
}

fn shown_key(key: &Value<'_>) -> String {
    shown_text(key.string_body().unwrap_or_default())
}

/// A name without what writers of names disagree about: capitals, `_`, `-`.
fn plain(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(&name[..name.len().min(4 * SHOWN_CHARS)]);
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
