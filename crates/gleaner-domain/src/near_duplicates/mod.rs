//! Near-duplicates: conversations whose texts say nearly the same.
//!
//! # Definition
//! Go through all valid candidates by (rank, id) over all strata. A record is taken if its stratum has room and no
//! record already taken repeats it; otherwise it is a near-duplicate of the first (by rank, id) that does. Only records
//! of the [`Scope`] are compared.
//! - Two records **repeat** each other if their normalised texts are equal ([`crate::words`]), or if they are
//!   candidates of the index and their sets of 5-word shingles have a Jaccard similarity of at least the [`Threshold`].
//! - **Template shingles**, those of more than 20 of the 2,000 best-ranked valid conversations over all strata with a
//!   target, belong to no set; with fewer than 2,000 there are none.
//! - Two empty sets are no duplicates: of texts shorter than a shingle only exact copies are.
//!
//! # The index
//! Part of the definition, as the decision rests on it; a change is a new [`NEAR_DUPLICATES_VERSION`].
//! - **Signature** ([`signature`]): one-permutation MinHash (Li, Owen and Zhang, "One permutation hashing", NIPS 2012)
//!   of 128 bins, densified as by Shrivastava, "Optimal densification for fast and accurate minwise hashing", ICML 2017.
//! - **Candidates** ([`index`]): at least one of 32 bands of 4 bins is equal, and the share of equal bins is not more
//!   than 0.25 below the threshold. What differs more is no duplicate, whatever its shingles would say.
//!
//! Every candidate is verified with its whole shingle set, so nothing is a near-duplicate by chance of a hash.

pub mod decisions;
pub mod index;
pub mod signature;
pub mod templates;

pub use signature::{Overlap, ShingleSet, Sketch};

/// Of the definition above, with all its numbers.
pub const NEAR_DUPLICATES_VERSION: u32 = 1;

/// Words in a shingle.
pub const SHINGLE_WORDS: usize = 5;

/// Which records may be near-duplicates of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of different splits.
    AcrossSplits,
    /// All.
    All,
}

impl Scope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::AcrossSplits, Self::All];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcrossSplits => "across_splits",
            Self::All => "all",
        }
    }

    /// Whether a record of one split may repeat one of another.
    pub fn compares(self, split: usize, other: usize) -> bool {
        self == Self::All || split != other
    }
}

/// The similarity from which on two records repeat each other, in millionths: what is decided is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold(u32);

const MILLION: u64 = 1_000_000;

impl Threshold {
    /// A share above 0 and up to 1, with six decimals at most; `None` for any other number.
    pub fn new(share: f64) -> Option<Self> {
        let millionths = share * MILLION as f64;
        let is_exact = (millionths - millionths.round()).abs() < 1e-6;
        let is_share = (1.0..=MILLION as f64).contains(&millionths.round());
        (is_exact && is_share).then(|| Self(millionths.round() as u32))
    }

    /// The share.
    pub fn share(self) -> f64 {
        f64::from(self.0) / MILLION as f64
    }

    /// Whether two sets are similar enough; two empty ones are not.
    pub fn is_met(self, overlap: Overlap) -> bool {
        overlap.either > 0 && overlap.both * MILLION >= u64::from(self.0) * overlap.either
    }

    /// Whether two signatures that agree in so many bins of so many are worth a look at the sets.
    fn is_near(self, equal: u64, bins: u64) -> bool {
        equal * MILLION >= u64::from(self.0.saturating_sub(250_000)) * bins
    }
}

/// `[near_duplicates]` where they are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearDuplicates {
    /// What is compared.
    pub scope: Scope,
    /// How similar records are that repeat each other.
    pub threshold: Threshold,
}

#[cfg(test)]
mod tests;
