//! Copilot Chat telemetry: TELEMETRY-MAPPING and docs/telemetry.md, read by hand.

mod calls;
mod json;
mod record;
mod row;
mod split;
mod texts;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use super::grouping::Records;
use super::rows::rows_of;
use super::{Asked, Outcome, hash, sampling};
use json::Units;
use row::{Read, Row, read, readable_id};

/// Evaluates files of rows of telemetry, without a window.
pub fn evaluate(files: &[(String, Vec<u8>)], asked: &Asked, unknown_is_agent: bool) -> Outcome {
    let mut out = Outcome::default();
    let mut rows: BTreeMap<(bool, String), Vec<Row>> = BTreeMap::new();
    let mut damaged: BTreeSet<String> = BTreeSet::new();
    for (name, bytes) in files {
        for (number, line) in (1..).zip(rows_of(bytes)) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            out.count("rows_read", 1);
            match read(&line, asked) {
                Err(()) => {
                    out.malformed.insert((name.clone(), number));
                    damaged.extend(readable_id(&line).filter(|id| !asked.ignore.contains(id)));
                }
                Ok(Read::OtherEvent) => out.filter("other_events", 1),
                Ok(Read::NoId) => out.filter("ignored_ids", 1),
                Ok(Read::Row(row)) if !row.is_shared() && asked.ignore.contains(&row.id) => {
                    out.filter("ignored_ids", 1);
                }
                Ok(Read::Row(row)) => {
                    let of = (row.is_shared(), row.id.clone());
                    rows.entry(of).or_default().push(*row);
                }
            }
        }
    }
    for rows in rows.values_mut() {
        let all = rows.len();
        rows.sort_by(|a, b| a.content.cmp(&b.content));
        rows.dedup_by(|a, b| a.content == b.content);
        out.count("duplicate_rows", (all - rows.len()) as u64);
    }
    let (shared, own): (BTreeMap<_, _>, BTreeMap<_, _>) =
        rows.into_iter().partition(|(of, _)| of.0);
    let shared: BTreeMap<String, Vec<Row>> =
        shared.into_iter().map(|(of, rows)| (of.1, rows)).collect();
    out.count(
        "shared_rows",
        shared.values().map(|rows| rows.len() as u64).sum(),
    );
    let mut records = Records::new();
    let lost = damaged
        .iter()
        .filter(|id| !own.contains_key(&(false, (*id).clone())))
        .count() as u64;
    out.count("damaged", lost);
    out.count("conversations", lost);
    for ((_, id), rows) in own {
        let is_damaged = damaged.contains(&id);
        if let Some(turns) = turns(&rows, is_damaged, unknown_is_agent, &mut out) {
            let record = record::write(&id, &turns, &rows, &shared, asked);
            records.insert(id, (turns.len(), record));
        }
    }
    let malformed = out.malformed.len() as u64;
    out.count("malformed", malformed);
    sampling::sample(records, asked, &mut out);
    out
}

/// What the rows of a request say together.
struct Request {
    id: Units,
    start: i64,
    positions: BTreeSet<i64>,
    modes: BTreeSet<bool>,
}

/// The request of every row, by its own ids or by its model call.
fn requests_of(rows: &[Row]) -> Vec<Option<Units>> {
    let mut of_calls: BTreeMap<&Units, BTreeMap<i64, Units>> = BTreeMap::new();
    for row in rows {
        if let (Some(call), Some(request)) = (row.call(), row.request()) {
            of_calls
                .entry(call)
                .or_default()
                .insert(id_hash(&request), request);
        }
    }
    let of_call = |row: &Row| Some(of_calls.get(row.call()?)?.first_key_value()?.1.clone());
    rows.iter()
        .map(|row| row.request().or_else(|| of_call(row)))
        .collect()
}

fn id_hash(id: &Units) -> i64 {
    hash(String::from_utf16_lossy(id).as_bytes())
}

/// The ids of the requests that are the turns of a conversation, if it is whole.
fn turns(
    rows: &[Row],
    is_damaged: bool,
    unknown_is_agent: bool,
    out: &mut Outcome,
) -> Option<Vec<Units>> {
    let mut requests: BTreeMap<Units, Request> = BTreeMap::new();
    for (row, request) in rows.iter().zip(requests_of(rows)) {
        let Some(id) = request else { continue };
        let request = requests.entry(id.clone()).or_insert_with(|| Request {
            id,
            start: i64::MAX,
            positions: BTreeSet::new(),
            modes: BTreeSet::new(),
        });
        request.start = request.start.min(row.at);
        request
            .positions
            .extend(Some(row.position).filter(|position| *position > 0));
        request.modes.extend(row.is_agent());
    }
    let has_conflict = requests.values().any(|request| request.positions.len() > 1);
    let mut placed: Vec<&Request> = requests
        .values()
        .filter(|request| !request.positions.is_empty())
        .collect();
    // The earlier first; of those that start together the larger id.
    placed.sort_by_key(|request| (request.start, std::cmp::Reverse(id_hash(&request.id))));
    let position = |request: &Request| *request.positions.first().expect("placed");
    let stays = |place: usize| {
        let later = &placed[place + 1..];
        later
            .iter()
            .all(|later| position(later) > position(placed[place]))
    };
    let turns: Vec<&Request> = (0..placed.len())
        .filter(|place| stays(*place))
        .map(|place| placed[place])
        .collect();
    let is_agent = |turn: &&Request| match turn.modes.first() {
        None => unknown_is_agent,
        Some(least) => *least,
    };
    if !has_conflict && !turns.iter().any(is_agent) {
        out.filter("mode", rows.len() as u64);
        return None;
    }
    out.count("kept_rows", rows.len() as u64);
    if !has_conflict {
        out.count("superseded_turns", (placed.len() - turns.len()) as u64);
    }
    let fault = if is_damaged || has_conflict {
        "damaged"
    } else if !turns.iter().all(is_agent) {
        "cut_by_mode"
    } else if !(1..)
        .zip(&turns)
        .all(|(place, turn)| position(turn) == place)
    {
        "incomplete"
    } else {
        return Some(turns.iter().map(|turn| turn.id.clone()).collect());
    };
    out.count(fault, 1);
    out.count("conversations", 1);
    None
}
