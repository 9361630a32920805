//! Records that are converted together.

use std::ops::Range;

use super::ConvertError;
use super::records::Lines;
use super::shards::Format;
use crate::domain::conversion::rule::Findings;
use crate::domain::conversion::{Cell, Column, Converter, Outcome, Row};
use crate::domain::dataset::converted::Counts;
use crate::runtime::buffers::{Buffer, Buffers};

/// Records, converted.
pub struct Batch {
    /// Records read for it.
    pub records: u64,
    /// Bytes read for it.
    pub read: u64,
    /// What the rules did.
    pub counts: Counts,
    /// The columns of each record that is written.
    pub columns: Vec<ColumnSet>,
    /// What is written.
    pub body: Body,
}

/// Some of a preset's columns, a bit for each in their order.
pub type ColumnSet = u32;

/// Records as their files have them.
pub enum Body {
    /// JSON, one behind the other, with what stands between them.
    Lines {
        /// The records.
        bytes: Buffer,
        /// Where each of them lies.
        places: Vec<Range<usize>>,
    },
    /// Columns.
    Rows(Vec<Row>),
}

impl Batch {
    /// The lengths of its records as JSON.
    pub fn lengths(&self) -> Vec<u64> {
        match &self.body {
            Body::Lines { places, .. } => places.iter().map(|at| at.len() as u64).collect(),
            Body::Rows(rows) => rows.iter().map(|row| row.json().len() as u64).collect(),
        }
    }
}

/// Converts records.
///
/// # Errors
/// If one of them is no record.
pub fn convert(
    converter: &Converter,
    split: &str,
    format: Format,
    lines: &Lines,
    buffers: &Buffers,
) -> Result<Batch, ConvertError> {
    let mut counts = Counts::default();
    let mut findings = Findings::default();
    let all = converter.preset().columns();
    let mut columns = Vec::new();
    let mut rows = Vec::new();
    let mut places = Vec::new();
    let is_rows = format == Format::Parquet;
    let mut buffer = match is_rows {
        true => Buffer::default(),
        false => buffers.take(lines.bytes() + lines.bytes() / 4),
    };
    let mut row = Row::in_buffer(std::mem::take(&mut *buffer));
    for line in lines.iter() {
        let outcome = converter.convert(line.text, split, &mut row, &mut findings);
        let outcome = outcome.map_err(|source| ConvertError::Record {
            path: line.path.to_owned(),
            line: line.number,
            source,
        })?;
        counts.add(&findings);
        if outcome == Outcome::Written {
            columns.push(columns_of(&row, &all));
        }
        match outcome {
            Outcome::Dropped(rule) => counts.drop_record(rule),
            Outcome::Written if is_rows => rows.push(std::mem::take(&mut row)),
            Outcome::Written => {
                let end = row.bytes();
                places.push(end - row.json().len()..end);
                row.separate(format.framing().between);
            }
        }
    }
    let body = match is_rows {
        true => Body::Rows(rows),
        false => {
            *buffer = row.into_bytes();
            Body::Lines {
                bytes: buffer,
                places,
            }
        }
    };
    Ok(Batch {
        records: lines.len(),
        read: lines.bytes() as u64,
        counts,
        columns,
        body,
    })
}

fn columns_of(row: &Row, all: &[Column]) -> ColumnSet {
    let place = |cell: Cell<'_>| all.iter().position(|column| *column == cell.column);
    row.cells()
        .filter_map(place)
        .fold(0, |set, place| set | 1 << place)
}
