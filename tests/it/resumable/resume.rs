//! A run that was stopped in any way goes on and gives the same bytes.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::support::reference::Asked;
use crate::support::{Sandbox, corpus, hang_at};

fn asked() -> Asked {
    Asked::new("s", 2)
}

/// Four zst files: their rows are spooled, so there is something to seal.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_compressed_input(&corpus::in_files(&corpus::events(8, 1500), 4, "a"));
    sandbox
}

fn undisturbed() -> String {
    let sandbox = sandbox();
    sandbox.export(&asked(), &[]).expect(0);
    sandbox.dataset().digest()
}

fn run_again(sandbox: &Sandbox, expected: &str, what: &str) -> serde_json::Value {
    let run = sandbox.export(&asked(), &[]);
    run.expect(0);
    assert_eq!(sandbox.dataset().digest(), expected, "{what}");
    sandbox.run(&["verify", "out/d"]).expect(0);
    assert!(
        !sandbox.path("out/d/.claim.json").exists(),
        "{what}: the claim is left"
    );
    run.json()
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn killed_at_any_report_write_seal_or_rename() {
    let expected = undisturbed();
    let points = [
        "supervisor:1",
        "supervisor:4",
        "spool.seal.before:1",
        "spool.seal.before:3",
        "spool.seal.after:1",
        "spool.seal.after:2",
        "spool.seal.after:4",
        "upload.stage.before:1",
        "upload.stage.before:2",
        "upload.stage.before:9",
        "upload.stage.after:1",
        "upload.stage.after:5",
        "upload.stage.after:8",
        "upload.commit.before:1",
        "upload.commit.before:4",
        "upload.commit.before:9",
        "upload.commit.after:1",
        "upload.commit.after:5",
        "upload.commit.after:9",
        "upload.publish.before:1",
        "upload.publish.after:1",
    ];
    for point in points {
        let sandbox = sandbox();
        sandbox.export_killed(&asked(), point);
        let published = sandbox.path("out/d/metadata.json").exists();
        assert_eq!(published, point == "upload.publish.after:1", "{point}");
        let again = run_again(&sandbox, &expected, point);
        assert_eq!(again["resumed"], true, "{point}");
        let sealed = match point {
            "supervisor:1" | "supervisor:4" => 0,
            "spool.seal.before:1" | "spool.seal.after:1" | "upload.publish.after:1" => 0,
            "spool.seal.before:3" | "spool.seal.after:2" => 1,
            _ => 4,
        };
        let replayed = again["chunks_replayed"].as_u64().expect("a count");
        assert!(
            replayed >= sealed,
            "{point}: {replayed} chunks were not read again"
        );
    }
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn a_damaged_sealed_chunk_is_read_again() {
    let expected = undisturbed();
    for damage in 0..6 {
        let sandbox = sandbox();
        sandbox.export_killed(&asked(), "upload.stage.before:1");
        let mut files: Vec<_> = fs::read_dir(sandbox.path("work/chunks"))
            .expect("sealed chunks")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        let path = &files[damage % 2];
        let mut bytes = fs::read(path).expect("a file");
        let middle = bytes.len() / 2;
        match damage / 2 {
            0 => bytes[middle] ^= 1,
            1 => bytes.truncate(middle),
            _ => bytes.clear(),
        }
        fs::write(path, bytes).expect("writable");
        let again = run_again(&sandbox, &expected, &format!("{path:?}"));
        assert_eq!(again["chunks_replayed"], 3, "{path:?}");
    }
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn another_configuration_is_refused_with_a_diff_and_fresh_starts_over() {
    let sandbox = sandbox();
    sandbox.export_killed(&asked(), "upload.stage.before:1");
    let refused = sandbox.export(&asked(), &["--seed", "other"]);
    refused.says(2, &["selection.seed: \"s\" -> \"other\""]);
    let refused = sandbox.export(
        &asked(),
        &["--format", "jsonl", "--set", "selection.spare_percent=7"],
    );
    let reported = refused.says(2, &["sink.format: \"json\" -> \"jsonl\""]);
    assert!(
        reported.contains("selection.spare_percent: 5.0 -> 7.0") && reported.contains("--fresh"),
        "{reported}"
    );
    // Worker counts may change.
    sandbox
        .export(
            &asked(),
            &["--fetchers", "1", "--set", "limits.in_flight=1MB"],
        )
        .expect(0);
    let again = sandbox.export(&asked(), &[]);
    again.expect(0);
    assert_eq!(again.json()["already_published"], true);
    sandbox
        .export(
            &asked(),
            &["--fresh", "--format", "jsonl", "--out", "other"],
        )
        .expect(0);
}

#[test]
fn one_interrupt_leaves_a_run_that_goes_on() {
    let sandbox = Sandbox::new();
    let common = "export --set source.kind=synthetic --set source.synthetic.conversations=60000 --test --work-dir work --out out --name d --json --progress json";
    let args: Vec<&str> = common.split(' ').collect();
    let mut child = sandbox
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // It is interrupted once it has sealed a chunk: the folder says so.
    while !fs::read_dir(sandbox.path("work/chunks")).is_ok_and(|mut files| {
        files.any(|f| f.is_ok_and(|f| f.path().extension().is_some_and(|e| e == "sealed")))
    }) {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "it ended too early"
        );
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .expect("kill runs");
    let output = child.wait_with_output().expect("it ends");
    let reported = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{reported}");
    assert!(
        reported.contains("run the same command again"),
        "{reported}"
    );
    assert!(!sandbox.path("out/d/metadata.json").exists());
    let status = sandbox.run(&["status", "work", "--json"]);
    assert_eq!(status.json()["runs"][0]["state"], "stopped");
    let again = sandbox.run(&args);
    again.expect(0);
    assert!(again.json()["chunks_replayed"].as_u64() > Some(0));
    let status = sandbox.run(&["status", "work", "--json"]);
    assert_eq!(status.json()["runs"][0]["state"], "published");
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn a_second_interrupt_ends_a_run_that_hangs() {
    use std::io::{BufRead, BufReader};
    let expected = undisturbed();
    // A thread that waits for the disk; the thread of the actors.
    for site in ["spool.seal.before:1", "upload.stage.before:1"] {
        let sandbox = sandbox();
        let mut child = sandbox
            .export_command(&asked(), &[])
            .envs(hang_at(site))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let (line, reported) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|l| line.send(l))
        });
        let pid = child.id().to_string();
        // The time of a long coffee break: it needs a moment.
        let limit = Duration::from_secs(300);
        for awaited in ["hanging at", "press Ctrl-C again"] {
            let said = reported.recv_timeout(limit).expect("a line");
            assert!(said.contains(awaited), "{site}: {said}");
            std::process::Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .expect("kill runs");
        }
        // Its end closes standard error.
        let last = reported.recv_timeout(limit);
        child.kill().expect("a child");
        assert_eq!(child.wait().expect("a child").code(), Some(130), "{site}");
        assert_eq!(
            last,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected),
            "{site}"
        );
        run_again(&sandbox, &expected, site);
    }
}
