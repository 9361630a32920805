//! Parquet: columns of other types, columns that are missing, conversations, and damage.

use std::sync::Arc;

use crate::support::reference::Asked;
use crate::support::{Dataset, Sandbox, corpus};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A column's declaration, and its value for conversation `id` and turn `turn`.
type Column = (&'static str, fn(u32, i32) -> Cell);

enum Cell {
    Text(String),
    Int(i64),
    Double(f64),
    Null,
}

fn text(value: impl Into<String>) -> Cell {
    Cell::Text(value.into())
}

const ID: Column = ("required binary conversationId (UTF8)", |id, _| {
    text(format!("c{id}"))
});
const MODE: Column = ("required binary mode (UTF8)", |_, _| text("agent"));
const AT: Column = ("required binary Timestamp (UTF8)", |_, _| {
    text("2025-01-01T00:00:00Z")
});
const TURN: Column = ("required int64 turnIndex", |_, turn| Cell::Int(turn.into()));
const USER: Column = ("optional binary userName (UTF8)", |_, turn| match turn {
    1 => Cell::Null,
    _ => text("ann"),
});
const MESSAGE: Column = ("required binary userMessage (UTF8)", |id, turn| {
    text(format!("say \"{id}\"\n{turn} é🙂"))
});
const TOKENS: Column = ("optional int64 promptTokens", |id, turn| match id % 5 {
    0 => Cell::Null,
    _ => Cell::Int(turn.into()),
});

const CONVERSATIONS: u32 = 120;

fn turns_of(id: u32) -> i32 {
    1 + (id % 21) as i32
}

fn event_keys() -> Vec<(u32, i32)> {
    (0..CONVERSATIONS)
        .flat_map(|id| (1..=turns_of(id)).map(move |turn| (id, turn)))
        .collect()
}

/// The same events as lines; the columns that are missing are null in the record.
fn lines() -> corpus::Files {
    let row = |(id, turn): &(u32, i32)| {
        let user = if *turn == 1 { "null" } else { "\"ann\"" };
        let tokens = if id % 5 == 0 {
            "null".to_owned()
        } else {
            turn.to_string()
        };
        format!(
            r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c{id}","userName":{user},"mode":"agent","turnIndex":{turn},"userMessage":"say \"{id}\"\n{turn} é🙂","promptTokens":{tokens}}}"#
        )
        .into_bytes()
    };
    corpus::in_files(&event_keys().iter().map(row).collect::<Vec<_>>(), 1, "a")
}

fn parquet(columns: &[Column], keys: &[(u32, i32)]) -> Vec<u8> {
    let declared: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let schema = format!("message m {{ {}; }}", declared.join("; "));
    let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
    let mut out = Vec::new();
    let mut file = SerializedFileWriter::new(&mut out, schema, Default::default()).expect("a file");
    for rows in keys.chunks(100) {
        let mut group = file.next_row_group().expect("a group");
        for (declaration, value) in columns {
            let mut column = group.next_column().expect("good").expect("a column");
            let cells: Vec<Cell> = rows.iter().map(|(id, turn)| value(*id, *turn)).collect();
            write_column(
                column.untyped(),
                &cells,
                declaration.starts_with("optional"),
            );
            column.close().expect("written");
        }
        group.close().expect("written");
    }
    file.close().expect("written");
    out
}

fn write_column(column: &mut ColumnWriter<'_>, cells: &[Cell], optional: bool) {
    let present = |cell: &Cell| i16::from(!matches!(cell, Cell::Null));
    let levels: Vec<i16> = cells.iter().map(present).collect();
    let levels = optional.then_some(&levels[..]);
    let ints = || {
        cells.iter().filter_map(|cell| match cell {
            Cell::Int(n) => Some(*n),
            _ => None,
        })
    };
    let written = match column {
        ColumnWriter::Int32ColumnWriter(w) => {
            let values: Vec<i32> = ints().map(|n| n as i32).collect();
            w.write_batch(&values, levels, None)
        }
        ColumnWriter::Int64ColumnWriter(w) => {
            w.write_batch(&ints().collect::<Vec<_>>(), levels, None)
        }
        ColumnWriter::DoubleColumnWriter(w) => {
            let value = |cell: &Cell| match cell {
                Cell::Double(n) => Some(*n),
                _ => None,
            };
            let values: Vec<f64> = cells.iter().filter_map(value).collect();
            w.write_batch(&values, levels, None)
        }
        ColumnWriter::ByteArrayColumnWriter(w) => {
            let value = |cell: &Cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.clone().into_bytes())),
                _ => None,
            };
            let values: Vec<ByteArray> = cells.iter().filter_map(value).collect();
            w.write_batch(&values, levels, None)
        }
        _ => unreachable!("no test has such a column"),
    };
    let values = cells.iter().filter(|cell| present(cell) == 1).count();
    assert_eq!(written.expect("written"), values);
}

fn export(name: &str, bytes: &[u8]) -> (Sandbox, Dataset) {
    let sandbox = Sandbox::new();
    sandbox.write(&format!("in/{name}"), bytes);
    sandbox.export(&Asked::new("s", 1000), &[]).expect(3);
    let dataset = sandbox.dataset();
    (sandbox, dataset)
}

/// With one good conversation beside it, so that there is a dataset to look at.
fn export_beside_a_good_one(name: &str, bytes: &[u8]) -> (Sandbox, Dataset) {
    let sandbox = Sandbox::new();
    let good = (1..=3).map(|turn| {
        format!(
            r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"good","userName":"u","mode":"agent","turnIndex":{turn},"userMessage":"hi"}}"#
        )
    });
    sandbox.write("in/z.jsonl", good.collect::<Vec<_>>().join("\n"));
    sandbox.write(&format!("in/{name}"), bytes);
    sandbox.export(&Asked::new("s", 1000), &[]).expect(3);
    let dataset = sandbox.dataset();
    (sandbox, dataset)
}

fn of_lines() -> String {
    let lines = lines();
    let (_sandbox, dataset) = export("a.jsonl", &lines[0].1);
    assert_eq!(dataset.count("conversations"), u64::from(CONVERSATIONS));
    dataset.digest()
}

#[test]
fn missing_columns_are_absent_fields_and_the_order_of_columns_is_no_matter() {
    let expected = of_lines();
    for columns in [
        [ID, MODE, AT, TURN, USER, MESSAGE, TOKENS],
        [TOKENS, MESSAGE, USER, TURN, AT, MODE, ID],
    ] {
        let bytes = parquet(&columns, &event_keys());
        assert_eq!(export("a.parquet", &bytes).1.digest(), expected);
    }
}

#[test]
fn retyped_columns_that_mean_the_same_give_the_same_bytes() {
    let expected = of_lines();
    let retyped: [Column; 5] = [
        ("required int32 turnIndex", |_, turn| Cell::Int(turn.into())),
        ("required double turnIndex", |_, turn| {
            Cell::Double(turn.into())
        }),
        (
            "required int64 Timestamp (TIMESTAMP(MILLIS,true))",
            |_, _| Cell::Int(1_735_689_600_000),
        ),
        (
            "required int64 Timestamp (TIMESTAMP(MICROS,true))",
            |_, _| Cell::Int(1_735_689_600_000_000),
        ),
        (
            "required int64 Timestamp (TIMESTAMP(NANOS,true))",
            |_, _| Cell::Int(1_735_689_600_000_000_000),
        ),
    ];
    for column in retyped {
        let (turn, at) = if column.0.contains("turnIndex") {
            (column, AT)
        } else {
            (TURN, column)
        };
        let bytes = parquet(&[ID, MODE, at, turn, USER, MESSAGE, TOKENS], &event_keys());
        assert_eq!(
            export("a.parquet", &bytes).1.digest(),
            expected,
            "{}",
            column.0
        );
    }
}

#[test]
fn columns_that_a_row_cannot_do_without_make_every_row_malformed() {
    let retyped: Column = ("required binary turnIndex (UTF8)", |_, turn| {
        text(turn.to_string())
    });
    let number: Column = ("required int64 conversationId", |id, _| {
        Cell::Int(id.into())
    });
    let cases: [(&[Column], &str); 6] = [
        (&[MODE, AT, TURN, MESSAGE], "conversation_id"),
        (&[number, MODE, AT, TURN, MESSAGE], "conversation_id"),
        (&[ID, MODE, AT, MESSAGE], "no_schema"),
        (&[ID, MODE, TURN, MESSAGE], "timestamp"),
        (&[ID, MODE, AT, retyped, MESSAGE], "turn_index"),
        (
            &[ID, ("required binary turnsArray (UTF8)", |_, _| text("{}"))],
            "turns_array",
        ),
    ];
    for (columns, reason) in cases {
        let keys = event_keys();
        let file = parquet(columns, &keys);
        let (_sandbox, dataset) = export_beside_a_good_one("a.parquet", &file);
        let malformed = &dataset.metadata["malformed"];
        assert_eq!(
            malformed[reason]["count"],
            keys.len(),
            "{reason}: {malformed}"
        );
        assert_eq!(
            malformed[reason]["examples"][99]["line"], 100,
            "rows count from 1"
        );
    }
}

#[test]
fn a_missing_mode_filters_and_a_missing_message_is_invalid() {
    let keys = event_keys();
    let no_mode = parquet(&[ID, AT, TURN, MESSAGE], &keys);
    let (_sandbox, dataset) = export_beside_a_good_one("a.parquet", &no_mode);
    assert_eq!(dataset.count("filtered"), keys.len() as u64);
    let no_message = parquet(&[ID, MODE, AT, TURN, USER], &keys);
    let (_sandbox, dataset) = export_beside_a_good_one("a.parquet", &no_message);
    let strata = dataset.metadata["strata"].as_array().expect("a list");
    let sum = |key: &str| strata.iter().filter_map(|s| s[key].as_u64()).sum::<u64>();
    assert_eq!((sum("records"), sum("invalid")), (1, sum("population") - 1));
}

#[test]
fn conversations_are_written_in_the_canonical_form() {
    const TURNS: &str = r#"[{"userMessage":"\u0041","turnIndex":1.0,"x":null},{"turnIndex":3,"userMessage":"c","trajectory":{"b": 1}},{"turnIndex":2,"userMessage":"b","promptTokens":1.50}]"#;
    let columns: [Column; 5] = [
        ("required binary zone (UTF8)", |_, _| text("z")),
        ("required binary turnsArray (UTF8)", |_, _| text(TURNS)),
        ("required int64 turnCount", |_, _| Cell::Int(3)),
        ("required binary bucket (UTF8)", |_, _| text("short")),
        USER,
    ];
    let mut columns = columns.to_vec();
    columns.push(ID);
    // Turn 2 of each key has a user name.
    let keys: Vec<(u32, i32)> = (0..30).map(|id| (id, 2)).collect();
    let (_sandbox, dataset) = export("a.parquet", &parquet(&columns, &keys));
    let records = dataset.records("train/short_3_to_5_turns.json");
    assert!(!records.is_empty());
    for record in records {
        let tail = record.split_once(r#","userName""#).expect("a record").1;
        assert_eq!(
            tail,
            concat!(
                r#":"ann","turnCount":3,"bucket":"short","turnsArray":["#,
                r#"{"turnIndex":1,"userMessage":"A","modelMessage":null,"promptTokens":null,"completionTokens":null,"llmCallCount":null},"#,
                r#"{"turnIndex":2,"userMessage":"b","modelMessage":null,"promptTokens":1.50,"completionTokens":null,"llmCallCount":null},"#,
                r#"{"turnIndex":3,"userMessage":"c","modelMessage":null,"promptTokens":null,"completionTokens":null,"llmCallCount":null,"trajectory":{"b": 1}}],"#,
                r#""promptTokens":null,"completionTokens":null,"llmCallCount":null,"zone":"z"}"#
            )
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_damaged_and_named() {
    let good = parquet(&[ID, MODE, AT, TURN, USER, MESSAGE], &event_keys());
    for cut in [0, 3, good.len() / 2, good.len() - 1] {
        let sandbox = Sandbox::new();
        sandbox.write("in/a.parquet", &good[..cut]);
        let run = sandbox.export(&Asked::new("s", 1), &[]);
        run.says(1, &["in/a.parquet is damaged"]);
        assert!(!sandbox.path("out/d/metadata.json").exists());
    }
}
