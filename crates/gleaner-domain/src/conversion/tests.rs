//! Every dialect and every rule, by records that are small.

mod check;
mod presets;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::rule::{Findings, Rule};
use super::{Converter, NotARecord, Options, Outcome, Preset, Row, Unfinished};

fn turn(trajectory: Value) -> Value {
    json!({"turnIndex": 1, "userMessage": "u", "modelMessage": "m", "trajectory": trajectory})
}

fn record(turns: Vec<Value>) -> Value {
    json!({"conversationId": "c", "bucket": "short", "turnsArray": turns})
}

/// A record as a preset has it, `None` if it was dropped, and what the rules did.
fn converted(record: &Value, preset: Preset, options: Options) -> (Option<Value>, Findings) {
    let (mut row, mut findings) = (Row::default(), Findings::default());
    let converter = Converter::new(preset, options);
    let outcome = converter.convert(
        record.to_string().as_bytes(),
        "train",
        &mut row,
        &mut findings,
    );
    let line = (outcome.expect("a record") == Outcome::Written).then(|| {
        let line = row.json();
        assert!(!line.contains(&b'\n'), "one line");
        serde_json::from_slice(line).expect("JSON")
    });
    (line, findings)
}

fn trl(record: &Value) -> (Value, Findings) {
    let (row, findings) = converted(record, Preset::Trl, Options::default());
    (row.expect("written"), findings)
}

fn codes(findings: &Findings) -> Vec<(&'static str, u32)> {
    findings
        .iter()
        .map(|(rule, times)| (rule.code(), times))
        .collect()
}

fn call(id: &str, tool: &str, arguments: Value) -> Value {
    json!({"id": id, "type": "function", "function": {"name": tool, "arguments": arguments}})
}

/// A call of `grep` and of `ls` at once, with results, as `trl` has them.
fn two_calls_at_once() -> Value {
    json!([
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "look", "tool_calls": [
            call("a1", "grep", json!({"q": "x"})), call("a2", "ls", json!({}))]},
        {"role": "tool", "content": "r1", "tool_call_id": "a1", "name": "grep"},
        {"role": "tool", "content": "r2", "tool_call_id": "a2", "name": "ls"},
        {"role": "assistant", "content": "m"},
    ])
}

/// The two calls, as OpenAI writes them.
fn grep_and_ls() -> (Value, Value) {
    (
        call("a1", "grep", json!("{\"q\":\"x\"}")),
        call("a2", "ls", json!("{}")),
    )
}

/// Each trajectory, as JSON and in a text, gives the two calls.
fn gives_two_calls(dialects: &[(&str, Value)]) {
    for (dialect, trajectory) in dialects {
        for trajectory in [json!(trajectory.to_string()), trajectory.clone()] {
            let (row, findings) = trl(&record(vec![turn(trajectory)]));
            assert_eq!(row["messages"], two_calls_at_once(), "{dialect}");
            assert_eq!(codes(&findings), [("no_tools", 1)], "{dialect}");
        }
    }
}

#[test]
fn every_dialect_of_messages_gives_the_same_messages() {
    let (grep, ls) = grep_and_ls();
    gives_two_calls(&[
        (
            "chat",
            json!([
            {"role": "assistant", "content": "look", "tool_calls": [grep, ls]},
            {"role": "tool", "tool_call_id": "a2", "content": "r2"},
            {"role": "tool", "tool_call_id": "a1", "content": [{"type": "text", "text": "r1"}]},
            {"role": "assistant", "content": "m"}]),
        ),
        (
            "anthropic",
            json!({"messages": [
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": [{"type": "text", "text": "look"},
                {"type": "tool_use", "id": "a1", "name": "grep", "input": {"q": "x"}},
                {"type": "tool_use", "id": "a2", "name": "ls", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a1", "content": "r1"},
                {"type": "tool_result", "tool_use_id": "a2", "content": [{"type": "text", "text": "r2"}]}]}]}),
        ),
        (
            "otel",
            json!([
            {"role": "assistant", "parts": [{"type": "text", "content": "look"},
                {"type": "tool_call", "id": "a1", "name": "grep", "arguments": {"q": "x"}},
                {"type": "tool_call", "id": "a2", "name": "ls", "arguments": {}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "a1", "response": "r1"}]},
            {"role": "user", "parts": [{"type": "tool_call_response", "id": "a2", "result": "r2"}]}]),
        ),
        (
            "cli",
            json!([
            {"type": "assistant.message", "data": {"content": "look", "toolRequests": [
                {"toolCallId": "a1", "name": "grep", "arguments": {"q": "x"}},
                {"toolCallId": "a2", "name": "ls", "arguments": {}}]}},
            {"type": "tool.execution_start", "data": {"toolCallId": "a1", "toolName": "grep"}},
            {"type": "tool.execution_complete", "data": {"toolCallId": "a1", "success": true, "result": {"content": "r1"}}},
            {"type": "tool.execution_complete", "data": {"toolCallId": "a2", "success": false, "error": {"message": "r2"}}}]),
        ),
    ]);
}

#[test]
fn every_dialect_of_agents_gives_the_same_messages() {
    let (grep, ls) = grep_and_ls();
    let answer = json!({"id": "resp", "choices": [{"message": {"content": "look", "tool_calls": [grep, ls]}}]});
    let metadata = |id: &str, tool: &str| json!({"function_name": tool, "tool_call_id": id, "model_response": answer});
    gives_two_calls(&[
        (
            "atif",
            json!({"schema_version": "ATIF-v1.5", "steps": [
            {"step_id": 1, "source": "user", "message": "u"},
            {"step_id": 2, "source": "agent", "message": "look", "tool_calls": [
                {"tool_call_id": "a1", "function_name": "grep", "arguments": {"q": "x"}},
                {"tool_call_id": "a2", "function_name": "ls", "arguments": {}}],
             "observation": {"results": [{"source_call_id": "a1", "content": "r1"},
                {"source_call_id": "a2", "content": "r2"}]}}]}),
        ),
        (
            "openhands",
            json!([
            {"id": 1, "source": "agent", "action": "run", "args": {"command": "grep x", "thought": "look"},
             "tool_call_metadata": metadata("a1", "grep")},
            {"id": 2, "source": "agent", "action": "run", "args": {"command": "ls"}, "tool_call_metadata": metadata("a2", "ls")},
            {"id": 3, "source": "agent", "observation": "run", "cause": 1, "content": "r1", "tool_call_metadata": metadata("a1", "grep")},
            {"id": 4, "source": "agent", "observation": "run", "cause": 2, "content": "r2", "tool_call_metadata": metadata("a2", "ls")},
            {"id": 5, "source": "agent", "action": "finish", "args": {}}]),
        ),
    ]);
}

#[test]
fn own_entries_stand_together_by_their_round_and_have_its_text() {
    let entry = |round: u64, id: &str, tool: &str, arguments: &str| json!({"round": round, "id": id, "tool": tool, "arguments": arguments, "result": format!("r{}", &id[1..])});
    let mut turn = turn(json!([
        entry(0, "a1", "grep", "{\"q\":\"x\"}"),
        entry(0, "a2", "ls", "{}")
    ]));
    turn["llmCalls"] =
        json!([{"modelCallId": "k1", "text": "look"}, {"modelCallId": "k2", "text": "m"}]);
    let (row, _) = trl(&record(vec![turn.clone()]));
    assert_eq!(row["messages"], two_calls_at_once());
    // The round that calls is the last one: its text is the answer, and is there once.
    turn["llmCalls"] = json!([{"text": "m"}]);
    let (row, _) = trl(&record(vec![turn]));
    let messages = row["messages"].as_array().expect("a list");
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[1]["content"], "m");
    assert_eq!(messages[3]["role"], "tool");
}

#[test]
fn calls_of_which_nobody_knows_stand_alone_with_ids_that_are_always_the_same() {
    let entries = json!([{"tool": "a", "arguments": {"x": 1}, "result": {"n": 1.50}}, {"tool": "b", "arguments": [1], "result": "r"}]);
    let (row, findings) = trl(&record(vec![turn(entries.clone())]));
    let messages = row["messages"].as_array().expect("a list");
    let roles: Vec<_> = messages
        .iter()
        .map(|message| message["role"].as_str().expect("a role"))
        .collect();
    assert_eq!(
        roles,
        [
            "user",
            "assistant",
            "tool",
            "assistant",
            "tool",
            "assistant"
        ]
    );
    assert_eq!(messages[2]["content"], "{\"n\":1.5}");
    assert_eq!(
        messages[3]["tool_calls"][0]["function"]["arguments"],
        json!({"value": [1]})
    );
    let id = messages[1]["tool_calls"][0]["id"].as_str().expect("an id");
    assert!(
        id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{id}"
    );
    assert_eq!(messages[2]["tool_call_id"], id);
    assert_ne!(messages[3]["tool_calls"][0]["id"], id);
    assert_eq!(
        codes(&findings),
        [
            ("wrapped_arguments", 1),
            ("result_is_json", 1),
            ("made_call_id", 2),
            ("no_tools", 1)
        ]
    );
    assert_eq!(trl(&record(vec![turn(entries)])).0, row);
}

#[test]
fn a_message_of_the_user_that_is_not_the_turns_own_is_counted() {
    for (text, times) in [(" u\n", 0), ("another", 1)] {
        let steps =
            json!([{"role": "user", "content": text}, {"role": "assistant", "content": "m"}]);
        let (_, findings) = trl(&record(vec![turn(steps)]));
        assert_eq!(findings.times(Rule::OtherRole), times, "{text}");
    }
}

#[test]
fn a_result_of_objects_with_a_type_is_data() {
    let data = json!([{"type": "concert", "text": "x"}, {"type": "text", "text": "y"}]);
    let own = json!([{"tool": "a", "arguments": {}, "result": data}]);
    let mut chat = json!([{"role": "assistant", "tool_calls": [call("1", "a", json!({}))]}, {"role": "tool", "tool_call_id": "1"}]);
    chat[1]["content"] = data.clone();
    for trajectory in [own, chat] {
        let (row, findings) = trl(&record(vec![turn(trajectory)]));
        let result = row["messages"][2]["content"].as_str().expect("text");
        assert_eq!(serde_json::from_str::<Value>(result).expect("JSON"), data);
        assert_eq!(findings.times(Rule::PartLeftOut), 0);
    }
}

#[test]
fn text_actions_stay_text_and_counts_are_flagged() {
    let steps = json!([{"thought": "think", "action": "ls\n", "observation": "a.txt"}, {"response": "done", "action": "submit", "observation": ""}]);
    let (row, findings) = trl(&record(vec![turn(steps)]));
    let texts: Vec<_> = row["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|message| {
            (
                message["role"].as_str().expect("a role"),
                message["content"].as_str().expect("a text"),
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            ("user", "u"),
            ("assistant", "think\n\nls\n"),
            ("user", "a.txt"),
            ("assistant", "done"),
            ("user", ""),
            ("assistant", "m")
        ]
    );
    assert_eq!(
        (row["lossy"].as_str(), codes(&findings)),
        (Some("no_calls"), vec![("no_calls", 1)])
    );
    for counts in [
        json!({"grep": 3}),
        json!(["grep"]),
        json!(4),
        json!("three calls"),
    ] {
        let (row, findings) = trl(&record(vec![turn(counts)]));
        assert_eq!(row["messages"].as_array().map(Vec::len), Some(2));
        assert_eq!(codes(&findings), [("no_calls", 1)]);
    }
}

#[test]
fn results_are_paired_by_position_only_if_the_counts_match() {
    let message = |results: usize| {
        let mut messages = vec![
            json!({"role": "assistant", "tool_calls": [call("a1", "x", json!({})), call("a2", "y", json!({}))]}),
        ];
        messages
            .extend((0..results).map(|nth| json!({"role": "tool", "content": nth.to_string()})));
        record(vec![turn(json!([])), turn(json!(messages))])
    };
    let (row, findings) = trl(&message(2));
    assert_eq!(row["messages"][5]["content"], "1");
    assert_eq!(row["paired_by"], "position");
    assert_eq!(findings.times(Rule::PairedByPosition), 2);
    for results in [1, 3] {
        let (row, findings) = trl(&message(results));
        assert_eq!(row["turns"], 1, "the turn with open calls is left out");
        assert_eq!(findings.times(Rule::OrphanResult), results as u32);
        assert_eq!(findings.times(Rule::CallWithoutResult), 1);
    }
}

#[test]
fn a_call_without_a_result_ends_the_conversation_or_whatever_is_asked_for() {
    let open = turn(json!([{"tool": "x", "id": "a", "arguments": {}, "result": null}]));
    let three = record(vec![turn(json!([])), open.clone(), turn(json!([]))]);
    let with = |record: &Value, unfinished| {
        converted(
            record,
            Preset::Trl,
            Options {
                unfinished,
                ..Options::default()
            },
        )
    };
    assert_eq!(
        with(&three, Unfinished::DropTurnAndAfter)
            .0
            .expect("written")["turns"],
        1
    );
    let (row, findings) = with(&three, Unfinished::DropRecord);
    assert_eq!(
        (row, codes(&findings)),
        (None, vec![("unfinished_record", 1)])
    );
    let (row, findings) = with(&three, Unfinished::Keep);
    assert_eq!(row.expect("written")["turns"], 3);
    assert_eq!(findings.times(Rule::CallWithoutResultKept), 1);
    let (row, findings) = with(&record(vec![open]), Unfinished::DropTurnAndAfter);
    assert_eq!(
        (row, codes(&findings)),
        (None, vec![("nothing_left", 1), ("call_without_result", 1)])
    );
}

#[test]
fn arguments_that_are_no_json_take_what_follows_in_their_turn_with_them() {
    let bad =
        |text: &str| json!({"round": 1, "id": "b", "tool": "x", "arguments": text, "result": "r"});
    let good = json!({"round": 0, "id": "a", "tool": "x", "arguments": "{}", "result": "r"});
    let record = |entries: Value| record(vec![turn(entries), turn(json!([]))]);
    let (row, findings) = trl(&record(json!([good, bad("{'a':1}"), good])));
    assert_eq!(row["messages"].as_array().map(Vec::len), Some(5), "{row}");
    assert_eq!(findings.times(Rule::ArgumentsNotJson), 1);
    // Nothing of the first turn is left: its message of the user would stand alone.
    for text in ["{", "NaN", "\"\\ud83d\"", "{} {}"] {
        let (row, findings) = trl(&record(json!([bad(text)])));
        assert_eq!(
            (&row["turns"], findings.times(Rule::UnansweredUser)),
            (&json!(1), 1),
            "{text}"
        );
    }
    let (row, findings) = trl(&record(json!([bad(" ")])));
    assert_eq!(
        row["messages"][1]["tool_calls"][0]["function"]["arguments"],
        json!({})
    );
    assert_eq!(findings.times(Rule::EmptyArguments), 1);
}

#[test]
fn a_turn_without_any_reply_drops_the_record() {
    let mut silent = turn(Value::Null);
    silent["modelMessage"] = json!(" \n");
    let (row, findings) = converted(
        &record(vec![turn(json!([])), silent]),
        Preset::Trl,
        Options::default(),
    );
    assert_eq!((row, codes(&findings)), (None, vec![("empty_reply", 1)]));
}

#[test]
fn tools_of_every_form_become_those_of_chat_messages() {
    let wanted = json!([{"type": "function", "function": {"name": "x", "description": "d", "parameters": {"type": "object"}}}]);
    for tools in [
        wanted.clone(),
        json!([{"type": "function", "name": "x", "description": "d", "parameters": {"type": "object"}}]),
        json!([{"name": "x", "description": "d", "input_schema": {"type": "object"}}]),
        json!(wanted.to_string()),
    ] {
        let mut record = record(vec![turn(
            json!([{"tool": "y", "arguments": {}, "result": "r"}]),
        )]);
        record["tools"] = tools;
        let (row, findings) = trl(&record);
        assert_eq!(row["tools"], wanted);
        assert_eq!(findings.times(Rule::UnknownTool), 1);
        assert_eq!(findings.times(Rule::NoTools), 0);
    }
    for tools in [json!("no JSON"), json!([1]), json!({"x": 1})] {
        let mut record = record(vec![turn(json!([]))]);
        record["tools"] = tools;
        let (row, findings) = trl(&record);
        assert_eq!(row.get("tools"), None);
        assert!(findings.times(Rule::ToolsUnreadable) > 0);
    }
    let options = Options {
        tools: Some(wanted.to_string().into_bytes()),
        ..Options::default()
    };
    let (row, _) = converted(&record(vec![turn(json!([]))]), Preset::Trl, options);
    assert_eq!(row.expect("written")["tools"], wanted);
}

#[test]
fn what_is_no_record_is_refused() {
    let convert = |text: &str| {
        let converter = Converter::new(Preset::Trl, Options::default());
        converter.convert(
            text.as_bytes(),
            "train",
            &mut Row::default(),
            &mut Findings::default(),
        )
    };
    assert!(matches!(convert("{"), Err(NotARecord::Json(_))));
    for (text, field) in [
        ("{}", "conversationId"),
        (r#"{"conversationId":"c","turnsArray":{}}"#, "turnsArray"),
        (r#"{"conversationId":"c","turnsArray":[1]}"#, "a turn"),
        (
            r#"{"conversationId":"c","turnsArray":[{"userMessage":1}]}"#,
            "userMessage",
        ),
    ] {
        assert_eq!(convert(text), Err(NotARecord::Field(field)));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ -~é🙂\\n]{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("role"),
        Just("content"),
        Just("tool"),
        Just("arguments"),
        Just("result"),
        Just("parts"),
        Just("tool_calls"),
        Just("function"),
        Just("name"),
        Just("id"),
        Just("type"),
        Just("source"),
        Just("action"),
        Just("observation"),
        Just("data"),
        Just("steps"),
        Just("round"),
        Just("text"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..7).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    /// Whatever a trajectory is: the row is JSON, the user's text is there, no key is null.
    #[test]
    fn any_trajectory_gives_a_row_or_a_reason(trajectory in any_json(), preset in prop::sample::select(&Preset::ALL[..])) {
        let (row, findings) = converted(&record(vec![turn(trajectory)]), preset, Options::default());
        match row {
            Some(row) => prop_assert!(!row.to_string().contains(":null,\"role\"")),
            None => prop_assert!(findings.iter().any(|(rule, _)| rule.effect() == super::rule::Effect::RecordDropped)),
        }
    }
}
