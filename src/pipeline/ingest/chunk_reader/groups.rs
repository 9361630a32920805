//! What rows say of the group that decides the split of their conversation.

use super::RowRules;
use crate::domain::copilot_chat::header::TelemetryHeader;
use crate::domain::copilot_chat::users;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::record::row::{Row, RowKind};
use crate::domain::selection::group::{Group, GroupMark};

impl RowRules {
    /// The group that the row of a turn, a conversation or a census names, if groups decide.
    pub(in crate::pipeline::ingest) fn group_of(&self, row: &Row<'_>, text: &[u8]) -> GroupMark {
        let Some(field) = self.selection.split_by() else {
            return GroupMark::ABSENT;
        };
        let group = match row.kind {
            RowKind::Turn { .. } => field.of_turn(text),
            RowKind::Conversation { .. } => field.of_record(text),
            RowKind::Census { group, .. } => return group,
        };
        // What was read as a row is JSON.
        group.unwrap_or(Group::Absent).mark()
    }

    /// Counts what a row that is kept says of its group, if groups decide.
    pub(in crate::pipeline::ingest) fn note_group(
        &self,
        tally: &mut ChunkTally,
        group: GroupMark,
        text: &[u8],
        line: u64,
    ) {
        if self.selection.split_by().is_some() {
            tally.groups.note(group, text, line);
        }
    }

    /// The group that a row of Copilot Chat telemetry names, if groups decide.
    pub(in crate::pipeline::ingest) fn group_of_telemetry(
        &self,
        header: &TelemetryHeader,
        text: &[u8],
    ) -> GroupMark {
        match self.selection.split_by() {
            Some(field) if !header.event.is_shared() => {
                users::group_of_row(text, &self.copilot_chat.read, field).mark()
            }
            _ => GroupMark::ABSENT,
        }
    }
}
