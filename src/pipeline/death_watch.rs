//! Notices when an actor dies. actix does not: a panic ends the actor's task and nobody is told.
//!
//! So an actor's context is run as a task of our own and its end is awaited: a join error is a
//! panic, a plain end is a stop. Whoever started it gets one [`Death`] for each actor.

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Addr, AsyncContext, Context};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How an actor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It stopped by itself.
    Stopped,
    /// It panicked.
    Panicked,
    /// Its task was cancelled.
    Cancelled,
}

/// An actor has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Which: `fetcher-2`.
    pub actor: String,
    /// How.
    pub cause: Cause,
}

/// Starts actors and hears of their ends.
#[derive(Debug, Clone)]
pub struct DeathWatch {
    /// One message for each actor's end: bounded by the number of actors.
    deaths: mpsc::UnboundedSender<Death>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl DeathWatch {
    /// A watch, and where it reports.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Death>) {
        let (deaths, reports) = mpsc::unbounded_channel();
        let tasks = Arc::default();
        (Self { deaths, tasks }, reports)
    }

    /// Starts an actor on this arbiter.
    pub fn start<A: Actor<Context = Context<A>>>(
        &self,
        name: impl Into<String>,
        make: impl FnOnce(&mut Context<A>) -> A,
    ) -> Addr<A> {
        let mut context = Context::new();
        let address = context.address();
        let actor = make(&mut context);
        let task = actix_rt::spawn(context.into_future(actor));
        let handle = task.abort_handle();
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(handle);
        let actor = name.into();
        let deaths = self.deaths.clone();
        actix_rt::spawn(async move {
            let cause = match task.await {
                Ok(()) => Cause::Stopped,
                Err(error) if error.is_panic() => Cause::Panicked,
                Err(_) => Cause::Cancelled,
            };
            // Nobody listens any more once the run has ended.
            let _ = deaths.send(Death { actor, cause });
        });
        address
    }

    /// Ends every actor that was started, whatever it waits for. What it was doing is dropped.
    pub fn end_all(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for task in tasks.drain(..) {
            task.abort();
        }
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
    fn a_panic_and_a_stop_are_told_apart() {
        actix_rt::System::new().block_on(async {
            let (watch, mut deaths) = DeathWatch::new();
            for cause in [Cause::Panicked, Cause::Stopped] {
                let mortal = watch.start(format!("{cause:?}"), |_| Mortal);
                let neighbour = watch.start("neighbour", |_| Mortal);
                // The answer to a deadly message is an error or nothing; the watch is what counts.
                let _ = mortal.send(Die(cause)).await;
                assert_eq!(
                    deaths.recv().await,
                    Some(Death {
                        actor: format!("{cause:?}"),
                        cause
                    })
                );
                assert!(neighbour.connected(), "a neighbour lives on");
                let _ = neighbour.send(Die(Cause::Stopped)).await;
                assert_eq!(
                    deaths.recv().await.map(|death| death.cause),
                    Some(Cause::Stopped)
                );
            }
        });
    }
}
