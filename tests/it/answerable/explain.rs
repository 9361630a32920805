//! `gleaner explain`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::SAID;
use crate::support::{Dataset, Run, Sandbox};

const WINDOW: [&str; 4] = [
    "--window-start",
    "2025-01-01T00:00:00Z",
    "--window-end",
    "2025-01-02T00:00:00Z",
];

fn id(number: u64) -> String {
    format!("c-{number}")
}

/// Conversations with every kind, by their numbers; the rows of the malformed ones come last.
fn rows() -> Vec<String> {
    let mut rows = Vec::new();
    let mut last = Vec::new();
    for number in 0..60 {
        let kind = number % 10;
        let turns = match kind {
            0 => 2,
            1 => 12,
            _ => 3 + number % 3,
        };
        for turn in 1..=turns {
            let day = if kind == 2 && turn == turns || kind == 9 {
                2
            } else {
                1
            };
            let row = json!({
                "Timestamp": format!("2025-01-0{day}T01:00:00Z"), "conversationId": id(number), "userName": "ann",
                "mode": if kind == 3 && turn == 2 { "ask" } else { "agent" },
                "turnIndex": if kind == 4 { turn + 1 } else { turn },
                "userMessage": if kind == 5 { "" } else { SAID }, "modelMessage": "m", "promptTokens": 1, "completionTokens": 1,
            });
            rows.push(row.to_string());
        }
        if kind == 6 {
            last.push(format!(
                "{{\"conversationId\":\"{}\",\"turnIndex\":\"{SAID}\"}}",
                id(number)
            ));
        }
    }
    rows.extend(last);
    rows
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", rows().join("\n") + "\n");
    sandbox.write("list", "c-7\nc-17\n");
    let mut args = vec![
        "export",
        "--input",
        "in",
        "--out",
        "out",
        "--name",
        "d",
        "--work-dir",
        "work",
    ];
    args.extend([
        "--progress",
        "none",
        "--exclude",
        "list",
        "--max-malformed",
        "50",
    ]);
    args.extend(["--set", "selection.targets={train={short=5,medium=0,long=0},val={short=2,medium=0,long=0},test={short=2,medium=0,long=0}}"]);
    args.extend(WINDOW);
    let run = sandbox.run(&args);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    sandbox
}

fn explain(sandbox: &Sandbox, id: &str, more: &[&str]) -> Run {
    let run = sandbox.run(&[&["explain", id, "out/d"], more].concat());
    run.expect(0);
    assert!(!run.stdout.contains(SAID), "{}", run.stdout);
    run
}

const SOURCE: [&str; 5] = ["--input", "in", "--exclude", "list", "--json"];

#[test]
fn every_conversation_is_what_the_dataset_counts_it_as() {
    let sandbox = sandbox();
    let dataset = Dataset::read(&sandbox.path("out/d"));
    let mut fates = BTreeMap::<String, u64>::new();
    for number in 0..60 {
        let report = explain(&sandbox, &id(number), &SOURCE).json();
        let verdict = report["verdict"].as_str().expect("a name").to_owned();
        *fates.entry(verdict).or_default() += 1;
    }
    let strata = dataset.metadata["strata"].as_array().expect("a list");
    let sum = |key: &str| -> u64 { strata.iter().filter_map(|one| one[key].as_u64()).sum() };
    let mut expected = BTreeMap::from([
        ("in_dataset", sum("records")),
        ("invalid", sum("invalid")),
        ("not_sampled", sum("not_sampled")),
        // No conversations.
        ("filtered", 6),
    ]);
    for key in [
        "excluded",
        "damaged",
        "cut_by_mode",
        "cut_by_window",
        "incomplete",
        "out_of_range",
        "no_target",
    ] {
        expected.insert(key, dataset.count(key));
    }
    let expected: BTreeMap<String, u64> = (expected.into_iter())
        .filter(|(_, count)| *count > 0)
        .map(|(key, count)| (key.to_owned(), count))
        .collect();
    assert_eq!(fates, expected);
    assert_eq!(expected.len(), 11, "every kind is met: {expected:?}");
}

#[test]
fn places_are_named() {
    let sandbox = sandbox();
    let report = explain(&sandbox, "c-6", &SOURCE).json();
    let line = rows()
        .iter()
        .position(|row| row.contains("c-6\",\"turnIndex"))
        .expect("there")
        + 1;
    assert_eq!(
        report["source"]["malformed"],
        json!([{"reason": "turn_index", "line": line, "file": "in/a.jsonl"}])
    );
    let strata = Dataset::read(&sandbox.path("out/d"));
    let file = "train/short_3_to_5_turns.jsonl";
    let lines = std::fs::read_to_string(strata.folder.join(file)).expect("a file");
    let record: Value = serde_json::from_str(lines.lines().nth(2).expect("three")).expect("JSON");
    let own = record["conversationId"].as_str().expect("an id");
    let report = explain(&sandbox, own, &["--json"]).json();
    let found = json!({"split": "train", "bucket": "short", "file": file, "line": 3});
    assert_eq!(report["found"], found);
    explain(&sandbox, own, &[]).shows(0, &[file, "line 3", "split train, rank "]);
}

#[test]
fn without_the_source_the_ranks_say_what_they_can() {
    let sandbox = sandbox();
    let verdict = |id: &str| explain(&sandbox, id, &["--json"]).json()["verdict"].clone();
    assert!(
        ["behind", "unknown", "no_target"]
            .iter()
            .any(|one| verdict("no-such-id") == *one)
    );
    let absent = explain(&sandbox, "no-such-id", &SOURCE).json();
    assert_eq!(
        (&absent["verdict"], &absent["source"]["rows"]),
        (&json!("absent"), &json!(0))
    );
    sandbox
        .run(&["explain", "c-1", "out/none"])
        .says(1, &["is no dataset"]);
}

#[test]
fn what_repeats_another_names_it() {
    let sandbox = Sandbox::new();
    super::write(&sandbox, "in.jsonl", super::usual);
    let more = ["--targets", "all", "--set", "near_duplicates.scope=all"];
    super::export(&sandbox, "in.jsonl", "d", &more);
    super::export(&sandbox, "in.jsonl", "again", &more);
    sandbox.run(&["diff", "out/d", "out/again"]).expect(0);
    let dataset = Dataset::read(&sandbox.path("out/d"));
    let file = dataset.metadata["near_duplicates"]["files"][0]["path"].as_str();
    let report = std::fs::read(dataset.folder.join(file.expect("a report"))).expect("a file");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    let entry = &report["near_duplicates"][0];
    let id = entry["conversationId"].as_str().expect("an id");
    let found = explain(&sandbox, id, &["--json"]).json();
    assert_eq!(found["verdict"], "near_duplicate");
    assert_eq!(found["near_duplicate"]["repeats"], entry["repeats"]);
}
