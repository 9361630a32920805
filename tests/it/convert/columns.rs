//! Parquet for loaders that take members of objects as columns.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use super::convert;
use crate::support::{Sandbox, words};

/// Publishes a conversation for each of these lists of tools as `out/d`.
fn published(tools: &[Value]) -> Sandbox {
    let sandbox = Sandbox::new();
    let conversations = tools.iter().zip(0..).map(|(tools, id)| {
        let turns = (1..=3).map(|index| json!({"turnIndex": index, "userMessage": "u", "modelMessage": "m"}));
        let turns: Vec<_> = turns.collect();
        let mut record = json!({"conversationId": format!("c{id}"), "userName": "n", "turnCount": 3, "bucket": "short", "turnsArray": turns, "promptTokens": 1, "completionTokens": 1});
        if !tools.is_null() {
            record["tools"] = tools.clone();
        }
        format!("{record}\n")
    });
    sandbox.write("in.jsonl", conversations.collect::<String>());
    let export = r#"export --input in.jsonl --out out --name d --targets all --set selection.splits=[{name="all",percent=100}] --progress none --json"#;
    sandbox.run(&words(export)).expect(0);
    sandbox
}

fn tool(parameter: &str, schema: Value) -> Value {
    json!([{"type": "function", "function": {"name": "t", "parameters": {"properties": {parameter: schema}}}}])
}

/// The paths of the columns in the file of the only split.
fn columns(sandbox: &Sandbox, dataset: &str) -> Vec<String> {
    let file = sandbox.path(&format!("out/{dataset}/data/all-00000-of-00001.parquet"));
    let reader = SerializedFileReader::new(File::open(file).expect("a file")).expect("Parquet");
    let schema = reader.metadata().file_metadata().schema_descr();
    let paths = schema.columns().iter().map(|column| column.path().string());
    paths.collect()
}

#[test]
fn verl_gets_columns_for_the_members_of_messages_and_of_all_tools() {
    let sandbox = published(&[
        tool("b", json!({"type": "string"})),
        json!(null),
        tool("a", json!({"type": "integer", "minimum": 0})),
    ]);
    convert(&sandbox, "--for verl").expect(0);
    sandbox.run(&words("verify out/d-verl")).expect(0);
    let paths = columns(&sandbox, "d-verl");
    let call = "messages.list.element.tool_calls.list.element.function.arguments";
    assert!(paths.iter().any(|path| path == call), "{paths:?}");
    let parameters = "tools.list.element.function.parameters.properties";
    let mut of_tools: Vec<_> = paths
        .iter()
        .filter_map(|path| path.strip_prefix(parameters))
        .collect();
    of_tools.sort_unstable();
    assert_eq!(of_tools, [".a.minimum", ".a.type", ".b.type"]);
    convert(&sandbox, "--for verl --name again").expect(0);
    let bytes = |name: &str| {
        let path = format!("out/{name}/data/all-00000-of-00001.parquet");
        std::fs::read(sandbox.path(&path)).expect("a file")
    };
    assert_eq!(bytes("again"), bytes("d-verl"));
}

#[test]
fn tools_of_which_no_column_holds_both_are_refused_and_the_name_is_free_again() {
    let sandbox = published(&[
        tool("a", json!({"type": "string"})),
        tool("a", json!({"type": ["string", "null"]})),
    ]);
    let refused = convert(&sandbox, "--for verl");
    let said = refused.expect(2);
    let parameter = "[].function.parameters.properties.a.type is ";
    assert!(
        said.contains(parameter) && said.contains("--format jsonl"),
        "{said}"
    );
    convert(&sandbox, "--for verl --format jsonl").expect(0);
}
