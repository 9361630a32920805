//! A record as a trainer takes it: turns become messages, calls of tools and their results.
//!
//! Pure and deterministic. A record is read once (`chat`), whatever dialect its trajectories are
//! in (`trajectory`), what a trainer cannot take is left out by the rules of [`rule`], each counted, and
//! what is left is written as the preset wants it ([`Preset`]). No call is ever written that the record
//! does not have, and nothing is left out without being counted.

use thiserror::Error;

mod chat;
pub mod check;
mod columns;
mod members;
mod preset;
mod presets;
pub mod rule;
pub mod shape;
mod text;
pub mod tokens;
mod tools;
mod trajectory;
pub mod view;

#[cfg(test)]
mod tests;

pub use columns::{Cell, Column, ColumnKind, Row};
pub use preset::{Preset, UnknownPreset};
pub use tools::{BadTools, check as check_tools};

use crate::json::JsonError;
use rule::{Findings, Rule};

/// What becomes of a turn that has a call without a result, and of what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfinished {
    /// The conversation ends before the turn.
    #[default]
    DropTurnAndAfter,
    /// The record is dropped.
    DropRecord,
    /// The call is written without a result.
    Keep,
}

/// What does not follow from the record.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What becomes of calls without results.
    pub unfinished: Unfinished,
    /// The tools of records that name none: JSON, a list.
    pub tools: Option<Vec<u8>>,
}

/// The text is not a record of gleaner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotARecord {
    /// No JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It lacks a field that every record has, or has it with another type.
    #[error("{0} is absent or of another type")]
    Field(&'static str),
}

/// The `conversationId` of a record, decoded; empty if it has none.
pub fn id_of(record: &[u8]) -> String {
    let members = members::Members::read(record);
    let id = members.ok().and_then(|members| {
        let id = members.text(&["conversationId"])?;
        Some(String::from_utf8_lossy(&id.decoded()).into_owned())
    });
    id.unwrap_or_default()
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the row.
    Written,
    /// It is nowhere, for this reason.
    Dropped(Rule),
}

/// Converts records for one preset.
#[derive(Debug)]
pub struct Converter {
    preset: Preset,
    options: Options,
}

impl Converter {
    /// A converter for a preset.
    pub fn new(preset: Preset, options: Options) -> Self {
        Self { preset, options }
    }

    /// The preset it converts for.
    pub fn preset(&self) -> Preset {
        self.preset
    }

    /// Converts a record of a split, which is appended to a row. `findings` has afterwards what the rules
    /// did to this record. Nothing is appended of a record that is dropped.
    ///
    /// # Errors
    /// If the text is no record.
    pub fn convert(
        &self,
        record: &[u8],
        split: &str,
        row: &mut Row,
        findings: &mut Findings,
    ) -> Result<Outcome, NotARecord> {
        *findings = Findings::default();
        let kept = self.with_chat(record, findings, |chat, findings| {
            self.write(chat, split, row, findings);
        })?;
        Ok(kept.map_or_else(Outcome::Dropped, |()| Outcome::Written))
    }

    /// Appends a conversation to a row.
    fn write(&self, chat: &chat::Chat<'_>, split: &str, row: &mut Row, findings: &mut Findings) {
        row.begin();
        presets::write(self.preset, chat, split, row, findings);
        row.end();
    }

    /// The rule that drops a record, if one does.
    ///
    /// # Errors
    /// If the text is no record.
    pub fn dropped_by(&self, record: &[u8]) -> Result<Option<Rule>, NotARecord> {
        let kept = self.with_chat(record, &mut Findings::default(), |_, _| ())?;
        Ok(kept.err())
    }

    /// Reads a record, leaves out what the preset cannot take, and hands over what is left. `Err` within is
    /// the rule that dropped it.
    fn with_chat<T>(
        &self,
        record: &[u8],
        findings: &mut Findings,
        take: impl FnOnce(&chat::Chat<'_>, &mut Findings) -> T,
    ) -> Result<Result<T, Rule>, NotARecord> {
        let mut chat = chat::Chat::read(record, findings)?;
        if let Some(tools) = &self.options.tools
            && chat.tools.is_none()
        {
            chat.tools = tools::read_text(tools, findings);
        }
        if let Err(rule) = chat.settle(self.preset, self.options.unfinished, findings) {
            findings.add(rule);
            return Ok(Err(rule));
        }
        Ok(Ok(take(&chat, findings)))
    }
}
