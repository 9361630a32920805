//! Kill points for the crash tests (feature `fault-injection`).
//!
//! `GLEANER_KILL_AT=<site>:<n>` kills the process, as `kill -9` does, at the n-th passage of a
//! site. `GLEANER_HANG_AT=<site>:<n>` holds the thread there for ever, as a disk that does not
//! answer, and says so on standard error. Without the feature a point is nothing.

/// Passes a kill point.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn point(_site: &str) {}

/// Passes a kill point.
#[cfg(feature = "fault-injection")]
pub fn point(site: &str) {
    use std::sync::LazyLock;

    static KILL: LazyLock<Option<Plan>> = LazyLock::new(|| Plan::of("GLEANER_KILL_AT"));
    static HANG: LazyLock<Option<Plan>> = LazyLock::new(|| Plan::of("GLEANER_HANG_AT"));

    if KILL.as_ref().is_some_and(|plan| plan.is_due(site)) {
        // SIGKILL cannot be refused; should it be, dying is still the point.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
    if HANG.as_ref().is_some_and(|plan| plan.is_due(site)) {
        eprintln!("hanging at {site}");
        loop {
            std::thread::park();
        }
    }
}

/// The passage of a site at which it happens.
#[cfg(feature = "fault-injection")]
struct Plan {
    site: String,
    nth: u64,
    passed: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "fault-injection")]
impl Plan {
    fn of(variable: &str) -> Option<Self> {
        let text = std::env::var(variable).ok()?;
        let (site, nth) = text.split_once(':')?;
        Some(Self {
            site: site.to_owned(),
            nth: nth.parse().ok()?,
            passed: 0.into(),
        })
    }

    fn is_due(&self, site: &str) -> bool {
        use std::sync::atomic::Ordering;
        self.site == site && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
    }
}
