//! Dedup: one conversation per id. A shell around [`Index`].
//!
//! It absorbs the headers of chunks that are done, whole chunks only. Where all rows of a
//! conversation are in one chunk (`closed`), each chunk is decided by itself and forgotten;
//! otherwise all are decided at the end. Deciding runs on the CPU pool, because ties look at
//! payloads; what comes out goes to the samplers in batches, and the next range is not begun
//! before they have it.
//!
//! Dedup and the samplers are one failure domain: if what was seen survived and what was sampled
//! did not, a record would be lost. Should one of them die, all start again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use actix::{Actor, Addr, AtomicResponse, Context, Handler, WrapFuture};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::messages::{AddHeaders, Close, Grouped, Offer};
use super::sampler::Sampler;
use crate::domain::grouping::dedup::{Closing, Conversation, Index};
use crate::domain::record::assembler::Assembler;
use crate::domain::record::header::Position;
use crate::domain::record::row::RowShape;
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::{Membership, StratumId};
use crate::fault::Site;
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::chunk_reader::Headers;
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::spool::payloads::PayloadError;
use crate::telemetry::heartbeat::Heartbeat;

/// Conversations that one job decides: their candidates take a few megabytes at most.
const RANGE: u32 = 4096;

/// What deciding needs.
pub struct DedupParts {
    /// What all actors share.
    pub run: Arc<RunContext>,
    /// `limits.max_record`
    pub max_record: u64,
    /// `selection.cut = "keep"`
    pub keep_cut: bool,
    /// Who gets what comes out.
    pub samplers: BTreeMap<StratumId, Addr<Sampler>>,
    /// Whether a chunk can be decided by itself.
    pub self_contained: bool,
    /// Its signs of progress.
    pub heartbeat: Heartbeat,
}

/// The dedup actor.
pub struct Deduper {
    parts: Arc<DedupParts>,
    /// Made when the shape is known.
    index: Option<Index>,
}

impl Deduper {
    /// An empty one.
    pub fn new(parts: DedupParts) -> Self {
        Self {
            parts: Arc::new(parts),
            index: None,
        }
    }
}

impl Actor for Deduper {
    type Context = Context<Self>;
}

impl Handler<AddHeaders> for Deduper {
    type Result = AtomicResponse<Self, Result<Grouped, RunError>>;

    fn handle(&mut self, AddHeaders(headers): AddHeaders, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        let index = self.index.take();
        let busy = self.parts.heartbeat.busy();
        let work = async move {
            let _busy = busy;
            let scope = parts.run.faults.enter(Site::Dedup).await;
            let mut index = index;
            absorb(&parts, &mut index, headers).await?;
            let grouped = match index.take_if(|_| parts.self_contained) {
                Some(index) => decide(&parts, index).await?,
                None => Grouped::default(),
            };
            scope.leave();
            Ok((index, grouped))
        };
        AtomicResponse::new(Box::pin(actix::ActorFutureExt::map(
            work.into_actor(self),
            |result: Result<_, RunError>, deduper, _| {
                let (index, grouped) = result?;
                deduper.index = index;
                Ok(grouped)
            },
        )))
    }
}

impl Handler<Close> for Deduper {
    type Result = AtomicResponse<Self, Result<Grouped, RunError>>;

    fn handle(&mut self, Close: Close, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        let index = self.index.take();
        let busy = self.parts.heartbeat.busy();
        let work = async move {
            let _busy = busy;
            match index {
                Some(index) => decide(&parts, index).await,
                None => Ok(Grouped::default()),
            }
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

/// Takes the headers of a chunk into the index.
async fn absorb(
    parts: &DedupParts,
    index: &mut Option<Index>,
    headers: Headers,
) -> Result<(), RunError> {
    let index = index.get_or_insert_default();
    match headers {
        Headers::InMemory(batches) => batches.iter().for_each(|batch| index.observe(batch)),
        Headers::Sealed(chunk) => {
            let store = parts.run.payloads.add_sealed(&chunk);
            let mut replay = chunk.replay(store)?;
            loop {
                let batch;
                (replay, batch) = parts
                    .run
                    .pool
                    .run(move || {
                        let batch = replay.next_batch();
                        (replay, batch)
                    })
                    .await?;
                parts.heartbeat.beat();
                match batch? {
                    Some(batch) => index.observe(&batch),
                    None => break,
                }
            }
        }
    }
    Ok(())
}

/// Decides all conversations of an index and hands them to the samplers.
async fn decide(parts: &Arc<DedupParts>, index: Index) -> Result<Grouped, RunError> {
    let mut grouped = Grouped::default();
    grouped.tally.duplicate_conversations = index.shorter_duplicates();
    let index = Arc::new(index);
    let ranges = (0..index.conversations())
        .step_by(RANGE as usize)
        .map(|start| start..(start + RANGE).min(index.conversations()));
    let mut decided = stream::iter(ranges)
        .map(|range| {
            let (parts, index) = (Arc::clone(parts), Arc::clone(&index));
            let pool = Arc::clone(&parts.run.pool);
            async move {
                pool.run(move || decide_range(&parts, &index, range))
                    .await?
            }
        })
        // The order of arrival means nothing to a reservoir.
        .buffer_unordered(parts.run.pool.threads());
    while let Some((part, offers)) = decided.try_next().await? {
        if parts.run.is_stopping() {
            return Err(RunError::Interrupted);
        }
        grouped.add(part);
        parts.heartbeat.beat();
        for (stratum, candidates) in offers {
            let sampler = &parts.samplers[&stratum];
            sampler
                .send(Offer(candidates))
                .await
                .map_err(|_| RunError::NoAnswer("sampler"))?;
        }
    }
    Ok(grouped)
}

type Offers = Vec<(StratumId, Vec<Candidate>)>;

fn decide_range(
    parts: &DedupParts,
    index: &Index,
    range: Range<u32>,
) -> Result<(Grouped, Offers), RunError> {
    let selection = &*parts.run.selection;
    let closing = Closing {
        assembler: Assembler::new(selection, parts.run.nested),
        selection,
        max_record: parts.max_record,
        keep_cut: parts.keep_cut,
    };
    let mut ranker = Ranker::new(selection.seed());
    let mut by_stratum: Vec<Vec<Candidate>> = vec![Vec::new(); selection.stratum_count()];
    let (mut out_of_range, mut no_target) = (0, 0);
    let mut emit = |conversation: Conversation<'_>| match selection
        .membership(conversation.id, conversation.turns)
    {
        Membership::OutOfRange => out_of_range += 1,
        Membership::NoTarget => no_target += 1,
        Membership::Stratum(stratum) => by_stratum[usize::from(stratum.0)].push(Candidate {
            rank: ranker.rank(conversation.id),
            id: conversation.id.into(),
            turns: conversation.turns,
            rows: conversation.rows.into(),
            prevalidated: conversation.prevalidated,
        }),
    };
    let mut reader = parts.run.payloads.reader();
    let mut read = |position: &Position, out: &mut Vec<u8>| -> Result<(), PayloadError> {
        match index.shape() {
            Some(RowShape::Turns) => reader.read(position, out),
            Some(RowShape::Conversations) | None => {
                let assembler = Assembler::new(selection, parts.run.nested);
                reader.read_record(position, &assembler, out)
            }
        }
    };
    let tally = index.close(range, &closing, &mut read, &mut emit)?;
    let grouped = Grouped {
        tally,
        out_of_range,
        no_target,
    };
    let offers = (0..)
        .map(StratumId)
        .zip(by_stratum)
        .filter(|(_, candidates)| !candidates.is_empty())
        .collect();
    Ok((grouped, offers))
}
