//! The map of chunks: how far each is, and what became of those that were split.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::domain::scheduling::chunk::Chunk;

/// The state of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkState {
    /// Not fetched yet.
    Waiting,
    /// A fetcher reads it.
    Fetching,
    /// An attempt failed; waits for the next one.
    Retrying,
    /// It was read.
    Done,
    /// It was read by an earlier start, and is sealed.
    Replayed,
    /// Two halves stand for it.
    Split,
    /// The dataset goes without it.
    Missing,
}

/// All of [`ChunkState`].
pub(super) const STATES: [ChunkState; 7] = [
    ChunkState::Waiting,
    ChunkState::Fetching,
    ChunkState::Retrying,
    ChunkState::Done,
    ChunkState::Replayed,
    ChunkState::Split,
    ChunkState::Missing,
];

/// A chunk at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChunkView {
    /// `h40-7`
    pub name: String,
    /// Its state.
    pub state: ChunkState,
    /// Attempts so far, in this pass.
    pub attempts: u32,
    /// Its halves, if it was split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<[String; 2]>,
    /// Rows read, when it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone)]
struct Entry {
    state: ChunkState,
    attempts: u32,
    into: Option<[Chunk; 2]>,
    read: Option<(u64, u64)>,
}

const WAITING: Entry = Entry {
    state: ChunkState::Waiting,
    attempts: 0,
    into: None,
    read: None,
};

/// All chunks of a pass, those included that were split.
#[derive(Debug, Default)]
pub struct ChunkMap(Mutex<BTreeMap<Chunk, Entry>>);

impl ChunkMap {
    /// A pass over these chunks begins. What was split before stays to be seen.
    pub fn begin(&self, chunks: impl Iterator<Item = Chunk>) {
        let mut cards = self.cards();
        cards.retain(|_, card| matches!(card.state, ChunkState::Split | ChunkState::Missing));
        cards.extend(chunks.map(|chunk| (chunk, WAITING)));
    }

    /// A fetcher has it.
    pub fn fetching(&self, chunk: Chunk, attempt: u32) {
        self.card(chunk, |card| {
            (card.state, card.attempts) = (ChunkState::Fetching, attempt);
        });
    }

    /// It was read, or replayed.
    pub fn done(&self, chunk: Chunk, rows: u64, bytes: u64, replayed: bool) {
        self.card(chunk, |card| {
            card.state = match replayed {
                true => ChunkState::Replayed,
                false => ChunkState::Done,
            };
            card.read = Some((rows, bytes));
        });
    }

    /// No fetcher has it any more, and it is not done.
    pub fn given_back(&self, chunk: Chunk) {
        self.card(chunk, |card| card.state = ChunkState::Retrying);
    }

    /// Two halves stand for it.
    pub fn split(&self, chunk: Chunk, halves: [Chunk; 2]) {
        self.card(chunk, |card| {
            (card.state, card.into) = (ChunkState::Split, Some(halves));
        });
        let mut cards = self.cards();
        for half in halves {
            cards.entry(half).or_insert(WAITING);
        }
    }

    /// The dataset goes without it.
    pub fn missing(&self, chunk: Chunk) {
        self.card(chunk, |card| card.state = ChunkState::Missing);
    }

    /// All of them at this moment, in their order.
    pub fn view(&self) -> Vec<ChunkView> {
        let view = |(chunk, card): (&Chunk, &Entry)| ChunkView {
            name: chunk.to_string(),
            state: card.state,
            attempts: card.attempts,
            into: card.into.map(|halves| halves.map(|half| half.to_string())),
            rows: card.read.map(|(rows, _)| rows),
            bytes: card.read.map(|(_, bytes)| bytes),
        };
        self.cards().iter().map(view).collect()
    }

    fn card(&self, chunk: Chunk, change: impl FnOnce(&mut Entry)) {
        change(self.cards().entry(chunk).or_insert(WAITING));
    }

    fn cards(&self) -> MutexGuard<'_, BTreeMap<Chunk, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scheduling::chunk::HashChunk;

    #[test]
    fn halves_take_the_place_of_a_chunk_and_stay_in_the_next_pass() {
        let map = ChunkMap::default();
        let whole: Vec<HashChunk> = HashChunk::cover(2).collect();
        map.begin(whole.iter().copied().map(Chunk::Hash));
        let (first, second) = (Chunk::Hash(whole[0]), Chunk::Hash(whole[1]));
        let halves = whole[0].split().expect("splits").map(Chunk::Hash);
        map.fetching(first, 1);
        map.split(first, halves);
        map.fetching(halves[0], 1);
        map.given_back(halves[0]);
        map.fetching(halves[0], 2);
        map.done(halves[0], 10, 100, false);
        map.done(second, 20, 200, true);
        let states = |map: &ChunkMap| -> Vec<(String, ChunkState)> {
            let view = map.view().into_iter();
            view.map(|chunk| (chunk.name, chunk.state)).collect()
        };
        let expect = |chunk: Chunk, state| (chunk.to_string(), state);
        let mut expected = vec![
            expect(first, ChunkState::Split),
            expect(second, ChunkState::Replayed),
            expect(halves[0], ChunkState::Done),
            expect(halves[1], ChunkState::Waiting),
        ];
        let mut found = states(&map);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, expected);
        map.begin([halves[0], halves[1], second].into_iter());
        let again = states(&map);
        assert!(again.contains(&expect(first, ChunkState::Split)));
        assert!(again.contains(&expect(halves[0], ChunkState::Waiting)));
        assert_eq!(again.len(), 4);
    }
}
