//! One sampler per stratum: first its reservoir, then the writer of its file.
//!
//! While chunks come in it keeps the best-ranked candidates. When all are offered it sends them,
//! in rank order and in batches, to the validators, places the verdicts in rank order, and sends
//! full blocks to the uploaders, all overlapping. When too many were invalid it says so, keeps its
//! file as far as it is, and takes offers from behind the last candidate in another round.
//!
//! What it has given to a validator or an uploader it keeps until there is an answer, and gives it
//! to another if the first one dies. Should it die itself, dedup and all samplers start again.
//!
//! Memory: candidates (a header each), the batches in flight (paid from the byte_budget), and two
//! blocks for each uploader: the one it sends, and one in the making, for not more strata write at
//! once than there are uploaders.

use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, MessageResult, WrapFuture};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;

use super::messages::{
    Commit, FinishCensus, Offer, SetRankRange, Stage, StratumOutcome, StratumResult, Validate,
    Validated, WriteStratum,
};
use super::stratum_writer::StratumFile;
use super::uploader::Uploader;
use super::validator::Validator;
use crate::domain::dataset::manifest::FileRecord;
use crate::domain::sampling::batches::Batches;
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::sampling::rounds::StratumRounds;
use crate::domain::selection::stratum::StratumId;
use crate::fault::Site;
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

/// The sampler of one stratum.
pub struct Sampler {
    stratum: StratumId,
    parts: Arc<WriteParts>,
    heartbeat: Heartbeat,
    rounds: StratumRounds,
    /// Absent when it is done.
    file: Option<OpenFile>,
}

/// A file and the receipts of its blocks.
struct OpenFile {
    file: StratumFile,
    receipts: Vec<BlockReceipt>,
}

impl Sampler {
    /// A sampler that keeps `candidates` for a file; without a file it is done, and turns all
    /// offers down.
    pub fn new(
        stratum: StratumId,
        candidates: u64,
        file: Option<StratumFile>,
        parts: Arc<WriteParts>,
        heartbeat: Heartbeat,
    ) -> Self {
        Self {
            stratum,
            parts,
            heartbeat,
            rounds: StratumRounds::new(candidates),
            file: file.map(|file| OpenFile {
                file,
                receipts: Vec::new(),
            }),
        }
    }
}

impl Actor for Sampler {
    type Context = Context<Self>;
}

impl Handler<Offer> for Sampler {
    type Result = ();

    fn handle(&mut self, Offer(candidates): Offer, _: &mut Context<Self>) {
        if self.file.is_none() {
            // Done in an earlier round.
            return;
        }
        let scope = self.parts.run.faults.enter_now(Site::Offer);
        for candidate in candidates {
            self.rounds.offer(candidate);
        }
        scope.leave();
        if let Some(counters) = self.parts.run.telemetry.stratum(self.stratum) {
            counters.population.set(self.rounds.population());
            counters.candidates.set(self.rounds.held() as u64);
        }
    }
}

impl Handler<WriteStratum> for Sampler {
    type Result = AtomicResponse<Self, Result<StratumOutcome, RunError>>;

    fn handle(
        &mut self,
        WriteStratum { ahead }: WriteStratum,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let round = self.rounds.finish();
        let work = self.file.take().map(|open| {
            let writer = StratumWriter {
                stratum: self.stratum,
                parts: Arc::clone(&self.parts),
                heartbeat: self.heartbeat.clone(),
                receipts: open.receipts,
                ahead,
            };
            writer.write(open.file, round.candidates, round.is_last)
        });
        let (faults, busy) = (self.parts.run.faults.clone(), self.heartbeat.busy());
        let work = async move {
            let _busy = busy;
            let scope = faults.enter(Site::Sample).await;
            let result = match work {
                Some(work) => work.await,
                None => Err(RunError::NoAnswer("sampler")),
            };
            scope.leave();
            result
        };
        AtomicResponse::new(Box::pin(actix::ActorFutureExt::map(
            work.into_actor(self),
            move |result, sampler, _| match result? {
                WriteOutcome::Whole(mut result) => {
                    result.population = round.population;
                    Ok(StratumOutcome::Committed(Box::new(result)))
                }
                WriteOutcome::Part(open) => {
                    sampler.rounds.widen(open.file.placement.wanted());
                    sampler.file = Some(*open);
                    Ok(StratumOutcome::NeedsMore)
                }
            },
        )))
    }
}

impl Handler<FinishCensus> for Sampler {
    type Result = MessageResult<FinishCensus>;

    fn handle(&mut self, FinishCensus: FinishCensus, _: &mut Context<Self>) -> Self::Result {
        let is_open = self.file.is_some();
        MessageResult(is_open.then(|| self.rounds.finish_census()))
    }
}

impl Handler<SetRankRange> for Sampler {
    type Result = ();

    fn handle(&mut self, SetRankRange(range): SetRankRange, _: &mut Context<Self>) {
        self.rounds.set_range(range);
    }
}

/// How far a file has come.
enum WriteOutcome {
    Whole(StratumResult),
    Part(Box<OpenFile>),
}

/// A batch and its permit.
type Paid = (Vec<Candidate>, BudgetPermit);

/// Writes one file.
struct StratumWriter {
    stratum: StratumId,
    parts: Arc<WriteParts>,
    heartbeat: Heartbeat,
    receipts: Vec<BlockReceipt>,
    /// How many batches may be out for validation at once.
    ahead: usize,
}

impl StratumWriter {
    async fn write(
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
            return self.finish(file, staging).await.map(WriteOutcome::Whole);
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
            let invalid = &file.placement.invalid;
            let first = invalid.iter().filter_map(|record| record.errors.first());
            let warnings = file.placement.warnings.iter();
            let telemetry = &self.parts.run.telemetry;
            telemetry.set_findings(self.stratum, first.map(|(code, _)| *code), warnings);
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
        let path = file.path().to_owned();
        let (mut blocks, finished) = self.parts.run.pool.run(move || file.finish()).await?;
        blocks.extend(finished.last);
        self.stage(blocks, &mut staging).await?;
        self.settle(&mut staging).await?;
        let file = (finished.placement.records > 0).then_some(FileRecord {
            path,
            bytes: finished.bytes,
            sha256: finished.sha256,
        });
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
            warnings: finished.placement.warnings,
            quality: finished.placement.quality,
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
        let commit = FileCommit {
            dataset: self.parts.dataset.clone(),
            path: file.path.clone(),
            blocks,
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        };
        let turn = self.parts.uploaders.turn().await;
        Ok(turn.ask(move || Commit(commit.clone())).await?)
    }
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
