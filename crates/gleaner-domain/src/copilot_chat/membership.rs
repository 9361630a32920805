//! Which requests are the turns of a conversation, from the headers of its rows alone.
//!
//! A request is a turn of the conversation unless one that starts later has its position or a
//! smaller one: one rule for "try again", "edit and resend", going back, and a second branch that
//! is shorter. A request starts with the first of its rows: the text of the user is sent at the end
//! of a round. Nothing depends on the order of the rows.

use std::cmp::Reverse;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::header::{Mode, TelemetryHeader};
use crate::dataset::accounting::FilterReason;
use crate::record::timestamp::Ticks;
use crate::selection::group::GroupMark;

/// What decides which rows exist and which turns are inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRules {
    /// Rows that exist: from the window's start to where a run looks behind its end (`window.slack`).
    pub exists: Range<Ticks>,
    /// A turn is inside if it starts here.
    pub window: Range<Ticks>,
    /// Whether a turn none of whose rows names a mode is one of an agent (`source.mode_unknown`).
    pub unknown_is_agent: bool,
    /// Whether requests outside are left out before the turns are chosen, so that no conversation is
    /// cut (`selection.cut = "keep"`).
    pub keep_cut: bool,
}

impl MembershipRules {
    /// No window: every row exists, every turn of an agent is inside.
    pub const ALL: Self = Self {
        exists: Ticks::MIN..Ticks::MAX,
        window: Ticks::MIN..Ticks::MAX,
        unknown_is_agent: false,
        keep_cut: false,
    };
}

/// What the rows of one id are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A conversation with the turns 1 to this.
    Complete {
        /// How many turns.
        turns: u32,
    },
    /// A conversation that is left out.
    Faulty(MembershipFault),
    /// No turn is inside: not a conversation.
    Filtered(FilterReason),
}

/// Why a conversation is left out. The first that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MembershipFault {
    /// Rows of one request give it several positions: the conversation is damaged.
    TurnConflict,
    /// Some turns are of another mode.
    CutByMode,
    /// Some turns start outside the window.
    CutByWindow,
    /// The turns are not 1, 2, 3 and so on; this is the first.
    Incomplete {
        /// The position of the first turn.
        first: u32,
    },
}

/// The rows of one id, decided. Every row is counted once: `duplicate_rows`, `rows_outside`,
/// `kept_rows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// What they are.
    pub outcome: Outcome,
    /// The rows that the record is made of, by their place among the headers, ascending: rows of the
    /// turns, and those that do not say whose they are. Empty unless complete.
    pub rows: Vec<u32>,
    /// Rows that are equal to another.
    pub duplicate_rows: u64,
    /// Rows that do not exist for the run (filtered: window).
    pub rows_outside: u64,
    /// All others. If the outcome is `Filtered`, that is why.
    pub kept_rows: u64,
    /// Requests that an edit or a retry replaced.
    pub superseded_turns: u64,
    /// The turns in their order, as [`TelemetryHeader::request`] names them. Empty unless complete.
    pub turns: Vec<i64>,
    /// For each of `rows`, which turn it is of, from 0 on; `None`: it does not say.
    pub turn_of_rows: Vec<Option<u32>>,
}

impl Membership {
    /// The group of a conversation as its record has it: that of the first turn that says one, in which the first row in
    /// the order of time, event and content.
    pub fn group(&self, headers: &[TelemetryHeader]) -> GroupMark {
        let rows = self.rows.iter().zip(&self.turn_of_rows);
        let rows = rows.filter_map(|(&row, turn)| Some((*turn.as_ref()?, &headers[row as usize])));
        let said = rows.filter(|(_, header)| header.group != GroupMark::ABSENT);
        let first = said.min_by_key(|(turn, row)| (*turn, row.at, row.event, row.content));
        first.map_or(GroupMark::ABSENT, |(_, header)| header.group)
    }
}

/// A request, from all its rows.
#[derive(Debug, Clone, Copy)]
struct Request {
    id: i64,
    start: Ticks,
    position: u32,
    conflict: bool,
    mode: Mode,
}

/// Decides what the rows of one id are.
///
/// # Panics
/// With 2^32 headers and more.
#[must_use]
pub fn decide(headers: &[TelemetryHeader], rules: &MembershipRules) -> Membership {
    let (rows, duplicate_rows) = distinct(headers);
    let all = rows.len();
    let rows: Vec<u32> = rows
        .into_iter()
        .filter(|&row| rules.exists.contains(&headers[row as usize].at))
        .collect();
    let requests_of = requests_of_rows(headers, &rows);
    let requests = requests(headers, &rows, &requests_of);
    let (outcome, turns, superseded_turns) = choose(requests, rules);
    let mut membership = Membership {
        outcome,
        rows: Vec::new(),
        duplicate_rows,
        rows_outside: (all - rows.len()) as u64,
        kept_rows: rows.len() as u64,
        superseded_turns,
        turns: Vec::new(),
        turn_of_rows: Vec::new(),
    };
    if let Outcome::Complete { .. } = outcome {
        let places = (0..).zip(&turns);
        let mut places: Vec<(i64, Option<u32>)> =
            places.map(|(place, turn)| (turn.id, Some(place))).collect();
        places.push((0, None));
        places.sort_unstable();
        for (&row, request) in rows.iter().zip(&requests_of) {
            if let Ok(at) = places.binary_search_by_key(request, |&(id, _)| id) {
                membership.rows.push(row);
                membership.turn_of_rows.push(places[at].1);
            }
        }
        membership.turns = turns.iter().map(|turn| turn.id).collect();
    }
    membership
}

/// The first of every set of equal rows, ascending, and how many others there are.
fn distinct(headers: &[TelemetryHeader]) -> (Vec<u32>, u64) {
    let count = u32::try_from(headers.len()).expect("fewer than 2^32 rows");
    let mut rows: Vec<u32> = (0..count).collect();
    rows.sort_unstable_by_key(|&row| (headers[row as usize].content, row));
    rows.dedup_by_key(|row| headers[*row as usize].content);
    rows.sort_unstable();
    let duplicates = headers.len() - rows.len();
    (rows, duplicates as u64)
}

/// The request of every row, 0 if unknown: the one it names, or the one that another row of its
/// model call names.
fn requests_of_rows(headers: &[TelemetryHeader], rows: &[u32]) -> Vec<i64> {
    let row = |&row: &u32| &headers[row as usize];
    let mut calls: Vec<(i64, i64)> = rows
        .iter()
        .map(row)
        .filter(|header| header.call != 0 && header.request != 0)
        .map(|header| (header.call, header.request))
        .collect();
    calls.sort_unstable();
    calls.dedup_by_key(|(call, _)| *call);
    let of_call = |call: i64| {
        let found = calls.binary_search_by_key(&call, |&(call, _)| call);
        found.map_or(0, |at| calls[at].1)
    };
    rows.iter()
        .map(row)
        .map(|header| match header.request {
            0 if header.call != 0 => of_call(header.call),
            request => request,
        })
        .collect()
}

/// All requests, by id.
fn requests(headers: &[TelemetryHeader], rows: &[u32], requests_of: &[i64]) -> Vec<Request> {
    let mut parts: Vec<(i64, u32)> = requests_of
        .iter()
        .copied()
        .zip(rows.iter().copied())
        .filter(|&(request, _)| request != 0)
        .collect();
    parts.sort_unstable();
    parts
        .chunk_by(|a, b| a.0 == b.0)
        .map(|parts| {
            let mut request = Request {
                id: parts[0].0,
                start: Ticks::MAX,
                position: 0,
                conflict: false,
                mode: Mode::Unknown,
            };
            for &(_, row) in parts {
                request.add(&headers[row as usize]);
            }
            request
        })
        .collect()
}

impl Request {
    fn add(&mut self, row: &TelemetryHeader) {
        self.start = self.start.min(row.at);
        if row.position != 0 {
            self.conflict |= self.position != 0 && self.position != row.position;
            self.position = row.position;
        }
        self.mode = match (self.mode, row.mode) {
            (Mode::Other, _) | (_, Mode::Other) => Mode::Other,
            (Mode::Agent, _) | (_, Mode::Agent) => Mode::Agent,
            (Mode::Unknown, Mode::Unknown) => Mode::Unknown,
        };
    }

    fn is_of_agent(&self, rules: &MembershipRules) -> bool {
        match self.mode {
            Mode::Agent => true,
            Mode::Other => false,
            Mode::Unknown => rules.unknown_is_agent,
        }
    }
}

/// What the requests are, the turns among them in order, and how many others were replaced.
fn choose(requests: Vec<Request>, rules: &MembershipRules) -> (Outcome, Vec<Request>, u64) {
    if requests.iter().any(|request| request.conflict) {
        let outcome = Outcome::Faulty(MembershipFault::TurnConflict);
        return (outcome, Vec::new(), 0);
    }
    let in_mode = |request: &Request| request.is_of_agent(rules);
    let in_window = |request: &Request| rules.window.contains(&request.start);
    let is_inside = |request: &Request| in_mode(request) && in_window(request);
    let mut placed: Vec<Request> = requests
        .into_iter()
        .filter(|request| request.position != 0)
        .filter(|request| !rules.keep_cut || is_inside(request))
        .collect();
    // Of those that start together the one with the larger id is replaced.
    placed.sort_unstable_by_key(|request| (request.start, Reverse(request.id)));
    let count = placed.len();
    let turns = staying(placed);
    let superseded = (count - turns.len()) as u64;
    let outcome = if !turns.iter().any(is_inside) {
        Outcome::Filtered(match turns.iter().any(in_mode) {
            true => FilterReason::Window,
            false => FilterReason::Mode,
        })
    } else if !turns.iter().all(in_mode) {
        Outcome::Faulty(MembershipFault::CutByMode)
    } else if !turns.iter().all(in_window) {
        Outcome::Faulty(MembershipFault::CutByWindow)
    } else if (1..)
        .zip(&turns)
        .any(|(place, turn)| turn.position != place)
    {
        let first = turns[0].position;
        Outcome::Faulty(MembershipFault::Incomplete { first })
    } else {
        Outcome::Complete {
            turns: turns.len() as u32,
        }
    };
    (outcome, turns, superseded)
}

/// Those of some requests, in the order of their starts, that none of the later ones replaces.
fn staying(placed: Vec<Request>) -> Vec<Request> {
    let mut least = u32::MAX;
    let mut turns = Vec::new();
    for request in placed.into_iter().rev() {
        if request.position < least {
            least = request.position;
            turns.push(request);
        }
    }
    turns.reverse();
    turns
}
