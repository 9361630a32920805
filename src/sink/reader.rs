//! Reading a published dataset back.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A published dataset. Paths have `/` between folders.
pub trait DatasetReader {
    /// Where it is, for a person.
    fn location(&self) -> String;

    /// All files but hidden ones, in bytewise order of paths.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn files(&self) -> io::Result<Vec<String>>;

    /// A file's length; `None` if it is not there.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn length(&self, path: &str) -> io::Result<Option<u64>>;

    /// A file from its beginning.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn open(&self, path: &str) -> io::Result<Box<dyn Read>>;
}

/// A dataset in a local folder.
#[derive(Debug, Clone)]
pub struct LocalDataset {
    folder: PathBuf,
}

impl LocalDataset {
    /// The dataset in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn list(&self, folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                self.list(&entry.path(), &format!("{path}/"), found)?;
            } else {
                found.push(path);
            }
        }
        Ok(())
    }
}

impl DatasetReader for LocalDataset {
    fn location(&self) -> String {
        self.folder.display().to_string()
    }

    fn files(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        self.list(&self.folder, "", &mut found)?;
        found.sort();
        Ok(found)
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.folder.join(path)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(self.folder.join(path))?))
    }
}
