//! The definitions of tools, in whatever form a record has them.

use thiserror::Error;

use super::chat::value_of;
use super::members::{Members, elements};
use super::rule::{Findings, Rule};
use super::text::{Json, Text};
use crate::debug_lengths;
use crate::json::{Kind, Value};

/// A tool: `{"type": "function", "function": {"name", "description", "parameters"}}`.
pub struct Tool<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// The whole definition.
    pub definition: Json<'a>,
}

debug_lengths!(Tool<'_> { name } lengths { });

impl Tool<'_> {
    /// Appends its definition under a name, the body of a JSON string.
    pub fn write_named(&self, name: &[u8], out: &mut Vec<u8>) {
        let function = value_of(&self.definition.text)
            .and_then(|definition| Members::of(&definition))
            .and_then(|definition| definition.object(&["function"]));
        match function.filter(|_| name != self.name.body()) {
            None => out.extend_from_slice(&self.definition.text),
            Some(function) => {
                out.extend_from_slice(br#"{"type":"function","function":{"name":""#);
                out.extend_from_slice(name);
                out.push(b'"');
                for (key, value) in function.iter().filter(|(key, _)| key != b"name") {
                    out.push(b',');
                    Text::of_utf8(key).write(out);
                    out.push(b':');
                    out.extend_from_slice(value.text);
                }
                out.extend_from_slice(b"}}");
            }
        }
    }

    fn into_owned(self) -> Tool<'static> {
        Tool {
            name: self.name.into_owned(),
            definition: self.definition.into_owned(),
        }
    }
}

/// Reads a list of definitions, or a text that holds one; `None` if there is no tool in it.
pub fn read<'a>(value: &Value<'a>, findings: &mut Findings) -> Option<Vec<Tool<'a>>> {
    if let Some(text) = Text::of(value) {
        return read_text(&text.decoded(), findings);
    }
    if value.kind != Kind::Array {
        findings.add(Rule::ToolsUnreadable);
        return None;
    }
    let definitions = elements(value);
    let tools: Option<Vec<_>> = definitions.iter().map(|tool| one(tool, findings)).collect();
    if tools.is_none() {
        findings.add(Rule::ToolsUnreadable);
    }
    tools.filter(|tools| !tools.is_empty())
}

/// Reads a list of definitions that is not part of a record.
pub fn read_text(text: &[u8], findings: &mut Findings) -> Option<Vec<Tool<'static>>> {
    let Some(value) = value_of(text).filter(|value| value.kind == Kind::Array) else {
        findings.add(Rule::ToolsUnreadable);
        return None;
    };
    let tools = read(&value, findings)?;
    Some(tools.into_iter().map(Tool::into_owned).collect())
}

/// A text cannot be given as [`Options::tools`](super::Options::tools).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadTools {
    /// It is not a JSON array.
    #[error("it is no JSON array")]
    NoList,
    /// There is no tool in it.
    #[error("there is no tool in it")]
    Empty,
    /// A definition has no name where one is looked for.
    #[error("definition {0} has no name")]
    NoName(usize),
    /// Two tools have one name.
    #[error("there are two tools called {0:?}")]
    Twice(String),
}

/// Checks a text that is to be [`Options::tools`](super::Options::tools): a list of definitions, each with
/// a name of its own.
///
/// # Errors
/// What is wrong with it.
pub fn check(text: &[u8]) -> Result<(), BadTools> {
    let list = value_of(text).filter(|value| value.kind == Kind::Array);
    let list = list.ok_or(BadTools::NoList)?;
    let mut names = Vec::new();
    for (definition, number) in elements(&list).iter().zip(1..) {
        let tool = one(definition, &mut Findings::default()).ok_or(BadTools::NoName(number))?;
        let name = tool.name.decoded().into_owned();
        if names.contains(&name) {
            let name = String::from_utf8_lossy(&name).into_owned();
            return Err(BadTools::Twice(name));
        }
        names.push(name);
    }
    match names.is_empty() {
        true => Err(BadTools::Empty),
        false => Ok(()),
    }
}

/// A definition of the chat completions API stays as it is. Those of the responses API and of
/// Anthropic's messages API have the same parts under other names.
fn one<'a>(value: &Value<'a>, findings: &mut Findings) -> Option<Tool<'a>> {
    let members = Members::of(value)?;
    if let Some(function) = members.object(&["function"]) {
        return Some(Tool {
            name: function.text(&["name"])?,
            definition: Json::of(value),
        });
    }
    let name = members.text(&["name"])?;
    findings.add(Rule::ToolsRewritten);
    let mut out = br#"{"type":"function","function":{"name":"#.to_vec();
    name.write(&mut out);
    let parts = [
        ("description", members.get(&["description"])),
        (
            "parameters",
            members.get(&["parameters", "input_schema", "inputSchema"]),
        ),
    ];
    for (key, part) in parts {
        if let Some(part) = part {
            out.extend_from_slice(format!(",\"{key}\":").as_bytes());
            out.extend_from_slice(&Json::of(&part).text);
        }
    }
    out.extend_from_slice(b"}}");
    Some(Tool {
        name,
        definition: Json {
            kind: Kind::Object,
            text: out.into(),
        },
    })
}
