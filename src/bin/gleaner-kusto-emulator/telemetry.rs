//! The made-up telemetry, grouped as the queries group it.

use std::collections::BTreeMap;

use gleaner::config::settings::{RowShape, Synthetic};
use gleaner::domain::json::{Scanner, Value};
use gleaner::domain::kusto_hash;
use gleaner::domain::rank::Ranker;
use gleaner::domain::text;
use gleaner::domain::timestamp;
use gleaner::source::synthetic::conversation_rows;

use crate::answer::Asked;

/// What a census knows of a conversation.
#[derive(Debug, Clone)]
pub struct Header {
    /// Its number in the generator.
    pub number: u64,
    /// Its id.
    pub id: String,
    /// `hash(id)`
    pub hash: i64,
    /// Its number of turns.
    pub turns: i64,
    /// Its last timestamp, as it stands.
    pub last: String,
}

/// All conversations that the queries find, by header.
#[derive(Debug)]
pub struct Telemetry {
    settings: Synthetic,
    headers: Vec<Header>,
}

/// A turn's fields as they stand.
type Turn = BTreeMap<String, Vec<u8>>;

impl Telemetry {
    /// Makes the telemetry up, and forgets all but the headers.
    pub fn new(conversations: u64, seed: u64) -> Self {
        let settings = Synthetic {
            conversations,
            seed,
            shape: RowShape::Events,
        };
        let headers = (0..conversations)
            .filter_map(|number| {
                let turns = turns(settings, number)?;
                let id = string(turns.first()?, "conversationId")?;
                let last = turns.iter().filter_map(|turn| string(turn, "Timestamp"));
                Some(Header {
                    number,
                    hash: kusto_hash::hash(id.as_bytes()),
                    last: last.max_by_key(|at| timestamp::parse(at.as_bytes()))?,
                    turns: turns.len() as i64,
                    id,
                })
            })
            .collect();
        Self { settings, headers }
    }

    /// The conversations that a query finds.
    pub fn find<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = &'a Header> {
        let mut ranker = Ranker::new(&asked.seed);
        self.headers.iter().filter(move |header| {
            kusto_hash::modulo(header.hash, asked.chunks) == asked.chunk
                && !asked.ignored.contains(&header.id)
                && asked.is_in_window(&header.last)
                && asked.selects(header, ranker.rank(header.id.as_bytes()).0)
        })
    }

    /// A conversation's row in a payload. Keys and turns come in another order than gleaner's:
    /// Kusto keeps none.
    pub fn payload(&self, header: &Header, trajectory: bool) -> String {
        let mut turns = turns(self.settings, header.number).unwrap_or_default();
        let name = turns.iter().find_map(|turn| {
            let raw = turn.get("userName")?;
            let body = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
            (!text::is_blank(body)).then(|| String::from_utf8_lossy(raw).into_owned())
        });
        let sum = |field: &str| {
            let mut sum = None;
            for turn in &turns {
                let number = turn
                    .get(field)
                    .and_then(|raw| std::str::from_utf8(raw).ok());
                if let Some(number) = number.and_then(|raw| raw.parse::<i64>().ok()) {
                    sum = Some(sum.unwrap_or(0) + number);
                }
            }
            sum.map_or("null".to_owned(), |sum| sum.to_string())
        };
        let sums = ["promptTokens", "completionTokens", "llmCallCount"].map(sum);
        let bucket = match header.turns {
            3..=5 => "short",
            6..=10 => "medium",
            11..=20 => "long",
            _ => "",
        };
        let middle = turns.len() / 2;
        turns.rotate_left(middle);
        let array: Vec<String> = turns.iter().map(|turn| bag(turn, trajectory)).collect();
        let mut id = Vec::new();
        text::write_string(&header.id, &mut id);
        format!(
            "[{},{},{},\"{bucket}\",[{}],{},\"{}\"]",
            String::from_utf8_lossy(&id),
            name.unwrap_or_else(|| "\"\"".to_owned()),
            header.turns,
            array.join(","),
            sums.join(","),
            header.last,
        )
    }
}

/// A property bag of a turn.
fn bag(turn: &Turn, trajectory: bool) -> String {
    let wanted = [
        "trajectory",
        "userMessage",
        "promptTokens",
        "modelMessage",
        "turnIndex",
        "llmCallCount",
        "completionTokens",
    ];
    let members: Vec<String> = wanted
        .into_iter()
        .filter(|name| trajectory || *name != "trajectory")
        .map(|name| {
            let raw = turn.get(name).map_or(&b"null"[..], Vec::as_slice);
            format!("\"{name}\":{}", String::from_utf8_lossy(raw))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The turns of a conversation, if it is complete: of each the latest row, mode agent only.
fn turns(settings: Synthetic, number: u64) -> Option<Vec<Turn>> {
    let mut latest = BTreeMap::<i64, Turn>::new();
    for row in conversation_rows(settings, number) {
        let Some(turn) = members(&row) else {
            continue;
        };
        if string(&turn, "mode").as_deref() != Some("agent") {
            continue;
        }
        let index = std::str::from_utf8(turn.get("turnIndex")?).ok()?;
        let at =
            |turn: &Turn| string(turn, "Timestamp").and_then(|t| timestamp::parse(t.as_bytes()));
        let slot = latest
            .entry(index.parse().ok()?)
            .or_insert_with(|| turn.clone());
        if at(&turn) > at(slot) {
            *slot = turn;
        }
    }
    let complete = latest.keys().copied().eq(1..=latest.len() as i64);
    (complete && !latest.is_empty()).then(|| latest.into_values().collect())
}

fn members(row: &[u8]) -> Option<Turn> {
    let mut scanner = Scanner::new(row);
    scanner.open_object().ok()?;
    let mut members = Turn::new();
    let mut first = true;
    while let Some(key) = scanner.next_key(first).ok()? {
        first = false;
        let value: Value<'_> = scanner.value().ok()?;
        let name = String::from_utf8_lossy(key.string_body()?).into_owned();
        members.insert(name, value.text.to_vec());
    }
    scanner.end().ok()?;
    Some(members)
}

fn string(turn: &Turn, field: &str) -> Option<String> {
    serde_json::from_slice(turn.get(field)?).ok()
}
