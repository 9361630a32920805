//! Plans of faults: drawn from a seed, written as text, reduced to the smallest that fails.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use thiserror::Error;

use super::{Kind, Site};

/// One fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// The site.
    pub site: Site,
    /// At which hit, from 1.
    pub nth: u64,
    /// The kind of the fault.
    pub kind: Kind,
}

/// The faults of a run, in order, at most one at a hit. As text: `fetch:3:hang dedup:1:abort`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultPlan {
    faults: Vec<Planned>,
}

/// A text that is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{word:?} is no fault: {reason}")]
pub struct WrongPlan {
    /// The word that cannot be read.
    pub word: String,
    /// What is accepted.
    pub reason: String,
}

impl FaultPlan {
    /// Some faults.
    pub fn new(faults: impl IntoIterator<Item = Planned>) -> Self {
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.sort_unstable();
        faults.dedup_by_key(|fault| (fault.site, fault.nth));
        Self { faults }
    }

    /// Draws `count` faults, each at one of the first `max_hits` of its site. Of `sites`, and of
    /// `kinds`, where they are not empty.
    pub fn draw(seed: u64, count: usize, max_hits: u64, sites: &[Site], kinds: &[Kind]) -> Self {
        let mut rng = Pcg64Mcg::new(u128::from(seed) << 1 | 1);
        let is_meant = |site: Site, kind: Kind| {
            (sites.is_empty() || sites.contains(&site))
                && (kinds.is_empty() || kinds.contains(&kind))
        };
        let mut choices: Vec<(Site, Kind)> = Vec::new();
        for &site in Site::ALL {
            let of_site = site.kinds().iter().map(|&kind| (site, kind));
            choices.extend(of_site.filter(|&(site, kind)| is_meant(site, kind)));
        }
        if choices.is_empty() {
            return Self::default();
        }
        Self::new((0..count).map(|_| {
            let (site, kind) = choices[rng.random_range(0..choices.len())];
            // Early hits are there in every run.
            let most = rng.random_range(1..=max_hits.max(1));
            let nth = rng.random_range(1..=most);
            Planned { site, nth, kind }
        }))
    }

    /// This plan and another one.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self::new(self.faults.into_iter().chain(other.faults))
    }

    /// All faults.
    pub fn faults(&self) -> &[Planned] {
        &self.faults
    }

    /// The fault that is due at a hit.
    pub fn due(&self, site: Site, nth: u64) -> Option<Kind> {
        let found = self
            .faults
            .binary_search_by_key(&(site, nth), |fault| (fault.site, fault.nth));
        found.ok().map(|at| self.faults[at].kind)
    }

    /// A smallest plan that still fails: first without faults, then with earlier ones.
    #[must_use]
    pub fn shrink(self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let mut smallest = self;
        'again: loop {
            for smaller in smallest.smaller() {
                if fails(&smaller) {
                    smallest = smaller;
                    continue 'again;
                }
            }
            return smallest;
        }
    }

    fn smaller(&self) -> Vec<Self> {
        let without = |at: usize| {
            let mut faults = self.faults.clone();
            faults.remove(at);
            Self::new(faults)
        };
        let earlier = |at: usize| {
            let mut faults = self.faults.clone();
            faults[at].nth /= 2;
            Self::new(faults)
        };
        let all = 0..self.faults.len();
        let late = all.clone().filter(|&at| self.faults[at].nth > 1);
        all.map(without)
            .chain(late.map(earlier))
            .filter(|smaller| smaller.faults.len() < self.faults.len() || smaller != self)
            .collect()
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.site, self.nth, self.kind)
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.faults.iter().map(Planned::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Planned {
    type Err = WrongPlan;

    fn from_str(word: &str) -> Result<Self, WrongPlan> {
        let wrong = |reason: &str| WrongPlan {
            word: word.to_owned(),
            reason: reason.to_owned(),
        };
        let mut parts = word.split(':');
        let (Some(site), Some(nth), Some(kind), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("it must be SITE:N:KIND"));
        };
        let site = Site::of(site).ok_or_else(|| wrong("there is no such site"))?;
        let nth = nth.parse().ok().filter(|&nth| nth > 0);
        let nth = nth.ok_or_else(|| wrong("N must be a number from 1"))?;
        let kind = Kind::of(kind).filter(|kind| site.accepted().contains(kind));
        let kind = kind.ok_or_else(|| {
            let names: Vec<&str> = site.accepted().iter().map(|kind| kind.name()).collect();
            wrong(&format!("at {site} it must be one of {}", names.join(", ")))
        })?;
        Ok(Self { site, nth, kind })
    }
}

impl FromStr for FaultPlan {
    type Err = WrongPlan;

    fn from_str(text: &str) -> Result<Self, WrongPlan> {
        let faults: Result<Vec<_>, _> = text.split_whitespace().map(str::parse).collect();
        Ok(Self::new(faults?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plan_is_read_as_it_is_written(seed in any::<u64>(), count in 0usize..20) {
            let plan = FaultPlan::draw(seed, count, 50, &[], &[]);
            prop_assert_eq!(&plan, &FaultPlan::draw(seed, count, 50, &[], &[]));
            prop_assert_eq!(plan.to_string().parse(), Ok(plan.clone()));
            for fault in plan.faults() {
                prop_assert_eq!(plan.due(fault.site, fault.nth), Some(fault.kind));
                prop_assert!(fault.site.kinds().contains(&fault.kind));
            }
        }

        #[test]
        fn shrinking_keeps_what_matters_and_nothing_else(seed in any::<u64>()) {
            let plan = FaultPlan::draw(seed, 12, 50, &[], &[]);
            let culprit = plan.faults()[seed as usize % plan.faults().len()];
            let fails = |plan: &FaultPlan| plan.faults().iter().any(|fault| fault.site == culprit.site);
            let smallest = plan.shrink(fails);
            prop_assert_eq!(smallest.faults().len(), 1);
            prop_assert_eq!((smallest.faults()[0].site, smallest.faults()[0].nth), (culprit.site, 1));
        }
    }

    #[test]
    fn a_wrong_plan_is_refused_in_words() {
        for (text, reason) in [
            ("fetch:3", "SITE:N:KIND"),
            ("nowhere:1:hang", "no such site"),
            ("fetch:0:hang", "from 1"),
            ("dedup:1:no_space", "panic_before, panic_after, abort, hang"),
            ("upload.stage.before:1:io", "one of crash, hang"),
        ] {
            let wrong = text.parse::<FaultPlan>().expect_err("wrong").to_string();
            assert!(wrong.contains(reason), "{wrong}");
        }
    }

    #[test]
    fn only_what_is_meant_is_drawn() {
        let plan = FaultPlan::draw(1, 50, 5, &[Site::Fetch], &[Kind::Hang, Kind::Io]);
        let is_meant = |fault: &Planned| {
            fault.site == Site::Fetch && [Kind::Hang, Kind::Io].contains(&fault.kind)
        };
        assert!(!plan.faults().is_empty() && plan.faults().iter().all(is_meant));
        assert_eq!(
            FaultPlan::draw(1, 5, 5, &[Site::Dedup], &[Kind::Io]),
            FaultPlan::default()
        );
    }
}
