//! Conversations of a cluster: it is asked for all of them, and those that are named go no further.

use std::fs;

use serde_json::Value;

use crate::support::Sandbox;
use crate::support::kusto::{Emulator, export_synthetic};

#[test]
fn in_one_pass_and_two_the_next_in_rank_take_the_place_of_what_is_left_out() {
    let plain = Sandbox::new();
    export_synthetic(&plain, &[]).expect(0);
    let file = fs::read_to_string(plain.path("out/d/train/medium_6_to_10_turns.jsonl"));
    let file = file.expect("a file");
    let id = |line: &str| -> String {
        let record: Value = serde_json::from_str(line).expect("JSON");
        record["conversationId"].as_str().expect("an id").to_owned()
    };
    let ids: Vec<String> = file.lines().step_by(20).map(id).collect();
    let list = ids.join("\n");
    let expected = Sandbox::new();
    expected.write("list", &list);
    let expected = export_synthetic(&expected, &["--exclude", "list"]);
    expected.expect(0);
    let expected = expected.json();
    for passes in ["source.kusto.passes=2", "source.kusto.passes=1"] {
        let sandbox = Sandbox::new();
        sandbox.write("list", &list);
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let run = emulator.export(&sandbox, &["--exclude", "list", "--set", passes]);
        run.expect(0);
        let found = run.json();
        assert_eq!(
            found["content_sha256"], expected["content_sha256"],
            "{passes}"
        );
        let metadata = fs::read(sandbox.path("out/d/metadata.json")).expect("published");
        let metadata: Value = serde_json::from_slice(&metadata).expect("JSON");
        assert_eq!(metadata["population"]["excluded"], ids.len());
        assert_eq!(metadata["exclude"]["matched"], ids.len());
    }
}
