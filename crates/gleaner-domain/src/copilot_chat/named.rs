//! Which shared rows (bodies of messages, options) some rows name.

use std::collections::{BTreeMap, BTreeSet};

use super::bag::Prop;
use super::calls;
use super::event::EventKind;
use super::fragment::Fragment;
use super::row::ReadRules;
use crate::debug_lengths;

/// Collects the ids of shared rows. Holds no rows but lists of ids that were cut into several.
#[derive(Default)]
pub struct NamedIds {
    ids: BTreeSet<Vec<u8>>,
    /// Rows of lists that were cut, by model call and event.
    cut: BTreeMap<(Vec<u8>, EventKind), Vec<Vec<u8>>>,
}

debug_lengths!(NamedIds {} lengths { ids, cut });

impl NamedIds {
    /// Takes a row. One that cannot be read names nothing.
    pub fn add(&mut self, row: &[u8], rules: &ReadRules) {
        let Ok(Some(fragment)) = Fragment::load(row, rules) else {
            return;
        };
        let event = fragment.header.event;
        if !matches!(event, EventKind::CallInput | EventKind::CallOutput) {
            return;
        }
        self.ids.extend(fragment.id(Prop::RequestOptionsId));
        if fragment.count(Prop::TotalChunks).unwrap_or(1) > 1 {
            let call = fragment.id(Prop::ModelCallId).unwrap_or_default();
            self.cut
                .entry((call, event))
                .or_default()
                .push(row.to_vec());
        } else {
            self.ids
                .extend(calls::ids(&[&fragment]).unwrap_or_default());
        }
    }

    /// The ids that were named since, decoded, each once.
    pub fn take(&mut self, rules: &ReadRules) -> BTreeSet<Vec<u8>> {
        for rows in std::mem::take(&mut self.cut).into_values() {
            let load = |row| Fragment::load(row, rules).ok().flatten();
            let rows: Vec<Fragment<'_>> = rows.iter().filter_map(|row| load(row)).collect();
            let rows: Vec<&Fragment<'_>> = rows.iter().collect();
            self.ids.extend(calls::ids(&rows).unwrap_or_default());
        }
        self.ids.remove(&b""[..]);
        std::mem::take(&mut self.ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(rows: &[serde_json::Value]) -> Vec<String> {
        let rules = super::super::rules::CopilotChatRules::of_agents(1 << 20).read;
        let mut ids = NamedIds::default();
        for row in rows {
            ids.add(row.to_string().as_bytes(), &rules);
        }
        let text = |id| String::from_utf8(id).expect("UTF-8");
        ids.take(&rules).into_iter().map(text).collect()
    }

    fn row(event: &str, properties: serde_json::Value) -> serde_json::Value {
        let mut properties = properties;
        properties["conversationId"] = "c".into();
        properties["modelCallId"] = "m".into();
        json!({"TimeGenerated": "2026-01-01T00:00:00Z", "Name": format!("copilot-chat/{event}"), "Properties": properties})
    }

    #[test]
    fn calls_name_messages_and_options() {
        let input = row(
            "model.modelCall.input",
            json!({"messageUuids": "[\"b\",\"a\"]", "requestOptionsId": "o"}),
        );
        let output = row(
            "model.modelCall.output",
            json!({"messageUuids": "[\"a\",\"c\"]"}),
        );
        let other = row("engine.messages", json!({"messageUuids": "[\"x\"]"}));
        assert_eq!(named(&[input, output, other]), ["a", "b", "c", "o"]);
    }

    #[test]
    fn a_list_that_was_cut_is_joined() {
        let piece = |at: u32, text: &str| {
            row(
                "model.modelCall.input",
                json!({"messageUuids": text, "chunkIndex": at.to_string(), "totalChunks": "2"}),
            )
        };
        let pieces = [piece(1, "b\"]"), piece(0, "[\"a\",\"b")];
        assert_eq!(named(&pieces), ["a", "bb"]);
        assert_eq!(named(&pieces[..1]), [""; 0], "a piece is missing");
    }
}
