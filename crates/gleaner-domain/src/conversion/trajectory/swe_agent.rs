//! Steps of SWE-agent: the model acts by text, which stays text.

use super::{Members, Reader, Step, Text};

pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, step: &Members<'a>) {
    reader.without_calls = true;
    let response = step.text(&["response"]).and_then(Text::unless_blank);
    let text = response.or_else(|| {
        let parts = [step.text(&["thought"]), step.text(&["action"])];
        let parts = parts.into_iter().flatten().filter_map(Text::unless_blank);
        Text::joined(parts.collect())
    });
    if let Some(text) = text {
        let observation = step.text(&["observation"]);
        reader.steps.push(Step::Acted { text, observation });
    }
}
