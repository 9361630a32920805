//! A sealed chunk that was damaged in any way is the chunk that was sealed, or none.
//!
//! The input: which of its two files, where to cut it, and bytes to put somewhere.
#![no_main]

use std::fs;
use std::path::Path;

use gleaner::domain::grouping::batch::Batch;
use gleaner::domain::record::header::RowFlags;
use gleaner::domain::record::row::RowShape;
use gleaner::domain::scheduling::chunk::{Chunk, HashChunk};
use gleaner::domain::scheduling::pass::{ChunkPass, Pass};
use gleaner::domain::selection::group::GroupMark;
use gleaner::source::RowEncoding;
use gleaner::spool::sealed::{RowFacts, SealedChunk, Spool, SpooledRow};
use gleaner::spool::tally::ChunkTally;
use libfuzzer_sys::fuzz_target;

const CHUNK_PASS: ChunkPass = ChunkPass {
    chunk: Chunk::Hash(HashChunk {
        count: 2,
        index: 1,
        depth: 0,
    }),
    pass: Pass::All,
};

fn seal(folder: &Path) -> Spool {
    let spool = Spool::open(folder.to_owned(), u64::MAX).expect("a folder");
    let mut writer = spool
        .create(CHUNK_PASS, RowShape::Turns, RowEncoding::AsWritten)
        .expect("a chunk");
    for turn in 1..4 {
        let facts = RowFacts {
            turn,
            at: 7,
            flags: RowFlags::default().with(RowFlags::PREVALIDATED, turn == 2),
            group: GroupMark::ABSENT,
            line: turn as u64,
            telemetry: None,
        };
        let row = SpooledRow {
            id: b"an id"[..].into(),
            facts,
            payload: b"{\"row\":1}"[..].into(),
        };
        writer.append(&[row]).expect("written");
    }
    writer.seal(ChunkTally::default()).expect("sealed");
    spool
}

fn content(chunk: &SealedChunk) -> String {
    let mut replay = chunk.replay(0).expect("readable");
    let mut batches = Vec::new();
    while let Some(batch) = replay.next_batch().expect("readable") {
        // Debug of a batch shows lengths alone.
        match batch {
            Batch::Rows(batch) => batches.extend(
                batch
                    .iter()
                    .map(|(id, header)| format!("{id:?} {header:?}")),
            ),
            Batch::Telemetry(batch) => batches.extend(
                batch
                    .iter()
                    .map(|(id, header)| format!("{id:?} {header:?}")),
            ),
        }
    }
    format!("{:?} {batches:?}", chunk.tally())
}

fuzz_target!(|input: (bool, u16, u16, &[u8])| {
    let (rows, cut, at, bytes) = input;
    let folder = tempfile::tempdir().expect("a folder");
    let spool = seal(folder.path());
    let sealed = content(&spool.sealed(CHUNK_PASS).expect("readable").expect("sealed"));
    let path = folder
        .path()
        .join(format!("{CHUNK_PASS}.{}", if rows { "rows" } else { "sealed" }));
    let good = fs::read(&path).expect("a file");
    let mut bad = good.clone();
    bad.truncate(usize::from(cut));
    let at = usize::from(at) % (bad.len() + 1);
    let end = (at + bytes.len()).min(bad.len());
    bad.splice(at..end, bytes.iter().copied());
    fs::write(&path, &bad).expect("writable");
    // By names alone, without trust: it must not fall over.
    spool.sealed_passes().expect("readable");
    match spool.sealed(CHUNK_PASS).expect("readable") {
        Some(chunk) => {
            assert_eq!(bad, good, "damage was not noticed");
            assert_eq!(content(&chunk), sealed);
        }
        None => assert_ne!(bad, good, "a whole chunk was thrown away"),
    }
});
