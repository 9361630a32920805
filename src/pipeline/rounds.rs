//! The course of a run: rounds, each of one pass over the chunks, or of two.
//!
//! A source that is read as it is gives everything in one pass. One that can deliver a census is
//! asked for that first; the samplers then say which ranks they want, and the payloads of these
//! alone are fetched. Strata that run out of valid candidates go into another round, with wider
//! ranges. What is sealed is replayed, never fetched again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::census::Lost;
use super::deduper::{DedupParts, Deduper};
use super::error::RunError;
use super::fetcher::Fetcher;
use super::messages::{Aim, Close, CloseCensus, StartOver, StratumOutcome, Task, WriteStratum};
use super::recovery::RETRY;
use super::rows_report::Tallies;
use super::sampler::{Crew, Meet};
use super::supervisor::{Harvest, Supervisor, SupervisorParts, lease_time};
use super::uploader::Uploader;
use super::validator::Validator;
use crate::domain::chunk::{Chunk, HashChunk};
use crate::domain::lease::LeaseTable;
use crate::domain::row::RowShape;
use crate::domain::selector::{Certificate, RankRange, Selector};
use crate::domain::stratum::StratumId;
use crate::runtime::blocking;
use crate::spool::{Portion, SpoolError};
use crate::telemetry::Phase;

impl Supervisor {
    /// Starts a round: with the census, where there is one.
    pub(super) fn begin_round(&mut self, context: &mut Context<Self>) {
        let portion = match self.parts.census {
            true => Portion::Census,
            false => Portion::Whole,
        };
        self.begin_pass(
            Task {
                portion,
                selector: Arc::new(Selector::All),
                censuses: Arc::default(),
                retake: false,
            },
            context,
        );
    }

    /// Starts a pass over all chunks. Those that an earlier start has split stay split.
    fn begin_pass(&mut self, task: Task, context: &mut Context<Self>) {
        let spool = self.parts.fetch.spool.clone();
        let parts = blocking(move || spool.parts()).into_actor(self);
        context.spawn(parts.map(|parts, supervisor, context| {
            let parts = parts.map_err(RunError::from);
            match parts.and_then(|parts| parts.map_err(RunError::from)) {
                Ok(parts) => {
                    let sealed: Vec<HashChunk> = parts
                        .into_iter()
                        .filter(|part| part.portion == task.portion)
                        .filter_map(|part| match part.chunk {
                            Chunk::Hash(chunk) => Some(chunk),
                            Chunk::Piece(_) => None,
                        })
                        .collect();
                    supervisor.fetch_all(task, &sealed, context);
                }
                Err(error) => supervisor.end(Err(error)),
            }
        }));
    }

    fn fetch_all(&mut self, task: Task, sealed: &[HashChunk], context: &mut Context<Self>) {
        if self.has_ended() {
            return;
        }
        let mut chunks = Vec::new();
        let cover = match task.portion {
            // Of what has a census.
            Portion::Round(_) => task.censuses.to_vec(),
            Portion::Whole | Portion::Census => self.parts.chunks.clone(),
        };
        for chunk in cover {
            match chunk {
                Chunk::Hash(chunk) => {
                    chunks.extend(chunk.leaves(sealed).into_iter().map(Chunk::Hash));
                    let splits = chunk.splits(sealed).into_iter();
                    let splits =
                        splits.map(|(c, halves)| (Chunk::Hash(c), halves.map(Chunk::Hash)));
                    self.recovery.splits.extend(splits);
                }
                piece @ Chunk::Piece(_) => chunks.push(piece),
            }
        }
        chunks.retain(|chunk| !self.recovery.missing.contains(chunk));
        self.task = task;
        self.leases = LeaseTable::new(
            chunks,
            lease_time(&self.parts),
            self.parts.max_attempts,
            RETRY,
            self.leases.next_epoch(),
        );
        self.absorbed = 0;
        let counters = &self.parts.telemetry;
        counters.chunks_total.set(self.leases.total());
        counters.chunks_done.set(0);
        counters.enter(match self.task.portion {
            Portion::Census => Phase::Census,
            Portion::Whole | Portion::Round(_) => Phase::Reading,
        });
        let parts = DedupParts {
            selection: Arc::clone(&self.parts.validate.selection),
            nested: self.parts.validate.nested,
            max_record: self.parts.max_record,
            payloads: self.parts.validate.payloads.clone(),
            pool: Arc::clone(&self.parts.validate.pool),
            samplers: HashMap::from_iter(self.parts.samplers.iter().cloned()),
            closed: self.parts.closed,
            stop: Arc::clone(&self.parts.stop),
        };
        let name = format!("dedup of round {}", self.round);
        self.dedup = Some(self.parts.watch.start(name, |_| Deduper::new(parts)));
        if self.leases.total() == 0 {
            self.all_absorbed(context);
            return;
        }
        for number in 0..self.parts.fetchers {
            let fetcher = Fetcher::new(Arc::clone(&self.parts.fetch), context.address());
            self.parts
                .watch
                .start(format!("fetcher-{number}"), |_| fetcher);
        }
    }

    /// Goes on if dedup has every chunk that is not done without.
    pub(super) fn check_all_absorbed(&mut self, context: &mut Context<Self>) {
        if self.absorbed == self.leases.total() && self.dedup.is_some() {
            self.all_absorbed(context);
        }
    }

    /// All rows were read: judges them, and has dedup decide what is open.
    fn all_absorbed(&mut self, context: &mut Context<Self>) {
        if let Err(error) = self.parts.rows.judge(&self.all_tallies()) {
            return self.end(Err(error));
        }
        self.parts.telemetry.enter(Phase::Grouping);
        let Some(dedup) = self.dedup.take() else {
            return;
        };
        let close = dedup.send(Close).into_actor(self);
        context.spawn(close.map(|result, supervisor, context| {
            let Some(grouped) = supervisor.answer("dedup", result) else {
                return;
            };
            supervisor.count(grouped);
            match supervisor.task.portion {
                Portion::Census => supervisor.choose_ranks(context),
                Portion::Round(_) if supervisor.recovery.recount => supervisor.recount(context),
                Portion::Whole | Portion::Round(_) => supervisor.write_strata(context),
            }
        }));
    }

    /// A census is another than it was: everything that was counted is counted again, from what
    /// is sealed.
    fn recount(&mut self, context: &mut Context<Self>) {
        self.recovery.recount = false;
        self.tallies.clear();
        self.round_tallies.clear();
        self.grouped = Default::default();
        self.replayed = 0;
        for (_, sampler) in &self.parts.samplers {
            // Messages of one sender arrive in order: before any offer.
            sampler.do_send(StartOver);
        }
        self.begin_round(context);
    }

    /// The census is whole: asks the samplers which ranks they want.
    fn choose_ranks(&mut self, context: &mut Context<Self>) {
        let open = self.parts.samplers.iter();
        let asked = open.map(|(stratum, sampler)| {
            let (stratum, answer) = (*stratum, sampler.send(CloseCensus));
            async move { (stratum, answer.await) }
        });
        let all = futures_util::future::join_all(asked).into_actor(self);
        context.spawn(all.map(|answers, supervisor, context| {
            let mut ranges = BTreeMap::new();
            for (stratum, answer) in answers {
                let answer = supervisor.answer("sampler", answer.map(Ok));
                match answer {
                    Some(Some(range)) => drop(ranges.insert(stratum, range)),
                    Some(None) => {}
                    None => return,
                }
            }
            supervisor.pin_ranks(ranges, context);
        }));
    }

    /// The ranges of a round are decided once: chunks that are sealed must fit those to come. What
    /// they are does not change the sample, only how much is fetched for it.
    fn pin_ranks(&mut self, ranges: BTreeMap<StratumId, RankRange>, context: &mut Context<Self>) {
        let spool = self.parts.fetch.spool.clone();
        let round = self.round;
        let pinning =
            blocking(move || spool.pin(&format!("round{round}"), Selector::Ranks(ranges)));
        context.spawn(pinning.into_actor(self).map(|pinned, supervisor, context| {
            let pinned: Result<Result<_, SpoolError>, _> = pinned;
            let pinned = pinned.map_err(RunError::from);
            match pinned.and_then(|pinned| pinned.map_err(RunError::from)) {
                Ok(selector) => supervisor.fetch_ranks(selector, context),
                Err(error) => supervisor.end(Err(error)),
            }
        }));
    }

    fn fetch_ranks(&mut self, selector: Selector, context: &mut Context<Self>) {
        if let Selector::Ranks(ranges) = &selector {
            for (stratum, sampler) in &self.parts.samplers {
                if let Some(range) = ranges.get(stratum) {
                    sampler.do_send(Aim(*range));
                }
            }
        }
        let task = Task {
            portion: Portion::Round(self.round),
            selector: Arc::new(selector),
            censuses: self.tallies.keys().copied().collect(),
            retake: false,
        };
        self.begin_pass(task, context);
    }

    /// All candidates were offered: the samplers that are not done write.
    fn write_strata(&mut self, context: &mut Context<Self>) {
        let too_large = &self.grouped.tally.too_large;
        let tallies = self.all_tallies();
        if let Err(error) = self.parts.rows.judge_all(&tallies, too_large) {
            return self.end(Err(error));
        }
        self.parts.telemetry.enter(Phase::Writing);
        let crew = self.crew.get_or_insert_with(|| {
            let shape = self.parts.rows.shape(&tallies);
            hire(&self.parts, shape.unwrap_or(RowShape::Conversations))
        });
        let mut writing = Vec::new();
        for (stratum, sampler) in &self.parts.samplers {
            if self.results.contains_key(stratum) {
                continue;
            }
            // Messages of one sender arrive in order, so the crew is known before the writing.
            sampler.do_send(Meet(crew.clone()));
            writing.push(sampler.send(WriteStratum));
        }
        let all = futures_util::future::join_all(writing).into_actor(self);
        let each = all.map(|results, supervisor, context| {
            let mut more = false;
            for result in results {
                match supervisor.answer("sampler", result) {
                    Some(StratumOutcome::Committed(result)) => {
                        supervisor.results.insert(result.stratum, *result);
                    }
                    Some(StratumOutcome::NeedsMore) => more = true,
                    None => return,
                }
            }
            supervisor.written(more, context);
        });
        context.spawn(each);
    }

    fn written(&mut self, more: bool, context: &mut Context<Self>) {
        if more {
            self.round += 1;
            tracing::info!(
                round = self.round,
                "spares ran out: more candidates are fetched"
            );
            return self.begin_round(context);
        }
        let mut lost = Lost::new();
        for (_, of_chunk) in self.round_tallies.values() {
            for (stratum, count) in of_chunk {
                *lost.entry(*stratum).or_default() += count;
            }
        }
        let mut payloads = BTreeMap::<Chunk, Certificate>::new();
        for ((_, chunk), (of_round, _)) in &self.round_tallies {
            if let Some(delivered) = of_round.certificate {
                payloads.entry(*chunk).or_default().add(delivered);
            }
        }
        let harvest = Harvest {
            tallies: self.all_tallies(),
            payloads,
            grouped: std::mem::take(&mut self.grouped),
            strata: std::mem::take(&mut self.results).into_values().collect(),
            replayed: self.replayed,
            rounds: self.round,
            lost,
            splits: std::mem::take(&mut self.recovery.splits),
            missing: std::mem::take(&mut self.recovery.missing),
        };
        self.end(Ok(harvest));
    }

    /// What was counted, chunk by chunk. Rows count where they were counted first; of the
    /// payloads that followed a census it counts what cannot be used.
    fn all_tallies(&self) -> Tallies {
        let mut tallies = self.tallies.clone();
        for ((_, chunk), (of_round, _)) in &self.round_tallies {
            let tally = tallies.entry(*chunk).or_default();
            tally.bytes += of_round.bytes;
            for (&reason, lines) in &of_round.malformed {
                let of_reason = tally.malformed.entry(reason).or_default();
                of_reason.count += lines.count;
                of_reason.lines.extend(&lines.lines);
            }
        }
        tallies
    }
}

/// Starts the validators and uploaders.
fn hire(parts: &SupervisorParts, shape: RowShape) -> Crew {
    let validators = (0..parts.validators).map(|number| {
        let validator = Validator::new(Arc::clone(&parts.validate), shape);
        parts
            .watch
            .start(format!("validator-{number}"), |_| validator)
    });
    let uploaders = (0..parts.uploaders).map(|number| {
        let uploader = Uploader::new(Arc::clone(&parts.sink), Arc::clone(&parts.telemetry));
        parts
            .watch
            .start(format!("uploader-{number}"), |_| uploader)
    });
    Crew {
        validators: validators.collect(),
        uploaders: uploaders.collect(),
    }
}
