//! What is known of a record without its text: its shingles, and the signature that stands for them.

use super::SHINGLE_WORDS;
use super::templates::Templates;
use crate::words::{FACTOR, Words, mix};

/// Bins of a signature, a power of two.
pub const BINS: usize = 128;

/// The low byte of the smallest shingle hash of each bin. A shingle belongs to the bin that the top 7 bits of its hash
/// name; a bin without shingles has the byte of the first one with any, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(pub [u8; BINS]);

impl Signature {
    /// Of shingles, each as often as one likes; `None` if there are none.
    pub fn of(shingles: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut least = [u64::MAX; BINS];
        let mut filled = [false; BINS];
        for shingle in shingles {
            let bin = (shingle >> (u64::BITS - BINS.ilog2())) as usize;
            least[bin] = least[bin].min(shingle);
            filled[bin] = true;
        }
        if !filled.contains(&true) {
            return None;
        }
        let byte = |bin: usize| {
            let from = probe(bin).find(|&bin| filled[bin]).unwrap_or(bin);
            least[from] as u8
        };
        Some(Self(std::array::from_fn(|bin| match filled[bin] {
            true => least[bin] as u8,
            false => byte(bin),
        })))
    }

    /// In how many bins two signatures agree.
    pub fn equal_bins(&self, other: &Self) -> u64 {
        let equal = self.0.iter().zip(&other.0).map(|(a, b)| u8::from(a == b));
        u64::from(equal.sum::<u8>())
    }
}

/// All bins in the order in which an empty one looks for another: with `n = mix((bin + 1) * FACTOR)`, first
/// `n % 128`, then always `(n / 128 % 128) | 1` further.
fn probe(bin: usize) -> impl Iterator<Item = usize> {
    let number = mix((bin as u64 + 1).wrapping_mul(FACTOR)) as usize;
    let step = (number / BINS % BINS) | 1;
    (0..BINS).map(move |turn| (number + turn * step) % BINS)
}

/// The shingles of a record, without templates: each once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShingleSet(Vec<u64>);

impl ShingleSet {
    /// Of a record's words.
    pub fn of(words: &Words, templates: &Templates) -> Self {
        let mut shingles: Vec<u64> = (words.shingles::<SHINGLE_WORDS>())
            .filter(|&shingle| !templates.contains(shingle))
            .collect();
        shingles.sort_unstable();
        shingles.dedup();
        Self(shingles)
    }

    /// Each once, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
    }

    /// What two sets have in common.
    pub fn overlap(&self, other: &Self) -> Overlap {
        let (mut a, mut b, mut both) = (0, 0, 0);
        while let (Some(one), Some(two)) = (self.0.get(a), other.0.get(b)) {
            both += u64::from(one == two);
            a += usize::from(one <= two);
            b += usize::from(two <= one);
        }
        Overlap {
            both,
            either: (self.0.len() + other.0.len()) as u64 - both,
        }
    }
}

/// Sizes of two sets' intersection and union: their quotient is the Jaccard similarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Shingles in both.
    pub both: u64,
    /// Shingles in one or both.
    pub either: u64,
}

/// What the index knows of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// Equal for equal texts: [`Words::text_hash`].
    pub text: u128,
    /// None if the record has no shingles but templates.
    pub signature: Option<Signature>,
}

impl Sketch {
    /// Of a record's words.
    pub fn of(words: &Words, templates: &Templates) -> Self {
        let shingles = words.shingles::<SHINGLE_WORDS>();
        let signature = match templates.is_empty() {
            true => Signature::of(shingles),
            false => Signature::of(shingles.filter(|&shingle| !templates.contains(shingle))),
        };
        Self {
            text: words.text_hash(),
            signature,
        }
    }
}
