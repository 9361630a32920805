//! Where a dataset lies: in a folder, or in a container.

use std::path::Path;
use std::sync::Arc;

use super::exit::CliError;
use super::verify::{in_container, reader};
use crate::config::settings::SinkTarget;
use crate::pipeline::host::setup;
use crate::sink::DatasetSink;
use crate::sink::address::Address;
use crate::sink::local_dir::LocalDir;
use crate::sink::reader::{DatasetReader, LocalDataset};

fn parsed(dataset: &str) -> Result<Address, CliError> {
    Address::parse(dataset).map_err(|wrong| CliError::usage(wrong.to_string(), wrong.hint))
}

/// A dataset, to be read.
pub fn open(
    dataset: &str,
    config: Option<&Path>,
    set: &[String],
) -> Result<Box<dyn DatasetReader>, CliError> {
    match parsed(dataset)? {
        Address::Folder(folder) => Ok(Box::new(LocalDataset::new(folder))),
        Address::Blob(address) => {
            let (blob, name) = in_container(config, set, address)?;
            reader(&blob, &name)
        }
    }
}

/// The sink that a dataset lies in, and its name there.
pub fn of_dataset(
    dataset: &str,
    config: Option<&Path>,
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
