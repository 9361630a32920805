//! What can be had of Copilot Chat telemetry in files, by version of the extension and day: for a plan,
//! which shows sessions that an export would never reach.
//!
//! Bounded: so many decoded bytes of all files together, shared out evenly. Holds a hash for each
//! conversation, version and day.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memchr;

use crate::domain::copilot_chat::event::EventKind;
use crate::domain::copilot_chat::row::{ReadRow, RowKey, TelemetryRow, read};
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::row;
use crate::domain::record::timestamp::{TICKS_PER_SECOND, Ticks, UtcInstant};
use crate::domain::selection::kusto_hash;
use crate::source::files::FilesSource;
use crate::source::{RowBlock, SourceError};

/// Decoded bytes that are looked at, of all files together.
pub const MOST_BYTES: u64 = 256 << 20;

/// Of a file at least so many.
const LEAST_OF_FILE: u64 = 1 << 20;

const TICKS_PER_DAY: Ticks = 86_400 * TICKS_PER_SECOND;

/// What was seen of a version on a day (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfDay {
    /// Rows of the events that are used.
    pub rows: u64,
    /// Rows that stand for others, which are missing.
    pub sampled_rows: u64,
    /// Hashes of the conversations.
    conversations: BTreeSet<i64>,
    /// Of those with rows that hold the calls of tools in full (`engine.messages`).
    in_full: BTreeSet<i64>,
    /// Of those with rows that name the messages which do (`model.modelCall.input`).
    by_id: BTreeSet<i64>,
}

impl OfDay {
    /// How many conversations.
    pub fn conversations(&self) -> u64 {
        self.conversations.len() as u64
    }

    /// How many of them have the texts of tool calls.
    pub fn with_tool_texts(&self) -> u64 {
        self.in_full.union(&self.by_id).count() as u64
    }

    /// Where the texts of tool calls come from.
    pub fn tool_texts(&self) -> &'static str {
        match (self.in_full.is_empty(), self.by_id.is_empty()) {
            (true, true) => "none",
            (false, true) => "engine.messages",
            (true, false) => "model.message.added",
            (false, false) => "engine.messages, model.message.added",
        }
    }

    fn add(&mut self, row: &TelemetryRow<'_>) {
        self.rows += 1;
        self.sampled_rows += u64::from(row.item_count > 1);
        let RowKey::Conversation(id) = &row.key else {
            return;
        };
        let id = kusto_hash::hash(id);
        self.conversations.insert(id);
        match row.header.event {
            EventKind::Messages => drop(self.in_full.insert(id)),
            EventKind::CallInput => drop(self.by_id.insert(id)),
            _ => {}
        }
    }
}

/// What a look at files shows.
#[derive(Debug, Default)]
pub struct TelemetryLook {
    /// By version of the extension (empty: the row does not say) and day (`2026-03-01`).
    pub days: BTreeMap<(String, String), OfDay>,
    /// Decoded bytes that were looked at.
    pub bytes: u64,
    /// Whether all rows of all files were.
    pub is_whole: bool,
}

/// Looks at the files that a survey of the source has found. What cannot be read is passed over: the
/// look at the first rows names it.
pub fn look(source: &FilesSource, rules: &CopilotChatRules) -> TelemetryLook {
    let files = source.inputs().unwrap_or_default().len();
    let share = (MOST_BYTES / files.max(1) as u64).max(LEAST_OF_FILE);
    let mut look = TelemetryLook {
        is_whole: true,
        ..TelemetryLook::default()
    };
    for file in (0..).take(files) {
        if look.bytes >= MOST_BYTES || look_at(source, file, share, rules, &mut look).is_err() {
            look.is_whole = false;
        }
    }
    look
}

fn look_at(
    source: &FilesSource,
    file: u32,
    share: u64,
    rules: &CopilotChatRules,
    look: &mut TelemetryLook,
) -> Result<(), SourceError> {
    let mut reader = source.rows_up_to(file, share)?;
    let mut block = RowBlock::default();
    let mut bytes = 0;
    loop {
        block.clear();
        if !reader.read_block(&mut block)? {
            return Ok(());
        }
        let mut rest = &block.bytes[..];
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(memchr(b'\n', rest).unwrap_or(rest.len()));
            rest = tail.get(1..).unwrap_or_default();
            look.add(row::trim(line), rules);
        }
        bytes += block.bytes.len() as u64;
        look.bytes += block.bytes.len() as u64;
        if bytes > share {
            return Err(SourceError::Stopped);
        }
    }
}

impl TelemetryLook {
    fn add(&mut self, line: &[u8], rules: &CopilotChatRules) {
        let is_text = simdutf8::basic::from_utf8(line).is_ok();
        let Ok(ReadRow::Used(row)) = read(if is_text { line } else { b"" }, &rules.read) else {
            return;
        };
        let version: String = String::from_utf8_lossy(&row.version)
            .chars()
            .take(32)
            .collect();
        let key = (version, day(row.header.at));
        self.days.entry(key).or_default().add(&row);
    }
}

/// The day of an instant, as text.
fn day(at: Ticks) -> String {
    let midnight = at.div_euclid(TICKS_PER_DAY) * TICKS_PER_DAY;
    let text = UtcInstant::from_ticks(midnight).map(|midnight| midnight.to_string());
    let text = text.unwrap_or_default();
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_count_once_for_a_version_and_a_day() {
        let rules = CopilotChatRules::of_agents(1 << 20);
        let mut look = TelemetryLook::default();
        let mut add = |day: u8, event: &str, id: &str, version: &str, count: u8| {
            let row = format!(
                r#"{{"TimeGenerated":"2026-03-0{day}T23:59:59.9Z","Name":"GitHub.copilot-chat/{event}","Properties":{{"conversationId":"{id}","modelCallId":"m","common.extversion":"{version}"}},"Measurements":{{}},"ItemCount":{count}}}"#
            );
            look.add(row.as_bytes(), &rules);
        };
        add(1, "model.modelCall.input", "a", "0.42", 1);
        add(1, "model.modelCall.input", "a", "0.42", 5);
        add(1, "toolCallDetailsInternal", "b", "0.42", 1);
        add(2, "engine.messages", "b", "0.30", 1);
        add(2, "something.else", "c", "0.30", 1);
        look.add(b"no row", &rules);
        let found: Vec<_> = look
            .days
            .iter()
            .map(|((version, day), of_day)| {
                let (of, with) = (of_day.conversations(), of_day.with_tool_texts());
                let seen = (of_day.rows, of_day.sampled_rows, of, with);
                (&version[..], &day[..], seen, of_day.tool_texts())
            })
            .collect();
        assert_eq!(
            found,
            [
                ("0.30", "2026-03-02", (1, 0, 1, 1), "engine.messages"),
                ("0.42", "2026-03-01", (3, 1, 2, 1), "model.message.added"),
            ]
        );
    }
}
