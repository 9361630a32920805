//! What a loader would do to a record: lose, change or encode again a part of it.
//!
//! What the preset's rules say, what a chat template makes of the messages, and what is behind the
//! longest length that is trained on. Pure: the tokenizer and the template come in as traits.

use std::collections::BTreeMap;

use super::rule::{Effect, Findings, Rule};
use super::tokens::{self, Author, NotEncodable, Piece, Tokenize};
use super::{Converter, NotARecord, Row};

mod calls;
mod rendered;
mod tally;

pub use rendered::{Render, Rendered, TemplateFails};
pub use tally::{Count, StratumTally};

/// What happens to a part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The record is not trained on.
    Dropped,
    /// A part of it is not.
    Truncated,
    /// It is trained on in another form.
    Changed,
    /// A text is trained on as JSON of that text.
    DoubleEncoded,
    /// Nothing; something about it is not known.
    Noted,
}

impl Kind {
    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Truncated => "truncated",
            Self::Changed => "changed",
            Self::DoubleEncoded => "double-encoded",
            Self::Noted => "noted",
        }
    }

    /// Whether something is lost.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Dropped | Self::Truncated)
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A rule of the preset applies.
    Rule(Rule),
    /// The template refuses the messages.
    TemplateFails,
    /// The tokenizer has no tokens for a text.
    NotEncodable,
    /// The template leaves out a text.
    TemplateDropsText,
    /// The template leaves out a call.
    TemplateDropsCall,
    /// The record is longer than what is trained on.
    MaxLength,
    /// The template writes a text as JSON of that text.
    TemplateEncodesText,
    /// The template puts texts of the model and results into another order.
    TemplateMovesText,
}

impl Finding {
    /// The stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.code(),
            Self::TemplateFails => "template_fails",
            Self::NotEncodable => "not_encodable",
            Self::TemplateDropsText => "template_drops_text",
            Self::TemplateDropsCall => "template_drops_call",
            Self::MaxLength => "max_length",
            Self::TemplateEncodesText => "template_encodes_text",
            Self::TemplateMovesText => "template_moves_text",
        }
    }

    /// What happens.
    pub fn kind(self) -> Kind {
        match self {
            Self::Rule(rule) => match rule.effect() {
                Effect::RecordDropped => Kind::Dropped,
                Effect::TurnsDropped | Effect::LeftOut => Kind::Truncated,
                Effect::Changed => Kind::Changed,
                Effect::Noted => Kind::Noted,
            },
            Self::TemplateFails | Self::NotEncodable => Kind::Dropped,
            Self::TemplateDropsText | Self::TemplateDropsCall | Self::MaxLength => Kind::Truncated,
            Self::TemplateEncodesText => Kind::DoubleEncoded,
            Self::TemplateMovesText => Kind::Changed,
        }
    }
}

/// How long a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// Its tokens.
    pub tokens: u64,
    /// Tokens behind the longest length.
    pub lost: u64,
    /// Those of them that the model wrote; `None` where they cannot be told apart.
    pub model_lost: Option<u64>,
}

/// What a loader would do to a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// What was found, and how often.
    pub findings: BTreeMap<Finding, u64>,
    /// How long it is; `None` if it is dropped, or nothing measures it.
    pub length: Option<Length>,
    /// Why the template refuses its messages.
    pub template_fails: Option<TemplateFails>,
}

/// What a look at a converted record finds.
#[derive(Default)]
struct Look {
    findings: Vec<(Finding, u64)>,
    length: Option<Length>,
    template_fails: Option<TemplateFails>,
}

impl Look {
    /// Nothing but that the record is dropped.
    fn dropped(finding: Finding) -> Self {
        Self {
            findings: vec![(finding, 1)],
            ..Self::default()
        }
    }
}

impl Checked {
    /// The worst that happens to it: what is nearest to being dropped.
    pub fn worst(&self) -> Option<Kind> {
        self.findings.keys().map(|finding| finding.kind()).min()
    }

    fn add(&mut self, finding: Finding, times: u64) {
        if times > 0 {
            *self.findings.entry(finding).or_default() += times;
        }
    }
}

/// What measures records.
///
/// Without a template a record is as long as its texts: the system message, what the user and the model
/// said, names and arguments of calls, and results, each by itself.
#[derive(Debug, Clone, Copy)]
pub struct Measure<'m> {
    /// The tokenizer.
    pub tokenizer: &'m dyn Tokenize,
    /// The most tokens that are trained on.
    pub max_length: Option<u64>,
}

/// Checks records for one preset.
#[derive(Debug)]
pub struct Checker<'m> {
    converter: Converter,
    template: Option<&'m dyn Render>,
    measure: Option<Measure<'m>>,
}

impl<'m> Checker<'m> {
    /// A checker. A template needs a preset with `messages`; others ignore it.
    pub fn new(
        converter: Converter,
        template: Option<&'m dyn Render>,
        measure: Option<Measure<'m>>,
    ) -> Self {
        Self {
            converter,
            template,
            measure,
        }
    }

    /// Says what becomes of a record of a split.
    ///
    /// # Errors
    /// If the text is no record.
    pub fn check(&self, record: &[u8], split: &str) -> Result<Checked, NotARecord> {
        let mut findings = Findings::default();
        let mut checked = Checked::default();
        let preset = self.converter.preset();
        let looked_at = self
            .converter
            .with_chat(record, &mut findings, |chat, findings| {
                let mut row = Row::default();
                self.converter.write(chat, split, &mut row, findings);
                self.look_at(&tokens::pieces(chat, Some(preset)), &row)
            })?;
        for (rule, times) in findings.iter() {
            checked.add(Finding::Rule(rule), u64::from(times));
        }
        if let Ok(look) = looked_at {
            for (finding, times) in look.findings {
                checked.add(finding, times);
            }
            checked.length = look.length;
            checked.template_fails = look.template_fails;
        }
        Ok(checked)
    }

    fn look_at(&self, pieces: &[Piece<'_>], row: &Row) -> Look {
        let mut found = Vec::new();
        let messages = self
            .template
            .and_then(|template| Some((template, rendered::Messages::of(row)?)));
        let length = match messages {
            Some((template, messages)) => {
                let text = match messages.render(template) {
                    Ok(text) => text,
                    Err(why) => {
                        return Look {
                            template_fails: Some(why),
                            ..Look::dropped(Finding::TemplateFails)
                        };
                    }
                };
                let compared = rendered::compare(pieces, &text.text);
                found.push((Finding::TemplateDropsText, compared.missing));
                found.push((Finding::TemplateEncodesText, compared.encoded));
                found.push((Finding::TemplateMovesText, u64::from(compared.is_moved)));
                let dropped = messages.dropped_calls(template);
                found.push((Finding::TemplateDropsCall, dropped));
                self.measure
                    .map(|measure| messages.measure(template, &text, measure))
            }
            None => self.measure.map(|measure| measure.of_pieces(pieces)),
        };
        match length.transpose() {
            Err(NotEncodable) => Look::dropped(Finding::NotEncodable),
            Ok(length) => {
                let lost = length.map_or(0, |length| length.lost);
                found.push((Finding::MaxLength, u64::from(lost > 0)));
                Look {
                    findings: found,
                    length,
                    template_fails: None,
                }
            }
        }
    }
}

impl Measure<'_> {
    /// The length of texts behind each other.
    fn of_pieces(&self, pieces: &[Piece<'_>]) -> Result<Length, NotEncodable> {
        let most = self.max_length.unwrap_or(u64::MAX);
        let (mut tokens, mut model_lost) = (0, 0);
        for piece in pieces {
            let own = self.tokenizer.count(&piece.text)?;
            tokens += own;
            if piece.author == Author::Model {
                model_lost += own.min(tokens.saturating_sub(most));
            }
        }
        Ok(Length {
            tokens,
            lost: tokens.saturating_sub(most),
            model_lost: Some(model_lost),
        })
    }
}
