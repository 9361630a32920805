//! Rows of `AppEvents`: TELEMETRY-MAPPING, "Row admission".

use serde::Deserialize;

use super::super::Asked;
use super::super::json::{JSON_SPACE, Object, depth, has_lone_surrogate, one_value, text, ticks};
use super::json::{Json, Units, parse, units};
use super::split::{Bag, is_called};

/// The events that are used, and of texts whose.
pub const EVENTS: [(&str, &str); 12] = [
    ("conversation.messageText", "user"),
    ("conversation.messageText", "model"),
    ("conversation.messageText", "offTopic"),
    ("interactiveSessionMessage", ""),
    ("interactiveSessionResponse", ""),
    ("toolCallDetailsInternal", ""),
    ("engine.messages.length", ""),
    ("engine.messages", ""),
    ("model.request.options.added", ""),
    ("model.message.added", ""),
    ("model.modelCall.input", ""),
    ("model.modelCall.output", ""),
];

/// Keys that are used, and so may not be there twice; those with long values come first.
const KEYS: [&str; 37] = [
    "messageText",
    "query",
    "request",
    "response",
    "messagesJson",
    "request.option.tools",
    "messageJson",
    "messageUuids",
    "requestOptionsJson",
    "toolCounts",
    "source",
    "conversationId",
    "sessionId",
    "messageId",
    "requestId",
    "userMessageId",
    "headerRequestId",
    "modelCallId",
    "turnIndex",
    "turnNumber",
    "mode",
    "initiatorClientType",
    "common.extversion",
    "common.userName",
    "messageCharLen",
    "totalToolCalls",
    "baseModel",
    "model",
    "request.option.model",
    "message_direction",
    "promptTokens",
    "completionTokens",
    "chunkIndex",
    "totalChunks",
    "requestTurn",
    "requestOptionsId",
    "messageUuid",
];

/// How many of the keys have long values.
const LONG: usize = 10;

/// A row of an event that is used.
#[derive(Clone)]
pub struct Row {
    /// Its place in [`EVENTS`].
    pub event: usize,
    pub at: i64,
    pub bag: Bag,
    pub measured: Bag,
    /// What it is found by: its conversation, or the message or options that it has a piece of.
    pub id: String,
    /// From 1 on; 0: unknown.
    pub position: i64,
    /// What is equal if rows are equal.
    pub content: (usize, i64, String, String),
}

pub enum Read {
    OtherEvent,
    NoId,
    Row(Box<Row>),
}

impl Row {
    pub fn is_of(&self, event: &str) -> bool {
        let (name, source) = EVENTS[self.event];
        name == event || !source.is_empty() && format!("{name}/{source}") == event
    }

    pub fn is_shared(&self) -> bool {
        self.is_of("model.message.added") || self.is_of("model.request.options.added")
    }

    pub fn is_of_host(&self) -> bool {
        self.bag.known("initiatorClientType").is_some()
    }

    /// A number of the measurements, else of the properties.
    pub fn count(&self, key: &str) -> Option<u64> {
        let count = |bag: &Bag| bag.get(key).and_then(Json::count);
        count(&self.measured).or_else(|| count(&self.bag))
    }

    /// The id of its request.
    pub fn request(&self) -> Option<Units> {
        if self.is_of_host() {
            return (self.position > 0).then(|| units(&format!("#{}", self.position)));
        }
        let known = |key: &str| self.bag.known(key).filter(|id| **id != units("unknown"));
        let first = match self.is_of("conversation.messageText/offTopic") {
            true => known("userMessageId").or(known("messageId")),
            false => known("messageId").or(known("requestId")),
        };
        first.or(known("headerRequestId")).cloned()
    }

    /// The model call that it reports.
    pub fn call(&self) -> Option<&Units> {
        let is_of_call = self.is_of("engine.messages")
            || self.is_of("engine.messages.length")
            || self.is_of("model.modelCall.input")
            || self.is_of("model.modelCall.output");
        self.bag.known("modelCallId").filter(|_| is_of_call)
    }

    /// Whether it names an agent's mode; `None`: it names none.
    pub fn is_agent(&self) -> Option<bool> {
        let mode = self
            .bag
            .known("mode")
            .filter(|_| self.is_of("conversation.messageText"))?;
        Some(*mode == units("agent"))
    }

    /// The order in which rows are looked at.
    pub fn order(&self) -> (i64, usize, &str) {
        (self.at, self.event, &self.content.2)
    }
}

/// An object in a column: itself, or in its text; nothing is an empty one.
fn object(column: Option<&Json>) -> Option<Json> {
    match column {
        None | Some(Json::Null) => Some(Json::Object(Vec::new())),
        Some(object @ Json::Object(_)) => Some(object.clone()),
        Some(Json::Text(text)) => match String::from_utf16_lossy(text).trim() {
            "" | "null" | "None" => Some(Json::Object(Vec::new())),
            _ => parse(text).filter(|value| matches!(value, Json::Object(_))),
        },
        _ => None,
    }
}

/// The columns of a line.
fn columns(line: &[u8], asked: &Asked) -> Result<Object, ()> {
    let json = std::str::from_utf8(line.trim_ascii()).map_err(|_| ())?;
    if json.len() > asked.max_record || depth(json) > 128 {
        return Err(());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    let columns = Object::deserialize(&mut deserializer).map_err(|_| ())?;
    deserializer.end().map_err(|_| ())?;
    Ok(columns)
}

/// The event that a row is named for, if it is one that is read.
fn event_in(name: &str) -> Option<&str> {
    let (prefix, event) = name.rsplit_once('/')?;
    let prefixes = ["GitHub.copilot-chat", "GitHub.copilot.chat", "copilot-chat"];
    let is_read = prefixes.contains(&prefix) && EVENTS.iter().any(|(known, _)| *known == event);
    is_read.then_some(event)
}

/// The place in `EVENTS` of an event with this source.
fn position_in_events(event: &str, bag: &Bag) -> Option<usize> {
    let source = bag
        .known("source")
        .map(|source| String::from_utf16_lossy(source))
        .unwrap_or_default();
    let is_it =
        |known: &(&str, &str)| known.0 == event && (known.1.is_empty() || known.1 == source);
    EVENTS.iter().position(is_it)
}

/// Reads a row; `Err`: it is malformed.
pub fn read(line: &[u8], asked: &Asked) -> Result<Read, ()> {
    let columns = columns(line, asked)?;
    let column = |names: &[&str]| names.iter().find_map(|name| columns.get(name));
    let parsed = |names: &[&str]| {
        column(names)
            .map(|value| parse(&units(value.get())).ok_or(()))
            .transpose()
    };
    let raw = |names: &[&str]| column(names).map_or(String::new(), |value| value.get().to_owned());
    let name = parsed(&["Name", "name"])?;
    let name = name
        .as_ref()
        .and_then(Json::text)
        .map(|name| String::from_utf16_lossy(name))
        .ok_or(())?;
    let Some(event) = event_in(&name) else {
        return Ok(Read::OtherEvent);
    };
    let properties = parsed(&["Properties", "customDimensions"])?;
    let is_there = !matches!(properties, None | Some(Json::Null));
    let bag = object(properties.as_ref())
        .filter(|_| is_there)
        .and_then(|object| Bag::new(&object))
        .ok_or(())?;
    let Some(event) = position_in_events(event, &bag) else {
        return Ok(Read::OtherEvent);
    };
    if has_twice(&bag) {
        return Err(());
    }
    let measured = object(parsed(&["Measurements", "customMeasurements"])?.as_ref());
    let mut row = Row {
        event,
        at: 0,
        bag,
        measured: measured.and_then(|object| Bag::new(&object)).ok_or(())?,
        id: String::new(),
        position: 0,
        content: Default::default(),
    };
    let Some(id) = id(&row)? else {
        return Ok(Read::NoId);
    };
    row.id = id;
    row.position = position(&row)?;
    let time =
        column(&["TimeGenerated", "time", "timestamp"]).filter(|time| time.get().starts_with('"'));
    row.at = time.and_then(|time| ticks(&text(time))).ok_or(())?;
    let is_whole = |key: &&str| row.bag.is_whole(key, asked.max_record);
    if !KEYS[..LONG].iter().all(is_whole) {
        return Err(());
    }
    let properties = raw(&["Properties", "customDimensions"]);
    row.content = (
        event,
        row.at,
        properties,
        raw(&["Measurements", "customMeasurements"]),
    );
    Ok(Read::Row(Box::new(row)))
}

fn has_twice(bag: &Bag) -> bool {
    KEYS.iter().any(|key| {
        bag.0
            .iter()
            .filter(|(name, _)| is_called(name, key))
            .count()
            > 1
    })
}

fn id(row: &Row) -> Result<Option<String>, ()> {
    let is_session =
        row.is_of("interactiveSessionMessage") || row.is_of("interactiveSessionResponse");
    let key = match EVENTS[row.event].0 {
        "model.message.added" => "messageUuid",
        "model.request.options.added" => "requestOptionsId",
        _ if is_session && row.bag.get("conversationId").is_none() => "sessionId",
        _ => "conversationId",
    };
    match row.bag.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => {
            let id = String::from_utf16(text).map_err(|_| ())?;
            Ok((!id.is_empty() && id != "undefined").then_some(id))
        }
        Some(_) => Err(()),
    }
}

fn position(row: &Row) -> Result<i64, ()> {
    let host = i64::from(row.is_of_host());
    let (value, before) = match EVENTS[row.event] {
        (_, "user") => (row.bag.get("turnIndex"), 1),
        (_, "model") => (row.bag.get("turnIndex"), host),
        ("toolCallDetailsInternal", _) => (
            row.measured.get("turnIndex").or(row.bag.get("turnIndex")),
            host,
        ),
        ("interactiveSessionMessage" | "interactiveSessionResponse", _) => (
            row.measured.get("turnNumber").or(row.bag.get("turnNumber")),
            0,
        ),
        _ => return Ok(0),
    };
    let value = match value {
        None | Some(Json::Null) => return Ok(0),
        Some(value) => value,
    };
    if let Some(text) = value.text() {
        let text = String::from_utf16_lossy(text);
        if ["", "undefined", "null", "None", "NaN"].contains(&text.trim()) {
            return Ok(0);
        }
    }
    let position = value.integer().ok_or(())? + before;
    (position >= 1 && position <= i64::from(u32::MAX))
        .then_some(position)
        .ok_or(())
}

/// The id of the conversation that a malformed row damages, as far as a scanner comes.
pub fn readable_id(line: &[u8]) -> Option<String> {
    let held = String::from_utf8_lossy(line.trim_ascii()).into_owned();
    let mut ids = Vec::new();
    each_member(&held, &mut |key, rest| {
        if !["Properties", "customDimensions"].contains(&key) {
            return;
        }
        let inner = match rest.starts_with('"') {
            true => one_value(rest)
                .map(|(value, _)| text(&value))
                .unwrap_or_default(),
            false => rest.to_owned(),
        };
        each_member(&inner, &mut |key, rest| {
            if let Some((value, _)) = one_value(rest) {
                ids.push((key.to_owned(), value));
            }
        });
    });
    let only = |wanted: &str| {
        let mut found = ids.iter().filter(|(key, _)| key == wanted);
        let (_, value) = found.next()?;
        let id = super::super::json::as_text(Some(value))?;
        (found.next().is_none()
            && !has_lone_surrogate(value.get())
            && !id.is_empty()
            && id != "undefined")
            .then_some(id)
    };
    only("conversationId").or_else(|| only("sessionId"))
}

/// Visits the members of an object, as far as it can be read: the key, and the text from its value on.
fn each_member(object: &str, visit: &mut dyn FnMut(&str, &str)) {
    let Some(mut rest) = object.trim_start_matches(JSON_SPACE).strip_prefix('{') else {
        return;
    };
    loop {
        rest = rest.trim_start_matches(JSON_SPACE);
        let Some((key, after)) = one_value(rest).filter(|_| rest.starts_with('"')) else {
            return;
        };
        let Some(value) = after.trim_start_matches(JSON_SPACE).strip_prefix(':') else {
            return;
        };
        let value = value.trim_start_matches(JSON_SPACE);
        visit(&text(&key), value);
        let after = one_value(value).map(|(_, after)| after.trim_start_matches(JSON_SPACE));
        match after.and_then(|after| after.strip_prefix(',')) {
            Some(after) => rest = after,
            None => return,
        }
    }
}
