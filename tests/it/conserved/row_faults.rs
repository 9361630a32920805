//! Input as people have it: what gleaner says about rows that it cannot use. Key names and types are
//! shown, never text of a conversation.

use std::fs;

use serde_json::Value;

use crate::support::reference::Asked;
use crate::support::{Run, Sandbox, shared};

/// What is never to be shown.
const SECRET: &str = "canary text of a conversation";

/// Exports these rows in 60 conversations of 4 turns with the usual limit for malformed rows.
fn export(row: impl Fn(usize, usize) -> String) -> (Sandbox, Run) {
    let rows: Vec<String> = (0..60)
        .flat_map(|id| (1..=4).map(move |turn| (id, turn)))
        .map(|(id, turn)| row(id, turn))
        .collect();
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", rows.join("\n"));
    let run = sandbox.export(&Asked::new("s", 5), &["--max-malformed", "1"]);
    (sandbox, run)
}

#[track_caller]
fn says(run: &Run, expected: &str) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains(expected), "{expected}\n---\n{said}");
    assert!(!said.contains(SECRET), "{said}");
}

/// All rows are malformed; the error says what is wrong with the first.
#[track_caller]
fn refused(run: &Run, reason: &str, what: &str) {
    run.expect(1);
    let first = format!(
        "240 of 240 rows are malformed, more than the 1% that are allowed; the first: {reason} at in/a.jsonl:1: {what}\n"
    );
    says(run, &first);
}

/// The members that a turn has besides its `Timestamp`.
fn rest(id: usize, turn: usize) -> String {
    format!(
        r#""conversationId": "z{id}", "userName": "u1", "mode": "agent", "turnIndex": {turn}, "userMessage": "{SECRET}", "modelMessage": "{SECRET}""#
    )
}

#[test]
fn a_timestamp_in_small_letters() {
    let (_sandbox, run) = export(|id, turn| {
        format!(
            r#"{{{}, "timestamp": "2025-01-02T03:04:05Z"}}"#,
            rest(id, turn)
        )
    });
    refused(
        &run,
        "timestamp",
        r#"no "Timestamp" (found "timestamp"; see source.fields)"#,
    );
}

#[test]
fn a_timestamp_in_milliseconds() {
    let (_sandbox, run) =
        export(|id, turn| format!(r#"{{"Timestamp": 1735787045678, {}}}"#, rest(id, turn)));
    refused(
        &run,
        "timestamp",
        r#""Timestamp" is the number 1735787045678, wanted RFC 3339 text such as "2025-01-02T03:04:05Z""#,
    );
}

#[test]
fn names_with_underscores() {
    let (sandbox, run) = export(|id, turn| {
        format!(
            r#"{{"timestamp": "2025-01-02T03:04:05Z", "conversation_id": "z{id}", "turn_index": {turn}, "mode": "agent", "user_message": "{SECRET}", "model_message": "{SECRET}"}}"#
        )
    });
    refused(
        &run,
        "no_schema",
        r#"no "turnIndex" (found "turn_index"; see source.fields)"#,
    );
    // It says what to do, and that helps.
    let fields = [
        "Timestamp=timestamp",
        "conversationId=conversation_id",
        "turnIndex=turn_index",
        "userMessage=user_message",
        "modelMessage=model_message",
    ];
    let pairs = fields.map(|pair| format!("source.fields.{pair}"));
    let mut more: Vec<&str> = pairs.iter().flat_map(|pair| ["--set", pair]).collect();
    more.push("--fresh");
    let run = sandbox.export(&Asked::new("s", 5), &more);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains("malformed,"), "{said}");
}

#[test]
fn messages_for_training() {
    let (_sandbox, run) =
        export(|_, _| format!(r#"{{"messages": [{{"role": "user", "content": "{SECRET}"}}]}}"#));
    refused(
        &run,
        "no_schema",
        r#"no "turnsArray" (schema conversations), "turnIndex" (turns) or "Name" with "Properties" (copilot_chat); found "messages" (an array)"#,
    );
}

#[test]
fn a_mode_with_a_capital() {
    let (_sandbox, run) = export(|id, turn| {
        let row = format!(
            r#"{{"Timestamp": "2025-01-02T03:04:05Z", {}}}"#,
            rest(id, turn)
        );
        row.replace(r#""agent""#, r#""Agent""#)
    });
    says(&run, r#"240 rows have mode "Agent", wanted "agent""#);
}

#[test]
fn a_row_a_message() {
    let (_sandbox, run) = export(|id, turn| {
        format!(
            r#"{{"Timestamp": "2025-01-02T03:04:05Z", "conversationId": "m{id}", "mode": "agent", "turnIndex": {turn}, "source": "user", "messageText": "{SECRET}"}}"#
        )
    });
    says(
        &run,
        r#"240 rows have no userMessage, so their conversations are invalid; the first is in/a.jsonl:1: no "userMessage" (found "Timestamp", "conversationId", "mode", "turnIndex", "source", "messageText"; see source.fields). A row must hold a whole turn: join rows of one message each, the user's and the model's, before"#,
    );
}

#[test]
fn metadata_says_what_is_wrong_with_each_row_that_it_lists() {
    let sandbox = Sandbox::new();
    let good = |id, turn| {
        format!(
            r#"{{"Timestamp": "2025-01-02T03:04:05Z", {}}}"#,
            rest(id, turn)
        )
    };
    let mut rows: Vec<String> = (0..60)
        .flat_map(|id| (1..=4).map(move |turn| (id, turn)))
        .map(|(id, turn)| good(id, turn))
        .collect();
    rows.push(
        good(99, 1)
            .replace("99", r"9\u0000")
            .replace(r#": 1,"#, r#": "\u001b[31m","#),
    );
    rows.push(format!(r#"{{"{SECRET}{}": 1}}"#, "y".repeat(99)));
    sandbox.write("in/a.jsonl", rows.join("\n"));
    sandbox
        .export(&Asked::new("s", 5), &["--max-malformed", "1"])
        .expect(3);
    let metadata = sandbox.dataset().metadata;
    let example = |reason: &str| metadata["malformed"][reason]["examples"][0].clone();
    assert_eq!(
        example("turn_index"),
        serde_json::json!({
            "file": "in/a.jsonl", "line": 241,
            "what": r#""turnIndex" is "\u{1b}[31m", wanted an integer"#,
        })
    );
    let what = example("no_schema")["what"].clone();
    let shown = format!(
        r#"found "{SECRET}{}..." (a number)"#,
        "y".repeat(40 - SECRET.len())
    );
    assert!(
        what.as_str().is_some_and(|what| what.ends_with(&shown)),
        "a key is a name, however long: {what}"
    );
}

#[test]
fn the_cases_themselves() {
    let Some(folder) = shared() else { return };
    let cases = folder.join("cases");
    for (case, expected) in [
        (
            "lower_ts",
            r#"timestamp at in/a.jsonl:1: no "Timestamp" (found "timestamp"; see source.fields)"#,
        ),
        (
            "epoch_ms",
            r#"timestamp at in/a.jsonl:1: "Timestamp" is the number 1735787045678, wanted RFC 3339"#,
        ),
        (
            "snake",
            r#"no_schema at in/a.jsonl:1: no "turnIndex" (found "turn_index"; see source.fields)"#,
        ),
        ("openai", r#"no_schema at in/a.jsonl:1: no "turnsArray""#),
        (
            "mode_capital",
            r#"240 rows have mode "Agent", wanted "agent""#,
        ),
        ("row-per-message", "300 rows have no userMessage"),
    ] {
        let sandbox = Sandbox::new();
        let rows = fs::read(cases.join(format!("{case}.jsonl"))).expect("a case");
        sandbox.write("in/a.jsonl", rows);
        let run = sandbox.export(&Asked::new("s", 5), &["--max-malformed", "1"]);
        says(&run, expected);
    }
    let sandbox = Sandbox::new();
    let rows = fs::read(cases.join("rows-without-bucket.jsonl")).expect("a case");
    sandbox.write("in/a.jsonl", rows);
    let run = sandbox.export(&Asked::new("s", 5), &[]);
    if run.code == Some(3) {
        let strata: Value = run.json()["strata"].clone();
        let strata = strata.as_array().expect("a list");
        let invalid: u64 = strata.iter().filter_map(|s| s["invalid"].as_u64()).sum();
        assert_eq!(invalid, 60);
    } else {
        says(&run, "missing_field:userName 60");
    }
}
