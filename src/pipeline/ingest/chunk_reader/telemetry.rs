//! Rows of Copilot Chat telemetry on their way to headers.

use std::borrow::Cow;

use super::rules::is_within;
use super::{ChunkReader, RowRules};
use crate::domain::copilot_chat::membership::MembershipRules;
use crate::domain::copilot_chat::row::{ReadRow, RowKey, TelemetryRow};
use crate::domain::copilot_chat::users;
use crate::domain::dataset::accounting::FilterReason;
use crate::domain::grouping::telemetry_index::TelemetryIndex;
use crate::domain::record::header::{Position, RowFlags};
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::pass::Pass;
use crate::domain::selection::kusto_hash;
use crate::source::{RowBlock, RowLocation};
use crate::spool::sealed::{RowFacts, SpooledRow};

impl RowRules {
    /// The row and its key, if it is one of a conversation that is wanted; else why it is left out.
    pub(in crate::pipeline::ingest) fn wanted<'a>(
        &self,
        row: ReadRow<'a>,
    ) -> Result<(TelemetryRow<'a>, Cow<'a, [u8]>), FilterReason> {
        let row = match row {
            ReadRow::OtherEvent => return Err(FilterReason::OtherEvents),
            // No id is as good as one that stands for none.
            ReadRow::NoId => return Err(FilterReason::IgnoredIds),
            ReadRow::Used(row) => row,
        };
        if !is_within(&self.look, row.header.at) {
            return Err(FilterReason::Window);
        }
        match row.key.clone() {
            RowKey::Conversation(id) if self.is_ignored(&id) => Err(FilterReason::IgnoredIds),
            RowKey::Conversation(key) | RowKey::Shared(key) => Ok((row, key)),
        }
    }
}

impl ChunkReader {
    /// Takes a row of Copilot Chat telemetry: where it begins in its block, its text, and its line.
    pub(super) fn telemetry_row<'a>(
        &mut self,
        block: &'a RowBlock,
        (at, payload, line): (usize, &'a [u8], u64),
        row: ReadRow<'a>,
        spooled: &mut Vec<SpooledRow<'a>>,
    ) {
        self.tally.rows_read += 1;
        self.tally.shape(RowShape::CopilotChat, line);
        let (row, key) = match self.rules.wanted(row) {
            Ok(wanted) => wanted,
            Err(reason) => {
                *self.tally.filtered.entry(reason).or_default() += 1;
                return;
            }
        };
        let mut header = row.header;
        header.group = self.rules.group_of_telemetry(&header, payload);
        if !header.event.is_shared() && self.exclude(&key) {
            return;
        }
        let is_spooled = block.location == RowLocation::Spool;
        let masked = match is_spooled && header.event.is_shared() {
            true => users::masked(payload, &self.rules.excluded),
            false => None,
        };
        if !header.event.is_shared() {
            self.rules
                .note_group(&mut self.tally, header.group, payload, line);
        }
        let event = header.event.name();
        let seen = &mut self.tally.telemetry;
        seen.add(event, &row.version, row.item_count, line);
        if *self.shape.get_or_insert(RowShape::CopilotChat) != RowShape::CopilotChat {
            // The run will end for mixing schemas.
            return;
        }
        if matches!(self.chunk_pass.pass, Pass::Round(_)) && !header.event.is_shared() {
            let hash = kusto_hash::hash(&key);
            self.open.observe(&key, hash, &header, &NOWHERE);
        }
        let facts = RowFacts {
            turn: 0,
            at: 0,
            flags: RowFlags::default(),
            group: header.group,
            line,
            telemetry: Some(header),
        };
        let row = SpooledRow {
            id: key,
            facts,
            payload: masked.map_or(Cow::Borrowed(payload), Cow::Owned),
        };
        self.keep(block, at, RowShape::CopilotChat, row, spooled);
    }

    /// Nothing more comes of the conversations that are open: decides which of them are whole.
    pub(super) fn settle(&mut self) {
        let open = std::mem::take(&mut self.open);
        let rules = &self.rules.copilot_chat.membership;
        self.kept.extend(whole(&open, rules));
    }
}

/// Where a row is whose place does not matter.
const NOWHERE: Position = Position {
    store: 0,
    length: 0,
    offset: 0,
    checksum: 0,
};

/// Hash and number of turns of the whole conversations of an index.
pub fn whole(index: &TelemetryIndex, rules: &MembershipRules) -> Vec<(i64, i64)> {
    let mut whole = Vec::new();
    index.close(0..index.conversations(), rules, &mut |conversation| {
        // Fewer turns than rows, of which there are fewer than 2^32.
        whole.push((kusto_hash::hash(conversation.id), conversation.turns as i64));
    });
    whole
}
