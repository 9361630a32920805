//! The files of a split.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::batch::{Batch, Body, ColumnSet};
use super::file::{FileWriter, StagedFile};
#[cfg(feature = "parquet")]
use super::parquet::ParquetRows;
use super::sample::{Lengths, Sample};
use super::{Context, ConvertError};
use crate::domain::conversion::{Column, Preset};
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
            Preset::Verl if cfg!(feature = "parquet") => Self::Parquet,
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
            (Self::Parquet, Preset::Trl | Preset::Verl) => Ok(()),
            (Self::Parquet, _) => refuse("its loader reads JSON"),
            (Self::Json, Preset::OpenAi | Preset::Mistral) => refuse("its loader reads lines"),
            _ => Ok(()),
        }
    }

    pub(super) fn framing(self) -> Framing {
        match self {
            Self::Json => JSON,
            Self::Jsonl | Self::Parquet => JSONL,
        }
    }
}

/// The files of a split in the making.
///
/// How many there will be is a part of their names. It is estimated by the records that come first, which
/// are a random sample of the split: where the estimate was wrong, files are given other names, or are
/// not made at all where a sink cannot do that.
pub struct Shards<'c> {
    context: &'c Context<'c>,
    split: &'c str,
    /// By which it is known how many there will be; nothing is written before.
    sample: Sample,
    /// How many there will be, as far as is known.
    of: usize,
    lengths: Lengths,
    current: Option<Current<'c>>,
    done: Vec<Done>,
}

/// The file that is being written.
struct Current<'c> {
    file: FileWriter<'c>,
    records: u64,
    columns: ColumnSet,
    #[cfg(feature = "parquet")]
    rows: Option<ParquetRows>,
}

/// A file that was written.
struct Done {
    records: u64,
    columns: ColumnSet,
    file: StagedFile,
}

impl<'c> Shards<'c> {
    /// No file yet.
    pub fn new(context: &'c Context<'c>, split: &'c str, sample: Sample) -> Self {
        Self {
            context,
            split,
            sample,
            of: 0,
            lengths: Lengths::new(context.conversion.shard_bytes),
            current: None,
            done: Vec::new(),
        }
    }

    /// Appends the records of a batch.
    pub async fn append(&mut self, batch: Batch) -> Result<(), ConvertError> {
        let (of, batches) = self.sample.take(batch, self.context.conversion.shard_bytes);
        self.of = of;
        self.append_all(batches).await
    }

    async fn append_all(&mut self, batches: Vec<Batch>) -> Result<(), ConvertError> {
        for batch in &batches {
            self.append_one(batch).await?;
        }
        Ok(())
    }

    async fn append_one(&mut self, batch: &Batch) -> Result<(), ConvertError> {
        let lengths = batch.lengths();
        let mut from = 0;
        for (place, length) in lengths.iter().enumerate() {
            if self.lengths.begins_file(*length) {
                self.write(batch, from..place, &lengths).await?;
                from = place;
                self.end().await?;
                self.begin()?;
            }
        }
        self.write(batch, from..lengths.len(), &lengths).await
    }

    /// Appends some of a batch's records to the file.
    async fn write(
        &mut self,
        batch: &Batch,
        which: Range<usize>,
        lengths: &[u64],
    ) -> Result<(), ConvertError> {
        let Some(current) = self.current.as_mut().filter(|_| !which.is_empty()) else {
            return Ok(());
        };
        match &batch.body {
            Body::Lines { bytes, places } => {
                let framing = self.context.conversion.format.framing();
                let before = match current.records {
                    0 => framing.before,
                    _ => framing.between,
                };
                let records = places[which.start].start..places[which.end - 1].end;
                current.file.append(before.as_bytes()).await?;
                current.file.append(&bytes[records]).await?;
            }
            #[cfg(feature = "parquet")]
            Body::Rows(rows) => {
                for place in which.clone() {
                    if let Some(writer) = &mut current.rows {
                        let bytes = writer.append(&rows[place], lengths[place])?;
                        current.file.append(&bytes).await?;
                    }
                }
            }
            #[cfg(not(feature = "parquet"))]
            Body::Rows(_) => {
                let _ = lengths;
            }
        }
        current.records += which.len() as u64;
        let columns = &batch.columns[which];
        current.columns = columns.iter().fold(current.columns, |all, set| all | set);
        Ok(())
    }

    /// The path of a file of this number.
    fn path(&self, number: usize) -> String {
        let format = self.context.conversion.format;
        format!("data/{}-{number:05}-of-{:05}.{format}", self.split, self.of)
    }

    fn begin(&mut self) -> Result<(), ConvertError> {
        let conversion = self.context.conversion;
        let path = self.path(self.lengths.files - 1);
        let (sink, buffers) = (self.context.sink, &self.context.blocks);
        self.current = Some(Current {
            file: FileWriter::new(sink, &conversion.dataset, path, buffers),
            records: 0,
            columns: 0,
            #[cfg(feature = "parquet")]
            rows: match conversion.format {
                Format::Parquet => Some(ParquetRows::new(
                    &self.context.shapes,
                    conversion.preset.is_nested(),
                )?),
                Format::Json | Format::Jsonl => None,
            },
        });
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
        let file = current.file.finish().await?;
        if self.context.sink.renames() {
            self.commit(&file).await?;
        }
        self.done.push(Done {
            records: current.records,
            columns: current.columns,
            file,
        });
        Ok(())
    }

    async fn commit(&self, file: &StagedFile) -> Result<(), ConvertError> {
        let dataset = &self.context.conversion.dataset;
        Ok(file.commit(self.context.sink, dataset).await?)
    }

    /// Makes the last file, and gives all of them with their columns; a split of which nothing is left has none. If there are
    /// more or fewer than was thought and the sink cannot rename files, none is made, and their number
    /// is the error.
    pub async fn finish(
        mut self,
    ) -> Result<Result<Vec<(Shard, Vec<Column>)>, usize>, ConvertError> {
        let (of, batches) = self.sample.finish(self.context.conversion.shard_bytes);
        self.of = of;
        self.append_all(batches).await?;
        self.end().await?;
        let (count, renames) = (self.done.len(), self.context.sink.renames());
        let is_right = count == self.of || count == 0;
        if !is_right && !renames {
            return Ok(Err(count));
        }
        self.of = count;
        let mut shards = Vec::new();
        for (number, done) in std::mem::take(&mut self.done).into_iter().enumerate() {
            let Done {
                records,
                columns,
                file,
            } = done;
            if !renames {
                self.commit(&file).await?;
            }
            let mut file = file.file;
            let path = self.path(number);
            if file.path != path {
                let dataset = &self.context.conversion.dataset;
                let sink = self.context.sink;
                sink.rename(dataset, &file.path, &path).await?;
                file.path = path;
            }
            let all = self.context.conversion.preset.columns().into_iter();
            let own = all
                .enumerate()
                .filter(|(place, _)| columns & 1 << place != 0);
            let own = own.map(|(_, column)| column).collect();
            shards.push((Shard { records, file }, own));
        }
        Ok(Ok(shards))
    }
}
