//! The configuration: raw layers in, validated [`settings::Settings`] out.

use std::path::PathBuf;

use thiserror::Error;

mod fingerprint;
mod layers;
pub mod name;
pub mod queries;
mod raw;
pub mod settings;
mod validate;

pub use fingerprint::{described, diff, fingerprint};
pub use layers::Layers;
pub(crate) use layers::insert;
pub use validate::validate;

use crate::domain::stratum::SelectionError;

/// What holds where nothing else is said.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is no valid TOML: {error}")]
    Toml {
        /// The file, or what stands for it.
        path: PathBuf,
        /// What the parser said, with line and column.
        error: String,
    },
    /// A `--set` without `=`.
    #[error("--set {0}: write it as KEY=VALUE")]
    NoPair(String),
    /// A key that is not known.
    #[error("{layer}: unknown key {key}{}", .nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_else(|| format!("; known are {known}")))]
    UnknownKey {
        /// Where.
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
        /// Where.
        layer: String,
        /// The key with its tables.
        key: String,
        /// What is wrong.
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
        /// What was written.
        value: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The selection does not make sense.
    #[error(transparent)]
    Selection(#[from] SelectionError),
}
