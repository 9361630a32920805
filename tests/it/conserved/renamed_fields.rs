//! `[source.fields]`: input whose fields have other names.

use crate::support::reference::Asked;
use crate::support::{Run, Sandbox, corpus, words};

const SNAKE: [(&str, &str); 6] = [
    ("Timestamp", "timestamp"),
    ("conversationId", "session.id"),
    ("userName", "session.user"),
    ("turnIndex", "turn_index"),
    ("userMessage", "user_message"),
    ("modelMessage", "model_message"),
];

fn export(files: &corpus::Files, fields: &[(&str, &str)]) -> (Sandbox, Run) {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, path)| format!("source.fields.{name}={path}"))
        .collect();
    let more: Vec<&str> = pairs.iter().flat_map(|pair| ["--set", pair]).collect();
    let run = sandbox.export(&Asked::new("s", 5), &more);
    (sandbox, run)
}

fn file(rows: Vec<String>) -> corpus::Files {
    vec![("a.jsonl".to_owned(), rows.join("\n").into_bytes())]
}

fn turns(row: impl Fn(&str, usize) -> String) -> corpus::Files {
    let ids = (0..60).map(|id| format!("c{id}"));
    file(
        ids.flat_map(|id| (1..=4).map(move |turn| (id.clone(), turn)))
            .map(|(id, turn)| row(&id, turn))
            .collect(),
    )
}

#[test]
fn renamed_turns_give_the_same_dataset_as_turns_with_the_names() {
    let plain = turns(|id, turn| {
        format!(
            r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"{id}","userName":"n","mode":"agent","turnIndex":{turn},"userMessage":"u","modelMessage":"m","session":{{"x":[1, 2]}}}}"#
        )
    });
    let snake = turns(|id, turn| {
        format!(
            r#" {{"session":{{"id":"{id}", "x" : [1, 2],"user":"n"}},"timestamp" : "2025-01-01T00:00:00Z","mode":"agent","turn_index":{turn},"model_message":"m","user_message":"u"}} "#
        )
    });
    let (plain, run) = export(&plain, &[]);
    run.expect(3);
    let (renamed, run) = export(&snake, &SNAKE);
    run.expect(3);
    let [expected, found] = [plain.dataset(), renamed.dataset()];
    assert_eq!(expected.digest(), found.digest());
    assert_eq!(
        expected.metadata["population"],
        found.metadata["population"]
    );
    assert_eq!(expected.count("conversations"), 60);
    assert_eq!(
        found.metadata["source"]["fields"]["conversationId"],
        "session.id"
    );
    assert_eq!(
        expected.metadata["source"]["fields"],
        serde_json::Value::Null
    );
    renamed.run(&["verify", "out/d"]).expect(0);
}

#[test]
fn a_renamed_conversation_is_written_in_the_order_of_a_record() {
    let row = r#"{"history":[{"index":2,"q":"u2","modelMessage":"m"},{"q":"u1","index":1,"modelMessage":"m"},{"index":3,"q":"\u0075","modelMessage":"m"}],"user": "n","conversationId":"World","extra":[1, 2]}"#;
    let fields = [
        ("turnsArray", "history"),
        ("turnIndex", "index"),
        ("userMessage", "q"),
        ("userName", "user"),
    ];
    let (sandbox, run) = export(&file(vec![row.to_owned()]), &fields);
    run.expect(3);
    let turn = |n: usize, user: &str| {
        format!(
            r#"{{"turnIndex":{n},"userMessage":"{user}","modelMessage":"m","promptTokens":null,"completionTokens":null,"llmCallCount":null}}"#
        )
    };
    let turns = [turn(1, "u1"), turn(2, "u2"), turn(3, "u")].join(",");
    let expected = format!(
        r#"{{"conversationId":"World","userName":"n","turnCount":3,"bucket":"short","turnsArray":[{turns}],"promptTokens":null,"completionTokens":null,"llmCallCount":null,"extra":[1, 2]}}"#
    );
    let dataset = sandbox.dataset();
    let file = dataset.metadata["strata"]
        .as_array()
        .and_then(|strata| strata.iter().find(|s| s["records"] == 1))
        .and_then(|s| s["file"].as_str())
        .expect("a file");
    let text = std::fs::read_to_string(dataset.folder.join(file)).expect("a file");
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn a_row_with_both_names_has_the_field_twice() {
    let rows = turns(|id, turn| {
        format!(
            r#"{{"timestamp":"2025-01-01T00:00:00Z","Timestamp":"2025-01-01T00:00:00Z","conversationId":"{id}","mode":"agent","turnIndex":{turn}}}"#
        )
    });
    let (sandbox, run) = export(&rows, &SNAKE[..1]);
    let said = format!("{}{}", run.stdout, run.stderr);
    // Nothing is left to publish, or an empty dataset says why.
    assert!(matches!(run.code, Some(1 | 3)), "{said}");
    if run.code == Some(3) {
        let malformed = &sandbox.dataset().metadata["malformed"];
        assert_eq!(malformed["duplicate_field"]["count"], 240, "{malformed}");
    }
}

#[test]
fn names_that_cannot_be_used_are_refused_before_anything_is_read() {
    for (fields, said) in [
        (
            vec![("conversation", "id")],
            r#"source.fields = "conversation": "conversation" is no field that gleaner reads; did you mean "conversationId"?"#,
        ),
        (
            vec![("zzzzzzzzzzzzzz", "id")],
            "it reads Timestamp, conversationId, userName, mode, ",
        ),
        (
            vec![("mode", "a"), ("userName", "a.b")],
            r#""mode" and "userName" are both taken from "a""#,
        ),
        (
            vec![("mode", "a..b")],
            r#""mode" has no name in the input: write it as "name" or "object.name""#,
        ),
    ] {
        let (sandbox, run) = export(&turns(|_, _| "{}".to_owned()), &fields);
        run.says(2, &[said]);
        assert!(!sandbox.path("work").exists() && !sandbox.path("out").exists());
    }
    let sandbox = Sandbox::new();
    let run = sandbox.run(&words(
        "export --set source.kind=synthetic --set source.fields.mode=m",
    ));
    run.says(2, &["it renames fields of files"]);
}

#[test]
fn names_are_part_of_what_a_run_is() {
    let rows = turns(|id, turn| {
        format!(
            r#"{{"timestamp":"2025-01-01T00:00:00Z","conversationId":"{id}","userName":"n","mode":"agent","turnIndex":{turn},"userMessage":"u","modelMessage":"m"}}"#
        )
    });
    let (sandbox, run) = export(&rows, &SNAKE[..1]);
    run.expect(3);
    let other = ["--set", "source.fields.Timestamp=time"];
    let run = sandbox.export(&Asked::new("s", 5), &other);
    run.says(2, &["source.fields"]);
}
