//! How long to wait before trying again. Chance is passed in.

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
}
