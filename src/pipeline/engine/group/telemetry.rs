//! Rows of Copilot Chat telemetry, grouped as one machine groups them ([`TelemetryIndex`]): headers alone decide.
//!
//! The messages and options that a conversation names are rows of other chunks, so that no executor puts a record
//! together. The rows of the conversations that are wanted go to the driver, which does, with the hashes of what they name;
//! another job brings the rows of these.

use super::Arrived;
use super::whole::Whole;
use crate::domain::copilot_chat::assembler::Assembler;
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::grouping::telemetry_index::{TelemetryConversation, TelemetryIndex};
use crate::domain::record::header::Position;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::stratum::Selection;
use crate::pipeline::engine::EngineError;
use crate::pipeline::engine::order::Brings;
use crate::pipeline::engine::records::{ChunkRecords, Record};

/// The rows of a chunk, all of which are in.
pub struct TelemetryGroup<'g> {
    arrived: &'g Arrived,
    index: TelemetryIndex,
    selection: &'g Selection,
    rules: CopilotChatRules,
}

impl<'g> TelemetryGroup<'g> {
    /// Rows that have arrived.
    pub fn new(arrived: &'g Arrived, index: TelemetryIndex, selection: &'g Selection) -> Self {
        Self {
            arrived,
            index,
            selection,
            rules: arrived.order.rules.copilot_chat(),
        }
    }

    /// What the order asks for.
    ///
    /// # Errors
    /// If a payload is not what it was.
    pub fn finish(self) -> Result<Vec<u8>, EngineError> {
        match self.arrived.order.brings {
            Brings::Users | Brings::Records => self.rows(),
            Brings::SharedRows => self.shared_rows(),
            Brings::Census(_) | Brings::CensusUpTo(_) | Brings::Decisions => Ok(self.census()),
        }
    }

    fn census(self) -> Vec<u8> {
        let mut whole = Whole::new(self.selection, self.arrived.sum);
        let mut emit = |found: TelemetryConversation<'_>| {
            whole.put(found.number, (found.id, found.group), found.turns);
        };
        let all = 0..self.index.conversations();
        let mut grouped = self.index.close(all, &self.rules.membership, &mut emit);
        grouped.add(self.index.shared_tally());
        let mut census = whole.census(&self.arrived.order, |number| self.index.id(number));
        census.grouped = grouped;
        census.to_bytes()
    }

    /// The rows of the conversations.
    fn rows(self) -> Result<Vec<u8>, EngineError> {
        let mut found = Vec::new();
        let mut emit = |whole: TelemetryConversation<'_>| found.push((whole.number, whole.turns));
        let all = 0..self.index.conversations();
        self.index.close(all, &self.rules.membership, &mut emit);
        let mut records = ChunkRecords::new(self.arrived.sum);
        for (number, turns) in found {
            let rows = self.index.rows_of(number, &self.rules.membership);
            let rows: Vec<&[u8]> = rows
                .iter()
                .map(|row| self.payload(row))
                .collect::<Result<_, _>>()?;
            records.push(Record {
                id_hash: kusto_hash::hash(self.index.id(number)),
                turns,
                text: rows.join(&b'\n'),
            });
            let assembler =
                Assembler::new(self.selection, &self.rules.read, &self.rules.membership);
            let draft = assembler.open(&rows).map_err(|_| self.arrived.damaged())?;
            records.name(draft.wanted().iter().map(|id| kusto_hash::hash(id)));
        }
        Ok(records.to_bytes())
    }

    /// The shared rows that have arrived, of equal rows one.
    fn shared_rows(self) -> Result<Vec<u8>, EngineError> {
        let mut records = ChunkRecords::new(self.arrived.sum);
        for row in self.index.shared_rows() {
            records.push_shared(self.payload(&row)?);
        }
        Ok(records.to_bytes())
    }

    fn payload(&self, row: &Position) -> Result<&[u8], EngineError> {
        let payload = self.arrived.payloads.of(row);
        payload.ok_or_else(|| self.arrived.damaged())
    }
}
