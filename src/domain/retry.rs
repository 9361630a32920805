//! How long to wait before trying again, and how often to try. Time and chance are passed in.

use std::collections::VecDeque;
use std::time::Duration;

/// Exponential backoff: `base`, doubled with every failure up to `cap`, plus up to a fifth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub base: Duration,
    /// Never longer than this, before the jitter.
    pub cap: Duration,
}

impl Backoff {
    /// The wait after the `failures`-th failure (from 1); `jitter` from 0 to 1 adds up to 20 %.
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let delay = self.base.saturating_mul(1 << doublings).min(self.cap);
        delay.mul_f64(1.0 + 0.2 * jitter.clamp(0.0, 1.0))
    }
}

/// Allows so many restarts in a sliding window of time.
#[derive(Debug, Clone)]
pub struct RestartBudget {
    restarts: usize,
    window: Duration,
    recent: VecDeque<Duration>,
}

impl RestartBudget {
    /// At most `restarts` within `window`.
    pub fn new(restarts: usize, window: Duration) -> Self {
        Self {
            restarts,
            window,
            recent: VecDeque::new(),
        }
    }

    /// Whether one more restart is allowed now; if so, it is counted.
    pub fn take(&mut self, now: Duration) -> bool {
        while self
            .recent
            .front()
            .is_some_and(|&at| at + self.window <= now)
        {
            self.recent.pop_front();
        }
        let allowed = self.recent.len() < self.restarts;
        if allowed {
            self.recent.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let backoff = Backoff {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
        };
        let seconds: Vec<u64> = (1..9).map(|n| backoff.delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.delay(3, 1.0), Duration::from_millis(4800));
        assert_eq!(backoff.delay(u32::MAX, 0.0), Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_restarts_than_allowed(gaps in prop::collection::vec(0u64..20, 0..100), allowed in 0usize..6) {
            let window = Duration::from_secs(30);
            let mut budget = RestartBudget::new(allowed, window);
            let mut now = Duration::ZERO;
            let mut taken = Vec::new();
            for gap in gaps {
                now += Duration::from_secs(gap);
                let recent = taken.iter().filter(|&&at| at + window > now).count();
                prop_assert_eq!(budget.take(now), recent < allowed);
                if recent < allowed {
                    taken.push(now);
                }
            }
        }
    }
}
