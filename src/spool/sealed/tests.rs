use super::*;
use crate::domain::chunk::{Chunk, HashChunk};
use crate::spool::Portion;

fn part() -> Part {
    let chunk = Chunk::Hash(HashChunk {
        count: 40,
        index: 7,
        depth: 0,
    });
    Part {
        chunk,
        portion: Portion::Whole,
    }
}

fn facts(i: i64) -> RowFacts {
    RowFacts {
        turn: i,
        at: -i,
        flawless: i % 3 == 0,
        line: 2 * i as u64 + 1,
    }
}

fn sealed(folder: &Path) -> (Spool, SealedChunk) {
    let spool = Spool::open(folder.to_owned(), 1 << 30).expect("a folder");
    let mut writer = spool
        .create(part(), RowShape::Events, RowForm::AsWritten)
        .expect("files");
    for i in 0..10_000i64 {
        let id = format!("id-{i}");
        writer
            .append(id.as_bytes(), facts(i), format!("payload {i}").as_bytes())
            .expect("room");
    }
    let tally = ChunkTally {
        rows_read: 10_000,
        ..ChunkTally::default()
    };
    let sealed = writer.seal(tally).expect("room");
    (spool, sealed)
}

#[test]
fn what_was_sealed_is_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, sealed) = sealed(folder.path());
    let again = Spool::open(folder.path().to_owned(), 1 << 30)
        .expect("a folder")
        .sealed(part())
        .expect("readable")
        .expect("sealed");
    assert_eq!(again.tally(), sealed.tally());
    let mut replay = again.replay(3).expect("readable");
    let rows = fs::read(again.rows_path()).expect("rows");
    let mut i = 0;
    while let Some(batch) = replay.next_batch().expect("readable") {
        for (id, header) in batch.iter() {
            assert_eq!(id, format!("id-{i}").as_bytes());
            assert_eq!((header.turn, header.at, header.position.store), (i, -i, 3));
            assert_eq!(header.flawless, i % 3 == 0);
            let start = header.position.offset as usize;
            let payload = &rows[start..start + header.position.length as usize];
            assert_eq!(payload, format!("payload {i}").as_bytes());
            i += 1;
        }
    }
    assert_eq!(i, 10_000);
}

#[test]
fn rows_know_their_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, sealed) = sealed(folder.path());
    let rows = fs::read(sealed.rows_path()).expect("rows");
    let offset = |payload: &[u8]| {
        let at = memchr::memmem::find(&rows, payload).expect("there");
        at as u64
    };
    let offsets = [0, offset(b"payload 7payload"), offset(b"payload 9999")];
    assert_eq!(
        sealed.lines_of(&offsets).expect("readable"),
        [1, 15, 19_999]
    );
    assert!(sealed.lines_of(&[1]).is_err(), "no row begins there");
}

#[test]
fn without_a_seal_there_is_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let mut writer = spool
        .create(part(), RowShape::Events, RowForm::AsWritten)
        .expect("files");
    writer.append(b"id", facts(1), b"payload").expect("room");
    drop(writer);
    assert!(spool.sealed(part()).expect("readable").is_none());
}

#[test]
fn an_attempt_whose_lease_was_lost_can_neither_seal_nor_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let write = |epoch, payload: &[u8]| {
        let writer = spool
            .under(epoch)
            .create(part(), RowShape::Events, RowForm::AsWritten);
        writer.map(|mut writer| {
            writer.append(b"id", facts(1), payload).expect("room");
            writer
        })
    };
    let late = write(4, b"late").expect("free");
    let current = write(5, b"current").expect("free");
    let refused = late.seal(ChunkTally::default());
    assert!(matches!(refused, Err(SpoolError::Superseded { .. })));
    let sealed = current.seal(ChunkTally::default()).expect("room");
    assert!(matches!(
        write(4, b"later still").err(),
        Some(SpoolError::Superseded { .. })
    ));
    assert_eq!(fs::read(sealed.rows_path()).expect("rows"), b"current");
    assert!(spool.sealed(part()).expect("readable").is_some());
}

#[test]
fn an_attempt_that_fails_leaves_nothing_and_gives_its_room_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 20).expect("a folder");
    for epoch in 1..5 {
        let writer = spool
            .under(epoch)
            .create(part(), RowShape::Events, RowForm::AsWritten);
        let mut writer = writer.expect("files");
        writer.append(b"id", facts(1), &[0; 15]).expect("room");
        let more = writer.append(b"id", facts(2), &[0; 15]);
        assert!(matches!(more, Err(SpoolError::Full { limit: 20 })));
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
    // What is sealed keeps its room, and once: also when it is checked or replaced.
    for epoch in 5..8 {
        let writer = spool
            .under(epoch)
            .create(part(), RowShape::Events, RowForm::AsWritten);
        let mut writer = writer.expect("files");
        writer.append(b"id", facts(1), &[0; 10]).expect("room");
        writer.seal(ChunkTally::default()).expect("room");
        assert!(spool.sealed(part()).expect("readable").is_some());
        assert_eq!(spool.used.load(Ordering::Relaxed), 10);
    }
}

#[test]
fn every_flipped_or_missing_byte_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, chunk_files) = sealed(folder.path());
    for path in [&chunk_files.seal, &chunk_files.rows] {
        let good = fs::read(path).expect("a file");
        let seal = fs::read(&chunk_files.seal).expect("a file");
        for at in (0..good.len())
            .step_by(good.len() / 50)
            .chain([good.len() - 1])
        {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            for damage in [&flipped[..], &good[..at]] {
                fs::write(path, damage).expect("writable");
                assert!(
                    spool.sealed(part()).expect("readable").is_none(),
                    "{path:?} at {at}"
                );
                fs::write(&chunk_files.seal, &seal).expect("writable");
            }
        }
        fs::write(path, &good).expect("writable");
        assert!(spool.sealed(part()).expect("readable").is_some());
    }
}

#[test]
fn the_limit_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 10).expect("a folder");
    let mut writer = spool
        .create(part(), RowShape::Events, RowForm::AsWritten)
        .expect("files");
    writer.append(b"a", facts(1), b"12345678").expect("room");
    assert!(matches!(
        writer.append(b"b", facts(1), b"123"),
        Err(SpoolError::Full { limit: 10 })
    ));
}
