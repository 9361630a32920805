//! gleaner's own sources and sinks, held against the kits that others hold theirs against. A folder
//! and a container are held where they are tested.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;

use gleaner::domain::record::row::RowShape;
use gleaner::domain::selection::stratum::Selection;
use gleaner::source::files::FilesSource;
use gleaner::source::synthetic::SyntheticSource;
use gleaner::source::synthetic::settings::Synthetic;
use gleaner::source::{ConversationSource, FetchOrder, Pass};
use gleaner::testing::{
    MemorySink, MemorySource, census_conformance, collect, sink_conformance, source_conformance,
};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use crate::support::packed::{gzip, zst};

const CONVERSATIONS: u32 = 240;

fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("some")
}

/// Text that no other row has, and that does not pack well.
fn message(seed: u32, bytes: usize) -> String {
    let mut state = u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = format!("{seed} é🙂 ");
    while text.len() < bytes {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).rotate_left(23) | 1;
        text.push_str(&format!("{state:016x}"));
    }
    text
}

fn conversations(bytes: usize) -> Vec<Value> {
    let turn = |id: u32, turn: u32| {
        let message = message(id * 100 + turn, bytes);
        json!({"turnIndex": turn, "userMessage": message, "modelMessage": "m"})
    };
    (0..CONVERSATIONS)
        .map(|id| {
            let turns: Vec<_> = (1..=1 + id % 12).map(|number| turn(id, number)).collect();
            json!({"conversationId": format!("c{id} é"), "turnsArray": turns})
        })
        .collect()
}

fn events(bytes: usize) -> Vec<Value> {
    let row = |id: u32, turn: u32| {
        json!({
            "conversationId": format!("c{id}"), "mode": "agent", "turnIndex": turn,
            "Timestamp": "2025-01-01T00:00:00Z", "userMessage": message(id * 100 + turn, bytes),
        })
    };
    let turns = |id| (1..=1 + id % 4).map(move |turn| row(id, turn));
    (0..CONVERSATIONS).flat_map(turns).collect()
}

fn lines(rows: &[Value]) -> Vec<u8> {
    rows.iter()
        .flat_map(|row| format!("{row}\n").into_bytes())
        .collect()
}

/// With everything that a line may be.
fn untidy(rows: &[Value]) -> Vec<u8> {
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    for (number, row) in rows.iter().enumerate() {
        bytes.extend_from_slice(row.to_string().as_bytes());
        bytes.extend_from_slice(match number {
            20 => b"\r\n\n \n",
            21 => b"\n{\"no UTF-8\": \"\xff\"}\n",
            22 => b"\nnot JSON\n",
            _ => b"\n",
        });
        if number % 60 == 30 {
            // Longer than a block; every other one is too large.
            let large = message(number as u32, (1 << 20) * (1 + number / 60 % 2) + 7);
            bytes.extend_from_slice(format!("{{\"large\": \"{large}\"}}\n").as_bytes());
        }
    }
    bytes.pop();
    bytes
}

/// All values but whole numbers as text; `turnsArray` holds JSON.
fn parquet(rows: &[Value], columns: &[&str]) -> Vec<u8> {
    let is_number = |column: &str| rows[0][column].is_number();
    let declared = columns.iter().map(|column| match is_number(column) {
        true => format!("required int64 {column};"),
        false => format!("required binary {column} (UTF8);"),
    });
    let schema = format!("message m {{ {} }}", declared.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
    let mut out = Vec::new();
    let mut file = SerializedFileWriter::new(&mut out, schema, Default::default()).expect("a file");
    for rows in rows.chunks(50) {
        let mut group = file.next_row_group().expect("a group");
        for name in columns {
            let mut column = group.next_column().expect("good").expect("a column");
            let written = match column.untyped() {
                ColumnWriter::Int64ColumnWriter(w) => {
                    let values = rows.iter().map(|row| row[name].as_i64().expect("a number"));
                    w.write_batch(&values.collect::<Vec<_>>(), None, None)
                }
                ColumnWriter::ByteArrayColumnWriter(w) => {
                    let text = |value: &Value| match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    let values = rows
                        .iter()
                        .map(|row| ByteArray::from(text(&row[name]).into_bytes()));
                    w.write_batch(&values.collect::<Vec<_>>(), None, None)
                }
                _ => unreachable!("there are no other columns"),
            };
            written.expect("written");
            column.close().expect("written");
        }
        group.close().expect("written");
    }
    file.close().expect("written");
    out
}

/// Holds files against the kit; gives how many pieces and rows they have.
async fn files(named: &[(&str, Vec<u8>)]) -> (usize, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in named {
        std::fs::write(folder.path().join(name), bytes).expect("writable");
    }
    let make = |folder: &Path| FilesSource::new(vec![folder.to_owned()], n(8), 3 << 19);
    source_conformance(|| Box::new(make(folder.path()))).await;
    count(&make(folder.path())).await
}

async fn count(source: &dyn ConversationSource) -> (usize, usize) {
    let chunks = source.survey().await.expect("there").chunks;
    let mut rows = 0;
    for &chunk in &chunks {
        let (attempt, pass) = (1, Pass::All);
        let order = FetchOrder {
            chunk,
            attempt,
            pass,
            ranks: None,
        };
        rows += collect(source, order).await.expect("readable").len();
    }
    (chunks.len(), rows)
}

#[tokio::test]
async fn plain_files_are_a_source() {
    let rows = conversations(2000);
    let (pieces, found) = files(&[("a.jsonl", lines(&rows))]).await;
    assert!(pieces > 1 && found == rows.len(), "{pieces}, {found}");
    let rows = events(5000);
    let (first, second) = rows.split_at(rows.len() / 3);
    let two = [("a.jsonl", lines(first)), ("b.jsonl", lines(second))];
    let (pieces, found) = files(&two).await;
    assert!(pieces > 2 && found == rows.len(), "{pieces}, {found}");
}

#[tokio::test]
async fn untidy_files_are_a_source() {
    let rows = events(2000);
    let more = 2 + 5;
    let text = untidy(&rows);
    let (pieces, found) = files(&[("a.jsonl", text.clone())]).await;
    assert!(pieces > 1, "{pieces}");
    assert_eq!(found, rows.len() + more);
    let (_, found) = files(&[("a.jsonl.zst", zstd::encode_all(&*text, 1).expect("memory"))]).await;
    assert_eq!(found, rows.len() + more);
}

#[tokio::test]
async fn compressed_files_are_a_source() {
    for rows in [conversations(300), events(300)] {
        let (first, second) = rows.split_at(rows.len() / 3);
        let (packed, dense) = (gzip(&lines(first)), zst(&lines(second)));
        let found = files(&[("a.jsonl.gz", packed), ("b.jsonl.zst", dense)]).await;
        assert_eq!(found, (2, rows.len()));
    }
}

#[tokio::test]
async fn parquet_files_are_a_source() {
    let rows = conversations(1000);
    let (pieces, found) = files(&[(
        "a.parquet",
        parquet(&rows, &["conversationId", "turnsArray"]),
    )])
    .await;
    assert!(pieces > 1 && found == rows.len(), "{pieces}, {found}");
    let rows = events(2000);
    let columns = [
        "conversationId",
        "mode",
        "turnIndex",
        "Timestamp",
        "userMessage",
    ];
    let (pieces, found) = files(&[("a.parquet", parquet(&rows, &columns))]).await;
    assert!(pieces > 1 && found == rows.len(), "{pieces}, {found}");
}

#[tokio::test]
async fn synthetic_telemetry_is_a_source() {
    for shape in [RowShape::Conversations, RowShape::Turns] {
        // Of these no row is delivered twice.
        let settings = Synthetic {
            conversations: 40,
            seed: 7,
            schema: shape,
        };
        source_conformance(|| Box::new(SyntheticSource::new(settings, n(3)))).await;
    }
}

fn selection() -> Selection {
    crate::support::selection(
        "s1",
        &[("train", 80), ("test", 20)],
        &[("short", [1, 4]), ("long", [5, 10])],
        &[("train", "short"), ("train", "long"), ("test", "short")],
    )
}

#[tokio::test]
async fn rows_in_memory_are_a_source() {
    let small = NonZeroUsize::new(7).expect("some");
    for rows in [conversations(20), events(20)] {
        let source = MemorySource::new(&rows).in_chunks(n(5)).in_blocks(small);
        source_conformance(|| Box::new(source.clone())).await;
        assert_eq!(count(&source).await, (5, rows.len()));
    }
    let source = MemorySource::from_lines([untidy(&events(20))]).in_chunks(n(3));
    source_conformance(|| Box::new(source.clone())).await;
    let selection = Arc::new(selection());
    let source = MemorySource::new(&conversations(20))
        .in_chunks(n(4))
        .in_blocks(small);
    let source = source.with_census(Arc::clone(&selection));
    census_conformance(|| Box::new(source.clone()), &selection).await;
    let source = source.with_counts();
    census_conformance(|| Box::new(source.clone()), &selection).await;
}

#[tokio::test]
async fn rows_of_which_there_is_no_census_promise_none() {
    let twice = [
        json!({"conversationId": "a", "turnsArray": []}),
        json!({"conversationId": "a", "turnsArray": [{}]}),
    ];
    for rows in [events(20), twice.to_vec()] {
        let source = MemorySource::new(&rows).with_census(Arc::new(selection()));
        let refused = source.survey().await.expect_err("no census");
        assert!(
            refused.to_string().contains("an id of its own"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn memory_is_a_sink() {
    for block_bytes in [4096, 100, 1] {
        let place =
            MemorySink::new().with_block_bytes(NonZeroUsize::new(block_bytes).expect("some"));
        sink_conformance(
            || Box::new(place.clone()),
            |dataset| Box::new(place.reader(dataset)),
        )
        .await;
    }
}

#[cfg(feature = "kusto-emulator")]
mod cluster {
    use super::*;
    use crate::support::Sandbox;
    use crate::support::kusto::Emulator;
    use gleaner::source::kusto::query_file::QueryFile;
    use gleaner::source::kusto::settings::{CensusMode, Kusto};
    use gleaner::source::kusto::{KustoSource, Population};

    fn source(cluster: &str, passes: u32, max_record: u64) -> KustoSource {
        let query = |path: &str| QueryFile::read(Path::new(path)).expect("shipped");
        let settings = Kusto {
            query: query("queries/turns/sft_candidates_hash_chunked.kql"),
            census: query("queries/turns/sft_census_hash_chunked.kql"),
            database: "CopilotChatEval".to_owned(),
            passes,
            census_mode: match passes {
                2 => CensusMode::Thresholds,
                _ => CensusMode::Full,
            },
            ..crate::support::wire::settings(cluster.to_owned())
        };
        let at = |text: &str| Some(text.parse().expect("an instant"));
        let population = Population {
            chunks: n(2),
            start: at("2025-01-01T00:00:00Z"),
            end: at("2025-01-05T00:00:00Z"),
            look_end: at("2025-01-06T00:00:00Z"),
            cut: gleaner::domain::selection::cut::Cut::Drop,
            ignored: Vec::new(),
            selection: Arc::new(selection()),
            max_record,
            copilot_chat: Arc::new(
                gleaner::domain::copilot_chat::rules::CopilotChatRules::of_agents(max_record),
            ),
        };
        KustoSource::new(settings, population).expect("usable")
    }

    #[tokio::test]
    async fn a_cluster_is_a_source() {
        let sandbox = Sandbox::new();
        let emulator = Emulator::start(&sandbox, "", 0, &["--gzip"]);
        let make = |passes, max_record| source(&emulator.address, passes, max_record);
        source_conformance(|| Box::new(make(1, 1 << 20))).await;
        // Of the census some rows are too large, and are told all the same.
        let (_, all) = count(&make(1, 1 << 20)).await;
        let (_, small) = count(&make(1, 12_000)).await;
        assert!(0 < small && small < all, "{small} of {all}");
        census_conformance(|| Box::new(make(2, 12_000)), &selection()).await;
    }
}
