//! The bottom-k reservoir: of all conversations offered, the best-ranked few.
//!
//! Order-free: whatever the order of offers, the same candidates remain, because (rank, id) is a
//! total order. See [`crate::selection::rank`] for why that is a uniform sample.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::grouping::telemetry_index::TelemetryIndex;
use crate::record::header::Position;
use crate::selection::rank::Rank;

/// A conversation that may be sampled. Ordered by (rank, id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its rank under the seed.
    pub rank: Rank,
    /// Its id, decoded.
    pub id: Box<[u8]>,
    /// Its number of turns.
    pub turns: u64,
    /// Its rows in the order of turns; none of a conversation of Copilot Chat telemetry.
    pub rows: Box<[Position]>,
    /// Where the rows of a conversation of Copilot Chat telemetry are found.
    pub telemetry: Option<TelemetryRows>,
    /// Whether its one row was found prevalidated when it was read.
    pub prevalidated: bool,
}

impl Candidate {
    /// What the sample is ordered by.
    pub fn key(&self) -> (Rank, &[u8]) {
        (self.rank, &self.id)
    }

    /// Bytes of its rows.
    pub fn payload_bytes(&self) -> u64 {
        let rows = self.rows.iter().map(|row| u64::from(row.length));
        rows.sum::<u64>() + self.telemetry.as_ref().map_or(0, |rows| rows.bytes)
    }
}

/// The rows of a conversation of Copilot Chat telemetry: they are many, so they stay in the index.
#[derive(Debug, Clone)]
pub struct TelemetryRows {
    /// Where they are.
    pub index: Arc<TelemetryIndex>,
    /// The number of the conversation there.
    pub number: u32,
    /// Bytes of its rows, without shared ones.
    pub bytes: u64,
}

impl PartialEq for TelemetryRows {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.index, &other.index) && self.number == other.number
    }
}

impl Eq for TelemetryRows {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where an earlier round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumePoint {
    /// With this candidate.
    Candidate(Rank, Box<[u8]>),
    /// With all candidates of this rank.
    Rank(Rank),
}

impl ResumePoint {
    fn is_below(&self, candidate: &Candidate) -> bool {
        match self {
            Self::Candidate(rank, id) => candidate.key() > (*rank, id),
            Self::Rank(rank) => candidate.rank > *rank,
        }
    }
}

/// Keeps the `capacity` best-ranked candidates behind a floor.
#[derive(Debug, Default)]
pub struct Reservoir {
    /// The worst on top.
    kept: BinaryHeap<Candidate>,
    capacity: usize,
    /// Candidates up to here were looked at in an earlier round.
    floor: Option<ResumePoint>,
    offered: u64,
}

impl Reservoir {
    /// For the best `capacity` candidates.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    /// For the best `capacity` candidates behind a floor.
    pub fn behind(capacity: usize, floor: ResumePoint) -> Self {
        Self {
            capacity,
            floor: Some(floor),
            ..Self::default()
        }
    }

    /// Takes part in the choice, once per conversation.
    pub fn offer(&mut self, candidate: Candidate) {
        self.offered += 1;
        let passed = self
            .floor
            .as_ref()
            .is_some_and(|floor| !floor.is_below(&candidate));
        if passed || self.capacity == 0 {
            return;
        }
        if self.kept.len() < self.capacity {
            self.kept.push(candidate);
        } else if let Some(mut worst) = self.kept.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// Whether nothing was turned away for want of room.
    pub fn has_room(&self) -> bool {
        self.kept.len() < self.capacity
    }

    /// The most candidates that it keeps.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many were offered: the stratum's population.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        self.kept.len()
    }

    /// The candidates, best first.
    pub fn into_ranked(self) -> Vec<Candidate> {
        self.kept.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(rank: i64, id: u8) -> Candidate {
        Candidate {
            rank: Rank(rank),
            id: Box::new([id]),
            turns: 3,
            rows: Box::new([]),
            telemetry: None,
            prevalidated: false,
        }
    }

    proptest! {
        #[test]
        fn holds_the_best_whatever_the_order(
            ranks in prop::collection::vec((-5i64..5, any::<u8>()), 0..60),
            capacity in 0usize..20,
            shift in 0usize..60,
        ) {
            let mut all: Vec<_> = ranks.iter().map(|&(rank, id)| candidate(rank, id)).collect();
            let mut reservoir = Reservoir::new(capacity);
            let at = shift.min(all.len());
            all.rotate_left(at);
            all.iter().cloned().for_each(|c| reservoir.offer(c));
            prop_assert_eq!(reservoir.offered(), all.len() as u64);
            all.sort();
            all.truncate(capacity);
            prop_assert_eq!(reservoir.into_ranked(), all);
        }

        #[test]
        fn a_later_round_goes_on_where_the_first_one_ended(
            ranks in prop::collection::btree_set(-50i64..50, 0..60),
            first in 1usize..20,
            second in 0usize..20,
        ) {
            let all: Vec<_> = ranks.iter().map(|&rank| candidate(rank, 0)).collect();
            let sample = |mut reservoir: Reservoir| {
                all.iter().rev().cloned().for_each(|c| reservoir.offer(c));
                reservoir.into_ranked()
            };
            let mut seen = sample(Reservoir::new(first));
            if let Some(last) = seen.last() {
                let floor = ResumePoint::Candidate(last.rank, last.id.clone());
                seen.extend(sample(Reservoir::behind(second, floor)));
            }
            prop_assert_eq!(seen, sample(Reservoir::new(first + second)));
        }
    }

    #[test]
    fn behind_a_rank_all_of_that_rank_were_looked_at() {
        let mut reservoir = Reservoir::behind(9, ResumePoint::Rank(Rank(3)));
        for (rank, id) in [(2, 0), (3, 0), (3, u8::MAX), (4, 0), (5, 0)] {
            reservoir.offer(candidate(rank, id));
        }
        let ranks: Vec<i64> = reservoir.into_ranked().iter().map(|c| c.rank.0).collect();
        assert_eq!(ranks, [4, 5]);
    }

    #[test]
    fn a_full_reservoir_has_no_room() {
        let mut reservoir = Reservoir::new(3);
        for held in 0..3 {
            assert_eq!((reservoir.held(), reservoir.has_room()), (held, true));
            reservoir.offer(candidate(held as i64, 0));
        }
        for rank in [-1, 9] {
            reservoir.offer(candidate(rank, 0));
            assert_eq!((reservoir.held(), reservoir.has_room()), (3, false));
        }
        assert!(!Reservoir::new(0).has_room());
    }

    #[test]
    fn a_candidate_is_as_long_as_its_rows_together() {
        let row = |length| Position {
            store: 0,
            length,
            offset: 0,
            checksum: 0,
        };
        let candidate = Candidate {
            rows: [u32::MAX, 7].map(row).into(),
            ..candidate(0, 0)
        };
        assert_eq!(candidate.payload_bytes(), u64::from(u32::MAX) + 7);
    }
}
