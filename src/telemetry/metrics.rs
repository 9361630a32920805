//! The run's numbers for a metrics collector, through the `metrics` facade. Without a recorder
//! they go nowhere, for the price of a look at the counters each second. They are set from the counters now and then: the run itself
//! never touches them.
//!
//! All have the labels `dataset` and `run`, so that several runs in one process are distinguished, one after
//! the other or at once. A process that has very many runs lets its recorder forget idle ones.

use metrics::{Label, counter, describe_counter, describe_gauge, gauge};

use super::serde_name;
use super::view::View;

/// The metrics: name, whether it only grows, and description.
const ALL: [(&str, bool, &str); 16] = [
    ("gleaner_rows_read_total", true, "Rows read."),
    ("gleaner_bytes_read_total", true, "Bytes of rows read."),
    (
        "gleaner_bytes_written_total",
        true,
        "Bytes written to the dataset.",
    ),
    (
        "gleaner_attempts_failed_total",
        true,
        "Attempts at a chunk that failed.",
    ),
    (
        "gleaner_incidents_total",
        true,
        "What did not go as planned, by kind.",
    ),
    (
        "gleaner_restarts_total",
        true,
        "Restarts of an actor, by role.",
    ),
    (
        "gleaner_records_invalid_total",
        true,
        "Records that broke a rule, by code.",
    ),
    ("gleaner_chunks", false, "Chunks, by state."),
    ("gleaner_actors", false, "Actors, by role and state."),
    (
        "gleaner_in_flight_bytes",
        false,
        "Payload on its way between actors.",
    ),
    (
        "gleaner_in_flight_budget_bytes",
        false,
        "The most that may be on its way.",
    ),
    ("gleaner_queue", false, "What waits, by queue."),
    (
        "gleaner_stratum_records",
        false,
        "Of a stratum: target, population, candidates, validated, written.",
    ),
    (
        "gleaner_phase",
        false,
        "1 for the phase that the run is in.",
    ),
    (
        "gleaner_state",
        false,
        "1 for the state that the run is in.",
    ),
    (
        "gleaner_elapsed_seconds",
        false,
        "Since this start of the run.",
    ),
];

/// Describes the metrics; call it once a recorder is installed.
pub fn describe() {
    for (name, grows, text) in ALL {
        match grows {
            true => describe_counter!(name, text),
            false => describe_gauge!(name, text),
        }
    }
}

/// What a metric counts besides its dataset and run.
type Labels<'a> = &'a [(&'static str, String)];

/// The metrics of one run.
struct RunMetrics {
    dataset: String,
    run: String,
}

impl RunMetrics {
    fn labels(&self, more: Labels<'_>) -> Vec<Label> {
        let own = [("dataset", self.dataset.clone()), ("run", self.run.clone())];
        own.into_iter()
            .chain(more.iter().cloned())
            .map(|(key, value)| Label::new(key, value))
            .collect()
    }

    /// Sets what only grows.
    fn total(&self, name: &'static str, more: Labels<'_>, value: u64) {
        counter!(name, self.labels(more)).absolute(value);
    }

    fn level(&self, name: &'static str, more: Labels<'_>, value: f64) {
        gauge!(name, self.labels(more)).set(value);
    }
}

/// Sets all metrics of a run.
pub fn publish(view: &View) {
    let run = view.run.as_ref();
    let metrics = RunMetrics {
        dataset: run.map_or("", |run| &run.dataset).to_owned(),
        // The part of the id that distinguishes the starts of one dataset.
        run: run
            .map_or("", |run| run.id.get(..8).unwrap_or(&run.id))
            .to_owned(),
    };
    publish_totals(&metrics, view);
    publish_actors(&metrics, view);
    publish_levels(&metrics, view);
    publish_strata(&metrics, view);
}

fn publish_totals(metrics: &RunMetrics, view: &View) {
    let totals = &view.totals;
    for (name, count) in [
        ("gleaner_rows_read_total", totals.rows),
        ("gleaner_bytes_read_total", totals.bytes),
        ("gleaner_bytes_written_total", totals.bytes_written),
        ("gleaner_attempts_failed_total", totals.chunks_failed),
    ] {
        metrics.total(name, &[], count);
    }
    for (kind, count) in &view.events {
        let labels = [("kind", (*kind).to_owned())];
        metrics.total("gleaner_incidents_total", &labels, *count);
    }
    for (code, count) in &view.invalid {
        let labels = [("code", (*code).to_owned())];
        metrics.total("gleaner_records_invalid_total", &labels, *count);
    }
}

fn publish_actors(metrics: &RunMetrics, view: &View) {
    for role in super::actors::ROLES {
        let of_role = || view.actors.iter().filter(|actor| actor.role == role);
        let restarts = of_role().map(|actor| actor.restarts).sum();
        let role = ("role", role.to_owned());
        metrics.total(
            "gleaner_restarts_total",
            std::slice::from_ref(&role),
            restarts,
        );
        for (state, actors) in tally(super::actors::STATES, of_role().map(|a| a.state)) {
            let labels = [role.clone(), ("state", serde_name(&state))];
            metrics.level("gleaner_actors", &labels, actors as f64);
        }
    }
}

fn publish_levels(metrics: &RunMetrics, view: &View) {
    for (name, level) in [
        ("gleaner_in_flight_bytes", view.in_flight.now as f64),
        (
            "gleaner_in_flight_budget_bytes",
            view.in_flight.budget as f64,
        ),
        ("gleaner_elapsed_seconds", view.elapsed_ms as f64 / 1000.0),
    ] {
        metrics.level(name, &[], level);
    }
    for queue in &view.queues {
        let labels = [("queue", queue.name.to_owned())];
        metrics.level("gleaner_queue", &labels, queue.now as f64);
    }
    for (state, chunks) in tally(super::chunks::STATES, view.chunks.iter().map(|c| c.state)) {
        let labels = [("state", serde_name(&state))];
        metrics.level("gleaner_chunks", &labels, chunks as f64);
    }
    for (phase, is) in tally(super::Phase::ALL, [view.phase].into_iter()) {
        let labels = [("phase", serde_name(&phase))];
        metrics.level("gleaner_phase", &labels, is as f64);
    }
    for (state, is) in tally(super::notices::STATES, [view.state].into_iter()) {
        let labels = [("state", serde_name(&state))];
        metrics.level("gleaner_state", &labels, is as f64);
    }
}

fn publish_strata(metrics: &RunMetrics, view: &View) {
    for stratum in &view.strata {
        for (what, count) in [
            ("target", stratum.target),
            ("population", stratum.population),
            ("candidates", stratum.candidates),
            ("validated", stratum.validated),
            ("written", stratum.written),
        ] {
            let labels = [
                ("stratum", stratum.name.clone()),
                ("count", what.to_owned()),
            ];
            metrics.level("gleaner_stratum_records", &labels, count as f64);
        }
    }
}

/// Counts of each value, zeros included: a gauge keeps its last value.
fn tally<T: PartialEq + Copy, const N: usize>(
    all: [T; N],
    found: impl Iterator<Item = T>,
) -> impl Iterator<Item = (T, u64)> {
    let mut counts = [0; N];
    for one in found {
        if let Some(place) = all.iter().position(|of| *of == one) {
            counts[place] += 1;
        }
    }
    all.into_iter().zip(counts)
}
