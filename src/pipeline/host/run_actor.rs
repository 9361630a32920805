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

use crate::pipeline::lifecycle::run_control::RunControl;
use crate::telemetry::{RunEvent, Telemetry, View};

/// How is the run? Answered with all that can be seen of it.
#[derive(Debug, Clone, Copy)]
pub struct GetStatus;

impl Message for GetStatus {
    type Result = View;
}

/// Tell me what happens from here on. A subscriber that handles its messages too slowly loses the
/// oldest and learns how many ([`RunEvent::lost`]); it never slows the run. The last notice is
/// [`crate::telemetry::Notice::Ended`].
#[derive(Debug)]
pub struct Subscribe(pub Recipient<RunEvent>);

impl Message for Subscribe {
    type Result = ();
}

impl Message for RunEvent {
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
pub struct RunActor {
    telemetry: Telemetry,
    run_control: RunControl,
    forwarders: Forwarders,
}

/// The tasks that hand notices on. They end with the run.
#[derive(Debug, Clone, Default)]
pub(in crate::pipeline) struct Forwarders(Rc<RefCell<JoinSet<()>>>);

impl Forwarders {
    /// Waits until all notices are handed on; the board must be closed.
    pub async fn finish(self) {
        let mut tasks = self.0.take();
        while tasks.join_next().await.is_some() {}
    }
}

impl RunActor {
    pub(in crate::pipeline) fn new(
        telemetry: Telemetry,
        run_control: RunControl,
        forwarders: Forwarders,
    ) -> Self {
        Self {
            telemetry,
            run_control,
            forwarders,
        }
    }
}

impl Actor for RunActor {
    type Context = Context<Self>;
}

impl Handler<GetStatus> for RunActor {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, GetStatus: GetStatus, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.telemetry.view())
    }
}

impl Handler<Subscribe> for RunActor {
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

        impl Handler<$message> for RunActor {
            type Result = ();

            fn handle(&mut self, $message: $message, _: &mut Context<Self>) {
                self.run_control.$order();
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
async fn forward(telemetry: Telemetry, to: Recipient<RunEvent>) {
    let board = telemetry.board();
    let (mut notices, mut closed) = (board.stream(), pin!(board.closed()));
    while let Some(event) = notices.next().await {
        tokio::select! {
            biased;
            taken = to.send(event.clone()) => if taken.is_err() {
                return;
            },
            // Not taken yet: a message whose sender has gone is passed over, so this is no second.
            () = &mut closed => {
                to.do_send(event);
                break;
            }
        }
    }
    // The stream may be asked again after its end.
    while let Some(Some(event)) = notices.next().now_or_never() {
        to.do_send(event);
    }
}
