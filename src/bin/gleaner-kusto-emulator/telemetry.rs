//! The synthetic telemetry, grouped as the queries group it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gleaner::domain::json::text;
use gleaner::domain::json::{Scanner, Value};
use gleaner::domain::record::row::RowShape;
use gleaner::domain::record::timestamp;
use gleaner::domain::record::timestamp::Ticks;
use gleaner::domain::selection::kusto_hash;
use gleaner::domain::selection::rank::Ranker;
use gleaner::source::synthetic::conversation_rows;
use gleaner::source::synthetic::settings::Synthetic;

use crate::answer::{Asked, Share};
use crate::plain::Plain;

/// A conversation as the census has it.
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
    /// What its user's name leaves divided by 100; -1 without one.
    pub user: i64,
}

/// A conversation with a row of agent mode, and when its rows were written.
#[derive(Debug)]
struct Known {
    /// Its number in the generator.
    number: u64,
    /// `hash(id)`
    hash: i64,
    first: Ticks,
    last: Ticks,
    /// What a query over all time finds of it, if it is complete and not cut.
    header: Option<Header>,
    /// Whether all of its rows are of agent mode.
    is_agent: bool,
}

/// All conversations with rows of agent mode, by header.
#[derive(Debug)]
pub struct Telemetry {
    settings: Synthetic,
    known: Vec<Known>,
    /// Those that are made as they are asked for.
    plain: Option<Plain>,
}

/// A row's fields as they stand.
pub type Fields = BTreeMap<String, Vec<u8>>;

/// A row, and what decides about it.
#[derive(Debug, Clone)]
pub struct Row {
    /// When it was written.
    pub at: Ticks,
    /// Its `turnIndex`.
    pub turn: i64,
    /// Whether it is of agent mode.
    pub is_agent: bool,
    /// Whether the reply is more than white space.
    pub has_reply: bool,
    /// Its fields.
    pub fields: Fields,
}

impl Telemetry {
    /// Generates the telemetry, and keeps only the headers.
    pub fn new(conversations: u64, seed: u64) -> Self {
        let settings = Synthetic {
            conversations,
            seed,
            schema: RowShape::Turns,
        };
        let known = (0..conversations)
            .filter_map(|number| {
                let rows = rows(settings, number)?;
                let times = || rows.iter().map(|row| row.at);
                let id = string(&rows.first()?.fields, "conversationId")?;
                if !rows.iter().any(|row| row.is_agent) {
                    return None;
                }
                Some(Known {
                    number,
                    hash: kusto_hash::hash(id.as_bytes()),
                    first: times().min()?,
                    last: times().max()?,
                    is_agent: rows.iter().all(|row| row.is_agent),
                    header: whole(rows, |row| row.is_agent)
                        .and_then(|turns| header(number, &turns)),
                })
            })
            .collect();
        let plain = None;
        Self {
            settings,
            known,
            plain,
        }
    }

    /// Conversations that are made as they are asked for.
    pub fn plain(conversations: u64, seed: u64) -> Self {
        let plain = Some(Plain::new(conversations, seed));
        Self {
            plain,
            ..Self::new(0, seed)
        }
    }

    /// The conversations that a query finds.
    pub fn find<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = Cow<'a, Header>> {
        let mut ranker = Ranker::new(&asked.seed);
        let in_chunk = |known: &&Known| kusto_hash::modulo(known.hash, asked.chunks) == asked.chunk;
        let in_window = move |known: &'a Known| {
            let last = asked.arrived.map_or(known.last, |at| at.max(known.last));
            match asked.holds_of(known.first, last) {
                Share::All if asked.arrived.is_none() && (known.is_agent || !asked.keeps_cut) => {
                    known.header.as_ref().map(Cow::Borrowed)
                }
                Share::None => None,
                // It is what these rows make it.
                Share::All | Share::Some => {
                    header(known.number, &self.turns(known.number, asked)?).map(Cow::Owned)
                }
            }
        };
        let plain = self.plain.iter().flat_map(|plain| plain.find(asked));
        let found = self.known.iter().filter(in_chunk).filter_map(in_window);
        let found = found.chain(plain.map(Cow::Owned));
        found.filter(move |header| {
            !asked.ignored.contains(&header.id)
                && asked.finds(header, ranker.rank(header.id.as_bytes()).0)
        })
    }

    /// The turns of a conversation, if a query finds it.
    fn turns(&self, number: u64, asked: &Asked) -> Option<Vec<Row>> {
        let mut rows = match &self.plain {
            Some(plain) => plain.rows(number)?,
            None => rows(self.settings, number)?,
        };
        rows.extend(asked.arrived.and_then(|at| another(&rows, at)));
        chosen(rows, asked)
    }

    /// A conversation's row in a payload. Keys and turns come in another order than gleaner's:
    /// Kusto keeps none.
    pub fn payload(&self, header: &Header, asked: &Asked, trajectory: bool) -> String {
        let turns = self.turns(header.number, asked).unwrap_or_default();
        let mut turns: Vec<_> = turns.into_iter().map(|row| row.fields).collect();
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

/// The rows of a conversation; nothing if one cannot be read: a cluster would have it without what
/// is missing, as a turn without a number, which no complete conversation has.
fn rows(settings: Synthetic, number: u64) -> Option<Vec<Row>> {
    let rows = conversation_rows(settings, number).into_iter();
    rows.map(|row| {
        let fields = members(&row)?;
        let reply = fields.get("modelMessage")?;
        let reply = reply.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(Row {
            at: timestamp::parse(string(&fields, "Timestamp")?.as_bytes())?,
            turn: std::str::from_utf8(fields.get("turnIndex")?)
                .ok()?
                .parse()
                .ok()?,
            is_agent: string(&fields, "mode").as_deref() == Some("agent"),
            has_reply: !text::is_blank(reply),
            fields,
        })
    })
    .collect()
}

/// One more turn, written at this time.
fn another(rows: &[Row], at: Ticks) -> Option<Row> {
    let mut row = rows.iter().max_by_key(|row| row.turn)?.clone();
    (row.turn, row.at) = (row.turn + 1, at);
    let turn = row.turn.to_string().into_bytes();
    row.fields.insert("turnIndex".to_owned(), turn);
    Some(row)
}

/// The turns that a query chooses of these rows, if the conversation is complete and not cut.
fn chosen(mut rows: Vec<Row>, asked: &Asked) -> Option<Vec<Row>> {
    let is_inside = |row: &Row| row.is_agent && asked.is_in_window(row.at);
    rows.retain(|row| asked.sees(row.at) && (!asked.keeps_cut || is_inside(row)));
    whole(rows, is_inside)
}

/// Of each turn the row that wins, in order; nothing if one of them is outside or a turn is missing.
fn whole(rows: Vec<Row>, is_inside: impl Fn(&Row) -> bool) -> Option<Vec<Row>> {
    let precedence = |row: &Row| (row.at, row.has_reply, row.is_agent);
    let mut winners = BTreeMap::<i64, Row>::new();
    for row in rows {
        let slot = winners.entry(row.turn).or_insert_with(|| row.clone());
        if precedence(&row) > precedence(slot) {
            *slot = row;
        }
    }
    let is_complete = winners.keys().copied().eq(1..=winners.len() as i64);
    let is_cut = !winners.values().all(is_inside);
    (is_complete && !is_cut && !winners.is_empty()).then(|| winners.into_values().collect())
}

fn header(number: u64, turns: &[Row]) -> Option<Header> {
    let id = string(&turns.first()?.fields, "conversationId")?;
    let last = &turns.iter().max_by_key(|row| row.at)?.fields;
    Some(Header {
        number,
        hash: kusto_hash::hash(id.as_bytes()),
        last: string(last, "Timestamp")?,
        user: turns.iter().find_map(user).unwrap_or(-1),
        turns: turns.len() as i64,
        id,
    })
}

/// What the name of a turn's user leaves divided by 100, if it is not blank.
fn user(turn: &Row) -> Option<i64> {
    let name = string(&turn.fields, "userName")?;
    let hash = kusto_hash::hash(name.as_bytes());
    (!name.trim().is_empty()).then(|| hash.rem_euclid(100))
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

#[cfg(test)]
mod tests {
    use super::*;

    const CENSUS: &str = include_str!("../../../queries/turns/sft_census_hash_chunked.kql");

    /// What is asked of a window of 100 ticks, with 10 more to look at.
    fn asked(keeps_cut: bool) -> Asked {
        let mut asked = Asked::parse(CENSUS).expect("shipped");
        (asked.start, asked.end, asked.look_end) = (Some(100), Some(200), Some(210));
        asked.keeps_cut = keeps_cut;
        asked
    }

    fn row(turn: i64, at: Ticks, is_agent: bool, has_reply: bool) -> Row {
        Row {
            at,
            turn,
            is_agent,
            has_reply,
            fields: Fields::new(),
        }
    }

    /// The times of the turns that are chosen.
    fn times(rows: &[Row], keeps_cut: bool) -> Option<Vec<Ticks>> {
        let turns = chosen(rows.to_vec(), &asked(keeps_cut))?;
        Some(turns.iter().map(|row| row.at).collect())
    }

    #[test]
    fn a_conversation_is_chosen_whole_or_cut() {
        let (first, second) = (row(1, 100, true, true), row(2, 150, true, true));
        for (more, drop, keep) in [
            (None, Some(vec![100, 150]), Some(vec![100, 150])),
            // Behind the window, behind what is looked at, before both.
            (Some(row(3, 200, true, true)), None, Some(vec![100, 150])),
            (Some(row(3, 209, true, true)), None, Some(vec![100, 150])),
            (
                Some(row(3, 210, true, true)),
                Some(vec![100, 150]),
                Some(vec![100, 150]),
            ),
            (
                Some(row(1, 99, true, true)),
                Some(vec![100, 150]),
                Some(vec![100, 150]),
            ),
            // A later row of another mode wins its turn, an earlier one does not.
            (Some(row(2, 160, false, true)), None, Some(vec![100, 150])),
            (
                Some(row(2, 140, false, true)),
                Some(vec![100, 150]),
                Some(vec![100, 150]),
            ),
            (Some(row(3, 160, false, true)), None, Some(vec![100, 150])),
            // The same turn again behind the window.
            (Some(row(2, 205, true, true)), None, Some(vec![100, 150])),
            // A turn is missing.
            (Some(row(4, 160, true, true)), None, None),
        ] {
            let rows: Vec<Row> = [first.clone(), second.clone()]
                .into_iter()
                .chain(more.clone())
                .collect();
            assert_eq!(times(&rows, false), drop, "{more:?}");
            assert_eq!(times(&rows, true), keep, "{more:?}");
        }
        assert_eq!(times(&[row(1, 205, true, true)], false), None);
    }

    #[test]
    fn of_equal_times_a_reply_wins_and_then_agent_mode() {
        for (one, other, found) in [
            (row(1, 150, true, false), row(1, 150, false, true), None),
            (
                row(1, 150, false, false),
                row(1, 150, true, true),
                Some(vec![150]),
            ),
            (
                row(1, 150, false, true),
                row(1, 150, true, true),
                Some(vec![150]),
            ),
        ] {
            for rows in [[one.clone(), other.clone()], [other, one]] {
                assert_eq!(times(&rows, false), found, "{rows:?}");
            }
        }
    }
}
