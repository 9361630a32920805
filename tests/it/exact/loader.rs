//! A published dataset in Hugging Face datasets, also if a stratum has no records.

use std::fmt::Write as _;
use std::process::Command;

use crate::support::cloud::tool;
use crate::support::{Run, Sandbox};

/// Conversations of 4 and 7 turns: nothing for the stratum `long`.
fn no_long_conversations() -> String {
    let mut rows = String::new();
    for number in 0..300 {
        for turn in 1..=4 + 3 * (number % 2) {
            let row = serde_json::json!({
                "Timestamp": "2025-01-02T03:04:05.678901Z", "conversationId": format!("nm{number}"),
                "userName": "u1", "mode": "agent", "turnIndex": turn,
                "userMessage": format!("ask nm{number} {turn}"),
                "modelMessage": format!("reply nm{number} {turn}"),
                "promptTokens": 10, "completionTokens": 5, "llmCallCount": 1,
            });
            writeln!(rows, "{row}").expect("memory");
        }
    }
    rows
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn a_stratum_without_records_does_not_keep_the_folder_from_loading() {
    let sandbox = Sandbox::new();
    sandbox.write("in.jsonl", no_long_conversations());
    for format in [None, Some("json")] {
        let name = format.unwrap_or("default");
        let mut args = vec!["export", "--input", "in.jsonl", "--test", "--name", name];
        args.extend(["--progress", "none", "--json"]);
        args.extend(format.iter().flat_map(|format| ["--format", format]));
        let run = sandbox.run(&args);
        run.expect(3);
        let strata = run.json()["strata"].clone();
        for stratum in strata.as_array().expect("a list") {
            let empty = stratum["bucket"] == "long";
            assert_eq!(stratum["file"].is_null(), empty, "{stratum}");
            let ending = format!(".{}", format.unwrap_or("jsonl"));
            let file = stratum["file"].as_str();
            assert!(file.is_none_or(|file| file.ends_with(&ending)), "{stratum}");
        }
        let folder = format!("out/{name}");
        sandbox.run(&["verify", &folder]).expect(0);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/load_folder.py");
        let mut python = Command::new(tool("GLEANER_TEST_PYTHON"));
        python.args([script, &folder]).current_dir(sandbox.path(""));
        let run = Run::from(python.output().expect("Python"));
        run.expect(0);
        for way in ["whole", "streamed"] {
            let seen = &run.json();
            let all = ["train", "val", "test"].map(|split| seen[format!("{split} {way}")].clone());
            assert!(format.is_some() || all == [67, 6, 6], "{seen}");
        }
    }
}
