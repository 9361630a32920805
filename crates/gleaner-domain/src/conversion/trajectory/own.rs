//! gleaner's own entries and their likes: `{round, id, tool, arguments, result}`.

use super::{Group, Members, Reader, ResultOf, Step, whole};

pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, entry: &Members<'a>) {
    let tool = entry.text(&["tool", "toolName", "tool_name", "name"]);
    let round = entry.get(&["round"]).and_then(|round| whole(&round));
    let is_call = tool.is_some();
    reader.called(
        entry.text(&["id", "toolCallId", "tool_call_id", "call_id"]),
        round.map_or(Group::Alone, Group::Round),
        tool,
        entry.get(&["arguments", "args", "input", "parameters"]),
    );
    // A result is data, whatever it looks like.
    let result = entry.get(&["result", "output", "response"]);
    if let Some(result) = result.filter(|_| is_call) {
        let content = reader.data(&result);
        let of = ResultOf::Latest;
        reader.steps.push(Step::Answered { of, content });
    }
}
