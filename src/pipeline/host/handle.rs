//! A run that was started, as its host holds it.

use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::task::{self, Waker};
use std::thread::JoinHandle;

use actix::{Actor, Addr, AsyncContext, Context};
use futures_util::stream::Stream;
use tokio::sync::oneshot;

use super::run_actor::RunActor;
use crate::pipeline::lifecycle::run_control::RunControl;
use crate::pipeline::{RunError, RunReport};
use crate::telemetry::{Notices, RunEvent, Telemetry, View};

/// What a run came to.
pub(in crate::pipeline) type Outcome = Result<RunReport, RunError>;

/// Asks and controls a run, from any thread. A clone is the same; it does not keep the run going.
#[derive(Debug, Clone)]
pub struct Controller {
    telemetry: Telemetry,
    run_control: RunControl,
    address: Addr<RunActor>,
}

impl Controller {
    pub(in crate::pipeline) fn new(
        telemetry: Telemetry,
        run_control: RunControl,
        address: Addr<RunActor>,
    ) -> Self {
        Self {
            telemetry,
            run_control,
            address,
        }
    }

    /// The run at this moment, whole.
    pub fn status(&self) -> View {
        self.telemetry.view()
    }

    /// What happens from here on, through a channel: for people without async. Who is slow
    /// loses the oldest and learns how many; the channel is disconnected when the run has ended.
    pub fn events(&self) -> Notices {
        self.telemetry.board().channel()
    }

    /// What happens from here on, as a stream that ends with the run.
    pub fn event_stream(&self) -> impl Stream<Item = RunEvent> + Send + Unpin + use<> {
        self.telemetry.board().stream()
    }

    /// The run's address, for actors: see the messages of [`super::run_actor`].
    pub fn address(&self) -> &Addr<RunActor> {
        &self.address
    }

    /// Begins nothing until [`Self::resume`]; what is on its way arrives.
    pub fn pause(&self) {
        self.run_control.pause();
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.run_control.resume();
    }

    /// Finishes the chunks and blocks that are begun, then ends with [`RunError::Interrupted`]:
    /// resumable. That takes as long as the longest of them: a source that hangs is not waited for
    /// after [`Self::cancel`].
    pub fn drain(&self) {
        self.run_control.drain();
    }

    /// Ends now, with [`RunError::Cancelled`]: resumable.
    pub fn cancel(&self) {
        self.run_control.cancel();
    }

    /// Waits until the run has ended, however it is joined.
    pub async fn ended(&self) {
        self.telemetry.board().closed().await;
    }

    #[cfg(feature = "cli")]
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

/// A run that was started. Dropped without [`Self::join`] or [`Self::detach`], it cancels the
/// run, which can be resumed.
#[derive(Debug)]
#[must_use = "dropping the handle cancels the run"]
pub struct Handle {
    controller: Controller,
    outcome: Option<oneshot::Receiver<Outcome>>,
    thread: Option<JoinHandle<()>>,
}

impl Deref for Handle {
    type Target = Controller;

    fn deref(&self) -> &Controller {
        &self.controller
    }
}

impl Handle {
    pub(in crate::pipeline) fn new(
        controller: Controller,
        outcome: oneshot::Receiver<Outcome>,
        thread: Option<JoinHandle<()>>,
    ) -> Self {
        Self {
            controller,
            outcome: Some(outcome),
            thread,
        }
    }

    /// Asks and controls the run while another task awaits its end.
    pub fn controller(&self) -> Controller {
        self.controller.clone()
    }

    /// Waits for the run's end. Dropping what this gives cancels the run.
    ///
    /// # Errors
    /// See [`RunError`]; also if the actor system that the run lives in is stopped. The run can be
    /// resumed after each of them.
    pub async fn join(mut self) -> Result<RunReport, RunError> {
        let outcome = match &mut self.outcome {
            Some(outcome) => outcome.await,
            None => return Err(RunError::HostStopped),
        };
        self.ended(outcome)
    }

    /// As [`Self::join`], for a thread that may wait. It must not be one that drives the run or an
    /// asynchronous runtime.
    ///
    /// # Errors
    /// As for [`Self::join`].
    pub fn join_blocking(mut self) -> Result<RunReport, RunError> {
        match self.outcome.take() {
            Some(outcome) => self.ended(outcome.blocking_recv()),
            None => Err(RunError::HostStopped),
        }
    }

    fn ended(&mut self, outcome: Result<Outcome, oneshot::error::RecvError>) -> Outcome {
        self.outcome = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing left to do but to end. The outcome reports a panic of it.
            let _ = thread.join();
        }
        outcome.unwrap_or(Err(RunError::HostStopped))
    }

    /// Lets the run go on by itself; the controller still asks and run_control it.
    pub fn detach(mut self) -> Controller {
        self.outcome = None;
        self.controller.clone()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.outcome.is_some() {
            self.controller.cancel();
        }
    }
}

/// An actor that ends with this.
pub(in crate::pipeline) struct Task {
    task: tokio::task::JoinHandle<()>,
    /// Dropped when it is to end.
    stop: oneshot::Sender<()>,
}

impl Task {
    /// Starts an actor on this arbiter.
    pub fn start<A: Actor<Context = Context<A>>>(actor: A) -> (Addr<A>, Self) {
        let context = Context::new();
        let address = context.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = actix_rt::spawn(async move {
            let mut life = pin!(context.into_future(actor));
            tokio::select! {
                () = &mut life => {}
                _ = stopped => {}
            }
            // An address remembers whom to wake, and with the task would keep the whole runtime, for
            // as long as it is held. From here on there is no task to wake.
            let _ = life.poll(&mut task::Context::from_waker(Waker::noop()));
        });
        (address, Self { task, stop })
    }

    /// Ends it, and waits until it is gone.
    pub async fn end(self) {
        drop(self.stop);
        // A panic of it has been reported by the panic hook, and is no reason to panic here.
        let _ = self.task.await;
    }
}
