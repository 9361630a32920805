//! What is read back from a sealed chunk: headers in batches, payloads, lines.

use super::*;
use crate::domain::copilot_chat::event::EventKind;
use crate::domain::copilot_chat::header::Mode;
use crate::domain::selection::group::GroupMark;

#[test]
fn what_was_sealed_is_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, sealed) = sealed(folder.path());
    let again = Spool::open(folder.path().to_owned(), 1 << 30)
        .expect("a folder")
        .sealed(chunk_pass())
        .expect("readable")
        .expect("sealed");
    assert_eq!(again.tally(), sealed.tally());
    let mut replay = again.replay(3).expect("readable");
    let rows = fs::read(again.rows_path()).expect("rows");
    let mut i = 0;
    while let Some(batch) = replay.next_batch().expect("readable") {
        let Batch::Rows(batch) = batch else {
            panic!("they are turns");
        };
        for (id, header) in batch.iter() {
            assert_eq!(id, format!("id-{i}").as_bytes());
            assert_eq!((header.turn, header.at, header.position.store), (i, -i, 3));
            assert_eq!(header.flags.has(RowFlags::PREVALIDATED), i % 3 == 0);
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
fn rows_without_payloads_are_kept_between_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let writer = create(&spool);
    let mut writer = writer.expect("files");
    let payloads = [&b""[..], b"", b"one", b"", b"two", b""];
    let rows: Vec<_> = payloads
        .iter()
        .map(|payload| row(b"id", 1, payload))
        .collect();
    writer.append(&rows).expect("room");
    writer.append(&rows[..2]).expect("room");
    let sealed = writer.seal(ChunkTally::default()).expect("room");
    assert_eq!(fs::read(sealed.rows_path()).expect("rows"), b"onetwo");
    let mut replay = sealed.replay(0).expect("readable");
    let Some(Batch::Rows(batch)) = replay.next_batch().expect("readable") else {
        panic!("they are turns");
    };
    let places = batch
        .iter()
        .map(|(_, header)| (header.position.offset, header.position.length));
    let expected = [
        (0, 0),
        (0, 0),
        (0, 3),
        (3, 0),
        (3, 3),
        (6, 0),
        (6, 0),
        (6, 0),
    ];
    assert!(places.eq(expected));
}

#[test]
fn headers_are_replayed_a_batch_at_a_time_to_the_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, many) = sealed(folder.path());
    let one = seal_one(
        &spool,
        ChunkPass {
            pass: Pass::Census,
            ..chunk_pass()
        },
        5,
    );
    let full = REPLAY_BATCH as usize;
    let rest = 10_000 - 2 * full;
    for (chunk, expected) in [(many, &[full, full, rest][..]), (one, &[1])] {
        let mut replay = chunk.replay(0).expect("readable");
        let batches = std::iter::from_fn(|| replay.next_batch().expect("readable"));
        let sizes: Vec<usize> = batches
            .map(|batch| match batch {
                Batch::Rows(batch) => batch.headers.len(),
                Batch::Telemetry(batch) => batch.headers.len(),
            })
            .collect();
        assert_eq!(sizes, expected);
    }
}

#[test]
fn headers_of_telemetry_and_ids_of_malformed_rows_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
    let header = |position| TelemetryHeader {
        at: -7,
        request: 8,
        call: i64::MIN,
        content: u64::MAX,
        position,
        event: EventKind::ModelText,
        mode: Mode::Other,
        group: GroupMark::ABSENT,
    };
    let row = |id: &'static [u8], telemetry: Option<TelemetryHeader>, payload: &'static [u8]| {
        SpooledRow {
            id: id.into(),
            facts: RowFacts {
                turn: 0,
                at: 0,
                flags: RowFlags::default().with(RowFlags::MALFORMED, telemetry.is_none()),
                group: GroupMark::ABSENT,
                line: 3,
                telemetry,
            },
            payload: Cow::Borrowed(payload),
        }
    };
    let writer = spool.create(chunk_pass(), RowShape::CopilotChat, RowEncoding::AsWritten);
    let mut writer = writer.expect("files");
    let rows = [
        row(b"a", Some(header(1)), b"one"),
        row(b"", Some(header(2)), b"three"),
        row(b"bad", None, b""),
    ];
    writer.append(&rows).expect("room");
    writer.seal(ChunkTally::default()).expect("room");
    let again = spool.sealed(chunk_pass());
    let sealed = again.expect("readable").expect("sealed and whole");
    let mut replay = sealed.replay(5).expect("readable");
    let Some(Batch::Telemetry(batch)) = replay.next_batch().expect("readable") else {
        panic!("it is telemetry");
    };
    let found: Vec<_> = batch
        .iter()
        .map(|(id, row)| (id, row.header, row.position.offset, row.position.length))
        .collect();
    let expected = [(&b"a"[..], header(1), 0, 3), (b"", header(2), 3, 5)];
    assert_eq!(found, expected);
    assert_eq!(batch.malformed, [b"bad"[..].into()]);
    assert_eq!(batch.headers[0].position.store, 5);
    assert_eq!(sealed.lines_of(&[3]).expect("there"), [3]);
    assert!(replay.next_batch().expect("readable").is_none());
}

#[test]
fn groups_are_kept_where_they_decide_and_cost_nothing_where_they_do_not() {
    let mut lengths = Vec::new();
    for grouped in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path().to_owned(), 1 << 30).expect("a folder");
        let spool = spool.with_groups(grouped);
        let marks = [
            GroupMark::of_residue(51),
            GroupMark::NO_TEXT,
            GroupMark::ABSENT,
        ];
        let row = |group| SpooledRow {
            id: Cow::Borrowed(b"a"),
            facts: RowFacts { group, ..facts(1) },
            payload: Cow::Borrowed(b"row"),
        };
        let writer = spool.create(chunk_pass(), RowShape::Turns, RowEncoding::AsWritten);
        let mut writer = writer.expect("files");
        writer.append(&marks.map(row)).expect("room");
        writer.seal(ChunkTally::default()).expect("room");
        let sealed = spool.sealed(chunk_pass()).expect("readable");
        let sealed = sealed.expect("whole");
        let batch = sealed
            .replay(0)
            .expect("there")
            .next_batch()
            .expect("readable");
        let Some(Batch::Rows(batch)) = batch else {
            panic!("they are turns");
        };
        let found: Vec<_> = batch.headers.iter().map(|header| header.group).collect();
        match grouped {
            true => assert_eq!(found, marks),
            false => assert_eq!(found, [GroupMark::ABSENT; 3]),
        }
        assert_eq!(sealed.lines_of(&[0, 3, 6]).expect("readable"), [3; 3]);
        lengths.push(sealed.headers_bytes);
    }
    assert_eq!(lengths, [3 * (HEADER as u64 + 1), 3 * (HEADER as u64 + 2)]);
}
