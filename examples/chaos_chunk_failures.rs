//! What a run makes of chunks that fail: a source of your own around another, and a table.
//!
//! ```sh
//! cargo run --example chaos_chunk_failures
//! ```
//!
//! `k` of 40 chunks fail `n` times each. A chunk is tried five times; so fewer failures cost time only,
//! and more fail the run, or the dataset goes without the chunk if `--allow-missing-chunks` says so.
//! The clock is tokio's paused one: the pauses between two tries take no time.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gleaner::Pipeline;
use gleaner::config;
use gleaner::config::Layers;
use gleaner::domain::record::row::RowShape;
use gleaner::domain::scheduling::chunk::{Chunk, HashChunk};
use gleaner::pipeline::{RunError, RunReport};
use gleaner::runtime::CpuPool;
use gleaner::sink::local_dir::LocalDir;
use gleaner::source::synthetic::conversation_rows;
use gleaner::source::synthetic::settings::Synthetic;
use gleaner::source::{
    ConversationSource, FetchFuture, FetchOrder, RowBlock, RowSink, SourceError, Survey,
};

/// Chunks of the telemetry.
pub const CHUNKS: u32 = 40;

const CONFIG: &str = "
name = 'd'
source.kind = 'synthetic'
[selection.targets]
train = { short = 4, medium = 4, long = 4 }
val = { short = 1, medium = 1, long = 1 }
test = { short = 1, medium = 1, long = 1 }
";

/// Rows in memory, by chunk, and how often each chunk still fails.
pub struct FailingChunks {
    rows: BTreeMap<u32, Vec<u8>>,
    failures: Mutex<BTreeMap<u32, u32>>,
}

/// Made-up telemetry, by chunk.
fn telemetry() -> BTreeMap<u32, Vec<u8>> {
    let settings = Synthetic {
        conversations: 60,
        seed: 3,
        schema: RowShape::Turns,
    };
    let chunks: Vec<_> = HashChunk::cover(CHUNKS).collect();
    let mut rows: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for number in 0..settings.conversations {
        let of_conversation = conversation_rows(settings, number);
        let id = of_conversation.iter().find_map(|row| {
            let row: serde_json::Value = serde_json::from_slice(row).ok()?;
            Some(row["conversationId"].as_str()?.to_owned())
        });
        let id = id.unwrap_or_default();
        let chunk = chunks.iter().find(|chunk| chunk.holds(id.as_bytes()));
        let of_chunk = rows
            .entry(chunk.map_or(0, |chunk| chunk.index))
            .or_default();
        for row in of_conversation {
            of_chunk.extend_from_slice(&row);
            of_chunk.push(b'\n');
        }
    }
    rows
}

impl FailingChunks {
    /// Made-up telemetry whose first `k` chunks fail `n` times each.
    pub fn new(k: u32, n: u32) -> Self {
        static ROWS: LazyLock<BTreeMap<u32, Vec<u8>>> = LazyLock::new(telemetry);
        Self {
            rows: ROWS.clone(),
            failures: Mutex::new((0..k).map(|chunk| (chunk, n)).collect()),
        }
    }

    /// Without the first `k` chunks: what is left when they are missing.
    pub fn without(mut self, k: u32) -> Self {
        self.rows.retain(|chunk, _| *chunk >= k);
        self
    }

    fn fails(&self, chunk: u32) -> bool {
        let mut failures = self.failures.lock().expect("no panic");
        let left = failures.get_mut(&chunk).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }
}

impl ConversationSource for FailingChunks {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!({"kind": "example"})
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let chunks = HashChunk::cover(CHUNKS).map(Chunk::Hash);
        let survey = Survey::of(chunks.collect(), true);
        async move { Ok(survey) }.boxed()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            let Chunk::Hash(HashChunk { index, .. }) = order.chunk else {
                return Err(SourceError::NoInput(order.chunk.to_string()));
            };
            let bytes = self.rows.get(&index).cloned().unwrap_or_default();
            let half = bytes.len() / 2;
            let fails = self.fails(index);
            // Half of it arrives all the same, and nothing of it may be kept.
            let bytes = if fails { bytes[..half].to_vec() } else { bytes };
            rows.write(RowBlock {
                bytes,
                first_line: 1,
                ..RowBlock::default()
            })
            .await?;
            match fails {
                false => Ok(None),
                true => Err(SourceError::Io {
                    path: "example".into(),
                    source: std::io::ErrorKind::ConnectionReset.into(),
                }),
            }
        }
        .boxed()
    }
}

/// A run in a folder.
pub fn pipeline(
    folder: &Path,
    source: &Arc<FailingChunks>,
    workers: usize,
    allow_missing: u32,
) -> Pipeline {
    let layers = Layers::default().text("example", CONFIG).expect("TOML");
    let mut settings = config::validate(&layers, &[]).expect("valid");
    settings.workers.fetchers = NonZeroUsize::new(workers).expect("at least one");
    settings.chunks.allow_missing = allow_missing;
    Pipeline::builder()
        .settings(settings)
        .source(Arc::clone(source))
        .sink(LocalDir::new(folder.join("out")))
        .work_dir(folder.join("work"))
        .pool(Arc::new(CpuPool::inline()))
        .build()
        .expect("everything is there")
}

/// Where the clock is a paused one.
pub fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(work)
}

/// One start of a run in a folder.
pub fn export(
    folder: &Path,
    source: &Arc<FailingChunks>,
    workers: usize,
    allow_missing: u32,
) -> Result<RunReport, RunError> {
    let pipeline = pipeline(folder, source, workers, allow_missing);
    paused(async { pipeline.spawn_local().join().await })
}

#[allow(dead_code, reason = "a test includes this file for its parts")]
fn main() {
    eprintln!("{CHUNKS} chunks, k of them fail n times, 4 fetchers:");
    for allowed in [0, 3] {
        eprintln!("--allow-missing-chunks {allowed}");
        for (k, n) in [(1, 1), (10, 4), (40, 4), (1, 5), (3, 5), (4, 5)] {
            let folder = tempfile::tempdir().expect("a folder");
            let source = Arc::new(FailingChunks::new(k, n));
            let outcome = match export(folder.path(), &source, 4, allowed) {
                Ok(report) => format!(
                    "published, {} attempts failed, {} chunks missing, {}",
                    report.manifest.statistics["attempts_failed"],
                    report.manifest.chunks.missing.len(),
                    &report.manifest.content_sha256[..16],
                ),
                Err(error) => format!("failed, resumable: {error}"),
            };
            eprintln!("  k={k:2} n={n}: {outcome}");
        }
    }
}
