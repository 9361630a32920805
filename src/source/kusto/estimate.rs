//! The estimated result and cost of an export from a cluster, for display.

use std::collections::BTreeMap;

use crate::domain::dataset::groups::Spread;
use crate::domain::selection::stratum::StratumId;

/// The population, and the cost of fetching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KustoPlan {
    /// Complete conversations in the window.
    pub conversations: u64,
    /// Those in no bucket.
    pub out_of_range: u64,
    /// Conversations of the strata that have a target.
    pub population: BTreeMap<StratumId, u64>,
    /// All of them by split.
    pub spread: Spread,
    /// Bytes of a conversation on the wire, from a sample; `None` if there is none to look at.
    pub bytes_each: Option<u64>,
    /// Conversations that two passes fetch: the candidates.
    pub candidates: u64,
    /// Conversations that the census delivers, about; fewer than all if it goes as far as candidates are wanted.
    pub census_rows: u64,
    /// Bytes that one pass would move.
    pub one_pass_bytes: Option<u64>,
    /// Bytes that two would.
    pub two_pass_bytes: Option<u64>,
}

impl KustoPlan {
    /// Which census is taken: `full`, or `thresholds`.
    pub fn census(&self) -> &'static str {
        match self.census_rows < self.conversations {
            true => "thresholds",
            false => "full",
        }
    }
}
