//! Methods of a sink in front of another that only pass on what they are asked, by name.

/// Writes these methods of `DatasetSink`: each asks `self.inner`.
macro_rules! forward_to_inner {
    ($($method:ident),* $(,)?) => { $(crate::forward::forward_to_inner!(@ $method);)* };
    (@ location) => {
        fn location(&self) -> String {
            self.inner.location()
        }
    };
    (@ block_bytes) => {
        fn block_bytes(&self) -> usize {
            self.inner.block_bytes()
        }
    };
    (@ claim) => {
        fn claim<'a>(
            &'a self,
            dataset: &'a str,
            claim: &'a ::gleaner::sink::ClaimRecord,
        ) -> ::futures_util::future::BoxFuture<'a, Result<::gleaner::sink::Claim, ::gleaner::sink::SinkError>> {
            self.inner.claim(dataset, claim)
        }
    };
    (@ stage) => {
        fn stage(
            &self,
            block: ::gleaner::sink::Block,
        ) -> ::futures_util::future::BoxFuture<'_, Result<::gleaner::sink::BlockReceipt, ::gleaner::sink::SinkError>> {
            self.inner.stage(block)
        }
    };
    (@ commit) => {
        fn commit(
            &self,
            file: ::gleaner::sink::FileCommit,
        ) -> ::futures_util::future::BoxFuture<'_, Result<(), ::gleaner::sink::SinkError>> {
            self.inner.commit(file)
        }
    };
    (@ publish) => {
        fn publish<'a>(
            &'a self,
            dataset: &'a str,
            manifest: Vec<u8>,
        ) -> ::futures_util::future::BoxFuture<'a, Result<(), ::gleaner::sink::SinkError>> {
            self.inner.publish(dataset, manifest)
        }
    };
    (@ release) => {
        fn release<'a>(
            &'a self,
            dataset: &'a str,
        ) -> ::futures_util::future::BoxFuture<'a, Result<(), ::gleaner::sink::SinkError>> {
            self.inner.release(dataset)
        }
    };
}

pub(crate) use forward_to_inner;
