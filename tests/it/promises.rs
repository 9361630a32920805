//! `docs/promises.md` names tests that exist.

use std::fs;
use std::path::Path;

/// Whether `a::b::name` is a function in `tests/it/a/b.rs` or `tests/it/a/b/mod.rs`.
fn exists(test: &str) -> bool {
    let mut modules: Vec<&str> = test.split("::").collect();
    let name = modules.pop().unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let module = folder.join(modules.join("/"));
    [module.with_extension("rs"), module.join("mod.rs")]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .any(|text| text.contains(&format!("fn {name}(")))
}

#[test]
fn every_named_test_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/promises.md");
    let page = fs::read_to_string(page).expect("the page");
    let promises: Vec<&str> = page.split("\n1. ").collect();
    let rest = promises.get(1).expect("the first promise");
    let mut promises = 0;
    for (number, promise) in (1..).zip(rest.split(". **")) {
        let tests: Vec<&str> = (promise.split('`'))
            .filter(|text| text.contains("::"))
            .collect();
        assert!(!tests.is_empty(), "no test of promise {number}: {promise}");
        for test in tests {
            assert!(exists(test), "{test} is not there");
        }
        promises = number;
    }
    assert_eq!(promises, 8);
}
