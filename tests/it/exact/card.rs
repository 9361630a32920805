//! `README.md` of an exported dataset: which files are which split, and what its fields are.

use std::fs;

use serde_json::json;

use crate::support::Sandbox;

const SETTINGS: &str = r#"
[[selection.splits]]
name = "my-split"
percent = 50
[[selection.splits]]
name = "my_test_run"
percent = 50
[[selection.buckets]]
name = "short"
turns = [3, 5]
file = "short-eval"
[[selection.buckets]]
name = "long"
turns = [6, 9]
file = "long"
"#;

/// Conversations of three turns, with a field that is a text or an object, and one that is only text.
fn exported() -> Sandbox {
    let sandbox = Sandbox::new();
    let turns = |id: u32| -> Vec<_> {
        let turn = |turn: u32| json!({"turnIndex": turn, "userMessage": format!("u{id}"), "modelMessage": "m"});
        (1..=3).map(turn).collect()
    };
    let rows = (0..40).map(|id| {
        let mixed = if id % 2 == 0 { json!("00123") } else { json!({"a": id}) };
        let row = json!({"conversationId": format!("c{id}"), "userName": "u", "note": "n: \"x\"", "mixed": mixed, "turnsArray": turns(id)});
        row.to_string()
    });
    sandbox.write("in.jsonl", rows.collect::<Vec<_>>().join("\n"));
    sandbox.write("c.toml", SETTINGS);
    let export = "export --config c.toml --input in.jsonl --out out --name d --targets all --progress none --json";
    let run = sandbox.run(&export.split(' ').collect::<Vec<_>>());
    run.expect(0);
    let notes = run.json()["notes"].to_string();
    for name in ["my_test_run", "short-eval", "README.md calls it my_split"] {
        assert!(notes.contains(name), "{name}: {notes}");
    }
    sandbox
}

#[test]
fn the_card_names_the_files_of_each_split_and_the_kinds_of_fields() {
    let sandbox = exported();
    let card = fs::read_to_string(sandbox.path("out/d/README.md")).expect("a card");
    let header = card.split("---\n").nth(1).expect("a header");
    let expected = concat!(
        "configs:\n- config_name: default\n  data_files:\n",
        "  - split: my_split\n    path:\n    - \"my-split/short-eval.jsonl\"\n",
        "  - split: my_test_run\n    path:\n    - \"my_test_run/short-eval.jsonl\"\n",
    );
    assert!(header.ends_with(expected), "{header}");
    for (name, kind) in [
        ("conversationId", "string"),
        ("turnCount", "json"),
        ("turnsArray", "json"),
        ("note", "string"),
        ("mixed", "json"),
    ] {
        let feature = format!("  - name: \"{name}\"\n    dtype: {kind}\n");
        assert!(header.contains(&feature), "{feature}: {header}");
    }
    assert!(card.contains("The field \"mixed\" has texts and other values"));
    assert!(!card.contains("\"note\" has"));
}

#[test]
fn a_card_that_was_changed_is_found() {
    let sandbox = exported();
    sandbox.run(&["verify", "out/d"]).expect(0);
    let path = sandbox.path("out/d/README.md");
    let card = fs::read_to_string(&path).expect("a card");
    fs::write(&path, card.replace("license: other", "license: mit!!")).expect("writable");
    let run = sandbox.run(&["verify", "out/d"]);
    run.expect(1);
    assert!(
        run.stdout.contains("README.md: has another SHA-256"),
        "{}",
        run.stdout
    );
}
