//! The dataset's bytes depend on the population, the selection and the seed, and on nothing else.

use std::sync::Arc;

use crate::support::packed::gzip;
use crate::support::reference::{Asked, evaluate};
use crate::support::{Sandbox, assert_equals_reference, corpus};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

fn rows() -> Vec<Vec<u8>> {
    corpus::events(5, 1500)
}

fn asked() -> Asked {
    let mut asked = Asked::new("s", 2);
    asked.targets.insert(("train", "medium"), 40);
    asked
}

fn digest(files: &corpus::Files, asked: &Asked, more: &[&str]) -> String {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    sandbox.export(asked, more).expect(0);
    sandbox.dataset().digest()
}

#[test]
fn whatever_the_number_of_workers() {
    let files = corpus::in_files(&rows(), 3, "a");
    let first = digest(&files, &asked(), &[]);
    for fetchers in ["1", "2", "8"] {
        for validators in ["1", "4"] {
            for uploaders in ["1", "4"] {
                let workers = [
                    "--fetchers",
                    fetchers,
                    "--validators",
                    validators,
                    "--uploaders",
                    uploaders,
                ];
                assert_eq!(digest(&files, &asked(), &workers), first, "{workers:?}");
            }
        }
    }
}

#[test]
fn whatever_the_files_and_the_order_of_rows() {
    let rows = rows();
    let files = corpus::in_files(&rows, 1, "a");
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    sandbox.export(&asked(), &[]).expect(0);
    assert_equals_reference(&sandbox.dataset(), &evaluate(&files, &asked()));
    let first = sandbox.dataset().digest();
    for (seed, count) in [(1, 1), (2, 2), (3, 16)] {
        assert_eq!(
            digest(&corpus::shuffled(&rows, count, seed), &asked(), &[]),
            first
        );
    }
}

#[test]
fn whatever_the_chunks() {
    // Large enough to be cut: pieces are a megabyte or more.
    let rows = corpus::events(6, 6000);
    let files = corpus::in_files(&rows, 1, "a");
    assert!(files[0].1.len() > 6 << 20, "{}", files[0].1.len());
    let first = digest(&files, &asked(), &["--chunks", "1"]);
    for chunks in ["7", "40", "64"] {
        assert_eq!(
            digest(&files, &asked(), &["--chunks", chunks]),
            first,
            "{chunks}"
        );
    }
}

#[test]
fn whatever_the_compression() {
    let rows = rows();
    let plain = corpus::in_files(&rows, 2, "a");
    let first = digest(&plain, &asked(), &[]);
    let gz = |(name, bytes): &(String, Vec<u8>)| (format!("{name}.gz"), gzip(bytes));
    let zst = |(name, bytes): &(String, Vec<u8>)| {
        (
            format!("{name}.zst"),
            zstd::encode_all(&bytes[..], 3).expect("memory"),
        )
    };
    assert_eq!(
        digest(&plain.iter().map(gz).collect(), &asked(), &[]),
        first
    );
    assert_eq!(
        digest(&plain.iter().map(zst).collect(), &asked(), &[]),
        first
    );
    assert_eq!(
        digest(&vec![gz(&plain[0]), plain[1].clone()], &asked(), &[]),
        first
    );
    // Members and frames that end within lines, and one that needs a larger window.
    let parts = |pack: &dyn Fn(&[u8]) -> Vec<u8>, (name, bytes): &(String, Vec<u8>), to: &str| {
        (
            format!("{name}.{to}"),
            bytes.chunks(70_001).flat_map(pack).collect(),
        )
    };
    let many = vec![
        parts(&|part| gzip(part), &plain[0], "gz"),
        parts(
            &|part| zstd::encode_all(part, 1).expect("memory"),
            &plain[1],
            "zst",
        ),
    ];
    assert_eq!(digest(&many, &asked(), &[]), first);
    assert_eq!(
        digest(&many, &asked(), &["--set", "limits.in_flight=1MB"]),
        first
    );
}

/// One column for each field of these plain events; the trajectory as JSON text.
fn parquet_file(events: &[(String, i64, String)]) -> Vec<u8> {
    let schema = "message m {
        required binary Timestamp (UTF8);
        required binary conversationId (UTF8);
        required binary userName (UTF8);
        required binary mode (UTF8);
        required int64 turnIndex;
        required binary userMessage (UTF8);
        required int64 promptTokens;
        required binary trajectory (UTF8);
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut out = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(&mut out, schema, properties).expect("a file");
    for group in events.chunks(100) {
        let mut columns = writer.next_row_group().expect("a group");
        for number in 0.. {
            let Some(mut column) = columns.next_column().expect("a column") else {
                break;
            };
            match column.untyped() {
                ColumnWriter::Int64ColumnWriter(w) => {
                    let values: Vec<i64> = group
                        .iter()
                        .map(|e| if number == 4 { e.1 } else { 7 })
                        .collect();
                    w.write_batch(&values, None, None).expect("written");
                }
                ColumnWriter::ByteArrayColumnWriter(w) => {
                    let value = |e: &(String, i64, String)| match number {
                        0 => "2025-01-01T00:00:00Z".to_owned(),
                        1 => e.0.clone(),
                        2 => "ann".to_owned(),
                        3 => "agent".to_owned(),
                        5 => e.2.clone(),
                        _ => r#"[{"b": 1.0, "a": "x"}]"#.to_owned(),
                    };
                    let values: Vec<ByteArray> = group
                        .iter()
                        .map(|e| ByteArray::from(value(e).into_bytes()))
                        .collect();
                    w.write_batch(&values, None, None).expect("written");
                }
                _ => unreachable!("the schema has no other columns"),
            }
            column.close().expect("written");
        }
        columns.close().expect("written");
    }
    writer.close().expect("written");
    out
}

#[test]
fn whether_rows_come_from_json_lines_or_from_parquet() {
    let mut events = Vec::new();
    for number in 0..300 {
        for turn in 1..=(number % 20) {
            events.push((
                format!("c{number}"),
                turn,
                format!("say \"{number}\" é\n{turn}"),
            ));
        }
    }
    let line = |(id, turn, message): &(String, i64, String)| {
        let message = serde_json::to_string(message).expect("text");
        format!(r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"{id}","userName":"ann","mode":"agent","turnIndex":{turn},"userMessage":{message},"promptTokens":7,"trajectory":[{{"b": 1.0, "a": "x"}}]}}"#).into_bytes()
    };
    let lines = corpus::in_files(&events.iter().map(line).collect::<Vec<_>>(), 1, "a");
    let parquet = vec![("a.parquet".to_owned(), parquet_file(&events))];
    let mut asked = Asked::new("s", 2);
    asked.targets.insert(("train", "long"), 20);
    for sort_keys in ["auto", "always"] {
        let sort_keys = format!("sink.sort_keys={sort_keys}");
        let more = ["--set", sort_keys.as_str()];
        assert_eq!(
            digest(&lines, &asked, &more),
            digest(&parquet, &asked, &more)
        );
    }
}

#[test]
fn synthetic_telemetry_is_the_same_from_the_source_and_from_its_files() {
    let sandbox = Sandbox::new();
    let common = "export --work-dir w --out out --format json --progress none --json --test --set source.synthetic.conversations=3000";
    let run = |more: &str| {
        let all = format!("{common} {more}");
        let run = sandbox.run(&all.split(' ').collect::<Vec<_>>());
        run.expect(0);
        run.json()["content_sha256"].clone()
    };
    let golden = "dbdd67a57640";
    let first = run("--fresh --name a --set source.kind=synthetic --chunks 40");
    assert!(
        first.as_str().is_some_and(|d| d.starts_with(golden)),
        "{first}"
    );
    for (name, chunks) in [("b", "1"), ("c", "7"), ("d", "64")] {
        let more = format!("--fresh --name {name} --set source.kind=synthetic --chunks {chunks}");
        assert_eq!(run(&more), first, "{chunks} chunks");
    }
    sandbox
        .run(&["synth", "--conversations", "3000", "--out", "synthetic"])
        .expect(0);
    assert_eq!(run("--fresh --name e --input synthetic"), first);
}

#[test]
fn a_smaller_target_is_a_subset() {
    let files = corpus::in_files(&rows(), 1, "a");
    let records = |asked: &Asked| {
        let sandbox = Sandbox::new();
        sandbox.write_input(&files);
        sandbox.export(asked, &[]).expect(0);
        sandbox.dataset().records("train/medium_6_to_10_turns.json")
    };
    let mut half = asked();
    half.targets.insert(("train", "medium"), 20);
    let (all, half) = (records(&asked()), records(&half));
    assert_eq!((all.len(), half.len()), (40, 20));
    assert_eq!(
        all[..20],
        half[..],
        "in rank order the smaller sample comes first"
    );
}

#[test]
fn lines_and_arrays_hold_the_same_records() {
    let files = corpus::in_files(&rows(), 1, "a");
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    sandbox.export(&asked(), &[]).expect(0);
    let array = sandbox.dataset().records("train/medium_6_to_10_turns.json");
    sandbox
        .export(
            &asked(),
            &["--fresh", "--format", "jsonl", "--out", "lines"],
        )
        .expect(0);
    let lines = std::fs::read_to_string(sandbox.path("lines/d/train/medium_6_to_10_turns.jsonl"))
        .expect("a file");
    assert_eq!(lines.lines().collect::<Vec<_>>(), array);
    assert!(lines.ends_with('\n'));
    sandbox.run(&["verify", "lines/d"]).expect(0);
}
