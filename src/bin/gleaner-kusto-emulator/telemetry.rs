//! The made-up telemetry, grouped as the queries group it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gleaner::config::settings::{RowShape, Synthetic};
use gleaner::domain::json::{Scanner, Value};
use gleaner::domain::kusto_hash;
use gleaner::domain::rank::Ranker;
use gleaner::domain::text;
use gleaner::domain::timestamp::{self, Ticks};
use gleaner::source::synthetic::conversation_rows;

use crate::answer::{Asked, Share};

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

/// A conversation, and when its rows were written.
#[derive(Debug)]
struct Known {
    /// Its number in the generator.
    number: u64,
    /// `hash(id)`
    hash: i64,
    first: Ticks,
    last: Ticks,
    /// What a query over all time finds of it, if it is complete.
    header: Option<Header>,
}

/// All conversations of agent mode, by header.
#[derive(Debug)]
pub struct Telemetry {
    settings: Synthetic,
    known: Vec<Known>,
}

/// A row's fields as they stand.
type Fields = BTreeMap<String, Vec<u8>>;

/// A row, and its time.
type Turn = (Ticks, Fields);

impl Telemetry {
    /// Makes the telemetry up, and forgets all but the headers.
    pub fn new(conversations: u64, seed: u64) -> Self {
        let settings = Synthetic {
            conversations,
            seed,
            shape: RowShape::Events,
        };
        let known = (0..conversations)
            .filter_map(|number| {
                let rows = agent_rows(settings, number);
                let times = || rows.iter().map(|(at, _)| *at);
                let id = string(&rows.first()?.1, "conversationId")?;
                Some(Known {
                    number,
                    hash: kusto_hash::hash(id.as_bytes()),
                    first: times().min()?,
                    last: times().max()?,
                    header: complete(rows.clone()).and_then(|turns| header(number, &turns)),
                })
            })
            .collect();
        Self { settings, known }
    }

    /// The conversations that a query finds.
    pub fn find<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = Cow<'a, Header>> {
        let mut ranker = Ranker::new(&asked.seed);
        let in_chunk = |known: &&Known| kusto_hash::modulo(known.hash, asked.chunks) == asked.chunk;
        let in_window = move |known: &'a Known| {
            match asked.holds_of(known.first, known.last) {
                Share::All => known.header.as_ref().map(Cow::Borrowed),
                Share::None => None,
                // It is what these rows make it.
                Share::Some => {
                    header(known.number, &self.turns(known.number, asked)?).map(Cow::Owned)
                }
            }
        };
        let found = self.known.iter().filter(in_chunk).filter_map(in_window);
        found.filter(move |header| {
            !asked.ignored.contains(&header.id)
                && asked.selects(header, ranker.rank(header.id.as_bytes()).0)
        })
    }

    /// The turns of a conversation in the window, if they are complete.
    fn turns(&self, number: u64, asked: &Asked) -> Option<Vec<Turn>> {
        let mut rows = agent_rows(self.settings, number);
        rows.retain(|(at, _)| asked.is_in_window(*at));
        complete(rows)
    }

    /// A conversation's row in a payload. Keys and turns come in another order than gleaner's:
    /// Kusto keeps none.
    pub fn payload(&self, header: &Header, asked: &Asked, trajectory: bool) -> String {
        let turns = self.turns(header.number, asked).unwrap_or_default();
        let mut turns: Vec<_> = turns.into_iter().map(|(_, turn)| turn).collect();
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
fn bag(turn: &Fields, trajectory: bool) -> String {
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

/// The rows of a conversation that are of mode agent.
fn agent_rows(settings: Synthetic, number: u64) -> Vec<Turn> {
    let rows = conversation_rows(settings, number).into_iter();
    let agent = rows.filter_map(|row| {
        let fields = members(&row)?;
        let at = timestamp::parse(string(&fields, "Timestamp")?.as_bytes())?;
        (string(&fields, "mode").as_deref() == Some("agent")).then_some((at, fields))
    });
    agent.collect()
}

/// Of each turn the latest row, in order; nothing if a turn is missing.
fn complete(rows: Vec<Turn>) -> Option<Vec<Turn>> {
    let mut latest = BTreeMap::<i64, Turn>::new();
    for row in rows {
        let index = std::str::from_utf8(row.1.get("turnIndex")?).ok()?;
        let slot = latest
            .entry(index.parse().ok()?)
            .or_insert_with(|| row.clone());
        if row.0 > slot.0 {
            *slot = row;
        }
    }
    let complete = latest.keys().copied().eq(1..=latest.len() as i64);
    (complete && !latest.is_empty()).then(|| latest.into_values().collect())
}

fn header(number: u64, turns: &[Turn]) -> Option<Header> {
    let id = string(&turns.first()?.1, "conversationId")?;
    let (_, last) = turns.iter().max_by_key(|(at, _)| *at)?;
    Some(Header {
        number,
        hash: kusto_hash::hash(id.as_bytes()),
        last: string(last, "Timestamp")?,
        turns: turns.len() as i64,
        id,
    })
}

fn members(row: &[u8]) -> Option<Fields> {
    let mut scanner = Scanner::new(row);
    scanner.open_object().ok()?;
    let mut members = Fields::new();
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

fn string(fields: &Fields, field: &str) -> Option<String> {
    serde_json::from_slice(fields.get(field)?).ok()
}
