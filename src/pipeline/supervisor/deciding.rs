//! Near-duplicates: the samplers give their candidates to the decider, round by round, and write what it has taken.

use actix::Context;

use super::Supervisor;
use super::actors::ActorSlot;
use crate::domain::near_duplicates::NearDuplicates;
use crate::domain::near_duplicates::decisions::Decisions;
use crate::domain::record::row::RowShape;
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::selection::stratum::StratumId;
use crate::pipeline::actors::decider::{Decider, DeciderParts};
use crate::pipeline::actors::messages::{Decide, DecisionOutcome, TakeRound, Widen};
use crate::pipeline::lifecycle::actor_monitor::Role;
use crate::telemetry::heartbeat::Heartbeat;

impl Supervisor {
    /// Starts the decider, if near-duplicates are left out.
    pub(super) fn start_decider(&mut self) {
        let Some(NearDuplicates { scope, threshold }) = self.parts.near_duplicates else {
            return;
        };
        let selection = &self.parts.run.selection;
        let strata = self.parts.samplers.iter().filter_map(|plan| {
            let split = usize::from(plan.stratum.0) / selection.buckets().len();
            Some((plan.stratum, split, selection.target(plan.stratum)?.get()))
        });
        let decisions = Decisions::new(scope, threshold, strata);
        let heartbeat = Heartbeat::default();
        let parts = DeciderParts {
            validate: self.parts.validate.clone(),
            validators: self.parts.write.validators.clone(),
            threshold,
            heartbeat: heartbeat.clone(),
        };
        let (role, name) = (Role::Decider, Role::Decider.name().to_owned());
        let decider = Decider::new(parts, decisions);
        let (id, decider) = (self.parts.watch).start(role, &*name, &heartbeat, |_, _| decider);
        let slot = ActorSlot {
            role,
            name,
            heartbeat,
        };
        self.actors.domain.insert(id, slot);
        self.actors.decider = Some(decider);
    }

    /// All candidates were offered: the samplers that took offers give them to the decider.
    pub(super) fn decide(&mut self, shape: RowShape, context: &mut Context<Self>) {
        // A run that is to be drained waits for the decider, which sees to it.
        self.writing = 1;
        let asked = self.actors.samplers.iter().map(|(stratum, sampler)| {
            let (stratum, answer) = (*stratum, sampler.send(TakeRound));
            async move { (stratum, answer.await) }
        });
        let all = futures_util::future::join_all(asked);
        self.spawn_then(all, context, move |supervisor, answers, context| {
            let mut rounds = Vec::new();
            for (stratum, answer) in answers {
                match supervisor.answer(answer.map(Ok), context) {
                    Some(Some(round)) => rounds.push((stratum, round.candidates, round.is_last)),
                    Some(None) => {}
                    None => return,
                }
            }
            supervisor.decide_rounds(shape, rounds, context);
        });
    }

    fn decide_rounds(
        &mut self,
        shape: RowShape,
        rounds: Vec<(StratumId, Vec<Candidate>, bool)>,
        context: &mut Context<Self>,
    ) {
        let Some(decider) = &self.actors.decider else {
            return;
        };
        let answer = decider.send(Decide { shape, rounds });
        self.spawn_then(
            answer,
            context,
            |supervisor, result, context| match supervisor.answer(result, context) {
                Some(DecisionOutcome::Decided(decided)) => {
                    supervisor.decided = Some((decided.templates, decided.clusters));
                    let strata = decided.strata.into_iter();
                    let strata = strata.map(|decided| (decided.stratum, decided)).collect();
                    supervisor.write_each(strata, context);
                }
                Some(DecisionOutcome::NeedsMore(strata)) => {
                    supervisor.writing = 0;
                    for (stratum, sampler) in &supervisor.actors.samplers {
                        if let Some((_, wanted)) = strata.iter().find(|(id, _)| id == stratum) {
                            sampler.do_send(Widen(*wanted));
                        }
                    }
                    supervisor.begin_top_up(context);
                }
                None => {}
            },
        );
    }
}
