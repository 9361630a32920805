//! A sink that fails as planned.

use std::future::{Future, pending};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Faults, Kind, Site};
use crate::sink::{
    Action, Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, SinkError, SinkFuture,
};

/// What a throttling service asks for.
const THROTTLE: Action = Action::Throttle { retry_after: None };

/// Duration of a slow operation.
const SLOW: Duration = Duration::from_secs(30);

/// Duration of an operation that a later one overtakes.
const OVERTAKEN: Duration = Duration::from_secs(2);

/// A sink in front of another.
pub struct FaultySink {
    inner: Arc<dyn DatasetSink>,
    faults: Faults,
}

impl FaultySink {
    /// In front of a sink.
    pub fn new(inner: Arc<dyn DatasetSink>, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// Does something as planned; `again` does it once more.
    async fn strike<'a, T>(
        &'a self,
        site: Site,
        action: &'static str,
        path: String,
        work: impl Fn() -> SinkFuture<'a, T>,
    ) -> Result<T, SinkError> {
        let remote = |reason: &str| SinkError::Remote {
            action,
            path: path.clone(),
            reason: format!("{reason} (injected)"),
            hint: "run the same command again: it resumes where it stopped",
            is_refusal: false,
        };
        let again = |reason: &str, action| SinkError::Custom {
            reason: format!("{reason} (injected)"),
            action,
        };
        let disk = |error: io::Error| SinkError::Io {
            action,
            path: path.clone(),
            source: error,
        };
        match self.faults.due(site) {
            Some(Kind::Transient) => Err(again("the connection was reset", Action::Retry)),
            Some(Kind::Throttle) => Err(again("the service is throttling", THROTTLE)),
            Some(Kind::AuthExpiry) => Err(remote("the login has expired")),
            Some(Kind::NoSpace) => Err(disk(io::ErrorKind::StorageFull.into())),
            Some(Kind::Io) => Err(disk(io::ErrorKind::Other.into())),
            Some(Kind::Hang) => pending().await,
            Some(Kind::AckLost) if site == Site::Publish => {
                work().await?;
                Err(remote("the connection was reset"))
            }
            Some(Kind::AckLost) => {
                work().await?;
                pending().await
            }
            Some(Kind::Slow) => after(SLOW, work()).await,
            Some(Kind::Reordered) => after(OVERTAKEN, work()).await,
            Some(Kind::Duplicate) => {
                work().await?;
                work().await
            }
            _ => work().await,
        }
    }
}

async fn after<T>(pause: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::sleep(pause).await;
    work.await
}

impl DatasetSink for FaultySink {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn block_bytes(&self) -> usize {
        self.inner.block_bytes()
    }

    fn operation_timeout(&self) -> Option<Duration> {
        self.inner.operation_timeout()
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        self.inner.claim(dataset, claim)
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        let path = block.path.clone();
        let work = move || self.inner.stage(block.clone());
        async move { self.strike(Site::Stage, "write", path, work).await }.boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        let path = file.path.clone();
        let work = move || self.inner.commit(file.clone());
        async move { self.strike(Site::Commit, "commit", path, work).await }.boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        let work = move || self.inner.publish(dataset, manifest.clone());
        let path = dataset.to_owned();
        async move { self.strike(Site::Publish, "publish", path, work).await }.boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        self.inner.release(dataset)
    }

    fn read_claim<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        self.inner.read_claim(dataset)
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        self.inner.revoke(dataset, run_id)
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        self.inner.flush()
    }

    fn put_sidecar<'a>(&'a self, name: &'a str, document: Vec<u8>) -> SinkFuture<'a, ()> {
        self.inner.put_sidecar(name, document)
    }
}
