//! A sink of your own: datasets go into a store of keys and values, as many systems have one. And a
//! rule of your own: no record is longer than a model can read.
//!
//! ```sh
//! cargo run --example custom_sink -- FOLDER
//! ```

#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use gleaner::Pipeline;
use gleaner::domain::record::rule::{Candidate, Rule};
use gleaner::sink::{
    Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, MANIFEST, SinkError,
    SinkFuture,
};

/// Stands for a store that puts and gets values whole, and can put one only if there is none.
#[derive(Default)]
struct Store(Mutex<BTreeMap<String, Vec<u8>>>);

impl Store {
    fn values(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.values().get(key).cloned()
    }

    fn put(&self, key: String, value: Vec<u8>) {
        self.values().insert(key, value);
    }

    /// `false` if there is one.
    fn put_new(&self, key: &str, value: &[u8]) -> bool {
        let mut values = self.values();
        let is_new = !values.contains_key(key);
        if is_new {
            values.insert(key.to_owned(), value.to_vec());
        }
        is_new
    }
}

/// Datasets in a store: `DATASET/FILE`, blocks aside under `DATASET/.blocks/FILE/N`.
struct KeyValueSink {
    store: Arc<Store>,
}

impl KeyValueSink {
    fn block_key(dataset: &str, path: &str, index: u32) -> String {
        format!("{dataset}/.blocks/{path}/{index}")
    }

    fn claim_now(&self, dataset: &str, claim: &ClaimRecord) -> Result<Claim, SinkError> {
        if let Some(manifest) = self.store.get(&format!("{dataset}/{MANIFEST}")) {
            let reported: serde_json::Value = serde_json::from_slice(&manifest).unwrap_or_default();
            return match reported["run_id"] == *claim.run_id {
                true => Ok(Claim::Published(manifest)),
                false => Err(SinkError::Exists(dataset.to_owned())),
            };
        }
        let key = format!("{dataset}/.claim");
        let mine = serde_json::to_vec(claim).unwrap_or_default();
        if self.store.put_new(&key, &mine) || self.store.get(&key) == Some(mine) {
            return Ok(Claim::Granted);
        }
        let theirs = self.store.get(&key).unwrap_or_default();
        let theirs: serde_json::Value = serde_json::from_slice(&theirs).unwrap_or_default();
        let text = |key: &str| theirs[key].as_str().unwrap_or_default().to_owned();
        Err(SinkError::Claimed {
            dataset: dataset.to_owned(),
            run_id: text("run_id"),
            since: text("since"),
        })
    }

    fn commit_now(&self, file: &FileCommit) -> Result<(), SinkError> {
        let refused = |reason: &str| SinkError::Unwritable {
            location: format!("{}/{}", file.dataset, file.path),
            reason: reason.to_owned(),
        };
        let key = format!("{}/{}", file.dataset, file.path);
        let mut whole = Vec::new();
        for block in &file.blocks {
            let part = Self::block_key(&file.dataset, &file.path, block.index);
            match self.store.get(&part) {
                Some(bytes) => whole.extend_from_slice(&bytes),
                // A commit that is asked for twice finds its file.
                None if self.store.get(&key).is_some() => return Ok(()),
                None => return Err(refused("a block is missing")),
            }
        }
        if !file.is_whole() || whole.len() as u64 != file.bytes {
            return Err(refused("the blocks are not the whole file"));
        }
        self.store.put(key, whole);
        Ok(())
    }
}

impl DatasetSink for KeyValueSink {
    fn location(&self) -> String {
        "store:".to_owned()
    }

    fn block_bytes(&self) -> usize {
        64 * 1024
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        async move { self.claim_now(dataset, claim) }.boxed()
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        let key = Self::block_key(&block.dataset, &block.path, block.index);
        let receipt = BlockReceipt {
            index: block.index,
            bytes: block.bytes.len() as u64,
            id: String::new(),
            sent: true,
        };
        self.store.put(key, block.bytes.to_vec());
        async move { Ok(receipt) }.boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        async move { self.commit_now(&file) }.boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        let is_new = self
            .store
            .put_new(&format!("{dataset}/{MANIFEST}"), &manifest);
        async move {
            match is_new {
                true => Ok(()),
                false => Err(SinkError::Exists(dataset.to_owned())),
            }
        }
        .boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        let (claim, blocks) = (format!("{dataset}/.claim"), format!("{dataset}/.blocks/"));
        let mut values = self.store.values();
        values.retain(|key, _| *key != claim && !key.starts_with(&blocks));
        async move { Ok(()) }.boxed()
    }
}

/// No record is longer than what a model can read.
struct FitsContext {
    bytes: usize,
}

impl Rule for FitsContext {
    fn name(&self) -> &'static str {
        "context_window"
    }

    fn check(&self, record: &Candidate<'_>) -> Option<String> {
        let bytes = record.bytes.len();
        (bytes > self.bytes).then(|| format!("{bytes} bytes, more than {}", self.bytes))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("say in which folder")?;
    let store = Arc::new(Store::default());
    let report = Pipeline::builder()
        .sink(KeyValueSink {
            store: Arc::clone(&store),
        })
        .rule(FitsContext { bytes: 20_000 })
        .config(
            "name = 'kept'
            source.kind = 'synthetic'
            source.synthetic.conversations = 3000
            [selection.targets]
            train = { short = 40, medium = 40, long = 40 }
            val = { short = 4, medium = 4, long = 4 }
            test = { short = 4, medium = 4, long = 4 }",
        )
        .work_dir(folder.join("work"))
        .build()?
        .spawn_thread()?
        .join_blocking()?;
    for (key, value) in store.values().iter() {
        println!("{key}: {} bytes", value.len());
    }
    let invalid: u64 = report.manifest.strata.iter().map(|s| s.invalid).sum();
    println!("{invalid} records were left out");
    println!("{} {}", report.location, report.manifest.content_sha256);
    Ok(())
}
