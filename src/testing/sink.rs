//! The contract of sinks, as a test.

use super::clause::{Clause, Verdict, held};
use crate::runtime::blocking;
use crate::sink::reader::DatasetReader;
use crate::sink::{Claim, DatasetSink, SinkError};

mod again;
mod claims;
mod cut;
mod files;
mod published;

pub(crate) use cut::{Cut, claim_of, manifest_of};

const SETTINGS: Clause = Clause("a sink says where it is and how long a block is, always the same");
const AGAIN: Clause = Clause(
    "a call is harmless when it is made again, and comes out within five attempts if its error asks for that",
);
const READER: Clause = Clause("a reader finds what was committed, and nothing else");

/// Holds a sink, and the reader of its datasets, against the contract of [`DatasetSink`].
///
/// `make` gives a new sink on the same place every time, as each start of a process does; the place
/// is empty at first. `read` gives a reader of a dataset there, published or not. The kit writes
/// about twenty datasets of a few blocks each and leaves them there.
///
/// Every message of a failure has the clause that was broken, and how. The clauses:
///
/// | of | clause |
/// |---|---|
/// | a sink | it says where it is and how long a block is (more than nothing), always the same; `operation_timeout` is none or more than nothing |
/// | | a call whose error asks for it (`SinkError::action`) may be made again with the same arguments, whether it took effect or not: claim, stage, commit, publish, release, revoke, put_sidecar; it comes out within five attempts, so a sink that fails now and then is held against all clauses all the same |
/// | files | a file is its blocks, in whatever order they were staged, from several uploaders at once |
/// | | it is not there before its commit, and never half |
/// | | it is exactly the blocks of its commit: nothing that was staged before for the same name |
/// | | it may have no block at all |
/// | | staging and committing again is harmless, also at once |
/// | | receipts that are not the whole file, or were never given, are refused |
/// | | other bytes under the name of a committed file are refused, or replace it wholly |
/// | | where files can be renamed (`renames`), one has its new name and no other, also asked twice |
/// | | a path is kept letter by letter, or refused |
/// | datasets | one does not touch another, also where their names begin alike |
/// | claims | a dataset belongs to one run, and others learn whose it is |
/// | | of claims at the same moment one is granted |
/// | | a later start of the run goes on where the last one was killed |
/// | taking a claim away | where claims can be read: the run whose claim it was commits and publishes nothing more, what it has written goes, and the dataset is free; of another run's claim it is refused, of no claim harmless; what is published stays |
/// | publishing | the manifest is there as it was given, and is never overwritten |
/// | | a claim of the same run gets the manifest, of another run `Exists` |
/// | | release takes the claim away, and nothing else; doing it again is harmless |
/// | release before publishing | what was only staged goes, and the dataset is free; what was committed stays, and the dataset is nobody's: every claim is refused with `Exists`, also the run's own |
/// | | of a dataset that was never claimed it is harmless, or refused |
/// | a reader | it lists the files but hidden ones in bytewise order, knows their lengths, and reaches nothing outside the dataset; digests that it keeps are right |
///
/// Not checked, because it cannot be seen from outside: that files are durable when a commit
/// returns, that
/// [`location`](DatasetSink::location) has no secrets.
///
/// # Panics
/// If a clause does not hold. Must be called within a tokio runtime.
pub async fn sink_conformance(
    make: impl Fn() -> Box<dyn DatasetSink>,
    read: impl Fn(&str) -> Box<dyn DatasetReader>,
) {
    let place = Place {
        make: &make,
        read: &read,
    };
    held("the sink", place.all().await);
}

/// The sink under test.
#[derive(Clone, Copy)]
struct Place<'a> {
    make: &'a dyn Fn() -> Box<dyn DatasetSink>,
    read: &'a dyn Fn(&str) -> Box<dyn DatasetReader>,
}

impl Place<'_> {
    async fn all(self) -> Verdict {
        self.settings()?;
        files::all(self).await?;
        claims::all(self).await?;
        published::all(self).await?;
        self.twice().await
    }

    fn settings(self) -> Verdict {
        let reported = |sink: &dyn DatasetSink| {
            (
                sink.location(),
                sink.block_bytes(),
                sink.operation_timeout(),
            )
        };
        let sink = (self.make)();
        let (location, block_bytes, operation_timeout) = reported(&*sink);
        SETTINGS.check(!location.trim().is_empty(), || {
            "location() is empty".to_owned()
        })?;
        SETTINGS.check(block_bytes > 0, || "block_bytes() is 0".to_owned())?;
        SETTINGS.check(
            operation_timeout.is_none_or(|operation_timeout| !operation_timeout.is_zero()),
            || "operation_timeout() is no time at all; None is the usual time".to_owned(),
        )?;
        for (which, again) in [("the same", &sink), ("another", &(self.make)())] {
            let again = reported(&**again);
            let first = (location.clone(), block_bytes, operation_timeout);
            SETTINGS.check(again == first, || {
                format!("{which} sink, asked again, says {again:?}; at first it said {first:?}")
            })?;
        }
        Ok(())
    }

    fn make(self) -> Box<dyn DatasetSink> {
        Box::new(again::Again((self.make)()))
    }

    /// What a run may do twice, because the answer to the first was lost.
    async fn twice(self) -> Verdict {
        for nth in ["put_sidecar", "put_sidecar again"] {
            match self
                .make()
                .put_sidecar("twice.report.html", b"x".to_vec())
                .await
            {
                // It keeps nothing but datasets.
                Err(SinkError::Unusable { .. }) => {}
                put => AGAIN.succeeds(nth, put)?,
            }
        }
        let sink = self.claimed(AGAIN, "asked-twice").await?;
        granted(AGAIN, &*sink, "asked-twice", "1").await?;
        AGAIN.succeeds("release", sink.release("asked-twice").await)?;
        AGAIN.succeeds("release again", sink.release("asked-twice").await)
    }

    /// A sink with a claim that must be granted.
    async fn claimed(self, clause: Clause, dataset: &str) -> Verdict<Box<dyn DatasetSink>> {
        let sink = self.make();
        granted(clause, &*sink, dataset, "1").await?;
        Ok(sink)
    }

    /// The bytes of a file, as a reader finds them.
    async fn content(self, dataset: &str, path: &str) -> Verdict<Option<Vec<u8>>> {
        let (reader, path) = ((self.read)(dataset), path.to_owned());
        // Readers wait; that is not for a runtime's own threads.
        let content = blocking(move || content(&*reader, &path)).await;
        READER.succeeds("reading", content)?
    }

    async fn is_absent(self, clause: Clause, dataset: &str, path: &str, when: &str) -> Verdict {
        let found = self.content(dataset, path).await?;
        clause.check(found.is_none(), || format!("{path} is there {when}"))
    }

    async fn holds(self, clause: Clause, cut: &Cut, dataset: &str, when: &str) -> Verdict {
        let found = self.content(dataset, &cut.path).await?;
        let path = &cut.path;
        match found {
            None => clause.broken(format!("{path} is not there {when}")),
            Some(found) => clause.check(found == cut.bytes(), || {
                let (is, was) = (found.len(), cut.bytes().len());
                format!("{path} has other bytes {when} (it has {is}, {was} were written)")
            }),
        }
    }

    async fn files(self, dataset: &str) -> Verdict<Vec<String>> {
        let reader = (self.read)(dataset);
        let files = blocking(move || reader.files()).await;
        let files = READER.succeeds("files()", READER.succeeds("files()", files)?)?;
        READER.check(files.is_sorted(), || {
            format!("files() is not in bytewise order: {files:?}")
        })?;
        Ok(files)
    }

    async fn has_files(self, clause: Clause, dataset: &str, files: &[&str]) -> Verdict {
        let found = self.files(dataset).await?;
        clause.check(found == files, || {
            format!("the files of {dataset} are {found:?}, and should be {files:?}")
        })
    }
}

fn content(reader: &dyn DatasetReader, path: &str) -> Verdict<Option<Vec<u8>>> {
    let length = READER.succeeds("length()", reader.length(path))?;
    let opened = reader.open(path);
    let Some(length) = length else {
        READER.check(opened.is_err(), || {
            format!("{path} has no length and can be opened")
        })?;
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let mut file = READER.succeeds("open()", opened)?;
    READER.succeeds("reading a file", file.read_to_end(&mut bytes))?;
    READER.check(bytes.len() as u64 == length, || {
        format!("{path} has {} bytes, its length is {length}", bytes.len())
    })?;
    Ok(Some(bytes))
}

async fn granted(clause: Clause, sink: &dyn DatasetSink, dataset: &str, run_id: &str) -> Verdict {
    let answer = sink.claim(dataset, &claim_of(run_id)).await;
    let answer = clause.succeeds(&format!("run {run_id}'s claim of {dataset}"), answer)?;
    clause.check(answer == Claim::Granted, || {
        format!("run {run_id}'s claim of {dataset}, which is not published, is answered {answer:?}")
    })
}
