//! Who of a kind of worker is there, and work that reaches one of them whatever happens.
//!
//! The supervisor fills and empties the slots; work goes to any idle worker. Work whose
//! worker died is given to another, or waits until a slot is filled again: its owner keeps it, so
//! doing it twice must be harmless.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::dev::{MessageResponse, Request, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

#[derive(Debug)]
struct Seats<A: Actor> {
    slots: Mutex<Vec<Option<Addr<A>>>>,
    /// Those who wait are woken in the order in which they came: a simulation relies on it, and
    /// `tokio::sync::watch` wakes in any.
    changed: Arc<Notify>,
}

/// The slots of one kind of worker.
#[derive(Debug)]
pub struct Roster<A: Actor>(Arc<Seats<A>>);

impl<A: Actor> Clone for Roster<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Roster<A> {
    /// So many empty slots.
    pub fn new(slots: usize) -> Self {
        Self(Arc::new(Seats {
            slots: Mutex::new(vec![None; slots]),
            changed: Arc::default(),
        }))
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.slots().len()
    }

    /// Puts a worker into a slot.
    pub fn register(&self, slot: usize, worker: Addr<A>) {
        self.slots()[slot] = Some(worker);
        self.0.changed.notify_waiters();
    }

    /// Empties a slot whose worker is dead.
    pub fn deregister(&self, slot: usize) {
        self.slots()[slot] = None;
        self.0.changed.notify_waiters();
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Option<Addr<A>>>> {
        // What is guarded is whole after every statement.
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks an idle worker, at once if there is one; asks another if the worker dies over it.
    /// `turn` spreads the work.
    pub fn ask<M>(
        &self,
        turn: usize,
        make: impl Fn() -> M + 'static,
    ) -> impl Future<Output = M::Result> + 'static
    where
        M: Message + Send + 'static,
        M::Result: Send + MessageResponse<A, M>,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let roster = self.clone();
        let (mut changed, mut request) = roster.give(turn, &make);
        async move {
            loop {
                if let Some(request) = request
                    && let Ok(answer) = request.await
                {
                    return answer;
                }
                // The supervisor notices a death too, and changes the slots.
                changed.await;
                (changed, request) = roster.give(turn, &make);
            }
        }
    }

    /// Gives work to an idle worker, if there is one; and what completes when the slots change
    /// from then on.
    fn give<M>(
        &self,
        turn: usize,
        make: &impl Fn() -> M,
    ) -> (Pin<Box<OwnedNotified>>, Option<Request<A, M>>)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let mut changed = Box::pin(Arc::clone(&self.0.changed).notified_owned());
        changed.as_mut().enable();
        let slots = self.slots();
        let from_turn = slots.iter().cycle().skip(turn % slots.len().max(1));
        let worker = from_turn.take(slots.len()).flatten().next();
        let request = worker.map(|worker| worker.send(make()));
        (changed, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::lifecycle::actor_monitor::{ActorMonitor, Role};
    use actix::Context;
    use futures_util::FutureExt;

    /// Dies of the first question.
    struct Worker(bool);

    impl Actor for Worker {
        type Context = Context<Self>;
    }

    struct Question;

    impl Message for Question {
        type Result = u32;
    }

    impl Handler<Question> for Worker {
        type Result = u32;

        fn handle(&mut self, Question: Question, _: &mut Context<Self>) -> u32 {
            if self.0 {
                std::panic::panic_any("on purpose");
            }
            7
        }
    }

    #[test]
    fn work_goes_to_another_when_its_worker_dies_and_waits_when_there_is_none() {
        actix_rt::System::new().block_on(async {
            let (watch, mut deaths) = ActorMonitor::new(Default::default(), Default::default());
            let roster = Roster::new(1);
            let mut answer = Box::pin(roster.ask(3, || Question));
            assert!(answer.as_mut().now_or_never().is_none(), "nobody is there");
            let start = |dies| {
                watch
                    .start(Role::Validator(0), "w", &Default::default(), |_, _| {
                        Worker(dies)
                    })
                    .1
            };
            roster.register(0, start(true));
            let answers = async {
                deaths.recv().await.expect("a death");
                roster.deregister(0);
                roster.register(0, start(false));
            };
            let (answer, ()) = futures_util::future::join(answer, answers).await;
            assert_eq!(answer, 7);
            assert_eq!(roster.ask(8, || Question).await, 7);
        });
    }
}
