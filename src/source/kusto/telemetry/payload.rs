//! Writes rows of Copilot Chat telemetry as they are, and notes what they name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::copilot_chat::event::EventKind;
use crate::domain::copilot_chat::named::NamedIds;
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::debug_lengths;
use crate::domain::json::text;
use crate::domain::json::{JsonError, Scanner, Value};
use crate::domain::record::row::MalformedReason;
use crate::source::kusto::error::Failure;
use crate::source::kusto::frames::{Column, TableSink, damaged};
use crate::source::kusto::passing::LineWriter;
use crate::source::kusto::rows::{Type, decoded, place, places};
use crate::source::{Reject, RowBlock};

/// The columns that a row must have.
const NEEDED: [(&str, Type); 5] = [
    ("conversationId", Type::String),
    ("TimeGenerated", Type::DateTime),
    ("Name", Type::String),
    ("Properties", Type::Dynamic),
    ("Measurements", Type::Dynamic),
];

/// Those that it may have.
const SHARED_ID: (&str, Type) = ("sharedId", Type::String);
const ITEM_COUNT: (&str, Type) = ("ItemCount", Type::Integer);

/// Where the columns are.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    needed: [usize; NEEDED.len()],
    shared_id: Option<usize>,
    item_count: Option<usize>,
}

/// Writes the rows of a request.
pub struct PayloadWriter {
    rules: Arc<CopilotChatRules>,
    places: Places,
    /// What was asked for, and how many rows of it came.
    asked: HashMap<Vec<u8>, u64>,
    block: RowBlock,
    /// The first line of the block, and the next one.
    lines: [u64; 2],
    rows: u64,
    foreign: u64,
    has_controls: bool,
    /// Bytes that were written.
    pub bytes: u64,
    /// The shared rows that rows of model calls name.
    pub named: NamedIds,
}

debug_lengths!(PayloadWriter { lines, rows, foreign } lengths { asked });

impl PayloadWriter {
    /// A writer of the rows of some conversations or shared ids; its first line has this number.
    pub fn new(
        asked: impl Iterator<Item = Vec<u8>>,
        rules: Arc<CopilotChatRules>,
        line: u64,
    ) -> Self {
        Self {
            rules,
            places: Places::default(),
            asked: asked.map(|id| (id, 0)).collect(),
            block: RowBlock::default(),
            lines: [line; 2],
            rows: 0,
            foreign: 0,
            has_controls: false,
            bytes: 0,
            named: NamedIds::default(),
        }
    }

    /// The answer was whole: do its rows belong to what was asked for?
    ///
    /// # Errors
    /// If not.
    pub fn finish(&self) -> Result<(), Failure> {
        match self.foreign {
            0 => Ok(()),
            foreign => Err(Failure::Foreign {
                foreign,
                rows: self.rows,
            }),
        }
    }

    /// The number of the line behind the last one.
    pub fn next_line(&self) -> u64 {
        self.lines[1]
    }

    /// The ids of which rows came.
    pub fn found(&self) -> impl Iterator<Item = &[u8]> {
        let came = self.asked.iter().filter(|(_, rows)| **rows > 0);
        came.map(|(id, _)| id.as_slice())
    }

    /// The id that a row was found by, as the query says; notes that it came.
    fn note(&mut self, cells: &[Value<'_>]) -> Result<Vec<u8>, Failure> {
        let at = |place: Option<usize>| place.and_then(|place| cells.get(place));
        let conversation = at(Some(self.places.needed[0])).map(decoded);
        let key = match conversation {
            Some(id) if !id.is_empty() => Some(id),
            _ => at(self.places.shared_id).map(decoded),
        };
        let key = key.ok_or_else(|| {
            let line = self.lines[1];
            damaged(format!(
                "row {line} is malformed before its ids; let the query project them first"
            ))
        })?;
        self.rows += 1;
        match self.asked.get_mut(&*key) {
            Some(rows) => *rows += 1,
            None => self.foreign += 1,
        }
        Ok(key.into_owned())
    }

    fn write(&mut self, cells: &[Value<'_>]) {
        let [_, time, name, properties, measurements] = self.places.needed.map(|at| cells[at]);
        let start = self.block.bytes.len();
        let out = &mut self.block.bytes;
        out.extend_from_slice(br#"{"TimeGenerated":"#);
        out.extend_from_slice(time.text);
        out.extend_from_slice(br#","Name":"#);
        out.extend_from_slice(name.text);
        for (key, cell) in [
            (&br#","Properties":"#[..], properties),
            (br#","Measurements":"#, measurements),
        ] {
            out.extend_from_slice(key);
            match self.has_controls {
                true => text::write_on_one_line(cell.text, out),
                false => out.extend_from_slice(cell.text),
            }
        }
        if let Some(at) = self.places.item_count {
            out.extend_from_slice(br#","ItemCount":"#);
            out.extend_from_slice(cells[at].text);
        }
        out.push(b'}');
        if let Some(EventKind::CallInput | EventKind::CallOutput) =
            EventKind::of(&decoded(&name), b"")
        {
            self.named.add(&out[start..], &self.rules.read);
        }
        out.push(b'\n');
        self.bytes += (out.len() - start) as u64;
    }
}

impl LineWriter for PayloadWriter {
    fn take(&mut self) -> RowBlock {
        let mut block = std::mem::take(&mut self.block);
        block.first_line = self.lines[0];
        self.lines[0] = self.lines[1];
        block
    }
}

impl TableSink for PayloadWriter {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        self.places = Places {
            needed: places(columns, NEEDED)?,
            shared_id: place(columns, SHARED_ID)?,
            item_count: place(columns, ITEM_COUNT)?,
        };
        Ok(())
    }

    fn cell<'a>(
        &mut self,
        index: usize,
        scanner: &mut Scanner<'a>,
    ) -> Result<Value<'a>, JsonError> {
        self.has_controls &= index > 0;
        let cell = scanner.value()?;
        self.has_controls |= scanner.saw_controls();
        Ok(cell)
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        for ((name, kind), at) in NEEDED.iter().zip(self.places.needed) {
            if !kind.fits(&cells[at]) {
                let (line, found) = (self.lines[1], cells[at].kind);
                return Err(damaged(format!(
                    "row {line} has a {found:?} in its column {name}"
                )));
            }
        }
        self.note(cells)?;
        self.write(cells);
        self.lines[1] += 1;
        Ok(())
    }

    fn reject(&mut self, cells: &[Value<'_>], reason: MalformedReason) -> Result<(), Failure> {
        let key = self.note(cells)?;
        let conversation = cells.get(self.places.needed[0]).map(decoded);
        self.block.rejects.push(Reject {
            line: self.lines[1],
            reason,
            // Shared rows are of no conversation.
            id: conversation
                .is_some_and(|id| *id == *key)
                .then(|| key.into()),
        });
        self.lines[1] += 1;
        Ok(())
    }
}
