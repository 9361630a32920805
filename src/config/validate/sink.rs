//! `[sink]`: where the dataset goes.

use std::path::PathBuf;

use super::values::{bad, bytes, choice, duration, text};
use crate::azure::Credential;
use crate::config::raw;
use crate::config::settings::{Format, Sink, SinkTarget, SortKeys};
use crate::config::{ConfigError, NO_AZURE};
use crate::sink::address::Address;
use crate::sink::azure_blob::settings::{AzureBlob, BlobCredential, Checksum};

pub(super) fn sink(sink: raw::Sink) -> Result<Sink, ConfigError> {
    let format = [("json", Format::Json), ("jsonl", Format::Jsonl)];
    let sort_keys = [("auto", SortKeys::Auto), ("always", SortKeys::Always)];
    let local = choice(
        "sink.kind",
        sink.kind,
        &[("local", true), ("azure_blob", false)],
    )?;
    let target = if local {
        let path = text(sink.local.unwrap_or_default().path);
        match Address::parse(&path)? {
            Address::Folder(folder) => SinkTarget::Local(folder),
            Address::Blob(_) => {
                let reason =
                    "it must be a folder; for a container set sink.azure_blob, or use --out";
                return Err(bad("sink.local.path", path, reason));
            }
        }
    } else if cfg!(not(feature = "azure")) {
        return Err(bad("sink.kind", "azure_blob", NO_AZURE));
    } else {
        SinkTarget::AzureBlob(azure_blob(sink.azure_blob.unwrap_or_default())?)
    };
    Ok(Sink {
        target,
        format: choice("sink.format", sink.format, &format)?,
        sort_keys: choice("sink.sort_keys", sink.sort_keys, &sort_keys)?,
    })
}

/// The longest block that the service takes is larger; this many are in memory at once for each
/// uploader, and a file has at most 50,000 of them.
const BLOCK_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=100 << 20;

fn azure_blob(blob: raw::AzureBlob) -> Result<AzureBlob, ConfigError> {
    let login = |kind| BlobCredential::Login(kind);
    let sas_file = text(blob.sas_file);
    let sas = BlobCredential::Sas((!sas_file.is_empty()).then(|| PathBuf::from(sas_file)));
    let credentials = [
        ("developer_tools", login(Credential::DeveloperTools)),
        ("managed_identity", login(Credential::ManagedIdentity)),
        ("workload_identity", login(Credential::WorkloadIdentity)),
        ("client_secret", login(Credential::ClientSecret)),
        ("sas", sas),
    ];
    let (account, container) = (text(blob.account), text(blob.container));
    check_names(&account, &container)?;
    let prefix = prefix(&text(blob.prefix))?;
    let block = bytes("sink.azure_blob.block", blob.block)?;
    if !BLOCK_BYTES.contains(&block) {
        let reason = "it must be between 64 KiB and 100 MiB";
        return Err(bad("sink.azure_blob.block", block, reason));
    }
    let checksums = [("crc64", Checksum::Crc64), ("md5", Checksum::Md5)];
    Ok(AzureBlob {
        account,
        container,
        prefix,
        endpoint: text(blob.endpoint),
        credential: choice("sink.azure_blob.credential", blob.credential, &credentials)?,
        block: block as usize,
        checksum: choice("sink.azure_blob.checksum", blob.checksum, &checksums)?,
        timeout: duration("sink.azure_blob.timeout", &text(blob.timeout))?,
        retry_timeout: duration("sink.azure_blob.retry_timeout", &text(blob.retry_timeout))?,
    })
}

fn check_names(account: &str, container: &str) -> Result<(), ConfigError> {
    let is_name = |name: &str, dash: bool| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || dash && c == '-';
        (3..=63).contains(&name.len()) && name.chars().all(fits)
    };
    if !is_name(account, false) || account.len() > 24 {
        let reason = "an account's name has 3 to 24 lower-case letters and digits; write --out az://ACCOUNT/CONTAINER/PREFIX";
        return Err(bad("sink.azure_blob.account", account, reason));
    }
    let odd = container.starts_with('-') || container.ends_with('-') || container.contains("--");
    if !is_name(container, true) || odd {
        let reason = "a container's name has 3 to 63 lower-case letters, digits and single dashes between them";
        return Err(bad("sink.azure_blob.container", container, reason));
    }
    Ok(())
}

fn prefix(written: &str) -> Result<String, ConfigError> {
    let prefix = written.trim_matches('/').to_owned();
    let odd =
        |part: &str| part.is_empty() || part.ends_with('.') || part.contains(['?', '#', '\\']);
    if !prefix.is_empty() && prefix.split('/').any(odd) {
        let reason =
            "its parts between '/' must not be empty, end with a dot or have ? # \\ in them";
        // What stands behind a ? may be a signature.
        let shown = prefix.split(['?', '#']).next().unwrap_or_default();
        return Err(bad("sink.azure_blob.prefix", shown, reason));
    }
    Ok(prefix)
}
