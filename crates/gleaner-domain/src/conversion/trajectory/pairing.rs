//! From steps to messages: which calls were made at once, which text stands beside them, which result
//! belongs to which call.

use super::super::chat::{self, Call, Exchange, Reply};
use super::{Findings, Group, Json, ResultOf, Rule, Step, Text};
use crate::selection::kusto_hash;

/// Letters and digits, the alphabet of ids that every loader takes.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of an id that is made: what mistral-common takes.
const ID_LENGTH: usize = 9;

/// The messages of a turn, and the text that stands behind the last of them.
pub struct Paired<'a> {
    replies: Vec<Reply<'a>>,
    /// Texts of the model that no call has followed yet.
    said: Vec<Text<'a>>,
    /// Whether the last call of the model, whose text is the turn's answer, made calls.
    ends_with_calls: bool,
}

/// Puts steps together. `texts` are the texts of the turn's calls of the model, by round, where those are
/// known; `place` is the conversation's hash and the turn's place, of which ids are made.
pub fn pair<'a>(
    steps: Vec<Step<'a>>,
    texts: Vec<Option<Text<'a>>>,
    place: (i64, u64),
    findings: &mut Findings,
) -> Paired<'a> {
    let mut pairing = Pairing {
        rounds: texts.len(),
        texts,
        place,
        group: None,
        calls: 0,
        unnamed: Vec::new(),
        paired: Paired {
            replies: Vec::new(),
            said: Vec::new(),
            ends_with_calls: false,
        },
        findings,
    };
    for step in steps {
        pairing.take(step);
    }
    pairing.finish()
}

/// Messages in the making.
struct Pairing<'a, 'f> {
    /// Texts of rounds that stand in no message yet.
    texts: Vec<Option<Text<'a>>>,
    rounds: usize,
    place: (i64, u64),
    /// The group of the calls of the latest message, while more of it may come.
    group: Option<Group<'a>>,
    /// Calls so far.
    calls: u64,
    /// Results without an id, which follow each other.
    unnamed: Vec<Text<'a>>,
    paired: Paired<'a>,
    findings: &'f mut Findings,
}

impl<'a> Pairing<'a, '_> {
    fn take(&mut self, step: Step<'a>) {
        let is_unnamed = matches!(&step, Step::Answered { of, .. } if *of == ResultOf::Position);
        if !is_unnamed {
            self.pair_by_position();
        }
        match step {
            Step::Said(text) => {
                self.paired.said.push(text);
                self.group = None;
            }
            Step::Acted { text, observation } => {
                self.paired.said.push(text);
                self.begin_reply();
                if let Some(reply) = self.paired.replies.last_mut() {
                    reply.observation = observation;
                }
                self.group = None;
            }
            Step::Called {
                id,
                group,
                tool,
                arguments,
            } => {
                self.join_group(group);
                let place = (self.place, self.calls);
                self.calls += 1;
                let call = new_call(id, tool, arguments, place, self.findings);
                if let Some(reply) = self.paired.replies.last_mut() {
                    reply.calls.push(call);
                }
            }
            Step::Answered { of, content } => self.answer(&of, content),
        }
    }

    /// Begins a message with what the model has said.
    fn begin_reply(&mut self) {
        let text = Text::joined(std::mem::take(&mut self.paired.said));
        self.paired.replies.push(Reply {
            text,
            ..Reply::default()
        });
    }

    /// The latest message is that of the group's calls; a text of its round stands beside them.
    fn join_group(&mut self, group: Group<'a>) {
        self.paired.ends_with_calls = false;
        if let Group::Round(round) = group {
            let round = usize::try_from(round).unwrap_or(usize::MAX);
            let text = self.texts.get_mut(round).and_then(Option::take);
            self.paired.said.extend(text);
            self.paired.ends_with_calls = round.checked_add(1) == Some(self.rounds);
        }
        if group == Group::Alone || self.group.as_ref() != Some(&group) {
            self.begin_reply();
        }
        self.group = Some(group);
    }

    fn answer(&mut self, of: &ResultOf<'a>, content: Text<'a>) {
        let call = match of {
            ResultOf::Position => return self.unnamed.push(content),
            ResultOf::Id(id) => self.paired.with_id(id),
            ResultOf::Latest => {
                let reply = self.paired.replies.last_mut();
                reply.and_then(|reply| reply.calls.last_mut())
            }
        };
        match call.filter(|call| call.result.is_none()) {
            Some(call) => call.result = Some(content),
            None => self.findings.add(Rule::OrphanResult),
        }
    }

    /// Gives results without ids to the calls of the latest message, if there are as many.
    fn pair_by_position(&mut self) {
        let results = std::mem::take(&mut self.unnamed);
        let count = results.len();
        let is_open = |reply: &&mut Reply<'a>| {
            let calls = &reply.calls;
            calls.len() == count && calls.iter().all(|call| call.result.is_none())
        };
        let rule = match self.paired.replies.last_mut().filter(is_open) {
            Some(reply) => {
                for (call, result) in reply.calls.iter_mut().zip(results) {
                    call.result = Some(result);
                }
                Rule::PairedByPosition
            }
            None => Rule::OrphanResult,
        };
        (0..count).for_each(|_| self.findings.add(rule));
    }

    fn finish(mut self) -> Paired<'a> {
        self.pair_by_position();
        // The last one's text is the answer.
        let unused = self.texts.into_iter().rev().skip(1).flatten();
        unused.for_each(|_| self.findings.add(Rule::TextLeftOut));
        self.paired
    }
}

fn new_call<'a>(
    id: Option<Text<'a>>,
    tool: Text<'a>,
    arguments: Option<Json<'a>>,
    place: ((i64, u64), u64),
    findings: &mut Findings,
) -> Call<'a> {
    let id = id.unwrap_or_else(|| {
        findings.add(Rule::MadeCallId);
        let ((conversation, turn), call) = place;
        made_id(&format!("{conversation}/{turn}/{call}"))
    });
    Call {
        id,
        tool,
        arguments: chat::arguments(arguments, findings),
        result: None,
    }
}

/// An id of nine letters and digits, always the same for a text.
pub(in crate::conversion) fn made_id(of: &str) -> Text<'static> {
    let mut rest = kusto_hash::hash(of.as_bytes()).cast_unsigned();
    let id = (0..ID_LENGTH).map(|_| {
        let letter = ALPHABET[(rest % 62) as usize];
        rest /= 62;
        char::from(letter)
    });
    Text::plain(id.collect())
}

impl<'a> Paired<'a> {
    /// The latest call with an id: some programs use an id again.
    fn with_id(&mut self, id: &Text<'_>) -> Option<&mut Call<'a>> {
        let calls = self.replies.iter_mut().flat_map(|reply| &mut reply.calls);
        calls.rev().find(|call| call.id.body() == id.body())
    }

    /// The turn with these messages. Its answer is the one that the record has; a turn without one is
    /// answered by what the trajectory says last.
    pub fn into_exchange(
        mut self,
        user: Text<'a>,
        answer: Option<Text<'a>>,
        findings: &mut Findings,
    ) -> Exchange<'a> {
        let answer = match answer {
            Some(answer) => {
                // The text beside the last calls is the record's answer: it is there once.
                let last = self.replies.last();
                let stands_there = last.is_some_and(|reply| reply.text.as_ref() == Some(&answer));
                self.said.retain(|text| *text != answer);
                (0..self.said.len()).for_each(|_| findings.add(Rule::TextLeftOut));
                (!(self.ends_with_calls && stands_there)).then_some(answer)
            }
            None => Text::joined(self.said),
        };
        Exchange {
            user,
            replies: self.replies,
            answer,
        }
    }
}
