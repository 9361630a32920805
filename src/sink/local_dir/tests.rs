//! Crashes between two system calls, and unrelated files in the folder.

use super::*;
use crate::runtime::buffers::{Buffers, PAGE};
use crate::sink::reader::LocalDataset;
use crate::testing::sink::{Cut, claim_of, manifest_of};
use crate::testing::sink_conformance;

fn sink() -> (tempfile::TempDir, LocalDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = LocalDir::new(folder.path().join("some/out"));
    (folder, sink)
}

/// Gives the claim back, and nothing but the manifest is there.
async fn leaves_the_manifest(sink: &LocalDir) {
    sink.release("d").await.expect("ours");
    assert_eq!(names(&sink.root.join("d")), [MANIFEST]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_folder_is_a_sink() {
    let (_folder, sink) = sink();
    let root = sink.root.to_path_buf();
    sink_conformance(
        || Box::new(LocalDir::new(root.clone())),
        |dataset| Box::new(LocalDataset::new(root.join(dataset))),
    )
    .await;
}

#[tokio::test]
async fn a_folder_with_other_things_is_left_alone_and_they_are_named() {
    let (_folder, sink) = sink();
    fs::create_dir_all(sink.root.join("d")).expect("a folder");
    fs::write(sink.path("d", "precious"), b"x").expect("writable");
    let refused = sink.claim("d", &claim_of("1")).await.expect_err("not free");
    assert!(matches!(refused, SinkError::Exists(_)));
    assert!(refused.to_string().contains("precious"), "{refused}");
    assert_eq!(names(&sink.root.join("d")), ["precious"]);
    fs::remove_file(sink.path("d", "precious")).expect("there");
    fs::write(sink.path("d", ".claim.json.9.part"), b"cut o").expect("writable");
    assert!(sink.claim("d", &claim_of("1")).await.is_ok());
}

#[tokio::test]
async fn an_empty_folder_of_a_start_that_was_killed_before_its_claim_is_taken() {
    let (_folder, sink) = sink();
    fs::create_dir_all(sink.root.join("d")).expect("a folder");
    let claim = sink.claim("d", &claim_of("1")).await.expect("free");
    assert_eq!(claim, Claim::Granted);
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_is_nobodys() {
    let (_folder, sink) = sink();
    fs::create_dir_all(sink.root.join("d")).expect("a folder");
    fs::write(sink.path("d", CLAIM), b"{").expect("writable");
    let refused = sink.claim("d", &claim_of("1")).await.expect_err("taken");
    assert!(refused.to_string().contains(CLAIM), "{refused}");
}

#[tokio::test]
async fn a_file_in_the_way_is_not_overwritten() {
    let (_folder, sink) = sink();
    fs::create_dir_all(&*sink.root).expect("a folder");
    fs::write(sink.root.join("d"), b"x").expect("writable");
    let refused = sink.claim("d", &claim_of("1")).await;
    assert!(matches!(refused, Err(SinkError::Exists(_))), "{refused:?}");
    let below = LocalDir::new(sink.root.join("d"));
    let refused = below.claim("d", &claim_of("1")).await;
    assert!(matches!(refused, Err(SinkError::Unwritable { .. })));
}

/// Between the look and the claim another run has done everything.
#[tokio::test]
async fn a_claim_put_beside_a_finished_dataset_is_taken_back() {
    let (_folder, sink) = sink();
    let folder = sink.root.join("d");
    sink.claim("d", &claim_of("1")).await.expect("free");
    sink.publish("d", manifest_of("1")).await.expect("new");
    sink.release("d").await.expect("ours");
    let granted = put_claim(&folder, &claim_of("2")).expect("writable");
    assert!(!granted);
    assert_eq!(names(&folder), [MANIFEST]);
}

#[tokio::test]
async fn killed_between_link_and_unlink_of_the_manifest() {
    let (_folder, sink) = sink();
    sink.claim("d", &claim_of("1")).await.expect("free");
    let aside = sink.path("d", "metadata.json.publish.part");
    fs::write(&aside, manifest_of("1")).expect("writable");
    fs::hard_link(&aside, sink.path("d", MANIFEST)).expect("writable");
    let again = sink.publish("d", manifest_of("2")).await;
    assert!(matches!(again, Err(SinkError::Exists(_))), "{again:?}");
    assert_eq!(
        fs::read(sink.path("d", MANIFEST)).expect("there"),
        manifest_of("1"),
        "not overwritten through its other name"
    );
    fs::hard_link(sink.path("d", MANIFEST), &aside).expect("writable");
    let claim = sink.claim("d", &claim_of("1")).await.expect("ours");
    assert_eq!(claim, Claim::Published(manifest_of("1")));
    leaves_the_manifest(&sink).await;
}

#[tokio::test]
async fn killed_between_link_and_unlink_of_the_claim() {
    let (_folder, sink) = sink();
    sink.claim("d", &claim_of("1")).await.expect("free");
    let aside = sink.path("d", ".claim.json.1.part");
    fs::hard_link(sink.path("d", CLAIM), &aside).expect("writable");
    let again = sink.claim("d", &claim_of("1")).await.expect("ours");
    assert_eq!(again, Claim::Granted);
    sink.publish("d", manifest_of("1")).await.expect("new");
    leaves_the_manifest(&sink).await;
}

#[tokio::test]
async fn a_file_that_was_changed_meanwhile_is_no_commit() {
    let (_folder, sink) = sink();
    sink.claim("d", &claim_of("1")).await.expect("free");
    let cut = Cut::new(&sink, "d", "a.json", 2, 1);
    let commit = cut.stage(&sink, &[0, 1]).await.expect("room");
    sink.commit(commit.clone()).await.expect("whole");
    let mut changed = cut.bytes().to_vec();
    changed[7] ^= 1;
    fs::write(sink.path("d", "a.json"), changed).expect("writable");
    let again = sink.commit(commit).await.expect_err("not what was written");
    assert!(again.to_string().contains("a.json"), "{again}");
}

#[tokio::test]
async fn blocks_of_many_threads_make_the_file() {
    let (_folder, sink) = sink();
    sink.claim("d", &claim_of("1")).await.expect("free");
    let cut = Cut::new(&sink, "d", "train/a.json", 40, 9);
    let blocks = (0..40).rev().chain(0..40).map(|i| sink.stage(cut.block(i)));
    let staged = futures_util::future::join_all(blocks).await;
    let mut receipts: Vec<_> = staged.into_iter().map(|r| r.expect("room")).collect();
    receipts.sort_by_key(|receipt| receipt.index);
    receipts.dedup();
    sink.commit(cut.commit(receipts)).await.expect("whole");
    let found = fs::read(sink.path("d", "train/a.json")).expect("there");
    assert!(found == cut.bytes());
    assert_eq!(names(&sink.root.join("d/train")), ["a.json"]);
}

/// A block of a file, whose bytes begin `shift` bytes behind a page.
fn block(index: u32, offset: u64, bytes: &[u8], shift: usize) -> Block {
    let buffers = Buffers::new(1 << 20);
    let (mut buffer, before) = buffers.take_page(shift + bytes.len());
    buffer.resize(before + shift, 0);
    buffer.extend_from_slice(bytes);
    Block {
        dataset: "d".to_owned(),
        path: "a".to_owned(),
        index,
        offset,
        bytes: bytes::Bytes::from_owner(buffer).slice(before + shift..),
    }
}

#[test]
fn whole_pages_and_what_is_none_make_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.part");
    let part = Part::create(&path).expect("writable");
    let content: Vec<u8> = (0..9 * PAGE + 100).map(|i| (i / 7) as u8).collect();
    // Whole pages; pages and a rest; from within a page; pages whose memory begins within one.
    let cuts = [0, 2 * PAGE, 4 * PAGE + 9, 6 * PAGE, 9 * PAGE + 100];
    for (index, cut) in (0..).zip(cuts.windows(2)) {
        let bytes = &content[cut[0]..cut[1]];
        let shift = usize::from(index == 3);
        let block = block(index, cut[0] as u64, bytes, shift);
        part.write(&block).expect("room");
    }
    part.finish(content.len() as u64).expect("room");
    assert!(fs::read(&path).expect("there") == content);
}

#[test]
fn a_file_system_that_turns_pages_down_is_written_to_without_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.part");
    let part = Part::create(&path).expect("writable");
    // No file is that long: the system says what it says of pages it does not want.
    let beyond = block(0, (u64::MAX / PAGE as u64) * PAGE as u64, &[1; PAGE], 0);
    part.write(&beyond).expect_err("no such place");
    assert!(part.turned_down());
    part.write(&block(0, 0, &[2; PAGE], 0)).expect("room");
    part.finish(PAGE as u64).expect("room");
    assert_eq!(fs::read(&path).expect("there"), [2; PAGE]);
}

/// A round that was started again in the same process may have written more than is wanted now.
#[tokio::test]
async fn a_file_is_as_long_as_its_commit_says() {
    let (_folder, sink) = sink();
    sink.claim("d", &claim_of("1")).await.expect("free");
    let longer = Cut::new(&sink, "d", "a.json", 3, 1);
    longer.stage(&sink, &[0, 1, 2]).await.expect("room");
    let cut = Cut::new(&sink, "d", "a.json", 2, 2);
    let commit = cut.stage(&sink, &[0, 1]).await.expect("room");
    sink.commit(commit).await.expect("whole");
    let found = fs::read(sink.path("d", "a.json")).expect("there");
    assert!(found == cut.bytes(), "{} bytes", found.len());
}
