//! The counters at one moment, as numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Counters, Phase};
use crate::domain::selection::stratum::ALL;

/// The counters at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// The phase of the run.
    pub phase: Phase,
    /// All chunks.
    pub chunks_total: u64,
    /// Chunks read or replayed.
    pub chunks_done: u64,
    /// Of the chunks done, those replayed from sealed chunks.
    pub chunks_replayed: u64,
    /// Attempts that failed.
    pub chunks_failed: u64,
    /// Payload on its way between actors, in bytes.
    pub in_flight: u64,
    /// The most that it has been.
    pub in_flight_peak: u64,
    /// Fetchers that are made to wait because too much is on its way.
    pub paused: u64,
    /// Number of times that a fetcher had to wait.
    pub backpressure_waits: u64,
    /// Incidents by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Rows read.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes of the input that these are made of, out of `bytes_total`.
    pub input_bytes: u64,
    /// Bytes there are to read; 0 if unknown.
    pub bytes_total: u64,
    /// Bytes written to the dataset.
    pub bytes_written: u64,
    /// Those with a target.
    pub strata: Vec<StratumSnapshot>,
}

/// One stratum at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct StratumSnapshot {
    /// `train/short`
    pub stratum: String,
    /// Records wanted.
    pub target: u64,
    /// Conversations seen that belong to it.
    pub population: u64,
    /// Candidates held.
    pub candidates: u64,
    /// Records validated.
    pub validated: u64,
    /// Valid records taken.
    pub written: u64,
}

impl Counters {
    /// All of it as numbers at this moment.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: self.phase(),
            chunks_total: self.chunks_total.get(),
            chunks_done: self.chunks_done.get(),
            chunks_replayed: self.chunks_replayed.get(),
            chunks_failed: self.chunks_failed.get(),
            in_flight: self.in_flight.get(),
            in_flight_peak: self.in_flight.most(),
            paused: self.paused.get(),
            backpressure_waits: self.paused.times(),
            events: self.events.counts(),
            rows: self.rows.get(),
            bytes: self.bytes.get(),
            input_bytes: self.input_bytes.get(),
            bytes_total: self.bytes_total.get(),
            bytes_written: self.written.get(),
            strata: self
                .strata
                .iter()
                .map(|s| StratumSnapshot {
                    stratum: s.name.clone(),
                    // The target of a stratum that takes all is its population.
                    target: match s.target {
                        ALL => s.population.get(),
                        target => target,
                    },
                    population: s.population.get(),
                    candidates: s.candidates.get(),
                    validated: s.validated.get(),
                    written: s.taken.get(),
                })
                .collect(),
        }
    }
}
