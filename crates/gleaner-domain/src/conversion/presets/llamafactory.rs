//! LLaMA-Factory's `sharegpt`: people and observations at odd places, the model and its calls at even
//! ones.

use super::{definitions, name, write_object};
use crate::conversion::chat::{Call, Chat, Message, Reply};
use crate::conversion::columns::{Column, ColumnKind, Row};
use crate::conversion::rule::{Findings, Rule};
use crate::conversion::text::Text;

const CONVERSATIONS: Column = Column::new("conversations", ColumnKind::JsonList);
const SYSTEM: Column = Column::new("system", ColumnKind::Text);
/// A text that holds JSON: the converter passes it on as it is.
const TOOLS: Column = Column::new("tools", ColumnKind::Text);

pub(super) const COLUMNS: [Column; 3] = [CONVERSATIONS, SYSTEM, TOOLS];

pub(super) fn write(chat: &Chat<'_>, row: &mut Row, findings: &mut Findings) {
    let out = row.cell(CONVERSATIONS);
    let start = out.len() + 1;
    out.push(b'[');
    let mut say = |from: &str, value: &Text<'_>, out: &mut Vec<u8>| {
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"from\":\"");
        out.extend_from_slice(from.as_bytes());
        out.push(b'"');
        name("value", out);
        value.write(out);
        out.push(b'}');
    };
    for message in chat.messages() {
        match message {
            // It has a column of its own.
            Message::System(_) => {}
            Message::User(text) => say("human", text, out),
            Message::Reply(reply) => write_reply(reply, out, findings, &mut say),
            Message::Answer(text) => say("gpt", text, out),
        }
    }
    out.push(b']');
    // The converter wants every column in every row.
    chat.system
        .clone()
        .unwrap_or_default()
        .write(row.cell(SYSTEM));
    let tools = chat.tools.as_ref().map(|tools| {
        let mut json = Vec::new();
        definitions(tools, &mut json);
        Text::of_utf8(&json)
    });
    tools.unwrap_or_default().write(row.cell(TOOLS));
}

fn write_reply(
    reply: &Reply<'_>,
    out: &mut Vec<u8>,
    findings: &mut Findings,
    say: &mut impl FnMut(&str, &Text<'_>, &mut Vec<u8>),
) {
    if reply.calls.is_empty() {
        say("gpt", &reply.text.clone().unwrap_or_default(), out);
        // Without one the next message is the model's as well, and that is no alternation.
        say("human", &reply.observation.clone().unwrap_or_default(), out);
        return;
    }
    if reply.text.is_some() {
        findings.add(Rule::TextBesideCall);
    }
    if reply.calls.len() > 1 {
        findings.add(Rule::ParallelCallsSplit);
    }
    for call in &reply.calls {
        say("function_call", &as_text(call, findings), out);
        say("observation", &call.result.clone().unwrap_or_default(), out);
    }
}

fn as_text(call: &Call<'_>, findings: &mut Findings) -> Text<'static> {
    let mut json = b"{\"name\":".to_vec();
    call.tool.write(&mut json);
    name("arguments", &mut json);
    if let Some(arguments) = &call.arguments {
        write_object(arguments, &mut json, findings);
    }
    json.push(b'}');
    Text::of_utf8(&json)
}
