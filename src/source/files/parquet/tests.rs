//! Rows of good files, and errors of files that cannot be read.

use super::*;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

mod writers;

fn write(path: &Path, trajectories: &[Option<&str>]) {
    let schema = "message m {
        required binary conversationId (UTF8);
        required int64 turnIndex;
        required int64 Timestamp (TIMESTAMP(NANOS,true));
        required double score;
        optional binary trajectory (UTF8);
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("writable");
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a file");
    let n = trajectories.len();
    for group in [&trajectories[..n / 2], &trajectories[n / 2..]] {
        let mut rows = writer.next_row_group().expect("a group");
        while let Some(mut column) = rows.next_column().expect("a column") {
            let count = group.len();
            match column.untyped() {
                ColumnWriter::Int64ColumnWriter(w) => {
                    drop(w.write_batch(&vec![1_735_689_600_000_000_123; count], None, None));
                }
                ColumnWriter::DoubleColumnWriter(w) => {
                    drop(w.write_batch(&vec![f64::NAN; count], None, None));
                }
                ColumnWriter::ByteArrayColumnWriter(w) => {
                    let optional = w.get_descriptor().max_def_level() > 0;
                    let texts: Vec<ByteArray> = if optional {
                        group
                            .iter()
                            .flatten()
                            .map(|t| ByteArray::from(*t))
                            .collect()
                    } else {
                        vec![ByteArray::from("é\"x"); count]
                    };
                    let levels: Vec<i16> = group.iter().map(|t| i16::from(t.is_some())).collect();
                    let levels = optional.then_some(&levels[..]);
                    drop(w.write_batch(&texts, levels, None));
                }
                _ => unreachable!("the schema has no other columns"),
            }
            column.close().expect("written");
        }
        rows.close().expect("written");
    }
    writer.close().expect("written");
}

fn read(path: &Path, start: u64, end: u64) -> (Vec<String>, Vec<Reject>) {
    let piece = Piece {
        file: 0,
        start,
        end,
    };
    let mut reader = ParquetReader::open(
        &Footers::default(),
        path.to_owned(),
        piece,
        1000,
        &Renames::default(),
    )
    .expect("good");
    let mut block = RowBlock::default();
    let (mut lines, mut rejects) = (Vec::new(), Vec::new());
    while reader.read_block(&mut block).expect("good") {
        let text = String::from_utf8(block.bytes.clone()).expect("UTF-8");
        lines.extend(text.lines().map(str::to_owned));
        rejects.append(&mut block.rejects);
        block.clear();
    }
    (lines, rejects)
}

#[test]
fn rows_become_json_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let long = format!("[\"{}\"]", "x".repeat(2000));
    write(
        &path,
        &[Some("[1,\n 2]"), Some("[1] , 2"), None, Some(&long)],
    );
    let (lines, rejects) = read(&path, 0, 2);
    let line = |trajectory: &str| {
        format!(
            r#"{{"conversationId":"é\"x","turnIndex":1735689600000000123,"Timestamp":"2025-01-01T00:00:00.000000123Z","score":null,"trajectory":{trajectory}}}"#
        )
    };
    assert_eq!(lines, [line("[1,  2]"), line("null")]);
    let reject = |line, reason| Reject {
        line,
        reason,
        id: Some("é\"x".as_bytes().into()),
    };
    assert_eq!(
        rejects,
        [
            reject(2, MalformedReason::NotJson),
            reject(4, MalformedReason::TooLarge)
        ]
    );
    assert_eq!(
        cuts(&Footers::default(), &path, 100, 50)
            .expect("good")
            .ranges,
        [(0, 1), (1, 2)]
    );
    assert_eq!(read(&path, 1, 2).0, [line("null")]);
}

#[test]
fn damage_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    write(&path, &[None; 4]);
    let good = std::fs::read(&path).expect("a file");
    for bad in [&good[..good.len() / 2], b"", b"PAR1"] {
        std::fs::write(&path, bad).expect("writable");
        let error = cuts(&Footers::default(), &path, 1, 1)
            .expect_err("damaged")
            .to_string();
        assert!(error.contains("a.parquet is damaged"), "{error}");
    }
}

/// Levels and values of a column of rows: a list of two, an empty one, none, a list of one.
const LEVELS: ([i16; 5], [i16; 5]) = ([2, 2, 1, 0, 2], [0, 1, 0, 0, 0]);

/// A file whose columns all have these levels, and values that count from 1.
fn write_lists(path: &Path, schema: &str, compression: Compression, levels: (&[i16], &[i16])) {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("writable");
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a file");
    let mut rows = writer.next_row_group().expect("a group");
    while let Some(mut column) = rows.next_column().expect("a column") {
        let most = match column.untyped() {
            ColumnWriter::Int32ColumnWriter(w) => w.get_descriptor().max_def_level(),
            ColumnWriter::ByteArrayColumnWriter(w) => w.get_descriptor().max_def_level(),
            _ => unreachable!("no other columns"),
        };
        let count = levels.0.iter().filter(|level| **level == most).count() as i32;
        let (definitions, repetitions) = (Some(levels.0), Some(levels.1));
        let written = match column.untyped() {
            ColumnWriter::Int32ColumnWriter(w) => {
                w.write_batch(&Vec::from_iter(1..=count), definitions, repetitions)
            }
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let texts: Vec<_> = (1..=count)
                    .map(|n| ByteArray::from(format!("t{n}").into_bytes()))
                    .collect();
                w.write_batch(&texts, definitions, repetitions)
            }
            _ => unreachable!("no other columns"),
        };
        written.expect("written");
        column.close().expect("written");
    }
    rows.close().expect("written");
    writer.close().expect("written");
}

#[test]
fn lists_of_two_and_three_levels_come_out_as_they_are_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let numbers = ["[1,2]", "[]", "null", "[3]"];
    let objects = [r#"[{"n":1},{"n":2}]"#, "[]", "null", r#"[{"n":3}]"#];
    let pairs = [
        r#"[{"n":1,"t":"t1"},{"n":2,"t":"t2"}]"#,
        "[]",
        "null",
        r#"[{"n":3,"t":"t3"}]"#,
    ];
    for (list, expected) in [
        ("repeated int32 element", numbers),
        ("repeated int32 array", numbers),
        ("repeated group list { required int32 element; }", numbers),
        (
            "repeated group bag { required int32 array_element; }",
            numbers,
        ),
        ("repeated group array { required int32 n; }", objects),
        ("repeated group x_tuple { required int32 n; }", objects),
        (
            "repeated group list { required group element { required int32 n; } }",
            objects,
        ),
        (
            "repeated group array { required int32 n; required binary t (UTF8); }",
            pairs,
        ),
        (
            "repeated group element { required int32 n; required binary t (UTF8); }",
            pairs,
        ),
    ] {
        let end = if list.ends_with('}') { "" } else { ";" };
        let schema = format!("message m {{ optional group x (LIST) {{ {list}{end} }} }}");
        let levels = (&LEVELS.0[..], &LEVELS.1[..]);
        write_lists(&path, &schema, Compression::UNCOMPRESSED, levels);
        let (lines, _) = read(&path, 0, 1);
        assert_eq!(lines, expected.map(|x| format!("{{\"x\":{x}}}")), "{list}");
    }
}

#[test]
fn lists_within_lists_and_lists_without_a_name_come_out_as_they_are_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    // [[1, 2], []] and none.
    let levels = (&[3, 3, 2, 0][..], &[0, 2, 1, 0][..]);
    for (list, expected) in [
        (
            "repeated group array (LIST) { repeated int32 array; }",
            "[[1,2],[]]",
        ),
        (
            "repeated group array { repeated int32 n; }",
            r#"[{"n":[1,2]},{"n":[]}]"#,
        ),
        (
            "repeated group list { repeated int32 element; }",
            "[[1,2],[]]",
        ),
    ] {
        let schema = format!("message m {{ optional group x (LIST) {{ {list} }} }}");
        write_lists(&path, &schema, Compression::UNCOMPRESSED, levels);
        let (lines, _) = read(&path, 0, 1);
        assert_eq!(
            lines,
            [format!("{{\"x\":{expected}}}"), r#"{"x":null}"#.to_owned()],
            "{list}"
        );
    }
    let levels = (&[1, 1, 0][..], &[0, 1, 0][..]);
    for (field, expected) in [
        ("repeated int32 x;", "[1,2]"),
        (
            "repeated group x { required int32 n; }",
            r#"[{"n":1},{"n":2}]"#,
        ),
    ] {
        write_lists(
            &path,
            &format!("message m {{ {field} }}"),
            Compression::UNCOMPRESSED,
            levels,
        );
        let (lines, _) = read(&path, 0, 1);
        assert_eq!(
            lines,
            [format!("{{\"x\":{expected}}}"), r#"{"x":[]}"#.to_owned()],
            "{field}"
        );
    }
}

#[test]
fn every_codec_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    for codec in [
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ] {
        let many = [2, 2].repeat(500);
        let levels = (&many[..], &[0, 1].repeat(500)[..]);
        let schema = "message m { optional group x (LIST) { repeated binary array (UTF8); } }";
        write_lists(&path, schema, codec, levels);
        let (lines, _) = read(&path, 0, 1);
        assert_eq!(lines.len(), 500, "{codec}");
        assert_eq!(lines[499], r#"{"x":["t999","t1000"]}"#, "{codec}");
    }
}

#[test]
fn what_is_not_supported_is_not_called_damaged() {
    let path = Path::new("a.parquet");
    for error in [
        ParquetError::NYI("The codec type LZO is not supported yet".to_owned()),
        ParquetError::General("Parquet file has an encrypted footer but".to_owned()),
    ] {
        let error = damaged(path, &error);
        let SourceError::Unsupported { hint, .. } = &error else {
            panic!("{error}");
        };
        assert!(
            !error.to_string().contains("damaged") && hint.contains("brotli"),
            "{error}"
        );
    }
}

/// Writes one column of each of some types, the same values for every row.
#[allow(clippy::type_complexity, reason = "a test's table of writers")]
fn write_values(path: &Path, schema: &str, rows: usize, mut values: Vec<WriteColumn>) {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("writable");
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    values.reverse();
    while let Some(mut column) = group.next_column().expect("a column") {
        values.pop().expect("a value for each column")(column.untyped(), rows);
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.close().expect("written");
}

/// Writes a column of so many rows.
type WriteColumn = Box<dyn Fn(&mut ColumnWriter<'_>, usize)>;

fn long(value: i64) -> WriteColumn {
    Box::new(move |column, rows| match column {
        ColumnWriter::Int64ColumnWriter(w) => {
            w.write_batch(&vec![value; rows], None, None)
                .expect("written");
        }
        _ => unreachable!("a column of INT64"),
    })
}

fn fixed(bytes: &'static [u8]) -> WriteColumn {
    Box::new(move |column, rows| match column {
        ColumnWriter::FixedLenByteArrayColumnWriter(w) => {
            let value = FixedLenByteArray::from(ByteArray::from(bytes));
            w.write_batch(&vec![value; rows], None, None)
                .expect("written");
        }
        _ => unreachable!("a column of bytes"),
    })
}

#[test]
fn timestamps_keep_their_day_and_digits_wherever_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let schema = "message m {
        required int64 ms (TIMESTAMP(MILLIS,true));
        required int64 us (TIMESTAMP(MICROS,false));
        required group g { required int64 ns (TIMESTAMP(NANOS,true)); required int96 old; }
        required int64 far (TIMESTAMP(MILLIS,true));
    }";
    const LAST: i64 = 253_402_300_799;
    // 2025-01-01 is the Julian day 2460677; more rows than are read at once, each another one.
    let old: WriteColumn = Box::new(|column, rows| match column {
        ColumnWriter::Int96ColumnWriter(w) => {
            let value = |row: usize| Int96::from(vec![row as u32, 0, 2_460_677]);
            let values: Vec<Int96> = (0..rows).map(value).collect();
            w.write_batch(&values, None, None).expect("written");
        }
        _ => unreachable!("a column of INT96"),
    });
    let values = vec![
        long(LAST * 1000),
        long(LAST * 1_000_000 + 999_999),
        long(1_735_689_600_000_000_123),
        old,
        long((LAST + 1) * 1000),
    ];
    write_values(&path, schema, 3000, values);
    let (lines, _) = read(&path, 0, 1);
    assert_eq!(lines.len(), 3000);
    for (row, line) in lines.iter().enumerate() {
        let digits = match row {
            0 => String::new(),
            row => format!(".{row:09}").trim_end_matches('0').to_owned(),
        };
        let expected = format!(
            r#"{{"ms":"9999-12-31T23:59:59Z","us":"9999-12-31T23:59:59.999999Z","g":{{"ns":"2025-01-01T00:00:00.000000123Z","old":"2025-01-01T00:00:00{digits}Z"}},"far":"+010000-01-01T00:00:00Z"}}"#
        );
        assert_eq!(*line, expected);
    }
}

#[test]
fn a_uuid_is_text_and_other_bytes_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    const BYTES: &[u8] = b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
    let schema =
        |logical: &str| format!("message m {{ required fixed_len_byte_array(16) u{logical}; }}");
    write_values(&path, &schema(" (UUID)"), 1, vec![fixed(BYTES)]);
    let uuid = r#"{"u":"01234567-89ab-cdef-0123-456789abcdef"}"#;
    assert_eq!(read(&path, 0, 1).0, [uuid]);
    write_values(&path, &schema(""), 1, vec![fixed(b"0123456789abcdef")]);
    assert_eq!(read(&path, 0, 1).0, [r#"{"u":"0123456789abcdef"}"#]);
    write_values(&path, &schema(""), 1, vec![fixed(BYTES)]);
    let (lines, rejects) = read(&path, 0, 1);
    assert!(lines.is_empty());
    assert_eq!(rejects[0].reason, MalformedReason::InvalidUtf8);
    let interval =
        "message m { required group g { required fixed_len_byte_array(12) i (INTERVAL); } }";
    write_values(&path, interval, 1, vec![fixed(b"0123456789ab")]);
    let (file, start, end) = (0, 0, 1);
    let error = ParquetReader::open(
        &Footers::default(),
        path,
        Piece { file, start, end },
        1000,
        &Renames::default(),
    )
    .err();
    let error = error.expect("refused").to_string();
    assert!(error.contains("column `g.i`, an INTERVAL"), "{error}");
}

#[test]
fn what_is_of_the_type_json_is_read_as_json_wherever_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let schema =
        "message m { required binary a (JSON); required group g { required binary b (JSON); } }";
    let text = |text: &'static str| -> WriteColumn {
        Box::new(move |column, rows| match column {
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let values = vec![ByteArray::from(text); rows];
                w.write_batch(&values, None, None).expect("written");
            }
            _ => unreachable!("a column of bytes"),
        })
    };
    write_values(&path, schema, 1, vec![text(r#""ls""#), text(r#"{"n": 1}"#)]);
    assert_eq!(read(&path, 0, 1).0, [r#"{"a":"ls","g":{"b":{"n": 1}}}"#]);
    write_values(&path, schema, 1, vec![text("1"), text("{")]);
    assert_eq!(read(&path, 0, 1).1[0].reason, MalformedReason::NotJson);
}

#[test]
fn what_a_column_is_called_says_whether_it_holds_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    write(&path, &[Some("[1]"), Some("[2]")]);
    let pairs = [("userMessage", "trajectory"), ("modelMessage", "x")];
    let owned = pairs.map(|(name, path)| (name.to_owned(), path.to_owned()));
    let fields = Renames::new(owned).expect("good");
    let piece = Piece {
        file: 0,
        start: 0,
        end: 2,
    };
    let mut reader =
        ParquetReader::open(&Footers::default(), path, piece, 1000, &fields).expect("good");
    let mut block = RowBlock::default();
    reader.read_block(&mut block).expect("good");
    let text = String::from_utf8_lossy(&block.bytes);
    assert!(text.contains(r#""trajectory":"[1]""#), "{text}");
}
