//! From paths as written to files: single files, folders, globs.
//!
//! Nothing that may hold rows is left out silently: what is named like rows and is no regular file
//! (reading a pipe would wait for a writer, and it cannot be read twice), and a link that leads
//! nowhere, perhaps to a folder that is not mounted, end the search.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::super::SourceError;

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `.jsonl`
    Plain,
    /// `.jsonl.gz`
    Gzip,
    /// `.jsonl.zst`
    Zstd,
    /// `.parquet`
    Parquet,
}

const ENDINGS: [(&str, FileKind); 4] = [
    (".jsonl", FileKind::Plain),
    (".jsonl.gz", FileKind::Gzip),
    (".jsonl.zst", FileKind::Zstd),
    (".parquet", FileKind::Parquet),
];

/// The kind of a file, told by its ending.
pub fn kind_of(path: &Path) -> Option<FileKind> {
    let name = path.file_name()?.as_bytes();
    ENDINGS
        .iter()
        .find(|(ending, _)| name.ends_with(ending.as_bytes()))
        .map(|&(_, kind)| kind)
}

/// All files that paths stand for, in bytewise order, each once.
///
/// # Errors
/// If a path stands for nothing that can be read, naming it.
pub fn discover(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SourceError> {
    let mut found = BTreeSet::new();
    for path in paths {
        let mut of_path = BTreeSet::new();
        expand(path, &mut of_path)?;
        if of_path.is_empty() {
            return Err(SourceError::NoInput(format!(
                "{} holds no file that ends in {}",
                path.display(),
                endings()
            )));
        }
        found.extend(of_path);
    }
    if found.is_empty() {
        return Err(SourceError::NoInput(
            "no path is given; use --input PATH".to_owned(),
        ));
    }
    let mut files: Vec<PathBuf> = found.into_iter().collect();
    files.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(files)
}

fn endings() -> String {
    ENDINGS.map(|(ending, _)| ending).join(", ")
}

/// What lies at a path, links followed.
enum Found {
    Folder,
    File,
    /// Something else, for a person.
    Other(&'static str),
    Nothing,
}

fn look(path: &Path) -> Result<Found, SourceError> {
    let kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::read_link(path) {
                Ok(target) => Err(SourceError::DeadLink {
                    path: path.to_owned(),
                    target,
                }),
                Err(_) => Ok(Found::Nothing),
            };
        }
        Err(error) => return Err(cannot_read(path)(error)),
    };
    Ok(match kind {
        kind if kind.is_dir() => Found::Folder,
        kind if kind.is_file() => Found::File,
        kind if kind.is_fifo() => Found::Other("a pipe"),
        kind if kind.is_socket() => Found::Other("a socket"),
        _ => Found::Other("a device"),
    })
}

fn cannot_read(path: &Path) -> impl Fn(io::Error) -> SourceError {
    move |error| SourceError::Io {
        path: path.to_owned(),
        error,
    }
}

fn no_file(path: &Path, what: &'static str) -> SourceError {
    SourceError::NotAFile {
        path: path.to_owned(),
        what,
    }
}

/// Finds what a path stands for that somebody wrote.
fn expand(path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), SourceError> {
    match look(path)? {
        Found::File if kind_of(path).is_none() => Err(SourceError::NoInput(format!(
            "{} has an unknown ending; known are {}",
            path.display(),
            endings()
        ))),
        Found::Other(what) => Err(no_file(path, what)),
        Found::Nothing => expand_glob(path, found),
        Found::File | Found::Folder => take(path, &mut BTreeSet::new(), found),
    }
}

fn expand_glob(path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), SourceError> {
    let pattern = path.to_string_lossy();
    if !pattern.contains(['*', '?', '[']) {
        return Err(SourceError::NoInput(format!(
            "{} does not exist",
            path.display()
        )));
    }
    let bad = |what: String| SourceError::NoInput(format!("{pattern}: {what}"));
    let matches = glob::glob(&pattern).map_err(|error| bad(error.to_string()))?;
    for entry in matches {
        let entry = entry.map_err(|error| SourceError::Io {
            path: error.path().to_owned(),
            error: error.into(),
        })?;
        take(&entry, &mut BTreeSet::new(), found)?;
    }
    Ok(())
}

/// Takes what was found by a glob or in a folder: files with other endings are left out.
fn take(
    path: &Path,
    seen: &mut BTreeSet<PathBuf>,
    found: &mut BTreeSet<PathBuf>,
) -> Result<(), SourceError> {
    let is_rows = kind_of(path).is_some();
    match look(path)? {
        Found::Folder => return walk(path, seen, found),
        Found::File if is_rows => {
            found.insert(path.to_owned());
        }
        Found::Other(what) if is_rows => return Err(no_file(path, what)),
        Found::Nothing if is_rows => {
            return Err(cannot_read(path)(io::ErrorKind::NotFound.into()));
        }
        Found::File | Found::Other(_) | Found::Nothing => {}
    }
    Ok(())
}

/// All readable files below a folder; hidden ones are left out. `seen` holds the folders on the
/// way, so that links cannot lead in circles.
fn walk(
    folder: &Path,
    seen: &mut BTreeSet<PathBuf>,
    found: &mut BTreeSet<PathBuf>,
) -> Result<(), SourceError> {
    let io = cannot_read(folder);
    if !seen.insert(folder.canonicalize().map_err(&io)?) {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(&io)? {
        let entry = entry.map_err(&io)?;
        if entry.file_name().as_bytes().starts_with(b".") {
            continue;
        }
        take(&entry.path(), seen, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_globs_and_files_are_found_once_and_in_order() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("b/.hidden")).expect("folders");
        for name in [
            "b/2.jsonl",
            "b/.x.jsonl",
            "b/.hidden/3.jsonl",
            "b/readme.md",
            "a.jsonl.zst",
            "c.parquet",
            "d.jsonl.gz",
        ] {
            fs::write(at(name), b"").expect("writable");
        }
        std::os::unix::fs::symlink(root.path(), at("b/loop")).expect("a link");
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let found = discover(paths).expect("some");
            let name = |p: &PathBuf| {
                p.strip_prefix(root.path())
                    .expect("inside")
                    .display()
                    .to_string()
            };
            found.iter().map(name).collect()
        };
        assert_eq!(names(&[at("b"), at("b/2.jsonl")])[0], "b/2.jsonl");
        assert_eq!(
            names(&[at("*.*")]),
            ["a.jsonl.zst", "c.parquet", "d.jsonl.gz"]
        );
        for nothing in ["none", "b/.hidden/none*", "b/readme.md"] {
            let error = discover(&[at(nothing)]).expect_err("nothing").to_string();
            assert!(error.contains(nothing.trim_end_matches('*')), "{error}");
        }
    }
}
