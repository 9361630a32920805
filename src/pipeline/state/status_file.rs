//! `status.json` in the work directory: how the run was doing a moment ago, for `gleaner status`.
//!
//! Written aside and renamed, so that it is always whole; never synced, because nothing depends on
//! it: a run goes on without it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::json::canonical::sorted;
use crate::runtime::CpuPool;
use crate::runtime::storage::replace_private;
use crate::secrets;
use crate::telemetry::{Telemetry, report};

/// The file's name.
pub const STATUS: &str = "status.json";

/// The page about a run that has ended.
pub const REPORT: &str = "report.html";

/// How often it is written, if there is something new.
const EVERY: Duration = Duration::from_secs(10);

/// Keeps the file up to date.
pub struct StatusFile {
    path: PathBuf,
    telemetry: Telemetry,
    pool: Arc<CpuPool>,
    /// Whether the work directory is this run's: until it has its claim, what lies there may be a
    /// run's before.
    begun: Arc<AtomicBool>,
    last: Mutex<Value>,
}

impl StatusFile {
    /// In a work directory.
    pub fn new(
        work_dir: &Path,
        telemetry: Telemetry,
        pool: Arc<CpuPool>,
        begun: Arc<AtomicBool>,
    ) -> Self {
        Self {
            begun,
            path: work_dir.join(STATUS),
            telemetry,
            pool,
            last: Mutex::default(),
        }
    }

    /// Writes it now and then, for ever.
    pub async fn keep<T>(&self) -> T {
        loop {
            tokio::time::sleep(EVERY).await;
            self.write().await;
        }
    }

    /// The run has ended: writes it a last time, and the report beside it.
    pub async fn close(&self) {
        self.write().await;
        let page = report::html(&self.telemetry.view());
        self.replace(self.path.with_file_name(REPORT), page).await;
    }

    /// Writes it, if there is something new.
    pub async fn write(&self) {
        let mut status = json!(self.telemetry.snapshot());
        status["recent"] = json!(self.telemetry.events.recent());
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if *last == status {
                return;
            }
            last.clone_from(&status);
        }
        status["at"] = json!(Timestamp::now().to_string());
        self.replace(self.path.clone(), sorted(status).to_string())
            .await;
    }

    /// Writes a file aside and renames it. Where the work directory is gone (a run that was refused
    /// before it began) there is nothing to show.
    async fn replace(&self, path: PathBuf, text: String) {
        if !self.begun.load(Ordering::Relaxed) {
            return;
        }
        let name = path.clone();
        let write = move || replace_private(&path, secrets::redact(&text).as_bytes());
        match self.pool.blocking(write).await {
            Ok(Ok(())) => {}
            failed => tracing::debug!(?failed, path = %name.display(), "was not written"),
        }
    }
}

/// What the file of a work directory says, if there is one that can be read.
#[cfg(feature = "cli")]
pub fn read(work_dir: &Path) -> Option<Value> {
    let text = std::fs::read(work_dir.join(STATUS)).ok()?;
    serde_json::from_slice(&text).ok()
}
