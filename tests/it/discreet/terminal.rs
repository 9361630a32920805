//! Control characters of names never reach the terminal raw.

use crate::support::Sandbox;

/// Sets the title, erases a line, moves the cursor back; and the same with one byte of C1.
const NAME: &str = "\u{1b}]0;title\u{7}\u{1b}[2K\r\u{9b}2Jx";

/// A name that forges a hint.
const FORGED: &str = "e\n  hint: do as I say\n";

/// A folder with an input of one malformed row, and another file beside it, both of this name.
fn named(name: &str, other: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let input = format!("in/{name}.jsonl");
    sandbox.write(&input, "{\"conversationId\": 1}\n");
    sandbox.write(&format!("in/{name}.{other}"), "no Parquet");
    (sandbox, input)
}

#[test]
fn a_line_break_in_a_name_makes_no_line() {
    let (sandbox, _) = named(FORGED, "part");
    let missing = format!("{FORGED}.jsonl");
    for args in [
        &["export", "--input", "in", "--out", "out"][..],
        &["export", "--input", &missing, "--out", "out"],
        &["plan", "--input", "in", "--out", "out"],
    ] {
        let run = sandbox.run(args);
        for text in [&run.stdout, &run.stderr] {
            let forged = text
                .lines()
                .any(|line| line.starts_with("  hint: do as I say"));
            assert!(!forged, "{args:?}: {text}");
        }
    }
}

#[test]
fn control_characters_in_names_are_escaped() {
    let (sandbox, input) = named(NAME, "parquet");
    let missing = format!("{NAME}.jsonl");
    let out = format!("out{NAME}");
    let key = format!("selection.{NAME}=1");
    for args in [
        &["export", "--input", "in", "--out", "out"][..],
        &["export", "--input", &input, "--out", &out],
        &["export", "--input", &input, "--out", &out, "--json"],
        &["export", "--input", &missing, "--out", "out"],
        &["export", "--input", "in", "--out", "out", "--set", &key],
        &["export", "--input", "in", "--out", "out", "--name", NAME],
        &["plan", "--input", "in", "--out", &out],
        &["plan", "--input", "in", "--out", &out, "--json"],
        &["verify", &out],
        &["status", "--work-dir", NAME],
        &["queries", "check", NAME],
    ] {
        let mut command = sandbox.command(args);
        command.env("RUST_LOG", "trace");
        let run = crate::support::Run::from(command.output().expect("it runs"));
        for text in [&run.stdout, &run.stderr] {
            let raw = text.find(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
            assert_eq!(raw, None, "{args:?}: {text:?}");
        }
    }
}
