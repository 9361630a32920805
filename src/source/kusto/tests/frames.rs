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
fn every_way_to_fail_within_a_200_is_noticed() {
    let broken = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut frames = frames();
        change(&mut frames);
        read(&answer(&frames)).expect_err("broken").action()
    };
    // Among the rows, where an array is expected.
    assert_eq!(
        broken(&|f| f[3]["Rows"] = json!([["a", 1], {"OneApiErrors": one_api("LimitsExceeded")}])),
        Action::Split
    );
    assert_eq!(broken(&|f| f[3]["Rows"] = json!([{"x": 1}])), Action::Retry);
    // In the table's completion.
    assert_eq!(
        broken(&|f| f[5]["OneApiErrors"] = one_api("LowMemoryCondition")),
        Action::RetryThenSplit
    );
    // In the answer's completion.
    assert_eq!(broken(&|f| f[7]["HasErrors"] = json!(true)), Action::Retry);
    assert_eq!(broken(&|f| f[7]["Cancelled"] = json!(true)), Action::Retry);
    assert_eq!(
        broken(&|f| f[7]["OneApiErrors"] = one_api("E_RUNAWAY_QUERY")),
        Action::Split
    );
    // In the completion information alone.
    assert_eq!(
        broken(&|f| f[6] = completion(2, "(E_QUERY_RESULT_SET_TOO_LARGE)")),
        Action::Split
    );
    assert_eq!(broken(&|f| f[6] = completion(1, "Critical")), Action::Retry);
    // No end, or something behind it.
    assert_eq!(broken(&|f| drop(f.pop())), Action::Retry);
    assert_eq!(broken(&|f| f.push(f[6].clone())), Action::Retry);
    // Counts and shapes that do not fit.
    assert_eq!(broken(&|f| f[5]["RowCount"] = json!(4)), Action::Retry);
    assert_eq!(
        broken(&|f| f[3]["Rows"] = json!([["a"], ["b", 1]])),
        Action::Retry
    );
    assert_eq!(broken(&|f| f[3]["TableId"] = json!(2)), Action::Retry);
    assert_eq!(
        broken(&|f| f[3]["TableFragmentType"] = json!("DataReplace")),
        Action::Retry
    );
    assert_eq!(broken(&|f| drop(f.remove(5))), Action::Retry);
    assert_eq!(broken(&|f| drop(f.remove(2))), Action::Retry);
    assert_eq!(broken(&|f| drop(f.remove(0))), Action::Retry);
    assert_eq!(broken(&|f| f[0]["Version"] = json!("v3.0")), Action::Retry);
    assert_eq!(
        broken(&|f| f[1]["FrameType"] = json!("Other")),
        Action::Retry
    );
    // Two results are a fault of the query.
    assert_eq!(
        broken(&|f| {
            let mut second = plain(three_rows())[2].clone();
            second["TableId"] = json!(2);
            f.insert(6, second);
        }),
        Action::Fail
    );
}

#[test]
fn a_code_leads_to_its_action_wherever_it_stands() {
    let places: [fn(&mut Vec<Value>, &Value, &str); 4] = [
        |f, errors, _| f[4]["Rows"] = json!([{"OneApiErrors": errors}]),
        |f, errors, _| f[5]["OneApiErrors"] = errors.clone(),
        |f, errors, _| f[7]["OneApiErrors"] = errors.clone(),
        |f, _, code| f[6] = completion(2, code),
    ];
    for (code, action) in [
        ("E_QUERY_RESULT_SET_TOO_LARGE", Action::Split),
        ("LimitsExceeded", Action::Split),
        ("E_RUNAWAY_QUERY", Action::Split),
        ("RequestExecutionTimeout", Action::Split),
        ("LowMemoryCondition", Action::RetryThenSplit),
        ("QueryThrottled", Action::Throttle { retry_after: None }),
        ("Internal", Action::Retry),
    ] {
        for (place, break_it) in places.iter().enumerate() {
            // Alone, and as what follows from an error that says less.
            for errors in [
                one_api(code),
                json!([one_api("General")[0], one_api(code)[0]]),
            ] {
                let mut frames = frames();
                break_it(&mut frames, &errors, code);
                let failure = read(&answer(&frames)).expect_err("a partial failure");
                assert_eq!(
                    failure.action(),
                    action,
                    "{code} in place {place}: {failure}"
                );
            }
        }
    }
}

#[test]
fn a_repeated_frame_is_damaged() {
    let text = String::from_utf8(answer(&frames())).expect("text");
    for (once, again) in [
        ("\"RowCount\":3", "\"RowCount\":3"),
        (
            "\"TableKind\":\"PrimaryResult\"",
            "\"TableKind\":\"QueryProperties\"",
        ),
        ("\"Rows\":[[null,-3]]", "\"Rows\":[[null,-3]]"),
        (
            "\"FrameType\":\"TableHeader\"",
            "\"FrameType\":\"TableProgress\"",
        ),
    ] {
        let twice = text.replacen(once, &format!("{once},{again}"), 1);
        assert_ne!(twice, text, "{once}");
        let failure = read(twice.as_bytes()).expect_err("which one counts?");
        assert!(failure.to_string().contains("twice"), "{once}: {failure}");
    }
    // Of what is bad news once is enough.
    let cancelled = "\"Cancelled\":false";
    let text = text.replace(cancelled, &format!("\"Cancelled\":true,{cancelled}"));
    assert!(read(text.as_bytes()).is_err());
}

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
fn a_row_too_large_or_too_deep_is_passed_over_and_the_rest_is_read() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let large = "x".repeat(5_000);
    let text = String::from_utf8(answer(&frames())).expect("text");
    let text = text.replace(
        "[null,-3]",
        &format!("[\"deep\",{deep}],[\"large\",\"{large}\\\"]\"],[null,-3]"),
    );
    let text = text.replace("\"RowCount\":3", "\"RowCount\":5");
    for piece in [1, 100, 4096, usize::MAX] {
        let rows = read_in(text.as_bytes(), piece, 1000).expect("whole");
        assert_eq!(rows.rows.len(), 3, "in pieces of {piece}");
        assert_eq!(
            rows.rejected
                .iter()
                .map(|(cells, _)| *cells)
                .collect::<Vec<_>>(),
            [1, 1],
            "the id is known, in pieces of {piece}"
        );
        assert_eq!(rows.rejected[1].1, MalformedReason::TooLarge);
    }
}

#[test]
fn a_row_both_too_large_and_too_deep_is_too_large_however_it_arrives() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let large = "x".repeat(5_000);
    let text = String::from_utf8(answer(&frames())).expect("text");
    let text = text.replace(
        "[null,-3]",
        &format!("[\"a\",{deep},\"{large}\"],[\"b\",\"{large}\",{deep}],[\"c\",{deep}],[null,-3]"),
    );
    let text = text.replace("\"RowCount\":3", "\"RowCount\":6");
    for piece in [1, 100, 4096, usize::MAX] {
        let rows = read_in(text.as_bytes(), piece, 1000).expect("whole");
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
        // Whatever is held is looked at again with the next piece.
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
    // They were not the result's, or nobody can tell what they are.
    let other = primary.replace("PrimaryResult", "QueryProperties");
    assert!(ends(&columns, &format!("{other},{kind}")).is_err());
    // Not even if the result follows: theirs would be mixed with its rows.
    let result = format!("{{{kind},{primary},{columns},\"Rows\":[[\"a\",1]]");
    let failure = ends(
        &columns,
        &format!("{other},{kind},\"TableId\":0}},{result}"),
    );
    let failure = failure.expect_err("two tables in one").to_string();
    assert!(failure.contains("before what tells of them"), "{failure}");
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

/// Counts how often a row was begun.
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
    // What tells of the rows comes before them: they are given as they come.
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
