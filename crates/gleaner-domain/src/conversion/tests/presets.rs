//! What each preset makes of one rich record.

use super::*;

/// A record with a system message, parallel calls with text beside them, arguments of every kind.
fn rich() -> Value {
    let mut record = record(vec![
        turn(
            json!([{"role": "assistant", "content": "look", "tool_calls": [
                call("toolu_1", "grep", json!("{ \"q\" : 1.50 }")), call("abcDEF123", "ls", json!("[1]"))]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "r\"1"},
            {"role": "tool", "tool_call_id": "abcDEF123", "content": "r2"}]),
        ),
        turn(json!([])),
    ]);
    record["system"] = json!("be good");
    record["tools"] = json!([{"type": "function", "function": {"name": "grep"}}]);
    record
}

fn of(preset: Preset) -> (Value, Findings) {
    let (row, findings) = converted(&rich(), preset, Options::default());
    (row.expect("written"), findings)
}

#[test]
fn the_wire_has_arguments_as_the_model_wrote_them() {
    for preset in [Preset::OpenAi, Preset::Verl] {
        let (row, findings) = of(preset);
        let calls = &row["messages"][2]["tool_calls"];
        assert_eq!(calls[0]["function"]["arguments"], "{ \"q\" : 1.50 }");
        assert_eq!(calls[1]["function"]["arguments"], "[1]");
        assert_eq!(
            row["messages"][3],
            json!({"role": "tool", "content": "r\"1", "tool_call_id": "toolu_1"})
        );
        assert_eq!(findings.times(Rule::WrappedArguments), 0);
        assert_eq!(row.get("conversationId").is_some(), preset == Preset::Verl);
    }
}

#[test]
fn mistral_has_ids_of_nine_letters_and_digits_and_the_old_ones_beside() {
    let (row, findings) = of(Preset::Mistral);
    let calls = &row["messages"][2]["tool_calls"];
    let id = calls[0]["id"].as_str().expect("an id");
    assert!(
        id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{id}"
    );
    assert_eq!(row["messages"][3]["tool_call_id"], id);
    assert_eq!(calls[1]["id"], "abcDEF123", "it fits");
    assert_eq!(row["call_ids"], json!({id: "toolu_1"}));
    assert_eq!(calls[1]["function"]["arguments"], "{\"value\":[1]}");
    assert_eq!(findings.times(Rule::CallIdRewritten), 1);
    // Version 3 of its tokenizer takes a text or calls.
    assert_eq!(findings.times(Rule::TextWithCalls), 1);
    let (_, openai) = of(Preset::OpenAi);
    assert_eq!(openai.times(Rule::TextWithCalls), 0);
    let mut silent = rich();
    silent["turnsArray"][0]["trajectory"][0]["content"] = json!(" ");
    let (_, silent) = converted(&silent, Preset::Mistral, Options::default());
    assert_eq!(silent.times(Rule::TextWithCalls), 0);
}

#[test]
fn names_that_loaders_refuse_are_replaced_in_calls_and_definitions() {
    let entries = json!([{"tool": "a.b", "id": "1", "arguments": {}, "result": "r"}, {"tool": "a_b", "id": "2", "arguments": {}, "result": "r"}, {"tool": "é".repeat(40), "id": "3", "arguments": {}, "result": "r"}]);
    let mut record = record(vec![turn(entries)]);
    record["tools"] = json!([{"type": "function", "function": {"description": "d", "name": "a.b", "parameters": {"x": 1}}}]);
    let is_fit = |name: &str| {
        name.len() <= 64
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    for preset in [Preset::Mistral, Preset::OpenAi] {
        let (row, findings) = converted(&record, preset, Options::default());
        let row = row.expect("written");
        let name = |message: usize| {
            row["messages"][message]["tool_calls"][0]["function"]["name"]
                .as_str()
                .expect("a name")
                .to_owned()
        };
        let (dotted, plain, long) = (name(1), name(3), name(5));
        assert!(is_fit(&dotted) && is_fit(&long), "{dotted} {long}");
        assert_eq!(plain, "a_b", "it fits");
        assert_ne!(dotted, plain, "no two alike");
        assert_eq!(
            row["tools"],
            json!([{"type": "function", "function": {"name": dotted, "description": "d", "parameters": {"x": 1}}}])
        );
        assert_eq!(findings.times(Rule::ToolNameRewritten), 3);
        let original = &row["tool_names"][&dotted];
        assert_eq!(
            *original,
            if preset == Preset::Mistral {
                json!("a.b")
            } else {
                Value::Null
            }
        );
    }
    assert_eq!(
        converted(&record, Preset::Trl, Options::default())
            .0
            .expect("written")["tools"],
        record["tools"]
    );
}

#[test]
fn llamafactory_has_people_and_the_model_in_turns() {
    let (row, findings) = of(Preset::LlamaFactory);
    let from: Vec<_> = row["conversations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| m["from"].as_str().expect("text"))
        .collect();
    assert_eq!(
        from,
        [
            "human",
            "function_call",
            "observation",
            "function_call",
            "observation",
            "gpt",
            "human",
            "gpt"
        ]
    );
    let value = row["conversations"][1]["value"].as_str().expect("a text");
    assert_eq!(
        serde_json::from_str::<Value>(value).expect("JSON"),
        json!({"name": "grep", "arguments": {"q": 1.5}})
    );
    assert_eq!(row["system"], "be good");
    assert!(row["tools"].is_string());
    assert_eq!(
        (
            findings.times(Rule::TextBesideCall),
            findings.times(Rule::ParallelCallsSplit)
        ),
        (1, 1)
    );
    // A turn that ends with a result has no answer at an even place.
    let mut open = rich();
    open["turnsArray"][0]["modelMessage"] = json!("");
    for preset in [Preset::LlamaFactory, Preset::Mistral] {
        let (row, findings) = converted(&open, preset, Options::default());
        assert_eq!(row, None, "nothing stands before that turn");
        assert_eq!(findings.times(Rule::NoFinalText), 1);
    }
    let (row, _) = converted(&open, Preset::Trl, Options::default());
    assert_eq!(row.expect("written")["turns"], 2);
}

#[test]
fn atif_has_steps_with_calls_and_results() {
    let (row, _) = of(Preset::Atif);
    assert_eq!(
        row["steps"][2],
        json!({"step_id": 3, "source": "agent", "message": "look", "tool_calls": [
            {"tool_call_id": "toolu_1", "function_name": "grep", "arguments": {"q": 1.5}},
            {"tool_call_id": "abcDEF123", "function_name": "ls", "arguments": {"value": [1]}}],
        "observation": {"results": [{"content": "r\"1", "source_call_id": "toolu_1"}, {"content": "r2", "source_call_id": "abcDEF123"}]}})
    );
    assert_eq!(row["extra"], json!({"split": "train", "bucket": "short"}));
    assert_eq!(
        row["agent"]["tool_definitions"][0]["function"]["name"],
        "grep"
    );
}
