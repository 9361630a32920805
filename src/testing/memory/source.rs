//! Rows in memory, in hash chunks.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::domain::record::row::trim;
use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::{Membership, Selection};
use crate::source::{
    ConversationSource, FetchFuture, FetchOrder, Pass, PopulationSample, ReceivedRow, RowBlock,
    RowEncoding, RowSink, SourceError, Survey, UndeliveredCount,
};

/// The last change of every conversation of a census.
const LAST: &str = "2025-01-01T00:00:00Z";

/// Rows in a block, unless said otherwise.
const BLOCK_ROWS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// A source whose rows are in memory: conversations or turns, cut by the hash of their ids. A clone
/// shares them. Rows that cannot be read as telemetry are delivered too: the pipeline counts them.
#[derive(Debug, Clone)]
pub struct MemorySource {
    rows: Arc<Vec<Row>>,
    chunks: NonZeroU32,
    block_rows: NonZeroUsize,
    /// The selection, for a source that delivers a census first.
    selection: Option<Arc<Selection>>,
    /// Whether it counts the conversations that a census does not deliver.
    counts: bool,
}

#[derive(Debug)]
struct Row {
    text: Vec<u8>,
    /// Its id; of a row without one, all of it: anything that always has it in the same chunk.
    key: Vec<u8>,
    /// The number of turns, for a conversation.
    turns: Option<u64>,
}

impl Row {
    fn of(text: &[u8]) -> Self {
        let text = trim(text).to_vec();
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let key = match value["conversationId"].as_str() {
            Some(id) if !id.is_empty() => id.as_bytes().to_vec(),
            _ => text.clone(),
        };
        let turns = value["turnsArray"].as_array();
        let turns = turns.map(|turns| turns.len() as u64);
        Self { text, key, turns }
    }
}

impl MemorySource {
    /// A source of these rows in one chunk.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a Value>) -> Self {
        let lines: Vec<_> = rows.into_iter().map(|row| row.to_string()).collect();
        Self::from_lines(&lines)
    }

    /// A source of these lines, in one chunk: JSON as it stands there, or anything else. A newline
    /// within one makes it two rows, and blank ones are none.
    pub fn from_lines(lines: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut rows = Vec::new();
        for line in lines {
            let parts = line.as_ref().split(|&byte| byte == b'\n').map(Row::of);
            rows.extend(parts.filter(|row| !row.text.is_empty()));
        }
        Self {
            rows: Arc::new(rows),
            chunks: NonZeroU32::MIN,
            block_rows: BLOCK_ROWS,
            selection: None,
            counts: false,
        }
    }

    /// Cut into so many hash chunks.
    #[must_use]
    pub fn in_chunks(self, chunks: NonZeroU32) -> Self {
        Self { chunks, ..self }
    }

    /// Delivered in blocks of this many rows.
    #[must_use]
    pub fn in_blocks(self, rows: NonZeroUsize) -> Self {
        let block_rows = rows;
        Self { block_rows, ..self }
    }

    /// Delivers a census first, and then the conversations of some ranks, as a cluster does. All
    /// rows must be conversations with ids of their own; the survey says if they are not.
    #[must_use]
    pub fn with_census(self, selection: Arc<Selection>) -> Self {
        let selection = Some(selection);
        Self { selection, ..self }
    }

    /// With a census: delivers one of some ranks, and counts the other conversations.
    #[must_use]
    pub fn with_counts(self) -> Self {
        let counts = true;
        Self { counts, ..self }
    }

    /// All conversations by stratum, if it counts them.
    fn sample(&self) -> Option<PopulationSample> {
        let selection = self.selection.as_ref().filter(|_| self.counts)?;
        let mut sample = PopulationSample {
            share: 1.0,
            ..PopulationSample::default()
        };
        for row in &*self.rows {
            let turns = row.turns.unwrap_or(0);
            let membership = selection.membership(&row.key, self.group(row), turns);
            if let Membership::Stratum(stratum) = membership {
                *sample.strata.entry(stratum).or_default() += 1;
            }
        }
        Some(sample)
    }

    fn count(&self, row: &Row) -> UndeliveredCount {
        let of_id = || kusto_hash::modulo(kusto_hash::hash(&row.key), 100);
        UndeliveredCount {
            residue: self.group(row).residue().unwrap_or_else(of_id),
            turns: row.turns.unwrap_or(0),
            conversations: 1,
        }
    }

    fn survey_now(&self) -> Result<Survey, SourceError> {
        if self.selection.is_some() {
            let mut ids: Vec<&[u8]> = self.rows.iter().map(|row| row.key.as_slice()).collect();
            ids.sort_unstable();
            if self
                .rows
                .iter()
                .any(|row| row.turns.is_none() || row.key == row.text)
                || ids.windows(2).any(|pair| pair[0] == pair[1])
            {
                return Err(SourceError::NoInput(
                    "a census is of conversations, each with an id of its own".to_owned(),
                ));
            }
        }
        let chunks = HashChunk::cover(self.chunks.get()).map(Chunk::Hash);
        let bytes = self.rows.iter().map(|row| row.text.len() as u64 + 1).sum();
        Ok(Survey {
            census: self.selection.is_some(),
            sample: self.sample(),
            bytes: Some(bytes),
            ..Survey::of(chunks.collect(), true)
        })
    }

    /// What decides the split of a row's conversation, if it is not the id.
    fn group(&self, row: &Row) -> GroupMark {
        let selection = self.selection.as_ref();
        match selection.and_then(|selection| selection.split_by()) {
            Some(field) => field.of_record(&row.text).unwrap_or_default().mark(),
            None => GroupMark::ABSENT,
        }
    }

    fn wants(&self, order: &FetchOrder, row: &Row) -> bool {
        match (&order.ranks, &self.selection) {
            (Some(ranks), Some(selection)) => {
                let rank = Ranker::new(selection.seed()).rank(&row.key);
                let of = (row.key.as_slice(), self.group(row));
                ranks.wants(selection, of, row.turns.unwrap_or(0), rank)
            }
            _ => true,
        }
    }

    async fn deliver(
        &self,
        order: FetchOrder,
        sink: &mut dyn RowSink,
    ) -> Result<Option<ChunkChecksum>, SourceError> {
        let chunk = order.hash_chunk()?;
        let of_chunk = self.rows.iter().filter(|row| chunk.holds(&row.key));
        let (rows, others): (Vec<&Row>, Vec<&Row>) =
            of_chunk.partition(|row| self.wants(&order, row));
        let mut chunk_checksum = ChunkChecksum::default();
        let mut line = 1;
        for rows in rows.chunks(self.block_rows.get()) {
            let mut block = RowBlock {
                first_line: line,
                ..RowBlock::default()
            };
            line += rows.len() as u64;
            for row in rows {
                self.write(row, order.pass, &mut block);
                chunk_checksum.count(kusto_hash::hash(&row.key));
            }
            sink.write(block).await?;
        }
        if let Pass::CensusUpTo(_) = order.pass {
            (others.iter()).for_each(|row| chunk_checksum.count(kusto_hash::hash(&row.key)));
            let block = RowBlock {
                encoding: RowEncoding::Census,
                undelivered: others.into_iter().map(|row| self.count(row)).collect(),
                ..RowBlock::default()
            };
            sink.write(block).await?;
        }
        Ok(self.selection.is_some().then_some(chunk_checksum))
    }

    fn write(&self, row: &Row, pass: Pass, block: &mut RowBlock) {
        let turns = row.turns;
        if pass.is_census() {
            block.encoding = RowEncoding::Census;
            let id = String::from_utf8_lossy(&row.key);
            let mut header =
                json!({"conversationId": id, "turnCount": turns, "lastTimestamp": LAST});
            if let Some(residue) = self.group(row).residue() {
                header["groupResidue"] = json!(residue);
            }
            block.bytes.extend_from_slice(header.to_string().as_bytes());
        } else {
            block.bytes.extend_from_slice(&row.text);
        }
        block.bytes.push(b'\n');
        if self.selection.is_some() {
            block.received.push(ReceivedRow {
                id_hash: kusto_hash::hash(&row.key),
                turns: turns.and_then(|turns| i64::try_from(turns).ok()),
                last: None,
            });
        }
    }
}

impl ConversationSource for MemorySource {
    fn describe(&self) -> Value {
        json!({"kind": "memory", "rows": self.rows.len()})
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        async move { self.survey_now() }.boxed()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        self.deliver(order, rows).boxed()
    }
}
