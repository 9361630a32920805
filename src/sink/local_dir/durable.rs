//! File work that a power cut does not undo.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::runtime::files::{NO_FOLLOW, refuse_link};

/// Makes what happened to the names in a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it, durably. `AlreadyExists` if something else has its name.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(above),
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && above != Path::new(".") => {
            make_folder(above)?;
            match fs::create_dir(folder) {
                Err(error) if !folder.is_dir() => Err(error),
                _ => sync_folder(above),
            }
        }
        Err(error) => Err(error),
    }
}

/// A file for reading; `None` if it is not there. A symbolic link is refused.
pub fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    refuse_link(path)?;
    let mut options = File::options();
    match options.read(true).custom_flags(NO_FOLLOW).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file's bytes; `None` if it is not there. A symbolic link is refused.
pub fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open_if_there(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Removes a file; that there is none is no fault.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts a whole file in place of what is there, if anything. Not synced: for what can be made again.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    remove_if_there(&aside)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&aside)?;
    file.write_all(bytes)?;
    fs::rename(&aside, path)
}

/// Removes a folder, unless something is in it.
pub fn remove_if_empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    }
}

/// Puts a whole, synced file where none is; `AlreadyExists` if there is one.
pub fn put_new(path: &Path, tag: &str, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{tag}.part"));
    let aside = PathBuf::from(aside);
    // After a crash it may be another name of the file in place: never written into.
    remove_if_there(&aside)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // A link, unlike a rename, does not replace what is there.
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    linked?;
    path.parent().map_or(Ok(()), sync_folder)
}
