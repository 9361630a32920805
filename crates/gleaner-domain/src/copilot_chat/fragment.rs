//! A row that is part of a record, with what it says.

use std::borrow::Cow;

use super::bag::{self, Part, Prop};
use super::envelope::{self, Envelope};
use super::header::TelemetryHeader;
use super::members::{Members, known_text, scan};
use super::row::{self, ReadRow, ReadRules};
use super::split::{self, Joined, Loss};
use super::wtf8;
use crate::debug_lengths;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;
use crate::record::row::MalformedReason;

/// A row.
pub struct Fragment<'r> {
    pub header: TelemetryHeader,
    properties: Cow<'r, [u8]>,
    measurements: Cow<'r, [u8]>,
    entries: Vec<Entry>,
    /// How large a compressed value may be.
    max_value: u64,
}

debug_lengths!(Fragment<'_> { header } lengths { properties, measurements });

/// Where a value lies.
#[derive(Clone, Copy)]
struct Entry {
    prop: Prop,
    part: Part,
    is_measurement: bool,
    kind: Kind,
    escaped: bool,
    start: usize,
    end: usize,
}

impl<'r> Fragment<'r> {
    /// Reads a row whose header could be read before; `None` if it is no part of a record.
    pub fn load(row: &'r [u8], rules: &ReadRules) -> Result<Option<Self>, MalformedReason> {
        let mut envelope = Envelope::default();
        let mut members = Members::keeping_parts();
        let is_used = envelope.scan(row, row::is_used, |prop, part, value| {
            members.take(prop, part, value);
        })?;
        if !is_used {
            return Ok(None);
        }
        let properties = object(envelope.properties.as_ref())?;
        let properties = properties.ok_or(MalformedReason::Properties)?;
        let measurements = object(envelope.measurements.as_ref())?.unwrap_or(Cow::Borrowed(b"{}"));
        // Measurements count before properties of the same name.
        let mut entries = entries_of_measurements(&measurements)?;
        let header = match &properties {
            Cow::Borrowed(text) => {
                if members.count == 0 {
                    scan(text, &mut members)?;
                }
                take_properties(&envelope, &members, text, rules, &mut entries)?
            }
            Cow::Owned(text) => {
                let mut members = Members::keeping_parts();
                scan(text, &mut members)?;
                take_properties(&envelope, &members, text, rules, &mut entries)?
            }
        };
        Ok(header.map(|header| Self {
            header,
            properties,
            measurements,
            entries,
            max_value: rules.max_value,
        }))
    }

    fn value(&self, entry: &Entry) -> Value<'_> {
        let text = match entry.is_measurement {
            true => &self.measurements,
            false => &self.properties,
        };
        Value {
            kind: entry.kind,
            text: &text[entry.start..entry.end],
            escaped: entry.escaped,
        }
    }

    fn whole(&self, prop: Prop) -> impl Iterator<Item = &Entry> {
        let is_whole = move |entry: &&Entry| (entry.prop, entry.part) == (prop, Part::Whole);
        self.entries.iter().filter(is_whole)
    }

    /// A short text among the properties; `None` if there is none, or what stands for none.
    pub fn known(&self, prop: Prop) -> Option<Cow<'_, [u8]>> {
        let entry = self.whole(prop).find(|entry| !entry.is_measurement)?;
        known_text(&self.value(entry))
    }

    /// The version of the extension that sent it; empty if unknown.
    pub fn version(&self) -> Cow<'_, [u8]> {
        self.known(Prop::ExtensionVersion).unwrap_or_default()
    }

    /// A number, of the measurements before the properties.
    pub fn count(&self, prop: Prop) -> Option<u64> {
        self.whole(prop)
            .find_map(|entry| bag::count(Some(&self.value(entry))))
    }

    /// Whether there is such a property, whatever it is.
    pub fn has(&self, prop: Prop) -> bool {
        self.whole(prop).any(|entry| !entry.is_measurement)
    }

    /// A long text, put together from its parts; `None` if there is none.
    pub fn joined(&self, prop: Prop) -> Option<Joined> {
        let mut parts: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| entry.prop == prop && !entry.is_measurement)
            .collect();
        parts.sort_by_key(|entry| entry.part);
        let is_chunk = |entry: &&&Entry| matches!(entry.part, Part::Chunk(_));
        let chunks = parts.iter().filter(is_chunk);
        let chunks: Vec<_> = chunks.map(|entry| key_text(&self.value(entry))).collect();
        if !chunks.is_empty() {
            let text = split::unpack(chunks.iter().map(|chunk| &**chunk), self.max_value);
            if let Ok(text) = text {
                let loss = Loss::None;
                return Some(Joined { text, loss });
            }
        }
        let texts = parts.iter().filter(|entry| !is_chunk(entry));
        let mut texts = texts
            .filter_map(|entry| bag::text(&self.value(entry)))
            .peekable();
        texts.peek()?;
        Some(split::join(texts, split::CUT))
    }

    /// Which conversation an event of a message belongs to, and the other ids: as they are.
    pub fn id(&self, prop: Prop) -> Option<Vec<u8>> {
        let id = self.known(prop)?;
        (!wtf8::has_lone_half(&id)).then(|| id.into_owned())
    }
}

/// The object that a column holds.
fn object<'r>(column: Option<&Value<'r>>) -> Result<Option<Cow<'r, [u8]>>, MalformedReason> {
    envelope::object_text(column).map_err(|_| MalformedReason::Properties)
}

/// Takes the properties of a row, which lie in `text`. Gives its header; `None` if it is no part of
/// a record.
fn take_properties(
    envelope: &Envelope<'_>,
    members: &Members<'_>,
    text: &[u8],
    rules: &ReadRules,
    entries: &mut Vec<Entry>,
) -> Result<Option<TelemetryHeader>, MalformedReason> {
    let ReadRow::Used(used) = row::judge(envelope, members, rules)? else {
        return Ok(None);
    };
    let parts = members.parts().iter();
    entries.extend(parts.map(|(prop, part, value)| Entry::new(text, *prop, *part, value, false)));
    Ok(Some(used.header))
}

impl Entry {
    /// Of a value that lies within `text`.
    fn new(text: &[u8], prop: Prop, part: Part, value: &Value<'_>, is_measurement: bool) -> Self {
        let start = value.text.as_ptr().addr() - text.as_ptr().addr();
        Self {
            prop,
            part,
            is_measurement,
            kind: value.kind,
            escaped: value.escaped,
            start,
            end: start + value.text.len(),
        }
    }
}

fn entries_of_measurements(object: &[u8]) -> Result<Vec<Entry>, JsonError> {
    // Room for the properties too.
    let mut entries = Vec::with_capacity(24);
    let mut scanner = Scanner::new(object);
    bag::each(&mut scanner, |prop, part, value| {
        entries.push(Entry::new(object, prop, part, &value, true));
    })?;
    Ok(entries)
}
