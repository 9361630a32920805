//! Which conversations a round fetches: those of some ranks in each stratum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::selection::group::GroupMark;
use crate::selection::kusto_hash;
use crate::selection::rank::Rank;
use crate::selection::stratum::{Membership, Selection, StratumId};

/// A range of ranks. Both ends are compared with ranks alone, so that a query can: of
/// conversations with one rank either all are in it or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RankRange {
    /// Ranks above this one; `None`: from the smallest on.
    pub above: Option<Rank>,
    /// Up to this one, inclusive; `None`: to the largest.
    pub up_to: Option<Rank>,
}

impl RankRange {
    /// Whether a rank is in it.
    pub fn holds(&self, rank: Rank) -> bool {
        self.above.is_none_or(|above| rank > above) && self.up_to.is_none_or(|up_to| rank <= up_to)
    }
}

/// Of each stratum named the conversations in a range of ranks, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RankRanges {
    ranks: BTreeMap<StratumId, RankRange>,
}

impl RankRanges {
    /// The strata named, in order, each with its range.
    pub fn iter(&self) -> impl Iterator<Item = (StratumId, RankRange)> {
        self.ranks.iter().map(|(&stratum, &range)| (stratum, range))
    }

    /// The range of a stratum, if it is named.
    pub fn of(&self, stratum: StratumId) -> Option<RankRange> {
        self.ranks.get(&stratum).copied()
    }

    /// Whether a conversation is wanted if its group is that of some split.
    pub fn may_want(&self, selection: &Selection, turns: u64, rank: Rank) -> bool {
        self.iter().any(|(stratum, range)| {
            let [first, last] = selection.bucket(stratum).turns;
            (first..=last).contains(&turns) && range.holds(rank)
        })
    }

    /// Whether a conversation is wanted.
    pub fn wants(
        &self,
        selection: &Selection,
        (id, group): (&[u8], GroupMark),
        turns: u64,
        rank: Rank,
    ) -> bool {
        match selection.membership(id, group, turns) {
            Membership::Stratum(stratum) => self.of(stratum).is_some_and(|range| range.holds(rank)),
            Membership::NoTarget | Membership::OutOfRange => false,
        }
    }
}

impl FromIterator<(StratumId, RankRange)> for RankRanges {
    fn from_iter<I: IntoIterator<Item = (StratumId, RankRange)>>(ranges: I) -> Self {
        let ranks = ranges.into_iter().collect();
        Self { ranks }
    }
}

/// A count of conversations and a checksum of their ids that does not depend on order: the sum of
/// `hash(id) % 1000000007`, which a cluster computes in one aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkChecksum {
    /// The number of conversations.
    pub conversations: u64,
    /// Checksum of their ids.
    pub checksum: u64,
}

impl ChunkChecksum {
    /// A prime below 2^30, so that four billion ids cannot overflow the sum.
    pub const MODULUS: u32 = 1_000_000_007;

    /// Counts what another has counted.
    pub fn add(&mut self, other: Self) {
        self.conversations += other.conversations;
        self.checksum += other.checksum;
    }

    /// Counts a conversation by the hash of its id.
    pub fn count(&mut self, id_hash: i64) {
        self.conversations += 1;
        self.checksum += u64::from(kusto_hash::modulo(id_hash, Self::MODULUS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::stratum::fixtures::selection;
    use proptest::prelude::*;

    #[test]
    fn both_ends_are_ranks() {
        let range = RankRange {
            above: Some(Rank(-5)),
            up_to: Some(Rank(7)),
        };
        let held: Vec<i64> = (-7..=9).filter(|&rank| range.holds(Rank(rank))).collect();
        assert_eq!(held, (-4..=7).collect::<Vec<_>>());
        assert!(
            RankRange::default().holds(Rank(i64::MIN))
                && RankRange::default().holds(Rank(i64::MAX))
        );
    }

    #[test]
    fn only_the_strata_named_are_wanted() {
        let selection = selection(1);
        let stratum = selection.strata().next().expect("one");
        let turns = selection.bucket(stratum).turns[0];
        let wanted = RankRanges::from_iter([(stratum, RankRange::default())]);
        for id in ["a", "b", "World", "Hello", "x1", "x2", "x3", "x4"] {
            for group in [GroupMark::ABSENT, GroupMark::of_residue(99)] {
                let of = (id.as_bytes(), group);
                let is = selection.membership(of.0, of.1, turns) == Membership::Stratum(stratum);
                assert_eq!(wanted.wants(&selection, of, turns, Rank(0)), is);
                assert!(!wanted.wants(&selection, of, 1_000, Rank(0)));
            }
        }
    }

    #[test]
    fn ranges_are_pinned_as_earlier_releases_did() {
        let range = RankRange {
            above: None,
            up_to: Some(Rank(7)),
        };
        let pinned = serde_json::to_value(RankRanges::from_iter([(StratumId(3), range)]));
        let expected = serde_json::json!({"ranks": {"3": {"above": null, "up_to": 7}}});
        assert_eq!(pinned.expect("JSON"), expected);
    }

    proptest! {
        #[test]
        fn a_checksum_does_not_depend_on_order(mut hashes in prop::collection::vec(any::<i64>(), 0..50)) {
            let sum = |hashes: &[i64]| {
                let mut chunk_checksum = ChunkChecksum::default();
                hashes.iter().for_each(|&hash| chunk_checksum.count(hash));
                chunk_checksum
            };
            let before = sum(&hashes);
            hashes.reverse();
            prop_assert_eq!(sum(&hashes), before);
            if let Some(lost) = hashes.pop() {
                prop_assert_ne!(sum(&hashes), before);
                hashes.extend([lost, lost]);
                prop_assert_ne!(sum(&hashes), before);
            }
        }
    }

    #[test]
    fn a_checksum_is_a_count_and_a_sum_of_remainders() {
        let mut chunk_checksum = ChunkChecksum::default();
        for hash in [-1, 5, i64::from(ChunkChecksum::MODULUS) + 7] {
            chunk_checksum.count(hash);
        }
        let expected = ChunkChecksum {
            conversations: 3,
            checksum: 1_000_000_006 + 5 + 7,
        };
        assert_eq!(chunk_checksum, expected);
        chunk_checksum.add(ChunkChecksum {
            conversations: 4,
            checksum: 9,
        });
        let both = (chunk_checksum.conversations, chunk_checksum.checksum);
        assert_eq!(both, (3 + 4, expected.checksum + 9));
    }
}
