//! What a loader would drop and what is too long is replaced by spares.

use serde_json::{Value, json};

use crate::support::reference::fitness::WORDS;
use crate::support::reference::{Asked, evaluate};
use crate::support::{Sandbox, assert_equals_reference, corpus};

/// A conversation, one of each kind in turn: as it should be, silent, long, and with a call that has a
/// result, or has none in the first or in a later turn.
fn conversation(number: usize) -> Vec<u8> {
    let call = |result: Value| json!([{"tool": "ls", "arguments": {"a": "b c"}, "result": result}]);
    let mut turns: Vec<_> = (1..=3)
        .map(|turn| json!({"turnIndex": turn, "userMessage": "u", "modelMessage": "m"}))
        .collect();
    match number % 7 {
        1 => turns[2]["modelMessage"] = json!(" "),
        2 => turns[1]["userMessage"] = json!("word ".repeat(40)),
        3 => turns[0]["trajectory"] = call(json!("r r")),
        4 => turns[0]["trajectory"] = call(json!(null)),
        5 => turns[1]["trajectory"] = call(json!(null)),
        6 => {
            turns[0]["modelMessage"] = json!("");
            turns[0]["trajectory"] = call(json!("word ".repeat(40)));
        }
        _ => {}
    }
    let record = json!({"conversationId": format!("c{number}"), "userName": "n", "bucket": "short", "turnCount": 3, "turnsArray": turns, "promptTokens": 1, "completionTokens": 1});
    record.to_string().into_bytes()
}

#[test]
#[cfg_attr(not(feature = "tokenizer"), ignore = "needs tokenizers: ./test.sh")]
fn spares_replace_what_a_loader_would_drop_and_what_is_too_long() {
    let rows: Vec<_> = (0..200).map(conversation).collect();
    let files = corpus::in_files(&rows, 2, "a");
    let mut asked = Asked::new("s", 0);
    asked.targets.insert(("train", "short"), 40);
    asked.targets.insert(("test", "short"), 4);
    asked.valid_for_trl = true;
    asked.max_words = Some(20);
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    std::fs::write(sandbox.path("tokenizer.json"), WORDS).expect("writable");
    let more = [
        "--set",
        "selection.valid_for=[\"trl\"]",
        "--set",
        "selection.max_tokens=20",
        "--set",
        "selection.tokenizer=tokenizer.json",
    ];
    sandbox.export(&asked, &more).expect(0);
    let expected = evaluate(&files, &asked);
    let stratum = &expected.strata[&("train", "short")];
    let has = |code: &str| {
        stratum
            .invalid
            .iter()
            .any(|(_, codes)| codes.contains(&code))
    };
    for code in [
        "too_long",
        "not_for:trl:empty_reply",
        "not_for:trl:nothing_left",
    ] {
        assert!(has(code), "{code}");
    }
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &expected);
    let selection = &dataset.metadata["selection"];
    assert_eq!(selection["valid_for"], json!(["trl"]));
    assert_eq!(selection["max_tokens"], json!(20));
    let strata = dataset.metadata["strata"].as_array().expect("strata");
    let train = strata.iter().find(|stratum| stratum["split"] == "train");
    let tokens = &train.expect("the stratum")["tokens"];
    let numbers = ["records", "min", "p95", "max"].map(|name| tokens[name].clone());
    // u m three times; a call has a name, arguments of two words and a result of two.
    assert_eq!(numbers, [40, 6, 11, 11].map(|n| json!(n)));
    // Without the tokenizer lengths cannot be verified; another one is refused.
    let unchecked = sandbox.run(&["verify", "out/d", "--json"]);
    unchecked.expect(0);
    assert_eq!(unchecked.json()["unchecked"], json!(["too_long"]));
    let checked = sandbox.run(&["verify", "out/d", "--json", "--tokenizer", "tokenizer.json"]);
    checked.expect(0);
    assert_eq!(checked.json()["unchecked"], Value::Null);
    std::fs::write(sandbox.path("other.json"), WORDS.to_owned() + "\n").expect("writable");
    sandbox
        .run(&["verify", "out/d", "--tokenizer", "other.json"])
        .expect(2);
    // The loader then drops nothing.
    sandbox
        .run(&["check", "out/d", "--for", "trl", "--unfinished", "keep"])
        .expect(0);
}

#[test]
fn what_is_asked_is_checked_before_the_run() {
    let sandbox = Sandbox::new();
    for (set, said) in [
        ("selection.valid_for=[\"trlx\"]", "there is no preset"),
        ("selection.max_tokens=5", "set selection.tokenizer"),
        (
            "selection.tokenizer=t.json",
            match cfg!(feature = "tokenizer") {
                true => "cannot read t.json",
                false => "cargo install --path . --features tokenizer",
            },
        ),
    ] {
        let refused = sandbox.run(&["plan", "--input", "in", "--set", set]);
        refused.expect(2);
        assert!(refused.stderr.contains(said), "{set}: {}", refused.stderr);
    }
}
