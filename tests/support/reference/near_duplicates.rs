//! Near-duplicates by all pairs, from TRUST.md: the texts of the turns as words, sets of 5-word shingles, and which pairs
//! the index would compare at all.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use super::json::{Object, as_text};

/// `[near_duplicates]` that is not off.
#[derive(Clone, Copy)]
pub struct NearDuplicates {
    pub across_splits: bool,
    pub percent: usize,
}

impl NearDuplicates {
    /// Lines of configuration.
    pub fn settings(&self) -> [String; 2] {
        let scope = if self.across_splits {
            "across_splits"
        } else {
            "all"
        };
        [
            format!("near_duplicates.scope={scope}"),
            format!("near_duplicates.threshold={}", self.percent as f64 / 100.0),
        ]
    }
}

/// What is compared of a record.
pub struct Text {
    words: Vec<String>,
    /// Template shingles are not in it.
    shingles: BTreeSet<String>,
    signature: Option<Vec<u8>>,
}

/// The words of `userMessage` and `modelMessage` of each turn.
pub fn words(record: &str) -> Vec<String> {
    let record: Object = serde_json::from_str(record).expect("checked");
    let turns = record.get("turnsArray").expect("valid");
    let turns: Vec<Object> = serde_json::from_str(turns.get()).expect("valid");
    let mut words = Vec::new();
    for turn in turns {
        for name in ["userMessage", "modelMessage"] {
            let message = as_text(turn.get(name)).unwrap_or_default();
            for word in message.split(char::is_whitespace) {
                if !word.is_empty() {
                    words.push(word.chars().flat_map(char::to_lowercase).collect());
                }
            }
        }
    }
    words
}

pub fn shingles(words: &[String]) -> BTreeSet<String> {
    words.windows(5).map(|five| five.join(" ")).collect()
}

/// Shingles in more than 20 of the 2,000 best-ranked valid conversations; of fewer conversations none are.
pub fn templates<'a>(ranked: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut counts = BTreeMap::<String, usize>::new();
    let mut conversations = 0;
    for record in ranked.take(2000) {
        conversations += 1;
        for shingle in shingles(&words(record)) {
            *counts.entry(shingle).or_default() += 1;
        }
    }
    if conversations < 2000 {
        return BTreeSet::new();
    }
    let frequent = counts.into_iter().filter(|(_, count)| *count > 20);
    frequent.map(|(shingle, _)| shingle).collect()
}

impl Text {
    pub fn of(record: &str, templates: &BTreeSet<String>) -> Self {
        let words = words(record);
        let mut shingles = shingles(&words);
        shingles.retain(|shingle| !templates.contains(shingle));
        let signature = signature(&shingles);
        Self {
            words,
            shingles,
            signature,
        }
    }

    /// Whether two records are the same up to the threshold.
    pub fn repeats(&self, other: &Self, percent: usize) -> bool {
        if self.words == other.words {
            return true;
        }
        let both = self.shingles.intersection(&other.shingles).count();
        let either = self.shingles.union(&other.shingles).count();
        match (&self.signature, &other.signature) {
            (Some(one), Some(two)) => {
                are_compared(one, two, percent) && both * 100 >= percent * either
            }
            _ => false,
        }
    }
}

fn golden() -> u64 {
    0x9E37_79B9_7F4A_7C15
}

fn mix(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// 128 bins by the top 7 bits of a shingle's hash; of each the low byte of the least hash.
fn signature(shingles: &BTreeSet<String>) -> Option<Vec<u8>> {
    let mut least: Vec<Option<u64>> = vec![None; 128];
    for shingle in shingles {
        let words = shingle.split(' ');
        let sum = words.fold(0u64, |sum, word| {
            sum.wrapping_mul(golden())
                .wrapping_add(xxh3_64(word.as_bytes()))
        });
        let hash = mix(sum);
        let bin = &mut least[(hash >> 57) as usize];
        *bin = Some(bin.map_or(hash, |least| least.min(hash)));
    }
    if shingles.is_empty() {
        return None;
    }
    let filled = |bin: usize| match least[bin] {
        Some(hash) => hash,
        None => {
            let n = mix((bin as u64 + 1).wrapping_mul(golden()));
            let (first, step) = (n % 128, (n / 128 % 128) | 1);
            let tries = (0..128).map(|turn| ((first + turn * step) % 128) as usize);
            tries
                .filter_map(|bin| least[bin])
                .next()
                .expect("not all are empty")
        }
    };
    Some((0..128).map(|bin| (filled(bin) % 256) as u8).collect())
}

/// One of 32 bands of 4 is equal, and no more than a quarter below the threshold of the bins.
fn are_compared(one: &[u8], two: &[u8], percent: usize) -> bool {
    let equal = one.iter().zip(two).filter(|(a, b)| a == b).count();
    let band = one.chunks(4).zip(two.chunks(4)).any(|(a, b)| a == b);
    band && equal * 100 >= percent.saturating_sub(25) * 128
}
