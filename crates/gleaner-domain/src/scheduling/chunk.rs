//! Chunks: the unit of lease, retry and seal, and their algebra.
//!
//! A **hash chunk** `(n, i)` holds the conversations with `hash(id) % n == i`. The chunks
//! `(n, 0) .. (n, n-1)` are disjoint and cover every id; `(n, i)` is exactly
//! `(2n, i)` and `(2n, i + n)` together, because `h % 2n` is `h % n` or `h % n + n`.
//! A **piece** is a part of a file: a byte range, a range of row groups, or the whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::selection::kusto_hash;

/// How often a hash chunk may be split in two.
pub const MAX_SPLIT_DEPTH: u32 = 6;

/// `hash(id) % count == index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HashChunk {
    /// The modulus.
    pub count: u32,
    /// The residue, below `count`.
    pub index: u32,
    /// How many splits led here from the configured count.
    pub depth: u32,
}

impl HashChunk {
    /// The `count` chunks of a fresh run.
    pub fn cover(count: u32) -> impl Iterator<Item = Self> {
        (0..count).map(move |index| Self {
            count,
            index,
            depth: 0,
        })
    }

    /// So many chunks or a few more, whose number has no divisor in common with 100: a split is chosen by what a hash
    /// leaves divided by 100, and only then has each chunk conversations of all residues.
    pub fn count_apart_from_splits(at_least: u32) -> u32 {
        let fits = |count: &u32| !count.is_multiple_of(2) && !count.is_multiple_of(5);
        (at_least..).find(fits).unwrap_or(1)
    }

    /// Whether a conversation belongs to this chunk.
    pub fn holds(&self, id: &[u8]) -> bool {
        kusto_hash::modulo(kusto_hash::hash(id), self.count) == self.index
    }

    /// Whether another chunk of the same cover came of this one by splitting.
    pub fn is_ancestor_of(&self, other: &Self) -> bool {
        other.count > self.count
            && other.count.is_multiple_of(self.count)
            && other.index % self.count == self.index
    }

    /// What an earlier start of a run has made of this chunk: itself, or the parts that it was
    /// split into, if any of them is sealed.
    pub fn leaves(self, sealed: &[Self]) -> Vec<Self> {
        match self.was_split(sealed) {
            Some(halves) => halves
                .into_iter()
                .flat_map(|half| half.leaves(sealed))
                .collect(),
            None => vec![self],
        }
    }

    /// The splits that lead from this chunk to its [`leaves`](Self::leaves).
    pub fn splits(self, sealed: &[Self]) -> Vec<(Self, [Self; 2])> {
        let Some(halves) = self.was_split(sealed) else {
            return Vec::new();
        };
        let inner = halves.into_iter().flat_map(|half| half.splits(sealed));
        [(self, halves)].into_iter().chain(inner).collect()
    }

    /// The two halves, if parts of this chunk are sealed and it is not itself.
    fn was_split(&self, sealed: &[Self]) -> Option<[Self; 2]> {
        let was_split = !sealed.contains(self) && sealed.iter().any(|s| self.is_ancestor_of(s));
        self.split().filter(|_| was_split)
    }

    /// The two halves, `None` at the greatest depth.
    pub fn split(&self) -> Option<[Self; 2]> {
        let count = self.count.checked_mul(2)?;
        (self.depth < MAX_SPLIT_DEPTH).then(|| {
            [self.index, self.index + self.count].map(|index| Self {
                count,
                index,
                depth: self.depth + 1,
            })
        })
    }
}

/// The chunks that share conversations with one: of two hash chunks that come of one cover by
/// splitting, the greater modulus is a multiple of the smaller.
pub fn overlapping(chunks: &[Chunk], of: HashChunk) -> impl Iterator<Item = &Chunk> {
    chunks.iter().filter(move |chunk| match chunk {
        Chunk::Hash(chunk) => {
            let modulus = chunk.count.min(of.count);
            chunk.index % modulus == of.index % modulus
        }
        Chunk::Piece(_) => false,
    })
}

/// A part of an input file; what `start` and `end` count depends on the file's format: bytes of a
/// plain file, row groups of a Parquet file. A compressed file is one piece, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Piece {
    /// Index into the list of inputs, which is sorted by path.
    pub file: u32,
    /// First unit.
    pub start: u64,
    /// One past the last unit.
    pub end: u64,
}

/// A chunk of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunk {
    /// From a source that is cut by the hash of the id.
    Hash(HashChunk),
    /// From files.
    Piece(Piece),
}

impl fmt::Display for Chunk {
    /// Stable, and fit for a file name: `h40-7`, `f0-0-1048576`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash(c) => write!(f, "h{}-{}", c.count, c.index),
            Self::Piece(p) => write!(f, "f{}-{}-{}", p.file, p.start, p.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_is_in_exactly_one_chunk(id in ".{0,40}", count in 1u32..200) {
            let holders = HashChunk::cover(count).filter(|c| c.holds(id.as_bytes())).count();
            prop_assert_eq!(holders, 1);
        }

        #[test]
        fn the_halves_hold_what_the_whole_holds(id in ".{0,40}", count in 1u32..200, depth in 0u32..MAX_SPLIT_DEPTH) {
            for whole in HashChunk::cover(count) {
                let whole = HashChunk { depth, ..whole };
                let halves = whole.split().expect("above the greatest depth");
                let held = halves.iter().filter(|h| h.holds(id.as_bytes())).count();
                prop_assert_eq!(held, usize::from(whole.holds(id.as_bytes())));
            }
        }
    }

    #[test]
    fn halves_overlap_their_whole_and_not_each_other() {
        let whole = HashChunk {
            count: 40,
            index: 7,
            depth: 0,
        };
        let halves = whole.split().expect("not too deep").map(Chunk::Hash);
        assert_eq!(overlapping(&halves, whole).count(), 2);
        for half in halves {
            let Chunk::Hash(half) = half else { continue };
            assert_eq!(overlapping(&[Chunk::Hash(whole)], half).count(), 1);
            assert_eq!(overlapping(&halves, half).count(), 1);
        }
    }

    #[test]
    fn what_was_split_is_found_again() {
        let whole = HashChunk::cover(4).nth(1).expect("four");
        let [left, right] = whole.split().expect("not too deep");
        let [inner, outer] = right.split().expect("not too deep");
        assert_eq!(whole.leaves(&[]), [whole]);
        assert_eq!(whole.leaves(&[whole, inner]), [whole], "whole after all");
        assert_eq!(whole.leaves(&[left]), [left, right]);
        assert_eq!(whole.leaves(&[outer]), [left, inner, outer]);
        assert_eq!(whole.splits(&[]), []);
        assert_eq!(whole.splits(&[left]), [(whole, [left, right])]);
        let both = [(whole, [left, right]), (right, [inner, outer])];
        assert_eq!(whole.splits(&[outer]), both);
        let other = HashChunk::cover(4).nth(2).expect("four");
        assert_eq!(other.leaves(&[left, outer]), [other]);
    }

    #[test]
    fn splitting_ends_at_the_greatest_depth() {
        let mut chunk = HashChunk {
            count: 40,
            index: 7,
            depth: 0,
        };
        for _ in 0..MAX_SPLIT_DEPTH {
            chunk = chunk.split().expect("not yet at the end")[1];
        }
        assert_eq!(chunk.count, 40 << MAX_SPLIT_DEPTH);
        assert_eq!(chunk.split(), None);
    }

    #[test]
    fn a_chunk_has_a_name_that_is_fit_for_a_file() {
        let hash = HashChunk {
            count: 40,
            index: 7,
            depth: 2,
        };
        assert_eq!(Chunk::Hash(hash).to_string(), "h40-7");
        let piece = Piece {
            file: 3,
            start: 0,
            end: 1 << 20,
        };
        assert_eq!(Chunk::Piece(piece).to_string(), "f3-0-1048576");
    }

    #[test]
    fn a_chunk_is_above_its_parts_and_nothing_else() {
        let whole = HashChunk::cover(4).nth(1).expect("four");
        let [left, right] = whole.split().expect("not too deep");
        let [inner, outer] = right.split().expect("not too deep");
        for part in [left, right, inner, outer] {
            assert!(whole.is_ancestor_of(&part) && !part.is_ancestor_of(&whole));
        }
        assert!(right.is_ancestor_of(&outer) && !left.is_ancestor_of(&outer));
        assert!(!whole.is_ancestor_of(&whole) && !left.is_ancestor_of(&right));
    }
}
