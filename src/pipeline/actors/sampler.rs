//! One sampler per stratum: first its reservoir, then the writer of its file.
//!
//! While chunks come in it keeps the best-ranked candidates. When all are offered it sends them,
//! in rank order and in batches, to the validators, places the verdicts in rank order, and sends
//! full blocks to the uploaders, all overlapping. When too many were invalid it says so, keeps its
//! file as far as it is, and takes offers from behind the last candidate in another round. Where near-duplicates are
//! left out it gives its candidates away, round by round, and writes what the decider has taken.
//!
//! What it has given to a validator or an uploader it keeps until there is an answer, and gives it
//! to another if the first one dies. Should it die itself, dedup and all samplers start again.
//!
//! Memory: candidates (a header each), the batches in flight (paid from the byte_budget), and two
//! blocks for each uploader: the one it sends, and one in the making, for not more strata write at
//! once than there are uploaders.

use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, MessageResult, WrapFuture};

use super::messages::{
    FinishCensus, Offer, SetRankRange, StratumOutcome, TakeRound, Widen, WriteStratum,
};
use super::stratum_file::StratumFile;
use super::stratum_writer::{OpenFile, StratumWriter, WriteOutcome, WriteParts};
use crate::domain::sampling::rounds::{Round, StratumRounds};
use crate::domain::selection::stratum::StratumId;
use crate::fault::Site;
use crate::pipeline::error::RunError;
use crate::telemetry::heartbeat::Heartbeat;

/// The sampler of one stratum.
pub struct Sampler {
    stratum: StratumId,
    parts: Arc<WriteParts>,
    heartbeat: Heartbeat,
    rounds: StratumRounds,
    /// Whether it takes offers: not when it has given its candidates away, and no more are wanted.
    takes_offers: bool,
    /// Absent when it is done.
    file: Option<OpenFile>,
}

impl Sampler {
    /// A sampler that keeps `candidates` for a file; without a file it is done, and turns all
    /// offers down.
    pub fn new(
        stratum: StratumId,
        candidates: u64,
        file: Option<StratumFile>,
        parts: Arc<WriteParts>,
        heartbeat: Heartbeat,
    ) -> Self {
        Self {
            stratum,
            parts,
            heartbeat,
            rounds: StratumRounds::new(candidates),
            takes_offers: true,
            file: file.map(|file| OpenFile {
                file,
                receipts: Vec::new(),
            }),
        }
    }
}

impl Actor for Sampler {
    type Context = Context<Self>;
}

impl Handler<Offer> for Sampler {
    type Result = ();

    fn handle(&mut self, Offer(candidates): Offer, _: &mut Context<Self>) {
        if self.file.is_none() || !self.takes_offers {
            // It needs no more since an earlier round.
            return;
        }
        let scope = self.parts.run.faults.enter_now(Site::Offer);
        for candidate in candidates {
            self.rounds.offer(candidate);
        }
        scope.leave();
        if let Some(counters) = self.parts.run.telemetry.stratum(self.stratum) {
            counters.population.set(self.rounds.population());
            counters.candidates.set(self.rounds.held() as u64);
        }
    }
}

impl Handler<TakeRound> for Sampler {
    type Result = MessageResult<TakeRound>;

    fn handle(&mut self, TakeRound: TakeRound, _: &mut Context<Self>) -> Self::Result {
        let takes_offers = std::mem::take(&mut self.takes_offers);
        MessageResult(takes_offers.then(|| self.rounds.finish()))
    }
}

impl Handler<Widen> for Sampler {
    type Result = ();

    fn handle(&mut self, Widen(wanted): Widen, _: &mut Context<Self>) {
        let target = self
            .file
            .as_ref()
            .map_or(0, |open| open.file.placement.target());
        self.rounds.widen(wanted, target.saturating_sub(wanted));
        self.takes_offers = true;
    }
}

impl Handler<WriteStratum> for Sampler {
    type Result = AtomicResponse<Self, Result<StratumOutcome, RunError>>;

    fn handle(&mut self, write: WriteStratum, _: &mut Context<Self>) -> Self::Result {
        let WriteStratum { ahead, decided } = write;
        let (round, expected, near_duplicates) = match decided {
            None => (self.rounds.finish(), None, Vec::new()),
            Some(decided) => {
                let expected = (decided.records, decided.candidates.len() as u64);
                let round = Round {
                    candidates: decided.candidates,
                    population: self.rounds.population(),
                    is_last: true,
                };
                (round, Some(expected), decided.near_duplicates)
            }
        };
        let work = self.file.take().map(|open| {
            let writer = StratumWriter {
                stratum: self.stratum,
                parts: Arc::clone(&self.parts),
                heartbeat: self.heartbeat.clone(),
                receipts: open.receipts,
                ahead,
            };
            writer.write(open.file, round.candidates, round.is_last)
        });
        let (faults, busy) = (self.parts.run.faults.clone(), self.heartbeat.busy());
        let work = async move {
            let _busy = busy;
            let scope = faults.enter(Site::Sample).await;
            let result = match work {
                Some(work) => work.await,
                None => Err(RunError::NoAnswer("sampler")),
            };
            scope.leave();
            result
        };
        AtomicResponse::new(Box::pin(actix::ActorFutureExt::map(
            work.into_actor(self),
            move |result, sampler, _| match result? {
                WriteOutcome::Whole(mut result) => {
                    result.population = round.population;
                    let looked_at = result.records + result.invalid.len() as u64;
                    if expected.is_some_and(|expected| expected != (result.records, looked_at)) {
                        return Err(RunError::DecidedOtherwise);
                    }
                    result.near_duplicates = near_duplicates;
                    Ok(StratumOutcome::Committed(result))
                }
                WriteOutcome::Part(open) => {
                    let placement = &open.file.placement;
                    sampler.rounds.widen(placement.wanted(), placement.records);
                    sampler.file = Some(*open);
                    Ok(StratumOutcome::NeedsMore)
                }
            },
        )))
    }
}

impl Handler<FinishCensus> for Sampler {
    type Result = MessageResult<FinishCensus>;

    fn handle(&mut self, FinishCensus(reach): FinishCensus, _: &mut Context<Self>) -> Self::Result {
        let is_open = self.file.is_some() && self.takes_offers;
        let outcome = is_open.then(|| self.rounds.finish_census(reach));
        if let Some(counters) = self.parts.run.telemetry.stratum(self.stratum) {
            // Offers count only what was delivered.
            counters.population.set(self.rounds.population());
        }
        MessageResult(outcome)
    }
}

impl Handler<SetRankRange> for Sampler {
    type Result = ();

    fn handle(&mut self, SetRankRange(range): SetRankRange, _: &mut Context<Self>) {
        if self.takes_offers {
            self.rounds.set_range(range);
        }
    }
}
