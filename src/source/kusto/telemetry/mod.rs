//! Copilot Chat telemetry from a cluster: a census that says of each conversation's requests what
//! decides whether they are turns, and then the rows of the conversations that are wanted, as they are.
//!
//! The answers of the second kind are foreseen from the census, and asked for in as many requests as it
//! takes for each to fit. Rows of model calls name messages and options that may have been sent by
//! other conversations: these are asked for by their ids, in the same fetch. Rows that come twice,
//! because a request was cut in two after a part of its answer, are known for that by their content.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::{Attempt, Failure, Purpose};
use super::passing::Passing;
use super::query::Asked;
use super::{Action, KustoSource};
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::debug_lengths;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::Ranker;
use crate::source::{
    BlockReader, FetchOrder, ReceivedRow, RowBlock, RowEncoding, RowSink, SourceError,
};
use batches::SharedSizes;
use census::{CensusWriter, CountedConversation};
use payload::PayloadWriter;

mod batches;
mod census;
mod payload;

/// Whole conversations by chunk, as their censuses have counted them.
type Counted = BTreeMap<HashChunk, Arc<[CountedConversation]>>;

/// What reading telemetry needs besides a cluster.
pub(super) struct TelemetryReading {
    rules: Arc<CopilotChatRules>,
    /// What was counted, for foreseeing the size of answers: some 100 bytes for each conversation.
    counted: Mutex<Counted>,
}

debug_lengths!(TelemetryReading {} lengths {});

impl TelemetryReading {
    /// Nothing was counted yet.
    pub(super) fn new(rules: Arc<CopilotChatRules>) -> Self {
        Self {
            rules,
            counted: Mutex::default(),
        }
    }

    /// What a census has counted of a chunk, or of the one that it came of.
    fn counted(&self, of: HashChunk) -> Option<Vec<CountedConversation>> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let found = counted
            .iter()
            .find(|(chunk, _)| **chunk == of || chunk.is_ancestor_of(&of))?;
        let inside = found.1.iter().filter(|one| of.holds(one.id.as_bytes()));
        Some(inside.cloned().collect())
    }

    fn set_counted(&self, of: HashChunk, conversations: Vec<CountedConversation>) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.insert(of, conversations.into());
    }
}

/// Takes rows that nobody wants.
struct Nobody;

impl RowSink for Nobody {
    fn write(&mut self, _: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn drain(&mut self, _: Box<dyn BlockReader>) -> BoxFuture<'_, Result<(), SourceError>> {
        std::future::ready(Ok(())).boxed()
    }
}

/// One fetch of a chunk.
pub(super) struct TelemetryFetch<'a> {
    source: &'a KustoSource,
    reading: &'a TelemetryReading,
    chunk: HashChunk,
    attempt: Attempt,
}

impl<'a> TelemetryFetch<'a> {
    pub(super) fn new(
        source: &'a KustoSource,
        reading: &'a TelemetryReading,
        chunk: HashChunk,
        attempt: Attempt,
    ) -> Self {
        Self {
            source,
            reading,
            chunk,
            attempt,
        }
    }

    /// Delivers what is ordered.
    pub(super) async fn run(
        &self,
        order: FetchOrder,
        sink: &mut dyn RowSink,
    ) -> Result<ChunkChecksum, SourceError> {
        if order.pass.is_census() {
            return self.census(sink).await;
        }
        let counted = match self.reading.counted(self.chunk) {
            Some(counted) => counted,
            None => {
                // A run that goes on: the census was taken by an earlier start.
                self.census(&mut Nobody).await?;
                self.reading.counted(self.chunk).unwrap_or_default()
            }
        };
        let wanted = match &order.ranks {
            Some(ranks) => self.wanted(counted, ranks),
            None => counted,
        };
        self.payloads(wanted, sink).await
    }

    fn wanted(
        &self,
        counted: Vec<CountedConversation>,
        ranks: &RankRanges,
    ) -> Vec<CountedConversation> {
        let selection = &*self.source.selection;
        let mut ranker = Ranker::new(selection.seed());
        let mut is_wanted = |one: &CountedConversation| {
            let id = one.id.as_bytes();
            ranks.wants(selection, (id, one.group), one.turns, ranker.rank(id))
        };
        counted.into_iter().filter(|one| is_wanted(one)).collect()
    }

    fn purpose(&self, query: &'static str) -> Purpose {
        Purpose {
            query,
            attempt: Some(self.attempt),
        }
    }

    fn passing<'p>(&'p self, query: &'static str, csl: &'p str) -> Passing<'p> {
        Passing {
            client: &self.source.client,
            purpose: self.purpose(query),
            csl,
            max_record: self.source.max_record,
            encoding: match query {
                "census" => RowEncoding::Census,
                _ => RowEncoding::AsWritten,
            },
        }
    }

    /// Takes the census of the chunk, which must have what the cluster counts.
    async fn census(&self, sink: &mut dyn RowSink) -> Result<ChunkChecksum, SourceError> {
        let (source, chunk) = (self.source, self.chunk);
        let expected = source.chunk_checksum(chunk, self.attempt).await?;
        let csl = source.census.with(&source.values(chunk, None), "");
        let writer = CensusWriter::new(chunk, Arc::clone(&self.reading.rules));
        let check = |writer: &CensusWriter| {
            let delivered = writer.finish()?;
            match delivered == expected {
                true => Ok(delivered),
                false => Err(Failure::not_as_certified(delivered, expected)),
            }
        };
        let passing = self.passing("census", &csl);
        let (writer, delivered) = passing.pass(writer, sink, check).await?;
        tracing::info!(chunk = %self.attempt.chunk, query = "census", conversations = delivered.conversations, whole = writer.counted.len(), "fetched");
        self.reading.set_counted(chunk, writer.counted);
        Ok(delivered)
    }

    /// The average size of the rows of a conversation, without shared ones; `None` if there is none.
    pub(super) async fn average_size(&self) -> Result<Option<u64>, SourceError> {
        self.census(&mut Nobody).await?;
        let counted = self.reading.counted(self.chunk).unwrap_or_default();
        let bytes = counted.iter().map(|one| one.bytes).sum::<u64>();
        Ok(bytes.checked_div(counted.len() as u64))
    }

    /// The rows of conversations, and the shared rows that they name.
    async fn payloads(
        &self,
        wanted: Vec<CountedConversation>,
        sink: &mut dyn RowSink,
    ) -> Result<ChunkChecksum, SourceError> {
        let mut rows = Rows {
            fetch: self,
            sink,
            line: 1,
            sizes: SharedSizes::default(),
            shared: HashSet::new(),
        };
        let mut delivered = ChunkChecksum::default();
        for batch in batches::cut(wanted) {
            let ids = batch.into_iter().map(|one| String::from(one.id)).collect();
            let found = rows.conversations(ids).await?;
            for conversation in found {
                delivered.count(conversation.id_hash);
            }
        }
        tracing::info!(chunk = %self.attempt.chunk, query = "payload", conversations = delivered.conversations, shared = rows.shared.len(), "fetched");
        Ok(delivered)
    }
}

/// The rows of a fetch.
struct Rows<'f, 'a> {
    fetch: &'f TelemetryFetch<'a>,
    sink: &'f mut dyn RowSink,
    /// The number of the next line.
    line: u64,
    sizes: SharedSizes,
    /// Hashes of the shared ids that were asked for.
    shared: HashSet<i64>,
}

/// What a request brought.
struct Brought {
    /// The ids of which rows came.
    found: Vec<Vec<u8>>,
    /// The shared rows that these name.
    named: BTreeSet<Vec<u8>>,
    bytes: u64,
}

impl Rows<'_, '_> {
    /// Asks for the rows of some conversations, then for those that they name; says which
    /// conversations came. An answer that is too large all the same is asked for in halves.
    async fn conversations(&mut self, ids: Vec<String>) -> Result<Vec<ReceivedRow>, SourceError> {
        let mut open = VecDeque::from([ids]);
        let (mut found, mut named) = (Vec::new(), BTreeSet::new());
        while let Some(ids) = open.pop_front() {
            match self.ask(&ids, &[]).await {
                Ok(brought) => {
                    found.extend(brought.found.iter().map(|id| ReceivedRow {
                        id_hash: kusto_hash::hash(id),
                        turns: None,
                        last: None,
                    }));
                    named.extend(brought.named);
                }
                Err(error) => halve(ids, error, &mut open)?,
            }
        }
        if self.fetch.source.payload.finds_shared() {
            self.shared(named).await?;
        }
        // Nothing more comes of these: they can be put together.
        let block = RowBlock {
            received: found.clone(),
            is_utf8: true,
            ..RowBlock::default()
        };
        self.sink.write(block).await?;
        Ok(found)
    }

    /// Asks for shared rows that were not asked for before.
    async fn shared(&mut self, named: BTreeSet<Vec<u8>>) -> Result<(), SourceError> {
        let new = named
            .into_iter()
            .filter(|id| self.shared.insert(kusto_hash::hash(id)))
            // An id with half a character is none that rows can be read by.
            .filter_map(|id| String::from_utf8(id).ok());
        let mut new: VecDeque<String> = new.collect();
        while !new.is_empty() {
            let count = self.sizes.next().min(new.len());
            let mut open = VecDeque::from([new.drain(..count).collect::<Vec<_>>()]);
            while let Some(ids) = open.pop_front() {
                match self.ask(&[], &ids).await {
                    Ok(brought) => self.sizes.add(ids.len(), brought.bytes),
                    Err(error) => halve(ids, error, &mut open)?,
                }
            }
        }
        Ok(())
    }

    /// One request.
    async fn ask(
        &mut self,
        conversations: &[String],
        shared: &[String],
    ) -> Result<Brought, SourceError> {
        let fetch = self.fetch;
        let source = fetch.source;
        let mut values = source.values(fetch.chunk, None);
        values.asked = Asked {
            conversations,
            shared,
            // What runs on this machine has no index: it would look for each word in each row.
            by_words: !source.client.is_loopback(),
        };
        let csl = source.payload.with(&values, "");
        let rules = Arc::clone(&fetch.reading.rules);
        let ids = conversations.iter().chain(shared);
        let writer = PayloadWriter::new(
            ids.map(|id| id.clone().into_bytes()),
            Arc::clone(&rules),
            self.line,
        );
        let query = match shared.is_empty() {
            true => "payload",
            false => "shared",
        };
        let passing = fetch.passing(query, &csl);
        let (mut writer, ()) = passing
            .pass(writer, &mut *self.sink, PayloadWriter::finish)
            .await?;
        self.line = writer.next_line();
        Ok(Brought {
            found: writer.found().map(<[u8]>::to_vec).collect(),
            named: writer.named.take(&rules.read),
            bytes: writer.bytes,
        })
    }
}

/// What to do with ids whose answer did not come whole: ask for each half, if that may help.
fn halve(
    mut ids: Vec<String>,
    error: SourceError,
    open: &mut VecDeque<Vec<String>>,
) -> Result<(), SourceError> {
    if error.action() != Action::Split || ids.len() < 2 {
        return Err(error);
    }
    let rest = ids.split_off(ids.len() / 2);
    tracing::debug!(ids = ids.len() + rest.len(), "asked for in halves");
    open.push_front(rest);
    open.push_front(ids);
    Ok(())
}

impl KustoSource {
    /// The attempt on a chunk that an order is.
    pub(super) fn attempt(order: &FetchOrder) -> Attempt {
        Attempt {
            chunk: order.chunk,
            number: order.attempt,
        }
    }

    /// The whole of what there is, for a sample.
    pub(super) fn sample(chunk: HashChunk) -> Attempt {
        Attempt {
            chunk: Chunk::Hash(chunk),
            number: 1,
        }
    }
}
