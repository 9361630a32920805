//! File operations whose effect a power cut may undo: everything that a run writes goes through here.
//!
//! What was written survives a power cut once its file is synced, a name once its folder is. In builds
//! with `fault-injection` the operations below a folder can be recorded (`journal`): a test builds
//! from them what a power cut may leave, and starts from there.

use std::fs;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

use super::files;

#[cfg(feature = "fault-injection")]
pub mod journal;

#[cfg(feature = "fault-injection")]
use journal::{Op, note};

/// Notes an operation that succeeded, where operations are recorded.
macro_rules! note {
    ($path:expr, $op:expr) => {
        #[cfg(feature = "fault-injection")]
        note($path, || $op);
    };
}

/// A file that is written. A write without an offset follows the last one.
#[derive(Debug)]
pub struct DiskFile {
    file: fs::File,
    #[cfg(feature = "fault-injection")]
    journaled: journal::Handle,
    end: u64,
}

impl DiskFile {
    /// Creates a file, or empties the one that is there.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path, files::create(path, 0o666)?))
    }

    /// As [`Self::create`], for its owner alone.
    ///
    /// # Errors
    /// If it cannot be created, or is a symbolic link.
    pub fn create_private(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path, files::create_private(path)?))
    }

    /// Creates a file where none is.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one; if it cannot be created.
    pub fn create_new(path: &Path) -> io::Result<Self> {
        let file = fs::File::options().write(true).create_new(true).open(path);
        Ok(Self::of(path, file?))
    }

    fn of(_path: &Path, file: fs::File) -> Self {
        Self {
            file,
            #[cfg(feature = "fault-injection")]
            journaled: journal::Handle::created(_path),
            end: 0,
        }
    }

    /// The file itself, for what changes nothing.
    pub fn get(&self) -> &fs::File {
        &self.file
    }

    fn written(&self, _offset: u64, _bytes: &[u8]) {
        #[cfg(feature = "fault-injection")]
        self.journaled.note(|| Op::Write {
            file: self.journaled.number(),
            offset: _offset,
            bytes: _bytes.to_vec(),
        });
    }

    /// Writes at an offset; through another opening of the same file where one is given.
    ///
    /// # Errors
    /// If not all can be written.
    pub fn write_all_at(&self, through: &fs::File, bytes: &[u8], offset: u64) -> io::Result<()> {
        through.write_all_at(bytes, offset)?;
        self.written(offset, bytes);
        Ok(())
    }

    /// Makes it this long.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        #[cfg(feature = "fault-injection")]
        self.journaled.note(|| Op::SetLen {
            file: self.journaled.number(),
            length,
        });
        Ok(())
    }

    /// Waits until what was written survives a power cut.
    ///
    /// # Errors
    /// If it does not: what is on the disk is unknown then.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        self.synced();
        Ok(())
    }

    /// As [`Self::sync`], without the file's times.
    ///
    /// # Errors
    /// As for [`Self::sync`].
    pub fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced();
        Ok(())
    }

    fn synced(&self) {
        #[cfg(feature = "fault-injection")]
        self.journaled.note(|| Op::Sync {
            file: self.journaled.number(),
        });
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written(self.end, &bytes[..n]);
        self.end += n as u64;
        Ok(n)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = self.file.write_vectored(slices)?;
        #[cfg(feature = "fault-injection")]
        self.written(self.end, &joined(slices, n));
        self.end += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The first bytes of slices, as one.
#[cfg(feature = "fault-injection")]
fn joined(slices: &[IoSlice<'_>], length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect();
    bytes.truncate(length);
    bytes
}

/// Replaces a file by a private one, through a `.part` file and a rename. Not synced.
///
/// # Errors
/// If it cannot be written.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    DiskFile::create_private(&aside)?.write_all(bytes)?;
    rename(&aside, path)
}

/// Gives a file another name; a file of that name is replaced.
///
/// # Errors
/// If the system refuses.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    note!(
        to,
        Op::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        }
    );
    Ok(())
}

/// Gives a file a second name.
///
/// # Errors
/// `AlreadyExists` if something has that name; if the system refuses.
pub fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    note!(
        to,
        Op::Link {
            from: from.to_owned(),
            to: to.to_owned(),
        }
    );
    Ok(())
}

/// Removes a file.
///
/// # Errors
/// `NotFound` if there is none; if the system refuses.
pub fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    note!(path, Op::Remove(path.to_owned()));
    Ok(())
}

/// Removes a file; that there is none is no fault.
///
/// # Errors
/// If the system refuses.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes an empty folder.
///
/// # Errors
/// If something is in it; if the system refuses.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    fs::remove_dir(path)?;
    note!(path, Op::Remove(path.to_owned()));
    Ok(())
}

/// Removes a folder and all that is in it. A link is removed and not followed.
///
/// # Errors
/// `NotFound` if there is none; if the system refuses.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => remove_dir_all(&entry.path())?,
            false => remove_file(&entry.path())?,
        }
    }
    remove_dir(path)
}

fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)?;
    note!(path, Op::CreateDir(path.to_owned()));
    Ok(())
}

/// Makes what happened to the names in a folder durable.
///
/// # Errors
/// If it does not become so.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()?;
    note!(folder, Op::SyncFolder(folder.to_owned()));
    Ok(())
}

/// Makes a folder and those above it, durably.
///
/// # Errors
/// `AlreadyExists` if something else has its name; if the system refuses.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    make(folder, 0o777)
}

/// As [`make_folder`], for its owner alone. A folder that exists keeps its mode: it may have been made
/// for more than this.
///
/// # Errors
/// As for [`make_folder`].
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    make(folder, 0o700)
}

fn make(folder: &Path, mode: u32) -> io::Result<()> {
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    match create_dir(folder, mode) {
        Ok(()) => sync_folder(above),
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && above != Path::new(".") => {
            make(above, mode)?;
            match create_dir(folder, mode) {
                Err(error) if !folder.is_dir() => Err(error),
                _ => sync_folder(above),
            }
        }
        Err(error) => Err(error),
    }
}
