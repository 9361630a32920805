//! Reading one row.

use std::borrow::Cow;

use super::{NULLS, Read, RowRules};
use crate::domain::record::assembler::Assembler;
use crate::domain::record::row::{self, MalformedReason, MalformedRow, Oddities, Row, RowKind};
use crate::domain::record::row_fault;
use crate::source::{ParsedRow, RowBlock, RowEncoding};

/// What a row without white space around is. Changes nothing but `record`, so it can be done again.
pub(in crate::pipeline::ingest) fn read_row<'a>(
    rules: &RowRules,
    read: Read,
    record: &mut Vec<u8>,
    block: &RowBlock,
    row: &'a [u8],
    utf8: bool,
    parsed: Option<&'a ParsedRow>,
) -> Result<Row<'a>, MalformedRow<'a>> {
    let unread = |reason, row: &'a [u8]| {
        let id = match parsed {
            Some(parsed) => Some(Cow::Borrowed(&*parsed.id)),
            None => row::readable_id(row),
        };
        Err(MalformedRow { reason, id })
    };
    if row.len() as u64 > rules.max_record {
        // A reader that cannot hold it has no more of it than this either.
        let beginning = &row[..rules.max_record as usize];
        return unread(MalformedReason::TooLarge, beginning);
    }
    if !utf8 && simdutf8::basic::from_utf8(row).is_err() {
        return unread(MalformedReason::InvalidUtf8, row);
    }
    let found = match parsed {
        Some(parsed) => Row {
            id: Cow::Borrowed(&parsed.id),
            kind: RowKind::Conversation {
                turns: parsed.turns,
                prevalidated: false,
            },
            oddities: Oddities::default(),
        },
        None if block.encoding == RowEncoding::Census => row::read_census(row)?,
        None => read(row, &rules.selection)?,
    };
    match found.kind {
        RowKind::Conversation { turns, .. }
            if block.encoding == RowEncoding::Assembled
                && is_record_too_large(rules, record, row, i64::from(turns)) =>
        {
            Err(MalformedRow {
                reason: MalformedReason::TooLarge,
                id: Some(found.id),
            })
        }
        _ => Ok(found),
    }
}

/// Whether the record that a row of columns becomes is too large. It is put together only if
/// that is in doubt: what is added are keys with null.
fn is_record_too_large(rules: &RowRules, record: &mut Vec<u8>, row: &[u8], turns: i64) -> bool {
    let turns = turns.unsigned_abs();
    let bucket = rules.selection.bucket_of(turns);
    let bucket = bucket.map_or(0, |bucket| bucket.name.len() as u64);
    let most = row.len() as u64 + bucket + NULLS + NULLS * turns;
    if most <= rules.max_record {
        return false;
    }
    record.clear();
    let assembler = Assembler::new(&rules.selection, rules.nested);
    // A row that was read can be read again; what cannot be put together is never written.
    assembler.from_columns(row, record).is_err() || record.len() as u64 > rules.max_record
}

/// What is wrong with a malformed row. Should saying so panic, the reason must do.
pub(in crate::pipeline::ingest) fn describe(row: &[u8], reason: MalformedReason) -> Option<String> {
    let described = std::panic::catch_unwind(|| row_fault::describe(row, reason));
    described.unwrap_or_default()
}
