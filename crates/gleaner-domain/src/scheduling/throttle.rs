//! How much to ask of a source at once: additive increase, halving when it says that it has enough
//! (AIMD; Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion
//! avoidance", 1989). Time and chance are passed in.

use std::time::Duration;

use super::retry::{Backoff, MAX_RETRY_AFTER};

/// If the source asks for no wait.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};

/// The gate in front of a source.
#[derive(Debug, Clone)]
pub struct ThrottleGate {
    most: f64,
    limit: f64,
    /// Nothing passes before this time.
    closed_until: Duration,
    /// Refusals since the last success.
    refusals: u32,
    /// Refusals of requests that were let through before the last halving say nothing new.
    halved_at: u64,
}

impl ThrottleGate {
    /// Lets `most` through at once, as long as nothing is refused.
    pub fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            most,
            limit: most,
            closed_until: Duration::ZERO,
            refusals: 0,
            halved_at: 0,
        }
    }

    /// How many may be on their way at once.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// When the gate opens again, if it is closed.
    pub fn closed(&self, now: Duration) -> Option<Duration> {
        (self.closed_until > now).then_some(self.closed_until)
    }

    /// A request was refused. `epoch` numbers requests in the order that they were let through,
    /// and `next_epoch` is that of the next one. Gives the time before which nothing passes.
    pub fn refused(
        &mut self,
        epoch: u64,
        next_epoch: u64,
        now: Duration,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Duration {
        if epoch >= self.halved_at {
            self.limit = (self.limit / 2.0).floor().max(1.0);
            self.halved_at = next_epoch;
            self.refusals += 1;
        }
        let pause = match retry_after {
            Some(retry_after) => retry_after.min(MAX_RETRY_AFTER),
            None => BACKOFF.delay(self.refusals, jitter),
        };
        self.closed_until = self.closed_until.max(now + pause);
        self.closed_until
    }

    /// A request succeeded.
    pub fn succeeded(&mut self) {
        self.refusals = 0;
        self.limit = (self.limit + 1.0 / self.limit).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn a_burst_of_refusals_halves_once() {
        let mut gate = ThrottleGate::new(8);
        for epoch in 1..=8 {
            gate.refused(epoch, 9, NOW, None, 0.0);
        }
        assert_eq!(gate.limit(), 4);
        gate.refused(9, 10, NOW, None, 0.0);
        gate.refused(10, 11, NOW, None, 0.0);
        assert_eq!(gate.limit(), 1);
        gate.refused(11, 12, NOW, None, 0.0);
        assert_eq!(gate.limit(), 1, "one always passes");
    }

    #[test]
    fn retry_after_is_obeyed_and_else_the_pause_doubles() {
        let mut gate = ThrottleGate::new(4);
        let retry_after = Some(Duration::from_secs(120));
        assert_eq!(
            gate.refused(1, 2, NOW, retry_after, 1.0),
            Duration::from_secs(220)
        );
        assert_eq!(gate.closed(NOW), Some(Duration::from_secs(220)));
        assert_eq!(gate.closed(Duration::from_secs(220)), None);
        let later = Duration::from_secs(300);
        let mut pauses = Vec::new();
        for epoch in 2..8 {
            gate.closed_until = Duration::ZERO;
            pauses.push((gate.refused(epoch, epoch + 1, later, None, 0.0) - later).as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn no_retry_after_is_too_long_for_the_clock() {
        let mut gate = ThrottleGate::new(4);
        let until = gate.refused(1, 2, NOW, Some(Duration::MAX), 0.0);
        assert_eq!(until, NOW + MAX_RETRY_AFTER);
    }

    #[test]
    fn success_opens_it_step_by_step_up_to_the_most() {
        let mut gate = ThrottleGate::new(4);
        gate.refused(1, 2, NOW, None, 0.0);
        assert_eq!(gate.limit(), 2);
        let mut successes = 0;
        while gate.limit() < 4 {
            gate.succeeded();
            successes += 1;
        }
        assert!((4..=10).contains(&successes), "{successes}");
        (0..20).for_each(|_| gate.succeeded());
        assert_eq!(gate.limit(), 4, "no more than the most");
    }
}
