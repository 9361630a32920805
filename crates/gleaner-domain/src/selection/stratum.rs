//! Splits, buckets, strata and their targets: who may be sampled, and how many.
//!
//! A **split** is chosen by the id alone (`hash(id) % 100` against cumulative percentages), or by the text of another
//! field ([`super::group`]); a
//! **bucket** by the number of turns, a **stratum** is a split and a bucket together. Strata are
//! numbered split by split, bucket by bucket, in the order of the configuration.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fitness::Fitness;
use super::group::{GroupField, GroupMark};
use super::kusto_hash;
use super::quality::QualityCodes;

/// A split: a name and its share of the ids in percent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Also the name of the folder in the dataset.
    pub name: String,
    /// 0 to 100; the shares of all splits add up to 100.
    pub percent: u32,
}

/// A bucket: conversations whose number of turns lies in an inclusive range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The value of a record's `bucket` field.
    pub name: String,
    /// First and last number of turns, both inclusive.
    pub turns: [u64; 2],
    /// The stem of the file's name.
    pub file: String,
}

/// The index of a stratum: `split * number of buckets + bucket`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StratumId(pub u16);

/// Where a complete conversation belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// In a stratum with a target.
    Stratum(StratumId),
    /// In a split and bucket that nobody asked for.
    NoTarget,
    /// In no bucket.
    OutOfRange,
}

/// Why a selection cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SelectionError {
    /// The percentages do not cover the ids exactly once.
    #[error("selection.splits: the percentages add up to {0}, they must add up to 100")]
    Percent(u64),
    /// A name is used twice.
    #[error("selection.{kind}: the name \"{name}\" is used twice")]
    Duplicate {
        /// `splits`, `buckets` or `buckets (file)`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A name cannot be a file name.
    #[error(
        "selection.{kind}: \"{name}\" cannot be part of a file name: use letters, digits, '.', '_' and '-', and begin with a letter or digit"
    )]
    Name {
        /// `splits`, `buckets` or `buckets (file)`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A bucket's range is empty.
    #[error(
        "selection.buckets: \"{name}\" has the turns {first} to {last}: the first must be at least 1 and not above the last"
    )]
    Range {
        /// The bucket.
        name: String,
        /// Its first number of turns.
        first: u64,
        /// Its last number of turns.
        last: u64,
    },
    /// Two buckets claim the same number of turns.
    #[error(
        "selection.buckets: \"{0}\" and \"{1}\" overlap; every number of turns may be in one bucket only"
    )]
    Overlap(String, String),
    /// A target names an unknown split or bucket.
    #[error("selection.targets: there is no {kind} \"{name}\"; there are {known}")]
    UnknownTarget {
        /// `split` or `bucket`.
        kind: &'static str,
        /// The name in the target.
        name: String,
        /// The known names.
        known: String,
    },
    /// Nothing to do.
    #[error(
        "selection.targets: all targets are zero, so there is nothing to export; set one, for example --set selection.targets.train.short=100"
    )]
    AllZero,
    /// More strata than a run can hold.
    #[error("selection: {0} strata are too many, at most 1,000 are possible")]
    TooMany(usize),
    /// No record can be split by a field.
    #[error("selection.split_by: \"{name}\": {reason}")]
    SplitBy {
        /// The field.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// Spares out of range.
    #[error("selection.spare_percent: {0} is not between 0 and 1000")]
    Spares(f64),
}

/// What to sample: the validated `[selection]` of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    seed: String,
    spare_percent: f64,
    splits: Vec<Split>,
    buckets: Vec<Bucket>,
    /// By `StratumId`; 0 = nobody asked.
    targets: Vec<u64>,
    /// For `hash % 100`, the index of its split.
    split_of_residue: [u16; 100],
    reject_quality: QualityCodes,
    fitness: Fitness,
    split_by: Option<GroupField>,
}

/// The target of a stratum that takes all its valid records.
pub const ALL: u64 = u64::MAX;

impl Selection {
    /// Checks and builds a selection. `targets` are (split, bucket, target);
    /// [`ALL`] takes whatever is valid.
    pub fn new(
        seed: &str,
        spare_percent: f64,
        splits: Vec<Split>,
        buckets: Vec<Bucket>,
        targets: &[(String, String, u64)],
    ) -> Result<Self, SelectionError> {
        check_names("splits", splits.iter().map(|s| s.name.as_str()))?;
        check_names("buckets", buckets.iter().map(|b| b.name.as_str()))?;
        check_names("buckets (file)", buckets.iter().map(|b| b.file.as_str()))?;
        let total: u64 = splits.iter().map(|s| u64::from(s.percent)).sum();
        if total != 100 {
            return Err(SelectionError::Percent(total));
        }
        check_ranges(&buckets)?;
        if splits.len() * buckets.len() > 1000 {
            return Err(SelectionError::TooMany(splits.len() * buckets.len()));
        }
        if !(0.0..=1000.0).contains(&spare_percent) {
            return Err(SelectionError::Spares(spare_percent));
        }
        let mut by_stratum = vec![0; splits.len() * buckets.len()];
        for (split, bucket, target) in targets {
            let s = position("split", split, splits.iter().map(|s| s.name.as_str()))?;
            let b = position("bucket", bucket, buckets.iter().map(|b| b.name.as_str()))?;
            by_stratum[s * buckets.len() + b] = *target;
        }
        if by_stratum.iter().all(|&target| target == 0) {
            return Err(SelectionError::AllZero);
        }
        let mut split_of_residue = [0; 100];
        let mut residue = 0;
        for (index, split) in splits.iter().enumerate() {
            for _ in 0..split.percent {
                split_of_residue[residue] = index as u16;
                residue += 1;
            }
        }
        Ok(Self {
            seed: seed.to_owned(),
            spare_percent,
            splits,
            buckets,
            targets: by_stratum,
            split_of_residue,
            reject_quality: QualityCodes::default(),
            fitness: Fitness::default(),
            split_by: None,
        })
    }

    /// The same, where records with these codes of quality are invalid.
    #[must_use]
    pub fn rejecting(self, reject_quality: QualityCodes) -> Self {
        Self {
            reject_quality,
            ..self
        }
    }

    /// The same, where records that do not fit are invalid.
    #[must_use]
    pub fn fitting(self, fitness: Fitness) -> Self {
        Self { fitness, ..self }
    }

    /// The same, where the text of a field chooses the split instead of the id.
    #[must_use]
    pub fn splitting_by(self, split_by: Option<GroupField>) -> Self {
        Self { split_by, ..self }
    }

    /// `selection.split_by`; `None`: the id.
    pub fn split_by(&self) -> Option<&GroupField> {
        self.split_by.as_ref()
    }

    /// Whether a record needs nothing but what every record needs: no preset's rules, no lengths, no group. Only then
    /// can it be known from its parts that the rules will find nothing in it.
    pub fn has_common_rules_only(&self) -> bool {
        self.fitness.is_empty() && self.split_by.is_none()
    }

    /// `selection.valid_for` and `selection.max_tokens`
    pub fn fitness(&self) -> &Fitness {
        &self.fitness
    }

    /// `selection.reject_quality`
    pub fn reject_quality(&self) -> QualityCodes {
        self.reject_quality
    }

    /// The seed of the ranks.
    pub fn seed(&self) -> &str {
        &self.seed
    }

    /// Spare candidates per stratum, in percent of its target.
    pub fn spare_percent(&self) -> f64 {
        self.spare_percent
    }

    /// All splits, in order.
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// All buckets, in order.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// How many conversations the dataset should have; `None` if a stratum takes all.
    pub fn total(&self) -> Option<u64> {
        if self.targets.contains(&ALL) {
            return None;
        }
        Some(
            self.targets
                .iter()
                .fold(0, |sum, target| sum.saturating_add(*target)),
        )
    }

    /// The target of a stratum as people see it; `None` if it takes all that is valid.
    pub fn wanted(&self, stratum: StratumId) -> Option<u64> {
        let target = self.target(stratum).map_or(0, NonZeroU64::get);
        (target != ALL).then_some(target)
    }

    /// The strata with a target above 0, in order.
    pub fn strata(&self) -> impl Iterator<Item = StratumId> + '_ {
        (0..self.targets.len())
            .filter(|&i| self.targets[i] > 0)
            .map(|i| StratumId(i as u16))
    }

    /// How many strata there are, those without a target included: an index bound for tables.
    pub fn stratum_count(&self) -> usize {
        self.targets.len()
    }

    /// The target of a stratum; `None` if nobody asked for it.
    pub fn target(&self, stratum: StratumId) -> Option<NonZeroU64> {
        NonZeroU64::new(self.targets[usize::from(stratum.0)])
    }

    /// The split of a stratum.
    pub fn split(&self, stratum: StratumId) -> &Split {
        &self.splits[usize::from(stratum.0) / self.buckets.len()]
    }

    /// The bucket of a stratum.
    pub fn bucket(&self, stratum: StratumId) -> &Bucket {
        &self.buckets[usize::from(stratum.0) % self.buckets.len()]
    }

    /// The split that an id hashes to: `hash(id) % 100` against the cumulative percentages. With
    /// [`Self::split_by`] that of a conversation without a group.
    pub fn split_of(&self, id: &[u8]) -> &Split {
        self.split_of_group(id, GroupMark::ABSENT)
    }

    /// The split of a conversation: its group's, or without one its id's.
    pub fn split_of_group(&self, id: &[u8], group: GroupMark) -> &Split {
        &self.splits[self.split_index(id, group)]
    }

    /// The values of `hash % 100`, of ids or of groups, of a stratum's split; `None` if it has no share.
    pub fn residues(&self, stratum: StratumId) -> Option<RangeInclusive<u32>> {
        let split = usize::from(stratum.0) / self.buckets.len();
        let before: u32 = self.splits[..split].iter().map(|s| s.percent).sum();
        let percent = self.splits[split].percent;
        (percent > 0).then(|| before..=before + percent - 1)
    }

    /// The bucket that a number of turns falls into.
    pub fn bucket_of(&self, turns: u64) -> Option<&Bucket> {
        self.bucket_index(turns).map(|index| &self.buckets[index])
    }

    /// Where a complete conversation with this id, group and number of turns belongs.
    pub fn membership(&self, id: &[u8], group: GroupMark, turns: u64) -> Membership {
        self.membership_in(turns, || self.split_index(id, group))
    }

    /// Where complete conversations belong whose id, or whose group, leaves this divided by 100.
    pub fn membership_of_residue(&self, residue: u32, turns: u64) -> Membership {
        self.membership_in(turns, || self.index_of_residue(residue))
    }

    fn membership_in(&self, turns: u64, split: impl FnOnce() -> usize) -> Membership {
        let Some(bucket) = self.bucket_index(turns) else {
            return Membership::OutOfRange;
        };
        let index = split() * self.buckets.len() + bucket;
        if self.targets[index] == 0 {
            Membership::NoTarget
        } else {
            Membership::Stratum(StratumId(index as u16))
        }
    }

    /// The best-ranked candidates to hold for a stratum: its target and its spares
    /// (`spare_percent` of the target, and 16), so that invalid ones can be replaced.
    pub fn candidates_for(&self, target: NonZeroU64) -> u64 {
        let spares = (target.get() as f64 * self.spare_percent / 100.0).ceil() as u64;
        target.get().saturating_add(spares).saturating_add(16)
    }

    /// What chooses the split of a conversation: what the hash of its id, or of its group's text, leaves divided by 100.
    pub fn residue(id: &[u8], group: GroupMark) -> u32 {
        let of_id = || kusto_hash::modulo(kusto_hash::hash(id), 100);
        group.residue().unwrap_or_else(of_id)
    }

    fn split_index(&self, id: &[u8], group: GroupMark) -> usize {
        self.index_of_residue(Self::residue(id, group))
    }

    fn index_of_residue(&self, residue: u32) -> usize {
        usize::from(self.split_of_residue[residue as usize % 100])
    }

    fn bucket_index(&self, turns: u64) -> Option<usize> {
        self.buckets
            .iter()
            .position(|b| (b.turns[0]..=b.turns[1]).contains(&turns))
    }
}

fn check_names<'a>(
    kind: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), SelectionError> {
    let mut seen = Vec::new();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins_well || !name.chars().all(plain) {
            return Err(SelectionError::Name {
                kind,
                name: name.to_owned(),
            });
        }
        if seen.contains(&name) {
            return Err(SelectionError::Duplicate {
                kind,
                name: name.to_owned(),
            });
        }
        seen.push(name);
    }
    Ok(())
}

fn check_ranges(buckets: &[Bucket]) -> Result<(), SelectionError> {
    for (index, bucket) in buckets.iter().enumerate() {
        let [first, last] = bucket.turns;
        if first == 0 || first > last {
            return Err(SelectionError::Range {
                name: bucket.name.clone(),
                first,
                last,
            });
        }
        for other in &buckets[..index] {
            if first <= other.turns[1] && other.turns[0] <= last {
                return Err(SelectionError::Overlap(
                    other.name.clone(),
                    bucket.name.clone(),
                ));
            }
        }
    }
    Ok(())
}

fn position<'a>(
    kind: &'static str,
    name: &str,
    mut known: impl Iterator<Item = &'a str> + Clone,
) -> Result<usize, SelectionError> {
    let names = known.clone();
    known
        .position(|candidate| candidate == name)
        .ok_or_else(|| SelectionError::UnknownTarget {
            kind,
            name: name.to_owned(),
            known: names.collect::<Vec<_>>().join(", "),
        })
}

/// A selection for tests: the usual splits and buckets.
#[cfg(any(test, feature = "fixtures"))]
#[doc(hidden)]
pub mod fixtures {
    use super::*;

    /// Every stratum has the same target.
    pub fn selection(target: u64) -> Selection {
        let splits = [("train", 83), ("val", 9), ("test", 8)];
        let buckets = [("short", 3, 5), ("medium", 6, 10), ("long", 11, 20)];
        let mut targets = Vec::new();
        for (split, _) in splits {
            for (bucket, ..) in buckets {
                targets.push((split.to_owned(), bucket.to_owned(), target));
            }
        }
        Selection::new(
            "gleaner",
            5.0,
            splits
                .map(|(name, percent)| Split {
                    name: name.to_owned(),
                    percent,
                })
                .to_vec(),
            buckets
                .map(|(name, first, last)| Bucket {
                    name: name.to_owned(),
                    turns: [first, last],
                    file: format!("{name}_{first}_to_{last}_turns"),
                })
                .to_vec(),
            &targets,
        )
        .expect("the specification's selection is valid")
    }
}

#[cfg(test)]
mod tests;
