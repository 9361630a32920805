//! Rows of valid frames.

use std::sync::Arc;

use serde_json::json;

use super::super::frames::FrameReader;
use super::super::rows::{FetchRequest, RowWriter};
use crate::domain::json::MAX_DEPTH;
use crate::domain::record::row;
use crate::domain::record::row::{MalformedReason, RowKind};
use crate::domain::scheduling::chunk::HashChunk;
use crate::domain::selection::stratum::fixtures::selection;
use crate::source::ParsedKind;
use crate::source::kusto::passing::LineWriter;

/// The block that an answer with these rows of a payload makes.
fn payload_block(rows: &str) -> crate::source::RowBlock {
    let columns = json!([
        {"ColumnName": "conversationId", "ColumnType": "string"},
        {"ColumnName": "turnsArray", "ColumnType": "dynamic"},
        {"ColumnName": "turnCount", "ColumnType": "long"},
        {"ColumnName": "lastTimestamp", "ColumnType": "datetime"},
    ]);
    let table = json!({"FrameType": "DataTable", "TableId": 1, "TableKind": "PrimaryResult", "TableName": "t", "Columns": columns});
    let table = table.to_string();
    let open = table.trim_end_matches('}');
    let header = json!({"FrameType": "DataSetHeader", "Version": "v2.0"});
    let end = json!({"FrameType": "DataSetCompletion", "HasErrors": false, "Cancelled": false});
    block_of(&format!("[{header},{open},\"Rows\":[{rows}]}},{end}]"))
}

/// The block that an answer makes.
fn block_of(text: &str) -> crate::source::RowBlock {
    let asked = FetchRequest {
        chunk: HashChunk {
            count: 1,
            index: 0,
            depth: 0,
        },
        wanted: None,
        census: false,
    };
    let mut writer = RowWriter::new(asked, Arc::new(selection(1)));
    let mut reader = FrameReader::new(1 << 20);
    for piece in text.as_bytes().chunks(11) {
        reader.push(piece, &mut writer).expect("good frames");
    }
    reader.finish(&mut writer).expect("whole");
    writer.take()
}

#[test]
fn what_is_known_of_a_row_is_what_reading_it_tells() {
    let good = [
        r#"["a",[{"turnIndex":1,"x":"]}\""},{"userMessage":"u"}],2,"2025-01-01T00:00:00Z"]"#,
        r#"["é 🙂",[],0,null]"#,
        "[\"c\",[ {\n\"trajectory\" : [{\"turnIndex\":1},{\"turnIndex\":1}] } ],1,null]",
    ];
    let block = payload_block(&good.join(","));
    let lines: Vec<&[u8]> = block.bytes.split_inclusive(|&b| b == b'\n').collect();
    assert_eq!((lines.len(), block.parsed.len()), (3, 3));
    for (line, parsed) in lines.iter().zip(&block.parsed) {
        let row = row::read(row::trim(line), &selection(1)).expect("good");
        assert_eq!(row.id.as_ref(), parsed.id.as_ref());
        assert_eq!(line.len(), parsed.length as usize + 1);
        assert!(
            matches!(row.kind, RowKind::Conversation { turns, .. } if parsed.kind == ParsedKind::Conversation { turns }),
            "{row:?} / {parsed:?}"
        );
        assert!(
            !line.windows(4).any(|part| part == b"last"),
            "not a part of the record"
        );
    }
}

#[test]
fn a_rejected_row_leaves_nothing_behind_for_a_row_that_was_held() {
    let columns = r#"[{"ColumnName":"conversationId","ColumnType":"string"},{"ColumnName":"turnCount","ColumnType":"long"},{"ColumnName":"turnsArray","ColumnType":"dynamic"},{"ColumnName":"x","ColumnType":"dynamic"}]"#;
    let deep = "[".repeat(200) + &"]".repeat(200);
    let fragment = r#"{"FrameType":"TableFragment","TableFragmentType":"DataAppend""#;
    let text = [
        r#"[{"FrameType":"DataSetHeader","Version":"v2.0"},{"FrameType":"TableHeader","TableId":0,"TableKind":"PrimaryResult","TableName":"t","Columns":"#,
        columns,
        "},",
        &format!(r#"{fragment},"TableId":0,"Rows":[["a",1,[{{}}],{deep}]]}},"#),
        // Only behind its rows it says whose they are.
        &format!("{fragment},\"Rows\":[[\"b\",2,[{{}},\n{{}}],null]],\"TableId\":0}},"),
        r#"{"FrameType":"TableCompletion","TableId":0,"RowCount":2},{"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}]"#,
    ]
    .concat();
    let block = block_of(&text);
    assert_eq!(block.rejects.len(), 1);
    assert_eq!(block.bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
    let parsed: Vec<_> = block
        .parsed
        .iter()
        .map(|parsed| (&*parsed.id, parsed.kind))
        .collect();
    assert_eq!(parsed, [(&b"b"[..], ParsedKind::Conversation { turns: 2 })]);
}

#[test]
fn a_row_that_is_not_plainly_good_is_left_to_be_read() {
    let good = r#"["a",[{"turnIndex":1}],1,null]"#;
    for (odd, reason) in [
        (
            r#"["b",[{"turnIndex":1,"turnIndex":2}],1,null]"#,
            Some(MalformedReason::DuplicateField),
        ),
        (r#"["b",[1],1,null]"#, Some(MalformedReason::TurnNotObject)),
        (r#"["b",null,1,null]"#, Some(MalformedReason::TurnsArray)),
        (r#"["b",{},1,null]"#, Some(MalformedReason::TurnsArray)),
        (r#"["",[],1,null]"#, Some(MalformedReason::ConversationId)),
        (
            r#"["\ud83d",[],1,null]"#,
            Some(MalformedReason::ConversationId),
        ),
        (r#"[null,[],1,null]"#, Some(MalformedReason::ConversationId)),
        (r#"["b\n",[],1,null]"#, None),
        (r#"["b","[{\"turnIndex\":1},\r\n{}]",2,null]"#, None),
        (
            r#"["b","no JSON",2,null]"#,
            Some(MalformedReason::TurnsArray),
        ),
    ] {
        let block = payload_block(&format!("{good},{odd},{good}"));
        assert!(block.parsed.is_empty(), "{odd}");
        let lines: Vec<&[u8]> = block.bytes.split_inclusive(|&b| b == b'\n').collect();
        assert_eq!(lines.len(), 3, "{odd}");
        let read = row::read(row::trim(lines[1]), &selection(1));
        assert_eq!(read.err().map(|row| row.reason), reason, "{odd}");
    }
}

#[test]
fn json_in_a_string_is_no_deeper_in_its_row_than_any_may_be() {
    for (depth, reason) in [
        (MAX_DEPTH as usize - 1, MalformedReason::TurnNotObject),
        // It stays a string.
        (MAX_DEPTH as usize, MalformedReason::TurnsArray),
    ] {
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let block = payload_block(&format!(r#"["a","{nested}",1,null]"#));
        let read = row::read(row::trim(&block.bytes), &selection(1));
        assert_eq!(read.err().map(|row| row.reason), Some(reason), "{depth}");
    }
}
