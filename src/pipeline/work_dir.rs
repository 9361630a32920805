//! The work directory: what a run must remember to go on after any crash.
//!
//! `run.json` pins what was decided when the run started (its id, its window as instants, its
//! name); `chunks/` holds the sealed chunks; `lock` is held by the process that works; `status.json`
//! says how it went a moment ago, for people. Everything else is recomputed. `run.json` has a
//! checksum and is replaced by writing aside, syncing and renaming.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::status_file::{REPORT, STATUS};
use crate::config;
use crate::runtime::files::{create_private, create_private_folder};
use crate::source::InputFingerprint;
use crate::spool::{SpoolError, stored};

/// Why a work directory was refused.
#[derive(Debug, Error)]
pub enum WorkDirError {
    /// It belongs to a run with other settings.
    #[error("the work directory {path} belongs to a run with other settings:\n{}", .diff.join("\n"))]
    OtherSettings {
        /// The directory.
        path: PathBuf,
        /// Lines like `  selection.seed: "a" -> "b"`.
        diff: Vec<String>,
    },
    /// Another process works in it.
    #[error("another gleaner process is working in {path}")]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// What it remembers cannot be read.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] SpoolError),
}

/// How far a run has come, as the next start of it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not published, as far as is known here.
    Running,
    /// Published: the next start begins a new run.
    Published,
}

/// What is pinned for a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Random, made once.
    pub run_id: String,
    /// Of the settings.
    pub fingerprint: String,
    /// The settings that the fingerprint covers.
    pub settings: Value,
    /// When the run started.
    pub started: Timestamp,
    /// First instant inside the window.
    pub window_start: Option<Timestamp>,
    /// First instant outside.
    pub window_end: Option<Timestamp>,
    /// The first instant of the rows that exist; `None`: open.
    #[serde(default)]
    pub look_start: Option<Timestamp>,
    /// The first instant behind them. Rows behind the window's end show which conversations it cuts.
    #[serde(default)]
    pub look_end: Option<Timestamp>,
    /// The dataset's name.
    pub dataset: String,
    /// Where it goes, for a person.
    pub location: String,
    /// The input files as they were.
    pub inputs: Option<Vec<InputFingerprint>>,
    /// How far it has come.
    pub state: RunState,
}

/// A work directory that this process holds.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    /// Held until the process ends, or the last of these is dropped.
    lock: Arc<File>,
    /// What is pinned.
    pub record: RunRecord,
    /// Whether an earlier start of the run is continued.
    pub resumed: bool,
}

impl WorkDir {
    /// Takes a work directory for a run: goes on with the one that is there, or starts the one
    /// that `begin` describes (also after a published one, and always if `fresh`).
    ///
    /// # Errors
    /// If it belongs to other settings or another process, or cannot be used.
    pub fn open(
        path: &Path,
        fingerprint: &str,
        settings: &Value,
        fresh: bool,
        begin: impl FnOnce() -> RunRecord,
    ) -> Result<Self, WorkDirError> {
        create_private_folder(path).map_err(SpoolError::io("create", path))?;
        let lock = lock(path)?;
        let found = if fresh { None } else { read_record(path)? };
        if let Some(found) = &found
            && found.fingerprint != fingerprint
        {
            return Err(WorkDirError::OtherSettings {
                path: path.to_owned(),
                diff: config::diff(&found.settings, settings)
                    .into_iter()
                    .map(|line| format!("  {line}"))
                    .collect(),
            });
        }
        let found = found.filter(|record| record.state == RunState::Running);
        let resumed = found.is_some();
        let work_dir = Self {
            path: path.to_owned(),
            lock: Arc::new(lock),
            record: found.unwrap_or_else(begin),
            resumed,
        };
        if !resumed {
            // Of a run before.
            let _ = fs::remove_file(path.join(STATUS));
            let _ = fs::remove_file(path.join(REPORT));
            work_dir.clear()?;
            work_dir.save()?;
        }
        Ok(work_dir)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps others out, as long as somebody has it.
    pub(super) fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// Where sealed chunks are kept.
    pub fn chunks(&self) -> PathBuf {
        self.path.join("chunks")
    }

    /// Writes what is pinned, durably.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self) -> Result<(), WorkDirError> {
        let path = record_path(&self.path);
        stored::save(&path, &self.record).map_err(SpoolError::io("write", path))?;
        Ok(())
    }

    /// Forgets a run that was refused before it began: nothing is left to go on with. What cannot
    /// be removed is harmless.
    pub fn forget(self) {
        for file in ["run.json", STATUS, REPORT, "lock"] {
            let _ = fs::remove_file(self.path.join(file));
        }
        let _ = fs::remove_dir(&self.path);
    }

    /// Removes the sealed chunks.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn clear(&self) -> Result<(), WorkDirError> {
        let chunks = self.chunks();
        match fs::remove_dir_all(&chunks) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(SpoolError::io("remove", chunks)(error).into())
            }
            _ => Ok(()),
        }
    }
}

/// What a work directory remembers; `None` if there is none.
///
/// # Errors
/// If it is damaged or cannot be read.
pub fn read_record(path: &Path) -> Result<Option<RunRecord>, WorkDirError> {
    let path = record_path(path);
    stored::load(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => WorkDirError::Damaged {
            path,
            reason: error.to_string(),
        },
        _ => SpoolError::io("read", path)(error).into(),
    })
}

/// Whether a process works in a directory at this moment.
pub fn is_busy(path: &Path) -> bool {
    let Ok(lock) = File::open(path.join("lock")) else {
        return false;
    };
    matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

fn record_path(path: &Path) -> PathBuf {
    path.join("run.json")
}

fn lock(path: &Path) -> Result<File, WorkDirError> {
    let lock_path = path.join("lock");
    let lock = create_private(&lock_path).map_err(SpoolError::io("create", &lock_path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(WorkDirError::Busy {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(SpoolError::io("lock", lock_path)(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, fingerprint: &str, fresh: bool) -> Result<WorkDir, WorkDirError> {
        let settings = serde_json::json!({"selection": {"seed": fingerprint}});
        let record = RunRecord {
            run_id: format!("run of {fingerprint}"),
            fingerprint: fingerprint.to_owned(),
            settings: settings.clone(),
            started: Timestamp::UNIX_EPOCH,
            window_start: None,
            window_end: None,
            look_start: None,
            look_end: None,
            dataset: "d".to_owned(),
            location: "out".to_owned(),
            inputs: None,
            state: RunState::Running,
        };
        WorkDir::open(path, fingerprint, &settings, fresh, || record)
    }

    #[test]
    fn a_second_process_and_other_settings_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = open(folder.path(), "a", false).expect("free");
        assert!(!first.resumed && is_busy(folder.path()));
        assert!(matches!(
            open(folder.path(), "a", false),
            Err(WorkDirError::Busy { .. })
        ));
        drop(first);
        assert!(!is_busy(folder.path()));
        assert!(open(folder.path(), "a", false).expect("free").resumed);
        let refused = open(folder.path(), "b", false)
            .expect_err("other settings")
            .to_string();
        assert!(
            refused.contains("selection.seed") && refused.contains("\"a\""),
            "{refused}"
        );
        assert!(!open(folder.path(), "b", true).expect("fresh").resumed);
    }

    #[test]
    fn a_run_that_was_refused_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("work");
        open(&path, "a", false).expect("free").forget();
        assert!(!path.exists());
        fs::create_dir_all(path.join("mine")).expect("a folder");
        open(&path, "a", false).expect("free").forget();
        assert!(path.join("mine").exists(), "what is not ours stays");
    }

    #[test]
    fn after_a_published_run_a_new_one_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut first = open(folder.path(), "a", false).expect("free");
        first.record.state = RunState::Published;
        first.save().expect("room");
        drop(first);
        assert!(!open(folder.path(), "a", false).expect("free").resumed);
    }
}
