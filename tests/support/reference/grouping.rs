//! Grouping: rows become turns, turns conversations.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::json::{Object, as_text, is_null, text, written};
use super::records::{assembled, turn_text};
use super::rows::{Row, read, readable_id, rows_of};
use super::{Asked, Outcome, hash};

/// What decides between two rows of one turn: the smaller of these is the last word.
pub type Order = (i64, bool, i64, [u8; 32], [u8; 32], bool);

pub fn order(row: &ReceivedRow, turn: i64) -> Order {
    let (at, row, agent) = (row.at, &row.object, row.agent);
    let message = |name| as_text(row.get(name)).unwrap_or_default();
    let reply = message("modelMessage");
    let messages = format!("{}\u{1f}{reply}", message("userMessage"));
    let user = match row.get("userName") {
        Some(name) if name.get().starts_with('"') => text(name),
        Some(name) if !is_null(name) => name.get().to_owned(),
        _ => String::new(),
    };
    let all = format!("{}\u{1f}{user}", turn_text(row, turn, true));
    // Rows that are equal up to here may still be written differently, or have another mode.
    let user = row
        .get("userName")
        .map_or("null".to_owned(), |v| written(v, false));
    let as_written = format!("{}\u{1f}{user}", turn_text(row, turn, false));
    (
        -at,
        reply.chars().all(char::is_whitespace),
        hash(messages.as_bytes()),
        Sha256::digest(all).into(),
        Sha256::digest(as_written).into(),
        !agent,
    )
}

/// How many turns of a conversation row have a reply that is not blank.
pub fn replies(line: &str) -> usize {
    let object: Object = serde_json::from_str(line).expect("checked");
    let turns: Vec<Object> =
        serde_json::from_str(object.get("turnsArray").expect("checked").get()).expect("checked");
    let reply = |turn: &&Object| {
        let reply = as_text(turn.get("modelMessage")).unwrap_or_default();
        !reply.chars().all(char::is_whitespace)
    };
    turns.iter().filter(reply).count()
}

/// A delivery of a turn.
pub struct ReceivedRow {
    at: i64,
    agent: bool,
    object: Object,
    /// File and line.
    place: (String, usize),
}

/// All rows of the input that can be read, by conversation.
#[derive(Default)]
pub struct Input {
    /// The ids that are left out, and those of them that a row has.
    exclude: BTreeSet<String>,
    excluded: BTreeSet<String>,
    events: BTreeMap<String, Turns>,
    /// Numbers of turns, and lines.
    whole: BTreeMap<String, Vec<(usize, String)>>,
    damaged: BTreeSet<String>,
}

/// The rows of each turn of a conversation.
type Turns = BTreeMap<i64, Vec<ReceivedRow>>;

/// Records with their numbers of turns, by id.
pub type Records = BTreeMap<String, (usize, String)>;

/// Reads all rows, and counts those that their own content leaves out.
pub fn receive(files: &[(String, Vec<u8>)], asked: &Asked, out: &mut Outcome) -> Input {
    let mut input = Input {
        exclude: asked.exclude.clone(),
        ..Input::default()
    };
    for (_, bytes) in files {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let rows = rows_of(bytes).into_iter();
        let ids = rows.filter_map(|row| id_of_named_user(&row, asked));
        input.exclude.extend(ids);
    }
    for (name, bytes) in files {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (number, line) in (1..).zip(rows_of(bytes)) {
            if !line.trim_ascii().is_empty() {
                out.count("rows_read", 1);
                input.add(&line, (name.clone(), number), asked, out);
            }
        }
    }
    input
}

/// The id of a row with a user that is to be left out: its own, or that of a turn in it.
fn id_of_named_user(row: &[u8], asked: &Asked) -> Option<String> {
    let names = |object: &Object| {
        let name = as_text(object.get("userName"));
        name.is_some_and(|name| asked.exclude_users.contains(&name))
    };
    match read(row, asked)? {
        Row::Event { id, object, .. } => names(&object).then_some(id),
        Row::Conversation { id, line, .. } => {
            let object: Object = serde_json::from_str(&line).ok()?;
            let turns: Vec<Object> = serde_json::from_str(object.get("turnsArray")?.get()).ok()?;
            (names(&object) || turns.iter().any(names)).then_some(id)
        }
    }
}

impl Input {
    /// Whether a row of this id is left out; notes that there is one.
    fn leaves_out(&mut self, id: &str) -> bool {
        let leaves_out = self.exclude.contains(id);
        if leaves_out {
            self.excluded.insert(id.to_owned());
        }
        leaves_out
    }

    fn add(&mut self, line: &[u8], place: (String, usize), asked: &Asked, out: &mut Outcome) {
        let (start, end) = asked.window;
        match read(line, asked) {
            None => {
                out.malformed.insert(place);
                let id = readable_id(line, asked).filter(|id| !asked.ignore.contains(id));
                if let Some(id) = id.filter(|id| !self.leaves_out(id)) {
                    self.damaged.insert(id);
                }
            }
            Some(Row::Event { at, .. }) if at < start || at >= end.saturating_add(asked.slack) => {
                out.filter("window", 1);
            }
            Some(Row::Event { id, .. } | Row::Conversation { id, .. })
                if asked.ignore.contains(&id) =>
            {
                out.filter("ignored_ids", 1);
            }
            Some(Row::Event { id, .. } | Row::Conversation { id, .. }) if self.leaves_out(&id) => {
                out.filter("excluded", 1);
            }
            Some(Row::Event {
                id,
                turn,
                at,
                agent,
                object,
            }) => {
                let rows = self.events.entry(id).or_default().entry(turn).or_default();
                rows.push(ReceivedRow {
                    at,
                    agent,
                    object,
                    place,
                });
            }
            Some(Row::Conversation { id, turns, line }) => {
                self.whole.entry(id).or_default().push((turns, line));
            }
        }
    }
}

/// Makes records of the conversations that are whole, and counts the others.
pub fn group(input: Input, asked: &Asked, out: &mut Outcome) -> Records {
    let Input {
        events,
        whole,
        damaged,
        excluded,
        ..
    } = input;
    out.count("excluded", excluded.len() as u64);
    out.count("conversations", excluded.len() as u64);
    // All that is left of these are rows that cannot be read.
    let known = |id: &&String| !events.contains_key(*id) && !whole.contains_key(*id);
    let lost = damaged.iter().filter(known).count() as u64;
    out.count("damaged", lost);
    out.count("conversations", lost);
    let mut records = Records::new();
    for (id, mut rows) in whole {
        rows.sort_by_key(|(turns, line)| {
            let digest = <[u8; 32]>::from(Sha256::digest(line));
            (usize::MAX - turns, usize::MAX - replies(line), digest)
        });
        out.count("duplicate_conversations", rows.len() as u64 - 1);
        out.count("kept_rows", 1);
        if damaged.contains(&id) {
            out.count("damaged", 1);
            out.count("conversations", 1);
        } else {
            records.insert(id, rows.swap_remove(0));
        }
    }
    for (id, mut turns) in events {
        if asked.keep_cut {
            leave_out_cut(&mut turns, asked, out);
        }
        for (turn, rows) in &mut turns {
            rows.sort_by_key(|row| order(row, *turn));
        }
        let is_damaged = damaged.contains(&id);
        if let Some(record) = record_of(&id, &turns, is_damaged, asked, out) {
            records.insert(id, record);
        }
    }
    records
}

/// Leaves rows outside of the mode and the window out, before the winner of a turn is chosen.
fn leave_out_cut(turns: &mut Turns, asked: &Asked, out: &mut Outcome) {
    let in_window = |row: &ReceivedRow| row.at < asked.window.1;
    for rows in turns.values_mut() {
        let modes = rows.iter().filter(|row| !row.agent).count() as u64;
        let late = |row: &&ReceivedRow| row.agent && !in_window(row);
        let windows = rows.iter().filter(late).count() as u64;
        out.filter("mode", modes);
        out.filter("window", windows);
        rows.retain(|row| row.agent && in_window(row));
    }
    turns.retain(|_, rows| !rows.is_empty());
}

/// The record of a conversation of which the first row of each turn is its winner, if it is whole.
fn record_of(
    id: &str,
    turns: &Turns,
    is_damaged: bool,
    asked: &Asked,
    out: &mut Outcome,
) -> Option<(usize, String)> {
    let in_window = |row: &ReceivedRow| row.at < asked.window.1;
    let winners: Vec<(i64, &ReceivedRow)> = turns.iter().map(|(n, rows)| (*n, &rows[0])).collect();
    if !winners.iter().any(|(_, row)| row.agent && in_window(row)) {
        // Not a conversation.
        for rows in turns.values() {
            let reason = if rows[0].agent { "window" } else { "mode" };
            out.filter(reason, rows.len() as u64);
        }
        return None;
    }
    let all: u64 = turns.values().map(|rows| rows.len() as u64).sum();
    out.count("duplicate_turns", all - winners.len() as u64);
    let fault = if is_damaged {
        Some("damaged")
    } else if winners.iter().any(|(_, row)| !row.agent) {
        Some("cut_by_mode")
    } else if winners.iter().any(|(_, row)| !in_window(row)) {
        Some("cut_by_window")
    } else if !(1..).zip(&winners).all(|(i, (turn, _))| i == *turn) {
        Some("incomplete")
    } else {
        None
    };
    let chosen = winners
        .iter()
        .map(|(turn, row)| (*turn, row.object.clone()));
    let chosen: BTreeMap<i64, Object> = chosen.collect();
    let record = assembled(id, &chosen, asked.sort_keys);
    if fault.is_none() && record.len() > asked.max_record {
        let places = winners.iter().map(|(_, row)| row.place.clone());
        out.malformed.extend(places);
        out.count("damaged", 1);
        out.count("conversations", 1);
        return None;
    }
    out.count("kept_rows", chosen.len() as u64);
    if let Some(fault) = fault {
        out.count(fault, 1);
        out.count("conversations", 1);
        return None;
    }
    Some((chosen.len(), record))
}
