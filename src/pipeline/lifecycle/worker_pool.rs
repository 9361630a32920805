//! The workers of one kind, and work that reaches one of them whatever happens.
//!
//! The supervisor fills and empties the slots. Work goes to the worker that has the least to do
//! ([`WorkerLoad`] decides). If its worker dies over it, it goes to another, or waits until a slot is
//! filled: who asks keeps the work until there is an answer, so doing it twice must be harmless.
//!
//! [`WorkerPool::ask`] assigns at once, however much there is to do. Who must not have more work out
//! than there are workers waits for a [`Turn`] first.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::dev::{MessageResponse, Request, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::domain::scheduling::worker_load::WorkerLoad;

/// The workers of one kind. A clone is the same pool.
#[derive(Debug)]
pub struct WorkerPool<A: Actor>(Arc<Shared<A>>);

#[derive(Debug)]
struct Shared<A: Actor> {
    state: Mutex<State<A>>,
    /// Waiting work is woken in the order in which it came: a simulation relies on it, and
    /// `tokio::sync::watch` wakes in any.
    changed: Arc<Notify>,
    /// One permit for each slot.
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct State<A: Actor> {
    load: WorkerLoad,
    workers: Vec<Option<Addr<A>>>,
}

/// Leave to have one more piece of work done. It ends when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn<A: Actor> {
    pool: WorkerPool<A>,
    permit: Option<OwnedSemaphorePermit>,
}

/// A piece of work that a worker has.
struct Assigned<A: Actor, M>
where
    M: Message + Send + 'static,
    M::Result: Send,
    A: Handler<M>,
    A::Context: ToEnvelope<A, M>,
{
    request: Request<A, M>,
    place: Place<A>,
}

/// Where a piece of work is. It is returned when this is dropped.
struct Place<A: Actor> {
    pool: WorkerPool<A>,
    slot: usize,
}

impl<A: Actor> Clone for WorkerPool<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Drop for Place<A> {
    fn drop(&mut self) {
        self.pool.state().load.done(self.slot);
    }
}

impl<A: Actor> WorkerPool<A> {
    /// A pool of `slots` empty slots, at least of one.
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(1);
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                load: WorkerLoad::new(slots),
                workers: vec![None; slots],
            }),
            changed: Arc::default(),
            turns: Arc::new(Semaphore::new(slots)),
        }))
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.state().load.slots()
    }

    /// Puts a worker into a slot, or empties it: its worker is dead.
    pub fn set(&self, slot: usize, worker: Option<Addr<A>>) {
        {
            let mut state = self.state();
            state.load.set_present(slot, worker.is_some());
            if let Some(place) = state.workers.get_mut(slot) {
                *place = worker;
            }
        }
        self.0.changed.notify_waiters();
    }

    /// Waits until less work is out than there are slots. The first that waits is the first
    /// that has its turn; dropping the wait loses nothing.
    pub async fn turn(&self) -> Turn<A> {
        Turn {
            pool: self.clone(),
            // Never closed, so there is always a permit in the end.
            permit: Arc::clone(&self.0.turns).acquire_owned().await.ok(),
        }
    }

    /// Asks a worker, at once if there is one; asks another if the worker dies over it.
    pub fn ask<M, F>(&self, make: F) -> impl Future<Output = M::Result> + use<A, M, F>
    where
        F: Fn() -> M + 'static,
        M: Message + Send + 'static,
        M::Result: Send + MessageResponse<A, M>,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let pool = self.clone();
        let (mut changed, mut assigned) = pool.assign(&make);
        async move {
            loop {
                if let Some(Assigned { request, place }) = assigned {
                    let answer = request.await;
                    drop(place);
                    if let Ok(answer) = answer {
                        return answer;
                    }
                }
                // The supervisor notices a death too, and changes the slots.
                changed.await;
                (changed, assigned) = pool.assign(&make);
            }
        }
    }

    /// Assigns work to a worker, if there is one; and what completes when the slots change from then
    /// on.
    fn assign<M>(&self, make: &impl Fn() -> M) -> (Pin<Box<OwnedNotified>>, Option<Assigned<A, M>>)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let mut changed = Box::pin(Arc::clone(&self.0.changed).notified_owned());
        changed.as_mut().enable();
        let assigned = self.place().map(|(worker, place)| Assigned {
            request: worker.send(make()),
            place,
        });
        (changed, assigned)
    }

    fn place(&self) -> Option<(Addr<A>, Place<A>)> {
        let mut state = self.state();
        let slot = state.load.assign()?;
        let worker = state.workers[slot].clone();
        drop(state);
        let pool = self.clone();
        let place = Place { pool, slot };
        Some((worker?, place))
    }

    fn state(&self) -> MutexGuard<'_, State<A>> {
        // What is guarded is whole after every statement.
        (self.0.state.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Actor> Turn<A> {
    /// Asks a worker as [`WorkerPool::ask`] does. The turn ends with the answer.
    pub fn ask<M>(self, make: impl Fn() -> M + 'static) -> impl Future<Output = M::Result> + 'static
    where
        M: Message + Send + 'static,
        M::Result: Send + MessageResponse<A, M>,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let Self { pool, permit } = self;
        let answer = pool.ask(make);
        async move {
            let answer = answer.await;
            drop(permit);
            answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::lifecycle::actor_monitor::{ActorMonitor, Role};
    use actix::Context;
    use futures_util::FutureExt;

    /// Dies of the first question, or answers with its number.
    #[derive(Debug)]
    enum Worker {
        Dies,
        Answers(u32),
    }

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
            match *self {
                Self::Dies => std::panic::panic_any("on purpose"),
                Self::Answers(number) => number,
            }
        }
    }

    fn start(watch: &ActorMonitor, worker: Worker) -> Option<Addr<Worker>> {
        let role = Role::Validator(0);
        let (_, address) = watch.start(role, "w", &Default::default(), |_, _| worker);
        Some(address)
    }

    /// A pool with workers that answer with the numbers of their slots.
    fn answering<const N: usize>(size: usize, slots: [usize; N]) -> WorkerPool<Worker> {
        let (watch, _) = ActorMonitor::new(Default::default(), Default::default());
        let pool = WorkerPool::new(size);
        for slot in slots {
            pool.set(slot, start(&watch, Worker::Answers(slot as u32)));
        }
        pool
    }

    #[test]
    fn work_goes_to_another_when_its_worker_dies_and_waits_when_there_is_none() {
        actix_rt::System::new().block_on(async {
            let (watch, mut exits) = ActorMonitor::new(Default::default(), Default::default());
            let pool = WorkerPool::new(1);
            let mut answer = Box::pin(pool.ask(|| Question));
            assert!(answer.as_mut().now_or_never().is_none(), "no worker");
            pool.set(0, start(&watch, Worker::Dies));
            let answers = async {
                exits.recv().await.expect("an exit");
                pool.set(0, None);
                pool.set(0, start(&watch, Worker::Answers(7)));
            };
            let (answer, ()) = futures_util::future::join(answer, answers).await;
            assert_eq!(answer, 7);
            assert_eq!(pool.ask(|| Question).await, 7);
        });
    }

    #[test]
    fn work_goes_to_the_worker_that_has_the_least_to_do() {
        actix_rt::System::new().block_on(async {
            let pool = answering(3, [0, 1, 2]);
            let [first, second, third] = [(); 3].map(|()| pool.ask(|| Question));
            assert_eq!(second.await, 1);
            // The second has answered, the others have not been asked for their answers.
            assert_eq!(pool.ask(|| Question).await, 1);
            assert_eq!([first.await, third.await], [0, 2]);
            // Work that is not wanted any more is returned too.
            drop(pool.ask(|| Question));
            assert_eq!(pool.ask(|| Question).await, 0);
        });
    }

    #[test]
    fn there_is_a_turn_for_each_worker_and_the_next_one_when_one_ends() {
        actix_rt::System::new().block_on(async {
            let pool = answering(2, [1]);
            let (first, second) = (pool.turn().await, pool.turn().await);
            let mut waiting = Box::pin(pool.turn());
            assert!(waiting.as_mut().now_or_never().is_none(), "both are out");
            assert_eq!(first.ask(|| Question).await, 1);
            let third = waiting.now_or_never().expect("a turn has ended");
            // A wait that is given up takes nothing with it.
            assert!(pool.turn().now_or_never().is_none());
            drop((second, third));
            let both = [pool.turn().now_or_never(), pool.turn().now_or_never()];
            assert!(both.iter().all(Option::is_some), "two turns");
        });
    }
}
