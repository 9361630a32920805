//! How loaders call splits.

use super::ConvertError;
use crate::domain::dataset::loader_names::split_name;
use crate::domain::dataset::manifest::Manifest;

/// The splits of a dataset that have records, each with its name in the names of files.
pub fn of_splits(manifest: &Manifest) -> Result<Vec<(String, String)>, ConvertError> {
    let mut names = Vec::<(String, String)>::new();
    for split in &manifest.selection.splits {
        let mut strata = manifest.strata.iter();
        if !strata.any(|stratum| stratum.split == split.name && stratum.records > 0) {
            continue;
        }
        let name = split_name(&split.name);
        if let Some((other, name)) = names.iter().find(|(_, other)| *other == name) {
            return Err(ConvertError::SplitNames {
                first: other.clone(),
                second: split.name.clone(),
                name: name.clone(),
            });
        }
        names.push((split.name.clone(), name));
    }
    Ok(names)
}
