//! One pass and two.

use serde_json::Value;

use super::{digest, expected, metadata};
use crate::support::Sandbox;
use crate::support::kusto::{Emulator, export_synthetic};

#[test]
fn one_pass_and_two_give_what_the_telemetry_gives_without_kusto() {
    let expected = expected(&[]);
    for (server, client) in [
        (&[][..], &[][..]),
        (&["--gzip"], &["--chunks", "3", "--fetchers", "1"]),
        (&[], &["--set", "source.kusto.passes=1"]),
        (
            &["--gzip"],
            &["--set", "source.kusto.passes=1", "--chunks", "1"],
        ),
    ] {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, server);
        let run = emulator.export(&sandbox, client);
        run.expect(0);
        assert_eq!(digest(&run.json()), expected, "{client:?}");
        let metadata = metadata(&sandbox);
        assert_eq!(metadata["population"]["incomplete"], Value::Null);
        let checksums = metadata["chunks"]["checksums"].as_object().expect("some");
        let certified: u64 = checksums
            .values()
            .map(|c| c["conversations"].as_u64().expect("a count"))
            .sum();
        assert_eq!(metadata["population"]["conversations"], certified);
        let payloads = metadata["chunks"]["payloads"].as_object();
        assert_eq!(
            payloads.is_none(),
            client.contains(&"source.kusto.passes=1")
        );
    }
}

#[test]
fn a_top_up_fetches_more_ranks_and_gives_the_same() {
    let more = [
        "--set",
        "selection.spare_percent=0",
        "--set",
        "selection.targets.train={short=290,medium=680,long=440}",
    ];
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let run = emulator.export(&sandbox, &more);
    let found = metadata(&sandbox);
    assert!(
        found["statistics"]["top_up_rounds"].as_u64() >= Some(1),
        "{found}"
    );
    let plain = Sandbox::new();
    let same = export_synthetic(&plain, &more);
    assert_eq!(run.code, same.code);
    assert_eq!(digest(&run.json()), digest(&same.json()));
    assert_eq!(found["strata"], metadata(&plain)["strata"]);
}

#[test]
fn a_conversation_above_the_limit_is_malformed_in_one_pass_and_in_two() {
    let limit = ["--set", "limits.max_record=16kB", "--max-malformed", "100"];
    let mut strata = Vec::new();
    for passes in ["source.kusto.passes=2", "source.kusto.passes=1"] {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let mut args = limit.to_vec();
        args.extend(["--set", passes]);
        let run = emulator.export(&sandbox, &args);
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
        let metadata = metadata(&sandbox);
        assert!(
            metadata["population"]["malformed"].as_u64() > Some(0),
            "{passes}"
        );
        let files = metadata["strata"].as_array().expect("strata").iter();
        strata.push(
            files
                .map(|s| (s["records"].clone(), s["sha256"].clone()))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(strata[0], strata[1]);
}

#[test]
fn the_test_queries_take_about_a_hundred_records() {
    for (more, trajectory) in [(&["--test"][..], true), (&["--test", "--lite"], false)] {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let cluster = format!("source.kusto.cluster={}", emulator.address);
        let mut args = "export --out out --name d --window-start 2025-01-01T00:00:00Z --window-end 2025-06-01T00:00:00Z --chunks 4 --progress none --json --set"
            .split(' ')
            .collect::<Vec<_>>();
        args.push(&cluster);
        args.extend(["--schema", "turns"]);
        args.extend(more);
        let run = sandbox.run(&args);
        run.expect(0);
        let strata = metadata(&sandbox)["strata"].clone();
        let records = strata.as_array().expect("strata").iter();
        assert_eq!(
            records
                .map(|s| s["records"].as_u64().expect("n"))
                .sum::<u64>(),
            100
        );
        let text = std::fs::read_to_string(sandbox.path("out/d/train/long_11_to_20_turns.jsonl"))
            .expect("a file");
        assert_eq!(text.contains("\"trajectory\""), trajectory);
    }
}

#[test]
fn near_duplicates_are_left_out_of_candidates_alone() {
    let more = [
        "--set",
        "near_duplicates.scope=all",
        "--set",
        "near_duplicates.threshold=0.2",
        "--set",
        "selection.spare_percent=0",
        "--set",
        "selection.targets.train={short=29,medium=68,long=44}",
    ];
    let plain = Sandbox::new();
    let same = export_synthetic(&plain, &more);
    let expected = metadata(&plain);
    assert_ne!(expected["near_duplicates"]["left_out"], 0);
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let run = emulator.export(&sandbox, &more);
    assert_eq!(run.code, same.code);
    assert_eq!(digest(&run.json()), digest(&same.json()));
    let found = metadata(&sandbox);
    assert_eq!(found["strata"], expected["strata"]);
    let clusters = &found["near_duplicates"]["clusters"];
    assert_eq!(*clusters, expected["near_duplicates"]["clusters"]);
    assert!(
        found["statistics"]["top_up_rounds"].as_u64() >= Some(1),
        "{found}"
    );
}
