//! Whole exports through the Kusto emulator: whatever fails on the way, the dataset is the one that
//! the same telemetry gives without Kusto, or there is none and the reason is named.
#![cfg(feature = "kusto-emulator")]

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::Sandbox;
use crate::support::kusto::{Emulator, export_synthetic};

fn digest(value: &Value) -> &str {
    value["content_sha256"].as_str().expect("a digest")
}

/// The digest that the telemetry has without Kusto.
fn expected(more: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let run = export_synthetic(&sandbox, more);
    run.expect(0);
    digest(&run.json()).to_owned()
}

fn metadata(sandbox: &Sandbox) -> Value {
    let text = std::fs::read(sandbox.path("out/d/metadata.json")).expect("published");
    serde_json::from_slice(&text).expect("JSON")
}

fn fault(query: &str, chunk: &str, times: u32, kind: &str) -> String {
    format!(
        "[[fault]]\nquery = \"{query}\"\nchunk = \"{chunk}\"\ntimes = {times}\nkind = \"{kind}\"\nafter_bytes = 5000\nretry_after = 1\n"
    )
}

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
#[cfg_attr(
    not(feature = "fault-injection"),
    ignore = "needs the feature fault-injection: run ./test.sh"
)]
fn a_window_counts_for_every_row_and_is_the_same_after_a_kill() {
    // It cuts conversations in two: some are then incomplete, some are shorter.
    let window = [
        "--window-start",
        "2025-02-01T10:00:00Z",
        "--window-end",
        "2025-03-20T12:34:56.7890123Z",
    ];
    let plain = Sandbox::new();
    let expected = export_synthetic(&plain, &window);
    assert_ne!(digest(&expected.json()), self::expected(&[]));
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let run = emulator.export(&sandbox, &window);
    assert_eq!(run.code, expected.code);
    assert_eq!(digest(&run.json()), digest(&expected.json()));
    assert_eq!(metadata(&sandbox)["strata"], metadata(&plain)["strata"]);
    // A window that ends with the day is pinned when the run starts. The record is put back, as if
    // days had passed since; nothing is sealed yet.
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let last = ["--window-last", "2000d"];
    let killed = emulator.export_killed(&sandbox, "seal:1", &last);
    assert_eq!(killed.code, None, "{}", killed.stderr);
    let path = sandbox.path("work/run.json");
    let text = std::fs::read_to_string(&path).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    for (key, instant) in [
        ("window_start", window[1]),
        ("window_end", window[3]),
        ("look_start", window[1]),
        // The slack is a day.
        ("look_end", "2025-03-21T12:34:56.7890123Z"),
    ] {
        assert!(record[key].is_string(), "{record}");
        record[key] = instant.into();
    }
    let object = record.as_object_mut().expect("an object");
    object.remove("checksum");
    let checksum = Sha256::digest(serde_json::to_vec(object).expect("JSON"));
    let checksum: String = checksum.iter().map(|byte| format!("{byte:02x}")).collect();
    object.insert("checksum".to_owned(), checksum.into());
    std::fs::write(&path, record.to_string()).expect("a record");
    let run = emulator.export(&sandbox, &last);
    assert_eq!(run.code, expected.code, "{}", run.stderr);
    assert_eq!(digest(&run.json()), digest(&expected.json()));
    assert_eq!(metadata(&sandbox)["window"]["end"], window[3]);
}

#[test]
#[cfg_attr(
    not(feature = "fault-injection"),
    ignore = "needs the feature fault-injection: run ./test.sh"
)]
fn a_window_may_end_with_the_last_instant_that_kusto_knows() {
    for end in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999Z"] {
        let window = ["--window-end", end];
        // Over files (or made-up telemetry), and in what a cluster is asked.
        let plain = Sandbox::new();
        let expected = export_synthetic(&plain, &window);
        assert_eq!(digest(&expected.json()), self::expected(&[]));
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let killed = emulator.export_killed(&sandbox, "seal:1", &window);
        assert_eq!(killed.code, None, "{}", killed.stderr);
        // The record that the next start reads has it.
        let text = std::fs::read_to_string(sandbox.path("work/run.json")).expect("a record");
        let record: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(record["window_end"], end);
        let run = emulator.export(&sandbox, &window);
        assert_eq!(run.code, expected.code, "{}", run.stderr);
        assert_eq!(digest(&run.json()), digest(&expected.json()));
        for sandbox in [&plain, &sandbox] {
            assert_eq!(metadata(sandbox)["window"]["end"], end);
        }
    }
    let sandbox = Sandbox::new();
    let later = [
        "plan",
        "--set",
        "source.kind=synthetic",
        "--window-end",
        "9999-12-31T23:59:59-01:00",
    ];
    let refused = sandbox.run(&later);
    assert!(
        refused.expect(2).contains("window.end"),
        "{}",
        refused.stderr
    );
}

#[test]
fn an_azure_monitor_proxy_is_warned_of() {
    let sandbox = Sandbox::new();
    let plan = |cluster: &str| {
        let cluster = format!("source.kusto.cluster={cluster}");
        // There is no secret here, so nobody is asked for anything.
        let credential = "source.kusto.credential=client_secret";
        let run = sandbox.run(&["plan", "--set", &cluster, "--set", credential]);
        run.expect(1).to_owned()
    };
    let reported = plan("https://ade.loganalytics.io/subscriptions/a");
    assert!(reported.contains("Azure Monitor proxy"), "{reported}");
    assert!(
        reported.contains("10 minutes") && reported.contains("64 MB"),
        "{reported}"
    );
    let reported = plan("https://a.kusto.windows.net");
    assert!(!reported.contains("proxy"), "{reported}");
    assert!(reported.contains("AZURE_CLIENT_SECRET"), "{reported}");
}

#[test]
fn an_attempt_that_fails_in_any_way_leaves_nothing_behind() {
    let expected = expected(&[]);
    let kinds = [
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
    // Every kind in a chunk of its own, once in the census and once in the payload: one run meets
    // them all.
    let count = kinds.len();
    let faults: String = kinds
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
        .collect();
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
        reported.contains("first query: the connection failed"),
        "{reported}"
    );
    assert!(
        reported.contains("check source.kusto.cluster"),
        "{reported}"
    );
    assert!(!sandbox.path("work").exists(), "nothing was begun");
}

#[test]
fn a_checksum_without_its_row_is_none() {
    let sandbox = Sandbox::new();
    let faults = fault("chunk_checksum", "8-3", 1, "row_lost");
    let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
    let run = emulator.export(&sandbox, &[]);
    let reported = run.expect(0);
    assert!(reported.contains("it has 0 rows, not one"), "{reported}");
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
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, &faults.concat(), 0, &[]);
        let run = emulator.export(&sandbox, &["--set", passes]);
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
    let reported = run.expect(1);
    assert!(
        reported.contains("chunk h8-3") && reported.contains("1 conversations are missing"),
        "{reported}"
    );
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
    let sandbox = Sandbox::new();
    let faults = fault("payload", "8-3", 2, "changed");
    let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
    let run = emulator.export(&sandbox, &[]);
    let reported = run.expect(0);
    assert!(
        reported.contains("the census of chunk h8-3 is taken again"),
        "{reported}"
    );
    assert_eq!(digest(&run.json()), expected);
    // A conversation that never comes to rest.
    let sandbox = Sandbox::new();
    let faults = fault("payload", "8-3", 0, "changed");
    let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
    let run = emulator.export(&sandbox, &["--set", "chunks.max_attempts=2"]);
    let reported = run.expect(1);
    assert!(
        reported.contains("chunk h8-3") && reported.contains("1 have changed"),
        "{reported}"
    );
}

#[test]
fn what_cannot_succeed_fails_at_once_with_the_servers_words() {
    for (kind, words) in [
        ("semantic", "Syntax error"),
        ("forbidden", "not allowed"),
        ("plain_text", "Bad request"),
        ("redirect", "set source.kusto.cluster"),
    ] {
        let sandbox = Sandbox::new();
        let faults = fault("census", "8-0", 0, kind);
        let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
        let run = emulator.export(&sandbox, &[]);
        let reported = run.expect(1);
        assert!(
            reported.contains(words) && reported.contains("emulated-activity"),
            "{kind}: {reported}"
        );
        assert!(
            reported.contains("census query of chunk h8-0 (attempt 1)"),
            "{kind}: {reported}"
        );
        assert!(!sandbox.path("out/d/metadata.json").exists());
    }
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let run = emulator.export(&sandbox, &["--set", "source.kusto.database=Other"]);
    let reported = run.expect(1);
    assert!(
        reported.contains("Database 'Other' not found"),
        "{reported}"
    );
}

#[test]
fn a_chunk_that_cannot_be_split_any_further_fails_the_run() {
    let sandbox = Sandbox::new();
    let faults = "[[fault]]\nquery = \"payload\"\ntimes = 0\nkind = \"too_large\"\n";
    let emulator = Emulator::start(&sandbox, faults, 0, &[]);
    let run = emulator.export(
        &sandbox,
        &["--chunks", "1", "--set", "chunks.max_attempts=1"],
    );
    let reported = run.expect(1);
    assert!(reported.contains("chunk h64-"), "{reported}");
    assert!(reported.contains("--chunks"), "{reported}");
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
fn the_test_queries_take_about_a_hundred_records() {
    for (more, trajectory) in [(&["--test"][..], true), (&["--test", "--lite"], false)] {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let cluster = format!("source.kusto.cluster={}", emulator.address);
        let mut args = "export --out out --name d --window-start 2025-01-01T00:00:00Z --window-end 2025-06-01T00:00:00Z --chunks 4 --progress none --json --set"
            .split(' ')
            .collect::<Vec<_>>();
        args.push(&cluster);
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
fn the_command_of_the_page_works() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kusto.md");
    let readme = std::fs::read_to_string(readme).expect("the page");
    let (_, command) = readme
        .split_once("\ngleaner export --test")
        .expect("the command");
    let (command, _) = command.split_once("\n```").expect("its end");
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let command = format!("export --test{command} --json")
        .replace("\\\n", " ")
        .replace("http://127.0.0.1:31600", &emulator.address);
    let run = sandbox.run(&command.split_whitespace().collect::<Vec<_>>());
    run.expect(0);
    assert_eq!(run.json()["shortfall"], 0);
}

#[test]
fn a_plan_counts_before_anything_is_fetched() {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let run = emulator.export(&sandbox, &[]);
    run.expect(0);
    let planned = emulator.plan(&sandbox);
    planned.expect(0);
    let planned = planned.json();
    let published = metadata(&sandbox);
    let population = |value: &Value| -> Vec<u64> {
        let strata = value["strata"].as_array().expect("strata").iter();
        strata
            .map(|stratum| stratum["population"].as_u64().expect("a count"))
            .collect()
    };
    assert_eq!(population(&planned), population(&published));
    let kusto = &planned["kusto"];
    let payloads = published["chunks"]["payloads"].as_object().expect("some");
    let fetched = payloads
        .values()
        .map(|payload| payload["conversations"].as_u64());
    assert_eq!(fetched.sum::<Option<u64>>(), kusto["candidates"].as_u64());
    assert_eq!(
        kusto["conversations"],
        published["population"]["conversations"]
    );
    let (one, two) = (
        kusto["one_pass_bytes"].as_u64().expect("an estimate"),
        kusto["two_pass_bytes"].as_u64().expect("an estimate"),
    );
    let read = published["statistics"]["bytes_read"]
        .as_u64()
        .expect("a count");
    assert!(two < one, "{kusto}");
    assert!(
        (read * 3 / 4..read * 4 / 3).contains(&two),
        "{read} bytes were read, {kusto}"
    );
}

#[test]
#[cfg_attr(
    not(feature = "fault-injection"),
    ignore = "needs the feature fault-injection: run ./test.sh"
)]
fn a_run_that_is_killed_anywhere_goes_on_with_what_is_sealed() {
    let expected = expected(&[]);
    // Eight censuses are sealed, then eight payloads, one of them in two halves.
    for site in ["seal:1", "sealed:8", "seal:9", "seal:17", "published:1"] {
        let sandbox = Sandbox::new();
        let faults = fault("payload", "8-2", 1, "too_large");
        let emulator = Emulator::start(&sandbox, &faults, 0, &[]);
        let killed = emulator.export_killed(&sandbox, site, &[]);
        assert_eq!(killed.code, None, "{site}: {}", killed.stderr);
        let run = emulator.export(&sandbox, &[]);
        run.expect(0);
        assert_eq!(digest(&run.json()), expected, "{site}");
        if ["seal:1", "seal:17", "published:1"].contains(&site) {
            let splits = serde_json::json!({"h8-2": ["h16-2", "h16-10"]});
            assert_eq!(metadata(&sandbox)["chunks"]["splits"], splits, "{site}");
        }
    }
}
