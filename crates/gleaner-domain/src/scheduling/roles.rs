//! The actors of a run: what follows when one exits, and how long one may be busy without progress.

use std::time::Duration;

use super::supervision::Cause;
use crate::selection::stratum::StratumId;

/// What an actor is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The one supervisor.
    Supervisor,
    /// The n-th fetcher.
    Fetcher(usize),
    /// The one dedup.
    Deduper,
    /// The sampler of a stratum.
    Sampler(StratumId),
    /// The one that decides what is a near-duplicate.
    Decider,
    /// The n-th validator.
    Validator(usize),
    /// The n-th uploader.
    Uploader(usize),
}

/// What follows when an actor has exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExit {
    /// It was done.
    Nothing,
    /// It alone is started again.
    Restart,
    /// Dedup, the decider and all samplers are started again: they are one failure domain.
    Rebuild,
}

impl Role {
    /// Its name in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Fetcher(_) => "fetcher",
            Self::Deduper => "dedup",
            Self::Sampler(_) => "sampler",
            Self::Decider => "decider",
            Self::Validator(_) => "validator",
            Self::Uploader(_) => "uploader",
        }
    }

    /// What follows its exit. `is_dismissed`: a fetcher knows that nothing is left to fetch.
    pub fn after_exit(self, cause: Cause, is_dismissed: bool) -> AfterExit {
        match (self, cause) {
            // The run ends with it.
            (Self::Supervisor, _) => AfterExit::Nothing,
            (Self::Fetcher(_), Cause::Stopped) if is_dismissed => AfterExit::Nothing,
            // It stops when its pass is over.
            (Self::Deduper, Cause::Stopped) => AfterExit::Nothing,
            (Self::Deduper | Self::Sampler(_) | Self::Decider, _) => AfterExit::Rebuild,
            (Self::Fetcher(_) | Self::Validator(_) | Self::Uploader(_), _) => AfterExit::Restart,
        }
    }
}

/// How often leases and actors are checked, at the least.
const CHECK: Duration = Duration::from_secs(10);

/// How long an actor may be busy without progress until it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StallLimits {
    stall_timeout: Duration,
    source: Option<Duration>,
    sink: Option<Duration>,
}

impl StallLimits {
    /// Any actor `stall_timeout`; longer where a source or a sink says of one of its operations
    /// that it may take longer.
    pub fn new(stall_timeout: Duration, source: Option<Duration>, sink: Option<Duration>) -> Self {
        Self {
            stall_timeout,
            source,
            sink,
        }
    }

    /// How long a lease lasts after its last sign of progress.
    pub fn lease(&self) -> Duration {
        longer_timeout(self.stall_timeout, self.source)
    }

    /// How long an actor may be busy without progress; the fetchers' leases say it of them.
    pub fn of(&self, role: Role) -> Duration {
        let of_sink = longer_timeout(self.stall_timeout, self.sink);
        match role {
            Role::Fetcher(_) => self.lease(),
            Role::Supervisor | Role::Validator(_) => self.stall_timeout,
            Role::Uploader(_) => of_sink,
            // They wait for validators and uploaders, which must have the time to be replaced.
            Role::Deduper | Role::Sampler(_) | Role::Decider => 3 * of_sink,
        }
    }

    /// How often leases and actors are checked.
    pub fn check_interval(&self) -> Duration {
        CHECK.min(self.stall_timeout / 4)
    }
}

/// How long a part of the run may take without a sign of progress: as long as any, or as it says
/// itself where that is longer.
pub fn longer_timeout(own: Duration, of_part: Option<Duration>) -> Duration {
    of_part.map_or(own, |timeout| timeout.max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLER: Role = Role::Sampler(StratumId(0));

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn an_actor_that_panics_is_replaced_by_itself_or_with_its_failure_domain() {
        for cause in [Cause::Panicked, Cause::Cancelled] {
            for role in [Role::Fetcher(1), Role::Validator(0), Role::Uploader(2)] {
                assert_eq!(role.after_exit(cause, true), AfterExit::Restart, "{role:?}");
            }
            for role in [Role::Deduper, SAMPLER] {
                assert_eq!(role.after_exit(cause, true), AfterExit::Rebuild, "{role:?}");
            }
        }
    }

    #[test]
    fn only_fetchers_and_dedup_may_stop() {
        let stopped = |role: Role, dismissed| role.after_exit(Cause::Stopped, dismissed);
        assert_eq!(stopped(Role::Fetcher(0), true), AfterExit::Nothing);
        assert_eq!(stopped(Role::Fetcher(0), false), AfterExit::Restart);
        assert_eq!(stopped(Role::Deduper, false), AfterExit::Nothing);
        assert_eq!(stopped(Role::Supervisor, false), AfterExit::Nothing);
        assert_eq!(stopped(SAMPLER, true), AfterExit::Rebuild);
        assert_eq!(stopped(Role::Validator(0), true), AfterExit::Restart);
        assert_eq!(stopped(Role::Uploader(0), true), AfterExit::Restart);
    }

    #[test]
    fn a_source_or_sink_that_takes_longer_has_longer() {
        let roles = [
            Role::Fetcher(0),
            Role::Validator(0),
            Role::Uploader(0),
            Role::Deduper,
            SAMPLER,
        ];
        let of_each = |source, sink| {
            let limits = StallLimits::new(seconds(60), source, sink);
            assert_eq!(limits.lease(), limits.of(Role::Fetcher(3)));
            roles.map(|role| limits.of(role).as_secs())
        };
        assert_eq!(of_each(None, None), [60, 60, 60, 180, 180]);
        assert_eq!(of_each(Some(seconds(90)), None), [90, 60, 60, 180, 180]);
        assert_eq!(of_each(None, Some(seconds(70))), [60, 60, 70, 210, 210]);
        let shorter = Some(seconds(9));
        assert_eq!(of_each(shorter, shorter), [60, 60, 60, 180, 180]);
    }

    #[test]
    fn checks_are_frequent_enough_to_notice_a_stall() {
        let interval = |stall| StallLimits::new(seconds(stall), None, None).check_interval();
        assert_eq!(interval(600), seconds(10));
        assert_eq!(interval(20), seconds(5));
    }
}
