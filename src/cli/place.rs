//! Where a dataset lies: in a folder, or in a container.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::config_source::ConfigSource;
use super::exit::CliError;
use super::host::Host;
use super::interruptible::Interruptible;
use super::verify::{in_container, reader};
use crate::config::settings::SinkTarget;
use crate::pipeline::host::setup;
use crate::sink::DatasetSink;
use crate::sink::address::Address;
use crate::sink::local_dir::LocalDir;
use crate::sink::reader::{DatasetReader, LocalDataset};

/// How commands reach a dataset that lies in a container.
#[derive(Debug, Clone, Args)]
pub struct ReachArgs {
    /// Configuration file that says how to reach the dataset
    #[arg(long, value_name = "FILE")]
    pub config: Option<ConfigSource>,
    /// Set a key of that configuration; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ReachArgs {
    /// A dataset, to be read until the command is to stop.
    ///
    /// # Errors
    /// If its address is none, or nothing says how to log in.
    pub fn open(&self, dataset: &str, host: &Host) -> Result<Box<dyn DatasetReader>, CliError> {
        open(dataset, self.config.as_ref(), &self.set, host)
    }
}

fn parsed(dataset: &str) -> Result<Address, CliError> {
    Address::parse(dataset).map_err(|wrong| CliError::usage(wrong.to_string(), wrong.hint))
}

/// A dataset, to be read until the command is to stop.
pub fn open(
    dataset: &str,
    config: Option<&ConfigSource>,
    set: &[String],
    host: &Host,
) -> Result<Box<dyn DatasetReader>, CliError> {
    let dataset: Box<dyn DatasetReader> = match parsed(dataset)? {
        Address::Folder(folder) => Box::new(LocalDataset::new(folder)),
        Address::Blob(address) => {
            let (blob, name) = in_container(config, set, address)?;
            reader(&blob, &name)?
        }
    };
    let interrupt = host.interrupt().clone();
    Ok(Box::new(Interruptible::new(dataset, interrupt)))
}

/// The sink that a dataset lies in, and its name there.
pub fn of_dataset(
    dataset: &str,
    config: Option<&ConfigSource>,
    set: &[String],
) -> Result<(Arc<dyn DatasetSink>, String), CliError> {
    match parsed(dataset.trim_end_matches('/'))? {
        Address::Folder(folder) => {
            let no_name = || {
                CliError::usage(
                    format!("{dataset} is no dataset's folder"),
                    "name the dataset's own folder",
                )
            };
            let name = folder.file_name().ok_or_else(no_name)?;
            let name = name.to_string_lossy().into_owned();
            let out = folder.parent().unwrap_or(Path::new("")).to_owned();
            for path in [&out, &folder] {
                if path.is_file() {
                    return Err(CliError::usage(
                        format!("{} is a file, and a dataset is a folder", path.display()),
                        "name a folder, or a name that nothing has yet",
                    ));
                }
            }
            Ok((Arc::new(LocalDir::new(out)), name))
        }
        Address::Blob(address) => {
            let (blob, name) = in_container(config, set, address)?;
            Ok((setup::sink(&SinkTarget::AzureBlob(blob))?, name))
        }
    }
}
