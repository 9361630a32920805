//! The supervisor: who may do what, when, and what happens when somebody fails.
//!
//! It grants leases and passes chunks that are done to dedup; `rounds` says what follows
//! when all are in, `recovery` what follows when one fails. It holds no text and computes
//! nothing. An actor that dies ends the run: the work directory can be resumed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, ResponseFuture, WrapFuture,
};
use rand_pcg::Pcg64Mcg;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::census::Lost;
use super::death_watch::{Cause, DeathWatch};
use super::deduper::Deduper;
use super::error::RunError;
use super::fetcher::FetchParts;
use super::messages::{
    Absorb, ActorDied, ChunkFetched, Fetched, Grouped, Interrupt, LeaseReply, RenewLease,
    RequestLease, StratumResult, Task,
};
use super::recovery::{RETRY, Recovery};
use super::rows_report::RowsReport;
use super::sampler::{Crew, Sampler};
use super::validator::ValidateParts;
use crate::domain::chunk::Chunk;
use crate::domain::lease::{Grant, Lease, LeaseTable};
use crate::domain::retry::RestartBudget;
use crate::domain::selector::{Certificate, Selector};
use crate::domain::stratum::StratumId;
use crate::domain::throttle::ThrottleGate;
use crate::sink::DatasetSink;
use crate::source::SourceError;
use crate::spool::Portion;
use crate::spool::tally::ChunkTally;
use crate::telemetry::Telemetry;

/// A lease lasts this long after its last sign of progress: far longer than any healthy source
/// needs for one block.
const LEASE: Duration = Duration::from_secs(600);

/// How often leases are looked at.
const LEASE_CHECK: Duration = Duration::from_secs(10);

/// What a supervisor needs for a run.
pub struct SupervisorParts {
    /// What the source has.
    pub chunks: Vec<Chunk>,
    /// Whether a chunk can be decided by itself.
    pub closed: bool,
    /// Whether the source delivers a census first.
    pub census: bool,
    /// How many fetches the source bears at once.
    pub at_once: Option<usize>,
    /// How long a fetch may take without a sign of progress.
    pub patience: Option<Duration>,
    /// Chunks that may be missing in the end.
    pub allow_missing: usize,
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
    /// What the rounds that followed a census have delivered, chunk by chunk.
    pub payloads: BTreeMap<Chunk, Certificate>,
    /// What became of rows and conversations.
    pub grouped: Grouped,
    /// The strata with a target, in order.
    pub strata: Vec<StratumResult>,
    /// Chunks that an earlier start had sealed.
    pub replayed: u64,
    /// Top-up rounds.
    pub rounds: u32,
    /// Candidates that could not be used, by stratum, where a census had counted them.
    pub lost: Lost,
    /// Chunks that were split, and into what.
    pub splits: BTreeMap<Chunk, [Chunk; 2]>,
    /// Chunks that are not in the dataset.
    pub missing: BTreeSet<Chunk>,
}

/// The supervisor actor.
pub struct Supervisor {
    pub(super) parts: SupervisorParts,
    started: Instant,
    pub(super) jitter: Pcg64Mcg,
    restarts: RestartBudget,
    pub(super) leases: LeaseTable,
    pub(super) gate: ThrottleGate,
    /// What is being fetched.
    pub(super) task: Task,
    pub(super) recovery: Recovery,
    /// Fetchers that wait for a lease: at most one request for each.
    waiting: VecDeque<oneshot::Sender<LeaseReply>>,
    pub(super) dedup: Option<Addr<Deduper>>,
    /// Chunks that dedup has.
    pub(super) absorbed: u64,
    pub(super) tallies: BTreeMap<Chunk, ChunkTally>,
    /// Of the rounds that followed a census.
    pub(super) round_tallies: BTreeMap<(u32, Chunk), (ChunkTally, Lost)>,
    pub(super) grouped: Grouped,
    pub(super) replayed: u64,
    pub(super) crew: Option<Crew>,
    pub(super) results: BTreeMap<StratumId, StratumResult>,
    pub(super) round: u32,
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
        let fetchers = parts.fetchers;
        Self {
            leases: LeaseTable::new([], LEASE, 1, RETRY, 1),
            gate: ThrottleGate::new(parts.at_once.map_or(fetchers, |most| most.min(fetchers))),
            task: Task {
                portion: Portion::Whole,
                selector: Arc::new(Selector::All),
                censuses: Arc::default(),
                retake: false,
            },
            recovery: Recovery::default(),
            parts,
            started: Instant::now(),
            jitter: Pcg64Mcg::new(u128::from(jitter_seed) | 1),
            // No restarts yet: a dead actor ends the run.
            restarts: RestartBudget::new(0, Duration::from_secs(600)),
            waiting: VecDeque::new(),
            dedup: None,
            absorbed: 0,
            tallies: BTreeMap::new(),
            round_tallies: BTreeMap::new(),
            grouped: Grouped::default(),
            replayed: 0,
            crew: None,
            results: BTreeMap::new(),
            round: 0,
            outcome: Some(outcome),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the run, once.
    pub(super) fn end(&mut self, result: Result<Harvest, RunError>) {
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

    pub(super) fn has_ended(&self) -> bool {
        self.outcome.is_none()
    }

    /// Answers fetchers that wait, as far as there are leases.
    pub(super) fn grant(&mut self, context: &mut Context<Self>) {
        while let Some(waiting) = self.waiting.pop_front() {
            let grant = match self.gate.closed(self.now()) {
                Some(until) if self.leases.has_waiting() => Grant::Later(until),
                _ if self.leases.leased() >= self.gate.limit() => Grant::AllTaken,
                _ => self.leases.grant(self.now()),
            };
            let reply = match grant {
                Grant::Lease(lease) => LeaseReply::Fetch(lease, self.task_of(&lease)),
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
            if let Err(LeaseReply::Fetch(lease, _)) = waiting.send(reply) {
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
        if !fetched.replayed {
            self.gate.succeeded();
        }
        if let Portion::Round(round) = self.task.portion {
            let tally = (fetched.tally, fetched.lost);
            self.round_tallies.insert((round, lease.chunk), tally);
        } else if self.round == 0 {
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
                supervisor.check_all_absorbed(context);
            }
        }));
    }

    /// Counts in the first round, and before payloads are fetched; later only is chosen again.
    pub(super) fn count(&mut self, grouped: Grouped) {
        if self.round == 0 && !matches!(self.task.portion, Portion::Round(_)) {
            self.grouped.add(grouped);
        }
    }

    /// The answer of an actor, or the end of the run.
    pub(super) fn answer<T>(
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

/// How long a lease lasts after its last sign of progress.
pub(super) fn lease_time(parts: &SupervisorParts) -> Duration {
    parts.patience.unwrap_or(LEASE).max(LEASE)
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
            Err(error) => self.chunk_failed(lease, error, context),
        }
        self.grant(context);
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
