//! What is said of two datasets.

use serde::Serialize;

use super::{Name, Side};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the first dataset has it.
    OnlyInA,
    /// Only the second one has it.
    OnlyInB,
    /// Both have it in the same stratum, with other bytes.
    Changed,
    /// Both have it, in different strata.
    Moved,
}

/// A record that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordDiff {
    /// Its id.
    pub conversation_id: String,
    /// What became of it.
    pub change: Change,
    /// Its stratum in the first dataset: `train/short`.
    pub in_a: Option<String>,
    /// Its stratum in the second one.
    pub in_b: Option<String>,
}

/// A stratum of either dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StratumDiff {
    /// Its split.
    pub split: String,
    /// Its bucket.
    pub bucket: String,
    /// Its records in the first and the second dataset.
    pub records: [u64; 2],
    /// Records that only the first dataset has, and has here.
    pub only_in_a: u64,
    /// Records that only the second one has, and has here.
    pub only_in_b: u64,
    /// Records with other bytes.
    pub changed: u64,
    /// Records that are here in the first dataset and elsewhere in the second.
    pub moved_away: u64,
    /// Records that are here in the second dataset and elsewhere in the first.
    pub moved_here: u64,
}

/// What changed between two datasets, which are called a and b.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// Where the first one lies.
    pub a: String,
    /// Where the second one lies.
    pub b: String,
    /// Whether nothing differs.
    pub same: bool,
    /// What differs of settings and source: `key: a -> b`.
    pub configuration: Vec<String>,
    /// What differs of counts, in the same way.
    pub counts: Vec<String>,
    /// The strata, in their order.
    pub strata: Vec<StratumDiff>,
    /// Records that differ, in the order of kinds, then as they come in the datasets; the first ones of each kind.
    pub records: Vec<RecordDiff>,
    /// Records that differ and are not listed.
    pub not_listed: u64,
    #[serde(skip)]
    most: usize,
}

impl DiffReport {
    pub(super) fn new(a: &Side<'_>, b: &Side<'_>, names: &[Name], most: usize) -> Self {
        let records = |side: &Side<'_>, (split, bucket): &Name| {
            let mut strata = side.manifest.strata.iter();
            let found = strata.find(|one| one.split == *split && one.bucket == *bucket);
            found.map_or(0, |one| one.records)
        };
        let stratum = |name: &Name| StratumDiff {
            split: name.0.clone(),
            bucket: name.1.clone(),
            records: [records(a, name), records(b, name)],
            only_in_a: 0,
            only_in_b: 0,
            changed: 0,
            moved_away: 0,
            moved_here: 0,
        };
        Self {
            a: a.dataset.location(),
            b: b.dataset.location(),
            same: false,
            configuration: Vec::new(),
            counts: Vec::new(),
            strata: names.iter().map(stratum).collect(),
            records: Vec::new(),
            not_listed: 0,
            most,
        }
    }

    /// Counts a record that differs, and lists it if there is room.
    pub(super) fn add(&mut self, change: Change, id: &str, in_a: Option<u16>, in_b: Option<u16>) {
        let mut note = |place: Option<u16>, count: fn(&mut StratumDiff) -> &mut u64| {
            if let Some(place) = place {
                *count(&mut self.strata[usize::from(place)]) += 1;
            }
        };
        match change {
            Change::OnlyInA => note(in_a, |stratum| &mut stratum.only_in_a),
            Change::OnlyInB => note(in_b, |stratum| &mut stratum.only_in_b),
            Change::Changed => note(in_b, |stratum| &mut stratum.changed),
            Change::Moved => {
                note(in_a, |stratum| &mut stratum.moved_away);
                note(in_b, |stratum| &mut stratum.moved_here);
            }
        }
        let listed = self.records.iter().filter(|one| one.change == change);
        if self.most < usize::MAX && listed.count() >= self.most {
            self.not_listed += 1;
            return;
        }
        let name = |place: u16| {
            let stratum = &self.strata[usize::from(place)];
            format!("{}/{}", stratum.split, stratum.bucket)
        };
        self.records.push(RecordDiff {
            conversation_id: id.to_owned(),
            change,
            in_a: in_a.map(name),
            in_b: in_b.map(name),
        });
    }

    /// All was compared.
    pub(super) fn finish(&mut self) {
        self.records.sort_by_key(|record| record.change);
        self.same =
            self.configuration.is_empty() && self.counts.is_empty() && self.records.is_empty();
    }

    /// How many records differ in this way.
    pub fn count(&self, change: Change) -> u64 {
        let of = |stratum: &StratumDiff| match change {
            Change::OnlyInA => stratum.only_in_a,
            Change::OnlyInB => stratum.only_in_b,
            Change::Changed => stratum.changed,
            Change::Moved => stratum.moved_here,
        };
        self.strata.iter().map(of).sum()
    }
}
