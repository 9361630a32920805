//! Kill points for the crash tests (feature `fault-injection`).
//!
//! `GLEANER_KILL_AT=<site>:<n>` kills the process, as `kill -9` does, at the n-th passage of a
//! site. Without the feature a point is nothing.

/// Passes a kill point.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn point(_site: &str) {}

/// Passes a kill point.
#[cfg(feature = "fault-injection")]
pub fn point(site: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("GLEANER_KILL_AT").ok()?;
        let (site, nth) = text.split_once(':')?;
        Some((site.to_owned(), nth.parse().ok()?))
    });
    if let Some((chosen, nth)) = plan
        && chosen == site
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth
    {
        // SIGKILL cannot be refused; should it be, dying is still the point.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}
