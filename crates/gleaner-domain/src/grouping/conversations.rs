//! Conversations by their id: each with a number, and the first of a chain of rows.
//!
//! Memory: for each conversation 16 bytes, its id, and up to 17 for finding it.

use std::collections::BTreeSet;

use hashbrown::HashTable;

use super::segmented_vec::{ByteArena, SegmentedVec, Span};
use crate::selection::kusto_hash;

/// No further row.
pub(super) const END: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Conversation {
    id: Span,
    head: u32,
}

/// The conversations of an index, numbered in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    ids: ByteArena,
    all: SegmentedVec<Conversation>,
    by_id: HashTable<u32>,
    /// Those that a malformed row names.
    damaged: BTreeSet<u32>,
}

impl Conversations {
    /// How many there are.
    pub fn len(&self) -> u32 {
        self.all.len() as u32
    }

    /// The number of an id, whose `hash` is given; a new one if it is new.
    ///
    /// # Panics
    /// After 4 billion conversations.
    pub fn number(&mut self, id: &[u8], hash: i64) -> u32 {
        let (ids, all) = (&self.ids, &self.all);
        let same = |&number: &u32| ids.get(all[number as usize].id) == id;
        if let Some(&number) = self.by_id.find(hash as u64, same) {
            return number;
        }
        let number = next_number(all.len());
        let id = self.ids.push(id);
        self.all.push(Conversation { id, head: END });
        let (ids, all) = (&self.ids, &self.all);
        self.by_id.insert_unique(hash as u64, number, |&number| {
            kusto_hash::hash(ids.get(all[number as usize].id)) as u64
        });
        number
    }

    /// Its id, decoded.
    pub fn id(&self, number: u32) -> &[u8] {
        self.ids.get(self.all[number as usize].id)
    }

    /// The first of its rows, or [`END`].
    pub fn head(&self, number: u32) -> u32 {
        self.all[number as usize].head
    }

    /// Puts a row before the others.
    pub fn set_head(&mut self, number: u32, row: u32) {
        self.all[number as usize].head = row;
    }

    /// Notes that a malformed row names this id, whose `hash` is given.
    pub fn damage(&mut self, id: &[u8], hash: i64) {
        let number = self.number(id, hash);
        self.damaged.insert(number);
    }

    /// Whether a malformed row names it.
    pub fn is_damaged(&self, number: u32) -> bool {
        self.damaged.contains(&number)
    }

    /// The ids that malformed rows name.
    pub fn damaged_ids(&self) -> impl Iterator<Item = &[u8]> {
        self.damaged.iter().map(|&number| self.id(number))
    }
}

/// The number of what is added to so many.
///
/// # Panics
/// If it were [`END`] or more.
pub(super) fn next_number(len: usize) -> u32 {
    u32::try_from(len)
        .ok()
        .filter(|&number| number != END)
        .expect("fewer than 2^32 rows")
}

/// The rows of a chain from its head on; `next` says which follows.
pub(super) fn chain(head: u32, next: impl Fn(u32) -> u32) -> impl Iterator<Item = u32> {
    let row = |at: u32| (at != END).then_some(at);
    std::iter::successors(row(head), move |&at| row(next(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_takes_16_bytes_beside_its_id() {
        assert_eq!(size_of::<Conversation>(), 16);
    }

    #[test]
    fn ids_keep_their_number_and_rows_are_chained_backwards() {
        let mut conversations = Conversations::default();
        let next = [END, END, 0];
        for (row, (id, number)) in [("a", 0), ("b", 1), ("a", 0)].into_iter().enumerate() {
            let id = id.as_bytes();
            assert_eq!(conversations.number(id, kusto_hash::hash(id)), number);
            assert_eq!(conversations.head(number), next[row]);
            conversations.set_head(number, row as u32);
        }
        // Two ids of one hash are two conversations.
        assert_eq!(conversations.number(b"c", kusto_hash::hash(b"a")), 2);
        assert_eq!(conversations.len(), 3);
        assert_eq!(conversations.id(1), b"b");
        let rows = chain(conversations.head(0), |row| next[row as usize]);
        assert_eq!(rows.collect::<Vec<_>>(), [2, 0]);
        conversations.damage(b"b", kusto_hash::hash(b"b"));
        assert!(conversations.is_damaged(1) && !conversations.is_damaged(0));
        assert!(conversations.damaged_ids().eq([b"b"]));
    }
}
