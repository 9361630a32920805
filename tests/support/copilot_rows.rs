//! Rows of Copilot Chat telemetry of our own making, plain ones, as AppEvents has them.

use serde_json::{Map, Value, json};

/// One row: its event, and what it holds.
pub fn row(at: u64, event: &str, mut properties: Value, measurements: Value) -> Value {
    properties["common.extversion"] = json!("0.42.0");
    json!({
        "TimeGenerated": format!("2026-03-01T{:02}:{:02}:{:02}.0000000Z", at / 3600, at / 60 % 60, at % 60),
        "Name": format!("GitHub.copilot-chat/{event}"),
        "Properties": properties,
        "Measurements": measurements,
        "ItemCount": 1,
        "Type": "AppEvents",
    })
}

/// Whoever of the window was first has sent it: every conversation names it.
fn shared_message(turn: u64) -> Value {
    row(
        turn,
        "model.message.added",
        json!({
            "conversationId": "somebody-else",
            "messageUuid": format!("shared-{turn}"),
            "messageDirection": "input",
            "messageJson": json!({"role": "system", "content": "you help"}).to_string(),
            "chunkIndex": "0",
            "totalChunks": "1",
        }),
        json!({}),
    )
}

/// The request of a turn, from 1 on, that starts at a second.
pub fn request(conversation: &str, turn: u64, attempt: u64, at: u64) -> Vec<Value> {
    let message = format!("{conversation}-{turn}-{attempt}");
    let call = format!("call-{message}");
    let (asked, answer) = (
        format!("please do {turn} of {conversation}\n\u{e9}"),
        format!("done \"{message}\""),
    );
    let common = json!({
        "conversationId": conversation,
        "messageId": message,
        "headerRequestId": message,
        "mode": "agent",
        "common.userName": "ann",
    });
    let with = |more: Value| -> Value {
        let mut all: Map<String, Value> = common.as_object().expect("an object").clone();
        all.extend(more.as_object().expect("an object").clone());
        Value::Object(all)
    };
    let units = asked.encode_utf16().count();
    vec![
        row(
            at,
            "interactiveSessionMessage",
            json!({"sessionId": conversation, "requestId": message, "query": asked}),
            json!({"turnNumber": turn}),
        ),
        row(
            at + 1,
            "model.modelCall.input",
            json!({"conversationId": conversation, "modelCallId": call, "headerRequestId": message, "messageUuids": format!("[\"shared-{turn}\"]"), "requestTurn": "1"}),
            json!({}),
        ),
        shared_message(turn),
        row(
            at + 2,
            "model.modelCall.output",
            json!({"conversationId": conversation, "modelCallId": call, "headerRequestId": "unknown", "messageUuids": "[]", "baseModel": "gpt-x"}),
            json!({"promptTokens": 100 + turn, "completionTokens": 7}),
        ),
        row(
            at + 3,
            "conversation.messageText",
            with(
                json!({"source": "user", "turnIndex": (turn - 1).to_string(), "messageText": asked}),
            ),
            json!({"promptTokenLen": 100 + turn, "messageCharLen": units}),
        ),
        row(
            at + 3,
            "conversation.messageText",
            with(json!({"source": "model", "turnIndex": turn.to_string(), "messageText": answer})),
            json!({"promptTokenLen": 100 + turn, "messageCharLen": units}),
        ),
        // Of no interest.
        row(
            at + 3,
            "model.request.added",
            with(json!({"anything": "else"})),
            json!({}),
        ),
    ]
}

/// The rows of whole conversations of three turns, the second of which was sent again.
pub fn conversations(count: u64) -> Vec<Value> {
    let of_one = |number: u64| {
        let id = format!("conversation-{number}");
        let at = 100 + 60 * number;
        [(1, 1, 0), (2, 1, 10), (2, 2, 20), (3, 1, 30)]
            .into_iter()
            .flat_map(move |(turn, attempt, after)| request(&id, turn, attempt, at + after))
    };
    (0..count).flat_map(of_one).collect()
}

/// One row a line.
pub fn lines(rows: &[Value], end: &str) -> Vec<u8> {
    let line = |row: &Value| format!("{row}{end}");
    rows.iter().map(line).collect::<String>().into_bytes()
}

/// The bags of a row as text that holds JSON.
pub fn with_text(row: &Value) -> Value {
    let mut row = row.clone();
    for bag in ["Properties", "Measurements"] {
        row[bag] = Value::String(row[bag].to_string());
    }
    row
}

/// What the query API answers with.
pub fn answer(rows: &[Value]) -> Value {
    let names = [
        "TimeGenerated",
        "Name",
        "Properties",
        "Measurements",
        "ItemCount",
    ];
    let columns: Vec<Value> = names
        .map(|name| json!({"name": name, "type": "dynamic"}))
        .into();
    let cells = |row: &Value| -> Value {
        let row = with_text(row);
        names.map(|name| row[name].clone()).to_vec().into()
    };
    let rows: Vec<Value> = rows.iter().map(cells).collect();
    json!({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})
}

/// What `az monitor log-analytics query` prints: every value is text.
pub fn az(rows: &[Value]) -> Value {
    let of_row = |row: &Value| {
        let mut row = with_text(row);
        row["ItemCount"] = json!("1");
        row["TableName"] = json!("PrimaryResult");
        row
    };
    rows.iter().map(of_row).collect()
}

/// A row of the classic schema.
pub fn classic(row: &Value) -> Value {
    json!({
        "timestamp": row["TimeGenerated"],
        "name": row["Name"],
        "itemType": "customEvent",
        "customDimensions": row["Properties"],
        "customMeasurements": row["Measurements"],
        "itemCount": row["ItemCount"],
    })
}
