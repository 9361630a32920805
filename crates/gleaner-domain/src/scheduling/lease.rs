//! Leases: the right of one fetcher to one chunk, for a while.
//!
//! Every grant has a new epoch. A result with an older one is rejected: the chunk was
//! granted again meanwhile. Time is passed in: how long the run has lasted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::chunk::Chunk;
use super::retry::Backoff;

/// A right to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// What may be fetched.
    pub chunk: Chunk,
    /// Distinguishes this grant from every other.
    pub epoch: u64,
    /// The number of the attempt on the chunk, from 1.
    pub attempt: u32,
}

/// What a failed attempt leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// The lease was not the chunk's current one: nothing happens.
    Stale,
    /// The chunk is tried again, not before this time.
    RetryAt(Duration),
    /// All attempts are spent.
    Exhausted,
}

/// What can be had now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// A chunk.
    Lease(Lease),
    /// Nothing before this time.
    Later(Duration),
    /// Nothing until a chunk is given back.
    AllTaken,
    /// Every chunk is done.
    Finished,
}

#[derive(Debug)]
struct Taken {
    epoch: u64,
    attempt: u32,
    expires: Duration,
}

#[derive(Debug)]
struct Waiting {
    chunk: Chunk,
    /// Failed attempts so far.
    failures: u32,
    not_before: Duration,
}

/// Which chunks wait, which are leased, which are done.
#[derive(Debug)]
pub struct LeaseTable {
    waiting: VecDeque<Waiting>,
    taken: BTreeMap<Chunk, Taken>,
    done: u64,
    total: u64,
    next_epoch: u64,
    duration: Duration,
    max_attempts: u32,
    backoff: Backoff,
}

impl LeaseTable {
    /// All chunks wait. A lease lasts for `duration` after its grant or last renewal. Epochs begin
    /// at `first_epoch`, so that no lease of another table can pass for one of this.
    pub fn new(
        chunks: impl IntoIterator<Item = Chunk>,
        duration: Duration,
        max_attempts: u32,
        backoff: Backoff,
        first_epoch: u64,
    ) -> Self {
        let waiting: VecDeque<_> = chunks
            .into_iter()
            .map(|chunk| Waiting {
                chunk,
                failures: 0,
                not_before: Duration::ZERO,
            })
            .collect();
        Self {
            total: waiting.len() as u64,
            waiting,
            taken: BTreeMap::new(),
            done: 0,
            next_epoch: first_epoch,
            duration,
            max_attempts,
            backoff,
        }
    }

    /// How many chunks there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether any chunk waits for a lease.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The epoch of the next grant.
    pub fn next_epoch(&self) -> u64 {
        self.next_epoch
    }

    /// How many are done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many are leased.
    pub fn leased(&self) -> usize {
        self.taken.len()
    }

    /// Whether a lease is the chunk's current one.
    pub fn is_current(&self, lease: &Lease) -> bool {
        let taken = self.taken.get(&lease.chunk);
        taken.is_some_and(|taken| taken.epoch == lease.epoch)
    }

    /// Grants the first chunk that may be fetched now.
    pub fn grant(&mut self, now: Duration) -> Grant {
        let Some(at) = self.waiting.iter().position(|w| w.not_before <= now) else {
            let soonest = self.waiting.iter().map(|w| w.not_before).min();
            return match soonest {
                Some(soonest) => Grant::Later(soonest),
                None if self.taken.is_empty() => Grant::Finished,
                None => Grant::AllTaken,
            };
        };
        let Some(Waiting {
            chunk, failures, ..
        }) = self.waiting.remove(at)
        else {
            return Grant::AllTaken;
        };
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        let attempt = failures + 1;
        self.taken.insert(
            chunk,
            Taken {
                epoch,
                attempt,
                expires: now + self.duration,
            },
        );
        Grant::Lease(Lease {
            chunk,
            epoch,
            attempt,
        })
    }

    /// Prolongs a lease; `false` if it is no longer the chunk's.
    pub fn renew(&mut self, lease: &Lease, now: Duration) -> bool {
        let expires = now + self.duration;
        match self.current(lease) {
            Some(taken) => {
                taken.expires = expires;
                true
            }
            None => false,
        }
    }

    /// The chunk is done; `false` if the lease is no longer the chunk's, and what it brought must
    /// be thrown away.
    pub fn complete(&mut self, lease: &Lease) -> bool {
        let current = self.current(lease).is_some();
        if current {
            self.taken.remove(&lease.chunk);
            self.done += 1;
        }
        current
    }

    /// The attempt failed. `jitter` from 0 to 1 spreads the retries.
    pub fn fail(&mut self, lease: &Lease, now: Duration, jitter: f64) -> AfterFailure {
        if self.current(lease).is_none() {
            return AfterFailure::Stale;
        }
        if lease.attempt >= self.max_attempts {
            // The chunk stays taken: the run ends, or does without it.
            return AfterFailure::Exhausted;
        }
        self.taken.remove(&lease.chunk);
        let not_before = now + self.backoff.delay(lease.attempt, jitter);
        self.waiting.push_back(Waiting {
            chunk: lease.chunk,
            failures: lease.attempt,
            not_before,
        });
        AfterFailure::RetryAt(not_before)
    }

    /// Takes a chunk back that was not even tried, or whose attempt was called off. `false` if the
    /// lease is no longer the chunk's.
    pub fn give_back(&mut self, lease: &Lease) -> bool {
        let current = self.current(lease).is_some();
        if current {
            self.requeue(lease, Duration::ZERO);
        }
        current
    }

    /// Takes a chunk back whose attempt shall not count, not to be granted before a time.
    pub fn postpone(&mut self, lease: &Lease, not_before: Duration) -> bool {
        let current = self.current(lease).is_some();
        if current {
            self.requeue(lease, not_before);
        }
        current
    }

    /// Takes a chunk back as if it had never failed.
    pub fn start_anew(&mut self, lease: &Lease) -> bool {
        self.postpone(
            &Lease {
                attempt: 1,
                ..*lease
            },
            Duration::ZERO,
        )
    }

    /// Puts the halves of a chunk in its place. They start anew, and before any other chunk, so
    /// that what cannot succeed is known soon. `None` if the lease is not current or the chunk
    /// cannot be split.
    pub fn split(&mut self, lease: &Lease) -> Option<[Chunk; 2]> {
        let Chunk::Hash(chunk) = lease.chunk else {
            return None;
        };
        self.current(lease)?;
        let halves = chunk.split()?.map(Chunk::Hash);
        self.taken.remove(&lease.chunk);
        self.total += 1;
        for half in halves.into_iter().rev() {
            self.waiting.push_front(Waiting {
                chunk: half,
                failures: 0,
                not_before: Duration::ZERO,
            });
        }
        Some(halves)
    }

    /// Does without a chunk; `false` if the lease is no longer the chunk's.
    pub fn abandon(&mut self, lease: &Lease) -> bool {
        let current = self.current(lease).is_some();
        if current {
            self.taken.remove(&lease.chunk);
            self.total -= 1;
        }
        current
    }

    fn requeue(&mut self, lease: &Lease, not_before: Duration) {
        self.taken.remove(&lease.chunk);
        self.waiting.push_front(Waiting {
            chunk: lease.chunk,
            failures: lease.attempt - 1,
            not_before,
        });
    }

    /// Takes back the leases that have run out. Their attempts do not count as failures.
    pub fn expire(&mut self, now: Duration) -> Vec<Lease> {
        let out: Vec<Lease> = self
            .taken
            .iter()
            .filter(|(_, taken)| taken.expires <= now)
            .map(|(&chunk, taken)| Lease {
                chunk,
                epoch: taken.epoch,
                attempt: taken.attempt,
            })
            .collect();
        for lease in &out {
            self.requeue(lease, now);
        }
        out
    }

    fn current(&mut self, lease: &Lease) -> Option<&mut Taken> {
        self.taken
            .get_mut(&lease.chunk)
            .filter(|taken| taken.epoch == lease.epoch)
    }
}

#[cfg(test)]
mod tests;
