//! The conversations of the users that a list of exclusions names. Where it names some, the input is looked through
//! before anything of it is kept: a row that names the user may come behind all other rows of its conversation, and
//! none of these may ever lie in a spool (docs/adr/0013).

use super::chunk_reader::AnyRow;
use super::look::{Look, Place, Watch};
use crate::domain::copilot_chat;
use crate::domain::copilot_chat::row::{ReadRow, RowKey};
use crate::domain::record::row::{MalformedRow, RowKind};
use crate::domain::record::users;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::selection::exclude::{ExcludeList, FoundUsers};
use crate::source::SourceError;

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
    let seen = Seen {
        list: list.clone(),
        found: FoundUsers::default(),
    };
    Ok(look.through(chunks, seen).await?.found)
}

/// What was seen so far.
struct Seen {
    list: ExcludeList,
    found: FoundUsers,
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
