//! The records that were taken, found again by their signatures.
//!
//! Memory: about 0.5 KB a record ([`Index::bytes`]), whatever its length: 128 bytes of its signature, 16 of its
//! text's hash, and its number in 32 hash tables. Shingles are not kept.

use hashbrown::HashTable;

use super::signature::{BINS, Signature, Sketch};
use super::{Scope, Threshold};
use crate::words::{FACTOR, mix};

/// Bins in a band.
const ROWS: usize = 4;

/// Bands of a signature.
pub const BANDS: usize = BINS / ROWS;

/// Records that were taken, numbered in the order in which they were: by (rank, id).
#[derive(Debug)]
pub struct Index {
    scope: Scope,
    threshold: Threshold,
    /// Of each record: its split, its text's hash, its signature.
    splits: Vec<u16>,
    texts: Vec<u128>,
    signatures: Vec<Option<Signature>>,
    by_text: HashTable<u32>,
    bands: Vec<HashTable<u32>>,
}

/// The records that another one may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Similar {
    /// To be verified, in their order.
    pub maybe: Vec<u32>,
    /// It has the same text; those above have smaller numbers.
    pub same: Option<u32>,
}

impl Index {
    /// No record.
    pub fn new(scope: Scope, threshold: Threshold) -> Self {
        Self {
            scope,
            threshold,
            splits: Vec::new(),
            texts: Vec::new(),
            signatures: Vec::new(),
            by_text: HashTable::new(),
            bands: vec![HashTable::new(); BANDS],
        }
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.splits.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.splits.is_empty()
    }

    /// Those that a record of a split may repeat.
    pub fn similar(&self, split: usize, sketch: &Sketch) -> Similar {
        let of_scope = |number: &&u32| {
            let other = usize::from(self.splits[**number as usize]);
            self.scope.compares(split, other)
        };
        let same = self
            .by_text
            .iter_hash(text_key(sketch.text))
            .filter(of_scope);
        let same = same
            .filter(|number| self.texts[**number as usize] == sketch.text)
            .min()
            .copied();
        let mut maybe = Vec::new();
        if let Some(signature) = &sketch.signature {
            for (band, table) in self.bands.iter().enumerate() {
                let found = table.iter_hash(band_key(signature, band)).filter(of_scope);
                maybe.extend(found.filter(|number| {
                    let other = self.signatures[**number as usize].as_ref();
                    same.is_none_or(|same| **number < same)
                        && other.is_some_and(|other| self.is_candidate(signature, other, band))
                }));
            }
        }
        maybe.sort_unstable();
        maybe.dedup();
        Similar { maybe, same }
    }

    /// Whether two signatures agree in a band, and in enough bins to be looked at.
    fn is_candidate(&self, one: &Signature, two: &Signature, band: usize) -> bool {
        rows(one, band) == rows(two, band)
            && self.threshold.is_near(one.equal_bins(two), BINS as u64)
    }

    /// Adds a record of a split, which was taken.
    pub fn insert(&mut self, split: usize, sketch: Sketch) -> u32 {
        let number = self.splits.len() as u32;
        self.splits.push(split as u16);
        self.texts.push(sketch.text);
        let texts = &self.texts;
        (self.by_text).insert_unique(text_key(sketch.text), number, |&number| {
            text_key(texts[number as usize])
        });
        self.signatures.push(sketch.signature);
        let Some(Some(signature)) = self.signatures.last() else {
            return number;
        };
        for (band, table) in self.bands.iter_mut().enumerate() {
            let signatures = &self.signatures;
            table.insert_unique(band_key(signature, band), number, |&number| {
                let signature = signatures[number as usize].as_ref();
                signature.map_or(0, |signature| band_key(signature, band))
            });
        }
        number
    }

    /// Bytes of memory, as far as it is for the records.
    pub fn bytes(&self) -> usize {
        let tables = self.bands.iter().chain([&self.by_text]);
        // A control byte for each slot.
        let slots: usize = tables
            .map(|table| table.capacity().next_power_of_two() * 5)
            .sum();
        slots
            + self.splits.capacity() * size_of::<u16>()
            + self.texts.capacity() * size_of::<u128>()
            + self.signatures.capacity() * size_of::<Option<Signature>>()
    }
}

fn text_key(text: u128) -> u64 {
    text as u64
}

fn rows(signature: &Signature, band: usize) -> &[u8] {
    &signature.0[band * ROWS..(band + 1) * ROWS]
}

fn band_key(signature: &Signature, band: usize) -> u64 {
    let number = rows(signature, band)
        .iter()
        .fold(0, |number, &row| number << 8 | u64::from(row));
    mix(number.wrapping_mul(FACTOR))
}
