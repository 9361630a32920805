//! Errors of the service and the connection, without secrets.

use std::error::Error;

use azure_core::error::ErrorKind;

use super::super::SinkError;
use super::settings::NO_CONTAINER;
use crate::secrets;

/// The meaning of an error for the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The container exists, the blob does not.
    NoBlob,
    /// The blob exists already.
    Exists,
    /// The service refused what was sent: a block it does not have, say.
    Refused,
    /// The service received other bytes than were sent.
    Damaged,
    /// Anything else.
    Other,
}

/// The meaning of an error.
pub fn meaning(error: &azure_core::Error) -> Meaning {
    let (status, code) = answer(error);
    match (status, code) {
        // An answer to HEAD has no body; its code is in a header, which emulators may leave out.
        (Some(404), Some("ContainerNotFound" | "ContainerBeingDeleted")) => Meaning::Other,
        (Some(404), _) => Meaning::NoBlob,
        (Some(409), Some("BlobAlreadyExists" | "UnauthorizedBlobOverwrite")) => Meaning::Exists,
        (Some(412), _) => Meaning::Exists,
        (Some(400), Some("InvalidBlockList")) => Meaning::Refused,
        (Some(400), Some("Md5Mismatch" | "Crc64Mismatch")) => Meaning::Damaged,
        _ => Meaning::Other,
    }
}

/// The sink's error for one of the service.
pub fn failed(action: &'static str, path: String, error: &azure_core::Error) -> SinkError {
    let (status, code) = answer(error);
    SinkError::Remote {
        action,
        path,
        reason: match status {
            Some(status) => format!(
                "HTTP {status} {}",
                redacted(code.unwrap_or("without a code"))
            ),
            None => connection(error),
        },
        hint: hint(error),
        // 408 and 429 say nothing of what was done before.
        is_refusal: status
            .is_some_and(|status| (400..500).contains(&status) && ![408, 429].contains(&status)),
    }
}

/// A failed attempt in one line, for the log.
pub fn describe_try(error: &azure_core::Error) -> String {
    connection(error)
}

fn answer(error: &azure_core::Error) -> (Option<u16>, Option<&str>) {
    match error.kind() {
        ErrorKind::HttpResponse {
            status, error_code, ..
        } => (Some(u16::from(*status)), error_code.as_deref()),
        _ => (None, None),
    }
}

fn hint(error: &azure_core::Error) -> &'static str {
    match (answer(error), error.kind()) {
        (
            (Some(404), Some("ContainerNotFound" | "ContainerBeingDeleted" | "ResourceNotFound")),
            _,
        ) => NO_CONTAINER,
        ((Some(401 | 403), _), _) => {
            "the login or the signature must be valid and may read, write, list and delete there (Storage Blob Data Contributor, or sp=rwdl); then run the same command again"
        }
        ((Some(409), Some("MemoryExtentStoreAtSizeLimit")), _) | ((Some(507), _), _) => {
            "the store is full: make room; then run the same command again, it resumes where it stopped"
        }
        ((Some(400), Some("Md5Mismatch" | "Crc64Mismatch")), _) => {
            "the line damages what is sent over it: have it looked at; then run the same command again"
        }
        (_, ErrorKind::Credential) => {
            "log in, or set sink.azure_blob.credential; then run the same command again"
        }
        (_, ErrorKind::Connection) => {
            "check the account's name (--out az://ACCOUNT/...), sink.azure_blob.endpoint and the network; then run the same command again"
        }
        _ if causes(error).any(is_timeout) => {
            "give a slow line smaller blocks (sink.azure_blob.block) or more time (sink.azure_blob.timeout); then run the same command again"
        }
        _ => {
            "run the same command again: it resumes where it stopped (sink.azure_blob.retry_timeout says how long an outage may last)"
        }
    }
}

/// An error of the connection with its causes. The address is left out: a signature may be in it.
fn connection(error: &azure_core::Error) -> String {
    let causes_text = causes(error).filter_map(|cause| match cause.is::<reqwest::Error>() {
        true => is_timeout(cause).then(|| "timed out".to_owned()),
        false => Some(redacted(&cause.to_string())),
    });
    let mut causes_text: Vec<String> = causes_text.collect();
    causes_text.dedup();
    match causes_text.is_empty() {
        true => redacted(&error.to_string()),
        false => causes_text.join(": "),
    }
}

fn causes(error: &azure_core::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

fn is_timeout(cause: &(dyn Error + 'static)) -> bool {
    let cause = cause.downcast_ref::<reqwest::Error>();
    cause.is_some_and(reqwest::Error::is_timeout)
}

/// A text without secrets and without the query of any address in it, without line breaks, and not long.
pub fn redacted(text: &str) -> String {
    let words = text
        .split_whitespace()
        .map(|word| match word.split_once('?') {
            Some((before, after)) if after.contains('=') => format!("{before}?..."),
            _ if word.contains("sig=") => "...".to_owned(),
            _ => word.to_owned(),
        });
    let line = words.collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    // Before it is cut: of a secret not even the beginning is shown.
    secrets::redact(&line).chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_left_out() {
        let text = "error for url (https://a.blob.core.windows.net/c/b?sv=1&sig=abc%3D) what?\n no";
        let causes_text = redacted(text);
        assert!(!causes_text.contains("abc"), "{causes_text}");
        assert!(causes_text.ends_with("what? no"), "{causes_text}");
        assert_eq!(redacted("a sv=1&sig=abc b"), "a ... b");
    }
}
