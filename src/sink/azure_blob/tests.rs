//! Against the emulator that `test.sh` starts.

use std::path::PathBuf;
use std::time::Duration;

use super::super::DatasetSink;
use super::*;
use crate::sink::azure_blob::settings::BlobCredential;
use crate::testing::sink::{Cut, claim_of, manifest_of};
use crate::testing::sink_conformance;

/// Of the emulator's account, whose key everybody knows; until 2099.
const SIGNATURE: &str = "sv=2019-12-12&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&sig=YKAtmJudHaH98kax9IHOYkiCF9veHhGg4TBHNwluLXo%3D";

fn settings(container: &str, folder: &tempfile::TempDir) -> Settings {
    let endpoint = std::env::var("GLEANER_TEST_AZURITE").unwrap_or_else(|_| {
        panic!("GLEANER_TEST_AZURITE is not set: run the tests with ./test.sh, which starts what they need")
    });
    let file: PathBuf = folder.path().join("sas");
    std::fs::write(&file, SIGNATURE).expect("writable");
    Settings {
        account: "devstoreaccount1".to_owned(),
        container: container.to_owned(),
        prefix: "some/prefix".to_owned(),
        endpoint,
        credential: BlobCredential::Sas(Some(file)),
        block: 64 << 10,
        checksum: Checksum::Md5,
        timeout: Duration::from_secs(60),
        retry_timeout: Duration::from_secs(60),
    }
}

async fn made(container: &str) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(container, &folder);
    let container = Container::new(&settings).expect("usable");
    container.client().create(None).await.expect("a container");
    (folder, settings)
}

#[tokio::test]
#[ignore = "needs Azurite: run ./test.sh"]
async fn a_container_is_a_sink() {
    let (_folder, settings) = made("conformance").await;
    sink_conformance(
        || Box::new(AzureBlob::new(&settings).expect("usable")),
        |dataset| Box::new(BlobDataset::new(&settings, dataset).expect("usable")),
    )
    .await;
}

#[tokio::test]
#[ignore = "needs Azurite: run ./test.sh"]
async fn what_was_sent_is_not_sent_again() {
    let (_folder, settings) = made("resumed").await;
    let sink = || AzureBlob::new(&settings).expect("usable");
    let first = sink();
    first.claim("d", &claim_of("1")).await.expect("free");
    let cut = Cut::new(&first, "d", "a.json", 3, 1);
    first.stage(cut.block(1)).await.expect("room");
    // Of the same index and length, with other content.
    let stale = Cut::new(&first, "d", "a.json", 3, 2);
    first.stage(stale.block(0)).await.expect("room");
    drop(first);

    let second = sink();
    second.claim("d", &claim_of("1")).await.expect("ours");
    let mut receipts = Vec::new();
    for index in 0..3 {
        receipts.push(second.stage(cut.block(index)).await.expect("room"));
    }
    let sent: Vec<bool> = receipts.iter().map(|receipt| receipt.sent).collect();
    assert_eq!(sent, [true, false, true]);
    second.commit(cut.commit(receipts)).await.expect("whole");
    drop(second);

    let third = sink();
    let receipt = third.stage(cut.block(0)).await.expect("there");
    assert!(!receipt.sent, "the file is committed");
    let commit = cut.stage(&third, &[0, 1, 2]).await.expect("room");
    third.commit(commit).await.expect("it is what is there");
    let other = stale.stage(&third, &[0, 1, 2]).await.expect("room");
    let refused = third
        .commit(other)
        .await
        .expect_err("something else is there");
    assert!(matches!(refused, SinkError::Conflict { .. }), "{refused:?}");
    assert!(refused.to_string().contains("some/prefix/d/a.json"));
}

#[tokio::test]
#[ignore = "needs Azurite: run ./test.sh"]
async fn the_same_manifest_again_is_a_success() {
    let (_folder, settings) = made("published").await;
    let sink = AzureBlob::new(&settings).expect("usable");
    sink.claim("d", &claim_of("1")).await.expect("free");
    for _ in 0..2 {
        let published = sink.publish("d", manifest_of("1")).await;
        published.expect("ours");
    }
}

#[tokio::test]
#[ignore = "needs Azurite: run ./test.sh"]
async fn a_folder_with_other_things_is_left_alone() {
    let (_folder, settings) = made("stray").await;
    let sink = AzureBlob::new(&settings).expect("usable");
    let put = sink.put_new("d", "precious", b"x".to_vec()).await;
    assert!(put.expect("room"));
    let refused = sink.claim("d", &claim_of("1")).await.expect_err("taken");
    assert!(refused.to_string().contains("precious"), "{refused}");
}

#[tokio::test]
#[ignore = "needs Azurite: run ./test.sh"]
async fn a_missing_container_is_reported_at_the_claim() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = AzureBlob::new(&settings("missing", &folder)).expect("usable");
    let refused = sink.claim("d", &claim_of("1")).await.expect_err("missing");
    assert!(
        matches!(&refused, SinkError::Remote { hint, .. } if hint.contains("no such container")),
        "{refused:?}"
    );
}

#[tokio::test]
#[ignore = "needs Azurite: run ./test.sh"]
async fn a_sink_and_its_reader_show_no_signature() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings("shown", &folder);
    let sink = AzureBlob::new(&settings).expect("usable");
    let reader = crate::runtime::blocking(move || {
        let reader = BlobDataset::new(&settings, "d").expect("usable");
        format!("{reader:?} {settings:?}")
    });
    let shown = format!("{sink:?} {}", reader.await.expect("no panic"));
    assert!(shown.contains("az://devstoreaccount1/shown/some/prefix"));
    assert!(
        !shown.contains("sig=") && !shown.contains("YKAtmJud"),
        "{shown}"
    );
}
