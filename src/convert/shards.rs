//! The files of a split.

use std::fmt;
use std::str::FromStr;

use super::batch::{Batch, Body};
use super::file::FileWriter;
#[cfg(feature = "parquet")]
use super::parquet::ParquetRows;
use super::{Context, Conversion, ConvertError};
use crate::domain::conversion::Preset;
use crate::domain::dataset::converted::Shard;
use crate::domain::dataset::manifest::{Framing, JSON, JSONL};

/// The kind of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array a file.
    Json,
    /// A record a line.
    Jsonl,
    /// Columns, compressed with zstd.
    Parquet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = [Self::Json, Self::Jsonl, Self::Parquet].into_iter();
        let found = all.find(|format| format.to_string() == name);
        found.ok_or_else(|| format!("there is no format {name:?}: choose json, jsonl or parquet"))
    }
}

impl Format {
    /// The format of a preset where none is asked for.
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::LlamaFactory => Self::Json,
            _ => Self::Jsonl,
        }
    }

    /// Whether a preset can be written so.
    pub(super) fn check(self, preset: Preset) -> Result<(), ConvertError> {
        let refuse = |reason| {
            Err(ConvertError::Format {
                preset,
                format: self,
                reason,
            })
        };
        match (self, preset) {
            (Self::Parquet, _) if cfg!(not(feature = "parquet")) => {
                refuse("this build is without the feature `parquet`")
            }
            (Self::Parquet, Preset::Trl) => Ok(()),
            (Self::Parquet, _) => refuse("its loader reads JSON"),
            (Self::Json, Preset::OpenAi | Preset::Mistral) => refuse("its loader reads lines"),
            _ => Ok(()),
        }
    }

    fn framing(self) -> Framing {
        match self {
            Self::Json => JSON,
            Self::Jsonl | Self::Parquet => JSONL,
        }
    }
}

/// Where files begin: before the record with which one would become longer than is allowed.
pub struct Lengths {
    most: u64,
    bytes: u64,
    /// Files so far.
    pub files: usize,
}

impl Lengths {
    /// No records yet.
    pub fn new(most: u64) -> Self {
        Self {
            most,
            bytes: 0,
            files: 0,
        }
    }

    /// Takes the length of the next record; whether a file begins with it.
    pub fn begins_file(&mut self, length: u64) -> bool {
        let begins = self.files == 0 || self.bytes + length > self.most;
        if begins {
            self.files += 1;
            self.bytes = 0;
        }
        self.bytes += length;
        begins
    }
}

/// The files of a split in the making.
pub struct Shards<'c> {
    context: &'c Context<'c>,
    split: &'c str,
    /// How many there will be.
    of: usize,
    lengths: Lengths,
    current: Option<Current<'c>>,
    done: Vec<Shard>,
}

/// The file that is being written.
struct Current<'c> {
    file: FileWriter<'c>,
    records: u64,
    #[cfg(feature = "parquet")]
    rows: Option<ParquetRows>,
}

impl<'c> Shards<'c> {
    /// No file yet.
    pub fn new(context: &'c Context<'c>, split: &'c str, of: usize) -> Self {
        Self {
            context,
            split,
            of,
            lengths: Lengths::new(context.conversion.shard_bytes),
            current: None,
            done: Vec::new(),
        }
    }

    /// Appends the records of a batch; whether there are not more files than were counted.
    pub async fn append(&mut self, batch: &Batch) -> Result<bool, ConvertError> {
        let lengths: Vec<_> = batch.lengths().collect();
        let mut start = 0;
        for (place, length) in lengths.into_iter().enumerate() {
            if self.lengths.begins_file(length) {
                if self.lengths.files > self.of {
                    return Ok(false);
                }
                self.end().await?;
                self.begin()?;
            }
            let Some(current) = &mut self.current else {
                continue;
            };
            match &batch.body {
                Body::Lines { bytes, ends } => {
                    let framing = self.context.conversion.format.framing();
                    let before = if current.records == 0 {
                        framing.before
                    } else {
                        framing.between
                    };
                    current.file.append(before.as_bytes()).await?;
                    current.file.append(&bytes[start..ends[place]]).await?;
                    start = ends[place];
                }
                #[cfg(feature = "parquet")]
                Body::Rows(rows) => {
                    if let Some(writer) = &mut current.rows {
                        let bytes = writer.append(&rows[place].0, length)?;
                        current.file.append(&bytes).await?;
                    }
                }
                #[cfg(not(feature = "parquet"))]
                Body::Rows(_) => {}
            }
            current.records += 1;
        }
        Ok(true)
    }

    fn begin(&mut self) -> Result<(), ConvertError> {
        let Conversion {
            dataset,
            format,
            preset,
            ..
        } = self.context.conversion;
        let number = self.lengths.files - 1;
        let path = format!("data/{}-{number:05}-of-{:05}.{format}", self.split, self.of);
        self.current = Some(Current {
            file: FileWriter::new(self.context.sink, dataset, path, &self.context.buffers),
            records: 0,
            #[cfg(feature = "parquet")]
            rows: match format {
                Format::Parquet => Some(ParquetRows::new(*preset)?),
                Format::Json | Format::Jsonl => None,
            },
        });
        #[cfg(not(feature = "parquet"))]
        let _ = preset;
        Ok(())
    }

    async fn end(&mut self) -> Result<(), ConvertError> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        #[cfg(feature = "parquet")]
        if let Some(rows) = current.rows.take() {
            let bytes = rows.finish()?;
            current.file.append(&bytes).await?;
        }
        if self.context.conversion.format != Format::Parquet {
            let after = self.context.conversion.format.framing().after;
            current.file.append(after.as_bytes()).await?;
        }
        let file = current.file.commit().await?;
        self.done.push(Shard {
            records: current.records,
            file,
        });
        Ok(())
    }

    /// Makes the last file. A split of which nothing is left has none.
    pub async fn finish(mut self) -> Result<Vec<Shard>, ConvertError> {
        self.end().await?;
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::Lengths;

    #[test]
    fn a_file_begins_before_the_record_that_would_pass_the_limit() {
        let mut lengths = Lengths::new(10);
        let begins: Vec<_> = [4, 6, 1, 12, 9, 1]
            .map(|length| lengths.begins_file(length))
            .to_vec();
        assert_eq!(begins, [true, false, true, true, true, false]);
        assert_eq!(lengths.files, 4);
    }
}
