//! What a loader would do to a published dataset, before it is trained on.
//!
//! - The dataset is read by rank and checked as it is read, as for a conversion; nothing is written.
//! - What is said of a record is decided in [`crate::domain::conversion::check`].
//! - The report depends on the dataset, the preset, the options, the tokenizer and the template alone.
//! - Memory is a few batches of 1 MB each for a thread, the largest records, 8 bytes for the length of each
//!   record, and what each record is reported with if that is asked for.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;

use crate::convert::ConvertError;
use crate::convert::records::{BATCH_BYTES, Lines, Records};
use crate::domain::conversion::check::{Checker, Measure, StratumTally};
use crate::domain::conversion::{Converter, NotARecord, Options, Preset};
use crate::domain::dataset::manifest::Manifest;
use crate::domain::record::columns::Columns;
use crate::runtime::JobError;
use crate::runtime::buffers::Buffers;
use crate::sink::reader::DatasetReader;
use crate::tokenizer::{SharedTemplate, SharedTokenizer};

mod report;

pub use report::{
    CheckReport, ColumnReport, FindingReport, RecordReport, StratumReport, TokensReport,
};

/// What to check.
#[derive(Debug, Clone)]
pub struct Check {
    /// For whom.
    pub preset: Preset,
    /// How records are converted.
    pub options: Options,
    /// What counts tokens.
    pub tokenizer: Option<SharedTokenizer>,
    /// What makes one text of the messages, and its name.
    pub template: Option<(String, SharedTemplate)>,
    /// The most tokens of a record that are trained on.
    pub max_length: Option<u64>,
    /// Whether each record is reported.
    pub each_record: bool,
    /// Threads that look at records.
    pub threads: usize,
}

/// What a thread has found.
#[derive(Default)]
struct Found {
    strata: BTreeMap<usize, StratumTally>,
    columns: Columns,
    /// By batch.
    records: Vec<(u64, Vec<RecordReport>)>,
}

/// Reads the manifest of a published dataset, whose time templates may want.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn manifest(dataset: &dyn DatasetReader) -> Result<Manifest, ConvertError> {
    Ok(crate::verify::read_manifest(dataset)?)
}

/// Checks a dataset.
///
/// # Errors
/// If it cannot be read, or is not what its manifest says.
pub fn check(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    check: &Check,
) -> Result<CheckReport, ConvertError> {
    let mut all = Found::default();
    for split in &manifest.selection.splits {
        let found = check_split(dataset, manifest, check, &split.name)?;
        let mut batches = Vec::new();
        for one in found {
            for (stratum, tally) in one.strata {
                all.strata.entry(stratum).or_default().merge(tally);
            }
            all.columns.merge(&one.columns);
            batches.extend(one.records);
        }
        batches.sort_by_key(|(batch, _)| *batch);
        all.records.append(&mut batches);
    }
    Ok(report::of(dataset.location(), manifest, check, all))
}

/// The caller's thread reads, the others look.
fn check_split(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    check: &Check,
    split: &str,
) -> Result<Vec<Found>, ConvertError> {
    let records = Records::new(manifest, split, &Buffers::new(2 * BATCH_BYTES))?;
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // One batch waits while each thread looks at one. A thread that ends drops its end of the channel: once all
        // have, nobody waits to send.
        let (send, receive) = crossbeam_channel::bounded::<(u64, Lines)>(1);
        let mut threads = Vec::new();
        for _ in 0..check.threads.max(1) {
            let (receive, failed) = (receive.clone(), &failed);
            let look = move || {
                let looked = look_at_batches(receive, manifest, check, split);
                failed.fetch_or(looked.is_err(), Ordering::Relaxed);
                looked
            };
            let named = std::thread::Builder::new().name("gleaner-check".to_owned());
            let started = named.spawn_scoped(scope, look);
            threads.push(started.map_err(ConvertError::Thread)?);
        }
        drop(receive);
        let number = Cell::new(0);
        let read = records.read(dataset, |lines| {
            let batch = number.replace(number.get() + 1);
            !failed.load(Ordering::Relaxed) && send.send((batch, lines)).is_ok()
        });
        drop(send);
        let looked = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| JobError::Panicked)?)
            .collect::<Result<Vec<_>, ConvertError>>();
        read.and(looked)
    })
}

fn look_at_batches(
    batches: Receiver<(u64, Lines)>,
    manifest: &Manifest,
    check: &Check,
    split: &str,
) -> Result<Found, ConvertError> {
    let measure = check.tokenizer.as_deref().map(|tokenizer| Measure {
        tokenizer,
        max_length: check.max_length,
    });
    let template = check.template.as_ref().map(|(_, template)| &**template);
    let converter = Converter::new(check.preset, check.options.clone());
    let checker = Checker::new(converter, template, measure);
    let mut found = Found::default();
    for (batch, lines) in batches {
        let mut records = Vec::new();
        for line in lines.iter() {
            let not_a_record = |source: NotARecord| ConvertError::Record {
                path: line.path.to_owned(),
                line: line.number,
                source,
            };
            let checked = checker.check(line.text, split);
            let checked = checked.map_err(not_a_record)?;
            let columns = found.columns.add(line.text);
            columns.map_err(|error| not_a_record(error.into()))?;
            let stratum = manifest.stratum_of_file(line.path);
            let stratum = stratum.expect("the file of a stratum");
            found.strata.entry(stratum).or_default().add(&checked);
            if check.each_record {
                let bucket = &manifest.strata[stratum].bucket;
                records.push(RecordReport::of(line.text, split, bucket, &checked));
            }
        }
        if check.each_record {
            found.records.push((batch, records));
        }
    }
    Ok(found)
}
