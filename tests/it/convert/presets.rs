//! What is written for each preset, and where.

use std::fs;

use gleaner::domain::dataset::manifest::Manifest;
use gleaner::domain::selection::rank::Ranker;
use serde_json::Value;

use super::{convert, exported, records};
use crate::support::Sandbox;

const PRESETS: [&str; 6] = ["trl", "openai", "llamafactory", "verl", "mistral", "atif"];

/// The texts of the users in the exported dataset, in any order.
fn texts(sandbox: &Sandbox) -> Vec<String> {
    let mut texts = Vec::new();
    for split in ["train", "val", "test"] {
        for file in fs::read_dir(sandbox.path(&format!("out/d/{split}"))).expect("a split") {
            let text = fs::read_to_string(file.expect("a file").path()).expect("text");
            for record in text.lines() {
                let record: Value = serde_json::from_str(record).expect("JSON");
                for turn in record["turnsArray"].as_array().expect("turns") {
                    texts.push(turn["userMessage"].as_str().expect("text").to_owned());
                }
            }
        }
    }
    texts.sort();
    texts
}

#[test]
fn every_preset_has_every_text_and_can_be_verified() {
    let sandbox = exported();
    let source: Value =
        serde_json::from_slice(&fs::read(sandbox.path("out/d/metadata.json")).expect("a file"))
            .expect("JSON");
    let expected = texts(&sandbox);
    for preset in PRESETS {
        // Columns can be read by other means only.
        let lines = if preset == "verl" {
            "--format jsonl"
        } else {
            ""
        };
        let run = convert(&sandbox, &format!("--for {preset} {lines}"));
        // These two want a text of the model at the end of every turn.
        let ends_early = matches!(preset, "llamafactory" | "mistral");
        run.expect(if ends_early { 3 } else { 0 });
        let manifest = run.json();
        assert_eq!(
            manifest["records_in"] == manifest["records_out"],
            !ends_early,
            "{preset}"
        );
        assert_eq!(
            manifest["derived_from"]["content_sha256"],
            source["content_sha256"]
        );
        let name = format!("d-{preset}");
        let mut found = Vec::new();
        for split in ["train", "validation", "test"] {
            for record in records(&sandbox, &name, split) {
                let (list, role, text) = match preset {
                    "llamafactory" => ("conversations", "from", "value"),
                    "atif" => ("steps", "source", "message"),
                    _ => ("messages", "role", "content"),
                };
                let user = if preset == "llamafactory" {
                    "human"
                } else {
                    "user"
                };
                let messages = record[list].as_array().expect("messages").iter();
                let users = messages.filter(|message| message[role] == user);
                found.extend(users.map(|message| message[text].as_str().expect("text").to_owned()));
            }
        }
        found.sort();
        match ends_early {
            false => assert_eq!(found, expected, "{preset}"),
            true => assert!(!found.is_empty() && found.iter().all(|text| expected.contains(text))),
        }
        let verified = sandbox.run(&["verify", &format!("out/{name}"), "--json"]);
        verified.expect(0);
        assert_eq!(verified.json()["records"], manifest["records_out"]);
    }
}

#[test]
fn files_are_cut_by_length_and_records_stand_by_rank_over_all_buckets() {
    let sandbox = exported();
    convert(&sandbox, "--name whole").expect(0);
    let whole = records(&sandbox, "whole", "train");
    let run = convert(&sandbox, "--name cut --max-file 60kB");
    run.expect(0);
    assert_eq!(records(&sandbox, "cut", "train"), whole);
    let mut ranker = Ranker::new("gleaner");
    let mut ranks = whole.iter().map(|record| {
        let id = record["conversationId"].as_str().expect("an id");
        (ranker.rank(id.as_bytes()), id)
    });
    assert!(ranks.by_ref().is_sorted());
    let manifest = run.json();
    let files = manifest["splits"][0]["files"].as_array().expect("files");
    assert!(files.len() > 3, "{manifest}");
    for (number, file) in files.iter().enumerate() {
        assert_eq!(
            file["path"],
            format!("data/train-{number:05}-of-{:05}.jsonl", files.len())
        );
        let text = fs::read_to_string(sandbox.path(&format!(
            "out/cut/{}",
            file["path"].as_str().expect("a path")
        )))
        .expect("text");
        let bytes: usize = text.lines().map(str::len).sum();
        assert!(bytes <= 60_000 || text.lines().count() == 1, "{bytes}");
    }
}

#[test]
fn the_same_conversion_says_that_it_is_there_and_another_dataset_keeps_its_name() {
    let sandbox = exported();
    convert(&sandbox, "--for trl").expect(0);
    let before = fs::read(sandbox.path("out/d-trl/metadata.json")).expect("a file");
    let run = convert(&sandbox, "--for trl");
    run.expect(0);
    assert_eq!(run.json()["was_there"], true);
    assert_eq!(
        fs::read(sandbox.path("out/d-trl/metadata.json")).expect("a file"),
        before
    );
    let other = convert(&sandbox, "--for openai --name d-trl");
    assert!(
        other.expect(2).contains("exists already"),
        "{}",
        other.stderr
    );
    // Made anew, it has the same bytes.
    fs::remove_dir_all(sandbox.path("out/d-trl")).expect("there");
    convert(&sandbox, "--for trl").expect(0);
    assert_eq!(
        fs::read(sandbox.path("out/d-trl/metadata.json")).expect("a file"),
        before
    );
}

#[test]
fn a_dataset_that_is_not_what_its_manifest_says_is_not_converted() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("SHA-256", |bytes| {
            const KEY: &[u8] = b"\"userMessage\":\"";
            let mut windows = bytes.windows(KEY.len());
            let at = windows.position(|window| window == KEY).expect("a turn") + KEY.len();
            bytes[at] = b'~';
        }),
        ("bytes instead of", |bytes| {
            bytes.extend_from_slice(b"{\"conversationId\":\"x\",\"turnsArray\":[]}\n")
        }),
        ("bytes instead of", |bytes| bytes.truncate(bytes.len() / 2)),
        ("does not end", |bytes| {
            bytes.pop();
            bytes.push(b' ');
        }),
    ];
    for (what, damage) in damages {
        let sandbox = exported();
        let file = sandbox.path("out/d/train/short_3_to_5_turns.jsonl");
        let mut bytes = fs::read(&file).expect("a file");
        damage(&mut bytes);
        fs::write(&file, bytes).expect("writable");
        let run = convert(&sandbox, "--for trl");
        let error = run.expect(1);
        for said in [what, "train/short_3_to_5_turns.jsonl", "gleaner verify"] {
            assert!(error.contains(said), "{said}: {error}");
        }
        assert!(!sandbox.path("out/d-trl/metadata.json").exists());
    }
}

#[test]
fn what_verify_would_find_without_reading_records_is_found_before_they_are_converted() {
    const FILE: &str = "out/d/train/short_3_to_5_turns.jsonl";
    type Damage = fn(&Sandbox);
    let damages: [(&str, Damage); 4] = [
        ("is not part of the dataset", |sandbox| {
            sandbox.write("out/d/train/more.jsonl", "{}\n");
        }),
        ("does not have the digests", |sandbox| {
            sandbox.write("out/d/SHA256SUMS", "");
        }),
        ("is not there", |sandbox| {
            fs::remove_file(sandbox.path(FILE)).expect("there");
        }),
        ("was changed: manifest_sha256", |sandbox| {
            let path = sandbox.path("out/d/metadata.json");
            let manifest = fs::read_to_string(&path).expect("text");
            let changed = manifest.replace("\"seed\": \"gleaner\"", "\"seed\": \"other\"");
            assert_ne!(changed, manifest);
            fs::write(path, changed).expect("writable");
        }),
    ];
    for (what, damage) in damages {
        let sandbox = exported();
        damage(&sandbox);
        let run = convert(&sandbox, "--for trl");
        let error = run.expect(1);
        assert!(
            error.contains(what) && error.contains("gleaner verify"),
            "{error}"
        );
        assert!(!sandbox.path("out/d-trl").exists());
    }
}

#[test]
fn records_out_of_the_order_of_ranks_are_not_converted() {
    let sandbox = exported();
    let path = sandbox.path("out/d/metadata.json");
    let mut manifest: Manifest =
        serde_json::from_slice(&fs::read(&path).expect("a file")).expect("a manifest");
    manifest.seed = "other".to_owned();
    fs::write(path, manifest.seal().expect("JSON")).expect("writable");
    let error = convert(&sandbox, "--for trl").expect(1).to_owned();
    assert!(error.contains("is not in the order of ranks"), "{error}");
}

#[test]
fn the_text_says_what_was_done_without_empty_sections() {
    let sandbox = Sandbox::new();
    let turns = (1..=3).map(
        |turn| serde_json::json!({"turnIndex": turn, "userMessage": "u", "modelMessage": "m"}),
    );
    let turns: Vec<_> = turns.collect();
    let call = serde_json::json!([{"id": "a", "tool": "t", "arguments": {}, "result": 1}]);
    for (name, trajectory) in [("plain", serde_json::json!([])), ("call", call)] {
        let mut turns = turns.clone();
        turns[0]["trajectory"] = trajectory;
        let row = serde_json::json!({"conversationId": "c", "userName": "u", "turnsArray": turns});
        sandbox.write(&format!("{name}.jsonl"), row.to_string());
        let export = format!(
            "export --input {name}.jsonl --out out --name {name} --targets all --progress none"
        );
        sandbox
            .run(&export.split(' ').collect::<Vec<_>>())
            .expect(0);
    }
    let plain = sandbox.run(&["convert", "out/plain"]);
    plain.expect(0);
    assert!(!plain.stdout.contains("\n\n\n"), "{}", plain.stdout);
    let call = sandbox.run(&["convert", "out/call"]);
    call.expect(0);
    let said = "changed: result_is_json (1 record, 1 time)";
    assert!(call.stdout.contains(said), "{}", call.stdout);
}

#[test]
fn what_cannot_be_converted_is_said() {
    let sandbox = exported();
    sandbox.write("empty.json", "[]");
    sandbox.write("twice.json", r#"[{"name":"t"},{"function":{"name":"t"}}]"#);
    sandbox.write("nameless.json", r#"[{"name":"t"},{}]"#);
    for (args, code, what) in [
        (
            "--for gpt",
            2,
            "trl, openai, llamafactory, verl, mistral, atif",
        ),
        (
            "--for openai --format parquet",
            2,
            "parquet cannot be written for openai",
        ),
        ("--for mistral --format json", 2, "its loader reads lines"),
        ("--name a/b", 2, "cannot be the name"),
        ("--out out/d --name x", 2, "lies in the dataset itself"),
        ("--tools out/d/metadata.json", 2, "it is no JSON array"),
        ("--tools empty.json", 2, "there is no tool in it"),
        ("--tools twice.json", 2, "there are two tools called \"t\""),
        ("--tools nameless.json", 2, "definition 2 has no name"),
        ("--out empty.json", 2, "empty.json is a file"),
        ("--max-file 0", 2, "a size of more than nothing"),
        ("--max-file -5", 2, "a size of more than nothing"),
        ("--max-file abc", 2, "a size of more than nothing"),
        ("--tools nowhere.json", 2, "cannot read nowhere.json"),
    ] {
        let run = convert(&sandbox, args);
        assert!(run.expect(code).contains(what), "{args}: {}", run.stderr);
    }
    convert(&sandbox, "--for trl").expect(0);
    let run = sandbox.run(&["convert", "out/d-trl", "--for", "openai"]);
    let error = run.expect(2);
    assert!(
        error.contains("is a converted dataset, made of the dataset \"d\"")
            && error.contains("hint:"),
        "{error}"
    );
    let run = sandbox.run(&["convert", "out", "--for", "openai"]);
    assert!(run.expect(1).contains("is no dataset"), "{}", run.stderr);
}

#[test]
fn a_record_that_the_preset_cannot_take_is_counted_and_the_exit_code_says_so() {
    let sandbox = Sandbox::new();
    let turns = |silent: bool| {
        (1..=3).map(move |turn| serde_json::json!({
            "turnIndex": turn, "userMessage": "u", "modelMessage": if silent && turn == 2 { "" } else { "m" },
        }))
    };
    let rows = (0..200).map(|id| {
        let turns: Vec<_> = turns(id % 10 == 0).collect();
        serde_json::json!({"conversationId": format!("c{id}"), "userName": "u", "turnsArray": turns}).to_string()
    });
    sandbox.write("in.jsonl", rows.collect::<Vec<_>>().join("\n"));
    let export = "export --input in.jsonl --out out --name d --targets all --progress none --json";
    sandbox
        .run(&export.split(' ').collect::<Vec<_>>())
        .expect(0);
    let run = convert(&sandbox, "--for trl");
    run.expect(3);
    let manifest = run.json();
    assert_eq!(manifest["records_in"], 200);
    assert_eq!(manifest["records_out"], 180);
    assert_eq!(manifest["dropped"], serde_json::json!({"empty_reply": 20}));
    assert_eq!(manifest["rules"]["empty_reply"]["records"], 20);
}

/// A loader refuses a column that the file does not have.
#[test]
fn croissant_has_the_columns_and_the_digest_of_each_file() {
    let sandbox = exported();
    convert(&sandbox, "--name cut --max-file 60kB").expect(0);
    let read = |path: &str| fs::read(sandbox.path(&format!("out/cut/{path}"))).expect("a file");
    let croissant: Value = serde_json::from_slice(&read("croissant.json")).expect("JSON");
    let metadata: Value = serde_json::from_slice(&read("metadata.json")).expect("JSON");
    let sets = croissant["recordSet"].as_array().expect("sets");
    let files = croissant["distribution"].as_array().expect("files");
    assert_eq!(sets.len(), files.len());
    let splits = metadata["splits"].as_array().expect("splits").iter();
    let shards: Vec<_> = splits
        .flat_map(|split| split["files"].as_array().expect("files"))
        .collect();
    for ((set, file), shard) in sets.iter().zip(files).zip(shards) {
        assert_eq!(file["sha256"], shard["sha256"]);
        let path = file["contentUrl"].as_str().expect("a path");
        assert_eq!(file["@id"], shard["path"]);
        let text = String::from_utf8(read(path)).expect("text");
        let records: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let fields = set["field"].as_array().expect("fields");
        let mut columns: Vec<_> = fields.iter().map(|field| field["name"].as_str()).collect();
        columns.sort_unstable();
        let mut keys: Vec<_> = records
            .iter()
            .flat_map(|record| record.as_object().expect("an object").keys())
            .map(|key| Some(key.as_str()))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(columns, keys, "{path}");
        assert_eq!(
            fields[0]["subField"][0]["source"]["fileObject"]["@id"],
            path
        );
    }
    assert_eq!(sets[0]["@id"], "train-00000");
}
