//! Estimates the result and cost of an export from cheap counts and a few conversations.

use std::collections::BTreeMap;

use super::client::Receiver;
use super::counts::Numbers;
use super::error::{Failure, Purpose};
use super::estimate::KustoPlan;
use super::frames::{Column, TableSink};
use super::query::{COUNTS, GROUP_COUNTS};
use super::settings::CensusMode;
use super::telemetry::TelemetryFetch;
use super::{CENSUS_OF_ALL, KustoSource, SourceError};
use crate::domain::dataset::groups::Spread;
use crate::domain::json::Value;
use crate::domain::record::row::MalformedReason;
use crate::domain::sampling::thresholds;
use crate::domain::scheduling::chunk::HashChunk;
use crate::domain::selection::stratum::{Membership, Selection, StratumId};

/// Conversations whose size is looked at.
const SAMPLE: u64 = 100;

/// Bytes of a census row on the wire, about: an id, a number, a timestamp.
const CENSUS_ROW: u64 = 90;

impl KustoSource {
    /// Counts what there is and looks at a few conversations.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub async fn plan(&self) -> Result<KustoPlan, SourceError> {
        let purpose = Purpose {
            query: "plan",
            attempt: None,
        };
        let whole = HashChunk {
            count: 1,
            index: 0,
            depth: 0,
        };
        let counts = match self.selection.split_by() {
            None => COUNTS,
            Some(_) => GROUP_COUNTS,
        };
        let csl = self.census.with(&self.values(whole, None), counts);
        let numbers = Numbers::new(&["residue", "turnCount", "conversations"]);
        let numbers = self
            .client
            .query(purpose, &csl, self.max_record, numbers)
            .await?;
        let selection = &*self.selection;
        let rows = numbers.receiver.rows.iter();
        let spread = rows.map(|row| (i64::try_from(row[0]).unwrap_or(0), row[2]));
        let mut plan = KustoPlan {
            conversations: 0,
            out_of_range: 0,
            population: selection.strata().map(|stratum| (stratum, 0)).collect(),
            spread: Spread::of_residues(selection, spread),
            bytes_each: None,
            candidates: 0,
            census_rows: 0,
            one_pass_bytes: None,
            two_pass_bytes: None,
        };
        for row in &numbers.receiver.rows {
            let (turns, count) = (row[1], row[2]);
            let residue = u32::try_from(row[0]).unwrap_or(0);
            plan.conversations += count;
            match selection.membership_of_residue(residue, turns) {
                Membership::OutOfRange => plan.out_of_range += count,
                Membership::NoTarget => {}
                Membership::Stratum(stratum) => {
                    *plan.population.entry(stratum).or_default() += count
                }
            }
        }
        plan.candidates = candidates(selection, &plan.population);
        plan.census_rows = self.census_rows(&plan);
        plan.bytes_each = self.size_of_some(plan.conversations).await?;
        if let Some(bytes) = plan.bytes_each {
            plan.one_pass_bytes = Some(plan.conversations * bytes);
            plan.two_pass_bytes = Some(plan.census_rows * CENSUS_ROW + plan.candidates * bytes);
        }
        Ok(plan)
    }

    /// How many conversations the census delivers.
    fn census_rows(&self, plan: &KustoPlan) -> u64 {
        let is_full = match self.settings.census_mode {
            CensusMode::Full => true,
            CensusMode::Auto => plan.conversations < CENSUS_OF_ALL,
            CensusMode::Thresholds => false,
        };
        if is_full {
            return plan.conversations;
        }
        let rows = plan
            .population
            .iter()
            .filter_map(|(&stratum, &population)| {
                let candidates = self
                    .selection
                    .candidates_for(self.selection.target(stratum)?);
                Some(thresholds::expected_rows(
                    candidates,
                    population,
                    self.chunks.get(),
                ))
            });
        rows.sum()
    }

    /// The average size of about [`SAMPLE`] conversations: a small hash chunk is a fair sample.
    async fn size_of_some(&self, conversations: u64) -> Result<Option<u64>, SourceError> {
        let chunk = HashChunk {
            count: u32::try_from(conversations / SAMPLE)
                .unwrap_or(u32::MAX)
                .max(1),
            index: 0,
            depth: 0,
        };
        let purpose = Purpose {
            query: "sample",
            attempt: None,
        };
        if let Some(reading) = &self.telemetry {
            // Its census says how large its conversations are.
            let fetch = TelemetryFetch::new(self, reading, chunk, Self::sample(chunk));
            return fetch.average_size().await;
        }
        let csl = self.payload.with(&self.values(chunk, None), "");
        let sizes = self
            .client
            .query(purpose, &csl, self.max_record, Sizes::default())
            .await?;
        let Sizes { rows, bytes } = sizes.receiver;
        Ok(bytes.checked_div(rows))
    }
}

/// The candidates of all strata.
fn candidates(selection: &Selection, population: &BTreeMap<StratumId, u64>) -> u64 {
    let candidates = population.iter().filter_map(|(&stratum, &population)| {
        let candidates = selection.candidates_for(selection.target(stratum)?);
        Some(candidates.min(population))
    });
    candidates.sum()
}

/// Counts bytes.
#[derive(Debug, Default)]
struct Sizes {
    rows: u64,
    bytes: u64,
}

impl TableSink for Sizes {
    fn columns(&mut self, _: &[Column]) -> Result<(), Failure> {
        Ok(())
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        self.rows += 1;
        self.bytes += cells
            .iter()
            .map(|cell| cell.text.len() as u64 + 1)
            .sum::<u64>();
        Ok(())
    }

    fn reject(&mut self, _: &[Value<'_>], _: MalformedReason) -> Result<(), Failure> {
        Ok(())
    }
}

impl Receiver for Sizes {
    type Sink = Self;

    fn sink(&mut self) -> &mut Self {
        self
    }
}
