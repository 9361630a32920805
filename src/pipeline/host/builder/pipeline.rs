//! A run that is ready to start.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::super::handle::{Controller, Handle, Outcome, Task};
use super::super::run_actor::{Forwarders, RunActor};
use super::{BuildError, METRICS_EVERY, PipelineBuilder};
use crate::domain::describe_error;
use crate::pipeline::lifecycle::run_control::RunControl;
use crate::pipeline::lifecycle::sink_calls::SinkCalls;
use crate::pipeline::run::run_under;
use crate::pipeline::{RunError, RunParts};
use crate::secrets;
use crate::telemetry::{Counters, State, Telemetry, metrics, report};

/// A run that is ready to start. It holds its work directory.
///
/// The run lives where it is started: on the current arbiter of an actix system
/// ([`Self::spawn_local`]), on another one ([`Self::spawn_on`]), or on a thread of its own
/// ([`Self::spawn_thread`]), from whatever program.
#[must_use = "it does nothing until it is started"]
pub struct Pipeline {
    /// Absent once it is started.
    pub(super) parts: Option<RunParts>,
    pub(super) report: bool,
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // A run that was never started is none to go on with.
        if let Some(parts) = self.parts.take()
            && !parts.work_dir.resumed
        {
            parts.work_dir.forget();
        }
    }
}

impl Pipeline {
    /// Says what a run is made of. What is not said is as in the shipped defaults.
    pub fn builder() -> PipelineBuilder {
        PipelineBuilder::default()
    }

    /// Starts it on the current arbiter (or within a `tokio::task::LocalSet`). All its actors live
    /// there; work is done on its pool.
    ///
    /// # Panics
    /// Outside of both: there is nowhere for actors to live. Use [`Self::spawn_thread`] there.
    pub fn spawn_local(self) -> Handle {
        let (controller, outcome, run) = self.ready();
        actix_rt::spawn(run);
        Handle::new(controller, outcome, None)
    }

    /// Starts it on an arbiter that the host has.
    ///
    /// # Errors
    /// If the arbiter is stopped.
    pub async fn spawn_on(self, arbiter: &actix_rt::ArbiterHandle) -> Result<Handle, BuildError> {
        let (send, started) = oneshot::channel();
        let start = move || {
            let (controller, outcome, run) = self.ready();
            if send.send(Handle::new(controller, outcome, None)).is_ok() {
                actix_rt::spawn(run);
            }
        };
        let stopped = || std::io::Error::other("the arbiter is stopped");
        if !arbiter.spawn_fn(start) {
            return Err(stopped().into());
        }
        started.await.map_err(|_| stopped().into())
    }

    /// Starts it on a thread of its own, which ends with it: from an asynchronous program of any
    /// kind, or from one that is not.
    ///
    /// # Errors
    /// If the system refuses a thread or a runtime.
    pub fn spawn_thread(self) -> Result<Handle, BuildError> {
        let (started, controller) = std::sync::mpsc::channel();
        let (sender, outcome) = oneshot::channel();
        let life = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let system = actix_rt::System::with_tokio_rt(move || runtime);
            let outcome = system.block_on(async move {
                let (controller, outcome, run) = self.ready();
                // The one who waits for it is there.
                let _ = started.send(Ok(controller));
                run.await;
                outcome.await
            });
            // The runtime is gone, and every thread of it, before the end is published.
            drop(system);
            if let Ok(outcome) = outcome {
                // The host may not want to know.
                let _ = sender.send(outcome);
            }
        };
        let thread = std::thread::Builder::new()
            .name("gleaner".to_owned())
            .spawn(life)?;
        let gone = || std::io::Error::other("the thread has ended");
        let controller = controller.recv().map_err(|_| gone())??;
        Ok(Handle::new(controller, outcome, Some(thread)))
    }

    /// The run as a future for this arbiter, what it will come to, and who may order it.
    fn ready(
        mut self,
    ) -> (
        Controller,
        oneshot::Receiver<Outcome>,
        impl Future<Output = ()> + use<>,
    ) {
        let (parts, report) = (self.parts.take(), self.report);
        // It is there until this is called, once.
        let telemetry = parts
            .as_ref()
            .map_or_else(Telemetry::default, |parts| Arc::clone(&parts.telemetry));
        let run_control = RunControl::new(Arc::clone(&telemetry));
        let forwarders = Forwarders::default();
        let (address, run_actor) = Task::start(RunActor::new(
            Arc::clone(&telemetry),
            run_control.clone(),
            forwarders.clone(),
        ));
        let controller = Controller::new(Arc::clone(&telemetry), run_control.clone(), address);
        let (sender, outcome) = oneshot::channel();
        let info = telemetry.info.get();
        let span = tracing::info_span!(
            "run",
            id = info.map_or("", |info| &info.id),
            dataset = info.map_or("", |info| &info.dataset)
        );
        let cut_short = CutShort(Arc::clone(&telemetry));
        let run = async move {
            let Some(parts) = parts else { return };
            let (pool, sink) = (Arc::clone(&parts.pool), Arc::clone(&parts.sink));
            let settings = parts.settings.clone();
            let mut result = tokio::select! {
                biased;
                result = run_under(parts, &run_control, std::future::pending()) => result,
                result = publish_metrics(&telemetry) => result,
            };
            // The report of a run that had published before is there already.
            if let (true, Ok(published)) = (report, &mut result)
                && !published.already_published
            {
                let name = format!("{}.report.html", published.manifest.dataset);
                let page = secrets::redacted(report::html(&telemetry.view())).into_bytes();
                let calls = SinkCalls::new(&*sink, &settings, &telemetry);
                let put = || sink.put_sidecar(&name, page.clone());
                let putting = calls.call("write", &name, put);
                let put = tokio::select! {
                    put = AssertUnwindSafe(putting).catch_unwind() => {
                        put.map_or(Err(RunError::PartPanicked), |put| put.map_err(Into::into))
                    }
                    () = run_control.cancelled() => Err(RunError::Cancelled),
                };
                if let Err(error) = put {
                    let error = describe_error(&error);
                    let note = format!("its report could not be put beside it: {error}");
                    published.notes.push(note);
                }
            }
            drop(sink);
            metrics::publish(&telemetry.view());
            forwarders.finish().await;
            run_actor.end().await;
            // The last one who has it waits for its threads: not here.
            if let Err(error) = tokio::task::spawn_blocking(move || drop(pool)).await {
                tracing::debug!(%error, "the pool was not ended in order");
            }
            drop(cut_short);
            // The host may not want to know.
            let _ = sender.send(result);
        };
        (controller, outcome, run.instrument(span))
    }
}

/// A run that is dropped, because its host has stopped the system that it lives in, says so.
struct CutShort(Telemetry);

impl Drop for CutShort {
    fn drop(&mut self) {
        let error = RunError::HostStopped.to_string();
        // A run that has ended stays as it is.
        self.0.ended(State::Failed, Some(error));
    }
}

/// Sets the run's metrics, for ever.
async fn publish_metrics<T>(telemetry: &Counters) -> T {
    loop {
        metrics::publish(&telemetry.view());
        tokio::time::sleep(METRICS_EVERY).await;
    }
}
