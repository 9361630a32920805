//! The bytes of records, and which fields come from where.

use super::{Row, model, record, record_text, row, user};

fn lines(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().map(Row::line).collect()
}

/// Lengths of a call's messages.
fn lengths(call: &str, turn: u32, second: u32, direction: &str, json: &str) -> Row {
    row("engine.messages.length", second)
        .with("modelCallId", call)
        .with("messageId", &format!("m{turn}"))
        .with("message_direction", direction)
        .with("messagesJson", json)
}

/// A call's messages in full, as version 0.31 sends them.
fn full(call: &str, turn: u32, second: u32, json: &str) -> Row {
    row("engine.messages", second)
        .with("modelCallId", call)
        .with("messageId", &format!("m{turn}"))
        .with("messagesJson", json)
}

/// A conversation of one turn with two calls, the first of which calls a tool.
fn two_rounds() -> Vec<Row> {
    let system = r#"{"role":"system","content":"Be brief."}"#;
    let prompt = r#"{"role":"user","content":"<userRequest>\nhi\n</userRequest>"}"#;
    let call = r#"{"role":"assistant","content":"Looking.","tool_calls":[{"id":"t1","type":"function","function":{"name":"read","arguments":"{ \"a\": 1 }"}}]}"#;
    let result = r#"{"role":"tool","content":"42","tool_call_id":"t1"}"#;
    let tools = r#"[{"type":"function","function":{"name":"read"}}]"#;
    vec![
        user(1, 1, "hi").with("common.userName", "someone"),
        model(1, 1, "Looking."),
        user(1, 3, "hi"),
        model(1, 3, "It is 42."),
        full("k1", 1, 0, &format!("[{system},{prompt}]"))
            .with("request.option.tools", tools)
            .with("request.option.model", "\"asked\""),
        full("k2", 1, 2, &format!("[{system},{prompt},{call},{result}]"))
            .with("request.option.tools", tools),
        lengths(
            "k1",
            1,
            1,
            "output",
            r#"[{"role":"assistant","content":8}]"#,
        )
        .with("baseModel", "gpt")
        .measuring("promptTokens", 10)
        .measuring("completionTokens", 2),
        lengths(
            "k2",
            1,
            3,
            "output",
            r#"[{"role":"assistant","content":9}]"#,
        )
        .with("baseModel", "gpt-2")
        .measuring("promptTokens", 20)
        .measuring("completionTokens", 3),
        row("toolCallDetailsInternal", 4)
            .with("messageId", "m1")
            .with("toolCounts", r#"{"read":1}"#)
            .measuring("turnIndex", 1),
    ]
}

#[test]
fn a_record_has_its_keys_in_their_order() {
    let (text, assembled) = record_text(&lines(&two_rounds()));
    let expected = concat!(
        r#"{"conversationId":"c","userName":"someone","turnCount":1,"bucket":null,"turnsArray":[{"turnIndex":1,"#,
        r#""userMessage":"hi","modelMessage":"It is 42.","promptTokens":30,"completionTokens":5,"llmCallCount":2,"#,
        r#""trajectory":[{"round":0,"id":"t1","tool":"read","arguments":"{ \"a\": 1 }","result":"42"}],"#,
        r#""messageId":"m1","model":"gpt-2","llmCalls":["#,
        r#"{"modelCallId":"k1","model":"gpt","promptTokens":10,"completionTokens":2,"text":"Looking."},"#,
        r#"{"modelCallId":"k2","model":"gpt-2","promptTokens":20,"completionTokens":3,"text":"It is 42."}]}],"#,
        r#""promptTokens":30,"completionTokens":5,"llmCallCount":2,"system":"Be brief.","#,
        r#""tools":[{"type":"function","function":{"name":"read"}}]}"#,
    );
    assert_eq!(text, expected);
    assert_eq!((assembled.turns, assembled.quality.len()), (1, 0));
}

#[test]
fn what_is_not_known_is_absent_and_said() {
    let (text, assembled) = record_text(&lines(&[
        user(1, 1, "hi").with("common.extversion", "0.30.1")
    ]));
    let expected = concat!(
        r#"{"conversationId":"c","userName":null,"turnCount":1,"bucket":null,"turnsArray":[{"turnIndex":1,"#,
        r#""userMessage":"hi","modelMessage":null,"promptTokens":null,"completionTokens":null,"llmCallCount":null,"#,
        r#""messageId":"m1","quality":["model_text_unconfirmed","tokens_missing","tool_calls_unknown"]}],"#,
        r#""promptTokens":null,"completionTokens":null,"llmCallCount":null,"quality":["tools_unknown"]}"#,
    );
    assert_eq!(text, expected);
    assert!(
        assembled
            .quality
            .iter()
            .all(|(_, version)| version == "0.30.1")
    );
    assert_eq!(assembled.quality.len(), 4);
}

#[test]
fn the_name_undefined_is_none() {
    let (record, _) = record(&lines(&[
        user(1, 1, "hi").with("common.userName", "undefined")
    ]));
    assert!(record["userName"].is_null());
}

#[test]
fn a_model_text_is_the_last_rounds_not_the_longest() {
    let rows = [
        user(1, 1, "hi"),
        model(1, 1, "a long text that comes first"),
        user(1, 2, "hi"),
        model(1, 2, "short"),
    ];
    let (record, _) = record(&lines(&rows));
    assert_eq!(record["turnsArray"][0]["modelMessage"], "short");
}

#[test]
fn a_text_whose_length_is_another_is_not_confirmed() {
    let mut rows = two_rounds();
    rows.retain(|row| row.event != "engine.messages" || row.second == 0);
    let codes = |rows: &[Row]| {
        let (record, _) = record(&lines(rows));
        let codes = record["turnsArray"][0]["quality"].as_array().cloned();
        let codes = codes.unwrap_or_default();
        codes
            .iter()
            .filter_map(|code| code.as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let unconfirmed = |codes: Vec<String>| codes.contains(&"model_text_unconfirmed".to_owned());
    assert!(!unconfirmed(codes(&rows)));
    for row in &mut rows {
        for (key, json) in &mut row.properties {
            if key == "messagesJson" {
                *json = json.replace("\\u0022content\\u0022:9", "\\u0022content\\u0022:10");
            }
        }
    }
    assert!(unconfirmed(codes(&rows)));
}

#[test]
fn a_call_of_a_tool_that_only_lengths_tell_of_is_there_without_its_arguments() {
    let mut rows = two_rounds();
    rows.retain(|row| row.event != "engine.messages");
    let call = r#"[{"role":"system","content":9},{"role":"user","content":31},{"role":"assistant","content":8,"tool_calls":[{"id":"t1","function":{"name":"read","arguments":10}}]},{"role":"tool","content":2,"tool_call_id":"t1"}]"#;
    rows.push(lengths("k2", 1, 2, "input", call));
    let (record, _) = record(&lines(&rows));
    let turn = &record["turnsArray"][0];
    let step =
        serde_json::json!([{"round":0,"id":"t1","tool":"read","arguments":null,"result":null}]);
    assert_eq!(turn["trajectory"], step);
    assert_eq!(turn["quality"], serde_json::json!(["tool_calls_unknown"]));
}

#[test]
fn a_calls_tokens_count_once_however_many_rows_tell_of_them() {
    let mut rows = two_rounds();
    let again = full(
        "k2",
        1,
        3,
        r#"[{"role":"assistant","content":"It is 42."}]"#,
    )
    .measuring("promptTokens", 20)
    .measuring("completionTokens", 3);
    rows.push(again);
    let (record, _) = record(&lines(&rows));
    assert_eq!(record["promptTokens"], 30);
    assert_eq!(record["llmCallCount"], 2);
}

#[test]
fn an_agent_hosts_turns_go_by_their_index() {
    let host = |row: Row, turn: u32| {
        let mut row = row
            .with("initiatorClientType", "editor_window")
            .with("turnIndex", &(turn - 1).to_string());
        row.properties.retain(|(key, _)| key != "messageId");
        row
    };
    let rows = [
        host(user(1, 1, "one"), 1),
        host(model(1, 2, "first"), 1)
            .with("headerRequestId", "h1")
            .measuring("messageCharLen", 5),
        host(user(2, 3, "two"), 2),
        host(model(2, 4, "second"), 2)
            .with("headerRequestId", "h2")
            .measuring("messageCharLen", 6),
    ];
    let (record, _) = record(&lines(&rows));
    assert_eq!(record["turnCount"], 2);
    assert_eq!(record["turnsArray"][1]["modelMessage"], "second");
    assert_eq!(
        record["turnsArray"][1]["quality"],
        serde_json::json!(["tokens_missing", "tool_calls_unknown"])
    );
}
