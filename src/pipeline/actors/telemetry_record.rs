//! The record of a conversation of Copilot Chat telemetry: its rows are read again, then the shared
//! rows that they name, and it is put together.
//!
//! Holds the rows of one conversation at a time.

use crate::domain::copilot_chat::assembler::{Assembled, Assembler};
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::header::Position;
use crate::domain::sampling::reservoir::TelemetryRows;
use crate::domain::selection::stratum::Selection;
use crate::runtime::buffers::Buffer;
use crate::spool::payloads::{PayloadError, Reader};

/// Rows that were read again, one after the other, in memory that is used again.
pub struct RowTexts {
    text: Buffer,
    ends: Vec<usize>,
}

impl RowTexts {
    /// No rows yet.
    pub fn new(text: Buffer) -> Self {
        let ends = Vec::new();
        Self { text, ends }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn read(&mut self, reader: &mut Reader<'_>, row: &Position) -> Result<(), PayloadError> {
        reader.read(row, &mut self.text)?;
        self.ends.push(self.text.len());
        Ok(())
    }

    fn each(&self) -> Vec<&[u8]> {
        let mut start = 0;
        let ends = self.ends.iter();
        ends.map(|&end| &self.text[std::mem::replace(&mut start, end)..end])
            .collect()
    }
}

/// Writes records, one after the other.
pub struct TelemetryRecords<'p> {
    /// What is sampled.
    pub selection: &'p Selection,
    /// How rows become conversations.
    pub rules: &'p CopilotChatRules,
    /// Rows of a conversation.
    pub own: RowTexts,
    /// Rows that other conversations name too.
    pub shared: RowTexts,
}

impl TelemetryRecords<'_> {
    /// Appends the record of a conversation.
    ///
    /// # Errors
    /// If a row cannot be read, or is not what it was.
    pub fn append(
        &mut self,
        rows: &TelemetryRows,
        id: &[u8],
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Assembled, PayloadError> {
        let (index, membership) = (&rows.index, &self.rules.membership);
        self.own.clear();
        self.shared.clear();
        self.own.text.reserve(rows.bytes as usize);
        for row in index.rows_of(rows.number, membership) {
            self.own.read(reader, &row)?;
        }
        let texts = self.own.each();
        let draft = Assembler::new(self.selection, &self.rules.read, membership).open(&texts)?;
        for wanted in draft.wanted() {
            for row in index.shared_of(wanted) {
                self.shared.read(reader, &row)?;
            }
        }
        let id = String::from_utf8_lossy(id);
        Ok(draft.record(&id, &self.shared.each(), out)?)
    }
}
