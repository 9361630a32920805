//! A conversation as exchanges: what the user said, what the model did, and what it answered.

use super::members::{Members, elements};
use super::rule::{Findings, Rule};
use super::text::{Json, Text};
use super::{NotARecord, Preset, Unfinished, tools, trajectory};
use crate::debug_lengths;
use crate::json::{Kind, Scanner};
use crate::selection::kusto_hash;

/// A conversation.
pub struct Chat<'a> {
    /// Its `conversationId`.
    pub id: Text<'a>,
    /// Its `bucket`, if it names one.
    pub bucket: Option<Text<'a>>,
    /// The system message, if it is known.
    pub system: Option<Text<'a>>,
    /// The definitions of tools in the form of chat messages, if they are known.
    pub tools: Option<Vec<tools::Tool<'a>>>,
    /// Its turns.
    pub turns: Vec<Exchange<'a>>,
}

debug_lengths!(Chat<'_> { id } lengths { turns });

/// A turn.
pub struct Exchange<'a> {
    /// What the user said.
    pub user: Text<'a>,
    /// The messages of the model that call tools, with the results.
    pub replies: Vec<Reply<'a>>,
    /// What the model answered behind the last of them.
    pub answer: Option<Text<'a>>,
}

debug_lengths!(Exchange<'_> { } lengths { replies });

/// A message of the model that calls tools, or acts by text.
#[derive(Default)]
pub struct Reply<'a> {
    /// Its text, unless it is blank.
    pub text: Option<Text<'a>>,
    /// Its calls.
    pub calls: Vec<Call<'a>>,
    /// What was observed after an action that is text.
    pub observation: Option<Text<'a>>,
}

debug_lengths!(Reply<'_> { } lengths { calls });

/// A call of a tool.
pub struct Call<'a> {
    /// Its id.
    pub id: Text<'a>,
    /// The tool.
    pub tool: Text<'a>,
    /// Its arguments; `None` where they are no JSON.
    pub arguments: Option<Arguments<'a>>,
    /// Its result.
    pub result: Option<Text<'a>>,
}

debug_lengths!(Call<'_> { id, tool } lengths { });

/// A message, in the order of the conversation.
pub enum Message<'c, 'a> {
    /// The system message.
    System(&'c Text<'a>),
    /// The user's.
    User(&'c Text<'a>),
    /// One of the model that calls tools, with the results.
    Reply(&'c Reply<'a>),
    /// The answer at the end of a turn.
    Answer(&'c Text<'a>),
}

/// The arguments of a call.
pub struct Arguments<'a> {
    /// What they are.
    pub value: Json<'a>,
    /// The text that the model wrote, where the record has that.
    pub text: Option<Text<'a>>,
}

debug_lengths!(Arguments<'_> { value } lengths { });

impl Arguments<'_> {
    /// Whether they are an object.
    pub fn is_object(&self) -> bool {
        self.value.kind == Kind::Object
    }
}

impl<'a> Chat<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// If it is no JSON, or has no id or turns.
    pub fn read(record: &'a [u8], findings: &mut Findings) -> Result<Self, NotARecord> {
        let members = Members::read(record)?;
        let id = members.text(&["conversationId"]);
        let id = id.ok_or(NotARecord::Field("conversationId"))?;
        let turns = members.get(&["turnsArray"]);
        let turns = turns.filter(|turns| turns.kind == Kind::Array);
        let turns = turns.ok_or(NotARecord::Field("turnsArray"))?;
        let seed = kusto_hash::hash(id.body());
        let turns = elements(&turns).into_iter().zip(0..).map(|(turn, place)| {
            let turn = Members::of(&turn).ok_or(NotARecord::Field("a turn"))?;
            Exchange::read(&turn, (seed, place), findings)
        });
        Ok(Self {
            turns: turns.collect::<Result<_, _>>()?,
            id,
            bucket: members.text(&["bucket"]),
            system: members.text(&["system"]).and_then(Text::unless_blank),
            tools: members
                .get(&["tools"])
                .and_then(|tools| tools::read(&tools, findings)),
        })
    }

    /// Leaves out what the preset cannot take.
    ///
    /// # Errors
    /// The rule by which nothing is left.
    pub fn settle(
        &mut self,
        preset: Preset,
        unfinished: Unfinished,
        findings: &mut Findings,
    ) -> Result<(), Rule> {
        if self.turns.iter().any(Exchange::is_silent) {
            return Err(Rule::EmptyReply);
        }
        let unfinished = match unfinished {
            // There a call is always followed by an observation.
            Unfinished::Keep if preset == Preset::LlamaFactory => Unfinished::default(),
            unfinished => unfinished,
        };
        self.end_before_unfinished(unfinished, findings)?;
        for turn in &mut self.turns {
            turn.leave_out_unreadable(findings);
        }
        self.turns.retain(|turn| {
            let unanswered = turn.is_silent();
            if unanswered {
                findings.add(Rule::UnansweredUser);
            }
            !unanswered
        });
        if preset.needs_final_text() {
            let is_open = |turn: &Exchange<'_>| turn.answer.is_none();
            if let Some(first) = self.turns.iter().position(is_open) {
                self.turns.truncate(first);
                findings.add(Rule::NoFinalText);
            }
        }
        self.note_tools(findings);
        match self.turns.is_empty() {
            true => Err(Rule::NothingLeft),
            false => Ok(()),
        }
    }

    /// All its calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call<'a>> {
        self.turns.iter().flat_map(Exchange::calls)
    }

    /// Its messages, in order.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_, 'a>> {
        let turns = self.turns.iter().flat_map(|turn| {
            let replies = turn.replies.iter().map(Message::Reply);
            let answer = turn.answer.iter().map(Message::Answer);
            [Message::User(&turn.user)]
                .into_iter()
                .chain(replies)
                .chain(answer)
        });
        self.system.iter().map(Message::System).chain(turns)
    }

    /// Ends the conversation before the first turn with a call that has no result.
    fn end_before_unfinished(
        &mut self,
        unfinished: Unfinished,
        findings: &mut Findings,
    ) -> Result<(), Rule> {
        let is_open = |turn: &Exchange<'_>| turn.calls().any(|call| call.result.is_none());
        match unfinished {
            Unfinished::Keep => {
                for turn in &self.turns {
                    for _ in turn.calls().filter(|call| call.result.is_none()) {
                        findings.add(Rule::CallWithoutResultKept);
                    }
                }
            }
            Unfinished::DropRecord if self.turns.iter().any(is_open) => {
                return Err(Rule::UnfinishedRecord);
            }
            Unfinished::DropRecord => {}
            Unfinished::DropTurnAndAfter => {
                if let Some(first) = self.turns.iter().position(is_open) {
                    self.turns.truncate(first);
                    findings.add(Rule::CallWithoutResult);
                }
            }
        }
        Ok(())
    }

    /// Notes calls of tools that the record does not define.
    fn note_tools(&self, findings: &mut Findings) {
        let mut calls = self.calls();
        match &self.tools {
            None if calls.next().is_some() => findings.add(Rule::NoTools),
            None => {}
            Some(tools) => {
                for call in calls {
                    if !tools.iter().any(|tool| tool.name == call.tool) {
                        findings.add(Rule::UnknownTool);
                    }
                }
            }
        }
    }
}

impl<'a> Exchange<'a> {
    fn read(
        turn: &Members<'a>,
        place: (i64, u64),
        findings: &mut Findings,
    ) -> Result<Self, NotARecord> {
        let user = turn.text(&["userMessage"]);
        let user = user.ok_or(NotARecord::Field("userMessage"))?;
        let answer = turn.text(&["modelMessage"]).and_then(Text::unless_blank);
        let texts = turn.get(&["llmCalls"]).map(|calls| {
            let texts = elements(&calls).into_iter().map(|call| {
                let text = Members::of(&call)?.text(&["text"])?;
                text.unless_blank()
            });
            texts.collect()
        });
        let Some(value) = turn.get(&["trajectory"]) else {
            return Ok(Self {
                user,
                replies: Vec::new(),
                answer,
            });
        };
        let steps = trajectory::steps(&value, &user, findings);
        let replies = trajectory::pair(steps, texts.unwrap_or_default(), place, findings);
        Ok(replies.into_exchange(user, answer, findings))
    }

    /// Its calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call<'a>> {
        self.replies.iter().flat_map(|reply| &reply.calls)
    }

    /// Whether the model did not say or do anything.
    fn is_silent(&self) -> bool {
        self.replies.is_empty() && self.answer.is_none()
    }

    /// Leaves out the first call whose arguments are no JSON, and what follows it.
    fn leave_out_unreadable(&mut self, findings: &mut Findings) {
        let unreadable = |call: &Call<'_>| call.arguments.is_none();
        let places = self.replies.iter().enumerate();
        let first =
            places.filter_map(|(reply, at)| Some((reply, at.calls.iter().position(unreadable)?)));
        let Some((reply, call)) = first.min() else {
            return;
        };
        findings.add(Rule::ArgumentsNotJson);
        self.replies.truncate(reply + 1);
        self.answer = None;
        let last = &mut self.replies[reply];
        last.calls.truncate(call);
        if call == 0 {
            // A message without calls is an answer.
            self.answer = last.text.take();
            self.replies.pop();
        }
    }
}

/// The arguments in a value, which is JSON or a text that holds JSON.
pub fn arguments<'a>(value: Option<Json<'a>>, findings: &mut Findings) -> Option<Arguments<'a>> {
    let empty = |findings: &mut Findings| {
        findings.add(Rule::EmptyArguments);
        Some(Arguments {
            value: Json {
                kind: Kind::Object,
                text: b"{}".as_slice().into(),
            },
            text: None,
        })
    };
    let Some(value) = value else {
        return empty(findings);
    };
    if value.kind != Kind::String {
        return Some(Arguments { value, text: None });
    }
    let text = Text::of_string(value);
    if text.is_blank() {
        return empty(findings);
    }
    Some(Arguments {
        value: Json::parse(&text)?,
        text: Some(text),
    })
}

/// Passes one value of a text; `None` if it is not JSON.
pub fn value_of(text: &[u8]) -> Option<crate::json::Value<'_>> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value().ok()?;
    scanner.end().ok()?;
    Some(value)
}
