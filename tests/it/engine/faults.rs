//! What an engine loses, doubles or changes is noticed, and nothing is published.

use super::{on_engine, run_over, write};
use crate::support::corpus::{events, shuffled};
use crate::support::embedded::folder;
use crate::support::engine::{LocalEngine, WRONGS, Way};

const FEW: &str = "chunks.count = 6";

#[test]
fn what_is_exchanged_badly_is_refused() {
    let folder = folder();
    write(folder.path(), &shuffled(&events(1, 120), 4, 1));
    let (engine, _) = on_engine(run_over(folder.path(), "whole", FEW), LocalEngine::new(0));
    let jobs = engine.jobs();
    let names: Vec<_> = jobs.iter().map(|(name, ..)| &**name).collect();
    assert_eq!(names[..3], ["census", "decisions", "round0"]);
    let mut seed = 0;
    for wrong in WRONGS {
        for way in [Way::ToGroup, Way::ToDriver] {
            for job in 0..3 {
                for _ in 0..24 {
                    seed += 1;
                    let name = format!("d{seed}");
                    let run = run_over(folder.path(), &name, FEW).fresh(true);
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
