//! A conversion that is stopped at any call of its sink, and made again by the same command.

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use gleaner::convert::{Conversion, ConvertedFormat, SharedDataset, convert};
use gleaner::domain::conversion::{Options, Preset};
use gleaner::runtime::CpuPool;
use gleaner::sink::SinkError;
use gleaner::sink::reader::{DatasetReader, LocalDataset};
use gleaner::testing::MemorySink;
use tokio::sync::Notify;

use super::{convert as run_convert, exported_of};
use crate::embed::hooked_sink::{HookedSink, When};

fn source(folder: &Path) -> SharedDataset {
    Arc::new(Mutex::new(Box::new(LocalDataset::new(folder.to_owned()))))
}

fn conversion(shard_bytes: u64) -> Conversion {
    Conversion {
        preset: Preset::Trl,
        options: Options::default(),
        format: ConvertedFormat::Jsonl,
        dataset: "c".to_owned(),
        shard_bytes,
    }
}

/// Makes it in a sink; stops dead at the call of this number, if there are so many. Whether it was
/// made, and how many calls there were.
fn make(folder: &Path, sink: &MemorySink, shard_bytes: u64, stop_at: usize) -> (bool, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let calls = Arc::new(AtomicUsize::new(0));
    let stopped = Arc::new(Notify::new());
    let hooked = {
        let (calls, stopped) = (Arc::clone(&calls), Arc::clone(&stopped));
        HookedSink::new(sink.clone(), move |_, _, _: When| {
            let stops = calls.fetch_add(1, Ordering::Relaxed) == stop_at;
            let stopped = Arc::clone(&stopped);
            async move {
                if stops {
                    stopped.notify_one();
                    return std::future::pending().await;
                }
                Ok::<(), SinkError>(())
            }
            .boxed()
        })
    };
    let conversion = conversion(shard_bytes);
    let (source, pool) = (source(folder), CpuPool::new(2).expect("threads"));
    let made = runtime.block_on(async {
        tokio::select! {
            report = convert(&conversion, &source, &hooked, &pool) => {
                report.expect("made");
                true
            }
            () = stopped.notified() => false,
        }
    });
    (made, calls.load(Ordering::Relaxed))
}

/// All files of the dataset.
fn files(sink: &MemorySink) -> Vec<(String, Vec<u8>)> {
    let dataset = sink.reader("c");
    let paths = dataset.files().expect("a list").into_iter();
    let read = paths.map(|path| {
        let mut bytes = Vec::new();
        let mut file = dataset.open(&path).expect("a file");
        file.read_to_end(&mut bytes).expect("memory");
        (path, bytes)
    });
    read.collect()
}

fn empty() -> MemorySink {
    MemorySink::new().with_block_bytes(NonZeroUsize::new(1 << 14).expect("not zero"))
}

/// Bytes of a file: there are several.
const FILES_OF: u64 = 30_000;

#[test]
fn a_conversion_that_is_stopped_at_any_call_ends_with_the_same_bytes() {
    let sandbox = exported_of("40");
    let folder = sandbox.path("out/d");
    let whole = empty();
    let (made, calls) = make(&folder, &whole, FILES_OF, usize::MAX);
    assert!(made && calls > 20, "{calls}");
    for stop_at in 0..calls {
        let sink = empty();
        let (made, _) = make(&folder, &sink, FILES_OF, stop_at);
        assert!(!made, "stopped at {stop_at}");
        let (made, _) = make(&folder, &sink, FILES_OF, usize::MAX);
        assert!(made);
        assert_eq!(files(&sink), files(&whole), "stopped at {stop_at}");
    }
}

/// Short files are not full, so there are more of them than their first records let expect.
#[test]
fn a_sink_that_renames_files_and_one_that_cannot_make_the_same_ones() {
    let sandbox = exported_of("700");
    let memory = empty();
    let (made, _) = make(&sandbox.path("out/d"), &memory, 60_000, usize::MAX);
    assert!(made);
    // A few records of so many have a turn without a reply.
    run_convert(&sandbox, "--name c --max-file 60kB").expect(3);
    let local = LocalDataset::new(sandbox.path("out/c"));
    let paths = local.files().expect("a list");
    let shards = paths.iter().filter(|path| path.starts_with("data/train-"));
    let count = shards.clone().count();
    assert!(count > 20, "{count}");
    for (number, path) in shards.enumerate() {
        assert_eq!(*path, format!("data/train-{number:05}-of-{count:05}.jsonl"));
    }
    for (path, bytes) in files(&memory) {
        let local = std::fs::read(sandbox.path(&format!("out/c/{path}"))).expect("a file");
        assert!(local == bytes, "{path} has other bytes");
    }
    assert_eq!(files(&memory).len(), paths.len());
}
