//! The reference evaluator itself, held against values that were worked out by hand.

use crate::support::reference::records::judge;
use crate::support::reference::{Asked, evaluate, hash, split_of, ticks};

#[test]
fn the_hash_is_kustos() {
    for (text, value) in [
        ("World", 1_846_988_464_401_551_951),
        ("", -1_205_034_819_632_174_695),
        ("a", -3_292_477_735_350_538_661),
        ("Hello", 753_694_413_698_530_628),
        ("日本語-会話", 6_444_270_604_085_691_360),
        ("🙂", 585_552_020_754_485_715),
    ] {
        assert_eq!(hash(text.as_bytes()), value, "{text}");
    }
    // A negative hash: -3292477735350538661 is 39 above a multiple of 100.
    assert_eq!(hash(b"a").rem_euclid(100), 39);
    assert_eq!((split_of("a"), split_of("World")), ("train", "train"));
}

#[test]
fn instants_are_ticks_of_100_ns() {
    let second = 10_000_000;
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1970-01-01T00:00:01", Some(second)),
        ("1970-01-01T00:00:00.00000019Z", Some(1)),
        ("1970-01-01T00:30:00+00:30", Some(0)),
        ("1969-12-31T23:59:59.9999999Z", Some(-1)),
        ("2000-03-01T00:00:00Z", Some(951_868_800 * second)),
        ("1970-01-01", None),
        ("1970-02-30T00:00:00Z", None),
        ("1970-01-01T00:00:00.Z", None),
    ] {
        assert_eq!(ticks(text), expected, "{text}");
    }
}

fn event(id: &str, turn: &str, at: &str, more: &str) -> String {
    format!(
        r#"{{"Timestamp":"{at}","conversationId":"{id}","userName":"n","mode":"agent","turnIndex":{turn},"userMessage":"u\u0031","modelMessage":"m"{more}}}"#
    )
}

fn file(lines: &[String]) -> Vec<(String, Vec<u8>)> {
    vec![("a.jsonl".to_owned(), lines.join("\n").into_bytes())]
}

const T: &str = "2025-01-01T00:00:00Z";
const LATER: &str = "2025-01-01T00:00:00.1Z";

#[test]
fn events_become_one_record_in_the_canonical_form() {
    let lines = [
        event(
            "World",
            "3",
            T,
            r#","promptTokens":1e1,"zz":[ 1 ],"aa":null"#,
        ),
        event("other", "2", T, r#","mode":"agent""#),
        event("World", "1.0", T, r#","promptTokens":2,"trajectory":null"#),
        event("World", "2", T, r#","bucket":"b""#),
        event("World", "2", LATER, r#","trajectory":{"b": 1,"a":2}"#),
    ];
    let mut asked = Asked::new("s", 5);
    let record = |trajectory: &str, zz: &str| {
        [
            r#"{"conversationId":"World","userName":"n","turnCount":3,"bucket":"short","turnsArray":["#,
            r#"{"turnIndex":1,"userMessage":"u1","modelMessage":"m","promptTokens":2,"completionTokens":null,"llmCallCount":null},"#,
            r#"{"turnIndex":2,"userMessage":"u1","modelMessage":"m","promptTokens":null,"completionTokens":null,"llmCallCount":null,"trajectory":"#,
            trajectory,
            r#"},{"turnIndex":3,"userMessage":"u1","modelMessage":"m","promptTokens":1e1,"completionTokens":null,"llmCallCount":null,"zz":"#,
            zz,
            r#"}],"promptTokens":12,"completionTokens":null,"llmCallCount":null}"#,
        ]
        .concat()
    };
    for (sorted, expected) in [
        (false, record(r#"{"b": 1,"a":2}"#, "[ 1 ]")),
        (true, record(r#"{"a":2,"b":1}"#, "[1]")),
    ] {
        asked.sort_keys = sorted;
        let found = evaluate(&file(&lines), &asked);
        let stratum = &found.strata[&("train", "short")];
        let records: Vec<_> = stratum
            .records
            .iter()
            .map(|r| String::from_utf8_lossy(r))
            .collect();
        assert_eq!(records, [expected.as_str()]);
        assert_eq!(found.rows["rows_read"], 5);
        assert_eq!(found.rows["malformed"], 1, "a known field twice");
        assert_eq!(found.rows["duplicate_turns"], 1);
        assert_eq!(found.rows["kept_rows"], 3);
        assert_eq!(found.warnings["token_counts"], 1);
    }
}

#[test]
fn conversations_without_their_first_or_a_middle_turn_are_incomplete() {
    let lines = [
        event("x", "2", T, ""),
        event("y", "1", T, ""),
        event("y", "3", T, ""),
        event("z", "1", T, ""),
        event("unknown", "1", T, ""),
    ];
    let found = evaluate(&file(&lines), &Asked::new("s", 5));
    assert_eq!(found.rows["incomplete"], 2);
    assert_eq!(found.rows["out_of_range"], 1);
    assert_eq!(found.rows["filtered"], 1);
    assert_eq!(found.rows["conversations"], 3);
}

/// What became of these rows: filtered by mode and by window, and each fault of a conversation.
#[track_caller]
fn comes_to(lines: &[String], asked: &Asked, expected: &[(&'static str, u64)]) {
    let found = evaluate(&file(lines), asked);
    let mut counted = std::collections::BTreeMap::new();
    counted.extend(found.filtered_by.iter().map(|(k, n)| (*k, *n)));
    let faults = [
        "damaged",
        "cut_by_mode",
        "cut_by_window",
        "incomplete",
        "conversations",
    ];
    for key in faults {
        counted.insert(key, found.rows.get(key).copied().unwrap_or(0));
    }
    counted.retain(|_, n| *n > 0);
    let expected = expected.iter().copied().collect();
    assert_eq!(counted, expected, "{lines:?}");
}

#[test]
fn a_malformed_row_damages_its_conversation_and_no_other() {
    let three = |id: &str| {
        (1..=3)
            .map(|t| event(id, &t.to_string(), T, ""))
            .collect::<Vec<_>>()
    };
    let asked = Asked::new("s", 5);
    let bad = event("World", "4", "n/a", "");
    for bad in [
        bad.clone(),
        bad.replace("n/a", T)[..90].to_owned(),
        event("World", "\"4\"", T, ""),
        event("World", "2", T, r#","mode":"agent""#),
        event("World", "4", "n/a", "").replace("agent", "edit"),
        bad.replace(r#""mode""#, r#""conversationId ":"a","mode""#),
    ] {
        let lines = [three("World"), vec![bad], three("a")].concat();
        comes_to(&lines, &asked, &[("damaged", 1), ("conversations", 2)]);
    }
    for bad in [
        bad.replace(r#""mode""#, r#""conversationId":"a","mode""#),
        bad.replace("World", "unknown"),
        bad.replace("World", ""),
        bad.replace(r#""World""#, r#"{"conversationId":"World"}"#),
        bad[..41].to_owned(),
    ] {
        let lines = [three("World"), vec![bad], three("a")].concat();
        comes_to(&lines, &asked, &[("conversations", 2)]);
    }
    // All that is left of it is malformed; and what is left of it is of another mode.
    let lines = [event("b", "1", "n/a", ""), event("c", "1", "n/a", "")];
    let edit = event("c", "2", T, "").replace("agent", "edit");
    let lines = [lines.as_slice(), &[edit]].concat();
    comes_to(
        &lines,
        &asked,
        &[("damaged", 1), ("conversations", 1), ("mode", 1)],
    );
}

#[test]
fn a_conversation_is_cut_by_mode_before_it_is_cut_by_the_window() {
    let mut asked = Asked::new("s", 5);
    let second = 10_000_000;
    let at = |s: u32| format!("2025-01-01T00:00:{s:02}Z");
    asked.window = (
        ticks(&at(1)).expect("an instant"),
        ticks(&at(10)).expect("an instant"),
    );
    asked.slack = 10 * second;
    let turn = |n: &str, s, mode: &str| event("a", n, &at(s), "").replace("agent", mode);
    // Turn 2: inside; late; late and of another mode; too late to exist; before the window.
    for (row, expected) in [
        (turn("2", 9, "agent"), None),
        (turn("2", 10, "agent"), Some("cut_by_window")),
        (turn("2", 9, "edit"), Some("cut_by_mode")),
        (turn("2", 12, "edit"), Some("cut_by_mode")),
        (turn("2", 20, "agent"), Some("window")),
        (turn("1", 0, "agent"), Some("window")),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .chain(["conversations"])
            .map(|key| (key, 1))
            .collect();
        comes_to(&[turn("1", 5, "agent"), row], &asked, &expected);
    }
    // The winner is chosen first: a later delivery of another mode is the turn.
    let lines = [turn("1", 5, "agent"), turn("1", 6, "edit")];
    comes_to(&lines, &asked, &[("mode", 2)]);
    let lines = [turn("1", 5, "edit"), turn("1", 12, "agent")];
    comes_to(&lines, &asked, &[("window", 2)]);
    let lines = [turn("1", 5, "edit"), turn("1", 6, "agent")];
    comes_to(&lines, &asked, &[("conversations", 1)]);
    asked.keep_cut = true;
    let lines = [
        turn("1", 5, "agent"),
        turn("1", 6, "edit"),
        turn("2", 12, "agent"),
    ];
    comes_to(
        &lines,
        &asked,
        &[("mode", 1), ("window", 1), ("conversations", 1)],
    );
}

#[test]
fn of_equal_deliveries_the_one_with_a_reply_is_the_last_word() {
    let reply = |text: &str| {
        let row = |n: &str, text: &str| event("World", n, T, "").replace(r#""m""#, text);
        let lines = [
            row("1", r#""m""#),
            row("2", text),
            row("2", r#""done""#),
            row("3", r#""m""#),
        ];
        let found = evaluate(&file(&lines), &Asked::new("s", 1));
        let record = &found.strata[&("train", "short")].records[0];
        let record: serde_json::Value = serde_json::from_slice(record).expect("JSON");
        record["turnsArray"][1]["modelMessage"].clone()
    };
    for blank in ["null", "7", r#""""#, r#"" \u2003""#, r#"[""]"#] {
        assert_eq!(reply(blank), "done", "{blank}");
    }
}

#[test]
fn of_conversation_rows_with_as_many_turns_the_one_with_more_replies_wins() {
    let row = |replies: [&str; 3]| {
        let turn = |(n, reply)| {
            format!(r#"{{"turnIndex":{n},"userMessage":"u","modelMessage":"{reply}"}}"#)
        };
        let turns: Vec<String> = (1..).zip(replies).map(turn).collect();
        let turns = turns.join(",");
        format!(r#"{{"conversationId":"World","userName":"n","turnsArray":[{turns}]}}"#)
    };
    for text in (0..20).map(|n| format!("text {n}")) {
        let lines = [
            row([&text, " ", ""]),
            row(["m", "m", ""]),
            row(["", "m", ""]),
        ];
        let found = evaluate(&file(&lines), &Asked::new("s", 1));
        let record = &found.strata[&("train", "short")].records[0];
        let record = String::from_utf8_lossy(record).into_owned();
        assert!(record.contains(r#""m"},{"turnIndex":2,"userMessage":"u","modelMessage":"m""#));
        assert_eq!(found.rows["duplicate_conversations"], 2);
    }
}

#[test]
fn a_target_is_met_in_rank_order_and_no_further_record_is_looked_at() {
    let mut lines: Vec<String> = Vec::new();
    for id in 0..60 {
        lines.extend((1..=3).map(|turn| event(&format!("c{id}"), &turn.to_string(), T, "")));
    }
    let files = file(&lines);
    let all = evaluate(&files, &Asked::new("s", 1000));
    let few = evaluate(&files, &Asked::new("s", 4));
    let key = ("train", "short");
    assert_eq!(few.strata[&key].records[..], all.strata[&key].records[..4]);
    let ranks: Vec<i64> = all.strata[&key]
        .records
        .iter()
        .map(|record| {
            let record: serde_json::Value = serde_json::from_slice(record).expect("JSON");
            hash(format!("s/{}", record["conversationId"].as_str().expect("text")).as_bytes())
        })
        .collect();
    assert!(ranks.is_sorted());
}

#[test]
fn each_rule_has_its_code() {
    let turn =
        |index: &str| format!(r#"{{"turnIndex":{index},"userMessage":"u","modelMessage":"m"}}"#);
    let record = |head: &str, turns: &[&str]| {
        let turns: Vec<String> = turns.iter().map(|index| turn(index)).collect();
        format!(
            r#"{{"conversationId":"World",{head},"turnsArray":[{}],"promptTokens":1,"completionTokens":0}}"#,
            turns.join(",")
        )
    };
    let good = r#""userName":"n","turnCount":3,"bucket":"short""#;
    let cases: [(String, &[&str]); 8] = [
        (record(good, &["1", "2.0", "3"]), &[]),
        (
            record(good, &["2", "3", "4"]),
            &["first_turn", "turn_sequence"],
        ),
        (record(good, &["1", "\"2\"", "3"]), &["turn_sequence"]),
        (
            record(&good.replace("\"n\"", "\"\u{2003}\""), &["1", "2", "3"]),
            &["missing_field:userName"],
        ),
        (
            record(&good.replace("\"short\"", "null"), &["1", "2", "3"]),
            &["missing_field:bucket"],
        ),
        (
            record(
                &good.replace("short", "short_3_to_5_turns"),
                &["1", "2", "3"],
            ),
            &[],
        ),
        (
            record(&good.replace(":3", ":\"3\""), &["1", "2", "3"]),
            &["bucket_mismatch"],
        ),
        (
            record(&format!(r#"{good},"x":["\ud83d"]"#), &["1", "2", "3"]),
            &["lone_surrogate"],
        ),
    ];
    for (record, expected) in cases {
        assert_eq!(
            judge(&record, "train", &Asked::new("s", 1)).0,
            expected,
            "{record}"
        );
    }
    assert_eq!(
        judge(&record(good, &["1", "2", "3"]), "val", &Asked::new("s", 1)).0,
        ["split_mismatch"]
    );
}

#[test]
fn integers_are_distinguished_from_other_numbers_exactly() {
    for (number, sum) in [
        ("3", "3"),
        ("3.0", "3"),
        ("-0", "0"),
        ("0.0e999999999999", "0"),
        ("0.03e2", "3"),
        ("-50e-1", "-5"),
        ("9007199254740993.0", "9007199254740993"),
        ("9223372036854775807", "9223372036854775807"),
        ("92233720368547758080e-1", "null"),
        ("-9223372036854775808.0", "-9223372036854775808"),
        ("3.00000000000000000001", "null"),
        ("3.5", "null"),
        ("1e19", "null"),
        ("1e999999999999999999999999999999999999999999", "null"),
        ("\"3\"", "null"),
    ] {
        let more = format!(r#","promptTokens":{number}"#);
        let turn = |turn, more| event("World", turn, T, more);
        let lines = [turn("1", &more), turn("2", ""), turn("3", "")];
        let found = evaluate(&file(&lines), &Asked::new("s", 1));
        let record =
            String::from_utf8_lossy(&found.strata[&("train", "short")].records[0]).into_owned();
        let wanted = format!(r#"}}],"promptTokens":{sum},"#);
        assert!(record.contains(&wanted), "{number}: {record}");
    }
}
