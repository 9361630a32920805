//! `selection.split_by` on a cluster: the census says the group of each conversation, and payloads are asked for by
//! rank alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::app_events::WINDOW;
use super::engine::{AGENT_TURNS, APP_EVENTS, Endpoint, engine_shared};
use crate::support::copilot_rows::{lines, request};
use crate::support::kusto::{Emulator, export_synthetic};
use crate::support::reference::split_of;
use crate::support::{Dataset, Run, Sandbox};

const BY_USER: [&str; 2] = ["--set", "selection.split_by=userName"];

/// Fewer than there are, and no spares.
const FEW: [&str; 8] = [
    "--set",
    "selection.spare_percent=0",
    "--set",
    "selection.targets.train={short=20,medium=50,long=30}",
    "--set",
    "selection.targets.val={short=2,medium=5,long=3}",
    "--set",
    "selection.targets.test={short=2,medium=5,long=3}",
];

fn metadata(sandbox: &Sandbox, name: &str) -> Value {
    Dataset::read(&sandbox.path(&format!("out/{name}"))).metadata
}

#[test]
fn turns_are_split_by_user_in_one_pass_and_in_two() {
    let more = [&BY_USER[..], &FEW].concat();
    let plain = Sandbox::new();
    let same = export_synthetic(&plain, &more);
    let expected = metadata(&plain, "d");
    assert_eq!(expected["selection"]["split_by"], "userName");
    for client in [
        &["--chunks", "3"][..],
        &["--set", "source.kusto.passes=1", "--chunks", "2"],
    ] {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let run = emulator.export(&sandbox, &[&more[..], client].concat());
        assert_eq!(run.code, same.code, "{}", run.stderr);
        let found = metadata(&sandbox, "d");
        for key in ["content_sha256", "groups", "strata"] {
            assert_eq!(found[key], expected[key], "{key} {client:?}");
        }
        sandbox.run(&["verify", "out/d"]).expect(0);
    }
}

/// The population of each stratum by what a plan or a manifest says.
fn populations(strata: &Value) -> BTreeMap<String, u64> {
    let strata = strata.as_array().expect("strata").iter();
    let of = |stratum: &Value| {
        let name = format!("{}/{}", stratum["split"], stratum["bucket"]);
        (name, stratum["population"].as_u64().expect("a count"))
    };
    strata.map(of).collect()
}

#[test]
fn a_plan_counts_conversations_by_the_users_splits() {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    emulator.export(&sandbox, &BY_USER).expect(0);
    let exported = populations(&metadata(&sandbox, "d")["strata"]);
    let cluster = format!("source.kusto.cluster={}", emulator.address);
    let plan = |more: &[&str]| {
        let mut args = vec!["plan", "--schema", "turns", "--out", "out", "--json"];
        args.extend(["--set", "source.kind=kusto", "--set", &cluster]);
        args.extend(["--window-start", "2025-01-01T00:00:00Z"]);
        args.extend(["--window-end", "2025-06-01T00:00:00Z"]);
        args.extend(more);
        sandbox.run(&args)
    };
    let planned = plan(&BY_USER);
    planned.expect(0);
    assert_eq!(populations(&planned.json()["strata"]), exported);
    let by_id = plan(&[]);
    by_id.expect(0);
    assert_ne!(populations(&by_id.json()["strata"]), exported);
}

#[test]
fn queries_that_do_not_tell_the_group_are_refused() {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let repo = ["--set", "selection.split_by=repo"];
    let refused = emulator.export(&sandbox, &repo);
    refused.says(2, &["the shipped queries ask for no field", "userName"]);
    let shipped = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/queries/turns/sft_census_hash_chunked.kql"
    );
    let census = std::fs::read_to_string(shipped).expect("a query");
    sandbox.write("own.kql", census);
    let own = [&BY_USER[..], &["--set", "source.kusto.census=own.kql"]].concat();
    let refused = emulator.export(&sandbox, &own);
    refused.says(2, &["own.kql", "groupResidue", "selection.split_by"]);
}

/// Conversations of 3 to 12 turns, each of one of seven users; the first turn of some names nobody.
fn telemetry(count: u64) -> Vec<Value> {
    let of_one = |number: u64| {
        let id = format!("conversation-{number}");
        let at = 100 + 200 * number;
        let turns = (1..=3 + number % 10).flat_map(|turn| {
            let mut rows = request(&id, turn, 1, at + 10 * turn);
            for row in &mut rows {
                let properties = &mut row["Properties"];
                if properties["conversationId"] == json!(id) {
                    properties["common.userName"] = match (number % 5, turn) {
                        (4, 1) => json!("\u{2003}"),
                        (3, 1) => json!("undefined"),
                        _ => json!(format!("user {}", number % 7)),
                    };
                }
            }
            rows
        });
        turns.collect::<Vec<_>>()
    };
    (0..count).flat_map(of_one).collect()
}

fn export(sandbox: &Sandbox, name: &str, more: &[&str]) -> Run {
    let mut args = vec!["export", "--name", name, "--out", "out"];
    args.extend([
        "--progress",
        "none",
        "--json",
        "--set",
        "sink.sort_keys=always",
    ]);
    args.extend(WINDOW.iter().chain(&BY_USER).chain(more));
    sandbox.run(&args)
}

#[test]
fn telemetry_is_split_by_the_user_of_the_first_turn_that_names_one() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("rows.jsonl", lines(&telemetry(70), "\n"));
    let input = path.to_str().expect("a path");
    let serving = ["--schema", "copilot_chat", "--input", input];
    let emulator = Emulator::start(&sandbox, "", 0, &serving);
    let few = ["--set", "selection.targets.train={short=6,medium=9,long=3}"];
    for (name, targets) in [("all", &["--targets", "all"][..]), ("few", &few)] {
        let of_files = format!("{name}-files");
        let files = [&["--input", "rows.jsonl"], targets].concat();
        let same = export(&sandbox, &of_files, &files);
        let expected = metadata(&sandbox, &of_files);
        let cluster = format!("source.kusto.cluster={}", emulator.address);
        let of_cluster = ["--set", "source.kind=kusto", "--set", &cluster];
        for passes in ["1", "2"] {
            let name = format!("{name}-{passes}");
            let passes = format!("source.kusto.passes={passes}");
            let more = [&of_cluster[..], &["--set", &passes], targets].concat();
            let run = export(&sandbox, &name, &more);
            assert_eq!(run.code, same.code, "{name}: {}", run.stderr);
            let found = metadata(&sandbox, &name);
            for key in ["content_sha256", "groups", "strata"] {
                assert_eq!(found[key], expected[key], "{key} of {name}");
            }
            sandbox.run(&["verify", &format!("out/{name}")]).expect(0);
        }
    }
    let all = metadata(&sandbox, "all-files");
    let groups = all["groups"].as_object().expect("counts").values();
    assert_eq!(groups.filter_map(Value::as_u64).sum::<u64>(), 7);
    let splits = (0..7).map(|user| split_of(&format!("user {user}")));
    let train = splits.filter(|split| *split == "train").count();
    assert_eq!(all["groups"]["train"], json!(train));
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn the_queries_really_run_and_split_as_the_files_do() {
    let Some(shared) = engine_shared() else {
        return;
    };
    let sandbox = Sandbox::new();
    let path = sandbox.write("raw.jsonl", lines(&telemetry(70), "\n"));
    assert!(path.exists());
    let endpoint = Endpoint::start(&sandbox, &shared, "raw.jsonl", &APP_EVENTS);
    let more = [&WINDOW[..], &BY_USER, &["--targets", "all"]].concat();
    let files = endpoint.agrees_with_files(&sandbox, "copilot_chat", "t", "rows.jsonl", &more);
    files.expect(0);
    drop(endpoint);
    let path = sandbox.write("turns.jsonl", lines(&turns(60), "\n"));
    assert!(path.exists());
    let endpoint = Endpoint::start(&sandbox, &shared, "turns.jsonl", &AGENT_TURNS);
    let window = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-01-02T00:00:00Z",
    ];
    let few = ["--set", "selection.targets.train={short=9,medium=9,long=1}"];
    let more = [&window[..], &BY_USER, &few].concat();
    let files = endpoint.agrees_with_files(&sandbox, "turns", "d", "turns.jsonl", &more);
    files.expect(3);
}

/// Rows of conversations of 3 to 9 turns, each of one of seven users; the first turn of some names nobody.
fn turns(count: u64) -> Vec<Value> {
    let row = |number: u64, turn: u64| {
        let user = match (number % 5, turn) {
            (4, 1) => "\u{2003}".to_owned(),
            _ => format!("user {}", number % 7),
        };
        json!({
            "Timestamp": format!("2025-01-01T{:02}:{turn:02}:00Z", number % 24), "conversationId": format!("c-{number}"),
            "userName": user, "mode": "agent", "turnIndex": turn, "userMessage": "u", "modelMessage": "m",
            "promptTokens": 1, "completionTokens": 1, "llmCallCount": 1, "trajectory": [],
        })
    };
    let of_one = |number| (1..=3 + number % 7).map(move |turn| row(number, turn));
    (0..count).flat_map(of_one).collect()
}
