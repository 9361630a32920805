//! What a host pays for gleaner without its default features.

use std::collections::BTreeSet;
use std::process::Command;

/// Crates that core, files and a local folder may bring along, gleaner itself included.
const MOST_CRATES: usize = 90;

/// What belongs to a feature and to nothing else.
const OF_FEATURES: [&str; 10] = [
    "axum",
    "azure_core",
    "clap",
    "hyper",
    "indicatif",
    "metrics-exporter-prometheus",
    "minijinja",
    "parquet",
    "reqwest",
    "tokenizers",
];

/// Names and versions of all crates that a library with these arguments is linked with.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--package", "gleaner"])
        .args(["--edges", "normal", "--prefix", "none"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let error = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{error}");
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let text = String::from_utf8_lossy(&tree.stdout);
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(name_and_version).collect()
}

#[test]
fn the_core_has_at_most_ninety_crates() {
    let core = crates(&["--no-default-features"]);
    let count = core.len();
    assert!(count <= MOST_CRATES, "{count} crates: {core:#?}");
    let is_of = |name: &str| core.iter().any(|one| one.starts_with(&format!("{name} ")));
    let surplus: Vec<&str> = OF_FEATURES.into_iter().filter(|name| is_of(name)).collect();
    assert!(surplus.is_empty(), "{surplus:?} belong to features");
    let all = crates(&[]);
    let missing: Vec<&String> = core.difference(&all).collect();
    assert!(missing.is_empty() && all.len() > count, "{missing:?}");
}
