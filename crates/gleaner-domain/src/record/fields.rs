//! The fields of rows and records, distinguished in one place.

use std::borrow::Cow;

use crate::json::Value;
use crate::json::text;

/// A known field of a turn row, a conversation or a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// `Timestamp`
    Timestamp,
    /// `conversationId`
    ConversationId,
    /// `userName`
    UserName,
    /// `mode`
    Mode,
    /// `turnIndex`
    TurnIndex,
    /// `userMessage`
    UserMessage,
    /// `modelMessage`
    ModelMessage,
    /// `promptTokens`
    PromptTokens,
    /// `completionTokens`
    CompletionTokens,
    /// `llmCallCount`
    LlmCallCount,
    /// `trajectory`
    Trajectory,
    /// `turnCount`
    TurnCount,
    /// `bucket`
    Bucket,
    /// `turnsArray`
    TurnsArray,
}

impl Field {
    /// The field that a decoded key names.
    pub fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"Timestamp" => Self::Timestamp,
            b"conversationId" => Self::ConversationId,
            b"userName" => Self::UserName,
            b"mode" => Self::Mode,
            b"turnIndex" => Self::TurnIndex,
            b"userMessage" => Self::UserMessage,
            b"modelMessage" => Self::ModelMessage,
            b"promptTokens" => Self::PromptTokens,
            b"completionTokens" => Self::CompletionTokens,
            b"llmCallCount" => Self::LlmCallCount,
            b"trajectory" => Self::Trajectory,
            b"turnCount" => Self::TurnCount,
            b"bucket" => Self::Bucket,
            b"turnsArray" => Self::TurnsArray,
            _ => return None,
        })
    }

    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 14] = [
        Self::Timestamp,
        Self::ConversationId,
        Self::UserName,
        Self::Mode,
        Self::TurnIndex,
        Self::UserMessage,
        Self::ModelMessage,
        Self::PromptTokens,
        Self::CompletionTokens,
        Self::LlmCallCount,
        Self::Trajectory,
        Self::TurnCount,
        Self::Bucket,
        Self::TurnsArray,
    ];

    /// Its key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "Timestamp",
            Self::ConversationId => "conversationId",
            Self::UserName => "userName",
            Self::Mode => "mode",
            Self::TurnIndex => "turnIndex",
            Self::UserMessage => "userMessage",
            Self::ModelMessage => "modelMessage",
            Self::PromptTokens => "promptTokens",
            Self::CompletionTokens => "completionTokens",
            Self::LlmCallCount => "llmCallCount",
            Self::Trajectory => "trajectory",
            Self::TurnCount => "turnCount",
            Self::Bucket => "bucket",
            Self::TurnsArray => "turnsArray",
        }
    }

    /// The field that a key names.
    #[inline]
    pub fn named(key: &Value<'_>) -> Option<Self> {
        Self::of(&key_text(key))
    }

    /// Whether a turn has this field.
    pub fn is_of_turn(self) -> bool {
        matches!(
            self,
            Self::TurnIndex
                | Self::UserMessage
                | Self::ModelMessage
                | Self::PromptTokens
                | Self::CompletionTokens
                | Self::LlmCallCount
                | Self::Trajectory
        )
    }

    /// Whether an assembled conversation has this field.
    pub fn is_of_conversation(self) -> bool {
        matches!(
            self,
            Self::ConversationId
                | Self::UserName
                | Self::TurnCount
                | Self::Bucket
                | Self::TurnsArray
                | Self::PromptTokens
                | Self::CompletionTokens
                | Self::LlmCallCount
        )
    }
}

/// The decoded text of a key.
pub fn key_text<'a>(key: &Value<'a>) -> Cow<'a, [u8]> {
    let body = key.string_body().unwrap_or_default();
    if key.escaped {
        let mut decoded = Vec::with_capacity(body.len());
        text::decode(body, &mut decoded);
        Cow::Owned(decoded)
    } else {
        Cow::Borrowed(body)
    }
}

/// Which known fields an object has had so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen(u16);

impl Seen {
    /// Notes a field; `false` if it was there already.
    pub fn note(&mut self, field: Field) -> bool {
        let bit = 1 << field as u8;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Whether it was there.
    pub fn has(self, field: Field) -> bool {
        self.0 & 1 << field as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_name_and_its_place() {
        // Whether a turn has it, whether an assembled conversation has it.
        let fields = [
            ("Timestamp", Field::Timestamp, false, false),
            ("conversationId", Field::ConversationId, false, true),
            ("userName", Field::UserName, false, true),
            ("mode", Field::Mode, false, false),
            ("turnIndex", Field::TurnIndex, true, false),
            ("userMessage", Field::UserMessage, true, false),
            ("modelMessage", Field::ModelMessage, true, false),
            ("promptTokens", Field::PromptTokens, true, true),
            ("completionTokens", Field::CompletionTokens, true, true),
            ("llmCallCount", Field::LlmCallCount, true, true),
            ("trajectory", Field::Trajectory, true, false),
            ("turnCount", Field::TurnCount, false, true),
            ("bucket", Field::Bucket, false, true),
            ("turnsArray", Field::TurnsArray, false, true),
        ];
        let mut seen = Seen::default();
        for (name, field, of_turn, of_conversation) in fields {
            assert_eq!(Field::of(name.as_bytes()), Some(field), "{name}");
            assert_eq!((field.name(), Field::ALL[field as usize]), (name, field));
            assert_eq!(Field::of(name.to_uppercase().as_bytes()), None, "{name}");
            assert_eq!(field.is_of_turn(), of_turn, "{name}");
            assert_eq!(field.is_of_conversation(), of_conversation, "{name}");
            assert!(!seen.has(field) && seen.note(field), "{name}");
            assert!(seen.has(field) && !seen.note(field), "{name}");
        }
        assert_eq!(Field::of(b""), None);
    }
}
