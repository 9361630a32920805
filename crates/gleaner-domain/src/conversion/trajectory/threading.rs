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
#[derive(Default)]
pub struct Thread<'a> {
    replies: Vec<Reply<'a>>,
    /// Texts of the model that no call has followed yet.
    said: Vec<Text<'a>>,
    /// Whether the last call of the model, whose text is the turn's answer, made calls.
    ends_with_calls: bool,
}

/// Puts steps together. `texts` are the texts of the turn's calls of the model, by round, where those are
/// known; `place` is the conversation's hash and the turn's place, of which ids are made.
pub fn thread<'a>(
    steps: Vec<Step<'a>>,
    mut texts: Vec<Option<Text<'a>>>,
    place: (i64, u64),
    findings: &mut Findings,
) -> Thread<'a> {
    let mut thread = Thread::default();
    let rounds = texts.len();
    let mut group = None;
    let mut made = 0;
    // Results without an id, which follow each other.
    let mut unnamed = Vec::new();
    for step in steps {
        if !matches!(
            &step,
            Step::Answered {
                of: ResultOf::Position,
                ..
            }
        ) {
            thread.pair_by_position(&mut unnamed, findings);
        }
        match step {
            Step::Said(text) => {
                thread.said.push(text);
                group = None;
            }
            Step::Acted { text, observation } => {
                thread.said.push(text);
                let text = Text::joined(std::mem::take(&mut thread.said));
                thread.replies.push(Reply {
                    text,
                    calls: Vec::new(),
                    observation,
                });
                group = None;
            }
            Step::Called {
                id,
                group: now,
                tool,
                arguments,
            } => {
                if let Group::Round(round) = now
                    && let Some(text) = texts.get_mut(round as usize).and_then(Option::take)
                {
                    thread.said.push(text);
                }
                if group.as_ref() != Some(&now) || now == Group::Alone {
                    let text = Text::joined(std::mem::take(&mut thread.said));
                    thread.replies.push(Reply {
                        text,
                        ..Reply::default()
                    });
                }
                thread.ends_with_calls =
                    matches!(now, Group::Round(round) if round as usize + 1 == rounds);
                group = Some(now);
                let call = new_call(id, tool, arguments, (place, made), findings);
                made += 1;
                let reply = thread.replies.last_mut().expect("there is one");
                reply.calls.push(call);
            }
            Step::Answered {
                of: ResultOf::Position,
                content,
            } => unnamed.push(content),
            Step::Answered { of, content } => {
                let call = match &of {
                    ResultOf::Id(id) => thread.with_id(id),
                    _ => thread
                        .replies
                        .last_mut()
                        .and_then(|reply| reply.calls.last_mut()),
                };
                match call.filter(|call| call.result.is_none()) {
                    Some(call) => call.result = Some(content),
                    None => findings.add(Rule::OrphanResult),
                }
            }
        }
    }
    thread.pair_by_position(&mut unnamed, findings);
    // The last one's text is the answer.
    let unused = texts.into_iter().rev().skip(1).flatten();
    (0..unused.count()).for_each(|_| findings.add(Rule::TextLeftOut));
    thread
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

impl<'a> Thread<'a> {
    /// Gives results without ids to the calls of the latest message, if there are as many.
    fn pair_by_position(&mut self, results: &mut Vec<Text<'a>>, findings: &mut Findings) {
        let open = |reply: &&mut Reply<'a>| {
            let calls = &reply.calls;
            calls.len() == results.len() && calls.iter().all(|call| call.result.is_none())
        };
        let rule = match self.replies.last_mut().filter(open) {
            Some(reply) => {
                for (call, result) in reply.calls.iter_mut().zip(results.iter_mut()) {
                    call.result = Some(std::mem::take(result));
                }
                Rule::PairedByPosition
            }
            None => Rule::OrphanResult,
        };
        results.drain(..).for_each(|_| findings.add(rule));
    }

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
