//! Harbor's trajectories: one of them a record.

use super::{WriteMessages, definitions, flags, list, member, name, write_object};
use crate::conversion::chat::{Call, Chat, Reply};
use crate::conversion::columns::{Column, ColumnKind, Row};
use crate::conversion::rule::Findings;
use crate::conversion::text::Text;

/// The version whose validator takes these records.
const VERSION: &str = "ATIF-v1.5";

const SCHEMA_VERSION: Column = Column::new("schema_version", ColumnKind::Text);
const SESSION: Column = Column::new("session_id", ColumnKind::Text);
const AGENT: Column = Column::new("agent", ColumnKind::Json);
const STEPS: Column = Column::new("steps", ColumnKind::JsonList);
const EXTRA: Column = Column::new("extra", ColumnKind::Json);

pub(super) const COLUMNS: [Column; 5] = [SCHEMA_VERSION, SESSION, AGENT, STEPS, EXTRA];

pub(super) fn write(chat: &Chat<'_>, split: &str, row: &mut Row, findings: &mut Findings) {
    Text::plain(VERSION.to_owned()).write(row.cell(SCHEMA_VERSION));
    chat.id.write(row.cell(SESSION));
    let agent = row.cell(AGENT);
    agent.extend_from_slice(br#"{"name":"gleaner","version":"1""#);
    if let Some(tools) = &chat.tools {
        name("tool_definitions", agent);
        definitions(tools, agent);
    }
    agent.push(b'}');
    let mut steps = Steps { next: 1, findings };
    steps.write(chat, row.cell(STEPS));
    let extra = row.cell(EXTRA);
    extra.extend_from_slice(b"{\"split\":");
    Text::plain(split.to_owned()).write(extra);
    if let Some(bucket) = &chat.bucket {
        member("bucket", bucket, extra);
    }
    for (column, word) in flags(findings) {
        member(column.name, &Text::plain(word.to_owned()), extra);
    }
    extra.push(b'}');
}

struct Steps<'f> {
    /// The number of the next step.
    next: u64,
    findings: &'f mut Findings,
}

impl WriteMessages for Steps<'_> {
    const MODEL: &'static str = "agent";

    fn said(&mut self, source: &str, message: &Text<'_>, out: &mut Vec<u8>) {
        self.begin(source, message, out);
        out.push(b'}');
    }

    fn reply(&mut self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        let message = reply.text.clone().unwrap_or_default();
        self.begin(Self::MODEL, &message, out);
        if !reply.calls.is_empty() {
            name("tool_calls", out);
            list(&reply.calls, out, |call, out| self.call(call, out));
        }
        let results = reply
            .calls
            .iter()
            .filter_map(|call| Some((Some(&call.id), call.result.as_ref()?)));
        let observed = reply.observation.iter().map(|text| (None, text));
        let mut results = results.chain(observed).peekable();
        if results.peek().is_some() {
            name("observation", out);
            out.extend_from_slice(b"{\"results\":");
            list(results, out, |(id, content), out| {
                out.extend_from_slice(b"{\"content\":");
                content.write(out);
                if let Some(id) = id {
                    member("source_call_id", id, out);
                }
                out.push(b'}');
            });
            out.push(b'}');
        }
        out.push(b'}');
    }
}

impl Steps<'_> {
    fn begin(&mut self, source: &str, message: &Text<'_>, out: &mut Vec<u8>) {
        let comma = if self.next > 1 { "," } else { "" };
        let head = format!("{comma}{{\"step_id\":{},\"source\":\"{source}\"", self.next);
        out.extend_from_slice(head.as_bytes());
        self.next += 1;
        member("message", message, out);
    }

    fn call(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"tool_call_id\":");
        call.id.write(out);
        member("function_name", &call.tool, out);
        name("arguments", out);
        if let Some(arguments) = &call.arguments {
            write_object(arguments, out, self.findings);
        }
        out.push(b'}');
    }
}
