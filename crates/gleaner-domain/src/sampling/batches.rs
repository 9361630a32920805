//! Batches of candidates: how large each is, and how many of a file are out at once.

use super::reservoir::Candidate;

/// Payload in a batch: a few dozen records of usual size, so that a message costs nothing, and
/// few enough that a file can end without much work for nothing.
pub const BATCH_BYTES: u64 = 256 * 1024;

/// Candidates in batches of about [`BATCH_BYTES`], at least one in each.
#[derive(Debug)]
pub struct Batches(std::iter::Peekable<std::vec::IntoIter<Candidate>>);

impl Batches {
    /// The batches of these candidates, in their order.
    pub fn new(candidates: Vec<Candidate>) -> Self {
        Self(candidates.into_iter().peekable())
    }
}

impl Iterator for Batches {
    type Item = Vec<Candidate>;

    fn next(&mut self) -> Option<Vec<Candidate>> {
        let first = self.0.next()?;
        let mut bytes = first.payload_bytes();
        let mut batch = vec![first];
        while let Some(next) = self
            .0
            .next_if(|next| bytes + next.payload_bytes() <= BATCH_BYTES)
        {
            bytes += next.payload_bytes();
            batch.push(next);
        }
        Some(batch)
    }
}

/// How many batches of a file with so many turns may be out for validation at once, if the largest
/// file has `most`: two for each validator keep them busy, also if other files turn out to have
/// fewer candidates than they want; larger files have more in proportion.
pub fn batches_ahead(validators: usize, turns: u64, most: u64) -> usize {
    let share = (turns as f64 / most.max(1) as f64).min(1.0);
    2 * validators + (validators as f64 * 4.0 * share) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::header::Position;
    use crate::selection::rank::Rank;

    fn candidate(length: u64) -> Candidate {
        let row = Position {
            store: 0,
            length: length as u32,
            offset: 0,
            checksum: 0,
        };
        Candidate {
            rank: Rank(0),
            id: Box::default(),
            turns: 1,
            rows: [row].into(),
            telemetry: None,
            prevalidated: false,
        }
    }

    #[test]
    fn a_batch_is_as_full_as_can_be_and_never_empty() {
        let lengths = [BATCH_BYTES - 1, 1, 1, 3 * BATCH_BYTES, 2];
        let batches = Batches::new(lengths.map(candidate).into());
        let lengths: Vec<Vec<u64>> = batches
            .map(|batch| batch.iter().map(Candidate::payload_bytes).collect())
            .collect();
        let [large, larger] = [BATCH_BYTES - 1, 3 * BATCH_BYTES];
        assert_eq!(lengths, [vec![large, 1], vec![1], vec![larger], vec![2]]);
        assert_eq!(Batches::new(Vec::new()).next(), None);
    }

    #[test]
    fn the_largest_file_has_most_batches_ahead_and_all_have_enough() {
        let of_two = |turns| batches_ahead(2, turns, 1000);
        assert_eq!([1000, 500, 499, 1, 0].map(of_two), [12, 8, 7, 4, 4]);
        assert_eq!(batches_ahead(1, 7, 0), 6, "nothing is larger");
    }
}
