//! What the source does by itself in a seed, whatever else goes wrong: it refuses what is too much
//! for it, is slow, has a chunk that it never delivers, and changes while it is read.

use std::time::Duration;

use gleaner::domain::scheduling::chunk::HashChunk;
use gleaner::domain::selection::group::GroupMark;
use gleaner::domain::selection::rank::Ranker;
use gleaner::domain::selection::stratum::{Membership, Selection, StratumId};
use gleaner::pipeline::RunError;
use gleaner::source::SourceError;

use crate::support::reference::hash;
use crate::world::{Delivery, World};

/// How often a chunk is refused in a storm: more than it may fail.
pub const STORM: u32 = 6;

/// So often fails what is transient: then all attempts are spent.
pub const TRANSIENT_FAILURES: u32 = 5;

/// What a storm takes if the source does not ask to wait: 1, 2, 4, 8, 16 and 30 s, and a fifth.
const STORMY: Duration = Duration::from_secs(74);

/// After this the server gives up what is too slow.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// How long the source asks to wait in some storms.
pub const RETRY_AFTER: Duration = Duration::from_secs(7);

/// How long the source needs for a chunk that it is slow with: longer than a lease, with signs of
/// progress in time.
pub const SLOW: Duration = Duration::from_secs(900);

/// How long it says nothing where it asks for patience: longer than a lease of usual length.
pub const SILENCE: Duration = Duration::from_secs(700);

/// What it asks for.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(1200);

/// A number from a seed.
pub fn draw(seed: u64, salt: &str, from: u64, to: u64) -> u64 {
    let drawn = hash(format!("{salt}/{seed}").as_bytes()) as u64;
    from + drawn % (to - from + 1)
}

/// How a census differs from what is fetched after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The conversation has another number of turns now; this was it.
    Turns(u64),
    /// Only its time is another.
    Time,
    /// It was not there.
    New,
    /// It is gone; it had so many turns.
    Gone(u64),
}

#[derive(Debug, Clone)]
pub struct Stale {
    pub key: Vec<u8>,
    pub change: Change,
    /// A census tells the old until the payloads were fetched so often.
    pub until: u32,
}

#[derive(Debug, Clone, Default)]
pub struct SourceBehaviour {
    /// Conversations that one answer may have.
    pub capacity: Option<usize>,
    /// This chunk is refused [`STORM`] times.
    pub storm: Option<HashChunk>,
    /// Whether it says how long to wait.
    pub asks_to_wait: bool,
    /// Fetches that it bears at once.
    pub at_once: Option<usize>,
    /// What comes slowly, twice.
    pub slow: Option<HashChunk>,
    /// Whether it asks for patience, and needs it for what is slow.
    pub patient: bool,
    /// What it never delivers; of a census world perhaps only the payloads.
    pub permanently_failing: Option<(HashChunk, bool)>,
    /// What it does not deliver for the first [`TRANSIENT_FAILURES`] times.
    pub transient: Option<HashChunk>,
    /// Chunks that may be missing.
    pub allow_missing: u32,
    /// A conversation that changes between census and payloads.
    pub stale: Option<Stale>,
}

impl SourceBehaviour {
    /// Of a seed, for a cover of so many chunks.
    pub fn of(seed: u64, world: &World, chunks: u32, selection: &Selection) -> Self {
        if world.delivery == Delivery::Files {
            return Self::default();
        }
        let one_in = |salt: &str, n: u64| draw(seed, salt, 1, n) == 1;
        let chunk = |salt: &str| HashChunk {
            count: chunks,
            index: draw(seed, salt, 0, u64::from(chunks) - 1) as u32,
            depth: 0,
        };
        let fewest = world.rows.len() as u64 / 30;
        let mut behaviour = Self {
            capacity: one_in("capacity", 3)
                .then(|| draw(seed, "how much", 4, 20).max(fewest) as usize),
            storm: one_in("storm", 6).then(|| chunk("stormy")),
            asks_to_wait: one_in("wishes", 2),
            at_once: one_in("at once", 4).then(|| draw(seed, "how many", 1, 2) as usize),
            slow: one_in("slow", 6).then(|| chunk("slow one")),
            patient: one_in("patient", 2),
            transient: one_in("ill", 8).then(|| chunk("ill one")),
            ..Self::default()
        };
        if one_in("may be missing", 4) {
            behaviour.allow_missing = 1;
            // A start that does without it and one that has it would write other files.
            behaviour.transient = None;
            if one_in("is missing", 2) {
                behaviour.permanently_failing =
                    Some((chunk("permanently_failing"), one_in("its payloads", 2)));
                // Its halves would be two that are missing.
                behaviour.capacity = None;
            }
        } else if world.delivery == Delivery::Census && one_in("changes", 3) {
            behaviour.stale = stale(seed, world, selection);
        }
        behaviour
    }

    /// Whether it says that a fetch may take long.
    pub fn asks_long_timeout(&self) -> bool {
        self.patient && self.slow.is_some()
    }

    /// What a run takes longer because of it, at most, with so many splits.
    pub fn needs(&self, splits: u64) -> Duration {
        let slow = self.slow.map_or(Duration::ZERO, |_| SLOW + SILENCE);
        let storm = self.storm.map_or(Duration::ZERO, |_| STORMY);
        let split = (TIMEOUT + Duration::from_secs(10)) * splits as u32;
        2 * slow + storm + split
    }

    /// How long a lease lasts.
    pub fn lease(&self, usual: Duration) -> Duration {
        match self.asks_long_timeout() {
            true => usual.max(LONG_TIMEOUT),
            false => usual,
        }
    }
}

/// A change that no payloads can fit: of the best-ranked conversation of a stratum, which every
/// first round fetches.
fn stale(seed: u64, world: &World, selection: &Selection) -> Option<Stale> {
    let mut ranker = Ranker::new(selection.seed());
    let stratum_of = |key: &[u8], group, turns| match selection.membership(key, group, turns) {
        Membership::Stratum(stratum) => Some(stratum),
        _ => None,
    };
    let mut best = std::collections::BTreeMap::<StratumId, _>::new();
    for row in &*world.rows {
        if let Some(stratum) = stratum_of(&row.key, row.group, row.turns) {
            let ranked = (ranker.rank(&row.key), row);
            let best = best.entry(stratum).or_insert(ranked);
            if ranked.0 < best.0 {
                *best = ranked;
            }
        }
    }
    let chosen = draw(seed, "stratum", 0, best.len() as u64 - 1) as usize;
    let (&stratum, &(rank, row)) = best.iter().nth(chosen)?;
    let (key, turns) = (row.key.clone(), row.turns);
    let other_turns = match stratum_of(&key, row.group, turns - 1) == Some(stratum) {
        true => turns - 1,
        false => turns + 1,
    };
    let (key, change) = match draw(seed, "change", 0, 4) {
        0 => (key, Change::Turns(other_turns)),
        1 => (key, Change::Turns(if turns < 6 { 7 } else { 4 })),
        2 => (key, Change::Time),
        3 => (key, Change::New),
        _ => {
            let key = (0..100_000)
                .map(|n| format!("gone-{n}").into_bytes())
                .find(|key| {
                    stratum_of(key, GroupMark::ABSENT, turns) == Some(stratum)
                        && ranker.rank(key) < rank
                })?;
            (key, Change::Gone(turns))
        }
    };
    // Taken again a census tells the truth, or only in the next start of the run.
    let until = if draw(seed, "until", 1, 4) == 1 { 5 } else { 2 };
    Some(Stale { key, change, until })
}

/// Why a run ends without a record; nothing if no row of what is there names a group.
pub fn ends_empty(error: &RunError) -> Option<&[String]> {
    match error {
        RunError::NothingToPublish { reasons } => Some(reasons),
        RunError::Source(SourceError::NoGroups { .. }) => Some(&[]),
        _ => None,
    }
}
