//! What is asked of a run from outside: pause, go on, drain, cancel.
//!
//! The handle controls the run from any thread. A gate holds back a worker that is about
//! to take payload on its way, so a paused run finishes what it has and begins nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::telemetry::{State, Telemetry};

/// Holds back every caller while it is closed.
#[derive(Debug, Clone, Default)]
pub struct PauseGate(Arc<PauseState>);

#[derive(Debug, Default)]
struct PauseState {
    closed: AtomicBool,
    /// Those who wait are woken in the order in which they came: a simulation relies on it.
    opened: Notify,
}

impl PauseGate {
    fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    fn open(&self) {
        self.0.closed.store(false, Ordering::SeqCst);
        self.0.opened.notify_waiters();
    }

    /// Whether it is closed: the run is paused.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    /// Waits while it is closed.
    pub async fn pass(&self) {
        loop {
            let opened = self.0.opened.notified();
            if !self.is_closed() {
                return;
            }
            opened.await;
        }
    }
}

/// How far a run is to stop. Later ones beat earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Stop {
    #[default]
    Not,
    Drain,
    Cancel,
}

#[derive(Debug)]
struct Inner {
    gate: PauseGate,
    stop: Mutex<Stop>,
    changed: Notify,
    telemetry: Telemetry,
}

/// Controls one run. A clone controls the same.
#[derive(Debug, Clone)]
pub struct RunControl(Arc<Inner>);

impl RunControl {
    /// Controls of a run that reports to this telemetry; nothing is asked of it yet.
    pub fn new(telemetry: Telemetry) -> Self {
        Self(Arc::new(Inner {
            gate: PauseGate::default(),
            stop: Mutex::default(),
            changed: Notify::new(),
            telemetry,
        }))
    }

    /// The gate that payload passes.
    pub fn gate(&self) -> &PauseGate {
        &self.0.gate
    }

    /// Nothing new is begun until [`Self::resume`]; what is on its way arrives. An order to stop
    /// is not taken back by it.
    pub fn pause(&self) {
        let stop = self.stop();
        if *stop == Stop::Not && !self.0.telemetry.state().is_final() {
            self.0.gate.close();
            self.0.telemetry.set_state(State::Paused);
        }
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        let stop = self.stop();
        self.0.gate.open();
        if *stop == Stop::Not {
            self.0.telemetry.set_state(State::Running);
        }
    }

    /// Finishes the chunks and blocks that are begun, and ends: resumable.
    pub fn drain(&self) {
        self.order(Stop::Drain);
    }

    /// Ends now, whatever is on its way: resumable.
    pub fn cancel(&self) {
        self.order(Stop::Cancel);
    }

    fn order(&self, order: Stop) {
        let mut stop = self.stop();
        if order > *stop {
            *stop = order;
            // Who is to finish must not be held back.
            self.0.gate.open();
            self.0.telemetry.set_state(State::Draining);
            self.0.changed.notify_waiters();
        }
    }

    /// Whether it is to be drained or cancelled.
    pub fn is_stopping(&self) -> bool {
        *self.stop() > Stop::Not
    }

    /// Whether it is to be cancelled.
    pub fn is_cancelled(&self) -> bool {
        *self.stop() >= Stop::Cancel
    }

    /// Waits until it is to be drained or cancelled.
    pub async fn stopping(&self) {
        self.reached(Stop::Drain).await;
    }

    /// Waits until it is to be cancelled.
    pub async fn cancelled(&self) {
        self.reached(Stop::Cancel).await;
    }

    async fn reached(&self, order: Stop) {
        loop {
            let changed = self.0.changed.notified();
            if *self.stop() >= order {
                return;
            }
            changed.await;
        }
    }

    fn stop(&self) -> MutexGuard<'_, Stop> {
        self.0.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_gate_holds_back_until_it_is_opened_again() {
        let run_control = RunControl::new(Telemetry::default());
        let gate = run_control.gate().clone();
        assert!(gate.pass().now_or_never().is_some());
        run_control.pause();
        assert_eq!(run_control.0.telemetry.state(), State::Paused);
        let mut waits = Box::pin(gate.pass());
        assert!(waits.as_mut().now_or_never().is_none());
        run_control.resume();
        waits.await;
        assert_eq!(run_control.0.telemetry.state(), State::Running);
    }

    #[tokio::test]
    async fn a_draining_run_can_be_cancelled_and_neither_is_undone() {
        let run_control = RunControl::new(Telemetry::default());
        let mut stopping = Box::pin(run_control.stopping());
        assert!(stopping.as_mut().now_or_never().is_none());
        run_control.pause();
        run_control.drain();
        stopping.await;
        assert!(!run_control.gate().is_closed(), "who is to finish may");
        run_control.pause();
        run_control.resume();
        assert_eq!(run_control.0.telemetry.state(), State::Draining);
        assert!(run_control.cancelled().now_or_never().is_none());
        run_control.cancel();
        run_control.cancelled().await;
    }
}
