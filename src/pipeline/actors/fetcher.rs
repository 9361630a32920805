//! Fetchers pull: each asks the supervisor for a lease, reads the chunk, reports it, and asks again.
//!
//! A chunk that an earlier start of the run has sealed is not fetched: its headers are replayed.
//! That is all there is to resuming. An attempt that fails or is cancelled leaves nothing behind.
//!
//! A lease is kept by making progress: the supervisor watches the fetcher's heartbeat from outside. Who
//! hangs loses it and is ended; what it may still write, on another thread, is refused by the spool,
//! and what it may still report by the supervisor, because the epoch is an old one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, MailboxError, Recipient, WrapFuture,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::messages::{Assignment, ChunkFetched, Fetched, LeaseReply, RequestLease, RoundPlan};
use crate::domain::sampling::rank_ranges::RankRanges;
use crate::domain::scheduling::chunk::{Chunk, overlapping};
use crate::domain::scheduling::pass::{ChunkPass, Pass};
use crate::fault::{Faults, Kind, Site};
use crate::pipeline::ingest::census::{Expectation, UnusableCandidates};
use crate::pipeline::ingest::chunk_reader::{ChunkReader, Headers, RowRules};
use crate::pipeline::lifecycle::actor_monitor::ActorId;
use crate::pipeline::lifecycle::byte_budget::BudgetPermit;
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::runtime::JobError;
use crate::source::{BlockReader, ConversationSource, FetchOrder, RowBlock, RowSink, SourceError};
use crate::spool::SpoolError;
use crate::spool::sealed::{SealedChunk, Spool};
use crate::telemetry::Telemetry;
use crate::telemetry::heartbeat::{self, Heartbeat};

/// Blocks that one job reads before the fetcher looks up: often enough to stop within a moment,
/// seldom enough that changing threads costs nothing.
const BLOCKS_PER_JOB: usize = 8;

/// What all fetchers share.
pub struct FetchParts {
    /// Shared by all actors of the run.
    pub run: Arc<RunContext>,
    /// The source of rows.
    pub source: Arc<dyn ConversationSource>,
    /// Which of them are wanted.
    pub rules: Arc<RowRules>,
    /// Where they are kept.
    pub spool: Spool,
}

/// One of the fetchers.
pub struct Fetcher {
    parts: Arc<FetchParts>,
    supervisor: SupervisorLink,
    id: ActorId,
    heartbeat: Heartbeat,
}

/// What a fetcher asks of the supervisor and reports to it.
#[derive(Clone)]
pub struct SupervisorLink {
    /// Grants leases.
    pub leases: Recipient<RequestLease>,
    /// Takes what was fetched.
    pub results: Recipient<ChunkFetched>,
}

impl Fetcher {
    /// A fetcher that works for a supervisor.
    pub fn new(
        parts: Arc<FetchParts>,
        supervisor: SupervisorLink,
        id: ActorId,
        heartbeat: Heartbeat,
    ) -> Self {
        Self {
            parts,
            supervisor,
            id,
            heartbeat,
        }
    }
}

impl Actor for Fetcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let (parts, supervisor) = (Arc::clone(&self.parts), self.supervisor.clone());
        let work = work(parts, supervisor, self.id, self.heartbeat.clone());
        context.spawn(work.into_actor(self).map(|(), _, context| context.stop()));
    }
}

/// Fetches until there is nothing left, or the supervisor is gone.
async fn work(
    parts: Arc<FetchParts>,
    supervisor: SupervisorLink,
    id: ActorId,
    heartbeat: Heartbeat,
) {
    loop {
        parts.run.byte_budget.gate().pass().await;
        let Ok(LeaseReply::Fetch(assignment)) = supervisor.leases.send(RequestLease(id)).await
        else {
            return;
        };
        let busy = heartbeat.busy();
        let scope = parts.run.faults.enter(Site::Fetcher).await;
        let fetching = Fetching {
            spool: parts.spool.with_epoch(assignment.lease.epoch),
            parts: &parts,
            heartbeat: &heartbeat,
            assignment: &assignment,
        };
        let result = fetching.run().await;
        drop(busy);
        scope.leave();
        let lease = assignment.lease;
        let report = ChunkFetched { lease, result };
        if deliver(&parts.run.faults, &supervisor.results, report)
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Reports to the supervisor.
async fn deliver(
    faults: &Faults,
    results: &Recipient<ChunkFetched>,
    report: ChunkFetched,
) -> Result<(), MailboxError> {
    match faults.due(Site::Report) {
        // Twice: the second time the lease is not current any more.
        Some(Kind::Duplicate) => {
            let lease = report.lease;
            let result = match &report.result {
                Ok(fetched) => Ok(fetched.clone()),
                Err(_) => Err(JobError::Panicked.into()),
            };
            results.send(report).await?;
            results.send(ChunkFetched { lease, result }).await
        }
        Some(Kind::Reordered) => {
            tokio::time::sleep(Duration::from_secs(2)).await;
            results.send(report).await
        }
        _ => results.send(report).await,
    }
}

/// One attempt.
struct Fetching<'a> {
    parts: &'a Arc<FetchParts>,
    heartbeat: &'a Heartbeat,
    /// Writes under the lease.
    spool: Spool,
    assignment: &'a Assignment,
}

impl Fetching<'_> {
    async fn run(&self) -> Result<Fetched, SourceError> {
        let chunk_pass = ChunkPass {
            chunk: self.assignment.lease.chunk,
            pass: self.assignment.pass,
        };
        let Some(round) = &self.assignment.round else {
            return match self.sealed(chunk_pass).await? {
                Some(sealed) => Ok(self.replay(sealed, UnusableCandidates::new())),
                None => self.fetch(chunk_pass, None).await,
            };
        };
        let expectation = Arc::new(self.expectation(round).await?);
        if let Some(sealed) = self.sealed(chunk_pass).await? {
            let (expectation, parts) = (Arc::clone(&expectation), Arc::clone(self.parts));
            let checked = self.blocking(move || {
                let lost = expectation.check_sealed(&sealed, &parts.rules)?;
                Ok::<_, SpoolError>(lost.map(|lost| (sealed, lost)))
            });
            if let Some((sealed, lost)) = checked.await?? {
                return Ok(self.replay(sealed, lost));
            }
        }
        self.fetch(chunk_pass, Some(&expectation)).await
    }

    async fn sealed(&self, chunk_pass: ChunkPass) -> Result<Option<SealedChunk>, SourceError> {
        let spool = self.spool.clone();
        let sealed = self.blocking(move || spool.sealed(chunk_pass)).await?;
        Ok(sealed?)
    }

    /// File work, and a sign of progress when it is done.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        let result = self.parts.run.pool.blocking(work).await;
        self.heartbeat.beat();
        result
    }

    fn replay(&self, sealed: SealedChunk, lost: UnusableCandidates) -> Fetched {
        self.parts.run.telemetry.rows.add(sealed.tally().rows_read);
        self.parts.run.telemetry.bytes.add(sealed.tally().bytes);
        (self.parts.run.telemetry.input_bytes).add(sealed.tally().input_bytes);
        Fetched {
            tally: sealed.tally().clone(),
            headers: Headers::Sealed(Box::new(sealed)),
            replayed: true,
            lost,
        }
    }

    /// What the round must bring; a census that is not there (any more) is taken.
    async fn expectation(&self, round: &Arc<RoundPlan>) -> Result<Expectation, SourceError> {
        if !self.assignment.census_refetch
            && let Some(expectation) = self.read_expectation(round).await?
        {
            return Ok(expectation);
        }
        let chunk = self.assignment.lease.chunk;
        if let Chunk::Hash(of) = chunk {
            for &chunk in overlapping(&round.censuses, of) {
                let pass = self.census_pass();
                self.fetch(ChunkPass { chunk, pass }, None).await?;
            }
        }
        self.read_expectation(round)
            .await?
            .ok_or_else(|| SpoolError::CensusGone { chunk }.into())
    }

    /// The pass of the census that the round follows.
    fn census_pass(&self) -> Pass {
        let census = self.assignment.census.as_ref();
        census.map_or(Pass::Census, |census| census.pass)
    }

    async fn read_expectation(
        &self,
        round: &Arc<RoundPlan>,
    ) -> Result<Option<Expectation>, SourceError> {
        let (parts, round) = (Arc::clone(self.parts), Arc::clone(round));
        let (chunk, pass) = (self.assignment.lease.chunk, self.census_pass());
        let read = self.blocking(move || {
            let RoundPlan { ranks, censuses } = &*round;
            let census = (pass, censuses.as_slice());
            Expectation::read(&parts.spool, census, chunk, ranks, &parts.rules)
        });
        Ok(read.await??)
    }

    /// The ranks that a pass delivers; `None`: all.
    fn ranks_of(&self, pass: Pass) -> Option<Arc<RankRanges>> {
        let Assignment { round, census, .. } = self.assignment;
        match pass {
            Pass::All | Pass::Census => None,
            Pass::CensusUpTo(_) => census.as_ref().and_then(|census| census.ranks.clone()),
            Pass::Round(_) => round.as_ref().map(|round| Arc::clone(&round.ranks)),
        }
    }

    async fn fetch(
        &self,
        chunk_pass: ChunkPass,
        expectation: Option<&Arc<Expectation>>,
    ) -> Result<Fetched, SourceError> {
        let parts = self.parts;
        let mut rows = Rows {
            chunk_reader: Some(ChunkReader::new(
                chunk_pass,
                Arc::clone(&parts.rules),
                Some(self.spool.clone()),
                Arc::clone(&parts.run.telemetry),
                parts.run.faults.clone(),
            )),
            parts: Arc::clone(parts),
            heartbeat: self.heartbeat.clone(),
        };
        let order = FetchOrder {
            chunk: chunk_pass.chunk,
            attempt: self.assignment.lease.attempt,
            pass: chunk_pass.pass,
            ranks: self.ranks_of(chunk_pass.pass),
        };
        let chunk_checksum = parts.source.fetch(order, &mut rows).await?;
        let mut chunk_reader = rows.chunk_reader.take().ok_or(SourceError::Stopped)?;
        chunk_reader.set_checksum(chunk_checksum);
        let expectation = expectation.cloned();
        // Sealing waits for the disk.
        let sealing = self.blocking(move || {
            let lost = match expectation {
                Some(expectation) => expectation.check(chunk_reader.take_candidates())?,
                None => UnusableCandidates::new(),
            };
            Ok::<_, SourceError>((chunk_reader.finish()?, lost))
        });
        let ((tally, headers), lost) = sealing.await??;
        Ok(Fetched {
            tally,
            headers,
            replayed: false,
            lost,
        })
    }
}

/// Takes the rows of one attempt and has them read on the CPU pool.
struct Rows {
    /// Absent while a job has it, and after a job has failed.
    chunk_reader: Option<ChunkReader>,
    parts: Arc<FetchParts>,
    heartbeat: Heartbeat,
}

impl Rows {
    /// BudgetPermit for a block. While there is none the fetcher is paused, and says so.
    async fn pay(&self, bytes: u64) -> BudgetPermit {
        let mut permit = Box::pin(self.parts.run.byte_budget.acquire(bytes));
        if let Some(permit) = permit.as_mut().now_or_never() {
            return permit;
        }
        let _paused = Paused::new(&self.heartbeat, &self.parts.run.telemetry);
        permit.await
    }

    /// Waits while the run is paused.
    async fn pass(&self) {
        let gate = self.parts.run.byte_budget.gate();
        if gate.is_closed() {
            let _paused = Paused::new(&self.heartbeat, &self.parts.run.telemetry);
            gate.pass().await;
        }
    }

    /// Runs a job on the chunk reader, then reports the progress.
    async fn step<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut ChunkReader) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        if self.parts.run.is_stopping() {
            return Err(SourceError::Stopped);
        }
        let mut chunk_reader = self.chunk_reader.take().ok_or(SourceError::Stopped)?;
        let before = chunk_reader.progress();
        let (chunk_reader, result) = self
            .parts
            .run
            .pool
            .run(move || {
                let result = job(&mut chunk_reader);
                (chunk_reader, result)
            })
            .await?;
        let after = chunk_reader.progress();
        self.parts.run.telemetry.rows.add(after.0 - before.0);
        self.parts.run.telemetry.bytes.add(after.1 - before.1);
        self.parts.run.telemetry.input_bytes.add(after.2 - before.2);
        self.chunk_reader = Some(chunk_reader);
        self.heartbeat.beat();
        result
    }
}

/// A fetcher that is made to wait; that counts as waiting until this is dropped.
struct Paused {
    telemetry: Telemetry,
    _pulse: heartbeat::Paused,
}

impl Paused {
    fn new(heartbeat: &Heartbeat, telemetry: &Telemetry) -> Self {
        telemetry.paused.rise(1);
        Self {
            telemetry: Arc::clone(telemetry),
            _pulse: heartbeat.paused(),
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.telemetry.paused.fall(1);
    }
}

impl RowSink for Rows {
    fn write(&mut self, block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            let permit = self.pay(block.bytes.len() as u64).await;
            self.step(move |chunk_reader| {
                let result = chunk_reader.absorb(&block);
                drop(permit);
                result
            })
            .await
        }
        .boxed()
    }

    fn drain(
        &mut self,
        mut reader: Box<dyn BlockReader>,
    ) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            let mut paid = 0;
            let mut permit = None;
            reader.stop_with(Arc::clone(&self.parts.run.stop));
            let mut block = RowBlock::default();
            loop {
                self.pass().await;
                let memory = reader.memory();
                if memory > paid {
                    // Never some while waiting for more: others may do the same.
                    drop(permit.take());
                    permit = Some(self.pay(memory).await);
                    paid = memory;
                }
                let stop = Arc::clone(&self.parts.run.stop);
                let more;
                (reader, block, more) = self
                    .step(move |chunk_reader| {
                        for _ in 0..BLOCKS_PER_JOB {
                            if stop.load(Ordering::Relaxed) {
                                return Err(SourceError::Stopped);
                            }
                            block.clear();
                            if !reader.read_block(&mut block)? {
                                return Ok((reader, block, false));
                            }
                            chunk_reader.absorb(&block)?;
                            if reader.memory() > paid {
                                break;
                            }
                        }
                        Ok((reader, block, true))
                    })
                    .await?;
                if !more {
                    return Ok(());
                }
            }
        }
        .boxed()
    }
}
