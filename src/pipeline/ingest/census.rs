//! Holding the payloads of a round against the census.
//!
//! The census of a chunk says which conversations there are; the ranges of ranks say which of them
//! a round fetches. What was fetched must be exactly those: a conversation that is missing, one too
//! many, or one that has changed since voids the attempt.

use std::collections::BTreeMap;

use super::chunk_reader::{Candidates, RowRules};
use crate::domain::grouping::batch::Batch;
use crate::domain::record::header::{Header, HeaderBatch, RowFlags};
use crate::domain::sampling::selector::RankRanges;
use crate::domain::scheduling::chunk::{Chunk, overlapping};
use crate::domain::scheduling::pass::{ChunkPass, Pass};
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::{Membership, StratumId};
use crate::source::{ReceivedRow, SourceError};
use crate::spool::SpoolError;
use crate::spool::sealed::{SealedChunk, Spool};

/// Conversations that were delivered and cannot be used, by stratum: they are malformed.
pub type UnusableCandidates = BTreeMap<StratumId, u64>;

/// A conversation of the census that a round fetches.
#[derive(Debug, Clone, Copy)]
struct Expected {
    id_hash: i64,
    turns: i64,
    last: i64,
    stratum: StratumId,
}

/// What a round must bring of a chunk.
#[derive(Debug)]
pub struct Expectation(Vec<Expected>);

impl Expectation {
    /// Reads the censuses that have a part of the chunk. `None` if one of them is not there
    /// (any more).
    ///
    /// # Errors
    /// If a census cannot be read.
    pub fn read(
        spool: &Spool,
        censuses: &[Chunk],
        chunk: Chunk,
        ranks: &RankRanges,
        rules: &RowRules,
    ) -> Result<Option<Self>, SpoolError> {
        let Chunk::Hash(of) = chunk else {
            return Ok(None);
        };
        let selection = &*rules.selection;
        let mut ranker = Ranker::new(selection.seed());
        let mut expected = Vec::new();
        for &census in overlapping(censuses, of) {
            let chunk_pass = ChunkPass {
                chunk: census,
                pass: Pass::Census,
            };
            let Some(sealed) = spool.sealed(chunk_pass)? else {
                return Ok(None);
            };
            for_each_header(&sealed, |batch| {
                for (id, header) in batch.iter() {
                    let turns = u64::try_from(header.turn).unwrap_or(0);
                    let in_chunk = kusto_hash::modulo(header.id_hash, of.count) == of.index;
                    if in_chunk
                        && let Membership::Stratum(stratum) = selection.membership(id, turns)
                        && ranks.wants(selection, id, turns, ranker.rank(id))
                    {
                        expected.push(Expected {
                            id_hash: header.id_hash,
                            turns: header.turn,
                            last: header.at,
                            stratum,
                        });
                    }
                }
            })?;
        }
        expected.sort_by_key(|expected| expected.id_hash);
        Ok(Some(Self(expected)))
    }

    /// Holds what was fetched against it; says what of it cannot be used.
    ///
    /// # Errors
    /// If it is not the same.
    pub fn check(&self, mut fetched: Candidates) -> Result<UnusableCandidates, SourceError> {
        fetched.received.sort_unstable();
        fetched.kept.sort_unstable();
        let (mut missing, mut surplus, mut changed) = (0, 0, 0);
        let mut lost = UnusableCandidates::new();
        let mut kept = fetched.kept.iter().peekable();
        let mut received = fetched.received.iter().peekable();
        for expected in &self.0 {
            while received
                .next_if(|found| found.id_hash < expected.id_hash)
                .is_some()
            {
                surplus += 1;
            }
            match received.next_if(|found| found.id_hash == expected.id_hash) {
                None => missing += 1,
                Some(found) if !is_same(expected, found) => changed += 1,
                Some(_) => {}
            }
            match kept.next_if(|(hash, _)| *hash == expected.id_hash) {
                None => *lost.entry(expected.stratum).or_default() += 1,
                Some((_, turns)) if *turns != expected.turns => changed += 1,
                Some(_) => {}
            }
        }
        surplus += received.count() as u64 + kept.count() as u64;
        match (missing, surplus, changed) {
            (0, 0, 0) => Ok(lost),
            _ => Err(SourceError::NotAsCensus {
                missing,
                surplus,
                changed,
            }),
        }
    }

    /// Holds a sealed round of an earlier start against it; `None` if it does not fit (any more).
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn check_sealed(
        &self,
        sealed: &SealedChunk,
    ) -> Result<Option<UnusableCandidates>, SpoolError> {
        let mut kept = Vec::new();
        for_each_header(sealed, |batch| {
            let good = |header: &&Header| !header.flags.has(RowFlags::MALFORMED);
            kept.extend(
                batch
                    .headers
                    .iter()
                    .filter(good)
                    .map(|h| (h.id_hash, h.turn)),
            );
        })?;
        if kept.len() as u64 + sealed.tally().left_out() != self.0.len() as u64 {
            return Ok(None);
        }
        // What was delivered is not kept, only how many; that those kept are expected says the
        // rest.
        let received = self.0.iter().map(|expected| ReceivedRow {
            id_hash: expected.id_hash,
            turns: None,
            last: None,
        });
        let fetched = Candidates {
            received: received.collect(),
            kept,
        };
        Ok(self.check(fetched).ok())
    }
}

fn is_same(expected: &Expected, found: &ReceivedRow) -> bool {
    found.turns.is_none_or(|turns| turns == expected.turns)
        && found.last.is_none_or(|last| last == expected.last)
}

fn for_each_header(
    sealed: &SealedChunk,
    mut visit: impl FnMut(&HeaderBatch),
) -> Result<(), SpoolError> {
    let mut replay = sealed.replay(0)?;
    while let Some(batch) = replay.next_batch()? {
        // A census has conversations alone.
        if let Batch::Rows(batch) = batch {
            visit(&batch);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(hashes: &[i64]) -> Expectation {
        let expected = hashes.iter().map(|&id_hash| Expected {
            id_hash,
            turns: 3,
            last: 7,
            stratum: StratumId(0),
        });
        Expectation(expected.collect())
    }

    fn fetched(hashes: &[i64]) -> Candidates {
        Candidates {
            received: hashes
                .iter()
                .map(|&id_hash| ReceivedRow {
                    id_hash,
                    turns: Some(3),
                    last: Some(7),
                })
                .collect(),
            kept: hashes.iter().map(|&hash| (hash, 3)).collect(),
        }
    }

    fn not_as_census(expected: &[i64], found: Candidates) -> (u64, u64, u64) {
        match expectation(expected).check(found) {
            Err(SourceError::NotAsCensus {
                missing,
                surplus,
                changed,
            }) => (missing, surplus, changed),
            Ok(_) => (0, 0, 0),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn one_row_lost_doubled_or_foreign_is_noticed() {
        assert_eq!(not_as_census(&[1, 2, 3], fetched(&[3, 1, 2])), (0, 0, 0));
        assert_eq!(not_as_census(&[1, 2, 3], fetched(&[1, 3])).0, 1);
        assert!(not_as_census(&[1, 2, 3], fetched(&[1, 2, 2, 3])).1 > 0);
        assert!(not_as_census(&[1, 2, 3], fetched(&[0, 1, 2, 3])).1 > 0);
        assert!(not_as_census(&[1, 2, 3], fetched(&[1, 2, 3, 4])).1 > 0);
        let (missing, surplus, _) = not_as_census(&[1, 2, 3], fetched(&[1, 2, 4]));
        assert!(missing == 1 && surplus > 0);
        assert!(not_as_census(&[], fetched(&[5])).1 > 0);
    }

    #[test]
    fn a_conversation_that_changed_is_noticed() {
        for change in [
            |found: &mut Candidates| found.received[1].turns = Some(4),
            |found: &mut Candidates| found.received[1].last = Some(8),
            |found: &mut Candidates| found.kept[1].1 = 4,
        ] {
            let mut found = fetched(&[1, 2, 3]);
            change(&mut found);
            assert_eq!(not_as_census(&[1, 2, 3], found), (0, 0, 1));
        }
    }

    #[test]
    fn what_was_delivered_and_not_kept_is_lost_and_counted() {
        let mut found = fetched(&[1, 2, 3]);
        found.kept.remove(1);
        let lost = expectation(&[1, 2, 3]).check(found).expect("the same");
        assert_eq!(lost, UnusableCandidates::from([(StratumId(0), 1)]));
    }
}
