//! The actors of a run as the supervisor knows them: which there are, what each fetcher holds, and
//! which of them have stalled.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::Addr;

use crate::domain::record::row::RowShape;
use crate::domain::scheduling::lease::{Lease, LeaseTable};
use crate::domain::scheduling::retry::RETRY;
use crate::domain::scheduling::roles::StallLimits;
use crate::domain::scheduling::supervision::{RestartPolicy, StallDetector};
use crate::domain::selection::stratum::StratumId;
use crate::pipeline::actors::decider::Decider;
use crate::pipeline::actors::deduper::Deduper;
use crate::pipeline::actors::sampler::Sampler;
use crate::pipeline::lifecycle::actor_monitor::{ActorId, Role};
use crate::telemetry::Counters;
use crate::telemetry::heartbeat::Heartbeat;

/// A fetcher.
#[derive(Debug)]
pub(super) struct FetcherSlot {
    pub(super) number: usize,
    pub(super) heartbeat: Heartbeat,
    pub(super) held: Option<Lease>,
    /// Whether it knows that there is nothing left: then it may stop.
    pub(super) dismissed: bool,
}

impl FetcherSlot {
    fn name(&self) -> String {
        format!("fetcher-{}", self.number)
    }
}

/// Any other actor.
#[derive(Debug)]
pub(super) struct ActorSlot {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) heartbeat: Heartbeat,
}

/// All actors but the supervisor.
pub(in crate::pipeline) struct Actors {
    /// Counts how often dedup, the decider and the samplers were started.
    pub generation: u64,
    pub dedup: Option<Addr<Deduper>>,
    /// Where near-duplicates are left out.
    pub decider: Option<Addr<Decider>>,
    /// In the order of strata.
    pub samplers: Vec<(StratumId, Addr<Sampler>)>,
    /// Dedup, the decider and the samplers.
    pub(super) domain: BTreeMap<ActorId, ActorSlot>,
    pub(super) fetchers: BTreeMap<ActorId, FetcherSlot>,
    /// Counts the passes: each begins with all fetchers.
    pub(super) pass: u64,
    /// The validators and uploaders.
    pub(super) worker_slots: BTreeMap<ActorId, ActorSlot>,
    /// Of the rows that validators read; none before there is something to validate.
    pub(super) shape: Option<RowShape>,
    pub(super) policy: RestartPolicy<Role>,
    pub(super) window: Duration,
    pub(super) stall_detector: StallDetector<ActorId>,
}

impl Actors {
    /// No actor yet.
    pub fn new(restarts: usize, window: Duration) -> Self {
        Self {
            generation: 0,
            dedup: None,
            decider: None,
            samplers: Vec::new(),
            domain: BTreeMap::new(),
            fetchers: BTreeMap::new(),
            pass: 0,
            worker_slots: BTreeMap::new(),
            shape: None,
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

    /// Notes that the holder of a lease has reported.
    pub fn reported(&mut self, lease: &Lease, telemetry: &Counters) {
        for slot in self.fetchers.values_mut() {
            let held = slot.held.take_if(|held| held.epoch == lease.epoch);
            if held.is_some() {
                telemetry.actors.works_on(&slot.name(), None);
            }
        }
    }

    /// Renews the leases of fetchers that make progress.
    pub(super) fn renew_leases(&mut self, leases: &mut LeaseTable, now: Duration) {
        for (&id, slot) in &self.fetchers {
            let reading = slot.heartbeat.read();
            let idle_for = self.stall_detector.idle_for(id, reading, now);
            if let Some(lease) = &slot.held
                && idle_for.is_zero()
            {
                leases.renew(lease, now);
            }
        }
    }

    /// A lease has run out: the fetcher that held it.
    pub(super) fn take_lease(&mut self, lease: &Lease) -> Option<(ActorId, String)> {
        let mut fetchers = self.fetchers.iter_mut();
        fetchers.find_map(|(&id, slot)| {
            let held = slot.held.take_if(|held| held.epoch == lease.epoch);
            held.map(|_| (id, slot.name()))
        })
    }

    /// The actors but the fetchers that are busy without progress for too long.
    pub(super) fn stalled(
        &mut self,
        limits: &StallLimits,
        now: Duration,
    ) -> Vec<(ActorId, String)> {
        let mut stalled = Vec::new();
        for (&id, slot) in self.worker_slots.iter().chain(&self.domain) {
            let reading = slot.heartbeat.read();
            if self.stall_detector.idle_for(id, reading, now) >= limits.of(slot.role) {
                stalled.push((id, slot.name.clone()));
            }
        }
        stalled
    }
}
