//! The operations on files below a folder, as they happened.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An operation. Paths are as they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A folder was made.
    CreateDir(PathBuf),
    /// A file was created, or emptied if it was there.
    Create {
        /// Its name.
        path: PathBuf,
        /// Its number, which a rename does not change.
        file: u64,
    },
    /// Bytes were written.
    Write {
        /// The file's number.
        file: u64,
        /// Position of the first byte in the file.
        offset: u64,
        /// The bytes written.
        bytes: Vec<u8>,
    },
    /// A file was cut off or made longer.
    SetLen {
        /// The file's number.
        file: u64,
        /// Bytes.
        length: u64,
    },
    /// A file was synced.
    Sync {
        /// The file's number.
        file: u64,
    },
    /// A folder was synced.
    SyncFolder(PathBuf),
    /// A file got another name.
    Rename {
        /// Its name before.
        from: PathBuf,
        /// Its name now.
        to: PathBuf,
    },
    /// A file got a second name.
    Link {
        /// Its first name.
        from: PathBuf,
        /// Its second.
        to: PathBuf,
    },
    /// A name of a file, or an empty folder, was removed.
    Remove(PathBuf),
}

type Ops = Arc<Mutex<Vec<Op>>>;

/// The recordings, each with the folder that it covers.
static RECORDINGS: Mutex<Vec<(PathBuf, Ops)>> = Mutex::new(Vec::new());

/// The number of recordings: a run without one takes no lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);

static NUMBERS: AtomicU64 = AtomicU64::new(0);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded value is whole after every statement, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records until it is dropped.
#[derive(Debug)]
pub struct Recording {
    ops: Ops,
}

/// Records what happens below a folder.
pub fn record(folder: &Path) -> Recording {
    let ops = Ops::default();
    lock(&RECORDINGS).push((folder.to_owned(), Arc::clone(&ops)));
    COUNT.fetch_add(1, Ordering::SeqCst);
    Recording { ops }
}

impl Recording {
    /// The operations so far.
    pub fn ops(&self) -> Vec<Op> {
        lock(&self.ops).clone()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::SeqCst);
        lock(&RECORDINGS).retain(|(_, ops)| !Arc::ptr_eq(ops, &self.ops));
    }
}

/// Notes what was done to a path.
pub(super) fn note(path: &Path, op: impl FnOnce() -> Op) {
    if let Some(ops) = recording(path) {
        lock(&ops).push(op());
    }
}

fn recording(path: &Path) -> Option<Ops> {
    if COUNT.load(Ordering::SeqCst) == 0 {
        return None;
    }
    let recordings = lock(&RECORDINGS);
    let found = recordings.iter().find(|(root, _)| path.starts_with(root));
    found.map(|(_, ops)| Arc::clone(ops))
}

/// A file that is recorded, or not.
#[derive(Debug)]
pub(super) struct Handle(Option<(u64, Ops)>);

impl Handle {
    pub(super) fn created(path: &Path) -> Self {
        let ops = recording(path);
        Self(ops.map(|ops| {
            let file = NUMBERS.fetch_add(1, Ordering::Relaxed);
            lock(&ops).push(Op::Create {
                path: path.to_owned(),
                file,
            });
            (file, ops)
        }))
    }

    pub(super) fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |(number, _)| *number)
    }

    pub(super) fn note(&self, op: impl FnOnce() -> Op) {
        if let Some((_, ops)) = &self.0 {
            lock(ops).push(op());
        }
    }
}
