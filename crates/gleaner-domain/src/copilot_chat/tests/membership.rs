//! Which requests are turns.

use proptest::prelude::*;

use super::super::event::EventKind;
use super::super::header::{Mode, TelemetryHeader};
use super::super::membership::{self, Membership, MembershipFault, MembershipRules, Outcome};
use crate::dataset::accounting::FilterReason;
use crate::selection::group::GroupMark;

/// A row of a request: its text row, at its start.
fn request(id: i64, at: i64, position: u32) -> TelemetryHeader {
    TelemetryHeader {
        at,
        request: id,
        call: 0,
        content: (id as u64) << 32 | at as u64,
        position,
        event: EventKind::UserText,
        mode: Mode::Agent,
        group: GroupMark::ABSENT,
    }
}

fn decide(headers: &[TelemetryHeader]) -> Membership {
    membership::decide(headers, &MembershipRules::ALL)
}

fn turns_of(requests: &[(i64, i64, u32)]) -> (Outcome, Vec<i64>, u64) {
    let headers: Vec<_> = requests
        .iter()
        .map(|&(id, at, place)| request(id, at, place))
        .collect();
    let decided = decide(&headers);
    (decided.outcome, decided.turns, decided.superseded_turns)
}

fn complete(turns: u32) -> Outcome {
    Outcome::Complete { turns }
}

#[test]
fn a_later_request_replaces_those_at_its_position_and_behind() {
    // Nothing happened.
    let found = turns_of(&[(11, 10, 1), (12, 20, 2), (13, 30, 3)]);
    assert_eq!(found, (complete(3), vec![11, 12, 13], 0));
    // Tried again.
    let found = turns_of(&[(11, 10, 1), (12, 20, 2), (13, 30, 2)]);
    assert_eq!(found, (complete(2), vec![11, 13], 1));
    // Edited, and a second branch that is shorter.
    let found = turns_of(&[
        (11, 10, 1),
        (12, 20, 2),
        (13, 30, 3),
        (14, 40, 4),
        (15, 50, 2),
    ]);
    assert_eq!(found, (complete(2), vec![11, 15], 3));
    // From the beginning.
    let found = turns_of(&[(11, 10, 1), (12, 20, 2), (13, 30, 1)]);
    assert_eq!(found, (complete(1), vec![13], 2));
}

#[test]
fn of_requests_that_start_together_the_larger_id_is_replaced() {
    let found = turns_of(&[(11, 10, 1), (13, 20, 2), (12, 20, 2)]);
    assert_eq!(found, (complete(2), vec![11, 12], 1));
}

#[test]
fn gaps_and_conflicts_are_faults() {
    let incomplete = |first| Outcome::Faulty(MembershipFault::Incomplete { first });
    assert_eq!(turns_of(&[(11, 10, 1), (13, 30, 3)]).0, incomplete(1));
    assert_eq!(turns_of(&[(12, 20, 2), (13, 30, 3)]).0, incomplete(2));
    let conflict = [request(11, 10, 1), request(11, 11, 2)];
    let decided = decide(&conflict);
    assert_eq!(
        decided.outcome,
        Outcome::Faulty(MembershipFault::TurnConflict)
    );
    assert_eq!((decided.kept_rows, decided.rows.len()), (2, 0));
}

#[test]
fn a_request_begins_with_the_first_of_its_rows() {
    // The text of the user comes at the end of the first round; that of a replaced one is late.
    let mut begin = request(12, 20, 0);
    begin.event = EventKind::SessionMessage;
    begin.mode = Mode::Unknown;
    let headers = [
        request(11, 10, 1),
        begin,
        request(12, 50, 2),
        request(13, 40, 2),
    ];
    assert_eq!(decide(&headers).turns, [11, 13]);
}

#[test]
fn a_row_that_names_only_its_call_belongs_to_the_calls_request() {
    let call = |request, at| TelemetryHeader {
        call: 99,
        event: EventKind::CallOutput,
        mode: Mode::Unknown,
        ..self::request(request, at, 0)
    };
    let stale = TelemetryHeader {
        call: 98,
        ..call(12, 22)
    };
    let stale_output = TelemetryHeader {
        call: 98,
        content: 7,
        ..call(0, 23)
    };
    let nobodys = TelemetryHeader {
        call: 97,
        content: 8,
        ..call(0, 24)
    };
    let headers = [
        request(11, 10, 1),
        call(11, 12),
        call(0, 13),
        request(12, 20, 2),
        stale,
        stale_output,
        request(13, 30, 2),
        nobodys,
    ];
    let decided = decide(&headers);
    assert_eq!(decided.turns, [11, 13]);
    assert_eq!(decided.rows, [0, 1, 2, 6, 7]);
    assert_eq!(
        decided.turn_of_rows,
        [Some(0), Some(0), Some(0), Some(1), None]
    );
    assert_eq!((decided.kept_rows, decided.superseded_turns), (8, 1));
}

#[test]
fn modes_and_windows_cut_or_filter() {
    let with = |rules: &MembershipRules, modes: [Mode; 2]| {
        let mut headers = [request(11, 10, 1), request(12, 20, 2)];
        headers[0].mode = modes[0];
        headers[1].mode = modes[1];
        membership::decide(&headers, rules).outcome
    };
    let all = MembershipRules::ALL;
    let (agent, other, unknown) = (Mode::Agent, Mode::Other, Mode::Unknown);
    let cut_by_mode = Outcome::Faulty(MembershipFault::CutByMode);
    let cut_by_window = Outcome::Faulty(MembershipFault::CutByWindow);
    assert_eq!(with(&all, [agent, other]), cut_by_mode);
    assert_eq!(with(&all, [agent, unknown]), cut_by_mode);
    assert_eq!(
        with(&all, [other, unknown]),
        Outcome::Filtered(FilterReason::Mode)
    );
    let lenient = MembershipRules {
        unknown_is_agent: true,
        ..all.clone()
    };
    assert_eq!(with(&lenient, [agent, unknown]), complete(2));
    let window = |window| MembershipRules {
        window,
        ..all.clone()
    };
    assert_eq!(with(&window(0..20), [agent, agent]), cut_by_window);
    assert_eq!(with(&window(0..21), [agent, agent]), complete(2));
    assert_eq!(
        with(&window(30..40), [agent, agent]),
        Outcome::Filtered(FilterReason::Window)
    );
    assert_eq!(with(&window(0..20), [agent, other]), cut_by_mode, "first");
    let keep = MembershipRules {
        keep_cut: true,
        ..window(0..20)
    };
    assert_eq!(with(&keep, [agent, agent]), complete(1));
    assert_eq!(with(&keep, [agent, other]), complete(1));
    // Rows that do not exist are not looked at, not even for what they replace.
    let exists = MembershipRules {
        exists: 0..20,
        ..all.clone()
    };
    let decided = membership::decide(&[request(11, 10, 1), request(12, 20, 1)], &exists);
    assert_eq!(
        (decided.outcome, decided.rows_outside, decided.kept_rows),
        (complete(1), 1, 1)
    );
}

/// Requests with one to three rows each.
fn headers() -> impl Strategy<Value = Vec<TelemetryHeader>> {
    let row = (1i64..7, 0i64..9, 0u32..5, 0i64..4, 0u8..8, 0u64..3);
    prop::collection::vec(row, 1..14).prop_map(|rows| {
        let header = |(request, at, position, call, kind, content)| TelemetryHeader {
            at,
            // Mostly the same position for the same request.
            position: if kind < 6 {
                request as u32 % 5
            } else {
                position
            },
            request: if kind == 0 { 0 } else { request },
            call,
            content: content << 40
                | (request as u64) << 32
                | (at as u64) << 24
                | (call as u64) << 16
                | u64::from(position) << 8
                | u64::from(kind),
            event: EventKind::UserText,
            mode: if kind == 7 { Mode::Other } else { Mode::Agent },
            group: GroupMark::ABSENT,
        };
        rows.into_iter().map(header).collect()
    })
}

proptest! {
    #[test]
    fn neither_order_nor_duplicates_matter(
        headers in headers(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let once = decide(&headers);
        let mut shuffled = headers.clone();
        for (at, index) in order.iter().enumerate() {
            let (a, b) = (at % headers.len(), index.index(headers.len()));
            shuffled.swap(a, b);
        }
        shuffled.extend(order.iter().map(|index| headers[index.index(headers.len())]));
        let again = decide(&shuffled);
        prop_assert_eq!(again.outcome, once.outcome);
        prop_assert_eq!(&again.turns, &once.turns);
        prop_assert_eq!(again.superseded_turns, once.superseded_turns);
        prop_assert_eq!(again.kept_rows, once.kept_rows);
        let duplicates = (shuffled.len() - headers.len()) as u64;
        prop_assert_eq!(again.duplicate_rows, once.duplicate_rows + duplicates);
        let rows = |decided: &Membership, headers: &[TelemetryHeader]| {
            let mut rows: Vec<_> = decided.rows.iter().map(|&row| headers[row as usize]).collect();
            rows.sort_unstable();
            rows
        };
        // Equal content is equal rows, which this strategy does not hold to.
        let contents = |rows: Vec<TelemetryHeader>| -> Vec<u64> {
            rows.iter().map(|row| row.content).collect()
        };
        let mut one = contents(rows(&once, &headers));
        let mut other = contents(rows(&again, &shuffled));
        one.sort_unstable();
        other.sort_unstable();
        prop_assert_eq!(one, other);
    }

    #[test]
    fn what_stays_is_what_no_later_request_replaces(headers in headers()) {
        let mut seen = std::collections::BTreeMap::new();
        for header in headers.iter().filter(|header| header.request != 0 && header.call == 0) {
            seen.entry(header.request).or_insert(*header);
        }
        // One row a request: the rule as the mapping has it, pair by pair.
        let rows: Vec<TelemetryHeader> = seen.into_values().filter(|row| row.position > 0).collect();
        let decided = decide(&rows);
        let replaces = |a: &TelemetryHeader, b: &TelemetryHeader| {
            a.position <= b.position && (a.at > b.at || a.at == b.at && a.request < b.request)
        };
        let staying = rows.iter().filter(|b| !rows.iter().any(|a| replaces(a, b))).count();
        prop_assert_eq!(decided.superseded_turns, (rows.len() - staying) as u64);
    }
}
