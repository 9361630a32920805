//! Files of the same rows by writers of all kinds: the same lines come of them, and what the columns say of a row is
//! what its line says.

use parquet::basic::Encoding;
use parquet::file::properties::{WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::*;
use crate::domain::record::row::{self, RowKind};
use crate::domain::selection::stratum::fixtures::selection;

/// The values of a column.
enum Data {
    Text(Vec<Option<String>>),
    Long(Vec<Option<i64>>),
}

/// Columns: how they stand in a schema, and their values.
type Columns = Vec<(&'static str, Data)>;

const MODES: [Option<&str>; 5] = [
    Some("agent"),
    Some("agent"),
    Some("ask"),
    None,
    Some("agent"),
];

const USERS: [&str; 4] = [
    "say \"hi\"\n\u{1}",
    "",
    "日本語 \\ 🙂",
    "plain text of more than sixteen bytes",
];

/// Values of `trajectory`; the fourth and the last are malformed whatever is around them.
fn trajectories() -> [Option<String>; 7] {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    [
        Some("[{\"tool\":\"ls\",\n \"n\": 1.50}]".to_owned()),
        None,
        Some(format!("[\"{}\"]", "é\\n".repeat(700))),
        Some("[1".to_owned()),
        Some(deep(127)),
        Some(deep(128)),
        Some(deep(129)),
    ]
}

/// Rows of turns, and the lines that they are.
fn turns(rows: usize) -> (Columns, Vec<Option<String>>) {
    let trajectories = trajectories();
    let id = |row: usize| (row % 13 != 12).then(|| format!("conversation {} \t", row / 3));
    let index = |row: usize| (row % 11 != 10).then_some((row % 3) as i64 + 1);
    let mode = |row: usize| MODES[row % MODES.len()].map(str::to_owned);
    let user = |row: usize| Some(USERS[row % USERS.len()].to_owned());
    let trajectory = |row: usize| trajectories[row % trajectories.len()].clone();
    let line = |row: usize| {
        let json = |text: Option<String>| serde_json::to_string(&text).expect("text");
        let number = serde_json::to_string(&index(row)).expect("a number");
        let time = format!("2025-01-01T00:00:00.{row:06}");
        let time = time.trim_end_matches('0').trim_end_matches('.');
        let embedded = trajectory(row).map_or("null".to_owned(), |text| text.replace('\n', " "));
        let line = format!(
            r#"{{"Timestamp":"{time}Z","conversationId":{},"mode":{},"turnIndex":{number},"userMessage":{},"trajectory":{embedded}}}"#,
            json(id(row)),
            json(mode(row)),
            json(user(row)),
        );
        (!matches!(row % trajectories.len(), 3 | 6)).then_some(line)
    };
    let text = |value: &dyn Fn(usize) -> Option<String>| Data::Text((0..rows).map(value).collect());
    let time = |row: usize| Some(1_735_689_600_000_000 + row as i64);
    let columns = vec![
        (
            "required int64 Timestamp (TIMESTAMP(MICROS,true));",
            Data::Long((0..rows).map(time).collect()),
        ),
        ("optional binary conversationId (UTF8);", text(&id)),
        ("optional binary mode (UTF8);", text(&mode)),
        (
            "optional int64 turnIndex;",
            Data::Long((0..rows).map(index).collect()),
        ),
        ("required binary userMessage (UTF8);", text(&user)),
        ("optional binary trajectory (UTF8);", text(&trajectory)),
    ];
    (columns, (0..rows).map(line).collect())
}

/// Rows of conversations, and the lines that they are.
fn conversations(rows: usize) -> (Columns, Vec<Option<String>>) {
    let arrays = [
        Some(r#"[{"turnIndex":1,"userMessage":"a\ud83d"},{"turnIndex":2}]"#),
        Some("[ ]"),
        Some(r#"[{"turnIndex":1,"turnIndex":1}]"#),
        Some("[1]"),
        Some("{}"),
        Some("[{}]]"),
        None,
        Some("\n[{},\r\n{}, {}]\n"),
    ];
    let array = |row: usize| arrays[row % arrays.len()].map(str::to_owned);
    let ids = (0..rows).map(|row| format!("c{row}"));
    let line = |row: usize| {
        let array = array(row).map_or("null".to_owned(), |array| array.replace(['\n', '\r'], " "));
        (row % arrays.len() != 5)
            .then(|| format!(r#"{{"conversationId":"c{row}","turnsArray":{array}}}"#))
    };
    let columns = vec![
        (
            "required binary conversationId (UTF8);",
            Data::Text(ids.map(Some).collect()),
        ),
        (
            "optional binary turnsArray (JSON);",
            Data::Text((0..rows).map(array).collect()),
        ),
    ];
    (columns, (0..rows).map(line).collect())
}

fn write_columns(
    path: &Path,
    columns: &[(&str, Data)],
    group: usize,
    properties: WriterProperties,
) {
    let schema: Vec<_> = columns.iter().map(|(schema, _)| *schema).collect();
    let schema = format!("message m {{ {} }}", schema.join(" "));
    let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
    let rows = match &columns[0].1 {
        Data::Text(values) => values.len(),
        Data::Long(values) => values.len(),
    };
    let file = File::create(path).expect("writable");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a file");
    for start in (0..rows).step_by(group) {
        let range = start..(start + group).min(rows);
        let mut out = writer.next_row_group().expect("a group");
        for (_, data) in columns {
            let mut column = out.next_column().expect("a column").expect("as many");
            let levels =
                |is_there: &mut dyn Iterator<Item = bool>| Vec::from_iter(is_there.map(i16::from));
            match (column.untyped(), data) {
                (ColumnWriter::Int64ColumnWriter(w), Data::Long(values)) => {
                    let values = &values[range.clone()];
                    let levels = levels(&mut values.iter().map(Option::is_some));
                    let values: Vec<_> = values.iter().flatten().copied().collect();
                    w.write_batch(&values, Some(&levels), None)
                        .expect("written");
                }
                (ColumnWriter::ByteArrayColumnWriter(w), Data::Text(values)) => {
                    let values = &values[range.clone()];
                    let levels = levels(&mut values.iter().map(Option::is_some));
                    let values = values.iter().flatten();
                    let values: Vec<_> =
                        values.map(|text| ByteArray::from(text.as_str())).collect();
                    w.write_batch(&values, Some(&levels), None)
                        .expect("written");
                }
                _ => unreachable!("columns of text and of INT64"),
            }
            column.close().expect("written");
        }
        out.close().expect("written");
    }
    writer.close().expect("written");
}

fn delta(builder: WriterPropertiesBuilder, texts: Encoding) -> WriterProperties {
    let names = ["userMessage", "trajectory", "turnsArray", "conversationId"];
    let numbers = ["turnIndex", "Timestamp"];
    let of_texts = names.map(|name| (name, texts));
    let of_numbers = numbers.map(|name| (name, Encoding::DELTA_BINARY_PACKED));
    let encodings = of_texts.into_iter().chain(of_numbers);
    let builder = builder.set_dictionary_enabled(false);
    encodings
        .fold(builder, |builder, (name, encoding)| {
            builder.set_column_encoding(ColumnPath::from(name), encoding)
        })
        .build()
}

/// Writers as they are about, by what is special about each.
fn writers() -> Vec<(&'static str, usize, WriterProperties)> {
    let builder = || WriterProperties::builder().set_write_batch_size(3);
    let v2 = || builder().set_writer_version(WriterVersion::PARQUET_2_0);
    let small = |builder: WriterPropertiesBuilder| builder.set_data_page_row_count_limit(7);
    let zstd = Compression::ZSTD(Default::default());
    vec![
        ("as it is", 10_000, WriterProperties::builder().build()),
        (
            "plain",
            10_000,
            builder().set_dictionary_enabled(false).build(),
        ),
        (
            "small pages",
            100,
            small(builder())
                .set_compression(Compression::SNAPPY)
                .build(),
        ),
        ("second version", 10_000, v2().set_compression(zstd).build()),
        (
            "second version, small pages",
            64,
            small(v2()).set_compression(zstd).build(),
        ),
        (
            "delta lengths",
            33,
            delta(small(v2()), Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ),
        (
            "delta texts",
            10_000,
            delta(builder(), Encoding::DELTA_BYTE_ARRAY),
        ),
        (
            "delta texts, small pages",
            50,
            delta(small(v2()), Encoding::DELTA_BYTE_ARRAY),
        ),
        (
            "small dictionary",
            10_000,
            small(builder().set_dictionary_page_size_limit(50)).build(),
        ),
        (
            "no page index",
            40,
            small(v2()).set_offset_index_disabled(true).build(),
        ),
        ("a row a group", 1, builder().build()),
    ]
}

/// The lines of a file, `None` for each reject. What is known of each is held against the line.
fn lines_of(path: &Path) -> Vec<Option<String>> {
    let groups = cuts(&Footers::default(), path, 1, 1).expect("good").ranges[0].1;
    let piece = Piece {
        file: 0,
        start: 0,
        end: groups,
    };
    let mut reader = ParquetReader::open(
        &Footers::default(),
        path.to_owned(),
        piece,
        1 << 20,
        &Renames::default(),
    )
    .expect("good");
    let (mut block, mut found, selection) = (RowBlock::default(), Vec::new(), selection(1));
    while reader.read_block(&mut block).expect("good") {
        let text = String::from_utf8(block.bytes.clone()).expect("UTF-8");
        let mut rejects = block.rejects.iter().map(|reject| reject.line).peekable();
        let mut line = block.first_line;
        assert_eq!(block.parsed.len(), text.lines().count());
        for (known, text) in block.parsed.iter().zip(text.lines()) {
            while rejects.next_if_eq(&line).is_some() {
                found.push(None);
                line += 1;
            }
            line += 1;
            assert_eq!(known.length as usize, text.len());
            let read = row::read(text.as_bytes(), &selection);
            let kind = read
                .as_ref()
                .map_or(ParsedKind::Unread, |row| match row.kind {
                    RowKind::Turn {
                        turn,
                        at,
                        agent: true,
                    } => ParsedKind::Turn { turn, at },
                    RowKind::Conversation { turns, .. } => ParsedKind::Conversation { turns },
                    _ => ParsedKind::Unread,
                });
            assert_eq!(known.kind, kind, "{text}");
            if kind != ParsedKind::Unread {
                assert_eq!(*known.id, *read.expect("good").id, "{text}");
            }
            found.push(Some(text.to_owned()));
        }
        found.extend(rejects.map(|_| None));
        block.clear();
    }
    found
}

#[test]
fn rows_are_the_same_whoever_has_written_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    for (what, group, properties) in writers() {
        for (columns, expected) in [turns(230), conversations(230)] {
            write_columns(&path, &columns, group, properties.clone());
            let found = lines_of(&path);
            for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{what}, row {row}");
            }
            assert_eq!(found.len(), expected.len(), "{what}");
        }
    }
}

/// As many rows as are decoded at once, and some more, in one page and with nulls.
#[test]
fn a_page_of_many_rows_is_decoded_in_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let (columns, expected) = turns(2600);
    write_columns(&path, &columns, 10_000, WriterProperties::builder().build());
    assert_eq!(lines_of(&path), expected);
}
