//! A sink that something happens to, at the very moment between a claim and its answer, a commit
//! and the next, a manifest and the cleaning up.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use gleaner::Pipeline;
use gleaner::cli::exit::{CliError, Exit};
use gleaner::pipeline::{RunError, RunReport};
use gleaner::sink::local_dir::LocalDir;
use gleaner::sink::reader::LocalDataset;
use gleaner::sink::{Claim, ClaimRecord, DatasetSink, FileCommit, SinkError, SinkFuture};
use gleaner::verify::verify;

use crate::forward::forward_to_inner;
use crate::support::corpus;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meddling {
    /// The claim is put, and the answer is an error.
    ClaimFails,
    /// So it is, and it cannot be taken away either.
    ClaimFailsForGood,
    /// The claim is taken away before the commit of this number.
    Unlocked(u32),
    /// Neither the claim can be given back nor the work directory be written.
    NoCleaningUp,
}

struct Meddled {
    inner: LocalDir,
    work: std::path::PathBuf,
    meddling: Meddling,
    commits: AtomicU32,
}

fn failed(action: &'static str, path: &str) -> SinkError {
    SinkError::Io {
        action,
        path: path.to_owned(),
        source: io::Error::from_raw_os_error(5),
    }
}

impl DatasetSink for Meddled {
    forward_to_inner!(location, block_bytes, stage, publish);

    fn claim<'a>(&'a self, dataset: &'a str, claim: &'a ClaimRecord) -> SinkFuture<'a, Claim> {
        async move {
            let answer = self.inner.claim(dataset, claim).await?;
            match self.meddling {
                Meddling::ClaimFails | Meddling::ClaimFailsForGood => Err(failed("claim", dataset)),
                _ => Ok(answer),
            }
        }
        .boxed()
    }

    fn commit(&self, file: FileCommit) -> SinkFuture<'_, ()> {
        async move {
            let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
            if self.meddling == Meddling::Unlocked(number) {
                let other = LocalDir::new(self.inner.location().into());
                let claim = other.read_claim(&file.dataset).await?.expect("a claim");
                other.revoke(&file.dataset, &claim.run_id).await?;
            }
            self.inner.commit(file).await
        }
        .boxed()
    }

    fn release<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, ()> {
        if self.meddling == Meddling::NoCleaningUp {
            // What is written aside cannot be made where a folder stands.
            fs::create_dir(self.work.join("run.part")).expect("a folder");
            return async move { Err(failed("give back", dataset)) }.boxed();
        }
        self.inner.release(dataset)
    }

    fn read_claim<'a>(&'a self, dataset: &'a str) -> SinkFuture<'a, Option<ClaimRecord>> {
        self.inner.read_claim(dataset)
    }

    fn revoke<'a>(&'a self, dataset: &'a str, run_id: &'a str) -> SinkFuture<'a, ()> {
        if self.meddling == Meddling::ClaimFailsForGood {
            return async move { Err(failed("clear", dataset)) }.boxed();
        }
        self.inner.revoke(dataset, run_id)
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("in")).expect("writable");
    for (name, bytes) in corpus::in_files(&corpus::events(8, 300), 1, "a") {
        fs::write(folder.path().join("in").join(name), bytes).expect("writable");
    }
    folder
}

/// The same command, with a sink that is meddled with or not.
fn run(folder: &Path, meddling: Option<Meddling>) -> Result<RunReport, RunError> {
    let inner = LocalDir::new(folder.join("out"));
    let sink: Arc<dyn DatasetSink> = match meddling {
        None => Arc::new(inner),
        Some(meddling) => Arc::new(Meddled {
            inner,
            work: folder.join("work"),
            meddling,
            commits: AtomicU32::new(0),
        }),
    };
    let mut run = Pipeline::builder()
        .input([folder.join("in").display().to_string()])
        .work_dir(folder.join("work"))
        .set("name", "d")
        // What is on its way at the moment of the meddling is known.
        .set("workers.uploaders", 1)
        .set("limits.max_malformed_percent", 100)
        .sink(sink);
    for split in ["train", "val", "test"] {
        for bucket in ["short", "medium", "long"] {
            run = run.set(&format!("selection.targets.{split}.{bucket}"), 1);
        }
    }
    let run = run.build().expect("ready").spawn_thread();
    run.expect("a thread").join_blocking()
}

fn assert_published(folder: &Path) {
    let dataset = LocalDataset::new(folder.join("out/d"));
    let report = verify(&dataset, None, false).expect("a dataset");
    assert!(report.is_good(), "{:?}", report.findings);
}

#[test]
fn an_error_after_the_claim_gives_it_back() {
    let folder = folder();
    run(folder.path(), Some(Meddling::ClaimFails)).expect_err("no answer");
    assert!(!folder.path().join("out/d/.claim.json").exists());
    assert!(!folder.path().join("work").exists());
    run(folder.path(), None).expect("free");
    assert_published(folder.path());
}

#[test]
fn a_claim_that_cannot_be_given_back_keeps_its_work_directory() {
    let folder = folder();
    run(folder.path(), Some(Meddling::ClaimFailsForGood)).expect_err("no answer");
    assert!(folder.path().join("out/d/.claim.json").exists());
    let report = run(folder.path(), None).expect("it is its own claim");
    assert!(report.resumed);
    assert_published(folder.path());
}

#[test]
fn a_run_whose_claim_was_taken_away_ends_at_its_next_commit() {
    for number in 1..=3 {
        let folder = folder();
        let error = run(folder.path(), Some(Meddling::Unlocked(number)));
        let error = error.expect_err("the claim is gone");
        let lost = matches!(&error, RunError::Sink(SinkError::ClaimLost { .. }));
        assert!(lost, "{error}");
        assert_eq!(CliError::from(error).exit, Exit::Usage);
        assert!(!folder.path().join("out/d/metadata.json").exists());
        run(folder.path(), None).expect("it is free again");
        assert_published(folder.path());
    }
}

#[test]
fn published_is_published_whatever_becomes_of_cleaning_up() {
    let folder = folder();
    let report = run(folder.path(), Some(Meddling::NoCleaningUp)).expect("published");
    for said in ["claim is left", "could not be cleaned up"] {
        let is_said = report.notes.iter().any(|note| note.contains(said));
        assert!(is_said, "{said}: {:?}", report.notes);
    }
    assert_published(folder.path());
    fs::remove_dir(folder.path().join("work/run.part")).expect("empty");
    let again = run(folder.path(), None).expect("it only finishes");
    assert_eq!(again.manifest, report.manifest);
    assert!(!folder.path().join("out/d/.claim.json").exists());
    assert!(run(folder.path(), None).expect("done").already_published);
}
