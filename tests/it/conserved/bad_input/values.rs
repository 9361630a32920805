//! Rows that can be read, with odd values, instants and repetitions.

use super::{asked, evaluated, event, file, good, with_third_turn};
use crate::support::reference::evaluate;
use crate::support::{Sandbox, assert_equals_reference, corpus};

#[test]
fn odd_but_legal_values_are_kept_or_invalid_as_the_rules_say() {
    let mut lines = good();
    let changes: [&[(&str, &str)]; 18] = [
        &[("turnIndex", "3.0")],
        &[("turnIndex", "0")],
        &[("userMessage", "\"\\ud83d\"")],
        &[("userMessage", "null")],
        &[("userMessage", "absent")],
        &[("userMessage", "\" \\n\\u2003\"")],
        &[("modelMessage", "\"\"")],
        &[("trajectory", "null")],
        &[("trajectory", "absent")],
        &[("promptTokens", "-99999999999999999999999")],
        &[("promptTokens", "9223372036854775807")],
        &[("completionTokens", "1e400")],
        &[("mode", "\"Agent\"")],
        &[("mode", "absent")],
        &[("unknown", "{\"b\": 1,\"a\":2}"), ("x", "null")],
        &[("userName", "\" \"")],
        &[("userMessage", "\"\\u0000\\u001f\\/\"")],
        &[("conversationId", "\"unknown\"")],
    ];
    for (number, change) in changes.iter().enumerate() {
        for copy in 0..40 {
            lines.extend(with_third_turn(&format!("odd-{number}-{copy}"), change));
        }
    }
    for user in ["null", "\"\"", "\" \"", "absent", "7"] {
        for copy in 0..20 {
            lines.extend((1..=4).map(|turn| {
                event(
                    &format!("user-{}-{copy}", user.len()),
                    turn,
                    &[("userName", user)],
                )
            }));
        }
    }
    let (_sandbox, dataset, _) = evaluated(&file(&lines));
    assert_eq!(dataset.count("filtered"), 40, "rows without an id");
    assert!(dataset.count("cut_by_mode") >= 80);
}

#[test]
fn ids_with_quotes_slashes_newlines_and_emoji_are_ids() {
    let mut lines = good();
    for id in 0..60 {
        lines.extend(with_third_turn(
            &format!("a\\\"b/\\n\\\\ 🙂 \\u00e9 {id}"),
            &[],
        ));
    }
    evaluated(&file(&lines));
}

#[test]
fn the_window_is_half_open_to_the_tick() {
    let mut lines = Vec::new();
    let instants = [
        "2025-01-01T00:00:00Z",
        "2024-12-31T23:59:59.9999999Z",
        "2025-01-01T01:00:00.0000001+01:00",
        "2025-01-31T23:59:59.9999999Z",
        "2025-02-01T00:00:00",
        "2025-01-31T23:59:59.99999999Z",
        "2025-01-31T20:00:00-05:00",
    ];
    for (number, at) in instants.iter().enumerate() {
        let at = format!("\"{at}\"");
        for copy in 0..30 {
            lines.extend(
                (1..=3)
                    .map(|turn| event(&format!("w{number}-{copy}"), turn, &[("Timestamp", &at)])),
            );
        }
    }
    let files = file(&lines);
    let mut asked = asked();
    asked.window = (17_356_896_000_000_000, 17_383_680_000_000_000);
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    let window = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-02-01",
    ];
    assert!(
        sandbox
            .export(&asked, &window)
            .expect(2)
            .contains("window.end")
    );
    let window = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-02-01T00:00:00Z",
    ];
    sandbox.export(&asked, &window);
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &evaluate(&files, &asked));
    assert_eq!(dataset.count("filtered"), 3 * 90);
}

#[test]
fn redelivered_and_conflicting_turns_collapse_to_the_last_word() {
    let mut lines = Vec::new();
    for id in 0..100 {
        let id = format!("c{id}");
        lines.extend(with_third_turn(&id, &[]));
        lines.push(event(&id, 2, &[]));
        lines.push(event(
            &id,
            1,
            &[
                ("Timestamp", "\"2025-01-02T00:00:00Z\""),
                ("userMessage", "\"later\""),
            ],
        ));
        lines.push(event(&id, 4, &[("modelMessage", "\"same time\"")]));
    }
    // Across files, in any order.
    let rows: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
    let (_sandbox, dataset, _) = evaluated(&corpus::shuffled(&rows, 5, 1));
    assert_eq!(dataset.count("duplicate_turns"), 300);
    let records = dataset.records("train/short_3_to_5_turns.json");
    assert!(records.iter().all(|record| record.contains("\"later\"")));
}

#[test]
fn of_an_id_given_twice_the_row_with_more_turns_wins_also_into_another_bucket() {
    let conversation = |id: usize, turns: usize, extra: &str| {
        let all: Vec<String> = (1..=turns)
            .map(|t| format!(r#"{{"turnIndex":{t},"userMessage":"u"}}"#))
            .collect();
        let bucket = if turns <= 5 { "short" } else { "medium" };
        format!(
            r#"{{"conversationId":"c{id}","userName":"n","turnCount":{turns},"bucket":"{bucket}","turnsArray":[{}],"x":"{extra}"}}"#,
            all.join(",")
        )
    };
    let mut lines = Vec::new();
    for id in 0..200 {
        lines.push(conversation(id, 4, "a"));
        lines.push(conversation(id, if id % 2 == 0 { 6 } else { 4 }, "b"));
    }
    let (_sandbox, dataset, expected) = evaluated(&file(&lines));
    assert_eq!(dataset.count("duplicate_conversations"), 200);
    assert!(expected.strata[&("train", "medium")].population > 50);
}
