//! A row of telemetry, read for its header: which conversation, which turn, when, how large.
//!
//! Reading checks the whole row's JSON. Nothing is built and no text is copied, but an id that
//! has escapes.

use crate::debug_lengths;
use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::fields::{Field, Seen, key_text};
use super::timestamp::{self, Ticks};
use super::validation::RecordFields;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::json::{number, text};
use crate::selection::group::GroupMark;
use crate::selection::stratum::Selection;

/// Why a row cannot be read as telemetry. The names are stable: `metadata.json` uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MalformedReason {
    /// Not JSON, or cut off.
    NotJson,
    /// JSON, but not an object.
    NotAnObject,
    /// Bytes that are no UTF-8.
    InvalidUtf8,
    /// Nested deeper than [`crate::json::MAX_DEPTH`].
    TooDeep,
    /// A known field twice.
    DuplicateField,
    /// Neither `turnsArray` nor `turnIndex`, nor `Name` with `Properties`.
    #[serde(alias = "no_shape")]
    NoSchema,
    /// `conversationId` absent, empty, not a string, or with a lone surrogate.
    ConversationId,
    /// A turn row's `turnIndex` is not an integer of 64 bits.
    TurnIndex,
    /// A turn row's `Timestamp` is absent or not RFC 3339.
    Timestamp,
    /// `turnsArray` null or not an array.
    TurnsArray,
    /// An element of `turnsArray` is not an object.
    TurnNotObject,
    /// Larger than `limits.max_record`: looked at first, whatever else is wrong with the row,
    /// because what is larger is not held.
    TooLarge,
    /// `Properties` of telemetry is no object, nor a text that holds one; or `Measurements` is
    /// something else than that.
    Properties,
    /// The parts of a value of telemetry that was split do not fit each other: one is missing, or
    /// what is compressed cannot be unpacked, or is not what its key begins with.
    ChunkMismatch,
    /// No fault of the row, but a defect: gleaner cannot read it.
    RowPanic,
}

impl From<JsonError> for MalformedReason {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Syntax(_) => Self::NotJson,
            JsonError::TooDeep => Self::TooDeep,
        }
    }
}

/// A row that cannot be read.
#[derive(Clone, PartialEq, Eq)]
pub struct MalformedRow<'a> {
    /// Why.
    pub reason: MalformedReason,
    /// Its top-level `conversationId`, decoded, if the scanner came that far: its string closed, and
    /// the only one. That conversation is damaged.
    pub id: Option<Cow<'a, [u8]>>,
}

impl fmt::Debug for MalformedRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MalformedRow")
            .field("reason", &self.reason)
            .field("id.len", &self.id.as_ref().map(|id| id.len()))
            .finish()
    }
}

/// The two shapes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowShape {
    /// One row per turn.
    Turns,
    /// One row per conversation.
    Conversations,
    /// Many rows per turn: see [`crate::copilot_chat`].
    CopilotChat,
}

impl RowShape {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Conversations => "conversations",
            Self::CopilotChat => "copilot_chat",
        }
    }

    /// What a row of it is, and which fields show it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Turns => "a turn (it has turnIndex)",
            Self::Conversations => "a conversation (it has turnsArray)",
            Self::CopilotChat => "Copilot Chat telemetry (it has Name and Properties)",
        }
    }
}

/// A row of the schema that its fields show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowByFields<'a> {
    /// A turn or a conversation.
    Row(Row<'a>),
    /// Copilot Chat telemetry, which [`crate::copilot_chat::row`] reads.
    Telemetry,
}

/// A row's header.
#[derive(Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The decoded id.
    pub id: Cow<'a, [u8]>,
    /// What the shape adds.
    pub kind: RowKind,
    /// What is odd about a turn's row that can be read.
    pub oddities: Oddities<'a>,
}

/// What is odd about a turn's row that can be read: worth a hint if the row is missed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oddities<'a> {
    /// A `mode` that is not `agent`.
    pub mode: Option<Value<'a>>,
    /// Whether there is no `userMessage`.
    pub no_user_message: bool,
}

debug_lengths!(Row<'_> { kind } lengths { id });

/// What the two shapes add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// One turn.
    Turn {
        /// `turnIndex`.
        turn: i64,
        /// `Timestamp`.
        at: Ticks,
        /// Whether `mode` is exactly `agent`.
        agent: bool,
    },
    /// A conversation with this many turns.
    Conversation {
        /// The length of `turnsArray`.
        turns: u32,
        /// Whether the rules will find nothing, not even a warning. Judged here, while the row is
        /// read in full anyway: a chosen row whose checksum fits need not be judged again.
        prevalidated: bool,
    },
    /// The header of a conversation, from a census.
    Census {
        /// `turnCount`, as far as it can be one.
        turns: u32,
        /// `lastTimestamp`.
        last: Ticks,
        /// `groupResidue`, if the census has one: `hash % 100` of what names its group.
        group: GroupMark,
    },
}

/// Reads a row of a census: `conversationId`, `turnCount`, `lastTimestamp`, and `groupResidue` where groups decide.
///
/// # Errors
/// With the reason why it cannot be read.
pub fn read_census(text: &[u8]) -> Result<Row<'_>, MalformedRow<'_>> {
    let (mut id, mut turns, mut last) = (None, None, None);
    let mut group = GroupMark::ABSENT;
    let scanned = each_member(text, |key, scanner| {
        let value = scanner.value()?;
        match key.text {
            b"\"conversationId\"" => id = decoded_id(&value),
            b"\"turnCount\"" => turns = number::integer(value.text),
            b"\"groupResidue\"" => {
                let residue = number::integer(value.text);
                group = residue.map_or(GroupMark::ABSENT, GroupMark::of_residue);
            }
            b"\"lastTimestamp\"" => last = value.string_body().and_then(timestamp::parse),
            _ => {}
        }
        Ok(())
    });
    let reason = match (&scanned, &id, turns, last) {
        (Err(error), ..) => MalformedReason::from(*error),
        (_, _, None, _) => MalformedReason::TurnIndex,
        (_, None, ..) => MalformedReason::ConversationId,
        (_, _, _, None) => MalformedReason::Timestamp,
        (Ok(_), Some(id), Some(turns), Some(last)) => {
            return Ok(Row {
                id: id.clone(),
                kind: RowKind::Census {
                    turns: turns.clamp(0, i64::from(i32::MAX)) as u32,
                    last,
                    group,
                },
                oddities: Oddities::default(),
            });
        }
    };
    Err(MalformedRow { reason, id })
}

/// Visits the members of a row that is an object; says whether a string of it has a surrogate.
fn each_member<'a>(
    row: &'a [u8],
    visit: impl FnMut(&Value<'a>, &mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<bool, JsonError> {
    let mut scanner = Scanner::new(row);
    scanner.each_member(visit)?;
    scanner.end()?;
    Ok(scanner.saw_surrogates())
}

/// The text of a line without the white space around it.
pub fn trim(line: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|b| !space(b)).unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|b| !space(b))
        .map_or(start, |i| i + 1);
    &line[start..end]
}

/// Reads a turn or a conversation, without white space around and UTF-8.
///
/// # Errors
/// If it is malformed; `no_schema` if it is telemetry.
pub fn read<'a>(row: &'a [u8], selection: &Selection) -> Result<Row<'a>, MalformedRow<'a>> {
    match read_by_fields(row, selection, None)? {
        RowByFields::Row(row) => Ok(row),
        RowByFields::Telemetry => Err(MalformedRow {
            reason: MalformedReason::NoSchema,
            id: None,
        }),
    }
}

/// Reads a row that is UTF-8 and has no white space around. Its fields show its schema: those
/// of the schema that was said first.
///
/// # Errors
/// If it is malformed.
pub fn read_by_fields<'a>(
    row: &'a [u8],
    selection: &Selection,
    said: Option<RowShape>,
) -> Result<RowByFields<'a>, MalformedRow<'a>> {
    if row.first() != Some(&b'{') {
        let mut scanner = Scanner::new(row);
        let scanned = scanner.value().and_then(|_| scanner.end());
        let reason = scanned.map_or_else(MalformedReason::from, |()| MalformedReason::NotAnObject);
        return Err(MalformedRow { reason, id: None });
    }
    let mut fields = RowFields::default();
    let scanned = each_member(row, |key, scanner| fields.take(key, scanner));
    let judged = scanned.map_err(MalformedReason::from);
    judged
        .and_then(|surrogates| match fields.shape(said) {
            Some(RowShape::CopilotChat) => Ok(RowByFields::Telemetry),
            shape => fields
                .judge(shape, surrogates, selection)
                .map(RowByFields::Row),
        })
        .map_err(|reason| MalformedRow {
            reason,
            id: fields.readable_id(),
        })
}

/// The id of a row that is malformed for another reason than its JSON (too large, not UTF-8), or
/// of the beginning of one: as far as the scanner comes.
pub fn readable_id(row: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut fields = RowFields::default();
    // What is wrong behind the id is of no interest here.
    let _ = each_member(row, |key, scanner| match Field::named(key) {
        Some(Field::ConversationId) => fields.take(key, scanner),
        _ => scanner.value().map(drop),
    });
    fields.readable_id()
}

#[derive(Default)]
struct RowFields<'a> {
    seen: Seen,
    duplicate: bool,
    /// Whether `conversationId` was there twice: then none of them is its id.
    id_twice: bool,
    timestamp: Option<Value<'a>>,
    turn_index: Option<Value<'a>>,
    mode: Option<Value<'a>>,
    agent: bool,
    record: RecordFields<'a>,
    telemetry: TelemetryKeys,
}

/// Which of the keys that tell telemetry are there.
#[derive(Debug, Clone, Copy, Default)]
struct TelemetryKeys {
    name: bool,
    properties: bool,
    /// Of the classic schema.
    classic_name: bool,
    classic_properties: bool,
}

impl TelemetryKeys {
    fn note(&mut self, key: &[u8]) {
        match key {
            b"Name" => self.name = true,
            b"Properties" => self.properties = true,
            b"name" => self.classic_name = true,
            b"customDimensions" => self.classic_properties = true,
            _ => {}
        }
    }

    fn are_there(self) -> bool {
        self.name && self.properties || self.classic_name && self.classic_properties
    }
}

/// Whether a row with members of these names (decoded) may be telemetry.
pub fn names_of_telemetry<'n>(names: impl Iterator<Item = &'n [u8]>) -> bool {
    let mut keys = TelemetryKeys::default();
    names.for_each(|name| keys.note(name));
    keys.are_there()
}

impl<'a> RowFields<'a> {
    /// Takes the member whose key was just read.
    fn take(&mut self, key: &Value<'a>, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        let Some(field) = Field::named(key) else {
            self.telemetry.note(key.string_body().unwrap_or_default());
            return self.record.take_other(key, scanner);
        };
        let again = !self.seen.note(field);
        self.duplicate |= again;
        self.id_twice |= again && field == Field::ConversationId;
        match field {
            Field::Timestamp => self.timestamp = Some(scanner.value()?),
            Field::TurnIndex => self.turn_index = Some(scanner.value()?),
            Field::Mode => {
                let value = scanner.value()?;
                self.agent = value.kind == Kind::String && *key_text(&value) == *b"agent";
                self.mode = Some(value);
            }
            field => self.record.take(field, scanner)?,
        }
        Ok(())
    }

    /// The id, if there is exactly one that can be used.
    fn readable_id(&self) -> Option<Cow<'a, [u8]>> {
        let id = self.record.id.filter(|_| !self.id_twice)?;
        // A row may be malformed for its bytes.
        simdutf8::basic::from_utf8(id.text).ok()?;
        decoded_id(&id)
    }

    /// What the row is: what was said, if its fields are there.
    fn shape(&self, said: Option<RowShape>) -> Option<RowShape> {
        let is_there = |shape: &RowShape| match shape {
            RowShape::Conversations => self.record.turns.is_some() || self.record.no_array,
            RowShape::CopilotChat => self.telemetry.are_there(),
            RowShape::Turns => self.turn_index.is_some(),
        };
        let in_order = [
            RowShape::Conversations,
            RowShape::CopilotChat,
            RowShape::Turns,
        ];
        said.into_iter().chain(in_order).find(is_there)
    }

    fn judge(
        &self,
        shape: Option<RowShape>,
        surrogates: bool,
        selection: &Selection,
    ) -> Result<Row<'a>, MalformedReason> {
        let record = &self.record;
        let is_conversation = shape == Some(RowShape::Conversations);
        let turns = record.turns.as_ref().filter(|_| is_conversation);
        if self.duplicate || turns.is_some_and(|turns| turns.duplicate) {
            return Err(MalformedReason::DuplicateField);
        }
        if shape.is_none() {
            return Err(MalformedReason::NoSchema);
        }
        let id = record
            .id
            .and_then(|id| decoded_id(&id))
            .ok_or(MalformedReason::ConversationId)?;
        let kind = match turns {
            Some(turns) if turns.no_object => return Err(MalformedReason::TurnNotObject),
            Some(turns) => RowKind::Conversation {
                // A row of 4 GiB has fewer turns.
                turns: turns.count as u32,
                prevalidated: !surrogates && record.is_prevalidated(selection),
            },
            None if is_conversation => return Err(MalformedReason::TurnsArray),
            None => RowKind::Turn {
                turn: self
                    .turn_index
                    .and_then(|value| number::integer(value.text))
                    .ok_or(MalformedReason::TurnIndex)?,
                at: self
                    .timestamp
                    .filter(|value| value.kind == Kind::String)
                    .and_then(|value| timestamp::parse(&key_text(&value)))
                    .ok_or(MalformedReason::Timestamp)?,
                agent: self.agent,
            },
        };
        let is_turn = matches!(kind, RowKind::Turn { .. });
        let oddities = Oddities {
            mode: self.mode.filter(|_| is_turn && !self.agent),
            no_user_message: is_turn && !self.seen.has(Field::UserMessage),
        };
        Ok(Row { id, kind, oddities })
    }
}

/// A usable id: a string that is not empty and has no lone surrogate.
fn decoded_id<'a>(value: &Value<'a>) -> Option<Cow<'a, [u8]>> {
    let body = value.string_body().filter(|body| !body.is_empty())?;
    if !value.escaped {
        return Some(Cow::Borrowed(body));
    }
    let mut decoded = Vec::with_capacity(body.len());
    let lone = text::decode(body, &mut decoded);
    (!lone).then_some(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests;
