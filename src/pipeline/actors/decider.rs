//! The decider: which valid candidates are taken, and which are near-duplicates of one that was.
//!
//! It gets the candidates of all strata, round by round, and goes through them in (rank, id) order: validators read them
//! again and give their sketches, it asks [`Decisions`]. A candidate that may repeat a record is compared with it
//! word for word. Once all strata are full or at their end the samplers write what was taken. Nothing is written
//! before: should the decider die, everything is decided again, from the start, to the same end.
//!
//! It cannot wait for itself: it alone has work out at that time, in one order, and what it has is paid for from the
//! byte budget until it is examined, not until it is decided. ADR 0014 has the reasons.
//!
//! Memory: the candidates of the samplers, which they do not have any more, and about half a kilobyte for each record
//! taken ([`Decisions::bytes`]); for a while 16 MiB to find templates. Texts are read again, one at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AtomicResponse, Context, Handler, WrapFuture};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};

use super::candidate_records::CandidateRecords;
use super::messages::{Decide, Decided, DecisionOutcome, Examine, Examined, Knowledge, Purpose};
use super::validator::{ValidateParts, Validator};
use crate::domain::near_duplicates::decisions::Decisions;
use crate::domain::near_duplicates::index::Similar;
use crate::domain::near_duplicates::templates::{CONVERSATIONS, CoarseCounts, Templates};
use crate::domain::near_duplicates::{ShingleSet, Threshold};
use crate::domain::record::row::RowShape;
use crate::domain::sampling::batches::BATCH_BYTES;
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::selection::stratum::StratumId;
use crate::domain::words::Words;
use crate::fault::Site;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::byte_budget::BudgetPermit;
use crate::pipeline::lifecycle::worker_pool::WorkerPool;
use crate::spool::payloads::PayloadError;
use crate::telemetry::heartbeat::Heartbeat;

/// What a decider is made from.
pub struct DeciderParts {
    /// Reads records again.
    pub validate: Arc<ValidateParts>,
    /// For batches.
    pub validators: WorkerPool<Validator>,
    /// From which similarity on records repeat each other.
    pub threshold: Threshold,
    /// The decider's own.
    pub heartbeat: Heartbeat,
}

/// The one decider of a run.
pub struct Decider {
    parts: Arc<DeciderParts>,
    /// Absent while it works, and when it is done.
    work: Option<Work>,
}

impl Decider {
    /// A decider that has decided nothing.
    pub fn new(parts: DeciderParts, decisions: Decisions) -> Self {
        let parts = Arc::new(parts);
        let work = Work {
            parts: Arc::clone(&parts),
            decisions,
            templates: None,
        };
        Self {
            parts,
            work: Some(work),
        }
    }
}

impl Actor for Decider {
    type Context = Context<Self>;
}

impl Handler<Decide> for Decider {
    type Result = AtomicResponse<Self, Result<DecisionOutcome, RunError>>;

    fn handle(&mut self, decide: Decide, _: &mut Context<Self>) -> Self::Result {
        let (work, busy) = (self.work.take(), self.parts.heartbeat.busy());
        let faults = self.parts.validate.run.faults.clone();
        let work = async move {
            let _busy = busy;
            let scope = faults.enter(Site::Decide).await;
            let result = match work {
                Some(work) => work.decide(decide).await,
                None => Err(RunError::NoAnswer("decider")),
            };
            scope.leave();
            result
        };
        AtomicResponse::new(Box::pin(work.into_actor(self).map(
            |result, decider: &mut Self, _| {
                let (work, outcome) = result?;
                decider.work = work;
                Ok(outcome)
            },
        )))
    }
}

/// What is decided so far.
struct Work {
    parts: Arc<DeciderParts>,
    decisions: Decisions,
    /// Absent until they are known.
    templates: Option<Arc<Templates>>,
}

/// A batch that was examined.
struct Batch {
    candidates: Arc<[(StratumId, Candidate)]>,
    examined: Vec<Examined>,
}

impl Work {
    /// Decides as far as the candidates go.
    async fn decide(mut self, decide: Decide) -> Result<(Option<Self>, DecisionOutcome), RunError> {
        for (stratum, candidates, is_last) in decide.rounds {
            self.decisions.add(stratum, candidates, is_last);
        }
        let templates = match &self.templates {
            Some(templates) => Arc::clone(templates),
            None => match self.find_templates().await? {
                Some(templates) => Arc::new(templates),
                None => {
                    let unfinished = self.decisions.unfinished().into_iter();
                    let more = unfinished.map(|stratum| (stratum, CONVERSATIONS as u64));
                    let outcome = DecisionOutcome::NeedsMore(more.collect());
                    return Ok((Some(self), outcome));
                }
            },
        };
        self.templates = Some(Arc::clone(&templates));
        self.go_through(&templates, decide.shape).await?;
        let wanting = self.decisions.wanting();
        if !wanting.is_empty() {
            return Ok((Some(self), DecisionOutcome::NeedsMore(wanting)));
        }
        let decided = Decided {
            clusters: self.decisions.clusters(),
            templates: templates.len() as u64,
            strata: self.decisions.finish(),
        };
        Ok((None, DecisionOutcome::Decided(Box::new(decided))))
    }

    /// The templates among the best-ranked; `None` if it takes more candidates to know.
    async fn find_templates(&self) -> Result<Option<Templates>, RunError> {
        let mut coarse = CoarseCounts::default();
        let valid = self.each_of_the_best(|set| coarse.add(set)).await?;
        if valid < CONVERSATIONS {
            let is_all = self.decisions.unfinished().is_empty();
            return Ok(is_all.then(Templates::default));
        }
        let mut fine = coarse.finish();
        self.each_of_the_best(|set| fine.add(set)).await?;
        Ok(Some(fine.finish()))
    }

    /// Passes the shingles of the best-ranked valid candidates; says how many there were.
    async fn each_of_the_best(&self, mut see: impl FnMut(&ShingleSet)) -> Result<usize, RunError> {
        let ahead = self.decisions.ahead();
        let mut ahead = ahead.map(|(stratum, candidate)| (stratum, candidate.clone()));
        let mut lookahead = Lookahead::new(&self.parts, Purpose::Templates);
        let mut valid = 0;
        while valid < CONVERSATIONS
            && let Some(batch) = lookahead.next(|| ahead.next()).await?
        {
            for examined in batch.examined {
                if let Some(Knowledge::Shingles(set)) = examined.0
                    && valid < CONVERSATIONS
                {
                    valid += 1;
                    see(&set);
                }
            }
        }
        Ok(valid)
    }

    /// Decides until there is nothing more at hand.
    async fn go_through(
        &mut self,
        templates: &Arc<Templates>,
        shape: RowShape,
    ) -> Result<(), RunError> {
        let parts = Arc::clone(&self.parts);
        let purpose = Purpose::Decision(Arc::clone(templates));
        let mut lookahead = Lookahead::new(&parts, purpose);
        // The numbers of the strata of what was handed out and is not decided.
        let mut numbers = VecDeque::new();
        loop {
            let decisions = &mut self.decisions;
            let hand_out = || {
                let (number, candidate) = decisions.hand_out()?;
                numbers.push_back(number);
                Some((decisions.stratum(number), candidate))
            };
            let Some(batch) = lookahead.next(hand_out).await? else {
                return Ok(());
            };
            let candidates = batch
                .candidates
                .iter()
                .map(|(_, candidate)| candidate.clone());
            for (candidate, examined) in candidates.zip(batch.examined) {
                let Some(number) = numbers.pop_front() else {
                    return Ok(());
                };
                self.one(number, candidate, examined, templates, shape)
                    .await?;
            }
            parts.heartbeat.beat();
        }
    }

    /// Decides the candidate that is next.
    async fn one(
        &mut self,
        number: usize,
        candidate: Candidate,
        examined: Examined,
        templates: &Arc<Templates>,
        shape: RowShape,
    ) -> Result<(), RunError> {
        if self.decisions.is_full(number) {
            return Ok(());
        }
        let Some(Knowledge::Sketch(sketch)) = examined.0 else {
            self.decisions.refuse(number, candidate);
            return Ok(());
        };
        let similar = self.decisions.similar(number, &sketch);
        match self.repeated(&candidate, similar, templates, shape).await? {
            Some(of) => self.decisions.leave_out(number, candidate, of),
            None => self.decisions.take(number, candidate, sketch),
        }
        Ok(())
    }

    /// The first of some records that a candidate repeats.
    async fn repeated(
        &self,
        candidate: &Candidate,
        similar: Similar,
        templates: &Arc<Templates>,
        shape: RowShape,
    ) -> Result<Option<u32>, RunError> {
        if similar.maybe.is_empty() {
            return Ok(similar.same);
        }
        let others = similar.maybe.iter();
        let comparison = Comparison {
            candidate: candidate.clone(),
            others: others
                .map(|&other| self.decisions.record(other).clone())
                .collect(),
            templates: Arc::clone(templates),
            threshold: self.parts.threshold,
        };
        let validate = Arc::clone(&self.parts.validate);
        let pool = &self.parts.validate.run.pool;
        let found = pool
            .run(move || comparison.find(&validate, shape))
            .await??;
        self.parts.heartbeat.beat();
        Ok(found.map(|at| similar.maybe[at]).or(similar.same))
    }
}

/// A candidate and records that it may repeat, in their order.
struct Comparison {
    candidate: Candidate,
    others: Vec<Candidate>,
    templates: Arc<Templates>,
    threshold: Threshold,
}

impl Comparison {
    /// The place of the first that it repeats. Holds one text at a time.
    fn find(&self, parts: &ValidateParts, shape: RowShape) -> Result<Option<usize>, RunError> {
        let mut records = CandidateRecords::new(parts, shape);
        let (mut text, mut words) = (Vec::new(), Words::new());
        let mut set_of = |candidate| {
            text.clear();
            records.append(candidate, &mut text)?;
            words.read_record(&text).map_err(PayloadError::from)?;
            Ok::<_, PayloadError>(ShingleSet::of(&words, &self.templates))
        };
        let own = set_of(&self.candidate)?;
        for (at, other) in self.others.iter().enumerate() {
            if parts.run.is_stopping() {
                return Err(RunError::Interrupted);
            }
            if self.threshold.is_met(own.overlap(&set_of(other)?)) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

type Candidates = Arc<[(StratumId, Candidate)]>;

/// Batches that are examined while others are decided, in their order.
struct Lookahead<'p> {
    parts: &'p DeciderParts,
    purpose: Purpose,
    examining: FuturesOrdered<LocalBoxFuture<'static, Result<Batch, RunError>>>,
    /// The next batch, while it waits for its permit; batches before it, whose permits it may be waiting for, are
    /// received meanwhile.
    paying: Option<LocalBoxFuture<'static, (Candidates, BudgetPermit)>>,
}

impl<'p> Lookahead<'p> {
    fn new(parts: &'p DeciderParts, purpose: Purpose) -> Self {
        Self {
            parts,
            purpose,
            examining: FuturesOrdered::new(),
            paying: None,
        }
    }

    /// The next batch, in order. `give` gives the candidates that come next, as far as they are known; `None`: there
    /// are none, and all batches were received.
    async fn next(
        &mut self,
        mut give: impl FnMut() -> Option<(StratumId, Candidate)>,
    ) -> Result<Option<Batch>, RunError> {
        let run = &self.parts.validate.run;
        // Two for each validator keep them busy.
        let most = 2 * self.parts.validators.slots();
        loop {
            if run.is_stopping() {
                return Err(RunError::Interrupted);
            }
            if self.paying.is_none() && self.examining.len() < most {
                self.paying = self.pay(batch(&mut give));
            }
            tokio::select! {
                biased;
                Some(batch) = self.examining.next() => return batch.map(Some),
                Some((candidates, permit)) = wait(&mut self.paying) => {
                    self.paying = None;
                    self.examine(candidates, permit);
                }
                else => return Ok(None),
            }
        }
    }

    fn pay(
        &self,
        candidates: Vec<(StratumId, Candidate)>,
    ) -> Option<LocalBoxFuture<'static, (Candidates, BudgetPermit)>> {
        if candidates.is_empty() {
            return None;
        }
        let bytes = candidates.iter().map(|(_, one)| one.payload_bytes()).sum();
        let byte_budget = self.parts.validate.run.byte_budget.clone();
        let heartbeat = self.parts.heartbeat.clone();
        let pay = async move {
            let _held_back = heartbeat.paused();
            let permit = byte_budget.acquire(bytes).await;
            (candidates.into(), permit)
        };
        Some(pay.boxed_local())
    }

    /// Has a batch examined. It stays here until there is an answer, for another validator should one die.
    fn examine(&mut self, candidates: Candidates, permit: BudgetPermit) {
        let (permit, purpose) = (Arc::new(permit), self.purpose.clone());
        let asked = Arc::clone(&candidates);
        let answer = self.parts.validators.ask(move || Examine {
            candidates: Arc::clone(&asked),
            purpose: purpose.clone(),
            _permit: Arc::clone(&permit),
        });
        let batch = async move {
            let examined = answer.await?;
            Ok(Batch {
                candidates,
                examined,
            })
        };
        self.examining.push_back(batch.boxed_local());
    }
}

/// Candidates of about [`BATCH_BYTES`] payload; none if there are none.
fn batch(give: &mut impl FnMut() -> Option<(StratumId, Candidate)>) -> Vec<(StratumId, Candidate)> {
    let (mut bytes, mut batch) = (0, Vec::new());
    while bytes < BATCH_BYTES
        && let Some(next) = give()
    {
        bytes += next.1.payload_bytes();
        batch.push(next);
    }
    batch
}

/// Waits for what is there to wait for; `None` at once if nothing is.
async fn wait<T>(future: &mut Option<LocalBoxFuture<'static, T>>) -> Option<T> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}
