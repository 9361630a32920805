//! Events of OpenHands: actions and observations, which name the call that they come from.
//!
//! The arguments of an action have been changed by the program; what the model wrote stands in the
//! answer of the model that the event carries. Without it an action is no call.

use super::{Group, Members, Reader, ResultOf};

pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, event: &Members<'a>) {
    let Some(call) = event.object(&["tool_call_metadata"]) else {
        return without_call(reader, event);
    };
    let id = call.text(&["tool_call_id"]);
    if event.has("observation") {
        let of = id.map_or(ResultOf::Latest, ResultOf::Id);
        return reader.answered(of, event.get(&["content"]));
    }
    let answer = call.object(&["model_response"]);
    let answer_id = answer.as_ref().and_then(|answer| answer.text(&["id"]));
    let choices = answer.map_or_else(Vec::new, |answer| answer.list(&["choices"]));
    let message = choices.first().and_then(Members::of);
    let message = message.and_then(|choice| choice.object(&["message"]));
    let calls = message
        .as_ref()
        .map_or_else(Vec::new, |message| message.list(&["tool_calls"]));
    let written = calls.iter().filter_map(Members::of);
    let written = written
        .into_iter()
        .find(|written| written.text(&["id"]) == id);
    let Some(function) = written.and_then(|written| written.object(&["function"])) else {
        return without_call(reader, event);
    };
    let group = answer_id.map_or(Group::Alone, Group::Answer);
    // Every action of an answer carries the whole answer.
    if !reader.has_group(&group) {
        let text = message.and_then(|message| message.text(&["content"]));
        reader.said(text);
    }
    reader.called(
        id,
        group,
        function.text(&["name"]),
        function.get(&["arguments"]),
    );
}

/// What a person or the program says, what the model says, and actions that were no call.
fn without_call<'a>(reader: &mut Reader<'a, '_>, event: &Members<'a>) {
    if !event.is("source", "agent") {
        return reader.other_role(event);
    }
    let arguments = event.object(&["args"]);
    if event.is("action", "message") {
        let text = arguments.and_then(|arguments| arguments.text(&["content"]));
        return reader.said(text);
    }
    let is_end = event.is("action", "finish");
    let thought = arguments.and_then(|arguments| arguments.text(&["thought"]));
    reader.said(thought);
    reader.without_calls |= !is_end;
}

impl Reader<'_, '_> {
    fn has_group(&self, wanted: &Group<'_>) -> bool {
        let has = |step: &super::Step<'_>| matches!(step, super::Step::Called { group, .. } if group == wanted);
        self.steps.iter().any(has)
    }
}
