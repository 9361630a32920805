//! Who works, and what follows when somebody dies or falls silent.
//!
//! Fetchers, validators and uploaders are started again one for one. What a fetcher had goes back:
//! its chunk to the lease table, at once; what a validator or an uploader had is still with the
//! sampler that gave it. Dedup and the samplers are one failure domain: when one of them dies, all
//! start again, with the fetchers, from what is sealed, as a resumed run does. Headers of plain
//! files are not kept a second time for that: their pieces are scanned again, which keeps the bound
//! on memory.
//!
//! Whoever was ended on purpose is struck off first, so that its death means nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext, Context};
use rand::RngExt;

use super::recovery::RETRY;
use crate::domain::describe_error;
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::lease::{Lease, LeaseTable};
use crate::domain::scheduling::supervision::{AfterDeath, RestartPolicy, StallDetector};
use crate::domain::selection::stratum::StratumId;
use crate::pipeline::actors::deduper::{DedupParts, Deduper};
use crate::pipeline::actors::fetcher::{Fetcher, SupervisorLink};
use crate::pipeline::actors::sampler::{Sampler, Workers};
use crate::pipeline::actors::uploader::Uploader;
use crate::pipeline::actors::validator::Validator;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::actor_monitor::{ActorExit, ActorId, Cause, Role};
use crate::pipeline::lifecycle::roster::Roster;
use crate::pipeline::lifecycle::sink_timeout::longer_timeout;
use crate::pipeline::supervisor::Supervisor;
use crate::runtime::JobError;
use crate::spool::payloads::PayloadError;
use crate::telemetry::heartbeat::Heartbeat;
use crate::telemetry::{Counters, Event};

/// A fetcher.
#[derive(Debug)]
struct FetcherSlot {
    number: usize,
    heartbeat: Heartbeat,
    held: Option<Lease>,
    /// Whether it knows that there is nothing left: then it may stop.
    dismissed: bool,
}

impl FetcherSlot {
    fn name(&self) -> String {
        format!("fetcher-{}", self.number)
    }
}

/// A validator or an uploader.
#[derive(Debug)]
struct WorkerSlot {
    role: Role,
    heartbeat: Heartbeat,
}

/// All actors but the supervisor.
pub(in crate::pipeline) struct Actors {
    /// Counts how often dedup and the samplers were started.
    pub generation: u64,
    pub dedup: Option<Addr<Deduper>>,
    /// In the order of strata.
    pub samplers: Vec<(StratumId, Addr<Sampler>)>,
    /// Dedup and the samplers, with their names.
    domain: BTreeMap<ActorId, (String, Heartbeat)>,
    fetchers: BTreeMap<ActorId, FetcherSlot>,
    /// Counts the passes: each begins with all fetchers.
    pass: u64,
    worker_slots: BTreeMap<ActorId, WorkerSlot>,
    workers: Option<(Workers, RowShape)>,
    policy: RestartPolicy<Role>,
    window: Duration,
    stall_detector: StallDetector<ActorId>,
}

impl Actors {
    /// Nobody yet.
    pub fn new(restarts: usize, window: Duration) -> Self {
        Self {
            generation: 0,
            dedup: None,
            samplers: Vec::new(),
            domain: BTreeMap::new(),
            fetchers: BTreeMap::new(),
            pass: 0,
            worker_slots: BTreeMap::new(),
            workers: None,
            policy: RestartPolicy::new(restarts, window, RETRY),
            window,
            stall_detector: StallDetector::new(),
        }
    }

    /// Whether a fetcher is one of this pass.
    pub fn has_fetcher(&self, id: ActorId) -> bool {
        self.fetchers.contains_key(&id)
    }

    /// A fetcher has its answer: a lease, or that there is nothing left.
    pub fn answered(&mut self, id: ActorId, lease: Option<Lease>, telemetry: &Counters) {
        if let Some(slot) = self.fetchers.get_mut(&id) {
            slot.held = lease;
            slot.dismissed = lease.is_none();
            if let Some(lease) = lease {
                telemetry.chunk_map.fetching(lease.chunk, lease.attempt);
                let chunk = lease.chunk.to_string();
                telemetry.actors.works_on(&slot.name(), Some(chunk));
            }
        }
    }

    /// Whoever had a lease has reported.
    pub fn reported(&mut self, lease: &Lease, telemetry: &Counters) {
        for slot in self.fetchers.values_mut() {
            let held = slot.held.take_if(|held| held.epoch == lease.epoch);
            if held.is_some() {
                telemetry.actors.works_on(&slot.name(), None);
            }
        }
    }
}

impl Supervisor {
    /// Dedup and the samplers start, with everything still to be counted; the first round begins.
    pub(in crate::pipeline) fn start_over(&mut self, context: &mut Context<Self>) {
        self.dismiss();
        self.recovery.recount = false;
        self.round = 0;
        self.tallies.clear();
        self.round_tallies.clear();
        self.grouped = Default::default();
        self.replayed = 0;
        let counters = &self.parts.run.telemetry;
        counters.rows.set(0);
        counters.bytes.set(0);
        for plan in &self.parts.samplers {
            // A stratum that is done stays done: doing it again would give the same.
            let is_done = self.results.contains_key(&plan.stratum);
            let file = (!is_done).then(|| plan.file.clone());
            let write = Arc::clone(&self.parts.write);
            let heartbeat = Heartbeat::default();
            let of_actor = heartbeat.clone();
            let sampler = Sampler::new(plan.stratum, plan.candidates, file, write, of_actor);
            let role = Role::Sampler(plan.stratum);
            let (id, sampler) =
                (self.parts.watch).start(role, &*plan.name, &heartbeat, |_, _| sampler);
            self.actors
                .domain
                .insert(id, (plan.name.clone(), heartbeat));
            self.actors.samplers.push((plan.stratum, sampler));
        }
        self.begin_round(context);
    }

    /// Ends dedup, the samplers and the fetchers, on purpose.
    fn dismiss(&mut self) {
        let actors = &mut self.actors;
        actors.generation += 1;
        actors.dedup = None;
        actors.samplers.clear();
        let gone = std::mem::take(&mut actors.domain);
        for id in gone.into_keys().chain(actors.fetchers.keys().copied()) {
            actors.stall_detector.forget(&id);
            self.parts.watch.dismiss(id);
        }
        actors.fetchers.clear();
        self.forget_waiting();
        // What a fetcher may still report is refused.
        let epoch = self.leases.next_epoch();
        self.leases = LeaseTable::new([], Duration::ZERO, 1, RETRY, epoch);
    }

    /// Starts the dedup of a pass.
    pub(in crate::pipeline) fn start_dedup(&mut self) {
        let parts = DedupParts {
            run: Arc::clone(&self.parts.run),
            max_record: self.parts.max_record,
            keep_cut: self.parts.keep_cut,
            samplers: self.actors.samplers.iter().cloned().collect(),
            self_contained: self.parts.self_contained,
            heartbeat: Heartbeat::default(),
        };
        let (name, heartbeat) = (
            format!("dedup of round {}", self.round),
            parts.heartbeat.clone(),
        );
        let (id, dedup) = (self.parts.watch).start(Role::Deduper, &*name, &heartbeat, |_, _| {
            Deduper::new(parts)
        });
        self.actors.domain.insert(id, (name, heartbeat));
        self.actors.dedup = Some(dedup);
    }

    /// Starts the fetchers of a pass.
    pub(in crate::pipeline) fn start_fetchers(&mut self, context: &mut Context<Self>) {
        self.actors.pass += 1;
        for number in 0..self.parts.fetchers {
            self.start_fetcher(number, context);
        }
    }

    fn start_fetcher(&mut self, number: usize, context: &mut Context<Self>) {
        let heartbeat = Heartbeat::default();
        let parts = Arc::clone(&self.parts.fetch);
        let supervisor = SupervisorLink {
            leases: context.address().recipient(),
            results: context.address().recipient(),
        };
        let of_actor = heartbeat.clone();
        let (id, _) = self.parts.watch.start(
            Role::Fetcher(number),
            format!("fetcher-{number}"),
            &heartbeat,
            |id, _| Fetcher::new(parts, supervisor, id, of_actor),
        );
        let slot = FetcherSlot {
            number,
            heartbeat,
            held: None,
            dismissed: false,
        };
        self.actors.fetchers.insert(id, slot);
    }

    /// The validators and uploaders, who are started when there is something to do for them.
    pub(in crate::pipeline) fn workers(&mut self, shape: RowShape) -> Workers {
        if let Some((workers, _)) = &self.actors.workers {
            return workers.clone();
        }
        let workers = Workers {
            validators: Roster::new(self.parts.validators),
            uploaders: Roster::new(self.parts.uploaders),
        };
        self.actors.workers = Some((workers.clone(), shape));
        (0..self.parts.validators).for_each(|number| self.start_worker(Role::Validator(number)));
        (0..self.parts.uploaders).for_each(|number| self.start_worker(Role::Uploader(number)));
        workers
    }

    fn start_worker(&mut self, role: Role) {
        let Some((workers, shape)) = &self.actors.workers else {
            return;
        };
        let (parts, heartbeat) = (&self.parts, Heartbeat::default());
        let of_actor = heartbeat.clone();
        let id = match role {
            Role::Validator(number) => {
                let validator = Validator::new(Arc::clone(&parts.validate), *shape, of_actor);
                let name = format!("validator-{number}");
                let (id, validator) = parts.watch.start(role, name, &heartbeat, |_, _| validator);
                workers.validators.register(number, validator);
                id
            }
            Role::Uploader(number) => {
                let (sink, run) = (Arc::clone(&parts.sink), Arc::clone(&parts.run));
                let uploader = Uploader::new(sink, run, of_actor);
                let name = format!("uploader-{number}");
                let (id, uploader) = parts.watch.start(role, name, &heartbeat, |_, _| uploader);
                workers.uploaders.register(number, uploader);
                id
            }
            _ => return,
        };
        self.actors
            .worker_slots
            .insert(id, WorkerSlot { role, heartbeat });
    }

    /// An actor has ended: by itself, or not.
    pub(in crate::pipeline) fn actor_died(
        &mut self,
        death: ActorExit,
        context: &mut Context<Self>,
    ) {
        self.actors.stall_detector.forget(&death.id);
        match death.role {
            Role::Fetcher(number) => self.fetcher_died(number, death, context),
            // Dedup stops when its pass is over.
            Role::Deduper if death.cause == Cause::Stopped => {
                self.actors.domain.remove(&death.id);
            }
            Role::Deduper | Role::Sampler(_) => {
                if self.actors.domain.remove(&death.id).is_some() {
                    self.publish(Event::ActorExit {
                        actor: death.actor.clone(),
                        cause: death.cause,
                    });
                    self.rebuild(self.dead(&death), context);
                }
            }
            Role::Validator(_) | Role::Uploader(_) => self.worker_exited(death, context),
            // Then nobody is here.
            Role::Supervisor => {}
        }
    }

    fn fetcher_died(&mut self, number: usize, death: ActorExit, context: &mut Context<Self>) {
        let Some(slot) = self.actors.fetchers.remove(&death.id) else {
            return;
        };
        if death.cause == Cause::Stopped && slot.dismissed {
            return;
        }
        if let Some(lease) = slot.held
            && self.leases.give_back(&lease)
        {
            self.parts.run.telemetry.chunk_map.given_back(lease.chunk);
            self.parts.run.telemetry.events.publish(Event::Requeue {
                chunk: lease.chunk.to_string(),
                attempt: lease.attempt,
                reason: format!("the {} {}", death.actor, death.cause),
            });
        }
        let pass = self.actors.pass;
        self.start_again(death, context, move |supervisor, context| {
            // A pass that has begun meanwhile has all its fetchers.
            let is_wanted = supervisor.actors.pass == pass && supervisor.actors.dedup.is_some();
            if is_wanted {
                supervisor.start_fetcher(number, context);
            }
            is_wanted
        });
        self.grant(context);
    }

    fn worker_exited(&mut self, death: ActorExit, context: &mut Context<Self>) {
        let Some(WorkerSlot { role, .. }) = self.actors.worker_slots.remove(&death.id) else {
            return;
        };
        if let Some((workers, _)) = &self.actors.workers {
            match role {
                Role::Validator(number) => workers.validators.deregister(number),
                Role::Uploader(number) => workers.uploaders.deregister(number),
                _ => {}
            }
        }
        self.start_again(death, context, move |supervisor, _| {
            supervisor.start_worker(role);
            true
        });
    }

    /// Starts a dead worker again after a while, or ends the run. `start` says whether it is
    /// still wanted.
    fn start_again(
        &mut self,
        death: ActorExit,
        context: &mut Context<Self>,
        start: impl FnOnce(&mut Self, &mut Context<Self>) -> bool + 'static,
    ) {
        let error = self.dead(&death);
        let ActorExit {
            actor, cause, role, ..
        } = death;
        self.publish(Event::ActorExit {
            actor: actor.clone(),
            cause,
        });
        let (now, jitter) = (self.now(), self.jitter.random());
        match self.actors.policy.died(role, now, jitter) {
            AfterDeath::GiveUp => self.end(Err(error)),
            AfterDeath::RestartAfter(pause) => {
                context.run_later(pause, move |supervisor, context| {
                    if !supervisor.has_ended() && start(supervisor, context) {
                        supervisor.publish(Event::Restart { actor });
                    }
                });
            }
        }
    }

    /// Dedup or a sampler came back with an error. Some are worth starting again for.
    pub(in crate::pipeline) fn failed(&mut self, error: RunError, context: &mut Context<Self>) {
        match error {
            RunError::Job(JobError::Panicked) => self.rebuild(error, context),
            RunError::Payload(PayloadError::Changed {
                ref path,
                sealed: true,
            }) => {
                // The chunk is fetched again.
                let (spool, rows) = (self.parts.fetch.spool.clone(), path.clone());
                let pool = Arc::clone(&self.parts.run.pool);
                let invalidate =
                    async move { pool.blocking(move || spool.invalidate(&rows)).await };
                self.spawn_then(invalidate, context, |supervisor, _, context| {
                    supervisor.rebuild(error, context);
                });
            }
            error => self.end(Err(error)),
        }
    }

    /// Starts dedup and the samplers again after a while, or ends the run with the error.
    fn rebuild(&mut self, error: RunError, context: &mut Context<Self>) {
        self.dismiss();
        let reason = describe_error(&error);
        self.publish(Event::Rebuild { reason });
        let (now, jitter) = (self.now(), self.jitter.random());
        match self.actors.policy.died(Role::Deduper, now, jitter) {
            AfterDeath::GiveUp => self.end(Err(error)),
            AfterDeath::RestartAfter(pause) => {
                let generation = self.actors.generation;
                context.run_later(pause, move |supervisor, context| {
                    if supervisor.actors.generation == generation && !supervisor.has_ended() {
                        supervisor.start_over(context);
                    }
                });
            }
        }
    }

    /// Looks at all pulses from outside. Who makes progress keeps its lease; who is busy and makes
    /// none for too long is ended, and its death does the rest.
    pub(in crate::pipeline) fn check_pulses(&mut self) {
        let now = self.now();
        let mut silent = Vec::new();
        for (&id, slot) in &self.actors.fetchers {
            let idle_for = self
                .actors
                .stall_detector
                .idle_for(id, slot.heartbeat.read(), now);
            if let Some(lease) = &slot.held
                && idle_for.is_zero()
            {
                self.leases.renew(lease, now);
            }
        }
        for lease in self.leases.expire(now) {
            self.parts.run.telemetry.chunk_map.given_back(lease.chunk);
            for (&id, slot) in &mut self.actors.fetchers {
                if slot
                    .held
                    .take_if(|held| held.epoch == lease.epoch)
                    .is_some()
                {
                    silent.push((id, slot.name(), Some(lease)));
                }
            }
        }
        for (&id, slot) in &self.actors.worker_slots {
            let (name, timeout) = match slot.role {
                Role::Uploader(n) => (format!("uploader-{n}"), self.parts.sink.operation_timeout()),
                Role::Validator(n) => (format!("validator-{n}"), None),
                _ => continue,
            };
            let own = self.parts.stall_timeout;
            let timeout = longer_timeout(own, timeout);
            if self
                .actors
                .stall_detector
                .idle_for(id, slot.heartbeat.read(), now)
                >= timeout
            {
                silent.push((id, name, None));
            }
        }
        // Samplers wait for validators and uploaders, which are looked after themselves: they have
        // the time to be ended and started again.
        let own = self.parts.stall_timeout;
        let timeout = longer_timeout(own, self.parts.sink.operation_timeout());
        let timeout = 3 * timeout;
        for (&id, (name, heartbeat)) in &self.actors.domain {
            if self
                .actors
                .stall_detector
                .idle_for(id, heartbeat.read(), now)
                >= timeout
            {
                silent.push((id, name.clone(), None));
            }
        }
        for (id, actor, lease) in silent {
            self.publish(Event::LeaseLoss {
                actor,
                chunk: lease.map(|lease| lease.chunk.to_string()),
                epoch: lease.map(|lease| lease.epoch),
            });
            self.parts.watch.end(id);
        }
    }

    pub(in crate::pipeline) fn publish(&self, event: Event) {
        self.parts.run.telemetry.events.publish(event);
    }

    fn dead(&self, death: &ActorExit) -> RunError {
        RunError::ActorDied {
            actor: death.actor.clone(),
            cause: death.cause,
            within: self.actors.window,
        }
    }
}
