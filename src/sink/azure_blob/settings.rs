//! `[sink.azure_blob]`, checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::azure::Credential;

/// The hint for a missing container.
pub const NO_CONTAINER: &str = "there is no such container: correct --out az://ACCOUNT/CONTAINER/PREFIX, or have it made; then run the same command again";

/// `[sink.azure_blob]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureBlob {
    /// The storage account.
    pub account: String,
    /// The container.
    pub container: String,
    /// Before the dataset's name; empty, or without `/` at its ends.
    pub prefix: String,
    /// The endpoint of a sovereign cloud or an emulator; empty: the public cloud.
    pub endpoint: String,
    /// The way to log in.
    pub credential: BlobCredential,
    /// The length of a block, in bytes.
    pub block: usize,
    /// The checksum that is sent with every block, for the service to check.
    pub checksum: Checksum,
    /// Time limit of one request, the transfer of its block included.
    pub timeout: Duration,
    /// Length of an outage after which the run gives up.
    pub retry_timeout: Duration,
}

/// Ways to log in to Azure Blob Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobCredential {
    /// With tokens; they need https.
    Login(Credential),
    /// With a shared access signature from this file, or else from `AZURE_STORAGE_SAS_TOKEN`.
    Sas(Option<PathBuf>),
}

/// A checksum of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-64/NVME: nearly free. Emulators do not check it.
    Crc64,
    /// MD5: 1.4 core-seconds for a gigabyte.
    Md5,
}
