//! The supervisor: who may do what, when, and what happens when somebody fails.
//!
//! It grants leases, passes chunks that are done to dedup, lets the samplers write when all are
//! in, and starts another round for strata that ran out of valid candidates. It holds no text and
//! computes nothing. An actor that dies ends the run: the work directory can be resumed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, ResponseFuture, WrapFuture,
};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::death_watch::{Cause, DeathWatch};
use super::deduper::{DedupParts, Deduper};
use super::error::RunError;
use super::fetcher::{FetchParts, Fetcher};
use super::messages::{
    Absorb, ActorDied, ChunkFetched, Close, Fetched, Grouped, Interrupt, LeaseReply, RenewLease,
    RequestLease, StratumOutcome, StratumResult, WriteStratum,
};
use super::rows_report::RowsReport;
use super::sampler::{Crew, Meet, Sampler};
use super::uploader::Uploader;
use super::validator::{ValidateParts, Validator};
use crate::domain::chunk::Chunk;
use crate::domain::lease::{AfterFailure, Grant, Lease, LeaseTable};
use crate::domain::retry::{Backoff, RestartBudget};
use crate::domain::row::RowShape;
use crate::domain::stratum::StratumId;
use crate::sink::DatasetSink;
use crate::source::SourceError;
use crate::spool::tally::ChunkTally;
use crate::telemetry::{Phase, Telemetry};

/// A lease lasts this long after its last sign of progress: far longer than any healthy source
/// needs for one block.
const LEASE: Duration = Duration::from_secs(600);

/// How often leases are looked at.
const LEASE_CHECK: Duration = Duration::from_secs(10);

/// Between two tries of a chunk.
const RETRY: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};

/// What a supervisor needs for a run.
pub struct SupervisorParts {
    /// What the source has.
    pub chunks: Vec<Chunk>,
    /// Whether a chunk can be decided by itself.
    pub closed: bool,
    /// Tries of one chunk.
    pub max_attempts: u32,
    /// For the fetchers.
    pub fetch: Arc<FetchParts>,
    /// How many.
    pub fetchers: usize,
    /// For the validators.
    pub validate: Arc<ValidateParts>,
    /// How many.
    pub validators: usize,
    /// Where blocks go.
    pub sink: Arc<dyn DatasetSink>,
    /// How many uploaders.
    pub uploaders: usize,
    /// One for each stratum with a target, in order.
    pub samplers: Vec<(StratumId, Addr<Sampler>)>,
    /// `limits.max_record`
    pub max_record: u64,
    /// Judges what was read.
    pub rows: RowsReport,
    /// What is told.
    pub telemetry: Telemetry,
    /// Set when the run is to end.
    pub stop: Arc<AtomicBool>,
    /// Starts actors.
    pub watch: DeathWatch,
}

/// What a run brought, before it is published.
#[derive(Debug)]
pub struct Harvest {
    /// What was counted, chunk by chunk.
    pub tallies: BTreeMap<Chunk, ChunkTally>,
    /// What became of rows and conversations.
    pub grouped: Grouped,
    /// The strata with a target, in order.
    pub strata: Vec<StratumResult>,
    /// Chunks that an earlier start had sealed.
    pub replayed: u64,
    /// Top-up rounds.
    pub rounds: u32,
}

/// The supervisor actor.
pub struct Supervisor {
    parts: SupervisorParts,
    started: Instant,
    jitter: Pcg64Mcg,
    restarts: RestartBudget,
    leases: LeaseTable,
    /// Fetchers that wait for a lease: at most one request for each.
    waiting: VecDeque<oneshot::Sender<LeaseReply>>,
    dedup: Option<Addr<Deduper>>,
    /// Chunks that dedup has.
    absorbed: u64,
    tallies: BTreeMap<Chunk, ChunkTally>,
    grouped: Grouped,
    replayed: u64,
    crew: Option<Crew>,
    results: BTreeMap<StratumId, StratumResult>,
    round: u32,
    /// Taken when the run has ended.
    outcome: Option<oneshot::Sender<Result<Harvest, RunError>>>,
}

impl Supervisor {
    /// A supervisor that answers on `outcome`. `jitter_seed` spreads retries.
    pub fn new(
        parts: SupervisorParts,
        jitter_seed: u64,
        outcome: oneshot::Sender<Result<Harvest, RunError>>,
    ) -> Self {
        let leases = new_leases(&parts);
        Self {
            parts,
            started: Instant::now(),
            jitter: Pcg64Mcg::new(u128::from(jitter_seed) | 1),
            // No restarts yet: a dead actor ends the run.
            restarts: RestartBudget::new(0, Duration::from_secs(600)),
            leases,
            waiting: VecDeque::new(),
            dedup: None,
            absorbed: 0,
            tallies: BTreeMap::new(),
            grouped: Grouped::default(),
            replayed: 0,
            crew: None,
            results: BTreeMap::new(),
            round: 0,
            outcome: Some(outcome),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the run, once.
    fn end(&mut self, result: Result<Harvest, RunError>) {
        self.parts.stop.store(true, Ordering::Relaxed);
        for waiting in self.waiting.drain(..) {
            // A fetcher that is gone needs no answer.
            let _ = waiting.send(LeaseReply::Finished);
        }
        if let Some(outcome) = self.outcome.take() {
            // The run's owner may be gone; then nobody wants to know.
            let _ = outcome.send(result);
        }
    }

    fn has_ended(&self) -> bool {
        self.outcome.is_none()
    }

    /// Starts reading all chunks, in the first round and in each further one.
    fn begin_round(&mut self, context: &mut Context<Self>) {
        self.leases = new_leases(&self.parts);
        self.absorbed = 0;
        let counters = &self.parts.telemetry;
        counters.chunks_total.set(self.leases.total());
        counters.chunks_done.set(0);
        counters.enter(Phase::Reading);
        let parts = DedupParts {
            selection: Arc::clone(&self.parts.validate.selection),
            nested: self.parts.validate.nested,
            max_record: self.parts.max_record,
            payloads: self.parts.validate.payloads.clone(),
            pool: Arc::clone(&self.parts.validate.pool),
            samplers: HashMap::from_iter(self.parts.samplers.iter().cloned()),
            closed: self.parts.closed,
            stop: Arc::clone(&self.parts.stop),
        };
        let name = format!("dedup of round {}", self.round);
        self.dedup = Some(self.parts.watch.start(name, |_| Deduper::new(parts)));
        if self.leases.total() == 0 {
            self.all_absorbed(context);
            return;
        }
        for number in 0..self.parts.fetchers {
            let fetcher = Fetcher::new(Arc::clone(&self.parts.fetch), context.address());
            self.parts
                .watch
                .start(format!("fetcher-{number}"), |_| fetcher);
        }
    }

    /// Answers fetchers that wait, as far as there are leases.
    fn grant(&mut self, context: &mut Context<Self>) {
        while let Some(waiting) = self.waiting.pop_front() {
            let reply = match self.leases.grant(self.now()) {
                Grant::Lease(lease) => LeaseReply::Fetch(lease),
                Grant::Finished => LeaseReply::Finished,
                Grant::AllTaken => {
                    self.waiting.push_front(waiting);
                    return;
                }
                Grant::Later(at) => {
                    self.waiting.push_front(waiting);
                    let pause = at.saturating_sub(self.now());
                    context.run_later(pause, Self::grant);
                    return;
                }
            };
            if let Err(LeaseReply::Fetch(lease)) = waiting.send(reply) {
                // The fetcher is gone. Its lease goes back as if it had run out.
                self.leases.give_back(&lease);
            }
        }
    }

    fn chunk_done(&mut self, lease: Lease, fetched: Fetched, context: &mut Context<Self>) {
        if !self.leases.complete(&lease) {
            tracing::warn!(chunk = %lease.chunk, epoch = lease.epoch, "a late result was refused: the lease had been lost");
            return;
        }
        let counters = &self.parts.telemetry;
        counters.chunks_done.add(1);
        if self.round == 0 {
            self.replayed += u64::from(fetched.replayed);
            counters.chunks_replayed.set(self.replayed);
            self.tallies.insert(lease.chunk, fetched.tally);
        } else if self.tallies.get(&lease.chunk) != Some(&fetched.tally) {
            let what = format!("chunk {} has other rows in another round", lease.chunk);
            return self.end(Err(RunError::Settings(what)));
        }
        let Some(dedup) = &self.dedup else { return };
        let absorb = dedup.send(Absorb(fetched.headers)).into_actor(self);
        context.spawn(absorb.map(|result, supervisor, context| {
            if let Some(grouped) = supervisor.answer("dedup", result) {
                supervisor.count(grouped);
                supervisor.absorbed += 1;
                if supervisor.absorbed == supervisor.leases.total() {
                    supervisor.all_absorbed(context);
                }
            }
        }));
    }

    /// Counts in the first round; later ones only choose again.
    fn count(&mut self, grouped: Grouped) {
        if self.round == 0 {
            self.grouped.add(grouped);
        }
    }

    /// The answer of an actor, or the end of the run.
    fn answer<T>(
        &mut self,
        actor: &str,
        result: Result<Result<T, RunError>, actix::MailboxError>,
    ) -> Option<T> {
        match result {
            Ok(Ok(answer)) if !self.has_ended() => return Some(answer),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.end(Err(error)),
            Err(_) => self.end(Err(super::deduper::died(actor))),
        }
        None
    }

    /// All rows were read: judges them, and has dedup decide what is open.
    fn all_absorbed(&mut self, context: &mut Context<Self>) {
        if let Err(error) = self.parts.rows.judge(&self.tallies) {
            return self.end(Err(error));
        }
        self.parts.telemetry.enter(Phase::Grouping);
        let Some(dedup) = self.dedup.take() else {
            return;
        };
        let close = dedup.send(Close).into_actor(self);
        context.spawn(close.map(|result, supervisor, context| {
            if let Some(grouped) = supervisor.answer("dedup", result) {
                supervisor.count(grouped);
                supervisor.write_strata(context);
            }
        }));
    }

    /// All candidates were offered: the samplers that are not done write.
    fn write_strata(&mut self, context: &mut Context<Self>) {
        let too_large = &self.grouped.tally.too_large;
        if let Err(error) = self.parts.rows.judge_all(&self.tallies, too_large) {
            return self.end(Err(error));
        }
        self.parts.telemetry.enter(Phase::Writing);
        let crew = self.crew.get_or_insert_with(|| {
            let shape = self.parts.rows.shape(&self.tallies);
            hire(&self.parts, shape.unwrap_or(RowShape::Conversations))
        });
        let mut writing = Vec::new();
        for (stratum, sampler) in &self.parts.samplers {
            if self.results.contains_key(stratum) {
                continue;
            }
            // Messages of one sender arrive in order, so the crew is known before the writing.
            sampler.do_send(Meet(crew.clone()));
            writing.push(sampler.send(WriteStratum));
        }
        let all = futures_util::future::join_all(writing).into_actor(self);
        let each = all.map(|results, supervisor, context| {
            let mut more = false;
            for result in results {
                match supervisor.answer("sampler", result) {
                    Some(StratumOutcome::Committed(result)) => {
                        supervisor.results.insert(result.stratum, *result);
                    }
                    Some(StratumOutcome::NeedsMore) => more = true,
                    None => return,
                }
            }
            supervisor.written(more, context);
        });
        context.spawn(each);
    }

    fn written(&mut self, more: bool, context: &mut Context<Self>) {
        if more {
            self.round += 1;
            tracing::info!(
                round = self.round,
                "spares ran out: more candidates are fetched"
            );
            return self.begin_round(context);
        }
        let harvest = Harvest {
            tallies: std::mem::take(&mut self.tallies),
            grouped: std::mem::take(&mut self.grouped),
            strata: std::mem::take(&mut self.results).into_values().collect(),
            replayed: self.replayed,
            rounds: self.round,
        };
        self.end(Ok(harvest));
    }
}

fn new_leases(parts: &SupervisorParts) -> LeaseTable {
    LeaseTable::new(
        parts.chunks.iter().copied(),
        LEASE,
        parts.max_attempts,
        RETRY,
    )
}

/// Starts the validators and uploaders.
fn hire(parts: &SupervisorParts, shape: RowShape) -> Crew {
    let validators = (0..parts.validators).map(|number| {
        let validator = Validator::new(Arc::clone(&parts.validate), shape);
        parts
            .watch
            .start(format!("validator-{number}"), |_| validator)
    });
    let uploaders = (0..parts.uploaders).map(|number| {
        let uploader = Uploader::new(Arc::clone(&parts.sink), Arc::clone(&parts.telemetry));
        parts
            .watch
            .start(format!("uploader-{number}"), |_| uploader)
    });
    Crew {
        validators: validators.collect(),
        uploaders: uploaders.collect(),
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(LEASE_CHECK, |supervisor, context| {
            for lease in supervisor.leases.expire(supervisor.now()) {
                tracing::warn!(chunk = %lease.chunk, epoch = lease.epoch, "a lease ran out without progress; the chunk goes to another fetcher");
            }
            supervisor.grant(context);
        });
        self.begin_round(context);
    }
}

impl Handler<RequestLease> for Supervisor {
    type Result = ResponseFuture<LeaseReply>;

    fn handle(&mut self, RequestLease: RequestLease, context: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        if self.has_ended() {
            // The receiver is here, so this arrives.
            let _ = reply.send(LeaseReply::Finished);
        } else {
            self.waiting.push_back(reply);
            self.grant(context);
        }
        // A supervisor that is gone leases nothing any more.
        Box::pin(async move { answer.await.unwrap_or(LeaseReply::Finished) })
    }
}

impl Handler<RenewLease> for Supervisor {
    type Result = bool;

    fn handle(&mut self, RenewLease(lease): RenewLease, _: &mut Context<Self>) -> bool {
        let now = self.now();
        !self.has_ended() && self.leases.renew(&lease, now)
    }
}

impl Handler<ChunkFetched> for Supervisor {
    type Result = ();

    fn handle(&mut self, report: ChunkFetched, context: &mut Context<Self>) {
        if self.has_ended() {
            return;
        }
        let ChunkFetched { lease, result } = report;
        match result {
            Ok(fetched) => self.chunk_done(lease, fetched, context),
            Err(SourceError::Stopped) => {
                self.leases.give_back(&lease);
            }
            Err(error) => self.chunk_failed(lease, error),
        }
        self.grant(context);
    }
}

impl Supervisor {
    fn chunk_failed(&mut self, lease: Lease, error: SourceError) {
        self.parts.telemetry.chunks_failed.add(1);
        let now = self.now();
        let jitter = self.jitter.random::<f64>();
        let after = match error.is_transient() {
            true => self.leases.fail(&lease, now, jitter),
            false => AfterFailure::Exhausted,
        };
        match after {
            AfterFailure::Stale => {}
            AfterFailure::RetryAt(_) => {
                tracing::warn!(chunk = %lease.chunk, attempt = lease.attempt, %error, "fetch failed, chunk requeued");
            }
            AfterFailure::Exhausted => self.end(Err(RunError::Chunk {
                chunk: lease.chunk,
                attempt: lease.attempt,
                error,
            })),
        }
    }
}

impl Handler<ActorDied> for Supervisor {
    type Result = ();

    fn handle(&mut self, ActorDied(death): ActorDied, _: &mut Context<Self>) {
        // Fetchers stop when there is nothing left, dedup when its round is over.
        if death.cause == Cause::Stopped || self.has_ended() {
            return;
        }
        let now = self.now();
        if !self.restarts.take(now) {
            self.end(Err(death.into()));
        }
    }
}

impl Handler<Interrupt> for Supervisor {
    type Result = ();

    fn handle(&mut self, Interrupt: Interrupt, _: &mut Context<Self>) {
        self.end(Err(RunError::Interrupted));
    }
}
