//! A folder of datasets on a local disk.
//!
//! Blocks are written into `<file>.part`; a commit syncs it and renames it; the manifest is synced
//! aside and linked into place, which fails if there is one. The claim is `.claim.json` in the
//! dataset's folder, put there the same way. What a crash leaves: a claimed folder with `.part`
//! files and perhaps whole files, but no manifest. Only the run that claimed it goes on with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{
    Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, MANIFEST, SinkError,
};
use crate::runtime::blocking;

/// A block: large enough that a write costs nothing beside its bytes, small enough for eight of
/// them to be in memory.
const BLOCK_BYTES: usize = 1 << 20;

/// Bytes after which a file's write-back is begun, so that the sync at its end has little to do.
const WRITE_BACK_BYTES: u64 = 32 << 20;

const CLAIM: &str = ".claim.json";

/// A folder that holds datasets.
#[derive(Debug, Clone)]
pub struct LocalDir {
    root: Arc<PathBuf>,
}

impl LocalDir {
    /// Uses a folder, which is made at the first claim.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root: Arc::new(root),
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
        fs::create_dir_all(&*self.root).map_err(unwritable)?;
        match fs::create_dir(&folder) {
            Ok(()) => sync_folder(&self.root).map_err(unwritable)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritable(error)),
        }
        if let Some(manifest) = read_if_there(&folder.join(MANIFEST)).map_err(unwritable)? {
            return match run_id_of(&manifest) {
                Some(run_id) if run_id == claim.run_id => Ok(Claim::Published(manifest)),
                _ => Err(SinkError::Exists(folder.display().to_string())),
            };
        }
        let path = folder.join(CLAIM);
        match read_if_there(&path).map_err(unwritable)? {
            Some(text) => return self.check_claim(&folder, &text, claim),
            None if !is_empty(&folder).map_err(unwritable)? => {
                return Err(SinkError::Exists(folder.display().to_string()));
            }
            None => {}
        }
        let text = serde_json::to_vec_pretty(claim).map_err(|error| unwritable(error.into()))?;
        match put_new(&path, &claim.run_id, &text) {
            Ok(()) => Ok(Claim::Granted),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // Another run was faster.
                let text = fs::read(&path).map_err(unwritable)?;
                self.check_claim(&folder, &text, claim)
            }
            Err(error) => Err(unwritable(error)),
        }
    }

    fn check_claim(
        &self,
        folder: &Path,
        text: &[u8],
        claim: &ClaimRecord,
    ) -> Result<Claim, SinkError> {
        match serde_json::from_slice::<ClaimRecord>(text) {
            Ok(found) if found.run_id == claim.run_id => Ok(Claim::Granted),
            Ok(found) => Err(SinkError::Claimed {
                dataset: folder.display().to_string(),
                run_id: found.run_id,
                since: found.since,
            }),
            Err(_) => Err(SinkError::Exists(folder.display().to_string())),
        }
    }

    fn stage_now(&self, block: &Block) -> io::Result<BlockReceipt> {
        let part = part(&self.path(&block.dataset, &block.path));
        if let Some(folder) = part.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&part)?;
        file.write_all_at(&block.bytes, block.offset)?;
        let bytes = block.bytes.len() as u64;
        if block.offset / WRITE_BACK_BYTES != (block.offset + bytes) / WRITE_BACK_BYTES {
            file.sync_data()?;
        }
        Ok(BlockReceipt {
            index: block.index,
            bytes,
            id: String::new(),
        })
    }

    fn commit_now(&self, commit: &FileCommit) -> io::Result<()> {
        let staged: u64 = commit.blocks.iter().map(|block| block.bytes).sum();
        let in_order = (0..).zip(&commit.blocks).all(|(i, block)| block.index == i);
        if staged != commit.bytes || !in_order {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "the blocks are not the whole file",
            ));
        }
        let path = self.path(&commit.dataset, &commit.path);
        let part = part(&path);
        if let Some(folder) = part.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&part)?;
        // An earlier start of the run may have left a longer one.
        file.set_len(commit.bytes)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        path.parent().map_or(Ok(()), sync_folder)
    }

    fn release_now(&self, dataset: &str) -> io::Result<()> {
        let folder = self.root.join(dataset);
        match fs::remove_file(folder.join(CLAIM)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        sync_folder(&folder)
    }
}

impl DatasetSink for LocalDir {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn claim<'a>(
        &'a self,
        dataset: &'a str,
        claim: &'a ClaimRecord,
    ) -> BoxFuture<'a, Result<Claim, SinkError>> {
        let (sink, dataset, claim) = (self.clone(), dataset.to_owned(), claim.clone());
        async move { blocking(move || sink.claim_now(&dataset, &claim)).await? }.boxed()
    }

    fn stage(&self, block: Block) -> BoxFuture<'_, Result<BlockReceipt, SinkError>> {
        let sink = self.clone();
        async move {
            blocking(move || {
                sink.stage_now(&block)
                    .map_err(|error| failed("write", block.path, error))
            })
            .await?
        }
        .boxed()
    }

    fn commit(&self, file: FileCommit) -> BoxFuture<'_, Result<(), SinkError>> {
        let sink = self.clone();
        async move {
            blocking(move || {
                sink.commit_now(&file)
                    .map_err(|error| failed("commit", file.path, error))
            })
            .await?
        }
        .boxed()
    }

    fn publish<'a>(
        &'a self,
        dataset: &'a str,
        manifest: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), SinkError>> {
        let path = self.path(dataset, MANIFEST);
        async move {
            let folder = self.root.join(dataset).display().to_string();
            blocking(move || match put_new(&path, "publish", &manifest) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    Err(SinkError::Exists(folder))
                }
                result => result.map_err(|error| failed("publish", MANIFEST.to_owned(), error)),
            })
            .await?
        }
        .boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> BoxFuture<'a, Result<(), SinkError>> {
        let (sink, dataset) = (self.clone(), dataset.to_owned());
        async move {
            blocking(move || {
                sink.release_now(&dataset)
                    .map_err(|error| failed("remove", CLAIM.to_owned(), error))
            })
            .await?
        }
        .boxed()
    }
}

fn failed(action: &'static str, path: String, error: io::Error) -> SinkError {
    SinkError::Io {
        action,
        path,
        error,
    }
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a folder holds nothing but what a crash during a claim may leave.
fn is_empty(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(CLAIM) && name.ends_with(".part")) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn run_id_of(manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    Some(manifest.get("run_id")?.as_str()?.to_owned())
}

/// Puts a whole, synced file where none is; `AlreadyExists` if there is one.
fn put_new(path: &Path, tag: &str, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{tag}.part"));
    let aside = PathBuf::from(aside);
    fs::write(&aside, bytes)?;
    File::open(&aside)?.sync_all()?;
    // A link, unlike a rename, does not replace what is there.
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    linked?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(run_id: &str) -> ClaimRecord {
        ClaimRecord {
            run_id: run_id.to_owned(),
            fingerprint: "f".to_owned(),
            since: "2025-01-01T00:00:00Z".to_owned(),
        }
    }

    fn block(index: u32, offset: u64, bytes: &[u8]) -> Block {
        Block {
            dataset: "d".to_owned(),
            path: "train/a.json".to_owned(),
            index,
            offset,
            bytes: bytes.to_vec(),
        }
    }

    fn sink() -> (tempfile::TempDir, LocalDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let sink = LocalDir::new(folder.path().join("out"));
        (folder, sink)
    }

    #[tokio::test]
    async fn blocks_in_any_order_and_twice_make_the_file() {
        let (_folder, sink) = sink();
        let granted = sink.claim("d", &claim("1")).await.expect("free");
        assert_eq!(granted, Claim::Granted);
        // What a killed start has left.
        sink.stage(block(0, 0, &[b'x'; 20])).await.expect("room");
        let second = sink.stage(block(1, 3, b"def")).await.expect("room");
        sink.stage(block(0, 0, b"abc")).await.expect("room");
        let first = sink.stage(block(0, 0, b"abc")).await.expect("room");
        let commit = FileCommit {
            dataset: "d".to_owned(),
            path: "train/a.json".to_owned(),
            blocks: vec![first, second],
            bytes: 6,
            sha256: String::new(),
        };
        sink.commit(commit.clone()).await.expect("room");
        let path = sink.path("d", "train/a.json");
        assert_eq!(fs::read(&path).expect("a file"), b"abcdef");
        let short = FileCommit { bytes: 7, ..commit };
        assert!(sink.commit(short).await.is_err());
    }

    #[tokio::test]
    async fn a_folder_belongs_to_one_run() {
        let (_folder, sink) = sink();
        for _ in 0..2 {
            let again = sink.claim("d", &claim("1")).await.expect("mine");
            assert_eq!(again, Claim::Granted);
        }
        assert!(matches!(
            sink.claim("d", &claim("2")).await,
            Err(SinkError::Claimed { run_id, .. }) if run_id == "1"
        ));
        let manifest = br#"{"run_id": "1"}"#.to_vec();
        sink.publish("d", manifest.clone()).await.expect("room");
        assert_eq!(
            sink.claim("d", &claim("1")).await.expect("mine"),
            Claim::Published(manifest.clone())
        );
        assert!(matches!(
            sink.claim("d", &claim("2")).await,
            Err(SinkError::Exists(_))
        ));
        assert!(matches!(
            sink.publish("d", manifest).await,
            Err(SinkError::Exists(_))
        ));
        sink.release("d").await.expect("there");
        sink.release("d").await.expect("again is harmless");
        let left: Vec<_> = fs::read_dir(sink.root.join("d")).expect("there").collect();
        assert_eq!(left.len(), 1, "only the manifest: {left:?}");
    }

    #[tokio::test]
    async fn of_many_claims_at_once_one_is_granted() {
        let (_folder, sink) = sink();
        let claims = (0..8).map(|i| {
            let sink = sink.clone();
            async move { sink.claim("d", &claim(&i.to_string())).await }
        });
        let results = futures_util::future::join_all(claims).await;
        let granted = results.iter().filter(|r| r.is_ok()).count();
        assert_eq!(granted, 1, "{results:?}");
    }

    #[tokio::test]
    async fn a_folder_with_other_things_is_left_alone() {
        let (_folder, sink) = sink();
        fs::create_dir_all(sink.root.join("d")).expect("a folder");
        fs::write(sink.path("d", "precious"), b"x").expect("writable");
        assert!(matches!(
            sink.claim("d", &claim("1")).await,
            Err(SinkError::Exists(_))
        ));
        fs::remove_file(sink.path("d", "precious")).expect("there");
        fs::write(sink.path("d", ".claim.json.9.part"), b"cut o").expect("writable");
        assert!(sink.claim("d", &claim("1")).await.is_ok());
    }
}
