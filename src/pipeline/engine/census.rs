//! What a job brings of a chunk: which conversations there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Fault;
use super::frame::{FrameSum, seal, sealed};
use crate::domain::grouping::dedup::GroupTally;
use crate::domain::record::header::Position;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::sampling::thresholds::UndeliveredCount;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::rank::{Rank, Ranker};
use crate::domain::selection::stratum::{Membership, Selection, StratumId};

/// The census of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkCensus {
    /// The frames that it was made of.
    pub frames: FrameSum,
    /// What became of its rows.
    pub grouped: GroupTally,
    /// Its whole conversations, counted as a cluster counts them.
    pub checksum: ChunkChecksum,
    /// The same by residue and bucket.
    pub counts: Counts,
    /// Up to which rank it has the conversations of a stratum; a stratum that is not named: all.
    pub cut: BTreeMap<StratumId, Rank>,
    /// Those, in any order.
    pub conversations: Vec<CensusRow>,
    /// The hashes of those that could not be decided without their payloads.
    pub undecided: Vec<i64>,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CensusRow {
    /// Its id.
    pub id: String,
    /// Its number of turns.
    pub turns: u64,
    /// The byte of its group.
    pub group: u8,
}

impl CensusRow {
    /// Its group.
    pub fn mark(&self) -> GroupMark {
        GroupMark::from_byte(self.group)
    }
}

/// Conversations, by what the hash of their ids (or of what decides their split instead) leaves divided by 100, and by
/// bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts(Vec<Count>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    residue: u32,
    /// Of the first of them.
    turns: u64,
    conversations: u64,
}

impl Counts {
    /// Counts conversations.
    pub fn add(&mut self, selection: &Selection, residue: u32, turns: u64, conversations: u64) {
        match self.place(selection, residue, turns) {
            Ok(place) => self.0[place].conversations += conversations,
            Err(place) => self.0.insert(
                place,
                Count {
                    residue,
                    turns,
                    conversations,
                },
            ),
        }
    }

    /// Where the conversations of a residue and a bucket are counted, or would be.
    fn place(&self, selection: &Selection, residue: u32, turns: u64) -> Result<usize, usize> {
        let bucket = |turns| selection.bucket_of(turns).map(|bucket| &bucket.name);
        let key = (residue, bucket(turns));
        self.0
            .binary_search_by(|count| (count.residue, bucket(count.turns)).cmp(&key))
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, selection: &Selection, other: &Self) {
        for count in &other.0 {
            self.add(selection, count.residue, count.turns, count.conversations);
        }
    }

    /// How many there are of each stratum.
    pub fn strata<'a>(
        &'a self,
        selection: &'a Selection,
    ) -> impl Iterator<Item = (StratumId, u64)> + 'a {
        self.0.iter().filter_map(|count| {
            match selection.membership_of_residue(count.residue, count.turns) {
                Membership::Stratum(stratum) => Some((stratum, count.conversations)),
                Membership::NoTarget | Membership::OutOfRange => None,
            }
        })
    }

    /// Those that are left when others were delivered.
    pub fn without(&self, selection: &Selection, delivered: &Self) -> Vec<UndeliveredCount> {
        let mut left = self.clone();
        for of in &delivered.0 {
            if let Ok(place) = left.place(selection, of.residue, of.turns) {
                let count = &mut left.0[place].conversations;
                *count = count.saturating_sub(of.conversations);
            }
        }
        let left = left.0.into_iter().filter(|count| count.conversations > 0);
        left.map(|count| UndeliveredCount {
            residue: count.residue,
            turns: count.turns,
            conversations: count.conversations,
        })
        .collect()
    }
}

impl ChunkCensus {
    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        // It has names and numbers for keys, and nothing that JSON cannot hold.
        seal(serde_json::to_vec(self).unwrap_or_default())
    }

    /// As it has travelled.
    ///
    /// # Errors
    /// If it was damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(sealed(bytes)?).map_err(|_| Fault::Damaged)
    }

    /// Adds what was decided with payloads.
    pub fn decided(&mut self, selection: &Selection, decided: Self) {
        self.grouped.add(decided.grouped);
        self.checksum.add(decided.checksum);
        self.counts.merge(selection, &decided.counts);
        self.conversations.extend(decided.conversations);
        self.undecided.clear();
    }

    /// Its conversations of these ranks.
    pub fn wanted<'a>(
        &'a self,
        selection: &'a Selection,
        ranks: &'a RankRanges,
    ) -> impl Iterator<Item = &'a CensusRow> {
        let mut ranker = Ranker::new(selection.seed());
        self.conversations.iter().filter(move |row| {
            let (id, mark) = (row.id.as_bytes(), row.mark());
            ranks.wants(selection, (id, mark), row.turns, ranker.rank(id))
        })
    }

    /// The rows of its conversations that are too large, by piece and line.
    pub fn too_large(&self) -> impl Iterator<Item = (u32, u64)> {
        let place = |row: &Position| (row.store, row.offset);
        self.grouped.too_large.iter().map(place)
    }
}
