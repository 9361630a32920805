//! `gleaner export --for PRESET`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::{convert, synth};
use crate::support::{Run, Sandbox, kill_at, words};

const EXPORT: &str = "export --input in --out out --name d --targets all --progress none --json";

fn export(sandbox: &Sandbox, more: &str, code: i32) -> Value {
    let args = format!("{EXPORT} {more}");
    let run = sandbox.run(&args.split(' ').collect::<Vec<_>>());
    run.expect(code);
    run.json()
}

/// Every file of a dataset.
fn files(sandbox: &Sandbox, dataset: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in [format!("out/{dataset}"), format!("out/{dataset}/data")] {
        for entry in fs::read_dir(sandbox.path(&folder)).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_file() {
                let bytes = fs::read(&path).expect("a file");
                found.insert(path.display().to_string(), bytes);
            }
        }
    }
    found
}

#[test]
fn export_for_presets_makes_the_bytes_that_convert_makes() {
    let sandbox = synth("120");
    let value = export(&sandbox, "--for trl --for mistral --for trl", 3);
    let converted = value["converted"].as_array().expect("a list");
    assert_eq!(converted.len(), 2);
    for (made, name) in converted.iter().zip(["d-trl", "d-mistral"]) {
        assert_eq!(made["dataset"], name);
        assert_eq!(made["location"], format!("out/{name}"));
    }
    let before = (files(&sandbox, "d-trl"), files(&sandbox, "d-mistral"));
    for preset in ["trl", "mistral"] {
        fs::remove_dir_all(sandbox.path(&format!("out/d-{preset}"))).expect("there");
        let run = convert(&sandbox, &format!("--for {preset}"));
        assert_eq!(run.json()["was_there"], false);
    }
    let after = (files(&sandbox, "d-trl"), files(&sandbox, "d-mistral"));
    assert!(before == after, "other bytes");
}

#[test]
fn an_export_that_is_run_again_makes_what_is_missing() {
    let sandbox = synth("120");
    sandbox.write("c.toml", "output.for = ['trl']\n");
    export(&sandbox, "--config c.toml", 0);
    fs::remove_dir_all(sandbox.path("out/d-trl")).expect("there");
    let again = export(&sandbox, "--config c.toml", 0);
    assert_eq!(again["already_published"], true);
    assert_eq!(again["converted"][0]["was_there"], false);
    let third = export(&sandbox, "--config c.toml", 0);
    assert_eq!(third["converted"][0]["was_there"], true);
}

#[test]
fn a_conversion_that_fails_says_that_the_dataset_is_there_and_how_to_go_on() {
    let sandbox = synth("120");
    sandbox.write("out/d-trl/file", "of somebody else");
    let args = format!("{EXPORT} --for trl");
    let run = sandbox.run(&args.split(' ').collect::<Vec<_>>());
    let error = run.expect(2).to_owned();
    for said in [
        "out/d is published",
        "for trl is not",
        "`gleaner convert out/d --for trl`",
    ] {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert_eq!(run.json()["converted"], serde_json::json!([]));
    let wrong = sandbox.run(&["export", "--input", "in", "--set", "output.for=['gpt']"]);
    assert!(wrong.expect(2).contains("output.for"), "{}", wrong.stderr);
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn killed_between_publishing_and_converting_the_same_command_makes_the_same() {
    let contents = |value: &Value| {
        let converted = value["converted"].as_array().expect("a list").iter();
        let contents = converted.map(|made| made["content_sha256"].clone());
        contents.collect::<Vec<_>>()
    };
    let presets = "--work-dir work --for trl --for mistral";
    let undisturbed = contents(&export(&synth("120"), presets, 3));
    let sandbox = synth("120");
    let args = format!("{EXPORT} {presets}");
    let mut command = sandbox.command(&words(&args));
    let killed = command.envs(kill_at("upload.publish.after:1")).output();
    let killed = Run::from(killed.expect("the binary runs"));
    assert_eq!(killed.code, None, "{}", killed.stderr);
    assert!(sandbox.path("out/d/metadata.json").exists());
    assert!(!sandbox.path("out/d-trl").exists());
    let again = export(&sandbox, presets, 3);
    assert_eq!(again["resumed"], true);
    assert_eq!(contents(&again), undisturbed);
}
