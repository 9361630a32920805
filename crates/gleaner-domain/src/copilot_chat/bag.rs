//! The properties and measurements of a row: which ones are used, and how they are written.

use crate::json::number;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;

use super::message;

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

impl Prop {
    /// The property of a decoded key without a suffix.
    fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"source" => Self::Source,
            b"conversationId" => Self::ConversationId,
            b"sessionId" => Self::SessionId,
            b"messageId" => Self::MessageId,
            b"requestId" => Self::RequestId,
            b"userMessageId" => Self::UserMessageId,
            b"headerRequestId" => Self::HeaderRequestId,
            b"modelCallId" => Self::ModelCallId,
            b"turnIndex" => Self::TurnIndex,
            b"turnNumber" => Self::TurnNumber,
            b"mode" => Self::Mode,
            b"initiatorClientType" => Self::InitiatorClientType,
            b"common.extversion" | b"common_extversion" => Self::ExtensionVersion,
            b"common.userName" | b"common_userName" => Self::UserName,
            b"messageText" => Self::MessageText,
            b"messageCharLen" => Self::MessageCharLen,
            b"query" => Self::Query,
            b"request" => Self::Request,
            b"response" => Self::Response,
            b"toolCounts" => Self::ToolCounts,
            b"totalToolCalls" => Self::TotalToolCalls,
            b"baseModel" => Self::BaseModel,
            b"model" => Self::Model,
            b"request.option.model" | b"request_option_model" => Self::OptionModel,
            b"request.option.tools" | b"request_option_tools" => Self::OptionTools,
            b"messagesJson" => Self::MessagesJson,
            b"message_direction" | b"messageDirection" => Self::MessageDirection,
            b"promptTokens" => Self::PromptTokens,
            b"completionTokens" => Self::CompletionTokens,
            b"messageUuids" => Self::MessageUuids,
            b"chunkIndex" => Self::ChunkIndex,
            b"totalChunks" => Self::TotalChunks,
            b"requestTurn" => Self::RequestTurn,
            b"requestOptionsId" => Self::RequestOptionsId,
            b"requestOptionsJson" => Self::RequestOptionsJson,
            b"messageUuid" => Self::MessageUuid,
            b"messageJson" => Self::MessageJson,
            _ => return None,
        })
    }

    /// The property that a decoded key holds, and which part of it.
    pub fn named(key: &[u8]) -> Option<(Self, Part)> {
        if let Some(prop) = Self::of(key) {
            return Some((prop, Part::Whole));
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
pub fn text(value: &Value<'_>) -> Option<Vec<u8>> {
    match value.kind {
        Kind::String => message::string(value),
        Kind::Number => Some(value.text.to_vec()),
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
