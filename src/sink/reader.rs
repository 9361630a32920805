//! Reading a published dataset back.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

/// A published dataset. Paths have `/` between folders.
pub trait DatasetReader: Send {
    /// The location, for display.
    fn location(&self) -> String;

    /// All files but hidden ones, in bytewise order of paths.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn files(&self) -> io::Result<Vec<String>>;

    /// A file's length; `None` if it is not there, or not within the dataset.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn length(&self, path: &str) -> io::Result<Option<u64>>;

    /// Whether files are written with their SHA-256 beside them.
    fn keeps_digests(&self) -> bool {
        false
    }

    /// The SHA-256 that was kept beside a file when it was written, lower-case hexadecimal; `None`
    /// where nothing of that kind is kept.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn stored_sha256(&self, _path: &str) -> io::Result<Option<String>> {
        Ok(None)
    }

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

    /// The path of a file; `None` if it leads out of the dataset.
    fn resolve(&self, path: &str) -> Option<PathBuf> {
        let inside = |part| matches!(part, Component::Normal(_));
        let path = Path::new(path);
        path.components()
            .all(inside)
            .then(|| self.folder.join(path))
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
        let Some(path) = self.resolve(path) else {
            return Ok(None);
        };
        match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        let path = self.resolve(path).ok_or(ErrorKind::NotFound)?;
        let file = File::open(path)?;
        // A folder can be opened too.
        match file.metadata()?.is_file() {
            true => Ok(Box::new(file)),
            false => Err(ErrorKind::NotFound.into()),
        }
    }
}

/// Also where a folder of the path is a file.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_dataset_are_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let dataset = LocalDataset::new(folder.path().join("d"));
        for (path, bytes) in [
            ("secret", "1"),
            ("d/b/x.json", "22"),
            ("d/a", "3"),
            ("d/.claim.json", "4"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            fs::write(path, bytes).expect("writable");
        }
        assert_eq!(dataset.files().expect("a list"), ["a", "b/x.json"]);
        let length = |path: &str| dataset.length(path).expect("an answer");
        assert_eq!(length("b/x.json"), Some(2));
        let outside = folder.path().join("secret").display().to_string();
        for path in ["b", "a/x", "c", "../secret", "b/../../secret", &outside] {
            assert_eq!(length(path), None, "{path}");
        }
        assert!(dataset.open("../secret").is_err());
        assert!(dataset.open("b").is_err(), "a folder is no file");
    }
}
