//! What a run makes of the rows of one conversation, by the same steps: read, filtered, grouped, placed. Nothing is
//! written; memory is the rows of that conversation.

use std::collections::BTreeMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::chunk_reader::{AnyRow, RowRules};
use super::look::{Look, Place, Watch};
use super::rows_report::reason_name;
use super::telemetry_rules::copilot_chat_rules;
use super::user_look;
use crate::config::settings::Settings;
use crate::domain::dataset::accounting::FilterReason;
use crate::domain::grouping::batch::{Batch, ClosedIndex, RowIndex};
use crate::domain::grouping::dedup::{Closing, Fault, GroupTally};
use crate::domain::record::assembler::{Assembler, Nested};
use crate::domain::record::header::{Header, Position, RowFlags};
use crate::domain::record::row::{MalformedReason, MalformedRow, RowKind, RowShape};
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::selection::cut::Cut;
use crate::domain::selection::exclude::FoundUsers;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::stratum::Selection;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::run_control::PauseGate;
use crate::pipeline::state::work_dir::RunRecord;
use crate::runtime::CpuPool;
use crate::source::{ConversationSource, Reject, SourceError};
use crate::spool::payloads::PayloadError;

/// What the source has of a conversation, and what a run makes of it.
#[derive(Debug, Default)]
pub struct Trace {
    /// Rows with its id, malformed ones included.
    pub rows: u64,
    /// Rows that are left out, by reason.
    pub filtered: BTreeMap<FilterReason, u64>,
    /// Malformed rows with its id: reason, line, and file if that is known.
    pub malformed: Vec<(String, u64, Option<String>)>,
    /// What it comes to.
    pub outcome: Outcome,
}

/// What a conversation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// There is no row of it.
    #[default]
    Absent,
    /// All of its rows are left out.
    Filtered,
    /// `selection.exclude` names it, or a user of it.
    Excluded,
    /// It has a fault.
    Faulty(Fault),
    /// It is whole, and has so many turns, and the group that its record says.
    Whole(u64, GroupMark),
}

/// Reads the rows of one conversation again. `record` says when, `selection` which buckets there are.
///
/// # Errors
/// If the source cannot be read.
pub async fn trace(
    settings: &Settings,
    record: &RunRecord,
    source: &dyn ConversationSource,
    selection: &Selection,
    id: &str,
    pool: &Arc<CpuPool>,
) -> Result<Trace, RunError> {
    let survey = source.survey().await?;
    let gate = PauseGate::default();
    let ticks = |at: Option<UtcInstant>| at.map(UtcInstant::ticks);
    let ignored = settings.ignore_ids.iter();
    let mut rules = RowRules {
        ignore_ids: ignored.map(|id| id.clone().into_bytes()).collect(),
        excluded: Arc::new(settings.exclude.resolve(&FoundUsers::default())),
        window: ticks(record.window_start)..ticks(record.window_end),
        look: ticks(record.look_start)..ticks(record.look_end),
        max_record: settings.limits.max_record,
        selection: Arc::new(selection.clone()),
        nested: Nested::AsIs,
        schema: settings.schema,
        copilot_chat: Arc::new(copilot_chat_rules(settings, record)),
        quotes_values: false,
    };
    let look = |rules: &RowRules| Look {
        source,
        rules: Arc::new(rules.clone()),
        pool,
        gate: &gate,
    };
    let found = user_look::find(&look(&rules), &survey.chunks, &settings.exclude).await?;
    rules.excluded = Arc::new(settings.exclude.resolve(&found));
    let hash = kusto_hash::hash(id.as_bytes());
    let may_have = |chunk: &Chunk| match chunk {
        Chunk::Hash(of) if survey.self_contained => kusto_hash::modulo(hash, of.count) == of.index,
        _ => true,
    };
    let chunks: Vec<Chunk> = survey.chunks.iter().copied().filter(may_have).collect();
    let files = survey.input_fingerprints.iter();
    let watch = OfOne {
        rules: Arc::new(rules.clone()),
        id: id.as_bytes().to_vec(),
        hash,
        files: files.map(|file| file.path.display().to_string()).collect(),
        index: RowIndex::default(),
        payloads: Vec::new(),
        is_excluded: false,
        trace: Trace::default(),
    };
    let seen = look(&rules).through(&chunks, watch).await?;
    Ok(seen.decide(settings.cut == Cut::Keep)?)
}

/// The rows of one conversation.
struct OfOne {
    rules: Arc<RowRules>,
    id: Vec<u8>,
    hash: i64,
    files: Vec<String>,
    index: RowIndex,
    payloads: Vec<Vec<u8>>,
    is_excluded: bool,
    trace: Trace,
}

impl Watch for OfOne {
    fn row(&mut self, read: Result<AnyRow<'_>, MalformedRow<'_>>, text: &[u8], place: Place) {
        let rules = Arc::clone(&self.rules);
        match read {
            Err(MalformedRow { reason, id }) => {
                self.malformed(reason, id.as_deref(), place);
            }
            Ok(AnyRow::Row(row)) if *row.id == *self.id => {
                self.trace.rows += 1;
                if let Some(reason) = rules.left_out(&row) {
                    return self.filter(reason);
                }
                let (shape, turn, at, flags) = match row.kind {
                    RowKind::Turn { turn, at, agent } => {
                        let flags = rules.flags_of_turn(at, agent);
                        (RowShape::Turns, turn, at, flags)
                    }
                    RowKind::Conversation { turns, .. } | RowKind::Census { turns, .. } => {
                        let flags = RowFlags::default();
                        (RowShape::Conversations, i64::from(turns), 0, flags)
                    }
                };
                let header = Header {
                    id_length: 0,
                    id_hash: self.hash,
                    turn,
                    at,
                    flags,
                    group: rules.group_of(&row, text),
                    position: self.keep(text),
                };
                self.observe(shape, |batch, id| batch.push(id, header, None));
            }
            Ok(AnyRow::Row(_)) => {}
            Ok(AnyRow::Telemetry(row)) => match rules.wanted(row) {
                Ok((row, key)) if !row.header.event.is_shared() && *key == *self.id => {
                    self.trace.rows += 1;
                    let mut telemetry = row.header;
                    telemetry.group = rules.group_of_telemetry(&telemetry, text);
                    let header = Header {
                        id_length: 0,
                        id_hash: self.hash,
                        turn: 0,
                        at: 0,
                        flags: RowFlags::default(),
                        group: telemetry.group,
                        position: self.keep(text),
                    };
                    let shape = RowShape::CopilotChat;
                    self.observe(shape, |batch, id| batch.push(id, header, Some(telemetry)));
                }
                _ => {}
            },
        }
    }

    fn reject(&mut self, reject: &Reject, place: Place) {
        self.malformed(reject.reason, reject.id.as_deref(), place);
    }
}

impl OfOne {
    fn filter(&mut self, reason: FilterReason) {
        *self.trace.filtered.entry(reason).or_default() += 1;
    }

    fn malformed(&mut self, reason: MalformedReason, id: Option<&[u8]>, place: Place) {
        if id != Some(&self.id) || self.rules.is_ignored(&self.id) {
            return;
        }
        self.trace.rows += 1;
        let file = place.file.and_then(|file| self.files.get(file as usize));
        self.trace
            .malformed
            .push((reason_name(reason), place.line, file.cloned()));
        self.observe(RowShape::Conversations, |batch, id| {
            batch.push_malformed(id)
        });
    }

    /// Keeps a row's text, for ties.
    fn keep(&mut self, text: &[u8]) -> Position {
        self.payloads.push(text.to_vec());
        Position {
            store: 0,
            // A row is at most `max_record`, which is below 4 GiB.
            length: text.len() as u32,
            offset: self.payloads.len() as u64 - 1,
            checksum: xxh3_64(text),
        }
    }

    /// Takes a row into the index, unless its conversation is left out.
    fn observe(&mut self, shape: RowShape, push: impl FnOnce(&mut Batch, &[u8])) {
        if self.rules.excluded.number(&self.id).is_some() {
            self.is_excluded = true;
            return;
        }
        let mut batch = Batch::new(shape);
        push(&mut batch, &self.id);
        self.index.observe(&batch);
    }

    /// All rows were seen.
    fn decide(self, keep_cut: bool) -> Result<Trace, SourceError> {
        let Self {
            rules,
            index,
            payloads,
            mut trace,
            ..
        } = self;
        let mut turns = None;
        let tally = match index.closed() {
            ClosedIndex::Rows(index) => {
                let closing = Closing {
                    assembler: Assembler::new(&rules.selection, rules.nested),
                    selection: &rules.selection,
                    max_record: rules.max_record,
                    keep_cut,
                    trusts_checksums: false,
                };
                let mut read = |at: &Position, out: &mut Vec<u8>| -> Result<(), PayloadError> {
                    out.extend_from_slice(&payloads[at.offset as usize]);
                    Ok(())
                };
                let all = 0..index.conversations();
                index
                    .close(all, &closing, &mut read, &mut |whole| {
                        turns = Some((whole.turns, whole.group))
                    })
                    .map_err(|error| SourceError::Custom {
                        reason: error.to_string(),
                        action: crate::source::Action::Fail,
                    })?
            }
            ClosedIndex::Telemetry(index) => {
                let all = 0..index.conversations();
                let membership = &rules.copilot_chat.membership;
                index.close(all, membership, &mut |whole| {
                    turns = Some((whole.turns, whole.group))
                })
            }
        };
        for (&reason, rows) in &tally.filtered {
            *trace.filtered.entry(reason).or_default() += rows;
        }
        trace.outcome = match (turns, fault(&tally)) {
            _ if self.is_excluded => Outcome::Excluded,
            (Some((turns, group)), _) => Outcome::Whole(turns, group),
            (None, Some(fault)) => Outcome::Faulty(fault),
            (None, None) if trace.rows > 0 => Outcome::Filtered,
            (None, None) => Outcome::Absent,
        };
        Ok(trace)
    }
}

/// The fault of the one conversation.
fn fault(tally: &GroupTally) -> Option<Fault> {
    let faults = [
        Fault::Damaged,
        Fault::CutByMode,
        Fault::CutByWindow,
        Fault::Incomplete,
    ];
    faults.into_iter().find(|fault| tally.of_fault(*fault) > 0)
}
