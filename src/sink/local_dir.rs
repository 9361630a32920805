//! A folder of datasets on a local disk.
//!
//! Blocks are written into `<file>.part`; a commit syncs it and renames it. Before the manifest the
//! folders in which names have changed are synced, each once; the manifest is synced aside and linked
//! into place, which fails if there is one. The claim is `.claim.json` in the dataset's folder, put
//! there the same way. What a crash leaves: a claimed folder with `.part`
//! files and perhaps whole files, perhaps the manifest. Only the run that claimed it goes on with
//! it: it writes every file anew, and giving the claim back removes what is left of the rest.
//!
//! A file becomes visible only if every one of its blocks was written by this process. So a commit
//! that is asked for twice, or after a block that came late, cannot replace a whole file by one
//! with holes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::claim::{self as claims, CLAIM, Granted};
use super::{
    Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, MANIFEST, SinkError,
    SinkFuture,
};
use crate::domain::dataset::manifest::hex;
use crate::runtime::files::refuse_link;
use crate::runtime::storage::{self, make_folder, remove_if_there, sync_folder};
use crate::runtime::{Jobs, tracked};

mod claim;
mod durable;
mod part;

use claim::{look, put_claim};
use durable::{open_if_there, put_new, read_if_there, remove_if_empty, replace};
use part::Part;

/// A block: large enough that a write costs nothing beside its bytes, small enough for eight of
/// them to be in memory.
const BLOCK_BYTES: usize = 1 << 20;

/// How often a claim looks again when others claim at the same moment. Each look but the first
/// follows a claim by another run that was put or given back meanwhile, so two are nearly always
/// enough.
const CLAIM_LOOKS: usize = 8;

/// A folder that holds datasets.
#[derive(Debug, Clone)]
pub struct LocalDir {
    root: Arc<PathBuf>,
    /// The files that are being written, by final path. As many are open as the pipeline writes at
    /// once; a commit closes its file.
    parts: Arc<Mutex<BTreeMap<PathBuf, Arc<Part>>>>,
    /// The folders in which files got their names since the last manifest: a power cut may undo it.
    renamed_in: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// The claims that commits are checked against.
    granted: Arc<Granted>,
    /// Work on files.
    jobs: Jobs,
}

impl LocalDir {
    /// Uses a folder, which is made at the first claim.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root: Arc::new(root),
            parts: Arc::default(),
            renamed_in: Arc::default(),
            granted: Arc::default(),
            jobs: Jobs::default(),
        }
    }

    fn path(&self, dataset: &str, path: &str) -> PathBuf {
        self.root.join(dataset).join(path)
    }

    fn claim_now(&self, dataset: &str, claim: &ClaimRecord) -> Result<Claim, SinkError> {
        let folder = self.root.join(dataset);
        let unwritable = |error: io::Error| SinkError::Unwritable {
            location: self.root.display().to_string(),
            reason: error.to_string(),
        };
        make_folder(&self.root).map_err(unwritable)?;
        refuse_link(&folder).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => SinkError::Link {
                path: folder.display().to_string(),
            },
            _ => unwritable(error),
        })?;
        match make_folder(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(SinkError::Exists(folder.display().to_string()));
            }
            // A start that was killed may have made it without syncing.
            result => result.and_then(|()| sync_folder(&self.root)),
        }
        .map_err(unwritable)?;
        for _ in 0..CLAIM_LOOKS {
            if let Some(answer) = look(&folder, claim).map_err(unwritable)? {
                return answer;
            }
            if put_claim(&folder, claim).map_err(unwritable)? {
                return Ok(Claim::Granted);
            }
        }
        Err(unwritable(io::Error::other(
            "other runs claim it and give it back again and again",
        )))
    }

    /// Makes the folders below the root that a file needs. None may be a symbolic link.
    fn make_folders_of(&self, target: &Path) -> io::Result<()> {
        let Some(folder) = target.parent() else {
            return Ok(());
        };
        let below = folder.strip_prefix(&*self.root).unwrap_or(folder);
        let mut path = self.root.to_path_buf();
        for name in below {
            path.push(name);
            refuse_link(&path)?;
        }
        make_folder(folder)
    }

    /// The dataset still belongs to the run that this sink was claimed for.
    fn check_claim(&self, dataset: &str) -> Result<(), SinkError> {
        let Some(mine) = self.granted.of(dataset) else {
            return Ok(());
        };
        let folder = self.root.join(dataset);
        let path = folder.join(CLAIM);
        let there = read_if_there(&path).map_err(|error| failed("read", &path, error))?;
        claims::still_held(&folder.display().to_string(), there.as_deref(), &mine)
    }

    /// Where the claim was taken away meanwhile, that is the error to report.
    fn or_lost<T>(&self, dataset: &str, done: Result<T, SinkError>) -> Result<T, SinkError> {
        if done.is_err() {
            self.check_claim(dataset)?;
        }
        done
    }

    /// The file that a block belongs to, opened once.
    fn part_of(&self, target: &Path) -> io::Result<Arc<Part>> {
        let mut parts = lock(&self.parts);
        if let Some(part) = parts.get(target) {
            return Ok(Arc::clone(part));
        }
        self.make_folders_of(target)?;
        // A file that an earlier start left is written anew.
        let path = part_path(target);
        refuse_link(&path)?;
        let part = Arc::new(Part::create(&path)?);
        parts.insert(target.to_owned(), Arc::clone(&part));
        Ok(part)
    }

    fn stage_now(&self, block: &Block) -> Result<BlockReceipt, SinkError> {
        let path = self.path(&block.dataset, &block.path);
        // The folder may belong to another run by now: check before starting a file.
        if !lock(&self.parts).contains_key(&path) {
            self.check_claim(&block.dataset)?;
        }
        let write = || self.part_of(&path)?.write(block);
        let written = write().map_err(|error| failed("write", &path, error));
        self.or_lost(&block.dataset, written)?;
        Ok(BlockReceipt {
            index: block.index,
            bytes: block.bytes.len() as u64,
            id: String::new(),
            sent: true,
        })
    }

    fn commit_now(&self, commit: &FileCommit) -> io::Result<()> {
        if !commit.is_whole() {
            let what = "the blocks are not the whole file";
            return Err(io::Error::new(ErrorKind::InvalidInput, what));
        }
        let target = self.path(&commit.dataset, &commit.path);
        let found = lock(&self.parts).get(&target).map(Arc::clone);
        let part = match found {
            Some(part) => part,
            None if is_committed(&target, commit)? => return Ok(()),
            None if commit.blocks.is_empty() => self.part_of(&target)?,
            None => return Err(incomplete()),
        };
        // Held to the end: the same commit, asked for again meanwhile, waits and then finds the file.
        let mut state = lock(&part.state);
        if state.over || !state.holds(&commit.blocks) {
            return match is_committed(&target, commit)? {
                true => Ok(()),
                false => Err(incomplete()),
            };
        }
        // After a failed sync the state of the disk is unknown: there is no second try.
        state.over = true;
        let result = part
            .finish(commit.bytes)
            .and_then(|()| storage::rename(&part_path(&target), &target));
        lock(&self.parts).remove(&target);
        result
    }

    fn note_renamed(&self, path: &Path) {
        lock(&self.renamed_in).extend(path.parent().map(Path::to_owned));
    }

    /// Makes the names of a dataset's files durable. A folder that cannot be synced is tried again by
    /// the next call.
    fn sync_names(&self, dataset: &Path) -> io::Result<()> {
        let mut folders: Vec<PathBuf> = lock(&self.renamed_in).iter().cloned().collect();
        folders.retain(|folder| folder.starts_with(dataset));
        for folder in folders {
            sync_folder(&folder)?;
            lock(&self.renamed_in).remove(&folder);
        }
        Ok(())
    }

    fn publish_now(&self, dataset: &str, manifest: &[u8]) -> Result<(), SinkError> {
        let folder = self.root.join(dataset);
        let path = folder.join(MANIFEST);
        self.check_claim(dataset)?;
        let published = self
            .sync_names(&folder)
            .and_then(|()| put_new(&path, "publish", manifest));
        published.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => SinkError::Exists(folder.display().to_string()),
            _ => failed("publish", &path, error),
        })
    }

    fn rename_now(&self, from: &Path, to: &Path) -> io::Result<()> {
        match storage::rename(from, to) {
            Err(error) if error.kind() == ErrorKind::NotFound && to.is_file() => {}
            renamed => renamed?,
        }
        // Both names lie in the dataset, perhaps in two folders of it.
        self.note_renamed(from);
        self.note_renamed(to);
        Ok(())
    }

    fn release_now(&self, dataset: &str) -> io::Result<()> {
        let folder = self.root.join(dataset);
        lock(&self.parts).retain(|target, _| !target.starts_with(&folder));
        lock(&self.renamed_in).retain(|renamed| !renamed.starts_with(&folder));
        remove_parts(&folder)?;
        // Last: while it is there, a crash is followed by another release.
        remove_if_there(&folder.join(CLAIM))?;
        self.granted.forget(dataset);
        sync_folder(&folder)
    }

    fn revoke_now(&self, dataset: &str, run_id: &str) -> Result<(), SinkError> {
        let folder = self.root.join(dataset);
        let io = |error| failed("clear", &folder, error);
        let there = read_if_there(&folder.join(CLAIM)).map_err(io)?;
        if !claims::may_revoke(&folder.display().to_string(), there.as_deref(), run_id)? {
            return Ok(());
        }
        let clear = || -> io::Result<()> {
            if read_if_there(&folder.join(MANIFEST))?.is_none() {
                clear_folder(&folder)?;
                sync_folder(&folder)?;
            }
            // Last: until it is removed, no other run can claim the folder.
            remove_if_there(&folder.join(CLAIM))?;
            sync_folder(&folder)
        };
        clear().map_err(io)
    }
}

impl DatasetSink for LocalDir {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        let (sink, dataset, claim) = (self.clone(), dataset.to_owned(), claim.clone());
        async move {
            tracked(&self.jobs, move || {
                let answer = sink.claim_now(&dataset, &claim);
                sink.granted.note(&dataset, &claim, &answer);
                answer
            })
            .await?
        }
        .boxed()
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        let sink = self.clone();
        async move { tracked(&self.jobs, move || sink.stage_now(&block)).await? }.boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        let sink = self.clone();
        async move {
            tracked(&self.jobs, move || {
                let path = sink.path(&file.dataset, &file.path);
                sink.check_claim(&file.dataset)?;
                // Also where an earlier start has renamed it, perhaps without syncing.
                let committed = sink.commit_now(&file).map(|()| sink.note_renamed(&path));
                let committed = committed.map_err(|error| failed("commit", &path, error));
                sink.or_lost(&file.dataset, committed)
            })
            .await?
        }
        .boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        let (sink, dataset) = (self.clone(), dataset.to_owned());
        async move { tracked(&self.jobs, move || sink.publish_now(&dataset, &manifest)).await? }
            .boxed()
    }

    fn renames(&self) -> bool {
        true
    }

    fn rename<'a>(&'a self, dataset: &'a str, from: &'a str, to: &'a str) -> SinkFuture<'a, ()> {
        let sink = self.clone();
        let (dataset, from, to) = (
            dataset.to_owned(),
            self.path(dataset, from),
            self.path(dataset, to),
        );
        async move {
            tracked(&self.jobs, move || {
                sink.check_claim(&dataset)?;
                let renamed = sink.rename_now(&from, &to);
                let renamed = renamed.map_err(|error| failed("rename", &from, error));
                sink.or_lost(&dataset, renamed)
            })
            .await?
        }
        .boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        let (sink, dataset) = (self.clone(), dataset.to_owned());
        async move {
            tracked(&self.jobs, move || {
                sink.release_now(&dataset)
                    .map_err(|error| failed("give back", &sink.root.join(&dataset), error))
            })
            .await?
        }
        .boxed()
    }

    fn read_claim<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        let folder = self.root.join(dataset);
        async move {
            tracked(&self.jobs, move || {
                let path = folder.join(CLAIM);
                let text = read_if_there(&path).map_err(|error| failed("read", &path, error))?;
                let name = folder.display().to_string();
                text.map(|text| claims::parse(&name, &text)).transpose()
            })
            .await?
        }
        .boxed()
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        let (sink, dataset, run_id) = (self.clone(), dataset.to_owned(), run_id.to_owned());
        async move { tracked(&self.jobs, move || sink.revoke_now(&dataset, &run_id)).await? }
            .boxed()
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        self.jobs.over().boxed()
    }

    fn put_sidecar<'a>(&'a self, name: &'a str, document: Vec<u8>) -> SinkFuture<'a, ()> {
        let path = self.root.join(name);
        async move {
            tracked(&self.jobs, move || {
                replace(&path, &document).map_err(|error| failed("write", &path, error))
            })
            .await?
        }
        .boxed()
    }
}

fn failed(action: &'static str, path: &Path, error: io::Error) -> SinkError {
    SinkError::Io {
        action,
        path: path.display().to_string(),
        source: error,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded value is whole after every statement, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn incomplete() -> io::Error {
    let what = "not all of its blocks were written since this process began with it";
    io::Error::new(ErrorKind::InvalidData, what)
}

fn part_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Removes what was written aside and never came into place, and folders in which nothing else is:
/// of a dataset that is given up nothing must be left that another claim would find.
fn remove_parts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_parts(&entry.path())?;
            remove_if_empty(&entry.path())?;
        } else if entry.file_name().to_string_lossy().ends_with(".part") {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes what a run has written into a dataset's folder, all but its claim. A link is removed and
/// not followed.
fn clear_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == CLAIM {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => storage::remove_dir_all(&entry.path())?,
            false => remove_if_there(&entry.path())?,
        }
    }
    Ok(())
}

/// Whether a commit was carried out already: the file exists, whole.
fn is_committed(target: &Path, commit: &FileCommit) -> io::Result<bool> {
    let Some(mut file) = open_if_there(target)? else {
        return Ok(false);
    };
    if file.metadata()?.len() != commit.bytes {
        return Ok(false);
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex(&hasher.finalize()) == commit.sha256),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests;
