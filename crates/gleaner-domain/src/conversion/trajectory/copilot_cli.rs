//! Events of a session of Copilot CLI: a message with its requests, and executions of tools.

use super::{Group, Members, Reader, ResultOf};

pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, event: &Members<'a>, place: usize) {
    let data = event.object(&["data"]);
    let data = data.as_ref().unwrap_or(event);
    if event.is("type", "tool.execution_complete") {
        let id = data.text(&["toolCallId"]);
        let outcome = data.object(&["result", "error"]);
        let content = outcome.and_then(|outcome| outcome.get(&["content", "message"]));
        let content = content.or_else(|| data.get(&["result", "error"]));
        reader.answered(id.map_or(ResultOf::Position, ResultOf::Id), content);
    } else if event.is("type", "assistant.message") || data.has("toolRequests") {
        let text = reader.text_of(data);
        reader.said(text);
        for request in data.list(&["toolRequests"]) {
            if let Some(request) = Members::of(&request) {
                let arguments = request.get(&["arguments", "input"]);
                let id = request.text(&["toolCallId", "id"]);
                reader.called(
                    id,
                    Group::Entry(place),
                    request.text(&["name", "toolName"]),
                    arguments,
                );
            }
        }
    }
    // Other events of a session say when things began, or repeat what these say.
}
