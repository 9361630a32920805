//! Secrets and personal data in files or in a published dataset: what there is and where, never the text.
//!
//! - Files are read as an export reads them; a row that is no JSON is looked at as text.
//! - A dataset is read by rank and checked as it is read, as for a conversion.
//! - The report depends on the input and the rules alone, not on the number of threads.
//! - Memory is a few batches for a thread of the pool, the largest rows, and what is reported.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::convert::each_batch::{each_batch_of_all, in_order, lock};
use crate::convert::records::Lines;
use crate::convert::{ConvertError, SharedDataset};
use crate::domain::conversion::id_of;
use crate::domain::dataset::manifest::Manifest;
use crate::domain::privacy::document::Documents;
use crate::domain::privacy::finder::Finder;
use crate::domain::privacy::own::OwnRules;
use crate::domain::privacy::tally::{RecordFindings, Tally};
use crate::runtime::CpuPool;
use crate::source::files::FilesSource;
use crate::source::{BlockReader, ConversationSource, RowBlock, SourceError};

mod report;

pub use report::{FindingReport, PlaceReport, RuleReport, ScanReport};

/// Findings that are listed, unless all are asked for.
const MOST_LISTED: usize = 100;

/// What may keep input from being scanned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The dataset, or a thread.
    #[error(transparent)]
    Dataset(#[from] ConvertError),
    /// A file.
    #[error(transparent)]
    Input(#[from] SourceError),
}

/// What to look for, and what to say.
pub struct Scan {
    finder: Finder,
    /// SHA-256 of a user's own rules; empty without any.
    own_sha256: String,
    most_listed: usize,
}

/// What was found in some records.
#[derive(Default)]
struct Found {
    tally: Tally,
    listed: Vec<FindingReport>,
    unlisted: u64,
    not_json: u64,
    not_read: u64,
}

/// A block of rows, and its file.
struct Block {
    rows: RowBlock,
    file: Arc<str>,
}

impl Scan {
    /// Looks for secrets, personal data or both, for secrets also by a user's `own` rules; `lists_all` lists every finding instead of the first hundred.
    pub fn new(secrets: bool, personal: bool, own: &OwnRules, lists_all: bool) -> Self {
        Self {
            finder: Finder::new(secrets, personal, own),
            own_sha256: own.sha256.clone(),
            most_listed: if lists_all { usize::MAX } else { MOST_LISTED },
        }
    }

    /// Looks at every record of a published dataset.
    ///
    /// # Errors
    /// If it cannot be read, or is not what its manifest says.
    pub async fn dataset(
        self: &Arc<Self>,
        dataset: &SharedDataset,
        manifest: &Manifest,
        pool: &CpuPool,
    ) -> Result<ScanReport, ScanError> {
        let mut all = Found::default();
        let scan = Arc::clone(self);
        let work = move |lines: &Lines, _: &str| {
            let mut found = Found::default();
            let mut documents = Documents::new(&scan.finder);
            for line in lines.iter() {
                let place = (line.path, line.number);
                scan.look_at(line.text, place, &mut documents, &mut found);
            }
            Ok(found)
        };
        let visit = async |found| {
            self.append(&mut all, found);
            Ok(())
        };
        each_batch_of_all(dataset, manifest, pool, work, visit).await?;
        Ok(report::of(lock(dataset).location(), &self.own_sha256, all))
    }

    /// Looks at every row of files, folders and globs; rows of more than `max_record` bytes are counted alone.
    ///
    /// # Errors
    /// If a path stands for nothing, or a file cannot be read.
    pub async fn files(
        self: &Arc<Self>,
        paths: Vec<PathBuf>,
        max_record: u64,
        pool: &CpuPool,
    ) -> Result<ScanReport, ScanError> {
        let location = paths.iter().map(|path| path.display().to_string());
        let location = location.collect::<Vec<_>>().join(" ");
        let source = FilesSource::new(paths, std::num::NonZeroU32::MIN, max_record);
        source.survey().await?;
        let read = move |send: &dyn Fn(Block) -> bool| read_blocks(&source, send);
        let scan = Arc::clone(self);
        let work = move |block: &Block| Ok(scan.look_at_block(block));
        let mut all = Found::default();
        let visit = async |found| {
            self.append(&mut all, found);
            Ok(())
        };
        in_order(read, pool, work, visit).await?;
        Ok(report::of(location, &self.own_sha256, all))
    }

    fn look_at_block(&self, block: &Block) -> Found {
        let mut found = Found {
            not_read: block.rows.rejects.len() as u64,
            ..Found::default()
        };
        let mut documents = Documents::new(&self.finder);
        // Numbers of rows that were left out are passed over.
        let mut rejects = block
            .rows
            .rejects
            .iter()
            .map(|reject| reject.line)
            .peekable();
        let mut number = block.rows.first_line;
        for line in block.rows.bytes.split(|byte| *byte == b'\n') {
            while rejects.next_if(|left_out| *left_out <= number).is_some() {
                number += 1;
            }
            if !line.trim_ascii().is_empty() {
                self.look_at(line, (&block.file, number), &mut documents, &mut found);
            }
            number += 1;
        }
        found
    }

    fn look_at(
        &self,
        text: &[u8],
        (file, line): (&str, u64),
        documents: &mut Documents<'_>,
        found: &mut Found,
    ) {
        let mut findings = RecordFindings::default();
        if documents.each(text, |hit| findings.add(hit)).is_err() {
            found.not_json += 1;
            findings = RecordFindings::default();
            documents.each_in_text(text, |hit| findings.add(hit));
        }
        found.tally.add(&findings);
        if found.listed.len() >= self.most_listed {
            found.unlisted += findings.0.len() as u64;
            return;
        }
        if findings.0.is_empty() {
            return;
        }
        let id = id_of(text);
        let listed = findings
            .0
            .into_iter()
            .map(|((rule, place), (_, times))| FindingReport {
                file: file.to_owned(),
                line,
                conversation_id: (!id.is_empty()).then(|| id.clone()),
                rule,
                place,
                times,
            });
        found.listed.extend(listed);
    }

    fn append(&self, all: &mut Found, more: Found) {
        all.tally.merge(&more.tally);
        all.listed.extend(more.listed);
        let over = all.listed.len().saturating_sub(self.most_listed);
        all.unlisted += more.unlisted + over as u64;
        all.listed.truncate(self.most_listed);
        all.not_json += more.not_json;
        all.not_read += more.not_read;
    }
}

/// Reads one file after the other, and sends its blocks while they are wanted.
fn read_blocks(source: &FilesSource, send: &dyn Fn(Block) -> bool) -> Result<(), ScanError> {
    let inputs = source.inputs().unwrap_or_default();
    for (number, input) in (0..).zip(inputs) {
        let file: Arc<str> = input.path.display().to_string().into();
        let mut reader: Box<dyn BlockReader> = source.rows_up_to(number, u64::MAX)?;
        loop {
            let mut rows = RowBlock::default();
            if !reader.read_block(&mut rows)? {
                break;
            }
            let file = Arc::clone(&file);
            if !send(Block { rows, file }) {
                return Ok(());
            }
        }
    }
    Ok(())
}
