//! Leases: the right of one fetcher to one chunk, for a while.
//!
//! Every grant has a new epoch. Whoever comes back with an older one has lost the chunk to
//! somebody else, and what he brings is refused. Time is passed in: how long the run has lasted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::chunk::Chunk;
use super::retry::Backoff;

/// A right to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// What may be fetched.
    pub chunk: Chunk,
    /// Tells this grant from every other.
    pub epoch: u64,
    /// Which try of the chunk this is, from 1.
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
    /// Nothing unless somebody gives a chunk back.
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
mod tests {
    use super::*;
    use crate::scheduling::chunk::HashChunk;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };

    fn table(chunks: u32) -> LeaseTable {
        let chunks = HashChunk::cover(chunks).map(Chunk::Hash);
        LeaseTable::new(chunks, Duration::from_secs(10), 3, BACKOFF, 1)
    }

    fn grant(table: &mut LeaseTable, now: u64) -> Option<Lease> {
        match table.grant(Duration::from_secs(now)) {
            Grant::Lease(lease) => Some(lease),
            _ => None,
        }
    }

    #[test]
    fn an_old_epoch_is_refused() {
        let mut table = table(1);
        let old = grant(&mut table, 0).expect("free");
        assert_eq!(table.grant(Duration::ZERO), Grant::AllTaken);
        assert_eq!(table.expire(Duration::from_secs(10)), [old]);
        let new = grant(&mut table, 10).expect("free again");
        assert_ne!(old.epoch, new.epoch);
        assert_eq!(new.attempt, 1, "a lost lease is no failure");
        assert!(!table.complete(&old) && !table.renew(&old, Duration::from_secs(11)));
        assert_eq!(
            table.fail(&old, Duration::from_secs(11), 0.0),
            AfterFailure::Stale
        );
        assert!(table.complete(&new));
        assert_eq!(table.grant(Duration::from_secs(12)), Grant::Finished);
    }

    #[test]
    fn a_renewed_lease_does_not_run_out() {
        let mut table = table(1);
        let lease = grant(&mut table, 0).expect("free");
        assert!(table.renew(&lease, Duration::from_secs(9)));
        assert_eq!(table.expire(Duration::from_secs(18)), []);
        assert_eq!(table.expire(Duration::from_secs(19)), [lease]);
    }

    #[test]
    fn failures_wait_longer_each_time_and_then_end() {
        let mut table = table(1);
        let first = grant(&mut table, 0).expect("free");
        let AfterFailure::RetryAt(at) = table.fail(&first, Duration::ZERO, 1.0) else {
            panic!("two attempts are left");
        };
        assert_eq!(table.grant(Duration::ZERO), Grant::Later(at));
        let second = grant(&mut table, 60).expect("due");
        assert_eq!(second.attempt, 2);
        table.fail(&second, Duration::from_secs(60), 0.0);
        let third = grant(&mut table, 120).expect("due");
        assert_eq!(
            table.fail(&third, Duration::from_secs(120), 0.0),
            AfterFailure::Exhausted
        );
    }

    #[test]
    fn halves_come_first_and_start_anew() {
        let mut table = table(3);
        let lease = grant(&mut table, 0).expect("free");
        table.fail(&lease, Duration::ZERO, 0.0);
        let other = grant(&mut table, 0).expect("free");
        let halves = table.split(&other).expect("not too deep");
        assert_eq!(table.split(&other), None, "the lease is gone");
        assert_eq!(table.total(), 4);
        for half in halves {
            let lease = grant(&mut table, 0).expect("free");
            assert_eq!((lease.chunk, lease.attempt), (half, 1));
        }
    }

    #[test]
    fn what_was_throttled_waits_and_is_no_failure() {
        let mut table = table(1);
        let lease = grant(&mut table, 0).expect("free");
        assert!(table.postpone(&lease, Duration::from_secs(30)));
        assert_eq!(
            table.grant(Duration::ZERO),
            Grant::Later(Duration::from_secs(30))
        );
        let again = grant(&mut table, 30).expect("due");
        assert_eq!(again.attempt, 1);
        assert!(table.abandon(&again) && !table.abandon(&again));
        assert_eq!(table.grant(Duration::from_secs(31)), Grant::Finished);
    }

    proptest! {
        #[test]
        fn a_chunk_has_one_live_epoch_and_is_done_once(steps in prop::collection::vec((0u8..5, 0usize..8), 0..200)) {
            let mut table = table(4);
            let mut held: Vec<Lease> = Vec::new();
            let mut completed = Vec::new();
            for (now, (action, which)) in (0u64..).zip(steps) {
                let time = Duration::from_secs(now);
                match (action, held.get(which % held.len().max(1)).copied()) {
                    (0, _) => held.extend(grant(&mut table, now)),
                    (1, Some(lease)) if table.complete(&lease) => {
                        prop_assert!(!completed.contains(&lease.chunk));
                        completed.push(lease.chunk);
                    }
                    (2, Some(lease)) => drop(table.fail(&lease, time, 0.5)),
                    (3, Some(lease)) => drop(table.renew(&lease, time)),
                    (4, _) => drop(table.expire(time)),
                    _ => {}
                }
                let live = held.iter().filter(|lease| table.taken.get(&lease.chunk).is_some_and(|t| t.epoch == lease.epoch));
                prop_assert_eq!(live.count(), table.leased());
                prop_assert_eq!(table.done(), completed.len() as u64);
            }
        }
    }

    #[test]
    fn what_is_given_back_is_granted_again_and_is_no_failure() {
        let mut table = table(2);
        let first = grant(&mut table, 0).expect("free");
        assert!(table.is_current(&first));
        assert!(table.give_back(&first));
        assert!(!table.is_current(&first) && !table.give_back(&first));
        assert!(!table.complete(&first), "it is nobody's");
        let again = grant(&mut table, 0).expect("free");
        assert_eq!((again.chunk, again.attempt), (first.chunk, first.attempt));
        assert!(table.is_current(&again) && !table.is_current(&first));
        // A failure before is not forgotten.
        table.fail(&again, Duration::ZERO, 0.0);
        let other = grant(&mut table, 0).expect("free");
        assert!(table.complete(&other));
        let second = grant(&mut table, 60).expect("due");
        assert!(table.give_back(&second));
        assert_eq!(grant(&mut table, 60).map(|lease| lease.attempt), Some(2));
    }

    #[test]
    fn what_starts_anew_has_all_its_attempts() {
        let mut table = table(1);
        let first = grant(&mut table, 0).expect("free");
        table.fail(&first, Duration::ZERO, 0.0);
        let second = grant(&mut table, 60).expect("due");
        assert_eq!(second.attempt, 2);
        assert!(table.start_anew(&second));
        assert!(!table.start_anew(&second), "the lease is gone");
        let anew = grant(&mut table, 60).expect("free");
        assert_eq!((anew.chunk, anew.attempt), (second.chunk, 1));
    }

    #[test]
    fn what_waits_is_known_and_so_is_the_next_epoch() {
        let chunks = HashChunk::cover(1).map(Chunk::Hash);
        let mut table = LeaseTable::new(chunks, Duration::from_secs(10), 3, BACKOFF, 7);
        assert!(table.has_waiting());
        for epoch in 7..10 {
            assert_eq!(table.next_epoch(), epoch);
            let lease = grant(&mut table, 0).expect("free");
            assert_eq!(lease.epoch, epoch);
            assert!(!table.has_waiting());
            table.give_back(&lease);
            assert!(table.has_waiting());
        }
        assert_eq!(table.next_epoch(), 10);
    }

    #[test]
    fn what_is_done_without_counts_no_longer() {
        let mut table = table(3);
        let lease = grant(&mut table, 0).expect("free");
        assert!(table.abandon(&lease));
        assert_eq!((table.total(), table.done(), table.leased()), (2, 0, 0));
    }
}
