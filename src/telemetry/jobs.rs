//! The jobs that an engine runs for its source: how far each is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::{Counters, Notice};

/// A job of an engine at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// What it brings: `census`.
    pub name: String,
    /// Pieces of the input whose counts have come.
    pub pieces: u64,
    /// All pieces; 0 if the engine has a table of its own, whose parts nobody counts before.
    pub pieces_total: u64,
    /// Rows of these pieces.
    pub rows: u64,
    /// Hash chunks whose results have come.
    pub chunks: u64,
    /// Of all chunks, those that an earlier start has kept: they are not asked for.
    pub chunks_kept: u64,
    /// All chunks; those without rows bring nothing.
    pub chunks_total: u64,
    /// Whether it has ended, and everything was there.
    pub done: bool,
}

impl JobView {
    fn percent(&self) -> u64 {
        let all = self.pieces_total.max(self.pieces) + self.chunks_total;
        (self.pieces + self.chunks + self.chunks_kept) * 100 / all.max(1)
    }
}

/// The jobs that were begun, in their order.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<Vec<JobView>>);

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Vec<JobView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub fn view(&self) -> Vec<JobView> {
        self.lock().clone()
    }
}

impl Counters {
    /// A job begins, of so many chunks, and those that are kept; 0 pieces: their number is not known.
    pub fn begin_job(&self, name: &str, pieces_total: u64, [chunks_total, chunks_kept]: [u64; 2]) {
        let job = JobView {
            name: name.to_owned(),
            pieces: 0,
            pieces_total,
            rows: 0,
            chunks: 0,
            chunks_kept,
            chunks_total,
            done: false,
        };
        self.jobs.lock().push(job.clone());
        self.board().publish(Notice::Job { job });
    }

    /// The count of a piece has come.
    pub fn job_has_piece(&self, rows: u64) {
        self.change_job(|job| {
            job.pieces += 1;
            job.rows += rows;
        });
    }

    /// What a chunk brings has come.
    pub fn job_has_chunk(&self) {
        self.change_job(|job| job.chunks += 1);
    }

    /// The job has ended, and everything was there.
    pub fn end_job(&self) {
        self.change_job(|job| job.done = true);
    }

    /// Changes the job that runs; says so at most once a percent.
    fn change_job(&self, change: impl FnOnce(&mut JobView)) {
        let mut jobs = self.jobs.lock();
        let Some(job) = jobs.last_mut() else {
            return;
        };
        let before = job.percent();
        change(job);
        if job.done || job.percent() > before {
            let job = job.clone();
            drop(jobs);
            self.board().publish(Notice::Job { job });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::selection::stratum::fixtures::selection;

    #[test]
    fn a_job_is_shown_once_a_percent_and_at_its_end() {
        let counters = Counters::new(&selection(1));
        let notices = counters.board().channel();
        counters.begin_job("census", 400, [400, 50]);
        (0..400).for_each(|_| counters.job_has_piece(10));
        (0..300).for_each(|_| counters.job_has_chunk());
        counters.end_job();
        let notices: Vec<_> = notices.try_iter().map(|event| event.notice).collect();
        // 50 of 800 are kept: 6 percent are done at once.
        assert_eq!(notices.len(), 1 + (93 - 6) + 1);
        let expected = JobView {
            name: "census".to_owned(),
            pieces: 400,
            pieces_total: 400,
            rows: 4_000,
            chunks: 300,
            chunks_kept: 50,
            chunks_total: 400,
            done: true,
        };
        let last = Notice::Job {
            job: expected.clone(),
        };
        assert_eq!(notices.last(), Some(&last));
        assert_eq!(counters.jobs.view(), [expected]);
    }
}
