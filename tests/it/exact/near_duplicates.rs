//! Near-duplicates are left out as the reference evaluator does it, to the byte and to the id, and the targets stay exact.

use serde_json::{Value, json};

use crate::support::reference::near_duplicates::NearDuplicates;
use crate::support::reference::{Asked, evaluate, split_of};
use crate::support::{Sandbox, assert_equals_reference, corpus};

fn asked(seed: &str, target: usize, across_splits: bool) -> Asked {
    let mut asked = Asked::new(seed, target);
    asked.near_duplicates = Some(NearDuplicates {
        across_splits,
        percent: 80,
    });
    asked
}

/// Exports, and holds the dataset against the reference; says how many near-duplicates there are.
#[track_caller]
fn holds(files: &corpus::Files, asked: &Asked, more: &[&str]) -> usize {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    let run = sandbox.export(asked, more);
    let expected = evaluate(files, asked);
    let short = (expected.strata.iter()).any(|(id, s)| s.records.len() < asked.targets[id]);
    run.expect(if short { 3 } else { 0 });
    assert_equals_reference(&sandbox.dataset(), &expected);
    sandbox.run(&["verify", "out/d"]).expect(0);
    let mut near_duplicates = expected
        .strata
        .values()
        .flat_map(|one| &one.near_duplicates);
    if let Some((id, of)) = near_duplicates.next() {
        let explained = sandbox.run(&["explain", id, "out/d", "--json"]).json();
        assert_eq!(explained["verdict"], "near_duplicate");
        assert_eq!(explained["near_duplicate"]["repeats"], *of);
    }
    let left_out = (expected.strata.values())
        .map(|stratum| stratum.near_duplicates.len())
        .sum();
    let card = std::fs::read_to_string(sandbox.path("out/d/README.md")).expect("a card");
    let said = format!("runs at least 0.8) were left out: {left_out}.");
    assert!(card.contains(&said), "{said}: {card}");
    left_out
}

/// A row of a conversation of three turns.
fn conversation(number: usize, words: &str) -> Vec<u8> {
    corpus::conversation(number, 3, words)
}

#[test]
fn over_conversations_of_many_seeds() {
    let mut found = 0;
    for seed in 0..6 {
        let mut rows = corpus::conversations(seed, 80);
        rows.extend(corpus::repeated(seed, 60 + 20 * seed as usize));
        let asked = asked(&format!("seed {seed}"), 1 + seed as usize, seed % 2 == 0);
        found += holds(&corpus::shuffled(&rows, 3, seed), &asked, &[]);
    }
    assert!(found >= 5, "{found} near-duplicates in all");
}

#[test]
fn when_spares_run_out_more_are_looked_at_and_the_same_is_taken() {
    let rows = (0..900).map(|number| {
        let word = number % 13;
        conversation(
            number,
            &format!("this text{word} is said{word} again{word} by many{word}"),
        )
    });
    let rows: Vec<_> = rows.collect();
    let mut asked = asked("s", 0, false);
    for split in ["train", "val", "test"] {
        asked.targets.insert((split, "short"), 3);
    }
    let files = corpus::in_files(&rows, 2, "a");
    let none = ["--set", "selection.spare_percent=0"];
    assert_eq!(holds(&files, &asked, &[]), holds(&files, &asked, &none));
}

#[test]
fn what_many_have_in_common_makes_no_near_duplicates() {
    let wrap: Vec<String> = (0..200).map(|word| format!("wrap{word}")).collect();
    let (wrap, few) = (wrap.join(" "), wrap.join(" few "));
    let rows = |count: usize| -> Vec<_> {
        let own = |number| format!("own{number} words{number}");
        let rows = (0..count).map(|number| match number % 130 {
            7 => conversation(number, &format!("{} {few}", own(number))),
            _ => conversation(number, &format!("{} {wrap}", own(number))),
        });
        rows.collect()
    };
    let mut asked = asked("s", 0, false);
    asked.targets.insert(("train", "short"), 50);
    asked.targets.insert(("val", "short"), 20);
    let of_all = holds(&corpus::in_files(&rows(2600), 2, "a"), &asked, &[]);
    let of_few = holds(&corpus::in_files(&rows(400), 2, "a"), &asked, &[]);
    assert!(of_all < of_few, "{of_all} with templates, {of_few} without");
}

#[test]
fn without_it_nothing_changes_and_across_splits_only_other_splits_matter() {
    let sandbox = Sandbox::new();
    // Every text ten times.
    let rows: Vec<_> = (0..600)
        .map(|number| {
            conversation(
                number,
                &format!("a text that is sent{} again and again", number % 60),
            )
        })
        .collect();
    sandbox.write_input(&corpus::in_files(&rows, 1, "a"));
    let mut plain = Asked::new("s", 0);
    plain.targets.insert(("train", "short"), 60);
    plain.targets.insert(("test", "short"), 10);
    let off = sandbox.export(&plain, &["--fresh"]);
    off.expect(0);
    assert_eq!(off.json()["near_duplicates"], Value::Null);
    for (scope, train) in [("across_splits", 60), ("all", 59)] {
        let name = format!("near_duplicates.scope={scope}");
        let run = sandbox.export(
            &plain,
            &["--name", scope, "--work-dir", scope, "--set", &name],
        );
        let strata = run.json()["strata"].clone();
        let records = |split: &str| {
            let mut strata = strata.as_array().expect("a list").iter();
            let stratum = strata.find(|stratum| stratum["split"] == split);
            stratum.expect("a stratum")["records"]
                .as_u64()
                .expect("a count")
        };
        assert!(records("train") <= train, "{strata}");
        assert_ne!(off.json()["content_sha256"], run.json()["content_sha256"]);
        let found = &run.json()["near_duplicates"];
        assert_eq!(
            (&found["scope"], &found["version"]),
            (&json!(scope), &json!(1))
        );
        assert_eq!(split_of("a"), "train");
    }
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn killed_anywhere_it_gives_the_same() {
    let files = corpus::in_files(&corpus::repeated(3, 300), 3, "a");
    let asked = asked("s", 3, false);
    let expected = evaluate(&files, &asked);
    for site in [
        "spool.seal.after:2",
        "upload.stage.after:1",
        "upload.commit.after:4",
        "upload.publish.before:1",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write_compressed_input(&files);
        sandbox.export_killed(&asked, site);
        let run = sandbox.export(&asked, &[]);
        assert!(matches!(run.code, Some(0 | 3)), "{site}: {}", run.stderr);
        crate::support::assert_same_records(&sandbox.dataset(), &expected);
    }
}

#[test]
fn bad_values_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&corpus::in_files(&[conversation(1, "a")], 1, "a"));
    let asked = Asked::new("s", 1);
    for (set, says) in [
        ("near_duplicates.scope=some", "off, across_splits, all"),
        ("near_duplicates.threshold=0", "above 0 and at most 1"),
        ("near_duplicates.threshold=80", "above 0 and at most 1"),
    ] {
        sandbox.export(&asked, &["--set", set]).says(2, &[says]);
    }
}
