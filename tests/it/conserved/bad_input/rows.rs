//! Rows that cannot be read are malformed.

use super::{asked, evaluated, event, file, good, malformed, with_third_turn};
use crate::support::reference::evaluate;
use crate::support::{Dataset, Sandbox, assert_equals_reference, words};

#[test]
fn lines_that_are_no_rows_are_malformed() {
    assert_eq!(
        malformed(&[
            "no json",
            "{\"conversationId\":\"x\",",
            "{\"a\":\"\0\"}",
            "{\"a\":01}"
        ]),
        ["not_json"]
    );
    assert_eq!(
        malformed(&["[]", "1", "\"text\"", "null"]),
        ["not_an_object"]
    );
    assert_eq!(
        malformed(&["{}", "{\"conversationId\":\"x\"}"]),
        ["no_schema"]
    );
    let nested = event(
        "x",
        1,
        &[("trajectory", &("[".repeat(100_000) + &"]".repeat(100_000)))],
    );
    assert_eq!(malformed(&[&nested]), ["too_deep"]);
    let twice = event("x", 1, &[]).replacen('{', "{\"turn\\u0049ndex\":1,", 1);
    assert_eq!(malformed(&[&twice]), ["duplicate_field"]);
}

#[test]
fn nesting_up_to_128_is_kept() {
    let deep = "[".repeat(127) + &"]".repeat(127);
    let mut lines = good();
    for id in 0..60 {
        lines.extend(with_third_turn(
            &format!("deep-{id}"),
            &[("trajectory", &deep)],
        ));
    }
    assert_eq!(evaluated(&file(&lines)).1.count("malformed"), 0);
    let deeper = "[".repeat(128) + &"]".repeat(128);
    assert_eq!(
        malformed(&[&event("x", 1, &[("trajectory", &deeper)])]),
        ["too_deep"]
    );
}

#[test]
fn invalid_utf8_is_malformed() {
    let mut bytes = (good().join("\n") + "\n").into_bytes();
    bytes.extend(
        event("x", 1, &[])
            .replace("ann", "\u{1}")
            .into_bytes()
            .iter()
            .map(|&b| if b == 1 { 0xff } else { b }),
    );
    let (_sandbox, dataset, _) = evaluated(&vec![("a.jsonl".to_owned(), bytes)]);
    assert_eq!(dataset.metadata["malformed"]["invalid_utf8"]["count"], 1);
}

#[test]
fn fields_of_the_wrong_kind_are_malformed() {
    let ids = r#""" 5 null "\ud83d" absent"#;
    let turns = r#""3" 3.5 null 1e30 true 99999999999999999999"#;
    let times = r#""yesterday" 5 null absent "2025-02-30T00:00:00Z""#;
    for (field, values, reason) in [
        ("conversationId", ids, "conversation_id"),
        ("turnIndex", turns, "turn_index"),
        ("Timestamp", times, "timestamp"),
    ] {
        for value in words(values) {
            let found = malformed(&[&event("x", 1, &[(field, value)])]);
            assert_eq!(found, [reason], "{field} {value}");
        }
    }
}

#[test]
fn arrays_of_turns_that_are_none_are_malformed() {
    let conversation = |turns: &str| {
        format!(
            r#"{{"conversationId":"x","userName":"n","turnCount":3,"bucket":"short","turnsArray":{turns}}}"#
        )
    };
    let good: Vec<String> = (0..200)
        .map(|id| conversation(r#"[{"turnIndex":1,"userMessage":"u"},{"turnIndex":2,"userMessage":"u"},{"turnIndex":3,"userMessage":"u"}]"#).replace("\"x\"", &format!("\"c{id}\"")))
        .collect();
    for (turns, reason) in [
        ("null", "turns_array"),
        ("{}", "turns_array"),
        ("[1]", "turn_not_object"),
        ("[{\"turnIndex\":1,\"turnIndex\":1}]", "duplicate_field"),
    ] {
        let mut lines = good.clone();
        lines.push(conversation(turns));
        let (_sandbox, dataset, _) = evaluated(&file(&lines));
        assert_eq!(dataset.metadata["malformed"][reason]["count"], 1, "{turns}");
    }
}

#[test]
fn too_many_malformed_rows_fail_the_run_which_names_the_first() {
    let sandbox = Sandbox::new();
    let mut lines = good();
    lines.insert(7, "no json".to_owned());
    lines.extend(vec!["[]".to_owned(); 20]);
    sandbox.write_input(&file(&lines));
    let run = sandbox.export(&asked(), &["--max-malformed", "1"]);
    run.says(1, &["21 of 821 rows", "a.jsonl:8"]);
    assert!(!sandbox.path("out/d/metadata.json").exists());
    sandbox
        .export(&asked(), &["--max-malformed", "3"])
        .expect(3);
}

#[test]
fn a_large_line_is_a_row_and_a_larger_one_is_malformed() {
    let mut lines = good();
    let long = format!("\"{}\"", "x".repeat(3 << 20));
    for turn in 1..=4 {
        lines.push(event("long", turn, &[("userMessage", &long)]));
    }
    let files = file(&lines);
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    let mut asked = asked();
    // The rows pass, their conversation does not.
    asked.max_record = 4_000_000;
    sandbox.export(&asked, &["--set", "limits.max_record=4MB"]);
    assert_equals_reference(&sandbox.dataset(), &evaluate(&files, &asked));
    assert_eq!(
        sandbox.dataset().metadata["malformed"]["too_large"]["count"],
        4
    );
    // The rows themselves do not pass.
    asked.max_record = 3_000_000;
    sandbox.export(
        &asked,
        &["--fresh", "--name", "e", "--set", "limits.max_record=3MB"],
    );
    let dataset = Dataset::read(&sandbox.path("out/e"));
    assert_equals_reference(&dataset, &evaluate(&files, &asked));
    assert_eq!(
        dataset.metadata["malformed"]["too_large"]["examples"][0]["line"],
        801
    );
}

#[test]
fn both_shapes_in_one_run_are_refused_and_a_row_of_each_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in/a.jsonl",
        "no json\n".to_owned() + &event("x", 1, &[]) + "\n",
    );
    sandbox.write(
        "in/b.jsonl",
        "\n{\"conversationId\":\"x\",\"turnsArray\":[]}\n",
    );
    let run = sandbox.export(&asked(), &[]);
    run.says(2, &["in/a.jsonl:2", "in/b.jsonl:2"]);
}

#[test]
fn retyped_and_missing_columns_of_parquet_are_malformed_or_null() {
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    let schema =
        "message m { required binary conversationId (UTF8); required binary turnIndex (UTF8); }";
    let schema =
        std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).expect("a schema"));
    let mut out = Vec::new();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(&mut out, schema, Default::default())
            .expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    while let Some(mut column) = group.next_column().expect("a column") {
        if let ColumnWriter::ByteArrayColumnWriter(w) = column.untyped() {
            w.write_batch(&[ByteArray::from("1")], None, None)
                .expect("written");
        }
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.close().expect("written");
    let sandbox = Sandbox::new();
    sandbox.write("in/a.parquet", out);
    let run = sandbox.export(&asked(), &[]);
    run.says(1, &["malformed: turn_index 1"]);
    sandbox.write("in/a.parquet", "PAR1 but not really PAR1");
    let run = sandbox.export(&asked(), &["--fresh", "--name", "e"]);
    run.says(1, &["in/a.parquet is damaged"]);
}
