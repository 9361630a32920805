//! Template shingles: what so many conversations have in common that it says nothing about any two of them.
//!
//! They are counted exactly in two passes over the same conversations, with 16 MiB for as long as that takes: the first
//! counts shingles by a part of their hash, the second counts those that may be frequent one by one.

use hashbrown::HashTable;

use super::ShingleSet;

/// The best-ranked valid conversations that are looked at.
pub const CONVERSATIONS: usize = 2_000;

/// A shingle in more of them than this is a template.
pub const MOST_CONVERSATIONS: u32 = 20;

/// Shingles that do not count.
#[derive(Debug, Clone, Default)]
pub struct Templates(HashTable<u64>);

impl Templates {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a shingle is one.
    pub fn contains(&self, shingle: u64) -> bool {
        self.0.find(shingle, |&other| other == shingle).is_some()
    }
}

/// The first pass.
pub struct CoarseCounts(Vec<u8>);

const PARTS: usize = 1 << 24;

fn part(shingle: u64) -> usize {
    shingle as usize % PARTS
}

impl Default for CoarseCounts {
    fn default() -> Self {
        Self(vec![0; PARTS])
    }
}

impl CoarseCounts {
    /// Counts a conversation.
    pub fn add(&mut self, shingles: &ShingleSet) {
        for shingle in shingles.iter() {
            let count = &mut self.0[part(shingle)];
            *count = count.saturating_add(1);
        }
    }

    /// Begins the second pass, over the same conversations.
    pub fn finish(self) -> FineCounts {
        FineCounts {
            coarse: self,
            counts: HashTable::new(),
        }
    }
}

/// The second pass.
pub struct FineCounts {
    coarse: CoarseCounts,
    counts: HashTable<(u64, u32)>,
}

impl FineCounts {
    /// Counts a conversation.
    pub fn add(&mut self, shingles: &ShingleSet) {
        for shingle in shingles.iter() {
            if u32::from(self.coarse.0[part(shingle)]) <= MOST_CONVERSATIONS {
                continue;
            }
            let entry =
                self.counts
                    .entry(shingle, |&(other, _)| other == shingle, |&(other, _)| other);
            entry.or_insert((shingle, 0)).get_mut().1 += 1;
        }
    }

    /// Those that are in more than [`MOST_CONVERSATIONS`].
    pub fn finish(self) -> Templates {
        let mut templates = HashTable::new();
        for (shingle, count) in self.counts {
            if count > MOST_CONVERSATIONS {
                templates.insert_unique(shingle, shingle, |&other| other);
            }
        }
        Templates(templates)
    }
}
