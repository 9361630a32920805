//! What was found in many records: by rule and place, never the text.

use std::collections::BTreeMap;

use super::document::Hit;
use super::rule::Class;

/// Places of a rule that are named; what is found elsewhere counts as [`OTHER_PLACES`].
const MOST_PLACES: usize = 100;

/// The name of all places above a hundred.
pub const OTHER_PLACES: &str = "elsewhere";

/// What was found in one record: how often by rule and place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordFindings(pub BTreeMap<(&'static str, String), (Class, u64)>);

impl RecordFindings {
    /// Adds something that was found.
    pub fn add(&mut self, hit: &Hit<'_>) {
        let key = (hit.rule.id, hit.place.to_string());
        let found = self.0.entry(key).or_insert((hit.rule.class, 0));
        found.1 += 1;
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTally {
    /// What it finds.
    pub class: Class,
    /// Records in which it found something.
    pub records: u64,
    /// Times that it did.
    pub times: u64,
    /// The same by place.
    pub places: BTreeMap<String, u64>,
}

impl RuleTally {
    fn of(class: Class) -> Self {
        Self {
            class,
            records: 0,
            times: 0,
            places: BTreeMap::new(),
        }
    }

    fn add_place(&mut self, place: &str, times: u64) {
        let is_room = self.places.len() < MOST_PLACES || self.places.contains_key(place);
        let place = if is_room { place } else { OTHER_PLACES };
        *self.places.entry(place.to_owned()).or_default() += times;
    }
}

/// What was found in records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records looked at.
    pub records: u64,
    /// Those of them in which anything was found.
    pub with_findings: u64,
    /// What each rule found.
    pub rules: BTreeMap<&'static str, RuleTally>,
}

impl Tally {
    /// Adds a record.
    pub fn add(&mut self, found: &RecordFindings) {
        self.records += 1;
        self.with_findings += u64::from(!found.0.is_empty());
        let mut last = None;
        for ((rule, place), (class, times)) in &found.0 {
            let tally = self
                .rules
                .entry(rule)
                .or_insert_with(|| RuleTally::of(*class));
            tally.records += u64::from(last.replace(rule) != Some(rule));
            tally.times += times;
            tally.add_place(place, *times);
        }
    }

    /// Adds what was found in the records that follow.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.with_findings += other.with_findings;
        for (rule, more) in &other.rules {
            let tally = self
                .rules
                .entry(rule)
                .or_insert_with(|| RuleTally::of(more.class));
            tally.records += more.records;
            tally.times += more.times;
            for (place, times) in &more.places {
                tally.add_place(place, *times);
            }
        }
    }

    /// The number of things of a class that were found.
    pub fn times(&self, class: Class) -> u64 {
        let of = self.rules.values().filter(|tally| tally.class == class);
        of.map(|tally| tally.times).sum()
    }
}
