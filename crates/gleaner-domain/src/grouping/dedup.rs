//! One conversation per id: grouping and deduplication on headers alone.
//!
//! The index holds headers, never text: 32 bytes a row (48 for turn rows), one more if a group decides the split, and
//! what it takes to find conversations. Rows come in any order; the outcome does not depend on it. Only ties look at payloads, through a reader that is passed in.

use std::borrow::Cow;
use std::ops::Range;

use super::conversations::{Conversations, END, chain, next_number};
use super::segmented_vec::SegmentedVec;
use crate::dataset::accounting::FilterReason;
use crate::json::JsonError;
use crate::record::assembler::Assembler;
use crate::record::header::{Header, HeaderBatch, Position, RowFlags};
use crate::record::row::RowShape;
use crate::record::timestamp::Ticks;
use crate::selection::group::GroupMark;
use crate::selection::kusto_hash;
use crate::selection::stratum::Selection;

mod tally;
mod ties;

pub use tally::{Fault, GroupTally};

#[derive(Debug, Clone, Copy)]
struct StoredRow {
    position: Position,
    /// A conversation's number of turns, doubled, and 1 if it is prevalidated; a turn's
    /// [`RowFlags`]. So a row keeps its 32 bytes.
    detail: u32,
    /// The next row of the same conversation, or [`END`].
    next: u32,
}

impl StoredRow {
    /// The number of turns of a conversation row.
    fn turns(&self) -> u32 {
        self.detail >> 1
    }

    /// Whether a conversation row is.
    fn is_prevalidated(&self) -> bool {
        self.detail & 1 == 1
    }

    /// Why a turn is outside; `None` if it is inside window and mode.
    fn outside(&self) -> Option<FilterReason> {
        let flags = RowFlags::from_byte(self.detail as u8);
        if flags.has(RowFlags::OTHER_MODE) {
            Some(FilterReason::Mode)
        } else if flags.has(RowFlags::OUTSIDE_WINDOW) {
            Some(FilterReason::Window)
        } else {
            None
        }
    }
}

/// What only turn rows have.
#[derive(Debug, Clone, Copy)]
struct StoredTurn {
    turn: i64,
    at: Ticks,
}

/// All rows seen so far, grouped by conversation.
#[derive(Debug, Default)]
pub struct Index {
    /// Of the first rows that were taken.
    shape: Option<RowShape>,
    conversations: Conversations,
    rows: SegmentedVec<StoredRow>,
    turns: SegmentedVec<StoredTurn>,
    /// Of every row, from the first one on that names a group.
    groups: SegmentedVec<GroupMark>,
    /// Conversation rows that lost against one with more turns.
    shorter_duplicates: u64,
}

/// A conversation that came out of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation<'a> {
    /// Its id, decoded.
    pub id: &'a [u8],
    /// Number of turns.
    pub turns: u64,
    /// Its rows in the order of turns, or its one row.
    pub rows: &'a [Position],
    /// Whether its one row was found prevalidated when it was read.
    pub prevalidated: bool,
    /// Its group: its one row's, or that of the first turn that says one.
    pub group: GroupMark,
}

/// Reads a payload again: fills the cleared buffer.
pub type ReadPayload<'a, E> = dyn FnMut(&Position, &mut Vec<u8>) -> Result<(), E> + 'a;

/// What closing needs to know.
#[derive(Debug)]
pub struct Closing<'a> {
    /// For the records' bytes.
    pub assembler: Assembler<'a>,
    /// For the keys of ties.
    pub selection: &'a Selection,
    /// `limits.max_record`, in bytes.
    pub max_record: u64,
    /// Whether turns outside are left out before the winner is chosen, so that no conversation is
    /// cut (`selection.cut = "keep"`).
    pub keep_cut: bool,
    /// Whether rows of one length and one XXH3-64 may be taken for equal without a look at their payloads, which are
    /// somewhere else.
    pub trusts_checksums: bool,
}

/// An assembled record is at most this much longer than the rows of its turns, per turn: the
/// names and nulls of fields that a row may lack.
const GROWTH_PER_TURN: u64 = 256;

/// What became of a conversation: its number of turns and whether it is prevalidated, or its fault.
type Decision = Result<(u64, bool), Fault>;

impl Index {
    /// The shape of its rows; `None` before the first.
    pub fn shape(&self) -> Option<RowShape> {
        self.shape
    }

    /// How many conversations there are: the bound of [`Self::close`]'s range.
    pub fn conversations(&self) -> u32 {
        self.conversations.len()
    }

    /// The id of a conversation, decoded, by its number.
    pub fn id(&self, number: u32) -> &[u8] {
        self.conversations.id(number)
    }

    /// Conversation rows that lost because another row of the same id has more turns. (Those that
    /// lose a tie are found by [`Self::close`].)
    pub fn shorter_duplicates(&self) -> u64 {
        self.shorter_duplicates
    }

    /// The conversations that malformed rows name.
    pub fn damaged_ids(&self) -> impl Iterator<Item = &[u8]> {
        self.conversations.damaged_ids()
    }

    /// Takes the headers of some rows. Those of another shape than the first are left out: a run
    /// of mixed shapes is ended by its supervisor, who names the rows.
    ///
    /// # Panics
    /// After 4 billion rows.
    pub fn observe(&mut self, batch: &HeaderBatch) {
        for (id, header) in batch.iter() {
            if header.flags.has(RowFlags::MALFORMED) {
                self.observe_malformed(id);
            } else if *self.shape.get_or_insert(batch.shape) == batch.shape {
                self.observe_row(batch.shape, id, header);
            }
        }
    }

    /// Notes that a malformed row names this conversation.
    pub fn observe_malformed(&mut self, id: &[u8]) {
        self.conversations.damage(id, kusto_hash::hash(id));
    }

    fn observe_row(&mut self, shape: RowShape, id: &[u8], header: &Header) {
        let row = next_number(self.rows.len());
        let number = self.conversations.number(id, header.id_hash);
        let mut next = self.conversations.head(number);
        let detail = match shape {
            RowShape::Turns | RowShape::CopilotChat => u32::from(header.flags.byte()),
            RowShape::Conversations => {
                // A row of 4 GiB has fewer than 2^31 turns.
                let turns = header.turn as u32;
                // All rows in a chain have equally many turns: the most so far.
                let most = (next != END).then(|| self.rows[next as usize].turns());
                if most.is_some_and(|most| turns < most) {
                    self.shorter_duplicates += 1;
                    return;
                }
                if most.is_some_and(|most| turns > most) {
                    self.shorter_duplicates += self.chain(next).count() as u64;
                    next = END;
                }
                turns << 1 | u32::from(header.flags.has(RowFlags::PREVALIDATED))
            }
        };
        self.rows.push(StoredRow {
            position: header.position,
            detail,
            next,
        });
        if header.group != GroupMark::ABSENT || !self.groups.is_empty() {
            while self.groups.len() < row as usize {
                self.groups.push(GroupMark::ABSENT);
            }
            self.groups.push(header.group);
        }
        if shape == RowShape::Turns {
            self.turns.push(StoredTurn {
                turn: header.turn,
                at: header.at,
            });
        }
        self.conversations.set_head(number, row);
    }

    fn chain(&self, head: u32) -> impl Iterator<Item = u32> + '_ {
        chain(head, |row| self.rows[row as usize].next)
    }

    fn position(&self, row: u32) -> Position {
        self.rows[row as usize].position
    }

    fn group(&self, row: u32) -> GroupMark {
        match row as usize {
            row if row < self.groups.len() => self.groups[row],
            _ => GroupMark::ABSENT,
        }
    }

    /// Decides the conversations of a range, once all rows are in: who wins, who is whole.
    /// `emit` gets the whole ones. The order means nothing.
    ///
    /// # Errors
    /// What `read` fails with, or a payload that is not what it was.
    pub fn close<E: From<JsonError>>(
        &self,
        range: Range<u32>,
        closing: &Closing<'_>,
        read: &mut ReadPayload<'_, E>,
        emit: &mut dyn FnMut(Conversation<'_>),
    ) -> Result<GroupTally, E> {
        let mut tally = GroupTally::default();
        let mut rows = Vec::new();
        let mut positions = Vec::new();
        for number in range {
            rows.clear();
            rows.extend(self.chain(self.conversations.head(number)));
            if rows.is_empty() {
                // All that is left of it are rows that cannot be read.
                tally.fault(Fault::Damaged);
                continue;
            }
            let is_damaged = self.conversations.is_damaged(number);
            let whole = match self.shape {
                Some(RowShape::Turns) => {
                    match self.decide_turns(&mut rows, is_damaged, closing, read, &mut tally)? {
                        Some(whole) => whole,
                        None => continue,
                    }
                }
                _ => self.decide_rows(&mut rows, is_damaged, closing, read, &mut tally)?,
            };
            positions.clear();
            positions.extend(rows.iter().map(|&row| self.position(row)));
            let id = self.conversations.id(number);
            if whole.is_ok() && self.is_too_large(id, &positions, closing, read)? {
                tally.too_large.extend_from_slice(&positions);
                tally.fault(Fault::Damaged);
                continue;
            }
            tally.kept_rows += positions.len() as u64;
            match whole {
                Ok((turns, prevalidated)) => {
                    tally.conversations += 1;
                    emit(Conversation {
                        id,
                        turns,
                        rows: &positions,
                        prevalidated,
                        group: GroupMark::first(rows.iter().map(|&row| self.group(row))),
                    });
                }
                Err(fault) => tally.fault(fault),
            }
        }
        Ok(tally)
    }

    /// Reduces conversation rows to the one that wins.
    fn decide_rows<E: From<JsonError>>(
        &self,
        rows: &mut Vec<u32>,
        is_damaged: bool,
        closing: &Closing<'_>,
        read: &mut ReadPayload<'_, E>,
        tally: &mut GroupTally,
    ) -> Result<Decision, E> {
        tally.duplicate_conversations += rows.len() as u64 - 1;
        if is_damaged {
            // Whichever it is, it is not taken.
            rows.truncate(1);
            return Ok(Err(Fault::Damaged));
        }
        let winner = self.pick_conversation(rows, closing, read)?;
        *rows = vec![winner];
        let winner = &self.rows[winner as usize];
        Ok(Ok((u64::from(winner.turns()), winner.is_prevalidated())))
    }

    /// Reduces rows to the last word on each turn, in the order of turns. The last word is chosen
    /// among all of them, whatever their mode; then those that are outside say whether the
    /// conversation is cut. `None` if no turn is inside: it is no conversation.
    fn decide_turns<E: From<JsonError>>(
        &self,
        rows: &mut Vec<u32>,
        is_damaged: bool,
        closing: &Closing<'_>,
        read: &mut ReadPayload<'_, E>,
        tally: &mut GroupTally,
    ) -> Result<Option<Decision>, E> {
        let outside = |row: u32| self.rows[row as usize].outside();
        if closing.keep_cut {
            rows.retain(|&row| match outside(row) {
                Some(reason) => {
                    tally.filter(reason, 1);
                    false
                }
                None => true,
            });
        }
        let deliveries = rows.len();
        let by_reason = self.pick_turns(rows, closing, read)?;
        if rows.iter().all(|&row| outside(row).is_some()) {
            for (reason, deliveries) in by_reason {
                tally.filter(reason, deliveries);
            }
            return Ok(None);
        }
        tally.duplicate_turns += (deliveries - rows.len()) as u64;
        let is_cut = |reason| by_reason.contains_key(&reason);
        let mut turns = rows.iter().map(|&row| self.turns[row as usize].turn);
        Ok(Some(if is_damaged {
            Err(Fault::Damaged)
        } else if is_cut(FilterReason::Mode) {
            Err(Fault::CutByMode)
        } else if is_cut(FilterReason::Window) {
            Err(Fault::CutByWindow)
        } else if !turns.clone().eq(1..=rows.len() as i64) {
            if let Some(first) = turns.next() {
                tally.begins_at(first, 1);
            }
            Err(Fault::Incomplete)
        } else {
            Ok((rows.len() as u64, false))
        }))
    }

    /// Whether an assembled conversation would be larger than a record may be. Rows of
    /// conversations were measured when they were read.
    fn is_too_large<E: From<JsonError>>(
        &self,
        id: &[u8],
        rows: &[Position],
        closing: &Closing<'_>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<bool, E> {
        if self.shape == Some(RowShape::Conversations) {
            return Ok(false);
        }
        let lengths: u64 = rows.iter().map(|row| u64::from(row.length)).sum();
        let growth = GROWTH_PER_TURN * (rows.len() as u64 + 1);
        let bucket = closing.selection.bucket_of(rows.len() as u64);
        let names = id.len() + bucket.map_or(0, |bucket| bucket.name.len());
        if lengths + growth + names as u64 <= closing.max_record {
            return Ok(false);
        }
        let payloads = rows.iter().map(|row| {
            let mut payload = Vec::new();
            read(row, &mut payload)?;
            Ok(Cow::Owned(payload))
        });
        let id = String::from_utf8_lossy(id);
        let length = closing.assembler.length_of_turns::<E>(&id, payloads)?;
        Ok(length > closing.max_record)
    }
}

#[cfg(test)]
mod tests;
