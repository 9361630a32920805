use super::*;
use crate::domain::dataset::chunk_tally::FirstOfMany;
use crate::domain::scheduling::chunk::Piece;
use crate::domain::selection::group::GroupMark;

fn report() -> RowsReport {
    let input = |name: &str| InputFingerprint {
        path: name.into(),
        bytes: 0,
        modified_ns: 0,
    };
    RowsReport {
        inputs: vec![input("a"), input("b")],
        payloads: Payloads::default(),
        max_percent: 50.0,
        max_record: 1000,
        schema: None,
        allow_sampled: false,
        quotes_values: true,
        split_by: None,
    }
}

fn piece(file: u32, start: u64) -> Chunk {
    Chunk::Piece(Piece {
        file,
        start,
        end: start + 1,
    })
}

#[test]
fn lines_count_from_the_beginning_of_the_file() {
    let mut tallies = Tallies::new();
    for chunk in [piece(0, 0), piece(0, 10), piece(1, 0)] {
        let mut tally = ChunkTally {
            lines: 7,
            ..ChunkTally::default()
        };
        tally.malformed(MalformedReason::NotJson, 2, || Some("not JSON".to_owned()));
        tallies.insert(chunk, tally);
    }
    let found = report().malformed(&tallies, &[]);
    let places: Vec<_> = found[&MalformedReason::NotJson]
        .examples
        .iter()
        .map(|place| (place.file.as_str(), place.line))
        .collect();
    assert_eq!(places, [("a", 2), ("a", 9), ("b", 2)]);
    assert!(matches!(
        report().judge(&tallies),
        Err(RunError::TooManyMalformed {
            malformed: 3,
            rows: 3,
            ..
        })
    ));
}

#[test]
fn an_error_says_what_is_wrong_with_the_first_rows() {
    let mut tally = ChunkTally::default();
    tally.malformed(MalformedReason::Timestamp, 2, || Some("no time".to_owned()));
    tally.malformed(MalformedReason::RowPanic, 3, || None);
    let tallies = Tallies::from([(piece(0, 0), tally)]);
    let error = report().judge(&tallies).expect_err("too many").to_string();
    assert!(
        error.ends_with("; the first: timestamp at a:2: no time; row_panic at a:3"),
        "{error}"
    );
}

#[test]
fn what_becomes_of_rows_that_can_be_read_is_explained() {
    let mut tallies = Tallies::new();
    assert_eq!(report().explain(&tallies, true), [""; 0]);
    for chunk in [piece(1, 0), piece(1, 10)] {
        let mut tally = ChunkTally {
            lines: 7,
            ..ChunkTally::default()
        };
        for (mode, rows) in [("\"Agent\"", 3), ("null", 1), ("", 2)] {
            tally.modes_seen.add(mode, rows);
        }
        tally.modes_seen.others = 1;
        if chunk == piece(1, 10) {
            tally.modes_seen.add(&format!("\"{}", "x".repeat(9)), 1);
            let (count, line) = (4, 2);
            let what = "no \"userMessage\" (found no keys; see source.fields)".to_owned();
            tally.no_user_message = Some(FirstOfMany { count, line, what });
        }
        tallies.insert(chunk, tally);
    }
    let all = report().explain(&tallies, true);
    assert_eq!(
        report().explain(&tallies, false),
        [&all[..1], &all[5..]].concat()
    );
    assert_eq!(
        all,
        [
            "6 rows have mode \"Agent\", wanted \"agent\"",
            "4 rows have no mode, wanted \"agent\"",
            "2 rows have mode null, wanted \"agent\"",
            "1 row has a long mode, wanted \"agent\"",
            "2 rows have further modes, wanted \"agent\"",
            "4 rows have no userMessage, so their conversations are invalid; the first is b:9: no \"userMessage\" (found no keys; see source.fields). A row must hold a whole turn: join rows of one message each, the user's and the model's, before",
        ]
    );
}

#[test]
fn mixed_shapes_name_the_first_row_of_each() {
    let mut tallies = Tallies::new();
    let mut first = ChunkTally {
        lines: 4,
        ..ChunkTally::default()
    };
    first.shape(RowShape::Turns, 3);
    let mut second = ChunkTally::default();
    second.shape(RowShape::Conversations, 5);
    tallies.insert(piece(1, 0), first);
    tallies.insert(piece(1, 10), second);
    let error = report().judge(&tallies).expect_err("mixed").to_string();
    assert_eq!(
        error,
        "the input mixes 2 schemas: b:3 is a turn (it has turnIndex), b:9 is a conversation (it has turnsArray)"
    );
    let mut said = report();
    said.schema = Some(RowShape::Conversations);
    let error = said.judge(&tallies).expect_err("another").to_string();
    assert_eq!(
        error,
        "source.schema is \"conversations\", but b:3 is a turn (it has turnIndex)"
    );
    tallies.remove(&piece(1, 0));
    said.judge(&tallies).expect("as was said");
}

#[test]
fn sampled_telemetry_is_refused_unless_it_is_allowed() {
    let mut tally = ChunkTally::default();
    tally.shape(RowShape::CopilotChat, 1);
    tally.telemetry.add("e", b"0.1", 1, 1);
    tally.telemetry.add("e", b"0.1", 10, 2);
    tally.telemetry.add("e", b"0.1", 2, 3);
    let tallies = Tallies::from([(piece(1, 0), tally)]);
    let error = report().judge(&tallies).expect_err("sampled").to_string();
    assert!(
        error.contains("2 rows stand for others") && error.ends_with("the first is b:2"),
        "{error}"
    );
    let mut allowing = report();
    allowing.allow_sampled = true;
    allowing.judge(&tallies).expect("allowed");
}

#[test]
fn rows_of_which_none_names_a_group_end_a_run_that_is_split_by_it() {
    let mut report = report();
    report.split_by = GroupField::new("repo").ok();
    let mut tally = ChunkTally::default();
    tally.shape(RowShape::Conversations, 4);
    for line in [4, 5] {
        let row = br#"{"conversationId":"c","meta":{"repo":"r"}}"#;
        tally.groups.note(GroupMark::ABSENT, row, line);
    }
    let tallies = Tallies::from([(piece(0, 0), tally.clone())]);
    let error = report.judge(&tallies).expect_err("no group").to_string();
    let said = "\"repo\", but no row has a text there; the fields of a:4 are conversationId, meta";
    assert!(error.ends_with(said), "{error}");
    let mut turns = ChunkTally {
        groups: tally.groups.clone(),
        ..ChunkTally::default()
    };
    turns.shape(RowShape::Turns, 4);
    let of_turns = Tallies::from([(piece(0, 0), turns)]);
    let error = report.judge(&of_turns).expect_err("no group").to_string();
    assert!(error.contains("no other field than userName"), "{error}");
    tally.groups.note(GroupMark::of_residue(7), b"{}", 6);
    let tallies = Tallies::from([(piece(0, 0), tally)]);
    report.judge(&tallies).expect("one row names one");
}
