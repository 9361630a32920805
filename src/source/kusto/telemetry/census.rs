//! Reads a census of Copilot Chat telemetry: what is known of each conversation's requests becomes a
//! number of turns, by the rule that puts conversations together.

use std::sync::Arc;

use crate::domain::copilot_chat::census;
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::debug_lengths;
use crate::domain::json::{Kind, Value, number};
use crate::domain::record::row::MalformedReason;
use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::domain::scheduling::chunk::HashChunk;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::source::RowBlock;
use crate::source::kusto::error::Failure;
use crate::source::kusto::frames::{Column, TableSink, damaged};
use crate::source::kusto::passing::LineWriter;
use crate::source::kusto::rows::{Type, decoded, embedded, places, unless_foreign};

/// A whole conversation, as a census counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedConversation {
    /// Its id.
    pub id: Box<str>,
    /// Its number of turns.
    pub turns: u64,
    /// How many rows it has, without shared ones.
    pub rows: u64,
    /// How many bytes these are, about.
    pub bytes: u64,
    /// Its group, if that decides the split.
    pub group: GroupMark,
}

/// The columns, in the order of [`Places`].
const COLUMNS: [(&str, Type); 6] = [
    ("conversationId", Type::String),
    ("turnCount", Type::Integer),
    ("lastTimestamp", Type::DateTime),
    ("rowCount", Type::Integer),
    ("byteCount", Type::Integer),
    ("requests", Type::Dynamic),
];

/// Where the columns are.
type Places = [usize; COLUMNS.len()];

/// Writes census rows of the conversations that are whole.
pub struct CensusWriter {
    chunk: HashChunk,
    rules: Arc<CopilotChatRules>,
    places: Places,
    block: RowBlock,
    scratch: Vec<u8>,
    lines: u64,
    taken: u64,
    foreign: u64,
    delivered: ChunkChecksum,
    /// What is whole.
    pub counted: Vec<CountedConversation>,
}

debug_lengths!(CensusWriter { chunk, lines, foreign } lengths { counted });

impl CensusWriter {
    /// A writer of a chunk's census.
    pub fn new(chunk: HashChunk, rules: Arc<CopilotChatRules>) -> Self {
        Self {
            chunk,
            rules,
            places: Places::default(),
            block: RowBlock::default(),
            scratch: Vec::new(),
            lines: 0,
            taken: 0,
            foreign: 0,
            delivered: ChunkChecksum::default(),
            counted: Vec::new(),
        }
    }

    /// The answer was whole: all that it has delivered, whole conversations or not.
    ///
    /// # Errors
    /// If a row is of another chunk.
    pub fn finish(&self) -> Result<ChunkChecksum, Failure> {
        unless_foreign(self.delivered, self.foreign)
    }
}

impl LineWriter for CensusWriter {
    fn take(&mut self) -> RowBlock {
        let mut block = std::mem::take(&mut self.block);
        block.first_line = self.taken + 1;
        self.taken = self.lines;
        block
    }
}

impl TableSink for CensusWriter {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        self.places = places(columns, COLUMNS)?;
        Ok(())
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        let [id, _, last, rows, bytes, requests] = self.places.map(|at| cells[at]);
        for ((name, kind), at) in COLUMNS.iter().zip(self.places) {
            if !kind.fits(&cells[at]) {
                let found = cells[at].kind;
                return Err(damaged(format!(
                    "a row has a {found:?} in its column {name}"
                )));
            }
        }
        let name = decoded(&id);
        let hash = kusto_hash::hash(&name);
        self.delivered.count(hash);
        self.foreign += u64::from(!self.chunk.holds(&name));
        let requests = match requests.kind {
            Kind::String => embedded(&requests, &mut self.scratch).unwrap_or_default(),
            _ => requests.text,
        };
        let turns = census::turns(requests, &self.rules.membership).map_err(|error| {
            damaged(format!(
                "its column requests has no list of requests: {error}"
            ))
        })?;
        // An id with half a character is none that rows can be read by.
        let (Some((turns, group)), Ok(name)) = (turns, std::str::from_utf8(&name)) else {
            return Ok(());
        };
        let count = |cell: Value<'_>| {
            let count = number::integer(cell.text).unwrap_or(0);
            u64::try_from(count).unwrap_or(0)
        };
        let out = &mut self.block.bytes;
        out.extend_from_slice(br#"{"conversationId":"#);
        out.extend_from_slice(id.text);
        out.extend_from_slice(format!(r#","turnCount":{turns},"lastTimestamp":"#).as_bytes());
        out.extend_from_slice(last.text);
        if let Some(residue) = group.residue() {
            out.extend_from_slice(format!(r#","groupResidue":{residue}"#).as_bytes());
        }
        out.extend_from_slice(b"}\n");
        self.lines += 1;
        self.counted.push(CountedConversation {
            id: name.into(),
            turns: u64::from(turns),
            rows: count(rows),
            bytes: count(bytes),
            group,
        });
        Ok(())
    }

    fn reject(&mut self, _: &[Value<'_>], reason: MalformedReason) -> Result<(), Failure> {
        Err(damaged(format!(
            "a row of the census is malformed ({reason:?})"
        )))
    }
}
