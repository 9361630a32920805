//! File work that a power cut does not undo.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::runtime::files::{NO_FOLLOW, refuse_link};
use crate::runtime::storage::{self, DiskFile, remove_if_there, sync_folder};

/// A file for reading; `None` if it is not there. A symbolic link is refused.
pub fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match refuse_link(path) {
        Err(error) if is_absent(error.kind()) => return Ok(None),
        refused => refused?,
    }
    let mut options = File::options();
    match options.read(true).custom_flags(NO_FOLLOW).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_absent(error.kind()) => Ok(None),
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

/// Also where something that is no folder stands in the path.
fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Puts a whole file in place of what is there, if anything. Not synced: for what can be made again.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    remove_if_there(&aside)?;
    DiskFile::create_new(&aside)?.write_all(bytes)?;
    storage::rename(&aside, path)
}

/// Removes a folder, unless something is in it.
pub fn remove_if_empty(folder: &Path) -> io::Result<()> {
    match storage::remove_dir(folder) {
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
    let mut file = DiskFile::create_new(&aside)?;
    file.write_all(bytes)?;
    file.sync()?;
    // A link, unlike a rename, does not replace what is there.
    let linked = storage::hard_link(&aside, path);
    let synced = linked.and_then(|()| path.parent().map_or(Ok(()), sync_folder));
    // What is in place is in place, whether its other name can be removed or not.
    let _ = storage::remove_file(&aside);
    synced
}
