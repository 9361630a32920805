//! What a refusal says: the cause, where, and the command that helps.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Run, Sandbox, words};

fn turns(ids: std::ops::Range<usize>) -> String {
    let turn = |id, index| {
        format!(
            r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c{id}","userName":"n","mode":"agent","turnIndex":{index},"userMessage":"u","modelMessage":"m"}}"#
        )
    };
    let mut text = String::new();
    for id in ids {
        for index in 1..=3 {
            text += &(turn(id, index) + "\n");
        }
    }
    text
}

fn export(sandbox: &Sandbox, input: &[&str], more: &[&str]) -> Run {
    let inputs = input.iter().flat_map(|path| ["--input", path]);
    let mut args = words("export --name d --targets all --progress none");
    args.extend(inputs.chain(more.iter().copied()));
    sandbox.run(&args)
}

/// The command in backquotes behind a word of a hint.
fn command_in(stderr: &str, begins: &str) -> Vec<String> {
    let (_, rest) = stderr.split_once(&format!("`{begins}")).expect(stderr);
    let (rest, _) = rest.split_once('`').expect("its end");
    let words = format!("{begins}{rest}");
    words.split(' ').map(str::to_owned).collect()
}

#[test]
fn verify_says_of_changed_counts_that_the_manifest_was_changed() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", turns(0..40));
    export(&sandbox, &["a.jsonl"], &[]).expect(0);
    let path = sandbox.path("out/d/metadata.json");
    let manifest = fs::read_to_string(&path).expect("a manifest");
    let changed = manifest.replacen("\"rows_read\": 120", "\"rows_read\": 121", 1);
    assert_ne!(changed, manifest);
    fs::write(&path, changed).expect("writable");
    let run = sandbox.run(&["verify", "out/d"]);
    run.expect(1);
    let finding = "metadata.json: the counts do not add up: rows_read is 121, its parts are 120";
    assert!(run.stdout.contains(finding), "{}", run.stdout);
    for of_an_export in ["nothing was published", "report this"] {
        assert!(!run.stdout.contains(of_an_export), "{}", run.stdout);
    }
}

#[test]
fn a_link_under_the_datasets_name_is_refused_as_usage() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", turns(0..40));
    fs::create_dir_all(sandbox.path("out")).expect("writable");
    fs::create_dir_all(sandbox.path("elsewhere")).expect("writable");
    symlink(sandbox.path("elsewhere"), sandbox.path("out/d")).expect("linked");
    let run = export(&sandbox, &["a.jsonl"], &[]);
    let stderr = run.says(2, &["out/d", "symbolic link"]);
    assert!(stderr.contains("--name"), "{stderr}");
}

#[test]
fn a_row_that_is_too_large_is_reported_with_the_limit() {
    let sandbox = Sandbox::new();
    let large = turns(0..1).replace("\"u\"", &format!("\"{}\"", "x".repeat(40_000)));
    sandbox.write("a.jsonl", large);
    let run = export(&sandbox, &["a.jsonl"], &["--set", "limits.max_record=20kB"]);
    let stderr = run.says(1, &["too_large at a.jsonl:1"]);
    assert!(
        stderr.contains("limits.max_record") && stderr.contains("20"),
        "{stderr}"
    );
}

#[test]
fn a_name_that_a_failed_run_has_claimed_is_freed_by_the_command_in_the_hint() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "bad.jsonl",
        format!("{}{}", turns(0..40), "no json\n".repeat(9)),
    );
    sandbox.write("good.jsonl", turns(0..40));
    let failed = export(&sandbox, &["bad.jsonl"], &[]);
    failed.says(1, &["malformed", "--fresh"]);
    let refused = export(&sandbox, &["good.jsonl"], &[]);
    let command = command_in(refused.expect(2), "gleaner unlock ");
    let words: Vec<&str> = command.iter().skip(1).map(String::as_str).collect();
    assert!(words.contains(&"--yes"), "{words:?}");
    sandbox.run(&words).expect(0);
    export(&sandbox, &["good.jsonl"], &[]).expect(0);
    // The input was put right: with --fresh the same command takes its own claim over.
    let sandbox = Sandbox::new();
    sandbox.write(
        "in/a.jsonl",
        format!("{}{}", turns(0..40), "no json\n".repeat(9)),
    );
    export(&sandbox, &["in"], &[]).expect(1);
    sandbox.write("in/a.jsonl", turns(0..40));
    export(&sandbox, &["in"], &["--fresh"]).expect(0);
}

#[test]
fn a_plan_of_a_run_that_would_be_refused_exits_with_2() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", turns(0..40));
    let plan = |more: &[&str]| {
        let args = words("plan --input a.jsonl --name d --work-dir work");
        sandbox.run(&[&args, more].concat())
    };
    plan(&[]).expect(0);
    export(&sandbox, &["a.jsonl"], &["--work-dir", "work"]).expect(0);
    let refused = plan(&["--targets", "all", "--seed", "another"]);
    refused.expect(2);
    assert!(
        refused
            .stdout
            .contains("refused: it belongs to a run with other settings")
    );
    sandbox.write("a.jsonl", "no json\n".repeat(9));
    let refused = sandbox.run(&["plan", "--input", "a.jsonl", "--json"]);
    refused.expect(2);
    assert_eq!(refused.json()["first_rows"]["refused"], true);
}

#[test]
fn a_file_given_by_two_spellings_is_read_once() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("in/a.jsonl", turns(0..40));
    symlink(&file, sandbox.path("in/b.jsonl")).expect("linked");
    let absolute = file.display().to_string();
    let inputs = [
        "in/a.jsonl",
        "./in/a.jsonl",
        "in/../in/a.jsonl",
        &absolute,
        "in",
    ];
    export(&sandbox, &inputs, &[]).expect(0);
    let manifest = fs::read(sandbox.path("out/d/metadata.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["population"]["rows_read"], 120);
    assert_eq!(manifest["population"]["duplicate_turns"], 0);
}
