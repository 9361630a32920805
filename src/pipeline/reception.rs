//! The address of a run for other actors: they talk to it as to one of theirs.
//!
//! It is there from the start of a run to its end, whatever becomes of the supervisor, which is
//! started when the input has been looked over and never survives a defect. It holds nothing: what
//! is asked for is passed on, what is asked about is read from the counters.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResult, Recipient};
use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinSet;

use super::orders::Orders;
use crate::telemetry::{Telemetry, Told, View};

/// How is the run? Answered with all that can be seen of it.
#[derive(Debug, Clone, Copy)]
pub struct GetStatus;

impl Message for GetStatus {
    type Result = View;
}

/// Tell me what happens from here on. A subscriber that handles its messages too slowly loses the
/// oldest and is told how many ([`Told::lost`]); it never slows the run. The last notice is
/// [`crate::telemetry::Notice::Ended`].
#[derive(Debug)]
pub struct Subscribe(pub Recipient<Told>);

impl Message for Subscribe {
    type Result = ();
}

impl Message for Told {
    type Result = ();
}

/// Begin nothing until [`Resume`]; what is on its way arrives.
#[derive(Debug, Clone, Copy)]
pub struct Pause;

/// Go on after [`Pause`].
#[derive(Debug, Clone, Copy)]
pub struct Resume;

/// Finish what is begun, then end: resumable.
#[derive(Debug, Clone, Copy)]
pub struct Drain;

/// End now: resumable.
#[derive(Debug, Clone, Copy)]
pub struct Cancel;

/// A run, as other actors see it. See the messages of this module.
#[derive(Debug)]
pub struct Reception {
    telemetry: Telemetry,
    orders: Orders,
    forwarders: Forwarders,
}

/// The tasks that hand notices on. They end with the run.
#[derive(Debug, Clone, Default)]
pub(super) struct Forwarders(Rc<RefCell<JoinSet<()>>>);

impl Forwarders {
    /// Waits until all notices are handed on; the board must be closed.
    pub async fn finish(self) {
        let mut tasks = self.0.take();
        while tasks.join_next().await.is_some() {}
    }
}

impl Reception {
    pub(super) fn new(telemetry: Telemetry, orders: Orders, forwarders: Forwarders) -> Self {
        Self {
            telemetry,
            orders,
            forwarders,
        }
    }
}

impl Actor for Reception {
    type Context = Context<Self>;
}

impl Handler<GetStatus> for Reception {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, GetStatus: GetStatus, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.telemetry.view())
    }
}

impl Handler<Subscribe> for Reception {
    type Result = ();

    fn handle(&mut self, Subscribe(to): Subscribe, _: &mut Context<Self>) {
        let forwarding = forward(Arc::clone(&self.telemetry), to);
        self.forwarders.0.borrow_mut().spawn_local(forwarding);
    }
}

macro_rules! order {
    ($message:ident, $order:ident) => {
        impl Message for $message {
            type Result = ();
        }

        impl Handler<$message> for Reception {
            type Result = ();

            fn handle(&mut self, $message: $message, _: &mut Context<Self>) {
                self.orders.$order();
            }
        }
    };
}

order!(Pause, pause);
order!(Resume, resume);
order!(Drain, drain);
order!(Cancel, cancel);

/// Hands notices on, one at a time, as they are taken. What is left when the run has ended is put
/// into the mailbox without waiting: nothing of a run outlives it.
async fn forward(telemetry: Telemetry, to: Recipient<Told>) {
    let board = telemetry.board();
    let (mut notices, mut closed) = (board.stream(), pin!(board.closed()));
    while let Some(told) = notices.next().await {
        tokio::select! {
            biased;
            taken = to.send(told.clone()) => if taken.is_err() {
                return;
            },
            // Not taken yet: a message whose sender has gone is passed over, so this is no second.
            () = &mut closed => {
                to.do_send(told);
                break;
            }
        }
    }
    // The stream may be asked again after its end.
    while let Some(Some(told)) = notices.next().now_or_never() {
        to.do_send(told);
    }
}
