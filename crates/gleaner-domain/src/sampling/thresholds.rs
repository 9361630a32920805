//! Up to which ranks a census delivers conversations, so that the candidates that a run wants are among them.
//!
//! Ranks are hashes: a share q of all ranks, from the smallest on, holds a share q of any conversations. The share is
//! computed from what a part of the conversations, chosen by something that has nothing to do with ranks, was found to
//! hold. Should it be short, a wider census follows; the sample does not depend on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rank_ranges::{RankRange, RankRanges};
use crate::selection::rank::Rank;
use crate::selection::stratum::{Membership, Selection, StratumId};

/// How many standard deviations are added to what is expected, and taken from what was found: the chance that a
/// threshold is short is far below one in a million.
const SIGMAS: f64 = 6.0;

/// All ranks.
const RANKS: f64 = 18_446_744_073_709_551_616.0;

/// Part of a population, by stratum, as its survey found it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PopulationSample {
    /// Which share of all conversations was looked at, above 0 and up to 1.
    pub share: f64,
    /// How many of each stratum there were.
    pub strata: BTreeMap<StratumId, u64>,
}

impl PopulationSample {
    /// The ranks that a census delivers for a stratum that wants so many candidates. All of them, if it has no more
    /// than that, or none was found.
    pub fn range(&self, stratum: StratumId, candidates: u64) -> RankRange {
        let found = self.strata.get(&stratum).copied().unwrap_or(0);
        RankRange {
            above: None,
            up_to: last_rank(share_for(candidates, found, self.share)),
        }
    }
}

/// How many of a stratum's conversations a census delivers, about, if its ranks are decided by one of so many chunks.
pub fn expected_rows(candidates: u64, population: u64, chunks: u32) -> u64 {
    let in_chunk = population / u64::from(chunks.max(1));
    (share_by_chunk(candidates, in_chunk, chunks) * population as f64) as u64
}

/// How many of a stratum's conversations in one of so many chunks are kept, the best ranks first, so that those which the
/// survey of all chunks will ask for ([`PopulationSample::range`] of a share of 1) are among them. All, if it has no more.
pub fn best_of_chunk(candidates: u64, in_chunk: u64, chunks: u32) -> u64 {
    let expected = share_by_chunk(candidates, in_chunk, chunks) * in_chunk as f64;
    in_chunk.min(most_of(expected).ceil() as u64)
}

/// The share of the ranks that holds so many conversations, if one of so many chunks has so many.
fn share_by_chunk(candidates: u64, in_chunk: u64, chunks: u32) -> f64 {
    share_for(candidates, in_chunk, 1.0 / f64::from(chunks.max(1))).min(1.0)
}

/// What a Poisson distribution that expects so many gives at most.
fn most_of(expected: f64) -> f64 {
    let half = SIGMAS / 2.0;
    ((expected + half * half).sqrt() + half).powi(2)
}

/// A stratum of which a census has delivered fewer candidates than a round wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Conversations that it has delivered.
    pub found: u64,
    /// How many it should have.
    pub needed: u64,
}

/// The ranks of a census that is wide enough for the strata that are short, and as wide as the last one for others.
/// Each that is short at least doubles.
pub fn widened(ranks: &RankRanges, short: &BTreeMap<StratumId, Shortage>) -> RankRanges {
    let wider = |(stratum, range): (StratumId, RankRange)| {
        let Some((shortage, up_to)) = short.get(&stratum).zip(range.up_to) else {
            return (stratum, range);
        };
        let share = share_up_to(up_to);
        // None at all says as little as one.
        let share = share_for(shortage.needed, shortage.found.max(1), share).max(2.0 * share);
        let up_to = last_rank(share);
        (stratum, RankRange { up_to, ..range })
    };
    ranks.iter().map(wider).collect()
}

/// The share of the ranks that holds so many conversations, if so many were found in a share of them all.
fn share_for(candidates: u64, found: u64, share: f64) -> f64 {
    // What a Poisson distribution must expect to be `candidates` at least: x - s sqrt(x) = candidates. And what it may
    // have expected at least where `found` came: y + s sqrt(y) = found.
    let half = SIGMAS / 2.0;
    let least = ((found as f64 + half * half).sqrt() - half).powi(2);
    most_of(candidates as f64) / least * share
}

/// The last rank of a share of all ranks; `None`: all.
fn last_rank(share: f64) -> Option<Rank> {
    // Infinite, if nothing was found.
    (share < 1.0).then(|| {
        let width = (share * RANKS) as u64;
        Rank((width ^ (1 << 63)) as i64)
    })
}

/// The share of the ranks up to one, inclusive.
fn share_up_to(rank: Rank) -> f64 {
    ((rank.0 as u64 ^ (1 << 63)) as f64 + 1.0) / RANKS
}

/// Conversations of one number of turns, or of one bucket, and one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndeliveredCount {
    /// What the hash of their ids, or of what decides their split instead, leaves divided by 100.
    pub residue: u32,
    /// The number of turns of one of them: all of them have one of the same bucket, or of none.
    pub turns: u64,
    /// How many they are.
    pub conversations: u64,
}

/// Conversations that a census has counted and not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Undelivered {
    /// By stratum.
    pub strata: BTreeMap<StratumId, u64>,
    /// In a split and bucket that nobody asked for.
    pub no_target: u64,
    /// In no bucket.
    pub out_of_range: u64,
}

impl Undelivered {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All of them.
    pub fn conversations(&self) -> u64 {
        self.strata.values().sum::<u64>() + self.no_target + self.out_of_range
    }

    /// Adds some.
    pub fn add(&mut self, selection: &Selection, counted: UndeliveredCount) {
        let count = match selection.membership_of_residue(counted.residue, counted.turns) {
            Membership::Stratum(stratum) => self.strata.entry(stratum).or_default(),
            Membership::NoTarget => &mut self.no_target,
            Membership::OutOfRange => &mut self.out_of_range,
        };
        *count += counted.conversations;
    }
}

#[cfg(test)]
mod tests;
