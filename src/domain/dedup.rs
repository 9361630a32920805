//! One conversation per id: grouping and deduplication on headers alone.
//!
//! The index holds headers, never text: 32 bytes a row (48 for events), 16 bytes and the id a
//! conversation, and up to 12 bytes for finding the id. Rows come in any order; the outcome does
//! not depend on it. Only ties look at payloads, through a reader that is passed in.

use std::borrow::Cow;
use std::ops::Range;

use hashbrown::HashTable;
use sha2::{Digest, Sha256};

use super::header::{HeaderBatch, Position};
use super::json::JsonError;
use super::kusto_hash;
use super::record::{Assembler, TurnTieKey};
use super::row::RowShape;
use super::segmented_vec::{ByteArena, SegmentedVec, Span};
use super::stratum::Selection;
use super::timestamp::Ticks;

/// No further row of a conversation.
const END: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct StoredRow {
    offset: u64,
    checksum: u64,
    length: u32,
    store: u32,
    /// A conversation's number of turns, doubled, and 1 if it is prevalidated: a row keeps its 32 bytes.
    turns_and_prevalidated: u32,
    /// The next row of the same conversation, or [`END`].
    next: u32,
}

impl StoredRow {
    fn turns(&self) -> u32 {
        self.turns_and_prevalidated >> 1
    }

    fn is_prevalidated(&self) -> bool {
        self.turns_and_prevalidated & 1 == 1
    }
}

/// What only events have.
#[derive(Debug, Clone, Copy)]
struct StoredEvent {
    turn: i64,
    at: Ticks,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    id: Span,
    head: u32,
}

/// All rows seen so far, grouped by conversation.
#[derive(Debug)]
pub struct Index {
    shape: RowShape,
    ids: ByteArena,
    groups: SegmentedVec<Group>,
    rows: SegmentedVec<StoredRow>,
    events: SegmentedVec<StoredEvent>,
    by_id: HashTable<u32>,
    /// Conversation rows that lost against one with more turns.
    shorter_duplicates: u64,
}

/// A conversation that came out of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation<'a> {
    /// Its id, decoded.
    pub id: &'a [u8],
    /// How many turns it has.
    pub turns: u64,
    /// Its rows in the order of turns, or its one row.
    pub rows: &'a [Position],
    /// Whether its one row was found prevalidated when it was read.
    pub prevalidated: bool,
}

/// What became of the rows of some conversations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupTally {
    /// Re-delivered turns that were not the last word.
    pub collapsed: u64,
    /// Conversation rows that lost against another of the same id.
    pub duplicates: u64,
    /// Rows that make up the conversations.
    pub kept_rows: u64,
    /// Conversations, incomplete ones included.
    pub conversations: u64,
    /// Those that do not begin at turn 1 or have gaps.
    pub incomplete: u64,
    /// Rows of conversations that would be larger than `limits.max_record`.
    pub too_large: Vec<Position>,
}

impl GroupTally {
    /// Adds the tally of other conversations.
    pub fn add(&mut self, other: Self) {
        self.collapsed += other.collapsed;
        self.duplicates += other.duplicates;
        self.kept_rows += other.kept_rows;
        self.conversations += other.conversations;
        self.incomplete += other.incomplete;
        self.too_large.extend(other.too_large);
    }
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
}

/// An assembled record is at most this much longer than the rows of its turns, per turn: the
/// names and nulls of fields that a row may lack.
const GROWTH_PER_TURN: u64 = 256;

impl Index {
    /// An empty index for rows of one shape.
    pub fn new(shape: RowShape) -> Self {
        Self {
            shape,
            ids: ByteArena::default(),
            groups: SegmentedVec::default(),
            rows: SegmentedVec::default(),
            events: SegmentedVec::default(),
            by_id: HashTable::new(),
            shorter_duplicates: 0,
        }
    }

    /// The shape of its rows.
    pub fn shape(&self) -> RowShape {
        self.shape
    }

    /// How many conversations there are: the bound of [`Self::close`]'s range.
    pub fn conversations(&self) -> u32 {
        self.groups.len() as u32
    }

    /// Conversation rows that lost because another row of the same id has more turns. (Those that
    /// lose a tie are found by [`Self::close`].)
    pub fn shorter_duplicates(&self) -> u64 {
        self.shorter_duplicates
    }

    /// Takes the headers of some rows.
    ///
    /// # Panics
    /// If the batch is of another shape, or after 4 billion rows.
    pub fn observe(&mut self, batch: &HeaderBatch) {
        assert_eq!(batch.shape, self.shape, "shapes are told apart before");
        for (id, header) in batch.iter() {
            let row = u32::try_from(self.rows.len()).expect("fewer than 2^32 rows");
            let group = self.group_of(id, header.id_hash);
            let head = self.groups[group as usize].head;
            let turns = match self.shape {
                RowShape::Events => 0,
                // A row of 4 GiB has fewer than 2^31 turns.
                RowShape::Conversations => header.turn as u32,
            };
            let mut next = head;
            if self.shape == RowShape::Conversations && head != END {
                // All rows in a chain have equally many turns: the most so far.
                let most = self.rows[head as usize].turns();
                if turns < most {
                    self.shorter_duplicates += 1;
                    continue;
                }
                if turns > most {
                    self.shorter_duplicates += self.chain(head).count() as u64;
                    next = END;
                }
            }
            self.rows.push(StoredRow {
                offset: header.position.offset,
                checksum: header.position.checksum,
                length: header.position.length,
                store: header.position.store,
                turns_and_prevalidated: turns << 1 | u32::from(header.prevalidated),
                next,
            });
            if self.shape == RowShape::Events {
                self.events.push(StoredEvent {
                    turn: header.turn,
                    at: header.at,
                });
            }
            self.groups[group as usize].head = row;
        }
    }

    fn group_of(&mut self, id: &[u8], hash: i64) -> u32 {
        let (ids, groups) = (&self.ids, &self.groups);
        let same = |&group: &u32| ids.get(groups[group as usize].id) == id;
        if let Some(&group) = self.by_id.find(hash as u64, same) {
            return group;
        }
        let group = self.groups.len() as u32;
        let id = self.ids.push(id);
        self.groups.push(Group { id, head: END });
        let (ids, groups) = (&self.ids, &self.groups);
        self.by_id.insert_unique(hash as u64, group, |&group| {
            kusto_hash::hash(ids.get(groups[group as usize].id)) as u64
        });
        group
    }

    fn chain(&self, head: u32) -> impl Iterator<Item = u32> + '_ {
        let row = |at: u32| (at != END).then_some(at);
        std::iter::successors(row(head), move |&at| row(self.rows[at as usize].next))
    }

    fn position(&self, row: u32) -> Position {
        let row = &self.rows[row as usize];
        Position {
            store: row.store,
            length: row.length,
            offset: row.offset,
            checksum: row.checksum,
        }
    }

    /// Decides the conversations of a range, once all rows are in: who wins, who is complete.
    /// `emit` gets the complete ones. The order means nothing.
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
        for group in range {
            let group = &self.groups[group as usize];
            rows.clear();
            rows.extend(self.chain(group.head));
            positions.clear();
            let mut prevalidated = false;
            let turns = match self.shape {
                RowShape::Conversations => {
                    let winner = self.pick_conversation(&rows, read)?;
                    tally.duplicates += rows.len() as u64 - 1;
                    positions.push(self.position(winner));
                    let winner = &self.rows[winner as usize];
                    prevalidated = winner.is_prevalidated();
                    Some(u64::from(winner.turns()))
                }
                RowShape::Events => {
                    let complete = self.pick_turns(&mut rows, closing.selection, read)?;
                    tally.collapsed += self.chain(group.head).count() as u64 - rows.len() as u64;
                    positions.extend(rows.iter().map(|&row| self.position(row)));
                    complete.then_some(rows.len() as u64)
                }
            };
            let id = self.ids.get(group.id);
            if turns.is_some() && self.is_too_large(id, &positions, closing, read)? {
                tally.too_large.extend_from_slice(&positions);
                continue;
            }
            tally.kept_rows += positions.len() as u64;
            tally.conversations += 1;
            match turns {
                Some(turns) => emit(Conversation {
                    id,
                    turns,
                    rows: &positions,
                    prevalidated,
                }),
                None => tally.incomplete += 1,
            }
        }
        Ok(tally)
    }

    /// Of conversation rows with equally many turns, the one with the smaller SHA-256.
    fn pick_conversation<E>(&self, rows: &[u32], read: &mut ReadPayload<'_, E>) -> Result<u32, E> {
        if let [only] = rows {
            return Ok(*only);
        }
        let mut payload = Vec::new();
        let mut best: Option<([u8; 32], u32)> = None;
        for &row in rows {
            let digest = self.digest(row, &mut payload, read)?;
            if best.is_none_or(|(smallest, _)| digest < smallest) {
                best = Some((digest, row));
            }
        }
        Ok(best.map_or(END, |(_, row)| row))
    }

    /// Reduces event rows to the last word on each turn, in the order of turns. Says whether the
    /// conversation is complete: turns 1 to n, without gaps.
    fn pick_turns<E: From<JsonError>>(
        &self,
        rows: &mut Vec<u32>,
        selection: &Selection,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<bool, E> {
        let event = |row: u32| self.events[row as usize];
        // Of a turn the latest first.
        rows.sort_unstable_by_key(|&row| (event(row).turn, std::cmp::Reverse(event(row).at)));
        let mut kept = 0;
        let mut at = 0;
        while at < rows.len() {
            let first = event(rows[at]);
            let of_turn = rows[at..]
                .iter()
                .take_while(|&&row| event(row).turn == first.turn)
                .count();
            let tied = rows[at..at + of_turn]
                .iter()
                .take_while(|&&row| event(row).at == first.at)
                .count();
            let winner = self.pick_event(&rows[at..at + tied], selection, read)?;
            rows[kept] = winner;
            kept += 1;
            at += of_turn;
        }
        rows.truncate(kept);
        let begins = rows.first().is_some_and(|&row| event(row).turn == 1);
        let ends = rows
            .last()
            .is_some_and(|&row| event(row).turn == kept as i64);
        Ok(begins && ends)
    }

    /// Of rows of one turn with equal timestamps, the one with the smaller key.
    fn pick_event<E: From<JsonError>>(
        &self,
        tied: &[u32],
        selection: &Selection,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<u32, E> {
        if let [only] = tied {
            return Ok(*only);
        }
        let mut payload = Vec::new();
        if self.are_equal(tied, &mut payload, read)? {
            return Ok(tied[0]);
        }
        let mut best: Option<(TurnTieKey, u32)> = None;
        for &row in tied {
            payload.clear();
            read(&self.position(row), &mut payload)?;
            let key = TurnTieKey::of_event(&payload, selection)?;
            if best.is_none_or(|(smallest, _)| key < smallest) {
                best = Some((key, row));
            }
        }
        Ok(best.map_or(END, |(_, row)| row))
    }

    /// The SHA-256 of a row's bytes, which are left in the buffer.
    fn digest<E>(
        &self,
        row: u32,
        payload: &mut Vec<u8>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<[u8; 32], E> {
        payload.clear();
        read(&self.position(row), payload)?;
        Ok(Sha256::digest(&payload).into())
    }

    /// Whether rows have the same bytes, as re-deliveries mostly have. Holds one at a time.
    fn are_equal<E>(
        &self,
        rows: &[u32],
        payload: &mut Vec<u8>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<bool, E> {
        let summary = |&row: &u32| (self.position(row).length, self.position(row).checksum);
        if rows.iter().any(|row| summary(row) != summary(&rows[0])) {
            return Ok(false);
        }
        let mut first: Option<[u8; 32]> = None;
        for &row in rows {
            let digest = self.digest(row, payload, read)?;
            if *first.get_or_insert(digest) != digest {
                return Ok(false);
            }
        }
        Ok(true)
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
        if self.shape == RowShape::Conversations {
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
        let length = closing.assembler.length_of_events::<E>(&id, payloads)?;
        Ok(length > closing.max_record)
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::Header;
    use super::super::record::Nested;
    use super::super::row::{self, RowKind};
    use super::super::stratum::tests::selection;
    use super::super::stratum::{Bucket, Split};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Indexes rows that lie in a list, and closes: what came out by id, and the tally.
    fn outcome(
        rows: &[String],
        max_record: u64,
    ) -> (BTreeMap<String, Vec<String>>, GroupTally, u64) {
        outcome_in(&selection(1), rows, max_record)
    }

    fn outcome_in(
        selection: &Selection,
        rows: &[String],
        max_record: u64,
    ) -> (BTreeMap<String, Vec<String>>, GroupTally, u64) {
        let shape = match row::read(rows[0].as_bytes(), selection).expect("good").kind {
            RowKind::Event { .. } => RowShape::Events,
            _ => RowShape::Conversations,
        };
        let mut batch = HeaderBatch::new(shape);
        for (at, text) in rows.iter().enumerate() {
            let row = row::read(text.as_bytes(), selection).expect("good");
            let (turn, at_ticks) = match row.kind {
                RowKind::Event { turn, at, .. } => (turn, at),
                RowKind::Conversation { turns, .. } | RowKind::Census { turns, .. } => {
                    (i64::from(turns), 0)
                }
            };
            let position = Position {
                store: 0,
                length: text.len() as u32,
                offset: at as u64,
                checksum: 0,
            };
            let header = Header {
                id_length: 0,
                id_hash: kusto_hash::hash(&row.id),
                turn,
                at: at_ticks,
                prevalidated: false,
                position,
            };
            batch.push(&row.id, header);
        }
        let mut index = Index::new(shape);
        index.observe(&batch);
        let closing = Closing {
            assembler: Assembler::new(selection, Nested::AsIs),
            selection,
            max_record,
        };
        let mut found = BTreeMap::new();
        let mut read = |position: &Position, out: &mut Vec<u8>| -> Result<(), JsonError> {
            out.extend_from_slice(rows[position.offset as usize].as_bytes());
            Ok(())
        };
        let mut emit = |conversation: Conversation<'_>| {
            let id = String::from_utf8(conversation.id.to_vec()).expect("UTF-8");
            let texts = conversation
                .rows
                .iter()
                .map(|p| rows[p.offset as usize].clone())
                .collect();
            assert_eq!(found.insert(id, texts), None, "each id once");
        };
        let tally = index
            .close(0..index.conversations(), &closing, &mut read, &mut emit)
            .expect("good");
        (found, tally, index.shorter_duplicates())
    }

    fn event(id: u8, turn: i64, second: u8, text: u8) -> String {
        format!(
            r#"{{"Timestamp":"2025-01-01T00:00:{second:02}Z","conversationId":"c{id}","mode":"agent","turnIndex":{turn},"userMessage":"t{text}"}}"#
        )
    }

    fn conversation(id: u8, turns: usize, text: u8) -> String {
        let turns = vec!["{}"; turns].join(",");
        format!(r#"{{"conversationId":"c{id}","turnsArray":[{turns}],"x":{text}}}"#)
    }

    proptest! {
        #[test]
        fn events_group_the_same_in_any_order(
            events in prop::collection::vec((0u8..4, 1i64..5, 0u8..3, 0u8..3), 1..40),
            turn in 0usize..40,
        ) {
            let mut rows: Vec<_> = events.iter().map(|&(i, t, s, x)| event(i, t, s, x)).collect();
            let first = outcome(&rows, u64::MAX);
            let at = turn % rows.len();
            rows.rotate_left(at);
            rows.reverse();
            prop_assert_eq!(&outcome(&rows, u64::MAX), &first);
            // The plain reading: the latest of each turn, the smaller key on ties.
            let mut best: BTreeMap<(u8, i64), (u8, TurnTieKey, String)> = BTreeMap::new();
            for &(id, turn, second, text) in &events {
                let row = event(id, turn, second, text);
                let key = TurnTieKey::of_event(row.as_bytes(), &selection(1)).expect("good");
                let better = best.get(&(id, turn)).is_none_or(|(s, k, _)| second > *s || second == *s && key < *k);
                if better {
                    best.insert((id, turn), (second, key, row));
                }
            }
            let (found, tally, _) = first;
            prop_assert_eq!(tally.kept_rows, best.len() as u64);
            prop_assert_eq!(tally.collapsed, (events.len() - best.len()) as u64);
            for id in 0..4 {
                let rows: Vec<_> = best.range((id, i64::MIN)..=(id, i64::MAX)).collect();
                let complete = !rows.is_empty() && rows.iter().zip(1..).all(|((key, _), place)| key.1 == place);
                let expected = complete.then(|| rows.iter().map(|(_, v)| v.2.clone()).collect::<Vec<_>>());
                prop_assert_eq!(found.get(&format!("c{id}")), expected.as_ref());
            }
        }

        #[test]
        fn the_conversation_with_most_turns_wins_in_any_order(
            given in prop::collection::vec((0u8..4, 0usize..4, 0u8..3), 1..40),
            turn in 0usize..40,
        ) {
            let mut rows: Vec<_> = given.iter().map(|&(i, n, x)| conversation(i, n, x)).collect();
            let (found, tally, shorter_duplicates) = outcome(&rows, u64::MAX);
            let at = turn % rows.len();
            rows.rotate_left(at);
            rows.reverse();
            prop_assert_eq!(&outcome(&rows, u64::MAX).0, &found);
            prop_assert_eq!(shorter_duplicates + tally.duplicates + tally.kept_rows, rows.len() as u64);
            for id in 0..4 {
                let winner = given
                    .iter()
                    .filter(|row| row.0 == id)
                    .map(|&(id, turns, text)| conversation(id, turns, text))
                    .min_by_key(|row| {
                        let turns = row.matches("{}").count();
                        (std::cmp::Reverse(turns), <[u8; 32]>::from(Sha256::digest(row)))
                    });
                prop_assert_eq!(found.get(&format!("c{id}")).map(|rows| &rows[0]), winner.as_ref());
            }
        }
    }

    #[test]
    fn a_conversation_that_would_be_too_large_is_left_out_and_counted() {
        let rows = [event(1, 1, 0, 0), event(1, 2, 0, 0), event(2, 1, 0, 0)];
        let (found, tally, _) = outcome(&rows, 350);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["c2"]);
        assert_eq!(
            (tally.too_large.len(), tally.kept_rows, tally.conversations),
            (2, 1, 1)
        );
    }

    #[test]
    fn the_largest_conversation_that_fits_is_kept() {
        let selection = selection(1);
        let assembler = Assembler::new(&selection, Nested::AsIs);
        for (id, turns) in [("c1", 1), ("c1", 3), (&*"c".repeat(900), 1)] {
            let rows = (1..=turns).map(|turn| event(1, turn, 0, 0).replace("c1", id));
            let rows: Vec<String> = rows.collect();
            let payloads = rows.iter().map(|row| Ok(Cow::Borrowed(row.as_bytes())));
            let length = assembler.length_of_events::<JsonError>(id, payloads);
            let length = length.expect("good");
            assert_eq!(outcome(&rows, length).0.len(), 1, "{id}");
            assert_eq!(outcome(&rows, length - 1).0.len(), 0, "{id}");
        }
    }

    #[test]
    fn tallies_add_up() {
        let tally = GroupTally {
            collapsed: 2,
            duplicates: 3,
            kept_rows: 4,
            conversations: 5,
            incomplete: 6,
            too_large: Vec::new(),
        };
        let mut sum = GroupTally::default();
        sum.add(tally.clone());
        assert_eq!(sum, tally);
        sum.add(tally);
        let counts = [
            sum.collapsed,
            sum.duplicates,
            sum.kept_rows,
            sum.conversations,
            sum.incomplete,
        ];
        assert_eq!(counts, [4, 6, 8, 10, 12]);
    }

    #[test]
    fn a_row_keeps_its_turns_and_whether_it_is_flawless() {
        for (turns, prevalidated) in [(0, false), (0, true), (7, false), (7, true)] {
            let row = StoredRow {
                offset: 0,
                checksum: 0,
                length: 0,
                store: 0,
                turns_and_prevalidated: turns << 1 | u32::from(prevalidated),
                next: END,
            };
            assert_eq!((row.turns(), row.is_prevalidated()), (turns, prevalidated));
        }
    }

    #[test]
    fn a_conversation_with_a_gap_or_without_a_beginning_is_incomplete() {
        let rows = [
            event(1, 1, 0, 0),
            event(1, 3, 0, 0),
            event(2, 2, 0, 0),
            event(3, 1, 0, 0),
        ];
        let (found, tally, _) = outcome(&rows, u64::MAX);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["c3"]);
        assert_eq!(
            (tally.incomplete, tally.conversations, tally.kept_rows),
            (2, 3, 4)
        );
    }

    #[test]
    fn many_short_turns_are_measured_and_not_estimated_too_small() {
        // Each row lacks nearly every field of a turn, so the record is much longer than the rows.
        let row = |turn: i64| {
            format!(
                r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c","turnIndex":{turn}}}"#
            )
        };
        let rows: Vec<String> = (1..=20).map(row).collect();
        let selection = selection(1);
        let payloads = rows.iter().map(|row| Ok(Cow::Borrowed(row.as_bytes())));
        let length = Assembler::new(&selection, Nested::AsIs)
            .length_of_events::<JsonError>("c", payloads)
            .expect("good");
        assert_eq!(outcome(&rows, length).0.len(), 1);
        assert_eq!(outcome(&rows, length - 1).0.len(), 0);
    }

    #[test]
    fn the_name_of_the_bucket_counts_too() {
        let split = Split {
            name: "train".to_owned(),
            percent: 100,
        };
        let bucket = Bucket {
            name: "b".repeat(2000),
            turns: [1, 20],
            file: "b".to_owned(),
        };
        let targets = [(split.name.clone(), bucket.name.clone(), 1)];
        let selection =
            Selection::new("s", 0.0, vec![split], vec![bucket], &targets).expect("valid");
        let rows = [event(1, 1, 0, 0)];
        let found = |max_record| outcome_in(&selection, &rows, max_record).0.len();
        assert_eq!((found(2000), found(4000)), (0, 1));
    }
}
