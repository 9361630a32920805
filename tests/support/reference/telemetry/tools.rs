//! What later inputs say of a turn: the calls of its tools, the texts of its rounds, its prompt.

use std::collections::BTreeMap;

use super::calls::{Call, Seen, Trust, tool_calls};
use super::json::{Json, Units};

pub struct Step {
    pub round: usize,
    pub id: Units,
    pub tool: Units,
    pub arguments: Option<(Units, Trust)>,
    pub result: Option<(Units, Trust)>,
}

#[derive(Default)]
pub struct Later {
    pub steps: Vec<Step>,
    pub texts: BTreeMap<usize, (Units, Trust)>,
    pub prompts: Vec<(Units, Trust)>,
    /// Whether an input of a later turn shows how this one ended.
    pub has_end: bool,
}

/// The message of the user that begins a turn, and what follows it up to the next one: of the last turn
/// of an input (0), of the one before it (1) and so on.
fn part(input: &[Seen], back: usize) -> Option<(&Seen, &[Seen])> {
    let users: Vec<usize> = (0..input.len())
        .filter(|at| input[*at].role() == "user")
        .collect();
    let from = users.len().checked_sub(back + 1)?;
    let end = users.get(from + 1).copied().unwrap_or(input.len());
    Some((&input[users[from]], &input[users[from] + 1..end]))
}

pub fn later(turns: &[Vec<Call>], turn: usize) -> Later {
    let mut found = Later::default();
    let own = &turns[turn];
    for (place, call) in own.iter().enumerate() {
        if let Some((prompt, rest)) = part(&call.input, 0) {
            found.prompts.extend(prompt.content());
            found.follow(rest, &own[..place]);
        }
    }
    for (back, calls) in (1..).zip(&turns[turn + 1..]) {
        let Some(call) = calls.iter().find(|call| !call.input.is_empty()) else {
            continue;
        };
        if let Some((prompt, rest)) = part(&call.input, back) {
            found.has_end = true;
            found.prompts.extend(prompt.content());
            found.follow(rest, own);
        }
    }
    for (place, call) in own.iter().enumerate() {
        call.output
            .iter()
            .for_each(|answer| found.answer(answer, place));
    }
    found.steps.sort_by_key(|step| step.round);
    found
}

impl Later {
    /// Takes the answers of these calls, and what the tools said.
    fn follow(&mut self, rest: &[Seen], calls: &[Call]) {
        let answers: Vec<&Seen> = rest
            .iter()
            .filter(|seen| seen.role() == "assistant")
            .collect();
        let answered: Vec<usize> = (0..calls.len())
            .filter(|place| calls[*place].is_answered)
            .collect();
        for (nth, answer) in answers.iter().enumerate() {
            let place = match answers.len() == answered.len() {
                true => answered[nth],
                false => nth.min(calls.len().max(1) - 1),
            };
            self.answer(answer, place);
        }
        for result in rest.iter().filter(|seen| seen.role() == "tool") {
            let id = result
                .any()
                .and_then(|message| message.get("tool_call_id")?.text());
            let step = id.and_then(|id| self.steps.iter_mut().find(|step| step.id == *id));
            if let Some(step) = step {
                surer(&mut step.result, result.content());
            }
        }
    }

    fn answer(&mut self, answer: &Seen, place: usize) {
        if let Some((text, trust)) = answer.content() {
            let kept = self.texts.get(&place).map(|kept| kept.1);
            if kept.is_none_or(|kept| trust > kept) {
                self.texts.insert(place, (text, trust));
            }
        }
        let Some(message) = answer.any() else { return };
        for (nth, call) in tool_calls(message).into_iter().enumerate() {
            let arguments = answer.text_at(|message| {
                let calls = tool_calls(message);
                Some(
                    calls
                        .get(nth)?
                        .get("function")
                        .and_then(|function| function.get("arguments")),
                )
            });
            let text =
                |value: Option<&Json>| value.and_then(Json::text).cloned().unwrap_or_default();
            let id = text(call.get("id"));
            match self.steps.iter_mut().find(|step| step.id == id) {
                Some(step) => surer(&mut step.arguments, arguments),
                None => self.steps.push(Step {
                    round: place,
                    id,
                    tool: text(
                        call.get("function")
                            .and_then(|function| function.get("name")),
                    ),
                    arguments,
                    result: None,
                }),
            }
        }
    }
}

/// Of two texts the surer one; the first of two that are equally sure.
fn surer(kept: &mut Option<(Units, Trust)>, other: Option<(Units, Trust)>) {
    let trust = |text: &Option<(Units, Trust)>| text.as_ref().map(|text| text.1);
    if trust(&other) > trust(kept) {
        *kept = other;
    }
}
