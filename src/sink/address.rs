//! Where a dataset is, as people write it: a folder, or a place in Azure Blob Storage. Pure.
//!
//! Four forms, schemes and hosts in any case:
//! - a folder;
//! - `az://ACCOUNT/CONTAINER/PREFIX`, as gleaner prints it;
//! - `https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX`, as the Azure portal shows it;
//! - `abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX`, as Spark takes it.
//!
//! Any other scheme is refused instead of becoming a folder's name, and so is a query: it may hold a
//! signature, which belongs into a file or the environment. An error never repeats what stands behind
//! `?` or `#`, or a password.

use std::path::PathBuf;

use thiserror::Error;

/// Hosts of blob storage, without the account: the public cloud first, then DNS zones of the public
/// cloud and the sovereign clouds.
const BLOB_SUFFIXES: [&str; 7] = [
    PUBLIC,
    "blob.storage.azure.net",
    "blob.core.chinacloudapi.cn",
    "blob.core.usgovcloudapi.net",
    "blob.core.cloudapi.de",
    "blob.core.microsoft.scloud",
    "blob.core.eaglex.ic.gov",
];

const PUBLIC: &str = "blob.core.windows.net";

/// The forms, for an error.
const FORMS: &str = "write a folder, az://ACCOUNT/CONTAINER/PREFIX, https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX or abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX";

/// The address of a dataset or of a folder of datasets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A place in a container.
    Blob(BlobAddress),
}

/// A place in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobAddress {
    /// The storage account.
    pub account: String,
    /// The container.
    pub container: String,
    /// Below the container, without `/` at its ends; may be empty.
    pub prefix: String,
    /// The endpoint in the address; `None` if it is written without a host (`az://`).
    pub endpoint: Option<String>,
}

/// A text that is no address. Holds nothing that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{shown}: {reason}")]
pub struct WrongAddress {
    /// The text without its query.
    pub shown: String,
    /// What is wrong with it.
    pub reason: &'static str,
    /// What the user can do.
    pub hint: &'static str,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// If it has an unknown scheme or host, names no container, or has a query.
    pub fn parse(text: &str) -> Result<Self, WrongAddress> {
        parse(text).map_err(|(reason, hint)| WrongAddress {
            shown: shown(text),
            reason,
            hint,
        })
    }
}

/// What is wrong with an address, and what the user can do.
type Wrong = (&'static str, &'static str);

fn parse(text: &str) -> Result<Address, Wrong> {
    let Some((scheme, rest)) = text.split_once("://") else {
        // An address with a signature and without its scheme is a mistake, not a folder.
        let query = text.split_once('?').map(|(_, query)| query);
        if query.is_some_and(|query| query.to_ascii_lowercase().contains("sig=")) {
            return Err((
                "an address must not have a query",
                "put the signature into AZURE_STORAGE_SAS_TOKEN or a file (sink.azure_blob.sas_file)",
            ));
        }
        return Ok(Address::Folder(PathBuf::from(text)));
    };
    if rest.contains(['?', '#']) {
        return Err((
            "an address must have no query and no fragment",
            "leave out what stands behind ? or #; a signature belongs into AZURE_STORAGE_SAS_TOKEN or a file (sink.azure_blob.sas_file)",
        ));
    }
    let blob = blob_address(&scheme.to_ascii_lowercase(), rest)?;
    let (account, container) = (&blob.account, &blob.container);
    if account.is_empty() || container.is_empty() {
        return Err(("it names no container", FORMS));
    }
    if !is_name(account) || !is_name(container) {
        return Err((
            "an account or container has letters, digits and - alone",
            FORMS,
        ));
    }
    if has_encoded_query(&blob.prefix) {
        return Err((
            "an address must have no query, not even an encoded one",
            "a signature belongs into AZURE_STORAGE_SAS_TOKEN or a file (sink.azure_blob.sas_file)",
        ));
    }
    Ok(Address::Blob(blob))
}

/// Takes an address apart as its scheme says; the names in it are not checked yet.
fn blob_address(scheme: &str, rest: &str) -> Result<BlobAddress, Wrong> {
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if scheme != "abfss" && host.contains('@') {
        return Err(("an address must have no user and no password", FORMS));
    }
    let no_host = ("no known host of blob storage", UNKNOWN_HOST);
    let of = |account: &str, endpoint: Option<String>, container: &str, prefix: &str| BlobAddress {
        account: account.to_owned(),
        container: container.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        endpoint,
    };
    match scheme {
        "az" => {
            let (container, prefix) = path.split_once('/').unwrap_or((path, ""));
            Ok(of(host, None, container, prefix))
        }
        "https" => {
            let (account, endpoint) = service(host, "blob").ok_or(no_host)?;
            let path = decode(path).ok_or(("its path is not percent-encoded UTF-8", FORMS))?;
            let (container, prefix) = path.split_once('/').unwrap_or((&path, ""));
            Ok(of(&account, Some(endpoint), container, prefix))
        }
        "abfss" => {
            let (container, host) = host
                .split_once('@')
                .ok_or(("it names no container", FORMS))?;
            let (account, endpoint) = service(host, "dfs").ok_or(no_host)?;
            Ok(of(&account, Some(endpoint), container, path))
        }
        _ => Err(("no scheme that gleaner knows", FORMS)),
    }
}

/// The hint for an unknown host.
const UNKNOWN_HOST: &str = "write az://ACCOUNT/CONTAINER/PREFIX, and set sink.azure_blob.endpoint to the address of the service";

impl BlobAddress {
    /// The place and the dataset's name in it; `None` if the address is that of a container.
    pub fn split_dataset(mut self) -> Option<(Self, String)> {
        let (prefix, dataset) = self.prefix.rsplit_once('/').unwrap_or(("", &self.prefix));
        let (prefix, dataset) = (prefix.trim_end_matches('/').to_owned(), dataset.to_owned());
        self.prefix = prefix;
        (!dataset.is_empty()).then_some((self, dataset))
    }
}

/// A place in a container as gleaner prints it: an address that [`Address::parse`] takes back. An
/// endpoint that is no known host (an emulator) is not part of it.
pub fn display(account: &str, container: &str, prefix: &str, endpoint: &str) -> String {
    let host = endpoint
        .strip_prefix("https://")
        .map(|rest| rest.trim_end_matches('/'))
        .filter(|host| service(host, "blob").is_some_and(|(of_host, _)| of_host == account));
    let shown = match host {
        Some(host) => format!("https://{host}/{container}/{prefix}"),
        None => format!("az://{account}/{container}/{prefix}"),
    };
    shown.trim_end_matches('/').to_owned()
}

/// The account of a host, and the endpoint of its blob service: empty in the public cloud. `kind` is
/// `blob` or `dfs`.
fn service(host: &str, kind: &str) -> Option<(String, String)> {
    let host = host.to_ascii_lowercase();
    let (account, rest) = host.split_once('.')?;
    // A DNS zone may stand between the account and the service: ACCOUNT.z12.blob.storage.azure.net.
    let is_zone = |zone: &str| {
        let digits = zone.strip_prefix('z').unwrap_or("");
        !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
    };
    let (zone, suffix) = match rest.split_once('.') {
        Some((zone, suffix)) if is_zone(zone) => (format!("{zone}."), suffix),
        _ => (String::new(), rest),
    };
    let of_blob = format!("blob{}", suffix.strip_prefix(kind)?);
    let is_known = BLOB_SUFFIXES.contains(&of_blob.as_str());
    let zoned = of_blob == "blob.storage.azure.net";
    if account.is_empty() || !is_known || zoned == zone.is_empty() {
        return None;
    }
    let endpoint = match of_blob.as_str() {
        PUBLIC => String::new(),
        _ => format!("https://{account}.{zone}{of_blob}/"),
    };
    Some((account.to_owned(), endpoint))
}

/// `%20` and the like decoded; `None` if that is no text.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok()
}

/// Whether an account or a container can have this name.
fn is_name(name: &str) -> bool {
    let is_meant = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte);
    name.bytes().all(is_meant)
}

/// Whether a path has a query in it that is percent-encoded, or a signature.
fn has_encoded_query(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path.contains("%3f") || path.contains("sig=")
}

/// The text without what may be secret: a query, a fragment, a password. Nothing of it where a
/// password stands for a name, or a query hides in the path.
fn shown(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (shown, cut) = (&text[..end], if end < text.len() { "?..." } else { "" });
    let Some((scheme, rest)) = shown.split_once("://") else {
        return format!("{shown}{cut}");
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_abfss = scheme.eq_ignore_ascii_case("abfss");
    let (user, service) = host.rsplit_once('@').unwrap_or(("", host));
    let (service, port) = service.split_once(':').unwrap_or((service, ""));
    let first = path.split('/').next().unwrap_or_default();
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_name(service) && is_port && is_name(first) && (!is_abfss || is_name(user));
    if !is_plain || has_encoded_query(path) {
        return "the address".to_owned();
    }
    let host = match host.rsplit_once('@') {
        Some((_, host)) if !is_abfss => format!("...@{host}"),
        _ => host.to_owned(),
    };
    format!("{scheme}://{host}/{path}{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(account: &str, container: &str, prefix: &str, endpoint: Option<&str>) -> Address {
        Address::Blob(BlobAddress {
            account: account.to_owned(),
            container: container.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: endpoint.map(str::to_owned),
        })
    }

    #[test]
    fn the_four_forms_are_read_in_any_case() {
        for folder in ["out", "/data/out", "./a b", "C:out", "what?", "a#b"] {
            assert_eq!(Address::parse(folder), Ok(Address::Folder(folder.into())));
        }
        let china = Some("https://acc.blob.core.chinacloudapi.cn/");
        let zone = Some("https://acc.z12.blob.storage.azure.net/");
        for (text, expected) in [
            ("az://acc/cont", blob("acc", "cont", "", None)),
            ("AZ://acc/cont/a/b/", blob("acc", "cont", "a/b", None)),
            (
                "https://acc.blob.core.windows.net/cont/a%20b/c",
                blob("acc", "cont", "a b/c", Some("")),
            ),
            (
                "HTTPS://Acc.Blob.Core.Windows.Net/cont",
                blob("acc", "cont", "", Some("")),
            ),
            (
                "https://acc.blob.core.chinacloudapi.cn/cont/p",
                blob("acc", "cont", "p", china),
            ),
            (
                "https://acc.z12.blob.storage.azure.net/cont/p",
                blob("acc", "cont", "p", zone),
            ),
            (
                "abfss://cont@acc.dfs.core.windows.net/p/q",
                blob("acc", "cont", "p/q", Some("")),
            ),
            (
                "ABFSS://cont@acc.dfs.core.chinacloudapi.cn/",
                blob("acc", "cont", "", china),
            ),
        ] {
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in [
            "s3://bucket/p",
            "wasbs://c@acc.blob.core.windows.net/p",
            "http://acc.blob.core.windows.net/c",
            "file:///tmp/x",
            "://x",
            "az://acc",
            "az:///c/p",
            "az://acc//p",
            "https://acc.blob.core.windows.net",
            "https://acc.blob.core.windows.net/",
            "https://acc.blob.core.windows.net:444/c",
            "https://acc.blob.core.windows.net.evil.example/c",
            "https://blob.core.windows.net/c",
            "https://acc.dfs.core.windows.net/c",
            "https://acc.blob.storage.azure.net/c",
            "https://example.org/c/p",
            "https://acc.blob.core.windows.net/c/%ff",
            "https://acc.blob.core.windows.net/c/%2",
            "abfss://acc.dfs.core.windows.net/p",
            "abfss://c@acc.blob.core.windows.net/p",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_is_refused_and_never_repeated() {
        for text in [
            "https://acc.blob.core.windows.net/c/p?sv=2024&sig=hunter2",
            "https://acc.blob.core.windows.net/c/p#hunter2",
            "az://acc/c/p?hunter2",
            "abfss://c@acc.dfs.core.windows.net/p?sig=hunter2",
            "s3://bucket/p?hunter2",
            "acc.blob.core.windows.net/c?sv=1&SIG=hunter2",
            "https://user:hunter2@acc.blob.core.windows.net/c",
            "az://hunter2@acc/c",
            "abfss://c:hunter2@acc.dfs.core.windows.net/p",
            "az://acc/c/p%3Fsig=hunter2",
            "az://acc/c:hunter2/p",
            "az://acc:hunter2/c",
            "s3://b/p%3Fsig=hunter2",
            "https://acc.blob.core.windows.net/c/p%3Fsig%3Dhunter2",
        ] {
            let refused = Address::parse(text).expect_err(text);
            let all = format!("{refused} {refused:?}");
            assert!(!all.contains("hunter2"), "{all}");
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for (text, dataset) in [
            ("az://acc/c/p/d", "d"),
            ("az://acc/c/d", "d"),
            ("https://acc.blob.core.usgovcloudapi.net/c/p/q/d", "d"),
        ] {
            let Ok(Address::Blob(whole)) = Address::parse(text) else {
                panic!("{text}");
            };
            let (place, name) = whole.split_dataset().expect("a dataset");
            assert_eq!(name, dataset);
            let endpoint = place.endpoint.unwrap_or_default();
            let shown = display(&place.account, &place.container, &place.prefix, &endpoint);
            assert_eq!(format!("{shown}/{name}"), text);
        }
        let emulator = "http://127.0.0.1:10000/devstoreaccount1";
        assert_eq!(
            display("devstoreaccount1", "c", "", emulator),
            "az://devstoreaccount1/c"
        );
        let Ok(Address::Blob(container)) = Address::parse("az://acc/c/") else {
            panic!("an address");
        };
        assert_eq!(container.split_dataset(), None);
    }
}
