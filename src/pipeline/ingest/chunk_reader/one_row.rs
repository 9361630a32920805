//! Reading one row.

use std::borrow::Cow;

use super::{AnyRow, NULLS, Read, RowRules};
use crate::domain::copilot_chat;
use crate::domain::record::assembler::Assembler;
use crate::domain::record::row::{
    self, MalformedReason, MalformedRow, Oddities, Row, RowByFields, RowKind, RowShape,
};
use crate::source::{ParsedKind, ParsedRow, RowBlock, RowEncoding};

/// How the rows of a block are read.
pub(in crate::pipeline::ingest) struct Reading<'r> {
    pub(in crate::pipeline::ingest) rules: &'r RowRules,
    pub(in crate::pipeline::ingest) read: Read,
    /// Whether a row before was telemetry: then it is read as that first, which is all that most rows
    /// need.
    pub(in crate::pipeline::ingest) expects_telemetry: bool,
}

impl Reading<'_> {
    /// What a row without white space around is. Changes nothing but `record`, so it can be done
    /// again.
    pub(in crate::pipeline::ingest) fn row<'a>(
        &self,
        record: &mut Vec<u8>,
        block: &RowBlock,
        row: &'a [u8],
        utf8: bool,
        parsed: Option<&'a ParsedRow>,
    ) -> Result<AnyRow<'a>, MalformedRow<'a>> {
        let rules = self.rules;
        let unread = |reason, row: &'a [u8]| {
            let known = parsed.filter(|parsed| parsed.kind != ParsedKind::Unread);
            let id = match known {
                Some(parsed) => Some(Cow::Borrowed(&*parsed.id)),
                None => readable_id(row),
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
        let known = parsed.and_then(known_row);
        let found = match known {
            Some(known) => known,
            None if block.encoding == RowEncoding::Census => row::read_census(row)?,
            None => match self.by_fields(row)? {
                AnyRow::Row(row) => row,
                telemetry @ AnyRow::Telemetry(_) => return Ok(telemetry),
            },
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
            _ => Ok(AnyRow::Row(found)),
        }
    }

    /// A row of the schema that its fields show.
    fn by_fields<'a>(&self, row: &'a [u8]) -> Result<AnyRow<'a>, MalformedRow<'a>> {
        let rules = self.rules;
        let telemetry = || copilot_chat::row::read(row, &rules.copilot_chat.read);
        let expected = self.expects_telemetry || rules.schema == Some(RowShape::CopilotChat);
        let expected = expected.then(telemetry);
        if let Some(Ok(read)) = expected {
            return Ok(AnyRow::Telemetry(read));
        }
        let found = (self.read)(row, &rules.selection, rules.schema);
        match (found, expected) {
            (Ok(RowByFields::Row(row)), _) => Ok(AnyRow::Row(row)),
            (Ok(RowByFields::Telemetry), None) => telemetry().map(AnyRow::Telemetry),
            (Ok(RowByFields::Telemetry), Some(read)) => read.map(AnyRow::Telemetry),
            (Err(MalformedRow { reason, id }), _) => Err(MalformedRow {
                reason,
                id: id.or_else(|| copilot_chat::row::readable_id(row)),
            }),
        }
    }
}

/// A row that its source has read.
fn known_row(parsed: &ParsedRow) -> Option<Row<'_>> {
    let kind = match parsed.kind {
        ParsedKind::Conversation { turns } => RowKind::Conversation {
            turns,
            prevalidated: false,
        },
        ParsedKind::Turn { turn, at } => RowKind::Turn {
            turn,
            at,
            agent: true,
        },
        ParsedKind::Unread => return None,
    };
    Some(Row {
        id: Cow::Borrowed(&parsed.id),
        kind,
        oddities: Oddities::default(),
    })
}

/// The id of the conversation of a row that is malformed, of whatever schema.
pub(super) fn readable_id(row: &[u8]) -> Option<Cow<'_, [u8]>> {
    row::readable_id(row).or_else(|| copilot_chat::row::readable_id(row))
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

impl RowRules {
    /// What is wrong with a malformed row, if that may be said. Should saying so panic, the reason must do.
    pub(in crate::pipeline::ingest) fn describe(
        &self,
        row: &[u8],
        reason: MalformedReason,
    ) -> Option<String> {
        if !self.quotes_values {
            return None;
        }
        let described = std::panic::catch_unwind(|| copilot_chat::row_fault::describe(row, reason));
        described.unwrap_or_default()
    }
}
