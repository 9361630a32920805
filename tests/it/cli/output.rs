//! What a person sees, and what is written to standard output.

use std::process::Stdio;

use crate::support::{Run, Sandbox};

const SYNTHETIC: [&str; 8] = [
    "export",
    "--set",
    "source.kind=synthetic",
    "--set",
    "source.synthetic.conversations=3000",
    "--progress",
    "none",
    "--report",
];

fn synthetic(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.run(&[&SYNTHETIC[..7], more].concat())
}

#[test]
fn tables_are_narrow_and_have_a_line_a_stratum() {
    let sandbox = Sandbox::new();
    let export = synthetic(&sandbox, &["--test", "--name", "d"]);
    export.expect(0);
    let verify = sandbox.run(&["verify", "out/d"]);
    let plan = sandbox.run(&["plan", "--test", "--set", "source.kind=synthetic"]);
    for run in [export, verify, plan] {
        run.expect(0);
        let table = run.stdout.split("\n\n").next().expect("a table");
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines.len() >= 10, "{table}");
        let mut rows = lines.iter().filter(|line| line.starts_with("train/"));
        assert!(rows.all(|row| row.len() <= 80), "{table}");
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with("train/"))
                .count(),
            3
        );
        assert!(!table.contains("---") && !table.contains("==="), "{table}");
    }
}

#[test]
fn there_are_no_escape_sequences_where_there_is_no_terminal() {
    let sandbox = Sandbox::new();
    let args = [&SYNTHETIC[..5], &["--test", "--name", "d"]].concat();
    let mut command = sandbox.command(&args);
    command
        .env("RUST_LOG", "info")
        .env("TERM", "xterm-256color");
    let run = Run::from(command.output().expect("it runs"));
    let stderr = run.says(0, &["INFO", "done: "]);
    assert!(
        !stderr.contains('\u{1b}') && !run.stdout.contains('\u{1b}'),
        "{stderr}"
    );
}

#[test]
fn what_cannot_be_written_to_standard_output_is_an_error() {
    let sandbox = Sandbox::new();
    let full = || Stdio::from(std::fs::File::create("/dev/full").expect("a device"));
    let commands: [&[&str]; 7] = [
        &[&SYNTHETIC[..7], &["--test", "--name", "d", "--json"]].concat(),
        &["verify", "out/d"],
        &["status", "--json"],
        &["completions", "bash"],
        &["--help"],
        &["export", "--help"],
        &["--version"],
    ];
    for args in commands {
        let output = sandbox
            .command(args)
            .stdout(full())
            .stderr(Stdio::piped())
            .output();
        let run = Run::from(output.expect("it runs"));
        let reported = run.expect(1);
        assert!(
            reported.contains("cannot write the result to standard output"),
            "{args:?}: {reported}"
        );
    }
    assert!(
        sandbox.path("out/d/metadata.json").exists(),
        "published all the same"
    );
}

#[test]
fn all_takes_everything_that_is_valid() {
    let sandbox = Sandbox::new();
    let run = synthetic(&sandbox, &["--targets", "all", "--json"]);
    run.expect(0);
    let json = run.json();
    assert_eq!(json["shortfall"], 0);
    assert!(
        json["dataset"]
            .as_str()
            .is_some_and(|name| name.contains("_all_")),
        "{json}"
    );
    for stratum in json["strata"].as_array().expect("strata") {
        assert_eq!(stratum["target"], serde_json::Value::Null, "{stratum}");
        assert_eq!(stratum["not_sampled"], 0, "{stratum}");
        assert_eq!(stratum["shortfall"], 0, "{stratum}");
    }
    let location = json["location"].as_str().expect("a place");
    sandbox.run(&["verify", location]).expect(0);
    // A number takes the first of them, in the same order.
    let set: Vec<String> = ["train", "val", "test"]
        .iter()
        .flat_map(|split| ["short", "medium", "long"].map(|bucket| (*split, bucket)))
        .map(|(split, bucket)| format!("selection.targets.{split}.{bucket}=100000"))
        .flat_map(|pair| ["--set".to_owned(), pair])
        .collect();
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let many = synthetic(&sandbox, &[&set[..], &["--json"]].concat());
    many.expect(3);
    assert_eq!(many.json()["content_sha256"], json["content_sha256"]);
    let wrong = synthetic(&sandbox, &["--targets", "some"]);
    wrong.says(2, &["\"all\""]);
}

#[test]
fn targets_that_nobody_has_set_are_no_failures() {
    let sandbox = Sandbox::new();
    let run = synthetic(&sandbox, &["--name", "d"]);
    run.expect(3);
    assert!(!run.stdout.contains("shortfall:"), "{}", run.stdout);
    assert!(run.stdout.contains("--targets all"), "{}", run.stdout);
}

#[test]
fn a_name_that_is_taken_within_the_second_gets_a_suffix() {
    let sandbox = Sandbox::new();
    // Every second of the next minutes is taken, so the clock does not matter.
    let now = jiff::Timestamp::now().as_second();
    for second in now..now + 600 {
        let at = jiff::Timestamp::from_second(second).expect("an instant");
        let name = at.strftime("out/d_%Y%m%d_%H%M%S/metadata.json").to_string();
        sandbox.write(&name, "{}");
    }
    let run = synthetic(
        &sandbox,
        &[
            "--test",
            "--name",
            "d_{timestamp}",
            "--json",
            "--work-dir",
            "w",
        ],
    );
    run.expect(0);
    let name = run.json()["dataset"].as_str().expect("a name").to_owned();
    assert!(name.ends_with("_2"), "{name}");
    let pinned = std::fs::read_to_string(sandbox.path("w/run.json")).expect("it is kept");
    assert!(pinned.contains(&format!("\"{name}\"")), "{pinned}");
    sandbox.run(&["verify", &format!("out/{name}")]).expect(0);
    let fixed = synthetic(&sandbox, &["--test", "--name", &name]);
    fixed.expect(2);
}

#[test]
fn quick_shows_the_recorded_counts() {
    let sandbox = Sandbox::new();
    synthetic(&sandbox, &["--test", "--name", "d"]).expect(0);
    let run = sandbox.run(&["verify", "out/d", "--quick", "--json"]);
    run.expect(0);
    let json = run.json();
    assert_eq!(json["records"], 100, "{json}");
    let of_file = |file: &serde_json::Value| file["records"].as_u64().unwrap_or(0);
    let files = json["files"].as_array().expect("files");
    assert_eq!(files.iter().map(of_file).sum::<u64>(), 100, "{json}");
}

#[test]
fn verify_needs_no_source() {
    let sandbox = Sandbox::new();
    let buckets = "selection.buckets=[{name=\"short\",turns=[3,5],file=\"mine\"}]";
    let set = [
        "--set",
        buckets,
        "--set",
        "selection.targets.train.short=5",
        "--split",
        "train",
        "--name",
        "d",
    ];
    synthetic(&sandbox, &set).expect(0);
    sandbox.write("sink.toml", "[sink.azure_blob]\ncredential = 'sas'\n");
    sandbox
        .run(&["verify", "out/d", "--config", "sink.toml"])
        .expect(0);
    // With a selection the records are held against that one, and still no source is needed.
    sandbox.write("own.toml", "[[selection.buckets]]\nname = 'short'\nturns = [9, 9]\n[selection.targets.train]\nshort = 5\n");
    let other = sandbox.run(&["verify", "out/d", "--config", "own.toml"]);
    assert!(other.code == Some(1), "{}{}", other.stdout, other.stderr);
}
