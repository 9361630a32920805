//! gleaner inside other programs: on arbiters and threads of a host, followed, paused, drained,
//! cancelled and abandoned. Where time matters it is tokio's paused clock.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use futures_util::StreamExt;
use futures_util::future::join_all;
use gleaner::domain::record::rule::{Candidate, Rule};
use gleaner::fault::{FaultPlan, Faults, Injector, Kind, Site};
use gleaner::pipeline::host::run_actor::{Cancel, GetStatus, Pause, Resume, Subscribe};
use gleaner::pipeline::state::work_dir::WorkDirError;
use gleaner::pipeline::{BuildError, RunError, RunReport};
use gleaner::runtime::CpuPool;
use gleaner::sink::reader::LocalDataset;
use gleaner::telemetry::{Notice, RunEvent, State};
use gleaner::{Pipeline, PipelineBuilder, verify};
use tokio::sync::mpsc;

const CONFIG: &str = "
name = 'd'
source.kind = 'synthetic'
source.synthetic.conversations = 800
chunks.count = 12
workers = { fetchers = 2, stall_timeout = '20s' }
[selection.targets]
train = { short = 20, medium = 10, long = 10 }
val = { short = 2, medium = 2, long = 2 }
test = { short = 2, medium = 2, long = 2 }
";

/// A run in a folder.
fn run_in(folder: &Path) -> PipelineBuilder {
    Pipeline::builder()
        .config(CONFIG)
        .out(&folder.join("out").display().to_string())
        .work_dir(folder.join("work"))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// What a run that nobody disturbs comes to.
fn digest_of(builder: PipelineBuilder) -> String {
    digest(
        builder
            .build()
            .expect("ready")
            .spawn_thread()
            .expect("a thread")
            .join_blocking(),
    )
}

fn digest(result: Result<RunReport, RunError>) -> String {
    result.expect("published").manifest.content_sha256
}

/// A system whose clock is a paused one.
fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(work)
}

fn inline() -> Arc<CpuPool> {
    Arc::new(CpuPool::inline())
}

#[test]
fn ten_runs_in_one_system_have_their_own_faults_and_none_disturbs_another() {
    let (folders, expected): (Vec<_>, Vec<_>) = (0..10)
        .map(|i| {
            (
                folder(),
                digest_of(run_in(folder().path()).seed(&format!("s{i}"))),
            )
        })
        .unzip();
    assert_eq!(
        expected.iter().collect::<BTreeSet<_>>().len(),
        10,
        "ten samples"
    );
    let sites: Vec<Site> = (Site::ALL.iter().copied())
        .filter(|site| *site != Site::Supervisor)
        .collect();
    let kinds: Vec<Kind> = (Kind::ALL.iter().copied())
        .filter(|kind| *kind != Kind::Crash)
        .collect();
    let mut resumed = 0;
    paused(async {
        let start = |i: usize, faults: Option<Faults>| {
            run_in(folders[i].path())
                .seed(&format!("s{i}"))
                .pool(inline())
                .faults(faults.unwrap_or_default())
                .build()
                .expect("ready")
                .spawn_local()
        };
        let plans: Vec<FaultPlan> = (0..10)
            .map(|i| FaultPlan::draw(i, 2 + i as usize % 3, 12, &sites, &kinds))
            .collect();
        let injectors: Vec<Arc<Injector>> = plans
            .iter()
            .map(|plan| Arc::new(Injector::new(plan.clone())))
            .collect();
        let runs: Vec<_> = (injectors.iter().enumerate())
            .map(|(i, injector)| start(i, Some(Faults::from(Arc::clone(injector)))))
            .collect();
        let controllers: Vec<_> = runs.iter().map(|run| run.controller()).collect();
        let results = join_all(runs.into_iter().map(|run| run.join())).await;
        for (i, result) in results.into_iter().enumerate() {
            let view = controllers[i].status();
            let struck = injectors[i].struck().len();
            let report = match result {
                Ok(report) => {
                    assert_eq!(view.state, State::Published);
                    let event = &report.manifest.statistics["events"];
                    let seen = serde_json::json!(view.events);
                    assert_eq!(*event, seen, "run {i} tells of its own events");
                    report
                }
                Err(error) => {
                    assert_eq!(view.state, State::Failed, "run {i}: {error}");
                    assert_eq!(view.error, Some(error.to_string()));
                    assert!(struck > 0, "run {i} failed without a fault: {error}");
                    resumed += 1;
                    start(i, None).join().await.expect("goes on")
                }
            };
            assert_eq!(
                report.manifest.content_sha256, expected[i],
                "run {i}: {}",
                plans[i]
            );
        }
    });
    assert!(resumed < 10, "most retry_on_panic their faults");
}

#[test]
fn a_paused_run_begins_nothing_and_goes_on_to_the_same_dataset() {
    let expected = digest_of(run_in(folder().path()));
    let folder = folder();
    paused(async {
        let run = run_in(folder.path())
            .pool(inline())
            .build()
            .expect("ready")
            .spawn_local();
        run.address().send(Pause).await.expect("alive");
        // A day.
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let view = run.address().send(GetStatus).await.expect("alive");
        assert_eq!((view.state, view.totals.rows), (State::Paused, 0));
        assert_eq!(
            view.events.values().sum::<u64>(),
            0,
            "nobody is taken for dead: {:?}",
            view.recent
        );
        run.address().send(Resume).await.expect("alive");
        assert_eq!(digest(run.join().await), expected);
    });
}

/// Pauses for a day at every kind of moment.
#[test]
fn a_run_can_be_paused_at_any_notice() {
    let expected = digest_of(run_in(folder().path()));
    for nth in [1, 8, 15, 17, 22] {
        let folder = folder();
        paused(async {
            let run = run_in(folder.path())
                .pool(inline())
                .build()
                .expect("ready")
                .spawn_local();
            let (controller, mut events) = (run.controller(), run.event_stream());
            let pausing = async {
                for _ in 0..nth {
                    events.next().await;
                }
                controller.pause();
                tokio::time::sleep(Duration::from_secs(3600)).await;
                let (state, totals) = (controller.status().state, controller.status().totals);
                assert_eq!(state, State::Paused, "at notice {nth}");
                tokio::time::sleep(Duration::from_secs(86_400)).await;
                let later = controller.status().totals;
                assert_eq!(
                    (later.rows, later.bytes_written),
                    (totals.rows, totals.bytes_written)
                );
                controller.resume();
            };
            let (result, ()) = tokio::join!(run.join(), pausing);
            let report = result.expect("published");
            assert_eq!(report.manifest.content_sha256, expected, "at notice {nth}");
            let events = &report.manifest.statistics["events"];
            assert_eq!(events["deaths"], 0, "at notice {nth}: {events}");
        });
    }
}

#[test]
fn a_run_that_is_drained_or_cancelled_at_any_notice_goes_on_to_the_same_dataset() {
    let expected = digest_of(run_in(folder().path()));
    let (mut stopped, mut kept) = (0, 0);
    for nth in 0..28 {
        let drains = nth % 2 == 0;
        let folder = folder();
        paused(async {
            let run = run_in(folder.path())
                .pool(inline())
                .build()
                .expect("ready")
                .spawn_local();
            let (controller, mut events) = (run.controller(), run.event_stream());
            let stopping = async {
                for _ in 0..nth {
                    events.next().await;
                }
                match drains {
                    true => controller.drain(),
                    false => controller.cancel(),
                }
                tokio::time::Instant::now()
            };
            let ((result, ended), at) = tokio::join!(
                async { (run.join().await, tokio::time::Instant::now()) },
                stopping
            );
            let took = ended.saturating_duration_since(at);
            assert!(took < Duration::from_secs(1), "notice {nth}: {took:?}");
            let state = controller.status().state;
            match (result, drains) {
                (Ok(report), _) => {
                    assert_eq!(report.manifest.content_sha256, expected);
                    assert_eq!(state, State::Published);
                    return;
                }
                (Err(RunError::Interrupted), true) => assert_eq!(state, State::Interrupted),
                (Err(RunError::Cancelled), false) => assert_eq!(state, State::Cancelled),
                (Err(error), _) => panic!("notice {nth}: {error}"),
            }
            stopped += 1;
            let again = run_in(folder.path()).pool(inline()).build().expect("free");
            let report = again.spawn_local().join().await.expect("goes on");
            assert_eq!(report.manifest.content_sha256, expected, "notice {nth}");
            kept += report.chunks_replayed;
        });
    }
    assert!(
        stopped > 15 && kept > 50,
        "{stopped} stopped, {kept} chunks kept"
    );
}

/// Whatever a run waits for, for ever, it can be cancelled.
#[test]
fn a_run_that_hangs_anywhere_is_cancelled_at_once() {
    let expected = digest_of(run_in(folder().path()));
    for site in [Site::Fetch, Site::Validator, Site::Stage, Site::Commit] {
        let folder = folder();
        paused(async {
            let plan: FaultPlan = format!("{site}:1:hang").parse().expect("a plan");
            let injector = Arc::new(Injector::new(plan));
            let patient = run_in(folder.path()).set("workers.stall_timeout", "30d");
            let run = patient
                .pool(inline())
                .faults(Faults::from(Arc::clone(&injector)))
                .build()
                .expect("ready")
                .spawn_local();
            let controller = run.controller();
            let cancelling = async {
                // All that can be done is done after an hour.
                tokio::time::sleep(Duration::from_secs(3600)).await;
                assert_eq!(injector.struck().len(), 1, "{site}");
                assert_eq!(controller.status().state, State::Running);
                controller.address().do_send(Cancel);
                tokio::time::Instant::now()
            };
            let ((result, ended), at) = tokio::join!(
                async { (run.join().await, tokio::time::Instant::now()) },
                cancelling
            );
            assert!(
                matches!(result, Err(RunError::Cancelled)),
                "{site}: {result:?}"
            );
            assert!(ended - at < Duration::from_secs(1), "{site}");
            let again = run_in(folder.path())
                .set("workers.stall_timeout", "30d")
                .pool(inline());
            let again = again.build().expect("free").spawn_local().join().await;
            assert_eq!(digest(again), expected, "{site}");
        });
    }
}

#[test]
fn dropping_the_handle_cancels_and_detaching_does_not() {
    let expected = digest_of(run_in(folder().path()));
    let folder = folder();
    let run = run_in(folder.path())
        .build()
        .expect("ready")
        .spawn_thread()
        .expect("a thread");
    let controller = run.controller();
    run.pause();
    drop(run);
    block_on(controller.ended());
    assert_eq!(controller.status().state, State::Cancelled);
    // The thread gives the work directory back just after it has said so.
    let again = loop {
        match run_in(folder.path()).build() {
            Ok(again) => break again,
            Err(BuildError::WorkDir(WorkDirError::Busy { .. })) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    let controller = again.spawn_thread().expect("a thread").detach();
    block_on(controller.ended());
    assert_eq!(controller.status().state, State::Published);
    let event = controller.status().provenance.expect("a manifest");
    assert_eq!(event["content_sha256"], *expected);
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

#[test]
fn a_host_that_stops_its_system_leaves_a_run_that_can_go_on() {
    let expected = digest_of(run_in(folder().path()));
    for panics in [false, true] {
        let folder = folder();
        let (send, run) = std::sync::mpsc::channel();
        let path = folder.path().to_owned();
        let host = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let run = run_in(&path).build().expect("ready").spawn_local();
                let mut events = run.event_stream();
                send.send(run).expect("somebody waits");
                while let Some(event) = events.next().await {
                    if matches!(event.notice, Notice::Chunk { .. }) {
                        break;
                    }
                }
                assert!(!panics, "the host panics");
            });
        });
        let run = run.recv().expect("a run");
        let controller = run.controller();
        let result = run.join_blocking();
        assert!(matches!(result, Err(RunError::HostStopped)), "{result:?}");
        assert_eq!(host.join().is_err(), panics);
        assert_eq!(controller.status().state, State::Failed);
        assert_eq!(
            digest_of(run_in(folder.path())),
            expected,
            "panics: {panics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_many_threads() {
    let (one, two) = (folder(), folder());
    let spawn = |folder: &Path| run_in(folder).build().expect("ready").spawn_thread();
    let runs = [
        spawn(one.path()).expect("a thread"),
        spawn(two.path()).expect("a thread"),
    ];
    let [one, two] = runs.map(|run| tokio::spawn(run.join()));
    let digests = (one.await.expect("no panic"), two.await.expect("no panic"));
    assert_eq!(digest(digests.0), digest(digests.1));
}

#[tokio::test]
async fn within_one_thread() {
    let (one, two) = (folder(), folder());
    let run = run_in(one.path())
        .build()
        .expect("ready")
        .spawn_thread()
        .expect("a thread");
    let from_thread = digest(run.join().await);
    let local = tokio::task::LocalSet::new();
    let from_set = local.run_until(async {
        run_in(two.path())
            .build()
            .expect("ready")
            .spawn_local()
            .join()
            .await
    });
    assert_eq!(digest(from_set.await), from_thread);
}

#[actix::test]
async fn within_actix_on_this_arbiter_and_on_another() {
    let (one, two) = (folder(), folder());
    let here = run_in(one.path()).build().expect("ready").spawn_local();
    let arbiter = actix_rt::Arbiter::new();
    let there = run_in(two.path())
        .build()
        .expect("ready")
        .spawn_on(&arbiter.handle())
        .await;
    let (here, there) = tokio::join!(here.join(), there.expect("alive").join());
    assert_eq!(digest(here), digest(there));
    arbiter.stop();
    arbiter.join().expect("no panic");
}

/// An actor that takes its notices, each after a while if it is a slow one.
struct Listener {
    heard: mpsc::UnboundedSender<RunEvent>,
    pause: Duration,
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<RunEvent> for Listener {
    type Result = actix::ResponseFuture<()>;

    fn handle(&mut self, event: RunEvent, _: &mut Context<Self>) -> Self::Result {
        let (heard, pause) = (self.heard.clone(), self.pause);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            heard.send(event).expect("the test listens");
        })
    }
}

#[test]
fn all_who_listen_hear_the_same_and_none_holds_up_the_run() {
    let folder = folder();
    paused(async {
        let listen = |pause| {
            let (heard, hears) = mpsc::unbounded_channel();
            let listener = Listener {
                heard,
                pause: Duration::from_secs(pause),
            };
            (listener.start(), hears)
        };
        let (quick, mut quick_hears) = listen(0);
        let (slow, mut slow_hears) = listen(3600);
        let run = run_in(folder.path())
            .pool(inline())
            .build()
            .expect("ready")
            .spawn_local();
        for listener in [&quick, &slow] {
            let subscribe = Subscribe(listener.clone().recipient());
            run.address().send(subscribe).await.expect("alive");
        }
        let (channel, stream) = (run.events(), run.event_stream());
        let begun = tokio::time::Instant::now();
        run.join().await.expect("published");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{:?}",
            begun.elapsed()
        );
        let from_channel: Vec<RunEvent> = channel.iter().collect();
        let from_stream: Vec<RunEvent> = stream.collect().await;
        assert_eq!(from_channel, from_stream);
        let all = async |hears: &mut mpsc::UnboundedReceiver<RunEvent>| {
            let mut heard = Vec::new();
            while heard
                .last()
                .is_none_or(|event: &RunEvent| !matches!(event.notice, Notice::Ended { .. }))
            {
                heard.push(hears.recv().await.expect("an end"));
            }
            heard
        };
        let quick_heard = all(&mut quick_hears).await;
        assert_eq!(quick_heard, from_channel);
        let mut slow_heard = all(&mut slow_hears).await;
        slow_heard.sort_by_key(|event| event.number);
        slow_heard.dedup();
        let numbers = |event: &[RunEvent]| {
            event
                .iter()
                .map(|event| event.number)
                .collect::<BTreeSet<_>>()
        };
        assert!(numbers(&slow_heard).is_subset(&numbers(&from_channel)));
        let chunks = from_channel
            .iter()
            .filter(|event| matches!(event.notice, Notice::Chunk { .. }));
        assert_eq!(chunks.count(), 12);
        let strata = from_channel
            .iter()
            .filter(|event| matches!(event.notice, Notice::Stratum { .. }));
        assert_eq!(strata.count(), 9);
    });
}

/// A rule of the host's own.
struct Own {
    version: u32,
    fatal: bool,
    longest: usize,
}

impl Rule for Own {
    fn name(&self) -> &'static str {
        if self.fatal {
            "too_long"
        } else {
            "rather_long"
        }
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn is_fatal(&self) -> bool {
        self.fatal
    }

    fn check(&self, record: &Candidate<'_>) -> Option<String> {
        let bytes = record.bytes.len();
        (bytes > self.longest).then(|| format!("{bytes} bytes"))
    }
}

fn own(version: u32, fatal: bool, longest: usize) -> Own {
    Own {
        version,
        fatal,
        longest,
    }
}

#[test]
fn rules_of_the_host_decide_are_counted_and_are_part_of_the_run() {
    let folder = folder();
    let with_rules = |version| {
        run_in(folder.path())
            .rule(own(version, true, 6000))
            .rule(own(1, false, 3000))
    };
    let run = with_rules(1)
        .build()
        .expect("ready")
        .spawn_thread()
        .expect("a thread");
    let controller = run.controller();
    let manifest = run.join_blocking().expect("published").manifest;
    assert_eq!(manifest.rules["too_long"], 1);
    assert!(
        manifest.warnings["rather_long"] > 0,
        "{:?}",
        manifest.warnings
    );
    let view = controller.status();
    assert!(view.invalid["too_long"] > 0, "{:?}", view.invalid);
    assert_eq!(
        view.warnings["rather_long"],
        manifest.warnings["rather_long"]
    );
    let mut longest = 0;
    for file in manifest.strata.iter().filter_map(|s| s.file.as_ref()) {
        let text = std::fs::read_to_string(folder.path().join("out/d").join(file));
        let text = text.expect("a file");
        let records = text.lines().filter(|line| line.starts_with('{'));
        longest = records
            .map(|line| line.trim_end_matches(',').len())
            .max()
            .max(Some(longest))
            .expect("one");
    }
    assert!((3000..=6000).contains(&longest), "{longest}");
    let dataset = LocalDataset::new(folder.path().join("out/d"));
    let findings = verify::verify(&dataset, None, false)
        .expect("readable")
        .findings;
    assert!(findings.is_empty(), "{findings:?}");
    let other = with_rules(2).build().err().expect("another version");
    assert!(
        matches!(
            other,
            BuildError::WorkDir(WorkDirError::OtherSettings { .. })
        ),
        "{other}"
    );
    for name in ["token_counts", "too long", ""] {
        struct Named(&'static str);
        impl Rule for Named {
            fn name(&self) -> &'static str {
                self.0
            }
            fn check(&self, _: &Candidate<'_>) -> Option<String> {
                None
            }
        }
        let refused = run_in(folder.path()).rule(Named(name)).build().err();
        assert!(matches!(refused, Some(BuildError::RuleName(_))), "{name:?}");
    }
}

#[test]
fn the_report_is_in_the_work_directory_and_beside_the_dataset_if_asked_for() {
    let folder = folder();
    digest_of(run_in(folder.path()).report(true));
    let page = |path: &str| std::fs::read_to_string(folder.path().join(path)).expect("a page");
    let (kept, beside) = (page("work/report.html"), page("out/d.report.html"));
    for page in [kept, beside] {
        let (_, rest) = page
            .split_once("type=\"application/json\">")
            .expect("a view");
        let (json, _) = rest.split_once("</script>").expect("its end");
        let view: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(view["state"], "published");
        assert_eq!(view["chunks"].as_array().map(Vec::len), Some(12));
        assert_eq!(view["provenance"]["dataset"], "d");
        let turns = view["strata"][0]["turns"].as_array().expect("a histogram");
        let records: u64 = turns.iter().filter_map(|bin| bin[1].as_u64()).sum();
        assert_eq!(records, 20);
        assert!(
            !view["strata"][0]["tokens"]
                .as_array()
                .expect("a histogram")
                .is_empty()
        );
    }
}
