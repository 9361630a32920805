//! Rows of many megabytes: at the default limit, above the budgets, and named where they came from.

mod support;

use std::fs::File;
use std::io::{BufWriter, Write};

use support::reference::{Asked, evaluate};
use support::{Sandbox, assert_equals_reference};

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
    assert_eq!(dataset.count("conversations"), 2);
    let records = ["train", "val", "test"]
        .map(|split| dataset.records(&format!("{split}/short_3_to_5_turns.json")))
        .concat();
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
    let files = support::corpus::in_files(&rows, 4, "a");
    for (name, bytes) in &files {
        let zst = zstd::encode_all(&bytes[..], 1).expect("memory");
        sandbox.write(&format!("in/{name}.zst"), zst);
    }
    let asked = Asked::new("s", 20);
    sandbox
        .export(
            &asked,
            &["--set", "limits.in_flight=1MB", "--fetchers", "8"],
        )
        .expect(3);
    assert_equals_reference(&sandbox.dataset(), &evaluate(&files, &asked));
}
