//! A sink in memory of which a test decides what becomes of each call.

use futures_util::FutureExt;
use gleaner::sink::{Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, SinkFuture};
use gleaner::testing::MemorySink;

/// When a hook is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    /// It has taken effect.
    After,
}

type Hook = dyn Fn(&'static str, &str, When) -> SinkFuture<'static, ()> + Send + Sync;

/// Asks its hook before and after every call, with the call's name and what it is for.
pub struct HookedSink {
    inner: MemorySink,
    hook: Box<Hook>,
}

impl HookedSink {
    pub fn new(
        inner: MemorySink,
        hook: impl Fn(&'static str, &str, When) -> SinkFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        let hook = Box::new(hook);
        Self { inner, hook }
    }

    fn call<'a, T: Send + 'a>(
        &'a self,
        name: &'static str,
        what: String,
        call: SinkFuture<'a, T>,
    ) -> SinkFuture<'a, T> {
        async move {
            (self.hook)(name, &what, When::Before).await?;
            let done = call.await?;
            (self.hook)(name, &what, When::After).await?;
            Ok(done)
        }
        .boxed()
    }
}

impl DatasetSink for HookedSink {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn block_bytes(&self) -> usize {
        self.inner.block_bytes()
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        let call = self.inner.claim(dataset, claim);
        self.call("claim", dataset.to_owned(), call)
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        let what = format!("{}#{}", block.path, block.index);
        let call = self.inner.stage(block);
        self.call("stage", what, call)
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        let what = file.path.clone();
        let call = self.inner.commit(file);
        self.call("commit", what, call)
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        let call = self.inner.publish(dataset, manifest);
        self.call("publish", dataset.to_owned(), call)
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        let call = self.inner.release(dataset);
        self.call("release", dataset.to_owned(), call)
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        let call = self.inner.revoke(dataset, run_id);
        self.call("revoke", dataset.to_owned(), call)
    }

    /// Kept nowhere: a sink in memory has datasets alone.
    fn put_sidecar<'a>(&'a self, name: &'a str, _: Vec<u8>) -> SinkFuture<'a, ()> {
        self.call("put_sidecar", name.to_owned(), async { Ok(()) }.boxed())
    }
}
