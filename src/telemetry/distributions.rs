//! The distributions of the records of a stratum: their turns, their bytes, their tokens.

use std::collections::BTreeMap;

use serde::Serialize;

/// Records of a stratum whose tokens are counted. They are the first in rank order, and rank order
/// is a random one: a fair sample, and the same in every run. Counting means reading a record
/// again, which all of them would be too dear for.
pub const TOKENS_OF: u64 = 256;

/// A histogram: a lower edge and a count each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    /// Counts a value as it is.
    pub fn exact(&mut self, value: u64) {
        *self.0.entry(value).or_default() += 1;
    }

    /// Counts a value under the largest power of two that is not above it; 0 under 0.
    pub fn power_of_two(&mut self, value: u64) {
        self.exact(value.checked_ilog2().map_or(0, |power| 1 << power));
    }
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

/// Distributions over the records of a stratum's file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Distributions {
    /// Turns, each number by itself.
    pub turns: Histogram,
    /// Bytes of a record, by powers of two.
    pub bytes: Histogram,
    /// Tokens (prompt and completion) of the first [`TOKENS_OF`] records, by powers of two; without
    /// those that do not say.
    pub tokens: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_under_their_lower_edge() {
        let mut exact = Histogram::default();
        [3, 4, 3].into_iter().for_each(|turns| exact.exact(turns));
        assert_eq!(
            serde_json::json!(exact),
            serde_json::json!([[3, 2], [4, 1]])
        );
        let mut powers = Histogram::default();
        for value in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            powers.power_of_two(value);
        }
        let expected = [
            [0, 1],
            [1, 1],
            [2, 2],
            [4, 1],
            [512, 1],
            [1024, 1],
            [1u64 << 63, 1],
        ];
        assert_eq!(serde_json::json!(powers), serde_json::json!(expected));
    }
}
