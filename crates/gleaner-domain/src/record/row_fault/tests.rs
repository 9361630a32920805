use super::super::row;
use super::*;
use crate::selection::stratum::fixtures::selection;

#[track_caller]
fn what(row: &[u8]) -> Option<String> {
    let malformed = row::read(row, &selection(1)).expect_err("malformed");
    describe(row, malformed.reason)
}

#[track_caller]
fn said(row: &str, expected: &str) {
    assert_eq!(what(row.as_bytes()).as_deref(), Some(expected), "{row}");
}

const WANTED: &str = r#"wanted RFC 3339 text such as "2025-01-02T03:04:05Z""#;

#[test]
fn what_is_missing_and_what_is_there_instead() {
    said(
        r#"{"conversationId":"a","turnIndex":1,"timestamp":"2025"}"#,
        r#"no "Timestamp" (found "timestamp"; see source.fields)"#,
    );
    said(
        r#"{"conversation_id":"a","turnIndex":1}"#,
        r#"no "conversationId" (found "conversation_id"; see source.fields)"#,
    );
    said(
        r#"{"conversation_id":"a","turn_index":1}"#,
        r#"no "turnIndex" (found "turn_index"; see source.fields)"#,
    );
    said(
        r#"{"turnsarray":[]}"#,
        r#"no "turnsArray" (found "turnsarray"; see source.fields)"#,
    );
    said(
        r#"{"conversationId":"a","turnIndex":1,"when":"2025"}"#,
        r#"no "Timestamp" (found "conversationId", "turnIndex", "when"; see source.fields)"#,
    );
    said(
        r#"{"messages":[],"x":1}"#,
        r#"no "turnsArray" (schema conversations), "turnIndex" (turns) or "Name" with "Properties" (copilot_chat); found "messages" (an array), "x" (a number)"#,
    );
    said(
        "{}",
        r#"no "turnsArray" (schema conversations), "turnIndex" (turns) or "Name" with "Properties" (copilot_chat); found no keys"#,
    );
    said(
        r#"{"Name":"x","Properties":{}}"#,
        "a row of the schema copilot_chat, which this version does not read",
    );
    assert_eq!(
        no_user_message(br#"{"turnIndex":1,"user_message":"secret"}"#),
        r#"no "userMessage" (found "user_message"; see source.fields)"#
    );
}

#[test]
fn what_is_there_and_what_is_wanted() {
    let turn = |at: &str, index: &str| {
        format!(r#"{{"conversationId":"a","Timestamp":{at},"turnIndex":{index}}}"#)
    };
    let good = r#""2025-01-01T00:00:00Z""#;
    for (at, found) in [
        ("1735787045678", "the number 1735787045678"),
        (r#""yesterday""#, r#""yesterday""#),
        ("null", "null"),
        ("[1]", "an array"),
        ("true", "true"),
    ] {
        said(
            &turn(at, "1"),
            &format!(r#""Timestamp" is {found}, {WANTED}"#),
        );
    }
    for (index, found) in [
        (r#""3""#, r#""3""#),
        ("3.5", "the number 3.5"),
        ("{}", "an object"),
    ] {
        let expected = format!(r#""turnIndex" is {found}, wanted an integer"#);
        said(&turn(good, index), &expected);
    }
    for (id, found) in [
        ("5", "a number"),
        (r#""""#, "empty"),
        (r#""\ud83d""#, "text with half a character"),
    ] {
        said(
            &turn(good, "1").replace(r#""a""#, id),
            &format!(r#""conversationId" is {found}, wanted text that is not empty"#),
        );
    }
}

#[test]
fn what_is_wrong_with_the_form_of_a_row() {
    said(
        r#"{"conversationId":"a","turnsArray":"[]"}"#,
        r#""turnsArray" is text, wanted an array of turns"#,
    );
    said(
        r#"{"conversationId":"a","turnsArray":[{},null]}"#,
        r#"turn 2 of "turnsArray" is null, wanted an object"#,
    );
    said(
        r#"{"conversationId":"a","turnIndex":1,"mode":"x","mo\u0064e":"y"}"#,
        r#""mode" is there twice"#,
    );
    said(
        r#"{"conversationId":"a","turnsArray":[{},{"mode":1,"mode":2,"userMessage":1,"userMessage":2}]}"#,
        r#""userMessage" is there twice in turn 2"#,
    );
    said("[1]", "the row is an array, wanted an object");
    said(r#"{"a":1"#, "the row breaks off at byte 6");
    said(r#"{"a":1} x"#, "not JSON at byte 9 of the row");
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    said(&deep, "nested deeper than 128 levels");
    assert_eq!(
        describe(b"{\"\xff\":1}", MalformedReason::InvalidUtf8).as_deref(),
        Some("not UTF-8 at byte 3 of the row")
    );
    assert_eq!(
        describe(b"{}", MalformedReason::TooLarge).as_deref(),
        Some("2 bytes, more than limits.max_record")
    );
    assert_eq!(describe(b"{}", MalformedReason::RowPanic), None);
}

#[test]
fn what_is_shown_is_cut_and_escaped() {
    let long = "x".repeat(1000);
    let keys: Vec<String> = (0..30)
        .map(|n| format!("\"k{n}\\u001b[31m{long}\":1"))
        .collect();
    let row = format!("{{{}}}", keys.join(","));
    let what = what(row.as_bytes()).expect("something");
    assert!(what.ends_with(", 20 more"), "{what}");
    assert!(what.contains(r#""k0\u{1b}[31mxxx"#), "{what}");
    assert!(what.len() < 900 && !what.contains('\u{1b}'), "{what}");
    let shown = |text: &str| {
        let json = serde_json::to_string(text).expect("text");
        let value = Scanner::new(json.as_bytes()).value().expect("JSON");
        shown_value(&value)
    };
    assert_eq!(shown("a\n\u{9b}\u{202e}'é"), r#""a\n\u{9b}\u{202e}'é""#);
    assert_eq!(shown(&"é".repeat(41)), format!("\"{}...\"", "é".repeat(40)));
    assert_eq!(shown(&"é".repeat(40)), format!("\"{}\"", "é".repeat(40)));
    assert_eq!(
        shown(&"\u{1}".repeat(41)),
        format!("\"{}...\"", "\\u{1}".repeat(40))
    );
    let digits = "9".repeat(41);
    let value = Scanner::new(digits.as_bytes()).value().expect("JSON");
    assert_eq!(
        shown_value(&value),
        format!("the number {}...", "9".repeat(40))
    );
}
