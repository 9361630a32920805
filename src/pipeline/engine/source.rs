//! An engine as a source: the run asks for censuses and rounds of hash chunks, and jobs bring them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::census::{ChunkCensus, Counts};
use super::input::{EngineParts, Listed};
use super::jobs::{Jobs, LeftOut, Surveyed};
use super::records::ChunkRecords;
use super::store::JobStore;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::scheduling::pass::Pass;
use crate::domain::selection::exclude::{ExcludeList, FoundUsers};
use crate::domain::selection::stratum::Selection;
use crate::runtime::blocking;
use crate::source::{
    Action, BLOCK_BYTES, ConversationSource, FetchFuture, FetchOrder, PopulationSample, Prepared,
    ReceivedRow, RowBlock, RowEncoding, RowSink, SourceError, Survey,
};

/// How often a fetch that waits for a job shows that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A source whose rows executors read.
#[derive(Debug)]
pub struct EngineSource {
    jobs: Arc<Jobs>,
    /// Held while a job runs.
    known: Mutex<Known>,
}

/// What is known so far.
#[derive(Debug, Default)]
struct Known {
    listed: Option<Arc<Listed>>,
    left_out: Arc<LeftOut>,
    surveyed: Option<Arc<Surveyed>>,
    /// The job that was done last: of which pass, and what it has brought.
    done: Option<(Pass, JobStore)>,
}

impl EngineSource {
    /// A source that has an engine scan and group.
    ///
    /// # Errors
    /// If the rules cannot be used.
    pub fn new(parts: EngineParts) -> Result<Self, SourceError> {
        Ok(Self {
            jobs: Arc::new(Jobs::new(parts)?),
            known: Mutex::default(),
        })
    }

    /// Does the work of a job on a thread of its own. Dropped meanwhile, it ends the job. While it lasts `rows` is
    /// given nothing, now and then.
    async fn work<T: Send + 'static>(
        &self,
        rows: Option<&mut dyn RowSink>,
        work: impl FnOnce(&Jobs) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let mut ending = EndJob(Some(&self.jobs));
        let jobs = Arc::clone(&self.jobs);
        let mut done = pin!(blocking(move || jobs.alone(work)));
        let mut rows = rows;
        let result = loop {
            tokio::select! {
                biased;
                done = &mut done => break done,
                () = tokio::time::sleep(SIGN_OF_LIFE) => {
                    if let Some(rows) = &mut rows {
                        rows.write(RowBlock::default()).await?;
                    }
                }
            }
        };
        ending.0 = None;
        result?
    }

    async fn fetch_chunk(
        &self,
        order: FetchOrder,
        rows: &mut dyn RowSink,
    ) -> Result<Option<ChunkChecksum>, SourceError> {
        let chunk = order.hash_chunk()?;
        let mut known = self.known.lock().await;
        let surveyed = known.surveyed.clone().ok_or_else(too_early)?;
        let ranks = order.ranks.unwrap_or_default();
        let store = match &known.done {
            // A job brings all chunks of its pass.
            Some((pass, store)) if *pass == order.pass => store.clone(),
            _ => {
                let (pass, ranks) = (order.pass, Arc::clone(&ranks));
                let job = move |jobs: &Jobs| jobs.bring(&surveyed, pass, &ranks);
                let store = self.work(Some(rows), job).await?;
                known.done = Some((pass, store.clone()));
                store
            }
        };
        drop(known);
        let delivered = match order.pass {
            Pass::Round(_) => {
                let read = move || -> Result<_, SourceError> {
                    let shared = store.shared_rows().records(chunk.index)?;
                    Ok((store.records(chunk.index)?, shared))
                };
                let (records, shared) = blocking(read).await??;
                write_records(records, shared, rows).await?
            }
            _ => {
                let census = blocking(move || store.census(chunk.index)).await??;
                write_census(&census, &self.jobs.selection, &ranks, rows).await?
            }
        };
        Ok(Some(delivered))
    }

    async fn survey_now(&self) -> Result<Survey, SourceError> {
        let listed = Arc::new(self.work(None, |jobs| jobs.parts.list()).await?);
        let chunks = HashChunk::cover(listed.chunks).map(Chunk::Hash);
        let survey = Survey {
            census: true,
            // A job brings all chunks.
            max_concurrency: Some(1),
            input_fingerprints: listed.inputs.clone(),
            ..Survey::of(chunks.collect(), true)
        };
        self.known.lock().await.listed = Some(listed);
        Ok(survey)
    }

    async fn exclude_now(&self, list: &ExcludeList) -> Result<FoundUsers, SourceError> {
        let mut known = self.known.lock().await;
        let (listed, list) = (known.listed.clone().ok_or_else(too_early)?, list.clone());
        let find = move |jobs: &Jobs| jobs.leave_out(&listed, list);
        known.left_out = self.work(None, find).await?;
        Ok(known.left_out.users().clone())
    }

    async fn prepare_now(&self) -> Result<Prepared, SourceError> {
        let mut known = self.known.lock().await;
        let listed = known.listed.clone().ok_or_else(too_early)?;
        let left_out = Arc::clone(&known.left_out);
        let survey = move |jobs: &Jobs| jobs.survey(&listed, &left_out);
        let surveyed = Arc::new(self.work(None, survey).await?);
        let prepared = Prepared {
            population: PopulationSample {
                share: 1.0,
                strata: surveyed.population.clone(),
            },
            ledger: Arc::clone(&surveyed.ledger),
        };
        known.surveyed = Some(surveyed);
        Ok(prepared)
    }
}

fn too_early() -> SourceError {
    SourceError::Custom {
        reason: "a source is asked for its survey, then to prepare, then for chunks".to_owned(),
        action: Action::Fail,
    }
}

/// Ends the job that runs, when it is dropped.
struct EndJob<'a>(Option<&'a Jobs>);

impl Drop for EndJob<'_> {
    fn drop(&mut self) {
        if let Some(jobs) = self.0 {
            jobs.end();
        }
    }
}

/// Delivers the conversations of some ranks, and counts the others.
async fn write_census(
    census: &ChunkCensus,
    selection: &Selection,
    ranks: &RankRanges,
    rows: &mut dyn RowSink,
) -> Result<ChunkChecksum, SourceError> {
    let mut block = census_block();
    let mut delivered = Counts::default();
    for row in census.wanted(selection, ranks) {
        let residue = Selection::residue(row.id.as_bytes(), row.mark());
        delivered.add(selection, residue, row.turns, 1);
        let mut line = json!({
            "conversationId": row.id,
            "turnCount": row.turns,
            // Nothing is decided by it.
            "lastTimestamp": "1970-01-01T00:00:00Z",
        });
        if let Some(residue) = row.mark().residue() {
            line["groupResidue"] = json!(residue);
        }
        block.bytes.extend_from_slice(line.to_string().as_bytes());
        block.bytes.push(b'\n');
        if block.bytes.len() >= BLOCK_BYTES {
            rows.write(std::mem::replace(&mut block, census_block()))
                .await?;
        }
    }
    block.undelivered = census.counts.without(selection, &delivered);
    rows.write(block).await?;
    Ok(census.checksum)
}

fn census_block() -> RowBlock {
    RowBlock {
        encoding: RowEncoding::Census,
        is_utf8: true,
        first_line: 1,
        ..RowBlock::default()
    }
}

/// Delivers records, or rows of telemetry and shared rows, as they are.
async fn write_records(
    records: ChunkRecords,
    shared: ChunkRecords,
    rows: &mut dyn RowSink,
) -> Result<ChunkChecksum, SourceError> {
    let mut delivered = ChunkChecksum::default();
    let mut received = Vec::new();
    for (id_hash, turns) in records.conversations() {
        delivered.count(id_hash);
        received.push(ReceivedRow {
            id_hash,
            turns: i64::try_from(turns).ok(),
            last: None,
        });
    }
    let mut block = RowBlock::default();
    for (number, line) in (1..).zip(records.lines().chain(shared.lines())) {
        if block.bytes.len() >= BLOCK_BYTES {
            rows.write(std::mem::take(&mut block)).await?;
        }
        if block.bytes.is_empty() {
            block.first_line = number;
        }
        block.bytes.extend_from_slice(line);
    }
    block.received = received;
    rows.write(block).await?;
    Ok(delivered)
}

impl ConversationSource for EngineSource {
    fn describe(&self) -> Value {
        self.jobs.parts.describe()
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        self.survey_now().boxed()
    }

    fn exclude<'a>(
        &'a self,
        list: &'a ExcludeList,
    ) -> BoxFuture<'a, Result<Option<FoundUsers>, SourceError>> {
        async { Ok(Some(self.exclude_now(list).await?)) }.boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<Option<Prepared>, SourceError>> {
        async { Ok(Some(self.prepare_now().await?)) }.boxed()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        self.fetch_chunk(order, rows).boxed()
    }
}
