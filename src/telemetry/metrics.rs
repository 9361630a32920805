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

/// Sets all metrics of a run.
pub fn publish(view: &View) {
    let run = view.run.as_ref();
    let dataset = run.map_or("", |run| &run.dataset).to_owned();
    // The part of the id that distinguishes the starts of one dataset.
    let id = run
        .map_or("", |run| run.id.get(..8).unwrap_or(&run.id))
        .to_owned();
    let labels = |more: &[(&'static str, String)]| -> Vec<Label> {
        let more = more
            .iter()
            .map(|(key, value)| Label::new(*key, value.clone()));
        [
            Label::new("dataset", dataset.clone()),
            Label::new("run", id.clone()),
        ]
        .into_iter()
        .chain(more)
        .collect()
    };
    let grown = |name: &'static str, more: &[(&'static str, String)], value: u64| {
        counter!(name, labels(more)).absolute(value);
    };
    let level = |name: &'static str, more: &[(&'static str, String)], value: f64| {
        gauge!(name, labels(more)).set(value);
    };
    grown("gleaner_rows_read_total", &[], view.totals.rows);
    grown("gleaner_bytes_read_total", &[], view.totals.bytes);
    grown(
        "gleaner_bytes_written_total",
        &[],
        view.totals.bytes_written,
    );
    grown(
        "gleaner_attempts_failed_total",
        &[],
        view.totals.chunks_failed,
    );
    for (kind, count) in &view.events {
        grown(
            "gleaner_incidents_total",
            &[("kind", (*kind).to_owned())],
            *count,
        );
    }
    for (code, count) in &view.invalid {
        grown(
            "gleaner_records_invalid_total",
            &[("code", (*code).to_owned())],
            *count,
        );
    }
    for (state, chunks) in tally(super::chunks::STATES, view.chunks.iter().map(|c| c.state)) {
        level(
            "gleaner_chunks",
            &[("state", serde_name(&state))],
            chunks as f64,
        );
    }
    for role in super::actors::ROLES {
        let of_role = || view.actors.iter().filter(|actor| actor.role == role);
        let restarts = of_role().map(|actor| actor.restarts).sum();
        grown(
            "gleaner_restarts_total",
            &[("role", role.to_owned())],
            restarts,
        );
        for (state, actors) in tally(super::actors::STATES, of_role().map(|a| a.state)) {
            let labels = [("role", role.to_owned()), ("state", serde_name(&state))];
            level("gleaner_actors", &labels, actors as f64);
        }
    }
    level("gleaner_in_flight_bytes", &[], view.in_flight.now as f64);
    level(
        "gleaner_in_flight_budget_bytes",
        &[],
        view.in_flight.budget as f64,
    );
    for queue in &view.queues {
        level(
            "gleaner_queue",
            &[("queue", queue.name.to_owned())],
            queue.now as f64,
        );
    }
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
            level("gleaner_stratum_records", &labels, count as f64);
        }
    }
    for (phase, is) in tally(super::Phase::ALL, [view.phase].into_iter()) {
        level("gleaner_phase", &[("phase", serde_name(&phase))], is as f64);
    }
    for (state, is) in tally(super::notices::STATES, [view.state].into_iter()) {
        level("gleaner_state", &[("state", serde_name(&state))], is as f64);
    }
    level(
        "gleaner_elapsed_seconds",
        &[],
        view.elapsed_ms as f64 / 1000.0,
    );
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
