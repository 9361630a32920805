//! The record of a conversation of Copilot Chat telemetry: its rows are read again, then the shared
//! rows that they name, and it is put together.
//!
//! Holds the rows of one conversation at a time.

use crate::domain::copilot_chat::assembler::{Assembled, Assembler};
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::header::Position;
use crate::domain::sampling::reservoir::TelemetryRows;
use crate::domain::selection::stratum::Selection;
use crate::spool::payloads::{PayloadError, Reader};

/// Rows that were read again, one after the other.
#[derive(Default)]
pub struct RowTexts {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl RowTexts {
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

/// Appends the record of a conversation.
///
/// # Errors
/// If a row cannot be read, or is not what it was.
pub fn append(
    rows: &TelemetryRows,
    id: &[u8],
    selection: &Selection,
    rules: &CopilotChatRules,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<Assembled, PayloadError> {
    let (index, membership) = (&rows.index, &rules.membership);
    let mut own = RowTexts::default();
    own.text.reserve(rows.bytes as usize);
    for row in index.rows_of(rows.number, membership) {
        own.read(reader, &row)?;
    }
    let texts = own.each();
    let draft = Assembler::new(selection, &rules.read, membership).open(&texts)?;
    let mut shared = RowTexts::default();
    for wanted in draft.wanted() {
        for row in index.shared_of(wanted) {
            shared.read(reader, &row)?;
        }
    }
    let id = String::from_utf8_lossy(id);
    Ok(draft.record(&id, &shared.each(), out)?)
}
