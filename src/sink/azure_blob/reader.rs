//! Reading a dataset back from a container.

use std::fmt;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::Arc;

use azure_core::Bytes;
use azure_core::http::AsyncResponseBody;
use azure_storage_blob::models::BlobClientDownloadOptions;
use futures_util::TryStreamExt;
use tokio::runtime::Runtime;

use super::super::SinkError;
use super::super::reader::DatasetReader;
use super::connect::Container;
use super::failure::failed;
use crate::sink::azure_blob::settings::AzureBlob as Settings;

/// Bytes of one request. Two pieces are in memory.
const PIECE: NonZeroUsize = NonZeroUsize::new(4 << 20).expect("not zero");

/// A dataset in a container. It waits for the service: not to be used on a runtime's own threads.
pub struct BlobDataset {
    container: Container,
    dataset: String,
    runtime: Arc<Runtime>,
}

impl fmt::Debug for BlobDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobDataset")
            .field("location", &self.location())
            .finish_non_exhaustive()
    }
}

impl BlobDataset {
    /// The dataset of a name under the settings' prefix.
    ///
    /// # Errors
    /// If an address or a credential cannot be used.
    pub fn new(settings: &Settings, dataset: &str) -> Result<Self, SinkError> {
        let unusable = |reason| SinkError::Unusable {
            location: format!("az://{}/{}", settings.account, settings.container),
            reason,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            container: Container::new(settings).map_err(unusable)?,
            dataset: dataset.to_owned(),
            runtime: Arc::new(runtime),
        })
    }

    fn properties(&self, path: &str) -> io::Result<Option<(u64, Option<String>)>> {
        let asked = self.container.properties(&self.dataset, path);
        self.runtime
            .block_on(asked)
            .map_err(|error| self.describe_error(path, &error))
    }

    fn describe_error(&self, path: &str, error: &azure_core::Error) -> io::Error {
        describe_error(self.container.display_path(&self.dataset, path), error)
    }
}

fn describe_error(path: String, error: &azure_core::Error) -> io::Error {
    match failed("read", path, error) {
        SinkError::Remote { reason, hint, .. } => io::Error::other(format!("{reason}; {hint}")),
        other => io::Error::other(other),
    }
}

impl DatasetReader for BlobDataset {
    fn location(&self) -> String {
        format!("{}/{}", self.container.location, self.dataset)
    }

    fn files(&self) -> io::Result<Vec<String>> {
        let prefix = self.container.name(&self.dataset, "");
        let listed = self.runtime.block_on(self.container.list(&prefix));
        let mut files = listed.map_err(|error| self.describe_error("", &error))?;
        files.retain(|path| !path.split('/').any(|part| part.starts_with('.')));
        Ok(files)
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.properties(path)?.map(|(length, _)| length))
    }

    fn keeps_digests(&self) -> bool {
        true
    }

    fn stored_sha256(&self, path: &str) -> io::Result<Option<String>> {
        Ok(self.properties(path)?.and_then(|(_, sha256)| sha256))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        let blob = self.container.blob(&self.dataset, path);
        let options = BlobClientDownloadOptions {
            parallel: Some(const { NonZeroUsize::new(2).expect("not zero") }),
            partition_size: Some(PIECE),
            ..BlobClientDownloadOptions::default()
        };
        let download = self.runtime.block_on(blob.download(Some(options)));
        Ok(Box::new(BlobFile {
            body: download
                .map_err(|error| self.describe_error(path, &error))?
                .body,
            piece: Bytes::new(),
            path: self.container.display_path(&self.dataset, path),
            runtime: Arc::clone(&self.runtime),
        }))
    }
}

/// A file that is being downloaded.
struct BlobFile {
    body: AsyncResponseBody,
    piece: Bytes,
    path: String,
    runtime: Arc<Runtime>,
}

impl Read for BlobFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.body.try_next()) {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => return Ok(0),
                Err(error) => return Err(describe_error(self.path.clone(), &error)),
            }
        }
        let n = buffer.len().min(self.piece.len());
        buffer[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}
