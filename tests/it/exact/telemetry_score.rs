//! Copilot Chat telemetry with its truth: what comes out is what went in, or a code says that it may
//! not be. `GLEANER_SHARED` names the folder that holds `data/appevents`.

use std::collections::BTreeMap;
use std::path::Path;

use gleaner::domain::copilot_chat::membership::{MembershipRules, Outcome};
use gleaner::domain::copilot_chat::row::ReadRules;
use gleaner::domain::selection::stratum::fixtures::selection;
use serde_json::Value;

use crate::support::Sandbox;
use crate::support::shared;
use crate::support::telemetry_domain::Rows;
use crate::support::telemetry_truth::{self, Found, Score};

/// What became of every conversation, by id.
type Conversations = BTreeMap<String, Result<Vec<u8>, Outcome>>;

fn assembled(rows: impl Iterator<Item = Vec<u8>>, rules: &MembershipRules) -> Conversations {
    let read = ReadRules {
        modes: vec!["agent".to_owned()],
        max_value: 64 << 20,
    };
    let mut kept = Rows::default();
    rows.for_each(|row| kept.add(&row, &read));
    assert!(kept.malformed.is_empty(), "{:?}", kept.malformed);
    let selection = selection(1);
    let ids = kept.conversations.keys();
    ids.map(|id| {
        let record = kept.record(id, rules, &read, &selection);
        let name = String::from_utf8(id.clone()).expect("UTF-8");
        (name, record.map(|(record, _)| record))
    })
    .collect()
}

fn score(conversations: &Conversations, truth: &[Value]) -> Score {
    let mut score = Score::default();
    for conversation in truth {
        let id = conversation["conversationId"].as_str().expect("an id");
        let found = conversations.get(id).map(|found| match found {
            Ok(record) => Found::Record(telemetry_truth::value(record)),
            Err(Outcome::Faulty(fault)) => Found::LeftOut(format!("{fault:?}")),
            Err(outcome) => Found::LeftOut(format!("{outcome:?}")),
        });
        score.add(conversation, found.as_ref());
    }
    eprintln!("{score}");
    score
}

/// What no truth may show, whatever was lost.
const NEVER: [&str; 10] = [
    "wrong set of turns",
    "not incomplete",
    "other mode taken",
    "wrong user name",
    "user wrong, sure",
    "model wrong, sure",
    "model's name wrong",
    "tokens or calls wrong",
    "tool call invented",
    "tool calls wrong, sure",
];

fn assert_never(score: &Score) {
    for what in NEVER {
        let places = score.wrong.iter().filter(|(wrong, ..)| *wrong == what);
        let places: Vec<_> = places.take(9).collect();
        assert_eq!(score.of(what), 0, "{what}: {places:?}");
    }
}

#[test]
fn records_of_telemetry_are_what_went_in() {
    let Some(folder) = shared().map(|folder| folder.join("data/appevents")) else {
        return;
    };
    let files = ["appevents-0.jsonl.zst", "appevents-1.jsonl.zst"].map(|name| folder.join(name));
    let rows = files.iter().flat_map(|file| telemetry_truth::lines(file));
    let truth = telemetry_truth::truth(&folder.join("truth.jsonl.zst"));
    let score = score(&assembled(rows, &MembershipRules::ALL), &truth);
    assert_never(&score);
    assert_eq!(score.of("conversations"), 1026);
    for (part, whole, least) in [
        ("user exact", "turns", 99.2),
        ("model exact, sure", "turns", 98.9),
        ("tool calls seen", "tool calls", 100.0),
        ("arguments exact", "tool calls", 99.4),
        ("results exact", "tool calls", 99.3),
    ] {
        let share = score.share(part, whole);
        assert!(share >= least, "{part}: {share:.3} % of {whole}");
    }
}

#[test]
fn records_of_an_agent_host_are_what_went_in() {
    let Some(folder) = shared().map(|folder| folder.join("data/appevents/shapes")) else {
        return;
    };
    let rules = MembershipRules {
        unknown_is_agent: true,
        ..MembershipRules::ALL
    };
    let rows = telemetry_truth::lines(&folder.join("agenthost.jsonl.zst"));
    let truth = telemetry_truth::truth(&folder.join("agenthost-truth.jsonl.zst"));
    let score = score(&assembled(rows, &rules), &truth);
    assert_never(&score);
    assert_eq!(score.of("user exact, sure"), score.of("turns"));
    assert_eq!(score.of("model exact"), score.of("turns"));
}

/// The rows of a shape as lines of objects.
fn rows_of(folder: &Path, name: &str) -> Vec<Vec<u8>> {
    let lines: Vec<Vec<u8>> = telemetry_truth::lines(&folder.join(name)).collect();
    if name.contains(".jsonl") {
        return lines;
    }
    let document: Value = serde_json::from_slice(&lines.join(&b'\n')).expect("a document");
    let objects: Vec<Value> = match document {
        Value::Array(objects) => objects,
        answer => {
            let table = &answer["tables"][0];
            let columns = table["columns"].as_array().expect("columns");
            let names: Vec<&str> = columns
                .iter()
                .filter_map(|column| column["name"].as_str())
                .collect();
            let rows = table["rows"].as_array().expect("rows").iter();
            rows.map(|row| {
                let values = row.as_array().expect("a row").iter().cloned();
                names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .zip(values)
                    .collect()
            })
            .collect()
        }
    };
    let line = |object: &Value| serde_json::to_vec(object).expect("JSON");
    objects.iter().map(line).collect()
}

#[test]
fn every_shape_of_the_same_rows_gives_the_same_records() {
    let Some(folder) = shared().map(|folder| folder.join("data/appevents/shapes")) else {
        return;
    };
    let of = |name: &str| assembled(rows_of(&folder, name).into_iter(), &MembershipRules::ALL);
    let plain = of("properties-as-text.jsonl.zst");
    assert_eq!(plain.len(), 40);
    let score = score(
        &plain,
        &telemetry_truth::truth(&folder.join("truth.jsonl.zst")),
    );
    assert_never(&score);
    for name in [
        "classic-customEvents.jsonl.zst",
        "la-query.json.zst",
        "az-cli.json.zst",
    ] {
        assert!(of(name) == plain, "{name}");
    }
}

/// The export's records are byte for byte those that are scored above.
#[test]
fn an_export_of_the_files_gives_the_records_that_were_scored() {
    let Some(folder) = shared().map(|folder| folder.join("data/appevents")) else {
        return;
    };
    let files = ["appevents-0.jsonl.zst", "appevents-1.jsonl.zst"].map(|name| folder.join(name));
    let sandbox = Sandbox::new();
    let inputs = files.iter().flat_map(|file| {
        let file = file.to_str().expect("a path");
        ["--input", file]
    });
    let args =
        "export --out out --name d --work-dir work --format json --progress none --targets all";
    let args: Vec<&str> = args.split(' ').chain(inputs).collect();
    sandbox.run(&args).expect(0);
    let dataset = sandbox.dataset();
    let rows = files.iter().flat_map(|file| telemetry_truth::lines(file));
    let scored = assembled(rows, &MembershipRules::ALL);
    let mut records = 0;
    let mut left_out = dataset.count("out_of_range");
    for stratum in dataset.metadata["strata"].as_array().expect("a list") {
        left_out += stratum["invalid"].as_u64().expect("a count");
        let Some(file) = stratum["file"].as_str() else {
            continue;
        };
        for record in dataset.records(file) {
            let id = serde_json::from_str::<Value>(&record).expect("JSON");
            let id = id["conversationId"].as_str().expect("an id");
            let wanted = scored[id].as_ref().expect("whole");
            assert_eq!(record, String::from_utf8_lossy(wanted), "{id}");
            records += 1;
        }
    }
    let whole = scored.values().filter(|found| found.is_ok()).count() as u64;
    assert_eq!(records + left_out, whole);
    assert!(left_out < whole / 20, "{left_out} of {whole}");
}
