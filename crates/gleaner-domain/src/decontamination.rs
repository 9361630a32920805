//! Decontamination: conversations that repeat texts of benchmarks.
//!
//! A record is contaminated if 13 words that follow each other in its text, as [`crate::words`] reads it, follow each
//! other in a text of a benchmark (13-gram overlap, as in Brown et al., "Language Models are Few-Shot Learners", NeurIPS
//! 2020, appendix C). Numbers and signs are words as others are. Texts of a benchmark with fewer words repeat nothing,
//! and are counted.
//!
//! Runs of words are compared by their 64-bit hashes: among 10 million records of 1,000 words and a million runs of
//! benchmarks, one record is taken for contaminated by chance once in 2,000 datasets.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::debug_lengths;
use crate::words::Words;

/// Of the definition above; it is the version in metadata and fingerprints.
pub const DECONTAMINATION_VERSION: u32 = 1;

/// Words that follow each other.
pub const RUN: usize = 13;

/// `decontamination` in `metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecontaminationRecord {
    /// [`DECONTAMINATION_VERSION`]
    pub version: u32,
    /// [`RUN`]
    pub words: u32,
    /// Each in the order of the configuration.
    pub benchmarks: Vec<BenchmarkRecord>,
}

/// A benchmark, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchmarkRecord {
    /// Its name in reports.
    pub name: String,
    /// The field of its texts.
    pub field: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Rows of its file.
    #[serde(default)]
    pub rows: u64,
    /// Texts that its rows have in the field: one, none or several each.
    pub texts: u64,
    /// Those with fewer than [`RUN`] words, which nothing can repeat.
    pub short_texts: u64,
    /// Records that were left out because they repeat it, among others perhaps.
    pub contaminated: u64,
}

/// The runs of words of benchmarks: 16 to 32 bytes of memory each.
#[derive(Default)]
pub struct Benchmarks {
    /// By the run's hash; a run of several benchmarks is there for each.
    runs: HashTable<(u64, u16)>,
    counts: Vec<TextCounts>,
    words: Words,
}

debug_lengths!(Benchmarks { counts } lengths { runs });

/// The texts of a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextCounts {
    /// All.
    pub texts: u64,
    /// Those with fewer than [`RUN`] words.
    pub short: u64,
}

impl Benchmarks {
    /// Begins the next benchmark; its number, from 0 on.
    pub fn begin(&mut self) -> u16 {
        self.counts.push(TextCounts::default());
        (self.counts.len() - 1) as u16
    }

    /// Adds a text to the benchmark that was begun last.
    pub fn add(&mut self, text: &str) {
        let benchmark = self.counts.len().saturating_sub(1) as u16;
        let Some(counts) = self.counts.last_mut() else {
            return;
        };
        self.words.clear();
        self.words.push(text);
        counts.texts += 1;
        let mut is_short = true;
        for run in self.words.shingles::<RUN>() {
            is_short = false;
            let one = (run, benchmark);
            (self.runs)
                .entry(run, |other| *other == one, |(run, _)| *run)
                .or_insert(one);
        }
        counts.short += u64::from(is_short);
    }

    /// What was read of each, in the order of [`Self::begin`].
    pub fn counts(&self) -> &[TextCounts] {
        &self.counts
    }

    /// The benchmarks that a text repeats, each once, in their order.
    pub fn repeated(&self, words: &Words) -> Vec<u16> {
        let mut found = Vec::new();
        for run in words.shingles::<RUN>() {
            for (other, benchmark) in self.runs.iter_hash(run) {
                if *other == run && !found.contains(benchmark) {
                    found.push(*benchmark);
                }
            }
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn benchmarks(texts: &[&[&str]]) -> Benchmarks {
        let mut all = Benchmarks::default();
        for (number, texts) in texts.iter().enumerate() {
            assert_eq!(usize::from(all.begin()), number);
            texts.iter().for_each(|text| all.add(text));
        }
        all
    }

    fn repeated(all: &Benchmarks, text: &str) -> Vec<u16> {
        let mut words = Words::new();
        words.push(text);
        all.repeated(&words)
    }

    fn numbers(range: std::ops::Range<u32>) -> String {
        let words: Vec<_> = range.map(|n| format!("Word{n}")).collect();
        words.join(" ")
    }

    #[test]
    fn thirteen_words_are_a_repetition_and_twelve_are_not() {
        let all = benchmarks(&[&[&numbers(0..20)]]);
        assert_eq!(repeated(&all, &numbers(7..20)), [0]);
        assert_eq!(
            repeated(&all, &format!("a\n{} b", numbers(0..13).to_uppercase())),
            [0]
        );
        assert_eq!(repeated(&all, &format!("{} b", numbers(8..20))), [0u16; 0]);
        // A sum with other numbers is another text.
        assert_eq!(
            repeated(&all, &numbers(0..13).replace("Word6 ", "Word7 ")),
            [0u16; 0]
        );
    }

    #[test]
    fn a_text_ends_before_the_next_and_every_benchmark_is_named_once() {
        let (first, second) = (numbers(0..13), numbers(13..26));
        let all = benchmarks(&[&[&first, &second], &[], &[&second, &second]]);
        assert_eq!(
            repeated(&all, &numbers(5..20)),
            [0u16; 0],
            "texts do not run on"
        );
        assert_eq!(repeated(&all, &numbers(0..26)), [0, 2]);
        assert_eq!(repeated(&all, &format!("{first} x {first}")), [0]);
    }

    #[test]
    fn short_texts_are_counted_and_repeat_nothing() {
        let all = benchmarks(&[&[&numbers(0..12), "", &numbers(0..13)]]);
        assert_eq!(all.counts(), [TextCounts { texts: 3, short: 2 }]);
        assert_eq!(repeated(&all, &format!("{} x", numbers(0..12))), [0u16; 0]);
    }
}
