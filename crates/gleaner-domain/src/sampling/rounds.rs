//! The rounds of a stratum: which candidates each looks at, and where the next one goes on.
//!
//! A round collects the best-ranked candidates and then looks at them. When too many cannot be used,
//! another round collects those behind the last one. After a census a round looks at a range of
//! ranks, which is fetched for it.

use super::rank_ranges::RankRange;
use super::reservoir::{Candidate, Reservoir, ResumePoint};
use super::thresholds::Shortage;
use crate::selection::rank::Rank;

/// So many rounds go through a population, of whose conversations nearly none is usable.
const FULL_ROUNDS: u64 = 8;

/// The candidates of a stratum, round by round.
#[derive(Debug)]
pub struct StratumRounds {
    reservoir: Reservoir,
    /// Conversations of the stratum, from the first round.
    population: Option<u64>,
    /// Up to where candidates were looked at.
    resume_point: Option<ResumePoint>,
    /// After a census: what this round fetches.
    range: Option<RankRange>,
    /// How many were looked at.
    seen: u64,
}

/// How far a census went in a stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CensusReach {
    /// The last rank of which it has delivered conversations; `None`: all ranks.
    pub up_to: Option<Rank>,
    /// Conversations that it has only counted.
    pub undelivered: u64,
}

/// What a round needs after a census.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CensusOutcome {
    /// The payloads of these ranks.
    Range(RankRange),
    /// A census of more ranks: this one has too few behind those that were looked at.
    Short(Shortage),
}

/// What a round looks at.
#[derive(Debug)]
pub struct Round {
    /// In rank order.
    pub candidates: Vec<Candidate>,
    /// Conversations of the stratum.
    pub population: u64,
    /// Whether no other candidate is left.
    pub is_last: bool,
}

impl StratumRounds {
    /// Before the first round, which collects so many candidates at most.
    pub fn new(candidates: u64) -> Self {
        Self {
            reservoir: Reservoir::new(capacity(candidates)),
            population: None,
            resume_point: None,
            range: None,
            seen: 0,
        }
    }

    /// Offers a candidate, once a round. After a census one behind the range is turned away: it is of
    /// another stratum by the census, and of those before it not all are there yet.
    pub fn offer(&mut self, candidate: Candidate) {
        let range = self.range.unwrap_or_default();
        if range.up_to.is_none_or(|up_to| candidate.rank <= up_to) {
            self.reservoir.offer(candidate);
        }
    }

    /// Conversations of the stratum, as far as they are known.
    pub fn population(&self) -> u64 {
        self.population.unwrap_or(self.reservoir.offered())
    }

    /// Candidates that the round has collected.
    pub fn held(&self) -> usize {
        self.reservoir.held()
    }

    /// All that a census has delivered was offered: the ranks that the round needs the payloads of. Should they not be
    /// known yet, or others need a wider census, everything is offered again.
    pub fn finish_census(&mut self, reach: CensusReach) -> CensusOutcome {
        let next = self.next_reservoir(self.reservoir.capacity());
        let census = std::mem::replace(&mut self.reservoir, next);
        let found = census.offered();
        self.population.get_or_insert(found + reach.undelivered);
        let has_all = census.has_room();
        if has_all && reach.up_to.is_some() {
            let looked_at = found - census.held() as u64;
            let needed = looked_at.saturating_add(census.capacity() as u64);
            return CensusOutcome::Short(Shortage { found, needed });
        }
        let last = census.into_ranked().last().map(|last| last.rank);
        let above = match self.resume_point {
            Some(ResumePoint::Rank(rank)) => Some(rank),
            _ => None,
        };
        CensusOutcome::Range(RankRange {
            above,
            up_to: last.filter(|_| !has_all),
        })
    }

    /// These ranks are fetched for the round, whatever it needed: nothing of them is turned away.
    pub fn set_range(&mut self, range: RankRange) {
        self.reservoir = self.next_reservoir(usize::MAX);
        self.range = Some(range);
    }

    /// All candidates were offered: those to look at.
    pub fn finish(&mut self) -> Round {
        let (reservoir, range) = (std::mem::take(&mut self.reservoir), self.range.take());
        let population = *self.population.get_or_insert(reservoir.offered());
        let candidates = reservoir.into_ranked();
        self.seen += candidates.len() as u64;
        if let Some(last) = candidates.last() {
            self.resume_point = Some(ResumePoint::Candidate(last.rank, last.id.clone()));
        }
        let is_last = match range {
            None => self.seen >= population,
            // All of the range were looked at, also those that could not be used.
            Some(range) => {
                let end = range.up_to.map(ResumePoint::Rank);
                self.resume_point = end.or(self.resume_point.take());
                range.up_to.is_none()
            }
        };
        Round {
            candidates,
            population,
            is_last,
        }
    }

    /// Starts another round, for so many records that are still wanted when so many of the candidates
    /// seen were usable. It collects a quarter more than are needed if that share stays, twice what is
    /// wanted at least, and at most the population's part for each of [`FULL_ROUNDS`] where that is more:
    /// a stratum with hardly a usable conversation is through after some ten rounds, and none of them
    /// holds much.
    pub fn widen(&mut self, wanted: u64, usable: u64) {
        let least = wanted.saturating_mul(2).saturating_add(16);
        let needed =
            u128::from(wanted) * u128::from(self.seen) * 5 / (u128::from(usable.max(1)) * 4);
        let most = self.population() / FULL_ROUNDS;
        let candidates = u64::try_from(needed).unwrap_or(u64::MAX).min(most);
        self.reservoir = self.next_reservoir(capacity(candidates.max(least)));
    }

    fn next_reservoir(&self, capacity: usize) -> Reservoir {
        match self.resume_point.clone() {
            Some(resume_point) => Reservoir::behind(capacity, resume_point),
            None => Reservoir::new(capacity),
        }
    }
}

fn capacity(candidates: u64) -> usize {
    usize::try_from(candidates).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(rounds: &mut StratumRounds, ranks: impl IntoIterator<Item = i64>) {
        for rank in ranks {
            rounds.offer(Candidate {
                rank: Rank(rank),
                id: rank.to_string().into_bytes().into(),
                turns: 3,
                rows: Box::new([]),
                telemetry: None,
                prevalidated: false,
            });
        }
    }

    fn ranks(round: &Round) -> Vec<i64> {
        round.candidates.iter().map(|one| one.rank.0).collect()
    }

    /// The range that a round needs after a census of all ranks.
    fn needed(rounds: &mut StratumRounds) -> RankRange {
        match rounds.finish_census(CensusReach::default()) {
            CensusOutcome::Range(range) => range,
            CensusOutcome::Short(shortage) => panic!("{shortage:?}"),
        }
    }

    fn range(above: Option<i64>, up_to: Option<i64>) -> RankRange {
        RankRange {
            above: above.map(Rank),
            up_to: up_to.map(Rank),
        }
    }

    #[test]
    fn rounds_look_at_each_candidate_once_in_rank_order() {
        let mut rounds = StratumRounds::new(3);
        offer(&mut rounds, (0..30).rev());
        assert_eq!((rounds.population(), rounds.held()), (30, 3));
        let first = rounds.finish();
        assert_eq!(ranks(&first), [0, 1, 2]);
        assert_eq!((first.population, first.is_last), (30, false));
        rounds.widen(2, 1);
        offer(&mut rounds, 0..30);
        assert_eq!((rounds.population(), rounds.held()), (30, 20));
        let second = rounds.finish();
        assert_eq!(ranks(&second), (3..23).collect::<Vec<_>>());
        assert!(!second.is_last);
        rounds.widen(1, 2);
        offer(&mut rounds, 0..30);
        let third = rounds.finish();
        assert_eq!(ranks(&third), (23..30).collect::<Vec<_>>());
        assert_eq!((third.population, third.is_last), (30, true));
    }

    #[test]
    fn a_round_with_all_candidates_is_the_last() {
        for count in [0, 4, 5] {
            let mut rounds = StratumRounds::new(5);
            offer(&mut rounds, 0..count);
            let round = rounds.finish();
            assert!(round.is_last, "{count}");
            assert_eq!(round.population, count as u64);
        }
    }

    #[test]
    fn of_a_census_with_more_than_enough_the_best_ranks_are_needed() {
        let mut rounds = StratumRounds::new(3);
        offer(&mut rounds, 0..10);
        assert_eq!(needed(&mut rounds), range(None, Some(2)));
        assert_eq!(rounds.population(), 10);
        // More than was needed, and one of them is not there.
        rounds.set_range(range(None, Some(4)));
        offer(&mut rounds, [4, 3, 1, 0]);
        let round = rounds.finish();
        assert_eq!(ranks(&round), [0, 1, 3, 4]);
        assert_eq!((round.population, round.is_last), (10, false));
        rounds.widen(0, 2);
        offer(&mut rounds, 0..10);
        let rest = needed(&mut rounds);
        assert_eq!(rest, range(Some(4), None), "a census has all of them");
        rounds.set_range(rest);
        offer(&mut rounds, 5..8);
        let round = rounds.finish();
        assert_eq!((ranks(&round), round.is_last), (vec![5, 6, 7], true));
        assert_eq!(round.population, 10);
    }

    #[test]
    fn a_round_whose_candidates_are_all_gone_is_not_repeated() {
        let mut rounds = StratumRounds::new(1);
        offer(&mut rounds, 0..30);
        let first = needed(&mut rounds);
        assert_eq!(first, range(None, Some(0)));
        rounds.set_range(first);
        let round = rounds.finish();
        assert!(round.candidates.is_empty() && !round.is_last);
        rounds.widen(1, 0);
        offer(&mut rounds, 0..30);
        assert_eq!(needed(&mut rounds), range(Some(0), Some(18)));
    }

    #[test]
    fn a_census_that_just_fits_leaves_the_range_open_at_neither_end() {
        let mut rounds = StratumRounds::new(3);
        offer(&mut rounds, 0..3);
        // A full reservoir cannot say that nothing was turned away.
        assert_eq!(needed(&mut rounds), range(None, Some(2)));
        let mut rounds = StratumRounds::new(4);
        offer(&mut rounds, 0..3);
        assert_eq!(needed(&mut rounds), range(None, None));
    }

    #[test]
    fn a_census_of_some_ranks_is_enough_or_a_wider_one_is_asked_for() {
        let up_to = |rank, undelivered| CensusReach {
            up_to: Some(Rank(rank)),
            undelivered,
        };
        let mut rounds = StratumRounds::new(3);
        offer(&mut rounds, 0..2);
        let (found, needed) = (2, 3);
        let short = CensusOutcome::Short(Shortage { found, needed });
        assert_eq!(rounds.finish_census(up_to(1, 28)), short);
        assert_eq!(rounds.population(), 30);
        // A wider census offers all of them again.
        offer(&mut rounds, 0..6);
        let first = rounds.finish_census(up_to(5, 24));
        assert_eq!(first, CensusOutcome::Range(range(None, Some(2))));
        // Others needed a third census, before anything was fetched.
        offer(&mut rounds, 0..6);
        assert_eq!(rounds.finish_census(up_to(5, 24)), first);
        rounds.set_range(range(None, Some(2)));
        offer(&mut rounds, 0..3);
        let round = rounds.finish();
        assert_eq!((ranks(&round), round.population), (vec![0, 1, 2], 30));
        assert!(!round.is_last);
        rounds.widen(0, 3);
        offer(&mut rounds, 0..6);
        let (found, needed) = (6, 3 + 16);
        let short = CensusOutcome::Short(Shortage { found, needed });
        assert_eq!(rounds.finish_census(up_to(5, 24)), short);
        // What has all ranks is never short.
        offer(&mut rounds, 0..8);
        let rest = CensusOutcome::Range(range(Some(2), None));
        assert_eq!(rounds.finish_census(CensusReach::default()), rest);
        assert_eq!(rounds.population(), 30);
    }

    #[test]
    fn the_fewer_are_usable_the_more_a_round_collects() {
        for (usable, collected) in [
            // Half of them, or all: twice what is wanted.
            (100, 56),
            (50, 56),
            // A quarter: four times what is wanted, and a quarter more.
            (25, 100),
            (10, 250),
            // An eighth of the population at most.
            (1, 1000),
            (0, 1000),
        ] {
            let mut rounds = StratumRounds::new(100);
            offer(&mut rounds, 0..8000);
            rounds.finish();
            rounds.widen(20, usable);
            offer(&mut rounds, 0..8000);
            assert_eq!(rounds.held(), collected, "{usable}");
        }
    }

    #[test]
    fn hardly_a_usable_conversation_takes_some_rounds() {
        let mut rounds = StratumRounds::new(100);
        offer(&mut rounds, 0..10_000);
        let mut count = 1;
        while !rounds.finish().is_last {
            rounds.widen(100, 0);
            offer(&mut rounds, 0..10_000);
            count += 1;
        }
        assert_eq!(count, 9);
    }

    #[test]
    fn nothing_overflows() {
        let mut rounds = StratumRounds::new(u64::MAX);
        offer(&mut rounds, 0..2);
        assert!(rounds.finish().is_last);
        rounds.widen(u64::MAX, 0);
        offer(&mut rounds, 0..2);
        assert_eq!(rounds.held(), 0, "both were looked at");
    }
}
