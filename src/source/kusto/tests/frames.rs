//! Answers of every kind, whole and broken, read at once and byte by byte.

use std::io::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::decode::Decoder;
use super::super::error::Failure;
use super::super::frames::{Column, FrameReader, TableSink};
use crate::domain::json;
use crate::domain::record::row::MalformedReason;
use crate::source::Action;

mod failures;
mod sizes;

/// Keeps the cells as they stand.
#[derive(Debug, Default, PartialEq)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    rejected: Vec<(usize, MalformedReason)>,
}

impl TableSink for Rows {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        assert!(self.columns.is_empty(), "columns come once");
        self.columns = columns
            .iter()
            .map(|column| format!("{}:{}", column.name, column.kind))
            .collect();
        Ok(())
    }

    fn row(&mut self, cells: &[json::Value<'_>]) -> Result<(), Failure> {
        let text = |cell: &json::Value<'_>| String::from_utf8_lossy(cell.text).into_owned();
        self.rows.push(cells.iter().map(text).collect());
        Ok(())
    }

    fn reject(
        &mut self,
        cells: &[json::Value<'_>],
        reason: MalformedReason,
    ) -> Result<(), Failure> {
        self.rejected.push((cells.len(), reason));
        Ok(())
    }
}

fn read_in(answer: &[u8], piece: usize, max_row: u64) -> Result<Rows, Failure> {
    let mut rows = Rows::default();
    let mut reader = FrameReader::new(max_row);
    for bytes in answer.chunks(piece) {
        reader.push(bytes, &mut rows)?;
    }
    reader.finish(&mut rows)?;
    Ok(rows)
}

/// The same however it is cut.
fn read(answer: &[u8]) -> Result<Rows, Failure> {
    let whole = read_in(answer, usize::MAX, 1 << 20);
    for piece in [1, 2, 7, 64, 4096] {
        let cut = read_in(answer, piece, 1 << 20);
        match (&whole, &cut) {
            (Ok(whole), Ok(cut)) => assert_eq!(whole, cut, "in pieces of {piece}"),
            (Err(whole), Err(cut)) => {
                assert_eq!(
                    whole.action(),
                    cut.action(),
                    "in pieces of {piece}: {whole} / {cut}"
                );
            }
            _ => panic!("in pieces of {piece}: {whole:?} / {cut:?}"),
        }
    }
    whole
}

fn columns() -> Value {
    json!([{"ColumnName": "id", "ColumnType": "string"}, {"ColumnName": "n", "ColumnType": "long"}])
}

fn completion(level: i64, code: &str) -> Value {
    json!({
        "FrameType": "DataTable", "TableId": 9, "TableKind": "QueryCompletionInformation",
        "TableName": "q",
        "Columns": [{"ColumnName": "Level", "ColumnType": "int"}, {"ColumnName": "StatusCodeName", "ColumnType": "string"}, {"ColumnName": "Payload", "ColumnType": "string"}],
        "Rows": [[4, "S_OK", "{}"], [level, code, "{\"Text\":\"what happened\"}"]],
    })
}

fn one_api(code: &str) -> Value {
    json!([{"error": {"code": code, "@message": code, "@permanent": false}}])
}

/// A whole answer of two fragments; tests break it.
fn frames() -> Vec<Value> {
    vec![
        json!({"FrameType": "DataSetHeader", "IsProgressive": false, "Version": "v2.0"}),
        json!({"FrameType": "DataTable", "TableId": 0, "TableKind": "QueryProperties", "TableName": "@", "Columns": columns(), "Rows": [["p", 1]]}),
        json!({"FrameType": "TableHeader", "TableId": 1, "TableKind": "PrimaryResult", "TableName": "t", "Columns": columns()}),
        json!({"FrameType": "TableFragment", "TableFragmentType": "DataAppend", "TableId": 1, "Rows": [["a\"\\]}", 1], ["", 9223372036854775807i64]]}),
        json!({"FrameType": "TableFragment", "TableFragmentType": "DataAppend", "TableId": 1, "Rows": [[null, -3]]}),
        json!({"FrameType": "TableCompletion", "TableId": 1, "RowCount": 3}),
        completion(4, "S_OK"),
        json!({"FrameType": "DataSetCompletion", "HasErrors": false, "Cancelled": false}),
    ]
}

fn answer(frames: &[Value]) -> Vec<u8> {
    let frames: Vec<String> = frames.iter().map(Value::to_string).collect();
    format!("[{}\n]\n", frames.join("\n,")).into_bytes()
}

fn plain(rows: Value) -> Vec<Value> {
    let mut plain = frames();
    plain.splice(
        2..6,
        [json!({"FrameType": "DataTable", "TableId": 1, "TableKind": "PrimaryResult", "TableName": "t", "Columns": columns(), "Rows": rows})],
    );
    plain
}

fn three_rows() -> Value {
    json!([["a\"\\]}", 1], ["", 9223372036854775807i64], [null, -3]])
}

#[test]
fn fragments_and_plain_tables_give_the_same_rows() {
    let fragments = read(&answer(&frames())).expect("whole");
    assert_eq!(fragments.columns, ["id:string", "n:long"]);
    assert_eq!(
        fragments.rows,
        [
            ["\"a\\\"\\\\]}\"", "1"],
            ["\"\"", "9223372036854775807"],
            ["null", "-3"]
        ]
    );
    assert_eq!(
        read(&answer(&plain(three_rows()))).expect("whole"),
        fragments
    );
    assert!(
        read(&answer(&plain(json!([]))))
            .expect("whole")
            .rows
            .is_empty()
    );
}

#[test]
fn keys_in_any_order_and_white_space_anywhere() {
    let expected = read(&answer(&frames())).expect("whole");
    // serde_json writes keys sorted: FrameType comes early. Here it comes last.
    let reversed = |frame: &Value| {
        let members: Vec<String> = frame
            .as_object()
            .expect("an object")
            .iter()
            .rev()
            .map(|(key, value)| format!("\n\t \"{key}\" \r\n:  {value} "))
            .collect();
        format!(" {{{} }} ", members.join(","))
    };
    for frames in [frames(), plain(three_rows())] {
        let frames: Vec<String> = frames.iter().map(reversed).collect();
        let text = format!(" \r\n[ {} ] \n\n ", frames.join(" , "));
        assert_eq!(read(text.as_bytes()).expect("legal"), expected);
    }
}

#[test]
fn an_unknown_answer_is_recognized_by_its_beginning() {
    for text in [
        "<html><body>Sign in</body></html>",
        "Query throttled",
        r#"{"Tables":[]}"#,
        "\u{feff}[]",
    ] {
        let failure = read(text.as_bytes()).expect_err("no answer");
        assert!(
            matches!(&failure, Failure::Damaged(what) if what.contains("list of frames")),
            "{failure}"
        );
    }
    for text in [
        "",
        "  \n",
        "[",
        "[]",
        "[]x",
        "[{}]",
        "[1]",
        "[{\"FrameType\":1}]",
    ] {
        assert_eq!(
            read(text.as_bytes()).expect_err("no answer").action(),
            Action::Retry,
            "{text}"
        );
    }
    let mut garbage = answer(&frames());
    garbage.extend_from_slice(b"x");
    assert!(read(&garbage).is_err());
    // An error that should have had a status of its own.
    for (text, action) in [
        (
            r#"{"error":{"code":"LimitsExceeded","@message":"m"}}"#,
            Action::Split,
        ),
        (r#" {"error":{"code":"Internal"}} "#, Action::Retry),
    ] {
        assert_eq!(
            read(format!("{text}\n").as_bytes())
                .expect_err("no answer")
                .action(),
            action
        );
    }
    // White space that is none in JSON.
    for space in ["\u{b}", "\u{c}", "\u{a0}"] {
        let text = String::from_utf8(answer(&frames())).expect("text");
        for at in [",\"TableId\"", ":1,", "[[null", "]\n"] {
            let odd = text.replacen(at, &format!("{space}{at}"), 1);
            assert_ne!(odd, text);
            assert!(read(odd.as_bytes()).is_err(), "{space:?} before {at}");
        }
    }
}

#[test]
fn reading_on_after_an_error_fails_again() {
    let text = b"[{\"FrameType\":\"DataSetHeader\",,";
    for more in [&b"x"[..], b"", &[b'x'; 100]] {
        let mut rows = Rows::default();
        let mut reader = FrameReader::new(1 << 20);
        assert!(reader.push(text, &mut rows).is_err());
        let pushed = reader.push(more, &mut rows);
        assert!(pushed.is_err() || reader.finish(&mut rows).is_err());
    }
}

proptest! {
    #[test]
    fn an_answer_that_is_cut_anywhere_is_void(at in 0usize..1000, piece in 1usize..50, fragmented in any::<bool>()) {
        let whole = match fragmented {
            true => answer(&frames()),
            false => answer(&plain(three_rows())),
        };
        // White space behind the last bracket may be missing.
        let end = whole.len() - 2;
        let cut = &whole[..at % end];
        let failure = read_in(cut, piece, 1 << 20).expect_err("cut off");
        prop_assert_eq!(failure.action(), Action::Retry);
    }

    #[test]
    fn a_flipped_byte_never_panics_nor_adds_rows(at in any::<prop::sample::Index>(), flip in 1u8..=255, piece in 1usize..50) {
        let mut bytes = answer(&frames());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(rows) = read_in(&bytes, piece, 1 << 20) {
            prop_assert!(rows.rows.len() == 3);
        }
    }

    #[test]
    fn pieces_with_many_rows_and_rows_in_many_pieces_are_read_alike(
        rows in prop::collection::vec(0usize..70_000, 0..30),
        pieces in prop::collection::vec(1usize..150_000, 1..20),
    ) {
        let rows: Vec<_> = rows.iter().enumerate().map(|(n, &length)| json!(["é\n".repeat(length / 3), n])).collect();
        let answer = answer(&plain(json!(rows)));
        let whole = read_in(&answer, usize::MAX, 1 << 20).expect("good");
        prop_assert_eq!(whole.rows.len(), rows.len());
        let mut found = Rows::default();
        let mut reader = FrameReader::new(1 << 20);
        let (mut rest, mut pieces) = (&answer[..], pieces.iter().cycle());
        while let (false, Some(&piece)) = (rest.is_empty(), pieces.next()) {
            let (piece, behind) = rest.split_at(piece.min(rest.len()));
            reader.push(piece, &mut found).expect("good");
            rest = behind;
        }
        reader.finish(&mut found).expect("whole");
        prop_assert!(found == whole, "{} rows", found.rows.len());
    }
}
