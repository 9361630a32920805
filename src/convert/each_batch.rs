//! Work on the records of a split, batch by batch: a thread reads, a pool works, the caller gets what comes
//! out in the order of the records.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use super::ConvertError;
use super::records::{BATCH_BYTES, Lines, Records};
use crate::domain::dataset::manifest::Manifest;
use crate::runtime::buffers::Buffers;
use crate::runtime::{CpuPool, JobError};
use crate::sink::reader::DatasetReader;

/// Batches that are read, worked on or not visited yet, for each thread of the pool: one is worked on while
/// the next one waits.
const BATCHES_PER_THREAD: usize = 2;

/// A dataset that is read, one file at a time. Whoever made it drops it last: a reader of a container
/// must not be dropped on a thread of a runtime.
pub type SharedDataset = Arc<Mutex<Box<dyn DatasetReader>>>;

/// The dataset, for the one who reads.
pub fn lock(source: &SharedDataset) -> MutexGuard<'_, Box<dyn DatasetReader>> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads records, has the pool work on each batch, and visits what that gives in the order of the records.
///
/// # Errors
/// If the dataset cannot be read, and those of `work` and `visit`: the first one ends it.
pub async fn each_batch<T: Send + 'static>(
    source: &SharedDataset,
    records: Records,
    pool: &CpuPool,
    work: impl Fn(&Lines) -> Result<T, ConvertError> + Send + Sync + 'static,
    visit: impl AsyncFnMut(T) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let source = Arc::clone(source);
    let read = move |send: &dyn Fn(Lines) -> bool| records.read(&**lock(&source), send);
    in_order(read, pool, work, visit).await
}

/// [`each_batch`] of one split after the other; `work` gets the split's name too.
///
/// # Errors
/// As [`each_batch`].
pub async fn each_batch_of_all<T: Send + 'static>(
    source: &SharedDataset,
    manifest: &Manifest,
    pool: &CpuPool,
    work: impl Fn(&Lines, &str) -> Result<T, ConvertError> + Send + Sync + 'static,
    mut visit: impl AsyncFnMut(T) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let buffers = Buffers::new(2 * BATCH_BYTES);
    let work = Arc::new(work);
    for split in &manifest.selection.splits {
        let records = Records::new(manifest, &split.name, &buffers)?;
        let (work, split) = (Arc::clone(&work), split.name.clone());
        let work = move |lines: &Lines| work(lines, &split);
        each_batch(source, records, pool, work, &mut visit).await?;
    }
    Ok(())
}

/// Has a thread of its own read batches, the pool work on each, and visits what that gives in their order. `read` ends
/// early once a batch is not wanted.
///
/// # Errors
/// Those of `read`, `work` and `visit`: the first one ends it.
pub async fn in_order<B, T, E>(
    read: impl FnOnce(&dyn Fn(B) -> bool) -> Result<(), E> + Send + 'static,
    pool: &CpuPool,
    work: impl Fn(&B) -> Result<T, E> + Send + Sync + 'static,
    mut visit: impl AsyncFnMut(T) -> Result<(), E>,
) -> Result<(), E>
where
    B: Send + 'static,
    T: Send + 'static,
    E: From<ConvertError> + Send + 'static,
{
    let (send, mut receive) = tokio::sync::mpsc::channel(1);
    let reading = {
        let read = move || read(&|batch| send.blocking_send(batch).is_ok());
        let name = "gleaner-read".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(read);
        thread.map_err(ConvertError::Thread)?
    };
    let failed = |error: JobError| E::from(ConvertError::from(error));
    let work = Arc::new(work);
    let most = BATCHES_PER_THREAD * pool.threads();
    let mut running = FuturesOrdered::new();
    let mut is_over = false;
    loop {
        tokio::select! {
            biased;
            batch = receive.recv(), if !is_over && running.len() < most => match batch {
                Some(batch) => {
                    let work = Arc::clone(&work);
                    running.push_back(pool.run(move || work(&batch)));
                }
                None => is_over = true,
            },
            Some(done) = running.next(), if !running.is_empty() => visit(done.map_err(failed)??).await?,
            else => break,
        }
    }
    drop(receive);
    reading.join().map_err(|_| failed(JobError::Panicked))?
}
