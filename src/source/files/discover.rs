//! From paths as written to files: single files, folders, globs.
//!
//! Nothing that may hold rows is left out silently: what is left out is listed with the reason, and
//! what is named like rows and is no regular file (reading a pipe would wait for a writer, and it
//! cannot be read twice), and a link that leads nowhere, perhaps to a folder that is not mounted,
//! end the search.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::SourceError;

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `.jsonl`, `.ndjson`, `.json`
    Plain,
    /// The same with `.gz`.
    Gzip,
    /// The same with `.zst`.
    Zstd,
    /// `.parquet`
    Parquet,
}

/// Endings of text, whose rows are lines or the elements of one array.
const TEXTS: [&str; 3] = [".jsonl", ".ndjson", ".json"];

/// The known endings, for a person.
const ENDINGS: &str = ".jsonl, .ndjson, .json (each also with .gz or .zst), .parquet";

/// The kind of a file by its ending, in any case.
pub fn kind_of(path: &Path) -> Option<FileKind> {
    let name = path.file_name()?.to_ascii_lowercase();
    let name = name.as_bytes();
    let (text, kind) = match (name.strip_suffix(b".gz"), name.strip_suffix(b".zst")) {
        (Some(text), _) => (text, FileKind::Gzip),
        (_, Some(text)) => (text, FileKind::Zstd),
        _ if name.ends_with(b".parquet") => return Some(FileKind::Parquet),
        _ => (name, FileKind::Plain),
    };
    let is_text = TEXTS.iter().any(|ending| text.ends_with(ending.as_bytes()));
    is_text.then_some(kind)
}

/// The reasons for not reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its name, or its folder's, begins with a dot.
    Hidden,
    /// Its ending is none of those that are read.
    OtherEnding,
    /// gleaner writes such files beside the records of a dataset.
    DatasetFile,
}

impl SkipReason {
    /// The reason, for display.
    pub fn text(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::OtherEnding => "other ending",
            Self::DatasetFile => "written by gleaner, no rows",
        }
    }
}

/// Whether a file is one that gleaner writes beside the records.
fn is_dataset_file(path: &Path) -> bool {
    const NAMES: [&str; 5] = [
        "metadata.json",
        "croissant.json",
        "dataset_info.json",
        "SHA256SUMS",
        "README.md",
    ];
    let name = path.file_name().unwrap_or_default().as_bytes();
    NAMES.iter().any(|known| name == known.as_bytes())
        || [&b"invalid_records_"[..], b"near_duplicates_"]
            .iter()
            .any(|report| name.starts_with(report))
            && name.ends_with(b".json")
}

fn skip_reason(path: &Path) -> Option<SkipReason> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    match kind_of(path) {
        _ if name.starts_with(b".") => Some(SkipReason::Hidden),
        _ if is_dataset_file(path) => Some(SkipReason::DatasetFile),
        None => Some(SkipReason::OtherEnding),
        Some(_) => None,
    }
}

/// The files that paths match.
#[derive(Debug, Default)]
pub struct Discovered {
    /// The files to read, in bytewise order, each once, however it is spelled or linked to.
    pub files: Vec<PathBuf>,
    /// Files that are not read, in the same order; a hidden folder as a whole.
    pub skipped: BTreeMap<PathBuf, SkipReason>,
}

/// All files that paths stand for.
///
/// # Errors
/// If a path stands for nothing that can be read, naming it.
pub fn discover(paths: &[PathBuf]) -> Result<Discovered, SourceError> {
    let mut all = Found::default();
    for path in paths {
        let mut found = Found::default();
        expand(path, &mut found)?;
        if found.files.is_empty() {
            return Err(SourceError::NoInput(format!(
                "{} holds no file that ends in {ENDINGS}{}",
                path.display(),
                left_out(&found)
            )));
        }
        all.files.append(&mut found.files);
        all.skipped.append(&mut found.skipped);
    }
    if all.files.is_empty() {
        return Err(SourceError::NoInput(
            "no path is given; use --input PATH".to_owned(),
        ));
    }
    let mut files: Vec<PathBuf> = all.files.into_iter().collect();
    files.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    let mut read = BTreeSet::new();
    let mut is_new = Vec::with_capacity(files.len());
    for path in &files {
        is_new.push(read.insert(path.canonicalize().map_err(cannot_read(path))?));
    }
    let mut is_new = is_new.into_iter();
    files.retain(|_| is_new.next().unwrap_or(true));
    // A file that is also named itself is read.
    all.skipped
        .retain(|path, _| !path.canonicalize().is_ok_and(|file| read.contains(&file)));
    Ok(Discovered {
        files,
        skipped: all.skipped,
    })
}

fn left_out(found: &Found) -> String {
    let Some((path, reason)) = found.skipped.first_key_value() else {
        return String::new();
    };
    let (n, path, reason) = (found.skipped.len(), path.display(), reason.text());
    format!("; {n} left out, such as {path} ({reason})")
}

/// The state of a search.
#[derive(Debug, Default)]
struct Found {
    files: BTreeSet<PathBuf>,
    skipped: BTreeMap<PathBuf, SkipReason>,
}

/// The kind of a path's target.
enum Kind {
    Folder,
    File,
    /// Something else, for a person.
    Other(&'static str),
    Nothing,
}

fn look(path: &Path) -> Result<Kind, SourceError> {
    let kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::read_link(path) {
                Ok(target) => Err(SourceError::DeadLink {
                    path: path.to_owned(),
                    target,
                }),
                Err(_) => Ok(Kind::Nothing),
            };
        }
        Err(error) => return Err(cannot_read(path)(error)),
    };
    Ok(match kind {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_file() => Kind::File,
        kind if kind.is_fifo() => Kind::Other("a pipe"),
        kind if kind.is_socket() => Kind::Other("a socket"),
        _ => Kind::Other("a device"),
    })
}

fn cannot_read(path: &Path) -> impl Fn(io::Error) -> SourceError {
    move |error| SourceError::Io {
        path: path.to_owned(),
        source: error,
    }
}

fn no_file(path: &Path, what: &'static str) -> SourceError {
    SourceError::NotAFile {
        path: path.to_owned(),
        what,
    }
}

/// Finds the files of a path that the user named.
fn expand(path: &Path, found: &mut Found) -> Result<(), SourceError> {
    match look(path)? {
        Kind::File if kind_of(path).is_none() => Err(SourceError::NoInput(format!(
            "{} has an unknown ending; known are {ENDINGS}",
            path.display(),
        ))),
        Kind::File if is_dataset_file(path) => Err(SourceError::NoInput(format!(
            "{} describes a dataset and holds no rows",
            path.display(),
        ))),
        Kind::File => {
            // A hidden file that is named is read.
            found.files.insert(path.to_owned());
            Ok(())
        }
        Kind::Folder => walk(path, &mut BTreeSet::new(), found),
        Kind::Other(what) => Err(no_file(path, what)),
        Kind::Nothing => expand_glob(path, found),
    }
}

fn expand_glob(path: &Path, found: &mut Found) -> Result<(), SourceError> {
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
            source: error.into(),
        })?;
        take(&entry, &mut BTreeSet::new(), found)?;
    }
    Ok(())
}

/// Takes what was found by a glob or in a folder.
fn take(path: &Path, seen: &mut BTreeSet<PathBuf>, found: &mut Found) -> Result<(), SourceError> {
    let reason = skip_reason(path);
    if reason == Some(SkipReason::Hidden) {
        // Not even looked at.
        found.skipped.insert(path.to_owned(), SkipReason::Hidden);
        return Ok(());
    }
    match (look(path)?, reason) {
        (Kind::Folder, _) => return walk(path, seen, found),
        (_, Some(reason)) => {
            found.skipped.insert(path.to_owned(), reason);
        }
        (Kind::File, None) => {
            found.files.insert(path.to_owned());
        }
        (Kind::Other(what), None) => return Err(no_file(path, what)),
        (Kind::Nothing, None) => {
            return Err(cannot_read(path)(io::ErrorKind::NotFound.into()));
        }
    }
    Ok(())
}

/// All readable files below a folder. `seen` holds the folders on the way, so that links cannot
/// lead in circles.
fn walk(folder: &Path, seen: &mut BTreeSet<PathBuf>, found: &mut Found) -> Result<(), SourceError> {
    let io = cannot_read(folder);
    if !seen.insert(folder.canonicalize().map_err(&io)?) {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(&io)? {
        take(&entry.map_err(&io)?.path(), seen, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with files of all sorts, hidden ones and a link that leads back to it.
    fn folder() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("b/.hidden")).expect("folders");
        for name in [
            "b/2.jsonl",
            "b/.x.jsonl",
            "b/.hidden/3.jsonl",
            "b/readme.txt",
            "a.jsonl.zst",
            "c.parquet",
            "d.JSONL.gz",
            "e.json",
            "f.Ndjson.ZST",
            "README.md",
        ] {
            fs::write(at(name), b"").expect("writable");
        }
        std::os::unix::fs::symlink(root.path(), at("b/loop")).expect("a link");
        root
    }

    fn inside(root: &tempfile::TempDir, path: &Path) -> String {
        let inside = path.strip_prefix(root.path()).expect("inside");
        inside.display().to_string()
    }

    #[test]
    fn folders_globs_and_files_are_found_once_and_in_order() {
        let root = folder();
        let at = |name: &str| root.path().join(name);
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let found = discover(paths).expect("some").files;
            found.iter().map(|path| inside(&root, path)).collect()
        };
        assert_eq!(names(&[at("b"), at("b/2.jsonl")])[0], "b/2.jsonl");
        assert_eq!(
            names(&[at("*.*")]),
            [
                "a.jsonl.zst",
                "c.parquet",
                "d.JSONL.gz",
                "e.json",
                "f.Ndjson.ZST"
            ]
        );
        for nothing in ["none", "b/.hidden/none*", "b/readme.txt"] {
            let error = discover(&[at(nothing)]).expect_err("nothing").to_string();
            assert!(error.contains(nothing.trim_end_matches('*')), "{error}");
        }
    }

    #[test]
    fn files_that_are_not_read_are_named_with_the_reason() {
        let root = folder();
        let at = |name: &str| root.path().join(name);
        let skipped = discover(&[at("b"), at("*.*")]).expect("some").skipped;
        let skipped: Vec<_> = skipped
            .iter()
            .map(|(path, reason)| (inside(&root, path), *reason))
            .collect();
        for (name, reason) in [
            ("README.md", SkipReason::DatasetFile),
            ("b/.hidden", SkipReason::Hidden),
            ("b/.x.jsonl", SkipReason::Hidden),
            ("b/readme.txt", SkipReason::OtherEnding),
        ] {
            let expected = (name.to_owned(), reason);
            assert!(skipped.contains(&expected), "{name}: {skipped:?}");
        }
    }
}
