//! `selection.split_by`: one user, one split.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::check::conversation;
use crate::support::reference::trust::{KEY, Users};
use crate::support::reference::{Asked, evaluate, hash, split_of};
use crate::support::{Dataset, Run, Sandbox, assert_equals_reference, corpus};

const EXPORT: &str = "export --input in --out out --name d --targets all --progress none --json";

fn run(sandbox: &Sandbox, arguments: &str) -> Run {
    sandbox.run(&arguments.split(' ').collect::<Vec<_>>())
}

/// Rows in which a conversation of `ann` is of one of thirty users, by its id.
fn with_users(rows: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let user = |row: Vec<u8>| {
        let Ok(row) = String::from_utf8(row) else {
            return Vec::new();
        };
        let id = row.split("\"conversationId\":").nth(1).unwrap_or("");
        let id = id.split("\",").next().unwrap_or("");
        let user = format!("\"user {}\\u00e9\"", hash(id.as_bytes()).rem_euclid(30));
        row.replace(r#""userName":"ann""#, &format!("\"userName\":{user}"))
            .into_bytes()
    };
    rows.into_iter().map(user).collect()
}

/// Users of the records by split.
fn users(dataset: &Dataset) -> BTreeMap<String, BTreeSet<String>> {
    let mut users = BTreeMap::<String, BTreeSet<String>>::new();
    for stratum in dataset.metadata["strata"].as_array().expect("strata") {
        let split = stratum["split"].as_str().expect("a split");
        let of_split = users.entry(split.to_owned()).or_default();
        let Some(file) = stratum["file"].as_str() else {
            continue;
        };
        let text = std::fs::read_to_string(dataset.folder.join(file)).expect("a file");
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let line = line.strip_suffix(',').unwrap_or(line);
            let record: Value = serde_json::from_str(line).expect("JSON");
            let user = record["userName"].as_str().expect("a name");
            of_split.insert(user.to_owned());
        }
    }
    users
}

#[track_caller]
fn assert_whole_groups(dataset: &Dataset) {
    let users = users(dataset);
    let counts = users.iter().map(|(split, users)| (split, users.len()));
    let groups = dataset.metadata["groups"].as_object().expect("counts");
    let groups: BTreeMap<_, _> = (groups.iter())
        .map(|(split, n)| (split, n.as_u64().expect("a number") as usize))
        .collect();
    assert_eq!(groups, counts.collect());
    let mut seen = BTreeSet::new();
    for user in users.values().flatten() {
        assert!(seen.insert(user), "{user} is in two splits");
    }
}

fn holds(files: &corpus::Files, asked: &Asked, compressed: bool) {
    let sandbox = Sandbox::new();
    match compressed {
        true => sandbox.write_compressed_input(files),
        false => sandbox.write_input(files),
    }
    sandbox.export(asked, &[]).expect(3);
    let expected = evaluate(files, asked);
    let dataset = sandbox.dataset();
    match compressed {
        // The names of files are other ones.
        true => crate::support::assert_same_records(&dataset, &expected),
        false => assert_equals_reference(&dataset, &expected),
    }
    assert_eq!(dataset.metadata["selection"]["split_by"], "userName");
    assert_whole_groups(&dataset);
    run(&sandbox, "verify out/d").expect(0);
    let invalid = expected.strata.values().flat_map(|one| &one.invalid);
    let codes: BTreeSet<_> = invalid.flat_map(|(_, codes)| codes).collect();
    assert!(codes.contains(&"missing_group"), "{codes:?}");
}

#[test]
fn users_split_turns_and_conversations_as_the_reference_does() {
    for (seed, rows) in (0..).zip([
        corpus::events(1, 150),
        corpus::events(2, 150),
        corpus::conversations(1, 150),
        corpus::conversations(2, 150),
    ]) {
        let files = corpus::shuffled(&with_users(rows), 3, seed);
        let mut asked = Asked::new(&format!("seed {seed}"), 12);
        asked.split_by = Some("userName".to_owned());
        holds(&files, &asked, seed % 2 == 1);
    }
}

/// Conversations `c-0` and so on, each of a user and of a repository.
fn conversations(number: usize, of: impl Fn(usize, &mut Value)) -> String {
    let one = |n: usize| {
        let mut one = conversation(&format!("c-{n}"), 10, "m");
        of(n, &mut one);
        one.to_string() + "\n"
    };
    (0..number).map(one).collect()
}

fn exported(rows: &str, more: &str) -> (Sandbox, Run) {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", rows);
    let export = run(&sandbox, &format!("{EXPORT} {more}"));
    (sandbox, export)
}

#[test]
fn a_field_inside_an_object_splits_too() {
    let rows = conversations(60, |n, one| {
        one["session"] = match n {
            7 => json!({"repo": 7}),
            8 => json!({"repo": " "}),
            9 => json!("text"),
            n => json!({"repo": format!("repo {}", n % 20)}),
        };
    });
    let (sandbox, export) = exported(&rows, "--set selection.split_by=session.repo");
    export.expect(0);
    let dataset = sandbox.dataset();
    let mut asked = Asked::new("gleaner", 0);
    asked.split_by = Some("session.repo".to_owned());
    for bucket in ["short", "medium", "long"] {
        for split in ["train", "val", "test"] {
            asked.targets.insert((split, bucket), usize::MAX);
        }
    }
    let files = [("a.jsonl".to_owned(), rows.into_bytes())];
    let expected = evaluate(&files, &asked);
    for ((split, _), stratum) in &expected.strata {
        for record in &stratum.records {
            let record: Value = serde_json::from_slice(record).expect("JSON");
            let repo = record["session"]["repo"].as_str().expect("text");
            assert_eq!(split_of(repo), *split);
        }
    }
    let records: usize = expected.strata.values().map(|s| s.records.len()).sum();
    assert_eq!(records, 57);
    let strata = dataset.metadata["strata"].as_array().expect("strata");
    let written = strata.iter().filter_map(|s| s["records"].as_u64());
    assert_eq!(written.sum::<u64>(), 57);
    let groups: u64 = (dataset.metadata["groups"].as_object().expect("counts"))
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(groups, 20);
    run(&sandbox, "verify out/d").expect(0);
}

#[test]
fn nothing_changes_for_the_id() {
    let rows = conversations(40, |_, _| {});
    let (plain, export) = exported(&rows, "--seed s");
    export.expect(0);
    let (said, export) = exported(&rows, "--seed s --set selection.split_by=conversationId");
    export.expect(0);
    let [plain, said] = [&plain, &said].map(|sandbox| sandbox.dataset().metadata);
    for key in ["fingerprint", "content_sha256", "selection"] {
        assert_eq!(plain[key], said[key], "{key}");
    }
    assert!(plain["selection"]["split_by"].is_null() && plain["groups"].is_null());
}

#[test]
fn a_work_directory_of_another_split_key_is_refused() {
    let rows = conversations(40, |n, one| one["userName"] = json!(format!("u{}", n % 9)));
    let (sandbox, export) = exported(&rows, "--work-dir w --set selection.split_by=userName");
    export.expect(0);
    let other = run(&sandbox, &format!("{EXPORT} --work-dir w"));
    other.expect(2);
    let said = "selection.split_by: \"userName\" -> not set";
    assert!(other.stderr.contains(said), "{}", other.stderr);
}

#[test]
fn pseudonyms_keep_users_apart_and_verify_says_what_it_could_not_check() {
    let rows = conversations(80, |n, one| one["userName"] = json!(format!("u{}", n % 25)));
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", &rows);
    sandbox.write("key", KEY);
    let more = "--set selection.split_by=userName --set privacy.users=pseudonym --set privacy.key_file=key";
    run(&sandbox, &format!("{EXPORT} {more}")).expect(0);
    let dataset = sandbox.dataset();
    assert_whole_groups(&dataset);
    let mut asked = Asked::new("gleaner", 80);
    asked.split_by = Some("userName".to_owned());
    asked.users = Users::Pseudonym;
    let files = [("a.jsonl".to_owned(), rows.into_bytes())];
    for ((split, bucket), stratum) in evaluate(&files, &asked).strata {
        let strata = dataset.metadata["strata"]
            .as_array()
            .expect("strata")
            .iter();
        let mut same = strata.filter(|s| s["split"] == split && s["bucket"] == bucket);
        let found = same.next().expect("the stratum");
        assert_eq!(
            found["records"],
            json!(stratum.records.len()),
            "{split}/{bucket}"
        );
    }
    let verified = run(&sandbox, "verify out/d --json");
    verified.expect(0);
    assert_eq!(verified.json()["unchecked"], json!(["split_mismatch"]));
    let text = run(&sandbox, "verify out/d").stdout;
    assert!(text.contains("not checked: split_mismatch"), "{text}");
}

#[test]
fn redacted_names_are_not_taken_for_one_group() {
    let mail = |n: usize| format!("kq7v{}xz@wm3{}rtqp.co.uk", n % 25, n % 25);
    let rows = conversations(80, |n, one| one["owner"] = json!(mail(n)));
    let more = "--set selection.split_by=owner --set privacy.personal=redact";
    let (sandbox, export) = exported(&rows, more);
    export.expect(0);
    let groups = sandbox.dataset().metadata["groups"].clone();
    let groups = groups.as_object().expect("counts").values();
    let groups: u64 = groups.filter_map(Value::as_u64).sum();
    assert_eq!(groups, 25, "counted as they were read");
    let train = std::fs::read_to_string(sandbox.path("out/d/train/short_3_to_5_turns.jsonl"));
    let train = train.expect("a file");
    assert!(train.contains(r#""owner":"<EMAIL>""#), "{train}");
    let verified = run(&sandbox, "verify out/d --json");
    verified.expect(0);
    assert_eq!(verified.json()["unchecked"], json!(["split_mismatch"]));
}

#[test]
fn what_cannot_split_is_refused_before_anything_is_written() {
    let rows = conversations(5, |n, one| one["userName"] = json!(format!("u{n}")));
    let turn = r#"{"conversationId":"a","turnIndex":1,"Timestamp":"2026-01-01T00:00:00Z","mode":"agent","userName":"u","repo":"r","userMessage":"u","modelMessage":"m"}"#;
    let by = |field: &str| format!("--set selection.split_by={field}");
    for (rows, more, said) in [
        (
            &*rows,
            by("usrName"),
            "\"usrName\", but no row has a text there; the fields of in/a.jsonl:1 are bucket, completionTokens, conversationId,",
        ),
        (&*rows, by("turnCount"), "does not say who belongs together"),
        (&*rows, by("a..b"), "it names no field"),
        (
            &*rows,
            by("turnsArray"),
            "does not say who belongs together",
        ),
        (
            &*rows,
            by("userName --set privacy.users=drop"),
            "privacy.users is drop",
        ),
        (
            turn,
            by("repo"),
            "in/a.jsonl:1 is a turn (it has turnIndex): the records of such rows have no other field than userName",
        ),
        (
            turn,
            by("repo --schema turns"),
            "rows of turns have no other field than userName",
        ),
    ] {
        let (sandbox, export) = exported(rows, &more);
        export.expect(2);
        assert!(export.stderr.contains(said), "{more}: {}", export.stderr);
        assert!(!sandbox.path("out/d/metadata.json").exists(), "{more}");
    }
    let (sandbox, _) = exported(&rows, &by("usrName"));
    let plan = run(
        &sandbox,
        &format!("{} {}", EXPORT.replace("export", "plan"), by("usrName")),
    );
    plan.expect(2);
    let reason = plan.json()["first_rows"]["reason"].clone();
    let reason = reason.as_str().expect("a reason");
    assert!(reason.contains("no row has a text there"), "{reason}");
}

#[test]
fn explain_and_diff_know_the_split_of_a_group() {
    let rows = conversations(60, |n, one| {
        one["userName"] = match n {
            3 => json!(7),
            n => json!(format!("u{}", n % 20)),
        };
    });
    let (sandbox, export) = exported(&rows, "--set selection.split_by=userName");
    export.expect(0);
    let explain = |id: &str, more: &str| run(&sandbox, &format!("explain {id} out/d --json{more}"));
    for n in 0..20 {
        let found = explain(&format!("c-{n}"), " --input in");
        found.expect(0);
        let found = found.json();
        match n {
            3 => {
                assert_eq!(found["verdict"], "invalid");
                assert_eq!(found["split"], split_of("c-3"));
            }
            n => {
                assert_eq!(found["verdict"], "in_dataset");
                assert_eq!(found["split"], split_of(&format!("u{n}")), "c-{n}");
            }
        }
        assert_eq!(
            explain(&format!("c-{n}"), "").json()["split"],
            found["split"]
        );
    }
    let absent = explain("nobody", "");
    absent.expect(0);
    assert!(absent.json()["split"].is_null());
    let text = run(&sandbox, "explain nobody out/d").stdout;
    assert!(text.contains("its userName decides"), "{text}");
    let other = EXPORT.replace("--name d", "--name e");
    run(&sandbox, &other).expect(0);
    let diff = run(&sandbox, "diff out/d out/e --json");
    let lines = diff.json()["configuration"].to_string();
    assert!(lines.contains("selection.split_by"), "{lines}");
}

#[test]
fn a_plan_says_how_groups_fall_into_the_splits() {
    // One user has half of it.
    let rows = conversations(200, |n, one| {
        one["userName"] = match n {
            0..100 => json!("big"),
            100 => json!(null),
            n => json!(format!("u{}", n % 20)),
        };
    });
    let (sandbox, export) = exported(&rows, "--set selection.split_by=userName");
    export.expect(0);
    let plan = EXPORT
        .replace("export", "plan")
        .replace(" --progress none --json", "");
    let plan = format!("{plan} --set selection.split_by=userName");
    let planned = run(&sandbox, &format!("{plan} --json"));
    planned.expect(0);
    let groups = &planned.json()["groups"];
    let found = ["groups", "conversations", "without_group"].map(|key| groups[key].clone());
    assert_eq!(found, [json!(21), json!(200), json!(1)]);
    let metadata = sandbox.dataset().metadata;
    let splits = groups["splits"].as_array().expect("splits");
    for split in splits {
        let name = split["split"].as_str().expect("a name");
        assert_eq!(split["groups"], metadata["groups"][name], "{name}");
        let strata = metadata["strata"].as_array().expect("strata").iter();
        let of_split = strata.filter(|stratum| stratum["split"] == name);
        let population: u64 = of_split.filter_map(|s| s["population"].as_u64()).sum();
        assert_eq!(split["conversations"], json!(population), "{name}");
        let is_big = split_of("big") == name;
        assert_eq!(is_big, split["largest_group"] == json!(100), "{name}");
    }
    let text = run(&sandbox, &plan).stdout;
    let said = "split by userName: 200 conversations in 21 groups, 1 of them without a group";
    assert!(text.contains(said) && text.contains("100 (50 %)"), "{text}");
    assert_eq!(export.json()["groups"], metadata["groups"]);
    let plain = run(&sandbox, &EXPORT.replace("export", "plan"));
    assert!(plain.json()["groups"].is_null());
}

#[test]
fn card_and_report_say_how_many_groups_each_split_has() {
    let rows = conversations(60, |n, one| one["userName"] = json!(format!("u{}", n % 20)));
    let (sandbox, export) = exported(&rows, "--set selection.split_by=userName");
    export.expect(0);
    let metadata = sandbox.dataset().metadata;
    let counts = |word: &str| {
        let of = |split: &str| format!("{split}{word}{}", metadata["groups"][split]);
        ["train", "val", "test"].map(of).join(", ")
    };
    let card = std::fs::read_to_string(sandbox.path("out/d/README.md")).expect("a card");
    assert!(card.contains("split by a hash of their userName"), "{card}");
    assert!(
        card.contains(&format!(
            "one userName are in one split: {}",
            counts(" of ")
        )),
        "{card}"
    );
    let again = EXPORT
        .replace("--name d", "--name e")
        .replace(" --json", "");
    let report = run(
        &sandbox,
        &format!("{again} --set selection.split_by=userName"),
    );
    let line = report
        .stdout
        .lines()
        .find(|line| line.starts_with("split by userName: train "));
    assert!(
        line.is_some_and(|line| line.ends_with("none in two splits")),
        "{}",
        report.stdout
    );
}
