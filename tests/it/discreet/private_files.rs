//! The work directory is its owner's alone, and a planted link leads no write elsewhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::reference::Asked;
use crate::support::{Run, Sandbox, corpus, kill_at};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let (name, bytes) = corpus::in_files(&corpus::events(8, 300), 1, "a").remove(0);
    // Compressed rows are spooled.
    let packed = zstd::encode_all(&bytes[..], 1).expect("memory");
    sandbox.write(&format!("in/{name}.zst"), packed);
    sandbox
}

/// The export, under this umask.
fn export(sandbox: &Sandbox, umask: &str, killed: Option<&str>) -> Run {
    let args = sandbox.export_args(&Asked::new("s", 2));
    let line = format!("umask {umask}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .current_dir(sandbox.path("."))
        .args(["-c", &line, env!("CARGO_BIN_EXE_gleaner")])
        .args(args)
        .envs(killed.map(kill_at).into_iter().flatten());
    command.output().expect("it runs").into()
}

/// Holds every folder and file against the mode that it must have.
fn assert_private(path: &Path, seen: &mut usize) {
    let metadata = fs::symlink_metadata(path).expect("it exists");
    let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
    let mode = metadata.permissions().mode() & 0o777;
    assert_eq!(mode, wanted, "{mode:o} {}", path.display());
    *seen += 1;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            assert_private(&entry.expect("an entry").path(), seen);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn the_work_directory_is_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let sandbox = sandbox();
        let killed = export(&sandbox, umask, Some("upload.stage.before:1"));
        assert_eq!(killed.code, None, "{}", killed.stderr);
        let mut seen = 0;
        assert_private(&sandbox.path("work"), &mut seen);
        assert!(seen >= 6, "sealed chunks, run.json, lock: {seen}");
        let run = export(&sandbox, umask, None);
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
        assert_private(&sandbox.path("work"), &mut seen);
        // The dataset is for others: it has what the umask leaves.
        let mode = fs::metadata(sandbox.path("out/d/metadata.json")).expect("it exists");
        let left = 0o666 & !u32::from_str_radix(umask, 8).expect("octal");
        assert_eq!(mode.permissions().mode() & 0o777, left);
    }
}

#[test]
fn a_planted_link_is_refused_and_nothing_is_written_behind_it() {
    for link in [
        "out/d",
        "out/d/train",
        "out/d/.claim.json",
        "out/d/metadata.json",
        "work/run.part",
        "work/lock",
    ] {
        let sandbox = sandbox();
        let (target, link) = (sandbox.path("elsewhere"), sandbox.path(link));
        fs::create_dir_all(&target).expect("writable");
        fs::create_dir_all(link.parent().expect("a folder")).expect("writable");
        symlink(&target, &link).expect("linked");
        let run = export(&sandbox, "022", None);
        assert!(matches!(run.code, Some(1 | 2)), "{link:?}: {}", run.stderr);
        let behind = fs::read_dir(&target).expect("a folder").count();
        assert_eq!(behind, 0, "{link:?}: {}", run.stderr);
        assert!(!sandbox.path("out/d/metadata.json").is_file(), "{link:?}");
    }
    for (link, name) in [
        ("out/d/.claim.json", "claim"),
        ("work/run.part", "file"),
        ("work/lock", "file"),
    ] {
        let sandbox = sandbox();
        let target = sandbox.write(name, "mine");
        let link = sandbox.path(link);
        fs::create_dir_all(link.parent().expect("a folder")).expect("writable");
        symlink(&target, &link).expect("linked");
        let run = export(&sandbox, "022", None);
        assert!(matches!(run.code, Some(1 | 2)), "{link:?}: {}", run.stderr);
        assert_eq!(fs::read(&target).expect("a file"), b"mine", "{link:?}");
    }
}
