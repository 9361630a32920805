//! The properties and measurements of a row: which ones are used, and how they are written.

use std::borrow::Cow;

use super::wtf8;
use crate::json::number;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;

/// A property or measurement that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Prop {
    Source,
    ConversationId,
    SessionId,
    MessageId,
    RequestId,
    UserMessageId,
    HeaderRequestId,
    ModelCallId,
    TurnIndex,
    TurnNumber,
    Mode,
    InitiatorClientType,
    ExtensionVersion,
    UserName,
    MessageText,
    MessageCharLen,
    Query,
    Request,
    Response,
    ToolCounts,
    TotalToolCalls,
    BaseModel,
    Model,
    OptionModel,
    OptionTools,
    MessagesJson,
    MessageDirection,
    PromptTokens,
    CompletionTokens,
    MessageUuids,
    ChunkIndex,
    TotalChunks,
    RequestTurn,
    RequestOptionsId,
    RequestOptionsJson,
    MessageUuid,
    MessageJson,
}

/// How many there are.
pub const PROPS: usize = Prop::MessageJson as usize + 1;

/// Which part of a property a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `key`: all of it, or what it begins with.
    Whole,
    /// `key_02` to `key_50`: what follows.
    Numbered(u8),
    /// `keyChunk` (1), `keyChunk_2` and so on: a piece of all of it, compressed.
    Chunk(u8),
}

/// The keys of properties without a suffix, shortest first.
const KEYS: [(&[u8], Prop); 42] = [
    (b"mode", Prop::Mode),
    (b"query", Prop::Query),
    (b"model", Prop::Model),
    (b"source", Prop::Source),
    (b"request", Prop::Request),
    (b"response", Prop::Response),
    (b"sessionId", Prop::SessionId),
    (b"messageId", Prop::MessageId),
    (b"requestId", Prop::RequestId),
    (b"turnIndex", Prop::TurnIndex),
    (b"baseModel", Prop::BaseModel),
    (b"turnNumber", Prop::TurnNumber),
    (b"toolCounts", Prop::ToolCounts),
    (b"chunkIndex", Prop::ChunkIndex),
    (b"modelCallId", Prop::ModelCallId),
    (b"messageText", Prop::MessageText),
    (b"totalChunks", Prop::TotalChunks),
    (b"requestTurn", Prop::RequestTurn),
    (b"messageUuid", Prop::MessageUuid),
    (b"messageJson", Prop::MessageJson),
    (b"messagesJson", Prop::MessagesJson),
    (b"promptTokens", Prop::PromptTokens),
    (b"messageUuids", Prop::MessageUuids),
    (b"userMessageId", Prop::UserMessageId),
    (b"conversationId", Prop::ConversationId),
    (b"messageCharLen", Prop::MessageCharLen),
    (b"totalToolCalls", Prop::TotalToolCalls),
    (b"headerRequestId", Prop::HeaderRequestId),
    (b"common.userName", Prop::UserName),
    (b"common_userName", Prop::UserName),
    (b"messageDirection", Prop::MessageDirection),
    (b"completionTokens", Prop::CompletionTokens),
    (b"requestOptionsId", Prop::RequestOptionsId),
    (b"common.extversion", Prop::ExtensionVersion),
    (b"common_extversion", Prop::ExtensionVersion),
    (b"message_direction", Prop::MessageDirection),
    (b"requestOptionsJson", Prop::RequestOptionsJson),
    (b"initiatorClientType", Prop::InitiatorClientType),
    (b"request.option.model", Prop::OptionModel),
    (b"request_option_model", Prop::OptionModel),
    (b"request.option.tools", Prop::OptionTools),
    (b"request_option_tools", Prop::OptionTools),
];

/// The longest of [`KEYS`].
const LONGEST: usize = KEYS[KEYS.len() - 1].0.len();

/// How many of [`KEYS`] are shorter than this many bytes: most keys of a row are of no use, and one
/// is known by a look at those of its own length.
const SHORTER: [u8; LONGEST + 2] = {
    let mut shorter = [0; LONGEST + 2];
    let mut length = 0;
    while length < shorter.len() {
        while (shorter[length] as usize) < KEYS.len()
            && KEYS[shorter[length] as usize].0.len() < length
        {
            shorter[length] += 1;
        }
        length += 1;
        if length < shorter.len() {
            shorter[length] = shorter[length - 1];
        }
    }
    shorter
};

impl Prop {
    /// The property of a decoded key without a suffix.
    fn of(key: &[u8]) -> Option<Self> {
        let (start, end) = (SHORTER.get(key.len())?, SHORTER.get(key.len() + 1)?);
        let same_length = &KEYS[usize::from(*start)..usize::from(*end)];
        let found = same_length.iter().find(|(known, _)| *known == key);
        found.map(|(_, prop)| *prop)
    }

    /// The property that a decoded key holds, and which part of it.
    pub fn named(key: &[u8]) -> Option<(Self, Part)> {
        if let Some(prop) = Self::of(key) {
            return Some((prop, Part::Whole));
        }
        // All suffixes end with a digit, or are `Chunk`.
        if !matches!(key.last(), Some(b'0'..=b'9' | b'k')) {
            return None;
        }
        let (base, number) = match memchr::memrchr(b'_', key) {
            Some(at) if number::is_digits(&key[at + 1..]) => (&key[..at], Some(&key[at + 1..])),
            _ => (key, None),
        };
        let number = number.map(|digits| {
            let number = number::integer(digits).and_then(|number| u8::try_from(number).ok());
            (digits.len(), number.unwrap_or(0))
        });
        match (base.strip_suffix(b"Chunk"), number) {
            (Some(b"messagesJSON"), None) => Some((Self::MessagesJson, Part::Chunk(1))),
            (Some(b"messagesJSON"), Some((_, number @ 2..))) => {
                Some((Self::MessagesJson, Part::Chunk(number)))
            }
            (Some(base), None) => Some((Self::of(base)?, Part::Chunk(1))),
            (Some(base), Some((_, number @ 2..))) => Some((Self::of(base)?, Part::Chunk(number))),
            (None, Some((2, number @ 2..))) => Some((Self::of(base)?, Part::Numbered(number))),
            _ => None,
        }
    }
}

/// Visits the members of an object that are used; the scanner stands before the object.
pub fn each<'a>(
    scanner: &mut Scanner<'a>,
    mut visit: impl FnMut(Prop, Part, Value<'a>),
) -> Result<(), JsonError> {
    each_key(scanner, |_, prop, part, value| visit(prop, part, value))
}

/// [`each`], with the keys as they are written.
pub fn each_key<'a>(
    scanner: &mut Scanner<'a>,
    mut visit: impl FnMut(&[u8], Prop, Part, Value<'a>),
) -> Result<(), JsonError> {
    scanner.each_member(|key, scanner| {
        let value = scanner.value()?;
        let named = Prop::named(&key_text(key));
        if let Some((prop, part)) = named {
            visit(key.string_body().unwrap_or_default(), prop, part, value);
        }
        Ok(())
    })
}

/// A value's text: a string's content, a number's digits; `None` for anything else.
pub fn text<'a>(value: &Value<'a>) -> Option<Cow<'a, [u8]>> {
    match value.kind {
        Kind::String => wtf8::text(value),
        Kind::Number => Some(Cow::Borrowed(value.text)),
        _ => None,
    }
}

/// A number that a value is, or that its text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// There is none: no value, or a text that is no number, such as `undefined`.
    Absent,
    /// An integer.
    Integer(i64),
    /// A number that is no integer of 64 bits.
    Other,
}

/// The number of a value: a number, or text that is one.
pub fn number(value: Option<&Value<'_>>) -> Number {
    let Some(value) = value else {
        return Number::Absent;
    };
    let digits = match value.kind {
        Kind::Number => value.text,
        Kind::String => value.string_body().unwrap_or_default().trim_ascii(),
        _ => return Number::Absent,
    };
    if let Some(integer) = number::integer(digits) {
        return Number::Integer(integer);
    }
    let is_number = digits.iter().any(u8::is_ascii_digit)
        && digits
            .iter()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
    match is_number {
        true => Number::Other,
        false => Number::Absent,
    }
}

/// A number that is no integer, or less than 0, is as good as none.
pub fn count(value: Option<&Value<'_>>) -> Option<u64> {
    match number(value) {
        Number::Integer(integer) => u64::try_from(integer).ok(),
        Number::Absent | Number::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_names_its_property_and_a_longer_or_shorter_one_none() {
        assert!(KEYS.is_sorted_by_key(|(key, _)| key.len()));
        for (key, prop) in KEYS {
            assert_eq!(Prop::of(key), Some(prop));
            assert_eq!(Prop::of(&key[1..]), None);
            assert_eq!(Prop::of(&[key, b"x"].concat()), None);
        }
        assert_eq!(Prop::of(&[b'x'; 2 * LONGEST]), None);
    }

    #[test]
    fn suffixes_name_parts() {
        for (key, part) in [
            ("messageText", Some((Prop::MessageText, Part::Whole))),
            (
                "messageText_02",
                Some((Prop::MessageText, Part::Numbered(2))),
            ),
            (
                "messageText_50",
                Some((Prop::MessageText, Part::Numbered(50))),
            ),
            (
                "messageTextChunk",
                Some((Prop::MessageText, Part::Chunk(1))),
            ),
            (
                "messageTextChunk_2",
                Some((Prop::MessageText, Part::Chunk(2))),
            ),
            (
                "messageTextChunk_50",
                Some((Prop::MessageText, Part::Chunk(50))),
            ),
            (
                "messagesJSONChunk",
                Some((Prop::MessagesJson, Part::Chunk(1))),
            ),
            (
                "messagesJSONChunk_3",
                Some((Prop::MessagesJson, Part::Chunk(3))),
            ),
            (
                "request.option.tools_03",
                Some((Prop::OptionTools, Part::Numbered(3))),
            ),
            (
                "request_option_tools_03",
                Some((Prop::OptionTools, Part::Numbered(3))),
            ),
            ("common_userName", Some((Prop::UserName, Part::Whole))),
            (
                "message_direction",
                Some((Prop::MessageDirection, Part::Whole)),
            ),
            ("messageText_2", None),
            ("messageText_01", None),
            ("messageText_", None),
            ("messageTextChunk_1", None),
            ("messageTextChunk_999", None),
            ("somethingChunk", None),
            ("something_02", None),
            ("", None),
        ] {
            assert_eq!(Prop::named(key.as_bytes()), part, "{key}");
        }
    }

    #[test]
    fn measurements_are_numbers_however_they_are_written() {
        let read = |json: &str| {
            let value = Scanner::new(json.as_bytes()).value().expect("a value");
            number(Some(&value))
        };
        for (json, found) in [
            ("3", Number::Integer(3)),
            ("\"3\"", Number::Integer(3)),
            ("\" 3.0 \"", Number::Integer(3)),
            ("3.0", Number::Integer(3)),
            ("3.5", Number::Other),
            ("\"3.5\"", Number::Other),
            ("1e30", Number::Other),
            ("null", Number::Absent),
            ("\"undefined\"", Number::Absent),
            ("\"None\"", Number::Absent),
            ("\"\"", Number::Absent),
            ("\"three\"", Number::Absent),
            ("true", Number::Absent),
            ("[3]", Number::Absent),
        ] {
            assert_eq!(read(json), found, "{json}");
        }
        assert_eq!(number(None), Number::Absent);
    }
}
