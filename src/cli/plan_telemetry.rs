//! What a plan says of Copilot Chat telemetry: what can be had, by version of the extension and day.

use serde_json::{Value, json};

use super::table::TextTable;
use super::words::size;
use crate::pipeline::ingest::telemetry_look::{OfDay, TelemetryLook};

/// For a program.
pub fn record(look: &TelemetryLook) -> Value {
    let days: Vec<Value> = look
        .days
        .iter()
        .map(|((version, day), seen)| {
            json!({
                "version": version,
                "day": day,
                "rows": seen.rows,
                "sampled_rows": seen.sampled_rows,
                "conversations": seen.conversations(),
                "with_tool_texts": seen.with_tool_texts(),
                "tool_texts": seen.tool_texts(),
            })
        })
        .collect();
    json!({"looked_at_bytes": look.bytes, "looked_at_all": look.is_whole, "days": days})
}

/// For a person.
pub fn text(look: &TelemetryLook) -> String {
    let mut table = TextTable::new(&[
        "version",
        "day",
        "conversations",
        "with tool texts",
        "sampled rows",
        "tool texts from",
    ]);
    for ((version, day), seen) in &look.days {
        let version = match version.as_str() {
            "" => "unknown",
            version => version,
        };
        table.row([
            version.to_owned(),
            day.clone(),
            seen.conversations().to_string(),
            share(seen),
            seen.sampled_rows.to_string(),
            seen.tool_texts().to_owned(),
        ]);
    }
    let of = match look.is_whole {
        true => "all rows".to_owned(),
        false => format!("the first {} of the rows", size(look.bytes)),
    };
    format!(
        "{}\nCopilot Chat telemetry as {of} show it\n\n",
        table.for_stdout()
    )
}

/// Conversations with the texts of tool calls, and their share.
fn share(seen: &OfDay) -> String {
    let (with, of) = (seen.with_tool_texts(), seen.conversations());
    let percent = (100 * with).checked_div(of).unwrap_or(0);
    format!("{with} ({percent}%)")
}
