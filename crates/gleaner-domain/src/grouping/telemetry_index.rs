//! Rows of Copilot Chat telemetry, grouped by conversation, and shared rows by their own id; headers
//! alone.
//!
//! Memory: 72 bytes for a row of a conversation, 48 for a shared row and up to 34 for finding it and
//! those equal to it; and what it takes to find conversations. Rows come in any order; the outcome
//! does not depend on it.

use std::ops::Range;

use hashbrown::HashTable;

use super::conversations::{Conversations, END, chain, next_number};
use super::dedup::{Fault, GroupTally};
use super::segmented_vec::SegmentedVec;
use crate::copilot_chat::header::TelemetryHeader;
use crate::copilot_chat::membership::{
    Membership, MembershipFault, MembershipRules, Outcome, decide,
};
use crate::dataset::accounting::FilterReason;
use crate::record::header::Position;
use crate::selection::group::GroupMark;
use crate::selection::kusto_hash;

#[derive(Debug, Clone, Copy)]
struct StoredRow {
    header: TelemetryHeader,
    position: Position,
    /// The next row of the same conversation, or [`END`].
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct SharedRow {
    /// `hash` of its id.
    id: i64,
    content: u64,
    position: Position,
    /// The next row of the same id, or [`END`].
    next: u32,
}

/// All rows seen so far.
#[derive(Debug, Default)]
pub struct TelemetryIndex {
    conversations: Conversations,
    rows: SegmentedVec<StoredRow>,
    shared: SegmentedVec<SharedRow>,
    /// The head of each chain of shared rows, by the hash of their id.
    shared_by_id: HashTable<u32>,
    /// Every shared row, by its id and content.
    shared_by_content: HashTable<u32>,
    /// Shared rows that are equal to another.
    shared_duplicates: u64,
}

/// A conversation that came out of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelemetryConversation<'a> {
    /// Its number, for [`TelemetryIndex::rows_of`].
    pub number: u32,
    /// Its id, decoded.
    pub id: &'a [u8],
    /// Number of turns.
    pub turns: u64,
    /// Bytes of its rows, without shared ones.
    pub bytes: u64,
    /// Its group: that of the first turn that says one.
    pub group: GroupMark,
}

impl TelemetryIndex {
    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.shared.is_empty()
    }

    /// How many conversations there are: the bound of [`Self::close`]'s range.
    pub fn conversations(&self) -> u32 {
        self.conversations.len()
    }

    /// The id of a conversation, decoded.
    pub fn id(&self, number: u32) -> &[u8] {
        self.conversations.id(number)
    }

    /// What became of the shared rows.
    pub fn shared_tally(&self) -> GroupTally {
        GroupTally {
            shared_rows: self.shared.len() as u64,
            duplicate_rows: self.shared_duplicates,
            ..GroupTally::default()
        }
    }

    /// Takes the header of a row of a conversation, or of a shared row; `hash` is its id's.
    ///
    /// # Panics
    /// After 4 billion rows.
    pub fn observe(&mut self, id: &[u8], hash: i64, header: &TelemetryHeader, at: &Position) {
        if header.event.is_shared() {
            return self.observe_shared(hash, header.content, at);
        }
        let row = next_number(self.rows.len());
        let number = self.conversations.number(id, hash);
        self.rows.push(StoredRow {
            header: *header,
            position: *at,
            next: self.conversations.head(number),
        });
        self.conversations.set_head(number, row);
    }

    /// Notes that a malformed row names this conversation.
    pub fn observe_malformed(&mut self, id: &[u8], hash: i64) {
        self.conversations.damage(id, hash);
    }

    fn observe_shared(&mut self, id: i64, content: u64, at: &Position) {
        let rows = &self.shared;
        let key = content_key(id, content);
        let same = |&row: &u32| {
            let row = &rows[row as usize];
            (row.id, row.content) == (id, content)
        };
        if self.shared_by_content.find(key, same).is_some() {
            self.shared_duplicates += 1;
            return;
        }
        let row = next_number(rows.len());
        let of_id = |&row: &u32| rows[row as usize].id == id;
        let head = self.shared_by_id.find_mut(id as u64, of_id);
        let next = head.map(|head| std::mem::replace(head, row));
        self.shared.push(SharedRow {
            id,
            content,
            position: *at,
            next: next.unwrap_or(END),
        });
        let rows = &self.shared;
        if next.is_none() {
            let hash_of = |&row: &u32| rows[row as usize].id as u64;
            self.shared_by_id.insert_unique(id as u64, row, hash_of);
        }
        self.shared_by_content.insert_unique(key, row, |&row| {
            let row = &rows[row as usize];
            content_key(row.id, row.content)
        });
    }

    /// The headers of a conversation's rows and where these lie, in an order that does not depend
    /// on that of their arrival but for equal rows.
    fn rows_in_order(&self, number: u32) -> (Vec<TelemetryHeader>, Vec<Position>) {
        let head = self.conversations.head(number);
        let mut rows: Vec<_> = chain(head, |row| self.rows[row as usize].next)
            .map(|row| &self.rows[row as usize])
            .map(|row| (row.header, row.position))
            .collect();
        rows.sort_unstable_by_key(|(header, _)| *header);
        rows.into_iter().unzip()
    }

    /// Decides the conversations of a range, once all rows are in. `emit` gets the whole ones. The
    /// order means nothing.
    pub fn close(
        &self,
        range: Range<u32>,
        rules: &MembershipRules,
        emit: &mut dyn FnMut(TelemetryConversation<'_>),
    ) -> GroupTally {
        let mut tally = GroupTally::default();
        for number in range {
            let (headers, positions) = self.rows_in_order(number);
            if headers.is_empty() {
                // All that is left of it are rows that cannot be read.
                tally.fault(Fault::Damaged);
                continue;
            }
            let membership = decide(&headers, rules);
            let outcome = self.count(number, &membership, &mut tally);
            if let Some(turns) = outcome {
                let rows = membership.rows.iter();
                let bytes = rows.map(|&row| u64::from(positions[row as usize].length));
                emit(TelemetryConversation {
                    number,
                    id: self.conversations.id(number),
                    turns: u64::from(turns),
                    bytes: bytes.sum(),
                    group: membership.group(&headers),
                });
            }
        }
        tally
    }

    /// Counts what became of the rows of an id; how many turns it has if it is a whole conversation.
    fn count(&self, number: u32, membership: &Membership, tally: &mut GroupTally) -> Option<u32> {
        tally.duplicate_rows += membership.duplicate_rows;
        tally.filter(FilterReason::Window, membership.rows_outside);
        if let Outcome::Filtered(reason) = membership.outcome {
            tally.filter(reason, membership.kept_rows);
            return None;
        }
        tally.kept_rows += membership.kept_rows;
        tally.superseded_turns += membership.superseded_turns;
        let fault = match membership.outcome {
            _ if self.conversations.is_damaged(number) => Fault::Damaged,
            Outcome::Faulty(MembershipFault::TurnConflict) => Fault::Damaged,
            Outcome::Faulty(MembershipFault::CutByMode) => Fault::CutByMode,
            Outcome::Faulty(MembershipFault::CutByWindow) => Fault::CutByWindow,
            Outcome::Faulty(MembershipFault::Incomplete { first }) => {
                tally.begins_at(i64::from(first), 1);
                Fault::Incomplete
            }
            Outcome::Complete { turns } => {
                tally.conversations += 1;
                return Some(turns);
            }
            Outcome::Filtered(_) => return None,
        };
        tally.fault(fault);
        None
    }

    /// Where the rows lie that a whole conversation's record is made of, shared ones apart, in the
    /// order of their headers; of equal rows one.
    pub fn rows_of(&self, number: u32, rules: &MembershipRules) -> Vec<Position> {
        let (headers, positions) = self.rows_in_order(number);
        let membership = decide(&headers, rules);
        let rows = membership.rows.iter();
        rows.map(|&row| positions[row as usize]).collect()
    }

    /// Where all shared rows lie, of equal rows one, in no order.
    pub fn shared_rows(&self) -> impl Iterator<Item = Position> + '_ {
        (0..self.shared.len()).map(|row| self.shared[row].position)
    }

    /// Where the shared rows of an id lie, of equal rows one, in no order. Ids that share a hash
    /// share their rows.
    pub fn shared_of(&self, id: &[u8]) -> impl Iterator<Item = Position> + '_ {
        let hash = kusto_hash::hash(id);
        let same = |&row: &u32| self.shared[row as usize].id == hash;
        let head = self.shared_by_id.find(hash as u64, same);
        let head = head.copied().unwrap_or(END);
        let rows = chain(head, |row| self.shared[row as usize].next);
        rows.map(|row| self.shared[row as usize].position)
    }
}

/// For finding equal shared rows.
fn content_key(id: i64, content: u64) -> u64 {
    // A content hash is spread over all bits; most ids have one content.
    (id as u64).rotate_left(32) ^ content
}

#[cfg(test)]
mod tests;
