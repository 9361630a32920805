mod damage;
mod replay;

use super::*;
use crate::domain::dataset::accounting::FilterReason;
use crate::domain::grouping::batch::Batch;
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::scheduling::pass::Pass;

fn chunk_pass() -> ChunkPass {
    let chunk = Chunk::Hash(HashChunk {
        count: 40,
        index: 7,
        depth: 0,
    });
    ChunkPass {
        chunk,
        pass: Pass::All,
    }
}

fn facts(i: i64) -> RowFacts {
    RowFacts {
        turn: i,
        at: -i,
        flags: RowFlags::default().with(RowFlags::PREVALIDATED, i % 3 == 0),
        group: GroupMark::ABSENT,
        line: 2 * i as u64 + 1,
        telemetry: None,
    }
}

fn row<'a>(id: &'a [u8], i: i64, payload: &'a [u8]) -> SpooledRow<'a> {
    SpooledRow {
        id: id.into(),
        facts: facts(i),
        payload: Cow::Borrowed(payload),
    }
}

/// The files of an attempt at the chunk.
fn create(spool: &Spool) -> Result<ChunkWriter, SpoolError> {
    spool.create(chunk_pass(), RowShape::Turns, RowEncoding::AsWritten)
}

fn sealed(folder: &Path) -> (Spool, SealedChunk) {
    let spool = Spool::open(folder.to_owned(), 1 << 30).expect("a folder");
    let mut writer = create(&spool).expect("files");
    let rows: Vec<_> = (0..10_000i64)
        .map(|i| (i, format!("id-{i}"), format!("payload {i}")))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(i, id, payload)| row(id.as_bytes(), *i, payload.as_bytes()))
        .collect();
    // One alone, and more than a system writes at once.
    let (first, others) = rows.split_at(1);
    writer.append(first).expect("room");
    writer.append(others).expect("room");
    let tally = ChunkTally {
        rows_read: 10_000,
        ..ChunkTally::default()
    };
    let sealed = writer.seal(tally).expect("room");
    (spool, sealed)
}

/// Seals a part with one row of this length.
fn seal_one(spool: &Spool, chunk_pass: ChunkPass, length: usize) -> SealedChunk {
    let writer = spool.create(chunk_pass, RowShape::Turns, RowEncoding::AsWritten);
    let mut writer = writer.expect("files");
    let payload = vec![b'x'; length];
    writer.append(&[row(b"id", 1, &payload)]).expect("room");
    writer.seal(ChunkTally::default()).expect("room")
}

fn is_io<T>(result: Result<T, SpoolError>, wanted: &str) -> bool {
    matches!(result, Err(SpoolError::Io { action, .. }) if action == wanted)
}

#[test]
fn without_a_seal_there_is_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let mut writer = create(&spool).expect("files");
    writer.append(&[row(b"id", 1, b"payload")]).expect("room");
    drop(writer);
    assert!(spool.sealed(chunk_pass()).expect("readable").is_none());
}

#[test]
fn an_attempt_whose_lease_was_lost_can_neither_seal_nor_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let write = |epoch, payload: &[u8]| {
        let writer = create(&spool.with_epoch(epoch));
        writer.map(|mut writer| {
            writer.append(&[row(b"id", 1, payload)]).expect("room");
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
    assert!(spool.sealed(chunk_pass()).expect("readable").is_some());
}

#[test]
fn an_attempt_that_fails_leaves_nothing_and_gives_its_room_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 20).expect("a folder");
    for epoch in 1..5 {
        let writer = create(&spool.with_epoch(epoch));
        let mut writer = writer.expect("files");
        writer.append(&[row(b"id", 1, &[0; 15])]).expect("room");
        let more = writer.append(&[row(b"id", 2, &[0; 15])]);
        assert!(matches!(more, Err(SpoolError::Full { limit: 20 })));
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
    // A sealed part keeps its reservation, once: also when it is checked or replaced.
    for epoch in 5..8 {
        let writer = create(&spool.with_epoch(epoch));
        let mut writer = writer.expect("files");
        writer.append(&[row(b"id", 1, &[0; 10])]).expect("room");
        writer.seal(ChunkTally::default()).expect("room");
        assert!(spool.sealed(chunk_pass()).expect("readable").is_some());
        assert_eq!(spool.used.load(Ordering::Relaxed), 10);
    }
}

#[test]
fn the_limit_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 10).expect("a folder");
    let mut writer = create(&spool).expect("files");
    writer.append(&[row(b"a", 1, b"12345678")]).expect("room");
    assert!(matches!(
        writer.append(&[row(b"b", 1, b"123")]),
        Err(SpoolError::Full { limit: 10 })
    ));
}

#[test]
fn what_an_earlier_start_has_sealed_takes_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Spool::open(folder.path().to_owned(), 20).expect("a folder");
    let rows = seal_one(&open(), chunk_pass(), 15).rows;
    let spool = open();
    assert_eq!(spool.used.load(Ordering::Relaxed), 0, "not yet known");
    assert!(spool.sealed(chunk_pass()).expect("readable").is_some());
    assert_eq!(spool.used.load(Ordering::Relaxed), 15);
    fs::write(rows, b"damaged").expect("writable");
    assert!(spool.sealed(chunk_pass()).expect("readable").is_none());
    assert_eq!(spool.used.load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_sealed_is_listed_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    assert_eq!(spool.sealed_passes().expect("readable"), []);
    let passes = [Pass::All, Pass::Census, Pass::Round(0), Pass::Round(10)].map(|pass| ChunkPass {
        pass,
        ..chunk_pass()
    });
    for chunk_pass in passes.iter().rev() {
        seal_one(&spool, *chunk_pass, 5);
    }
    // Neither seals nor of this form.
    for name in ["h1-0.sealed", "h1-0.rows", "other.json"] {
        fs::write(folder.path().join(name), b"no seal").expect("writable");
    }
    assert_eq!(spool.sealed_passes().expect("readable"), passes);
    spool.invalidate(&spool.path(passes[1], "rows"));
    assert_eq!(
        spool.sealed_passes().expect("readable"),
        [passes[0], passes[2], passes[3]]
    );
    spool.clear().expect("removable");
    assert!(!folder.path().exists() && is_io(spool.sealed_passes(), "read"));
}

#[test]
fn a_start_removes_what_was_written_aside_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["h40-7.0.rows.part", "h40-7.rows", "h40-7.sealed", "part"];
    for name in names {
        fs::write(folder.path().join(name), b"x").expect("writable");
    }
    Spool::open(folder.path().to_owned(), 1).expect("a folder");
    let left = names.map(|name| folder.path().join(name).exists());
    assert_eq!(left, [false, true, true, true]);
}

#[test]
fn of_a_round_the_first_decision_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let decision = |n: u32| BTreeMap::from([("decision".to_owned(), n)]);
    let rounds = [0, 1].map(|round| ChunkPass {
        pass: Pass::Round(round),
        ..chunk_pass()
    });
    for chunk_pass in rounds {
        seal_one(&spool, chunk_pass, 5);
    }
    let pinned = |n| spool.pin(Pass::Round(0), decision(n)).expect("writable");
    // An older decision about this round is unknown: parts sealed under it do not count.
    assert_eq!(pinned(7), decision(7));
    assert_eq!(spool.sealed_passes().expect("readable"), [rounds[1]]);
    seal_one(&spool, rounds[0], 5);
    assert_eq!(pinned(8), decision(7));
    assert_eq!(spool.sealed_passes().expect("readable"), rounds);
    let path = folder.path().join("round0.json");
    fs::write(&path, b"{}").expect("writable");
    assert_eq!(pinned(9), decision(9));
    assert_eq!(spool.sealed_passes().expect("readable"), [rounds[1]]);
    // What cannot be read may be whole.
    fs::remove_file(&path).expect("a file");
    fs::create_dir(&path).expect("writable");
    assert!(is_io(spool.pin(Pass::Round(0), decision(1)), "read"));
}

#[test]
fn a_run_goes_on_with_the_census_that_it_began_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let begun = || spool.begun_census().expect("readable");
    assert_eq!(begun(), None);
    for number in [0, 1] {
        let pass = Pass::CensusUpTo(number);
        let decision = BTreeMap::from([("decision".to_owned(), number)]);
        spool.pin(pass, decision).expect("writable");
        assert!(folder.path().join(format!("census{number}.json")).exists());
        assert_eq!(begun(), Some(pass), "the widest");
    }
    // Earlier releases have pinned no census, but taken one.
    let pass = Pass::Census;
    seal_one(
        &spool,
        ChunkPass {
            pass,
            ..chunk_pass()
        },
        1,
    );
    assert_eq!(begun(), Some(pass));
}

#[test]
fn what_is_missing_is_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let settled = || spool.recorded_missing();
    assert_eq!(settled().expect("readable"), BTreeSet::new());
    let missing = BTreeSet::from([chunk_pass().chunk]);
    spool.record_missing(&missing).expect("writable");
    assert_eq!(settled().expect("readable"), missing);
    let path = folder.path().join(MISSING);
    fs::write(&path, b"{}").expect("writable");
    assert_eq!(settled().expect("readable"), BTreeSet::new(), "damaged");
    fs::remove_file(&path).expect("a file");
    fs::create_dir(&path).expect("writable");
    assert!(is_io(settled(), "read"));
}

#[test]
fn what_was_counted_and_the_form_are_sealed_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let tally = ChunkTally {
        rows_read: 3,
        filtered: [(FilterReason::Window, 2)].into(),
        first_turn: Some(1),
        ..ChunkTally::default()
    };
    let writer = spool.create(chunk_pass(), RowShape::Turns, RowEncoding::Assembled);
    let sealed = writer.expect("files").seal(tally.clone()).expect("room");
    let again = spool
        .sealed(chunk_pass())
        .expect("readable")
        .expect("sealed");
    for chunk in [sealed, again] {
        assert_eq!(chunk.tally(), &tally);
        assert_eq!(chunk.encoding(), RowEncoding::Assembled);
        assert_eq!(chunk.chunk(), chunk_pass().chunk);
    }
}
