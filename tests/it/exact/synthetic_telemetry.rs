//! Synthetic telemetry comes out as the dialogues that it was made of: `gleaner synth` writes the same
//! ones as turns and as conversations.

use std::collections::BTreeMap;

use gleaner::domain::copilot_chat::sender::Era;
use gleaner::domain::record::row::RowShape;
use gleaner::source::synthetic::settings::{Synthetic, TelemetryFault, TelemetryStyle};
use gleaner::source::synthetic::{telemetry, write_files};
use serde_json::Value;

use crate::support::Sandbox;
use crate::support::reference::Asked;
use crate::support::telemetry_truth::{texts_are_equal, value};

const CONVERSATIONS: u64 = 96;

fn settings(schema: RowShape) -> Synthetic {
    Synthetic {
        conversations: CONVERSATIONS,
        seed: 18,
        schema,
    }
}

/// All records, by id.
fn exported(schema: RowShape, style: TelemetryStyle, more: &[&str]) -> BTreeMap<String, Value> {
    let sandbox = Sandbox::new();
    write_files(settings(schema), style, &sandbox.path("in")).expect("an empty folder");
    let more = [&["--targets", "all"], more].concat();
    sandbox.export(&Asked::new("s", 0), &more).expect(0);
    let dataset = sandbox.dataset();
    let strata = dataset.metadata["strata"].as_array().expect("a list");
    let files = strata.iter().filter_map(|stratum| stratum["file"].as_str());
    let records = files.flat_map(|file| dataset.records(file));
    let by_id = records.map(|record| {
        let record = value(record.as_bytes());
        let id = record["conversationId"].as_str().expect("an id").to_owned();
        (id, record)
    });
    by_id.collect()
}

fn truths(style: TelemetryStyle) -> BTreeMap<String, Value> {
    let truth = |number| {
        value(&telemetry::truth(
            settings(RowShape::CopilotChat),
            style,
            number,
        ))
    };
    let by_id = (0..CONVERSATIONS).map(truth);
    by_id
        .map(|truth| {
            (
                truth["conversationId"].as_str().expect("an id").to_owned(),
                truth,
            )
        })
        .collect()
}

fn codes(turn: &Value) -> Vec<&str> {
    let codes = turn["quality"].as_array().into_iter().flatten();
    codes.filter_map(Value::as_str).collect()
}

/// Holds a turn against what it was; gives the codes of what is not certain.
fn check_turn<'t>(turn: &'t Value, truth: &Value, id: &str) -> Vec<&'t str> {
    let codes = codes(turn);
    let place = || format!("{id}, turn {}", truth["turnIndex"]);
    for (key, doubts) in [
        ("userMessage", ["user_text_cut", "user_text_trimmed"]),
        ("modelMessage", ["model_text_cut", "model_text_unconfirmed"]),
    ] {
        let is_doubtful = codes.iter().any(|code| doubts.contains(code));
        let is_right = texts_are_equal(&turn[key], &truth[key]);
        assert!(is_right || is_doubtful, "{key} of {}", place());
    }
    for key in ["promptTokens", "completionTokens", "llmCallCount"] {
        assert_eq!(turn[key], truth[key], "{key} of {}", place());
    }
    if codes.contains(&"tool_calls_unknown") {
        return codes;
    }
    let steps = |turn: &Value| turn["trajectory"].as_array().cloned().unwrap_or_default();
    let (found, wanted) = (steps(turn), steps(truth));
    assert_eq!(found.len(), wanted.len(), "tools of {}", place());
    for (round, (step, truth)) in found.iter().zip(wanted).enumerate() {
        assert_eq!(step["round"], round, "{}", place());
        assert_eq!(step["tool"], truth["tool"], "{}", place());
        let arguments = step["arguments"].as_str().expect("text");
        assert_eq!(
            value(arguments.as_bytes()),
            truth["arguments"],
            "{}",
            place()
        );
        // White space at the edges of an event's piece is lost.
        let is_right = texts_are_equal(
            &without_spaces(&step["result"]),
            &without_spaces(&truth["result"]),
        );
        assert!(is_right, "result of {}", place());
    }
    codes
}

fn without_spaces(text: &Value) -> Value {
    let text = text.as_str().expect("text");
    text.split_whitespace().collect::<String>().into()
}

#[test]
fn telemetry_of_every_editor_gives_the_dialogues_that_it_was_made_of() {
    let harmless = [
        TelemetryFault::Retries,
        TelemetryFault::Edits,
        TelemetryFault::Duplicates,
        TelemetryFault::Disorder,
    ];
    let style = TelemetryStyle {
        era: None,
        faults: harmless.into_iter().collect(),
    };
    let records = exported(RowShape::CopilotChat, style, &[]);
    let turns = exported(RowShape::Turns, style, &[]);
    let ids = |records: &BTreeMap<String, Value>| records.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&records), ids(&turns));
    assert!(records.len() > 70, "{}", records.len());
    let truths = truths(style);
    let mut unknown = 0;
    for (id, record) in &records {
        let truth = &truths[id];
        for key in [
            "userName",
            "turnCount",
            "promptTokens",
            "completionTokens",
            "llmCallCount",
        ] {
            assert_eq!(record[key], truth[key], "{key} of {id}");
        }
        assert!(
            record["tools"].is_array() && record["system"].is_string(),
            "{id}"
        );
        assert_eq!(record["quality"], Value::Null, "{id}");
        let list = |record: &Value| record["turnsArray"].as_array().expect("turns").clone();
        let (turns, wanted) = (list(record), list(truth));
        for (place, (turn, truth)) in turns.iter().zip(&wanted).enumerate() {
            let codes = check_turn(turn, truth, id);
            // 0.30 does not say whose counts of tool calls they are, and no input follows the last turn.
            let is_last = place + 1 == turns.len();
            assert!(
                codes.is_empty() || is_last && codes == ["tool_calls_unknown"],
                "{id}: {codes:?}"
            );
            unknown += usize::from(!codes.is_empty());
        }
    }
    assert!((1..records.len() / 2).contains(&unknown), "{unknown}");
}

#[test]
fn texts_that_are_too_long_for_a_row_come_out_whole_or_are_said_not_to() {
    let style = TelemetryStyle {
        era: None,
        faults: [TelemetryFault::LongTexts].into_iter().collect(),
    };
    let records = exported(RowShape::CopilotChat, style, &[]);
    let truths = truths(style);
    let (mut long, mut sure) = (0, 0);
    for (id, record) in &records {
        let turns = record["turnsArray"].as_array().expect("turns");
        let wanted = truths[id]["turnsArray"].as_array().expect("turns");
        for (turn, truth) in turns.iter().zip(wanted) {
            let codes = check_turn(turn, truth, id);
            let length = |key: &str| truth[key].as_str().expect("text").len();
            if length("userMessage").max(length("modelMessage")) > 8192 {
                long += 1;
                sure += usize::from(codes.is_empty());
            }
        }
    }
    assert!(
        long > 40 && sure * 3 > long && sure < long,
        "{sure} of {long}"
    );
}

#[test]
fn an_agent_host_tells_the_texts_alone() {
    let style = TelemetryStyle {
        era: Some(Era::AgentHost),
        faults: [TelemetryFault::LongTexts, TelemetryFault::Disorder]
            .into_iter()
            .collect(),
    };
    let more = ["--set", "source.mode_unknown=agent"];
    let records = exported(RowShape::CopilotChat, style, &more);
    let truths = truths(style);
    assert!(records.len() > 70, "{}", records.len());
    for (id, record) in &records {
        let turns = record["turnsArray"].as_array().expect("turns");
        let wanted = truths[id]["turnsArray"].as_array().expect("turns");
        assert_eq!(turns.len(), wanted.len(), "{id}");
        for (turn, truth) in turns.iter().zip(wanted) {
            // An agent host does not report an answer without a text.
            let keys = match truth["modelMessage"] == "" {
                true => &["userMessage"][..],
                false => &["userMessage", "modelMessage"],
            };
            for key in keys {
                assert!(texts_are_equal(&turn[key], &truth[key]), "{key} of {id}");
            }
        }
    }
}

#[test]
fn the_same_flags_give_the_same_bytes() {
    let sandbox = Sandbox::new();
    let synth = |folder: &str, more: &[&str]| {
        let args = [
            "synth",
            "--conversations",
            "20",
            "--out",
            folder,
            "--schema",
            "copilot_chat",
        ];
        sandbox.run(&[&args[..], more].concat()).expect(0);
        let mut parts: Vec<_> = std::fs::read_dir(sandbox.path(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        parts.sort();
        parts
            .iter()
            .flat_map(|part| std::fs::read(part).expect("a part"))
            .collect::<Vec<u8>>()
    };
    let all = ["--era", "0.52", "--faults", "all"];
    assert!(synth("a", &all) == synth("b", &all));
    assert!(synth("c", &["--faults", "edits,lost-rows"]) != synth("d", &[]));
    let other = [
        "synth",
        "--conversations",
        "2",
        "--out",
        "e",
        "--faults",
        "edits",
    ];
    let run = sandbox.run(&other);
    let error = run.expect(2);
    assert!(error.contains("add --schema copilot_chat"), "{error}");
}
