//! A published dataset as a trainer takes it.
//!
//! - The dataset is checked as it is read: every byte against its digest, every count against its
//!   manifest. What is wrong with it ends the conversion, and nothing is published.
//! - A split becomes files `data/SPLIT-NNNNN-of-MMMMM.EXT`, its records by rank over all buckets.
//! - The bytes follow from the dataset, the preset and the options: no clock and no order of threads is in
//!   them. The claim's run id follows from the same, so a conversion that was stopped anywhere is made
//!   again by the same command, with the same bytes.
//! - Memory is a few batches of 1 MB each, a block of each kind of file, and the largest records.
//!
//! One thread reads, the pool converts, the caller hashes and writes.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::conversion::shape::Shape;
use crate::domain::conversion::{Column, Converter, Options, Preset, Unfinished};
use crate::domain::dataset::converted::{
    CONVERTED_VERSION, ConvertedManifest, ConvertedSplit, Counts, DerivedFrom, Shard,
};
use crate::domain::dataset::manifest::{FileRecord, Manifest, Tool, hex, sha256sums};
use crate::runtime::buffers::Buffers;
use crate::runtime::{CpuPool, blocking};
use crate::sink::block_cutter::BlockCutter;
use crate::sink::{Claim, ClaimRecord, DatasetSink};

mod batch;
mod card;
mod croissant;
mod dataset_info;
pub(crate) mod each_batch;
mod error;
mod file;
mod names;
#[cfg(feature = "parquet")]
mod parquet;
pub(crate) mod records;
mod sample;
mod shards;
mod survey;

use batch::Batch;
use each_batch::{each_batch, lock};
use file::FileWriter;
use records::{Lines, Records};
use sample::Sample;
use shards::{Format, Shards};

pub use each_batch::SharedDataset;
pub use error::ConvertError;
pub use shards::Format as ConvertedFormat;

/// Bytes of records after which a new file begins, as lines of JSON.
pub const SHARD_BYTES: u64 = 500_000_000;

/// What to make.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// For whom.
    pub preset: Preset,
    /// How.
    pub options: Options,
    /// The kind of files.
    pub format: Format,
    /// The name of the dataset that is made.
    pub dataset: String,
    /// Bytes after which a new file begins: [`SHARD_BYTES`].
    pub shard_bytes: u64,
}

impl Conversion {
    /// As it is made where nothing else is asked for.
    pub fn new(preset: Preset, dataset: String) -> Self {
        Self {
            preset,
            options: Options::default(),
            format: Format::of(preset),
            dataset,
            shard_bytes: SHARD_BYTES,
        }
    }
}

/// The name of what is made of a dataset, where no other is asked for.
pub fn converted_name(dataset: &str, preset: Preset) -> String {
    format!("{dataset}-{preset}")
}

/// What was made.
#[derive(Debug, Clone)]
pub struct ConversionReport {
    /// Its manifest.
    pub manifest: ConvertedManifest,
    /// Whether it was there already.
    pub was_there: bool,
}

/// What all parts of a conversion share.
struct Context<'c> {
    conversion: &'c Conversion,
    source: &'c SharedDataset,
    manifest: &'c Manifest,
    sink: &'c dyn DatasetSink,
    pool: &'c CpuPool,
    converter: Arc<Converter>,
    /// The columns of Parquet files.
    shapes: Vec<(&'static str, Shape)>,
    /// For blocks.
    blocks: Buffers,
    /// For batches.
    batches: Buffers,
}

/// Reads a dataset and publishes what the preset makes of it.
///
/// # Errors
/// If the dataset cannot be read or is not what its manifest says, and if the sink refuses. Nothing is
/// published then; the same command goes on.
pub async fn convert(
    conversion: &Conversion,
    source: &SharedDataset,
    sink: &dyn DatasetSink,
    pool: &CpuPool,
) -> Result<ConversionReport, ConvertError> {
    conversion.format.check(conversion.preset)?;
    let manifest = read_manifest(Arc::clone(source)).await?;
    let names = names::of_splits(&manifest)?;
    let run_id = run_id(conversion, &manifest);
    let claim = ClaimRecord {
        fingerprint: run_id.clone(),
        run_id: run_id.clone(),
        since: jiff::Timestamp::now().to_string(),
    };
    let dataset = &conversion.dataset;
    if let Claim::Published(bytes) = sink.claim(dataset, &claim).await? {
        sink.release(dataset).await?;
        let manifest = serde_json::from_slice(&bytes).map_err(ConvertError::Manifest)?;
        return Ok(ConversionReport {
            manifest,
            was_there: true,
        });
    }
    let mut context = Context {
        conversion,
        source,
        manifest: &manifest,
        sink,
        pool,
        converter: Arc::new(Converter::new(
            conversion.preset,
            conversion.options.clone(),
        )),
        shapes: Vec::new(),
        blocks: BlockCutter::buffers(sink.block_bytes()),
        batches: Buffers::new(2 * records::BATCH_BYTES),
    };
    let made = match context.shapes(&names).await {
        Ok(shapes) => {
            context.shapes = shapes;
            context.make(names, run_id.clone()).await
        }
        Err(error) => Err(error),
    };
    // Another start of the same command may write at this moment, with the same claim: it stays, and this
    // command goes on with it. Only where nothing can come of it is the name given back.
    if let Err(ConvertError::NothingLeft { .. } | ConvertError::Columns { .. }) = made
        && let Err(error) = sink.revoke(dataset, &run_id).await
    {
        let error = crate::domain::describe_error(&error);
        tracing::warn!(error, "the claim is left there");
    }
    let manifest = made?;
    sink.release(dataset).await?;
    Ok(ConversionReport {
        manifest,
        was_there: false,
    })
}

async fn read_manifest(source: SharedDataset) -> Result<Manifest, ConvertError> {
    let reading = blocking(move || {
        let dataset = lock(&source);
        let manifest = crate::verify::read_manifest(&**dataset)?;
        // What cannot be seen by reading the records.
        let report = crate::verify::verify(&**dataset, None, true)?;
        match report.is_good() {
            true => Ok(manifest),
            false => Err(ConvertError::Changed {
                location: report.location,
                findings: report.findings,
            }),
        }
    });
    reading.await?
}

/// A hash of all that decides the bytes: the same conversion has the same claim.
fn run_id(conversion: &Conversion, manifest: &Manifest) -> String {
    let Conversion {
        preset,
        options,
        format,
        dataset,
        shard_bytes,
    } = conversion;
    let mut parts = vec![
        env!("CARGO_PKG_VERSION").to_owned(),
        manifest.dataset.clone(),
        manifest.content_sha256.clone(),
        preset.name().to_owned(),
        format.to_string(),
        dataset.clone(),
        shard_bytes.to_string(),
        unfinished_name(options.unfinished).to_owned(),
        tools_sha256(options).unwrap_or_default(),
    ];
    // What stands in the card and nowhere in the records.
    parts.extend(manifest.privacy.iter().map(json_text));
    parts.extend(manifest.decontamination.iter().map(json_text));
    hex(&Sha256::digest(parts.join("\n")))[..16].to_owned()
}

fn json_text(value: &impl Serialize) -> String {
    serde_json::json!(value).to_string()
}

fn tools_sha256(options: &Options) -> Option<String> {
    options
        .tools
        .as_ref()
        .map(|tools| hex(&Sha256::digest(tools)))
}

/// The word for a choice.
pub fn unfinished_name(unfinished: Unfinished) -> &'static str {
    match unfinished {
        Unfinished::DropTurnAndAfter => "drop-turn-and-after",
        Unfinished::DropRecord => "drop-record",
        Unfinished::Keep => "keep",
    }
}

impl Context<'_> {
    async fn make(
        &self,
        names: Vec<(String, String)>,
        run_id: String,
    ) -> Result<ConvertedManifest, ConvertError> {
        let mut counts = Counts::default();
        let (mut splits, mut columns) = (Vec::new(), Vec::new());
        for (split, name) in names {
            let (split, of_files) = self.split(split, name, &mut counts).await?;
            splits.push(split);
            columns.extend(of_files);
        }
        let records_in = splits.iter().map(|split| split.records_in).sum();
        let records_out = splits.iter().map(|split| split.records).sum();
        if records_out == 0 {
            let preset = self.conversion.preset;
            return Err(ConvertError::NothingLeft {
                preset,
                records: records_in,
            });
        }
        let (dropped, rules) = counts.by_code();
        let mut manifest = ConvertedManifest {
            converted_version: CONVERTED_VERSION,
            dataset: self.conversion.dataset.clone(),
            created_at: self.manifest.created_at.clone(),
            tool: Tool {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            run_id,
            derived_from: DerivedFrom {
                dataset: self.manifest.dataset.clone(),
                content_sha256: self.manifest.content_sha256.clone(),
            },
            privacy: self.manifest.privacy.clone(),
            decontamination: self.manifest.decontamination.clone(),
            preset: self.conversion.preset.name().to_owned(),
            format: self.conversion.format.to_string(),
            unfinished: unfinished_name(self.conversion.options.unfinished).to_owned(),
            tools_sha256: tools_sha256(&self.conversion.options),
            records_in,
            records_out,
            dropped,
            rules,
            splits,
            other_files: Vec::new(),
            content_sha256: String::new(),
            manifest_sha256: String::new(),
        };
        manifest.check()?;
        self.publish(&mut manifest, &columns).await?;
        Ok(manifest)
    }

    /// Writes what stands beside the records, and the manifest last.
    async fn publish(
        &self,
        manifest: &mut ConvertedManifest,
        columns: &[Vec<Column>],
    ) -> Result<(), ConvertError> {
        let mut beside = vec![(
            "README.md",
            card::card(manifest, self.manifest).into_bytes(),
        )];
        if let Some(text) = croissant::text(manifest, self.conversion.format, columns) {
            beside.push(("croissant.json", text));
        }
        if self.conversion.preset == Preset::LlamaFactory {
            beside.push(("dataset_info.json", dataset_info::text(manifest)));
        }
        for (path, bytes) in beside {
            let file = self.put(path, &bytes).await?;
            manifest.other_files.push(file);
        }
        let sums = sha256sums(&manifest.files());
        self.put("SHA256SUMS", sums.as_bytes()).await?;
        let bytes = manifest.seal().map_err(ConvertError::Manifest)?;
        self.sink.publish(&self.conversion.dataset, bytes).await?;
        Ok(())
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Result<FileRecord, ConvertError> {
        let dataset = &self.conversion.dataset;
        let mut file = FileWriter::new(self.sink, dataset, path.to_owned(), &self.blocks);
        file.append(bytes).await?;
        let staged = file.finish().await?;
        staged.commit(self.sink, dataset).await?;
        Ok(staged.file)
    }

    /// Converts a split; gives the columns of each of its files too. How many files it takes is a part of
    /// their names.
    async fn split(
        &self,
        split: String,
        name: String,
        counts: &mut Counts,
    ) -> Result<(ConvertedSplit, Vec<Vec<Column>>), ConvertError> {
        let strata = self.manifest.strata.iter();
        let strata = strata.filter(|stratum| stratum.split == split);
        let bytes = strata.map(|stratum| stratum.bytes).sum();
        let mut known = None;
        loop {
            let mut own = Counts::default();
            let mut shards = Shards::new(self, &name, Sample::new(bytes, known));
            let mut records_in = 0;
            self.each_batch(&split, async |batch: Batch| {
                records_in += batch.records;
                own.merge(&batch.counts);
                shards.append(batch).await
            })
            .await?;
            let (files, columns): (Vec<_>, Vec<_>) = match shards.finish().await? {
                Ok(files) => files.into_iter().unzip(),
                Err(count) => {
                    known = Some(count);
                    continue;
                }
            };
            counts.merge(&own);
            let records = files.iter().map(|shard: &Shard| shard.records).sum();
            let split = ConvertedSplit {
                split,
                name,
                records_in,
                records,
                files,
            };
            return Ok((split, columns));
        }
    }

    /// Reads and converts a split, and visits its batches in order.
    async fn each_batch(
        &self,
        split: &str,
        visit: impl AsyncFnMut(Batch) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        let records = Records::new(self.manifest, split, &self.batches)?;
        let (converter, buffers) = (Arc::clone(&self.converter), self.batches.clone());
        let (format, split) = (self.conversion.format, split.to_owned());
        let work = move |lines: &Lines| batch::convert(&converter, &split, format, lines, &buffers);
        each_batch(self.source, records, self.pool, work, visit).await
    }
}
