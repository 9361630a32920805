//! Records that are converted together.

use super::ConvertError;
use super::records::Lines;
use super::shards::Format;
use crate::domain::conversion::rule::Findings;
use crate::domain::conversion::{Converter, Outcome, Row};
use crate::domain::dataset::converted::Counts;

/// Records, converted.
pub struct Batch {
    /// Records read for it.
    pub records: u64,
    /// What the rules did.
    pub counts: Counts,
    /// What is written.
    pub body: Body,
}

/// Records as their files have them.
pub enum Body {
    /// JSON, one behind the other, and where each ends.
    Lines {
        /// The records.
        bytes: Vec<u8>,
        /// Where each ends.
        ends: Vec<usize>,
    },
    /// Columns, and how long each record is as JSON.
    Rows(Vec<(Row, usize)>),
}

impl Batch {
    /// The lengths of its records as JSON.
    pub fn lengths(&self) -> impl Iterator<Item = u64> {
        let (lines, rows) = match &self.body {
            Body::Lines { ends, .. } => (ends.as_slice(), &[][..]),
            Body::Rows(rows) => (&[][..], rows.as_slice()),
        };
        let starts = [0].into_iter().chain(lines.iter().copied());
        let lines = lines.iter().zip(starts).map(|(end, start)| end - start);
        let rows = rows.iter().map(|(_, length)| *length);
        lines.chain(rows).map(|length| length as u64)
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
) -> Result<Batch, ConvertError> {
    let mut counts = Counts::default();
    let mut findings = Findings::default();
    let mut row = Row::default();
    let (mut bytes, mut ends, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    if format != Format::Parquet {
        bytes.reserve(lines.bytes() + lines.bytes() / 8);
    }
    for line in lines.iter() {
        let outcome = converter.convert(line.text, split, &mut row, &mut findings);
        let outcome = outcome.map_err(|source| ConvertError::Record {
            path: line.path.to_owned(),
            line: line.number,
            source,
        })?;
        counts.add(&findings);
        match outcome {
            Outcome::Dropped(rule) => counts.drop_record(rule),
            Outcome::Written if format == Format::Parquet => {
                let length = row.json_length();
                rows.push((std::mem::take(&mut row), length));
            }
            Outcome::Written => {
                row.write_json(&mut bytes);
                ends.push(bytes.len());
            }
        }
    }
    let body = match format {
        Format::Parquet => Body::Rows(rows),
        Format::Json | Format::Jsonl => Body::Lines { bytes, ends },
    };
    let records = lines.len();
    Ok(Batch {
        records,
        counts,
        body,
    })
}
