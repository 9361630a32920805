//! A census of some ranks: what comes from a cluster, and the memory that takes, do not depend on how many conversations
//! the cluster has.

use super::memory::peak_of;
use crate::support::Sandbox;
use crate::support::kusto::{Emulator, Meter};
use crate::support::words;

const EXPORT: &str = "export --schema turns --out out --name d --work-dir work --progress none --chunks 4 \
    --window-start 2025-01-01T00:00:00Z --window-end 2025-06-01T00:00:00Z --set source.kind=kusto \
    --set selection.targets.train={short=300,medium=500,long=500} \
    --set selection.targets.val={short=30,medium=50,long=50} \
    --set selection.targets.test={short=30,medium=50,long=50}";

/// Bytes that came from a cluster of so many conversations, and the peak of memory.
fn exported(conversations: u64, mode: &str) -> (u64, u64) {
    let sandbox = Sandbox::new();
    let emulator = Emulator::plain(conversations);
    let meter = Meter::before(&emulator);
    let cluster = format!("source.kusto.cluster={}", meter.address);
    let mode = format!("source.kusto.census_mode={mode}");
    let mut args = words(EXPORT);
    args.extend(["--set", &cluster, "--set", &mode]);
    let memory = peak_of(&sandbox, &args, 0);
    (meter.bytes(), memory)
}

/// What the peak of memory of equal runs may differ by; 3 MB to both sides were seen.
const NOISE: u64 = 12_000_000;

#[test]
fn thirty_times_as_many_conversations_cost_the_same() {
    let few = exported(40_000, "thresholds");
    let many = exported(1_200_000, "thresholds");
    assert!(few.0.abs_diff(many.0) * 10 <= few.0, "{few:?} {many:?}");
    assert!(many.1 <= few.1 + NOISE, "{few:?} {many:?}");
    assert!(many.1 < 96_000_000, "{many:?}");
    // A census of all of them does grow: what is measured above can be seen.
    let full = exported(1_200_000, "full");
    assert!(full.0 > 10 * many.0, "{full:?} {many:?}");
    assert!(full.1 > many.1 + NOISE, "{full:?} {many:?}");
}
