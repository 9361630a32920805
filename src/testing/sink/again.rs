//! The sink under test as a run calls it: a call is made again when its error asks for it.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::domain::scheduling::retry::{Backoff, RetryPolicy, Tries};
use crate::sink::{
    Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, SinkError, SinkFuture,
};

/// As often as a run asks by default, and without its pauses.
const POLICY: RetryPolicy = RetryPolicy {
    backoff: Backoff {
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    },
    max_attempts: 5,
    max_throttled: Duration::from_secs(60),
};

/// Throttled calls of which the kit waits for none.
const MAX_THROTTLES: u32 = 20;

pub(super) struct Again(pub Box<dyn DatasetSink>);

async fn again<T, F>(
    action: &'static str,
    path: &str,
    call: impl Fn(u32) -> F,
) -> Result<T, SinkError>
where
    F: Future<Output = Result<T, SinkError>>,
{
    let mut tries = Tries::default();
    loop {
        let error = match call(tries.count()).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let wait = tries.after(error.action(), &POLICY, 0.0);
        if wait.is_none() && tries.count() == 0 {
            return Err(error);
        }
        if wait.is_none() || tries.count() > MAX_THROTTLES {
            return Err(SinkError::GivenUp {
                action,
                path: path.to_owned(),
                attempts: tries.count(),
                source: Box::new(error),
            });
        }
    }
}

impl DatasetSink for Again {
    fn location(&self) -> String {
        self.0.location()
    }

    fn block_bytes(&self) -> usize {
        self.0.block_bytes()
    }

    fn operation_timeout(&self) -> Option<Duration> {
        self.0.operation_timeout()
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        again("claim", dataset, |_| self.0.claim(dataset, claim)).boxed()
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        async move { again("stage", &block.path, |_| self.0.stage(block.clone())).await }.boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        async move { again("commit", &file.path, |_| self.0.commit(file.clone())).await }.boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        let publish = move |before| {
            let publishing = self.0.publish(dataset, manifest.clone());
            async move {
                match publishing.await {
                    // The answer to the first was lost, as a run finds out by its claim.
                    Err(SinkError::Exists(_)) if before > 0 => Ok(()),
                    published => published,
                }
            }
        };
        async move { again("publish", dataset, publish).await }.boxed()
    }

    fn renames(&self) -> bool {
        self.0.renames()
    }

    fn rename<'a>(&'a self, dataset: &'a str, from: &'a str, to: &'a str) -> SinkFuture<'a, ()> {
        again("rename", from, |_| self.0.rename(dataset, from, to)).boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        again("release", dataset, |_| self.0.release(dataset)).boxed()
    }

    fn read_claim<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        again("read the claim of", dataset, |_| self.0.read_claim(dataset)).boxed()
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        again("revoke", dataset, |_| self.0.revoke(dataset, run_id)).boxed()
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        self.0.flush()
    }

    fn put_sidecar<'a>(&'a self, name: &'a str, document: Vec<u8>) -> SinkFuture<'a, ()> {
        let put = move |_| self.0.put_sidecar(name, document.clone());
        async move { again("put", name, put).await }.boxed()
    }
}
