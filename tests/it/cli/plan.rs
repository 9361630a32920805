//! What `gleaner plan` says of the first rows of files: what an export would refuse.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use crate::support::packed::gzip;
use crate::support::{Run, Sandbox, copilot_rows};

fn turn(id: usize) -> String {
    format!(
        r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c{id}","userName":"n","mode":"agent","turnIndex":1,"userMessage":"u","modelMessage":"m"}}"#
    )
}

const CONVERSATION: &str = r#"{"conversationId":"a","turnsArray":[]}"#;

fn turns(count: usize) -> String {
    (0..count).map(|id| turn(id) + "\n").collect()
}

/// One column of text, a row for each value.
fn parquet(column: &str, values: &[&str]) -> Vec<u8> {
    let schema = format!("message m {{ required binary {column} (UTF8); }}");
    let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
    let mut out = Vec::new();
    let mut file = SerializedFileWriter::new(&mut out, schema, Default::default()).expect("a file");
    let mut group = file.next_row_group().expect("a group");
    let mut writer = group.next_column().expect("good").expect("a column");
    let values: Vec<ByteArray> = values.iter().map(|value| ByteArray::from(*value)).collect();
    let typed = writer.typed::<ByteArrayType>();
    typed.write_batch(&values, None, None).expect("written");
    writer.close().expect("written");
    group.close().expect("written");
    file.close().expect("written");
    out
}

const PLAN: [&str; 5] = ["plan", "--input", "in", "--out", "out"];

/// The plan for a person, and what its JSON says of the first rows.
#[track_caller]
fn plan(sandbox: &Sandbox, more: &[&str]) -> (String, Value) {
    let text = sandbox.run(&[&PLAN[..], more].concat());
    let json = sandbox.run(&[&PLAN[..], &["--json"], more].concat());
    // What would be refused ends the plan as it would end the export.
    let is_refused = json.json()["first_rows"]["refused"] == true;
    for run in [&text, &json] {
        run.expect(if is_refused { 2 } else { 0 });
    }
    assert!(!sandbox.path("out").exists() && !sandbox.path(".gleaner").exists());
    (text.stdout, json.json()["first_rows"].clone())
}

/// What an export of the same would say.
fn export(sandbox: &Sandbox) -> Run {
    sandbox.run(&[
        "export",
        "--input",
        "in",
        "--out",
        "x",
        "--work-dir",
        "work",
    ])
}

#[test]
fn good_rows_of_every_kind_of_file_are_looked_at_and_nothing_is_refused() {
    let sandbox = Sandbox::new();
    let array = |count| {
        format!(
            "[\n{}]",
            turns(count).trim_end().replace('\n', ",\n") + "\n"
        )
    };
    sandbox.write("in/a.jsonl", turns(3));
    sandbox.write("in/b.jsonl.gz", gzip(turns(4).as_bytes()));
    let zst = zstd::encode_all(turns(5).as_bytes(), 1).expect("memory");
    sandbox.write("in/c.jsonl.zst", zst);
    sandbox.write("in/d.json", array(6));
    sandbox.write("in/e.json.gz", gzip(array(7).as_bytes()));
    let (text, first) = plan(&sandbox, &[]);
    assert!(
        text.contains("rows     looked at the first 25 rows of 5 files\n"),
        "{text}"
    );
    assert!(
        !text.contains("refused") && !text.contains("bad row"),
        "{text}"
    );
    let expected = json!({
        "files": 5,
        "rows": 25,
        "of_each_file": {"rows": 100, "bytes": 262_144},
        "refused": false,
        "reason": null,
        "mixed_schemas": null,
        "malformed": {},
        "unreadable": [],
        "oddities": [],
    });
    assert_eq!(first, expected);
}

#[test]
fn mixed_schemas_are_named_with_a_file_and_line_of_each() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", turns(2));
    let array = format!("[{CONVERSATION},\n{CONVERSATION}]");
    sandbox.write("in/b.json.gz", gzip(array.as_bytes()));
    let (text, first) = plan(&sandbox, &[]);
    assert_eq!(first["refused"], true);
    let places = json!({"conversation": "in/b.json.gz:1", "turn": "in/a.jsonl:1"});
    assert_eq!(first["mixed_schemas"], places);
    let reason = first["reason"].as_str().expect("a reason");
    assert!(text.contains(&format!("refused  {reason}\n")), "{text}");
    let export = export(&sandbox);
    export.says(2, &[reason]);
}

#[test]
fn malformed_rows_are_named_with_their_place_and_what_is_wrong() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in/a.jsonl",
        format!("{}\n[1]\n{{\"turnIndex\":1\n", turns(1)),
    );
    sandbox.write(
        "in/b.parquet",
        parquet("turn_index", &["x", "y", "z", "zz"]),
    );
    let (text, first) = plan(&sandbox, &[]);
    assert_eq!(
        (&first["refused"], &first["rows"]),
        (&json!(true), &json!(7))
    );
    let malformed = &first["malformed"];
    let expected =
        json!([{"file": "in/a.jsonl", "line": 3, "what": "the row is an array, wanted an object"}]);
    assert_eq!(malformed["not_an_object"]["examples"], expected);
    assert_eq!(malformed["no_schema"]["count"], 4);
    for line in [
        "refused  6 of these 7 rows are malformed, more than 1%\n",
        "bad row  not_json: in/a.jsonl:4: the row breaks off at byte 14\n",
        "bad row  no_schema: in/b.parquet:3: no \"turnIndex\" (found \"turn_index\"; see source.fields)\n",
        "bad row  no_schema: 1 more\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // An export says the same of them.
    assert!(
        export(&sandbox)
            .expect(1)
            .contains("6 of 7 rows are malformed")
    );
    let (text, first) = plan(&sandbox, &["--max-malformed", "100"]);
    assert_eq!(first["refused"], false);
    assert!(
        !text.contains("refused") && text.contains("bad row"),
        "{text}"
    );
}

#[test]
fn names_of_fields_are_those_of_the_settings() {
    let sandbox = Sandbox::new();
    let renamed = turns(2)
        .replace("turnIndex", "turn")
        .replace("conversationId", "id");
    sandbox.write("in/a.jsonl", &renamed);
    assert_eq!(plan(&sandbox, &[]).1["refused"], true);
    let fields = ["turnIndex=turn", "conversationId=id"];
    let fields = fields.map(|pair| format!("source.fields.{pair}"));
    let (text, first) = plan(&sandbox, &["--set", &fields[0], "--set", &fields[1]]);
    assert_eq!(first["malformed"], json!({}), "{text}");
    assert_eq!(
        (&first["refused"], &first["rows"]),
        (&json!(false), &json!(2))
    );
}

#[test]
fn files_that_cannot_be_read_are_all_named_beside_the_rows_of_the_others() {
    let sandbox = Sandbox::new();
    let packed = gzip(turns(50).as_bytes());
    sandbox.write("in/a.jsonl.gz", &packed[..packed.len() / 2]);
    sandbox.write("in/b.parquet", "no Parquet");
    sandbox.write("in/c.json", format!("[{}", turn(0)));
    sandbox.write("in/d.jsonl", turns(2));
    sandbox.write("in/e.jsonl.bz2", "left out");
    let (text, first) = plan(&sandbox, &[]);
    assert_eq!(
        (&first["refused"], &first["rows"]),
        (&json!(true), &json!(3))
    );
    let unreadable = first["unreadable"].as_array().expect("a list");
    assert_eq!(unreadable.len(), 3, "{unreadable:?}");
    for (name, said) in ["a.jsonl.gz", "b.parquet", "c.json"]
        .into_iter()
        .zip(unreadable)
    {
        let said = said.as_str().expect("text");
        assert!(
            said.starts_with(&format!("in/{name} is damaged: ")),
            "{said}"
        );
        assert!(text.contains(&format!("refused  {said}\n")), "{text}");
    }
    assert!(
        text.contains("not read in/e.jsonl.bz2 (other_ending)"),
        "{text}"
    );
    let json = sandbox.run(&[&PLAN[..], &["--json"]].concat()).json();
    assert_eq!(
        (&json["chunks"], &json["source"]["file_count"]),
        (&Value::Null, &json!(4))
    );
    // What holds no file at all is an error as ever.
    sandbox.run(&["plan", "--input", "nowhere"]).expect(2);
}

#[test]
fn no_more_than_the_first_rows_are_looked_at() {
    let sandbox = Sandbox::new();
    sandbox.write("in/rows.jsonl", turns(100) + "not JSON\n");
    let long = turn(0).replace("\"u\"", &format!("\"{}\"", "u".repeat(100_000)));
    let bytes = format!("{}not JSON\n", format!("{long}\n").repeat(3));
    sandbox.write("in/bytes.jsonl", bytes);
    let packed = zstd::encode_all(&b" \n".repeat(4 << 20)[..], 1).expect("memory");
    sandbox.write("in/blank.jsonl.zst", packed);
    // A row that never ends, of which no more is read than a row may have.
    let endless = format!("{{\"a\":\"{}", "x".repeat(20 << 20));
    let packed = zstd::encode_all(endless.as_bytes(), 1).expect("memory");
    let cut = packed.len() - 3;
    sandbox.write("in/endless.jsonl.zst", &packed[..cut]);
    let (text, first) = plan(
        &sandbox,
        &["--set", "limits.max_record=1MB", "--max-malformed", "100"],
    );
    assert_eq!(first["rows"], 100 + 3 + 1, "{text}");
    assert_eq!(first["malformed"]["too_large"]["count"], 1, "{text}");
    assert_eq!(first["malformed"]["not_json"], Value::Null, "{text}");
    assert_eq!(first["unreadable"], json!([]), "{text}");
}

#[test]
fn telemetry_is_shown_by_version_and_day() {
    let sandbox = Sandbox::new();
    let mut rows = copilot_rows::conversations(3);
    let in_part = copilot_rows::request("without tool texts", 1, 1, 7200);
    let is_kept = |row: &&Value| row["Name"] == "GitHub.copilot-chat/conversation.messageText";
    rows.extend(in_part.iter().filter(is_kept).cloned());
    sandbox.write("in/a.jsonl", copilot_rows::lines(&rows, "\r\n"));
    let plan = sandbox.run(&["plan", "--input", "in", "--json"]).json();
    let shown = &plan["copilot_chat"];
    assert_eq!(shown["looked_at_all"], true);
    let day = json!({
        "version": "0.42.0",
        "day": "2026-03-01",
        "rows": 74,
        "sampled_rows": 0,
        "conversations": 4,
        "with_tool_texts": 3,
        "tool_texts": "model.message.added",
    });
    let days = shown["days"].as_array().expect("a list");
    assert!(days.contains(&day), "{shown}");
    let text = sandbox.run(&["plan", "--input", "in"]);
    assert!(text.stdout.contains("3 (75%)"), "{}", text.stdout);
}

#[test]
fn what_is_taken_out_and_changed_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", turns(3));
    let words = "a benchmark of thirteen words and more than those to be found in it";
    sandbox.write("b.jsonl", json!({"q": words}).to_string());
    sandbox.write("list", "c1\n# none\nuserName:ann\n");
    let (plain, _) = plan(&sandbox, &[]);
    assert!(
        !plain.contains("privacy") && !plain.contains("without"),
        "{plain}"
    );
    let more = [
        "--set",
        "privacy.secrets=redact",
        "--set",
        "near_duplicates.scope=across_splits",
        "--set",
        "decontaminate.files=[{path='b.jsonl',field='q'}]",
        "--exclude",
        "list",
        "--for",
        "trl",
    ];
    let (text, _) = plan(&sandbox, &more);
    for line in [
        "privacy  secrets redact, personal data off, users keep",
        "repeats  near-duplicates of 0.8 and more are left out (across_splits)",
        "without  what repeats the benchmark \"b\" (1 text)",
        "without  2 lines of selection.exclude",
        "then     a copy for trl",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn a_plan_says_whether_one_machine_is_enough_as_far_as_rows_can_be_counted() {
    let machine = |sandbox: &Sandbox| {
        let run = sandbox.run(&[&PLAN[..], &["--json"]].concat());
        run.expect(0);
        run.json()["machine"].clone()
    };
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", turns(500));
    sandbox.write("in/b.jsonl", turns(500));
    let plain = machine(&sandbox);
    let rows = plain["rows_estimate"].as_u64().expect("lines are counted");
    assert!((950..=1050).contains(&rows), "{plain}");
    assert_eq!(plain["memory_bytes"], 64_000_000 + 96 * rows);
    assert_eq!(plain["disk_bytes"], 0);
    if cfg!(target_os = "linux") {
        assert_eq!(plain["one_machine"], true, "{plain}");
    }
    let (text, _) = plan(&sandbox, &[]);
    assert!(text.contains(&format!("for about {rows} rows")), "{text}");
    sandbox.write("in/b.jsonl.gz", gzip(turns(500).as_bytes()));
    let packed = machine(&sandbox);
    for unknown in ["rows_estimate", "memory_bytes", "disk_bytes", "one_machine"] {
        assert_eq!(packed[unknown], Value::Null, "{packed}");
    }
}
