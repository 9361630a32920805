use std::cmp::Reverse;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::record::assembler::{Nested, TurnTieKey};
use crate::record::header::Header;
use crate::record::row;
use crate::record::row::RowKind;
use crate::selection::stratum::fixtures::selection;
use crate::selection::stratum::{Bucket, Split};
use proptest::prelude::*;

mod groups;

use groups::user_of;

/// What came out: rows by id, the tally, and the rows that had lost before.
type Outcome = (BTreeMap<String, Vec<String>>, GroupTally, u64);

/// Rows to index, with what is known of each.
struct Given {
    rows: Vec<(String, RowFlags)>,
    /// Ids of malformed rows.
    malformed: Vec<String>,
    keep_cut: bool,
    max_record: u64,
}

impl Given {
    fn new(rows: &[String]) -> Self {
        Self {
            rows: rows
                .iter()
                .map(|row| (row.clone(), RowFlags::default()))
                .collect(),
            malformed: Vec::new(),
            keep_cut: false,
            max_record: u64::MAX,
        }
    }

    fn batch(&self, selection: &Selection) -> HeaderBatch {
        let is_turn = |row: &str| {
            let row = row::read(row.as_bytes(), selection).expect("good");
            matches!(row.kind, RowKind::Turn { .. })
        };
        let mut batch = HeaderBatch::new(match self.rows.first() {
            Some((row, _)) if is_turn(row) => RowShape::Turns,
            _ => RowShape::Conversations,
        });
        for (at, (text, flags)) in self.rows.iter().enumerate() {
            let row = row::read(text.as_bytes(), selection).expect("good");
            let (turn, at_ticks) = match row.kind {
                RowKind::Turn { turn, at, .. } => (turn, at),
                RowKind::Conversation { turns, .. } | RowKind::Census { turns, .. } => {
                    (i64::from(turns), 0)
                }
            };
            let header = Header {
                id_length: 0,
                id_hash: kusto_hash::hash(&row.id),
                turn,
                at: at_ticks,
                flags: *flags,
                group: user_of(text),
                position: Position {
                    store: 0,
                    length: text.len() as u32,
                    offset: at as u64,
                    checksum: 0,
                },
            };
            batch.push(&row.id, header);
        }
        batch
    }

    /// Indexes and closes. The malformed rows come first or last.
    fn outcome(&self, selection: &Selection, malformed_first: bool) -> Outcome {
        let mut damage = HeaderBatch::new(RowShape::Conversations);
        let ids = self.malformed.iter();
        ids.for_each(|id| damage.push_malformed(id.as_bytes()));
        let mut batches = [damage, self.batch(selection)];
        if !malformed_first {
            batches.reverse();
        }
        let mut index = Index::default();
        batches.iter().for_each(|batch| index.observe(batch));
        let closing = Closing {
            assembler: Assembler::new(selection, Nested::AsIs),
            selection,
            max_record: self.max_record,
            keep_cut: self.keep_cut,
            trusts_checksums: false,
        };
        let row = |position: &Position| &self.rows[position.offset as usize].0;
        let mut read = |position: &Position, out: &mut Vec<u8>| -> Result<(), JsonError> {
            out.extend_from_slice(row(position).as_bytes());
            Ok(())
        };
        let mut found = BTreeMap::new();
        let mut emit = |conversation: Conversation<'_>| {
            let id = String::from_utf8(conversation.id.to_vec()).expect("UTF-8");
            let texts = conversation.rows.iter().map(|p| row(p).clone()).collect();
            assert_eq!(found.insert(id, texts), None, "each id once");
        };
        let tally = index
            .close(0..index.conversations(), &closing, &mut read, &mut emit)
            .expect("good");
        (found, tally, index.shorter_duplicates())
    }
}

fn outcome(rows: &[String], max_record: u64) -> Outcome {
    outcome_in(&selection(1), rows, max_record)
}

fn outcome_in(selection: &Selection, rows: &[String], max_record: u64) -> Outcome {
    let given = Given {
        max_record,
        ..Given::new(rows)
    };
    given.outcome(selection, true)
}

fn turn_row(id: u8, turn: i64, second: u8, text: u8) -> String {
    turn_row_of(id, turn, second, text, "agent")
}

/// The reply of the text 0 is blank.
fn turn_row_of(id: u8, turn: i64, second: u8, text: u8, mode: &str) -> String {
    let reply = [r" \u2003", "m", "n"][usize::from(text % 3)];
    format!(
        r#"{{"Timestamp":"2025-01-01T00:00:{second:02}Z","conversationId":"c{id}","mode":"{mode}","turnIndex":{turn},"userMessage":"t{text}","modelMessage":"{reply}"}}"#
    )
}

/// A delivery of a turn: conversation, turn, second, text, whether it is of the wanted mode. Its
/// window ends before the second 2.
type Delivery = (u8, i64, u8, u8, bool);

fn outside(&(_, _, second, _, agent): &Delivery) -> Option<FilterReason> {
    match (agent, second) {
        (false, _) => Some(FilterReason::Mode),
        (true, 2..) => Some(FilterReason::Window),
        (true, _) => None,
    }
}

fn row_of(&(id, turn, second, text, agent): &Delivery) -> String {
    turn_row_of(id, turn, second, text, if agent { "agent" } else { "edit" })
}

/// The plain reading of the rules, one conversation after the other.
fn plainly(deliveries: &[Delivery], damaged: &[u8], keep_cut: bool) -> Outcome {
    let (mut found, mut tally) = (BTreeMap::new(), GroupTally::default());
    let filter = |tally: &mut GroupTally, reason, rows| {
        *tally.filtered.entry(reason).or_default() += rows;
    };
    for id in 0..5 {
        let mut turns: BTreeMap<i64, Vec<Delivery>> = BTreeMap::new();
        for delivery in deliveries.iter().filter(|delivery| delivery.0 == id) {
            match outside(delivery).filter(|_| keep_cut) {
                Some(reason) => filter(&mut tally, reason, 1),
                None => turns.entry(delivery.1).or_default().push(*delivery),
            }
        }
        let is_known = deliveries.iter().any(|delivery| delivery.0 == id);
        for deliveries in turns.values_mut() {
            deliveries.sort_by_key(|delivery| {
                let row = row_of(delivery);
                let key = TurnTieKey::of_row(row.as_bytes(), &selection(1)).expect("good");
                (Reverse(delivery.2), delivery.3 % 3 == 0, key, !delivery.4)
            });
        }
        let winners: Vec<_> = turns.values().map(|deliveries| deliveries[0]).collect();
        let is_cut = |reason| winners.iter().any(|winner| outside(winner) == Some(reason));
        if is_known && winners.iter().all(|winner| outside(winner).is_some()) {
            for deliveries in turns.values() {
                let reason = outside(&deliveries[0]).expect("outside");
                filter(&mut tally, reason, deliveries.len() as u64);
            }
            continue;
        }
        let all: usize = turns.values().map(Vec::len).sum();
        tally.duplicate_turns += (all - winners.len()) as u64;
        tally.kept_rows += winners.len() as u64;
        let fault = if damaged.contains(&id) {
            Fault::Damaged
        } else if !is_known {
            continue;
        } else if is_cut(FilterReason::Mode) {
            Fault::CutByMode
        } else if is_cut(FilterReason::Window) {
            Fault::CutByWindow
        } else if !turns.keys().copied().eq(1..=winners.len() as i64) {
            if let Some((&first, _)) = turns.first_key_value().filter(|(first, _)| **first != 1) {
                *tally.first_turns.entry(first).or_default() += 1;
            }
            Fault::Incomplete
        } else {
            tally.conversations += 1;
            found.insert(format!("c{id}"), winners.iter().map(row_of).collect());
            continue;
        };
        tally.conversations += 1;
        *tally.faulty.entry(fault).or_default() += 1;
    }
    (found, tally, 0)
}

/// With another text it has another number of replies.
fn conversation(id: u8, turns: usize, text: u8) -> String {
    let turn = |place| match place < usize::from(text) {
        true => r#"{"modelMessage":"m"}"#,
        false => r#"{"modelMessage":" "}"#,
    };
    let turns = (0..turns).map(turn).collect::<Vec<_>>().join(",");
    format!(r#"{{"conversationId":"c{id}","turnsArray":[{turns}],"x":{text}}}"#)
}

proptest! {
    #[test]
    fn turns_modes_windows_and_damage_are_judged_the_same_in_any_order(
        mut deliveries in prop::collection::vec(
            (0u8..4, 1i64..5, 0u8..3, 0u8..4, prop::bool::weighted(0.9)),
            0..40,
        ),
        damaged in prop::collection::vec(0u8..5, 0..2),
        keep_cut in any::<bool>(),
        turn in 0usize..40,
        malformed_first in any::<bool>(),
    ) {
        let expected = plainly(&deliveries, &damaged, keep_cut);
        let at = turn % deliveries.len().max(1);
        deliveries.rotate_left(at);
        for _ in 0..2 {
            let rows = deliveries.iter().map(|delivery| {
                let flags = RowFlags::default()
                    .with(RowFlags::OTHER_MODE, !delivery.4)
                    .with(RowFlags::OUTSIDE_WINDOW, delivery.2 >= 2);
                (row_of(delivery), flags)
            });
            let given = Given {
                rows: rows.collect(),
                malformed: damaged.iter().map(|id| format!("c{id}")).collect(),
                keep_cut,
                max_record: u64::MAX,
            };
            prop_assert_eq!(&given.outcome(&selection(1), malformed_first), &expected);
            deliveries.reverse();
        }
    }

    #[test]
    fn the_conversation_with_most_turns_wins_in_any_order(
        given in prop::collection::vec((0u8..4, 0usize..4, 0u8..3), 1..40),
        turn in 0usize..40,
        damaged in 0u8..40,
    ) {
        let mut rows: Vec<_> = given.iter().map(|&(i, n, x)| conversation(i, n, x)).collect();
        let outcome = |rows: &[String], malformed_first| {
            let malformed = vec![format!("c{damaged}")];
            let given = Given { malformed, ..Given::new(rows) };
            given.outcome(&selection(1), malformed_first)
        };
        let (found, tally, shorter_duplicates) = outcome(&rows, true);
        let at = turn % rows.len();
        rows.rotate_left(at);
        rows.reverse();
        prop_assert_eq!(&outcome(&rows, false).0, &found);
        let duplicates = shorter_duplicates + tally.duplicate_conversations;
        prop_assert_eq!(duplicates + tally.kept_rows, rows.len() as u64);
        prop_assert_eq!(tally.of_fault(Fault::Damaged), 1, "with or without an intact twin");
        for id in 0..4 {
            let winner = given
                .iter()
                .filter(|row| row.0 == id && id != damaged)
                .map(|&(id, turns, text)| conversation(id, turns, text))
                .min_by_key(|row| {
                    let (turns, replies) = (row.matches("{\"m").count(), row.matches("\"m\"").count());
                    let digest = <[u8; 32]>::from(Sha256::digest(row));
                    (Reverse(turns), Reverse(replies), digest)
                });
            prop_assert_eq!(found.get(&format!("c{id}")).map(|rows| &rows[0]), winner.as_ref());
        }
    }
}

#[test]
fn a_conversation_that_would_be_too_large_is_left_out_and_counted() {
    let rows = [
        turn_row(1, 1, 0, 0),
        turn_row(1, 2, 0, 0),
        turn_row(2, 1, 0, 0),
    ];
    let (found, tally, _) = outcome(&rows, 350);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["c2"]);
    assert_eq!((tally.too_large.len(), tally.kept_rows), (2, 1));
    assert_eq!(
        (tally.of_fault(Fault::Damaged), tally.conversations),
        (1, 2)
    );
}

#[test]
fn the_largest_conversation_that_fits_is_kept() {
    let selection = selection(1);
    let assembler = Assembler::new(&selection, Nested::AsIs);
    for (id, turns) in [("c1", 1), ("c1", 3), (&*"c".repeat(900), 1)] {
        let rows = (1..=turns).map(|turn| turn_row(1, turn, 0, 0).replace("c1", id));
        let rows: Vec<String> = rows.collect();
        let payloads = rows.iter().map(|row| Ok(Cow::Borrowed(row.as_bytes())));
        let length = assembler.length_of_turns::<JsonError>(id, payloads);
        let length = length.expect("good");
        assert_eq!(outcome(&rows, length).0.len(), 1, "{id}");
        assert_eq!(outcome(&rows, length - 1).0.len(), 0, "{id}");
    }
}

#[test]
fn tallies_add_up() {
    let tally = |factor| GroupTally {
        filtered: [(FilterReason::Mode, factor)].into(),
        duplicate_turns: 2 * factor,
        duplicate_conversations: 3 * factor,
        duplicate_rows: 9 * factor,
        shared_rows: 11 * factor,
        superseded_turns: 10 * factor,
        kept_rows: 4 * factor,
        conversations: 5 * factor,
        faulty: [(Fault::Damaged, 6 * factor), (Fault::CutByMode, 7 * factor)].into(),
        first_turns: [(0, 8 * factor)].into(),
        too_large: Vec::new(),
    };
    let mut sum = GroupTally::default();
    sum.add(tally(1));
    assert_eq!(sum, tally(1));
    sum.add(tally(1));
    assert_eq!(sum, tally(2));
    assert_eq!(sum.of_fault(Fault::CutByMode), 14);
    assert_eq!(sum.of_fault(Fault::Incomplete), 0);
}

#[test]
fn a_row_keeps_its_turns_and_whether_it_is_prevalidated() {
    for (turns, prevalidated) in [(0, false), (0, true), (7, false), (7, true)] {
        let row = StoredRow {
            position: Position {
                store: 0,
                length: 0,
                offset: 0,
                checksum: 0,
            },
            detail: turns << 1 | u32::from(prevalidated),
            next: END,
        };
        assert_eq!((row.turns(), row.is_prevalidated()), (turns, prevalidated));
    }
    assert_eq!(size_of::<StoredRow>(), 32);
    assert_eq!(size_of::<StoredTurn>(), 16);
}

#[test]
fn rows_of_another_shape_are_left_out_and_malformed_rows_have_none() {
    let selection = selection(1);
    let given = |row: String| Given::new(&[row]).batch(&selection);
    let mut index = Index::default();
    let mut damage = HeaderBatch::new(RowShape::Conversations);
    damage.push_malformed(b"c1");
    index.observe(&damage);
    assert_eq!(index.shape(), None);
    index.observe(&given(turn_row(1, 1, 0, 1)));
    index.observe(&given(conversation(2, 3, 1)));
    assert_eq!(index.shape(), Some(RowShape::Turns));
    assert_eq!(index.conversations(), 1);
}

#[test]
fn a_conversation_with_a_gap_or_without_a_beginning_is_incomplete() {
    let rows = [
        turn_row(1, 1, 0, 0),
        turn_row(1, 3, 0, 0),
        turn_row(2, 2, 0, 0),
        turn_row(3, 1, 0, 0),
    ];
    let (found, tally, _) = outcome(&rows, u64::MAX);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["c3"]);
    assert_eq!(
        (
            tally.of_fault(Fault::Incomplete),
            tally.conversations,
            tally.kept_rows
        ),
        (2, 3, 4)
    );
}

#[test]
fn many_short_turns_are_measured_and_not_estimated_too_small() {
    // Each row lacks nearly every field of a turn, so the record is much longer than the rows.
    let row = |turn: i64| {
        format!(r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c","turnIndex":{turn}}}"#)
    };
    let rows: Vec<String> = (1..=20).map(row).collect();
    let selection = selection(1);
    let payloads = rows.iter().map(|row| Ok(Cow::Borrowed(row.as_bytes())));
    let length = Assembler::new(&selection, Nested::AsIs)
        .length_of_turns::<JsonError>("c", payloads)
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
    let selection = Selection::new("s", 0.0, vec![split], vec![bucket], &targets).expect("valid");
    let rows = [turn_row(1, 1, 0, 0)];
    let found = |max_record| outcome_in(&selection, &rows, max_record).0.len();
    assert_eq!((found(2000), found(4000)), (0, 1));
}
