//! Records from the rows of chosen conversations.
//!
//! [`Assembler::open`] reads the rows of a conversation. [`Draft::wanted`] are the shared rows that
//! they name; with those, [`Draft::record`] writes the record. The order of rows does not matter, nor
//! do rows that are there twice, of requests that were replaced, or of ids that were not asked for.

use std::fmt;

use super::bag::Prop;
use super::calls::{self, Call};
use super::event::EventKind;
use super::fragment::Fragment;
use super::header::TelemetryHeader;
use super::membership::{self, MembershipRules, Outcome};
use super::message::{self, Messages, Role};
use super::quality::{QualityCode, QualityCodes};
use super::row::ReadRules;
use super::shared::Bodies;
use super::split::{Joined, Loss};
use super::texts::{self, Text};
use super::trajectory::{self, Hindsight, ToolStep};
use super::verified::Trust;
use super::writer::{self, CallRecord, Head, TurnRecord};
use super::wtf8;
use crate::json::Kind;
use crate::json::text;
use crate::record::row::MalformedReason;
use crate::selection::stratum::Selection;

/// Writes the records of a run.
#[derive(Debug, Clone, Copy)]
pub struct Assembler<'s> {
    selection: &'s Selection,
    read: &'s ReadRules,
    membership: &'s MembershipRules,
}

/// A conversation whose rows were read.
pub struct Draft<'r> {
    selection: &'r Selection,
    read: &'r ReadRules,
    rows: Vec<(Option<u32>, Fragment<'r>)>,
    turns: usize,
    messages: Messages,
    calls: Vec<Vec<Call>>,
    wanted: Vec<Vec<u8>>,
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("rows", &self.rows.len())
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// How many turns.
    pub turns: u32,
    /// Whether the rules will find nothing in it, not even a warning, in the split that the id hashes
    /// to.
    pub prevalidated: bool,
    /// The codes of the record and of its turns, each with the version of the extension that sent the
    /// turn (the record's: the first turn's), empty if unknown.
    pub quality: Vec<(QualityCode, String)>,
}

/// Why a conversation cannot be opened: its rows are not those that its headers were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A row cannot be read.
    #[error("a row cannot be read: {0:?}")]
    Malformed(MalformedReason),
    /// The rows make no complete conversation.
    #[error("the rows make no complete conversation: {0:?}")]
    Outcome(Outcome),
}

impl<'s> Assembler<'s> {
    /// For the records of a run.
    pub fn new(
        selection: &'s Selection,
        read: &'s ReadRules,
        membership: &'s MembershipRules,
    ) -> Self {
        Self {
            selection,
            read,
            membership,
        }
    }

    /// Reads the rows of a conversation: at least those that [`membership::decide`] names, each UTF-8
    /// without white space around.
    ///
    /// # Errors
    /// If the rows are not what they were when their headers were read.
    pub fn open<'r>(&self, rows: &[&'r [u8]]) -> Result<Draft<'r>, OpenError>
    where
        's: 'r,
    {
        let fragments = load(rows, self.read)?;
        let headers: Vec<TelemetryHeader> = fragments.iter().map(|row| row.header).collect();
        let decided = membership::decide(&headers, self.membership);
        let Outcome::Complete { turns } = decided.outcome else {
            return Err(OpenError::Outcome(decided.outcome));
        };
        let turns = turns as usize;
        let mut fragments: Vec<_> = fragments.into_iter().map(Some).collect();
        let mut rows: Vec<(Option<u32>, Fragment<'r>)> = decided
            .rows
            .iter()
            .zip(&decided.turn_of_rows)
            .filter_map(|(&row, &turn)| Some((turn, fragments[row as usize].take()?)))
            .collect();
        rows.sort_by_key(|(_, row)| (row.header.at, row.header.event, row.header.content));
        let mut messages = Messages::default();
        let calls = calls::calls(&rows, turns, &mut messages);
        let mut wanted: Vec<Vec<u8>> = calls.iter().flatten().flat_map(Call::wanted).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(Draft {
            selection: self.selection,
            read: self.read,
            rows,
            turns,
            messages,
            calls,
            wanted,
        })
    }
}

fn load<'r>(rows: &[&'r [u8]], rules: &ReadRules) -> Result<Vec<Fragment<'r>>, OpenError> {
    let load = |row: &&'r [u8]| Fragment::load(row, rules).transpose();
    let loaded: Result<Vec<_>, _> = rows.iter().filter_map(load).collect();
    loaded.map_err(OpenError::Malformed)
}

impl Draft<'_> {
    /// The ids of the shared rows (messages and options) that the rows name, decoded, sorted, each
    /// once.
    pub fn wanted(&self) -> &[Vec<u8>] {
        &self.wanted
    }

    /// Appends the record. `shared` are the rows of the wanted ids, as far as they are there.
    ///
    /// # Errors
    /// If a shared row is not what it was when its header was read.
    pub fn record(
        mut self,
        id: &str,
        shared: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<Assembled, OpenError> {
        let shared = load(shared, self.read)?;
        let bodies = Bodies::new(&shared, &mut self.messages);
        for call in self.calls.iter_mut().flatten() {
            call.resolve(&bodies);
        }
        let turns: Vec<TurnRecord> = (0..self.turns).map(|turn| self.turn(turn)).collect();
        let head = self.head(id, &turns);
        let start = out.len();
        writer::write(&head, &turns, out);
        let lone = text::has_lone_surrogate(&out[start..]);
        Ok(Assembled {
            turns: self.turns as u32,
            prevalidated: !lone
                && self.selection.has_common_rules_only()
                && is_prevalidated(&head, &turns)
                && !self.rejects(&head, &turns),
            quality: quality(&head, &turns),
        })
    }

    /// Whether a code of the record is one that the selection refuses.
    fn rejects(&self, head: &Head<'_>, turns: &[TurnRecord]) -> bool {
        let refused = self.selection.reject_quality();
        let codes = turns.iter().map(|turn| turn.codes).chain([head.codes]);
        codes
            .flat_map(QualityCodes::iter)
            .any(|code| refused.contains(code))
    }

    fn turn(&self, turn: usize) -> TurnRecord {
        let rows: Vec<&Fragment<'_>> = self
            .rows
            .iter()
            .filter(|(of, _)| *of == Some(turn as u32))
            .map(|(_, row)| row)
            .collect();
        let calls = &self.calls[turn];
        let seen = trajectory::hindsight(&self.calls, turn, &self.messages);
        let user = texts::user_text(&rows, &seen);
        let model = texts::model_text(&rows, calls, &seen, &self.messages);
        let mut codes = user.codes;
        model.codes.iter().for_each(|code| codes.insert(code));
        if lacks_tokens(calls) {
            codes.insert(QualityCode::TokensMissing);
        }
        if lacks_tool_calls(&rows, calls, &seen) {
            codes.insert(QualityCode::ToolCallsUnknown);
        }
        TurnRecord {
            user: user.text,
            prompt_tokens: writer::sum(calls.iter().map(|call| call.prompt_tokens)),
            completion_tokens: writer::sum(calls.iter().map(|call| call.completion_tokens)),
            calls: (!calls.is_empty()).then(|| call_records(calls, &seen, &model)),
            model: model_of(&rows, calls),
            message_id: message_id(&rows),
            version: rows
                .first()
                .map_or_else(Vec::new, |row| row.version().into_owned()),
            steps: (!seen.steps.is_empty()).then_some(seen.steps),
            model_message: model.text,
            codes,
        }
    }

    fn head<'h>(&'h self, id: &'h str, turns: &[TurnRecord]) -> Head<'h> {
        let first_call = self.calls.iter().flatten().next();
        let system = first_call.and_then(|call| {
            let input = call.input(&self.messages);
            let system = input.first().filter(|seen| seen.role() == Role::System)?;
            let (text, trust) = super::verified::text_of(system)?;
            (trust != Trust::Damaged).then(|| text.to_vec())
        });
        let mut codes = QualityCodes::default();
        let offered: Vec<&Joined> = self
            .calls
            .iter()
            .flatten()
            .filter_map(|call| call.tools.as_ref())
            .collect();
        let first = first_call.and_then(|call| call.tools.as_ref());
        let tools = first.and_then(tools_json);
        if tools.is_none() {
            codes.insert(QualityCode::ToolsUnknown);
        }
        let bucket = self.selection.bucket_of(turns.len() as u64);
        Head {
            id,
            user_name: self.user_name(),
            bucket: bucket.map(|bucket| bucket.name.as_str()),
            system,
            tools_changed: tools.is_some()
                && first.is_some_and(|first| offered.iter().any(|tools| tools.text != first.text)),
            tools,
            codes,
        }
    }

    /// The name of the first turn that has one.
    fn user_name(&self) -> Option<Vec<u8>> {
        (0..self.turns as u32).find_map(|turn| {
            let rows = self.rows.iter().filter(|(of, _)| *of == Some(turn));
            let mut names = rows.filter_map(|(_, row)| row.id(Prop::UserName));
            names.find(|name| !wtf8::trim(name).is_empty())
        })
    }
}

impl Call {
    /// The ids of the shared rows that it names.
    fn wanted(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let outputs = self.output_ids.iter().flatten();
        let ids = self.input_ids.iter().chain(outputs).chain(&self.options_id);
        ids.filter(|id| !id.is_empty()).cloned()
    }
}

/// The definitions of tools, if they are a list that has lost nothing for sure.
fn tools_json(tools: &Joined) -> Option<Vec<u8>> {
    let text = wtf8::trim(&tools.text);
    let is_whole = !matches!(tools.loss, Loss::Inner | Loss::Character) && text.starts_with(b"[");
    (is_whole && message::elements(text, |_| Ok(())).is_ok()).then(|| text.to_vec())
}

/// Whether the tokens of a call are not known, or no call is.
fn lacks_tokens(calls: &[Call]) -> bool {
    calls.is_empty()
        || calls
            .iter()
            .any(|call| call.prompt_tokens.is_none() || call.completion_tokens.is_none())
}

/// Whether calls of tools may be missing in the trajectory, or are not in full.
fn lacks_tool_calls(rows: &[&Fragment<'_>], calls: &[Call], seen: &Hindsight) -> bool {
    let damaged = |step: &ToolStep| match &step.arguments {
        Some((_, trust)) => *trust == Trust::Damaged,
        None => true,
    };
    if seen.steps.iter().any(damaged) {
        return true;
    }
    let details = rows
        .iter()
        .find(|row| row.header.event == EventKind::ToolCallDetails);
    match details.and_then(|row| tool_counts(row)) {
        Some(counts) => {
            let mut counted: Vec<(Vec<u8>, u64)> = Vec::new();
            for step in &seen.steps {
                match counted.iter_mut().find(|(tool, _)| *tool == step.tool) {
                    Some((_, count)) => *count += 1,
                    None => counted.push((step.tool.clone(), 1)),
                }
            }
            counted.sort_unstable();
            counted != counts
        }
        None => !seen.closed || calls.is_empty(),
    }
}

/// How often which tool was called, by name.
fn tool_counts(row: &Fragment<'_>) -> Option<Vec<(Vec<u8>, u64)>> {
    let json = row.joined(Prop::ToolCounts)?.text;
    let mut counts = Vec::new();
    message::members(&json, |key, value| {
        let count = super::bag::count(Some(value)).filter(|_| value.kind == Kind::Number);
        if let Some(count @ 1..) = count {
            counts.push((key.to_vec(), count));
        }
        Ok(())
    })
    .ok()?;
    counts.sort_unstable();
    Some(counts)
}

fn call_records(calls: &[Call], seen: &Hindsight, last: &Text) -> Vec<CallRecord> {
    let sure = last.text.as_ref().filter(|_| last.codes.is_empty());
    let answered = (0..calls.len())
        .rev()
        .find(|&place| calls[place].has_output());
    let record = |(place, call): (usize, &Call)| CallRecord {
        id: call.id.clone(),
        model: call.model.clone().or_else(|| call.asked_model.clone()),
        prompt_tokens: call.prompt_tokens,
        completion_tokens: call.completion_tokens,
        text: seen
            .texts
            .get(&place)
            .filter(|(_, trust)| *trust != Trust::Damaged)
            .map(|(text, _)| text)
            .or(sure.filter(|_| answered == Some(place)))
            .cloned(),
    };
    calls.iter().enumerate().map(record).collect()
}

/// The model that answered last; else the one that was asked.
fn model_of(rows: &[&Fragment<'_>], calls: &[Call]) -> Option<Vec<u8>> {
    let latest = |wanted: fn(&Call) -> Option<&Vec<u8>>| calls.iter().rev().find_map(wanted);
    latest(|call| call.model.as_ref())
        .or_else(|| latest(|call| call.asked_model.as_ref()))
        .cloned()
        .or_else(|| {
            let known = |prop| move |row: &&Fragment<'_>| row.id(prop);
            let mut of_session = rows.iter().rev().filter_map(known(Prop::BaseModel));
            let mut of_details = rows.iter().rev().filter_map(known(Prop::Model));
            of_session.next().or_else(|| of_details.next())
        })
}

/// The id of the request.
fn message_id(rows: &[&Fragment<'_>]) -> Option<Vec<u8>> {
    let of = |prop| rows.iter().find_map(|row| row.id(prop));
    of(Prop::MessageId)
        .or_else(|| of(Prop::RequestId))
        .filter(|id| *id != b"unknown")
}

/// What `validate` would find, found from the parts.
fn is_prevalidated(head: &Head<'_>, turns: &[TurnRecord]) -> bool {
    let is_text = |text: &Option<Vec<u8>>| {
        text.as_deref()
            .and_then(|text| std::str::from_utf8(text).ok())
            .is_some_and(|text| !text.trim().is_empty())
    };
    let prompt = writer::sum(turns.iter().map(|turn| turn.prompt_tokens));
    let completion = writer::sum(turns.iter().map(|turn| turn.completion_tokens));
    turns
        .iter()
        .all(|turn| is_text(&turn.user) && is_text(&turn.model_message))
        && is_text(&head.user_name)
        && prompt.is_some_and(|tokens| tokens > 0)
        && completion.is_some()
        && head.bucket.is_some_and(|bucket| !bucket.trim().is_empty())
        && !head.id.trim().is_empty()
}

fn quality(head: &Head<'_>, turns: &[TurnRecord]) -> Vec<(QualityCode, String)> {
    let version = |turn: &TurnRecord| String::from_utf8_lossy(&turn.version).into_owned();
    let of_record = head
        .codes
        .iter()
        .map(|code| (code, turns.first().map(version).unwrap_or_default()));
    let of_turns = turns
        .iter()
        .flat_map(|turn| turn.codes.iter().map(move |code| (code, version(turn))));
    of_record.chain(of_turns).collect()
}
