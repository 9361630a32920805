//! A container as a sink.

use std::time::Duration;

use azure_core::Bytes;
use azure_storage_blob::models::BlockBlobClientUploadOptions;
use futures_util::FutureExt;

use super::super::claim::{self, CLAIM};
use super::super::{Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, SinkFuture};
use super::{AzureBlob, content_type};

impl DatasetSink for AzureBlob {
    fn location(&self) -> String {
        self.container.location.clone()
    }

    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn operation_timeout(&self) -> Option<Duration> {
        Some(self.operation_timeout)
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        async move {
            let answer = self.claim_now(dataset, claim).await;
            self.granted.note(dataset, claim, &answer);
            answer
        }
        .boxed()
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        self.stage_now(block).boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        async move {
            self.check_claim(&file.dataset).await?;
            self.commit_now(&file).await
        }
        .boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        async move {
            self.check_claim(dataset).await?;
            self.publish_now(dataset, manifest).await
        }
        .boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        async move {
            self.remove(dataset, CLAIM).await?;
            self.granted.forget(dataset);
            Ok(())
        }
        .boxed()
    }

    fn read_claim<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        async move {
            let text = self.read(dataset, CLAIM, true).await?;
            text.map(|text| claim::parse(&self.name(dataset), &text))
                .transpose()
        }
        .boxed()
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        self.revoke_now(dataset, run_id).boxed()
    }

    fn put_sidecar<'a>(&'a self, name: &'a str, document: Vec<u8>) -> SinkFuture<'a, ()> {
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some(content_type(name).to_owned()),
            ..BlockBlobClientUploadOptions::default()
        };
        async move {
            let content = Bytes::from(document).into();
            let blob = self.container.beside(name);
            match blob.upload(content, Some(options)).await {
                Ok(_) => Ok(()),
                Err(error) => Err(self.failed("write", name, "", &error)),
            }
        }
        .boxed()
    }
}
