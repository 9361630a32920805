//! What `--config` names.

use std::ffi::OsString;
use std::path::PathBuf;

use toml::Table;

use crate::config::{ConfigError, Layers};

/// A configuration, as a command is given it.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// A file.
    File(PathBuf),
    /// Its keys, from a program that has them.
    Table(Table),
}

impl ConfigSource {
    /// Adds it to layers.
    ///
    /// # Errors
    /// As for [`Layers::file`].
    pub fn onto(&self, layers: Layers) -> Result<Layers, ConfigError> {
        match self {
            Self::File(path) => layers.file(path),
            Self::Table(table) => layers.table("config", table.clone()),
        }
    }
}

impl From<OsString> for ConfigSource {
    fn from(path: OsString) -> Self {
        Self::File(path.into())
    }
}
