//! Messages of a model call, as the extension writes them: in full, or with lengths in place of texts.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_128;

use super::wtf8;
use crate::json::number;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
    Other,
}

/// A text, or what is known of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// None.
    None,
    /// The text (WTF-8).
    Text(Vec<u8>),
    /// Its length in UTF-16 units.
    Length(u64),
    /// Something that is neither.
    Other,
}

impl Content {
    /// The text; an empty one if there is none.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::None => Some(b""),
            Self::Length(_) | Self::Other => None,
        }
    }

    /// Its length in UTF-16 units.
    pub fn units(&self) -> Option<u64> {
        match self {
            Self::Text(text) => Some(wtf8::units(text) as u64),
            Self::None => Some(0),
            Self::Length(units) => Some(*units),
            Self::Other => None,
        }
    }
}

/// A call of a tool.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolCall {
    pub id: Vec<u8>,
    pub name: Vec<u8>,
    pub arguments: Content,
}

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub content: Content,
    pub calls: Vec<ToolCall>,
    /// The id of the call that it is the result of.
    pub answers: Option<Vec<u8>>,
}

impl Message {
    /// Reads a message.
    pub fn read(json: &[u8]) -> Result<Self, JsonError> {
        let mut message = Self {
            role: Role::Other,
            content: Content::None,
            calls: Vec::new(),
            answers: None,
        };
        members(json, |key, value| {
            match key {
                b"role" => {
                    message.role = match &*key_text(value) {
                        b"system" | b"developer" => Role::System,
                        b"user" => Role::User,
                        b"assistant" => Role::Assistant,
                        b"tool" => Role::Tool,
                        _ => Role::Other,
                    }
                }
                b"content" => message.content = content(value)?,
                b"tool_calls" => message.calls = tool_calls(value)?,
                b"tool_call_id" => message.answers = string(value),
                _ => {}
            }
            Ok(())
        })?;
        Ok(message)
    }
}

/// The content of a string; `None` for anything else.
pub fn string(value: &Value<'_>) -> Option<Vec<u8>> {
    wtf8::text(value).map(Cow::into_owned)
}

/// A text, a length, or parts that are texts.
fn content(value: &Value<'_>) -> Result<Content, JsonError> {
    Ok(match value.kind {
        Kind::String => string(value).map_or(Content::None, Content::Text),
        Kind::Number => match number::integer(value.text).map(u64::try_from) {
            Some(Ok(units)) => Content::Length(units),
            _ => Content::Other,
        },
        Kind::Null => Content::None,
        Kind::Array => {
            let mut whole = Some(Vec::new());
            elements(value.text, |part| {
                let mut text = None;
                if part.kind == Kind::Object {
                    members(part.text, |key, value| {
                        if key == b"text" {
                            text = string(value);
                        }
                        Ok(())
                    })?;
                }
                match (&mut whole, text) {
                    (Some(whole), Some(text)) => wtf8::push(whole, &text),
                    _ => whole = None,
                }
                Ok(())
            })?;
            whole.map_or(Content::Other, Content::Text)
        }
        Kind::Object | Kind::Bool => Content::Other,
    })
}

fn tool_calls(value: &Value<'_>) -> Result<Vec<ToolCall>, JsonError> {
    let mut calls = Vec::new();
    if value.kind != Kind::Array {
        return Ok(calls);
    }
    elements(value.text, |element| {
        let mut call = ToolCall {
            id: Vec::new(),
            name: Vec::new(),
            arguments: Content::None,
        };
        if element.kind != Kind::Object {
            return Ok(());
        }
        members(element.text, |key, value| {
            match key {
                b"id" => call.id = string(value).unwrap_or_default(),
                b"function" if value.kind == Kind::Object => {
                    members(value.text, |key, value| {
                        match key {
                            b"name" => call.name = string(value).unwrap_or_default(),
                            b"arguments" => call.arguments = content(value)?,
                            _ => {}
                        }
                        Ok(())
                    })?;
                }
                _ => {}
            }
            Ok(())
        })?;
        calls.push(call);
        Ok(())
    })?;
    Ok(calls)
}

/// Visits the members of an object that is all of a text.
pub fn members<'a>(
    json: &'a [u8],
    mut visit: impl FnMut(&[u8], &Value<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(json);
    scanner.each_member(|key, scanner| visit(&key_text(key), &scanner.value()?))?;
    scanner.end()
}

/// Visits the elements of an array that is all of a text.
pub fn elements<'a>(
    json: &'a [u8],
    mut visit: impl FnMut(&Value<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(json);
    scanner.each_element(|scanner| visit(&scanner.value()?))?;
    scanner.end()
}

/// The place of a message among [`Messages`].
pub type MessageRef = u32;

/// Messages, each once: the input of a call repeats those of all calls before it.
#[derive(Default)]
pub struct Messages {
    all: Vec<Message>,
    /// By the hash of their JSON.
    by_hash: std::collections::BTreeMap<u128, MessageRef>,
}

impl Messages {
    /// Takes the JSON of a message.
    pub fn intern(&mut self, json: &[u8]) -> Result<MessageRef, JsonError> {
        let hash = xxh3_128(json);
        if let Some(&place) = self.by_hash.get(&hash) {
            return Ok(place);
        }
        let message = Message::read(json)?;
        // Memory ends before places do.
        let place = self.all.len() as MessageRef;
        self.all.push(message);
        self.by_hash.insert(hash, place);
        Ok(place)
    }

    /// Takes the JSON of a list of messages: as many as can be read.
    pub fn intern_list(&mut self, json: &[u8]) -> Vec<MessageRef> {
        let mut list = Vec::new();
        // What was cut off ends with a message that cannot be read.
        let _ = elements(json, |element| {
            list.push(self.intern(element.text)?);
            Ok(())
        });
        list
    }

    pub fn get(&self, place: MessageRef) -> &Message {
        &self.all[place as usize]
    }
}
