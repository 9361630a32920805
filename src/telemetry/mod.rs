//! The counters of a run, which can be read at any time.
//!
//! Counters are atomics behind an `Arc`: writing one costs nanoseconds and never waits, so a slow
//! reader cannot slow the run. They hold numbers and names, never text of a conversation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::domain::record::validation::Code;
use crate::domain::selection::stratum::{Selection, StratumId};

pub mod actors;
pub mod chunks;
mod counter;
pub mod distributions;
pub mod events;
pub mod heartbeat;
pub mod jobs;
pub mod metrics;
pub mod notices;
pub mod report;
mod snapshot;
pub mod timeline;
pub mod view;

pub use counter::{Counter, Gauge};
pub use events::{Event, Events};
pub use notices::{EventBus, Notice, Notices, RunEvent, State};
pub use snapshot::{Snapshot, StratumSnapshot};
pub use view::{RunInfo, View};

use actors::Actors;
use chunks::ChunkMap;
use distributions::Distributions;
use jobs::Jobs;
use timeline::{Point, Timeline};

/// The phases of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// Looking the input over, claiming the output.
    Starting,
    /// Reading who there is, without payloads.
    Census,
    /// Reading chunks.
    Reading,
    /// Deciding which conversations there are.
    Grouping,
    /// Validating and writing the sample.
    Writing,
    /// Writing the manifest.
    Publishing,
    /// Published.
    Done,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Starting,
        Self::Census,
        Self::Reading,
        Self::Grouping,
        Self::Writing,
        Self::Publishing,
        Self::Done,
    ];
}

/// Whether a manifest was handed to the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Publication {
    /// No: nothing can be published.
    NotBegun,
    /// Yes, and there is no answer yet.
    Begun,
    /// Yes, and the sink has said that it is there.
    Done,
}

/// The progress of one stratum.
#[derive(Debug)]
pub struct StratumCounters {
    /// The stratum.
    pub stratum: StratumId,
    /// `train/short`
    pub name: String,
    /// Records wanted.
    pub target: u64,
    /// Conversations seen that belong to it.
    pub population: Counter,
    /// Candidates held.
    pub candidates: Counter,
    /// Records validated.
    pub validated: Counter,
    /// Valid records taken.
    pub taken: Counter,
    distributions: Mutex<Distributions>,
}

impl StratumCounters {
    /// Distributions over the records taken.
    pub fn distributions(&self) -> Distributions {
        self.distributions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says how they are distributions.
    pub fn set_distributions(&self, distributions: &Distributions) {
        let mut reported = self
            .distributions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reported.clone_from(distributions);
    }
}

/// Findings of the rules, by code.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Invalid records, by their first fault.
    pub invalid: BTreeMap<&'static str, u64>,
    /// Warnings of the records written.
    pub warnings: BTreeMap<&'static str, u64>,
}

/// All counters of a run.
#[derive(Debug, Default)]
pub struct Counters {
    phase: AtomicU8,
    /// When the phase began, in milliseconds since the run did.
    phase_since: Counter,
    state: Mutex<(State, Option<String>)>,
    findings: Mutex<BTreeMap<StratumId, Findings>>,
    /// The run's identity, once it is set up.
    pub info: OnceLock<RunInfo>,
    /// The dataset's name, if it is another one than that.
    pub(super) renamed: Mutex<Option<String>>,
    /// How far publishing is.
    publication: AtomicU8,
    /// The manifest, once it is published.
    pub provenance: OnceLock<Value>,
    /// The actors and what each does.
    pub actors: Actors,
    /// The state of each chunk.
    pub chunk_map: ChunkMap,
    /// The jobs of an engine that is the source.
    pub jobs: Jobs,
    /// The run over time.
    pub timeline: Timeline,
    /// `limits.in_flight`
    pub budget: Counter,
    /// All chunks.
    pub chunks_total: Counter,
    /// Chunks read or replayed.
    pub chunks_done: Counter,
    /// Of the chunks done, those replayed from sealed chunks.
    pub chunks_replayed: Counter,
    /// Attempts that failed.
    pub chunks_failed: Counter,
    /// Incidents: retries, restarts, splits.
    pub events: Events,
    /// Payload on its way between actors, in bytes.
    pub in_flight: Gauge,
    /// Fetchers that are made to wait because too much is on its way.
    pub paused: Gauge,
    /// Rows read.
    pub rows: Counter,
    /// Bytes read.
    pub bytes: Counter,
    /// Bytes of the input that these are made of: fewer for compressed files.
    pub input_bytes: Counter,
    /// Bytes there are to read, if the source knows; else 0.
    pub bytes_total: Counter,
    /// Bytes written to the dataset.
    pub written: Counter,
    /// Bytes of the dataset that an earlier start had sent already.
    pub kept: Counter,
    /// The strata that have a target.
    pub strata: Vec<StratumCounters>,
}

/// A handle on the counters of a run.
pub type Telemetry = Arc<Counters>;

impl Counters {
    /// Counters for a selection, all zero.
    pub fn new(selection: &Selection) -> Telemetry {
        let strata = selection.strata().map(|stratum| StratumCounters {
            stratum,
            name: format!(
                "{}/{}",
                selection.split(stratum).name,
                selection.bucket(stratum).name
            ),
            target: selection.target(stratum).map_or(0, |target| target.get()),
            population: Counter::default(),
            candidates: Counter::default(),
            validated: Counter::default(),
            taken: Counter::default(),
            distributions: Mutex::default(),
        });
        Arc::new(Self {
            strata: strata.collect(),
            ..Self::default()
        })
    }

    /// The phase of the run.
    pub fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        Phase::ALL[usize::from(phase).min(Phase::ALL.len() - 1)]
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        (self.phase_since).set(self.board().elapsed().as_millis() as u64);
        tracing::debug!(?phase, "phase");
        self.board().publish(Notice::Phase { phase });
    }

    /// Time since the phase began.
    pub fn in_phase(&self) -> Duration {
        let since = Duration::from_millis(self.phase_since.get());
        self.board().elapsed().saturating_sub(since)
    }

    /// The manifest is on its way, or the sink has said that it is there.
    pub fn set_publication(&self, publication: Publication) {
        self.publication.store(publication as u8, Ordering::Relaxed);
    }

    /// How far publishing is.
    pub fn publication(&self) -> Publication {
        match self.publication.load(Ordering::Relaxed) {
            0 => Publication::NotBegun,
            1 => Publication::Begun,
            _ => Publication::Done,
        }
    }

    /// Publishes what happens.
    pub fn board(&self) -> &EventBus {
        &self.events.board
    }

    /// Whether the run is still running, and how it ended.
    pub fn state(&self) -> State {
        self.lock_state().0
    }

    /// The error that ended the run, if it failed.
    pub fn error(&self) -> Option<String> {
        self.lock_state().1.clone()
    }

    /// Changes the state of the run, unless it has ended.
    pub fn set_state(&self, state: State) {
        let mut now = self.lock_state();
        if !now.0.is_final() {
            now.0 = state;
        }
    }

    /// Ends the run: publishes its final state, and nothing after it.
    pub fn ended(&self, state: State, error: Option<String>) {
        {
            let mut now = self.lock_state();
            if now.0.is_final() {
                return;
            }
            *now = (state, error);
        }
        self.board().close(Notice::Ended { state });
    }

    fn lock_state(&self) -> std::sync::MutexGuard<'_, (State, Option<String>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the findings of the rules in a stratum so far.
    pub fn set_findings(
        &self,
        stratum: StratumId,
        invalid: &BTreeMap<Code, u64>,
        warnings: &BTreeMap<Code, u64>,
    ) {
        let mut findings = Findings::default();
        for (of, counts) in [
            (&mut findings.invalid, invalid),
            (&mut findings.warnings, warnings),
        ] {
            for (code, n) in counts {
                *of.entry(code.name()).or_default() += n;
            }
        }
        let mut all = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(stratum, findings);
    }

    /// The findings of the rules so far.
    pub fn findings(&self) -> Findings {
        let all = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Findings::default();
        for of in all.values() {
            for (code, n) in &of.invalid {
                *sum.invalid.entry(code).or_default() += n;
            }
            for (code, n) in &of.warnings {
                *sum.warnings.entry(code).or_default() += n;
            }
        }
        sum
    }

    /// Adds a point to the run's course, if it is time for one.
    pub fn sample(&self) {
        self.timeline.add(Point {
            t_ms: self.board().elapsed().as_millis() as u64,
            rows: self.rows.get(),
            bytes: self.bytes.get(),
            written: self.written.get(),
            in_flight: self.in_flight.get(),
        });
    }

    /// The counters of a stratum with a target.
    pub fn stratum(&self, stratum: StratumId) -> Option<&StratumCounters> {
        self.strata.iter().find(|s| s.stratum == stratum)
    }
}

/// The name that serde gives a unit variant.
pub(crate) fn serde_name(value: &impl serde::Serialize) -> String {
    match serde_json::json!(value) {
        Value::String(name) => name,
        other => other.to_string(),
    }
}
