//! A sink that is right but for its fault.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use gleaner::sink::{
    Action, Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, MANIFEST, SinkError,
    SinkFuture,
};

/// What a sink does wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    None,
    NoBlocks,
    ZeroTimeout,
    /// Puts blocks behind each other as they come.
    Appends,
    /// Wants something in a file.
    NeedsBlocks,
    /// Writes new blocks into a file that is committed.
    Mixes,
    /// Refuses the next start of a run that has staged something.
    Unclean,
    /// A release must be the first.
    OneRelease,
    /// A release leaves a mark where nothing was.
    Marks,
    /// Commits what is there, whatever the receipts say.
    Holes,
    /// Does not cut what an earlier start has left.
    Stale,
    /// Files are there as soon as a block is.
    TooSoon,
    /// A commit uses the blocks up, and done again finds none.
    Once,
    /// A file that is renamed keeps its old name too.
    Copies,
    /// Names are made plain.
    PlainNames,
    /// Datasets whose names begin alike are one.
    Prefix,
    /// Claims are not looked at.
    TwoClaims,
    /// Two claims at the same moment are both granted.
    Race,
    /// The manifest is replaced.
    Overwrites,
    /// Every run is told the manifest.
    Everybodys,
    /// A release takes everything with it.
    Forgets,
    /// A release keeps what was only staged, as a file.
    Keeps,
    /// What is committed and given up may be claimed by anybody.
    Inherits,
    /// Lists files as they come.
    Unsorted,
    /// Gives digests that are none.
    Digests,
    /// A document beside the datasets must be the first of its name.
    OneSidecar,
    /// Asks for the same call again, for ever.
    AsksForEver,
}

/// A file that is being written, as in a file system: bytes by offset.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    blocks: BTreeMap<u32, u64>,
}

#[derive(Default)]
struct Store {
    claims: BTreeMap<String, ClaimRecord>,
    parts: BTreeMap<(String, String), Part>,
    files: BTreeMap<(String, String), Vec<u8>>,
}

/// Right, but for its fault.
#[derive(Clone)]
pub struct Careless {
    pub fault: Fault,
    store: Arc<Mutex<Store>>,
}

impl Careless {
    pub fn new(fault: Fault) -> Self {
        let store = Arc::default();
        Self { fault, store }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no panic")
    }

    fn key(&self, dataset: &str, path: &str) -> (String, String) {
        let dataset = match self.fault {
            Fault::Prefix => &dataset[..dataset.len().min(3)],
            _ => dataset,
        };
        let path = match self.fault {
            Fault::PlainNames => path.replace(' ', "_"),
            _ => path.to_owned(),
        };
        (dataset.to_owned(), path)
    }

    pub fn files(&self, dataset: &str) -> Vec<String> {
        let (dataset, _) = self.key(dataset, "");
        let store = self.store();
        let of = store.files.keys().filter(|(of, _)| *of == dataset);
        let mut files: Vec<String> = of.map(|(_, path)| path.clone()).collect();
        if self.fault == Fault::Unsorted {
            files.reverse();
        }
        files
    }

    pub fn read(&self, dataset: &str, path: &str) -> Option<Vec<u8>> {
        let key = self.key(dataset, path);
        let store = self.store();
        let part = store
            .parts
            .get(&key)
            .filter(|_| self.fault == Fault::TooSoon);
        let part = part.map(|part| part.bytes.clone());
        store.files.get(&key).cloned().or(part)
    }

    fn commit_now(&self, file: &FileCommit) -> Result<(), SinkError> {
        let key = self.key(&file.dataset, &file.path);
        let mut store = self.store();
        let found = store.files.get(&key).map(Vec::len);
        let is_there = found == Some(file.bytes as usize) && self.fault != Fault::Once;
        if found.is_some() && !is_there && self.fault == Fault::Mixes {
            return Err(refusal());
        }
        let part = store.parts.get_mut(&key);
        let part = part.filter(|part| {
            let staged =
                |receipt: &BlockReceipt| part.blocks.get(&receipt.index) == Some(&receipt.bytes);
            let is_whole = file.is_whole() && file.blocks.iter().all(staged);
            is_whole || (self.fault == Fault::Holes && !is_there)
        });
        let bytes = match part {
            Some(part) => {
                if self.fault != Fault::Stale {
                    part.bytes.truncate(file.bytes as usize);
                }
                std::mem::take(&mut part.bytes)
            }
            None if is_there => return Ok(()),
            None if file.blocks.is_empty() && self.fault != Fault::NeedsBlocks => Vec::new(),
            None => return Err(refusal()),
        };
        store.parts.remove(&key);
        store.files.insert(key, bytes);
        Ok(())
    }

    fn look(&self, dataset: &str, claim: &ClaimRecord) -> Option<Result<Claim, SinkError>> {
        let exists = || Err(SinkError::Exists(dataset.to_owned()));
        if let Some(manifest) = self.read(dataset, MANIFEST) {
            let text = String::from_utf8_lossy(&manifest).into_owned();
            let is_mine = text.contains(&format!("\"{}\"", claim.run_id));
            return Some(match is_mine || self.fault == Fault::Everybodys {
                true => Ok(Claim::Published(manifest)),
                false => exists(),
            });
        }
        let (key, _) = self.key(dataset, "");
        let store = self.store();
        let is_unclean =
            self.fault == Fault::Unclean && store.parts.keys().any(|(of, _)| *of == key);
        match store.claims.get(&key) {
            Some(_) if is_unclean => return Some(exists()),
            Some(found) if *found == *claim || self.fault == Fault::TwoClaims => {
                return Some(Ok(Claim::Granted));
            }
            Some(found) => {
                return Some(Err(SinkError::Claimed {
                    dataset: dataset.to_owned(),
                    run_id: found.run_id.clone(),
                    since: found.since.clone(),
                }));
            }
            None => {}
        }
        drop(store);
        let is_free = self.files(dataset).is_empty() || self.fault == Fault::Inherits;
        (!is_free).then(exists)
    }
}

fn refusal() -> SinkError {
    SinkError::Io {
        action: "commit",
        path: "a file".to_owned(),
        source: ErrorKind::InvalidData.into(),
    }
}

impl DatasetSink for Careless {
    fn location(&self) -> String {
        "here".to_owned()
    }

    fn block_bytes(&self) -> usize {
        if self.fault == Fault::NoBlocks {
            0
        } else {
            100
        }
    }

    fn operation_timeout(&self) -> Option<Duration> {
        (self.fault == Fault::ZeroTimeout).then_some(Duration::ZERO)
    }

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        async move {
            if let Some(answer) = self.look(dataset, claim) {
                return answer;
            }
            if self.fault == Fault::Race {
                tokio::task::yield_now().await;
            }
            let (key, _) = self.key(dataset, "");
            self.store().claims.insert(key, claim.clone());
            Ok(Claim::Granted)
        }
        .boxed()
    }

    fn stage(&self, block: Block) -> SinkFuture<'_, BlockReceipt> {
        async move {
            let key = self.key(&block.dataset, &block.path);
            let mut store = self.store();
            let (mut start, bytes) = (block.offset as usize, block.bytes.len());
            if let Some(file) = store.files.get_mut(&key)
                && self.fault == Fault::Mixes
            {
                file[start..start + bytes].copy_from_slice(&block.bytes);
            }
            let part = store.parts.entry(key).or_default();
            if self.fault == Fault::Appends {
                start = part.bytes.len();
            }
            part.bytes.resize(part.bytes.len().max(start + bytes), 0);
            part.bytes[start..start + bytes].copy_from_slice(&block.bytes);
            part.blocks.insert(block.index, bytes as u64);
            Ok(BlockReceipt {
                index: block.index,
                bytes: bytes as u64,
                id: String::new(),
                sent: true,
            })
        }
        .boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        async move { self.commit_now(&file) }.boxed()
    }

    fn publish<'a>(&'a self, dataset: &'a str, manifest: Vec<u8>) -> SinkFuture<'a, ()> {
        async move {
            let key = self.key(dataset, MANIFEST);
            let mut store = self.store();
            if store.files.contains_key(&key) && self.fault != Fault::Overwrites {
                return Err(SinkError::Exists(dataset.to_owned()));
            }
            store.files.insert(key, manifest);
            Ok(())
        }
        .boxed()
    }

    fn renames(&self) -> bool {
        true
    }

    fn rename<'a>(&'a self, dataset: &'a str, from: &'a str, to: &'a str) -> SinkFuture<'a, ()> {
        async move {
            let (from, to) = (self.key(dataset, from), self.key(dataset, to));
            let mut store = self.store();
            let found = match self.fault {
                Fault::Copies => store.files.get(&from).cloned(),
                _ => store.files.remove(&from),
            };
            match found {
                Some(bytes) => {
                    store.files.insert(to, bytes);
                    Ok(())
                }
                None if store.files.contains_key(&to) => Ok(()),
                None => Err(refusal()),
            }
        }
        .boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        async move {
            let (key, _) = self.key(dataset, "");
            let mut store = self.store();
            if store.claims.remove(&key).is_none() {
                match self.fault {
                    Fault::OneRelease => return Err(refusal()),
                    Fault::Marks => {
                        let mark = (key.clone(), "mark".to_owned());
                        store.files.insert(mark, Vec::new());
                    }
                    _ => {}
                }
            }
            if self.fault == Fault::Forgets {
                store.files.retain(|(of, _), _| *of != key);
            }
            let parts = std::mem::take(&mut store.parts).into_iter();
            let (own, others): (Vec<_>, Vec<_>) = parts.partition(|((of, _), _)| *of == key);
            store.parts = others.into_iter().collect();
            if self.fault == Fault::Keeps {
                let kept = own.into_iter().map(|(key, part)| (key, part.bytes));
                store.files.extend(kept);
            }
            Ok(())
        }
        .boxed()
    }

    fn put_sidecar<'a>(&'a self, name: &'a str, document: Vec<u8>) -> SinkFuture<'a, ()> {
        async move {
            let key = (String::new(), name.to_owned());
            let before = self.store().files.insert(key, document);
            match self.fault {
                Fault::OneSidecar if before.is_some() => Err(refusal()),
                Fault::AsksForEver => Err(SinkError::Custom {
                    reason: "not now".to_owned(),
                    action: Action::Retry,
                }),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}
