//! A container of Azure Blob Storage.
//!
//! A file is a block blob: its blocks are staged, and committed under `If-None-Match: *`, so that
//! nothing is ever overwritten. The blob's metadata keep its SHA-256. A block's id says its index,
//! its length and its CRC-64: what an earlier start of the run has staged is found by its id and not
//! sent again, and a file that it has committed is compared, not sent.
//!
//! A conditional write is ambiguous when its answer is lost: the retry is answered that
//! something is there. What is there is then read back and compared.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::Bytes;
use azure_core::http::RequestContent;
use azure_storage_blob::models::{
    BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockOptions,
    BlockBlobClientUploadOptions, BlockListType, BlockLookupList,
};
use tokio::sync::OnceCell;

use super::claim::{self, CLAIM, Granted};
use super::{Block, BlockReceipt, Claim, ClaimRecord, FileCommit, MANIFEST, SinkError};
use crate::runtime::blocking;
use crate::sink::azure_blob::settings::{AzureBlob as Settings, Checksum};

mod connect;
mod dataset_sink;
mod failure;
mod reader;
mod retry_policy;
pub mod settings;
mod sums;
#[cfg(test)]
mod tests;

pub use reader::BlobDataset;

use connect::Container;
use failure::{Meaning, failed, meaning};
use sums::Sums;

/// The key of a file's digest in its blob's metadata.
const SHA256: &str = "sha256";

/// Number of times that a claim reads the folder again when others claim at the same moment.
const CLAIM_LOOKS: usize = 8;

/// Attempts to send a block that arrives damaged. A connection that damages more is broken.
const SENDS: usize = 5;

/// As many blocks has a file at most, says the service.
const BLOCKS: u32 = 50_000;
/// Time for a block besides its requests.
const MARGIN: Duration = Duration::from_secs(60);

/// A container that holds datasets.
#[derive(Debug)]
pub struct AzureBlob {
    container: Container,
    block_bytes: usize,
    checksum: Checksum,
    /// Time for a block or a commit: two requests, each with all its attempts.
    operation_timeout: Duration,
    /// Files that earlier starts left, by dataset and path.
    found: Mutex<BTreeMap<(String, String), Look>>,
    /// The claims that commits are checked against.
    granted: Granted,
}

/// The state of a file after earlier starts; requested once.
type Look = Arc<OnceCell<Found>>;

/// The state of a file after earlier starts.
#[derive(Debug, Default)]
struct Found {
    committed: bool,
    /// Lengths of staged blocks, by id.
    staged: BTreeMap<Vec<u8>, u64>,
}

impl AzureBlob {
    /// The container of the settings. Nothing is sent before the first claim.
    ///
    /// # Errors
    /// If an address or a credential cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SinkError> {
        let container = Container::new(settings).map_err(|reason| SinkError::Unusable {
            location: format!("az://{}/{}", settings.account, settings.container),
            reason,
        })?;
        Ok(Self {
            container,
            block_bytes: settings.block,
            checksum: settings.checksum,
            operation_timeout: 2 * (settings.timeout + settings.retry_timeout) + MARGIN,
            found: Mutex::default(),
            granted: Granted::default(),
        })
    }

    async fn claim_now(&self, dataset: &str, mine: &ClaimRecord) -> Result<Claim, SinkError> {
        let name = self.name(dataset);
        // The first request is the probe: it fails soon if the service cannot be reached.
        if let Some(manifest) = self.read(dataset, MANIFEST, true).await? {
            return claim::published(&name, manifest, mine);
        }
        let record = serde_json::to_vec_pretty(mine).unwrap_or_default();
        for _ in 0..CLAIM_LOOKS {
            if let Some(text) = self.read(dataset, CLAIM, false).await? {
                let claimed = claim::claimed(&name, &text, mine)?;
                // Another run may have published before this claim was put.
                return match self.read(dataset, MANIFEST, false).await? {
                    Some(manifest) => claim::published(&name, manifest, mine),
                    None => Ok(claimed),
                };
            }
            if let Some(found) = self.stray(dataset).await? {
                return match self.read(dataset, MANIFEST, false).await? {
                    Some(manifest) => claim::published(&name, manifest, mine),
                    None => Err(claim::stray(&name, &found)),
                };
            }
            if !self.put_new(dataset, CLAIM, record.clone()).await? {
                continue;
            }
            // Another run may have claimed, published and released since the last read.
            if self.stray(dataset).await?.is_none() {
                return Ok(Claim::Granted);
            }
            self.remove(dataset, CLAIM).await?;
        }
        Err(SinkError::Unwritable {
            location: name,
            reason: "other runs claim it and give it back again and again".to_owned(),
        })
    }

    /// A file that lies in a dataset's folder and is not the claim.
    async fn stray(&self, dataset: &str) -> Result<Option<String>, SinkError> {
        let prefix = self.container.name(dataset, "");
        let names = self.container.list(&prefix).await;
        let names = names.map_err(|error| self.failed("list", dataset, "", &error))?;
        Ok(names.into_iter().find(|name| name != CLAIM))
    }

    /// The bytes of a small file; `None` if it is not there.
    async fn read(
        &self,
        dataset: &str,
        path: &str,
        probe: bool,
    ) -> Result<Option<Vec<u8>>, SinkError> {
        let blob = match probe {
            true => self.container.probe(dataset, path),
            false => self.container.blob(dataset, path),
        };
        let read = async { blob.download(None).await?.body.collect().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if meaning(&error) == Meaning::NoBlob => Ok(None),
            Err(error) => Err(self.failed("read", dataset, path, &error)),
        }
    }

    /// Puts a small file where none is; `false` if there is one.
    async fn put_new(&self, dataset: &str, path: &str, bytes: Vec<u8>) -> Result<bool, SinkError> {
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some(content_type(path).to_owned()),
            ..BlockBlobClientUploadOptions::default().if_not_exists()
        };
        // One request up to some hundred megabytes: whole, or not there.
        let content = Bytes::from(bytes).into();
        let blob = self.container.blocks(dataset, path);
        match blob.upload(content, Some(options)).await {
            Ok(_) => Ok(true),
            Err(error) if meaning(&error) == Meaning::Exists => Ok(false),
            Err(error) => Err(self.failed("write", dataset, path, &error)),
        }
    }

    async fn remove(&self, dataset: &str, path: &str) -> Result<(), SinkError> {
        match self.container.blob(dataset, path).delete(None).await {
            Err(error) if meaning(&error) != Meaning::NoBlob => {
                Err(self.failed("remove", dataset, path, &error))
            }
            _ => Ok(()),
        }
    }

    /// The dataset still belongs to the run that this sink was claimed for.
    async fn check_claim(&self, dataset: &str) -> Result<(), SinkError> {
        let Some(mine) = self.granted.of(dataset) else {
            return Ok(());
        };
        let there = self.read(dataset, CLAIM, false).await?;
        claim::still_held(&self.name(dataset), there.as_deref(), &mine)
    }

    /// A dataset's address, for a person.
    fn name(&self, dataset: &str) -> String {
        format!("{}/{dataset}", self.container.location)
    }

    async fn revoke_now(&self, dataset: &str, run_id: &str) -> Result<(), SinkError> {
        let there = self.read(dataset, CLAIM, false).await?;
        if !claim::may_revoke(&self.name(dataset), there.as_deref(), run_id)? {
            return Ok(());
        }
        if self.read(dataset, MANIFEST, false).await?.is_none() {
            let names = self.container.list(&self.container.name(dataset, "")).await;
            let names = names.map_err(|error| self.failed("list", dataset, "", &error))?;
            for name in names.iter().filter(|name| *name != CLAIM) {
                self.remove(dataset, name).await?;
            }
        }
        // Last: until it is removed, no other run can claim the folder.
        self.remove(dataset, CLAIM).await
    }

    /// The state of a file after earlier starts; requested once.
    async fn look(&self, dataset: &str, path: &str) -> Result<Look, SinkError> {
        let key = (dataset.to_owned(), path.to_owned());
        let cell = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(found.entry(key).or_default())
        };
        let ask = || async {
            let blob = self.container.blocks(dataset, path);
            let list = blob.get_block_list(BlockListType::All, None).await;
            let list = list.and_then(|list| list.into_model());
            let list = match list {
                Err(error) if meaning(&error) == Meaning::NoBlob => {
                    return Ok::<_, SinkError>(Found::default());
                }
                list => list.map_err(|error| self.failed("look at", dataset, path, &error))?,
            };
            let staged = list.uncommitted_blocks.unwrap_or_default().into_iter();
            Ok(Found {
                committed: list
                    .committed_blocks
                    .is_some_and(|blocks| !blocks.is_empty()),
                staged: staged
                    .filter_map(|block| Some((block.name?, u64::try_from(block.size?).ok()?)))
                    .collect(),
            })
        };
        cell.get_or_try_init(ask).await?;
        Ok(cell)
    }

    async fn stage_now(&self, block: Block) -> Result<BlockReceipt, SinkError> {
        let Block {
            dataset,
            path,
            index,
            bytes,
            ..
        } = block;
        if index >= BLOCKS {
            return Err(SinkError::Unusable {
                location: self.container.display_path(&dataset, &path),
                reason: format!(
                    "a file has at most {BLOCKS} blocks: raise sink.azure_blob.block, and start over with --fresh"
                ),
            });
        }
        let length = bytes.len() as u64;
        let (content, checksum) = (bytes.clone(), self.checksum);
        let summed = blocking(move || Sums::of(&content, checksum)).await?;
        let id = summed.id(index, length);
        let cell = self.look(&dataset, &path).await?;
        let left =
            |found: &Found| found.committed || found.staged.get(id.as_bytes()) == Some(&length);
        let sent = !cell.get().is_some_and(left);
        if sent {
            self.send(&dataset, &path, &id, bytes, summed).await?;
        }
        Ok(BlockReceipt {
            index,
            bytes: length,
            id,
            sent,
        })
    }

    /// Sends a block, again if it comes to the service damaged.
    async fn send(
        &self,
        dataset: &str,
        path: &str,
        id: &str,
        bytes: Bytes,
        sums: Sums,
    ) -> Result<(), SinkError> {
        let options = BlockBlobClientStageBlockOptions {
            transactional_content_crc64: sums.md5.is_none().then(|| sums.crc64.to_vec()),
            transactional_content_md5: sums.md5,
            ..BlockBlobClientStageBlockOptions::default()
        };
        let blob = self.container.blocks(dataset, path);
        let mut sends = 1;
        loop {
            let (content, options) = (bytes.clone().into(), options.clone());
            let length = bytes.len() as u64;
            let sent = blob.stage_block(id.as_bytes(), length, content, Some(options));
            match sent.await {
                Ok(_) => return Ok(()),
                Err(error) if meaning(&error) == Meaning::Damaged && sends < SENDS => {
                    tracing::warn!(
                        path,
                        block = id,
                        "a block arrived damaged and is sent again"
                    );
                    sends += 1;
                }
                Err(error) => {
                    return Err(self.failed("write a block of", dataset, path, &error));
                }
            }
        }
    }

    async fn commit_now(&self, file: &FileCommit) -> Result<(), SinkError> {
        let (dataset, path) = (file.dataset.as_str(), file.path.as_str());
        if !file.is_whole() {
            return Err(SinkError::Unwritable {
                location: self.container.display_path(dataset, path),
                reason: "the blocks are not the whole file".to_owned(),
            });
        }
        let ids = file
            .blocks
            .iter()
            .map(|block| block.id.clone().into_bytes());
        let blocks = BlockLookupList {
            latest: Some(ids.collect()),
            ..BlockLookupList::default()
        };
        let options = BlockBlobClientCommitBlockListOptions {
            blob_content_type: Some(content_type(path).to_owned()),
            if_none_match: Some("*".into()),
            metadata: Some(HashMap::from([(SHA256.to_owned(), file.sha256.clone())])),
            ..BlockBlobClientCommitBlockListOptions::default()
        };
        let blob = self.container.blocks(dataset, path);
        let committed = match RequestContent::try_from(blocks) {
            Ok(blocks) => blob.commit_block_list(blocks, Some(options)).await,
            Err(error) => Err(error),
        };
        let Err(error) = committed else {
            self.forget(dataset, path);
            return Ok(());
        };
        self.forget(dataset, path);
        match meaning(&error) {
            // Perhaps by this very commit, whose answer was lost.
            Meaning::Exists | Meaning::Refused => {
                let there = self.container.properties(dataset, path).await;
                match there.map_err(|error| self.failed("look at", dataset, path, &error))? {
                    Some((length, sha256))
                        if length == file.bytes && sha256.as_ref() == Some(&file.sha256) =>
                    {
                        Ok(())
                    }
                    Some(_) => Err(SinkError::Conflict {
                        path: self.container.display_path(dataset, path),
                    }),
                    None => Err(self.failed("commit", dataset, path, &error)),
                }
            }
            _ => Err(self.failed("commit", dataset, path, &error)),
        }
    }

    /// Another start of the file looks again.
    fn forget(&self, dataset: &str, path: &str) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.remove(&(dataset.to_owned(), path.to_owned()));
    }

    async fn publish_now(&self, dataset: &str, manifest: Vec<u8>) -> Result<(), SinkError> {
        if self.put_new(dataset, MANIFEST, manifest.clone()).await? {
            return Ok(());
        }
        // These very bytes, with the run's id in them: they came from here, and the answer was lost.
        match self.read(dataset, MANIFEST, false).await? {
            Some(found) if found == manifest => Ok(()),
            _ => Err(SinkError::Exists(self.name(dataset))),
        }
    }

    fn failed(
        &self,
        action: &'static str,
        dataset: &str,
        path: &str,
        error: &azure_core::Error,
    ) -> SinkError {
        failed(action, self.container.display_path(dataset, path), error)
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        Some((_, "jsonl")) => "application/x-ndjson",
        Some((_, "html")) => "text/html; charset=utf-8",
        _ => "text/plain",
    }
}
