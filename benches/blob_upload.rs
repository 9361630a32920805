//! The sink alone: uploads files in blocks, as an export does, with their digests.
//! `benches/blob_upload.py` runs it beside the official Python client.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use gleaner::domain::dataset::manifest::hex;
use gleaner::sink::azure_blob::AzureBlob;
use gleaner::sink::azure_blob::settings::{AzureBlob as Settings, BlobCredential, Checksum};
use gleaner::sink::{Block, ClaimRecord, DatasetSink, FileCommit};
use sha2::{Digest, Sha256};

const USAGE: &str =
    "usage: blob_upload ENDPOINT CONTAINER DATASET BLOCK_BYTES UPLOADERS crc64|md5 FILE...
(the signature is in AZURE_STORAGE_SAS_TOKEN); benches/blob_upload.py calls it";

#[expect(clippy::print_stdout, reason = "the result is for a script")]
fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    args.retain(|arg| arg != "--bench");
    let [
        endpoint,
        container,
        dataset,
        block,
        uploaders,
        checksum,
        files @ ..,
    ] = &args[..]
    else {
        eprintln!("{USAGE}");
        return;
    };
    let settings = Settings {
        account: "devstoreaccount1".to_owned(),
        container: container.clone(),
        prefix: String::new(),
        endpoint: endpoint.clone(),
        credential: BlobCredential::Sas(None),
        block: block.parse().expect("a number"),
        checksum: match checksum.as_str() {
            "md5" => Checksum::Md5,
            _ => Checksum::Crc64,
        },
        timeout: Duration::from_secs(300),
        retry_timeout: Duration::from_secs(60),
    };
    let uploaders = uploaders.parse().expect("a number");
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let begun = Instant::now();
    let bytes = runtime
        .expect("a runtime")
        .block_on(upload(&settings, dataset, uploaders, &files));
    println!(
        "{{\"bytes\": {bytes}, \"seconds\": {}}}",
        begun.elapsed().as_secs_f64()
    );
}

async fn upload(settings: &Settings, dataset: &str, uploaders: usize, files: &[PathBuf]) -> u64 {
    let sink = AzureBlob::new(settings).expect("usable");
    let claim = ClaimRecord {
        run_id: "bench".to_owned(),
        fingerprint: "bench".to_owned(),
        since: "2025-01-01T00:00:00Z".to_owned(),
    };
    sink.claim(dataset, &claim).await.expect("free");
    let mut bytes = 0;
    for file in files {
        let commit = stage(&sink, dataset, uploaders, file).await;
        bytes += commit.bytes;
        sink.commit(commit).await.expect("committed");
    }
    sink.release(dataset).await.expect("released");
    bytes
}

/// One file: a block is read and hashed while others are on their way.
async fn stage(sink: &AzureBlob, dataset: &str, uploaders: usize, file: &Path) -> FileCommit {
    let path = file
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let mut open = Arc::new(File::open(file).expect("a file"));
    let mut hasher = Sha256::new();
    let (mut receipts, mut staging, mut offset) = (Vec::new(), FuturesUnordered::new(), 0);
    for index in 0.. {
        let block_bytes = sink.block_bytes();
        let read = move || {
            let mut bytes = Vec::with_capacity(block_bytes);
            let mut limited = open.as_ref().take(block_bytes as u64);
            limited.read_to_end(&mut bytes).expect("readable");
            hasher.update(&bytes);
            (open, hasher, bytes)
        };
        let mut reading = tokio::task::spawn_blocking(read);
        let bytes;
        // What is on its way goes on meanwhile.
        (open, hasher, bytes) = loop {
            tokio::select! {
                read = &mut reading => break read.expect("no panic"),
                Some(receipt) = staging.next() => receipts.push(receipt),
            }
        };
        if bytes.is_empty() {
            break;
        }
        while staging.len() >= uploaders {
            receipts.extend(staging.next().await);
        }
        let block = Block {
            dataset: dataset.to_owned(),
            path: path.clone(),
            index,
            offset,
            bytes: bytes.into(),
        };
        offset += block.bytes.len() as u64;
        staging.push(async { sink.stage(block).await.expect("staged") });
    }
    receipts.extend(staging.collect::<Vec<_>>().await);
    receipts.sort_by_key(|receipt| receipt.index);
    FileCommit {
        dataset: dataset.to_owned(),
        path,
        blocks: receipts,
        bytes: offset,
        sha256: hex(&hasher.finalize()),
    }
}
