//! A client for one container.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_storage_blob::models::{
    BlobClientGetPropertiesResultHeaders, BlobContainerClientListBlobsOptions,
};
use azure_storage_blob::{
    BlobContainerClient, BlobServiceClient, BlobServiceClientOptions, BlockBlobClient,
};
use futures_util::TryStreamExt;
use reqwest::Url;
use reqwest::redirect::Policy;

use super::SHA256;
use super::failure::{Meaning, meaning};
use super::retry_policy::{DeadlineRetryPolicy, WholeAnswers};
use crate::azure;
use crate::secrets;
use crate::sink::address::display;
use crate::sink::azure_blob::settings::{AzureBlob, BlobCredential};

/// The environment variable with the shared access signature, if no file is named.
const SAS_VARIABLE: &str = "AZURE_STORAGE_SAS_TOKEN";

/// Time for which the first request may fail: a misspelt account must be reported at once.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A container and the folder in it that datasets go to.
pub struct Container {
    /// `az://ACCOUNT/CONTAINER/PREFIX`
    pub location: String,
    prefix: String,
    patient: BlobContainerClient,
    probe: BlobContainerClient,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The clients' addresses may have a signature in them.
        f.debug_struct("Container")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl Container {
    /// The container of the settings.
    ///
    /// # Errors
    /// Says what is wrong with the settings or the environment.
    pub fn new(settings: &AzureBlob) -> Result<Self, String> {
        match &settings.credential {
            BlobCredential::Login(kind) => {
                let hint = azure::login_hint(*kind);
                let credential =
                    azure::credential(*kind).map_err(|error| format!("{error}; {hint}"))?;
                Self::with(settings, Some(credential), None)
            }
            BlobCredential::Sas(_) => Self::with(settings, None, Some(signature(settings)?)),
        }
    }

    fn with(
        settings: &AzureBlob,
        credential: Option<Arc<dyn TokenCredential>>,
        signature: Option<String>,
    ) -> Result<Self, String> {
        let mut address = address(settings, credential.is_some())?;
        address.set_query(signature.as_deref());
        let http = azure::http_client()
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(30).min(settings.timeout))
            .timeout(settings.timeout);
        let http = match azure::is_loopback(&address) {
            true => http.no_proxy(),
            false => http,
        };
        let http = http.build().map_err(|_| "no client can be made")?;
        let client = |timeout: Duration| {
            let options = BlobServiceClientOptions {
                client_options: ClientOptions {
                    retry: RetryOptions::custom(Arc::new(DeadlineRetryPolicy::new(timeout))),
                    per_try_policies: vec![Arc::new(WholeAnswers::new(timeout))],
                    transport: Some(Transport::new(Arc::new(http.clone()))),
                    ..ClientOptions::default()
                },
                ..BlobServiceClientOptions::default()
            };
            BlobServiceClient::new(address.clone(), credential.clone(), Some(options))
                .map(|service| service.blob_container_client(&settings.container))
                .map_err(|_| "sink.azure_blob.endpoint is no address of a storage service")
        };
        let prefix = match settings.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self {
            location: location(settings),
            prefix,
            patient: client(settings.retry_timeout)?,
            probe: client(settings.retry_timeout.min(PROBE_TIMEOUT))?,
        })
    }

    /// The client of the container.
    #[cfg(test)]
    pub fn client(&self) -> &BlobContainerClient {
        &self.patient
    }

    /// The name of a file's blob.
    pub fn name(&self, dataset: &str, path: &str) -> String {
        format!("{}{dataset}/{path}", self.prefix)
    }

    /// The location of a file, for display.
    pub fn display_path(&self, dataset: &str, path: &str) -> String {
        format!("{}/{dataset}/{path}", self.location)
    }

    /// The blob of a file.
    pub fn blob(&self, dataset: &str, path: &str) -> azure_storage_blob::BlobClient {
        self.patient.blob_client(&self.name(dataset, path))
    }

    /// The blob of a file that is written in blocks.
    pub fn blocks(&self, dataset: &str, path: &str) -> BlockBlobClient {
        self.blob(dataset, path).block_blob_client()
    }

    /// A blob that belongs to no dataset.
    pub fn beside(&self, name: &str) -> BlockBlobClient {
        let name = format!("{}{name}", self.prefix);
        self.patient.blob_client(&name).block_blob_client()
    }

    /// The names of all blobs under a prefix, without it, in bytewise order.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn list(&self, prefix: &str) -> azure_core::Result<Vec<String>> {
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(prefix.to_owned()),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let mut items = self.patient.list_blobs(Some(options))?;
        let mut names = Vec::new();
        while let Some(item) = items.try_next().await? {
            let name = item
                .name
                .as_deref()
                .and_then(|name| name.strip_prefix(prefix));
            names.extend(name.map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// A file's length and the SHA-256 that is kept beside it; `None` if it is not there.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub async fn properties(
        &self,
        dataset: &str,
        path: &str,
    ) -> azure_core::Result<Option<(u64, Option<String>)>> {
        match self.blob(dataset, path).get_properties(None).await {
            Ok(found) => {
                let sha256 = found.metadata()?.remove(SHA256);
                Ok(Some((found.content_length()?.unwrap_or(0), sha256)))
            }
            Err(error) if meaning(&error) == Meaning::NoBlob => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The blob of a file, for a request that soon gives up.
    pub fn probe(&self, dataset: &str, path: &str) -> azure_storage_blob::BlobClient {
        self.probe.blob_client(&self.name(dataset, path))
    }
}

/// The location of datasets, for display and for `gleaner verify`.
fn location(settings: &AzureBlob) -> String {
    let AzureBlob {
        account,
        container,
        prefix,
        endpoint,
        ..
    } = settings;
    display(account, container, prefix, endpoint)
}

/// The address of the service, without any query.
fn address(settings: &AzureBlob, tokens: bool) -> Result<Url, String> {
    let text = match settings.endpoint.as_str() {
        "" => format!("https://{}.blob.core.windows.net/", settings.account),
        endpoint => endpoint.to_owned(),
    };
    let address: Url = text
        .parse()
        .map_err(|error| format!("sink.azure_blob.endpoint is no address: {error}"))?;
    if address.query().is_some() || !address.username().is_empty() || address.password().is_some() {
        return Err(
            "sink.azure_blob.endpoint must have nothing secret in it; put a signature into a file (sink.azure_blob.sas_file)"
                .to_owned(),
        );
    }
    match (address.scheme(), azure::is_loopback(&address)) {
        ("https", _) => Ok(address),
        ("http", true) if !tokens => Ok(address),
        ("http", true) => Err(
            "tokens are never sent over plain http: use https, or sink.azure_blob.credential = \"sas\""
                .to_owned(),
        ),
        _ => Err("sink.azure_blob.endpoint must begin with https://".to_owned()),
    }
}

fn signature(settings: &AzureBlob) -> Result<String, String> {
    let text = match &settings.credential {
        BlobCredential::Sas(Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            format!("sink.azure_blob.sas_file {}: {error}", path.display())
        })?,
        _ => std::env::var(SAS_VARIABLE).map_err(|_| {
            format!("no shared access signature: set {SAS_VARIABLE}, or name a file with sink.azure_blob.sas_file")
        })?,
    };
    let text = text.trim().trim_start_matches('?');
    match text.contains("sig=") && !text.contains(char::is_whitespace) {
        true => {
            secrets::register_sas(text);
            Ok(text.to_owned())
        }
        false => Err(
            "the shared access signature is none: it is the part of an address behind the \"?\", with sv=, se= and sig= in it"
                .to_owned(),
        ),
    }
}
