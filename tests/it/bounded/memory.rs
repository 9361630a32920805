//! Peak memory of the real binary over many shapes of input: at most 64 MB, 96 bytes for each row and what
//! its id has above 64, 350 for each invalid record, three times what the largest record has above 1 MB, and
//! what the largest window of a zstd file has above 8 MB. A run that keeps its rows is above that (of the one huge record:
//! two more copies).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::process::{Child, Stdio};
use std::sync::Arc;

use flate2::write::GzEncoder;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::support::Sandbox;

const BASE: u64 = 64_000_000;
const OF_A_ROW: u64 = 96;

/// And for each invalid record that is looked at.
const OF_AN_INVALID_RECORD: u64 = 350;
const LARGE: u64 = 1_000_000;

/// A row of a conversation; `filler` bytes are its message, and `more` its last members.
fn row(id: u32, turn: u32, filler: usize, more: &str) -> String {
    // Not the same text everywhere, so that no compression makes it small.
    let mut state = u64::from(id) << 32 | u64::from(turn) | 1;
    let text: String = (0..filler)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'a' + ((state >> 33) % 26) as u8)
        })
        .collect();
    format!(
        r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c{id}","userName":"ann","mode":"agent","turnIndex":{turn},"userMessage":"u{text}","modelMessage":"m","promptTokens":1,"completionTokens":1{more}}}"#
    )
}

/// Rows for as many conversations, of as many turns.
fn rows(conversations: u32, turns: u32, filler: usize) -> impl Iterator<Item = String> {
    (0..conversations).flat_map(move |id| (1..=turns).map(move |turn| row(id, turn, filler, "")))
}

/// Writes rows as lines; gives how many.
fn lines(out: impl Write, rows: impl Iterator<Item = String>) -> u64 {
    let mut out = BufWriter::new(out);
    let mut count = 0;
    for row in rows {
        writeln!(out, "{row}").expect("room");
        count += 1;
    }
    out.flush().expect("room");
    count
}

pub(super) fn create(sandbox: &Sandbox, name: &str) -> File {
    let path = sandbox.path("in").join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    File::create(path).expect("writable")
}

/// The most memory that a process has had, in bytes; `None` once it has ended. The kernel keeps the peak,
/// so that nothing is missed between two looks.
fn peak(process: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Exports everything that there is of `in`, which is fewer than the targets, and gives the peak.
fn export(sandbox: &Sandbox, fetchers: &str) -> u64 {
    let mut args: Vec<&str> =
        "export --input in --out out --name d --work-dir work --progress none"
            .split(' ')
            .collect();
    args.extend(["--fetchers", fetchers, "--set", "workers.uploaders=2"]);
    let targets = ["train", "val", "test"].map(|split| {
        format!("selection.targets.{split}={{short=100000,medium=100000,long=100000}}")
    });
    for target in &targets {
        args.extend(["--set", target]);
    }
    peak_of(sandbox, &args, 3)
}

/// Runs gleaner, which must end with this code, and gives the peak.
pub(super) fn peak_of(sandbox: &Sandbox, args: &[&str], code: i32) -> u64 {
    let log = File::create(sandbox.path("log")).expect("writable");
    let mut process = sandbox
        .command(args)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the binary runs");
    let mut most = 0;
    let status = loop {
        most = most.max(peak(&process).unwrap_or(0));
        match process.try_wait().expect("a child") {
            Some(status) => break status,
            None => std::thread::yield_now(),
        }
    };
    let log = fs::read_to_string(sandbox.path("log")).expect("text");
    assert_eq!(status.code(), Some(code), "{log}");
    most
}

#[track_caller]
fn assert_bounded(sandbox: &Sandbox, rows: u64, largest_record: u64) {
    assert_bounded_with(sandbox, "2", rows, largest_record, 0);
}

/// `more` is what ids, windows and pages may need.
#[track_caller]
pub(super) fn assert_bounded_with(
    sandbox: &Sandbox,
    fetchers: &str,
    rows: u64,
    largest_record: u64,
    more: u64,
) {
    let limit = BASE + OF_A_ROW * rows + 3 * largest_record.saturating_sub(LARGE) + more;
    let found = export(sandbox, fetchers);
    assert!(found > 1 << 20, "{found} is no peak of a run");
    assert!(
        found <= limit,
        "{found} bytes, {} above the limit of {limit}",
        found - limit
    );
}

/// An input of lines in one file.
fn of_lines(rows: impl Iterator<Item = String>, largest_record: u64) {
    let sandbox = Sandbox::new();
    let rows = lines(create(&sandbox, "a.jsonl"), rows);
    assert_bounded(&sandbox, rows, largest_record);
}

#[test]
fn of_many_tiny_conversations() {
    of_lines(rows(60_000, 3, 80), 1000);
}

#[test]
fn of_one_conversation_near_the_limit_of_a_record() {
    // Twenty turns of 3 MB each: together just below `limits.max_record`.
    of_lines(rows(1, 20, 3_000_000), 61_000_000);
}

#[test]
fn of_many_turns() {
    of_lines(rows(400, 20, 12_000), 260_000);
}

#[test]
fn of_many_duplicates() {
    of_lines((0..20).flat_map(|_| rows(1000, 3, 1500)), 10_000);
}

#[test]
fn of_wide_unknown_fields() {
    let wide: String = (0..300)
        .map(|field| format!(r#","x{field}":"{}""#, "y".repeat(60)))
        .collect();
    of_lines(
        (0..1500).flat_map(|id| {
            let wide = wide.clone();
            (1..=3).map(move |turn| row(id, turn, 10, &wide))
        }),
        100_000,
    );
}

/// Rows in a compressed file.
fn of_compressed<W: Write>(
    name: &str,
    encoder: impl FnOnce(File) -> W,
    finish: impl FnOnce(W) -> io::Result<File>,
) {
    let sandbox = Sandbox::new();
    let mut out = encoder(create(&sandbox, name));
    let rows = lines(&mut out, rows(3000, 4, 8000));
    finish(out).expect("room");
    assert_bounded(&sandbox, rows, 40_000);
}

#[test]
fn of_a_zstd_file() {
    let encoder = |file| zstd::Encoder::new(file, 1).expect("memory");
    of_compressed("a.jsonl.zst", encoder, zstd::Encoder::finish);
}

#[test]
fn of_a_gzip_file() {
    let encoder = |file| GzEncoder::new(file, flate2::Compression::fast());
    of_compressed("a.jsonl.gz", encoder, GzEncoder::finish);
}

/// Four fetchers at four files, one of whose windows alone is larger than `limits.in_flight`.
#[test]
fn of_zstd_files_with_large_windows() {
    let sandbox = Sandbox::new();
    let window_log = 25;
    let mut all = 0;
    for name in ["a", "b", "c", "d"] {
        let file = create(&sandbox, &format!("{name}.jsonl.zst"));
        let mut out = zstd::Encoder::new(file, 1).expect("memory");
        out.window_log(window_log).expect("known");
        all += lines(&mut out, rows(1250, 4, 8000));
        out.finish().expect("room");
    }
    // With a plain file the source does not limit itself.
    all += lines(create(&sandbox, "e.jsonl"), rows(1, 3, 10));
    assert_bounded_with(&sandbox, "4", all, 40_000, (1 << window_log) - 8_000_000);
}

#[test]
fn of_ids_of_a_megabyte() {
    let sandbox = Sandbox::new();
    let long = "i".repeat(1 << 20);
    let rows = (0..60)
        .map(|n| row(n / 3, n % 3 + 1, 10, "").replacen(r#":"c"#, &format!(r#":"{long}"#), 1));
    let rows = lines(create(&sandbox, "a.jsonl"), rows);
    assert_bounded_with(&sandbox, "2", rows, 1 << 20, rows << 20);
}

/// One row group of 90 MB: whole columns of it must never be in memory.
#[test]
fn of_a_parquet_file_with_one_large_row_group() {
    let sandbox = Sandbox::new();
    let rows = 3000 * 4;
    parquet_file(create(&sandbox, "a.parquet"), 3000, 4);
    assert_bounded(&sandbox, rows, 40_000);
}

fn parquet_file(file: File, conversations: u32, turns: u32) {
    let schema = parse_message_type(
        "message m { required binary conversationId (UTF8); required int32 turnIndex;
         required binary Timestamp (UTF8); required binary mode (UTF8); required binary userName (UTF8);
         required binary userMessage (UTF8); required binary modelMessage (UTF8); }",
    );
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .build();
    let schema = Arc::new(schema.expect("a schema"));
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    let keys = || (0..conversations).flat_map(|id| (1..=turns).map(move |turn| (id, turn)));
    for name in ["id", "turn", "at", "mode", "user", "message", "reply"] {
        let mut column = group.next_column().expect("valid").expect("a column");
        for (id, turn) in keys() {
            let text = match name {
                "id" => format!("c{id}"),
                "at" => "2025-01-01T00:00:00Z".to_owned(),
                "mode" => "agent".to_owned(),
                "message" => row(id, turn, 8000, ""),
                _ => "a".to_owned(),
            };
            match column.untyped() {
                ColumnWriter::Int32ColumnWriter(w) => {
                    w.write_batch(&[turn as i32], None, None).expect("written")
                }
                ColumnWriter::ByteArrayColumnWriter(w) => {
                    let text = ByteArray::from(text.as_str());
                    w.write_batch(&[text], None, None).expect("written")
                }
                _ => unreachable!("of the schema above"),
            };
        }
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.close().expect("written");
}

#[test]
fn of_one_json_array() {
    let sandbox = Sandbox::new();
    let mut out = BufWriter::new(create(&sandbox, "a.json"));
    let mut count = 0;
    for row in rows(3000, 4, 8000) {
        let before = if count == 0 { "[\n" } else { ",\n" };
        write!(out, "{before}{row}").expect("room");
        count += 1;
    }
    out.write_all(b"\n]\n").expect("room");
    out.flush().expect("room");
    assert_bounded(&sandbox, count, 40_000);
}

/// Each is named in a report.
#[test]
fn of_many_invalid_conversations() {
    let sandbox = Sandbox::new();
    let count = 150_000;
    let rows = (0..count).map(|id| {
        let message = if id % 100 == 0 { "q" } else { " " };
        let turn = |turn| format!(r#"{{"turnIndex":{turn},"userMessage":"{message}"}}"#);
        let turns = [1, 2, 3].map(turn).join(",");
        format!(
            r#"{{"conversationId":"conversation-{id:024}","userName":"u","turnsArray":[{turns}]}}"#
        )
    });
    let rows = lines(create(&sandbox, "a.jsonl"), rows);
    assert_bounded_with(&sandbox, "2", rows, 0, OF_AN_INVALID_RECORD * count);
}

#[test]
fn of_many_files() {
    let sandbox = Sandbox::new();
    let mut count = 0;
    for file in 0..1500 {
        let of_file = (1..=4).map(|turn| row(file, turn, 15_000, ""));
        count += lines(create(&sandbox, &format!("{file}.jsonl")), of_file);
    }
    assert_bounded(&sandbox, count, 65_000);
}
