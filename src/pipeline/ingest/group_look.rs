//! How uneven groups make the splits: for a plan, which reads the whole input for it.
//!
//! Holds a few numbers for each conversation. Conversations are those that rows name, whole or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chunk_reader::{AnyRow, RowRules};
use super::look::{Look, Place, Watch};
use crate::domain::copilot_chat::row::{ReadRow, RowKey};
use crate::domain::copilot_chat::users;
use crate::domain::dataset::groups::Spread;
use crate::domain::record::row::{MalformedRow, RowKind};
use crate::domain::selection::group::Group;
use crate::domain::selection::kusto_hash;
use crate::pipeline::lifecycle::run_control::PauseGate;
use crate::runtime::CpuPool;
use crate::source::{ConversationSource, SourceError, Survey};

/// Looks through all rows of a source.
///
/// # Errors
/// If one cannot be read.
pub async fn spread(
    source: &dyn ConversationSource,
    survey: &Survey,
    rules: RowRules,
    pool: &Arc<CpuPool>,
) -> Result<Spread, SourceError> {
    let gate = PauseGate::default();
    let rules = Arc::new(rules);
    let look = Look {
        source,
        rules: Arc::clone(&rules),
        pool,
        gate: &gate,
    };
    let seen = Seen {
        rules: Arc::clone(&rules),
        conversations: BTreeMap::new(),
    };
    let seen = look.through(&survey.chunks, seen).await?;
    let found = seen.conversations.into_iter();
    let found = found.map(|(id, (_, group))| (id, group.hash()));
    Ok(Spread::of(&rules.selection, found))
}

/// Which of two rows says the group: the smaller.
type Order = (i64, i64);

/// The conversations so far, by the hash of their id.
struct Seen {
    rules: Arc<RowRules>,
    conversations: BTreeMap<i64, (Order, Group)>,
}

impl Seen {
    fn note(&mut self, id: &[u8], order: Order, group: Group) {
        let found = (order, group);
        let known = self.conversations.entry(kusto_hash::hash(id));
        let known = known.or_insert(found);
        let is_better = order < known.0 && group != Group::Absent;
        if known.1 == Group::Absent || is_better {
            *known = found;
        }
    }
}

impl Watch for Seen {
    fn row(&mut self, read: Result<AnyRow<'_>, MalformedRow<'_>>, text: &[u8], _: Place) {
        let rules = Arc::clone(&self.rules);
        let Some(field) = rules.selection.split_by() else {
            return;
        };
        match read {
            Ok(AnyRow::Row(row)) if rules.left_out(&row).is_none() => {
                let (order, group) = match row.kind {
                    RowKind::Turn { agent: false, .. } | RowKind::Census { .. } => return,
                    // The first turn that names one, as it was sent last.
                    RowKind::Turn { turn, at, .. } => ((turn, -at), field.of_turn(text)),
                    RowKind::Conversation { turns, .. } => {
                        ((-i64::from(turns), 0), field.of_record(text))
                    }
                };
                self.note(&row.id, order, group.unwrap_or(Group::Absent));
            }
            Ok(AnyRow::Telemetry(ReadRow::Used(row))) => {
                if let RowKey::Conversation(id) = &row.key {
                    let group = users::group_of_row(text, &rules.copilot_chat.read, field);
                    self.note(id, (row.header.at, 0), group);
                }
            }
            Ok(AnyRow::Row(_) | AnyRow::Telemetry(_)) | Err(_) => {}
        }
    }
}
