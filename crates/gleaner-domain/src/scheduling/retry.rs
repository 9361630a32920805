//! What follows a failure: whether to try again, and after how long. Chance is passed in.

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

/// Between two tries of a chunk or of a call, and between restarts of an actor.
pub const RETRY: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};

/// The longest wait that a source or a sink may ask for: after it, it is asked again and can repeat
/// what it asked for; a wrong number does not stop the run for a year.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The next step after a failed fetch or call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Wait, ask for less at once, and try again; the attempt does not count.
    Throttle {
        /// The delay that the source or the sink asks for.
        retry_after: Option<Duration>,
    },
    /// Try again.
    Retry,
    /// Try again in two halves: the same again would fail the same way.
    Split,
    /// Try again, and if it fails the same way, in two halves.
    RetryThenSplit,
    /// Try again, and if it fails the same way, take the census again.
    RetryThenRefetchCensus,
    /// End the run: trying again is no use.
    Fail,
}

/// How often a call that has no parts is tried, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Between two tries.
    pub backoff: Backoff,
    /// Tries of one call at most, from 1; those that were throttled do not count.
    pub max_attempts: u32,
    /// How long one call may be throttled in all.
    pub max_throttled: Duration,
}

/// The tries of one call so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    failed: u32,
    throttles: u32,
    throttled: Duration,
}

impl Tries {
    /// After a failure: how long to wait before the next try. `None`: there is none, because the
    /// failure asks for none, cannot be answered (a call that has no parts cannot be split), or all
    /// tries are used up. `jitter` from 0 to 1 as in [`Backoff::delay`].
    pub fn after(&mut self, action: Action, policy: &RetryPolicy, jitter: f64) -> Option<Duration> {
        match action {
            Action::Fail | Action::Split => None,
            Action::Throttle { retry_after } => {
                self.throttles = self.throttles.saturating_add(1);
                let usual = policy.backoff.delay(self.throttles, jitter);
                let wait = retry_after.map_or(usual, |asked| asked.min(MAX_RETRY_AFTER));
                // Being asked for no wait at all must not make this endless.
                let wait = wait.max(policy.backoff.base / 10);
                self.throttled = self.throttled.saturating_add(wait);
                (self.throttled <= policy.max_throttled).then_some(wait)
            }
            Action::Retry | Action::RetryThenSplit | Action::RetryThenRefetchCensus => {
                self.failed = self.failed.saturating_add(1);
                let is_left = self.failed < policy.max_attempts;
                is_left.then(|| policy.backoff.delay(self.failed, jitter))
            }
        }
    }

    /// Tries that have failed, throttled ones included.
    pub fn count(&self) -> u32 {
        self.failed.saturating_add(self.throttles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    const POLICY: RetryPolicy = RetryPolicy {
        backoff: RETRY,
        max_attempts: 4,
        max_throttled: Duration::from_secs(20),
    };

    fn waits(actions: impl IntoIterator<Item = Action>) -> Vec<u64> {
        let mut tries = Tries::default();
        let waits = actions
            .into_iter()
            .map_while(|action| tries.after(action, &POLICY, 0.0));
        waits.map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn a_call_is_tried_as_often_as_the_policy_says() {
        assert_eq!(waits([Action::Retry; 9]), [1, 2, 4]);
        assert_eq!(waits([Action::RetryThenSplit; 9]), [1, 2, 4]);
        for action in [Action::Fail, Action::Split] {
            assert_eq!(waits([action]), [0; 0]);
        }
    }

    #[test]
    fn throttling_does_not_count_and_ends_all_the_same() {
        let throttle = |seconds: Option<u64>| Action::Throttle {
            retry_after: seconds.map(Duration::from_secs),
        };
        let mixed = [
            throttle(Some(7)),
            Action::Retry,
            throttle(Some(7)),
            Action::Retry,
        ];
        assert_eq!(waits(mixed), [7, 1, 7, 2]);
        assert_eq!(waits([throttle(Some(7)); 9]), [7, 7]);
        assert_eq!(waits([throttle(None); 9]), [1, 2, 4, 8]);
        assert!(waits([throttle(Some(0)); 1000]).len() < 300, "not for ever");
        let mut tries = Tries::default();
        tries.after(throttle(None), &POLICY, 0.0);
        tries.after(Action::Retry, &POLICY, 0.0);
        assert_eq!(tries.count(), 2);
    }
}
