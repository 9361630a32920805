//! `gleaner diff`.

use std::fs;

use serde_json::{Value, json};

use super::{SAID, conversation, export, id, listed, usual, write};
use crate::support::{Run, Sandbox};

fn diff(sandbox: &Sandbox, more: &[&str]) -> Run {
    let mut args = vec!["diff", "out/a", "out/b"];
    args.extend(more);
    let run = sandbox.run(&args);
    assert!(
        !run.stdout.contains(SAID) && !run.stderr.contains(SAID),
        "{}",
        run.stdout
    );
    run
}

/// The ids of a stratum's file, in their order.
fn ids(sandbox: &Sandbox, dataset: &str, bucket: &str) -> Vec<String> {
    let file = sandbox.path(&format!("out/{dataset}/train/{bucket}.jsonl"));
    let lines = fs::read_to_string(file).expect("a file");
    let id = |line: &str| -> String {
        let record: Value = serde_json::from_str(line).expect("JSON");
        record["conversationId"].as_str().expect("an id").to_owned()
    };
    lines.lines().map(id).collect()
}

const SHORT: &str = "short_3_to_5_turns";

#[test]
fn two_exports_of_the_same_are_the_same_and_a_format_is_a_setting() {
    let sandbox = Sandbox::new();
    write(&sandbox, "in.jsonl", usual);
    for (name, more) in [("a", &[][..]), ("b", &[])] {
        export(&sandbox, "in.jsonl", name, more);
    }
    diff(&sandbox, &[]).shows(0, &["the same records, settings and counts"]);
    assert_eq!(diff(&sandbox, &["--json"]).json()["same"], true);
    fs::remove_dir_all(sandbox.path("out/b")).expect("there");
    export(&sandbox, "in.jsonl", "b", &["--format", "json", "--fresh"]);
    let run = diff(&sandbox, &["--json"]);
    run.expect(1);
    let report = run.json();
    assert_eq!(
        report["configuration"],
        json!(["format: \"jsonl\" -> \"json\""])
    );
    assert_eq!(
        (&report["counts"], &report["records"]),
        (&json!([]), &json!([]))
    );
}

#[test]
fn what_is_excluded_and_who_takes_its_place_is_all_that_differs() {
    let sandbox = Sandbox::new();
    write(&sandbox, "in.jsonl", usual);
    export(&sandbox, "in.jsonl", "a", &[]);
    let before = ids(&sandbox, "a", SHORT);
    let gone = [before[3].clone(), before[11].clone()];
    sandbox.write("list", gone.join("\n"));
    export(&sandbox, "in.jsonl", "b", &["--exclude", "list"]);
    let after = ids(&sandbox, "b", SHORT);
    let run = diff(&sandbox, &["--json"]);
    run.expect(1);
    assert_eq!(listed(&run, "only_in_a"), gone);
    assert_eq!(listed(&run, "only_in_b"), after[18..]);
    assert_eq!(run.json()["records"].as_array().map(Vec::len), Some(4));
    let text = diff(&sandbox, &[]);
    let counts = "records: 2 only in A, 2 only in B, 0 other bytes, 0 moved";
    text.shows(
        1,
        &[
            "population.excluded: 0 -> 2",
            "train/short",
            &gone[0],
            counts,
        ],
    );
}

#[test]
fn other_bytes_and_other_strata_are_named_apart() {
    let sandbox = Sandbox::new();
    write(&sandbox, "in.jsonl", usual);
    export(&sandbox, "in.jsonl", "a", &["--targets", "all"]);
    let short = ids(&sandbox, "a", SHORT);
    let (changed, moved) = (&short[2], &short[7]);
    write(&sandbox, "other.jsonl", |number| {
        let own = id(number);
        match () {
            () if own == *changed => conversation(&own, 3 + number % 8, &format!("{SAID}!")),
            () if own == *moved => conversation(&own, 9, SAID),
            () => usual(number),
        }
    });
    export(&sandbox, "other.jsonl", "b", &["--targets", "all"]);
    let run = diff(&sandbox, &["--json"]);
    run.expect(1);
    assert_eq!(listed(&run, "changed"), std::slice::from_ref(changed));
    assert_eq!(listed(&run, "moved"), std::slice::from_ref(moved));
    let report = run.json();
    assert_eq!(report["records"].as_array().map(Vec::len), Some(2));
    let moved = report["records"]
        .as_array()
        .and_then(|records| records.last())
        .expect("one");
    assert_eq!(
        (&moved["in_a"], &moved["in_b"]),
        (&json!("train/short"), &json!("train/medium"))
    );
}

#[test]
fn the_first_hundred_of_a_kind_are_listed_unless_all_are_asked_for() {
    let sandbox = Sandbox::new();
    write(&sandbox, "in.jsonl", usual);
    export(&sandbox, "in.jsonl", "a", &["--targets", "all"]);
    write(&sandbox, "other.jsonl", |number| {
        conversation(&id(number), 3 + number % 8, "other")
    });
    export(&sandbox, "other.jsonl", "b", &["--targets", "all"]);
    let (some, all) = (
        diff(&sandbox, &["--json"]),
        diff(&sandbox, &["--json", "--each"]),
    );
    let number = listed(&all, "changed").len() as u64;
    assert!(number > 100, "{number}");
    assert_eq!(listed(&some, "changed"), listed(&all, "changed")[..100]);
    assert_eq!(some.json()["not_listed"], number - 100);
    assert_eq!(all.json()["not_listed"], 0);
    diff(&sandbox, &[]).shows(1, &["more, see --each"]);
}

#[test]
fn what_is_no_dataset_or_was_damaged_is_named() {
    let sandbox = Sandbox::new();
    write(&sandbox, "in.jsonl", usual);
    export(&sandbox, "in.jsonl", "a", &[]);
    diff(&sandbox, &[]).says(1, &["out/b is no dataset"]);
    export(&sandbox, "in.jsonl", "b", &["--seed", "other"]);
    let file = sandbox.path(&format!("out/b/train/{SHORT}.jsonl"));
    let lines = fs::read_to_string(&file).expect("a file");
    fs::write(&file, lines.replacen(SAID, "another", 1)).expect("writable");
    diff(&sandbox, &[]).says(1, &[SHORT]);
}
