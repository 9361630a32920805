//! What is wrong with a malformed row of telemetry, in a sentence for a person.
//!
//! Shown are names of columns and properties, types, times and indices; never another value.

use super::bag::{self, Part, Prop};
use super::envelope::{self, Envelope};
use super::members::{Members, scan};
use crate::json::Value;
use crate::record::row::MalformedReason;
use crate::record::row_fault::{self, shown_value, type_name};

/// What is wrong with a row, of telemetry or any other, that is malformed for this reason. `None` if there is nothing to add to
/// the reason.
#[must_use]
pub fn describe(row: &[u8], reason: MalformedReason) -> Option<String> {
    let mut envelope = Envelope::default();
    // What comes behind a fault is not looked at.
    let _ = envelope.scan(row, |_| true, |_, _, _| {});
    if envelope.name.is_none() || envelope.properties.is_none() {
        return row_fault::describe(row, reason);
    }
    let properties = envelope::object_text(envelope.properties.as_ref())
        .ok()
        .flatten();
    let properties = properties.as_deref().unwrap_or(b"{}");
    let mut members = Members::default();
    let _ = scan(properties, &mut members);
    Some(match reason {
        MalformedReason::Properties => no_object(&envelope)?,
        MalformedReason::Timestamp => match envelope.time() {
            None => "the row lacks \"TimeGenerated\"".to_owned(),
            Some(time) => format!(
                "the time is {}, wanted RFC 3339 text such as \"2025-01-02T03:04:05Z\"",
                shown_value(time)
            ),
        },
        MalformedReason::TurnIndex => {
            let found = [Prop::TurnIndex, Prop::TurnNumber]
                .into_iter()
                .find_map(|prop| members.get(prop))
                .map_or_else(|| "out of range".to_owned(), shown_value);
            format!(
                "the turn's index is {found}, wanted an integer from 0 on, or from 1 on in rows of the model"
            )
        }
        MalformedReason::ConversationId => {
            let id = [
                Prop::ConversationId,
                Prop::SessionId,
                Prop::MessageUuid,
                Prop::RequestOptionsId,
            ]
            .into_iter()
            .find_map(|prop| members.get(prop))?;
            let found = match id.string_body() {
                Some(_) => "text with half a character",
                None => type_name(id.kind),
            };
            format!("the id of the conversation or message is {found}, wanted text")
        }
        MalformedReason::ChunkMismatch => {
            let names = split_names(properties).join("\", \"");
            format!(
                "the parts of a split value are not all there, or do not say the same; split are \"{names}\""
            )
        }
        MalformedReason::TooLarge if !split_names(properties).is_empty() => format!(
            "{} bytes, or what is compressed in it, are more than limits.max_record",
            row.len()
        ),
        MalformedReason::DuplicateField => {
            "a column or property that is used is there twice".to_owned()
        }
        reason => return row_fault::describe(row, reason),
    })
}

fn no_object(envelope: &Envelope<'_>) -> Option<String> {
    let wanted = |name: &str, column: Option<&Value<'_>>| {
        let found = column.map_or("missing", |column| match column.string_body() {
            Some(_) => "text that holds no object",
            None => type_name(column.kind),
        });
        format!("\"{name}\" is {found}, wanted an object or text that holds one")
    };
    let is_object = |column: Option<&Value<'_>>| {
        let text = envelope::object_text(column).ok()??;
        scan(&text, &mut Members::default()).ok()
    };
    let properties = envelope.properties.as_ref();
    if is_object(properties).is_none() {
        return Some(wanted("Properties", properties));
    }
    let measurements = envelope.measurements.as_ref()?;
    Some(wanted("Measurements", Some(measurements)))
}

/// The first part of every value that was split.
fn split_names(properties: &[u8]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut scanner = crate::json::Scanner::new(properties);
    let _ = bag::each_key(&mut scanner, |key, _, part, _| {
        if matches!(part, Part::Chunk(1) | Part::Numbered(2)) {
            names.push(String::from_utf8_lossy(key).into_owned());
        }
    });
    names
}

#[cfg(test)]
mod tests {
    use super::super::row::ReadRules;
    use super::*;

    #[track_caller]
    fn said(row: &str) -> String {
        let rules = ReadRules {
            modes: vec!["agent".to_owned()],
            max_value: 1 << 10,
        };
        let malformed = super::super::row::read(row.as_bytes(), &rules).expect_err("malformed");
        describe(row.as_bytes(), malformed.reason).expect("a sentence")
    }

    fn row(properties: &str) -> String {
        format!(
            r#"{{"TimeGenerated":"2025-10-01T00:00:00Z","Properties":{properties},"Measurements":{{}},"Name":"copilot-chat/conversation.messageText"}}"#
        )
    }

    #[test]
    fn a_row_says_what_is_wrong_with_it_and_no_text() {
        let of = |more: &str| {
            row(&format!(
                r#"{{"source":"user","conversationId":"c","messageText":"SECRET"{more}}}"#
            ))
        };
        for (row, sentence) in [
            (
                row("5"),
                "\"Properties\" is a number, wanted an object or text that holds one",
            ),
            (
                row(r#""SECRET""#),
                "\"Properties\" is text that holds no object, wanted an object or text that holds one",
            ),
            (
                of(r#","turnIndex":"first""#),
                "the turn's index is \"first\", wanted an integer from 0 on, or from 1 on in rows of the model",
            ),
            (
                of(r#","messageTextChunk":"SECRET""#),
                "the parts of a split value are not all there, or do not say the same; split are \"messageTextChunk\"",
            ),
            (
                of("").replace("2025-10-01T", "1 October "),
                "the time is \"1 October 00:00:00Z\", wanted RFC 3339 text such as \"2025-01-02T03:04:05Z\"",
            ),
            (
                of("").replace(r#""c""#, "7"),
                "the id of the conversation or message is a number, wanted text",
            ),
            (
                of(r#","source":"user""#),
                "a column or property that is used is there twice",
            ),
        ] {
            assert_eq!(said(&row), sentence);
            assert!(!said(&row).contains("SECRET"));
        }
    }
}
