//! Rows: which can be read, and of which only the id.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{
    JSON_SPACE, Object, as_text, depth, has_lone_surrogate, integer, one_value, text, ticks,
};
use super::{Asked, bucket_of};

pub const TURN: [&str; 7] = [
    "turnIndex",
    "userMessage",
    "modelMessage",
    "promptTokens",
    "completionTokens",
    "llmCallCount",
    "trajectory",
];
pub const OTHERS: [&str; 7] = [
    "Timestamp",
    "conversationId",
    "userName",
    "mode",
    "turnCount",
    "bucket",
    "turnsArray",
];

pub fn has_twice(object: &Object, known: &[&str]) -> bool {
    let count = |name: &&str| object.0.iter().filter(|(key, _)| key == name).count();
    known.iter().any(|name| count(name) > 1)
}

/// A row that can be read.
pub enum Row {
    Event {
        id: String,
        turn: i64,
        at: i64,
        agent: bool,
        object: Object,
    },
    Conversation {
        id: String,
        turns: usize,
        line: String,
    },
}

pub fn read(line: &[u8], asked: &Asked) -> Option<Row> {
    let line = line.trim_ascii();
    let json = std::str::from_utf8(line)
        .ok()
        .filter(|json| json.len() <= asked.max_record)?;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    if depth(json) > 128 {
        return None;
    }
    let object = Object::deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    if has_twice(&object, &TURN) || has_twice(&object, &OTHERS) {
        return None;
    }
    let id = as_text(object.get("conversationId")).filter(|id| !id.is_empty())?;
    if has_lone_surrogate(object.get("conversationId")?.get()) {
        return None;
    }
    if let Some(array) = object.get("turnsArray") {
        let turns: Vec<Object> = serde_json::from_str(array.get()).ok()?;
        if turns.iter().any(|turn| has_twice(turn, &TURN)) {
            return None;
        }
        return Some(Row::Conversation {
            id,
            turns: turns.len(),
            line: filled(json, &object, turns.len()),
        });
    }
    let turn = integer(object.get("turnIndex"))?;
    let at = ticks(&as_text(object.get("Timestamp"))?)?;
    let agent = as_text(object.get("mode")).as_deref() == Some("agent");
    Some(Row::Event {
        id,
        turn,
        at,
        agent,
        object,
    })
}

/// A conversation row as it is written: what it lacks of the number of turns and the bucket stands
/// before its closing brace.
pub fn filled(json: &str, object: &Object, turns: usize) -> String {
    let mut out = json[..json.len() - 1].to_owned();
    if object.get("turnCount").is_none() {
        out += &format!(",\"turnCount\":{turns}");
    }
    if object.get("bucket").is_none() {
        let bucket = bucket_of(turns).map_or("null".to_owned(), |b| format!("\"{}\"", b.0));
        out += &format!(",\"bucket\":{bucket}");
    }
    out + "}"
}

/// The top-level id of a malformed row, as far as a scanner comes: its string closed, and the only
/// one. Of a row that is too large it sees the beginning.
pub fn readable_id(line: &[u8], asked: &Asked) -> Option<String> {
    let line = line.trim_ascii();
    let held = String::from_utf8_lossy(&line[..line.len().min(asked.max_record)]);
    let mut rest = held.strip_prefix('{')?.trim_start_matches(JSON_SPACE);
    let (mut seen, mut id) = (0, None);
    while let Some((key, after)) = one_value(rest).filter(|_| rest.starts_with('"')) {
        let Some(after) = after.trim_start_matches(JSON_SPACE).strip_prefix(':') else {
            break;
        };
        let is_id = text(&key) == "conversationId";
        seen += u32::from(is_id);
        let Some((value, after)) = one_value(after.trim_start_matches(JSON_SPACE)) else {
            break;
        };
        if depth(value.get()) + 1 > 128 {
            break;
        }
        if is_id {
            id = Some(value);
        }
        let Some(after) = after.trim_start_matches(JSON_SPACE).strip_prefix(',') else {
            break;
        };
        rest = after.trim_start_matches(JSON_SPACE);
    }
    let id = id.filter(|_| seen == 1)?;
    let has_bad_bytes = std::str::from_utf8(line).is_err() && id.get().contains('\u{fffd}');
    if has_bad_bytes || has_lone_surrogate(id.get()) {
        return None;
    }
    as_text(Some(&id)).filter(|id| !id.is_empty())
}

/// The rows of a file: its lines, or the elements of its one array. An element that spans lines
/// is written without the white space between its tokens.
pub fn rows_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    if !bytes.trim_ascii_start().starts_with(b"[") {
        return bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    }
    let elements: Vec<Box<RawValue>> = serde_json::from_slice(bytes).expect("a whole array");
    let mut rows = Vec::new();
    for element in elements {
        let text = element.get();
        if !text.contains(['\n', '\r']) {
            rows.push(text.as_bytes().to_vec());
            continue;
        }
        let (mut row, mut in_string, mut escaped) = (String::new(), false, false);
        for c in text.chars() {
            if in_string || !c.is_ascii_whitespace() {
                row.push(c);
            }
            in_string ^= c == '"' && !escaped;
            escaped = in_string && c == '\\' && !escaped;
        }
        rows.push(row.into_bytes());
    }
    rows
}
