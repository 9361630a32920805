//! What a model did in a turn, in any of the dialects that agents write.
//!
//! An entry's dialect is known by its keys, so one trajectory may mix them. Every dialect gives the same
//! [`Step`]s, which [`pair`] puts together to messages.
//!
//! | dialect | known by | source |
//! |---|---|---|
//! | gleaner's own | `tool`, `arguments`, `result` | `docs/output.md` |
//! | chat messages | `role` | chat completions API; content parts also of Anthropic's messages API |
//! | OpenTelemetry | `role`, `parts` | GenAI semantic conventions, `gen_ai.input.messages` |
//! | response items | `type` `function_call`, `function_call_output` | responses API |
//! | Copilot CLI | `type`, `data`; `toolRequests` | session events |
//! | ATIF | `source`, `step_id` | Harbor, `ATIF-v1.x` |
//! | OpenHands | `action` or `observation` beside `source` | event stream |
//! | SWE-agent | `thought`, `action`, `observation` | trajectory files |

use std::borrow::Cow;

use super::chat::value_of;
use super::members::{Members, elements};
use super::rule::{Findings, Rule};
use super::text::{Json, Text};
use crate::json::{Kind, Value};

mod atif;
mod copilot_cli;
mod messages;
mod open_hands;
mod own;
mod pairing;
mod response_items;
mod swe_agent;

pub(super) use pairing::made_id;
pub use pairing::pair;

/// The kinds of parts of a message's content. A list of other objects is data, also if they have a `type`.
const PARTS: [&str; 10] = [
    "text",
    "input_text",
    "output_text",
    "image",
    "image_url",
    "input_image",
    "audio",
    "input_audio",
    "file",
    "document",
];

/// Which call a result belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultOf<'a> {
    /// The one with this id.
    Id(Text<'a>),
    /// The latest one.
    Latest,
    /// The one at the same place among those of the latest message, if there are as many.
    Position,
}

/// Which calls were made at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group<'a> {
    /// Nobody knows: it stands alone.
    Alone,
    /// Those of one call of the model, by its place in the turn.
    Round(u64),
    /// Those of one answer of the model, by its id.
    Answer(Text<'a>),
    /// Those of the same entry of the trajectory.
    Entry(usize),
}

/// A thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// The model wrote a text.
    Said(Text<'a>),
    /// The model called a tool.
    Called {
        /// The id of the call.
        id: Option<Text<'a>>,
        /// Which calls belong together.
        group: Group<'a>,
        /// The name of the tool.
        tool: Text<'a>,
        /// A JSON value, or a text that holds one.
        arguments: Option<Json<'a>>,
    },
    /// A tool answered.
    Answered {
        /// The call.
        of: ResultOf<'a>,
        /// What it answered.
        content: Text<'a>,
    },
    /// The model acted by text, and saw this.
    Acted {
        /// What it wrote.
        text: Text<'a>,
        /// What it saw.
        observation: Option<Text<'a>>,
    },
}

/// The steps of a trajectory of a turn with that message of the user.
pub fn steps<'a>(
    trajectory: &Value<'a>,
    user: &Text<'_>,
    findings: &mut Findings,
) -> Vec<Step<'a>> {
    match trajectory.kind {
        Kind::Array => of_entries(&elements(trajectory), user, findings),
        Kind::Object => {
            let members = Members::of(trajectory);
            let lists = ["steps", "messages", "events", "history", "trajectory"];
            let list = members.and_then(|members| members.get(&lists));
            match list.filter(|list| list.kind == Kind::Array) {
                Some(list) => of_entries(&elements(&list), user, findings),
                None => only_counts(findings),
            }
        }
        Kind::String => {
            let text = Text::of(trajectory).unwrap_or_default();
            let decoded = text.decoded();
            match value_of(&decoded)
                .filter(|value| matches!(value.kind, Kind::Array | Kind::Object))
            {
                Some(value) => {
                    let steps = steps(&value, user, findings);
                    steps.into_iter().map(Step::into_owned).collect()
                }
                None if text.is_blank() => Vec::new(),
                None => only_counts(findings),
            }
        }
        Kind::Null => Vec::new(),
        Kind::Number | Kind::Bool => only_counts(findings),
    }
}

fn only_counts<'a>(findings: &mut Findings) -> Vec<Step<'a>> {
    findings.add(Rule::NoCalls);
    Vec::new()
}

fn of_entries<'a>(
    entries: &[Value<'a>],
    user: &Text<'_>,
    findings: &mut Findings,
) -> Vec<Step<'a>> {
    let mut reader = Reader {
        steps: Vec::with_capacity(2 * entries.len()),
        findings,
        user,
        without_calls: false,
    };
    for (place, entry) in entries.iter().enumerate() {
        match Members::of(entry) {
            Some(members) => reader.entry(&members, place),
            None => reader.without_calls = true,
        }
    }
    let Reader {
        steps,
        without_calls,
        ..
    } = reader;
    if without_calls {
        findings.add(Rule::NoCalls);
    }
    steps
}

/// Reads entries of any dialect into steps.
struct Reader<'a, 'f> {
    steps: Vec<Step<'a>>,
    findings: &'f mut Findings,
    /// The user's message of the turn.
    user: &'f Text<'f>,
    /// Whether an action was no call.
    without_calls: bool,
}

impl<'a> Reader<'a, '_> {
    fn entry(&mut self, entry: &Members<'a>, place: usize) {
        let kind = |name| entry.get(&[name]).map(|value| value.kind);
        if entry.has("role") {
            messages::read(self, entry, place);
        } else if entry.has("toolRequests")
            || (kind("data") == Some(Kind::Object) && entry.has("type"))
        {
            copilot_cli::read(self, entry, place);
        } else if entry.is("type", "function_call") || entry.is("type", "function_call_output") {
            response_items::read(self, entry);
        } else if entry.has("source") && (entry.has("step_id") || entry.has("tool_calls")) {
            atif::read(self, entry, place);
        } else if entry.has("source") && (entry.has("action") || entry.has("observation")) {
            open_hands::read(self, entry);
        } else if entry.has("action") && (entry.has("thought") || entry.has("observation")) {
            swe_agent::read(self, entry);
        } else {
            own::read(self, entry);
        }
    }

    fn said(&mut self, text: Option<Text<'a>>) {
        if let Some(text) = text.and_then(Text::unless_blank) {
            self.steps.push(Step::Said(text));
        }
    }

    /// A call; one without the name of a tool is none.
    fn called(
        &mut self,
        id: Option<Text<'a>>,
        group: Group<'a>,
        tool: Option<Text<'a>>,
        arguments: Option<Value<'a>>,
    ) {
        let Some(tool) = tool.and_then(Text::unless_blank) else {
            self.without_calls = true;
            return;
        };
        self.steps.push(Step::Called {
            id: id.and_then(Text::unless_blank),
            group,
            tool,
            arguments: arguments.map(|value| Json::of(&value)),
        });
    }

    fn answered(&mut self, of: ResultOf<'a>, content: Option<Value<'a>>) {
        if let Some(content) = self.content(content) {
            self.steps.push(Step::Answered { of, content });
        }
    }

    /// The text of a content: a text, parts of a message, or JSON.
    fn content(&mut self, content: Option<Value<'a>>) -> Option<Text<'a>> {
        let content = content?;
        match self.parts(&content) {
            Some(text) => Some(text),
            None => Some(self.data(&content)),
        }
    }

    /// A text, or JSON.
    fn data(&mut self, content: &Value<'a>) -> Text<'a> {
        if let Some(text) = Text::of(content) {
            return text;
        }
        self.findings.add(Rule::ResultIsJson);
        Text::of_utf8(&Json::of(content).text)
    }

    /// The texts of a list of parts; `None` if it is no such list.
    fn parts(&mut self, content: &Value<'a>) -> Option<Text<'a>> {
        let parts = elements(content);
        let parts: Vec<_> = parts.iter().map(Members::of).collect::<Option<_>>()?;
        let is_part = |part: &Members<'_>| PARTS.iter().any(|kind| part.is("type", kind));
        if parts.is_empty() || !parts.iter().all(is_part) {
            return None;
        }
        let mut texts = Vec::new();
        for part in &parts {
            match part.text(&["text", "content"]) {
                Some(text) => texts.push(text),
                None => self.findings.add(Rule::PartLeftOut),
            }
        }
        Some(Text::joined(texts).unwrap_or_default())
    }
}

impl Step<'_> {
    fn into_owned(self) -> Step<'static> {
        match self {
            Self::Said(text) => Step::Said(text.into_owned()),
            Self::Called {
                id,
                group,
                tool,
                arguments,
            } => Step::Called {
                id: id.map(Text::into_owned),
                group: match group {
                    Group::Alone => Group::Alone,
                    Group::Round(round) => Group::Round(round),
                    Group::Answer(id) => Group::Answer(id.into_owned()),
                    Group::Entry(place) => Group::Entry(place),
                },
                tool: tool.into_owned(),
                arguments: arguments.map(Json::into_owned),
            },
            Self::Answered { of, content } => Step::Answered {
                of: match of {
                    ResultOf::Id(id) => ResultOf::Id(id.into_owned()),
                    ResultOf::Latest => ResultOf::Latest,
                    ResultOf::Position => ResultOf::Position,
                },
                content: content.into_owned(),
            },
            Self::Acted { text, observation } => Step::Acted {
                text: text.into_owned(),
                observation: observation.map(Text::into_owned),
            },
        }
    }
}

/// The number in a value, if it is a whole one.
fn whole(value: &Value<'_>) -> Option<u64> {
    let text: Cow<'_, str> = String::from_utf8_lossy(value.text);
    text.parse().ok()
}
