//! `[privacy]` of an export: what is taken out, counted or refused, and that nothing else changes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{planted, run};
use crate::check::conversation;
use crate::support::{Run, Sandbox};

const EXPORT: &str = "export --input in.jsonl --out out --progress none --json";

/// Twelve conversations of one stratum, of which every third has a key and an address.
fn twelve() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    let (key, mail) = planted();
    let lines: Vec<_> = (0..12)
        .map(|n| {
            let mut one = conversation(&format!("id-{n}"), 10, "m");
            if n % 3 == 0 {
                let arguments = json!({"env": {"TOKEN": key}, "é/": [1.0]}).to_string();
                one["turnsArray"][1]["trajectory"] =
                    json!([{"arguments": arguments, "result": mail}]);
            }
            one.to_string()
        })
        .collect();
    std::fs::write(sandbox.path("in.jsonl"), lines.join("\n")).expect("writable");
    (sandbox, lines)
}

/// The files of a dataset's strata.
fn files(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let manifest =
        std::fs::read(sandbox.path(&format!("out/{name}/metadata.json"))).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let strata = manifest["strata"].as_array().expect("strata").iter();
    let file = |stratum: &Value| stratum["file"].as_str().map(str::to_owned);
    strata.filter_map(file).collect()
}

/// The records of all strata of a dataset.
fn records(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let files = files(sandbox, name);
    let read = |file: &String| {
        std::fs::read_to_string(sandbox.path(&format!("out/{name}/{file}"))).expect("a file")
    };
    let mut all: Vec<_> = (files.iter())
        .flat_map(|file| read(file).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    all.sort();
    all
}

#[test]
fn redaction_takes_out_what_scan_finds_and_nothing_else() {
    let (sandbox, lines) = twelve();
    let (key, mail) = planted();
    let command = format!(
        "{EXPORT} --name d --targets all --set privacy.secrets=redact --set privacy.personal=redact"
    );
    let export = run(&sandbox, &command);
    export.expect(0);
    let found =
        json!({"email": {"records": 4, "times": 4}, "github-pat": {"records": 4, "times": 4}});
    assert_eq!(export.json()["privacy"]["found"], found);
    assert_eq!(export.json()["privacy"]["key_id"], Value::Null);
    let mut expected: Vec<_> = lines
        .iter()
        .map(|line| {
            line.replace(&key, "<GITHUB_TOKEN>")
                .replace(&mail, "<EMAIL>")
        })
        .collect();
    expected.sort();
    assert_eq!(records(&sandbox, "d"), expected);
    run(&sandbox, "verify out/d").expect(0);
    run(&sandbox, "scan out/d").expect(0);
    let card = std::fs::read_to_string(sandbox.path("out/d/README.md")).expect("a card");
    assert!(card.contains("| github-pat | 4 | 4 |"), "{card}");
    // What it is converted to says the same.
    let converted = run(&sandbox, "convert out/d --for openai");
    let said = converted.expect(0);
    assert!(said.is_empty(), "{said}");
    let line =
        "privacy: secrets redact, personal redact: email 4 in 4 records, github-pat 4 in 4 records";
    assert!(converted.stdout.contains(line), "{}", converted.stdout);
    let card = std::fs::read_to_string(sandbox.path("out/d-openai/README.md")).expect("a card");
    assert!(card.contains("| github-pat | 4 | 4 |"), "{card}");
    run(&sandbox, "verify out/d-openai").expect(0);
}

#[test]
fn a_key_makes_placeholders_of_its_own_and_belongs_to_the_run() {
    let (sandbox, _) = twelve();
    run(&sandbox, "key new one.key").expect(0);
    run(&sandbox, "key new two.key").expect(0);
    run(&sandbox, "key new one.key").expect(2);
    let with = |name: &str, key: &str| {
        format!(
            "{EXPORT} --work-dir work --name {name} --targets all --set privacy.secrets=redact --set privacy.key_file={key}"
        )
    };
    let one = run(&sandbox, &with("d", "one.key"));
    one.expect(0);
    let id = one.json()["privacy"]["key_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let placeholders = |name: &str| {
        let of = |record: &String| {
            record
                .split_once("<GITHUB_TOKEN_")
                .map(|(_, rest)| rest[..8].to_owned())
        };
        let mut found: Vec<_> = records(&sandbox, name).iter().filter_map(of).collect();
        assert_eq!(found.len(), 4);
        found.dedup();
        assert_eq!(found.len(), 1);
        found.remove(0)
    };
    let first = placeholders("d");
    // Another key is another run.
    let refused = run(&sandbox, &with("d", "two.key"));
    let said = refused.expect(2);
    assert!(said.contains("privacy.key") && said.contains(&id), "{said}");
    let fresh = run(&sandbox, &format!("{} --fresh", with("e", "two.key")));
    fresh.expect(0);
    assert_ne!(placeholders("e"), first);
    std::fs::write(sandbox.path("short.key"), "too short").expect("writable");
    let short = run(&sandbox, &with("f", "short.key"));
    assert!(short.expect(2).contains("at least 32"), "{}", short.stderr);
    let none = run(&sandbox, &with("f", "none.key"));
    assert!(
        none.expect(2).contains("gleaner key new"),
        "{}",
        none.stderr
    );
}

#[test]
fn what_is_refused_is_replaced_by_spares_and_what_is_reported_stays() {
    let (sandbox, lines) = twelve();
    let targets =
        "--set selection.splits=[{name='all',percent=100}] --set selection.targets={all={short=8}}";
    let reject = run(
        &sandbox,
        &format!("{EXPORT} --name r {targets} --set privacy.secrets=reject"),
    );
    reject.expect(0);
    let clean: Vec<_> = {
        let mut clean: Vec<_> = lines
            .iter()
            .filter(|line| !line.contains("trajectory"))
            .cloned()
            .collect();
        clean.sort();
        clean
    };
    assert_eq!(records(&sandbox, "r"), clean);
    let invalid = reject.json()["invalid_codes"]["secret:github-pat"].clone();
    assert!(
        invalid
            .as_u64()
            .is_some_and(|invalid| (1..=4).contains(&invalid)),
        "{invalid}"
    );
    run(&sandbox, "verify out/r").expect(0);
    let report = run(
        &sandbox,
        &format!("{EXPORT} --name p --targets all --set privacy.personal=report"),
    );
    report.expect(0);
    assert_eq!(
        report.json()["privacy"]["found"],
        json!({"email": {"records": 4, "times": 4}})
    );
    let mut all = lines;
    all.sort();
    assert_eq!(records(&sandbox, "p"), all);
    let off = run(&sandbox, &format!("{EXPORT} --name o --targets all"));
    off.expect(0);
    assert_eq!(off.json()["privacy"], Value::Null);
}

/// Six conversations of two users.
fn six() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    let lines: Vec<_> = (0..6)
        .map(|n| {
            let mut one = conversation(&format!("id-{n}"), 10, "m");
            one["userName"] = ["Ann Smith", "Ben"][n % 2].into();
            one["turnsArray"][0]["userName"] = "Ann Smith".into();
            one.to_string()
        })
        .collect();
    std::fs::write(sandbox.path("in.jsonl"), lines.join("\n")).expect("writable");
    (sandbox, lines)
}

fn with_users(sandbox: &Sandbox, name: &str, more: &str) -> Run {
    let command = format!("{EXPORT} --name {name} --targets all --set privacy.users={more}");
    run(sandbox, &command)
}

#[test]
fn users_become_pseudonyms_of_the_key() {
    let (sandbox, mut lines) = six();
    let refused = with_users(&sandbox, "none", "pseudonym");
    refused.says(2, &["gleaner key new FILE", "--set privacy.users=drop"]);
    run(&sandbox, "key new one.key").expect(0);
    let export = with_users(&sandbox, "p", "pseudonym --set privacy.key_file=one.key");
    export.expect(0);
    assert_eq!(export.json()["privacy"]["users"], "pseudonym");
    let mut pseudonyms = BTreeSet::new();
    let mut restored = Vec::new();
    for record in records(&sandbox, "p") {
        let read: Value = serde_json::from_str(&record).expect("JSON");
        let (user, first) = (&read["userName"], &read["turnsArray"][0]["userName"]);
        let name = ["Ann Smith", "Ben"][usize::from(user != first)];
        pseudonyms.insert(user.to_string());
        let ann = record.replace(first.as_str().expect("a text"), "Ann Smith");
        restored.push(ann.replace(user.as_str().expect("a text"), name));
    }
    assert_eq!(pseudonyms.len(), 2);
    lines.sort();
    restored.sort();
    assert_eq!(restored, lines, "nothing else changed");
    run(&sandbox, "verify out/p").expect(0);
}

#[test]
fn names_of_users_are_left_out_and_need_not_be_there() {
    let (sandbox, mut lines) = six();
    let mut none: Value = serde_json::from_str(&lines[0]).expect("JSON");
    none.as_object_mut().expect("an object").remove("userName");
    none["conversationId"] = "id-none".into();
    lines.push(none.to_string());
    std::fs::write(sandbox.path("in.jsonl"), lines.join("\n")).expect("writable");
    with_users(&sandbox, "d", "drop").expect(0);
    let dropped = records(&sandbox, "d");
    assert_eq!(dropped.len(), 7);
    let has_name = |record: &String| record.contains("userName");
    assert!(!dropped.iter().any(has_name), "{dropped:?}");
    run(&sandbox, "verify out/d").expect(0);
    let card = std::fs::read_to_string(sandbox.path("out/d/README.md")).expect("a card");
    assert!(card.contains("names of users were taken out"), "{card}");
    // What was changed afterwards is seen, besides the digest.
    let path = sandbox.path(&format!("out/d/{}", files(&sandbox, "d")[0]));
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, text.replacen('{', r#"{"userName":"Ann","#, 1)).expect("writable");
    let verified = run(&sandbox, "verify out/d");
    verified.expect(1);
    let said = verified.stdout;
    assert!(said.contains("privacy.users is drop"), "{said}");
}

#[test]
fn nothing_of_rows_that_cannot_be_read_is_shown_where_secrets_are_looked_for() {
    let (sandbox, mut lines) = twelve();
    let (key, _) = planted();
    lines.push(
        json!({"conversationId": "t", "turnCount": key, "turnsArray": [], "bucket": "short"})
            .to_string(),
    );
    lines.push(json!({"conversationId": "t", key.clone(): 1}).to_string());
    std::fs::write(sandbox.path("in.jsonl"), lines.join("\n")).expect("writable");
    let with = |name: &str, more: &str| {
        let command = format!(
            "{EXPORT} --name {name} --targets all --max-malformed 50 --work-dir w{name} {more}"
        );
        run(&sandbox, command.trim_end())
    };
    let shown = |name: &str| {
        let read = |path: String| std::fs::read_to_string(sandbox.path(&path)).expect("a file");
        read(format!("out/{name}/metadata.json")) + &read(format!("w{name}/report.html"))
    };
    let plain = with("p", "");
    plain.expect(0);
    assert!(
        shown("p").contains(&key[..12]),
        "the value is shown where nothing is looked for"
    );
    let redacted = with("r", "--set privacy.secrets=redact");
    let said = redacted.expect(0).to_owned() + &redacted.stdout + &shown("r");
    assert!(!said.contains(&key[..12]), "{said}");
    let malformed = |run: &Run| run.json()["population"]["malformed"].clone();
    assert_eq!(malformed(&redacted), malformed(&plain));
}

#[test]
fn rules_of_ones_own_are_those_of_a_file_for_gitleaks() {
    let (sandbox, _) = twelve();
    let rules = "title = 'own'\n[[rules]]\nid = 'house-id'\ndescription = 'Ids of the house'\n\
                 regex = '''\\bhouse-([0-9]{4})\\b'''\nkeywords = ['house']\n[rules.allowlist]\nstopwords = ['0000']\n";
    sandbox.write("own.toml", rules);
    let lines: Vec<_> = ["0000", "1234", "1234", "5678"]
        .iter()
        .enumerate()
        .map(|(n, id)| {
            let mut one = conversation(&format!("id-{n}"), 10, "m");
            one["turnsArray"][0]["userMessage"] = format!("open house-{id} now").into();
            one.to_string()
        })
        .collect();
    std::fs::write(sandbox.path("in.jsonl"), lines.join("\n")).expect("writable");
    let with = |name: &str, action: &str| {
        let command = format!(
            "{EXPORT} --work-dir work --name {name} --targets all --set privacy.secrets={action} --set privacy.rules=own.toml"
        );
        run(&sandbox, &command)
    };
    let export = with("d", "redact");
    export.expect(0);
    assert_eq!(
        export.json()["privacy"]["found"],
        json!({"house-id": {"records": 3, "times": 3}})
    );
    let text = records(&sandbox, "d").join("\n");
    assert!(
        text.contains("open house-<HOUSE_ID> now") && text.contains("house-0000"),
        "{text}"
    );
    run(&sandbox, "verify out/d").expect(0);
    let scan = run(&sandbox, "scan in.jsonl --rules own.toml --json");
    scan.expect(3);
    assert!(
        scan.stdout.contains("house-id") && !scan.stdout.contains("1234"),
        "{}",
        scan.stdout
    );
    // Other rules are another run, also if only the file changed.
    sandbox.write("own.toml", rules.replace("{4}", "{4,5}"));
    let refused = with("d", "redact");
    assert!(
        refused.expect(2).contains("privacy.rules_sha256"),
        "{}",
        refused.stderr
    );
    let rejected = run(
        &sandbox,
        &format!(
            "{EXPORT} --name r --targets all --set privacy.secrets=reject --set privacy.rules=own.toml"
        ),
    );
    rejected.expect(0);
    assert_eq!(rejected.json()["invalid_codes"]["secret:house-id"], 3);
    run(&sandbox, "verify out/r").expect(0);
    sandbox.write("own.toml", "[[rules]]\nid = 'x'\nregex = '('\n");
    with("e", "redact").says(2, &["privacy.rules", "own.toml", "rule \"x\": its regex"]);
    sandbox.write("own.toml", "rules = 3\n");
    with("e", "redact").says(2, &["no file of rules for gitleaks"]);
    run(&sandbox, "scan in.jsonl --rules none.toml").says(2, &["--rules", "none.toml"]);
}
