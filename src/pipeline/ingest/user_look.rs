//! The conversations of the users that a list of exclusions names. Where it names some, the input is looked through
//! before anything of it is kept: a row that names the user may come behind all other rows of its conversation, and
//! none of these may ever lie in a spool (docs/adr/0013).

use std::sync::Arc;

use super::chunk_reader::{AnyRow, RowRules};
use super::look::{Look, Place, Reader, Watch};
use crate::domain::copilot_chat;
use crate::domain::copilot_chat::row::{ReadRow, RowKey};
use crate::domain::record::row::{MalformedRow, RowKind};
use crate::domain::record::users;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::selection::exclude::{ExcludeList, FoundUsers};
use crate::source::{RowBlock, SourceError};

/// The conversations of the users that a list names.
///
/// # Errors
/// If the input cannot be read.
pub async fn find(
    look: &Look<'_>,
    chunks: &[Chunk],
    list: &ExcludeList,
) -> Result<FoundUsers, SourceError> {
    if !list.names_users() {
        return Ok(FoundUsers::default());
    }
    Ok(look.through(chunks, Seen::new(list)).await?.found)
}

/// Looks for them block by block, on a machine that reads a part of the input.
pub struct UserLook(Reader<Seen>);

impl UserLook {
    /// Nothing was seen yet.
    pub fn new(rules: Arc<RowRules>, list: &ExcludeList) -> Self {
        Self(Reader::new(rules, Seen::new(list)))
    }

    /// Looks at the rows of a block.
    pub fn look_at(&mut self, block: &RowBlock) {
        self.0.look_at(block);
    }

    /// What was found.
    pub fn found(self) -> FoundUsers {
        self.0.watch.found
    }
}

/// What was seen so far.
struct Seen {
    list: ExcludeList,
    found: FoundUsers,
}

impl Seen {
    fn new(list: &ExcludeList) -> Self {
        Self {
            list: list.clone(),
            found: FoundUsers::default(),
        }
    }
}

impl Watch for Seen {
    fn row(&mut self, read: Result<AnyRow<'_>, MalformedRow<'_>>, text: &[u8], _: Place) {
        let Self { list, found } = self;
        let mut note = |id: &[u8], name: &[u8]| {
            if let Some(user) = list.user(name) {
                found.add(id, user);
            }
        };
        // What was read as a row is JSON. A row that cannot be read names nobody; its conversation is damaged.
        let _ = match read {
            Ok(AnyRow::Telemetry(ReadRow::Used(row))) => match &row.key {
                RowKey::Conversation(id) => {
                    copilot_chat::users::of_row(text, |name| note(id, name))
                }
                RowKey::Shared(_) => Ok(()),
            },
            Ok(AnyRow::Row(row)) => match row.kind {
                RowKind::Census { .. } => Ok(()),
                RowKind::Turn { .. } | RowKind::Conversation { .. } => {
                    users::of_row(text, |name| note(&row.id, name))
                }
            },
            Ok(AnyRow::Telemetry(_)) | Err(_) => Ok(()),
        };
    }
}
