//! What may go wrong with a conversion, and what to do about it.

use thiserror::Error;

use super::shards::Format;
use crate::domain::conversion::{NotARecord, Preset};
use crate::domain::dataset::accounting::Imbalance;
use crate::runtime::JobError;
use crate::sink::{MANIFEST, SinkError};
use crate::verify::{Finding, VerifyError};

/// The errors of a conversion.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// It is no dataset, or its manifest cannot be read.
    #[error(transparent)]
    Dataset(#[from] VerifyError),
    /// It is not as it was published: its files, as far as their names, lengths and recorded digests show.
    #[error("{location} is not as it was published")]
    Changed {
        /// The dataset.
        location: String,
        /// What is wrong with it, the first findings.
        findings: Vec<Finding>,
    },
    /// A file of it is not what its manifest says.
    #[error("{path} of the dataset {what}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A record cannot be read.
    #[error("{path}, line {line}, is no record")]
    Record {
        /// The file.
        path: String,
        /// Its line, from 1 on.
        line: u64,
        /// Why.
        source: NotARecord,
    },
    /// No record is left.
    #[error("nothing to publish: the rules of {preset} dropped all {records} records")]
    NothingLeft {
        /// The preset.
        preset: Preset,
        /// Records read.
        records: u64,
    },
    /// The format is not one of the preset's, or not in this build.
    #[error("{format} cannot be written for {preset}: {reason}")]
    Format {
        /// The preset.
        preset: Preset,
        /// The format.
        format: Format,
        /// Why not.
        reason: &'static str,
    },
    /// Members of objects are columns, and the objects of two records have none together.
    #[error(
        "the tools of the records cannot be columns of one Parquet file for {preset}: {reason}"
    )]
    Columns {
        /// The preset.
        preset: Preset,
        /// Why not.
        reason: String,
    },
    /// Two splits have one name for loaders.
    #[error("the splits {first} and {second} are both called {name} by loaders")]
    SplitNames {
        /// A split.
        first: String,
        /// Another.
        second: String,
        /// The name.
        name: String,
    },
    /// A Parquet file cannot be made.
    #[cfg(feature = "parquet")]
    #[error("cannot write a Parquet file")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The dataset cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A thread did not do its work.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The system refuses a thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// Counts do not come out.
    #[error("the counts do not come out, a defect of gleaner: {0}")]
    Counts(#[from] Imbalance),
    /// The manifest cannot be written.
    #[error("cannot write {MANIFEST}")]
    Manifest(#[source] serde_json::Error),
}

impl ConvertError {
    /// What a person should do about it.
    pub fn hint(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Dataset(error) => error.hint().into(),
            Self::Sink(error) => error.hint(),
            Self::Changed { .. } | Self::Damaged { .. } | Self::Record { .. } => {
                "see all that is wrong with `gleaner verify DATASET`; then copy the dataset again from where it is whole, or export it again".into()
            }
            Self::NothingLeft { .. } => {
                "see which rules with `gleaner convert --json`; docs/loaders.md says what each means".into()
            }
            Self::Format { .. } => "leave --format out: the preset has one of its own".into(),
            Self::Columns { .. } => {
                "write lines with --format jsonl, and make columns of those as your loader wants them".into()
            }
            Self::SplitNames { .. } => "export with other names of splits".into(),
            Self::Counts(_) | Self::Manifest(_) => "please report it".into(),
            Self::Job(_) | Self::Thread(_) => "run the same command again".into(),
            #[cfg(feature = "parquet")]
            Self::Parquet(_) => "run the same command again; if it fails again, please report it".into(),
        }
    }
}
