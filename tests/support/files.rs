//! The files of a dataset: their paths and digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

/// The paths of all files below a folder, hidden ones too.
pub fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if path.is_dir() {
            let below = files_below(&path);
            found.extend(below.iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name.into_owned());
        }
    }
    found
}

pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sums(files: &BTreeMap<String, String>) -> String {
    let line = |(path, sha256): (&String, &String)| format!("{sha256}  {path}\n");
    files.iter().map(line).collect()
}
