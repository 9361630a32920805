//! One seed: starts of a run until it has published, with faults, on a clock of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use gleaner::config;
use gleaner::config::settings::Settings;
use gleaner::domain::record::timestamp::UtcInstant;
use gleaner::domain::scheduling::chunk::HashChunk;
use gleaner::fault::{
    FaultPlan, FaultySink, FaultySource, FiredFault, Injected, Injector, Kind, Site, Stage,
};
use gleaner::pipeline;
use gleaner::pipeline::state::start::StartOptions;
use gleaner::pipeline::state::work_dir::{RunRecord, RunState, WorkDir};
use gleaner::pipeline::{RunError, RunParts, RunReport};
use gleaner::runtime::CpuPool;
use gleaner::source::Action;
use gleaner::telemetry::chunks::ChunkState;
use gleaner::telemetry::{Counters, Telemetry};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::behaviour::{SourceBehaviour, ends_empty};
use crate::sink::SimSink;
use crate::source::{Memory, SimSource, struck};
use crate::support::embedded::paused;
use crate::support::reference::Outcome;
use crate::support::{Dataset, assert_same_records};
use crate::world::World;

/// `workers.stall_timeout` of all runs: the time of a lease.
const LEASE: Duration = Duration::from_secs(600);

/// After the last fault a run has so many times a lease.
const LEASES: u32 = 10;

/// What a start takes if nothing goes wrong, at most.
const QUIET: Duration = Duration::from_secs(100);

/// What a fault other than a hang costs, at most: the longest pause before another try, or
/// something slow.
const EACH: Duration = Duration::from_secs(75);

/// No plan has so many faults that a run needs to be started more often.
const STARTS: u64 = 40;

/// What a simulation saw. Two of one seed are equal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    pub struck: Vec<FiredFault>,
    pub events: BTreeMap<String, u64>,
    pub starts: u64,
    pub virtual_time: Duration,
    pub hits: u64,
    pub rounds_and_wider_censuses: (u64, u64),
    /// Chunks that were allowed to be missing, and were.
    pub missing: (u64, u64),
    /// Without the chunks that were missing there was nothing to publish.
    pub is_empty: bool,
    /// Of every passage of every site, with its instant.
    pub trace: u64,
    /// Why starts ended without a dataset.
    pub errors: Vec<String>,
}

thread_local! {
    /// Panics on this thread that nobody injected.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Injected panics are not printed; others are, and are counted.
pub fn quiet_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<Injected>() {
                PANICS.set(PANICS.get() + 1);
                usual(info);
            }
        }));
    });
}

/// Runs a plan in a world; says what is wrong, if anything is.
pub fn simulate(world: &World, seed: u64, plan: &FaultPlan) -> Result<Seen, String> {
    PANICS.set(0);
    let seen = paused(starts(world, seed, plan))?;
    match PANICS.get() {
        0 => Ok(seen),
        n => Err(format!("{n} panics that nobody injected")),
    }
}

/// What a start of the run gets.
struct Setting<'a> {
    world: &'a World,
    settings: Settings,
    folder: tempfile::TempDir,
    sink: SimSink,
    injector: Arc<Injector>,
    behaviour: SourceBehaviour,
    memory: Arc<Memory>,
    /// Nothing goes wrong but what the source does by itself.
    strict: bool,
}

impl<'a> Setting<'a> {
    fn new(world: &'a World, seed: u64, plan: &FaultPlan, injector: Injector) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let mut settings = world.settings(seed);
        let behaviour = SourceBehaviour::of(
            seed,
            world,
            settings.chunks.count.get(),
            &settings.selection,
        );
        settings.chunks.allow_missing = behaviour.allow_missing;
        Self {
            world,
            settings,
            folder: folder.expect("a folder"),
            sink: SimSink::of(seed),
            injector: Arc::new(injector),
            behaviour,
            memory: Arc::default(),
            strict: plan.faults().is_empty(),
        }
    }
}

async fn starts(world: &World, seed: u64, plan: &FaultPlan) -> Result<Seen, String> {
    let began = Instant::now();
    let trace = Arc::new(Mutex::new((0u64, 0u64)));
    let watched = Arc::clone(&trace);
    let injector = Injector::new(plan.clone()).watched(move |site, nth| {
        let mut trace = watched.lock().expect("no panic");
        let nanos = began.elapsed().as_nanos() as u64;
        let passage = [trace.1, nanos, site as u64, nth].map(u64::to_le_bytes);
        *trace = (
            trace.0 + 1,
            xxhash_rust::xxh64::xxh64(passage.as_flattened(), 0),
        );
    });
    let setting = Setting::new(world, seed, plan, injector);
    let mut seen = Seen::default();
    loop {
        seen.starts += 1;
        if seen.starts > STARTS {
            return Err(format!("not done after {STARTS} starts: {:?}", seen.errors));
        }
        let telemetry = Counters::new(&setting.settings.selection);
        let started = Instant::now();
        let done = start(&setting, seed, &telemetry).await;
        let events = telemetry.events.counts();
        check_start(&setting, &events, started.elapsed())?;
        for (kind, count) in events {
            *seen.events.entry(kind.to_owned()).or_default() += count;
        }
        match done {
            Some(Ok(report)) => {
                finish(&setting, &report, &mut seen);
                break;
            }
            Some(Err(error)) if ends_empty(&error).is_some() => {
                let reasons = ends_empty(&error).unwrap_or_default();
                let missing = telemetry.chunk_map.view().into_iter();
                let missing = missing.filter(|chunk| chunk.state == ChunkState::Missing);
                let missing: Vec<_> = missing.map(|chunk| chunk.name).collect();
                let what = finish_empty(&setting, &missing, reasons, &mut seen);
                what.map_err(|what| format!("{what}: {reasons:?}"))?;
                seen.is_empty = true;
                break;
            }
            Some(Err(error)) => {
                let folder = setting.folder.path().display().to_string();
                let text = format!("{error:?}").replace(&folder, "");
                if !has_cause(&setting, &error, &telemetry.events.counts()) {
                    return Err(format!("ended without a cause: {text}"));
                }
                seen.errors.push(text);
            }
            None => seen.errors.push("crash".to_owned()),
        }
    }
    seen.struck = setting.injector.struck();
    seen.virtual_time = began.elapsed();
    (seen.hits, seen.trace) = *trace.lock().expect("no panic");
    check_whole(&setting, &seen)?;
    Ok(seen)
}

/// What is wrong with a start, if anything is.
fn check_start(
    setting: &Setting<'_>,
    events: &BTreeMap<&str, u64>,
    lasted: Duration,
) -> Result<(), String> {
    if events["census_refetches"] > 1 {
        return Err(format!(
            "{} census refetches in a start",
            events["census_refetches"]
        ));
    }
    let (allowed, window) = (
        setting.settings.workers.restarts,
        setting.settings.workers.restart_window,
    );
    // The rebuild that is one too many is told, too.
    let again = events["restarts"] + events["rebuilds"].saturating_sub(1);
    // A clock that jumps ahead leaves the window behind.
    let has_jumped = struck(&setting.injector, |_, kind| kind == Kind::ClockJump) > 0;
    if lasted < window && !has_jumped && again > allowed as u64 {
        return Err(format!("{again} were started again within {lasted:?}"));
    }
    Ok(())
}

/// Whether something that struck explains why a start came to nothing.
fn has_cause(setting: &Setting<'_>, error: &RunError, events: &BTreeMap<&str, u64>) -> bool {
    let of_stage = |stage| struck(&setting.injector, |site, _| site.stage() == stage) > 0;
    let workers = &setting.settings.workers;
    let is_budget_spent = events["actor_exits"] + events["rebuilds"] > workers.restarts as u64;
    match error {
        RunError::Chunk {
            attempt,
            source: error,
            ..
        } => {
            let is_last = *attempt >= setting.settings.chunks.max_attempts.get();
            let is_login = |site, kind| (site, kind) == (Site::Fetch, Kind::AuthExpiry);
            let is_final = error.action() == Action::Fail
                && (struck(&setting.injector, is_login) > 0 || of_stage(Stage::Spool));
            let is_fenced = error.to_string().contains("later attempt");
            (is_last || is_final) && !is_fenced
        }
        RunError::ActorDied { .. } | RunError::Job(_) => is_budget_spent,
        RunError::SupervisorDied => of_stage(Stage::Supervisor),
        RunError::Sink(_) => of_stage(Stage::Upload),
        RunError::Spool(_) => of_stage(Stage::Spool),
        RunError::Payload(_) => of_stage(Stage::Validate) || of_stage(Stage::Spool),
        _ => false,
    }
}

/// What is wrong with a run that came to its end, if anything is.
fn check_whole(setting: &Setting<'_>, seen: &Seen) -> Result<(), String> {
    let at_most = |what: &str, most: u64| match seen.events[what] {
        n if n > most => Err(format!(
            "{n} {what}, {most} have a cause: {:?}",
            seen.events
        )),
        _ => Ok(()),
    };
    let of = |is_meant: fn(Site, Kind) -> bool| struck(&setting.injector, is_meant);
    let workers = &setting.settings.workers;
    let all = workers.fetchers.get() + workers.validators.get() + workers.uploaders.get();
    let hangs = of(|site, kind| {
        let is_lost = kind == Kind::AckLost && matches!(site, Site::Stage | Site::Commit);
        kind == Kind::Hang || is_lost
    });
    let jumps = of(|_, kind| kind == Kind::ClockJump);
    at_most("lease_losses", hangs + jumps * all as u64)?;
    let ends = of(|_, kind| matches!(kind, Kind::PanicBefore | Kind::PanicAfter | Kind::Abort));
    at_most("actor_exits", ends + seen.events["lease_losses"])?;
    let rebuilt = of(|site, kind| {
        let is_record = matches!(site, Site::Record | Site::Row);
        matches!(site.stage(), Stage::Dedup | Stage::Sample) && kind != Kind::Slow
            || matches!(site.stage(), Stage::Validate | Stage::Spool) && !is_record
    });
    at_most("rebuilds", rebuilt)?;
    let twice = of(|site, kind| (site, kind) == (Site::Report, Kind::Duplicate));
    let is_undisturbed =
        seen.starts == 1 && seen.events["actor_exits"] + seen.events["rebuilds"] == 0;
    if is_undisturbed && seen.events["late_results"] < twice {
        return Err("a report came twice, and the second was taken".to_owned());
    }
    if setting.strict {
        for what in ["rebuilds", "restarts", "late_results"] {
            at_most(what, 0)?;
        }
        let stale = setting.behaviour.stale.as_ref();
        let is_stubborn = stale.is_some_and(|stale| stale.until > 2);
        let is_transient = setting.behaviour.transient.is_some();
        if seen.starts > 1 + u64::from(is_stubborn) + u64::from(is_transient) {
            return Err(format!("{} starts: {:?}", seen.starts, seen.errors));
        }
    }
    let distrusted = of(|site, _| matches!(site, Site::Open | Site::Payload));
    let again = u64::from(setting.memory.fetched_again());
    if again > distrusted {
        return Err(format!("{again} sealed chunks were fetched again"));
    }
    check_time(setting, seen, hangs, jumps)
}

/// Whether a run took longer than what struck it explains.
fn check_time(setting: &Setting<'_>, seen: &Seen, hangs: u64, jumps: u64) -> Result<(), String> {
    let of = |is_meant: fn(Site, Kind) -> bool| struck(&setting.injector, is_meant);
    let lease = setting.behaviour.lease(LEASE);
    let others = seen.struck.len() as u64 - hangs - jumps;
    // They are given three times as long: see `Supervisor::check_pulses`.
    let patient =
        of(|site, kind| kind == Kind::Hang && matches!(site.stage(), Stage::Dedup | Stage::Sample));
    let prompt = setting.behaviour.needs(seen.events["splits"])
        + QUIET * seen.starts as u32
        + (lease + QUIET) * hangs as u32
        + 2 * lease * patient as u32
        + EACH * others as u32
        + EACH * seen.events["sink_retries"] as u32;
    if seen.virtual_time > prompt {
        return Err(format!(
            "took {} s, {} s have a cause",
            seen.virtual_time.as_secs(),
            prompt.as_secs()
        ));
    }
    let last = seen.struck.iter().map(|struck| struck.at).max();
    let since = seen.virtual_time - last.unwrap_or_default();
    if since > LEASES * lease {
        return Err(format!(
            "not done {} s after the last fault",
            since.as_secs()
        ));
    }
    Ok(())
}

/// One start; `None` if it was killed.
async fn start(
    setting: &Setting<'_>,
    seed: u64,
    telemetry: &Telemetry,
) -> Option<Result<RunReport, RunError>> {
    let settings = setting.settings.clone();
    let input = setting.folder.path().join("in");
    std::fs::create_dir_all(&input).expect("writable");
    let work_dir = work_dir(setting, seed);
    let source = SimSource {
        world: setting.world.clone(),
        chunks: settings.chunks.count.get(),
        selection: settings.selection.clone(),
        folder: input,
        sealed: work_dir.chunks(),
        behaviour: setting.behaviour.clone(),
        memory: Arc::clone(&setting.memory),
        fetchers: settings.workers.fetchers.get(),
        strict: setting.strict,
    };
    source.prepare();
    let faults = gleaner::fault::Faults::from(Arc::clone(&setting.injector));
    let parts = RunParts {
        rules: Default::default(),
        work_dir,
        source: Arc::new(FaultySource::new(Arc::new(source), faults.clone())),
        sink: Arc::new(FaultySink::new(
            Arc::new(setting.sink.clone()),
            faults.clone(),
        )),
        telemetry: Arc::clone(telemetry),
        settings,
        pool: Arc::new(CpuPool::inline()),
        faults,
    };
    let done = tokio::select! {
        biased;
        () = setting.injector.crashed() => None,
        done = pipeline::run(parts, pending()) => Some(done),
        () = tokio::time::sleep(20 * LEASES * LEASE) => panic!("the run hangs"),
    };
    // What was dropped is gone before the next start.
    tokio::time::sleep(Duration::from_millis(1)).await;
    done
}

fn work_dir(setting: &Setting<'_>, seed: u64) -> WorkDir {
    let described = config::described(&setting.settings);
    let fingerprint = config::fingerprint(&described);
    let (start, end) = setting.world.asked.window;
    // The open ends of the oracle are no instants.
    let at = UtcInstant::from_ticks;
    let record = RunRecord {
        run_id: "run".to_owned(),
        fingerprint: fingerprint.clone(),
        settings: described.clone(),
        started: Timestamp::from_second(seed as i64).expect("an instant"),
        window_start: at(start),
        window_end: at(end),
        look_start: at(start),
        look_end: at(end.saturating_add(setting.world.asked.slack)),
        dataset: "d".to_owned(),
        location: "memory".to_owned(),
        inputs: None,
        state: RunState::Running,
        replaces: None,
    };
    let path = setting.folder.path().join("work");
    WorkDir::open(&path, record, StartOptions::default()).expect("free")
}

/// The dataset is that of the oracle, to the byte and to the count.
fn finish(setting: &Setting<'_>, report: &RunReport, seen: &mut Seen) {
    assert!(setting.sink.is_published());
    let out = setting.folder.path().join("out");
    setting.sink.write_to(&out);
    let expected = expected(setting, &report.manifest.chunks.missing, seen);
    let dataset = Dataset::read(&out);
    let format = serde_json::json!(setting.settings.sink.format);
    assert_eq!(dataset.metadata["format"], format);
    assert_same_records(&dataset, &expected);
    if setting.strict && seen.starts == 1 {
        assert_eq!(
            report.chunks_replayed, 0,
            "this start has fetched all itself"
        );
    }
    let count = |name: &str| report.manifest.statistics[name].as_u64().expect("a count");
    seen.rounds_and_wider_censuses = (count("top_up_rounds"), count("wider_censuses"));
}

/// The oracle's outcome without the chunks that are missing, which must be allowed to be.
fn expected(setting: &Setting<'_>, missing: &[String], seen: &mut Seen) -> Arc<Outcome> {
    let missing: Vec<HashChunk> = missing.iter().map(|name| chunk(name)).collect();
    let allowed = setting.behaviour.allow_missing;
    assert!(missing.len() <= allowed as usize, "{missing:?} are missing");
    if let Some((permanently_failing, _)) = setting.behaviour.permanently_failing {
        assert!(
            missing.contains(&permanently_failing),
            "{missing:?} are missing"
        );
    }
    seen.missing = (allowed.into(), missing.len() as u64);
    setting.world.expected_without(&missing)
}

/// A run without a record is right if the oracle has none, by the same counts, and nothing is left of it.
fn finish_empty(
    setting: &Setting<'_>,
    missing: &[String],
    reasons: &[String],
    seen: &mut Seen,
) -> Result<(), String> {
    let expected = expected(setting, missing, seen);
    let records: usize = expected.strata.values().map(|s| s.records.len()).sum();
    if records > 0 {
        return Err(format!(
            "{records} records are expected without {missing:?}"
        ));
    }
    let invalid = expected.strata.values().map(|s| s.invalid.len() as u64);
    let counted = |key| expected.rows.get(key).copied().unwrap_or(0);
    let filtered = |key| expected.filtered_by.get(key).copied().unwrap_or(0);
    for (wanted, words) in [
        (invalid.sum(), " invalid: "),
        (counted("malformed"), " malformed: "),
        (counted("damaged"), "damaged by malformed rows"),
        (counted("cut_by_mode"), "cut by the mode"),
        (counted("cut_by_window"), "cut by the window"),
        (counted("out_of_range"), "in no bucket"),
        (filtered("ignored_ids"), "source.ignore_ids"),
        (filtered("window"), "outside the window"),
    ]
    .into_iter()
    .filter(|_| !reasons.is_empty())
    {
        let found = reasons.iter().find(|reason| reason.contains(words));
        let found = found.map_or(Some(0), |reason| reason.split(' ').next()?.parse().ok());
        if found != Some(wanted) {
            return Err(format!("{wanted} expected, found {found:?}: {words}"));
        }
    }
    if setting.sink.is_published() {
        return Err("published all the same".to_owned());
    }
    // A fault may have kept it from being given back.
    if setting.strict && setting.sink.is_claimed() && !reasons.is_empty() {
        return Err("the claim is left".to_owned());
    }
    Ok(())
}

/// `h7-3`
fn chunk(name: &str) -> HashChunk {
    let numbers = name.strip_prefix('h').and_then(|name| name.split_once('-'));
    let (count, index) = numbers.expect("a hash chunk");
    HashChunk {
        count: count.parse().expect("a number"),
        index: index.parse().expect("a number"),
        depth: 0,
    }
}
