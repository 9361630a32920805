//! The hot paths in process: `cargo bench --bench hot_paths`. Throughput is of input bytes.

use divan::Bencher;
use divan::counter::BytesCount;
use gleaner::domain::grouping::dedup::Index;
use gleaner::domain::json::Scanner;
use gleaner::domain::near_duplicates::Sketch;
use gleaner::domain::near_duplicates::templates::Templates;
use gleaner::domain::record::header::{Header, HeaderBatch, Position, RowFlags};
use gleaner::domain::record::row;
use gleaner::domain::record::row::RowShape;
use gleaner::domain::record::validation::validate;
use gleaner::domain::selection::group::GroupMark;
use gleaner::domain::selection::kusto_hash;
use gleaner::domain::selection::stratum::{Bucket, Selection, Split};
use gleaner::domain::words::Words;
use gleaner::source::synthetic;
use gleaner::source::synthetic::settings::{Synthetic, TelemetryStyle};

fn main() {
    divan::main();
}

/// Made-up conversations, one a row.
fn rows() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Synthetic {
        conversations: 2000,
        seed: 1,
        schema: RowShape::Conversations,
    };
    synthetic::write_files(settings, TelemetryStyle::default(), folder.path()).expect("writable");
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        rows.extend(bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec));
    }
    let selection = selection();
    rows.retain(|row| row::read(row, &selection).is_ok());
    rows
}

/// One split, one bucket.
fn selection() -> Selection {
    let split = Split {
        name: "train".to_owned(),
        percent: 100,
    };
    let bucket = Bucket {
        name: "short".to_owned(),
        turns: [3, 5],
        file: "short".to_owned(),
    };
    let targets = [("train".to_owned(), "short".to_owned(), 1)];
    Selection::new("s", 5.0, vec![split], vec![bucket], &targets).expect("valid")
}

fn bytes(rows: &[Vec<u8>]) -> BytesCount {
    BytesCount::new(rows.iter().map(Vec::len).sum::<usize>())
}

#[divan::bench]
fn scan_json(bencher: Bencher) {
    let rows = rows();
    bencher.counter(bytes(&rows)).bench(|| {
        rows.iter()
            .filter(|row| Scanner::new(row).value().is_ok())
            .count()
    });
}

#[divan::bench]
fn read_headers(bencher: Bencher) {
    let (rows, selection) = (rows(), selection());
    bencher.counter(bytes(&rows)).bench(|| {
        rows.iter()
            .filter(|row| row::read(row, &selection).is_ok())
            .count()
    });
}

#[divan::bench]
fn validate_records(bencher: Bencher) {
    let rows = rows();
    let selection = selection();
    bencher.counter(bytes(&rows)).bench(|| {
        rows.iter()
            .filter(|row| validate(row, "train", &selection).is_ok())
            .count()
    });
}

/// Throughput is of the texts of 8 KB.
#[divan::bench]
fn sketch_texts(bencher: Bencher) {
    let mut words = Words::new();
    let mut text = String::new();
    for row in rows() {
        words.read_record(&row).expect("JSON");
        text.push_str(std::str::from_utf8(words.normal()).expect("UTF-8"));
        text.push('\n');
    }
    text.retain(|c| c.is_ascii());
    let texts: Vec<&[u8]> = text.as_bytes().chunks_exact(8_192).collect();
    let texts: Vec<&str> = texts
        .into_iter()
        .map(|text| std::str::from_utf8(text).expect("ASCII"))
        .collect();
    let none = Templates::default();
    bencher
        .counter(BytesCount::new(texts.len() * 8_192))
        .bench_local(|| {
            let sketches = texts.iter().map(|text| {
                words.clear();
                words.push(text);
                Sketch::of(&words, &none)
            });
            sketches.filter(|sketch| sketch.signature.is_some()).count()
        });
}

#[divan::bench]
fn index_a_million_headers(bencher: Bencher) {
    let mut batch = HeaderBatch::new(RowShape::Turns);
    for number in 0..1_000_000u64 {
        let id = format!("conversation-{:012}", number / 9);
        let position = Position {
            store: 0,
            length: 1000,
            offset: number * 1000,
            checksum: number,
        };
        let header = Header {
            id_length: 0,
            id_hash: kusto_hash::hash(id.as_bytes()),
            turn: (number % 9) as i64 + 1,
            at: 0,
            flags: RowFlags::default(),
            group: GroupMark::ABSENT,
            position,
        };
        batch.push(id.as_bytes(), header);
    }
    bencher.bench(|| {
        let mut index = Index::default();
        index.observe(&batch);
        index.conversations()
    });
}
