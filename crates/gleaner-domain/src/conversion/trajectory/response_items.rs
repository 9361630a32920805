//! Items of the responses API: a call and its output.

use super::{Group, Members, Reader, ResultOf};

pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, item: &Members<'a>) {
    let id = item.text(&["call_id", "id"]);
    if item.is("type", "function_call") {
        reader.called(
            id,
            Group::Alone,
            item.text(&["name"]),
            item.get(&["arguments"]),
        );
    } else {
        let of = id.map_or(ResultOf::Position, ResultOf::Id);
        reader.answered(of, item.get(&["output"]));
    }
}
