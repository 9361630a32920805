//! The course of a run: rounds, each of one pass over the chunks, or of two.
//!
//! A source that is read as it is gives everything in one pass. One that can deliver a census is
//! asked for that first; the samplers then say which ranks they want, and the payloads of these
//! alone are fetched. Strata that run out of valid candidates go into another round, with wider
//! ranges. What is sealed is replayed, never fetched again.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use actix::Context;

use crate::domain::near_duplicates::decisions::DecidedStratum;
use crate::domain::record::row::RowShape;
use crate::domain::sampling::batches::batches_ahead;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::lease::LeaseTable;
use crate::domain::scheduling::pass::{ChunkPass, Pass};
use crate::domain::scheduling::retry::RETRY;
use crate::domain::selection::stratum::StratumId;
use crate::pipeline::actors::messages::{
    CensusPlan, Close, RoundPlan, SetRankRange, StratumOutcome, WriteStratum,
};
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::census::UnusableCandidates;
use crate::pipeline::ingest::rows_report::Tallies;
use crate::pipeline::supervisor::{RunOutput, Supervisor};
use crate::spool::{SpoolError, disk};
use crate::telemetry::Phase;

impl Supervisor {
    /// Starts a round: with the census, where there is one.
    pub(in crate::pipeline) fn begin_round(&mut self, context: &mut Context<Self>) {
        match self.census.clone() {
            Some(census) => self.begin_census(census, context),
            None => self.begin_pass(Pass::All, None, context),
        }
    }

    /// Starts a pass over all chunks. Those that an earlier start has split stay split.
    pub(super) fn begin_pass(
        &mut self,
        pass: Pass,
        plan: Option<Arc<RoundPlan>>,
        context: &mut Context<Self>,
    ) {
        let (spool, pool) = (
            self.parts.fetch.spool.clone(),
            Arc::clone(&self.parts.run.pool),
        );
        let looking = async move {
            let look = move || {
                let look = || Ok((spool.sealed_passes()?, spool.recorded_missing()?));
                disk::retry(look, SpoolError::is_transient)
            };
            pool.blocking(look).await
        };
        self.spawn_then(looking, context, move |supervisor, found, context| {
            let found: Result<Result<_, SpoolError>, _> = found;
            let Some((sealed, settled)) = supervisor.unwrap_io(found) else {
                return;
            };
            if supervisor.recovery.adopt_missing(&settled) {
                supervisor.show_missing(&settled);
            }
            (supervisor.pass, supervisor.plan) = (pass, plan);
            supervisor.fetch_all(sealed, context);
        });
    }

    fn fetch_all(&mut self, sealed: Vec<ChunkPass>, context: &mut Context<Self>) {
        let cover = match &self.plan {
            // Of what has a census.
            Some(plan) => &plan.censuses,
            None => &self.parts.chunks,
        };
        let chunks = self.recovery.chunks_of_pass(self.pass, cover, sealed);
        (self.parts.run.telemetry.chunk_map).begin(chunks.iter().copied());
        self.leases = LeaseTable::new(
            chunks,
            self.stall_limits.lease(),
            self.parts.max_attempts,
            RETRY,
            self.leases.next_epoch(),
        );
        self.absorbed = 0;
        let counters = &self.parts.run.telemetry;
        counters.chunks_total.set(self.leases.total());
        counters.chunks_done.set(0);
        counters.enter(match self.pass {
            Pass::Census | Pass::CensusUpTo(_) => Phase::Census,
            Pass::All | Pass::Round(_) => Phase::Reading,
        });
        self.start_dedup();
        if self.leases.total() == 0 {
            self.all_absorbed(context);
            return;
        }
        self.start_fetchers(context);
    }

    /// Goes on if dedup has every chunk that is not done without.
    pub(in crate::pipeline) fn check_all_absorbed(&mut self, context: &mut Context<Self>) {
        if self.absorbed == self.leases.total() && self.actors.dedup.is_some() {
            self.all_absorbed(context);
        }
    }

    /// All rows were read: judges them, and has dedup decide what is open.
    fn all_absorbed(&mut self, context: &mut Context<Self>) {
        if let Err(error) = self.parts.rows.judge(&self.all_tallies()) {
            return self.end(Err(error));
        }
        self.parts.run.telemetry.enter(Phase::Grouping);
        let Some(dedup) = self.actors.dedup.take() else {
            return;
        };
        let close = dedup.send(Close);
        self.spawn_then(close, context, |supervisor, result, context| {
            let Some(grouped) = supervisor.answer(result, context) else {
                return;
            };
            supervisor.count(grouped);
            match supervisor.pass {
                Pass::Census | Pass::CensusUpTo(_) => supervisor.choose_ranks(context),
                // A census is another than it was: everything that was counted is counted again,
                // from what is sealed.
                Pass::Round(_) if supervisor.recovery.must_recount() => {
                    supervisor.start_over(context)
                }
                Pass::All | Pass::Round(_) => supervisor.write_strata(context),
            }
        });
    }

    pub(super) fn fetch_ranks(&mut self, ranks: RankRanges, context: &mut Context<Self>) {
        for (stratum, sampler) in &self.actors.samplers {
            if let Some(range) = ranks.of(*stratum) {
                sampler.do_send(SetRankRange(range));
            }
        }
        let plan = RoundPlan {
            ranks: Arc::new(ranks),
            censuses: self.tallies.keys().copied().collect(),
        };
        self.begin_pass(Pass::Round(self.round), Some(Arc::new(plan)), context);
    }

    /// All candidates were offered: the samplers that are not done write.
    fn write_strata(&mut self, context: &mut Context<Self>) {
        let too_large = &self.grouped.tally.too_large;
        let tallies = self.all_tallies();
        if let Err(error) = self.parts.rows.judge_all(&tallies, too_large) {
            return self.end(Err(error));
        }
        if self.is_draining() {
            return self.end(Err(RunError::Interrupted));
        }
        let shape = self.parts.rows.shape(&tallies);
        let shape = shape.unwrap_or(RowShape::Conversations);
        if self.recovery.missing().is_empty() {
            return self.write_open_strata(shape, context);
        }
        let (spool, missing) = (
            self.parts.fetch.spool.clone(),
            self.recovery.missing().clone(),
        );
        let pool = Arc::clone(&self.parts.run.pool);
        let settling = async move {
            let record =
                move || disk::retry(|| spool.record_missing(&missing), SpoolError::is_transient);
            pool.blocking(record).await
        };
        self.spawn_then(settling, context, move |supervisor, settled, context| {
            if supervisor.unwrap_io(settled).is_some() {
                supervisor.write_open_strata(shape, context);
            }
        });
    }

    /// The samplers that are not done write records of rows of this shape.
    fn write_open_strata(&mut self, shape: RowShape, context: &mut Context<Self>) {
        self.start_workers(shape);
        match self.parts.near_duplicates {
            None => self.write_each(BTreeMap::new(), context),
            Some(_) => self.decide(shape, context),
        }
    }

    /// The samplers that are not done write; what, may have been decided.
    pub(super) fn write_each(
        &mut self,
        mut decided: BTreeMap<StratumId, DecidedStratum>,
        context: &mut Context<Self>,
    ) {
        self.parts.run.telemetry.enter(Phase::Writing);
        let validators = self.parts.write.validators.slots();
        let mut open = self.actors.samplers.clone();
        open.retain(|(stratum, _)| !self.results.contains_key(stratum));
        (self.writing, self.needs_more) = (open.len(), false);
        if open.is_empty() {
            return self.written(context);
        }
        // A file is hashed from its beginning to its end, by one thread at a time. So that none is
        // left when the others are done, the largest begin first and have more batches ahead.
        let selection = Arc::clone(&self.parts.run.selection);
        let turns = |stratum: StratumId| {
            let target = selection.target(stratum).map_or(0, NonZeroU64::get);
            target.saturating_mul(selection.bucket(stratum).turns[0])
        };
        open.sort_by_key(|(stratum, _)| Reverse(turns(*stratum)));
        let most = open.first().map_or(0, |(stratum, _)| turns(*stratum));
        for (stratum, sampler) in open {
            let answer = sampler.send(WriteStratum {
                ahead: batches_ahead(validators, turns(stratum), most),
                decided: decided.remove(&stratum),
            });
            // Each by itself: a stratum that is done stays done, also if another sampler dies.
            self.spawn_then(answer, context, |supervisor, result, context| {
                match supervisor.answer(result, context) {
                    Some(StratumOutcome::Committed(result)) => {
                        supervisor.results.insert(result.stratum, *result);
                    }
                    Some(StratumOutcome::NeedsMore) => supervisor.needs_more = true,
                    None => return,
                }
                supervisor.writing -= 1;
                if supervisor.writing == 0 {
                    supervisor.written(context);
                }
            });
        }
    }

    /// Another round: what there was is not enough.
    pub(super) fn begin_top_up(&mut self, context: &mut Context<Self>) {
        self.round += 1;
        self.is_counting = false;
        tracing::info!(
            round = self.round,
            "spares ran out: more candidates are fetched"
        );
        self.begin_round(context);
    }

    fn written(&mut self, context: &mut Context<Self>) {
        if self.needs_more {
            return self.begin_top_up(context);
        }
        let mut lost = UnusableCandidates::new();
        for (_, of_chunk) in self.round_tallies.values() {
            for (stratum, count) in of_chunk {
                *lost.entry(*stratum).or_default() += count;
            }
        }
        let mut payloads = BTreeMap::<Chunk, ChunkChecksum>::new();
        for ((_, chunk), (of_round, _)) in &self.round_tallies {
            if let Some(delivered) = of_round.chunk_checksum {
                payloads.entry(*chunk).or_default().add(delivered);
            }
        }
        let tallies = self.all_tallies();
        let mut grouped = std::mem::take(&mut self.grouped);
        if self.parts.rows.schema == Some(RowShape::CopilotChat) {
            for of_round in self.round_grouped.values() {
                grouped.add_rows(of_round);
            }
        }
        let output = RunOutput {
            tallies,
            payloads,
            grouped,
            strata: std::mem::take(&mut self.results).into_values().collect(),
            replayed: self.replayed,
            near_duplicates: self.decided.take(),
            rounds: self.round,
            wider_censuses: match self.census {
                Some(CensusPlan {
                    pass: Pass::CensusUpTo(number),
                    ..
                }) => number,
                _ => 0,
            },
            lost,
            splits: self.recovery.splits().clone(),
            missing: self.recovery.missing().clone(),
            ledger: None,
        };
        self.end(Ok(output));
    }

    /// What was counted, chunk by chunk. Rows count where they were counted first; of the
    /// payloads that followed a census it counts what cannot be used, and if they are rows of telemetry
    /// all of them: they are others than those of the census.
    fn all_tallies(&self) -> Tallies {
        let mut tallies = self.tallies.clone();
        for ((_, chunk), (of_round, _)) in &self.round_tallies {
            let tally = tallies.entry(*chunk).or_default();
            tally.bytes += of_round.bytes;
            if self.parts.rows.schema == Some(RowShape::CopilotChat) {
                tally.add_telemetry(of_round);
            }
            for (&reason, lines) in &of_round.malformed {
                let of_reason = tally.malformed.entry(reason).or_default();
                of_reason.count += lines.count;
                of_reason.lines.extend(&lines.lines);
            }
        }
        tallies
    }
}
