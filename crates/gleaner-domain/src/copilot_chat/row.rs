//! A row of `AppEvents`, read for its header.
//!
//! A row of another event costs one scan up to its name. A row that is used is scanned once; nothing
//! is copied but what has escapes or is compressed.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bag::{self, Number, Part, Prop};
use super::envelope::{self, Envelope};
use super::event::EventKind;
use super::header::{Mode, TelemetryHeader};
use super::members::{Members, scan, usable_id};
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;
use crate::record::row::{MalformedReason, MalformedRow};
use crate::selection::group::GroupMark;
use crate::selection::kusto_hash;

/// What reading needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRules {
    /// Modes that count as an agent's: `["agent"]`.
    pub modes: Vec<String>,
    /// The most bytes that a compressed value may have when it is unpacked (`limits.max_record`).
    pub max_value: u64,
}

/// What a row is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowKey<'a> {
    /// The id of its conversation, decoded.
    Conversation(Cow<'a, [u8]>),
    /// The id of the message or of the options that it holds a piece of, decoded.
    Shared(Cow<'a, [u8]>),
}

/// A row that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadRow<'a> {
    /// A row of an event that is not used.
    OtherEvent,
    /// A row of an event that is used, that names no conversation (or, if it is shared, no id of its
    /// own): absent, empty, or the text `undefined`. Model calls beside the conversation are such.
    NoId,
    /// A row of an event that is used.
    Used(TelemetryRow<'a>),
}

/// A row of an event that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryRow<'a> {
    /// What it is found by.
    pub key: RowKey<'a>,
    /// Its header.
    pub header: TelemetryHeader,
    /// The version of the extension that sent it (`common.extversion`), decoded; empty if unknown.
    pub version: Cow<'a, [u8]>,
    /// How many events it stands for (`ItemCount`): more than 1 if the telemetry is sampled.
    pub item_count: u64,
}

/// Reads a row that is UTF-8 and has no white space around.
///
/// # Errors
/// If it is malformed; with the id of the conversation that it damages, as far as it could be read.
pub fn read<'a>(row: &'a [u8], rules: &ReadRules) -> Result<ReadRow<'a>, MalformedRow<'a>> {
    let mut envelope = Envelope::default();
    let mut members = Members::default();
    let scanned = envelope.scan(row, is_used, |prop, part, value| {
        members.take(prop, part, value);
    });
    match scanned {
        Ok(true) => {}
        Ok(false) => return Ok(ReadRow::OtherEvent),
        Err(error) => {
            let reason = match Scanner::new(row).kind() {
                Ok(kind) if kind != Kind::Object => not_an_object(row),
                _ => MalformedReason::from(error),
            };
            return Err(malformed(reason, &members));
        }
    }
    let text = match envelope::object_text(envelope.properties.as_ref()) {
        Ok(Some(text)) => text,
        Ok(None) | Err(_) => return Err(malformed(MalformedReason::Properties, &members)),
    };
    match text {
        Cow::Borrowed(text) => {
            if members.count == 0 && scan(text, &mut members).is_err() {
                return Err(malformed(MalformedReason::Properties, &members));
            }
            judge_in_full(&envelope, &members, rules).map_err(|reason| malformed(reason, &members))
        }
        // What was decoded here is gone when the row is read: ids are copied.
        Cow::Owned(text) => {
            let mut members = Members::default();
            let scanned = scan(&text, &mut members);
            let reason = match scanned {
                Ok(()) => match judge_in_full(&envelope, &members, rules) {
                    Ok(row) => return Ok(row.into_owned()),
                    Err(reason) => reason,
                },
                Err(_) => MalformedReason::Properties,
            };
            Err(MalformedRow {
                reason,
                id: members.id().map(|id| Cow::Owned(id.into_owned())),
            })
        }
    }
}

/// The id of the conversation of a row that is malformed for another reason than its JSON (too
/// large, not UTF-8), or of the beginning of one: as far as the scanner comes.
pub fn readable_id(row: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut members = Members::default();
    // What is wrong behind the id is of no interest here.
    let _ = Envelope::default().scan(
        row,
        |_| true,
        |prop, part, value| {
            members.take(prop, part, value);
        },
    );
    let id = members.id()?;
    simdutf8::basic::from_utf8(&id).ok()?;
    Some(id)
}

fn malformed<'a>(reason: MalformedReason, members: &Members<'a>) -> MalformedRow<'a> {
    MalformedRow {
        reason,
        id: members.id(),
    }
}

fn not_an_object(row: &[u8]) -> MalformedReason {
    let mut scanner = Scanner::new(row);
    let scanned = scanner.value().and_then(|_| scanner.end());
    scanned.map_or_else(MalformedReason::from, |()| MalformedReason::NotAnObject)
}

/// Whether a `Name` may be that of an event that is used.
pub(super) fn is_used(name: &Value<'_>) -> bool {
    EventKind::is_used(&key_text(name))
}

/// What a row is, from all that is in it.
fn judge_in_full<'p>(
    envelope: &Envelope<'_>,
    members: &Members<'p>,
    rules: &ReadRules,
) -> Result<ReadRow<'p>, MalformedReason> {
    let row = judge(envelope, members, rules)?;
    if matches!(row, ReadRow::Used(_)) {
        members.check_parts(rules)?;
    }
    Ok(row)
}

/// What a row is, without a look at the parts of values that were split.
pub(super) fn judge<'p>(
    envelope: &Envelope<'_>,
    members: &Members<'p>,
    rules: &ReadRules,
) -> Result<ReadRow<'p>, MalformedReason> {
    let name = envelope.name.as_ref().ok_or(MalformedReason::NoSchema)?;
    let source = members.known(Prop::Source).unwrap_or_default();
    let Some(event) = EventKind::of(&key_text(name), &source) else {
        return Ok(ReadRow::OtherEvent);
    };
    if envelope.twice || members.twice {
        return Err(MalformedReason::DuplicateField);
    }
    let Some(key) = row_key(event, members)? else {
        return Ok(ReadRow::NoId);
    };
    let measurements = envelope::object_text(envelope.measurements.as_ref())
        .map_err(|_| MalformedReason::Properties)?;
    // An object in its own right was scanned with the row.
    if let Some(text) = measurements.as_deref()
        && envelope
            .measurements
            .is_some_and(|column| column.kind != Kind::Object)
    {
        is_object(text).map_err(|_| MalformedReason::Properties)?;
    }
    let position = position(event, members, measurements.as_deref())?;
    let header = TelemetryHeader {
        at: envelope.at()?,
        request: request(event, members, position),
        call: match event.is_of_call() {
            true => members
                .known(Prop::ModelCallId)
                .map_or(0, |id| id_hash(&id)),
            false => 0,
        },
        content: 0,
        position,
        event,
        mode: mode(event, members, rules),
        group: GroupMark::ABSENT,
    };
    Ok(ReadRow::Used(TelemetryRow {
        key,
        header: TelemetryHeader {
            content: content(envelope, &header),
            ..header
        },
        version: members.known(Prop::ExtensionVersion).unwrap_or_default(),
        item_count: bag::count(envelope.item_count.as_ref()).unwrap_or(1),
    }))
}

/// Whether a text is a JSON object.
fn is_object(text: &[u8]) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(text);
    bag::each(&mut scanner, |_, _, _| {})?;
    scanner.end()
}

/// What a row is found by; `None` if it does not say.
fn row_key<'p>(
    event: EventKind,
    members: &Members<'p>,
) -> Result<Option<RowKey<'p>>, MalformedReason> {
    let prop = match event {
        EventKind::MessageAdded => Prop::MessageUuid,
        EventKind::OptionsAdded => Prop::RequestOptionsId,
        EventKind::SessionMessage | EventKind::SessionResponse
            if members.get(Prop::ConversationId).is_none() =>
        {
            Prop::SessionId
        }
        _ => Prop::ConversationId,
    };
    let id = match members.get(prop).map(usable_id) {
        None => return Ok(None),
        Some(id) => id.map_err(|()| MalformedReason::ConversationId)?,
    };
    Ok(id.map(match event.is_shared() {
        true => RowKey::Shared,
        false => RowKey::Conversation,
    }))
}

/// The place of a row's request among the conversation's; 0 if it does not say.
fn position(
    event: EventKind,
    members: &Members<'_>,
    measurements: Option<&[u8]>,
) -> Result<u32, MalformedReason> {
    let from_zero = u32::from(is_of_agent_host(members));
    let (value, before) = match event {
        EventKind::UserText => (members.get(Prop::TurnIndex).copied(), 1),
        EventKind::ModelText => (members.get(Prop::TurnIndex).copied(), from_zero),
        EventKind::ToolCallDetails => {
            let value = measurement(measurements, members, Prop::TurnIndex);
            (value?, from_zero)
        }
        EventKind::SessionMessage | EventKind::SessionResponse => {
            (measurement(measurements, members, Prop::TurnNumber)?, 0)
        }
        _ => return Ok(0),
    };
    let index = match bag::number(value.as_ref()) {
        Number::Integer(index) => index,
        Number::Other => return Err(MalformedReason::TurnIndex),
        Number::Absent if is_absent(value.as_ref()) => return Ok(0),
        Number::Absent => return Err(MalformedReason::TurnIndex),
    };
    let position = index.checked_add(i64::from(before));
    match position.and_then(|position| u32::try_from(position).ok()) {
        Some(position @ 1..) => Ok(position),
        _ => Err(MalformedReason::TurnIndex),
    }
}

/// Whether a client left out a value, in one of its ways.
fn is_absent(value: Option<&Value<'_>>) -> bool {
    value.is_none_or(|value| {
        value.kind == Kind::Null
            || matches!(
                value.string_body().map(<[u8]>::trim_ascii),
                Some(b"" | b"undefined" | b"null" | b"None" | b"NaN")
            )
    })
}

/// A measurement, which an agent host may have among the properties.
fn measurement<'m>(
    measurements: Option<&'m [u8]>,
    members: &Members<'m>,
    wanted: Prop,
) -> Result<Option<Value<'m>>, MalformedReason> {
    let mut found = None;
    if let Some(object) = measurements {
        let mut scanner = Scanner::new(object);
        let scanned = bag::each(&mut scanner, |prop, part, value| {
            if (prop, part) == (wanted, Part::Whole) {
                found = Some(value);
            }
        });
        scanned.map_err(|_| MalformedReason::Properties)?;
    }
    Ok(found.or_else(|| members.get(wanted).copied()))
}

/// Whether a row comes from an agent host: it has no ids of requests, and counts from 0.
fn is_of_agent_host(members: &Members<'_>) -> bool {
    members.known(Prop::InitiatorClientType).is_some()
}

/// The hash of the id of a row's request; 0 if it does not say.
fn request(event: EventKind, members: &Members<'_>, position: u32) -> i64 {
    if is_of_agent_host(members) {
        return match position {
            0 => 0,
            position => id_hash(format!("#{position}").as_bytes()),
        };
    }
    let known = |prop| {
        let id = members.known(prop)?;
        (*id != *b"unknown").then_some(id)
    };
    let id = match event {
        // The id of the message would be another.
        EventKind::OffTopic => known(Prop::UserMessageId).or_else(|| known(Prop::MessageId)),
        _ => known(Prop::MessageId).or_else(|| known(Prop::RequestId)),
    };
    id.or_else(|| known(Prop::HeaderRequestId))
        .map_or(0, |id| id_hash(&id))
}

/// `hash` of an id, never 0.
pub(super) fn id_hash(id: &[u8]) -> i64 {
    match kusto_hash::hash(id) {
        0 => 1,
        hash => hash,
    }
}

fn mode(event: EventKind, members: &Members<'_>, rules: &ReadRules) -> Mode {
    match members.known(Prop::Mode) {
        Some(mode) if event.has_mode() => {
            match rules.modes.iter().any(|agent| agent.as_bytes() == &*mode) {
                true => Mode::Agent,
                false => Mode::Other,
            }
        }
        _ => Mode::Unknown,
    }
}

/// A hash of what makes a row this row and no other.
fn content(envelope: &Envelope<'_>, header: &TelemetryHeader) -> u64 {
    let seed = header.at as u64 ^ (header.event as u64) << 56;
    [&envelope.properties, &envelope.measurements]
        .into_iter()
        .map(|column| column.as_ref().map_or(&b""[..], |value| value.text))
        .fold(seed, |seed, text| xxh3_64_with_seed(text, seed))
}

impl ReadRow<'_> {
    fn into_owned(self) -> ReadRow<'static> {
        let own = |text: Cow<'_, [u8]>| Cow::Owned(text.into_owned());
        match self {
            Self::OtherEvent => ReadRow::OtherEvent,
            Self::NoId => ReadRow::NoId,
            Self::Used(row) => ReadRow::Used(TelemetryRow {
                key: match row.key {
                    RowKey::Conversation(id) => RowKey::Conversation(own(id)),
                    RowKey::Shared(id) => RowKey::Shared(own(id)),
                },
                header: row.header,
                version: own(row.version),
                item_count: row.item_count,
            }),
        }
    }
}
