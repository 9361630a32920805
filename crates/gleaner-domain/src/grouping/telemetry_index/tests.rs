use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::copilot_chat::event::EventKind;
use crate::copilot_chat::header::Mode;

/// A row with its id; its place is made of its number.
#[derive(Debug, Clone)]
struct Row {
    id: String,
    header: TelemetryHeader,
}

fn row(id: &str, event: EventKind, request: i64, position: u32, at: i64) -> Row {
    let content = kusto_hash::hash(format!("{id} {event:?} {request} {position} {at}").as_bytes());
    Row {
        id: id.to_owned(),
        header: TelemetryHeader {
            at,
            request,
            call: 0,
            content: content as u64,
            position,
            event,
            mode: match event {
                EventKind::UserText => Mode::Agent,
                _ => Mode::Unknown,
            },
            group: GroupMark::ABSENT,
        },
    }
}

fn user(id: &str, request: i64, position: u32, at: i64) -> Row {
    row(id, EventKind::UserText, request, position, at)
}

fn place(row: &Row) -> Position {
    Position {
        store: 1,
        length: 10,
        offset: row.header.content,
        checksum: row.header.content,
    }
}

fn index(rows: &[Row]) -> TelemetryIndex {
    let mut index = TelemetryIndex::default();
    for row in rows {
        let hash = kusto_hash::hash(row.id.as_bytes());
        index.observe(row.id.as_bytes(), hash, &row.header, &place(row));
    }
    index
}

/// Id, turns and places of the whole conversations, and the counts.
type Closed = (BTreeMap<String, (u64, u64, Vec<Position>)>, GroupTally);

fn close(index: &TelemetryIndex, rules: &MembershipRules) -> Closed {
    let mut found = BTreeMap::new();
    let mut tally = GroupTally::default();
    for number in 0..index.conversations() {
        let of_one = index.close(number..number + 1, rules, &mut |conversation| {
            let id = String::from_utf8_lossy(conversation.id).into_owned();
            let rows = index.rows_of(conversation.number, rules);
            let before = found.insert(id, (conversation.turns, conversation.bytes, rows));
            assert_eq!(before, None, "each once");
        });
        tally.add(of_one);
    }
    (found, tally)
}

#[test]
fn a_row_takes_72_bytes_and_a_shared_one_48() {
    assert_eq!(size_of::<StoredRow>(), 72);
    assert_eq!(size_of::<SharedRow>(), 48);
}

#[test]
fn conversations_are_decided_and_every_row_is_counted_once() {
    let rows = [
        // Two turns; the first request was sent again.
        user("a", 1, 1, 10),
        user("a", 2, 1, 20),
        user("a", 3, 2, 30),
        row("a", EventKind::ModelText, 3, 2, 31),
        user("a", 3, 2, 30),
        // No turn 1.
        user("b", 4, 2, 10),
        // Two positions.
        user("c", 5, 1, 10),
        row("c", EventKind::ModelText, 5, 2, 11),
        // Another mode.
        row("d", EventKind::ModelText, 6, 1, 10),
        // Has a malformed row.
        user("e", 7, 1, 10),
    ];
    let mut index = index(&rows);
    for id in ["e", "f"] {
        index.observe_malformed(id.as_bytes(), kusto_hash::hash(id.as_bytes()));
    }
    let (found, tally) = close(&index, &MembershipRules::ALL);
    let places = [&rows[1], &rows[2], &rows[3]].map(place).to_vec();
    assert_eq!(found, BTreeMap::from([("a".to_owned(), (2, 30, places))]));
    assert_eq!(tally.filtered, BTreeMap::from([(FilterReason::Mode, 1)]));
    assert_eq!((tally.duplicate_rows, tally.superseded_turns), (1, 1));
    assert_eq!(tally.kept_rows, 8);
    assert_eq!(tally.conversations, 5);
    assert_eq!(tally.of_fault(Fault::Damaged), 3);
    assert_eq!(tally.of_fault(Fault::Incomplete), 1);
    assert_eq!(tally.first_turns, BTreeMap::from([(2, 1)]));
}

#[test]
fn shared_rows_are_found_by_their_id_whatever_conversation_they_carry() {
    let shared = |id, at| row(id, EventKind::MessageAdded, 0, 0, at);
    let options = row("m1", EventKind::OptionsAdded, 0, 0, 1);
    let rows = [
        shared("m1", 1),
        shared("m2", 1),
        shared("m1", 2),
        shared("m1", 1),
        options,
    ];
    let index = index(&rows);
    let tally = index.shared_tally();
    assert_eq!((tally.shared_rows, tally.duplicate_rows), (4, 1));
    assert_eq!(index.conversations(), 0, "they make none");
    let found = |id: &str| {
        let mut found: Vec<_> = index.shared_of(id.as_bytes()).collect();
        found.sort_by_key(|place| place.offset);
        found
    };
    let mut wanted = [&rows[0], &rows[2], &rows[4]].map(place);
    wanted.sort_by_key(|place| place.offset);
    assert_eq!(found("m1"), wanted);
    assert_eq!(found("m2"), [place(&rows[1])]);
    assert_eq!(found("m3"), []);
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let event = prop::sample::select(&EventKind::ALL[..]);
    let row = ("[a-c]", event, 0i64..4, 0u32..4, 0i64..6)
        .prop_map(|(id, event, request, position, at)| row(&id, event, request, position, at));
    prop::collection::vec(row, 0..40)
}

proptest! {
    #[test]
    fn neither_order_nor_deliveries_change_what_comes_out(
        (rows, mixed) in rows().prop_flat_map(|rows| {
            let twice = [&rows[..], &rows[..]].concat();
            (Just(rows), Just(twice).prop_shuffle())
        }),
        unknown_is_agent in any::<bool>(),
    ) {
        let rules = MembershipRules { unknown_is_agent, ..MembershipRules::ALL };
        let (once, twice) = (index(&rows), index(&mixed));
        let (found, tally) = close(&once, &rules);
        let (found_again, tally_again) = close(&twice, &rules);
        prop_assert_eq!(found, found_again);
        prop_assert_eq!(tally.kept_rows, tally_again.kept_rows);
        prop_assert_eq!(&tally.faulty, &tally_again.faulty);
        let (shared, shared_again) = (once.shared_tally(), twice.shared_tally());
        prop_assert_eq!(shared.shared_rows, shared_again.shared_rows);
        for (shared, tally, read) in [(&shared, &tally, rows.len()), (&shared_again, &tally_again, mixed.len())] {
            let filtered: u64 = tally.filtered.values().sum();
            let sum = tally.duplicate_rows + shared.duplicate_rows + shared.shared_rows
                + filtered + tally.kept_rows;
            prop_assert_eq!(sum, read as u64);
        }
    }
}
