//! What follows when a chunk fails: the error's action decides, and nothing here knows the source.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::Context;
use rand::RngExt;

use crate::domain::describe_error;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::lease::{AfterFailure, Lease};
use crate::domain::scheduling::pass::Pass;
use crate::domain::scheduling::retry::Backoff;
use crate::pipeline::actors::messages::Assignment;
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::census;
use crate::pipeline::supervisor::Supervisor;
use crate::source::{Action, SourceError};
use crate::telemetry::Event;

/// Between two tries of a chunk.
pub(in crate::pipeline) const RETRY: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};

/// Attempts running that differ from the census before it is taken again.
const CENSUS_MISMATCHES: u32 = 2;

/// What is remembered of failures.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Recovery {
    /// Chunks whose attempt failed for want of memory once.
    short_of_memory: BTreeSet<Chunk>,
    /// How often running a chunk's payloads were not those of its census.
    doubts: BTreeMap<Chunk, u32>,
    /// The chunk whose census is to be taken again.
    census_refetch: Option<Chunk>,
    /// Whether a census was taken again: once a run.
    refetched_census: bool,
    /// Whether what is there must be counted anew.
    pub recount: bool,
    /// What was split, and into what.
    pub splits: BTreeMap<Chunk, [Chunk; 2]>,
    /// What the dataset does without.
    pub missing: BTreeSet<Chunk>,
}

impl Supervisor {
    /// What a lease is for.
    pub(in crate::pipeline) fn assignment_of(&mut self, lease: Lease) -> Assignment {
        let census_refetch = self
            .recovery
            .census_refetch
            .take_if(|chunk| *chunk == lease.chunk);
        Assignment {
            lease,
            pass: self.pass,
            round: self.plan.clone(),
            census_refetch: census_refetch.is_some(),
        }
    }

    /// An attempt failed.
    pub(in crate::pipeline) fn chunk_failed(
        &mut self,
        lease: Lease,
        error: SourceError,
        context: &mut Context<Self>,
    ) {
        let chunk = lease.chunk;
        if !self.leases.is_current(&lease) {
            return self.late(&lease);
        }
        let action = error.action();
        if action != Action::RetryThenRefetchCensus {
            self.recovery.doubts.remove(&chunk);
        }
        match action {
            Action::Throttle { retry_after } => return self.throttled(&lease, retry_after),
            Action::Split => {
                if self.split(&lease, &error) {
                    return;
                }
            }
            Action::RetryThenSplit => {
                let again = !self.recovery.short_of_memory.insert(chunk);
                if again && self.split(&lease, &error) {
                    return;
                }
            }
            Action::RetryThenRefetchCensus => {
                let doubts = self.recovery.doubts.entry(chunk).or_default();
                *doubts += 1;
                let first_round = self.pass == Pass::Round(0);
                if *doubts >= CENSUS_MISMATCHES && first_round && !self.recovery.refetched_census {
                    self.publish(Event::CensusRefetch {
                        chunk: chunk.to_string(),
                        reason: describe_error(&error),
                    });
                    self.recovery.refetched_census = true;
                    self.recovery.recount = true;
                    self.recovery.census_refetch = Some(chunk);
                    self.leases.start_anew(&lease);
                    self.parts.run.telemetry.chunk_map.given_back(chunk);
                    return;
                }
            }
            Action::Retry | Action::Fail => {}
        }
        self.parts.run.telemetry.chunks_failed.add(1);
        self.parts.run.telemetry.chunk_map.given_back(chunk);
        let (now, jitter) = (self.now(), self.jitter.random::<f64>());
        let after = match action {
            Action::Fail => AfterFailure::Exhausted,
            _ => self.leases.fail(&lease, now, jitter),
        };
        match after {
            AfterFailure::Stale => {}
            AfterFailure::RetryAt(_) => {
                self.publish(Event::Requeue {
                    chunk: chunk.to_string(),
                    attempt: lease.attempt,
                    reason: describe_error(&error),
                });
            }
            // A disk of this machine that fails says nothing against the chunk.
            AfterFailure::Exhausted
                if action != Action::Fail
                    && !matches!(error, SourceError::Spool { .. })
                    && self.do_without(&lease) =>
            {
                self.publish(Event::Missing {
                    chunk: chunk.to_string(),
                    reason: describe_error(&error),
                });
                self.check_all_absorbed(context);
            }
            AfterFailure::Exhausted => self.end(Err(RunError::Chunk {
                chunk,
                attempt: lease.attempt,
                source: error,
            })),
        }
    }

    fn throttled(&mut self, lease: &Lease, wish: Option<Duration>) {
        let (now, jitter) = (self.now(), self.jitter.random::<f64>());
        let next = self.leases.next_epoch();
        let until = self.gate.refused(lease.epoch, next, now, wish, jitter);
        if self.leases.postpone(lease, until) {
            self.parts.run.telemetry.chunk_map.given_back(lease.chunk);
            self.publish(Event::Throttle {
                chunk: lease.chunk.to_string(),
                seconds: (until - now).as_secs_f64(),
                at_once: self.gate.limit(),
            });
        }
    }

    /// Puts the halves in the chunk's place, if it can be split any more.
    fn split(&mut self, lease: &Lease, error: &SourceError) -> bool {
        let Some(halves) = self.leases.split(lease) else {
            return false;
        };
        let total = self.leases.total();
        self.parts.run.telemetry.chunks_total.set(total);
        (self.parts.run.telemetry.chunk_map).split(lease.chunk, halves);
        self.publish(Event::Split {
            chunk: lease.chunk.to_string(),
            halves: halves.map(|half| half.to_string()),
            reason: describe_error(error),
        });
        self.recovery.splits.insert(lease.chunk, halves);
        true
    }

    /// Chunks that an earlier start has settled to go without stay missing, unless fewer may be now.
    pub(in crate::pipeline) fn settle(&mut self, settled: BTreeSet<Chunk>) {
        if settled.len() <= self.parts.allow_missing {
            for &chunk in &settled {
                self.parts.run.telemetry.chunk_map.missing(chunk);
            }
            self.recovery.missing.extend(settled);
        }
    }

    /// Goes on without a chunk, if so many may be missing. What was counted of it in a census is
    /// taken back, with the whole chunk of that census.
    fn do_without(&mut self, lease: &Lease) -> bool {
        let Chunk::Hash(chunk) = lease.chunk else {
            return false;
        };
        let gone: Vec<Chunk> = match &self.plan {
            Some(plan) => (census::overlapping(&plan.censuses, chunk).copied()).collect(),
            None => vec![lease.chunk],
        };
        let missing = &mut self.recovery.missing;
        let more = gone.iter().filter(|chunk| !missing.contains(chunk)).count();
        // In a later round, or when dedup had to start again, files hold records of it already.
        let too_late =
            matches!(self.pass, Pass::Round(round) if round > 0) || !self.results.is_empty();
        if too_late || missing.len() + more > self.parts.allow_missing {
            return false;
        }
        for &chunk in &gone {
            self.parts.run.telemetry.chunk_map.missing(chunk);
        }
        missing.extend(gone);
        self.recovery.recount |= self.plan.is_some();
        self.leases.abandon(lease)
    }
}
