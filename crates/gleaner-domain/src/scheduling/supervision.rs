//! What becomes of those who die or fall silent. Time and chance are passed in.
//!
//! A worker that dies is started again after a while, and the more often it dies the longer that
//! while; when too many die in too short a time, the run ends. A worker that is busy and gives no
//! sign of progress for too long is taken for dead: being alive is not enough.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::retry::Backoff;

/// How an actor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It stopped by itself.
    Stopped,
    /// It panicked.
    Panicked,
    /// Its task was cancelled.
    Cancelled,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped early",
            Self::Panicked => "panicked",
            Self::Cancelled => "was cancelled",
        })
    }
}

/// What follows an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartDecision {
    /// Start it again, after this long.
    RestartAfter(Duration),
    /// Too many have died: end the run.
    GiveUp,
}

/// At most so many restarts in a sliding window of time, all workers together; each worker waits
/// longer with every exit of its own in the window.
#[derive(Debug, Clone)]
pub struct RestartPolicy<W> {
    restarts: usize,
    window: Duration,
    backoff: Backoff,
    /// When which worker was started again, the oldest first: at most `restarts`.
    recent: VecDeque<(Duration, W)>,
}

impl<W: Eq> RestartPolicy<W> {
    /// At most `restarts` within `window`.
    pub fn new(restarts: usize, window: Duration, backoff: Backoff) -> Self {
        Self {
            restarts,
            window,
            backoff,
            recent: VecDeque::new(),
        }
    }

    /// A worker has died. `jitter` from 0 to 1 spreads the restarts.
    pub fn died(&mut self, worker: W, now: Duration, jitter: f64) -> RestartDecision {
        let window = self.window;
        while (self.recent.front()).is_some_and(|&(at, _)| at + window <= now) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.restarts {
            return RestartDecision::GiveUp;
        }
        self.recent.push_back((now, worker));
        let worker = self.recent.back().map(|(_, worker)| worker);
        let exits = self.recent.iter().filter(|(_, of)| Some(of) == worker);
        // At most `restarts`, which is a small number.
        let exits = exits.count() as u32;
        RestartDecision::RestartAfter(self.backoff.delay(exits, jitter))
    }
}

/// What a worker's heartbeat says at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Signs of progress so far.
    pub beats: u64,
    /// Whether work waits for it. An actor without work, or one that waits for the budget of
    /// bytes in flight, owes no progress.
    pub busy: bool,
}

/// How long each worker has been silent, as seen from outside.
#[derive(Debug, Clone, Default)]
pub struct StallDetector<W> {
    seen: BTreeMap<W, (Reading, Duration)>,
}

impl<W: Ord> StallDetector<W> {
    /// No actor is known yet.
    pub fn new() -> Self {
        Self {
            seen: BTreeMap::new(),
        }
    }

    /// Takes a reading; says for how long the worker has been busy without progress.
    pub fn idle_for(&mut self, worker: W, reading: Reading, now: Duration) -> Duration {
        let (last, since) = self.seen.entry(worker).or_insert((reading, now));
        if *last != reading || !reading.busy {
            (*last, *since) = (reading, now);
        }
        now.saturating_sub(*since)
    }

    /// The worker is no more.
    pub fn forget(&mut self, worker: &W) {
        self.seen.remove(worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn each_worker_waits_longer_with_every_exit_of_its_own() {
        let mut policy = RestartPolicy::new(10, seconds(600), BACKOFF);
        let waits: Vec<_> = ["a", "a", "b", "a"]
            .map(|worker| policy.died(worker, seconds(5), 0.0))
            .into();
        assert_eq!(
            waits,
            [1, 2, 1, 4].map(|n| RestartDecision::RestartAfter(seconds(n)))
        );
        let much_later = policy.died("a", seconds(700), 0.0);
        assert_eq!(much_later, RestartDecision::RestartAfter(seconds(1)));
    }

    #[test]
    fn the_sixth_exit_in_ten_minutes_ends_the_run() {
        let mut policy = RestartPolicy::new(5, seconds(600), BACKOFF);
        for at in 0..5 {
            assert_ne!(policy.died((), seconds(at), 0.0), RestartDecision::GiveUp);
        }
        assert_eq!(policy.died((), seconds(599), 0.0), RestartDecision::GiveUp);
        assert_ne!(policy.died((), seconds(600), 0.0), RestartDecision::GiveUp);
    }

    #[test]
    fn only_who_is_busy_can_be_silent() {
        let mut stalls = StallDetector::new();
        let mut look = |beats, busy, now| {
            let idle_for = stalls.idle_for("w", Reading { beats, busy }, seconds(now));
            idle_for.as_secs()
        };
        assert_eq!(look(0, false, 0), 0);
        assert_eq!(look(0, false, 100), 0, "idle");
        assert_eq!(look(0, true, 110), 0, "just begun");
        assert_eq!(look(0, true, 150), 40);
        assert_eq!(look(1, true, 160), 0, "progress");
        assert_eq!(look(1, true, 175), 15);
        assert_eq!(look(1, false, 180), 0, "done");
    }

    proptest! {
        #[test]
        fn no_window_holds_more_restarts_than_allowed(
            exits in prop::collection::vec((0u64..20, 0u8..3), 0..100),
            allowed in 0usize..6,
        ) {
            let window = seconds(30);
            let mut policy = RestartPolicy::new(allowed, window, BACKOFF);
            let mut now = Duration::ZERO;
            let mut taken: Vec<(Duration, u8)> = Vec::new();
            for (gap, worker) in exits {
                now += seconds(gap);
                let recent: Vec<u8> = taken.iter().filter(|(at, _)| *at + window > now).map(|t| t.1).collect();
                let own = recent.iter().filter(|&&of| of == worker).count() as u32;
                let expected = match recent.len() < allowed {
                    true => RestartDecision::RestartAfter(BACKOFF.delay(own + 1, 0.5)),
                    false => RestartDecision::GiveUp,
                };
                prop_assert_eq!(policy.died(worker, now, 0.5), expected);
                if recent.len() < allowed {
                    taken.push((now, worker));
                }
            }
        }
    }

    #[test]
    fn a_worker_that_was_forgotten_is_a_new_one() {
        let mut stalls = StallDetector::new();
        let busy = Reading {
            beats: 0,
            busy: true,
        };
        stalls.idle_for("w", busy, seconds(0));
        stalls.idle_for("v", busy, seconds(0));
        stalls.forget(&"w");
        assert_eq!(stalls.idle_for("w", busy, seconds(50)), seconds(0));
        assert_eq!(stalls.idle_for("v", busy, seconds(50)), seconds(50));
    }

    #[test]
    fn a_cause_has_words() {
        let reported = [Cause::Stopped, Cause::Panicked, Cause::Cancelled].map(|c| c.to_string());
        assert_eq!(reported, ["stopped early", "panicked", "was cancelled"]);
    }
}
