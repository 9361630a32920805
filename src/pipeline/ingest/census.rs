//! Holding the payloads of a round against the census.
//!
//! The census of a chunk says which conversations there are; the ranges of ranks say which of them
//! a round fetches. What was fetched must be exactly those: a conversation that is missing, one too
//! many, or one that has changed since voids the attempt. Conversations of Copilot Chat telemetry are
//! put together here, which may refuse one, or find other turns than the census: that decides, and only
//! one that is missing or one too many voids the attempt.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chunk_reader::{Candidates, RowRules, whole};
use crate::domain::grouping::batch::Batch;
use crate::domain::grouping::telemetry_index::TelemetryIndex;
use crate::domain::record::header::{Header, HeaderBatch, RowFlags};
use crate::domain::record::row::RowShape;
use crate::domain::sampling::rank_ranges::RankRanges;
use crate::domain::scheduling::chunk::{Chunk, overlapping};
use crate::domain::scheduling::pass::{ChunkPass, Pass};
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::{Rank, Ranker};
use crate::domain::selection::stratum::{Membership, Selection, StratumId};
use crate::source::{ReceivedRow, SourceError};
use crate::spool::SpoolError;
use crate::spool::sealed::{SealedChunk, Spool};

/// How many conversations fewer a stratum has than the census has counted: they were delivered and
/// cannot be used, or are of another stratum, which then has one more.
pub type UnusableCandidates = BTreeMap<StratumId, i64>;

/// A conversation of the census that a round fetches.
#[derive(Debug, Clone, Copy)]
struct Expected {
    id_hash: i64,
    turns: i64,
    last: i64,
    stratum: StratumId,
    rank: Rank,
}

/// What a round must bring of a chunk.
#[derive(Debug)]
pub struct Expectation {
    expected: Vec<Expected>,
    ranks: RankRanges,
    selection: Arc<Selection>,
}

impl Expectation {
    /// Reads the censuses, of a pass, that have a part of the chunk. `None` if one of them is not
    /// there (any more).
    ///
    /// # Errors
    /// If a census cannot be read.
    pub fn read(
        spool: &Spool,
        (pass, censuses): (Pass, &[Chunk]),
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
            let chunk = census;
            let Some(sealed) = spool.sealed(ChunkPass { chunk, pass })? else {
                return Ok(None);
            };
            for_each_header(&sealed, |batch| {
                for (id, header) in batch.iter() {
                    let turns = u64::try_from(header.turn).unwrap_or(0);
                    let in_chunk = kusto_hash::modulo(header.id_hash, of.count) == of.index;
                    if in_chunk
                        && let Membership::Stratum(stratum) =
                            selection.membership(id, header.group, turns)
                        && let rank = ranker.rank(id)
                        && ranks.wants(selection, (id, header.group), turns, rank)
                    {
                        expected.push(Expected {
                            id_hash: header.id_hash,
                            turns: header.turn,
                            last: header.at,
                            stratum,
                            rank,
                        });
                    }
                }
            })?;
        }
        expected.sort_by_key(|expected| expected.id_hash);
        Ok(Some(Self {
            expected,
            ranks: ranks.clone(),
            selection: Arc::clone(&rules.selection),
        }))
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
        for expected in &self.expected {
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
                Some((_, turns)) if *turns == expected.turns => {}
                Some((_, turns)) if fetched.assembled => self.moved(expected, *turns, &mut lost),
                Some(_) => changed += 1,
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

    /// Notes that a conversation has other turns than the census has counted. It is looked at in the
    /// round only if its own stratum looks at its rank.
    fn moved(&self, expected: &Expected, turns: i64, lost: &mut UnusableCandidates) {
        *lost.entry(expected.stratum).or_default() += 1;
        let split = &self.selection.split(expected.stratum).name;
        let turns = u64::try_from(turns).unwrap_or(0);
        let is_own = |&stratum: &StratumId| {
            let [first, last] = self.selection.bucket(stratum).turns;
            self.selection.split(stratum).name == *split && (first..=last).contains(&turns)
        };
        let ranges = self.ranks.iter();
        let mut holding = ranges.filter(|(_, range)| range.holds(expected.rank));
        if let Some((stratum, _)) = holding.find(|(stratum, _)| is_own(stratum)) {
            *lost.entry(stratum).or_default() -= 1;
        }
    }

    /// Holds a sealed round of an earlier start against it; `None` if it does not fit (any more).
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn check_sealed(
        &self,
        sealed: &SealedChunk,
        rules: &RowRules,
    ) -> Result<Option<UnusableCandidates>, SpoolError> {
        if rules.schema == Some(RowShape::CopilotChat) || sealed.shape() == RowShape::CopilotChat {
            let fetched = assembled(sealed, rules)?;
            return Ok(self.check(fetched).ok());
        }
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
        if kept.len() as u64 + sealed.tally().left_out() != self.expected.len() as u64 {
            return Ok(None);
        }
        // What was delivered is not kept, only how many; that those kept are expected says the
        // rest.
        let received = self.expected.iter().map(|expected| ReceivedRow {
            id_hash: expected.id_hash,
            turns: None,
            last: None,
        });
        let fetched = Candidates {
            received: received.collect(),
            kept,
            assembled: false,
        };
        Ok(self.check(fetched).ok())
    }
}

/// The conversations of telemetry that a sealed chunk has rows of.
fn assembled(sealed: &SealedChunk, rules: &RowRules) -> Result<Candidates, SpoolError> {
    let mut index = TelemetryIndex::default();
    let mut replay = sealed.replay(0)?;
    while let Some(batch) = replay.next_batch()? {
        if let Batch::Telemetry(batch) = batch {
            for (key, row) in batch
                .iter()
                .filter(|(_, row)| !row.header.event.is_shared())
            {
                index.observe(key, row.key_hash, &row.header, &row.position);
            }
            for id in &batch.malformed {
                index.observe_malformed(id, kusto_hash::hash(id));
            }
        }
    }
    let received = (0..index.conversations()).map(|number| ReceivedRow {
        id_hash: kusto_hash::hash(index.id(number)),
        turns: None,
        last: None,
    });
    Ok(Candidates {
        received: received.collect(),
        kept: whole(&index, &rules.copilot_chat.membership),
        assembled: true,
    })
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
    use crate::domain::sampling::rank_ranges::RankRange;
    use crate::domain::selection::stratum::fixtures::selection;

    fn expectation(hashes: &[i64]) -> Expectation {
        let expected = hashes.iter().map(|&id_hash| Expected {
            id_hash,
            turns: 3,
            last: 7,
            stratum: StratumId(0),
            rank: Rank(id_hash),
        });
        Expectation {
            expected: expected.collect(),
            ranks: RankRanges::default(),
            selection: Arc::new(selection(1)),
        }
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
            assembled: false,
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

    #[test]
    fn what_is_put_together_here_may_have_other_turns_than_the_census() {
        let mut expectation = expectation(&[1, 2, 3, 4]);
        // Of the strata of one split, short looks at all ranks, medium at those up to 3.
        let up_to = |rank| RankRange {
            above: None,
            up_to: rank,
        };
        let [short, medium] = [StratumId(0), StratumId(1)];
        let ranges = [(short, up_to(None)), (medium, up_to(Some(Rank(3))))];
        expectation.ranks = ranges.into_iter().collect();
        let mut found = fetched(&[1, 2, 3, 4]);
        found.assembled = true;
        found.received.iter_mut().for_each(|row| row.last = None);
        // 1 has more turns, but is short all the same; 2 is refused; 3 and 4 are medium, and 4 is not
        // looked at there yet.
        found.kept = vec![(1, 4), (3, 6), (4, 6)];
        let lost = expectation.check(found).expect("the same conversations");
        assert_eq!(lost, UnusableCandidates::from([(short, 3), (medium, -1)]));
    }
}
