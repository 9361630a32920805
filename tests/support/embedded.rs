//! The pipeline in the test's own process, over synthetic telemetry.
#![allow(dead_code, reason = "every test program uses a part of it")]

use std::path::Path;
use std::sync::Arc;

use gleaner::pipeline::{Handle, RunError, RunReport};
use gleaner::runtime::CpuPool;
use gleaner::{Pipeline, PipelineBuilder};

const CONFIG: &str = "
name = 'd'
source.kind = 'synthetic'
source.synthetic.conversations = 400
chunks.count = 12
workers = { fetchers = 2, stall_timeout = '20s' }
[selection.targets]
train = { short = 20, medium = 10, long = 10 }
val = { short = 2, medium = 2, long = 2 }
test = { short = 2, medium = 2, long = 2 }
";

/// A run of 400 conversations and 12 chunks in a folder: `work` and `out`.
pub fn run_in(folder: &Path) -> PipelineBuilder {
    Pipeline::builder()
        .config(CONFIG)
        .out(&folder.join("out").display().to_string())
        .work_dir(folder.join("work"))
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Runs to the end on a thread of its own.
pub fn finish(builder: PipelineBuilder) -> Result<RunReport, RunError> {
    let run = builder.build().expect("ready").spawn_thread();
    run.expect("a thread").join_blocking()
}

/// Runs to the end on the caller's own thread.
pub async fn finish_here(builder: PipelineBuilder) -> Result<RunReport, RunError> {
    builder.build().expect("ready").spawn_local().join().await
}

/// The digest of an undisturbed run.
pub fn digest_of(builder: PipelineBuilder) -> String {
    digest(finish(builder))
}

pub fn digest(result: Result<RunReport, RunError>) -> String {
    result.expect("published").manifest.content_sha256
}

/// A system with a paused clock.
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

/// A pool that works on the caller's thread.
pub fn inline() -> Arc<CpuPool> {
    Arc::new(CpuPool::inline())
}

/// A run in a folder on the caller's own threads, which has started.
pub fn started_in(folder: &Path) -> Handle {
    let ready = run_in(folder).pool(inline()).build().expect("ready");
    ready.spawn_local()
}
