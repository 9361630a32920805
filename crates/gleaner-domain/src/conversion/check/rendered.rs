//! What a chat template makes of messages.

use std::ops::Range;

use thiserror::Error;

use super::{Length, Measure};
use crate::conversion::columns::Row;
use crate::conversion::members::Members;
use crate::conversion::tokens::{Author, NotEncodable, Piece, PieceKind};
use crate::debug_lengths;
use crate::json::{Scanner, text};

/// A chat template.
pub trait Render: Send + Sync + std::fmt::Debug {
    /// Renders messages, each a JSON object, and a JSON list of tools; with the beginning of an answer of the
    /// model behind them, if `prompt`.
    ///
    /// # Errors
    /// If the template refuses them.
    fn render(
        &self,
        messages: &[&[u8]],
        tools: Option<&[u8]>,
        prompt: bool,
    ) -> Result<Rendered, TemplateFails>;
}

/// The template refuses messages: what kind of error it is, and where in the template. Never more, as the
/// reason itself may hold their text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
#[error("{0}")]
pub struct TemplateFails(pub String);

/// Messages as text.
#[derive(Clone, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Where it is the model's, in bytes, in order; `None` if the template does not mark that.
    pub model: Option<Vec<Range<usize>>>,
}

debug_lengths!(Rendered { } lengths { text });

/// The messages of a row.
pub(super) struct Messages<'r> {
    pub(super) messages: Vec<&'r [u8]>,
    pub(super) tools: Option<&'r [u8]>,
}

impl<'r> Messages<'r> {
    /// The messages of a row that has them under that name.
    pub fn of(row: &'r Row) -> Option<Self> {
        let cell = |name: &str| row.cells().find(|cell| cell.column.name == name);
        let mut messages = Vec::new();
        let mut scanner = Scanner::of_checked(cell("messages")?.json);
        let read = scanner.each_element(|scanner| {
            messages.push(scanner.value()?.text);
            Ok(())
        });
        read.ok()?;
        let tools = cell("tools").map(|cell| cell.json);
        Some(Self { messages, tools })
    }

    pub fn render(&self, template: &dyn Render) -> Result<Rendered, TemplateFails> {
        template.render(&self.messages, self.tools, false)
    }

    /// The length of what was rendered.
    pub fn measure(
        &self,
        template: &dyn Render,
        rendered: &Rendered,
        measure: Measure<'_>,
    ) -> Result<Length, NotEncodable> {
        let Some(most) = measure.max_length else {
            return Ok(Length {
                tokens: measure.tokenizer.count(&rendered.text)?,
                lost: 0,
                model_lost: Some(0),
            });
        };
        let ends = measure.tokenizer.ends(&rendered.text)?;
        let tokens = ends.len() as u64;
        let lost = tokens.saturating_sub(most);
        let model_lost = match lost {
            0 => Some(0),
            _ => {
                let ranges = match &rendered.model {
                    Some(ranges) => Some(ranges.clone()),
                    None => self.answers(template, &rendered.text),
                };
                ranges.map(|ranges| {
                    let first = usize::try_from(most).unwrap_or(usize::MAX);
                    ends_within(&ends[first.min(ends.len())..], &ranges)
                })
            }
        };
        Ok(Length {
            tokens,
            lost,
            model_lost,
        })
    }

    /// Where the model's messages are: between what the template makes of the messages before one, with the
    /// beginning of an answer, and of those up to it. `None` if the template does not render messages one
    /// behind the other.
    fn answers(&self, template: &dyn Render, whole: &str) -> Option<Vec<Range<usize>>> {
        let mut ranges = Vec::new();
        for (place, message) in self.messages.iter().enumerate() {
            let value = Scanner::of_checked(message).value().ok()?;
            if !Members::of(&value)?.is("role", "assistant") {
                continue;
            }
            let length = |messages, prompt| {
                let part = template.render(messages, self.tools, prompt).ok()?;
                whole.starts_with(&part.text).then_some(part.text.len())
            };
            let start = length(&self.messages[..place], true)?;
            let end = length(&self.messages[..=place], false)?;
            ranges.push(start..end);
        }
        Some(ranges)
    }
}

/// How many tokens end within one of the ranges, which are in order.
fn ends_within(ends: &[usize], ranges: &[Range<usize>]) -> u64 {
    let mut ranges = ranges.iter().peekable();
    let within = ends.iter().filter(|&&end| {
        while ranges.next_if(|range| range.end < end).is_some() {}
        ranges.peek().is_some_and(|range| range.start < end)
    });
    within.count() as u64
}

/// What a template did to the texts of a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Texts that are not in what was rendered.
    pub missing: u64,
    /// Texts that are there only as JSON of the text.
    pub encoded: u64,
    /// Whether texts of the model and results are in another order.
    pub is_moved: bool,
}

/// Looks for texts in what was rendered. Arguments may be written in many ways: of those only their JSON
/// as a text is looked for.
pub(super) fn compare(pieces: &[Piece<'_>], rendered: &str) -> Compared {
    let mut compared = Compared::default();
    let find = |text: &str, from: usize| {
        let place = memchr::memmem::find(&rendered.as_bytes()[from..], text.as_bytes())?;
        Some(from + place + text.len())
    };
    // The first place where a text can stand: if all are in order, each is found behind the one before.
    let mut behind = 0;
    for piece in pieces {
        let own = piece.text.trim();
        // A preset may give a tool another name, which a rule says.
        if piece.kind == PieceKind::Name {
            continue;
        }
        // Templates put a system message where they like; some put it into one of the user's.
        let has_order =
            piece.kind == PieceKind::Text && matches!(piece.author, Author::Model | Author::Tool);
        if has_order && let Some(end) = find(own, behind) {
            behind = end;
            continue;
        }
        if find(own, 0).is_some() {
            compared.is_moved |= has_order;
            continue;
        }
        let mut body = Vec::new();
        text::write_string(own, &mut body);
        let body = String::from_utf8_lossy(&body[1..body.len() - 1]);
        if body != own && find(&body, 0).is_some() {
            compared.encoded += 1;
        } else if piece.kind != PieceKind::Arguments {
            compared.missing += 1;
        }
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_models_where_its_messages_are() {
        let ends = [2, 4, 6, 8, 10];
        assert_eq!(ends_within(&ends, &[2..4, 7..10]), 3);
        assert_eq!(ends_within(&ends[2..], &[2..4, 7..10]), 2);
        assert_eq!(ends_within(&ends, &[]), 0);
    }

    #[test]
    fn a_text_is_there_or_left_out_or_encoded_again() {
        let piece = |text: &'static str, kind| Piece {
            author: Author::User,
            kind,
            text: text.into(),
        };
        let pieces = [
            piece(" \"hi\" ", PieceKind::Text),
            piece("gone", PieceKind::Text),
            piece("a\nb", PieceKind::Text),
            piece("{\"a\":1}", PieceKind::Arguments),
            piece("{\"b\":1}", PieceKind::Arguments),
            piece("renamed", PieceKind::Name),
        ];
        let rendered = r#"say "hi" | a\nb | "{\"a\":1}" | {"b": 1}"#;
        let compared = compare(&pieces, rendered);
        assert_eq!((compared.missing, compared.encoded), (1, 2));
    }

    #[test]
    fn what_stands_before_what_it_followed_has_moved() {
        let piece = |author, text: &'static str| Piece {
            author,
            kind: PieceKind::Text,
            text: text.into(),
        };
        let pieces = [
            piece(Author::System, "be kind"),
            piece(Author::User, "list them"),
            piece(Author::Model, "I look."),
            piece(Author::Tool, "a.txt"),
            piece(Author::Model, "One."),
        ];
        let is_moved = |rendered: &str| compare(&pieces, rendered).is_moved;
        assert!(!is_moved("be kind, list them, I look. a.txt One."));
        assert!(!is_moved("I look. a.txt One. be kind, list them"));
        assert!(is_moved("be kind, list them, a.txt I look.One."));
        // A text that stands elsewhere too is where it belongs.
        assert!(!is_moved("One. a.txt I look. a.txt One."));
    }
}
