//! Uploaders hand blocks and files to the sink, one at a time each.
//!
//! Staging a block or committing a file again is harmless (the sink promises it), so the sampler that asked
//! may ask again when an uploader has died.

use std::future::Future;
use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, WrapFuture};

use super::messages::{Commit, Stage};
use crate::fault::Site;
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::sink::{BlockReceipt, DatasetSink, SinkError};
use crate::telemetry::heartbeat::Heartbeat;

/// One of the uploaders.
pub struct Uploader {
    sink: Arc<dyn DatasetSink>,
    run: Arc<RunContext>,
    heartbeat: Heartbeat,
}

impl Uploader {
    /// An uploader for a sink.
    pub fn new(sink: Arc<dyn DatasetSink>, run: Arc<RunContext>, heartbeat: Heartbeat) -> Self {
        Self {
            sink,
            run,
            heartbeat,
        }
    }

    /// The answer to a message: work with the sink, busy meanwhile.
    fn answer<T: 'static, W>(
        &self,
        work: impl FnOnce(Arc<dyn DatasetSink>, Arc<RunContext>, Heartbeat) -> W,
    ) -> AtomicResponse<Self, Result<T, SinkError>>
    where
        W: Future<Output = Result<T, SinkError>> + 'static,
    {
        let (run, busy) = (Arc::clone(&self.run), self.heartbeat.busy());
        let work = work(
            Arc::clone(&self.sink),
            Arc::clone(&run),
            self.heartbeat.clone(),
        );
        let work = async move {
            let _busy = busy;
            let scope = run.faults.enter(Site::Uploader).await;
            let done = work.await?;
            scope.leave();
            Ok(done)
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

impl Actor for Uploader {
    type Context = Context<Self>;
}

impl Handler<Stage> for Uploader {
    type Result = AtomicResponse<Self, Result<BlockReceipt, SinkError>>;

    fn handle(&mut self, Stage(block): Stage, _: &mut Context<Self>) -> Self::Result {
        self.answer(|sink, run, heartbeat| async move {
            run.faults.pass(Site::BeforeStage);
            let path = block.path.clone();
            let stage = || sink.stage(block.clone());
            let receipt = (run.sink_retry)
                .run("write", &path, Some(&heartbeat), stage)
                .await?;
            run.faults.pass(Site::AfterStage);
            run.telemetry.written.add(receipt.bytes);
            if !receipt.sent {
                run.telemetry.kept.add(receipt.bytes);
            }
            Ok(receipt)
        })
    }
}

impl Handler<Commit> for Uploader {
    type Result = AtomicResponse<Self, Result<(), SinkError>>;

    fn handle(&mut self, Commit(file): Commit, _: &mut Context<Self>) -> Self::Result {
        self.answer(|sink, run, heartbeat| async move {
            run.faults.pass(Site::BeforeCommit);
            let path = file.path.clone();
            let commit = || sink.commit(file.clone());
            (run.sink_retry)
                .run("commit", &path, Some(&heartbeat), commit)
                .await?;
            run.faults.pass(Site::AfterCommit);
            Ok(())
        })
    }
}
