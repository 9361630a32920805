//! What every sink must do, whatever it writes to. A new sink calls [`sink_conformance`].

use sha2::{Digest, Sha256};

use super::reader::DatasetReader;
use super::{
    Block, BlockReceipt, Claim, ClaimRecord, DatasetSink, FileCommit, MANIFEST, SinkError,
};
use crate::domain::manifest::hex;

/// The claim of a run.
pub(crate) fn claim_of(run_id: &str) -> ClaimRecord {
    ClaimRecord {
        run_id: run_id.to_owned(),
        fingerprint: "f".to_owned(),
        since: "2025-01-01T00:00:00Z".to_owned(),
    }
}

/// The manifest of a run, as far as a sink looks at it.
pub(crate) fn manifest_of(run_id: &str) -> Vec<u8> {
    format!("{{\"run_id\": \"{run_id}\"}}\n").into_bytes()
}

/// A file cut into blocks.
pub(crate) struct Cut {
    dataset: String,
    path: String,
    bytes: Vec<u8>,
    block_bytes: usize,
}

impl Cut {
    pub(crate) fn new(
        sink: &dyn DatasetSink,
        dataset: &str,
        path: &str,
        blocks: usize,
        salt: u8,
    ) -> Self {
        let block_bytes = sink.block_bytes();
        // The last block is a short one.
        let length = (blocks * block_bytes).saturating_sub(blocks.min(1) * (block_bytes - 5));
        Self {
            dataset: dataset.to_owned(),
            path: path.to_owned(),
            bytes: (0..length).map(|i| (i % 251) as u8 ^ salt).collect(),
            block_bytes,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn block(&self, index: usize) -> Block {
        let offset = index * self.block_bytes;
        let end = (offset + self.block_bytes).min(self.bytes.len());
        Block {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            index: index as u32,
            offset: offset as u64,
            bytes: self.bytes[offset..end].to_vec().into(),
        }
    }

    pub(crate) fn commit(&self, blocks: Vec<BlockReceipt>) -> FileCommit {
        FileCommit {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            blocks,
            bytes: self.bytes.len() as u64,
            sha256: hex(&Sha256::digest(&self.bytes)),
        }
    }

    /// Stages all blocks in the given order; the commit that follows.
    pub(crate) async fn stage(&self, sink: &dyn DatasetSink, order: &[usize]) -> FileCommit {
        let mut receipts = std::collections::BTreeMap::new();
        for &index in order {
            let receipt = sink.stage(self.block(index)).await.expect("a block");
            receipts.insert(index, receipt);
        }
        self.commit(receipts.into_values().collect())
    }
}

/// Holds a sink against its contract. `make` gives a new sink on the same, at first empty place
/// every time, as each start of a process does; `read` reads a dataset back.
pub(crate) async fn sink_conformance(
    make: impl Fn() -> Box<dyn DatasetSink>,
    read: impl Fn(&str) -> Box<dyn DatasetReader>,
) {
    blocks_in_any_order_make_the_file(&*make(), &read).await;
    repeating_is_harmless(&*make(), &read).await;
    receipts_must_cover_the_file(&*make(), &read).await;
    a_dataset_belongs_to_one_run(&make).await;
    a_published_dataset_stays_as_it_is(&make, &read).await;
    a_later_start_goes_on(&make, &read).await;
    of_claims_at_once_one_is_granted(&make).await;
}

/// Readers wait; that is not for a runtime's own threads.
async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    crate::runtime::blocking(work).await.expect("no panic")
}

async fn content(reader: Box<dyn DatasetReader>, path: &str) -> Option<Vec<u8>> {
    let path = path.to_owned();
    waiting(move || {
        let length = reader.length(&path).expect("a length")?;
        let mut bytes = Vec::new();
        let mut file = reader.open(&path).expect("a file");
        file.read_to_end(&mut bytes).expect("its bytes");
        assert_eq!(bytes.len() as u64, length);
        Some(bytes)
    })
    .await
}

async fn files(reader: Box<dyn DatasetReader>) -> Vec<String> {
    waiting(move || reader.files().expect("a list")).await
}

async fn granted(sink: &dyn DatasetSink, dataset: &str, run_id: &str) {
    let claim = sink.claim(dataset, &claim_of(run_id)).await;
    assert_eq!(claim.expect("free, or ours"), Claim::Granted);
}

async fn blocks_in_any_order_make_the_file(
    sink: &dyn DatasetSink,
    read: &impl Fn(&str) -> Box<dyn DatasetReader>,
) {
    granted(sink, "order", "1").await;
    let (a, b) = (
        Cut::new(sink, "order", "train/a.json", 4, 1),
        Cut::new(sink, "order", "val/b.json", 2, 2),
    );
    let empty = Cut::new(sink, "order", "test/empty.jsonl", 0, 0);
    let commits = [
        a.stage(sink, &[2, 0, 3, 1]).await,
        b.stage(sink, &[1, 0]).await,
        empty.stage(sink, &[]).await,
    ];
    assert_eq!(
        content(read("order"), "train/a.json").await,
        None,
        "not yet"
    );
    let together = commits.map(|commit| sink.commit(commit));
    for result in futures_util::future::join_all(together).await {
        result.expect("whole files");
    }
    for cut in [a, b, empty] {
        let found = content(read("order"), &cut.path).await.expect("committed");
        assert!(found == cut.bytes, "{}", cut.path);
    }
    assert_eq!(
        content(read("order"), MANIFEST).await,
        None,
        "not published"
    );
}

async fn repeating_is_harmless(
    sink: &dyn DatasetSink,
    read: &impl Fn(&str) -> Box<dyn DatasetReader>,
) {
    granted(sink, "twice", "1").await;
    let cut = Cut::new(sink, "twice", "train/a.json", 3, 3);
    let commit = cut.stage(sink, &[0, 1, 0, 2, 2, 1]).await;
    let both = [sink.commit(commit.clone()), sink.commit(commit.clone())];
    for result in futures_util::future::join_all(both).await {
        result.expect("the same commit twice at once");
    }
    sink.commit(commit.clone()).await.expect("once more");
    sink.stage(cut.block(1))
        .await
        .expect("a block that is late");
    sink.commit(commit.clone()).await.expect("and again");
    let found = content(read("twice"), "train/a.json")
        .await
        .expect("committed");
    assert!(found == cut.bytes, "a repeated commit has changed the file");
    let commit = cut.stage(sink, &[2, 1, 0]).await;
    sink.commit(commit).await.expect("all of it again");
    sink.publish("twice", manifest_of("1")).await.expect("new");
    sink.release("twice").await.expect("ours");
    sink.release("twice").await.expect("harmless");
    let left = files(read("twice")).await;
    assert_eq!(left, [MANIFEST, "train/a.json"], "nothing lies about");
}

async fn receipts_must_cover_the_file(
    sink: &dyn DatasetSink,
    read: &impl Fn(&str) -> Box<dyn DatasetReader>,
) {
    granted(sink, "cover", "1").await;
    let cut = Cut::new(sink, "cover", "train/a.json", 3, 4);
    let whole = cut.stage(sink, &[0, 1, 2]).await;
    let (mut hole, mut swapped, mut long) = (whole.clone(), whole.clone(), whole.clone());
    hole.blocks.remove(1);
    swapped.blocks.swap(0, 2);
    long.bytes += 1;
    for wrong in [hole, swapped, long] {
        assert!(sink.commit(wrong).await.is_err());
        assert_eq!(content(read("cover"), "train/a.json").await, None);
    }
    sink.commit(whole).await.expect("the right one still works");
    let never = Cut::new(sink, "cover", "train/never.json", 1, 5);
    let receipt = BlockReceipt {
        index: 0,
        bytes: never.bytes.len() as u64,
        id: String::new(),
        sent: true,
    };
    assert!(sink.commit(never.commit(vec![receipt])).await.is_err());
    assert_eq!(content(read("cover"), "train/never.json").await, None);
}

async fn a_dataset_belongs_to_one_run(make: &impl Fn() -> Box<dyn DatasetSink>) {
    granted(&*make(), "one", "1").await;
    granted(&*make(), "one", "1").await;
    let other = make().claim("one", &claim_of("2")).await;
    assert!(
        matches!(&other, Err(SinkError::Claimed { run_id, since, .. })
            if run_id == "1" && since == "2025-01-01T00:00:00Z"),
        "{other:?}"
    );
}

async fn a_published_dataset_stays_as_it_is(
    make: &impl Fn() -> Box<dyn DatasetSink>,
    read: &impl Fn(&str) -> Box<dyn DatasetReader>,
) {
    let sink = make();
    granted(&*sink, "published", "1").await;
    sink.publish("published", manifest_of("1"))
        .await
        .expect("new");
    for released in [false, true] {
        let sink = make();
        let mine = sink.claim("published", &claim_of("1")).await;
        assert_eq!(mine.expect("mine"), Claim::Published(manifest_of("1")));
        let other = sink.claim("published", &claim_of("2")).await;
        assert!(matches!(other, Err(SinkError::Exists(_))), "{other:?}");
        let again = sink.publish("published", manifest_of("2")).await;
        assert!(matches!(again, Err(SinkError::Exists(_))), "{again:?}");
        assert_eq!(
            content(read("published"), MANIFEST).await,
            Some(manifest_of("1")),
            "released: {released}"
        );
        sink.release("published").await.expect("mine");
    }
}

/// A start is killed with a file committed, another half staged; the next one writes all again.
async fn a_later_start_goes_on(
    make: &impl Fn() -> Box<dyn DatasetSink>,
    read: &impl Fn(&str) -> Box<dyn DatasetReader>,
) {
    let killed = make();
    granted(&*killed, "resumed", "1").await;
    let done = Cut::new(&*killed, "resumed", "train/a.json", 2, 6);
    let half = Cut::new(&*killed, "resumed", "val/b.json", 2, 7);
    let commit = done.stage(&*killed, &[0, 1]).await;
    killed.commit(commit).await.expect("whole");
    // Longer than what comes after it.
    let longer = Cut::new(&*killed, "resumed", "val/b.json", 3, 8);
    longer.stage(&*killed, &[2, 0]).await;
    drop(killed);

    let next = make();
    granted(&*next, "resumed", "1").await;
    for cut in [&done, &half] {
        let commit = cut.stage(&*next, &[1, 0]).await;
        next.commit(commit).await.expect("whole");
        let found = content(read("resumed"), &cut.path)
            .await
            .expect("committed");
        assert!(found == cut.bytes, "{}", cut.path);
    }
    next.publish("resumed", manifest_of("1"))
        .await
        .expect("new");
    next.release("resumed").await.expect("ours");
    let left = files(read("resumed")).await;
    assert_eq!(left, [MANIFEST, "train/a.json", "val/b.json"]);
}

async fn of_claims_at_once_one_is_granted(make: &impl Fn() -> Box<dyn DatasetSink>) {
    let sinks: Vec<_> = (0..8).map(|_| make()).collect();
    let claims: Vec<_> = (0..8).map(|i| claim_of(&i.to_string())).collect();
    let all = sinks.iter().zip(&claims).map(|(s, c)| s.claim("race", c));
    let results = futures_util::future::join_all(all).await;
    let granted = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(granted, 1, "{results:?}");
}
