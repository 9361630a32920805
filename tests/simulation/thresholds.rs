//! Censuses of some ranks: what they do not deliver, and the sample that says how far they go.

use std::collections::{BTreeMap, BTreeSet};

use gleaner::domain::scheduling::chunk::HashChunk;
use gleaner::domain::selection::stratum::Membership;
use gleaner::source::{FetchOrder, PopulationSample, RowBlock, RowEncoding, UndeliveredCount};

use crate::source::SimSource;
use crate::support::reference::hash;
use crate::world::SimRow;

/// How many conversations a sample finds for each that there is.
const SKEW: u64 = 40;

impl SimSource {
    /// The conversations of a chunk that a census does not deliver.
    pub fn undelivered(&self, order: &FetchOrder, chunk: HashChunk) -> RowBlock {
        let delivered: BTreeSet<_> = (self.rows(order, chunk).into_iter())
            .map(|row| &row.key)
            .collect();
        let rows = self.world.rows.iter();
        let rows = rows.filter(|row| chunk.holds(&row.key) && !delivered.contains(&row.key));
        let count = |row: &SimRow| UndeliveredCount {
            residue: (row.group.residue()).unwrap_or(hash(&row.key).rem_euclid(100) as u32),
            turns: row.turns,
            conversations: 1,
        };
        RowBlock {
            encoding: RowEncoding::Census,
            undelivered: rows.map(count).collect(),
            ..RowBlock::default()
        }
    }

    /// A sample that has found far too many conversations, as one of a skewed chunk may: censuses are too narrow.
    pub fn sample(&self) -> PopulationSample {
        let mut strata = BTreeMap::new();
        for row in &*self.world.rows {
            let membership = (self.selection).membership(&row.key, row.group, row.turns);
            if let Membership::Stratum(stratum) = membership {
                *strata.entry(stratum).or_default() += SKEW;
            }
        }
        PopulationSample { share: 1.0, strata }
    }
}
