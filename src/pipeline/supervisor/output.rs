//! What a run brought, before it is published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::grouping::dedup::GroupTally;
use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::domain::scheduling::chunk::Chunk;
use crate::pipeline::actors::messages::{Grouped, StratumResult};
use crate::pipeline::ingest::census::UnusableCandidates;
use crate::source::Ledger;

/// What a run brought, before it is published.
#[derive(Debug)]
pub struct RunOutput {
    /// What was counted, chunk by chunk.
    pub tallies: BTreeMap<Chunk, ChunkTally>,
    /// What the rounds that followed a census have delivered, chunk by chunk.
    pub payloads: BTreeMap<Chunk, ChunkChecksum>,
    /// Counts of rows and conversations.
    pub grouped: Grouped,
    /// The strata with a target, in order.
    pub strata: Vec<StratumResult>,
    /// Chunks that an earlier start had sealed.
    pub replayed: u64,
    /// What was decided on near-duplicates, where they are left out: template shingles, and how many records have
    /// so many.
    pub near_duplicates: Option<(u64, BTreeMap<u64, u64>)>,
    /// Top-up rounds.
    pub rounds: u32,
    /// How many wider censuses followed the first.
    pub wider_censuses: u32,
    /// Candidates that could not be used, by stratum, where a census had counted them.
    pub lost: UnusableCandidates,
    /// Chunks that were split, and into what.
    pub splits: BTreeMap<Chunk, [Chunk; 2]>,
    /// Chunks that are not in the dataset.
    pub missing: BTreeSet<Chunk>,
    /// What the source has counted itself, if it reads and groups all rows.
    pub ledger: Option<Arc<Ledger>>,
}

impl RunOutput {
    /// What was counted of all rows.
    pub fn rows(&self) -> &BTreeMap<Chunk, ChunkTally> {
        match &self.ledger {
            Some(ledger) => &ledger.tallies,
            None => &self.tallies,
        }
    }

    /// What became of them.
    pub fn grouping(&self) -> &GroupTally {
        match &self.ledger {
            Some(ledger) => &ledger.grouped,
            None => &self.grouped.tally,
        }
    }
}
