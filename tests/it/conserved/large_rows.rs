//! Rows of many megabytes: at the default limit, above the budgets, and named where they came from.

use std::fs::File;
use std::io::{BufWriter, Write};

use crate::support::reference::{Asked, evaluate};
use crate::support::{Sandbox, assert_equals_reference};

/// A conversation row whose first message has so many bytes.
fn conversation(id: &str, bytes: usize) -> Vec<u8> {
    let turns = [1, 2, 3].map(|turn| {
        let message = "x".repeat(if turn == 1 { bytes } else { 1 });
        format!(r#"{{"turnIndex":{turn},"userMessage":"{message}","modelMessage":"m"}}"#)
    });
    format!(
        r#"{{"conversationId":"{id}","userName":"n","turnCount":3,"bucket":"short","turnsArray":[{}],"promptTokens":1,"completionTokens":1}}"#,
        turns.join(",")
    )
    .into_bytes()
}

#[test]
fn a_line_above_64_megabytes_is_malformed_and_one_below_is_kept() {
    let sandbox = Sandbox::new();
    let rows = [
        conversation("small", 10),
        conversation("above", 70_000_000),
        conversation("below", 60_000_000),
    ];
    std::fs::create_dir(sandbox.path("in")).expect("a folder");
    let mut out = BufWriter::new(File::create(sandbox.path("in/a.jsonl")).expect("writable"));
    for row in &rows {
        out.write_all(row).expect("room");
        out.write_all(b"\n").expect("room");
    }
    out.flush().expect("room");
    sandbox.export(&Asked::new("s", 5), &[]).expect(3);
    let dataset = sandbox.dataset();
    let too_large = &dataset.metadata["malformed"]["too_large"];
    assert_eq!(too_large["count"], 1);
    assert_eq!(too_large["examples"][0]["line"], 2);
    assert_eq!(dataset.count("conversations"), 3);
    assert_eq!(dataset.count("damaged"), 1);
    let records = ["train", "val", "test"]
        .map(|split| format!("{split}/short_3_to_5_turns.json"))
        .iter()
        .filter(|file| dataset.folder.join(file).exists())
        .flat_map(|file| dataset.records(file))
        .collect::<Vec<_>>();
    assert!(records.iter().any(|record| record.as_bytes() == rows[2]));
}

#[test]
fn a_record_above_the_budget_of_bytes_goes_alone() {
    let sandbox = Sandbox::new();
    let rows: Vec<Vec<u8>> = (0..12)
        .map(|id| {
            conversation(
                &format!("c{id}"),
                if id % 3 == 0 { 3_000_000 } else { 100_000 },
            )
        })
        .collect();
    let files = crate::support::corpus::in_files(&rows, 4, "a");
    sandbox.write_compressed_input(&files);
    let asked = Asked::new("s", 20);
    sandbox
        .export(
            &asked,
            &["--set", "limits.in_flight=1MB", "--fetchers", "8"],
        )
        .expect(3);
    assert_equals_reference(&sandbox.dataset(), &evaluate(&files, &asked));
}

/// An event row of a conversation of three turns.
fn event(id: &str, turn: usize, message: &str) -> String {
    format!(
        r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"{id}","mode":"agent","turnIndex":{turn},"userMessage":"{message}","modelMessage":"m"}}"#
    )
}

/// The places listed as too large, and how many there are.
fn too_large(metadata: &serde_json::Value) -> (u64, Vec<String>) {
    let listed = &metadata["malformed"]["too_large"];
    let places = listed["examples"].as_array().expect("a list").iter();
    let place = |example: &serde_json::Value| {
        let file = example["file"].as_str().expect("a path");
        format!("{file}:{}", example["line"])
    };
    (
        listed["count"].as_u64().expect("a count"),
        places.map(place).collect(),
    )
}

#[test]
fn rows_of_a_conversation_that_is_too_large_are_named_where_they_came_from() {
    let sandbox = Sandbox::new();
    // Each row passes; the conversation that they make up does not.
    let lines = |id: &str| {
        let large = "x".repeat(300);
        let mut lines = vec![
            event(id, 1, &large),
            String::new(),
            event(id, 2, &large),
            event(id, 3, &large),
        ];
        lines.extend((1..=3).map(|turn| event(&format!("{id}-small"), turn, "u")));
        lines.join("\n").into_bytes()
    };
    let zst = |text: Vec<u8>| zstd::encode_all(&text[..], 1).expect("memory");
    // A row that is too large by itself, between the others in the list.
    let mut last = lines("z");
    last.extend_from_slice(b"\n\n");
    last.extend_from_slice(event("alone", 1, &"x".repeat(2000)).as_bytes());
    for (name, bytes) in [
        ("in/c.jsonl", last),
        ("in/b.jsonl.zst", zst(lines("b"))),
        ("in/a.jsonl.zst", zst(lines("a"))),
        ("in/d.jsonl", lines("d")),
    ] {
        sandbox.write(name, bytes);
    }
    // One conversation is good, so that there is a dataset to look at.
    let good = (1..=3).map(|turn| {
        let named = |row: String| row.replacen('{', r#"{"userName":"u","#, 1);
        named(event("good", turn, "u"))
    });
    sandbox.write("in/e.jsonl", good.collect::<Vec<_>>().join("\n"));
    let asked = Asked::new("s", 5);
    sandbox
        .export(&asked, &["--set", "limits.max_record=1kB"])
        .expect(3);
    let metadata = sandbox.dataset().metadata;
    let expected = "a.jsonl.zst:1 a.jsonl.zst:3 a.jsonl.zst:4 \
        b.jsonl.zst:1 b.jsonl.zst:3 b.jsonl.zst:4 \
        c.jsonl:1 c.jsonl:3 c.jsonl:4 c.jsonl:9 d.jsonl:1 d.jsonl:3 d.jsonl:4";
    let expected = expected.split_whitespace().map(|at| format!("in/{at}"));
    assert_eq!(too_large(&metadata), (13, expected.collect()));
}
