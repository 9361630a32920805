//! A run at one moment, whole: what the live page, the report, `status()` and metrics show.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::actors::ActorView;
use super::chunks::{ChunkState, ChunkView};
use super::distributions::Distributions;
use super::jobs::JobView;
use super::notices::State;
use super::timeline::Point;
use super::{Counters, Phase, Snapshot};

/// The identity of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunInfo {
    /// Random, made once for the run.
    pub id: String,
    /// The dataset's name.
    pub dataset: String,
    /// The location of the dataset, for display.
    pub location: String,
    /// Fingerprint of the settings, 16 hexadecimal digits.
    pub fingerprint: String,
    /// `selection.seed`: decides the ranks.
    pub seed: String,
    /// When the first start of the run began, RFC 3339.
    pub started_at: String,
    /// Whether an earlier start is continued.
    pub resumed: bool,
    /// Description of the source, without secrets.
    pub source: Value,
    /// `[selection]` as the manifest has it.
    pub selection: Value,
}

/// A run at one moment. Durations are in milliseconds, sizes in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// gleaner's.
    pub version: &'static str,
    /// The run's identity; absent before it is set up.
    pub run: Option<RunInfo>,
    /// Whether it runs, and how it ended.
    pub state: State,
    /// The error that ended the run, if it failed.
    pub error: Option<String>,
    /// The phase it is in.
    pub phase: Phase,
    /// Since this start of it.
    pub elapsed_ms: u64,
    /// Estimated time until the phase ends, in milliseconds, where it can be estimated.
    pub eta_ms: Option<u64>,
    /// Those of the pass, and those that were split.
    pub chunks: Vec<ChunkView>,
    /// The jobs that an engine was given, if one is the source.
    pub jobs: Vec<JobView>,
    /// The actors and what each does.
    pub actors: Vec<ActorView>,
    /// The queues between actors.
    pub queues: Vec<QueueView>,
    /// Payload between actors.
    pub in_flight: InFlight,
    /// Sums.
    pub totals: Totals,
    /// Those with a target.
    pub strata: Vec<StratumView>,
    /// Incidents by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// The last of them, the oldest first.
    pub recent: Vec<Recent>,
    /// Invalid records by the code of their first fault.
    pub invalid: BTreeMap<&'static str, u64>,
    /// Warnings of the records written.
    pub warnings: BTreeMap<&'static str, u64>,
    /// The run over time.
    pub timeline: Vec<Point>,
    /// The manifest, once it is published.
    pub provenance: Option<Value>,
}

/// Something that waits.
#[derive(Debug, Clone, Serialize)]
pub struct QueueView {
    /// The name of the queue: `chunks`.
    pub name: &'static str,
    /// Items in the queue.
    pub now: u64,
}

/// Bytes between actors.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct InFlight {
    /// At this moment.
    pub now: u64,
    /// The largest so far.
    pub peak: u64,
    /// The most that is allowed.
    pub budget: u64,
}

/// Sums over the run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Totals {
    /// Rows read.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes of the input that these are made of: fewer for compressed files.
    pub input_bytes: u64,
    /// Bytes of the input there are to read; 0 if unknown.
    pub bytes_total: u64,
    /// Bytes written to the dataset.
    pub bytes_written: u64,
    /// Of the bytes written, those that an earlier start had sent.
    pub bytes_kept: u64,
    /// All chunks.
    pub chunks_total: u64,
    /// Chunks read or replayed.
    pub chunks_done: u64,
    /// Of the chunks done, those replayed from sealed chunks.
    pub chunks_replayed: u64,
    /// Attempts that failed.
    pub chunks_failed: u64,
}

/// A stratum at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct StratumView {
    /// `train/short`
    pub name: String,
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
    /// Distributions of the records by turns, bytes and tokens.
    #[serde(flatten)]
    pub distributions: Distributions,
}

/// Something that did not go as planned.
#[derive(Debug, Clone, Serialize)]
pub struct Recent {
    /// Counts these from 0.
    pub number: u64,
    /// Since this start of the run.
    pub at_ms: u64,
    /// As [`super::events::KINDS`] has it.
    pub kind: &'static str,
    /// The incident, for display.
    pub text: String,
}

impl Counters {
    /// Which run it is, by its dataset's name of now.
    pub(crate) fn run_info(&self) -> Option<RunInfo> {
        let mut info = self.info.get().cloned()?;
        let renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dataset) = &*renamed {
            info.dataset.clone_from(dataset);
        }
        Some(info)
    }

    /// Says that the dataset has another name: that of before was taken.
    pub fn rename(&self, dataset: &str) {
        let mut renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        *renamed = Some(dataset.to_owned());
    }

    /// The run at this moment.
    pub fn view(&self) -> View {
        let now = self.snapshot();
        let elapsed = self.board().elapsed();
        let chunks = self.chunk_map.view();
        let findings = self.findings();
        let queues = self.queues(&now, &chunks, findings.invalid.values().sum());
        let strata = now
            .strata
            .iter()
            .zip(&self.strata)
            .map(|(now, counters)| StratumView {
                name: now.stratum.clone(),
                target: now.target,
                population: now.population,
                candidates: now.candidates,
                validated: now.validated,
                written: now.written,
                distributions: counters.distributions(),
            });
        View {
            version: env!("CARGO_PKG_VERSION"),
            run: self.run_info(),
            state: self.state(),
            error: self.error(),
            phase: now.phase,
            elapsed_ms: elapsed.as_millis() as u64,
            eta_ms: self.left(&now).map(|left| left.as_millis() as u64),
            chunks,
            jobs: self.jobs.view(),
            actors: self.actors.view(),
            queues,
            in_flight: InFlight {
                now: now.in_flight,
                peak: now.in_flight_peak,
                budget: self.budget.get(),
            },
            totals: Totals {
                rows: now.rows,
                bytes: now.bytes,
                input_bytes: now.input_bytes,
                bytes_total: now.bytes_total,
                bytes_written: now.bytes_written,
                bytes_kept: self.kept.get(),
                chunks_total: now.chunks_total,
                chunks_done: now.chunks_done,
                chunks_replayed: now.chunks_replayed,
                chunks_failed: now.chunks_failed,
            },
            strata: strata.collect(),
            recent: self.events.recent_views(),
            events: now.events,
            invalid: findings.invalid,
            warnings: findings.warnings,
            timeline: self.timeline.points(),
            provenance: self.provenance.get().cloned(),
        }
    }

    fn queues(&self, now: &Snapshot, chunks: &[ChunkView], invalid: u64) -> Vec<QueueView> {
        let waits =
            |chunk: &&ChunkView| matches!(chunk.state, ChunkState::Waiting | ChunkState::Retrying);
        let placed: u64 = self.strata.iter().map(|s| s.taken.get()).sum();
        let validated: u64 = self.strata.iter().map(|s| s.validated.get()).sum();
        let queue = |name, now| QueueView { name, now };
        vec![
            queue("chunks waiting", chunks.iter().filter(waits).count() as u64),
            queue("fetchers held back", now.paused),
            queue(
                "records validated, not placed yet",
                validated.saturating_sub(placed + invalid),
            ),
        ]
    }

    /// What is left of the phase: as long as it took so far, for each part that is done.
    pub fn left(&self, now: &Snapshot) -> Option<Duration> {
        let sum =
            |count: fn(&super::StratumSnapshot) -> u64| now.strata.iter().map(count).sum::<u64>();
        let (done, all) = match now.phase {
            Phase::Reading if now.bytes_total > 0 => (now.input_bytes, now.bytes_total),
            Phase::Census | Phase::Reading => (now.chunks_done, now.chunks_total),
            Phase::Writing => (sum(|s| s.written), sum(|s| s.target.min(s.population))),
            _ => return None,
        };
        if done == 0 || done >= all || self.state().is_final() {
            return None;
        }
        let so_far = self.in_phase();
        Some(so_far.mul_f64((all - done) as f64 / done as f64))
    }
}
