//! The configuration: raw layers in, validated [`settings::Settings`] out.

use std::path::PathBuf;

use thiserror::Error;

pub(crate) mod benchmarks;
mod fingerprint;
mod layers;
pub mod name;
mod raw;
mod renamed;
pub mod settings;
mod targets;
mod validate;

pub use fingerprint::{described, diff, fingerprint};
pub use layers::Layers;
pub(crate) use layers::insert;
pub use validate::{cut, own_rules, validate};

use crate::sink::address::{Address, BlobAddress, WrongAddress};

use crate::domain::selection::stratum::SelectionError;

/// The defaults of all settings.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The error for Kusto settings in a build without the feature.
pub(crate) const NO_KUSTO: &str = "this build has no Kusto support: build with --features kusto";

/// The error for Azure settings in a build without the feature.
pub(crate) const NO_AZURE: &str =
    "this build has no Azure Blob support: build with --features azure";

/// The errors of a configuration. Each names the key and what is accepted.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is no valid TOML: {reason}")]
    Toml {
        /// The file, or what stands for it.
        path: PathBuf,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A `--set` without `=`.
    #[error("--set {0}: write it as KEY=VALUE")]
    NoPair(String),
    /// A key that is not known.
    #[error("{layer}: unknown key {key}{}", .nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_else(|| format!("; known are {known}")))]
    UnknownKey {
        /// The file, the environment variable or the option that has the key.
        layer: String,
        /// The key with its tables.
        key: String,
        /// The known key that is written most alike.
        nearest: Option<String>,
        /// All known keys of the table.
        known: String,
    },
    /// A value of the wrong kind.
    #[error("{layer}: {key}: {reason}")]
    Value {
        /// The file, the environment variable or the option that has the key.
        layer: String,
        /// The key with its tables.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Both forms of a window in one layer.
    #[error("{0}: a window is either last = \"15d\" or start and end, not both")]
    TwoWindows(String),
    /// A value that cannot be used.
    #[error("{key} = {value:?}: {reason}")]
    Bad {
        /// The key with its tables.
        key: &'static str,
        /// The value as written.
        value: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
    /// An address of a dataset that is none.
    #[error(transparent)]
    Address(#[from] WrongAddress),
    /// The selection does not make sense.
    #[error(transparent)]
    Selection(#[from] SelectionError),
}

impl ConfigError {
    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the path given with --config",
            Self::Address(wrong) => wrong.hint,
            Self::UnknownKey { .. } => {
                "correct the key; docs/configuration.md lists them all, and `gleaner export --help` the flags"
            }
            _ => "correct it and run the command again",
        }
    }
}

/// Sets the keys of the sink that an address means.
///
/// # Errors
/// If it is none.
pub(crate) fn insert_sink(table: &mut toml::Table, text: &str) -> Result<(), WrongAddress> {
    match Address::parse(text)? {
        Address::Folder(_) => {
            insert(table, "sink.kind", "local".into());
            insert(table, "sink.local.path", text.into());
        }
        Address::Blob(blob) => insert_blob(table, blob),
    }
    Ok(())
}

/// Sets the keys of the sink that a place in a container means. An address without a host leaves the
/// service to the configuration.
pub(crate) fn insert_blob(table: &mut toml::Table, blob: BlobAddress) {
    let mut put = |key: &str, value: String| insert(table, key, value.into());
    put("sink.kind", "azure_blob".to_owned());
    put("sink.azure_blob.account", blob.account);
    put("sink.azure_blob.container", blob.container);
    put("sink.azure_blob.prefix", blob.prefix);
    if let Some(endpoint) = blob.endpoint {
        put("sink.azure_blob.endpoint", endpoint);
    }
}

#[cfg(all(test, not(all(feature = "azure", feature = "kusto"))))]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let layers = Layers::default().text("a text", text).expect("known keys");
        validate(&layers, &[]).expect_err("refused").to_string()
    }

    #[cfg(not(feature = "kusto"))]
    #[test]
    fn a_build_without_kusto_says_so() {
        assert_eq!(
            refusal("source.kusto.cluster = 'https://c.kusto.windows.net'"),
            "source.kind = \"kusto\": this build has no Kusto support: build with --features kusto"
        );
    }

    #[cfg(not(feature = "azure"))]
    #[test]
    fn a_build_without_azure_says_so() {
        let text = "source.kind = 'synthetic'\nsink = { kind = 'azure_blob', azure_blob = { account = 'acc', container = 'cont' } }";
        assert_eq!(
            refusal(text),
            "sink.kind = \"azure_blob\": this build has no Azure Blob support: build with --features azure"
        );
    }
}
