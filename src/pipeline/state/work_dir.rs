//! The work directory: what a run must remember to go on after any crash.
//!
//! `run.json` pins what was decided when the run started (its id, its window as instants, its
//! name); `chunks/` holds the sealed chunks; `lock` is held by the process that works; `status.json`
//! says how it went a moment ago, for people. Everything else is recomputed. `run.json` has a
//! checksum and is replaced by writing aside, syncing and renaming.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::exclude_key;
use super::start::{self, Start, StartOptions};
use super::status_file::{REPORT, STATUS};
use crate::config;
use crate::domain::record::timestamp::UtcInstant;
use crate::runtime::storage::{self, DiskFile};
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
    /// Its run has published a dataset of this name, of another window.
    #[error(
        "{dataset} was published by this command with the window {published}; the window now is {asked}"
    )]
    OtherWindow {
        /// The dataset.
        dataset: String,
        /// The window that was published.
        published: String,
        /// The window that the command would pin now.
        asked: String,
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
        /// The cause, in one line.
        reason: String,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] SpoolError),
}

impl WorkDirError {
    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::OtherSettings { .. } => {
                "choose another --work-dir, or start over in this one with --fresh"
            }
            Self::OtherWindow { .. } => {
                "put {timestamp} into the name, choose another --name, or give the window that was published"
            }
            Self::Busy { .. } => "wait for it, or choose another --work-dir",
            Self::Damaged { .. } => "start over with --fresh",
            Self::Io(_) => "choose a place that can be written with --work-dir",
        }
    }
}

/// How far a run has come, as the next start of it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not published, as far as is known here.
    Running,
    /// Published: nothing is left to do, and another start of the command changes nothing.
    Published,
}

/// What is pinned for a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Random, made once.
    pub run_id: String,
    /// Fingerprint of the settings, 16 hexadecimal digits.
    pub fingerprint: String,
    /// The settings that the fingerprint covers.
    pub settings: Value,
    /// When the run started.
    pub started: Timestamp,
    /// First instant inside the window.
    pub window_start: Option<UtcInstant>,
    /// First instant outside.
    pub window_end: Option<UtcInstant>,
    /// The first instant of the rows that exist; `None`: open.
    #[serde(default)]
    pub look_start: Option<UtcInstant>,
    /// The first instant behind them. Rows behind the window's end show which conversations it cuts.
    #[serde(default)]
    pub look_end: Option<UtcInstant>,
    /// The dataset's name.
    pub dataset: String,
    /// The location of the dataset, for display.
    pub location: String,
    /// The input files as they were.
    pub inputs: Option<Vec<InputFingerprint>>,
    /// How far it has come.
    pub state: RunState,
    /// The run that this one takes the place of, until this one has its claim: what lies in the
    /// directory is still that run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<RunRecord>>,
}

impl RunRecord {
    /// The runs that this one takes the place of, the latest first.
    pub fn replaced(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(self.replaces.as_deref(), |record| {
            record.replaces.as_deref()
        })
    }
}

/// A work directory that this process holds.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    /// Held until the process ends, or the last of these is dropped.
    lock: Arc<DiskFile>,
    /// What was pinned when the run started.
    pub record: RunRecord,
    /// Whether an earlier start of the run is continued.
    pub resumed: bool,
}

impl WorkDir {
    /// Takes a work directory for a run: goes on with the one that is there, or starts `new`. What
    /// belongs to a run before stays until [`Self::begin`].
    ///
    /// # Errors
    /// If it belongs to other settings or another process, has published another window, or cannot
    /// be used.
    pub fn open(path: &Path, new: RunRecord, options: StartOptions) -> Result<Self, WorkDirError> {
        storage::make_private_folder(path).map_err(SpoolError::io("create", path))?;
        let lock = Arc::new(lock(path)?);
        let found = match read_record(path) {
            // It is started over.
            Err(WorkDirError::Damaged { .. }) if options.fresh => None,
            found => found?,
        };
        let start = start::decide(found.as_ref(), &new, options);
        let with = |record, resumed| Self {
            path: path.to_owned(),
            lock,
            record,
            resumed,
        };
        match (start, found) {
            (Start::OtherSettings, Some(found)) => Err(WorkDirError::OtherSettings {
                path: path.to_owned(),
                diff: config::diff(&found.settings, &new.settings)
                    .into_iter()
                    .map(|line| format!("  {line}"))
                    .collect(),
            }),
            (Start::OtherWindow, Some(found)) => Err(WorkDirError::OtherWindow {
                published: start::window_text(&found),
                asked: start::window_text(&new),
                dataset: found.dataset,
            }),
            (Start::Resume | Start::AlreadyPublished, Some(found)) => {
                // What took the place of another run, and did not get as far as its claim.
                let begun = found.replaces.is_none();
                Ok(with(found, begun))
            }
            (_, found) => {
                let mut work_dir = with(new, false);
                work_dir.record.replaces = found.map(Box::new);
                work_dir.save()?;
                Ok(work_dir)
            }
        }
    }

    /// The run has its claim: what a run before has left is cleared away. The report of a run that
    /// has published is kept under its dataset's name.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn begin(&mut self) -> Result<(), WorkDirError> {
        let published = |record: &&RunRecord| record.state == RunState::Published;
        if let Some(before) = self.record.replaced().find(published) {
            let kept = self.path.join(format!("{}.{REPORT}", before.dataset));
            // It may have been removed by hand.
            let _ = storage::rename(&self.path.join(REPORT), &kept);
        }
        let _ = storage::remove_file(&self.path.join(STATUS));
        let _ = storage::remove_file(&self.path.join(REPORT));
        self.clear()?;
        if self.record.replaces.take().is_some() {
            self.save()?;
        }
        Ok(())
    }

    /// Whether the run has published already.
    pub fn is_published(&self) -> bool {
        self.record.state == RunState::Published
    }

    /// The dataset that the run has published is gone: it is made once more.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn start_again(&mut self) -> Result<(), WorkDirError> {
        self.record.state = RunState::Running;
        self.record.inputs = None;
        self.save()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps others out until the last clone is dropped.
    pub(in crate::pipeline) fn lock(&self) -> Arc<DiskFile> {
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

    /// Forgets a run that was refused before it began: nothing is left to go on with. The run whose
    /// place it was to take has its directory back, as it was. What cannot be removed is harmless.
    pub fn forget(mut self) {
        if let Some(before) = self.record.replaces.take() {
            self.record = *before;
            if let Err(error) = self.save() {
                tracing::warn!(%error, "the run before could not be brought back");
            }
            return;
        }
        for file in ["run.json", exclude_key::FILE, STATUS, REPORT, "lock"] {
            let _ = storage::remove_file(&self.path.join(file));
        }
        let _ = storage::remove_dir(&self.path);
    }

    /// Removes the sealed chunks.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn clear(&self) -> Result<(), WorkDirError> {
        let chunks = self.chunks();
        match storage::remove_dir_all(&chunks) {
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

fn lock(path: &Path) -> Result<DiskFile, WorkDirError> {
    let lock_path = path.join("lock");
    let lock =
        DiskFile::create_private(&lock_path).map_err(SpoolError::io("create", &lock_path))?;
    match lock.get().try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(WorkDirError::Busy {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(SpoolError::io("lock", lock_path)(error).into()),
    }
}

#[cfg(test)]
pub(in crate::pipeline) mod tests {
    use std::fs;

    use super::*;

    /// A run of other settings for each fingerprint.
    pub fn record(fingerprint: &str) -> RunRecord {
        RunRecord {
            run_id: format!("run of {fingerprint}"),
            fingerprint: fingerprint.to_owned(),
            settings: serde_json::json!({"selection": {"seed": fingerprint}}),
            started: Timestamp::UNIX_EPOCH,
            window_start: None,
            window_end: None,
            look_start: None,
            look_end: None,
            dataset: "d".to_owned(),
            location: "out".to_owned(),
            inputs: None,
            state: RunState::Running,
            replaces: None,
        }
    }

    fn open(path: &Path, fingerprint: &str, fresh: bool) -> Result<WorkDir, WorkDirError> {
        let options = StartOptions {
            fresh,
            fixed_name: true,
        };
        WorkDir::open(path, record(fingerprint), options)
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
    fn after_a_published_run_nothing_is_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut first = open(folder.path(), "a", false).expect("free");
        first.record.state = RunState::Published;
        first.save().expect("room");
        drop(first);
        fs::write(folder.path().join(REPORT), b"of the first").expect("writable");
        let again = open(folder.path(), "a", false).expect("free");
        assert!(again.is_published() && again.resumed);
        drop(again);
        let later = RunRecord {
            window_end: UtcInstant::from_ticks(0),
            ..record("a")
        };
        let fixed = StartOptions {
            fresh: false,
            fixed_name: true,
        };
        let refused = WorkDir::open(folder.path(), later.clone(), fixed)
            .expect_err("another window")
            .to_string();
        for window in ["open to open", "open to 1970-01-01T00:00:00Z"] {
            assert!(refused.contains(window), "{refused}");
        }
        // With a timestamp in its name it is another run, and the report stays.
        let stamped = StartOptions::default();
        let mut next = WorkDir::open(folder.path(), later, stamped).expect("a new run");
        assert!(!next.resumed && !next.is_published());
        next.begin().expect("room");
        let kept = fs::read(folder.path().join("d.report.html")).expect("kept");
        assert_eq!(kept, b"of the first");
    }

    #[test]
    fn a_run_that_is_refused_gives_the_directory_back_to_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = open(folder.path(), "a", false).expect("free");
        fs::create_dir_all(first.chunks()).expect("writable");
        let chunk = first.chunks().join("0.sealed");
        fs::write(&chunk, b"x").expect("writable");
        drop(first);
        open(folder.path(), "b", true).expect("fresh").forget();
        assert!(open(folder.path(), "a", false).expect("ours").resumed);
        // Killed before it had its claim, it is started again, and still gives it back.
        drop(open(folder.path(), "b", true).expect("fresh"));
        let again = open(folder.path(), "b", false).expect("the same");
        assert!(!again.resumed, "the chunks are not its own");
        let names: Vec<&str> = again.record.replaced().map(|r| r.run_id.as_str()).collect();
        assert_eq!(names, ["run of a"]);
        again.forget();
        assert!(chunk.exists() && open(folder.path(), "a", false).expect("ours").resumed);
        // Once it has begun it is the only one.
        let mut fresh = open(folder.path(), "b", true).expect("fresh");
        fresh.begin().expect("room");
        drop(fresh);
        assert!(!chunk.exists());
        assert!(open(folder.path(), "b", false).expect("ours").resumed);
    }
}
