use super::*;
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::assembler::Nested;
use crate::domain::scheduling::chunk::{Chunk, Piece};
use crate::domain::selection::stratum::fixtures::selection;
use crate::source::Reject;
use crate::telemetry::Counters;
use std::sync::atomic::{AtomicU32, Ordering};

fn chunk_reader(folder: &std::path::Path) -> ChunkReader {
    let selection = selection(1);
    let telemetry = Counters::new(&selection);
    let rules = RowRules {
        ignore_ids: Vec::new(),
        excluded: Arc::default(),
        window: None..None,
        look: None..None,
        max_record: 1000,
        selection: Arc::new(selection),
        nested: Nested::AsIs,
        schema: None,
        copilot_chat: Arc::new(CopilotChatRules::of_agents(1000)),
        quotes_values: true,
    };
    let (file, start, end) = (0, 0, 1);
    let chunk_pass = ChunkPass {
        chunk: Chunk::Piece(Piece { file, start, end }),
        pass: Pass::All,
    };
    let spool = Spool::open(folder.join("spool"), u64::MAX).expect("a folder");
    let faults = Faults::default();
    ChunkReader::new(chunk_pass, Arc::new(rules), Some(spool), telemetry, faults)
}

#[test]
fn rows_and_rejects_of_one_block_have_their_own_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut chunk_reader = chunk_reader(folder.path());
    let reject = |line, reason| Reject {
        line,
        reason,
        id: None,
    };
    let block = RowBlock {
        bytes: b"{\n{\n\n{\n".to_vec(),
        first_line: 11,
        rejects: vec![
            reject(10, MalformedReason::TooLarge),
            reject(12, MalformedReason::NotJson),
            reject(13, MalformedReason::TooDeep),
            reject(17, MalformedReason::NotJson),
        ],
        ..RowBlock::default()
    };
    chunk_reader.absorb(&block).expect("rows");
    let (tally, _) = chunk_reader.finish().expect("nothing to seal");
    assert_eq!((tally.rows_read, tally.lines), (7, 17));
    let lines = |reason| tally.malformed[&reason].lines.clone();
    assert_eq!(lines(MalformedReason::NotJson), [11, 12, 14, 16, 17]);
    assert_eq!(lines(MalformedReason::TooLarge), [10]);
    assert_eq!(lines(MalformedReason::TooDeep), [13]);
}

#[test]
fn a_row_that_panics_once_is_read_again_and_one_that_panics_twice_is_malformed() {
    static ONCE: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().expect("a folder");
    let mut chunk_reader = chunk_reader(folder.path());
    chunk_reader.read = |row, selection, said| {
        let is = |what: &str| memchr::memmem::find(row, what.as_bytes()).is_some();
        if is("always") || is("once") && ONCE.fetch_add(1, Ordering::Relaxed) == 0 {
            std::panic::panic_any("on purpose");
        }
        row::read_by_fields(row, selection, said)
    };
    let line = |id| format!(r#"{{"conversationId":"{id}","turnsArray":[]}}"#);
    let lines = ["a", "once", "always", "b", "always", "c"].map(line);
    let block = RowBlock {
        bytes: lines.join("\n").into_bytes(),
        location: RowLocation::InFile { file: 0, offset: 0 },
        first_line: 1,
        ..RowBlock::default()
    };
    chunk_reader.absorb(&block).expect("the rest goes on");
    let telemetry = Arc::clone(&chunk_reader.telemetry);
    let (tally, headers) = chunk_reader.finish().expect("nothing to seal");
    assert_eq!(tally.rows_read, 6);
    let found: Vec<_> = tally.malformed.into_iter().collect();
    let [(MalformedReason::RowPanic, rows)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((rows.count, &rows.lines[..]), (2, &[3, 5][..]));
    let Headers::InMemory(batches) = headers else {
        panic!("rows of files stay where they are");
    };
    let Batch::Rows(batch) = &batches[0] else {
        panic!("they are conversations");
    };
    let ids: Vec<_> = batch.iter().map(|(id, _)| id.to_vec()).collect();
    assert_eq!(ids, [&b"a"[..], b"once", b"b", b"c"]);
    let reported = telemetry.events.recent();
    let times = reported.iter().map(|event| match event {
        Event::RowPanic {
            chunk, line, time, ..
        } => (chunk.as_str(), *line, *time),
        event => panic!("{event:?}"),
    });
    let chunk = "f0-0-1";
    let expected = [(2, 1), (3, 1), (3, 2), (5, 1), (5, 2)];
    assert!(times.eq(expected.map(|(line, time)| (chunk, line, time))));
    assert!(
        !format!("{reported:?}").contains("always"),
        "no text is shown"
    );
}
