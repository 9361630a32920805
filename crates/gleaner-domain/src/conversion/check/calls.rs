//! Which calls a chat template leaves out.
//!
//! Templates write names and arguments of calls in many ways, and names stand in definitions of tools and in
//! results too. So the messages are rendered once more, with a name for each call that stands nowhere else.

use std::borrow::Cow;

use super::rendered::{Messages, Render};
use crate::conversion::members::Members;
use crate::json::{Scanner, Value};

impl Messages<'_> {
    /// How many calls are not in what the template makes of the messages; none if it refuses the names.
    pub fn dropped_calls(&self, template: &dyn Render) -> u64 {
        let mut calls = 0;
        let renamed: Vec<_> = self
            .messages
            .iter()
            .map(|message| with_own_names(message, &mut calls))
            .collect();
        if calls == 0 {
            return 0;
        }
        let renamed: Vec<&[u8]> = renamed.iter().map(|message| &**message).collect();
        let Ok(rendered) = template.render(&renamed, self.tools, false) else {
            return 0;
        };
        let is_dropped = |&call: &u64| !rendered.text.contains(&own_name(call));
        (0..calls).filter(is_dropped).count() as u64
    }
}

/// A name that no tool has. The last letter keeps the second call apart from the twentieth.
fn own_name(call: u64) -> String {
    format!("gleaner_call_{call}_x")
}

/// A message whose calls have names of their own, from the number `calls` on.
fn with_own_names<'m>(message: &'m [u8], calls: &mut u64) -> Cow<'m, [u8]> {
    let names = names(message);
    if names.is_empty() {
        return Cow::Borrowed(message);
    }
    let scanner = Scanner::of_checked(message);
    let mut renamed = Vec::with_capacity(message.len());
    let mut copied = 0;
    for name in names {
        let place = scanner.place_of(&name);
        renamed.extend_from_slice(&message[copied..place.start]);
        renamed.extend_from_slice(format!("\"{}\"", own_name(*calls)).as_bytes());
        copied = place.end;
        *calls += 1;
    }
    renamed.extend_from_slice(&message[copied..]);
    Cow::Owned(renamed)
}

/// The names of a message's calls.
fn names(message: &[u8]) -> Vec<Value<'_>> {
    let value = Scanner::of_checked(message).value();
    let Some(message) = value.ok().and_then(|value| Members::of(&value)) else {
        return Vec::new();
    };
    let calls = message.list(&["tool_calls"]);
    let functions = calls
        .iter()
        .filter_map(|call| Members::of(call)?.object(&["function"]));
    functions
        .filter_map(|function| function.get(&["name"]))
        .collect()
}
