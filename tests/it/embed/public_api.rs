//! What is public is listed, so that a change of it is seen and goes into the changelog.

use std::collections::BTreeSet;

use super::with_cargo;

#[test]
#[ignore = "needs cargo-public-api: run ./test.sh --install"]
fn the_public_surface_is_as_listed() {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = with_cargo(&format!("{root}/docs/public-api.sh")).output();
    let output = output.expect("the script runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let now = String::from_utf8(output.stdout).expect("text");
    let listed = std::fs::read_to_string(format!("{root}/docs/public-api.txt")).expect("the list");
    let (new, old): (BTreeSet<&str>, BTreeSet<&str>) =
        (now.lines().collect(), listed.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}\n"));
    let come = new.difference(&old).map(|line| format!("+ {line}\n"));
    let changes: String = gone.chain(come).collect();
    assert!(
        now == listed,
        "the public surface has changed: run `just public-api`, and say so in CHANGELOG.md\n{changes}"
    );
}
