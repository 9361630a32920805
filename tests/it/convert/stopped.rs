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

use super::exported;
use crate::embed::hooked_sink::{HookedSink, When};

fn source(folder: &Path) -> SharedDataset {
    Arc::new(Mutex::new(Box::new(LocalDataset::new(folder.to_owned()))))
}

fn conversion() -> Conversion {
    Conversion {
        preset: Preset::Trl,
        options: Options::default(),
        format: ConvertedFormat::Jsonl,
        dataset: "c".to_owned(),
        shard_bytes: 100_000,
    }
}

/// Makes it in a sink; stops dead at the call of this number, if there are so many. Whether it was
/// made, and how many calls there were.
fn make(folder: &Path, sink: &MemorySink, stop_at: usize) -> (bool, usize) {
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
    let conversion = conversion();
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
    MemorySink::new().with_block_bytes(NonZeroUsize::new(1 << 16).expect("not zero"))
}

#[test]
fn a_conversion_that_is_stopped_at_any_call_ends_with_the_same_bytes() {
    let sandbox = exported();
    let folder = sandbox.path("out/d");
    let whole = empty();
    let (made, calls) = make(&folder, &whole, usize::MAX);
    assert!(made && calls > 20, "{calls}");
    for stop_at in 0..calls {
        let sink = empty();
        let (made, _) = make(&folder, &sink, stop_at);
        assert!(!made, "stopped at {stop_at}");
        let (made, _) = make(&folder, &sink, usize::MAX);
        assert!(made);
        assert_eq!(files(&sink), files(&whole), "stopped at {stop_at}");
    }
}
