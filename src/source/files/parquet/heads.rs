//! What the columns say of a row without reading its line again: which conversation, which turn, when.
//!
//! Only a row that is plainly good gets a header here; any other is left to be read as a line, so that it is malformed,
//! or odd, for the same reasons as from any other file.

use super::columns::{Column, Single};
use super::shape::{Leaf, Member, Shape};
use crate::domain::record::fields::Field;
use crate::domain::record::row::names_of_telemetry;
use crate::domain::record::timestamp::{self, Ticks};
use crate::source::ParsedKind;

/// A depth of nesting of a schema that is none of JSON's concern.
const MOST_DEPTH: u32 = 64;

/// Where the parts of a row's header are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// Nowhere: each line is read.
    Unknown,
    /// Rows of turns.
    Turns {
        /// The column of `turnIndex`.
        turn: usize,
        /// The member that is `Timestamp`.
        at: usize,
        /// The column of `mode`.
        mode: usize,
    },
    /// Rows of conversations.
    Conversations {
        /// The member that is `turnsArray`.
        turns: usize,
    },
}

impl Heads {
    /// Those of rows with these members.
    pub fn of(members: &mut [Member]) -> Self {
        Self::found(members).unwrap_or(Self::Unknown)
    }

    fn found(members: &mut [Member]) -> Option<Self> {
        let names: Vec<_> = members
            .iter()
            .map(|member| member.name.as_bytes())
            .collect();
        let place = |field: Field| {
            names
                .iter()
                .position(|name| *name == field.name().as_bytes())
        };
        let is_twice = |(at, name): (usize, &&[u8])| {
            Field::of(name).is_some_and(|field| place(field) != Some(at))
        };
        if names.iter().enumerate().any(is_twice) || names_of_telemetry(names.iter().copied()) {
            return None;
        }
        let (turns, turn) = (place(Field::TurnsArray), place(Field::TurnIndex));
        let (id, at) = (place(Field::ConversationId)?, place(Field::Timestamp));
        let (mode, user_message) = (place(Field::Mode), place(Field::UserMessage));
        let is_plain = |(at, member): (usize, &Member)| {
            Some(at) == turns || matches!(depth(&member.shape), Some(depth) if depth < MOST_DEPTH)
        };
        if !members
            .iter()
            .enumerate()
            .all(|(at, member)| is_plain((at, member)))
        {
            return None;
        }
        let mut column = |at: usize, wanted: Leaf| match members[at].shape.present() {
            Shape::Leaf(column, leaf) if *leaf == wanted => Some(*column),
            _ => None,
        };
        column(id, Leaf::Text)?;
        match (turns, turn) {
            (Some(turns), None) => Some(Self::Conversations { turns }),
            // Without `userMessage` a row is odd.
            (None, Some(turn)) if user_message.is_some() => Some(Self::Turns {
                turn: column(turn, Leaf::Integer)?,
                at: at?,
                mode: column(mode?, Leaf::Text)?,
            }),
            _ => None,
        }
    }

    /// The member whose value is `turnsArray`.
    pub fn turns(&self) -> Option<usize> {
        match self {
            Self::Conversations { turns, .. } => Some(*turns),
            _ => None,
        }
    }

    /// The member whose value is `Timestamp`.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::Turns { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// The turn of a row that is next in its columns: its `turnIndex`, if its mode is the one that is wanted.
    pub fn turn(&self, columns: &[Column]) -> Option<i64> {
        let Self::Turns { turn, mode, .. } = self else {
            return None;
        };
        if columns[*mode].text() != Some(b"agent") {
            return None;
        }
        match columns[*turn].current()? {
            Single::Int64(turn) => Some(turn),
            Single::Int32(turn) => Some(turn.into()),
            _ => None,
        }
    }
}

/// What is known of a row when it is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head {
    /// Its turn.
    pub turn: Option<i64>,
    /// Its time.
    pub at: Option<Ticks>,
    /// The turns of a conversation.
    pub turns: Option<u32>,
}

impl Head {
    /// Takes the time as it was written.
    pub fn take_time(&mut self, written: &[u8]) {
        let body = written
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""));
        self.at = body
            .filter(|body| !body.contains(&b'\\'))
            .and_then(timestamp::parse);
    }

    /// What the row is, if all of it is known.
    pub fn kind(&self) -> ParsedKind {
        match *self {
            Self {
                turns: Some(turns), ..
            } => ParsedKind::Conversation { turns },
            Self {
                turn: Some(turn),
                at: Some(at),
                ..
            } => ParsedKind::Turn { turn, at },
            _ => ParsedKind::Unread,
        }
    }
}

/// How deep a value is nested by its schema; unknown if there is JSON deeper than its top.
fn depth(shape: &Shape) -> Option<u32> {
    match shape {
        Shape::Leaf(..) => Some(0),
        Shape::Optional(_, shape) => depth(shape),
        Shape::Group(members) => {
            let mut members = members.iter().map(|member| within(&member.shape));
            members.try_fold(1, |most, depth| Some(most.max(depth?)))
        }
        Shape::List(_, _, element) => within(element),
        Shape::Map(_, _, key, value) => Some(within(key)?.max(within(value)?)),
    }
}

fn within(shape: &Shape) -> Option<u32> {
    match shape {
        Shape::Leaf(_, Leaf::Json) => None,
        Shape::Optional(_, shape) => within(shape),
        shape => Some(depth(shape)? + 1),
    }
}
