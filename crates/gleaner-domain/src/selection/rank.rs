//! Ranks: the one number that decides who is sampled, and where in its file it stands.
//!
//! `rank(id) = hash(strcat(seed, "/", id))`. Smaller is better, ties go to the smaller id in bytes.
//! A rank depends on nothing but the seed and the id, so the sample of a stratum (its best-ranked
//! valid conversations) is uniform, independent of arrival order, mergeable, and nested: a smaller
//! target is a subset. Bottom-k sampling: Cohen and Kaplan, "Summarizing data using bottom-k
//! sketches", PODC 2007.

use serde::{Deserialize, Serialize};

use super::kusto_hash;

/// The rank of a conversation under one seed. Ordered by the signed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank(pub i64);

/// Computes ranks under one seed.
#[derive(Debug, Clone)]
pub struct Ranker {
    /// `seed/`, with ids appended and removed again: one allocation for all ranks.
    buffer: Vec<u8>,
    prefix: usize,
}

impl Ranker {
    /// A ranker for the seed of the selection.
    pub fn new(seed: &str) -> Self {
        let mut buffer = seed.as_bytes().to_vec();
        buffer.push(b'/');
        Self {
            prefix: buffer.len(),
            buffer,
        }
    }

    /// `hash(strcat(seed, "/", id))`.
    pub fn rank(&mut self, id: &[u8]) -> Rank {
        self.buffer.truncate(self.prefix);
        self.buffer.extend_from_slice(id);
        Rank(kusto_hash::hash(&self.buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_the_hash_of_seed_slash_id() {
        let mut ranker = Ranker::new("s1");
        assert_eq!(ranker.rank(b"abc").0, kusto_hash::hash(b"s1/abc"));
        assert_eq!(ranker.rank(b"").0, kusto_hash::hash(b"s1/"));
        assert_eq!(
            ranker.rank(b"abc").0,
            kusto_hash::hash(b"s1/abc"),
            "no state between calls"
        );
    }
}
