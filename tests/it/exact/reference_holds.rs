//! The binary gives what the reference evaluator gives, to the byte and to the count.

use crate::support::reference::{Asked, evaluate};
use crate::support::{Sandbox, assert_equals_reference, corpus};

fn holds(files: &corpus::Files, asked: &Asked, more: &[&str]) {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    let run = sandbox.export(asked, more);
    let expected = evaluate(files, asked);
    let short = expected
        .strata
        .iter()
        .any(|(stratum, s)| s.records.len() < asked.targets[stratum]);
    run.expect(if short { 3 } else { 0 });
    assert_equals_reference(&sandbox.dataset(), &expected);
    sandbox.run(&["verify", "out/d"]).expect(0);
}

/// For rows of twelve seeds, more and more of them.
fn holds_for_seeds(rows: fn(u64, usize) -> Vec<Vec<u8>>) {
    for seed in 0..12 {
        let rows = rows(seed, 60 + 20 * seed as usize);
        let asked = Asked::new(&format!("seed {seed}"), 1 + seed as usize);
        holds(&corpus::shuffled(&rows, 3, seed), &asked, &[]);
    }
}

#[test]
fn over_events_of_many_seeds() {
    holds_for_seeds(corpus::events);
}

#[test]
fn over_conversations_of_many_seeds() {
    holds_for_seeds(corpus::conversations);
}

#[test]
fn with_sorted_keys_a_window_and_some_targets() {
    let rows = corpus::events(99, 200);
    let mut asked = Asked::new("s", 3);
    asked.sort_keys = true;
    asked.targets.insert(("val", "short"), 0);
    let at = |text: &str| crate::support::reference::ticks(text).expect("an instant");
    let (start, end) = ("2025-01-01T00:00:00Z", "2025-01-12T00:00:00.5Z");
    asked.window = (at(start), at(end));
    let files = corpus::in_files(&rows, 2, "a");
    holds(
        &files,
        &asked,
        &[
            "--set",
            "sink.sort_keys=always",
            "--window-start",
            start,
            "--window-end",
            end,
        ],
    );
}

#[test]
fn when_most_candidates_are_invalid_more_are_looked_at() {
    // Spares run out: 400 invalid conversations for every 40 good ones.
    let mut rows = Vec::new();
    for number in 0..1100 {
        let user = if number % 11 == 0 { "n" } else { " " };
        for turn in 1..=3 {
            rows.push(format!(r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c{number}","userName":"{user}","mode":"agent","turnIndex":{turn},"userMessage":"u","modelMessage":"m","promptTokens":1,"completionTokens":1}}"#).into_bytes());
        }
    }
    let mut asked = Asked::new("s", 0);
    asked.targets.insert(("train", "short"), 70);
    let files = corpus::in_files(&rows, 2, "a");
    holds(&files, &asked, &[]);
}
