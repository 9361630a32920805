//! The census of a round: which ranks it delivers, which of them the round fetches, and what follows when it does not
//! reach far enough.
//!
//! A census of some ranks has counted the other conversations, so that nothing but its width depends on where it ends.
//! A wider one delivers everything again; it must count the same conversations.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Context;

use super::Supervisor;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::sampling::rounds::{CensusOutcome, CensusReach};
use crate::domain::sampling::thresholds::{Shortage, widened};
use crate::domain::scheduling::pass::Pass;
use crate::domain::selection::stratum::StratumId;
use crate::pipeline::actors::messages::{CensusPlan, FinishCensus, Grouped};
use crate::pipeline::error::RunError;
use crate::spool::{SpoolError, disk};

impl Supervisor {
    /// Starts a census. The ranks that it delivers are decided once: chunks that are sealed must fit those to come.
    pub(super) fn begin_census(&mut self, census: CensusPlan, context: &mut Context<Self>) {
        let CensusPlan { pass, ranks } = census;
        let Some(ranks) = ranks else {
            return self.begin_pass(pass, None, context);
        };
        self.pin(
            pass,
            (*ranks).clone(),
            context,
            move |supervisor, ranks, context| {
                let ranks = Some(Arc::new(ranks));
                supervisor.census = Some(CensusPlan { pass, ranks });
                supervisor.begin_pass(pass, None, context);
            },
        );
    }

    /// The census is whole: asks the samplers which ranks they want.
    pub(super) fn choose_ranks(&mut self, context: &mut Context<Self>) {
        let counted = self.counted();
        if self.counted_before.is_some_and(|before| before != counted) {
            return self.end(Err(RunError::CensusChanged));
        }
        let asked = self.actors.samplers.iter().map(|(stratum, sampler)| {
            let finish = FinishCensus(self.reach(*stratum));
            let (stratum, answer) = (*stratum, sampler.send(finish));
            async move { (stratum, answer.await) }
        });
        let all = futures_util::future::join_all(asked);
        self.spawn_then(all, context, |supervisor, answers, context| {
            let (mut ranges, mut short) = (Vec::new(), BTreeMap::new());
            for (stratum, answer) in answers {
                match supervisor.answer(answer.map(Ok), context) {
                    Some(Some(CensusOutcome::Range(range))) => ranges.push((stratum, range)),
                    Some(Some(CensusOutcome::Short(shortage))) => {
                        short.insert(stratum, shortage);
                    }
                    Some(None) => {}
                    None => return,
                }
            }
            match short.is_empty() {
                true => supervisor.pin_ranks(ranges.into_iter().collect(), context),
                false => supervisor.widen_census(&short, context),
            }
        });
    }

    /// Counts what is read for the first time, before payloads are fetched, and of each round by itself what
    /// is fetched for it; else only is chosen again.
    pub(in crate::pipeline) fn count(&mut self, grouped: Grouped) {
        match self.pass {
            Pass::Round(round) => self.round_grouped.entry(round).or_default().add(grouped),
            _ if self.is_counting => self.grouped.add(grouped),
            Pass::All | Pass::Census | Pass::CensusUpTo(_) => {}
        }
    }

    /// All conversations of the census, those that it has only counted included.
    fn counted(&self) -> ChunkChecksum {
        let mut counted = ChunkChecksum::default();
        for tally in self.tallies.values() {
            counted.add(tally.chunk_checksum.unwrap_or_default());
        }
        counted
    }

    /// How far the census goes in a stratum.
    fn reach(&self, stratum: StratumId) -> CensusReach {
        let ranks = self
            .census
            .as_ref()
            .and_then(|census| census.ranks.as_ref());
        let of_chunks = self.tallies.values();
        CensusReach {
            up_to: ranks.and_then(|ranks| ranks.of(stratum)?.up_to),
            undelivered: of_chunks
                .filter_map(|tally| tally.undelivered.strata.get(&stratum))
                .sum(),
        }
    }

    /// Takes a wider census for the same round, and counts it in the place of the last one.
    fn widen_census(&mut self, short: &BTreeMap<StratumId, Shortage>, context: &mut Context<Self>) {
        let Some(CensusPlan {
            pass: Pass::CensusUpTo(number),
            ranks: Some(ranks),
        }) = &self.census
        else {
            // A census of all conversations is never short.
            return self.end(Err(RunError::NoAnswer("sampler")));
        };
        let number = number + 1;
        tracing::info!(
            number,
            strata = short.len(),
            "a wider census is taken: candidates ran out"
        );
        self.census = Some(CensusPlan {
            pass: Pass::CensusUpTo(number),
            ranks: Some(Arc::new(widened(ranks, short))),
        });
        self.counted_before = Some(self.counted());
        self.is_counting = true;
        self.tallies.clear();
        self.grouped = Grouped::default();
        self.begin_round(context);
    }

    /// The ranges of a round are decided once: chunks that are sealed must fit those to come. What
    /// they are does not change the sample, only how much is fetched for it.
    fn pin_ranks(&mut self, ranks: RankRanges, context: &mut Context<Self>) {
        self.pin(Pass::Round(self.round), ranks, context, Self::fetch_ranks);
    }

    /// Remembers which ranks a pass fetches, unless an earlier start has, and goes on with what is remembered.
    fn pin(
        &self,
        pass: Pass,
        ranks: RankRanges,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, RankRanges, &mut Context<Self>) + 'static,
    ) {
        let (spool, pool) = (
            self.parts.fetch.spool.clone(),
            Arc::clone(&self.parts.run.pool),
        );
        let pinning = async move {
            let pin = move || {
                let pin = || spool.pin(pass, ranks.clone());
                disk::retry(pin, SpoolError::is_transient)
            };
            pool.blocking(pin).await
        };
        self.spawn_then(pinning, context, |supervisor, pinned, context| {
            if let Some(ranks) = supervisor.unwrap_io(pinned) {
                then(supervisor, ranks, context);
            }
        });
    }
}
