//! A conversation row without `turnCount` or `bucket` gets them from its turns, before its closing
//! brace; everything else stays as it is.

use std::fs;

use crate::support::reference::{Asked, evaluate};
use crate::support::{Dataset, Sandbox, assert_equals_reference, corpus};

/// A row with `turns` turns; `head` comes first in it, `tail` before its closing brace.
fn row(id: &str, turns: usize, head: &str, tail: &str) -> String {
    let turn = |n| format!(r#"{{"turnIndex": {n}, "userMessage": "u", "modelMessage": "m"}}"#);
    let turns: Vec<String> = (1..=turns).map(turn).collect();
    let turns = turns.join(", ");
    format!(r#"{{{head}"conversationId": "{id}", "turnsArray": [{turns}]{tail}}}"#)
}

#[track_caller]
fn exported(rows: &[String], target: usize) -> (Sandbox, Dataset) {
    let files: corpus::Files = vec![("a.jsonl".to_owned(), rows.join("\n").into_bytes())];
    let asked = Asked::new("s", target);
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    sandbox.export(&asked, &["--format", "json"]).expect(3);
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &evaluate(&files, &asked));
    (sandbox, dataset)
}

#[test]
fn what_a_row_lacks_stands_before_its_closing_brace_and_verify_wants_it() {
    let user = r#""userName": "n", "#;
    // These hash to train.
    let rows = [
        row("World", 4, user, " "),
        row("a", 4, user, r#", "bucket":"short_3_to_5_turns""#),
        row("k0", 4, user, r#", "turnCount":4.0"#),
        row("k1", 4, user, r#", "turnCount":null"#),
        row("k2", 4, user, r#", "bucket":null"#),
        row("k3", 2, user, ""),
    ];
    let (sandbox, dataset) = exported(&rows, 10);
    let mut records = Vec::new();
    for split in ["train", "val", "test"] {
        let file = dataset
            .folder
            .join(format!("{split}/short_3_to_5_turns.json"));
        if file.exists() {
            records.extend(dataset.records(&format!("{split}/short_3_to_5_turns.json")));
        }
    }
    records.sort();
    let with = |row: &String, more: &str| row[..row.len() - 1].to_owned() + more + "}";
    let mut expected = [
        with(&rows[0], r#","turnCount":4,"bucket":"short""#),
        with(&rows[1], r#","turnCount":4"#),
        with(&rows[2], r#","bucket":"short""#),
    ];
    expected.sort();
    assert_eq!(records, expected);
    assert_eq!(dataset.count("out_of_range"), 1);
    sandbox.run(&["verify", "out/d"]).expect(0);

    // What a record of a dataset lacks is a fault.
    let train = dataset.folder.join("train/short_3_to_5_turns.json");
    let text = fs::read_to_string(&train).expect("a file");
    for (present, code) in [
        (r#","bucket":"short""#, "missing_field:bucket"),
        (r#","turnCount":4,"#, "bucket_mismatch"),
    ] {
        let keep = if present.ends_with(',') { "," } else { "" };
        let changed = text.replacen(present, keep, 1);
        assert_ne!(changed, text, "{present}");
        fs::write(&train, changed).expect("writable");
        let run = sandbox.run(&["verify", "out/d"]);
        run.expect(1);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains(code), "{said}");
    }
}

#[test]
fn rows_that_lack_their_user_too_are_invalid_for_that_alone() {
    let mut rows: Vec<String> = (0..60).map(|n| row(&format!("n{n}"), 4, "", "")).collect();
    rows.extend((0..9).map(|n| row(&format!("g{n}"), 4, r#""userName":"n","#, "")));
    let (_sandbox, dataset) = exported(&rows, 100);
    let mut invalid = 0;
    for file in dataset.metadata["invalid_files"]
        .as_array()
        .expect("a list")
    {
        let path = dataset.folder.join(file["path"].as_str().expect("a path"));
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(path).expect("a report")).expect("JSON");
        let codes = report["summary"]["error_summary"]
            .as_object()
            .expect("codes");
        assert_eq!(
            codes.keys().collect::<Vec<_>>(),
            ["missing_field:userName"],
            "{report}"
        );
        invalid += report["summary"]["total_invalid"]
            .as_u64()
            .expect("a count");
    }
    assert_eq!(invalid, 60);
}

#[test]
fn of_two_deliveries_the_record_as_it_would_be_written_decides() {
    let user = r#""userName":"n","#;
    for (id, one, other) in [
        ("World", "", r#","turnCount":4,"bucket":"short""#),
        ("a", "", " "),
        ("b", r#","x":1"#, r#","x":2"#),
        ("c", r#","turnCount":4"#, r#","bucket":"short""#),
    ] {
        let rows = [one, other].map(|tail| row(id, 4, user, tail));
        let (_sandbox, dataset) = exported(&rows, 10);
        assert_eq!(dataset.count("rows_read"), 2, "{id}");
    }
}
