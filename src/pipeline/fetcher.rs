//! Fetchers pull: each asks the supervisor for a lease, reads the chunk, reports it, and asks again.
//!
//! A chunk that an earlier start of the run has sealed is not fetched: its headers are replayed.
//! That is all there is to resuming. An attempt that fails or is cancelled leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, WrapFuture};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::credits::Credits;
use super::intake::{Headers, Intake, RowRules};
use super::messages::{ChunkFetched, Fetched, LeaseReply, RenewLease, RequestLease};
use super::supervisor::Supervisor;
use crate::domain::lease::Lease;
use crate::runtime::{CpuPool, blocking};
use crate::source::{BLOCK_BYTES, BlockReader, ConversationSource, RowBlock, RowSink, SourceError};
use crate::spool::sealed::Spool;
use crate::telemetry::Telemetry;

/// Blocks that one job reads before the fetcher looks up: often enough to stop within a moment,
/// seldom enough that changing threads costs nothing.
const BLOCKS_PER_JOB: usize = 8;

/// What all fetchers share.
pub struct FetchParts {
    /// Where rows come from.
    pub source: Arc<dyn ConversationSource>,
    /// Which of them are wanted.
    pub rules: Arc<RowRules>,
    /// Where they are kept.
    pub spool: Spool,
    /// Where they are read.
    pub pool: Arc<CpuPool>,
    /// What they may take.
    pub credits: Credits,
    /// What is told.
    pub telemetry: Telemetry,
    /// Set when the run is to end.
    pub stop: Arc<AtomicBool>,
}

/// One of the fetchers.
pub struct Fetcher {
    parts: Arc<FetchParts>,
    supervisor: Addr<Supervisor>,
}

impl Fetcher {
    /// A fetcher that works for a supervisor.
    pub fn new(parts: Arc<FetchParts>, supervisor: Addr<Supervisor>) -> Self {
        Self { parts, supervisor }
    }
}

impl Actor for Fetcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let work = work(Arc::clone(&self.parts), self.supervisor.clone());
        context.spawn(work.into_actor(self).map(|(), _, context| context.stop()));
    }
}

/// Fetches until there is nothing left, or nobody to report to.
async fn work(parts: Arc<FetchParts>, supervisor: Addr<Supervisor>) {
    while let Ok(LeaseReply::Fetch(lease)) = supervisor.send(RequestLease).await {
        let result = fetch(&parts, &supervisor, lease).await;
        let report = ChunkFetched { lease, result };
        if supervisor.send(report).await.is_err() {
            return;
        }
    }
}

async fn fetch(
    parts: &Arc<FetchParts>,
    supervisor: &Addr<Supervisor>,
    lease: Lease,
) -> Result<Fetched, SourceError> {
    let spool = parts.spool.clone();
    let sealed = blocking(move || spool.sealed(lease.chunk))
        .await?
        .map_err(|error| SourceError::Spool(error.to_string()))?;
    if let Some(sealed) = sealed {
        parts.telemetry.rows.add(sealed.tally().rows_read);
        parts.telemetry.bytes.add(sealed.tally().bytes);
        return Ok(Fetched {
            tally: sealed.tally().clone(),
            headers: Headers::Sealed(sealed),
            replayed: true,
        });
    }
    let intake = Intake::new(lease.chunk, Arc::clone(&parts.rules), parts.spool.clone());
    let mut rows = Rows {
        intake: Some(intake),
        parts: Arc::clone(parts),
        supervisor: supervisor.clone(),
        lease,
    };
    parts.source.fetch(lease.chunk, &mut rows).await?;
    let intake = rows.intake.take().ok_or(SourceError::Stopped)?;
    // Sealing waits for the disk.
    let (tally, headers) = blocking(move || intake.finish()).await??;
    Ok(Fetched {
        tally,
        headers,
        replayed: false,
    })
}

/// Takes the rows of one attempt and has them read on the CPU pool.
struct Rows {
    /// Absent while a job has it, and after a job has failed.
    intake: Option<Intake>,
    parts: Arc<FetchParts>,
    supervisor: Addr<Supervisor>,
    lease: Lease,
}

impl Rows {
    /// Runs a job on the intake, then tells of the progress.
    async fn step<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Intake) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        if self.parts.stop.load(Ordering::Relaxed) {
            return Err(SourceError::Stopped);
        }
        let mut intake = self.intake.take().ok_or(SourceError::Stopped)?;
        let before = intake.progress();
        let (intake, result) = self
            .parts
            .pool
            .run(move || {
                let result = job(&mut intake);
                (intake, result)
            })
            .await?;
        let after = intake.progress();
        self.parts.telemetry.rows.add(after.0 - before.0);
        self.parts.telemetry.bytes.add(after.1 - before.1);
        self.intake = Some(intake);
        let result = result?;
        match self.supervisor.send(RenewLease(self.lease)).await {
            Ok(true) => Ok(result),
            _ => Err(SourceError::Stopped),
        }
    }
}

impl RowSink for Rows {
    fn write(&mut self, block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            let credit = self.parts.credits.acquire(block.bytes.len() as u64).await;
            self.step(move |intake| {
                let result = intake.absorb(&block);
                drop(credit);
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
            let _credit = self.parts.credits.acquire(BLOCK_BYTES as u64).await;
            let mut block = RowBlock::default();
            loop {
                let more;
                (reader, block, more) = self
                    .step(move |intake| {
                        for _ in 0..BLOCKS_PER_JOB {
                            block.clear();
                            if !reader.read_block(&mut block)? {
                                return Ok((reader, block, false));
                            }
                            intake.absorb(&block)?;
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
