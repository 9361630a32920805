//! What an engine loses, doubles or changes is noticed, and nothing is published.

use gleaner::domain::copilot_chat::sender::Era;

use super::{on_engine, run_over, write};
use crate::support::corpus::{Files, conversations, events, shuffled, telemetry};
use crate::support::embedded::folder;
use crate::support::engine::{LocalEngine, WRONGS, Way};

const FEW: &str = "chunks.count = 6";

/// Spoils what is exchanged in each of the first three jobs of an export, in every way so many times.
fn refuses(files: &Files, more: &str, jobs: [&str; 3], times: u64) {
    let folder = folder();
    write(folder.path(), files);
    let more = format!("{FEW}\n{more}");
    let (engine, _) = on_engine(run_over(folder.path(), "whole", &more), LocalEngine::new(0));
    let found = engine.jobs();
    let names: Vec<_> = found.iter().map(|(name, ..)| &**name).collect();
    assert_eq!(names[..3], jobs);
    let mut seed = 0;
    for wrong in WRONGS {
        for way in [Way::ToGroup, Way::ToDriver] {
            for job in 0..3 {
                for _ in 0..times {
                    seed += 1;
                    let name = format!("d{seed}");
                    let run = run_over(folder.path(), &name, &more).fresh(true);
                    let engine = LocalEngine::new(seed).with_fault(job, wrong, way);
                    let (_, published) = on_engine(run, engine);
                    let error = published.expect_err("refused");
                    let place = format!("{wrong:?} {way:?} in job {job}, seed {seed}: {error}");
                    let dataset = folder.path().join(&name).join("d").join("metadata.json");
                    assert!(!dataset.exists(), "{place}");
                }
            }
        }
    }
}

#[test]
fn what_is_exchanged_badly_is_refused() {
    let files = shuffled(&events(1, 120), 4, 1);
    refuses(&files, "", ["census", "decisions", "round0"], 24);
}

#[test]
fn telemetry_that_is_exchanged_badly_is_refused() {
    let files = shuffled(&telemetry(1, Some(Era::V052), 8), 4, 1);
    let more = "source.allow_sampled = true";
    refuses(&files, more, ["census", "round0", "shared"], 6);
}

#[test]
fn users_that_are_looked_for_badly_are_refused() {
    let list = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(list.path(), "userName:ann").expect("written");
    let files = shuffled(&conversations(1, 120), 4, 1);
    let more = format!("selection.exclude = '{}'", list.path().display());
    refuses(&files, &more, ["users", "census", "decisions"], 6);
}
