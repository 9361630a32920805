//! The census of whole conversations: all are counted, and the best ranks of each stratum are named.

use std::collections::BTreeMap;

use crate::domain::sampling::thresholds::best_of_chunk;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::{Rank, Ranker};
use crate::domain::selection::stratum::{Membership, Selection, StratumId};
use crate::pipeline::engine::census::{CensusRow, ChunkCensus};
use crate::pipeline::engine::frame::FrameSum;
use crate::pipeline::engine::order::{Brings, Order};

/// The whole conversations of a chunk.
pub struct Whole<'s> {
    selection: &'s Selection,
    census: ChunkCensus,
    ranker: Ranker,
    by_stratum: BTreeMap<StratumId, Vec<Found>>,
}

/// Rank, number, and turns and group of a conversation.
type Found = (Rank, u32, (u64, u8));

impl<'s> Whole<'s> {
    /// None yet, of these frames.
    pub fn new(selection: &'s Selection, frames: FrameSum) -> Self {
        Self {
            selection,
            census: ChunkCensus {
                frames,
                ..ChunkCensus::default()
            },
            ranker: Ranker::new(selection.seed()),
            by_stratum: BTreeMap::new(),
        }
    }

    /// Takes a conversation, by its number.
    pub fn put(&mut self, number: u32, (id, group): (&[u8], GroupMark), turns: u64) {
        let census = &mut self.census;
        census.checksum.count(kusto_hash::hash(id));
        let residue = Selection::residue(id, group);
        census.counts.add(self.selection, residue, turns, 1);
        if let Membership::Stratum(stratum) = self.selection.membership(id, group, turns) {
            let found = self.by_stratum.entry(stratum).or_default();
            found.push((self.ranker.rank(id), number, (turns, group.byte())));
        }
    }

    /// All are in: the census, with those that the order wants to be named by their ids.
    pub fn census<'i>(self, order: &Order, id: impl Fn(u32) -> &'i [u8]) -> ChunkCensus {
        let mut census = self.census;
        for (stratum, mut found) in self.by_stratum {
            let cut = cut(order, stratum, &mut found);
            census.cut.extend(cut.map(|rank| (stratum, rank)));
            for (_, number, (turns, group)) in found {
                let id = String::from_utf8_lossy(id(number)).into_owned();
                census.conversations.push(CensusRow { id, turns, group });
            }
        }
        census
    }
}

/// Leaves the best ranks of a stratum that are to be brought; says up to which they are, if they are not all.
fn cut(order: &Order, stratum: StratumId, found: &mut Vec<Found>) -> Option<Rank> {
    let all = found.len();
    match &order.brings {
        Brings::Census(candidates) => {
            let wanted = candidates.get(&stratum).copied().unwrap_or(0);
            let most = best_of_chunk(wanted, all as u64, order.chunks);
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            found.sort_unstable_by_key(|(rank, number, _)| (*rank, *number));
            let (last, ..) = *found.get(most.checked_sub(1)?)?;
            found.retain(|(rank, ..)| *rank <= last);
            (found.len() < all).then_some(last)
        }
        Brings::CensusUpTo(ranks) => {
            let last = ranks.get(&stratum).copied().flatten()?;
            found.retain(|(rank, ..)| *rank <= last);
            Some(last)
        }
        Brings::Users | Brings::Decisions | Brings::Records | Brings::SharedRows => None,
    }
}
