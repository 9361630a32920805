//! gleaner as a library, and the parts that others write for it.

mod conformance;
mod conformance_teeth;
mod control;
mod examples;
mod features;
pub mod hooked_sink;
mod listeners;
mod own_faults;
mod public_api;
mod rules;
mod runtimes;
mod sink_calls;
mod trouble;

/// A program whose cargo builds nothing that cargo has built for this test. Of what cargo tells a test of its package
/// (`CARGO_PKG_NAME` and the like) build scripts depend on some, that of `ring` above all: a build that inherits it
/// builds them and all that uses them anew, and so does the next one without it.
fn with_cargo(program: &str) -> std::process::Command {
    const OF_PACKAGE: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    let mut command = std::process::Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if OF_PACKAGE.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command
}
