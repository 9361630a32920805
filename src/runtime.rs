//! Where work runs: a pool of threads for CPU work, behind a bounded queue.
//!
//! Actors run on one thread and must never wait or compute. What takes long is a job here. A job
//! that panics is caught and reported to the caller; its thread continues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, oneshot};

#[doc(hidden)]
pub mod buffers;
pub(crate) mod files;
#[doc(hidden)]
pub mod storage;

type Queued = Box<dyn FnOnce() + Send>;

/// Jobs that may wait for a thread, per thread. Two keep a thread busy while the next job is
/// being made; more would only hold memory.
const QUEUE_PER_THREAD: usize = 2;

/// Duration of file work in a simulation: other actors may exit meanwhile, before or after it takes
/// effect.
const FILE_WORK: Duration = Duration::from_millis(40);

/// A job did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JobError {
    /// It panicked; its message is in the log of the panic hook, not here, because it may hold
    /// conversation text.
    #[error("a job of the CPU pool panicked")]
    Panicked,
    /// The pool is gone.
    #[error("the CPU pool was shut down")]
    ShutDown,
}

/// The threads that work runs on. Several runs may share them.
#[derive(Debug)]
pub struct CpuPool {
    mode: Arc<Mode>,
    jobs: Jobs,
}

/// The number of jobs that are not over yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    now: AtomicUsize,
    none: Notify,
}

/// A job that is not over yet.
#[derive(Debug)]
pub(crate) struct Job(Jobs);

impl Jobs {
    /// Begins a job. It is over when this is dropped, even if its caller no longer waits.
    pub fn begin(&self) -> Job {
        self.0.now.fetch_add(1, Ordering::SeqCst);
        Job(self.clone())
    }

    /// Waits until all jobs are over, those whose callers no longer wait included.
    pub async fn over(&self) {
        loop {
            let none = self.0.none.notified();
            if self.0.now.load(Ordering::SeqCst) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.0.0.now.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.none.notify_waiters();
        }
    }
}

#[derive(Debug)]
enum Mode {
    Threads(Threads),
    /// At once, on the caller's thread.
    Inline,
}

/// Threads for CPU work.
#[derive(Debug)]
struct Threads {
    queue: Option<Sender<Queued>>,
    /// A permit for every place in the queue: waiting for one is asynchronous.
    places: Arc<Semaphore>,
    threads: Vec<JoinHandle<()>>,
}

impl CpuPool {
    /// Starts `threads` threads (at least one).
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let places = threads * (1 + QUEUE_PER_THREAD);
        let (queue, jobs) = bounded::<Queued>(places);
        let threads = (0..threads)
            .map(|number| {
                let jobs: Receiver<Queued> = jobs.clone();
                std::thread::Builder::new()
                    .name(format!("gleaner-cpu-{number}"))
                    .spawn(move || jobs.into_iter().for_each(|job| job()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::of(Mode::Threads(Threads {
            queue: Some(queue),
            places: Arc::new(Semaphore::new(places)),
            threads,
        })))
    }

    /// Starts a thread for each processor that the process may use, two if the system does not say.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn of_machine() -> std::io::Result<Self> {
        Self::new(std::thread::available_parallelism().map_or(2, usize::from))
    }

    fn of(mode: Mode) -> Self {
        Self {
            mode: Arc::new(mode),
            jobs: Jobs::default(),
        }
    }

    /// The same threads for one run, whose jobs can be waited for.
    pub(crate) fn for_run(&self) -> Self {
        Self {
            mode: Arc::clone(&self.mode),
            jobs: Jobs::default(),
        }
    }

    /// Waits until all jobs are over, those whose callers no longer wait included.
    pub(crate) async fn over(&self) {
        self.jobs.over().await;
    }

    /// Runs every job and all file work at once, on the caller's thread: one order of events, for
    /// simulations. File work then takes a while of the runtime's time.
    pub fn inline() -> Self {
        Self::of(Mode::Inline)
    }

    /// The number of jobs that run at once.
    pub fn threads(&self) -> usize {
        match &*self.mode {
            Mode::Threads(threads) => threads.threads.len(),
            Mode::Inline => 1,
        }
    }

    /// Runs blocking file work and waits for it, without holding up the thread of the caller.
    ///
    /// # Errors
    /// If the work panics.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        match &*self.mode {
            Mode::Threads(_) => tracked(&self.jobs, work).await,
            Mode::Inline => {
                tokio::time::sleep(FILE_WORK / 2).await;
                let result = inline(work).await;
                tokio::time::sleep(FILE_WORK / 2).await;
                result
            }
        }
    }

    /// Runs a job and waits for it, without holding up the thread of the caller.
    ///
    /// # Errors
    /// If the job panics.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        match &*self.mode {
            Mode::Threads(threads) => threads.run(self.jobs.begin(), job).await,
            Mode::Inline => inline(job).await,
        }
    }
}

/// Others come first; then the job is done in one go.
async fn inline<T>(job: impl FnOnce() -> T) -> Result<T, JobError> {
    tokio::task::yield_now().await;
    catch_unwind(AssertUnwindSafe(job)).map_err(|_| JobError::Panicked)
}

impl Threads {
    async fn run<T: Send + 'static>(
        &self,
        begun: Job,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| JobError::ShutDown)?;
        let (reply, answer) = oneshot::channel();
        let job: Queued = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(job));
            drop(place);
            // A caller that was cancelled no longer waits.
            let _ = reply.send(result.map_err(|_| JobError::Panicked));
            drop(begun);
        });
        let queue = self.queue.as_ref().ok_or(JobError::ShutDown)?;
        // There is a place in the queue for every permit, so this never waits.
        queue.send(job).map_err(|_| JobError::ShutDown)?;
        answer.await.map_err(|_| JobError::ShutDown)?
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Threads end when the queue is closed and empty.
        self.queue = None;
        let here = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last owner may be a job, which cannot wait for its own thread to end. A thread
            // cannot have panicked: its jobs are caught.
            if thread.thread().id() != here {
                let _ = thread.join();
            }
        }
    }
}

/// Runs blocking file work off the actors' thread, as one of some jobs.
///
/// # Errors
/// If the work panics.
pub(crate) async fn tracked<T: Send + 'static>(
    jobs: &Jobs,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    let begun = jobs.begin();
    let (reply, answer) = oneshot::channel();
    blocking(move || {
        // A caller that was cancelled no longer waits; the result is then dropped before the job is
        // over.
        let _ = reply.send(work());
        drop(begun);
    })
    .await?;
    answer.await.map_err(|_| JobError::ShutDown)
}

/// Runs blocking file work off the actors' thread.
///
/// # Errors
/// If the work panics.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| match error.is_panic() {
            true => JobError::Panicked,
            false => JobError::ShutDown,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_and_the_pool_goes_on() {
        let pool = CpuPool::new(1).expect("threads");
        assert_eq!(
            pool.run(|| std::panic::panic_any(())).await,
            Err::<(), _>(JobError::Panicked)
        );
        for i in 0..100 {
            assert_eq!(pool.run(move || i).await, Ok(i));
        }
    }

    #[tokio::test]
    async fn many_waiting_jobs_all_run() {
        let pool = CpuPool::new(2).expect("threads");
        let jobs = (0..500u64).map(|i| pool.run(move || i));
        let results = futures_util::future::join_all(jobs).await;
        let sum: u64 = results.into_iter().map(|r| r.expect("no panic")).sum();
        assert_eq!(sum, 499 * 500 / 2);
    }
}
