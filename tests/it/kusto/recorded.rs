//! Answers recorded by the official clients' own tests, served over a socket: each is read right, or
//! refused with what must follow.

use std::path::Path;

use gleaner::source::Action;
use gleaner::source::kusto::error::Failure;
use gleaner::source::kusto::frames::FrameReader;

use crate::support::wire::{Reply, Rows, ask_for};

/// What a recorded answer must give.
enum Gives {
    Rows(usize),
    Not(Action),
}

/// By the file.
const RECORDED: [(&str, Gives); 26] = [
    ("go_v1_booleanInt.json", Gives::Not(Action::Retry)),
    ("go_v1_dataTypeOnly.json", Gives::Not(Action::Retry)),
    ("go_v1_error.txt", Gives::Not(Action::Retry)),
    ("go_v1_partialError.json", Gives::Not(Action::Retry)),
    ("go_v1_success.json", Gives::Not(Action::Retry)),
    ("go_v2_aliases.json", Gives::Rows(1)),
    ("go_v2_error.txt", Gives::Not(Action::Retry)),
    ("go_v2_partialError.json", Gives::Not(Action::Split)),
    ("go_v2_twoTables.json", Gives::Not(Action::Fail)),
    ("go_v2_validFrames.json", Gives::Rows(2)),
    ("py_adminthenquery.json", Gives::Not(Action::Retry)),
    ("py_alternative_order.json", Gives::Rows(11)),
    // Its last row has fewer cells than there are columns.
    ("py_dataframe.json", Gives::Not(Action::Retry)),
    ("py_deft.json", Gives::Rows(11)),
    ("py_deft_with_progressive_result.json", Gives::Rows(11)),
    ("py_dynamic.json", Gives::Rows(1)),
    ("py_null_values.json", Gives::Rows(1)),
    ("py_pandas_bool.json", Gives::Rows(3)),
    ("py_progressive_result.json", Gives::Rows(5)),
    (
        "py_query_partial_results_defer_is_false.json",
        Gives::Not(Action::Split),
    ),
    (
        "py_query_partial_results_defer_is_true.json",
        Gives::Not(Action::Split),
    ),
    (
        "py_versionshowcommandresult.json",
        Gives::Not(Action::Retry),
    ),
    ("py_zero_results.json", Gives::Rows(0)),
    ("rust_adminthenquery.json", Gives::Not(Action::Retry)),
    ("rust_dataframe.json", Gives::Rows(8)),
    ("README.md", Gives::Not(Action::Retry)),
];

/// The columns and the rows of the primary result, read without gleaner.
fn recorded(body: &[u8]) -> (Vec<String>, Vec<Vec<serde_json::Value>>) {
    let frames: Vec<serde_json::Value> = serde_json::from_slice(body).expect("a list of frames");
    let primary = frames
        .iter()
        .find(|frame| frame["TableKind"] == "PrimaryResult");
    let primary = primary.expect("a result");
    let columns = primary["Columns"].as_array().expect("columns").iter();
    let name = |column: &serde_json::Value| column["ColumnName"].as_str().expect("a name").into();
    let of_table = frames
        .iter()
        .filter(|frame| frame["TableId"] == primary["TableId"]);
    let rows = of_table.flat_map(|frame| frame["Rows"].as_array().into_iter().flatten());
    let cells = |row: &serde_json::Value| row.as_array().expect("a row").clone();
    (columns.map(name).collect(), rows.map(cells).collect())
}

#[test]
fn recorded_answers_are_read_right_or_refused_right() {
    let Ok(shared) = std::env::var("GLEANER_SHARED") else {
        eprintln!("GLEANER_SHARED is not set: the recorded answers were not read");
        return;
    };
    let folder = Path::new(&shared).join("kusto/fixtures");
    let files = std::fs::read_dir(&folder).expect("the recorded answers");
    assert_eq!(files.count(), RECORDED.len(), "every file has its line");
    for (name, gives) in RECORDED {
        let body = std::fs::read(folder.join(name)).expect(name);
        for piece in [usize::MAX, 1, 7, 4096] {
            let mut reply = Reply::ok(&body);
            reply.piece = piece;
            let found = ask_for(vec![reply]);
            // The socket may put pieces together again; here they stay apart.
            let mut cut = Rows::default();
            let mut reader = FrameReader::new(1 << 20);
            let mut pieces = body.chunks(piece);
            let read = pieces
                .try_for_each(|bytes| reader.push(bytes, &mut cut))
                .and_then(|()| reader.finish(&mut cut))
                .map(|()| cut.rows);
            let rows = found.as_ref().map(|found| found.rows.clone());
            assert_eq!(
                read.map_err(|failure| failure.action()),
                rows.map_err(Failure::action),
                "{name} in pieces of {piece}"
            );
            match (&gives, &found) {
                (Gives::Rows(rows), Ok(found)) => {
                    assert_eq!(found.rows.len(), *rows, "{name} in pieces of {piece}");
                    let (columns, cells) = recorded(&body);
                    assert_eq!(found.columns, columns, "{name} in pieces of {piece}");
                    let read = |text: &String| serde_json::from_str(text).expect("JSON");
                    let rows = found.rows.iter().map(|row| row.iter().map(read).collect());
                    assert_eq!(
                        rows.collect::<Vec<Vec<serde_json::Value>>>(),
                        cells,
                        "{name} in pieces of {piece}"
                    );
                }
                (Gives::Not(action), Err(failure)) => {
                    assert_eq!(
                        failure.action(),
                        *action,
                        "{name} in pieces of {piece}: {failure}"
                    );
                }
                (_, Ok(found)) => panic!("{name} gave {} rows", found.rows.len()),
                (_, Err(failure)) => panic!("{name} in pieces of {piece}: {failure}"),
            }
        }
    }
}
