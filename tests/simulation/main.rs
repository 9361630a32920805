//! The real pipeline, simulated: all actors on one arbiter, paused time, work done in line. One seed
//! is one schedule of faults; the oracle is the reference evaluator, sequential and without faults.
//!
//! `CHAOS_SEEDS=100000` runs more seeds, `CHAOS_FROM=5000` others. A seed that fails prints the
//! command that replays it and its smallest plan; put that line into `tests/regressions.seeds`.
#![cfg(feature = "fault-injection")]

#[path = "../support/mod.rs"]
mod support;

mod behaviour;
mod run;
mod sink;
mod source;
mod thresholds;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gleaner::fault;
use gleaner::fault::FaultPlan;
use xxhash_rust::xxh3::xxh3_64;

use run::{Seen, simulate};
use support::reference::Outcome;
use world::{WORLDS, World};

/// Seeds of a usual run.
const SEEDS: u64 = 1000;

/// Runs among a thousand in which each of what may happen must happen.
const OFTEN: u64 = 20;

/// Hits of a site among which faults are drawn: what every world passes.
const MAX_HITS: u64 = 10;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// The faults of a seed: none to ten. In a quiet run more can be insisted on, so there are some.
fn plan_of(seed: u64) -> FaultPlan {
    let faults = (seed % 13).saturating_sub(2) as usize;
    FaultPlan::draw(seed, faults, MAX_HITS, &[], &[])
}

/// What is wrong with a run, if anything is.
fn violation(seed: u64, plan: &FaultPlan) -> Result<Seen, String> {
    let simulation = || simulate(World::of(seed), seed, plan);
    match catch_unwind(AssertUnwindSafe(simulation)) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Err(text.unwrap_or_else(|| "a panic".to_owned()))
        }
    }
}

/// Runs a seed; a failure is made small and told with the command that replays it.
fn check(seed: u64, plan: FaultPlan) -> Seen {
    violation(seed, &plan).unwrap_or_else(|what| {
        let smallest = plan.shrink(|plan| violation(seed, plan).is_err());
        panic!(
            "seed {seed}: {what}\nreplay with\n  CHAOS_SEED={seed} CHAOS_PLAN='{smallest}' cargo test --features fault-injection --test simulation -- one_seed --nocapture"
        )
    })
}

#[derive(Default)]
struct Totals {
    faults: BTreeMap<(fault::Stage, fault::Kind), u64>,
    events: BTreeMap<String, u64>,
    /// Runs that had nothing to publish.
    empty: u64,
    /// Runs in which something happened.
    runs: BTreeMap<&'static str, u64>,
    starts: u64,
    hours: f64,
    hits: u64,
    /// Of the course of every seed: two builds that do the same have the same.
    digest: u64,
}

impl Totals {
    fn add(&mut self, seed: u64, seen: &Seen) {
        for struck in &seen.struck {
            let cell = (struck.fault.site.stage(), struck.fault.kind);
            *self.faults.entry(cell).or_default() += 1;
        }
        for (kind, count) in &seen.events {
            *self.events.entry(kind.clone()).or_default() += count;
        }
        let happened = |what: &str| seen.events[what] > 0;
        let (allowed, missing) = seen.missing;
        for (what, happened) in [
            ("split", happened("splits")),
            ("census refetch", happened("census_refetches")),
            ("top-up round", seen.rounds_and_wider_censuses.0 > 0),
            ("wider census", seen.rounds_and_wider_censuses.1 > 0),
            ("lease loss", happened("lease_losses")),
            ("rebuild", happened("rebuilds")),
            ("throttle", happened("throttles")),
            ("restart of the run", seen.starts > 1),
            ("a chunk missing", missing > 0),
            ("none missing that might", allowed > 0 && missing == 0),
            ("row panic", happened("row_panics")),
            ("sink retry", happened("sink_retries")),
            ("record panic", happened("record_panics")),
        ] {
            *self.runs.entry(what).or_default() += u64::from(happened);
        }
        self.empty += u64::from(seen.is_empty);
        self.starts += seen.starts;
        self.hours += seen.virtual_time.as_secs_f64() / 3600.0;
        self.hits += seen.hits;
        let (hits, time) = (seen.hits, seen.virtual_time);
        let course = format!("{seed} {:x} {hits} {time:?} {}", seen.trace, seen.starts);
        self.digest = self.digest.wrapping_add(xxh3_64(course.as_bytes()));
    }
}

#[test]
fn many_seeds_give_what_the_reference_gives() {
    run::quiet_panics();
    let seeds = variable("CHAOS_SEEDS").unwrap_or(SEEDS);
    let first = variable("CHAOS_FROM").unwrap_or(0);
    let next = AtomicU64::new(first);
    let totals = Mutex::new(Totals::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            let seen = check(seed, plan_of(seed));
            totals.lock().expect("no panic").add(seed, &seen);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let totals = totals.into_inner().expect("no panic");
    let struck: u64 = totals.faults.values().sum();
    eprintln!(
        "{seeds} seeds, {} starts, {:.0} virtual hours, {} hits, {struck} faults, 0 violations",
        totals.starts, totals.hours, totals.hits
    );
    eprintln!("digest of the traces: {:016x}", totals.digest);
    eprintln!("{} runs had nothing to publish", totals.empty);
    eprintln!("events: {:?}", totals.events);
    eprintln!("runs with: {:?}", totals.runs);
    for ((stage, kind), count) in &totals.faults {
        eprintln!("  {stage:10} {kind:13} {count}");
    }
    if seeds >= SEEDS {
        let hit: BTreeSet<_> = totals.faults.keys().copied().collect();
        let missed: Vec<_> = fault::cells().difference(&hit).copied().collect();
        assert!(missed.is_empty(), "never struck: {missed:?}");
        let seldom: Vec<_> = totals.runs.iter().filter(|(_, n)| **n < OFTEN).collect();
        assert!(seldom.is_empty(), "too seldom: {seldom:?}");
    }
}

#[test]
fn a_seed_gives_the_same_trace_twice() {
    run::quiet_panics();
    for seed in (0..WORLDS * 13).step_by(8) {
        let first = check(seed, plan_of(seed));
        let second = check(seed, plan_of(seed));
        assert_eq!(first, second, "seed {seed}");
        assert!(first.hits > 0);
    }
}

#[test]
fn what_once_failed() {
    run::quiet_panics();
    let lines = include_str!("../regressions.seeds").lines();
    for line in lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (seed, plan) = line.split_once(' ').unwrap_or((line, ""));
        let plan = plan.split('#').next().unwrap_or_default();
        check(seed.parse().expect("a seed"), plan.parse().expect("a plan"));
    }
}

/// `CHAOS_SEED=N [CHAOS_PLAN='...']`: one seed, told in full.
#[test]
fn one_seed() {
    run::quiet_panics();
    let Some(seed) = variable("CHAOS_SEED") else {
        return;
    };
    let plan = match std::env::var("CHAOS_PLAN") {
        Ok(plan) => plan.parse().expect("a plan"),
        Err(_) => plan_of(seed),
    };
    eprintln!("plan: {plan}");
    eprintln!("{:#?}", violation(seed, &plan));
}

/// The simulation would notice: an oracle of another sample is not met.
#[test]
fn a_wrong_result_is_noticed() {
    run::quiet_panics();
    let world = World::of(2);
    let mut wrong = world.clone();
    wrong.expected = World::of(WORLDS / 2 + 2).expected.clone();
    let noticed = catch_unwind(AssertUnwindSafe(|| {
        simulate(&wrong, 2, &FaultPlan::default())
    }));
    assert!(!matches!(noticed, Ok(Ok(_))), "nobody noticed");
    let seen = simulate(world, 2, &FaultPlan::default()).expect("good");
    assert!(seen.virtual_time < Duration::from_secs(600) && seen.starts == 1);
}

fn strata_records(expected: &Outcome) -> impl Iterator<Item = &Vec<u8>> {
    expected.strata.values().flat_map(|one| &one.records)
}

/// Between them the worlds have rows and conversations of every kind that a source of turns or of
/// conversations can have.
#[test]
fn worlds_have_every_kind() {
    let mut counts = BTreeMap::<&str, u64>::new();
    for number in 0..WORLDS {
        let expected = &World::of(number).expected;
        let all = expected.rows.iter().chain(&expected.filtered_by);
        for (key, count) in all {
            *counts.entry(key).or_default() += count;
        }
        let strata = expected.strata.values();
        let near_duplicates: usize = strata.map(|one| one.near_duplicates.len()).sum();
        *counts.entry("near_duplicates").or_default() += near_duplicates as u64;
        let records = strata_records(expected);
        let redacted = records.filter(|record| {
            let text = String::from_utf8_lossy(record);
            text.contains("<AWS_KEY_")
        });
        *counts.entry("redacted").or_default() += redacted.count() as u64;
        let invalid = expected.strata.values().flat_map(|one| &one.invalid);
        let contaminated = invalid.filter(|(_, codes)| codes.contains(&"contaminated"));
        *counts.entry("contaminated").or_default() += contaminated.count() as u64;
    }
    let kinds = "malformed mode window ignored_ids duplicate_turns duplicate_conversations damaged \
        cut_by_mode cut_by_window incomplete out_of_range no_target near_duplicates contaminated excluded \
        redacted";
    for kind in kinds.split_whitespace() {
        assert!(
            counts.get(kind).is_some_and(|&n| n > 0),
            "{kind}: {counts:?}"
        );
    }
}
