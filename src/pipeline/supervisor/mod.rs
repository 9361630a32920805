//! The supervisor: who may do what, when, and what follows a failure.
//!
//! It grants leases and passes chunks that are done to dedup; `rounds` says what follows
//! when all are in, `recovery` what follows when a chunk fails, `workers` what follows when an
//! actor dies or falls silent. It holds no text and computes nothing. Should it die itself, the run
//! ends: the work directory can be resumed.

mod actors;
mod census;
mod deciding;
mod output;
mod recovery;
mod rounds;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use rand_pcg::Pcg64Mcg;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::RunError;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::near_duplicates::NearDuplicates;
use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::lease::{Grant, Lease, LeaseTable};
use crate::domain::scheduling::pass::Pass;
use crate::domain::scheduling::recovery::Recovery;
use crate::domain::scheduling::retry::RETRY;
use crate::domain::scheduling::roles::StallLimits;
use crate::domain::scheduling::throttle::ThrottleGate;
use crate::domain::selection::stratum::StratumId;
use crate::fault::Site;
use crate::pipeline::actors::fetcher::FetchParts;
use crate::pipeline::actors::messages::{
    ActorDied, AddHeaders, CensusPlan, ChunkFetched, Drain, Fetched, Grouped, LeaseReply,
    RequestLease, RoundPlan, StratumResult,
};
use crate::pipeline::actors::stratum_file::StratumFile;
use crate::pipeline::actors::stratum_writer::WriteParts;
use crate::pipeline::actors::validator::ValidateParts;
use crate::pipeline::ingest::census::UnusableCandidates;
use crate::pipeline::ingest::rows_report::RowsReport;
use crate::pipeline::lifecycle::actor_monitor::{ActorId, ActorMonitor};
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::pipeline::supervisor::actors::Actors;
pub use crate::pipeline::supervisor::output::RunOutput;
use crate::runtime::JobError;
use crate::sink::DatasetSink;
use crate::source::SourceError;
use crate::telemetry::{Event, Notice};

/// A sampler to be started, as often as need be.
pub struct SamplerPlan {
    /// The stratum.
    pub stratum: StratumId,
    /// Its name.
    pub name: String,
    /// How many candidates the first round holds.
    pub candidates: u64,
    /// Its file, empty.
    pub file: StratumFile,
}

/// What a supervisor needs for a run.
pub struct SupervisorParts {
    /// Shared by all actors of the run.
    pub run: Arc<RunContext>,
    /// What the source has.
    pub chunks: Vec<Chunk>,
    /// Whether a chunk can be decided by itself.
    pub self_contained: bool,
    /// The census to begin with, if the source delivers one.
    pub census: Option<CensusPlan>,
    /// How many fetches the source bears at once.
    pub max_concurrency: Option<usize>,
    /// How long a fetch may take without a sign of progress.
    pub operation_timeout: Option<Duration>,
    /// Chunks that may be missing in the end.
    pub allow_missing: usize,
    /// Tries of one chunk.
    pub max_attempts: u32,
    /// For the fetchers.
    pub fetch: Arc<FetchParts>,
    /// The number of fetchers.
    pub fetchers: usize,
    /// For the validators.
    pub validate: Arc<ValidateParts>,
    /// The sink of the dataset.
    pub sink: Arc<dyn DatasetSink>,
    /// One for each stratum with a target, in order.
    pub samplers: Vec<SamplerPlan>,
    /// For the samplers.
    pub write: Arc<WriteParts>,
    /// `[near_duplicates]`, if they are left out.
    pub near_duplicates: Option<NearDuplicates>,
    /// How often dead actors may be started again, within which window.
    pub restarts: (usize, Duration),
    /// How long a worker may be busy without a sign of progress.
    pub stall_timeout: Duration,
    /// `limits.max_record`
    pub max_record: u64,
    /// `selection.cut = "keep"`
    pub keep_cut: bool,
    /// Judges what was read.
    pub rows: RowsReport,
    /// Starts actors.
    pub watch: ActorMonitor,
}

/// The supervisor actor.
pub struct Supervisor {
    pub(in crate::pipeline) parts: SupervisorParts,
    started: Instant,
    pub(in crate::pipeline) jitter: Pcg64Mcg,
    pub(in crate::pipeline) leases: LeaseTable,
    pub(in crate::pipeline) gate: ThrottleGate,
    /// What is being fetched.
    pub(in crate::pipeline) pass: Pass,
    /// In a round: which conversations.
    pub(in crate::pipeline) plan: Option<Arc<RoundPlan>>,
    /// The census that rounds follow, if the source delivers one.
    pub(in crate::pipeline) census: Option<CensusPlan>,
    /// Whether what is read is counted: it is read for the first time.
    pub(in crate::pipeline) is_counting: bool,
    /// What the census before this one has counted, if it was not wide enough.
    pub(in crate::pipeline) counted_before: Option<ChunkChecksum>,
    pub(in crate::pipeline) recovery: Recovery,
    pub(in crate::pipeline) stall_limits: StallLimits,
    pub(in crate::pipeline) actors: Actors,
    /// Fetchers that wait for a lease: at most one request for each.
    waiting: VecDeque<(ActorId, oneshot::Sender<LeaseReply>)>,
    /// Chunks that dedup has.
    pub(in crate::pipeline) absorbed: u64,
    pub(in crate::pipeline) tallies: BTreeMap<Chunk, ChunkTally>,
    /// Of the rounds that followed a census.
    pub(in crate::pipeline) round_tallies: BTreeMap<(u32, Chunk), (ChunkTally, UnusableCandidates)>,
    pub(in crate::pipeline) grouped: Grouped,
    /// What became of the rows of telemetry that the rounds after a census have fetched.
    pub(in crate::pipeline) round_grouped: BTreeMap<u32, Grouped>,
    pub(in crate::pipeline) replayed: u64,
    /// Chunks that this start has fetched itself: when dedup starts again they are not replayed
    /// from an earlier one.
    own: BTreeSet<Chunk>,
    pub(in crate::pipeline) results: BTreeMap<StratumId, StratumResult>,
    pub(in crate::pipeline) round: u32,
    /// Samplers that still write.
    pub(in crate::pipeline) writing: usize,
    /// Whether one of them has run out of candidates.
    pub(in crate::pipeline) needs_more: bool,
    /// What was decided on near-duplicates, for the run's output.
    pub(in crate::pipeline) decided: Option<(u64, BTreeMap<u64, u64>)>,
    /// Whether nothing may be begun any more.
    draining: bool,
    /// Taken when the run has ended.
    outcome: Option<oneshot::Sender<Result<RunOutput, RunError>>>,
}

impl Supervisor {
    /// A supervisor that answers on `outcome`. `jitter_seed` spreads retries.
    pub fn new(
        parts: SupervisorParts,
        jitter_seed: u64,
        outcome: oneshot::Sender<Result<RunOutput, RunError>>,
    ) -> Self {
        let fetchers = parts.fetchers;
        let (restarts, window) = parts.restarts;
        Self {
            leases: LeaseTable::new([], Duration::ZERO, 1, RETRY, 1),
            gate: ThrottleGate::new(
                parts
                    .max_concurrency
                    .map_or(fetchers, |most| most.min(fetchers)),
            ),
            pass: Pass::All,
            plan: None,
            census: parts.census.clone(),
            is_counting: true,
            counted_before: None,
            recovery: Recovery::new(parts.allow_missing),
            stall_limits: StallLimits::new(
                parts.stall_timeout,
                parts.operation_timeout,
                parts.sink.operation_timeout(),
            ),
            actors: Actors::new(restarts, window),
            parts,
            started: Instant::now(),
            jitter: Pcg64Mcg::new(u128::from(jitter_seed) | 1),
            waiting: VecDeque::new(),
            absorbed: 0,
            tallies: BTreeMap::new(),
            round_tallies: BTreeMap::new(),
            grouped: Grouped::default(),
            round_grouped: BTreeMap::new(),
            replayed: 0,
            own: BTreeSet::new(),
            results: BTreeMap::new(),
            round: 0,
            writing: 0,
            needs_more: false,
            decided: None,
            draining: false,
            outcome: Some(outcome),
        }
    }

    pub(in crate::pipeline) fn now(&self) -> Duration {
        self.started.elapsed() + self.parts.run.faults.skew()
    }

    /// Ends the run, once.
    pub(in crate::pipeline) fn end(&mut self, result: Result<RunOutput, RunError>) {
        self.parts.run.stop_work();
        for (_, waiting) in self.waiting.drain(..) {
            // A fetcher that is gone needs no answer.
            let _ = waiting.send(LeaseReply::Finished);
        }
        if let Some(outcome) = self.outcome.take() {
            // The run's owner may be gone.
            let _ = outcome.send(result);
        }
    }

    pub(in crate::pipeline) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Ends a run that is to be drained, once nothing is left of what was begun.
    pub(in crate::pipeline) fn check_drained(&mut self) {
        if self.draining && self.leases.leased() == 0 && self.writing == 0 {
            self.end(Err(RunError::Interrupted));
        }
    }

    pub(in crate::pipeline) fn has_ended(&self) -> bool {
        self.outcome.is_none()
    }

    /// Drops all that wait for a lease.
    pub(in crate::pipeline) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Answers fetchers that wait, as far as there are leases.
    pub(in crate::pipeline) fn grant(&mut self, context: &mut Context<Self>) {
        while let Some((fetcher, waiting)) = self.waiting.pop_front() {
            let grant = match self.gate.closed(self.now()) {
                _ if self.draining => Grant::Finished,
                Some(until) if self.leases.has_waiting() => Grant::Later(until),
                _ if self.leases.leased() >= self.gate.limit() => Grant::AllTaken,
                _ => self.leases.grant(self.now()),
            };
            let reply = match grant {
                Grant::Lease(lease) => LeaseReply::Fetch(self.assignment_of(lease)),
                Grant::Finished => LeaseReply::Finished,
                Grant::AllTaken => {
                    self.waiting.push_front((fetcher, waiting));
                    return;
                }
                Grant::Later(at) => {
                    self.waiting.push_front((fetcher, waiting));
                    let pause = at.saturating_sub(self.now());
                    context.run_later(pause, Self::grant);
                    return;
                }
            };
            let lease = match &reply {
                LeaseReply::Fetch(assignment) => Some(assignment.lease),
                LeaseReply::Finished => None,
            };
            if waiting.send(reply).is_ok() {
                self.actors
                    .answered(fetcher, lease, &self.parts.run.telemetry);
            } else if let Some(lease) = lease {
                // The fetcher is gone. Its lease goes back as if it had run out.
                self.leases.give_back(&lease);
            }
        }
    }

    fn chunk_done(&mut self, lease: Lease, fetched: Fetched, context: &mut Context<Self>) {
        if !self.leases.complete(&lease) {
            return self.late(&lease);
        }
        let counters = &self.parts.run.telemetry;
        counters.chunks_done.add(1);
        let (rows, bytes) = (fetched.tally.rows_read, fetched.tally.bytes);
        let replayed = fetched.replayed;
        (counters.chunk_map).done(lease.chunk, rows, bytes, replayed);
        counters.board().publish(Notice::Chunk {
            chunk: lease.chunk.to_string(),
            rows,
            bytes,
            replayed,
        });
        if !fetched.replayed {
            self.gate.succeeded();
        }
        if let Pass::Round(round) = self.pass {
            let tally = (fetched.tally, fetched.lost);
            self.round_tallies.insert((round, lease.chunk), tally);
        } else if self.is_counting {
            if !fetched.replayed {
                self.own.insert(lease.chunk);
            }
            let from_before = fetched.replayed && !self.own.contains(&lease.chunk);
            self.replayed += u64::from(from_before);
            counters.chunks_replayed.set(self.replayed);
            self.count(Grouped::of_undelivered(&fetched.tally.undelivered));
            self.tallies.insert(lease.chunk, fetched.tally);
        } else if self.tallies.get(&lease.chunk) != Some(&fetched.tally) {
            let chunk = lease.chunk;
            return self.end(Err(RunError::ChunkChanged { chunk }));
        }
        let Some(dedup) = &self.actors.dedup else {
            return;
        };
        let absorb = dedup.send(AddHeaders(fetched.headers));
        self.spawn_then(absorb, context, |supervisor, result, context| {
            if let Some(grouped) = supervisor.answer(result, context) {
                supervisor.count(grouped);
                supervisor.absorbed += 1;
                supervisor.check_all_absorbed(context);
            }
        });
    }

    /// What came after its lease was lost is refused.
    pub(in crate::pipeline) fn late(&self, lease: &Lease) {
        self.parts.run.telemetry.events.publish(Event::LateResult {
            chunk: lease.chunk.to_string(),
            epoch: lease.epoch,
        });
    }

    /// Does something, and goes on when it is done; not if the run has ended meanwhile, or dedup
    /// and the samplers were started again: the result is out of date then.
    pub(in crate::pipeline) fn spawn_then<T: 'static>(
        &self,
        work: impl Future<Output = T> + 'static,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        let generation = self.actors.generation;
        let work = work.into_actor(self);
        context.spawn(work.map(move |result, supervisor, context| {
            if supervisor.actors.generation == generation && !supervisor.has_ended() {
                then(supervisor, result, context);
            }
        }));
    }

    /// The answer of dedup or a sampler, if there is one to go on with.
    pub(in crate::pipeline) fn answer<T>(
        &mut self,
        result: Result<Result<T, RunError>, actix::MailboxError>,
        context: &mut Context<Self>,
    ) -> Option<T> {
        match result {
            Ok(Ok(answer)) => return Some(answer),
            // The actor that should have answered is dead. The actor monitor reports it, and how.
            Err(_) | Ok(Err(RunError::NoAnswer(_))) => {}
            Ok(Err(error)) => self.failed(error, context),
        }
        None
    }

    /// The result of file work, or the end of the run.
    pub(in crate::pipeline) fn unwrap_io<T, E: Into<RunError>>(
        &mut self,
        result: Result<Result<T, E>, JobError>,
    ) -> Option<T> {
        let result = result.map_err(RunError::from);
        match result.and_then(|result| result.map_err(Into::into)) {
            Ok(value) => Some(value),
            Err(error) => {
                self.end(Err(error));
                None
            }
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let every = self.stall_limits.check_interval();
        context.run_interval(every, |supervisor, context| {
            if !supervisor.has_ended() {
                supervisor.check_progress();
                supervisor.grant(context);
                supervisor.check_drained();
            }
        });
        self.start_over(context);
    }
}

impl Handler<RequestLease> for Supervisor {
    type Result = ResponseFuture<LeaseReply>;

    fn handle(
        &mut self,
        RequestLease(id): RequestLease,
        context: &mut Context<Self>,
    ) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        if self.has_ended() || !self.actors.has_fetcher(id) {
            // The receiver is here, so this arrives.
            let _ = reply.send(LeaseReply::Finished);
        } else {
            self.waiting.push_back((id, reply));
            self.grant(context);
        }
        // A supervisor that is gone leases nothing any more.
        Box::pin(async move { answer.await.unwrap_or(LeaseReply::Finished) })
    }
}

impl Handler<ChunkFetched> for Supervisor {
    type Result = ();

    fn handle(&mut self, report: ChunkFetched, context: &mut Context<Self>) {
        if self.has_ended() {
            return;
        }
        let scope = self.parts.run.faults.enter_now(Site::Supervisor);
        let ChunkFetched { lease, result } = report;
        self.actors.reported(&lease, &self.parts.run.telemetry);
        match result {
            Ok(fetched) => self.chunk_done(lease, fetched, context),
            Err(SourceError::Stopped) => {
                self.leases.give_back(&lease);
            }
            Err(error) => self.chunk_failed(lease, error, context),
        }
        self.grant(context);
        self.check_drained();
        scope.leave();
    }
}

impl Handler<ActorDied> for Supervisor {
    type Result = ();

    fn handle(&mut self, ActorDied(exited): ActorDied, context: &mut Context<Self>) {
        if !self.has_ended() {
            self.actor_died(exited, context);
        }
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ();

    fn handle(&mut self, Drain: Drain, context: &mut Context<Self>) {
        self.draining = true;
        if self.writing > 0 {
            // The samplers see to it that blocks on their way arrive, and report.
            self.parts.run.stop_work();
        }
        self.grant(context);
        self.check_drained();
    }
}
