//! Which rows are wanted.

use std::ops::Range;
use std::sync::Arc;

use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::dataset::accounting::FilterReason;
use crate::domain::record::assembler::Nested;
use crate::domain::record::header::RowFlags;
use crate::domain::record::row::{Row, RowKind, RowShape};
use crate::domain::record::timestamp::Ticks;
use crate::domain::selection::exclude::Excluded;
use crate::domain::selection::stratum::Selection;

/// Which rows are wanted. The same for a whole run.
#[derive(Debug, Clone)]
pub struct RowRules {
    /// Ids that stand for "no id".
    pub ignore_ids: Vec<Vec<u8>>,
    /// Ids that `selection.exclude` means.
    pub excluded: Arc<Excluded>,
    /// The window: first instant inside, first instant outside.
    pub window: Range<Option<Ticks>>,
    /// The turns that exist for the run, in the same way.
    pub look: Range<Option<Ticks>>,
    /// `limits.max_record`, in bytes.
    pub max_record: u64,
    /// For records that are put together from columns.
    pub selection: Arc<Selection>,
    /// How their nested values are written.
    pub nested: Nested,
    /// `source.schema`, if it says one.
    pub schema: Option<RowShape>,
    /// How Copilot Chat telemetry is read.
    pub copilot_chat: Arc<CopilotChatRules>,
    /// Whether values of malformed rows may be shown: not if secrets or personal data are looked for.
    pub quotes_values: bool,
}

impl RowRules {
    pub(in crate::pipeline::ingest) fn is_ignored(&self, id: &[u8]) -> bool {
        self.ignore_ids.iter().any(|ignored| **ignored == *id)
    }

    /// Why a row is left out at once.
    pub(in crate::pipeline::ingest) fn left_out(&self, row: &Row<'_>) -> Option<FilterReason> {
        match row.kind {
            RowKind::Turn { at, .. } if !is_within(&self.look, at) => Some(FilterReason::Window),
            _ if self.is_ignored(&row.id) => Some(FilterReason::IgnoredIds),
            _ => None,
        }
    }

    /// What a turn is marked with: it counts as one of its conversation, also if it is outside.
    pub(in crate::pipeline::ingest) fn flags_of_turn(&self, at: Ticks, agent: bool) -> RowFlags {
        RowFlags::default()
            .with(RowFlags::OTHER_MODE, !agent)
            .with(RowFlags::OUTSIDE_WINDOW, !is_within(&self.window, at))
    }
}

/// Whether an instant is inside.
pub(super) fn is_within(range: &Range<Option<Ticks>>, at: Ticks) -> bool {
    range.start.is_none_or(|start| start <= at) && range.end.is_none_or(|end| at < end)
}
