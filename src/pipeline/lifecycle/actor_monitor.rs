//! Notices when an actor dies. actix does not: a panic ends the actor's task and does not report it.
//!
//! So an actor's context is run as a task of our own and its end is awaited: a join error is a
//! panic, a plain end is a stop. Its channel gets one [`ActorExit`] for each actor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::{Actor, Addr, AsyncContext, Context};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::Instrument;

pub use crate::domain::scheduling::roles::Role;
pub use crate::domain::scheduling::supervision::Cause;
use crate::fault::Faults;
use crate::telemetry::Telemetry;
use crate::telemetry::heartbeat::Heartbeat;

/// Distinguishes an actor from every other of the run, those before it in the same role included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActorId(u64);

/// An actor has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorExit {
    /// The actor.
    pub id: ActorId,
    /// Its role.
    pub role: Role,
    /// Its name: `fetcher-2`.
    pub actor: String,
    /// How it ended.
    pub cause: Cause,
}

#[derive(Debug, Default)]
struct Living {
    next: u64,
    tasks: BTreeMap<ActorId, AbortHandle>,
    /// Those who end because they are not needed any more.
    dismissed: BTreeSet<ActorId>,
}

/// Starts actors and hears of their ends.
#[derive(Debug, Clone)]
pub struct ActorMonitor {
    /// One message for each actor's end: bounded by the number of actors.
    exits: mpsc::UnboundedSender<ActorExit>,
    living: Arc<Mutex<Living>>,
    faults: Faults,
    telemetry: Telemetry,
}

impl ActorMonitor {
    /// A watch, and where it reports.
    pub fn new(faults: Faults, telemetry: Telemetry) -> (Self, mpsc::UnboundedReceiver<ActorExit>) {
        let (exits, reports) = mpsc::unbounded_channel();
        let watch = Self {
            exits,
            living: Arc::default(),
            faults,
            telemetry,
        };
        (watch, reports)
    }

    /// Starts an actor on this arbiter. `heartbeat` is what others see of its work.
    pub fn start<A: Actor<Context = Context<A>>>(
        &self,
        role: Role,
        name: impl Into<String>,
        heartbeat: &Heartbeat,
        make: impl FnOnce(ActorId, &mut Context<A>) -> A,
    ) -> (ActorId, Addr<A>) {
        let id = {
            let mut living = self.living();
            living.next += 1;
            ActorId(living.next)
        };
        let mut context = Context::new();
        let address = context.address();
        let actor = make(id, &mut context);
        let (name, heartbeat) = (name.into(), heartbeat.clone());
        let span = tracing::info_span!("actor", %name);
        let task = actix_rt::spawn(context.into_future(actor).instrument(span));
        self.faults.enlist(&task.abort_handle());
        self.living().tasks.insert(id, task.abort_handle());
        // There is one dedup at a time, whatever round it is of.
        let slot = match role {
            Role::Deduper => role.name().to_owned(),
            _ => name.clone(),
        };
        let reported = &self.telemetry.actors;
        reported.started(&slot, role.name(), heartbeat.clone());
        let watch = self.clone();
        actix_rt::spawn(async move {
            let cause = match task.await {
                Ok(()) => Cause::Stopped,
                Err(error) if error.is_panic() => Cause::Panicked,
                Err(_) => Cause::Cancelled,
            };
            let dismissed = {
                let mut living = watch.living();
                living.tasks.remove(&id);
                living.dismissed.remove(&id)
            };
            let reported = &watch.telemetry.actors;
            reported.ended(&slot, &heartbeat, cause != Cause::Stopped && !dismissed);
            let exited = ActorExit {
                id,
                role,
                actor: name,
                cause,
            };
            // There is no receiver any more once the run has ended.
            let _ = watch.exits.send(exited);
        });
        (id, address)
    }

    /// Ends an actor, whatever it waits for. What it was doing is dropped; its end is reported as
    /// cancelled.
    pub fn end(&self, id: ActorId) {
        if let Some(task) = self.living().tasks.get(&id) {
            task.abort();
        }
    }

    /// Ends an actor that is not needed any more, as [`Self::end`] does.
    pub fn dismiss(&self, id: ActorId) {
        let mut living = self.living();
        if let Some(task) = living.tasks.get(&id) {
            task.abort();
            living.dismissed.insert(id);
        }
    }

    /// Dismisses every actor that was started.
    pub fn end_all(&self) {
        let all: Vec<ActorId> = self.living().tasks.keys().copied().collect();
        all.into_iter().for_each(|id| self.dismiss(id));
    }

    fn living(&self) -> MutexGuard<'_, Living> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{ActorContext, Handler, Message};

    struct Mortal;

    impl Actor for Mortal {
        type Context = Context<Self>;
    }

    struct Die(Cause);

    impl Message for Die {
        type Result = ();
    }

    impl Handler<Die> for Mortal {
        type Result = ();

        fn handle(&mut self, Die(cause): Die, context: &mut Context<Self>) {
            match cause {
                Cause::Panicked => std::panic::panic_any("on purpose"),
                _ => context.stop(),
            }
        }
    }

    #[test]
    fn a_panic_a_stop_and_a_cancel_are_distinguished() {
        actix_rt::System::new().block_on(async {
            let (watch, mut exits) = ActorMonitor::new(Faults::default(), Telemetry::default());
            let (_, neighbour) = watch.start(
                Role::Fetcher(9),
                "neighbour",
                &Heartbeat::default(),
                |_, _| Mortal,
            );
            for cause in [Cause::Panicked, Cause::Stopped, Cause::Cancelled] {
                let (id, mortal) =
                    watch.start(Role::Fetcher(1), "mortal", &Heartbeat::default(), |_, _| {
                        Mortal
                    });
                match cause {
                    Cause::Cancelled => watch.end(id),
                    // The answer to a deadly message is an error or nothing; the watch is what
                    // counts.
                    _ => drop(mortal.send(Die(cause)).await),
                }
                let exited = ActorExit {
                    id,
                    role: Role::Fetcher(1),
                    actor: "mortal".to_owned(),
                    cause,
                };
                assert_eq!(exits.recv().await, Some(exited));
                assert!(neighbour.connected(), "a neighbour lives on");
            }
            watch.end_all();
            let last = exits.recv().await.map(|exited| exited.actor);
            assert_eq!(last.as_deref(), Some("neighbour"));
        });
    }
}
