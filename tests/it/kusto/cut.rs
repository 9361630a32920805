//! Which conversations a cluster gives: those that window and mode do not cut, as the files give them,
//! whatever arrives meanwhile.
#![cfg(feature = "kusto-emulator")]

use gleaner::domain::record::row::RowShape;
use gleaner::source::kusto::query_file::SHIPPED;
use gleaner::source::synthetic::conversation_rows;
use gleaner::source::synthetic::settings::Synthetic;
use serde_json::Value;

use crate::support::kusto::{CONVERSATIONS, Emulator, export_synthetic};
use crate::support::{Run, Sandbox};

fn digest(run: &Run) -> String {
    let digest = run.json()["content_sha256"].clone();
    digest.as_str().expect("a digest").to_owned()
}

/// A window whose end is within conversations of the telemetry.
const WINDOW: [&str; 4] = [
    "--window-start",
    "2025-02-01T10:00:00Z",
    "--window-end",
    "2025-03-20T12:34:56.7890123Z",
];

#[test]
fn rows_that_arrive_during_a_run_change_nothing() {
    let all = export_synthetic(&Sandbox::new(), &[]);
    let within = export_synthetic(&Sandbox::new(), &WINDOW);
    let cases: [(&[&str], &Run); 3] = [
        (&["--window-last", "2000d"], &all),
        (&WINDOW, &within),
        (
            &["--window-last", "2000d", "--set", "source.kusto.passes=1"],
            &all,
        ),
    ];
    for (more, expected) in cases {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &["--arriving"]);
        let run = emulator.export(&sandbox, more);
        assert_eq!(run.code, expected.code, "{}", run.stderr);
        assert_eq!(digest(&run), digest(expected), "{more:?}");
    }
}

/// The time of the sixth turn of a conversation that has more, some way into the telemetry.
fn within_a_conversation() -> String {
    let telemetry = Synthetic {
        conversations: u64::from(CONVERSATIONS),
        seed: 7,
        schema: RowShape::Turns,
    };
    let turn = |row: &Vec<u8>, turn: u64| {
        let row: Value = serde_json::from_slice(row).ok()?;
        let is_it = row["turnIndex"] == turn && row["mode"] == "agent";
        is_it.then(|| row["Timestamp"].as_str().map(str::to_owned))?
    };
    let sixth = |number| {
        let rows = conversation_rows(telemetry, number);
        (0..8).try_for_each(|at| turn(rows.get(at)?, at as u64 + 1).map(drop))?;
        turn(&rows[5], 6)
    };
    let mut times = (0..telemetry.conversations).filter_map(sixth);
    let found = times.find(|at| at.as_str() > "2025-03-10");
    found.expect("there is a conversation of eight turns")
}

#[test]
fn what_is_cut_is_dropped_or_kept_as_with_files() {
    let end = within_a_conversation();
    // All that there is.
    let window = [
        "--window-start",
        "2025-02-01T10:00:00Z",
        "--window-end",
        &end,
        "--set",
        "selection.targets.train={short=2000,medium=2000,long=2000}",
        "--set",
        "selection.targets.val={short=2000,medium=2000,long=2000}",
        "--set",
        "selection.targets.test={short=2000,medium=2000,long=2000}",
    ];
    let mut digests = Vec::new();
    for cut in ["selection.cut=drop", "selection.cut=keep"] {
        let more: Vec<&str> = window.into_iter().chain(["--set", cut]).collect();
        let expected = export_synthetic(&Sandbox::new(), &more);
        let sandbox = Sandbox::new();
        let run = Emulator::start(&sandbox, "", 0, &[]).export(&sandbox, &more);
        assert_eq!(run.code, expected.code, "{}", run.stderr);
        assert_eq!(digest(&run), digest(&expected), "{cut}");
        let text = std::fs::read(sandbox.path("out/d/metadata.json")).expect("published");
        let metadata: Value = serde_json::from_slice(&text).expect("JSON");
        for key in ["cut_by_mode", "cut_by_window", "incomplete"] {
            assert_eq!(metadata["population"][key], Value::Null, "{key}");
        }
        digests.push(digest(&run));
    }
    assert_ne!(digests[0], digests[1], "the window cuts none");
}

#[test]
fn a_query_that_does_not_see_what_the_window_cuts_is_refused() {
    let sandbox = Sandbox::new();
    let (_, census) = SHIPPED[5];
    let (values, body) = census.split_once("// gleaner:query").expect("a query");
    let write = |name: &str, from: &str, to: &str| {
        let text = format!("{values}// gleaner:query{}", body.replace(from, to));
        sandbox.write(name, text);
    };
    write("blind.kql", "_look_end", "_window_end");
    write("drops.kql", "not(_keep_cut)", "true");
    let errors = |run: &Run| run.json()["files"][0]["errors"].to_string();
    for (file, cut, missing) in [
        ("blind.kql", "drop", Some("_look_end")),
        ("blind.kql", "keep", None),
        ("drops.kql", "drop", None),
        ("drops.kql", "keep", Some("_keep_cut")),
    ] {
        let cut = format!("selection.cut={cut}");
        let found = sandbox.run(&["queries", "check", file, "--json", "--set", &cut]);
        found.expect(i32::from(missing.is_some()));
        let words = missing.map_or("[]".to_owned(), |name| format!("does not use {name}"));
        assert!(
            errors(&found).contains(&words),
            "{file} {cut}: {}",
            errors(&found)
        );
    }
    sandbox.run(&["queries", "check", "blind.kql"]).expect(1);
    // A run refuses it, too, before it asks for anything.
    let census = "source.kusto.census=blind.kql";
    let refused = sandbox.run(&[
        "export",
        "--out",
        "out",
        "--set",
        "source.kusto.cluster=http://127.0.0.1:9",
        "--set",
        census,
    ]);
    refused.expect(2);
    assert!(refused.stderr.contains("_look_end"), "{}", refused.stderr);
}
