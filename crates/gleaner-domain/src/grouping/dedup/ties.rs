//! Which delivery wins where several have the same id, or the same turn.

use std::cmp::Reverse;

use sha2::{Digest, Sha256};

use super::{Closing, END, Index, ReadPayload};
use crate::dataset::accounting::{FilterReason, FilteredBy};
use crate::json::JsonError;
use crate::record::assembler::{self, TurnTieKey};

/// Of conversation rows with equally many turns the smallest key wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ConversationTieKey {
    /// Turns with a `modelMessage` that is not blank.
    replies: Reverse<u64>,
    /// SHA-256 of the record as it would be written.
    digest: [u8; 32],
}

impl ConversationTieKey {
    /// No key is larger.
    const WORST: Self = Self {
        replies: Reverse(0),
        digest: [u8::MAX; 32],
    };
}

impl Index {
    /// Of conversation rows with equally many turns, the one with more replies, then the smaller
    /// SHA-256.
    pub(super) fn pick_conversation<E: From<JsonError>>(
        &self,
        rows: &[u32],
        closing: &Closing<'_>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<u32, E> {
        if let [only] = rows {
            return Ok(*only);
        }
        if closing.trusts_checksums && self.look_equal(rows) {
            return Ok(rows[0]);
        }
        let mut payload = Vec::new();
        let mut best = (ConversationTieKey::WORST, END);
        for &row in rows {
            let digest = self.digest(row, &mut payload, read)?;
            let key = ConversationTieKey {
                replies: Reverse(assembler::count_replies(&payload)?),
                digest,
            };
            if best.1 == END || key < best.0 {
                best = (key, row);
            }
        }
        Ok(best.1)
    }

    /// Reduces rows to the last word on each turn, in the order of turns; counts the deliveries of
    /// turns whose last word is outside, by its reason.
    pub(super) fn pick_turns<E: From<JsonError>>(
        &self,
        rows: &mut Vec<u32>,
        closing: &Closing<'_>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<FilteredBy, E> {
        let turn_row = |row: u32| self.turns[row as usize];
        let mut by_reason = FilteredBy::new();
        // Of a turn the latest first.
        rows.sort_unstable_by_key(|&row| (turn_row(row).turn, Reverse(turn_row(row).at)));
        let mut kept = 0;
        let mut at = 0;
        while at < rows.len() {
            let first = turn_row(rows[at]);
            let of_turn = rows[at..]
                .iter()
                .take_while(|&&row| turn_row(row).turn == first.turn)
                .count();
            let tied = rows[at..at + of_turn]
                .iter()
                .take_while(|&&row| turn_row(row).at == first.at)
                .count();
            let winner = self.pick_turn(&rows[at..at + tied], closing, read)?;
            if let Some(reason) = self.rows[winner as usize].outside() {
                *by_reason.entry(reason).or_default() += of_turn as u64;
            }
            rows[kept] = winner;
            kept += 1;
            at += of_turn;
        }
        rows.truncate(kept);
        Ok(by_reason)
    }

    /// Of rows of one turn with equal timestamps, the one with the smaller key.
    fn pick_turn<E: From<JsonError>>(
        &self,
        tied: &[u32],
        closing: &Closing<'_>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<u32, E> {
        if let [only] = tied {
            return Ok(*only);
        }
        let mut payload = Vec::new();
        if self.look_equal(tied)
            && (closing.trusts_checksums || self.are_equal(tied, &mut payload, read)?)
        {
            return Ok(tied[0]);
        }
        let mut best: Option<((TurnTieKey, bool), u32)> = None;
        for &row in tied {
            payload.clear();
            read(&self.position(row), &mut payload)?;
            let key = TurnTieKey::of_row(&payload, closing.selection)?;
            // Rows that differ in their mode alone: the one of the wanted mode.
            let is_other_mode = self.rows[row as usize].outside() == Some(FilterReason::Mode);
            let key = (key, is_other_mode);
            if best.is_none_or(|(smallest, _)| key < smallest) {
                best = Some((key, row));
            }
        }
        Ok(best.map_or(END, |(_, row)| row))
    }

    /// The SHA-256 of a row's bytes, which are left in the buffer.
    fn digest<E>(
        &self,
        row: u32,
        payload: &mut Vec<u8>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<[u8; 32], E> {
        payload.clear();
        read(&self.position(row), payload)?;
        Ok(Sha256::digest(&payload).into())
    }

    /// Whether rows have the same length and checksum.
    fn look_equal(&self, rows: &[u32]) -> bool {
        let summary = |&row: &u32| (self.position(row).length, self.position(row).checksum);
        rows.iter().all(|row| summary(row) == summary(&rows[0]))
    }

    /// Whether rows have the same bytes, as re-deliveries mostly have. Holds one at a time.
    fn are_equal<E>(
        &self,
        rows: &[u32],
        payload: &mut Vec<u8>,
        read: &mut ReadPayload<'_, E>,
    ) -> Result<bool, E> {
        let mut first: Option<[u8; 32]> = None;
        for &row in rows {
            let digest = self.digest(row, payload, read)?;
            if *first.get_or_insert(digest) != digest {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
