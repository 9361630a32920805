//! What follows when a chunk fails, and which chunks a pass fetches after that.
//!
//! The error's [`Action`] says what it asks for; what failed before decides what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::chunk::{Chunk, HashChunk, overlapping};
use super::pass::{ChunkPass, Pass};
use super::retry::Action;

/// Attempts in a row that differ from the census before it is fetched again.
const CENSUS_MISMATCHES: u32 = 2;

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureResponse {
    /// Wait and ask for less at once; the attempt does not count.
    Throttle {
        /// The delay that the source asks for.
        retry_after: Option<Duration>,
    },
    /// Fetch the halves instead; a chunk that cannot be split is tried again.
    Split,
    /// Fetch the chunk's census again, and count everything anew after this pass.
    RefetchCensus,
    /// Try again while attempts are left.
    Retry,
    /// End the run.
    Fail,
}

/// What a run remembers of chunks that failed.
#[derive(Debug, Default)]
pub struct Recovery {
    /// How many chunks may be missing.
    allow_missing: usize,
    /// Chunks that are split if they fail the same way again.
    split_next: BTreeSet<Chunk>,
    /// How often in a row a chunk's payloads differed from its census.
    mismatches: BTreeMap<Chunk, u32>,
    /// The chunk whose census the next attempt fetches again.
    census_refetch: Option<Chunk>,
    /// Whether a census was fetched again: once a run.
    has_refetched_census: bool,
    must_recount: bool,
    splits: BTreeMap<Chunk, [Chunk; 2]>,
    missing: BTreeSet<Chunk>,
}

impl Recovery {
    /// Nothing has failed yet; `allow_missing` chunks may be missing in the end.
    pub fn new(allow_missing: usize) -> Self {
        Self {
            allow_missing,
            ..Self::default()
        }
    }

    /// An attempt at a chunk failed in a pass.
    pub fn after_failure(&mut self, chunk: Chunk, action: Action, pass: Pass) -> FailureResponse {
        if action != Action::RetryThenRefetchCensus {
            self.mismatches.remove(&chunk);
        }
        match action {
            Action::Throttle { retry_after } => FailureResponse::Throttle { retry_after },
            Action::Split => FailureResponse::Split,
            Action::RetryThenSplit => match self.split_next.insert(chunk) {
                true => FailureResponse::Retry,
                false => FailureResponse::Split,
            },
            Action::RetryThenRefetchCensus => self.after_mismatch(chunk, pass),
            Action::Retry => FailureResponse::Retry,
            Action::Fail => FailureResponse::Fail,
        }
    }

    /// Later rounds keep to the census that the first has begun to write from.
    fn after_mismatch(&mut self, chunk: Chunk, pass: Pass) -> FailureResponse {
        let mismatches = self.mismatches.entry(chunk).or_default();
        *mismatches += 1;
        if *mismatches < CENSUS_MISMATCHES || pass != Pass::Round(0) || self.has_refetched_census {
            return FailureResponse::Retry;
        }
        self.has_refetched_census = true;
        self.must_recount = true;
        self.census_refetch = Some(chunk);
        FailureResponse::RefetchCensus
    }

    /// Whether the attempt at a chunk that begins now fetches its census again: the first after it
    /// was decided.
    pub fn take_census_refetch(&mut self, chunk: Chunk) -> bool {
        let taken = self.census_refetch.take_if(|of| *of == chunk);
        taken.is_some()
    }

    /// Goes on without a chunk, if so many may be missing: the chunks that are not in the dataset
    /// because of that. Where the pass follows a census, these are the chunks of the census that
    /// share conversations with it, and everything must be counted anew. `None` if the run must
    /// end, also because a file holds records of it already (`has_files`, or a later round).
    pub fn go_without(
        &mut self,
        chunk: Chunk,
        pass: Pass,
        censuses: Option<&[Chunk]>,
        has_files: bool,
    ) -> Option<Vec<Chunk>> {
        let Chunk::Hash(hash) = chunk else {
            return None;
        };
        let gone: Vec<Chunk> = match censuses {
            Some(censuses) => overlapping(censuses, hash).copied().collect(),
            None => vec![chunk],
        };
        let new = gone.iter().filter(|chunk| !self.missing.contains(chunk));
        let is_too_late = has_files || matches!(pass, Pass::Round(round) if round > 0);
        if is_too_late || self.missing.len() + new.count() > self.allow_missing {
            return None;
        }
        self.missing.extend(&gone);
        self.must_recount |= censuses.is_some();
        Some(gone)
    }

    /// Chunks that an earlier start went without stay missing, unless fewer may be missing now.
    pub fn adopt_missing(&mut self, recorded: &BTreeSet<Chunk>) -> bool {
        let may_be = recorded.len() <= self.allow_missing;
        if may_be {
            self.missing.extend(recorded);
        }
        may_be
    }

    /// The chunks to fetch in a pass over `cover`. What an earlier start has `sealed` of the pass,
    /// and what is missing, says which chunks it had split: they stay split.
    pub fn chunks_of_pass(
        &mut self,
        pass: Pass,
        cover: &[Chunk],
        sealed: impl IntoIterator<Item = ChunkPass>,
    ) -> Vec<Chunk> {
        let sealed = sealed.into_iter().filter(|sealed| sealed.pass == pass);
        let known: Vec<HashChunk> = (sealed.map(|sealed| sealed.chunk))
            .chain(self.missing.iter().copied())
            .filter_map(|chunk| match chunk {
                Chunk::Hash(chunk) => Some(chunk),
                Chunk::Piece(_) => None,
            })
            .collect();
        let mut chunks = Vec::new();
        for &chunk in cover {
            match chunk {
                Chunk::Hash(chunk) => {
                    chunks.extend(chunk.leaves(&known).into_iter().map(Chunk::Hash));
                    for (whole, halves) in chunk.splits(&known) {
                        self.record_split(Chunk::Hash(whole), halves.map(Chunk::Hash));
                    }
                }
                Chunk::Piece(_) => chunks.push(chunk),
            }
        }
        chunks.retain(|chunk| !self.missing.contains(chunk));
        chunks
    }

    /// A chunk was split.
    pub fn record_split(&mut self, whole: Chunk, halves: [Chunk; 2]) {
        self.splits.insert(whole, halves);
    }

    /// What was split, and into what.
    pub fn splits(&self) -> &BTreeMap<Chunk, [Chunk; 2]> {
        &self.splits
    }

    /// Chunks that are not in the dataset.
    pub fn missing(&self) -> &BTreeSet<Chunk> {
        &self.missing
    }

    /// Whether what was counted does not hold any more.
    pub fn must_recount(&self) -> bool {
        self.must_recount
    }

    /// Everything is counted from the beginning.
    pub fn recounting(&mut self) {
        self.must_recount = false;
    }
}

#[cfg(test)]
mod tests;
