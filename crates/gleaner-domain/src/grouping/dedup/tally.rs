//! What is counted of conversations while they are closed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::accounting::{FilterReason, FilteredBy};
use crate::record::header::Position;

/// Why a conversation is left out, whatever its number of turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A row of it is malformed, or it is too large.
    Damaged,
    /// Some of its turns are of another mode.
    CutByMode,
    /// Some of its turns are outside the window.
    CutByWindow,
    /// It does not begin at turn 1 or has gaps.
    Incomplete,
}

/// First turns that are distinguished.
const FIRST_TURNS: usize = 16;

/// What became of the rows of some conversations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupTally {
    /// Rows left out: what they belong to has no turn inside, or (`keep_cut`) they are outside.
    pub filtered: FilteredBy,
    /// Re-delivered turns that were not the last word.
    pub duplicate_turns: u64,
    /// Conversation rows that lost against another of the same id.
    pub duplicate_conversations: u64,
    /// Rows of Copilot Chat telemetry that are equal to another.
    pub duplicate_rows: u64,
    /// Rows of Copilot Chat telemetry that several conversations may name, each once.
    #[serde(default)]
    pub shared_rows: u64,
    /// Requests of Copilot Chat that an edit or a retry replaced.
    pub superseded_turns: u64,
    /// Rows that make up the conversations.
    pub kept_rows: u64,
    /// Conversations, faulty ones included.
    pub conversations: u64,
    /// The faulty ones; each counts once, by the first fault.
    pub faulty: BTreeMap<Fault, u64>,
    /// Conversations that do not begin at turn 1, by their first turn: of the first
    /// `FIRST_TURNS` that were seen.
    pub first_turns: BTreeMap<i64, u64>,
    /// Rows of conversations that would be larger than `limits.max_record`.
    pub too_large: Vec<Position>,
}

impl GroupTally {
    /// Adds the tally of other conversations.
    pub fn add(&mut self, other: Self) {
        for (reason, rows) in other.filtered {
            self.filter(reason, rows);
        }
        self.duplicate_turns += other.duplicate_turns;
        self.duplicate_conversations += other.duplicate_conversations;
        self.duplicate_rows += other.duplicate_rows;
        self.shared_rows += other.shared_rows;
        self.superseded_turns += other.superseded_turns;
        self.kept_rows += other.kept_rows;
        self.conversations += other.conversations;
        for (fault, conversations) in other.faulty {
            *self.faulty.entry(fault).or_default() += conversations;
        }
        for (turn, conversations) in other.first_turns {
            self.begins_at(turn, conversations);
        }
        self.too_large.extend(other.too_large);
    }

    /// Adds what became of other rows of Copilot Chat telemetry, but none of their conversations.
    pub fn add_rows(&mut self, other: &Self) {
        for (&reason, &rows) in &other.filtered {
            self.filter(reason, rows);
        }
        self.duplicate_rows += other.duplicate_rows;
        self.shared_rows += other.shared_rows;
        self.superseded_turns += other.superseded_turns;
        self.kept_rows += other.kept_rows;
    }

    /// Notes with which turn conversations begin.
    pub(in crate::grouping) fn begins_at(&mut self, turn: i64, conversations: u64) {
        if turn != 1
            && (self.first_turns.len() < FIRST_TURNS || self.first_turns.contains_key(&turn))
        {
            *self.first_turns.entry(turn).or_default() += conversations;
        }
    }

    /// How many conversations have a fault.
    pub fn of_fault(&self, fault: Fault) -> u64 {
        self.faulty.get(&fault).copied().unwrap_or(0)
    }

    pub(in crate::grouping) fn filter(&mut self, reason: FilterReason, rows: u64) {
        if rows > 0 {
            *self.filtered.entry(reason).or_default() += rows;
        }
    }

    pub(in crate::grouping) fn fault(&mut self, fault: Fault) {
        self.conversations += 1;
        *self.faulty.entry(fault).or_default() += 1;
    }
}
