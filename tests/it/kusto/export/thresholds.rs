//! A census of some ranks: the dataset, and all that is counted, are as with a census of all conversations.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use gleaner::domain::copilot_chat::rules::CopilotChatRules;
use gleaner::domain::selection::cut::Cut;
use gleaner::source::ConversationSource;
use gleaner::source::kusto::query_file::QueryFile;
use gleaner::source::kusto::settings::{CensusMode, Kusto};
use gleaner::source::kusto::{KustoSource, Population};
use serde_json::Value;

use super::{digest, fault, metadata};
use crate::support::kusto::{Emulator, export_synthetic};
use crate::support::{Run, Sandbox, selection, wire};

const THRESHOLDS: [&str; 2] = ["--set", "source.kusto.census_mode=thresholds"];

/// Far fewer than there are.
const FEW: [&str; 8] = [
    "--chunks",
    "2",
    "--set",
    "selection.targets.train={short=5,medium=20,long=9}",
    "--set",
    "selection.targets.val={short=2,medium=3}",
    "--set",
    "selection.targets.test={short=0,medium=3,long=2}",
];

/// The first counts, which the thresholds are made from, are ten times too high: they are short.
const SHORT: &str = "[[fault]]\nquery = \"counts\"\nkind = \"tenfold\"\n";

fn exported(faults: &str, more: &[&str]) -> (Sandbox, Run) {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, faults, 0, &[]);
    let run = emulator.export(&sandbox, more);
    (sandbox, run)
}

/// What is counted of a dataset, and how that came about.
struct Counted {
    digest: String,
    facts: Vec<Value>,
    /// Conversations that the census has only counted.
    counted_only: u64,
    wider_censuses: u64,
    rounds: u64,
}

fn counted((sandbox, run): &(Sandbox, Run)) -> Counted {
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    let mut metadata = metadata(sandbox);
    // The names of these have the time in them.
    if let Some(near_duplicates) = metadata["near_duplicates"].as_object_mut() {
        near_duplicates.remove("files");
    }
    let facts = [
        "population",
        "strata",
        "chunks",
        "malformed",
        "near_duplicates",
        "groups",
    ];
    let statistic = |name: &str| metadata["statistics"][name].as_u64().expect("a count");
    Counted {
        digest: digest(&run.json()).to_owned(),
        facts: facts.map(|key| metadata[key].clone()).to_vec(),
        counted_only: statistic("counted_only"),
        wider_censuses: statistic("wider_censuses"),
        rounds: statistic("top_up_rounds"),
    }
}

#[test]
fn the_dataset_and_all_counts_are_those_of_a_full_census() {
    for more in [
        &[][..],
        &["--set", "selection.split_by=userName"],
        &["--set", "selection.cut=keep", "--gzip"],
        // With spares templates are looked for in as good as all of so few.
        &[
            "--set",
            "near_duplicates.scope=all",
            "--set",
            "near_duplicates.threshold=0.2",
            "--set",
            "selection.spare_percent=0",
        ],
    ] {
        let server: Vec<&str> = more
            .iter()
            .copied()
            .filter(|arg| *arg == "--gzip")
            .collect();
        let more: Vec<&str> = more
            .iter()
            .copied()
            .filter(|arg| *arg != "--gzip")
            .collect();
        let export = |faults: &str, mode: &[&str]| {
            let sandbox = Sandbox::new();
            let emulator = Emulator::start(&sandbox, faults, 0, &server);
            let run = emulator.export(&sandbox, &[&more[..], &FEW, mode].concat());
            counted(&(sandbox, run))
        };
        let full = export("", &["--set", "source.kusto.census_mode=full"]);
        let auto = export("", &[]);
        assert_eq!(
            (full.counted_only, auto.counted_only),
            (0, 0),
            "there are few"
        );
        let part = export("", &THRESHOLDS);
        assert!(part.counted_only > 100, "{more:?}: {}", part.counted_only);
        // Who leaves out much without spares needs further rounds.
        let is_enough = !more.contains(&"selection.spare_percent=0");
        assert!(part.wider_censuses == 0 || !is_enough, "{more:?}");
        let short = export(SHORT, &THRESHOLDS);
        assert!(short.wider_censuses > 0, "{more:?}");
        for (name, found) in [("auto", auto), ("part", part), ("short", short)] {
            assert_eq!(found.digest, full.digest, "{name} {more:?}");
            assert_eq!(found.facts, full.facts, "{name} {more:?}");
        }
    }
}

#[test]
fn a_later_round_takes_a_wider_census_and_gives_the_same() {
    let more = [
        "--chunks",
        "2",
        "--set",
        "selection.spare_percent=0",
        "--set",
        "near_duplicates.scope=all",
        "--set",
        "near_duplicates.threshold=0.2",
        "--set",
        "selection.targets.train={short=29,medium=68,long=44}",
    ];
    let plain = Sandbox::new();
    let same = export_synthetic(&plain, &more);
    let found = counted(&exported(SHORT, &[&more[..], &THRESHOLDS].concat()));
    assert_eq!(found.digest, digest(&same.json()));
    assert_eq!(found.facts[1], metadata(&plain)["strata"]);
    assert!(found.rounds >= 1 && found.wider_censuses >= 1);
}

#[test]
fn a_run_that_goes_on_keeps_the_census_that_it_began_with() {
    let full = counted(&exported("", &FEW));
    let thresholds = [&FEW[..], &THRESHOLDS].concat();
    for (first, mode, second, counts) in [
        // The second start would choose other thresholds, or none at all.
        (&thresholds, SHORT, &thresholds, true),
        (&thresholds, "", &FEW.to_vec(), true),
        // The first start has taken a census of all.
        (&FEW.to_vec(), SHORT, &thresholds, false),
    ] {
        for site in [
            "spool.seal.after:1",
            "spool.seal.after:3",
            "upload.publish.before:1",
        ] {
            let sandbox = Sandbox::new();
            let emulator = Emulator::start(&sandbox, "", 0, &[]);
            let killed = emulator.export_killed(&sandbox, site, first);
            assert_eq!(killed.code, None, "{}", killed.stderr);
            let port = emulator.port();
            drop(emulator);
            let emulator = Emulator::start(&sandbox, mode, port, &[]);
            let run = emulator.export(&sandbox, second);
            let found = counted(&(sandbox, run));
            assert_eq!(
                (&found.digest, &found.facts),
                (&full.digest, &full.facts),
                "{site}"
            );
            assert_eq!(found.counted_only > 0, counts, "{site}");
            assert_eq!(found.wider_censuses, 0, "{site}");
        }
    }
}

#[test]
fn what_fails_on_the_way_changes_nothing() {
    let full = counted(&exported("", &FEW));
    let first = |nth: u32, kind: &str| {
        format!("[[fault]]\nquery = \"counts\"\nnth = {nth}\nkind = \"{kind}\"\n")
    };
    let faults = [
        // A third of the chunk is counted instead.
        first(1, "too_large"),
        first(2, "unavailable"),
        // As if a row had arrived between the counts of the checked chunk and its census.
        first(4, "tenfold"),
        fault("counts", "2-0", 3, "cut"),
        fault("counts", "2-1", 2, "throttle"),
        fault("census", "2-0", 1, "row_lost"),
        fault("census", "2-1", 1, "row_foreign"),
        fault("payload", "2-1", 2, "changed"),
        fault("payload", "2-0", 1, "too_large"),
    ];
    let run = exported(&faults.concat(), &[&FEW[..], &THRESHOLDS].concat());
    let said = [
        "the counts are checked again",
        "the census of chunk h2-1 is taken again",
    ];
    run.1.says(0, &said);
    let found = counted(&run);
    assert_eq!(found.digest, full.digest);
    // The chunk that was split counts its payloads by halves.
    assert_eq!(
        (&found.facts[0], &found.facts[1]),
        (&full.facts[0], &full.facts[1])
    );
    assert!(found.counted_only > 0);
}

#[test]
fn counts_that_do_not_fit_a_census_end_the_run() {
    let wrong = "[[fault]]\nquery = \"counts\"\nnth = 2\ntimes = 0\nkind = \"tenfold\"\n";
    let (sandbox, run) = exported(wrong, &[&FEW[..], &THRESHOLDS].concat());
    run.says(
        1,
        &["where the cluster counts them", "census_mode = \"full\""],
    );
    assert!(!sandbox.path("out/d").exists());
    // Between the counts of a chunk and its rows nothing may be lost either.
    let lost = fault("census", "2-0", 0, "row_lost");
    let more = [&FEW[..], &THRESHOLDS, &["--set", "chunks.max_attempts=2"]].concat();
    let (_, run) = exported(&lost, &more);
    run.says(1, &["chunk h2-0", "the cluster counts"]);
}

#[test]
fn who_cannot_count_is_refused() {
    for (more, reason) in [
        (
            &["--schema", "copilot_chat"][..],
            "decides which conversations of AppEvents are whole",
        ),
        (
            &["--set", "source.kusto.passes=1"],
            "one pass has no census",
        ),
        (
            &["--exclude", "list"],
            "selection.exclude counts the conversations",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("list", "an-id");
        let emulator = Emulator::start(&sandbox, "", 0, &[]);
        let run = emulator.export(&sandbox, &[more, &THRESHOLDS].concat());
        run.says(2, &["source.kusto.census_mode", reason]);
    }
}

#[test]
fn a_plan_says_how_much_of_a_census_comes() {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let plan = |mode: &[&str]| emulator.run_plan(&sandbox, &[&FEW[..], mode].concat());
    let (full, part) = (plan(&[]), plan(&THRESHOLDS));
    let (full, part) = (full.json()["kusto"].clone(), part.json()["kusto"].clone());
    assert_eq!([&full["census"], &part["census"]], ["full", "thresholds"]);
    assert_eq!(full["census_rows"], full["conversations"]);
    let numbers = |plan: &Value| {
        let number = |name: &str| plan[name].as_u64().expect("a number");
        ["candidates", "census_rows", "two_pass_bytes"].map(number)
    };
    let ([candidates, few, less], [_, many, more]) = (numbers(&part), numbers(&full));
    assert!(
        candidates < few && few < many && less < more,
        "{part} {full}"
    );
    // What is expected is about what comes.
    let run = emulator.export(&sandbox, &[&FEW[..], &THRESHOLDS].concat());
    let found = counted(&(sandbox, run));
    let came = many - found.counted_only;
    assert!((few * 2 / 3..few * 3 / 2).contains(&came), "{few} {came}");
}

/// A source of a cluster, of which nothing is set.
fn source(cluster: &str) -> KustoSource {
    let query = |name: &str| QueryFile::read(Path::new(name)).expect("shipped");
    let settings = Kusto {
        query: query("queries/turns/sft_candidates_hash_chunked.kql"),
        census: query("queries/turns/sft_census_hash_chunked.kql"),
        database: "CopilotChatEval".to_owned(),
        census_mode: CensusMode::Auto,
        ..wire::settings(cluster.to_owned())
    };
    let buckets = [("short", [3, 5]), ("long", [6, 20])];
    let selection = selection(
        "s",
        &[("all", 100)],
        &buckets,
        &[("all", "short"), ("all", "long")],
    );
    let max_record = 1 << 20;
    let population = Population {
        chunks: NonZeroU32::new(40).expect("some"),
        start: None,
        end: None,
        look_end: None,
        cut: Cut::Drop,
        ignored: Vec::new(),
        selection: Arc::new(selection),
        max_record,
        copilot_chat: Arc::new(CopilotChatRules::of_agents(max_record)),
    };
    KustoSource::new(settings, population).expect("usable")
}

#[tokio::test]
async fn above_a_million_conversations_a_census_is_of_some_ranks() {
    for (conversations, is_of_some) in [(900_000, false), (1_100_000, true)] {
        let emulator = Emulator::plain(conversations);
        let survey = source(&emulator.address)
            .survey()
            .await
            .expect("it answers");
        let Some(sample) = survey.sample else {
            assert!(!is_of_some, "{conversations}");
            continue;
        };
        assert!(is_of_some, "{conversations}");
        assert_eq!(sample.share, 1.0 / 41.0);
        // 18 of 24 numbers of turns are in a bucket.
        let found: u64 = sample.strata.values().sum();
        let expected = conversations / 41 * 18 / 24;
        assert!(
            found.abs_diff(expected) < expected / 20,
            "{found} {expected}"
        );
    }
}
