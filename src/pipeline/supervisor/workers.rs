//! Starts the actors, and replaces those that exit or stall.
//!
//! Fetchers, validators and uploaders are started again one for one. What a fetcher had goes back:
//! its chunk to the lease table, at once; what a validator or an uploader had is still with the
//! sampler that gave it. Dedup, the decider and the samplers are one failure domain: when one of them dies, all
//! start again, with the fetchers, from what is sealed, as a resumed run does. Headers of plain
//! files are not kept a second time for that: their pieces are scanned again, which keeps the bound
//! on memory.
//!
//! An actor that is ended on purpose is removed first, so that its exit has no consequences.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context};
use rand::RngExt;

use super::actors::{ActorSlot, FetcherSlot};
use crate::domain::describe_error;
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::lease::LeaseTable;
use crate::domain::scheduling::retry::RETRY;
use crate::domain::scheduling::roles::AfterExit;
use crate::domain::scheduling::supervision::RestartDecision;
use crate::pipeline::actors::deduper::{DedupParts, Deduper};
use crate::pipeline::actors::fetcher::{Fetcher, SupervisorLink};
use crate::pipeline::actors::sampler::Sampler;
use crate::pipeline::actors::uploader::Uploader;
use crate::pipeline::actors::validator::Validator;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::actor_monitor::{ActorExit, Role};
use crate::pipeline::supervisor::Supervisor;
use crate::runtime::JobError;
use crate::spool::payloads::PayloadError;
use crate::telemetry::Event;
use crate::telemetry::heartbeat::Heartbeat;

impl Supervisor {
    /// Dedup and the samplers start, with everything still to be counted; the first round begins.
    pub(in crate::pipeline) fn start_over(&mut self, context: &mut Context<Self>) {
        self.dismiss();
        self.recovery.recounting();
        self.round = 0;
        (self.is_counting, self.counted_before) = (true, None);
        self.tallies.clear();
        self.round_tallies.clear();
        self.grouped = Default::default();
        self.round_grouped.clear();
        self.replayed = 0;
        let counters = &self.parts.run.telemetry;
        counters.rows.set(0);
        counters.bytes.set(0);
        for plan in &self.parts.samplers {
            // A stratum that is done stays done: doing it again would give the same. What others may not repeat
            // is decided again with it.
            let is_decided_alone = self.parts.near_duplicates.is_none();
            let is_done = is_decided_alone && self.results.contains_key(&plan.stratum);
            let file = (!is_done).then(|| plan.file.clone());
            let write = Arc::clone(&self.parts.write);
            let heartbeat = Heartbeat::default();
            let of_actor = heartbeat.clone();
            let sampler = Sampler::new(plan.stratum, plan.candidates, file, write, of_actor);
            let role = Role::Sampler(plan.stratum);
            let (id, sampler) =
                (self.parts.watch).start(role, &*plan.name, &heartbeat, |_, _| sampler);
            let slot = ActorSlot {
                role,
                name: plan.name.clone(),
                heartbeat,
            };
            self.actors.domain.insert(id, slot);
            self.actors.samplers.push((plan.stratum, sampler));
        }
        self.start_decider();
        self.begin_round(context);
    }

    /// Ends dedup, the samplers and the fetchers, on purpose.
    fn dismiss(&mut self) {
        let actors = &mut self.actors;
        actors.generation += 1;
        actors.dedup = None;
        actors.decider = None;
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
        let slot = ActorSlot {
            role: Role::Deduper,
            name,
            heartbeat,
        };
        self.actors.domain.insert(id, slot);
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

    /// Starts the validators and uploaders, once.
    pub(in crate::pipeline) fn start_workers(&mut self, shape: RowShape) {
        if self.actors.shape.is_some() {
            return;
        }
        self.actors.shape = Some(shape);
        let write = Arc::clone(&self.parts.write);
        (0..write.validators.slots()).for_each(|number| self.start_worker(Role::Validator(number)));
        (0..write.uploaders.slots()).for_each(|number| self.start_worker(Role::Uploader(number)));
    }

    fn start_worker(&mut self, role: Role) {
        let Some(shape) = self.actors.shape else {
            return;
        };
        let (parts, heartbeat) = (&self.parts, Heartbeat::default());
        let of_actor = heartbeat.clone();
        let (name, id) = match role {
            Role::Validator(number) => {
                let validator = Validator::new(Arc::clone(&parts.validate), shape, of_actor);
                let name = format!("validator-{number}");
                let (id, validator) = parts
                    .watch
                    .start(role, &*name, &heartbeat, |_, _| validator);
                parts.write.validators.set(number, Some(validator));
                (name, id)
            }
            Role::Uploader(number) => {
                let (sink, run) = (Arc::clone(&parts.sink), Arc::clone(&parts.run));
                let uploader = Uploader::new(sink, run, of_actor);
                let name = format!("uploader-{number}");
                let (id, uploader) = parts.watch.start(role, &*name, &heartbeat, |_, _| uploader);
                parts.write.uploaders.set(number, Some(uploader));
                (name, id)
            }
            _ => return,
        };
        let slot = ActorSlot {
            role,
            name,
            heartbeat,
        };
        self.actors.worker_slots.insert(id, slot);
    }

    /// An actor has ended: by itself, or not.
    pub(in crate::pipeline) fn actor_died(
        &mut self,
        exited: ActorExit,
        context: &mut Context<Self>,
    ) {
        self.actors.stall_detector.forget(&exited.id);
        let fetcher = self.actors.fetchers.get(&exited.id);
        let is_dismissed = fetcher.is_some_and(|slot| slot.dismissed);
        match exited.role.after_exit(exited.cause, is_dismissed) {
            AfterExit::Nothing => {
                self.actors.fetchers.remove(&exited.id);
                self.actors.domain.remove(&exited.id);
            }
            AfterExit::Rebuild => {
                if self.actors.domain.remove(&exited.id).is_some() {
                    self.publish(Event::ActorExit {
                        actor: exited.actor.clone(),
                        cause: exited.cause,
                    });
                    self.rebuild(self.exit_error(&exited), context);
                }
            }
            AfterExit::Restart => match exited.role {
                Role::Fetcher(number) => self.fetcher_died(number, exited, context),
                _ => self.worker_exited(exited, context),
            },
        }
    }

    fn fetcher_died(&mut self, number: usize, exited: ActorExit, context: &mut Context<Self>) {
        let Some(slot) = self.actors.fetchers.remove(&exited.id) else {
            return;
        };
        if let Some(lease) = slot.held
            && self.leases.give_back(&lease)
        {
            self.parts.run.telemetry.chunk_map.given_back(lease.chunk);
            self.parts.run.telemetry.events.publish(Event::Requeue {
                chunk: lease.chunk.to_string(),
                attempt: lease.attempt,
                reason: format!("the {} {}", exited.actor, exited.cause),
            });
        }
        let pass = self.actors.pass;
        self.start_again(exited, context, move |supervisor, context| {
            // A pass that has begun meanwhile has all its fetchers.
            let is_wanted = supervisor.actors.pass == pass && supervisor.actors.dedup.is_some();
            if is_wanted {
                supervisor.start_fetcher(number, context);
            }
            is_wanted
        });
        self.grant(context);
    }

    fn worker_exited(&mut self, exited: ActorExit, context: &mut Context<Self>) {
        let Some(ActorSlot { role, .. }) = self.actors.worker_slots.remove(&exited.id) else {
            return;
        };
        match role {
            Role::Validator(number) => self.parts.write.validators.set(number, None),
            Role::Uploader(number) => self.parts.write.uploaders.set(number, None),
            _ => {}
        }
        self.start_again(exited, context, move |supervisor, _| {
            supervisor.start_worker(role);
            true
        });
    }

    /// Starts a dead worker again after a while, or ends the run. `start` says whether it is
    /// still wanted.
    fn start_again(
        &mut self,
        exited: ActorExit,
        context: &mut Context<Self>,
        start: impl FnOnce(&mut Self, &mut Context<Self>) -> bool + 'static,
    ) {
        let error = self.exit_error(&exited);
        let ActorExit {
            actor, cause, role, ..
        } = exited;
        self.publish(Event::ActorExit {
            actor: actor.clone(),
            cause,
        });
        let (now, jitter) = (self.now(), self.jitter.random());
        match self.actors.policy.died(role, now, jitter) {
            RestartDecision::GiveUp => self.end(Err(error)),
            RestartDecision::RestartAfter(pause) => {
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
            RunError::Job(JobError::Panicked) | RunError::DecidedOtherwise => {
                self.rebuild(error, context)
            }
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
            RestartDecision::GiveUp => self.end(Err(error)),
            RestartDecision::RestartAfter(pause) => {
                let generation = self.actors.generation;
                context.run_later(pause, move |supervisor, context| {
                    if supervisor.actors.generation == generation && !supervisor.has_ended() {
                        supervisor.start_over(context);
                    }
                });
            }
        }
    }

    /// Checks the progress of all actors from outside. A fetcher that makes progress keeps its lease;
    /// an actor that is busy and makes none for too long is ended, and its exit does the rest.
    pub(in crate::pipeline) fn check_progress(&mut self) {
        let now = self.now();
        self.actors.renew_leases(&mut self.leases, now);
        let mut stalled = Vec::new();
        for lease in self.leases.expire(now) {
            self.parts.run.telemetry.chunk_map.given_back(lease.chunk);
            let fetcher = self.actors.take_lease(&lease);
            stalled.extend(fetcher.map(|(id, name)| (id, name, Some(lease))));
        }
        let others = self.actors.stalled(&self.stall_limits, now).into_iter();
        stalled.extend(others.map(|(id, name)| (id, name, None)));
        for (id, actor, lease) in stalled {
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

    fn exit_error(&self, exited: &ActorExit) -> RunError {
        RunError::ActorDied {
            actor: exited.actor.clone(),
            cause: exited.cause,
            within: self.actors.window,
        }
    }
}
