//! Rows as the extension and the SDK write them, and what becomes of them.

mod bad_rows;
mod membership;
mod records;
mod splitting;

use super::assembler::{Assembled, Assembler};
use super::membership::MembershipRules;
use super::row::{self, ReadRow, ReadRules, RowKey, TelemetryRow};
use crate::selection::stratum::Selection;
use crate::selection::stratum::fixtures::selection;

fn rules() -> ReadRules {
    ReadRules {
        modes: vec!["agent".to_owned()],
        max_value: 1 << 20,
    }
}

/// A row that is written property by property.
#[derive(Clone)]
struct Row {
    event: &'static str,
    second: u32,
    properties: Vec<(String, String)>,
    measurements: Vec<(&'static str, u64)>,
}

fn row(event: &'static str, second: u32) -> Row {
    Row {
        event,
        second,
        properties: Vec::new(),
        measurements: Vec::new(),
    }
    .with("conversationId", "c")
}

impl Row {
    /// A property that is a text.
    fn with(self, key: &str, text: &str) -> Self {
        let units: Vec<u16> = text.encode_utf16().collect();
        self.with_units(key, &units)
    }

    /// A property as the SDK sends it: trimmed, and cut at 8,192 units.
    fn with_units(mut self, key: &str, units: &[u16]) -> Self {
        let units = trimmed(units);
        let json = json(&units[..units.len().min(8192)]);
        self.properties.retain(|(other, _)| other != key);
        self.properties.push((key.to_owned(), json));
        self
    }

    /// A property as JSON.
    fn with_json(mut self, key: &str, json: &str) -> Self {
        self.properties.retain(|(other, _)| other != key);
        self.properties.push((key.to_owned(), json.to_owned()));
        self
    }

    fn measuring(mut self, key: &'static str, number: u64) -> Self {
        self.measurements.push((key, number));
        self
    }

    fn properties(&self) -> String {
        let members = self.properties.iter();
        let members: Vec<_> = members
            .map(|(key, json)| format!("\"{key}\":{json}"))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    fn line(&self) -> Vec<u8> {
        let numbers = self.measurements.iter();
        let numbers: Vec<_> = numbers.map(|(key, n)| format!("\"{key}\":{n}")).collect();
        format!(
            "{{\"TimeGenerated\":\"2025-10-01T00:00:{:02}.1234567Z\",\"Properties\":{},\"Measurements\":{{{}}},\"Name\":\"GitHub.copilot-chat/{}\",\"ItemCount\":1}}",
            self.second,
            self.properties(),
            numbers.join(","),
            self.event,
        )
        .into_bytes()
    }
}

/// A JSON string of units, all but ASCII as escapes.
fn json(units: &[u16]) -> String {
    let mut json = "\"".to_owned();
    for &unit in units {
        match u8::try_from(unit) {
            Ok(byte @ b' '..=b'~') if byte != b'"' && byte != b'\\' => json.push(char::from(byte)),
            _ => json.push_str(&format!("\\u{unit:04x}")),
        }
    }
    json + "\""
}

fn is_space(unit: u16) -> bool {
    char::from_u32(u32::from(unit))
        .is_some_and(|c| c != '\u{85}' && c.is_whitespace() || c == '\u{feff}')
}

fn trimmed(units: &[u16]) -> &[u16] {
    let start = units.iter().position(|&unit| !is_space(unit));
    let end = units.iter().rposition(|&unit| !is_space(unit));
    match (start, end) {
        (Some(start), Some(end)) => &units[start..=end],
        _ => &[],
    }
}

/// The user's row of a turn, from 1 on.
fn user(turn: u32, second: u32, text: &str) -> Row {
    row("conversation.messageText", second)
        .with("source", "user")
        .with("messageId", &format!("m{turn}"))
        .with("turnIndex", &(turn - 1).to_string())
        .with("mode", "agent")
        .with("messageText", text)
        .measuring("messageCharLen", text.encode_utf16().count() as u64)
}

/// The model's row of a turn, from 1 on.
fn model(turn: u32, second: u32, text: &str) -> Row {
    row("conversation.messageText", second)
        .with("source", "model")
        .with("messageId", &format!("m{turn}"))
        .with("turnIndex", &turn.to_string())
        .with("mode", "agent")
        .with("messageText", text)
}

fn read(line: &[u8]) -> TelemetryRow<'_> {
    match row::read(line, &rules()) {
        Ok(ReadRow::Used(row)) => row,
        other => panic!("{other:?} of {}", String::from_utf8_lossy(line)),
    }
}

fn selected() -> Selection {
    selection(1)
}

/// The record of rows that make one conversation; those of shared events are handed over as such.
fn record(lines: &[Vec<u8>]) -> (serde_json::Value, Assembled) {
    let (mut text, assembled) = record_text(lines);
    // Half a character is the only escape that begins so; `serde_json` refuses it.
    while let Some(at) = text.match_indices("\\ud").map(|(at, _)| at).find(|&at| {
        let before = text[..at].bytes().rev();
        before.take_while(|&byte| byte == b'\\').count() % 2 == 0
    }) {
        text.replace_range(at..at + 6, "\u{fffd}");
    }
    (serde_json::from_str(&text).expect("JSON"), assembled)
}

fn record_text(lines: &[Vec<u8>]) -> (String, Assembled) {
    let (selection, read_rules) = (selected(), rules());
    let assembler = Assembler::new(&selection, &read_rules, &MembershipRules::ALL);
    let is_shared = |line: &&Vec<u8>| matches!(read(line).key, RowKey::Shared(_));
    let (shared, rows): (Vec<_>, Vec<_>) = lines.iter().partition(is_shared);
    let rows: Vec<&[u8]> = rows.into_iter().map(Vec::as_slice).collect();
    let draft = assembler.open(&rows).expect("a conversation");
    let wanted = |line: &&Vec<u8>| match read(line).key {
        RowKey::Shared(id) => draft.wanted().contains(&id.into_owned()),
        RowKey::Conversation(_) => false,
    };
    let shared: Vec<&[u8]> = shared
        .into_iter()
        .filter(wanted)
        .map(Vec::as_slice)
        .collect();
    let mut out = Vec::new();
    let assembled = draft.record("c", &shared, &mut out).expect("rows");
    (String::from_utf8(out).expect("UTF-8"), assembled)
}
