//! Input that may not be read and places that may not be written: named, exit 1, nothing published.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::reference::Asked;
use crate::support::{Run, Sandbox, corpus};

/// Somebody without rights.
const NOBODY: u32 = 65_534;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_input(&corpus::in_files(&corpus::events(3, 40), 2, "a"));
    for folder in ["out", "work"] {
        fs::create_dir(sandbox.path(folder)).expect("a folder");
        set_mode(&sandbox, folder, 0o777);
    }
    set_mode(&sandbox, "", 0o755);
    sandbox
}

fn set_mode(sandbox: &Sandbox, name: &str, mode: u32) {
    fs::set_permissions(sandbox.path(name), Permissions::from_mode(mode)).expect("ours");
}

/// Exports as a user whom permissions hold back; `None` if there is no way to be one.
fn export(sandbox: &Sandbox) -> Option<Run> {
    let we_are_root = fs::metadata(sandbox.path("")).expect("a folder").uid() == 0;
    let as_user = |mut command: Command| {
        if we_are_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().map(Run::from)
    };
    if !as_user(sandbox.command(&["--version"])).is_ok_and(|run| run.code == Some(0)) {
        eprintln!("another user cannot run the binary here: the test was left out");
        return None;
    }
    let export = sandbox.export_command(&Asked::new("s", 1), &[]);
    Some(as_user(export).expect("it runs"))
}

/// Exports where a file or folder has these rights.
fn export_with(sandbox: &Sandbox, name: &str, mode: u32) -> Option<Run> {
    set_mode(sandbox, name, mode);
    export(sandbox)
}

/// Exports again, with rights as they should be.
fn goes_on(sandbox: &Sandbox, name: &str, mode: u32) {
    let again = export_with(sandbox, name, mode).expect("it ran before");
    assert!(matches!(again.code, Some(0 | 3)), "{}", again.stderr);
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_can_be_read_once_it_may() {
    let sandbox = sandbox();
    let Some(run) = export_with(&sandbox, "in/a01.jsonl", 0o000) else {
        return;
    };
    run.says(1, &["in/a01.jsonl"]);
    assert!(!sandbox.path("out/d/metadata.json").exists());
    goes_on(&sandbox, "in/a01.jsonl", 0o644);
}

#[test]
fn a_folder_that_may_not_be_listed_is_named() {
    let sandbox = sandbox();
    set_mode(&sandbox, "in", 0o000);
    let run = export(&sandbox);
    set_mode(&sandbox, "in", 0o755);
    let Some(run) = run else { return };
    run.says(1, &["read in"]);
}

#[test]
fn an_output_that_is_read_only_is_named_and_the_run_goes_on_once_it_is_not() {
    let sandbox = sandbox();
    let Some(run) = export_with(&sandbox, "out", 0o555) else {
        return;
    };
    run.says(1, &["out", "--out"]);
    goes_on(&sandbox, "out", 0o777);
    assert!(sandbox.path("out/d/metadata.json").exists());
}

#[test]
fn a_work_dir_that_is_read_only_is_named() {
    let sandbox = sandbox();
    let Some(run) = export_with(&sandbox, "work", 0o555) else {
        return;
    };
    run.says(1, &["work", "--work-dir"]);
    assert!(!sandbox.path("out/d").exists());
}
