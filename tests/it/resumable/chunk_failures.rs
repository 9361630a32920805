//! k of 40 chunks fail n times, at any number of workers, with and without chunks that may be missing.
//! The example of the same name shows how to write such a source.

#[path = "../../../examples/chaos_chunk_failures.rs"]
mod example;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use example::{CHUNKS, FailingChunks, export, paused, pipeline};
use futures_util::StreamExt;
use gleaner::pipeline::RunError;
use gleaner::telemetry::Notice;

/// `chunks.max_attempts`
const ATTEMPTS: u32 = 5;

/// The digest without the first k chunks; not all of them.
fn digest_without(k: u32) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Arc::new(FailingChunks::new(0, 0).without(k));
    let report = export(folder.path(), &source, 4, 0).expect("good");
    report.manifest.content_sha256
}

#[test]
fn any_chunks_fail_any_number_of_times_at_any_number_of_workers() {
    let ks = [0, 1, 2, 3, 10, CHUNKS];
    let some = ks.iter().filter(|&&k| k < CHUNKS);
    let expected: BTreeMap<u32, String> = some.map(|&k| (k, digest_without(k))).collect();
    let mut cases = Vec::new();
    for (at, k) in ks.into_iter().enumerate() {
        for n in 1..=ATTEMPTS + 1 {
            // All of 1 to 8, distributions over the grid; the corners at both ends.
            let workers = [1, 8, 1 + (at + n as usize) % 8];
            let of_pair = workers.into_iter().zip([0, 2, CHUNKS]);
            cases.extend(of_pair.map(|(workers, allowed)| (k, n, workers, allowed)));
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(&(k, n, workers, allowed)) = cases.get(next.fetch_add(1, Relaxed)) {
            check(k, n, workers, allowed, &expected);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
}

fn check(k: u32, n: u32, workers: usize, allowed: u32, expected: &BTreeMap<u32, String>) {
    let what = format!("k={k} n={n} workers={workers} allowed={allowed}");
    let folder = tempfile::tempdir().expect("a folder");
    let source = Arc::new(FailingChunks::new(k, n));
    let result = export(folder.path(), &source, workers, allowed);
    let published = folder.path().join("out/d/metadata.json").exists();
    let for_good = n >= ATTEMPTS;
    if for_good && k > allowed {
        let Err(RunError::Chunk { attempt, .. }) = result else {
            panic!("{what}: {result:?}");
        };
        assert!(attempt == ATTEMPTS && !published, "{what}");
        // Whoever is asked again fails less often: it goes on, with what was sealed, to the same.
        let mut starts = 1;
        let report = loop {
            starts += 1;
            assert!(starts < 100, "{what}");
            match export(folder.path(), &source, workers, 0) {
                Ok(report) => break report,
                Err(RunError::Chunk { .. }) => {}
                Err(error) => panic!("{what}: {error}"),
            }
        };
        assert_eq!(report.manifest.content_sha256, expected[&0], "{what}");
        return;
    }
    if for_good && k == CHUNKS {
        // Without any chunk there is nothing to publish.
        let nothing = matches!(result, Err(RunError::NothingToPublish { .. }));
        assert!(nothing && !published, "{what}: {result:?}");
        return;
    }
    let report = result.unwrap_or_else(|error| panic!("{what}: {error}"));
    let missing = if for_good { k } else { 0 };
    let manifest = &report.manifest;
    assert_eq!(manifest.content_sha256, expected[&missing], "{what}");
    let named: Vec<String> = (0..missing)
        .map(|chunk| format!("h{CHUNKS}-{chunk}"))
        .collect();
    assert_eq!(manifest.chunks.missing, named, "{what}");
    let failed = manifest.statistics["attempts_failed"].as_u64();
    assert_eq!(failed, Some(u64::from(k * n.min(ATTEMPTS))), "{what}");
}

/// A start that has written files without a chunk is stopped; at the next one the chunk is there.
#[test]
fn what_was_written_without_a_chunk_stays_without_it() {
    for (allowed, expected) in [(1, 1), (0, 0)] {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Arc::new(FailingChunks::new(1, ATTEMPTS));
        let stopped = paused(async {
            let run = pipeline(folder.path(), &source, 4, 1).spawn_local();
            let (controller, mut events) = (run.controller(), run.event_stream());
            let stopping = async {
                while let Some(reported) = events.next().await {
                    if matches!(reported.notice, Notice::Stratum { .. }) {
                        return controller.cancel();
                    }
                }
            };
            tokio::join!(run.join(), stopping).0
        });
        assert!(matches!(stopped, Err(RunError::Cancelled)), "{stopped:?}");
        // Whoever allows no missing chunk any more gets all of them.
        let report = export(folder.path(), &source, 4, allowed).expect("good");
        assert_eq!(report.manifest.chunks.missing.len(), expected as usize);
        assert_eq!(report.manifest.content_sha256, digest_without(expected));
    }
}
