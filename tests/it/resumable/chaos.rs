//! `gleaner export --chaos` as a user types it.
#![cfg(feature = "fault-injection")]

use crate::support::{Sandbox, words};
use gleaner::fault::Kind;

const CHAOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/chaos.toml");

fn export<'a>(chaos: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let rest =
        "--work-dir work --name d --json --progress none --set source.synthetic.conversations=600";
    [&["export", "--chaos", chaos], &words(rest)[..], more].concat()
}

/// All faults but those that take half a minute of real time.
fn quick_kinds(sandbox: &Sandbox) -> String {
    let text = std::fs::read_to_string(CHAOS).expect("the shipped file");
    let kinds: Vec<String> = Kind::ALL
        .iter()
        .filter(|kind| **kind != Kind::Slow)
        .map(|kind| format!("\"{kind}\""))
        .collect();
    let text = text.replace("\nkinds = []", &format!("\nkinds = [{}]", kinds.join(", ")));
    sandbox.write("chaos.toml", text).display().to_string()
}

/// The digest of the dataset without any fault.
fn undisturbed() -> String {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&export(CHAOS, &["--set", "chaos.faults=0"]));
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    sandbox.dataset().digest()
}

#[test]
fn chaos_gives_the_same_dataset_or_a_run_that_goes_on() {
    let expected = undisturbed();
    for seed in 1..=6 {
        let sandbox = Sandbox::new();
        let chaos = quick_kinds(&sandbox);
        let mut starts = 0;
        // Every start strikes at the same early hits, so the last ones are without.
        loop {
            starts += 1;
            let seed = format!("chaos.seed={seed}{starts}");
            let faults = format!("chaos.faults={}", if starts < 4 { 10 } else { 0 });
            let run = sandbox.run(&export(&chaos, &["--set", &seed, "--set", &faults]));
            assert!(run.stderr.contains("chaos.plan = "), "{}", run.stderr);
            match run.code {
                Some(0 | 3) => break,
                // Killed, or failed with a reason.
                None => assert!(run.stderr.contains("chaos: killed"), "{}", run.stderr),
                Some(1) => assert!(run.stderr.contains("hint: "), "{}", run.stderr),
                other => panic!("{other:?}: {}", run.stderr),
            }
            assert!(!sandbox.path("out/d/metadata.json").exists() || starts < 5);
            assert!(starts < 8, "{}", run.stderr);
        }
        assert_eq!(sandbox.dataset().digest(), expected, "seed {seed}");
        sandbox.run(&["verify", "out/d"]).expect(0);
    }
}

#[test]
fn a_plan_is_repeated_and_a_wrong_one_refused() {
    let sandbox = Sandbox::new();
    let plan = "chaos.plan=fetcher:2:panic_before uploader:1:panic_after dedup:1:abort";
    let run = sandbox.run(&export(CHAOS, &["--set", plan]));
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    assert!(
        run.stderr.contains("chaos: 3 faults struck"),
        "{}",
        run.stderr
    );
    let metadata = sandbox.dataset().metadata;
    let events = &metadata["statistics"]["events"];
    assert_eq!(events["actor_exits"], 3, "{events}");
    assert_eq!(events["rebuilds"], 1, "{events}");
    let sandbox = Sandbox::new();
    let wrong = sandbox.run(&export(CHAOS, &["--set", "chaos.plan=dedup:1:no_space"]));
    wrong.says(2, &["at dedup it must be one of"]);
    let wrong = sandbox.run(&export(CHAOS, &["--set", "chaos.kinds=hangs"]));
    wrong.expect(2);
}

#[test]
fn real_services_are_spared() {
    let sandbox = Sandbox::new();
    let account = ["--out", "az://account/container/prefix"];
    let refused = sandbox.run(&export(CHAOS, &account));
    refused.says(2, &["--allow-real-services"]);
    let cluster = words(
        "--set source.kind=kusto --set source.kusto.cluster=https://somewhere.kusto.windows.net",
    );
    let refused = sandbox.run(&export(CHAOS, &cluster));
    refused.says(2, &["somewhere"]);
}

#[test]
fn a_stopped_run_says_what_did_not_go_as_planned() {
    let sandbox = Sandbox::new();
    let plan = "chaos.plan=fetcher:1:panic_before upload.stage:1:no_space";
    let run = sandbox.run(&export(CHAOS, &["--set", plan]));
    run.says(1, &["make room"]);
    let reported = sandbox.run(&["status", "work", "--json"]).json();
    let status = &reported["runs"][0];
    assert_eq!(status["state"], "stopped");
    assert_eq!(status["last"]["events"]["actor_exits"], 1, "{status}");
    let events = status["last"]["recent"].as_array().expect("a list");
    let exit_event = events.iter().find(|event| event["event"] == "actor_exit");
    assert_eq!(
        exit_event.expect("reported")["cause"],
        "panicked",
        "{status}"
    );
    let text = sandbox.run(&["status", "work"]).stdout;
    assert!(
        text.contains("1 actor exit,") && text.contains("1 requeue"),
        "{text}"
    );
}
