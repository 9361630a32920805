//! Imports run one way: `domain <- {source, sink, spool, config} <- pipeline <- cli`, and the domain
//! has no clock, no chance, no files and no runtime.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file, without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a file");
    text.split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn check(module: &str, forbidden: &[&str]) {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(module),
        &mut files,
    );
    assert!(!files.is_empty());
    for file in files {
        for line in code(&file)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for word in forbidden {
                assert!(!line.contains(word), "{}: {line}", file.display());
            }
        }
    }
}

#[test]
fn the_domain_is_pure() {
    check(
        "domain",
        &[
            "tokio",
            "actix",
            "reqwest",
            "std::fs",
            "std::io",
            "std::net",
            "std::env",
            "SystemTime",
            "time::Instant",
            "now()",
            "getrandom",
            "rand::",
            "crate::source",
            "crate::sink",
            "crate::spool",
            "crate::config",
            "crate::pipeline",
            "crate::cli",
            "crate::runtime",
            "HashMap",
            "HashSet",
        ],
    );
}

#[test]
fn sources_sinks_and_spool_know_nothing_of_the_pipeline() {
    for module in [
        "source",
        "sink",
        "spool",
        "config",
        "telemetry",
        "testing",
        "verify",
    ] {
        check(module, &["crate::pipeline", "crate::cli", "actix"]);
    }
}

#[test]
fn the_library_takes_nothing_over() {
    for module in [
        "domain",
        "source",
        "sink",
        "spool",
        "config",
        "pipeline",
        "telemetry",
        "testing",
        "verify",
    ] {
        check(
            module,
            &[
                "process::exit",
                "System::stop",
                "set_hook",
                "ctrl_c",
                "signal(",
                "crate::cli",
            ],
        );
    }
}
