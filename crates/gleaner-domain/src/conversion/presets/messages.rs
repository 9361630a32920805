//! `messages` as the chat completions API has them, and as TRL takes them.

use std::collections::BTreeMap;

use super::{CALL_IDS, TOOLS, list, member, name, write_object};
use crate::conversion::Preset;
use crate::conversion::chat::{Arguments, Call, Chat, Reply};
use crate::conversion::columns::{Column, ColumnKind, Row};
use crate::conversion::rule::{Findings, Rule};
use crate::conversion::text::Text;
use crate::conversion::trajectory::made_id;

pub(super) const MESSAGES: Column = Column::new("messages", ColumnKind::JsonList);

/// Ids of calls that loaders refuse, and what stands for them.
type Ids<'c> = BTreeMap<&'c [u8], Text<'static>>;

pub(super) fn write(preset: Preset, chat: &Chat<'_>, row: &mut Row, findings: &mut Findings) {
    let ids = match preset {
        Preset::Mistral => rewritten(chat, findings),
        _ => Ids::new(),
    };
    let mut writer = Writer {
        preset,
        ids: &ids,
        findings,
        first: true,
    };
    writer.write(chat, row.cell(MESSAGES));
    if let Some(tools) = &chat.tools {
        list(tools, row.cell(TOOLS), |tool, out| {
            out.extend_from_slice(&tool.definition.text)
        });
    }
    if !ids.is_empty() {
        let out = row.cell(CALL_IDS);
        for (place, (old, new)) in ids.iter().enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            new.write(out);
            out.extend_from_slice(b":\"");
            out.extend_from_slice(old);
            out.push(b'"');
        }
        out.push(b'}');
    }
}

/// New ids for those that are not nine letters and digits; no two alike.
fn rewritten<'c>(chat: &'c Chat<'_>, findings: &mut Findings) -> Ids<'c> {
    let calls = || chat.turns.iter().flat_map(|turn| turn.calls());
    let is_fit = |id: &[u8]| id.len() == 9 && id.iter().all(u8::is_ascii_alphanumeric);
    let kept = calls().map(|call| call.id.body()).filter(|id| is_fit(id));
    let mut taken: Vec<Vec<u8>> = kept.map(<[u8]>::to_vec).collect();
    let mut ids = Ids::new();
    for call in calls().filter(|call| !is_fit(call.id.body())) {
        findings.add(Rule::CallIdRewritten);
        ids.entry(call.id.body()).or_insert_with(|| {
            let old = String::from_utf8_lossy(call.id.body());
            let tries = (0..).map(|nth: u64| made_id(&format!("{nth}/{old}")));
            let mut free = tries.filter(|id| !taken.iter().any(|other| other == id.body()));
            let id = free.next().expect("there are 62^9");
            taken.push(id.body().to_vec());
            id
        });
    }
    ids
}

struct Writer<'w, 'c> {
    preset: Preset,
    ids: &'w Ids<'c>,
    findings: &'w mut Findings,
    first: bool,
}

impl Writer<'_, '_> {
    fn write(&mut self, chat: &Chat<'_>, out: &mut Vec<u8>) {
        out.push(b'[');
        if let Some(system) = &chat.system {
            self.said("system", system, out);
        }
        for turn in &chat.turns {
            self.said("user", &turn.user, out);
            for reply in &turn.replies {
                self.reply(reply, out);
            }
            if let Some(answer) = &turn.answer {
                self.said("assistant", answer, out);
            }
        }
        out.push(b']');
    }

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

    fn said(&mut self, role: &str, content: &Text<'_>, out: &mut Vec<u8>) {
        self.begin(role, content, out);
        out.push(b'}');
    }

    fn reply(&mut self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        let empty = Text::default();
        self.begin("assistant", reply.text.as_ref().unwrap_or(&empty), out);
        if !reply.calls.is_empty() {
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

    fn call(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        self.id(call).write(out);
        out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        call.tool.write(out);
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
        Text::of_json(&object).write(out);
    }

    fn result(&mut self, call: &Call<'_>, content: &Text<'_>, out: &mut Vec<u8>) {
        self.begin("tool", content, out);
        member("tool_call_id", &self.id(call), out);
        // Some templates show which tool answered; the wire format does not have it.
        if matches!(self.preset, Preset::Trl | Preset::Mistral) {
            member("name", &call.tool, out);
        }
        out.push(b'}');
    }

    fn id(&self, call: &Call<'_>) -> Text<'static> {
        let new = self.ids.get(call.id.body());
        new.cloned().unwrap_or_else(|| call.id.clone().into_owned())
    }
}

/// Arguments as the model wrote them, or their JSON.
fn own_text<'a>(arguments: &Arguments<'a>) -> Text<'a> {
    match &arguments.text {
        Some(text) => text.clone(),
        None => Text::of_json(&arguments.value.text),
    }
}
