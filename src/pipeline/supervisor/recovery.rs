//! What follows when a chunk fails: the error's action and what failed before decide
//! (`domain::scheduling::recovery`), and nothing here knows the source.

use std::time::Duration;

use actix::Context;
use rand::RngExt;

use crate::domain::describe_error;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::lease::{AfterFailure, Lease};
use crate::domain::scheduling::recovery::FailureResponse;
use crate::pipeline::actors::messages::Assignment;
use crate::pipeline::error::RunError;
use crate::pipeline::supervisor::Supervisor;
use crate::source::SourceError;
use crate::telemetry::Event;

impl Supervisor {
    /// What a lease is for.
    pub(in crate::pipeline) fn assignment_of(&mut self, lease: Lease) -> Assignment {
        Assignment {
            lease,
            pass: self.pass,
            round: self.plan.clone(),
            census: self.census.clone(),
            census_refetch: self.recovery.take_census_refetch(lease.chunk),
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
        let response = (self.recovery).after_failure(chunk, error.action(), self.pass);
        match response {
            FailureResponse::Throttle { retry_after } => {
                return self.throttled(&lease, retry_after);
            }
            FailureResponse::Split if self.split(&lease, &error) => return,
            FailureResponse::RefetchCensus => {
                self.publish(Event::CensusRefetch {
                    chunk: chunk.to_string(),
                    reason: describe_error(&error),
                });
                self.leases.start_anew(&lease);
                self.parts.run.telemetry.chunk_map.given_back(chunk);
                return;
            }
            FailureResponse::Split | FailureResponse::Retry | FailureResponse::Fail => {}
        }
        self.parts.run.telemetry.chunks_failed.add(1);
        self.parts.run.telemetry.chunk_map.given_back(chunk);
        let (now, jitter) = (self.now(), self.jitter.random::<f64>());
        let is_fatal = response == FailureResponse::Fail;
        let after = match is_fatal {
            true => AfterFailure::Exhausted,
            false => self.leases.fail(&lease, now, jitter),
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
                if !is_fatal
                    && !matches!(error, SourceError::Spool { .. })
                    && self.go_without(&lease) =>
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

    fn throttled(&mut self, lease: &Lease, retry_after: Option<Duration>) {
        let (now, jitter) = (self.now(), self.jitter.random::<f64>());
        let next = self.leases.next_epoch();
        let until = (self.gate).refused(lease.epoch, next, now, retry_after, jitter);
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
        self.recovery.record_split(lease.chunk, halves);
        true
    }

    /// Goes on without a chunk, if so many may be missing.
    fn go_without(&mut self, lease: &Lease) -> bool {
        let censuses = self.plan.as_ref().map(|plan| &plan.censuses[..]);
        // Files hold records of it already when dedup had to start again, or a wider census is taken for a later round.
        let has_files = !self.results.is_empty() || self.round > 0;
        let gone = (self.recovery).go_without(lease.chunk, self.pass, censuses, has_files);
        gone.is_some_and(|gone| {
            self.show_missing(&gone);
            // A wider census is without it too.
            self.counted_before = None;
            self.leases.abandon(lease)
        })
    }

    /// Shows chunks as missing.
    pub(super) fn show_missing<'a>(&self, chunks: impl IntoIterator<Item = &'a Chunk>) {
        for &chunk in chunks {
            self.parts.run.telemetry.chunk_map.missing(chunk);
        }
    }
}
