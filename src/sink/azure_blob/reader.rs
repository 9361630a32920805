//! Reading a dataset back from a container.

use std::fmt;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::Arc;

use azure_core::Bytes;
use azure_core::http::{AsyncResponseBody, Etag};
use azure_storage_blob::BlobClient;
use azure_storage_blob::models::BlobClientDownloadOptions;
use futures_util::TryStreamExt;
use tokio::runtime::Runtime;

use super::super::SinkError;
use super::super::reader::DatasetReader;
use super::connect::Container;
use super::failure::failed;
use crate::config::settings::AzureBlob as Settings;

/// What is asked for at once. Two pieces are in memory.
const PIECE: NonZeroUsize = NonZeroUsize::new(4 << 20).expect("not zero");

/// How often a body may break off before anything of it has come.
const BREAKS: u32 = 5;

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
            .map_err(|error| self.told(path, &error))
    }

    fn told(&self, path: &str, error: &azure_core::Error) -> io::Error {
        told(self.container.told(&self.dataset, path), error)
    }
}

fn told(path: String, error: &azure_core::Error) -> io::Error {
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
        let mut files = listed.map_err(|error| self.told("", &error))?;
        files.retain(|path| !path.split('/').any(|part| part.starts_with('.')));
        Ok(files)
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.properties(path)?.map(|(length, _)| length))
    }

    fn stored_sha256(&self, path: &str) -> io::Result<Option<String>> {
        Ok(self.properties(path)?.and_then(|(_, sha256)| sha256))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(
            BlobFile {
                blob: self.container.blob(&self.dataset, path),
                body: None,
                etag: None,
                position: 0,
                breaks: 0,
                piece: Bytes::new(),
                path: self.container.told(&self.dataset, path),
                runtime: Arc::clone(&self.runtime),
            }
            .opened()?,
        ))
    }
}

/// A file that is being downloaded. A body that breaks off is asked for from there on.
struct BlobFile {
    blob: BlobClient,
    body: Option<AsyncResponseBody>,
    /// Of the blob as it was when reading began.
    etag: Option<Etag>,
    /// Bytes that came.
    position: u64,
    /// How often it broke off since something came.
    breaks: u32,
    piece: Bytes,
    path: String,
    runtime: Arc<Runtime>,
}

impl BlobFile {
    fn opened(mut self) -> io::Result<Self> {
        self.body = Some(
            self.ask()
                .map_err(|error| told(self.path.clone(), &error))?,
        );
        Ok(self)
    }

    /// Asks for what has not come yet.
    fn ask(&mut self) -> azure_core::Result<AsyncResponseBody> {
        let options = BlobClientDownloadOptions {
            parallel: Some(const { NonZeroUsize::new(2).expect("not zero") }),
            partition_size: Some(PIECE),
            range: (self.position > 0).then(|| (self.position..).into()),
            if_match: self.etag.clone(),
            ..BlobClientDownloadOptions::default()
        };
        let download = self.runtime.block_on(self.blob.download(Some(options)))?;
        self.etag = download.properties.etag;
        Ok(download.body)
    }

    /// The next piece; `None` at the end.
    fn next(&mut self) -> azure_core::Result<Option<Bytes>> {
        loop {
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    let body = self.ask()?;
                    self.body.insert(body)
                }
            };
            match self.runtime.block_on(body.try_next()) {
                Err(error) if error.http_status().is_none() && self.breaks < BREAKS => {
                    tracing::warn!(path = %self.path, at = self.position, "a download broke off and goes on");
                    self.breaks += 1;
                    self.body = None;
                }
                other => return other,
            }
        }
    }
}

impl Read for BlobFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.next() {
                Ok(Some(piece)) => {
                    self.position += piece.len() as u64;
                    self.breaks = 0;
                    self.piece = piece;
                }
                Ok(None) => return Ok(0),
                Err(error) => return Err(told(self.path.clone(), &error)),
            }
        }
        let n = buffer.len().min(self.piece.len());
        buffer[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}
