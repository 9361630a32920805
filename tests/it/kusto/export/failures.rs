//! Attempts that fail, chunks that are split, and runs that end for it.

use super::{digest, expected, fault, metadata};
use crate::support::kusto::Emulator;
use crate::support::{Run, Sandbox};

/// One export from an emulator that fails as `faults` says.
fn export(faults: &str, more: &[&str]) -> (Sandbox, Run) {
    let sandbox = Sandbox::new();
    let run = Emulator::start(&sandbox, faults, 0, &[]).export(&sandbox, more);
    (sandbox, run)
}

/// How an attempt fails.
const KINDS: [&str; 24] = [
    "unavailable",
    "internal",
    "html",
    "empty",
    "no_content",
    "cut",
    "reset",
    "low_memory",
    "partial_in_data",
    "partial_in_completion",
    "has_errors",
    "cancelled",
    "no_completion",
    "no_bracket",
    "trailing_garbage",
    "wrong_row_count",
    "row_lost",
    "row_doubled",
    "row_foreign",
    "changed",
    "wrong_arity",
    "wrong_type",
    "unauthorized",
    "throttle",
];

/// Every kind in a chunk of its own, once in the census and once in the payload: one run meets
/// them all.
fn every_kind() -> String {
    let count = KINDS.len();
    KINDS
        .iter()
        .enumerate()
        .flat_map(|(at, kind)| {
            let chunk = format!("{count}-{at}");
            // A census that says of a conversation what is not so is no failed attempt of its own.
            let query = if *kind == "changed" {
                "chunk_checksum"
            } else {
                "census"
            };
            let in_census = if *kind == "changed" {
                "row_doubled"
            } else {
                kind
            };
            [
                fault(query, &chunk, 1, in_census),
                fault("payload", &chunk, 1, kind),
            ]
        })
        .collect()
}

#[test]
fn an_attempt_that_fails_in_any_way_leaves_nothing_behind() {
    let expected = expected(&[]);
    let (count, faults) = (KINDS.len(), every_kind());
    for passes in ["source.kusto.passes=2", "source.kusto.passes=1"] {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
        let chunks = count.to_string();
        let run = emulator.export(
            &sandbox,
            &["--chunks", &chunks, "--fetchers", "8", "--set", passes],
        );
        let reported = run.expect(0);
        // A row that is lost need not be one of the sample: the digest alone would not tell.
        let uncertified = reported.matches("the cluster counts").count();
        assert_eq!(uncertified, 2, "one row lost and one doubled: {reported}");
        assert_eq!(digest(&run.json()), expected, "{passes}");
        let statistics = &metadata(&sandbox)["statistics"];
        let failed = statistics["attempts_failed"].as_u64().expect("a count");
        assert!(failed >= 20, "{statistics}");
        assert!(statistics["throttled"].as_u64() >= Some(1), "{statistics}");
    }
}

#[test]
fn an_address_without_a_server_is_reported_soon() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let sandbox = Sandbox::new();
    let cluster = format!("source.kusto.cluster=https://{address}");
    let args = [
        "export",
        "--out",
        "out",
        "--work-dir",
        "work",
        "--set",
        &cluster,
        "--set",
        "source.kusto.trusted_hosts=['127.0.0.1']",
    ];
    let run = sandbox.run(&args);
    let reported = run.expect(1);
    assert_eq!(
        reported.matches("cannot log in yet").count(),
        3,
        "{reported}"
    );
    assert!(
        reported.contains("first query failed: the connection failed"),
        "{reported}"
    );
    assert!(
        reported.contains("check source.kusto.cluster"),
        "{reported}"
    );
    assert!(!sandbox.path("work").exists(), "nothing was begun");
}

#[test]
fn a_chunk_that_is_too_large_or_too_slow_is_split_and_the_tree_is_shown() {
    let expected = expected(&[]);
    let faults = [
        fault("census", "8-1", 0, "too_large"),
        fault("payload", "8-2", 0, "too_large"),
        fault("payload", "16-2", 0, "runaway"),
        fault("payload", "8-3", 0, "gateway_timeout"),
        // Once may be chance.
        fault("payload", "8-4", 2, "low_memory"),
        fault("payload", "8-5", 1, "low_memory"),
    ];
    for passes in ["source.kusto.passes=2", "source.kusto.passes=1"] {
        let (sandbox, run) = export(&faults.concat(), &["--set", passes]);
        run.expect(0);
        assert_eq!(digest(&run.json()), expected, "{passes}");
        let chunks = &metadata(&sandbox)["chunks"];
        let mut splits = serde_json::json!({
            "h8-2": ["h16-2", "h16-10"],
            "h16-2": ["h32-2", "h32-18"],
            "h8-3": ["h16-3", "h16-11"],
            "h8-4": ["h16-4", "h16-12"],
        });
        if passes.ends_with('2') {
            splits["h8-1"] = serde_json::json!(["h16-1", "h16-9"]);
        }
        assert_eq!(chunks["splits"], splits, "{passes}");
    }
}

#[test]
fn a_row_that_stays_lost_fails_the_run_and_what_is_sealed_stays() {
    let expected = expected(&[]);
    let sandbox = Sandbox::new();
    let faults = fault("payload", "8-3", 0, "row_lost");
    let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
    let run = emulator.export(&sandbox, &["--set", "chunks.max_attempts=2"]);
    run.says(1, &["chunk h8-3", "1 conversations are missing"]);
    assert!(!sandbox.path("out/d/metadata.json").exists());
    let port = emulator.port();
    drop(emulator);
    // The same command once the cluster is well: nothing that is sealed is asked for again.
    let faults = fault("census", "8-3", 0, "forbidden");
    let emulator = Emulator::start(&sandbox, &faults, port, &[]);
    let run = emulator.export(&sandbox, &["--set", "chunks.max_attempts=2"]);
    run.expect(0);
    assert_eq!(digest(&run.json()), expected);
}

#[test]
fn a_conversation_that_changes_between_the_passes_has_the_census_taken_again_once() {
    let expected = expected(&[]);
    let faults = fault("payload", "8-3", 2, "changed");
    let (_, run) = export(&faults, &[]);
    run.says(0, &["the census of chunk h8-3 is taken again"]);
    assert_eq!(digest(&run.json()), expected);
    // A conversation that never comes to rest.
    let faults = fault("payload", "8-3", 0, "changed");
    let (_, run) = export(&faults, &["--set", "chunks.max_attempts=2"]);
    run.says(1, &["chunk h8-3", "1 have changed"]);
}

#[test]
fn what_cannot_succeed_fails_at_once_with_the_servers_words() {
    for (kind, words) in [
        ("semantic", "Syntax error"),
        ("forbidden", "not allowed"),
        ("plain_text", "Bad request"),
        ("redirect", "set source.kusto.cluster"),
    ] {
        let faults = fault("census", "8-0", 0, kind);
        let (sandbox, run) = export(&faults, &[]);
        let place = "census query of chunk h8-0 (attempt 1)";
        run.says(1, &[words, "emulated-activity", place]);
        assert!(!sandbox.path("out/d/metadata.json").exists());
    }
    let (_, run) = export("", &["--set", "source.kusto.database=Other"]);
    run.says(1, &["Database 'Other' not found"]);
}

#[test]
fn a_chunk_that_cannot_be_split_any_further_fails_the_run() {
    let faults = "[[fault]]\nquery = \"payload\"\ntimes = 0\nkind = \"too_large\"\n";
    let (_, run) = export(faults, &["--chunks", "1", "--set", "chunks.max_attempts=1"]);
    let reported = run.says(1, &["chunk h64-"]);
    assert!(reported.contains("--chunks"), "{reported}");
}

#[test]
fn a_run_that_may_miss_a_chunk_says_which_and_what_that_touches() {
    for query in ["census", "payload"] {
        let sandbox = Sandbox::new();
        let faults = fault(query, "8-3", 0, "internal");
        let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
        let allow = [
            "--allow-missing-chunks",
            "1",
            "--set",
            "chunks.max_attempts=2",
        ];
        let run = emulator.export(&sandbox, &allow);
        assert!(matches!(run.code, Some(0 | 3)), "{query}: {}", run.stderr);
        let metadata = metadata(&sandbox);
        assert_eq!(
            metadata["chunks"]["missing"],
            serde_json::json!(["h8-3"]),
            "{query}"
        );
        let checksums = metadata["chunks"]["checksums"].as_object().expect("some");
        assert_eq!(checksums.len(), 7, "{query}");
        let notes = run.json()["notes"].to_string();
        assert!(notes.contains("h8-3") && notes.contains("train"), "{notes}");
        let verified = sandbox.run(&["verify", "out/d"]);
        verified.expect(0);
    }
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn a_run_that_is_killed_anywhere_goes_on_with_what_is_sealed() {
    let expected = expected(&[]);
    // Eight censuses are sealed, then eight payloads, one of them in two halves.
    for site in [
        "spool.seal.before:1",
        "spool.seal.after:8",
        "spool.seal.before:9",
        "spool.seal.before:17",
        "upload.publish.after:1",
    ] {
        let sandbox = Sandbox::new();
        let faults = fault("payload", "8-2", 1, "too_large");
        let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
        let killed = emulator.export_killed(&sandbox, site, &[]);
        assert_eq!(killed.code, None, "{site}: {}", killed.stderr);
        let run = emulator.export(&sandbox, &[]);
        run.expect(0);
        assert_eq!(digest(&run.json()), expected, "{site}");
        if [
            "spool.seal.before:1",
            "spool.seal.before:17",
            "upload.publish.after:1",
        ]
        .contains(&site)
        {
            let splits = serde_json::json!({"h8-2": ["h16-2", "h16-10"]});
            assert_eq!(metadata(&sandbox)["chunks"]["splits"], splits, "{site}");
        }
    }
}

#[test]
fn a_checksum_without_its_row_is_none() {
    let faults = fault("chunk_checksum", "8-3", 1, "row_lost");
    let (_, run) = export(&faults, &[]);
    run.says(0, &["it has 0 rows, not one"]);
}
