//! Bad input, one test for each kind, with the result named. Where a dataset comes out it is held
//! against the reference.

mod files;
mod places;
mod rows;
mod values;

use crate::support::reference::{Asked, Outcome, evaluate};
use crate::support::{Dataset, Sandbox, assert_equals_reference, corpus};

fn asked() -> Asked {
    Asked::new("s", 3)
}

/// An event of conversation `id`; `more` replaces or adds members.
fn event(id: &str, turn: u32, more: &[(&str, &str)]) -> String {
    let (id, turn) = (format!("\"{id}\""), turn.to_string());
    let mut members = vec![
        ("Timestamp", "\"2025-01-01T00:00:00Z\""),
        ("conversationId", &id),
        ("userName", "\"ann\""),
        ("mode", "\"agent\""),
        ("turnIndex", &turn),
        ("userMessage", "\"u\""),
        ("modelMessage", "\"m\""),
        ("promptTokens", "1"),
        ("completionTokens", "1"),
        ("llmCallCount", "1"),
        ("trajectory", "[]"),
    ];
    for (name, value) in more {
        members.retain(|(known, _)| known != name);
        if *value != "absent" {
            members.push((name, value));
        }
    }
    let members: Vec<String> = members
        .iter()
        .map(|(n, v)| format!("\"{n}\":{v}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Three good turns of many conversations, so that there is always something to sample.
fn good() -> Vec<String> {
    (0..200)
        .flat_map(|id| (1..=4).map(move |turn| event(&format!("good-{id}"), turn, &[])))
        .collect()
}

/// A conversation of four turns, with its third turn changed.
fn with_third_turn(id: &str, more: &[(&str, &str)]) -> Vec<String> {
    (1..=4)
        .map(|turn| event(id, turn, if turn == 3 { more } else { &[] }))
        .collect()
}

fn file(lines: &[String]) -> corpus::Files {
    vec![("a.jsonl".to_owned(), (lines.join("\n") + "\n").into_bytes())]
}

/// Exports, compares with the reference, and gives both.
#[track_caller]
fn evaluated(files: &corpus::Files) -> (Sandbox, Dataset, Outcome) {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    let run = sandbox.export(&asked(), &[]);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    let expected = evaluate(files, &asked());
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &expected);
    (sandbox, dataset, expected)
}

/// Lines that are malformed beside good ones; gives the reasons.
#[track_caller]
fn malformed(bad: &[&str]) -> Vec<String> {
    let mut lines = good();
    lines.extend(bad.iter().map(|line| (*line).to_owned()));
    let (_sandbox, dataset, _) = evaluated(&file(&lines));
    assert_eq!(dataset.count("malformed"), bad.len() as u64);
    dataset.metadata["malformed"]
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}
