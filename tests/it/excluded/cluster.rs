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
        let args = ["--exclude", "list", "--set", passes];
        let killed = emulator.export_killed(&sandbox, "upload.publish.before:1", &args);
        assert_eq!(killed.code, None, "{}", killed.stderr);
        // What is sealed fits the list: nothing is fetched again.
        let port = emulator.port();
        drop(emulator);
        let faults =
            "[[fault]]\nquery = \"payload\"\nchunk = \"8-3\"\ntimes = 0\nkind = \"forbidden\"\n";
        let emulator = Emulator::start(&sandbox, faults, port, &[]);
        let run = emulator.export(&sandbox, &args);
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

#[test]
fn telemetry_of_a_cluster_is_left_out_too_and_nothing_else_changes() {
    let schema = ["--schema", "copilot_chat"];
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &schema);
    let targets = "selection.targets={train={short=6,medium=9,long=3},val={short=1,medium=1,long=1},test={short=1,medium=1,long=1}}";
    let export = |name: &str, more: &[&str]| {
        let work = format!("work-{name}");
        let args = [
            &schema[..],
            &["--set", targets, "--name", name, "--work-dir", &work],
            more,
        ]
        .concat();
        emulator.export(&sandbox, &args).expect(0);
    };
    export("a", &[]);
    let file = fs::read_to_string(sandbox.path("out/a/train/medium_6_to_10_turns.jsonl"));
    let file = file.expect("a file");
    let id = |line: &str| -> String {
        let record: Value = serde_json::from_str(line).expect("JSON");
        record["conversationId"].as_str().expect("an id").to_owned()
    };
    let ids: Vec<String> = file.lines().step_by(4).map(id).collect();
    sandbox.write("list", ids.join("\n"));
    export("b", &["--exclude", "list"]);
    let run = sandbox.run(&["diff", "out/a", "out/b", "--json"]);
    run.expect(1);
    let report = run.json();
    let of_kind = |change: &str| -> Vec<String> {
        let records = report["records"].as_array().expect("a list").iter();
        let of_kind = records.filter(|record| record["change"] == change);
        let id = |record: &Value| {
            record["conversation_id"]
                .as_str()
                .expect("an id")
                .to_owned()
        };
        of_kind.map(id).collect()
    };
    assert_eq!(of_kind("only_in_a"), ids);
    assert_eq!(of_kind("only_in_b").len(), ids.len());
    assert_eq!(
        report["records"].as_array().map(Vec::len),
        Some(2 * ids.len())
    );
}
