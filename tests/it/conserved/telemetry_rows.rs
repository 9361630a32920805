//! Rows of telemetry that are bad in one way each, and what becomes of them and of their conversations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::copilot_rows::{lines, request};
use crate::support::packed::gzip_base64;
use crate::support::reference::Asked;
use crate::support::{Dataset, Sandbox};

fn export(rows: &[u8], more: &[&str]) -> (Sandbox, Dataset) {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", rows);
    let more = [&["--targets", "all"], more].concat();
    sandbox.export(&Asked::new("s", 0), &more).expect(0);
    let dataset = sandbox.dataset();
    (sandbox, dataset)
}

/// Three turns; `change` is given the row of the second turn's user.
fn conversation(id: &str, change: impl FnOnce(&mut Value)) -> Vec<Value> {
    let mut rows: Vec<Value> = (1..=3)
        .flat_map(|turn| request(id, turn, 1, 100 * turn))
        .collect();
    let user = rows
        .iter_mut()
        .filter(|row| row["Properties"]["source"] == "user")
        .nth(1);
    change(user.expect("a row"));
    rows
}

/// What becomes of the bad row, and whether its conversation is exported.
#[derive(Clone, Copy)]
struct Outcome {
    /// The reason for which it is malformed.
    malformed: Option<&'static str>,
    is_exported: bool,
}

const FINE: Outcome = Outcome {
    malformed: None,
    is_exported: true,
};

/// The conversation of the row can be read: it is damaged.
fn damages(reason: &'static str) -> Outcome {
    Outcome {
        malformed: Some(reason),
        is_exported: false,
    }
}

/// The row says of no conversation that it is its own; other rows have what it had.
fn is_lost(reason: &'static str) -> Outcome {
    Outcome {
        malformed: Some(reason),
        is_exported: true,
    }
}

type Change = Box<dyn FnOnce(&mut Value)>;
type Case = (&'static str, Outcome, Change);

fn property(key: &'static str, value: Value) -> Change {
    Box::new(move |row| row["Properties"][key] = value)
}

fn column(key: &'static str, value: Value) -> Change {
    Box::new(move |row| row[key] = value)
}

fn bad_columns() -> Vec<Case> {
    vec![
        ("plain", FINE, Box::new(|_: &mut Value| {})),
        (
            "properties is a number",
            is_lost("properties"),
            column("Properties", json!(5)),
        ),
        (
            "properties is a text",
            is_lost("properties"),
            column("Properties", json!("none")),
        ),
        (
            "measurements is a list",
            damages("properties"),
            column("Measurements", json!([1])),
        ),
        (
            "measurements is a text",
            FINE,
            column("Measurements", json!(r#"{"messageCharLen":"999"}"#)),
        ),
        (
            "no time",
            damages("timestamp"),
            column("TimeGenerated", json!("yesterday")),
        ),
    ]
}

fn bad_texts() -> Vec<Case> {
    let bomb = "a".repeat(3_000_000);
    let bombs = move |row: &mut Value| {
        row["Properties"]["messageText"] = bomb[..8192].into();
        row["Properties"]["messageTextChunk"] = gzip_base64(bomb.as_bytes()).into();
    };
    vec![
        (
            "a part is missing",
            damages("chunk_mismatch"),
            property("messageText_03", json!("more")),
        ),
        (
            "gzip of another text",
            damages("chunk_mismatch"),
            property("messageTextChunk", gzip_base64(b"another").into()),
        ),
        (
            "gzip that breaks off",
            damages("chunk_mismatch"),
            property("messageTextChunk", json!("H4sIAAAA")),
        ),
        ("gzip that bombs", damages("too_large"), Box::new(bombs)),
    ]
}

fn bad_indices() -> Vec<Case> {
    let case = |name, outcome, value| (name, outcome, property("turnIndex", value));
    let damages = |name, value| case(name, damages("turn_index"), value);
    let fine = |name, value| case(name, FINE, value);
    vec![
        damages("index 1.5", json!(1.5)),
        damages("index -1", json!(-1)),
        damages("index true", json!(true)),
        damages("index second", json!("second")),
        fine("index 1", json!(1)),
        fine("index 1.0", json!("1.0")),
        fine("index null", Value::Null),
        fine("index undefined", json!("undefined")),
    ]
}

fn bad_ids() -> Vec<Case> {
    let case = |name, outcome, value| (name, outcome, property("conversationId", value));
    vec![
        case("id is a number", is_lost("conversation_id"), json!(7)),
        case("id undefined", FINE, json!("undefined")),
        case("id null", FINE, Value::Null),
    ]
}

#[test]
fn each_bad_row_has_its_reason_and_its_conversation_its_outcome() {
    let (mut rows, mut whole) = (Vec::new(), BTreeSet::new());
    let (mut reasons, mut damaged) = (BTreeMap::<&str, u64>::new(), 0);
    let cases = [bad_columns(), bad_texts(), bad_indices(), bad_ids()];
    for (name, outcome, change) in cases.into_iter().flatten() {
        rows.extend(conversation(name, change));
        if let Some(reason) = outcome.malformed {
            *reasons.entry(reason).or_default() += 1;
        }
        damaged += u64::from(!outcome.is_exported);
        whole.extend(outcome.is_exported.then(|| name.to_owned()));
    }
    let (_sandbox, dataset) = export(&lines(&rows, "\n"), &["--set", "limits.max_record=2MB"]);
    assert_eq!(
        malformed(&dataset),
        reasons
            .into_iter()
            .map(|(reason, count)| (reason.to_owned(), count))
            .collect()
    );
    assert_eq!(dataset.count("damaged"), damaged);
    assert_eq!(
        dataset.metadata["population"]["filtered_by"]["ignored_ids"],
        2
    );
    let strata = dataset.metadata["strata"].as_array().expect("a list");
    let files = strata.iter().filter_map(|stratum| stratum["file"].as_str());
    let records = files.flat_map(|file| dataset.records(file));
    let ids = records.map(|record| {
        let record: Value = serde_json::from_str(&record).expect("JSON");
        record["conversationId"].as_str().expect("an id").to_owned()
    });
    assert_eq!(ids.collect::<BTreeSet<_>>(), whole);
}

#[test]
fn half_a_character_makes_the_record_invalid_and_no_other() {
    let mut rows = conversation("half", |_| {});
    rows.extend(conversation("other", |_| {}));
    let text = String::from_utf8(lines(&rows, "\n")).expect("UTF-8");
    let text = text.replace("please do 2 of half", "please do 2 of \\ud83d");
    let (_sandbox, dataset) = export(text.as_bytes(), &[]);
    let strata = dataset.metadata["strata"].as_array().expect("a list");
    let sum = |key: &str| {
        strata
            .iter()
            .map(|stratum| stratum[key].as_u64().unwrap_or(0))
            .sum::<u64>()
    };
    assert_eq!((sum("records"), sum("invalid")), (1, 1));
    let files = dataset.metadata["invalid_files"]
        .as_array()
        .expect("a list");
    let report = std::fs::read_to_string(
        dataset
            .folder
            .join(files[0]["path"].as_str().expect("a path")),
    );
    let report: Value = serde_json::from_str(&report.expect("a report")).expect("JSON");
    assert_eq!(
        report["summary"]["error_summary"],
        json!({"lone_surrogate": 1})
    );
}

/// A value that is too large when it is unpacked, and one that is damaged, are told apart to a person.
#[test]
fn too_large_and_damaged_are_said_apart() {
    let change = |change: fn(&mut Value)| {
        let mut rows = conversation("plain", |_| {});
        rows.extend(conversation("bad", change));
        let more = ["--set", "limits.max_record=100kB"];
        let (_sandbox, dataset) = export(&lines(&rows, "\n"), &more);
        let (reason, found) = dataset.metadata["malformed"]
            .as_object()
            .expect("an object")
            .iter()
            .next()
            .expect("one");
        (
            reason.clone(),
            found["examples"][0]["what"]
                .as_str()
                .expect("a sentence")
                .to_owned(),
        )
    };
    let (reason, what) = change(|row| {
        let text = "b".repeat(200_000);
        row["Properties"]["messageText"] = text[..8192].into();
        row["Properties"]["messageTextChunk"] = gzip_base64(text.as_bytes()).into();
    });
    assert_eq!(reason, "too_large");
    assert!(
        what.contains("what is compressed in it") && what.contains("limits.max_record"),
        "{what}"
    );
    let (reason, what) = change(|row| row["Properties"]["messageTextChunk"] = json!("H4sIAAAA"));
    assert_eq!(reason, "chunk_mismatch");
    assert!(what.contains("\"messageTextChunk\""), "{what}");
}

/// How many rows are malformed, by reason.
fn malformed(dataset: &Dataset) -> BTreeMap<String, u64> {
    let reasons = dataset.metadata["malformed"]
        .as_object()
        .expect("an object");
    let count = |found: &Value| found["count"].as_u64().expect("a count");
    reasons
        .iter()
        .map(|(reason, found)| (reason.clone(), count(found)))
        .collect()
}
