//! A worker's heartbeat: shows from outside that it makes progress.
//!
//! The worker beats, the supervisor reads. A worker that hangs cannot say so; its heartbeat does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::domain::scheduling::supervision::Reading;

#[derive(Debug, Default)]
struct Inner {
    beats: AtomicU64,
    /// Pieces of work that were done.
    done: AtomicU64,
    /// What it works on. More than one only for a moment, between two messages.
    work: AtomicU32,
    /// Whether it is made to wait.
    paused: AtomicU32,
}

/// The heartbeat of one worker.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<Inner>);

impl Heartbeat {
    /// A sign of progress.
    pub fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// The worker has something to do until this is dropped.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.beat();
        self.0.work.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// The worker is made to wait until this is dropped, and owes no progress meanwhile.
    #[must_use]
    pub fn paused(&self) -> Paused {
        self.0.paused.fetch_add(1, Ordering::Relaxed);
        Paused(self.clone())
    }

    /// Pieces of work that it has done.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// Whether it is made to wait.
    pub fn is_held_back(&self) -> bool {
        self.0.paused.load(Ordering::Relaxed) > 0
    }

    /// Whether both are the heartbeat of one worker.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its value now.
    pub fn read(&self) -> Reading {
        let work = self.0.work.load(Ordering::Relaxed) > 0;
        let paused = self.0.paused.load(Ordering::Relaxed) > 0;
        Reading {
            beats: self.0.beats.load(Ordering::Relaxed),
            busy: work && !paused,
        }
    }
}

/// Marks the worker as busy while it exists.
#[derive(Debug)]
pub struct Busy(Heartbeat);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.work.fetch_sub(1, Ordering::Relaxed);
        self.0.0.done.fetch_add(1, Ordering::Relaxed);
        self.0.beat();
    }
}

/// The worker is made to wait.
#[derive(Debug)]
pub struct Paused(Heartbeat);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.0.paused.fetch_sub(1, Ordering::Relaxed);
        self.0.beat();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_actor_is_not_busy() {
        let heartbeat = Heartbeat::default();
        assert!(!heartbeat.read().busy);
        let busy = heartbeat.busy();
        let before = heartbeat.read();
        assert!(before.busy);
        let paused = heartbeat.paused();
        assert!(!heartbeat.read().busy);
        drop(paused);
        assert!(heartbeat.read().busy && heartbeat.read().beats > before.beats);
        drop(busy);
        assert!(!heartbeat.read().busy);
    }
}
