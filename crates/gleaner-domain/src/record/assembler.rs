//! The bytes of a record that is put together.
//!
//! Compact JSON. Keys: `conversationId, userName, turnCount, bucket, turnsArray, promptTokens,
//! completionTokens, llmCallCount`, then unknown fields by name. Each turn: `turnIndex,
//! userMessage, modelMessage, promptTokens, completionTokens, llmCallCount`, `trajectory` unless
//! absent or null, then unknown fields by name unless null. Known fields that are absent are null.
//! `turnCount` and `bucket` of a conversation row that lacks them come from its turns.
//! Strings have the fewest escapes, numbers keep their digits, nested values keep their text, or
//! are written compact with sorted keys where the order of keys means nothing.

use std::borrow::Cow;

use super::fields::Field;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::json::{number, text};
use crate::selection::stratum::Selection;

mod members;
mod nested;
mod tie_key;

use members::{
    Members, all_turn_row_members, count_elements, turn_members, turn_row_members, user_name,
};
use nested::{write_plain, write_sorted};

pub use tie_key::TurnTieKey;

/// How nested values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    /// As they stand.
    AsIs,
    /// Compact, keys sorted by bytes at every level.
    Sorted,
}

const TOKEN_FIELDS: [Field; 3] = [
    Field::PromptTokens,
    Field::CompletionTokens,
    Field::LlmCallCount,
];

fn key(field: Field) -> &'static [u8] {
    match field {
        Field::PromptTokens => b",\"promptTokens\":",
        Field::CompletionTokens => b",\"completionTokens\":",
        Field::LlmCallCount => b",\"llmCallCount\":",
        Field::UserMessage => b",\"userMessage\":",
        Field::ModelMessage => b",\"modelMessage\":",
        Field::UserName => b",\"userName\":",
        Field::TurnCount => b",\"turnCount\":",
        Field::Bucket => b",\"bucket\":",
        Field::TurnsArray => b",\"turnsArray\":",
        Field::Trajectory => b",\"trajectory\":",
        Field::TurnIndex => b"{\"turnIndex\":",
        Field::ConversationId => b"{\"conversationId\":",
        Field::Timestamp | Field::Mode => b"",
    }
}

/// Writes conversations from the rows of their turns.
#[derive(Debug)]
pub struct Assembler<'s> {
    selection: &'s Selection,
    nested: Nested,
}

impl<'s> Assembler<'s> {
    /// For records of this selection.
    pub fn new(selection: &'s Selection, nested: Nested) -> Self {
        Self { selection, nested }
    }

    /// Appends the record of a conversation whose turn rows are given in the order of turns. Says
    /// whether it is prevalidated: the rules will find nothing in it, not even a warning, in the split
    /// that the id hashes to.
    ///
    /// # Errors
    /// If a row is not what it was when its header was read.
    pub fn from_turns<'r>(
        &self,
        id: &str,
        rows: impl Iterator<Item = &'r [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<bool, JsonError> {
        let turns = rows.map(turn_row_members).collect::<Result<Vec<_>, _>>()?;
        let mut envelope = Envelope::default();
        for turn in &turns {
            envelope.absorb(turn);
        }
        self.write_head(id, &envelope, out);
        self.write_turns(&turns, out)?;
        write_tail(&envelope, out);
        Ok(self.is_prevalidated(id, &turns, &envelope))
    }

    /// What [`validate`](super::validation::validate) would find, found from the parts: they are in
    /// hand, and reading the record again to find nothing would double the work.
    fn is_prevalidated(&self, id: &str, turns: &[Members<'_>], envelope: &Envelope) -> bool {
        let [prompt, completion, _] = envelope.tokens;
        let bucket = self.selection.bucket_of(envelope.turns);
        are_flawless(turns)
            && envelope.user_name.is_some()
            && prompt.is_some_and(|tokens| tokens > 0)
            && completion.is_some_and(|tokens| tokens >= 0)
            && bucket.is_some_and(|bucket| !text::is_blank(bucket.name.as_bytes()))
            && self.selection.has_common_rules_only()
            && !text::is_blank(id.as_bytes())
    }

    /// The length of the record that [`Self::from_turns`] would write, holding one row at a
    /// time: `next` gives the rows in the order of turns.
    ///
    /// # Errors
    /// What `next` fails with, or a row that is not what it was.
    pub fn length_of_turns<'r, E: From<JsonError>>(
        &self,
        id: &str,
        rows: impl Iterator<Item = Result<Cow<'r, [u8]>, E>>,
    ) -> Result<u64, E> {
        let mut envelope = Envelope::default();
        let mut scratch = Vec::new();
        let mut length = 0;
        for row in rows {
            let row = row?;
            let turn = turn_row_members(&row)?;
            envelope.absorb(&turn);
            scratch.clear();
            self.write_turn(&turn, &mut scratch)?;
            length += scratch.len() as u64 + 1;
        }
        scratch.clear();
        self.write_head(id, &envelope, &mut scratch);
        write_tail(&envelope, &mut scratch);
        // The brackets, and one comma fewer than there are turns.
        Ok(length + scratch.len() as u64 + 2 - u64::from(envelope.turns > 0))
    }

    fn write_head(&self, id: &str, envelope: &Envelope, out: &mut Vec<u8>) {
        out.extend_from_slice(key(Field::ConversationId));
        text::write_string(id, out);
        out.extend_from_slice(key(Field::UserName));
        match &envelope.user_name {
            Some((kind, name)) => {
                let name = Value {
                    kind: *kind,
                    text: name,
                    escaped: true,
                };
                self.write_value(&name, out);
            }
            None => out.extend_from_slice(b"null"),
        }
        for field in [Field::TurnCount, Field::Bucket] {
            self.write_from_turns(field, envelope.turns, out);
        }
        out.extend_from_slice(key(Field::TurnsArray));
    }

    /// Appends `turnCount` or `bucket` as the number of turns has it.
    fn write_from_turns(&self, field: Field, turns: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(key(field));
        match (field, self.selection.bucket_of(turns)) {
            (Field::TurnCount, _) => out.extend_from_slice(turns.to_string().as_bytes()),
            (_, Some(bucket)) => text::write_string(&bucket.name, out),
            (_, None) => out.extend_from_slice(b"null"),
        }
    }

    /// Completes a conversation row that `record` has from `start` on: what it lacks of `turnCount`
    /// and `bucket` is written before its closing brace. Everything else stays byte for byte.
    ///
    /// # Errors
    /// If the row is not one whose header could be read.
    pub fn fill(&self, record: &mut Vec<u8>, start: usize) -> Result<(), JsonError> {
        let row = &record[start..];
        let (mut turns, mut has_count, mut has_bucket) = (&b"[]"[..], false, false);
        Scanner::of_checked(row).each_member(|key, scanner| {
            let value = scanner.value()?;
            match Field::named(key) {
                Some(Field::TurnCount) => has_count = true,
                Some(Field::Bucket) => has_bucket = true,
                Some(Field::TurnsArray) => turns = value.text,
                _ => {}
            }
            Ok(())
        })?;
        if has_count && has_bucket {
            return Ok(());
        }
        let turns = count_elements(turns)?;
        record.pop();
        for (field, is_there) in [(Field::TurnCount, has_count), (Field::Bucket, has_bucket)] {
            if !is_there {
                self.write_from_turns(field, turns, record);
            }
        }
        record.push(b'}');
        Ok(())
    }

    /// As [`Self::is_prevalidated`], of a conversation row that was put together from columns.
    fn is_prevalidated_row(&self, row: &Members<'_>, turns: &[Members<'_>]) -> bool {
        let bucket = self.selection.bucket_of(turns.len() as u64);
        let bucket = bucket.filter(|bucket| !text::is_blank(bucket.name.as_bytes()));
        let has_bucket = bucket.is_some_and(|bucket| match row.get(Field::Bucket) {
            Some(declared) => declared.string_body() == Some(bucket.name.as_bytes()),
            None => true,
        });
        let has_count = match row.get(Field::TurnCount) {
            Some(_) => row.integer(Field::TurnCount) == Some(turns.len() as i64),
            None => true,
        };
        let tokens = |field| row.get(field).and_then(|value| number::real(value.text));
        are_flawless(turns)
            && has_bucket
            && has_count
            && is_text(row, Field::ConversationId)
            && is_text(row, Field::UserName)
            && tokens(Field::PromptTokens).is_some_and(|tokens| tokens > 0.0)
            && tokens(Field::CompletionTokens).is_some_and(|tokens| tokens >= 0.0)
            && !row.surrogates
            && self.selection.has_common_rules_only()
            && self.selection.reject_quality().is_empty()
    }

    /// Appends the record of a conversation row that was put together from columns. Says whether it is
    /// prevalidated, as [`Self::from_turns`] does.
    ///
    /// # Errors
    /// If the row is not one whose header could be read.
    pub fn from_columns(&self, row: &[u8], out: &mut Vec<u8>) -> Result<bool, JsonError> {
        let mut scanner = Scanner::of_checked(row);
        let members = Members::read(&mut scanner, Field::is_of_conversation, |_| false)?;
        let array = members
            .get(Field::TurnsArray)
            .map_or(&b"[]"[..], |value| value.text);
        let mut turns = turn_members(array)?;
        for field in [Field::ConversationId, Field::UserName] {
            out.extend_from_slice(key(field));
            self.write_or_null(members.get(field), out);
        }
        for field in [Field::TurnCount, Field::Bucket] {
            match members.get(field) {
                Some(value) => {
                    out.extend_from_slice(key(field));
                    self.write_value(value, out);
                }
                None => self.write_from_turns(field, turns.len() as u64, out),
            }
        }
        out.extend_from_slice(key(Field::TurnsArray));
        // Turns without a usable index come last, as they stood.
        turns.sort_by_key(|turn| {
            let index = turn.integer(Field::TurnIndex);
            (index.is_none(), index)
        });
        self.write_turns(&turns, out)?;
        for field in TOKEN_FIELDS {
            out.extend_from_slice(key(field));
            self.write_or_null(members.get(field), out);
        }
        self.write_unknown(&members, out, |_| true);
        out.push(b'}');
        Ok(self.is_prevalidated_row(&members, &turns))
    }

    fn write_turns(&self, turns: &[Members<'_>], out: &mut Vec<u8>) -> Result<(), JsonError> {
        out.push(b'[');
        for (index, turn) in turns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write_turn(turn, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn write_turn(&self, turn: &Members<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
        out.extend_from_slice(key(Field::TurnIndex));
        let index = turn.get(Field::TurnIndex);
        match turn.integer(Field::TurnIndex) {
            // Digits are written as they stand, `3.0` is written as 3.
            Some(integer) if !index.is_some_and(|index| number::is_digits(index.text)) => {
                out.extend_from_slice(integer.to_string().as_bytes());
            }
            _ => self.write_or_null(index, out),
        }
        for field in [Field::UserMessage, Field::ModelMessage]
            .into_iter()
            .chain(TOKEN_FIELDS)
        {
            out.extend_from_slice(key(field));
            self.write_or_null(turn.get(field), out);
        }
        let is_null = |value: &Value<'_>| value.kind == Kind::Null;
        if let Some(trajectory) = turn.get(Field::Trajectory).filter(|value| !is_null(value)) {
            out.extend_from_slice(key(Field::Trajectory));
            self.write_value(trajectory, out);
        }
        let is_wanted = |value: &Value<'_>| value.kind != Kind::Null;
        match turn.wide.map(all_turn_row_members) {
            None => self.write_unknown(turn, out, is_wanted),
            Some(again) => self.write_unknown(&again?, out, is_wanted),
        }
        out.push(b'}');
        Ok(())
    }

    fn write_unknown(
        &self,
        members: &Members<'_>,
        out: &mut Vec<u8>,
        wanted: fn(&Value<'_>) -> bool,
    ) {
        for (name, value) in members.unknown.iter().filter(|(_, value)| wanted(value)) {
            out.push(b',');
            // A name with half a character is written with U+FFFD; such a record is never valid.
            text::write_string(&String::from_utf8_lossy(name), out);
            out.push(b':');
            self.write_value(value, out);
        }
    }

    fn write_or_null(&self, value: Option<&Value<'_>>, out: &mut Vec<u8>) {
        match value {
            Some(value) => self.write_value(value, out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn write_value(&self, value: &Value<'_>, out: &mut Vec<u8>) {
        match value.kind {
            Kind::Object | Kind::Array if self.nested == Nested::Sorted => {
                write_sorted(value.text, out);
            }
            _ => write_plain(value, out),
        }
    }
}

/// Whether the rules find nothing in these turns, not even a warning.
fn are_flawless(turns: &[Members<'_>]) -> bool {
    (1..).zip(turns).all(|(place, turn)| {
        turn.integer(Field::TurnIndex) == Some(place)
            && is_text(turn, Field::UserMessage)
            && is_text(turn, Field::ModelMessage)
            && !turn.surrogates
    })
}

/// Whether a field is text that is not blank.
fn is_text(members: &Members<'_>, field: Field) -> bool {
    let body = members.get(field).and_then(Value::string_body);
    body.is_some_and(|body| !text::is_blank(body))
}

/// What a record says of all its turns together.
#[derive(Default)]
struct Envelope {
    turns: u64,
    /// The first name that is not blank: its kind and its text.
    user_name: Option<(Kind, Vec<u8>)>,
    /// The sums of the integers there are, by [`TOKEN_FIELDS`].
    tokens: [Option<i128>; 3],
}

impl Envelope {
    fn absorb(&mut self, turn: &Members<'_>) {
        self.turns += 1;
        if self.user_name.is_none() {
            self.user_name = user_name(turn).map(|name| (name.kind, name.text.to_vec()));
        }
        for (sum, field) in self.tokens.iter_mut().zip(TOKEN_FIELDS) {
            if let Some(count) = turn.integer(field) {
                *sum = Some(sum.unwrap_or(0) + i128::from(count));
            }
        }
    }
}

fn write_tail(envelope: &Envelope, out: &mut Vec<u8>) {
    for (sum, field) in envelope.tokens.iter().zip(TOKEN_FIELDS) {
        out.extend_from_slice(key(field));
        match sum {
            Some(sum) => out.extend_from_slice(sum.to_string().as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}

/// Whether the model has said something in a turn: a text that is not blank.
fn has_reply(turn: &Members<'_>) -> bool {
    let reply = turn.get(Field::ModelMessage).and_then(Value::string_body);
    reply.is_some_and(|reply| !text::is_blank(reply))
}

/// In how many turns of a conversation the model has said something.
///
/// # Errors
/// If it is not what it was when its header was read.
pub fn count_replies(record: &[u8]) -> Result<u64, JsonError> {
    let mut replies = 0;
    Scanner::new(record).each_member(|key, scanner| {
        let value = scanner.value()?;
        if Field::named(key) == Some(Field::TurnsArray) {
            let turns = turn_members(value.text)?;
            replies = turns.iter().filter(|turn| has_reply(turn)).count() as u64;
        }
        Ok(())
    })?;
    Ok(replies)
}

#[cfg(test)]
mod tests;
