//! What one may ask of a dataset: what changed since another one, and where a conversation is.

use serde_json::{Value, json};

use crate::support::{Run, Sandbox};

mod diff;
mod explain;

/// In every text of every conversation.
const SAID: &str = "zyxwv-said";

fn id(number: u64) -> String {
    format!("c-{number}")
}

/// A conversation of so many turns.
fn conversation(id: &str, turns: u64, said: &str) -> Value {
    let turn = |index: u64| {
        json!({"turnIndex": index, "userMessage": said, "modelMessage": "m", "promptTokens": 1,
            "completionTokens": 1})
    };
    let turns: Vec<Value> = (1..=turns).map(turn).collect();
    json!({"conversationId": id, "userName": "ann", "promptTokens": 1, "completionTokens": 1, "turnsArray": turns})
}

/// Two hundred conversations, as they are by their numbers.
fn write(sandbox: &Sandbox, file: &str, of: impl Fn(u64) -> Value) {
    let lines: Vec<String> = (0..200).map(|number| of(number).to_string()).collect();
    sandbox.write(file, lines.join("\n") + "\n");
}

fn usual(number: u64) -> Value {
    conversation(&id(number), 3 + number % 8, SAID)
}

/// Exports to a dataset of this name, a few records of each stratum.
fn export(sandbox: &Sandbox, input: &str, name: &str, more: &[&str]) {
    let work = format!("work-{name}");
    let mut args = vec![
        "export",
        "--input",
        input,
        "--out",
        "out",
        "--name",
        name,
        "--work-dir",
        &work,
    ];
    args.extend([
        "--progress",
        "none",
        "--set",
        "selection.targets={train={short=20,medium=30,long=0}}",
    ]);
    if !more.contains(&"--targets") {
        args.extend(["--split", "train"]);
    }
    args.extend(more);
    sandbox.run(&args).expect(0);
}

/// The ids of the records of a kind, in their order.
fn listed(run: &Run, change: &str) -> Vec<String> {
    let report = run.json();
    let records = report["records"].as_array().expect("a list").iter();
    let of_kind = records.filter(|record| record["change"] == change);
    of_kind
        .map(|record| {
            record["conversation_id"]
                .as_str()
                .expect("an id")
                .to_owned()
        })
        .collect()
}
