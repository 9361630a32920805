//! What a model is given: the messages of a conversation so far.

use super::request::{Request, ToolUse};
use super::units::{Units, json, of_text, trim_end};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    role: &'static str,
    content: Units,
    /// Id, tool and arguments of the calls in it.
    calls: Vec<(String, String, String)>,
    /// The id of the call that it is the result of.
    answers: Option<String>,
}

impl Message {
    /// A text; white space at its end is removed.
    pub fn new(role: &'static str, text: &[u16]) -> Self {
        Self {
            role,
            content: trim_end(text).to_vec(),
            calls: Vec::new(),
            answers: None,
        }
    }

    /// What a user typed, as the prompt has it.
    pub fn prompt(text: &[u16]) -> Self {
        let mut prompt = of_text("<context>\nThe workspace is open.\n</context>\n<userRequest>\n");
        prompt.extend_from_slice(text);
        prompt.extend(of_text("\n</userRequest>"));
        Self::new("user", &prompt)
    }

    /// What a model answered; with its calls of tools, if the API has them there.
    pub fn answer(text: &[u16], calls: Vec<(String, String, String)>) -> Self {
        Self {
            calls,
            ..Self::new("assistant", text)
        }
    }

    /// What a tool answered.
    pub fn result(id: &str, tool: &ToolUse) -> Self {
        Self {
            answers: Some(id.to_owned()),
            ..Self::new("tool", &of_text(&tool.result))
        }
    }

    /// Its JSON; with lengths in place of texts, if that is wanted.
    pub fn json(&self, lengths: bool) -> String {
        let text = |text: &[u16]| match lengths {
            true => text.len().to_string(),
            false => json(text),
        };
        let mut out = format!(
            "{{\"role\":\"{}\",\"content\":{}",
            self.role,
            text(&self.content)
        );
        let call = |(id, tool, arguments): &(String, String, String)| {
            let arguments = text(&of_text(arguments));
            format!(
                r#"{{"id":"{id}","function":{{"name":"{tool}","arguments":{arguments}}},"type":"function"}}"#
            )
        };
        if !self.calls.is_empty() {
            let calls: Vec<String> = self.calls.iter().map(call).collect();
            out += &format!(",\"tool_calls\":[{}]", calls.join(","));
        }
        if let Some(id) = &self.answers {
            out += &format!(",\"tool_call_id\":\"{id}\"");
        }
        out + "}"
    }
}

/// The JSON of a list of messages.
pub fn list_json(messages: &[Message], lengths: bool) -> Units {
    let each: Vec<String> = messages
        .iter()
        .map(|message| message.json(lengths))
        .collect();
    of_text(&format!("[{}]", each.join(",")))
}

/// What the next call of the model is given of a round: the answer, and what the tools said.
pub fn round(request: &Request, place: usize, id_of: impl Fn(usize) -> String) -> Vec<Message> {
    let round = &request.rounds[place];
    let named =
        |(nth, tool): (usize, &ToolUse)| (id_of(nth), tool.tool.clone(), tool.arguments.clone());
    let calls = round.uses.iter().enumerate().map(named).collect();
    let results = round.uses.iter().enumerate();
    let results = results.map(|(nth, tool)| Message::result(&id_of(nth), tool));
    [Message::answer(&round.text, calls)]
        .into_iter()
        .chain(results)
        .collect()
}
