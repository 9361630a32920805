//! Which valid candidates are taken and which repeat one that was, in (rank, id) order over all strata.
//!
//! Strata give their candidates in rounds, each in (rank, id) order. The least candidate of all can be decided once
//! every stratum that is neither full nor at its end has one at hand; so what is decided does not depend on how the
//! rounds are cut. What comes next is handed out before the one before it is decided: several are looked at at once.

use std::collections::{BTreeMap, VecDeque};

use super::index::{Index, Similar};
use super::{Scope, Sketch, Threshold};
use crate::sampling::reservoir::Candidate;
use crate::selection::stratum::StratumId;

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is in the dataset.
    Taken,
    /// It is not valid.
    Invalid,
    /// It repeats this record, by its number in the index.
    Repeats(u32),
}

/// A record that is not taken, and the one that it repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearDuplicate {
    /// Its id.
    pub id: Box<[u8]>,
    /// The number of its turns.
    pub turns: u64,
    /// The stratum of the other.
    pub of_stratum: StratumId,
    /// The id of the other.
    pub of: Box<[u8]>,
}

/// A stratum whose candidates are decided, as far as it takes any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedStratum {
    /// The stratum.
    pub stratum: StratumId,
    /// Those that are taken, and those between them that are not valid, in rank order.
    pub candidates: Vec<Candidate>,
    /// How many of them are taken.
    pub records: u64,
    /// Those between them that are near-duplicates, in rank order.
    pub near_duplicates: Vec<NearDuplicate>,
}

#[derive(Debug)]
struct Stratum {
    id: StratumId,
    split: usize,
    target: u64,
    room: u64,
    /// Not handed out yet.
    ahead: VecDeque<Candidate>,
    /// Whether no round will bring more.
    is_last: bool,
    decided: Vec<(Candidate, Decision)>,
}

impl Stratum {
    /// Whether it must give another candidate before any other stratum's can be decided.
    fn is_missing(&self) -> bool {
        self.room > 0 && self.ahead.is_empty() && !self.is_last
    }
}

/// The decisions so far.
#[derive(Debug)]
pub struct Decisions {
    index: Index,
    strata: Vec<Stratum>,
    /// Where each record of the index is: its stratum, and its place among the decided.
    taken: Vec<(u16, u32)>,
}

impl Decisions {
    /// Nothing is decided. Of each stratum: the number of its split, and its target.
    pub fn new(
        scope: Scope,
        threshold: Threshold,
        strata: impl IntoIterator<Item = (StratumId, usize, u64)>,
    ) -> Self {
        let stratum = |(id, split, target)| Stratum {
            id,
            split,
            target,
            room: target,
            ahead: VecDeque::new(),
            is_last: false,
            decided: Vec::new(),
        };
        Self {
            index: Index::new(scope, threshold),
            strata: strata.into_iter().map(stratum).collect(),
            taken: Vec::new(),
        }
    }

    /// Adds the next candidates of a stratum, in (rank, id) order.
    pub fn add(&mut self, id: StratumId, candidates: Vec<Candidate>, is_last: bool) {
        if let Some(stratum) = self.strata.iter_mut().find(|stratum| stratum.id == id) {
            stratum.ahead.extend(candidates);
            stratum.is_last = is_last;
        }
    }

    /// The candidates that are not handed out yet, in their order, up to where a stratum might have another one.
    pub fn ahead(&self) -> impl Iterator<Item = (StratumId, &Candidate)> {
        let mut at = vec![0; self.strata.len()];
        std::iter::from_fn(move || {
            let ahead = |number: usize| self.strata[number].ahead.get(at[number]);
            let is_missing = |number| ahead(number).is_none() && !self.strata[number].is_last;
            if (0..at.len()).any(is_missing) {
                return None;
            }
            let least = (0..at.len()).filter(|&number| ahead(number).is_some());
            let least = least.min_by_key(|&number| ahead(number).map(Candidate::key))?;
            let candidate = ahead(least)?;
            at[least] += 1;
            Some((self.strata[least].id, candidate))
        })
    }

    /// Hands out the next candidate, with the number of its stratum. `None`: what was handed out must be decided first,
    /// or a stratum must give more ([`Self::wanting`]), or everything is decided.
    pub fn hand_out(&mut self) -> Option<(usize, Candidate)> {
        if self.strata.iter().any(Stratum::is_missing) {
            return None;
        }
        let strata = self.strata.iter().enumerate();
        let heads = strata.filter(|(_, stratum)| stratum.room > 0);
        let heads =
            heads.filter_map(|(number, stratum)| Some((stratum.ahead.front()?.key(), number)));
        let number = heads.min()?.1;
        let candidate = self.strata[number].ahead.pop_front()?;
        Some((number, candidate))
    }

    /// The stratum of a number.
    pub fn stratum(&self, number: usize) -> StratumId {
        self.strata[number].id
    }

    /// Whether a stratum has no room left: a candidate that was handed out for it is not looked at.
    pub fn is_full(&self, number: usize) -> bool {
        self.strata[number].room == 0
    }

    /// Those taken that a candidate of a stratum may repeat.
    pub fn similar(&self, number: usize, sketch: &Sketch) -> Similar {
        self.index.similar(self.strata[number].split, sketch)
    }

    /// A record that was taken.
    pub fn record(&self, number: u32) -> &Candidate {
        let (stratum, at) = self.taken[number as usize];
        &self.strata[usize::from(stratum)].decided[at as usize].0
    }

    /// Takes the candidate that was handed out first of those not decided.
    pub fn take(&mut self, number: usize, candidate: Candidate, sketch: Sketch) {
        let stratum = &mut self.strata[number];
        self.taken
            .push((number as u16, stratum.decided.len() as u32));
        self.index.insert(stratum.split, sketch);
        stratum.room -= 1;
        stratum.decided.push((candidate, Decision::Taken));
    }

    /// Does not take it: it is not valid.
    pub fn refuse(&mut self, number: usize, candidate: Candidate) {
        self.strata[number]
            .decided
            .push((candidate, Decision::Invalid));
    }

    /// Does not take it: it repeats a record of the index.
    pub fn leave_out(&mut self, number: usize, candidate: Candidate, repeated: u32) {
        let decision = Decision::Repeats(repeated);
        self.strata[number].decided.push((candidate, decision));
    }

    /// The strata that must give more, and how many records each still wants. None: everything is decided once
    /// [`Self::hand_out`] has nothing.
    pub fn wanting(&self) -> Vec<(StratumId, u64)> {
        let missing = self.strata.iter().filter(|stratum| stratum.is_missing());
        missing.map(|stratum| (stratum.id, stratum.room)).collect()
    }

    /// The strata that might have more candidates than they gave, whether they are wanted or not.
    pub fn unfinished(&self) -> Vec<StratumId> {
        let unfinished = self.strata.iter().filter(|stratum| !stratum.is_last);
        unfinished.map(|stratum| stratum.id).collect()
    }

    /// Records taken so far.
    pub fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Bytes of memory for the index.
    pub fn bytes(&self) -> usize {
        self.index.bytes()
    }

    /// How many records have so many near-duplicates.
    pub fn clusters(&self) -> BTreeMap<u64, u64> {
        let mut repeats = BTreeMap::<u32, u64>::new();
        for (_, decision) in self.strata.iter().flat_map(|stratum| &stratum.decided) {
            if let Decision::Repeats(of) = decision {
                *repeats.entry(*of).or_default() += 1;
            }
        }
        let mut clusters = BTreeMap::new();
        for count in repeats.into_values() {
            *clusters.entry(count).or_default() += 1;
        }
        clusters
    }

    /// All strata, in the order in which they were given.
    pub fn finish(self) -> Vec<DecidedStratum> {
        let near_duplicate = |candidate: &Candidate, of: u32| {
            let stratum = &self.strata[usize::from(self.taken[of as usize].0)];
            NearDuplicate {
                id: candidate.id.clone(),
                turns: candidate.turns,
                of_stratum: stratum.id,
                of: self.record(of).id.clone(),
            }
        };
        let near_duplicates: Vec<Vec<NearDuplicate>> = (self.strata.iter())
            .map(|stratum| {
                let decided = stratum.decided.iter();
                let repeats = decided.filter_map(|(candidate, decision)| match decision {
                    Decision::Repeats(of) => Some(near_duplicate(candidate, *of)),
                    _ => None,
                });
                repeats.collect()
            })
            .collect();
        let strata = self.strata.into_iter().zip(near_duplicates);
        let strata = strata.map(|(stratum, near_duplicates)| {
            let records = stratum.target - stratum.room;
            let decided = stratum.decided.into_iter();
            let written = decided.filter(|(_, decision)| !matches!(decision, Decision::Repeats(_)));
            DecidedStratum {
                stratum: stratum.id,
                records,
                candidates: written.map(|(candidate, _)| candidate).collect(),
                near_duplicates,
            }
        });
        strata.collect()
    }
}

#[cfg(test)]
mod tests;
