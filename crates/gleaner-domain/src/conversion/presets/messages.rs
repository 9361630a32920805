//! `messages` as the chat completions API has them, and as TRL takes them.

use super::renames::Renames;
use super::{CALL_IDS, TOOL_NAMES, TOOLS, WriteMessages, list, member, name, write_object};
use crate::conversion::Preset;
use crate::conversion::chat::{Arguments, Call, Chat, Reply};
use crate::conversion::columns::{Column, ColumnKind, Row};
use crate::conversion::rule::{Findings, Rule};
use crate::conversion::shape::Shape;
use crate::conversion::text::Text;

pub(super) const MESSAGES: Column = Column::new("messages", ColumnKind::JsonList);

/// Messages of which each member is a column, with arguments as text.
pub(super) fn shape() -> Shape {
    let texts = |names: &[&str]| {
        let texts = names.iter().map(|name| ((*name).to_owned(), Shape::Text));
        texts.collect::<Vec<_>>()
    };
    let list = |members| Shape::List(Box::new(Shape::Object(members)));
    let mut call = texts(&["id", "type"]);
    let function = Shape::Object(texts(&["name", "arguments"]));
    call.push(("function".to_owned(), function));
    let mut message = texts(&["role", "content"]);
    message.push(("tool_calls".to_owned(), list(call)));
    message.extend(texts(&["tool_call_id"]));
    list(message)
}

pub(super) fn write(preset: Preset, chat: &Chat<'_>, row: &mut Row, findings: &mut Findings) {
    let ids = match preset {
        Preset::Mistral => Renames::of_ids(chat, findings),
        _ => Renames::default(),
    };
    let names = match preset {
        Preset::Mistral | Preset::OpenAi => Renames::of_names(chat, findings),
        _ => Renames::default(),
    };
    let mut writer = Writer {
        preset,
        ids: &ids,
        names: &names,
        findings,
        first: true,
    };
    writer.write(chat, row.cell(MESSAGES));
    if let Some(tools) = &chat.tools {
        list(tools, row.cell(TOOLS), |tool, out| {
            tool.write_named(names.get(&tool.name), out);
        });
    }
    if preset == Preset::Mistral {
        for (column, renames) in [(CALL_IDS, &ids), (TOOL_NAMES, &names)] {
            if !renames.is_empty() {
                renames.write(row.cell(column));
            }
        }
    }
}

struct Writer<'w, 'c> {
    preset: Preset,
    ids: &'w Renames<'c>,
    names: &'w Renames<'c>,
    findings: &'w mut Findings,
    first: bool,
}

impl WriteMessages for Writer<'_, '_> {
    const MODEL: &'static str = "assistant";

    fn said(&mut self, role: &str, content: &Text<'_>, out: &mut Vec<u8>) {
        self.begin(role, content, out);
        out.push(b'}');
    }

    fn reply(&mut self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        let empty = Text::default();
        self.begin(Self::MODEL, reply.text.as_ref().unwrap_or(&empty), out);
        if !reply.calls.is_empty() {
            let has_text = reply.text.as_ref().is_some_and(|text| !text.is_blank());
            if has_text && self.preset == Preset::Mistral {
                self.findings.add(Rule::TextWithCalls);
            }
            name("tool_calls", out);
            list(&reply.calls, out, |call, out| self.call(call, out));
        }
        out.push(b'}');
        for call in &reply.calls {
            if let Some(result) = &call.result {
                self.result(call, result, out);
            }
        }
        if let Some(observation) = &reply.observation {
            self.said("user", observation, out);
        }
    }
}

impl Writer<'_, '_> {
    fn begin(&mut self, role: &str, content: &Text<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.first {
            b"{\"role\":\""
        } else {
            b",{\"role\":\""
        });
        self.first = false;
        out.extend_from_slice(role.as_bytes());
        out.push(b'"');
        member("content", content, out);
    }

    fn call(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        quoted(self.ids.get(&call.id), out);
        out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        quoted(self.names.get(&call.tool), out);
        name("arguments", out);
        if let Some(arguments) = &call.arguments {
            match self.preset {
                Preset::Trl => write_object(arguments, out, self.findings),
                Preset::Mistral => self.object_as_text(arguments, out),
                _ => own_text(arguments).write(out),
            }
        }
        out.extend_from_slice(b"}}");
    }

    /// Arguments that are an object, as text.
    fn object_as_text(&mut self, arguments: &Arguments<'_>, out: &mut Vec<u8>) {
        if arguments.is_object() {
            return own_text(arguments).write(out);
        }
        let mut object = Vec::new();
        write_object(arguments, &mut object, self.findings);
        Text::of_utf8(&object).write(out);
    }

    fn result(&mut self, call: &Call<'_>, content: &Text<'_>, out: &mut Vec<u8>) {
        self.begin("tool", content, out);
        name("tool_call_id", out);
        quoted(self.ids.get(&call.id), out);
        // Some templates show which tool answered; the wire format does not have it.
        if matches!(self.preset, Preset::Trl | Preset::Mistral) {
            name("name", out);
            quoted(self.names.get(&call.tool), out);
        }
        out.push(b'}');
    }
}

/// Appends the body of a text as a JSON string.
fn quoted(body: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(body);
    out.push(b'"');
}

/// Arguments as the model wrote them, or their JSON.
fn own_text<'a>(arguments: &Arguments<'a>) -> Text<'a> {
    match &arguments.text {
        Some(text) => text.clone(),
        None => Text::of_utf8(&arguments.value.text),
    }
}
