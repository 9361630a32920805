//! Records from rows of Copilot Chat telemetry by the domain alone: all rows in memory.

use std::collections::BTreeMap;

use gleaner_domain::copilot_chat::assembler::{Assembled, Assembler};
use gleaner_domain::copilot_chat::header::TelemetryHeader;
use gleaner_domain::copilot_chat::membership::{self, MembershipRules, Outcome};
use gleaner_domain::copilot_chat::row::{self, ReadRow, ReadRules, RowKey};
use gleaner_domain::record::row::MalformedReason;
use gleaner_domain::selection::stratum::Selection;

/// All rows, by what they are found by.
#[derive(Default)]
pub struct Rows {
    pub conversations: BTreeMap<Vec<u8>, Vec<(TelemetryHeader, Vec<u8>)>>,
    pub shared: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    pub malformed: BTreeMap<MalformedReason, u64>,
    pub damaged: Vec<Vec<u8>>,
    pub other_events: u64,
    pub without_id: u64,
}

impl Rows {
    /// Takes a row.
    pub fn add(&mut self, line: &[u8], rules: &ReadRules) {
        match row::read(line, rules) {
            Ok(ReadRow::OtherEvent) => self.other_events += 1,
            Ok(ReadRow::NoId) => self.without_id += 1,
            Ok(ReadRow::Used(used)) => match used.key {
                RowKey::Conversation(id) => {
                    let rows = self.conversations.entry(id.into_owned()).or_default();
                    rows.push((used.header, line.to_vec()));
                }
                RowKey::Shared(id) => {
                    let rows = self.shared.entry(id.into_owned()).or_default();
                    rows.push(line.to_vec());
                }
            },
            Err(row) => {
                *self.malformed.entry(row.reason).or_default() += 1;
                self.damaged.extend(row.id.map(|id| id.into_owned()));
            }
        }
    }

    /// The record of a conversation, or why there is none.
    pub fn record(
        &self,
        id: &[u8],
        rules: &MembershipRules,
        read: &ReadRules,
        selection: &Selection,
    ) -> Result<(Vec<u8>, Assembled), Outcome> {
        let rows = &self.conversations[id];
        let headers: Vec<_> = rows.iter().map(|(header, _)| *header).collect();
        let decided = membership::decide(&headers, rules);
        let Outcome::Complete { .. } = decided.outcome else {
            return Err(decided.outcome);
        };
        let payload = decided.rows.iter().map(|&row| &rows[row as usize].1[..]);
        let payload: Vec<&[u8]> = payload.collect();
        let assembler = Assembler::new(selection, read, rules);
        let draft = assembler.open(&payload).expect("rows as they were");
        let wanted = draft.wanted().iter().filter_map(|id| self.shared.get(id));
        let shared: Vec<&[u8]> = wanted.flatten().map(Vec::as_slice).collect();
        let id = std::str::from_utf8(id).expect("UTF-8");
        let mut record = Vec::new();
        let assembled = draft
            .record(id, &shared, &mut record)
            .expect("rows as they were");
        Ok((record, assembled))
    }
}
