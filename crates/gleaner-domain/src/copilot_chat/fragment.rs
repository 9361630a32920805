//! A row that is part of a record, with what it says.

use std::borrow::Cow;

use super::bag::{self, Part, Prop};
use super::envelope::{self, Envelope};
use super::header::TelemetryHeader;
use super::members::known_text;
use super::row::{self, Check, ReadRow, ReadRules};
use super::split::{self, Joined, Loss};
use super::wtf8;
use crate::debug_lengths;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;
use crate::record::row::MalformedReason;

/// A row.
pub struct Fragment<'r> {
    pub header: TelemetryHeader,
    pub version: Vec<u8>,
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
        let read = row::read_with(row, rules, Check::Header).map_err(|row| row.reason)?;
        let ReadRow::Used(used) = read else {
            return Ok(None);
        };
        let mut envelope = Envelope::default();
        envelope.scan(row, |_| true, |_, _, _| {})?;
        let object = |column: &Option<Value<'r>>| {
            let text = envelope::object_text(column.as_ref());
            text.map_err(|_| MalformedReason::Properties)
        };
        let mut fragment = Self {
            header: used.header,
            version: used.version.into_owned(),
            properties: object(&envelope.properties)?.unwrap_or(Cow::Borrowed(b"{}")),
            measurements: object(&envelope.measurements)?.unwrap_or(Cow::Borrowed(b"{}")),
            entries: Vec::new(),
            max_value: rules.max_value,
        };
        // Measurements count before properties of the same name.
        fragment.entries = entries(&fragment.measurements, true)?;
        fragment
            .entries
            .extend(entries(&fragment.properties, false)?);
        Ok(Some(fragment))
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
        let chunks: Vec<_> = parts
            .iter()
            .filter(|entry| matches!(entry.part, Part::Chunk(_)))
            .map(|entry| key_text(&self.value(entry)).into_owned())
            .collect();
        if !chunks.is_empty() {
            let text = split::unpack(chunks.iter().map(Vec::as_slice), self.max_value);
            if let Ok(text) = text {
                let loss = Loss::None;
                return Some(Joined { text, loss });
            }
        }
        let texts: Vec<_> = parts
            .iter()
            .filter(|entry| !matches!(entry.part, Part::Chunk(_)))
            .filter_map(|entry| bag::text(&self.value(entry)))
            .collect();
        (!texts.is_empty()).then(|| split::join(texts.iter().map(Vec::as_slice), split::CUT))
    }

    /// Which conversation an event of a message belongs to, and the other ids: as they are.
    pub fn id(&self, prop: Prop) -> Option<Vec<u8>> {
        let id = self.known(prop)?;
        (!wtf8::has_lone_half(&id)).then(|| id.into_owned())
    }
}

fn entries(object: &[u8], is_measurement: bool) -> Result<Vec<Entry>, JsonError> {
    let mut entries = Vec::new();
    let mut scanner = Scanner::new(object);
    bag::each(&mut scanner, |prop, part, value| {
        // A value lies within the text that is scanned.
        let start = value.text.as_ptr() as usize - object.as_ptr() as usize;
        entries.push(Entry {
            prop,
            part,
            is_measurement,
            kind: value.kind,
            escaped: value.escaped,
            start,
            end: start + value.text.len(),
        });
    })?;
    Ok(entries)
}
