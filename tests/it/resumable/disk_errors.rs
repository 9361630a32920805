//! A disk that fails for a moment (EIO) costs an attempt, never the run and never a sealed chunk.
#![cfg(feature = "fault-injection")]

use crate::support::{Run, Sandbox, kill_at, words};

const CHAOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/chaos.toml");

fn export(sandbox: &Sandbox, plan: &str, killed: Option<&str>) -> Run {
    let plan = match plan {
        "" => "chaos.faults=0".to_owned(),
        plan => format!("chaos.plan={plan}"),
    };
    let rest =
        "--work-dir work --name d --json --progress none --set source.synthetic.conversations=600";
    let chaos = ["export", "--chaos", CHAOS, "--set", &plan];
    let mut command = sandbox.command(&[&chaos, &words(rest)[..]].concat());
    command.envs(killed.map(kill_at).into_iter().flatten());
    command.output().expect("it runs").into()
}

#[test]
fn a_disk_that_fails_for_a_moment_is_tried_again() {
    let undisturbed = Sandbox::new();
    export(&undisturbed, "", None);
    let expected = undisturbed.dataset().digest();
    for (plan, requeues) in [
        ("spool.append:3:io", 1),
        ("spool.seal:1:io", 1),
        ("validate.payload:5:io", 0),
    ] {
        let sandbox = Sandbox::new();
        let run = export(&sandbox, plan, None);
        assert!(matches!(run.code, Some(0 | 3)), "{plan}: {}", run.stderr);
        let dataset = sandbox.dataset();
        assert_eq!(dataset.digest(), expected, "{plan}");
        let events = &dataset.metadata["statistics"]["events"];
        assert_eq!(events["requeues"], requeues, "{plan}: {events}");
        assert_eq!(events["rebuilds"], 0, "{plan}: {events}");
    }
}

#[test]
fn a_sealed_chunk_that_cannot_be_opened_for_a_moment_is_not_fetched_again() {
    let sandbox = Sandbox::new();
    let killed = export(&sandbox, "", Some("upload.stage.before:1"));
    assert_eq!(killed.code, None, "{}", killed.stderr);
    let run = export(&sandbox, "spool.open:1:io", None);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    let report = run.json();
    let chunks = &sandbox.dataset().metadata["chunks"]["count"];
    assert_eq!(&report["chunks_replayed"], chunks, "{report}");
}
