//! Documents whole, in pieces, broken and partial.

use super::super::array::tests::{Found, Slowly, read_all};
use super::*;

fn read_in(piece: usize, text: &str, max_record: u64) -> Result<Found, String> {
    let input = Slowly {
        bytes: text.as_bytes(),
        piece,
    };
    let input = Input::new(input, "a.json".into());
    read_all(DocumentReader::new(input, RowLimits::of(max_record)))
}

fn read(text: &str) -> Result<Vec<String>, String> {
    let (rows, rejects) = read_in(7, text, 1 << 20)?;
    assert_eq!(rejects, []);
    let numbers: Vec<u64> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=rows.len() as u64).collect::<Vec<_>>());
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

const COLUMNS: &str =
    r#""columns":[{"name":"Name","type":"string"},{"type":"dynamic","name":"P\"s"}]"#;

fn table(rows: &str) -> String {
    format!(r#"{{"name":"PrimaryResult",{COLUMNS},"rows":[{rows}]}}"#)
}

fn document(tables: &str) -> String {
    format!(r#"{{"tables":[{tables}]}}"#)
}

#[test]
fn every_row_of_every_table_is_a_line_whatever_the_layout() {
    let one = table(r#"["a]",null],["b","{\"x\":[1]}"]"#);
    let two = table("[ \"c\" ,\r\n {\n \"y\" : [ 1,\n 2 ] , \"z\": \"a  b\"}\n]");
    let expected = [
        r#"{"Name":"a]","P\"s":null}"#,
        r#"{"Name":"b","P\"s":"{\"x\":[1]}"}"#,
        r#"{"Name":"c","P\"s":{"y":[1,2],"z":"a  b"}}"#,
    ];
    let compact = document(&format!("{one},{two}"));
    assert_eq!(
        read(&compact).as_deref(),
        Ok(&expected.map(str::to_owned)[..])
    );
    let extended = format!(
        "\u{feff} {{ \"statistics\" : {{\"a\":[1]}} ,\n\"tables\" : [\n {one} ,\n{two}\n ] ,\r\n\"error\":null,\"render\":{{}}\n}}\n"
    );
    for piece in [1, 3, 1000] {
        let (rows, _) = read_in(piece, &extended, 1 << 20).expect("good");
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[2].0, &rows[2].1[..]), (3, expected[2]));
    }
    assert_eq!(read(&document("")), Ok(vec![]));
    assert_eq!(read(&document(&table(""))), Ok(vec![]));
}

#[test]
fn a_part_of_an_answer_is_an_error_that_names_its_codes() {
    let error = r#""error":{"code":"PartialError","message":"m","details":[{"code":"EngineError","innererror":{"code":"-2133196797","message":"more than 500000\nrecords","severity":2}}]}"#;
    let partial = document(&table(r#"["a",null]"#)).replacen("]}]}", &format!("]}}],{error}}}"), 1);
    let text = read(&partial).expect_err("partial");
    assert_eq!(
        text,
        r"a.json is not the whole answer to its query: PartialError, EngineError, -2133196797: more than 500000\nrecords"
    );
    let only = format!("{{{error}}}");
    assert!(is_document(only.as_bytes()));
    assert_eq!(read(&only).expect_err("an error"), text);
}

#[test]
fn only_an_answer_is_taken_for_one() {
    for text in [
        r#"{"tables":[{"name":"#,
        r#" { "tables" : ["#,
        r#"{"error":{"code":"x"},"tables":["#,
        r#"{"statistics":{},"render":{},"tables":["#,
    ] {
        assert!(is_document(text.as_bytes()), "{text}");
    }
    for text in [
        "",
        "[]",
        r#"{"tables":1}"#,
        r#"{"tables""#,
        r#"{"conversationId":"a","tables":[]}"#,
        "{\"error\":{}}\n{}",
        r#"{"error":"x"}"#,
        r#"{"TimeGenerated":"#,
    ] {
        assert!(!is_document(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_broken_document_is_damaged_and_says_where() {
    let good = document(&table(r#"["a",1],["b",2]"#));
    for cut in 1..good.len() {
        let error = read(&good[..cut]).expect_err("cut off");
        assert!(error.contains("a.json is damaged"), "{cut}: {error}");
    }
    let cells = "a row has not one cell for each column at byte";
    for (from, to, what) in [
        ("[\"a\",1]", "[\"a\"]", cells),
        ("[\"a\",1]", "[\"a\",1,2]", cells),
        ("[\"a\",1]", "{}", "a row is no list at byte"),
        (
            "],[",
            "] [",
            "a comma or the end of a list is missing at byte",
        ),
        (",1]", ",nul]", "not JSON at byte"),
        (
            "}]}",
            "}]}x",
            "there is something behind the document at byte",
        ),
        ("\"columns\":[", "\"columns\":[{}", "not JSON at byte"),
        (
            "\"columns\"",
            "\"other\"",
            "the rows of a table come before its columns at byte",
        ),
        ("\"name\":\"Name\",", "", "a table has no columns at byte"),
    ] {
        let error = read(&good.replacen(from, to, 1)).expect_err(what);
        assert!(error.contains(what), "{what}: {error}");
    }
    let second = good.replacen("\"b\",2", "\"b\"", 1);
    assert!(read(&second).expect_err("short").ends_with("at row 2"));
}

#[test]
fn a_row_that_is_too_large_or_too_deep_is_a_reject_and_the_next_is_read() {
    let columns = r#""columns":[{"name":"conversationId"},{"name":"x"}]"#;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let long = "x".repeat(3 * BLOCK_BYTES);
    let text = document(&format!(
        r#"{{{columns},"rows":[["a",1],["b","{long}"],["c",{deep}],["d",2]]}}"#
    ));
    for piece in [1000, 1 << 20] {
        let (rows, rejects) = read_in(piece, &text, 10_000).expect("good");
        let numbers: Vec<u64> = rows.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 4]);
        let found: Vec<_> = rejects
            .iter()
            .map(|reject| (reject.line, reject.reason, reject.id.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                (2, MalformedReason::TooLarge, Some(&b"b"[..])),
                (3, MalformedReason::TooDeep, Some(&b"c"[..])),
            ]
        );
        let (rows, _) = read_in(piece, &text, 10 << 20).expect("good");
        assert_eq!(
            rows[1].1.len(),
            long.len() + r#"{"conversationId":"b","x":""}"#.len()
        );
    }
}
