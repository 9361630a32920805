//! Who of a kind of worker is there, and work that reaches one of them whatever happens.
//!
//! The supervisor fills and vacates the seats; who has work asks whoever is there. Work whose
//! worker died is given to another, or waits until a seat is filled again: its owner keeps it, so
//! doing it twice must be harmless.

use std::future::Future;
use std::sync::Arc;

use actix::dev::{MessageResponse, Request, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::watch;

use super::error::RunError;

/// The seats of one kind of worker.
#[derive(Debug)]
pub struct Roster<A: Actor> {
    kind: &'static str,
    seats: Arc<watch::Sender<Vec<Option<Addr<A>>>>>,
}

impl<A: Actor> Clone for Roster<A> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            seats: Arc::clone(&self.seats),
        }
    }
}

impl<A: Actor> Roster<A> {
    /// So many empty seats.
    pub fn new(kind: &'static str, seats: usize) -> Self {
        let (seats, _) = watch::channel(vec![None; seats]);
        Self {
            kind,
            seats: Arc::new(seats),
        }
    }

    /// How many seats there are.
    pub fn len(&self) -> usize {
        self.seats.borrow().len()
    }

    /// Whether there is no seat at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Somebody takes a seat.
    pub fn fill(&self, seat: usize, worker: Addr<A>) {
        self.seats.send_modify(|seats| seats[seat] = Some(worker));
    }

    /// Whoever had the seat is dead.
    pub fn vacate(&self, seat: usize) {
        self.seats.send_modify(|seats| seats[seat] = None);
    }

    /// Has somebody do something, at once if somebody is there; again, if the worker dies over it.
    /// `turn` spreads the work.
    ///
    /// # Errors
    /// If nobody is there and nobody will be any more.
    pub fn ask<M>(
        &self,
        turn: usize,
        make: impl Fn() -> M + 'static,
    ) -> impl Future<Output = Result<M::Result, RunError>> + 'static
    where
        M: Message + Send + 'static,
        M::Result: Send + MessageResponse<A, M>,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let kind = self.kind;
        let mut seats = self.seats.subscribe();
        let mut request = give(&mut seats, turn, &make);
        async move {
            loop {
                if let Some(request) = request
                    && let Ok(answer) = request.await
                {
                    return Ok(answer);
                }
                // A death is noticed by the supervisor too, which changes the seats.
                let changed = seats.changed().await;
                changed.map_err(|_| RunError::NoAnswer(kind))?;
                request = give(&mut seats, turn, &make);
            }
        }
    }
}

fn give<A, M>(
    seats: &mut watch::Receiver<Vec<Option<Addr<A>>>>,
    turn: usize,
    make: &impl Fn() -> M,
) -> Option<Request<A, M>>
where
    M: Message + Send + 'static,
    M::Result: Send,
    A: Handler<M>,
    A::Context: ToEnvelope<A, M>,
{
    let seats = seats.borrow_and_update();
    let from_turn = seats.iter().cycle().skip(turn % seats.len().max(1));
    let worker = from_turn.take(seats.len()).flatten().next()?;
    Some(worker.send(make()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::death_watch::{DeathWatch, Role};
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
            let (watch, mut deaths) = DeathWatch::new(Default::default());
            let roster = Roster::new("worker", 1);
            let mut answer = Box::pin(roster.ask(3, || Question));
            assert!(answer.as_mut().now_or_never().is_none(), "nobody is there");
            let start = |dies| watch.start(Role::Validator(0), "w", |_, _| Worker(dies)).1;
            roster.fill(0, start(true));
            let answers = async {
                deaths.recv().await.expect("a death");
                roster.vacate(0);
                roster.fill(0, start(false));
            };
            let (answer, ()) = futures_util::future::join(answer, answers).await;
            assert_eq!(answer.expect("an answer"), 7);
            assert_eq!(roster.ask(8, || Question).await.expect("an answer"), 7);
        });
    }

    #[test]
    fn work_that_nobody_will_do_any_more_ends() {
        actix_rt::System::new().block_on(async {
            let roster: Roster<Worker> = Roster::new("worker", 2);
            let answer = roster.ask(0, || Question);
            drop(roster);
            assert!(matches!(answer.await, Err(RunError::NoAnswer("worker"))));
        });
    }
}
