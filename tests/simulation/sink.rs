//! A sink in memory, which outlives the starts of a run as a container does, and which insists.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use gleaner::sink::{
    Action, Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, MANIFEST, SinkError,
    SinkFuture,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::behaviour::{RETRY_AFTER, draw};

/// Small, so that every file has some.
const BLOCK: usize = 1500;

#[derive(Default)]
struct State {
    claim: Option<ClaimRecord>,
    staged: BTreeMap<(String, u32), Bytes>,
    files: BTreeMap<String, Vec<u8>>,
    manifest: Option<Vec<u8>>,
    /// How often each call was made.
    calls: BTreeMap<String, u32>,
}

#[derive(Clone)]
pub struct SimSink {
    seed: u64,
    state: Arc<Mutex<State>>,
}

/// What the sink does by itself about a call, whatever else goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passing {
    No,
    /// It refuses once.
    Refused,
    /// It does what it is asked for, twice, and the answer is lost.
    AnswerLost,
    /// It is too busy once, and asks to wait.
    Throttled,
}

impl SimSink {
    pub fn of(seed: u64) -> Self {
        let state = Arc::default();
        Self { seed, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Makes a call as this seed has it.
    async fn call<T>(
        &self,
        call: String,
        work: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkError> {
        let passing = match draw(self.seed, &call, 1, 15) {
            1 => Passing::Refused,
            2 => Passing::AnswerLost,
            3 => Passing::Throttled,
            _ => Passing::No,
        };
        let times = {
            let mut state = self.state();
            let times = state.calls.entry(call).or_default();
            *times += 1;
            *times
        };
        let again = |reason: &str, action| {
            let reason = reason.to_owned();
            Err(SinkError::Custom { reason, action })
        };
        let retry_after = Some(RETRY_AFTER);
        match passing {
            Passing::Refused if times == 1 => again("refused", Action::Retry),
            Passing::Throttled if times == 1 => again("busy", Action::Throttle { retry_after }),
            Passing::AnswerLost if times <= 2 => {
                work.await?;
                again("the answer was lost", Action::Retry)
            }
            _ => work.await,
        }
    }

    pub fn is_published(&self) -> bool {
        self.state().manifest.is_some()
    }

    pub fn is_claimed(&self) -> bool {
        self.state().claim.is_some()
    }

    /// Writes the dataset into a folder.
    pub fn write_to(&self, folder: &Path) {
        let state = self.state();
        assert!(state.claim.is_none(), "the claim is left");
        let manifest = state.manifest.as_ref().expect("a published dataset");
        let files = state
            .files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes));
        for (path, bytes) in files.chain([(MANIFEST, manifest)]) {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            fs::write(path, bytes).expect("writable");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything takes a little.
async fn pause(bytes: usize) {
    tokio::time::sleep(Duration::from_micros(500 + bytes as u64)).await;
}

impl State {
    fn commit(&mut self, file: FileCommit) -> Result<(), SinkError> {
        assert!(file.is_whole(), "{}: a commit of half a file", file.path);
        let mut bytes = Vec::new();
        for receipt in &file.blocks {
            let key = (file.path.clone(), receipt.index);
            match self.staged.get(&key) {
                Some(block) => bytes.extend_from_slice(block),
                // A commit uses its blocks up; done again it finds its file.
                None => {
                    let found = self.files.get(&file.path);
                    let found = found.unwrap_or_else(|| panic!("{}: no such block", file.path));
                    assert_eq!(hex(found), file.sha256, "{} was changed", file.path);
                    return Ok(());
                }
            }
        }
        assert_eq!(hex(&bytes), file.sha256, "{}: other bytes", file.path);
        self.staged.retain(|(path, _), _| *path != file.path);
        if let Some(before) = self.files.insert(file.path.clone(), bytes) {
            assert_eq!(hex(&before), file.sha256, "{} was changed", file.path);
        }
        Ok(())
    }

    /// A manifest names whole files only.
    fn inspect(&self, manifest: &[u8]) {
        let manifest: Value = serde_json::from_slice(manifest).expect("JSON");
        let named = |list: &str, path: &str| -> Vec<(String, String)> {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let files = manifest[list].as_array().expect("a list").iter();
            // A stratum without records has no file.
            files
                .filter(|f| !f[path].is_null())
                .map(|f| (text(&f[path]), text(&f["sha256"])))
                .collect()
        };
        let card = &manifest["card"];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let card = vec![(text(&card["path"]), text(&card["sha256"]))];
        let (strata, reports) = (named("strata", "file"), named("invalid_files", "path"));
        let files = [strata, reports, card].concat();
        for (path, sha256) in files {
            let bytes = self.files.get(&path);
            let bytes = bytes.unwrap_or_else(|| panic!("{path} is named and not there"));
            assert_eq!(hex(bytes), sha256, "{path}");
        }
    }
}

impl DatasetSink for SimSink {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn block_bytes(&self) -> usize {
        BLOCK
    }

    fn claim<'a>(&'a self, _: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        let work = async move {
            let mut state = self.state();
            if let Some(manifest) = &state.manifest {
                return Ok(Claim::Published(manifest.clone()));
            }
            let held = state.claim.get_or_insert_with(|| claim.clone());
            assert_eq!(held, claim, "another run's");
            Ok(Claim::Granted)
        };
        self.call("claim".to_owned(), work).boxed()
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        let call = format!("stage/{}/{}", block.path, block.index);
        let work = async move {
            pause(block.bytes.len()).await;
            let bytes = block.bytes.len() as u64;
            let key = (block.path.clone(), block.index);
            let mut state = self.state();
            assert!(
                state.manifest.is_none(),
                "{}: after the manifest",
                block.path
            );
            let before = state.staged.insert(key, block.bytes.clone());
            if let Some(before) = before {
                assert_eq!(before, block.bytes, "{}: another block", block.path);
            }
            Ok(BlockReceipt {
                index: block.index,
                bytes,
                id: String::new(),
                sent: true,
            })
        };
        self.call(call, work).boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        let call = format!("commit/{}", file.path);
        let work = async move {
            pause(0).await;
            self.state().commit(file)
        };
        self.call(call, work).boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        let work = async move {
            pause(0).await;
            let mut state = self.state();
            if state.manifest.is_some() {
                return Err(SinkError::Exists(dataset.to_owned()));
            }
            state.inspect(&manifest);
            state.manifest = Some(manifest);
            Ok(())
        };
        self.call("publish".to_owned(), work).boxed()
    }

    fn release<'a>(&'a self, _: &'a str) -> SinkFuture<'a, ()> {
        let work = async move {
            self.state().claim = None;
            Ok(())
        };
        self.call("release".to_owned(), work).boxed()
    }
}
