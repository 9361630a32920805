//! Faults on purpose (feature `fault-injection`): what a run does when things go wrong.
//!
//! A [`Faults`] belongs to one run and is handed to its parts. Where something can go wrong, a part
//! passes a [`Site`] and learns which [`Kind`] of fault is due there, if any. What is due says a
//! plan: the n-th hit of a site, and a kind. Every actor has one site that it enters before it
//! does its work and leaves after, so it can die on either side of its effect.
//!
//! Before and after each effect that the next start relies on (sealing, staging, committing, publishing)
//! there is a site of another kind: there a plan kills the *process* or has its thread hang, for the tests
//! of the program. Nothing is drawn for these sites.
//!
//! Without the feature a site is nothing.

pub use crate::domain::scheduling::fault_names::{Kind, Site, Stage, cells, table};

mod around;
#[cfg(feature = "fault-injection")]
mod injector;
#[cfg(feature = "fault-injection")]
mod plan;
#[cfg(feature = "fault-injection")]
mod sink;
#[cfg(feature = "fault-injection")]
mod source;

#[cfg(feature = "fault-injection")]
pub use injector::{FaultScope, Faults, FiredFault, Injected, Injector};
#[cfg(feature = "fault-injection")]
pub use plan::{FaultPlan, Planned, WrongPlan};
#[cfg(feature = "fault-injection")]
pub use sink::FaultySink;
#[cfg(feature = "fault-injection")]
pub use source::FaultySource;

/// No faults: the feature is off.
#[cfg(not(feature = "fault-injection"))]
#[derive(Debug, Clone, Default)]
pub struct Faults(());

/// Nothing: the feature is off.
#[cfg(not(feature = "fault-injection"))]
#[derive(Debug)]
pub struct FaultScope(());

#[cfg(not(feature = "fault-injection"))]
impl Faults {
    /// Nothing is due.
    #[inline(always)]
    pub fn due(&self, _site: Site) -> Option<Kind> {
        None
    }

    /// Goes on.
    #[inline(always)]
    pub async fn enter(&self, _site: Site) -> FaultScope {
        FaultScope(())
    }

    /// Goes on.
    #[inline(always)]
    pub fn enter_now(&self, _site: Site) -> FaultScope {
        FaultScope(())
    }

    /// Goes on.
    #[inline(always)]
    pub fn pass(&self, _site: Site) {}

    /// Nothing.
    #[inline(always)]
    pub fn enlist(&self, _task: &tokio::task::AbortHandle) {}

    /// No jump.
    #[inline(always)]
    pub fn skew(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    /// Never: no panic is injected.
    #[inline(always)]
    pub fn is_injected(_panic: &(dyn std::any::Any + Send)) -> bool {
        false
    }
}

#[cfg(not(feature = "fault-injection"))]
impl FaultScope {
    /// None.
    #[inline(always)]
    pub fn error_before(&self) -> Option<std::io::Error> {
        None
    }

    /// None.
    #[inline(always)]
    pub fn error_after(&self) -> Option<std::io::Error> {
        None
    }

    /// Goes on.
    #[inline(always)]
    pub fn leave(self) {}
}

/// Ends the process as `kill -9` does.
#[cfg(feature = "fault-injection")]
pub fn kill() -> ! {
    // SIGKILL cannot be refused; should it be, dying is still the point.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}
