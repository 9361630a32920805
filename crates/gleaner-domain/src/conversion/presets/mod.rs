//! The shapes of records, one file for each family of presets.

use super::Preset;
use super::chat::{Arguments, Chat, Message, Reply};
use super::columns::{Column, ColumnKind, Row};
use super::rule::{Findings, Rule};
use super::shape::Shape;
use super::text::Text;
use super::tools::Tool;

mod atif;
mod llamafactory;
mod messages;
mod renames;

const ID: Column = Column::new("conversationId", ColumnKind::Text);
const SPLIT: Column = Column::new("split", ColumnKind::Text);
const BUCKET: Column = Column::new("bucket", ColumnKind::Text);
const TURNS: Column = Column::new("turns", ColumnKind::Integer);
const LOSSY: Column = Column::new("lossy", ColumnKind::Text);
const PAIRED_BY: Column = Column::new("paired_by", ColumnKind::Text);
const CALL_IDS: Column = Column::new("call_ids", ColumnKind::Json);
const TOOL_NAMES: Column = Column::new("tool_names", ColumnKind::Json);
const TOOLS: Column = Column::new("tools", ColumnKind::JsonList);

/// What stands beside the conversation in every preset but `atif` and `openai`.
const PROVENANCE: [Column; 6] = [ID, SPLIT, BUCKET, TURNS, LOSSY, PAIRED_BY];

/// The columns of a preset, in their order.
pub(super) fn columns(preset: Preset) -> Vec<Column> {
    let own: &[Column] = match preset {
        Preset::Trl | Preset::Verl => &[messages::MESSAGES, TOOLS],
        Preset::OpenAi => return vec![messages::MESSAGES, TOOLS],
        Preset::Mistral => &[messages::MESSAGES, TOOLS, CALL_IDS, TOOL_NAMES],
        Preset::LlamaFactory => &llamafactory::COLUMNS,
        Preset::Atif => return atif::COLUMNS.to_vec(),
    };
    [own, &PROVENANCE].concat()
}

/// The columns of a preset's Parquet files.
pub(super) fn shapes(preset: Preset, tools: Shape) -> Vec<(&'static str, Shape)> {
    let mut tools = Some(tools.settled()).filter(|_| preset.is_nested());
    let columns = columns(preset).into_iter().map(|column| {
        let shape = match column {
            messages::MESSAGES if preset.is_nested() => messages::shape(),
            TOOLS => tools.take().unwrap_or_else(|| column.kind.shape()),
            _ => column.kind.shape(),
        };
        (column.name, shape)
    });
    columns.filter(|(_, shape)| shape.leaves() > 0).collect()
}

/// Writes a conversation as the preset wants it.
pub(super) fn write(
    preset: Preset,
    chat: &Chat<'_>,
    split: &str,
    row: &mut Row,
    findings: &mut Findings,
) {
    match preset {
        Preset::Trl | Preset::OpenAi | Preset::Verl | Preset::Mistral => {
            messages::write(preset, chat, row, findings);
        }
        Preset::LlamaFactory => llamafactory::write(chat, row, findings),
        Preset::Atif => return atif::write(chat, split, row, findings),
    }
    if preset == Preset::OpenAi {
        return;
    }
    chat.id.write(row.cell(ID));
    Text::plain(split.to_owned()).write(row.cell(SPLIT));
    if let Some(bucket) = &chat.bucket {
        bucket.write(row.cell(BUCKET));
    }
    row.cell(TURNS)
        .extend_from_slice(chat.turns.len().to_string().as_bytes());
    for (column, word) in flags(findings) {
        Text::plain(word.to_owned()).write(row.cell(column));
    }
}

/// What a record says about itself that is not certain.
fn flags(findings: &Findings) -> impl Iterator<Item = (Column, &'static str)> {
    let flags = [
        (Rule::NoCalls, LOSSY, "no_calls"),
        (Rule::PairedByPosition, PAIRED_BY, "position"),
    ];
    let set = flags
        .into_iter()
        .filter(|(rule, ..)| findings.times(*rule) > 0);
    set.map(|(_, column, word)| (column, word))
}

/// Writes the definitions of tools as they are.
fn definitions(tools: &[Tool<'_>], out: &mut Vec<u8>) {
    list(tools, out, |tool, out| {
        out.extend_from_slice(&tool.definition.text);
    });
}

/// Writes elements between brackets.
fn list<T>(
    elements: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (place, element) in elements.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}

/// Writes the messages of a chat, one after the other.
trait WriteMessages {
    /// Who says what the model says.
    const MODEL: &'static str;

    /// Appends what somebody says.
    fn said(&mut self, by: &str, text: &Text<'_>, out: &mut Vec<u8>);

    /// Appends a reply with its calls and their results.
    fn reply(&mut self, reply: &Reply<'_>, out: &mut Vec<u8>);

    /// Appends all messages, between brackets.
    fn write(&mut self, chat: &Chat<'_>, out: &mut Vec<u8>) {
        out.push(b'[');
        for message in chat.messages() {
            match message {
                Message::System(text) => self.said("system", text, out),
                Message::User(text) => self.said("user", text, out),
                Message::Reply(reply) => self.reply(reply, out),
                Message::Answer(text) => self.said(Self::MODEL, text, out),
            }
        }
        out.push(b']');
    }
}

/// Appends a key of the writer's own and a text.
fn member(key: &str, text: &Text<'_>, out: &mut Vec<u8>) {
    name(key, out);
    text.write(out);
}

/// Appends `,"key":`.
fn name(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends arguments as an object; what is none stands under `value`.
fn write_object(arguments: &Arguments<'_>, out: &mut Vec<u8>, findings: &mut Findings) {
    if arguments.is_object() {
        out.extend_from_slice(&arguments.value.text);
    } else {
        findings.add(Rule::WrappedArguments);
        out.extend_from_slice(b"{\"value\":");
        out.extend_from_slice(&arguments.value.text);
        out.push(b'}');
    }
}
