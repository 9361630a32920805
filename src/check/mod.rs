//! What a loader would do to a published dataset, before it is trained on.
//!
//! - The dataset is read by rank and checked as it is read, as for a conversion; nothing is written.
//! - What is said of a record is decided in [`crate::domain::conversion::check`].
//! - The report depends on the dataset, the preset, the options, the tokenizer and the template alone.
//! - Memory is a few batches of 1 MB each for a thread of the pool, the largest records, 8 bytes for the length of each
//!   record, and what each record is reported with if that is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::convert::each_batch::{each_batch_of_all, lock};
use crate::convert::records::Lines;
use crate::convert::{ConvertError, SharedDataset};
use crate::domain::conversion::check::{Checker, Measure, StratumTally};
use crate::domain::conversion::{Converter, NotARecord, Options, Preset};
use crate::domain::dataset::manifest::Manifest;
use crate::domain::record::columns::Columns;
use crate::runtime::CpuPool;
use crate::sink::reader::DatasetReader;
use crate::tokenizer::{SharedTemplate, SharedTokenizer};

mod report;

pub use report::{
    CheckReport, ColumnReport, FindingReport, RecordReport, StratumReport, TemplateFailsReport,
    TokensReport,
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
}

/// What was found in some records.
#[derive(Default)]
struct Found {
    strata: BTreeMap<usize, StratumTally>,
    columns: Columns,
    records: Vec<RecordReport>,
}

impl Found {
    /// Adds what was found in the records that follow.
    fn append(&mut self, other: Self) {
        for (stratum, tally) in other.strata {
            self.strata.entry(stratum).or_default().merge(tally);
        }
        self.columns.merge(&other.columns);
        self.records.extend(other.records);
    }
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
pub async fn check(
    dataset: &SharedDataset,
    manifest: &Arc<Manifest>,
    check: &Arc<Check>,
    pool: &CpuPool,
) -> Result<CheckReport, ConvertError> {
    let mut all = Found::default();
    let work = {
        let (check, manifest) = (Arc::clone(check), Arc::clone(manifest));
        move |lines: &Lines, split: &str| check.look_at(lines, &manifest, split)
    };
    let visit = async |found| {
        all.append(found);
        Ok(())
    };
    each_batch_of_all(dataset, manifest, pool, work, visit).await?;
    let location = lock(dataset).location();
    Ok(report::of(location, manifest, check, all))
}

impl Check {
    fn look_at(
        &self,
        lines: &Lines,
        manifest: &Manifest,
        split: &str,
    ) -> Result<Found, ConvertError> {
        let measure = self.tokenizer.as_deref().map(|tokenizer| Measure {
            tokenizer,
            max_length: self.max_length,
        });
        let template = self.template.as_ref().map(|(_, template)| &**template);
        let converter = Converter::new(self.preset, self.options.clone());
        let checker = Checker::new(converter, template, measure);
        let mut found = Found::default();
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
            if self.each_record {
                let bucket = &manifest.strata[stratum].bucket;
                let report = RecordReport::of(line.text, split, bucket, &checked);
                found.records.push(report);
            }
        }
        Ok(found)
    }
}
