//! Sinks that break their contract.

use std::io::{self, Cursor, ErrorKind, Read};

use gleaner::sink::reader::DatasetReader;
use gleaner::testing::sink_conformance;

use super::careless::{Careless, Fault};
use super::refused;

struct Reader {
    sink: Careless,
    dataset: String,
}

impl DatasetReader for Reader {
    fn location(&self) -> String {
        self.dataset.clone()
    }

    fn files(&self) -> io::Result<Vec<String>> {
        Ok(self.sink.files(&self.dataset))
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        let found = self.sink.read(&self.dataset, path);
        Ok(found.map(|bytes| bytes.len() as u64))
    }

    fn keeps_digests(&self) -> bool {
        self.sink.fault == Fault::Digests
    }

    fn stored_sha256(&self, _: &str) -> io::Result<Option<String>> {
        Ok(self.keeps_digests().then(|| "00".repeat(32)))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        let found = self.sink.read(&self.dataset, path);
        let bytes = found.ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}

async fn hold(fault: Fault) {
    let place = Careless::new(fault);
    let read = |dataset: &str| -> Box<dyn DatasetReader> {
        Box::new(Reader {
            sink: place.clone(),
            dataset: dataset.to_owned(),
        })
    };
    sink_conformance(|| Box::new(place.clone()), read).await;
}

#[tokio::test]
async fn without_a_fault_a_sink_passes() {
    hold(Fault::None).await;
}

const SETTINGS: &str = "a sink says where it is and how long a block is, always the same";
const READER: &str = "a reader finds what was committed, and nothing else";

/// Each fault and the clause that names it.
const BROKEN: [(Fault, &str); 26] = [
    (Fault::NoBlocks, SETTINGS),
    (Fault::ZeroTimeout, SETTINGS),
    (
        Fault::Appends,
        "a file is its blocks, in whatever order they were staged",
    ),
    (
        Fault::Copies,
        "where files can be renamed, one has its new name and no other, also asked twice",
    ),
    (Fault::NeedsBlocks, "a file may have no block at all"),
    (
        Fault::Mixes,
        "other bytes under the name of a committed file are refused, or replace it wholly",
    ),
    (
        Fault::Unclean,
        "a later start of the run goes on where the last one was killed",
    ),
    (
        Fault::OneRelease,
        "release takes the claim away, and nothing else",
    ),
    (
        Fault::Marks,
        "release of what was never claimed is harmless, or refused",
    ),
    (
        Fault::Holes,
        "receipts that are not the whole file are refused",
    ),
    (Fault::Stale, "a file is exactly the blocks of its commit"),
    (Fault::TooSoon, "a file is not there before its commit"),
    (Fault::Once, "staging and committing again is harmless"),
    (
        Fault::PlainNames,
        "a path is kept letter by letter, or refused",
    ),
    (Fault::Prefix, "a dataset does not touch another"),
    (Fault::TwoClaims, "a dataset belongs to one run"),
    (Fault::Race, "of claims at the same moment one is granted"),
    (
        Fault::Overwrites,
        "the manifest is there as it was given, and is never overwritten",
    ),
    (
        Fault::Everybodys,
        "a claim of what is published gets the manifest, or Exists",
    ),
    (
        Fault::OneSidecar,
        "a call is harmless when it is made again",
    ),
    (
        Fault::AsksForEver,
        "a call is harmless when it is made again",
    ),
    (Fault::Forgets, "staging and committing again is harmless"),
    (
        Fault::Keeps,
        "release before publishing gives up what was only staged",
    ),
    (
        Fault::Inherits,
        "release before publishing keeps what was committed",
    ),
    (Fault::Unsorted, READER),
    (Fault::Digests, READER),
];

#[tokio::test]
async fn sinks_that_break_the_contract() {
    for (fault, clause) in BROKEN {
        refused(&format!("{fault:?}"), clause, hold(fault)).await;
    }
}
