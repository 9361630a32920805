//! Rows and answers that are too large, and what is held of them.

use super::*;

#[test]
fn what_never_ends_is_not_held() {
    let long = "x".repeat(1 << 16);
    for (begin, goes_on) in [
        ("[{\"", &*long),
        ("{\"error\":\"", &long),
        ("[{\"FrameType\":\"", &long),
        ("[{\"FrameType\":\"DataTable\",\"Rows\":[{\"", &long),
    ] {
        let mut reader = FrameReader::new(1 << 20);
        let mut rows = Rows::default();
        reader
            .push(begin.as_bytes(), &mut rows)
            .expect("it may go on");
        let pushed = (0..1024).find_map(|_| reader.push(goes_on.as_bytes(), &mut rows).err());
        let failure = pushed.expect("64 MiB are too much");
        assert_eq!(failure.action(), Action::Retry, "{begin}: {failure}");
    }
}

/// An answer with more rows before its last one, and so many in all.
fn answer_with(rows: &str, count: u32) -> String {
    let text = String::from_utf8(answer(&frames())).expect("text");
    text.replace("[null,-3]", &format!("{rows},[null,-3]"))
        .replace("\"RowCount\":3", &format!("\"RowCount\":{count}"))
}

/// The same answer, read in pieces of several sizes.
fn read_in_pieces(rows: &str, count: u32) -> [(usize, Rows); 4] {
    let text = answer_with(rows, count);
    [1, 100, 4096, usize::MAX].map(|piece| {
        let rows = read_in(text.as_bytes(), piece, 1000);
        (piece, rows.expect("whole"))
    })
}

#[test]
fn a_row_too_large_or_too_deep_is_passed_over_and_the_rest_is_read() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let large = "x".repeat(5_000);
    let rows = format!("[\"deep\",{deep}],[\"large\",\"{large}\\\"]\"]");
    for (piece, rows) in read_in_pieces(&rows, 5) {
        assert_eq!(rows.rows.len(), 3, "in pieces of {piece}");
        let cells: Vec<_> = rows.rejected.iter().map(|(cells, _)| *cells).collect();
        assert_eq!(cells, [1, 1], "the id is known, in pieces of {piece}");
        assert_eq!(rows.rejected[1].1, MalformedReason::TooLarge);
    }
}

#[test]
fn a_row_both_too_large_and_too_deep_is_too_large_however_it_arrives() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let large = "x".repeat(5_000);
    let rows = format!("[\"a\",{deep},\"{large}\"],[\"b\",\"{large}\",{deep}],[\"c\",{deep}]");
    for (piece, rows) in read_in_pieces(&rows, 6) {
        let reasons: Vec<_> = rows.rejected.iter().map(|(_, reason)| *reason).collect();
        use MalformedReason::{TooDeep, TooLarge};
        assert_eq!(
            reasons,
            [TooLarge, TooLarge, TooDeep],
            "in pieces of {piece}"
        );
    }
}

#[test]
fn white_space_that_arrives_byte_by_byte_is_passed_once() {
    let space = " \n\t\r".repeat(1_000);
    let text = String::from_utf8(answer(&frames())).expect("text");
    for key in ["\"FrameType\"", "\"Rows\""] {
        let text = text.replace(key, &format!("{space}{key}{space}"));
        let text = text.replace(&format!("{space}:"), &format!("{space}:{space}"));
        let mut rows = Rows::default();
        let mut reader = FrameReader::new(1000);
        // Bytes that are held are read again with the next piece.
        let mut held = 0;
        for bytes in text.as_bytes().chunks(1) {
            reader.push(bytes, &mut rows).expect("legal");
            held += reader.held();
        }
        reader.finish(&mut rows).expect("whole");
        assert!(held < 16 * text.len(), "{held} for {} bytes", text.len());
    }
}

#[test]
fn many_rows_before_their_frame_is_known_are_read_if_a_table_is_open() {
    let row = json!(["x".repeat(1000), 1]);
    let rows = Value::Array(vec![row; 6000]).to_string();
    let ends = |frame: &str| {
        let mut before = frames();
        before.truncate(3);
        let before: Vec<String> = before.iter().map(Value::to_string).collect();
        let after = answer(&[
            json!({"FrameType": "TableCompletion", "TableId": 1, "RowCount": 6000}),
            completion(4, "S_OK"),
            json!({"FrameType": "DataSetCompletion", "HasErrors": false, "Cancelled": false}),
        ]);
        let after = String::from_utf8(after).expect("text");
        let text = format!(
            "[{},{{\"Rows\":{rows},{frame}}},{}",
            before.join(","),
            &after[1..]
        );
        read_in(text.as_bytes(), 100_000, 1 << 20).map(|rows| rows.rows.len())
    };
    let fragment =
        "\"TableId\":1,\"TableFragmentType\":\"DataAppend\",\"FrameType\":\"TableFragment\"";
    assert_eq!(ends(fragment), Ok(6000));
    let other = fragment.replace("\"TableId\":1", "\"TableId\":2");
    assert!(ends(&other).is_err(), "they were not that table's");
}

#[test]
fn many_rows_of_a_table_before_it_is_known_to_be_the_result_are_read() {
    let row = json!(["x".repeat(1000), 1]);
    let rows = Value::Array(vec![row; 6000]).to_string();
    let columns = columns();
    let ends = |before: &str, after: &str| {
        let frames = answer(&plain(json!([])));
        let text = String::from_utf8(frames).expect("text");
        let table = plain(json!([]))[2].to_string();
        let odd = format!("{{{before},\"Rows\":{rows},{after},\"TableId\":1}}");
        let odd = text.replacen(&table, &odd, 1);
        assert_ne!(odd, text);
        read_in(odd.as_bytes(), 100_000, 1 << 20).map(|rows| rows.rows.len())
    };
    let (kind, primary) = (
        "\"FrameType\":\"DataTable\"",
        "\"TableKind\":\"PrimaryResult\"",
    );
    let columns = format!("\"Columns\":{columns}");
    // By name, as some writers of JSON sort keys; and the other ways to know too little.
    assert_eq!(ends(&format!("{columns},{kind}"), primary), Ok(6000));
    assert_eq!(ends(&columns, &format!("{primary},{kind}")), Ok(6000));
    assert_eq!(ends(&format!("{primary},{columns}"), kind), Ok(6000));
    // They were not the result's, or it is unknown what they are.
    let other = primary.replace("PrimaryResult", "QueryProperties");
    assert!(ends(&columns, &format!("{other},{kind}")).is_err());
    // Not even if the result follows: theirs would be mixed with its rows.
    let result = format!("{{{kind},{primary},{columns},\"Rows\":[[\"a\",1]]");
    let failure = ends(
        &columns,
        &format!("{other},{kind},\"TableId\":0}},{result}"),
    );
    let failure = failure.expect_err("two tables in one").to_string();
    assert!(failure.contains("before their columns"), "{failure}");
    let fragment = "\"FrameType\":\"TableFragment\",\"TableFragmentType\":\"DataAppend\"";
    assert!(ends(&columns, &format!("{primary},{fragment}")).is_err());
}

#[test]
fn rows_before_their_columns_are_read_at_any_size_once_these_are_known() {
    let row = json!(["x".repeat(1000), 1]);
    let rows = Value::Array(vec![row; 6000]).to_string();
    let text = |kind: &str, columns: &Value| {
        let answer = String::from_utf8(answer(&plain(json!([])))).expect("text");
        let table = plain(json!([]))[2].to_string();
        let odd = format!(
            "{{\"FrameType\":\"DataTable\",\"Rows\":{rows},\"Columns\":{columns},\"TableKind\":\"{kind}\",\"TableId\":1}}"
        );
        answer.replacen(&table, &odd, 1)
    };
    let read = |text: &str, expected: Option<Vec<Column>>| {
        let mut reader = FrameReader::new(1 << 20).expecting(expected);
        let mut rows = Rows::default();
        let pieces = text.as_bytes().chunks(100_000);
        let pushed = pieces
            .map(|piece| reader.push(piece, &mut rows))
            .find(Result::is_err);
        let late = reader.late_columns().map(<[_]>::to_vec);
        let read = pushed
            .unwrap_or(Ok(()))
            .and_then(|()| reader.finish(&mut rows));
        (read.map(|()| rows.rows.len()), late, rows.rows.len())
    };
    let result = text("PrimaryResult", &columns());
    let (first, late, given) = read(&result, None);
    assert_eq!(first.expect_err("unknown").action(), Action::Retry);
    assert_eq!(given, 0, "what takes the rows can take them anew");
    let late = late.expect("they were seen");
    let (second, ..) = read(&result, Some(late.clone()));
    assert_eq!(second, Ok(6000));
    // Others than expected void the answer, and are known from then on.
    let mut others = columns();
    others[1]["ColumnName"] = json!("other");
    let (third, other, _) = read(&text("PrimaryResult", &others), Some(late.clone()));
    assert!(third.is_err() && other.is_some_and(|other| other != late));
    // A table that was not the result is no fault, but the result is missing then.
    let (fourth, late, _) = read(&text("QueryProperties", &columns()), None);
    let failure = fourth.expect_err("there is no result");
    assert!(failure.to_string().contains("no result"), "{failure}");
    assert_eq!(late, None);
}

#[test]
fn a_list_of_columns_is_no_larger_than_a_record_may_be() {
    let list = |count: usize| {
        let column = json!({"ColumnName": "c".repeat(100), "ColumnType": "string"});
        let mut frames = plain(json!([]));
        frames[2]["Columns"] = Value::Array(vec![column; count]);
        answer(&frames)
    };
    for piece in [1000, usize::MAX] {
        let failure = read_in(&list(2000), piece, 100_000).expect_err("200 KB of columns");
        assert_eq!(failure.action(), Action::Fail);
        assert!(
            failure.to_string().contains("limits.max_record"),
            "{failure}"
        );
        assert!(read_in(&list(2000), piece, 1 << 20).is_ok());
    }
}

/// Counts how often a row was started.
#[derive(Default)]
struct Begun {
    begun: usize,
    rows: usize,
}

impl TableSink for Begun {
    fn columns(&mut self, _: &[Column]) -> Result<(), Failure> {
        Ok(())
    }

    fn cell<'a>(
        &mut self,
        index: usize,
        scanner: &mut json::Scanner<'a>,
    ) -> Result<json::Value<'a>, json::JsonError> {
        self.begun += usize::from(index == 0);
        scanner.value()
    }

    fn row(&mut self, _: &[json::Value<'_>]) -> Result<(), Failure> {
        self.rows += 1;
        Ok(())
    }

    fn reject(&mut self, _: &[json::Value<'_>], reason: MalformedReason) -> Result<(), Failure> {
        panic!("{reason:?}")
    }
}

#[test]
fn what_a_piece_cuts_is_begun_twice_and_small_pieces_are_joined() {
    const ROWS: usize = 200;
    let rows: Vec<_> = (0..ROWS).map(|n| json!(["a".repeat(15_000), n])).collect();
    // The columns come before the rows: rows are passed on as they arrive.
    let mut frames: Vec<_> = plain(json!([])).iter().map(Value::to_string).collect();
    let table = frames[2].replace(r#""Rows":[],"#, "");
    let table = table.trim_end_matches('}');
    frames[2] = format!(r#"{table},"Rows":{}}}"#, json!(rows));
    let answer = format!("[{}]", frames.join(",")).into_bytes();
    let pieces: Vec<_> = answer.chunks(16 << 10).collect();
    let mut found = Begun::default();
    let mut reader = FrameReader::new(1 << 20);
    for piece in &pieces {
        reader.push(piece, &mut found).expect("good");
    }
    reader.finish(&mut found).expect("whole");
    assert_eq!(found.rows, ROWS);
    assert!(found.begun <= 2 * ROWS, "begun {} times", found.begun);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packer.write_all(&answer).expect("memory");
    let packed = packer.finish().expect("memory");
    for (is_packed, body) in [(false, &answer), (true, &packed)] {
        let pieces: Vec<_> = body.chunks(16 << 10).collect();
        let mut found = Begun::default();
        let mut decoder = Decoder::new(is_packed, FrameReader::new(1 << 20));
        decoder.push(&pieces, &mut found).expect("good");
        decoder.finish(&mut found).expect("whole");
        assert_eq!(found.rows, ROWS);
        // 3 MB are joined to six pieces. Each cuts a row, and so does what is put behind that row.
        assert!(found.begun <= ROWS + 2 * 6, "begun {} times", found.begun);
    }
}
