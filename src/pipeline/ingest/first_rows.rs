//! A look at the first rows of every input file, for a plan: what would an export refuse?
//!
//! Rows are read as an export reads them and judged by the same report; nothing is kept or written.
//! Bounded: so many rows and bytes of a file, so many files, and of a row larger than that no more
//! than `limits.max_record`.

use memchr::memchr;

use super::chunk_reader::{AnyRow, Reading, RowRules};
use super::rows_report::{RowsReport, Tallies};
use crate::domain::copilot_chat::row::ReadRow;
use crate::domain::dataset::accounting::MalformedReport;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::record::row::{self, RowKind, RowShape};
use crate::domain::scheduling::chunk::{Chunk, Piece};
use crate::pipeline::error::RunError;
use crate::source::files::FilesSource;
use crate::source::{RowBlock, SourceError};
use crate::spool::payloads::Payloads;

/// Rows of a file that are looked at.
pub const MOST_ROWS: u64 = 100;

/// Bytes of a file, decoded: no row that begins behind them is looked at.
pub const MOST_BYTES: u64 = 256 * 1024;

/// Files that are looked at.
pub const MOST_FILES: usize = 1000;

/// What the first rows show.
#[derive(Debug)]
pub struct FirstRows {
    /// Files that were read.
    pub files: usize,
    /// Rows that were read.
    pub rows: u64,
    /// Bytes that these take, decoded.
    pub bytes: u64,
    /// Whether some are Copilot Chat telemetry.
    pub is_telemetry: bool,
    /// Those that are malformed, with their places.
    pub malformed: MalformedReport,
    /// Why an export of these rows would end: mixed schemas, too many malformed rows.
    pub refusal: Option<RunError>,
    /// Files that cannot be read.
    pub unreadable: Vec<SourceError>,
    /// What is odd about rows that can be read, a sentence each.
    pub oddities: Vec<String>,
}

impl FirstRows {
    /// How many rows so many bytes have, about, if they are like these; `None` if there were none to look at.
    pub fn rows_of(&self, bytes: u64) -> Option<u64> {
        let rows = u128::from(bytes) * u128::from(self.rows);
        u64::try_from(rows.checked_div(u128::from(self.bytes))?).ok()
    }
}

/// What makes an export of these rows end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `limits.max_malformed_percent`
    pub max_malformed_percent: f64,
    /// `source.allow_sampled`
    pub allow_sampled: bool,
}

/// Looks at the files that a survey of the source has found.
pub fn look(source: &FilesSource, rules: &RowRules, limits: Limits) -> FirstRows {
    let inputs = source.inputs().unwrap_or_default();
    let files = inputs.len().min(MOST_FILES);
    let mut tallies = Tallies::new();
    let mut unreadable = Vec::new();
    for file in (0..).take(files) {
        let mut tally = ChunkTally::default();
        if let Err(error) = look_at(source, file, rules, &mut tally) {
            unreadable.push(error);
        }
        let (start, end) = (0, 1);
        tallies.insert(Chunk::Piece(Piece { file, start, end }), tally);
    }
    let report = RowsReport {
        inputs: inputs.to_vec(),
        payloads: Payloads::default(),
        max_percent: limits.max_malformed_percent,
        max_record: rules.max_record,
        schema: rules.schema,
        allow_sampled: limits.allow_sampled,
        quotes_values: rules.quotes_values,
        split_by: rules.selection.split_by().cloned(),
    };
    FirstRows {
        files,
        rows: tallies.values().map(|tally| tally.rows_read).sum(),
        bytes: tallies.values().map(|tally| tally.bytes).sum(),
        is_telemetry: tallies
            .values()
            .any(|tally| tally.first_telemetry.is_some()),
        malformed: report.malformed(&tallies, &[]),
        refusal: report.judge(&tallies).err(),
        unreadable,
        oddities: report.explain(&tallies, false),
    }
}

fn look_at(
    source: &FilesSource,
    file: u32,
    rules: &RowRules,
    tally: &mut ChunkTally,
) -> Result<(), SourceError> {
    let mut reader = match source.first_rows(file) {
        // Nothing but white space, as far as one looks.
        Err(SourceError::Stopped) => return Ok(()),
        opened => opened?,
    };
    let mut block = RowBlock::default();
    while tally.rows_read < MOST_ROWS && tally.bytes < MOST_BYTES {
        block.clear();
        match reader.read_block(&mut block) {
            Ok(true) => take(&block, rules, tally),
            Ok(false) => break,
            Err(SourceError::Stopped) => {
                // In a row that is too large, which is reported already.
                block.bytes.clear();
                take(&block, rules, tally);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Counts the rows of a block, as far as they are looked at, and their bytes.
fn take(block: &RowBlock, rules: &RowRules, tally: &mut ChunkTally) {
    let mut rejects = block.rejects.iter().peekable();
    let mut parsed = block.parsed.iter();
    let mut record = Vec::new();
    let mut line = block.first_line;
    let mut start = 0;
    while let Some(rest) = block.bytes.get(start..).filter(|rest| !rest.is_empty()) {
        if tally.rows_read >= MOST_ROWS || tally.bytes >= MOST_BYTES {
            return;
        }
        while let Some(reject) = rejects.next_if(|reject| reject.line <= line) {
            tally.malformed(reject.reason, reject.line, || None);
            line = line.max(reject.line + 1);
        }
        let parsed = parsed.next();
        let length = match parsed {
            Some(parsed) => rest.len().min(parsed.length as usize),
            None => memchr(b'\n', rest).unwrap_or(rest.len()),
        };
        let text = row::trim(&rest[..length]);
        if !text.is_empty() {
            let reading = Reading {
                rules,
                read: row::read_by_fields,
                expects_telemetry: tally.first_telemetry.is_some(),
            };
            match reading.row(&mut record, block, text, false, parsed) {
                Ok(row) => count(row, rules, text, line, tally),
                Err(malformed) => {
                    let reason = malformed.reason;
                    tally.malformed(reason, line, || rules.describe(text, reason));
                }
            }
        }
        line += 1;
        // The last line of a file may lack its newline.
        tally.bytes += rest.len().min(length + 1) as u64;
        start += length + 1;
    }
    for reject in rejects {
        if tally.rows_read < MOST_ROWS {
            tally.malformed(reject.reason, reject.line, || None);
        }
    }
}

fn count(row: AnyRow<'_>, rules: &RowRules, text: &[u8], line: u64, tally: &mut ChunkTally) {
    tally.rows_read += 1;
    match &row {
        AnyRow::Row(row) => rules.note_group(tally, rules.group_of(row, text), text, line),
        AnyRow::Telemetry(ReadRow::Used(row)) if !row.header.event.is_shared() => {
            let group = rules.group_of_telemetry(&row.header, text);
            rules.note_group(tally, group, text, line);
        }
        AnyRow::Telemetry(_) => {}
    }
    match row {
        AnyRow::Telemetry(row) => {
            tally.shape(RowShape::CopilotChat, line);
            if let ReadRow::Used(row) = row {
                let event = row.header.event.name();
                let seen = &mut tally.telemetry;
                seen.add(event, &row.version, row.item_count, line);
            }
        }
        AnyRow::Row(row) => match row.kind {
            RowKind::Turn { agent, .. } => {
                tally.shape(RowShape::Turns, line);
                tally.oddities(text, &row.oddities, agent, line);
            }
            RowKind::Conversation { .. } | RowKind::Census { .. } => {
                tally.shape(RowShape::Conversations, line);
            }
        },
    }
}
