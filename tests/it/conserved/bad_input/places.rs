//! A work directory or an output that takes nothing more.

use std::fs;
use std::process::Command;

use super::{asked, file, good};
use crate::support::{Sandbox, corpus};

/// Mounts a small disk; `None` where that is not allowed.
fn small_disk(sandbox: &Sandbox, name: &str, size: &str) -> Option<std::path::PathBuf> {
    let path = sandbox.path(name);
    fs::create_dir_all(&path).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(&path)
        .output();
    if mounted.is_ok_and(|output| output.status.success()) {
        return Some(path);
    }
    eprintln!("a small disk cannot be mounted here: the test was left out");
    None
}

#[test]
fn a_full_disk_stops_the_run_and_room_lets_it_go_on() {
    let rows = corpus::events(4, 3000);
    for disk in ["work", "out"] {
        let sandbox = Sandbox::new();
        for (name, bytes) in corpus::in_files(&rows, 4, "a") {
            sandbox.write(
                &format!("in/{name}.zst"),
                zstd::encode_all(&bytes[..], 1).expect("memory"),
            );
        }
        let size = if disk == "work" { "2M" } else { "256k" };
        let Some(path) = small_disk(&sandbox, disk, size) else {
            return;
        };
        let mut large = asked();
        large.targets.values_mut().for_each(|target| *target = 1000);
        let run = sandbox.export(&large, &[]);
        let reported = run.stderr.clone();
        let grown = Command::new("mount")
            .args(["-o", "remount,size=100M"])
            .arg(&path)
            .status();
        assert!(grown.is_ok_and(|status| status.success()));
        let again = sandbox.export(&large, &[]);
        let published = sandbox.path("out/d/metadata.json").exists();
        let digest = published.then(|| sandbox.dataset().digest());
        Command::new("umount")
            .arg(&path)
            .status()
            .expect("umount runs");
        assert_eq!(run.code, Some(1), "{disk}: {reported}");
        assert!(
            reported.contains("No space left") && reported.contains("run the same command again"),
            "{disk}: {reported}"
        );
        again.expect(3);
        let undisturbed = Sandbox::new();
        undisturbed.write_input(&corpus::in_files(&rows, 4, "a"));
        undisturbed.export(&large, &[]).expect(3);
        assert_eq!(digest, Some(undisturbed.dataset().digest()), "{disk}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    sandbox.write("out", "a file, no folder");
    let run = sandbox.export(&asked(), &[]);
    run.says(1, &["cannot write to out"]);
}
