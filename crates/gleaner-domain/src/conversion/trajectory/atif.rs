//! Steps of Harbor's trajectories, `ATIF-v1.x`.

use super::{Group, Members, Reader, ResultOf};

pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, step: &Members<'a>, place: usize) {
    if !step.is("source", "agent") {
        return reader.other_role(step);
    }
    let text = reader.text_of(step);
    reader.said(text);
    for call in step.list(&["tool_calls"]) {
        if let Some(call) = Members::of(&call) {
            reader.called(
                call.text(&["tool_call_id"]),
                Group::Entry(place),
                call.text(&["function_name"]),
                call.get(&["arguments"]),
            );
        }
    }
    let observation = step.object(&["observation"]);
    let results = observation.map_or_else(Vec::new, |observation| observation.list(&["results"]));
    for result in results {
        if let Some(result) = Members::of(&result) {
            let of = result.text(&["source_call_id"]);
            let of = of.map_or(ResultOf::Position, ResultOf::Id);
            reader.answered(of, result.get(&["content"]));
        }
    }
}
