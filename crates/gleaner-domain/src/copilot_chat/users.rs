//! Whom a row of telemetry names: its user, and in a shared row the conversation that has sent it first.

use std::ops::Range;

use super::bag::{self, Prop};
use super::envelope::{Envelope, object_text};
use super::fragment::Fragment;
use super::row::ReadRules;
use super::wtf8;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;
use crate::selection::exclude::Excluded;
use crate::selection::group::{Group, GroupField};

/// Visits the user's name in the properties of a row.
///
/// # Errors
/// If the row is not one that could be read.
pub fn of_row(row: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), JsonError> {
    let mut envelope = Envelope::default();
    let mut note = |prop: Prop, value: &Value<'_>| {
        if prop == Prop::UserName && value.kind == Kind::String {
            visit(&key_text(value));
        }
    };
    envelope.scan(row, |_| true, |prop, _, value| note(prop, &value))?;
    let is_text = |column: &Value<'_>| column.kind == Kind::String;
    let column = envelope.properties.filter(is_text);
    if let Ok(Some(text)) = object_text(column.as_ref()) {
        bag::each(&mut Scanner::new(&text), |prop, _, value| {
            note(prop, &value);
        })?;
    }
    Ok(())
}

/// The group that a row which could be read names: a record has its user's name from its rows, and nothing else that
/// could name one.
pub fn group_of_row(row: &[u8], rules: &ReadRules, field: &GroupField) -> Group {
    if !field.is_user() {
        return Group::Absent;
    }
    let name = Fragment::load(row, rules).ok().flatten();
    let name = name.and_then(|row| row.id(Prop::UserName));
    let Some(name) = name.filter(|name| !wtf8::trim(name).is_empty()) else {
        return Group::Absent;
    };
    // The record has this name, also if it names nobody.
    match Group::of_text(&String::from_utf8_lossy(&name)) {
        Group::Absent => Group::NoText,
        group => group,
    }
}

/// Properties whose names end so have an id or a user.
const NAMES: [&[u8]; 3] = [b"onversationId", b"essionId", b"userName"];

/// A row whose own properties name nobody of those that are left out: each byte of such a value is an `x`. `None`
/// if they name none. What is said in the row's texts stays.
pub fn masked(row: &[u8], excluded: &Excluded) -> Option<Vec<u8>> {
    if excluded.is_empty() {
        return None;
    }
    let mut envelope = Envelope::default();
    envelope.scan(row, |_| true, |_, _, _| {}).ok()?;
    // How a quote of the properties is written: in text that holds them it is escaped.
    let quote: &[u8] = match envelope.properties?.kind {
        Kind::String => b"\\\"",
        _ => b"\"",
    };
    let mut masked = None;
    for name in NAMES {
        for at in memchr::memmem::find_iter(row, name) {
            if let Some(value) = value_after(row, at + name.len(), quote)
                && excluded.names(&row[value.clone()])
            {
                masked.get_or_insert_with(|| row.to_vec())[value].fill(b'x');
            }
        }
    }
    masked
}

/// The string behind the key whose last letter is before `from`.
fn value_after(row: &[u8], from: usize, quote: &[u8]) -> Option<Range<usize>> {
    let rest = row.get(from..)?.strip_prefix(quote)?.trim_ascii_start();
    let rest = rest.strip_prefix(b":")?.trim_ascii_start();
    let rest = rest.strip_prefix(quote)?;
    let start = row.len() - rest.len();
    let length = memchr::memchr2(b'"', b'\\', rest)?;
    Some(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::exclude::{ExcludeList, FoundUsers};

    #[test]
    fn a_name_is_found_in_an_object_and_in_text_that_holds_one() {
        let found = |row: &str| {
            let mut users = Vec::new();
            of_row(row.as_bytes(), |name| {
                users.push(String::from_utf8_lossy(name).into_owned());
            })
            .expect("JSON");
            users
        };
        for properties in [
            r#"{"a":1,"common.userName":"ann"}"#,
            r#"{"common_userName":"a\u006en"}"#,
            r#""{\"common.userName\":\"ann\"}""#,
        ] {
            let row = format!(r#"{{"Name":"x","Properties":{properties}}}"#);
            assert_eq!(found(&row), ["ann"], "{row}");
        }
        assert!(found(r#"{"Properties":{"userName":3}}"#).is_empty());
    }

    #[test]
    fn a_shared_row_is_kept_without_the_id_of_who_sent_it_first() {
        let list = ExcludeList::parse("id-1\nuserName:ann").expect("right");
        let mut found = FoundUsers::default();
        found.add(b"id-2", "ann");
        let excluded = list.resolve(&found);
        let masked = |row: &str| {
            let masked = masked(row.as_bytes(), &excluded);
            masked.map(|row| String::from_utf8(row).expect("text"))
        };
        let row = |id: &str, user: &str| {
            format!(
                r#"{{"Name":"n","Properties":{{"conversationId": "{id}","common.userName":"{user}","messageJson":"id-1 ann {{\"conversationId\":\"id-1\"}}"}}}}"#
            )
        };
        assert_eq!(masked(&row("id-1", "ann")), Some(row("xxxx", "xxx")));
        let text = |row: &str| {
            let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
            let properties = row["Properties"].to_string();
            serde_json::json!({"Name": "n", "Properties": properties}).to_string()
        };
        assert_eq!(
            masked(&text(&row("id-2", "bob"))),
            Some(text(&row("xxxx", "bob")))
        );
        assert_eq!(masked(&row("id-12", "anna")), None);
    }
}
