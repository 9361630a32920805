//! Conversations that are made as they are asked for, so that there may be many millions: each complete, of agent mode,
//! and of a few kilobytes.

use gleaner::domain::record::timestamp::{self, Ticks};
use gleaner::domain::selection::kusto_hash;
use serde_json::json;

use crate::answer::{Asked, Share};
use crate::telemetry::{Fields, Header, Row};

/// Turns go from 1 to this number: there are some in no bucket.
const MOST_TURNS: u64 = 24;

/// Users.
const USERS: u64 = 500;

/// Characters of a message.
const MESSAGE: usize = 120;

/// Their hashes are all that is kept.
#[derive(Debug)]
pub struct Plain {
    seed: u64,
    hashes: Vec<i64>,
}

impl Plain {
    /// So many conversations.
    pub fn new(conversations: u64, seed: u64) -> Self {
        let hash = |number| kusto_hash::hash(id(seed, number).as_bytes());
        Self {
            seed,
            hashes: (0..conversations).map(hash).collect(),
        }
    }

    /// The headers of a chunk that is asked for, in its window.
    pub fn find<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = Header> + 'a {
        let in_chunk =
            |&(_, hash): &(u64, &i64)| kusto_hash::modulo(*hash, asked.chunks) == asked.chunk;
        let found = (0..).zip(&self.hashes).filter(in_chunk);
        let in_window = |header: &Header| match timestamp::parse(header.last.as_bytes()) {
            Some(last) => asked.holds_of(last, last) == Share::All,
            None => false,
        };
        found
            .map(|(number, &hash)| self.header(number, hash))
            .filter(in_window)
    }

    fn header(&self, number: u64, hash: i64) -> Header {
        let user = user(number);
        Header {
            number,
            id: id(self.seed, number),
            hash,
            turns: turns(hash) as i64,
            last: at(),
            user: kusto_hash::hash(user.as_bytes()).rem_euclid(100),
        }
    }

    /// The rows of a conversation.
    pub fn rows(&self, number: u64) -> Option<Vec<Row>> {
        let hash = *self.hashes.get(usize::try_from(number).ok()?)?;
        let at: Ticks = timestamp::parse(at().as_bytes())?;
        let text = |turn: u64, who: &str| {
            let word = format!("{who} {turn} of {hash:x} ");
            word.chars().cycle().take(MESSAGE).collect::<String>()
        };
        let rows = (1..=turns(hash)).map(|turn| {
            let fields = [
                ("Timestamp", json!(self::at())),
                ("conversationId", json!(id(self.seed, number))),
                ("userName", json!(user(number))),
                ("mode", json!("agent")),
                ("turnIndex", json!(turn)),
                ("userMessage", json!(text(turn, "question"))),
                ("modelMessage", json!(text(turn, "answer"))),
                ("promptTokens", json!(100 + turn)),
                ("completionTokens", json!(10 + turn)),
                ("llmCallCount", json!(1)),
                ("trajectory", json!([])),
            ];
            let fields =
                fields.map(|(name, value)| (name.to_owned(), value.to_string().into_bytes()));
            Row {
                at,
                turn: turn as i64,
                is_agent: true,
                has_reply: true,
                fields: Fields::from(fields),
            }
        });
        Some(rows.collect())
    }
}

fn id(seed: u64, number: u64) -> String {
    format!(
        "{seed:04x}-{:016x}-{number:x}",
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

/// Not by what decides chunks and splits.
fn turns(hash: i64) -> u64 {
    (hash as u64 >> 40) % MOST_TURNS + 1
}

fn user(number: u64) -> String {
    format!("user {}", number % USERS)
}

/// When all of them were written.
fn at() -> String {
    "2025-02-01T12:00:00.0000000Z".to_owned()
}
