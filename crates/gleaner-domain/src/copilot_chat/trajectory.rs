//! Calls of tools and their results: what a model called stands in the input of the next call.
//!
//! An input holds the conversation so far. What stands behind its last message of the user is the
//! turn that the call belongs to; what stands between the last two is the turn before, and so on. The
//! j-th message of the model in there is the answer of the j-th call that was answered.

use std::collections::BTreeMap;

use super::calls::{Call, Seen};
use super::message::{Messages, Role};
use super::verified::{self, Trust};

/// A call of a tool.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolStep {
    /// The place of the model's call among the turn's, from 0 on.
    pub round: usize,
    pub id: Vec<u8>,
    pub tool: Vec<u8>,
    /// As the model wrote them, if they are known.
    pub arguments: Option<(Vec<u8>, Trust)>,
    pub result: Option<(Vec<u8>, Trust)>,
}

/// What later inputs say of a turn.
#[derive(Default)]
pub struct Hindsight {
    pub steps: Vec<ToolStep>,
    /// The model's text of every round that was answered, by the place of the call.
    pub texts: BTreeMap<usize, (Vec<u8>, Trust)>,
    /// Texts of the message that the turn begins with, as the model was given it.
    pub prompts: Vec<(Vec<u8>, Trust)>,
    /// Whether the next turn's input was seen: then no call of a tool can be missing.
    pub closed: bool,
}

/// What the turn at `turn` did, as later inputs have it.
pub fn hindsight(turns: &[Vec<Call>], turn: usize, messages: &Messages) -> Hindsight {
    let mut seen = Hindsight::default();
    let calls = &turns[turn];
    let mut collector = Collector::default();
    for (place, call) in calls.iter().enumerate() {
        let input = call.input(messages);
        let (prompt, rounds) = segment(&input, 0);
        collector.prompt(&mut seen, prompt);
        collector.rounds(rounds, &calls[..place]);
    }
    // One call of each of the later turns will do; the first that is known.
    for (later, calls_then) in turns[turn + 1..].iter().enumerate() {
        let Some(input) = calls_then.iter().find_map(|call| {
            let input = call.input(messages);
            (!input.is_empty()).then_some(input)
        }) else {
            continue;
        };
        let (prompt, rounds) = segment(&input, later + 1);
        seen.closed |= prompt.is_some();
        collector.prompt(&mut seen, prompt);
        collector.rounds(rounds, calls);
    }
    for (place, call) in calls.iter().enumerate() {
        for output in call.output(messages) {
            collector.message(&output, place);
        }
    }
    let Collector { steps, texts, .. } = collector;
    seen.steps = steps;
    seen.steps.sort_by_key(|step| step.round);
    seen.texts = texts;
    seen
}

/// The message of the user that a turn begins with and what follows it: of the last turn in an input
/// (`back` 0), of the one before (1) and so on.
fn segment<'s, 'm>(input: &'s [Seen<'m>], back: usize) -> (Option<&'s Seen<'m>>, &'s [Seen<'m>]) {
    let mut end = input.len();
    let users = input.iter().enumerate().rev();
    let users = users.filter(|(_, seen)| seen.role() == Role::User);
    for (passed, (at, seen)) in users.enumerate() {
        if passed == back {
            return (Some(seen), &input[at + 1..end]);
        }
        end = at;
    }
    (None, &[])
}

#[derive(Default)]
struct Collector {
    steps: Vec<ToolStep>,
    texts: BTreeMap<usize, (Vec<u8>, Trust)>,
}

impl Collector {
    fn prompt(&mut self, seen: &mut Hindsight, prompt: Option<&Seen<'_>>) {
        if let Some((text, trust)) = prompt.and_then(verified::text_of) {
            seen.prompts.push((text.to_vec(), trust));
        }
    }

    /// Takes what stands behind a message of the user: answers of these calls, and results of tools.
    fn rounds(&mut self, rounds: &[Seen<'_>], calls: &[Call]) {
        let answers = rounds.iter().filter(|seen| seen.role() == Role::Assistant);
        let answers: Vec<_> = answers.collect();
        let answered: Vec<usize> = (0..calls.len())
            .filter(|&place| calls[place].has_output())
            .collect();
        for (nth, answer) in answers.iter().enumerate() {
            let place = match answered.len() == answers.len() {
                true => answered[nth],
                // Calls that failed have no answer, and rows are lost: the order holds.
                false => nth.min(calls.len().saturating_sub(1)),
            };
            self.message(answer, place);
        }
        for result in rounds.iter().filter(|seen| seen.role() == Role::Tool) {
            self.result(result);
        }
    }

    fn message(&mut self, answer: &Seen<'_>, place: usize) {
        if let Some((text, trust)) = verified::text_of(answer) {
            let better = self.texts.get(&place).is_none_or(|(_, kept)| trust > *kept);
            if better {
                self.texts.insert(place, (text.to_vec(), trust));
            }
        }
        let calls = answer.any().map_or(&[][..], |message| &message.calls);
        for (nth, call) in calls.iter().enumerate() {
            let arguments = verified::arguments_of(answer, nth);
            let arguments = arguments.map(|(text, trust)| (text.to_vec(), trust));
            match self.steps.iter_mut().find(|step| step.id == call.id) {
                Some(step) => keep_better(&mut step.arguments, arguments),
                None => self.steps.push(ToolStep {
                    round: place,
                    id: call.id.clone(),
                    tool: call.name.clone(),
                    arguments,
                    result: None,
                }),
            }
        }
    }

    fn result(&mut self, result: &Seen<'_>) {
        let Some(id) = result.any().and_then(|message| message.answers.as_ref()) else {
            return;
        };
        let text = verified::text_of(result).map(|(text, trust)| (text.to_vec(), trust));
        if let Some(step) = self.steps.iter_mut().find(|step| step.id == *id) {
            keep_better(&mut step.result, text);
        }
    }
}

/// Keeps the one of two texts that is surer; the first of two that are equally sure.
pub fn keep_better(kept: &mut Option<(Vec<u8>, Trust)>, other: Option<(Vec<u8>, Trust)>) {
    let trust = |text: &Option<(Vec<u8>, Trust)>| text.as_ref().map(|(_, trust)| *trust);
    if trust(&other) > trust(kept) {
        *kept = other;
    }
}
