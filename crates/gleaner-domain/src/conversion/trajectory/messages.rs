//! Messages with a role: chat completions, their content parts, and parts of OpenTelemetry.

use super::{Group, Members, Reader, ResultOf, Rule, Text, elements};
use crate::json::Kind;

pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, message: &Members<'a>, place: usize) {
    let parts = message
        .get(&["parts"])
        .or_else(|| message.get(&["content"]));
    let parts = parts.filter(|parts| parts.kind == Kind::Array);
    match parts {
        // Calls and results may be parts of a message of any role.
        Some(parts)
            if elements(&parts)
                .iter()
                .filter_map(Members::of)
                .any(|part| is_deed(&part)) =>
        {
            for part in elements(&parts) {
                if let Some(part) = Members::of(&part) {
                    read_part(reader, message, &part, place);
                }
            }
        }
        _ if message.is("role", "assistant") => {
            let text = reader.text_of(message);
            reader.said(text);
        }
        _ if message.is("role", "tool") || message.is("role", "function") => {
            let of = message.text(&["tool_call_id", "id"]);
            let of = of.map_or(ResultOf::Position, ResultOf::Id);
            let content = message.get(&["content", "parts"]);
            reader.answered(of, content);
        }
        _ => reader.other_role(message),
    }
    for call in message.list(&["tool_calls"]) {
        let Some(call) = Members::of(&call) else {
            continue;
        };
        let function = call.object(&["function"]);
        let function = function.as_ref().unwrap_or(&call);
        reader.called(
            call.text(&["id"]),
            Group::Entry(place),
            function.text(&["name"]),
            function.get(&["arguments"]),
        );
    }
}

/// Whether a part is a call or a result.
fn is_deed(part: &Members<'_>) -> bool {
    ["tool_call", "tool_call_response", "tool_use", "tool_result"]
        .iter()
        .any(|kind| part.is("type", kind))
}

fn read_part<'a>(
    reader: &mut Reader<'a, '_>,
    message: &Members<'a>,
    part: &Members<'a>,
    place: usize,
) {
    if part.is("type", "tool_call") || part.is("type", "tool_use") {
        let arguments = part.get(&["arguments", "input"]);
        reader.called(
            part.text(&["id"]),
            Group::Entry(place),
            part.text(&["name"]),
            arguments,
        );
    } else if part.is("type", "tool_call_response") || part.is("type", "tool_result") {
        let of = part.text(&["id", "tool_use_id"]);
        let of = of.map_or(ResultOf::Position, ResultOf::Id);
        reader.answered(of, part.get(&["response", "result", "content"]));
    } else if let Some(text) = part.text(&["content", "text"]) {
        match message.is("role", "assistant") {
            true => reader.said(Some(text)),
            false => reader.findings.add(Rule::OtherRole),
        }
    } else {
        reader.findings.add(Rule::PartLeftOut);
    }
}

impl<'a> Reader<'a, '_> {
    /// The text of a message of the model.
    pub(super) fn text_of(&mut self, message: &Members<'a>) -> Option<Text<'a>> {
        let content = message.get(&["content", "parts", "message"])?;
        match Text::of(&content) {
            Some(text) => Some(text),
            None => self.parts(&content),
        }
    }

    /// A message of another role: the turn's own message of the user is known already.
    pub(super) fn other_role(&mut self, message: &Members<'a>) {
        let is_users = message.is("role", "user") || message.is("source", "user");
        let is_known = self.steps.is_empty() && is_users && {
            let text = self.text_of(message).unwrap_or_default();
            text.is_blank() || text.decoded().trim_ascii() == self.user.decoded().trim_ascii()
        };
        if !is_known {
            self.findings.add(Rule::OtherRole);
        }
    }
}
