//! `[decontaminate]`: the benchmarks that no conversation may repeat, read from their files.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::domain::dataset::manifest::hex;
use crate::domain::decontamination::{
    BenchmarkRecord, Benchmarks, DECONTAMINATION_VERSION, DecontaminationRecord, RUN,
};
use crate::source::files::FilesSource;
use crate::source::{RowBlock, SourceError};

/// Bytes of a row of a benchmark at most.
const MAX_ROW: u64 = 64 << 20;

/// A file of a benchmark, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchmarkFile {
    /// Lines, an array, compressed, Parquet: as input.
    pub path: PathBuf,
    /// The field of its texts; `a.b` is `b` of the object `a`. A list is a text for each of its strings.
    pub field: String,
    /// Its name in reports.
    pub name: String,
}

/// What keeps a benchmark from being read.
#[derive(Debug, Error)]
pub enum BenchmarkError {
    /// The file.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file, for its digest.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// A row that is no JSON, or too large.
    #[error("row {0} is no JSON object of at most 64 MiB")]
    Row(u64),
    /// Nothing can repeat it.
    #[error(
        "none of its {0} texts has {RUN} words, so that nothing could be found: name the field of longer texts, or leave it out"
    )]
    OnlyShort(u64),
    /// No row has a text in the field.
    #[error("none of its {rows} rows has a text in the field {field:?}")]
    NoText {
        /// Rows that were read.
        rows: u64,
        /// The field.
        field: String,
    },
}

/// The benchmarks of a run.
#[derive(Debug, Default)]
pub struct Decontamination {
    /// Their runs of words.
    pub benchmarks: Benchmarks,
    records: Vec<BenchmarkRecord>,
}

impl Decontamination {
    /// Reads the next benchmark.
    ///
    /// # Errors
    /// If it cannot be read, or has no texts.
    pub fn read(&mut self, file: &BenchmarkFile) -> Result<(), BenchmarkError> {
        let sha256 = sha256(&file.path)?;
        let number = usize::from(self.benchmarks.begin());
        let path: Vec<&str> = file.field.split('.').collect();
        let rows = each_row(&file.path, |row| {
            each_text(row, &path, &mut |text| self.benchmarks.add(text));
        })?;
        let counts = self.benchmarks.counts()[number];
        if counts.texts == 0 {
            let field = file.field.clone();
            return Err(BenchmarkError::NoText { rows, field });
        }
        if counts.texts == counts.short {
            return Err(BenchmarkError::OnlyShort(counts.texts));
        }
        self.records.push(BenchmarkRecord {
            name: file.name.clone(),
            field: file.field.clone(),
            sha256,
            rows,
            texts: counts.texts,
            short_texts: counts.short,
            contaminated: 0,
        });
        Ok(())
    }

    /// The name of a benchmark.
    pub fn name(&self, number: u16) -> &str {
        &self.records[usize::from(number)].name
    }

    /// What `metadata.json` says, with the number of records that repeat each benchmark.
    pub fn record(&self, contaminated: impl Fn(u16) -> u64) -> DecontaminationRecord {
        let with_count = |(number, record): (u16, &BenchmarkRecord)| BenchmarkRecord {
            contaminated: contaminated(number),
            ..record.clone()
        };
        DecontaminationRecord {
            version: DECONTAMINATION_VERSION,
            words: RUN as u32,
            benchmarks: (0..).zip(&self.records).map(with_count).collect(),
        }
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut hash = Sha256::new();
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(bytes);
        let read = bytes.len();
        file.consume(read);
    }
}

/// Calls `visit` with each row of a file; how many there are.
fn each_row(path: &Path, mut visit: impl FnMut(&Value)) -> Result<u64, BenchmarkError> {
    let source = FilesSource::new(vec![path.to_owned()], NonZeroU32::MIN, MAX_ROW);
    source.survey_now()?;
    let mut rows = 0;
    for (number, _) in (0..).zip(source.inputs().unwrap_or_default()) {
        let mut reader = source.rows_up_to(number, u64::MAX)?;
        loop {
            let mut block = RowBlock::default();
            if !reader.read_block(&mut block)? {
                break;
            }
            if let Some(reject) = block.rejects.first() {
                return Err(BenchmarkError::Row(reject.line));
            }
            let lines = block.bytes.split(|byte| *byte == b'\n');
            for (line, text) in (block.first_line..).zip(lines) {
                if !text.trim_ascii().is_empty() {
                    let row =
                        serde_json::from_slice(text).map_err(|_| BenchmarkError::Row(line))?;
                    visit(&row);
                    rows += 1;
                }
            }
        }
    }
    Ok(rows)
}

/// Calls `visit` with the texts that stand at a path.
fn each_text(value: &Value, path: &[&str], visit: &mut impl FnMut(&str)) {
    match (value, path) {
        (Value::String(text), []) => visit(text),
        (Value::Array(values), _) => {
            (values.iter()).for_each(|value| each_text(value, path, visit));
        }
        (Value::Object(members), [key, rest @ ..]) => {
            if let Some(value) = members.get(*key) {
                each_text(value, rest, visit);
            }
        }
        _ => {}
    }
}
