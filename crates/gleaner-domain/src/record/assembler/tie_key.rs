//! Which of several deliveries of a turn is kept.

use sha2::{Digest, Sha256};

use super::{Assembler, Nested, has_reply, turn_row_members};
use crate::json::{JsonError, Kind, Value, text};
use crate::record::fields::Field;
use crate::selection::kusto_hash;
use crate::selection::stratum::Selection;

/// Decides between rows of one turn with equal timestamps: the smaller key wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TurnTieKey {
    /// Whether there is no `modelMessage` with something in it: a turn that was in progress.
    is_blank: bool,
    /// `hash(userMessage + "\u001f" + modelMessage)`, signed.
    pub(super) messages: i64,
    /// SHA-256 of the turn as written with sorted keys, U+001F and the user's name.
    pub(super) digest: [u8; 32],
    /// The same of the turn and the name as they stand: rows that are equal up to here may still
    /// be written differently, and the choice must not depend on which came first.
    as_written: [u8; 32],
}

impl TurnTieKey {
    /// The key of a turn row.
    ///
    /// # Errors
    /// If the row is not what it was when its header was read.
    pub fn of_row(row: &[u8], selection: &Selection) -> Result<Self, JsonError> {
        let members = turn_row_members(row)?;
        let decoded = |field: Field| {
            let mut content = Vec::new();
            if let Some(body) = members.get(field).and_then(Value::string_body) {
                text::decode(body, &mut content);
            }
            content
        };
        let mut messages = decoded(Field::UserMessage);
        messages.push(0x1f);
        messages.extend(decoded(Field::ModelMessage));
        let mut written = Vec::new();
        Assembler::new(selection, Nested::Sorted).write_turn(&members, &mut written)?;
        written.push(0x1f);
        match members.get(Field::UserName) {
            Some(value) if value.kind == Kind::String => {
                written.extend(decoded(Field::UserName));
            }
            Some(value) if value.kind != Kind::Null => written.extend_from_slice(value.text),
            _ => {}
        }
        let mut as_written = Vec::new();
        let as_is = Assembler::new(selection, Nested::AsIs);
        as_is.write_turn(&members, &mut as_written)?;
        as_written.push(0x1f);
        as_is.write_or_null(members.get(Field::UserName), &mut as_written);
        Ok(Self {
            is_blank: !has_reply(&members),
            messages: kusto_hash::hash(&messages),
            digest: Sha256::digest(&written).into(),
            as_written: Sha256::digest(&as_written).into(),
        })
    }
}
