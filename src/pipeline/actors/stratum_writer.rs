//! Writes the file of one stratum: has candidates validated, places the verdicts in rank order, and has
//! full blocks uploaded, all overlapping.
//!
//! A batch or a block stays here until there is an answer: [`WorkerPool`] gives it to another worker if
//! one dies.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;

use super::messages::{Commit, Stage, StratumResult, Validate, Validated};
use super::stratum_file::StratumFile;
use super::uploader::Uploader;
use super::validator::Validator;
use crate::domain::dataset::manifest::FileRecord;
use crate::domain::sampling::batches::Batches;
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::sampling::stratum_fill::StratumFill;
use crate::domain::selection::stratum::StratumId;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::byte_budget::{BudgetPermit, ByteBudget};
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::pipeline::lifecycle::worker_pool::WorkerPool;
use crate::sink::{Block, BlockReceipt, FileCommit, SinkError};
use crate::telemetry::Notice;
use crate::telemetry::heartbeat::Heartbeat;

/// What all samplers share.
pub struct WriteParts {
    /// Shared by all actors of the run.
    pub run: Arc<RunContext>,
    /// The dataset's folder.
    pub dataset: String,
    /// One permit for each file that may be written at once.
    pub files: Arc<Semaphore>,
    /// For batches, `ahead` of each stratum at once.
    pub validators: WorkerPool<Validator>,
    /// For blocks and commits, each in its turn.
    pub uploaders: WorkerPool<Uploader>,
}

/// A file and the receipts of its blocks.
pub struct OpenFile {
    /// The file.
    pub file: StratumFile,
    /// Of the blocks that are staged.
    pub receipts: Vec<BlockReceipt>,
}

/// How far a file has come.
pub enum WriteOutcome {
    /// It is committed.
    Whole(Box<StratumResult>),
    /// More candidates are needed.
    Part(Box<OpenFile>),
}

/// A batch and its permit.
type Paid = (Vec<Candidate>, BudgetPermit);

/// Writes one file.
pub struct StratumWriter {
    /// Its stratum.
    pub stratum: StratumId,
    /// Shared by all samplers.
    pub parts: Arc<WriteParts>,
    /// The sampler's.
    pub heartbeat: Heartbeat,
    /// Of the blocks that are staged.
    pub receipts: Vec<BlockReceipt>,
    /// How many batches may be out for validation at once.
    pub ahead: usize,
}

impl StratumWriter {
    /// Validates candidates and writes those that are taken, until the file is full or there are no
    /// more.
    ///
    /// # Errors
    /// If a candidate cannot be read, the sink refuses, or the run is to end.
    pub async fn write(
        mut self,
        file: StratumFile,
        candidates: Vec<Candidate>,
        is_last_round: bool,
    ) -> Result<WriteOutcome, RunError> {
        let files = Arc::clone(&self.parts.files);
        // Never closed; see `ByteBudget`.
        let held_back = self.heartbeat.paused();
        let _place = files.acquire_owned().await.ok();
        drop(held_back);
        let mut staging = Staging::default();
        let file = self.validate_all(file, candidates, &mut staging).await?;
        if file.placement.is_full() || is_last_round {
            let result = self.finish(file, staging).await?;
            return Ok(WriteOutcome::Whole(Box::new(result)));
        }
        self.settle(&mut staging).await?;
        Ok(WriteOutcome::Part(Box::new(OpenFile {
            file,
            receipts: self.receipts,
        })))
    }

    /// Validates and places candidates in rank order until the target is met.
    async fn validate_all(
        &mut self,
        mut file: StratumFile,
        candidates: Vec<Candidate>,
        staging: &mut Staging,
    ) -> Result<StratumFile, RunError> {
        let mut batches = Batches::new(candidates);
        let mut validating = FuturesOrdered::new();
        // The next batch, while it waits for its permit. It must not wait in front of verdicts
        // that hold the permit it waits for.
        let mut paying: Option<LocalBoxFuture<'static, Paid>> = None;
        while !file.placement.is_full() {
            if self.parts.run.is_stopping() {
                // What was begun is finished: a sink may keep it for the next start.
                self.settle(staging).await?;
                return Err(RunError::Interrupted);
            }
            if paying.is_none()
                && validating.len() < self.ahead
                && let Some(batch) = batches.next()
            {
                let pay = pay(
                    self.parts.run.byte_budget.clone(),
                    batch,
                    self.heartbeat.clone(),
                );
                paying = Some(pay.boxed_local());
            }
            tokio::select! {
                biased;
                // Its turn ends only here: other files may be waiting for it.
                Some(receipt) = staging.0.next() => {
                    self.received(receipt?);
                }
                Some(validated) = validating.next() => {
                    file = match validated {
                        Ok(validated) => self.place(file, validated, staging).await?,
                        // The run is to end: seen to above.
                        Err(RunError::Interrupted) => continue,
                        Err(error) => return Err(error),
                    };
                    self.heartbeat.beat();
                }
                Some((batch, permit)) = wait(&mut paying) => {
                    paying = None;
                    validating.push_back(self.validate(batch, permit));
                }
                else => break,
            }
        }
        Ok(file)
    }

    /// Has a batch validated. It stays here until there is an answer, for another validator
    /// should one die.
    fn validate(
        &self,
        candidates: Vec<Candidate>,
        permit: BudgetPermit,
    ) -> LocalBoxFuture<'static, Result<Validated, RunError>> {
        let (stratum, candidates, permit) = (self.stratum, candidates.into(), Arc::new(permit));
        let answer = self.parts.validators.ask(move || Validate {
            stratum,
            candidates: Arc::clone(&candidates),
            permit: Arc::clone(&permit),
        });
        answer.boxed_local()
    }

    async fn place(
        &mut self,
        mut file: StratumFile,
        batch: Validated,
        staging: &mut Staging,
    ) -> Result<StratumFile, RunError> {
        let job = move || {
            let blocks = file.place(batch);
            (file, blocks)
        };
        let (file, blocks) = self.parts.run.pool.run(job).await?;
        if let Some(counters) = self.parts.run.telemetry.stratum(self.stratum) {
            counters.taken.set(file.placement.records);
            counters.set_distributions(&file.distributions);
            let StratumFill {
                first_faults,
                warnings,
                ..
            } = &file.placement;
            let telemetry = &self.parts.run.telemetry;
            telemetry.set_findings(self.stratum, first_faults, warnings);
        }
        self.stage(blocks, staging).await?;
        Ok(file)
    }

    async fn stage(&mut self, blocks: Vec<Block>, staging: &mut Staging) -> Result<(), RunError> {
        for block in blocks {
            let turn = loop {
                tokio::select! {
                    biased;
                    Some(receipt) = staging.0.next() => self.received(receipt?),
                    turn = self.parts.uploaders.turn() => break turn,
                }
            };
            // The block stays here until there is a receipt; a clone shares its bytes.
            let receipt = turn.ask(move || Stage(block.clone()));
            staging.0.push(receipt.boxed_local());
        }
        Ok(())
    }

    async fn finish(
        mut self,
        file: StratumFile,
        mut staging: Staging,
    ) -> Result<StratumResult, RunError> {
        let (blocks, finished) = self.parts.run.pool.run(move || file.finish()).await?;
        self.stage(blocks, &mut staging).await?;
        self.settle(&mut staging).await?;
        let file = (finished.placement.records > 0).then_some(finished.file);
        if let Some(file) = &file {
            self.commit(file).await?;
        }
        let telemetry = &self.parts.run.telemetry;
        if let Some(counters) = telemetry.stratum(self.stratum) {
            telemetry.board().publish(Notice::Stratum {
                stratum: counters.name.clone(),
                records: finished.placement.records,
            });
        }
        Ok(StratumResult {
            stratum: self.stratum,
            population: 0,
            records: finished.placement.records,
            invalid: finished.placement.invalid,
            near_duplicates: Vec::new(),
            warnings: finished.placement.warnings,
            quality: finished.placement.quality,
            privacy: finished.placement.privacy,
            groups: distinct(finished.placement.groups),
            columns: finished.columns,
            tokens: finished.placement.lengths.distribution(),
            file,
        })
    }

    /// Waits for all blocks that are on their way.
    async fn settle(&mut self, staging: &mut Staging) -> Result<(), RunError> {
        while let Some(receipt) = staging.0.next().await {
            self.received(receipt?);
        }
        Ok(())
    }

    /// A block has arrived, which is progress wherever it is waited for.
    fn received(&mut self, receipt: BlockReceipt) {
        self.receipts.push(receipt);
        self.heartbeat.beat();
    }

    /// Commits the file of the blocks that were staged.
    async fn commit(&mut self, file: &FileRecord) -> Result<(), RunError> {
        let mut blocks = std::mem::take(&mut self.receipts);
        blocks.sort_by_key(|receipt| receipt.index);
        let commit = FileCommit::of(&self.parts.dataset, file, blocks);
        let turn = self.parts.uploaders.turn().await;
        Ok(turn.ask(move || Commit(commit.clone())).await?)
    }
}

/// Each once.
fn distinct(mut groups: Vec<i64>) -> Vec<i64> {
    groups.sort_unstable();
    groups.dedup();
    groups
}

async fn pay(byte_budget: ByteBudget, batch: Vec<Candidate>, heartbeat: Heartbeat) -> Paid {
    let _held_back = heartbeat.paused();
    let bytes = batch.iter().map(Candidate::payload_bytes).sum();
    let permit = byte_budget.acquire(bytes).await;
    (batch, permit)
}

/// Waits for what is there to wait for; `None` at once if nothing is.
async fn wait<T>(future: &mut Option<LocalBoxFuture<'static, T>>) -> Option<T> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

/// Blocks on their way to the sink.
#[derive(Default)]
struct Staging(FuturesUnordered<LocalBoxFuture<'static, Result<BlockReceipt, SinkError>>>);
