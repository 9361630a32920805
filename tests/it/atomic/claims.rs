//! Whose a dataset is, from the first start of a run to the last: nothing that a run claimed is
//! left to nobody, and what is published stays as it is.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::support::reference::Asked;
use crate::support::{Run, Sandbox, corpus};

fn asked(target: usize) -> Asked {
    Asked::new("s", target)
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_input(&corpus::in_files(&corpus::events(8, 1500), 2, "a"));
    sandbox
}

fn claim_path(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("out/d/.claim.json")
}

/// Whose the dataset is.
fn owner(sandbox: &Sandbox) -> String {
    let text = fs::read(claim_path(sandbox)).expect("a claim");
    let claim: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    claim["run_id"].as_str().expect("an id").to_owned()
}

/// A sandbox with what a killed run left, and its id.
fn killed(point: &str) -> (Sandbox, String) {
    let sandbox = sandbox();
    sandbox.export_killed(&asked(2), point);
    let id = owner(&sandbox);
    (sandbox, id)
}

fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(tree(&path)),
            false => found.push((path.clone(), fs::read(path).expect("a file"))),
        }
    }
    found.sort();
    found
}

#[track_caller]
fn finished(sandbox: &Sandbox, run: &Run) {
    run.expect(0);
    sandbox.run(&["verify", "out/d"]).expect(0);
    assert!(!claim_path(sandbox).exists(), "the claim is left");
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn fresh_takes_over_the_claim_of_the_run_that_it_starts_over() {
    for point in [
        "upload.stage.before:1",
        "upload.commit.after:4",
        "upload.publish.before:1",
    ] {
        for more in [&[][..], &["--seed", "other"], &["--format", "jsonl"]] {
            let sandbox = sandbox();
            sandbox.export_killed(&asked(2), point);
            let run = sandbox.export(&asked(2), &[&["--fresh"], more].concat());
            finished(&sandbox, &run);
            assert_eq!(run.json()["resumed"], false, "{point} {more:?}");
        }
    }
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn fresh_under_another_name_gives_the_first_one_back() {
    let sandbox = sandbox();
    sandbox.export_killed(&asked(2), "upload.commit.after:4");
    sandbox
        .export(&asked(2), &["--fresh", "--name", "e"])
        .expect(0);
    assert_eq!(tree(&sandbox.path("out/d")), [], "nobody can finish it");
    sandbox
        .export(&asked(2), &["--work-dir", "other"])
        .expect(0);
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn fresh_that_is_refused_leaves_the_run_as_it_was() {
    let sandbox = sandbox();
    sandbox.export_killed(&asked(2), "upload.stage.before:1");
    let mine = fs::read_to_string(claim_path(&sandbox)).expect("a claim");
    let theirs = mine.replace(&owner(&sandbox), "somebody-else");
    fs::write(claim_path(&sandbox), theirs).expect("writable");
    let chunks = tree(&sandbox.path("work/chunks"));
    let refused = sandbox.export(&asked(2), &["--fresh"]);
    assert!(refused.expect(2).contains("somebody-else"));
    assert_eq!(tree(&sandbox.path("work/chunks")), chunks);
    assert_eq!(owner(&sandbox), "somebody-else");
    fs::write(claim_path(&sandbox), mine).expect("writable");
    let again = sandbox.export(&asked(2), &[]);
    finished(&sandbox, &again);
    assert_eq!(again.json()["resumed"], true);
}

#[test]
fn what_is_published_is_published() {
    // Exact, and with a shortfall.
    for (target, code) in [(2, 0), (900, 3)] {
        let sandbox = sandbox();
        let first = sandbox.export(&asked(target), &["--report"]);
        first.expect(code);
        let (out, work) = (tree(&sandbox.path("out")), tree(&sandbox.path("work")));
        assert!(out.iter().any(|(path, _)| path.ends_with("d.report.html")));
        assert!(work.iter().any(|(path, _)| path.ends_with("report.html")));
        for _ in 0..2 {
            let again = sandbox.export(&asked(target), &["--report"]);
            again.expect(code);
            let (first, again) = (first.json(), again.json());
            assert_eq!(again["already_published"], true);
            for key in ["run_id", "content_sha256", "strata", "shortfall"] {
                assert_eq!(first[key], again[key], "{key}");
            }
        }
        // Not even `--fresh` deletes anything.
        let refused = sandbox.export(&asked(target), &["--fresh"]);
        assert!(refused.expect(2).contains("never overwritten"));
        assert!(tree(&sandbox.path("out")) == out, "the dataset was touched");
        assert!(
            tree(&sandbox.path("work")) == work,
            "the work directory was touched"
        );
    }
}

#[test]
fn a_dataset_that_was_removed_is_made_again() {
    let sandbox = sandbox();
    sandbox.export(&asked(2), &[]).expect(0);
    let digest = sandbox.dataset().digest();
    fs::remove_dir_all(sandbox.path("out")).expect("removable");
    let again = sandbox.export(&asked(2), &[]);
    finished(&sandbox, &again);
    assert_eq!(again.json()["already_published"], false);
    assert_eq!(sandbox.dataset().digest(), digest);
}

/// Runs pin their instants in whole seconds.
fn next_second() {
    let now = Timestamp::now().as_second();
    while Timestamp::now().as_second() == now {
        std::thread::yield_now();
    }
}

#[test]
fn another_window_under_a_fixed_name_is_refused_with_both() {
    let sandbox = sandbox();
    let last = ["--window-last", "9000d"];
    sandbox.export(&asked(1), &last).expect(0);
    let first = sandbox.dataset().metadata["window"]["end"].clone();
    let first = first.as_str().expect("an instant");
    next_second();
    let refused = sandbox.export(&asked(1), &last);
    let reported = refused.says(2, &[first]);
    assert_eq!(reported.matches(" to ").count(), 2, "{reported}");
    assert!(reported.contains("{timestamp}"), "{reported}");
}

#[test]
fn with_a_timestamp_in_its_name_it_is_another_run_and_both_reports_stay() {
    let sandbox = sandbox();
    let stamped = ["--name", "d_{timestamp}"];
    let names: Vec<String> = (0..2)
        .map(|_| {
            let run = sandbox.export(&asked(1), &stamped);
            run.expect(0);
            next_second();
            run.json()["dataset"].as_str().expect("a name").to_owned()
        })
        .collect();
    for name in &names {
        sandbox.run(&["verify", &format!("out/{name}")]).expect(0);
    }
    assert_ne!(names[0], names[1]);
    let kept = sandbox.path(&format!("work/{}.report.html", names[0]));
    let page = fs::read_to_string(kept).expect("the first run's report");
    assert!(page.contains(&names[0]));
    let page = fs::read_to_string(sandbox.path("work/report.html")).expect("a report");
    assert!(page.contains(&names[1]));
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn unlock_removes_the_claim_of_a_run_and_never_by_itself() {
    let (sandbox, id) = killed("upload.commit.after:4");
    let other = ["--work-dir", "other"];
    let refused = sandbox.export(&asked(2), &other);
    refused.says(2, &[&id, "unlock"]);
    let before = tree(&sandbox.path("out/d"));
    for args in [
        &["unlock", "out/d", "--run", &id][..],
        &["unlock", "out/d", "--run", "another", "--yes"],
        &["unlock", "out/e", "--run", &id, "--yes"],
    ] {
        let refused = sandbox.run(args);
        let is_there = args[1] == "out/d";
        refused.says(2, &[if is_there { &id } else { "no run claims" }]);
        assert_eq!(tree(&sandbox.path("out/d")), before, "{args:?}");
    }
    let unlocked = sandbox.run(&["unlock", "out/d", "--run", &id, "--yes", "--json"]);
    unlocked.expect(0);
    assert_eq!(unlocked.json()["run_id"], id.as_str());
    assert_eq!(tree(&sandbox.path("out/d")), []);
    let run = sandbox.export(&asked(2), &other);
    finished(&sandbox, &run);
    // The old run finds out.
    let late = sandbox.export(&asked(2), &[]);
    assert!(late.expect(2).contains("never overwritten"));
    sandbox.run(&["verify", "out/d"]).expect(0);
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn unlock_of_what_is_published_leaves_the_dataset() {
    let (sandbox, id) = killed("upload.publish.after:1");
    sandbox
        .run(&["unlock", "out/d", "--run", &id, "--yes"])
        .expect(0);
    sandbox.run(&["verify", "out/d"]).expect(0);
    let again = sandbox.export(&asked(2), &[]);
    finished(&sandbox, &again);
    assert_eq!(again.json()["resumed"], true);
}
