//! Copilot Chat telemetry from a cluster: its census counts conversations, and they are put together
//! here, so that the same rows give the same dataset as from files.

use serde_json::{Value, json};

use super::engine::{APP_EVENTS, Endpoint, engine_shared};
use crate::support::copilot_rows::{lines, request, row};
use crate::support::kusto::Emulator;
use crate::support::{Run, Sandbox};
use crate::support::{shared, telemetry_truth};

/// Whole conversations of 3 to 12 turns, in each the second turn sent twice.
fn conversations(count: u64) -> Vec<Value> {
    let of_one = |number: u64| {
        let id = format!("conversation-{number}");
        let at = 100 + 200 * number;
        let again = request(&id, 2, 1, at + 5);
        let turns = (1..=3 + number % 10).flat_map(move |turn| {
            let attempt = if turn == 2 { 2 } else { 1 };
            request(&id, turn, attempt, at + 10 * turn)
        });
        again.into_iter().chain(turns)
    };
    (0..count).flat_map(of_one).collect()
}

pub(super) const WINDOW: [&str; 4] = [
    "--window-start",
    "2026-03-01T00:00:00Z",
    "--window-end",
    "2026-03-01T05:00:00Z",
];

/// Fewer than there are, and no spares: what is refused is replaced by the next in rank.
const FEW: [&str; 8] = [
    "--set",
    "selection.spare_percent=0",
    "--set",
    "selection.targets.train={short=6,medium=9,long=3}",
    "--set",
    "selection.targets.val={short=1,medium=1,long=1}",
    "--set",
    "selection.targets.test={short=1,medium=1,long=1}",
];

fn export(sandbox: &Sandbox, name: &str, more: &[&str]) -> Run {
    let work = format!("work-{name}");
    let mut args = vec![
        "export",
        "--name",
        name,
        "--out",
        "out",
        "--work-dir",
        &work,
    ];
    args.extend(["--progress", "none", "--json", "--max-malformed", "100"]);
    args.extend(["--set", "sink.sort_keys=always"]);
    args.extend(more);
    sandbox.run(&args)
}

/// Exports the rows from files, and from the emulator in two passes and in one, which must give the same;
/// gives what two passes gave.
fn all_agree(rows: &[Value], faults: &str, more: &[&str]) -> Value {
    let sandbox = Sandbox::new();
    let path = sandbox.write("rows.jsonl", lines(rows, "\n"));
    let input = path.to_str().expect("a path");
    let emulator = Emulator::start(
        &sandbox,
        faults,
        0,
        &["--gzip", "--schema", "copilot_chat", "--input", input],
    );
    let more = [&WINDOW, more].concat();
    let files = export(
        &sandbox,
        "files",
        &[&["--input", "rows.jsonl"], &more[..]].concat(),
    );
    let cluster = format!("source.kusto.cluster={}", emulator.address);
    let of_cluster = ["--set", "source.kind=kusto", "--set", &cluster];
    let mut found = Value::Null;
    for (name, passes) in [
        (
            "one",
            &["--chunks", "2", "--set", "source.kusto.passes=1"][..],
        ),
        ("two", &["--chunks", "3"]),
    ] {
        let run = export(&sandbox, name, &[&of_cluster, passes, &more].concat());
        assert_eq!(run.code, files.code, "{name}: {}", run.stderr);
        found = run.json();
        assert_eq!(
            found["content_sha256"],
            files.json()["content_sha256"],
            "{name}"
        );
        let checked = sandbox.run(&["verify", &format!("out/{name}")]);
        checked.expect(0);
    }
    found
}

#[test]
fn the_same_rows_give_the_same_dataset_from_files_and_from_a_cluster() {
    let all = all_agree(&conversations(60), "", &["--targets", "all"]);
    assert_eq!(all["population"]["conversations"], 60);
    assert_eq!(all["population"]["superseded_turns"], 60);
    let few = all_agree(&conversations(60), "", &FEW);
    let rows = |dataset: &Value| dataset["population"]["rows_read"].as_u64();
    assert!(rows(&few) < rows(&all), "only what is wanted is fetched");
}

#[test]
fn an_answer_that_fails_is_asked_for_again() {
    let faults = "
        [[fault]]
        query = \"payload\"
        kind = \"too_large\"
        times = 3
        [[fault]]
        query = \"payload\"
        nth = 6
        kind = \"row_foreign\"
        [[fault]]
        query = \"census\"
        nth = 2
        kind = \"row_lost\"
    ";
    all_agree(&conversations(60), faults, &["--targets", "all"]);
}

/// A conversation of three turns whose rows `change` makes odd.
fn odd(number: u64, change: impl Fn(usize, &mut Value)) -> Vec<Value> {
    let id = format!("odd-{number}");
    let turns = (1..=3).flat_map(|turn| request(&id, turn, 1, 13_000 + 40 * number + 10 * turn));
    let mut rows: Vec<Value> = turns.collect();
    for (place, row) in rows.iter_mut().enumerate() {
        change(place, row);
    }
    rows
}

fn set(place: usize, key: &'static str, value: Value) -> impl Fn(usize, &mut Value) {
    move |at, row| {
        if at == place {
            row["Properties"][key] = value.clone();
        }
    }
}

/// Conversations of which a query cannot say what they are. (The rows of a turn: 0 is the message, 4 the
/// user's text, 5 the model's.)
fn odd_conversations() -> Vec<Value> {
    let every = |key: &'static str, value: Value| {
        move |_: usize, row: &mut Value| row["Properties"][key] = value.clone()
    };
    let kinds: Vec<Vec<Value>> = vec![
        // A part of the text is damaged, which only reading it shows.
        odd(0, set(4, "messageTextChunk", json!("no gzip"))),
        odd(1, set(12, "messageText_04", json!("a gap before it"))),
        // Positions that contradict each other, or are none.
        odd(2, set(4, "turnIndex", json!("1"))),
        odd(3, set(4, "turnIndex", json!("first"))),
        odd(4, set(4, "turnIndex", json!(0.0))),
        odd(5, set(4, "turnIndex", json!(-7))),
        // No row of it can be read: its id is a number.
        odd(6, every("conversationId", json!(77_777))),
        // Ids that are no texts: what names a request to the cluster names none here.
        odd(7, every("messageId", json!(5))),
        odd(8, set(4, "messageId", json!(5))),
        odd(9, set(4, "messageId", json!("undefined"))),
        odd(10, set(4, "mode", json!("ask"))),
        odd(11, set(4, "mode", json!(["agent"]))),
        odd(12, set(11, "mode", json!("undefined"))),
        // An agent host counts from 0.
        odd(13, |_, row| {
            row["Properties"]["initiatorClientType"] = json!("cli");
            let properties = row["Properties"].as_object_mut().expect("an object");
            properties.remove("messageId");
        }),
        odd(14, |_, row| row["Measurements"] = json!("none")),
        odd(15, |_, row| row["Measurements"] = Value::Null),
    ];
    kinds.into_iter().flatten().collect()
}

#[test]
fn what_a_query_and_assembly_see_otherwise_is_decided_here_and_the_run_ends() {
    let mut rows = conversations(60);
    rows.extend(odd_conversations());
    // Of no call: a row that names nothing.
    rows.push(row(
        99,
        "model.modelCall.output",
        json!({"conversationId": "conversation-1", "headerRequestId": "unknown"}),
        json!({}),
    ));
    let all = all_agree(&rows, "", &["--targets", "all"]);
    assert!(all["population"]["damaged"].as_u64() > Some(1), "{all}");
    all_agree(&rows, "", &FEW);
    // Nothing but such rows: whatever comes of it, nothing hangs.
    let sandbox = Sandbox::new();
    let path = sandbox.write("rows.jsonl", lines(&odd_conversations(), "\n"));
    let input = path.to_str().expect("a path");
    let more = ["--schema", "copilot_chat", "--input", input];
    let emulator = Emulator::start(&sandbox, "", 0, &more);
    let cluster = format!("source.kusto.cluster={}", emulator.address);
    let more = ["--set", "source.kind=kusto", "--set", &cluster];
    let run = export(
        &sandbox,
        "odd",
        &[&more[..], &WINDOW, &["--targets", "all"]].concat(),
    );
    assert!(
        matches!(run.code, Some(0 | 3)),
        "{:?} {}",
        run.code,
        run.stderr
    );
}

#[test]
fn a_run_that_is_killed_goes_on_with_what_is_sealed() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("rows.jsonl", lines(&conversations(60), "\n"));
    let input = path.to_str().expect("a path");
    let of_table = ["--schema", "copilot_chat", "--input", input];
    let emulator = Emulator::start(&sandbox, "", 0, &of_table);
    let more = ["--schema", "copilot_chat"];
    let more = [&more[..], &WINDOW, &["--targets", "all"]].concat();
    let whole = emulator.export(
        &sandbox,
        &[&more[..], &["--work-dir", "w", "--name", "e"]].concat(),
    );
    whole.expect(0);
    for site in ["seal:3", "seal:9"] {
        let killed = emulator.export_killed(&sandbox, site, &more);
        assert_ne!(killed.code, Some(0), "{site}: it was not killed");
    }
    let run = emulator.export(&sandbox, &more);
    run.expect(0);
    let digest = |run: &Run| run.json()["content_sha256"].clone();
    assert_eq!(digest(&run), digest(&whole));
}

#[test]
fn synthetic_rows_are_served_for_the_first_steps() {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &["--schema", "copilot_chat"]);
    let cluster = format!("source.kusto.cluster={}", emulator.address);
    let window = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-06-01T00:00:00Z",
    ];
    for lite in [&[][..], &["--lite"]] {
        let args = [
            &[
                "export", "--test", "--out", "o", "--chunks", "3", "--set", &cluster,
            ],
            lite,
        ]
        .concat();
        let args = [&args[..], &window, &["--progress", "none", "--json"]].concat();
        let run = sandbox.run(&args);
        run.expect(0);
        let strata = run.json()["strata"].clone();
        let records = strata.as_array().expect("a list").iter();
        let records = records.map(|stratum| stratum["records"].as_u64());
        assert_eq!(records.map(|n| n.expect("a count")).sum::<u64>(), 100);
    }
    let plan = emulator.run_plan(&sandbox, &["--schema", "copilot_chat"]);
    plan.expect(0);
    assert!(
        plan.json()["kusto"]["conversations"].as_u64() > Some(300),
        "{}",
        plan.stdout
    );
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn the_queries_of_app_events_really_run_and_give_what_the_files_give() {
    let Some(shared_name) = engine_shared() else {
        return;
    };
    let Some(folder) = shared() else { return };
    let sandbox = Sandbox::new();
    let rows = telemetry_truth::lines(&folder.join("data/appevents/appevents-0.jsonl.zst"));
    let mut raw = Vec::new();
    for row in rows.take(12_000) {
        raw.extend_from_slice(&row);
        raw.push(b'\n');
    }
    // The engine's reader of JSON is no harder on what the other has too.
    raw.extend(lines(&odd_conversations()[..14], "\n"));
    sandbox.write("raw.jsonl", raw);
    let endpoint = Endpoint::start(&sandbox, &shared_name, "raw.jsonl", &APP_EVENTS);
    let more = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2026-06-01T00:00:00Z",
        "--max-malformed",
        "100",
        "--targets",
        "all",
    ];
    let files = endpoint.agrees_with_files(&sandbox, "auto", "d", "rows.jsonl", &more);
    files.expect(0);
}
