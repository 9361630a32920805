//! A conversation to be read by a person: in a terminal, or on a page.

use super::NotARecord;
use super::chat::{Chat, Message};
use super::rule::Findings;
use super::text::Text;
use super::tokens::Author;
use crate::debug_lengths;

mod page;
mod terminal;

pub use page::{Page, Section};
pub use terminal::Terminal;

/// A conversation.
pub struct View {
    /// Its `conversationId`.
    pub id: String,
    /// The number of its turns.
    pub turns: usize,
    /// What was said and done, in order.
    pub entries: Vec<Entry>,
}

debug_lengths!(View { turns } lengths { id, entries });

/// Something that was said or done.
pub enum Entry {
    /// A message.
    Said {
        /// By whom.
        author: Author,
        /// What.
        text: String,
    },
    /// A call of a tool.
    Called {
        /// The tool.
        tool: String,
        /// The arguments as JSON; `None` if they are no JSON.
        arguments: Option<String>,
        /// The result; `None` if there is none.
        result: Option<String>,
    },
}

impl View {
    /// The view of a record. Nothing of it is left out that a conversion would leave out.
    ///
    /// # Errors
    /// If the text is no record.
    pub fn of(record: &[u8]) -> Result<Self, NotARecord> {
        let chat = Chat::read(record, &mut Findings::default())?;
        let mut entries = Vec::new();
        let said = |author, text: &Text<'_>, entries: &mut Vec<Entry>| {
            let text = decoded(text);
            entries.push(Entry::Said { author, text });
        };
        for message in chat.messages() {
            match message {
                Message::System(text) => said(Author::System, text, &mut entries),
                Message::User(text) => said(Author::User, text, &mut entries),
                Message::Answer(text) => said(Author::Model, text, &mut entries),
                Message::Reply(reply) => {
                    if let Some(text) = &reply.text {
                        said(Author::Model, text, &mut entries);
                    }
                    entries.extend(reply.calls.iter().map(|call| Entry::Called {
                        tool: decoded(&call.tool),
                        arguments: call.arguments.as_ref().map(|arguments| {
                            String::from_utf8_lossy(&arguments.value.text).into_owned()
                        }),
                        result: call.result.as_ref().map(decoded),
                    }));
                    if let Some(observation) = &reply.observation {
                        said(Author::Tool, observation, &mut entries);
                    }
                }
            }
        }
        Ok(Self {
            id: decoded(&chat.id),
            turns: chat.turns.len(),
            entries,
        })
    }
}

fn decoded(text: &Text<'_>) -> String {
    String::from_utf8_lossy(&text.decoded()).into_owned()
}

fn name(author: Author) -> &'static str {
    match author {
        Author::System => "system",
        Author::User => "user",
        Author::Model => "model",
        Author::Tool => "tool",
    }
}

/// `1 turn`, `2 turns`.
fn turns(turns: usize) -> String {
    let plural = if turns == 1 { "" } else { "s" };
    format!("{turns} turn{plural}")
}

/// What came of a call, in a few words.
fn outcome(result: Option<&String>) -> String {
    match result {
        Some(result) => format!("{} bytes", result.len()),
        None => "no result".to_owned(),
    }
}
