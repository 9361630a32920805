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

/// Whether two numbers are within a tenth of each other.
fn are_alike(one: u64, other: u64) -> bool {
    one.abs_diff(other) * 10 <= one.min(other)
}

#[test]
fn ten_times_as_many_conversations_cost_the_same() {
    let (few, many) = (
        exported(40_000, "thresholds"),
        exported(400_000, "thresholds"),
    );
    assert!(are_alike(few.0, many.0), "{few:?} {many:?} bytes came");
    assert!(are_alike(few.1, many.1), "{few:?} {many:?} bytes of memory");
    assert!(many.1 < 96_000_000, "{many:?}");
    let full = exported(400_000, "full");
    assert!(
        full.0 > 2 * many.0 && full.1 > many.1 * 5 / 4,
        "{full:?} {many:?}"
    );
}
