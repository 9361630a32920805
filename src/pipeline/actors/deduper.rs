//! Dedup: one conversation per id. A shell around [`RowIndex`].
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
use crate::domain::grouping::batch::{ClosedIndex, RowIndex};
use crate::domain::grouping::dedup::{Closing, Conversation, GroupTally, Index};
use crate::domain::grouping::telemetry_index::TelemetryIndex;
use crate::domain::record::assembler::Assembler;
use crate::domain::record::header::Position;
use crate::domain::record::row::RowShape;
use crate::domain::sampling::reservoir::{Candidate, TelemetryRows};
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::{Membership, Selection, StratumId};
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
    /// Shared by all actors of the run.
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
    /// Absent while it is decided.
    index: Option<RowIndex>,
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
            // Conversations of telemetry name shared rows, which may lie in any chunk.
            let by_itself = |index: &mut RowIndex| parts.self_contained && !index.has_telemetry();
            let grouped = match index.take_if(by_itself) {
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
    index: &mut Option<RowIndex>,
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
async fn decide(parts: &Arc<DedupParts>, index: RowIndex) -> Result<Grouped, RunError> {
    let mut grouped = Grouped::default();
    let index = match index.closed() {
        ClosedIndex::Rows(index) => {
            grouped.tally.duplicate_conversations = index.shorter_duplicates();
            Closed::Rows(Arc::new(index))
        }
        ClosedIndex::Telemetry(index) => {
            grouped.tally = index.shared_tally();
            Closed::Telemetry(Arc::new(index))
        }
    };
    let conversations = index.conversations();
    let ranges = (0..conversations)
        .step_by(RANGE as usize)
        .map(|start| start..(start + RANGE).min(conversations));
    let mut decided = stream::iter(ranges)
        .map(|range| {
            let (parts, index) = (Arc::clone(parts), index.clone());
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

/// An index to which no rows are added any more.
#[derive(Clone)]
enum Closed {
    Rows(Arc<Index>),
    Telemetry(Arc<TelemetryIndex>),
}

impl Closed {
    fn conversations(&self) -> u32 {
        match self {
            Self::Rows(index) => index.conversations(),
            Self::Telemetry(index) => index.conversations(),
        }
    }
}

/// The candidates of some conversations, by stratum.
struct Sorting<'s> {
    selection: &'s Selection,
    ranker: Ranker,
    by_stratum: Vec<Vec<Candidate>>,
    out_of_range: u64,
    no_target: u64,
}

impl<'s> Sorting<'s> {
    fn new(selection: &'s Selection) -> Self {
        Self {
            selection,
            ranker: Ranker::new(selection.seed()),
            by_stratum: vec![Vec::new(); selection.stratum_count()],
            out_of_range: 0,
            no_target: 0,
        }
    }

    /// Puts a whole conversation where it belongs.
    fn put(&mut self, (id, group): (&[u8], GroupMark), turns: u64, rows: Found<'_>) {
        let stratum = match self.selection.membership(id, group, turns) {
            Membership::OutOfRange => return self.out_of_range += 1,
            Membership::NoTarget => return self.no_target += 1,
            Membership::Stratum(stratum) => stratum,
        };
        let (rows, prevalidated, telemetry) = match rows {
            Found::Rows(rows, prevalidated) => (rows, prevalidated, None),
            Found::Telemetry(telemetry) => (&[][..], false, Some(telemetry)),
        };
        self.by_stratum[usize::from(stratum.0)].push(Candidate {
            rank: self.ranker.rank(id),
            id: id.into(),
            turns,
            rows: rows.into(),
            telemetry,
            prevalidated,
        });
    }

    fn done(self, tally: GroupTally) -> (Grouped, Offers) {
        let grouped = Grouped {
            tally,
            out_of_range: self.out_of_range,
            no_target: self.no_target,
        };
        let offers = (0..)
            .map(StratumId)
            .zip(self.by_stratum)
            .filter(|(_, candidates)| !candidates.is_empty());
        (grouped, offers.collect())
    }
}

/// Where the rows of a conversation are.
enum Found<'a> {
    /// Here; and whether its one row was found prevalidated.
    Rows(&'a [Position], bool),
    /// In an index.
    Telemetry(TelemetryRows),
}

fn decide_telemetry(
    parts: &DedupParts,
    index: &Arc<TelemetryIndex>,
    range: Range<u32>,
) -> (Grouped, Offers) {
    let mut sorting = Sorting::new(&parts.run.selection);
    let rules = &parts.run.copilot_chat.membership;
    let tally = index.close(range, rules, &mut |conversation| {
        let rows = TelemetryRows {
            index: Arc::clone(index),
            number: conversation.number,
            bytes: conversation.bytes,
        };
        let rows = Found::Telemetry(rows);
        let of = (conversation.id, conversation.group);
        sorting.put(of, conversation.turns, rows);
    });
    sorting.done(tally)
}

fn decide_range(
    parts: &DedupParts,
    index: &Closed,
    range: Range<u32>,
) -> Result<(Grouped, Offers), RunError> {
    let index = match index {
        Closed::Rows(index) => index,
        Closed::Telemetry(index) => return Ok(decide_telemetry(parts, index, range)),
    };
    let (selection, nested) = (&*parts.run.selection, parts.run.nested);
    let closing = Closing {
        assembler: Assembler::new(selection, nested),
        selection,
        max_record: parts.max_record,
        keep_cut: parts.keep_cut,
        trusts_checksums: false,
    };
    let mut sorting = Sorting::new(selection);
    let mut emit = |conversation: Conversation<'_>| {
        let rows = Found::Rows(conversation.rows, conversation.prevalidated);
        let of = (conversation.id, conversation.group);
        sorting.put(of, conversation.turns, rows);
    };
    let mut reader = parts.run.payloads.reader();
    let mut read = |position: &Position, out: &mut Vec<u8>| -> Result<(), PayloadError> {
        match index.shape() {
            Some(RowShape::Conversations) | None => {
                let assembler = Assembler::new(selection, nested);
                reader.read_record(position, &assembler, out).map(drop)
            }
            Some(RowShape::Turns | RowShape::CopilotChat) => reader.read(position, out),
        }
    };
    let tally = index.close(range, &closing, &mut read, &mut emit)?;
    Ok(sorting.done(tally))
}
