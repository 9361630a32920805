//! Windows, which hold for every row.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{digest, expected, metadata};
use crate::support::Sandbox;
use crate::support::kusto::{Emulator, export_synthetic};

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
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
    let killed = emulator.export_killed(&sandbox, "spool.seal.before:1", &last);
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
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn a_window_may_end_with_the_last_instant_that_kusto_knows() {
    for end in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999Z"] {
        let window = ["--window-end", end];
        // Over files (or synthetic telemetry), and in what a cluster is asked.
        let plain = Sandbox::new();
        let expected = export_synthetic(&plain, &window);
        assert_eq!(digest(&expected.json()), self::expected(&[]));
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let killed = emulator.export_killed(&sandbox, "spool.seal.before:1", &window);
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
    refused.says(2, &["window.end"]);
}
