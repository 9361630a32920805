//! How long conversations are, in tokens of a tokenizer that the caller brings.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::NotARecord;
use super::Preset;
use super::chat::{Chat, Message, Reply};
use super::rule::Findings;
use super::text::Text;
use crate::debug_lengths;

/// Cuts texts into tokens.
pub trait Tokenize: Send + Sync + fmt::Debug {
    /// The SHA-256 of the file that it was read from, lower-case hexadecimal.
    fn sha256(&self) -> &str;

    /// The number of tokens of a text, without special tokens around it.
    ///
    /// # Errors
    /// If its vocabulary cannot express the text.
    fn count(&self, text: &str) -> Result<u64, NotEncodable>;

    /// Where each token of a text ends, in bytes.
    ///
    /// # Errors
    /// If its vocabulary cannot express the text.
    fn ends(&self, text: &str) -> Result<Vec<usize>, NotEncodable>;
}

/// A text that a tokenizer cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the tokenizer has no tokens for a text, nor one for what it does not know")]
pub struct NotEncodable;

/// Who wrote a piece of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The system message.
    System,
    /// The user.
    User,
    /// The model.
    Model,
    /// A tool.
    Tool,
}

/// What a piece of a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// A message's text, or a result.
    Text,
    /// The name of a tool that is called.
    Name,
    /// The arguments of a call, as JSON.
    Arguments,
}

/// A text of a conversation.
pub struct Piece<'c> {
    /// Who wrote it.
    pub author: Author,
    /// What it is.
    pub kind: PieceKind,
    /// The text, decoded.
    pub text: Cow<'c, str>,
}

debug_lengths!(Piece<'_> { author, kind } lengths { text });

/// The number of tokens of a record: of the system message, what the user and the model said, the names
/// and the arguments of calls, and their results, each by itself.
///
/// # Errors
/// `Ok(Err(_))` if the tokenizer cannot express one of them.
///
/// # Errors
/// If the text is no record.
pub fn of_record(
    record: &[u8],
    tokenizer: &dyn Tokenize,
) -> Result<Result<u64, NotEncodable>, NotARecord> {
    let chat = Chat::read(record, &mut Findings::default())?;
    let pieces = pieces(&chat, None);
    let counts = pieces.iter().map(|piece| tokenizer.count(&piece.text));
    Ok(counts.sum())
}

/// The texts of a conversation in their order, as a preset has them.
pub(super) fn pieces<'c>(chat: &'c Chat<'_>, preset: Option<Preset>) -> Vec<Piece<'c>> {
    let mut pieces = Pieces(Vec::new());
    for message in chat.messages() {
        match message {
            Message::System(text) => pieces.text(Author::System, text),
            Message::User(text) => pieces.text(Author::User, text),
            Message::Answer(text) => pieces.text(Author::Model, text),
            Message::Reply(reply) => pieces.reply(reply, preset),
        }
    }
    pieces.0
}

struct Pieces<'c>(Vec<Piece<'c>>);

impl<'c> Pieces<'c> {
    fn add(&mut self, author: Author, kind: PieceKind, text: Cow<'c, [u8]>) {
        let text = match text {
            Cow::Borrowed(text) => String::from_utf8_lossy(text),
            Cow::Owned(text) => Cow::Owned(String::from_utf8_lossy(&text).into_owned()),
        };
        self.0.push(Piece { author, kind, text });
    }

    fn text(&mut self, author: Author, text: &'c Text<'_>) {
        self.add(author, PieceKind::Text, text.decoded());
    }

    fn reply(&mut self, reply: &'c Reply<'_>, preset: Option<Preset>) {
        let takes_one = preset == Some(Preset::LlamaFactory) && !reply.calls.is_empty();
        if let Some(text) = reply.text.as_ref().filter(|_| !takes_one) {
            self.text(Author::Model, text);
        }
        for call in &reply.calls {
            self.add(Author::Model, PieceKind::Name, call.tool.decoded());
            if let Some(arguments) = &call.arguments {
                let text = match &arguments.text {
                    Some(text) => text.decoded(),
                    None => Cow::Borrowed(&*arguments.value.text),
                };
                self.add(Author::Model, PieceKind::Arguments, text);
            }
        }
        for result in reply.calls.iter().filter_map(|call| call.result.as_ref()) {
            self.text(Author::Tool, result);
        }
        if let Some(observation) = &reply.observation {
            self.text(Author::Tool, observation);
        }
    }
}

/// Lengths of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lengths(Vec<u64>);

/// A distribution of lengths in tokens. `median` and `p95` are lengths that records have: half of the
/// records, or 95 of 100, are that long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// The number of records.
    pub records: u64,
    /// The shortest.
    pub min: u64,
    /// The middle one.
    pub median: u64,
    /// That of the 95th of 100.
    pub p95: u64,
    /// The longest.
    pub max: u64,
    /// All together.
    pub total: u64,
}

impl Lengths {
    /// Adds the length of a record.
    pub fn add(&mut self, tokens: u64) {
        self.0.push(tokens);
    }

    /// Adds those of others.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Their distribution; `None` of none.
    pub fn distribution(mut self) -> Option<Distribution> {
        self.0.sort_unstable();
        let at = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100);
            self.0.get(rank.saturating_sub(1)).copied()
        };
        Some(Distribution {
            records: self.0.len() as u64,
            min: *self.0.first()?,
            median: at(50)?,
            p95: at(95)?,
            max: *self.0.last()?,
            total: self.0.iter().sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_has_lengths_that_records_have() {
        let of = |lengths: &[u64]| {
            let distribution = Lengths(lengths.to_vec()).distribution().expect("some");
            [
                distribution.min,
                distribution.median,
                distribution.p95,
                distribution.max,
                distribution.total,
            ]
        };
        assert_eq!(of(&[7]), [7, 7, 7, 7, 7]);
        assert_eq!(of(&[4, 1]), [1, 1, 4, 4, 5]);
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), [1, 50, 95, 100, 5050]);
        assert_eq!(Lengths::default().distribution(), None);
    }
}
