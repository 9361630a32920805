//! Whatever happens to the files of a work directory while nobody works in it: it is noticed, what
//! is damaged is fetched again, and nothing damaged is trusted.
#![cfg(feature = "fault-injection")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::reference::Asked;
use crate::support::{Sandbox, corpus};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A copy, times included: inputs must look as they did.
fn copy(sandbox: &Sandbox) -> Sandbox {
    let copy = Sandbox::new();
    let status = Command::new("cp")
        .arg("-a")
        .arg(sandbox.path("."))
        .arg(copy.path("."))
        .status();
    assert!(status.expect("cp runs").success());
    copy
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip,
    Truncate,
    Delete,
}

impl Damage {
    fn of(self, path: &Path, chance: &mut Pcg64Mcg) {
        let mut bytes = fs::read(path).expect("a file");
        match self {
            Self::Delete => return fs::remove_file(path).expect("removable"),
            // A file without bytes has nothing to lose.
            _ if bytes.is_empty() => return,
            Self::Flip => {
                let at = chance.random_range(0..bytes.len());
                bytes[at] ^= 1 << chance.random_range(0..8);
            }
            Self::Truncate => bytes.truncate(chance.random_range(0..bytes.len())),
        }
        fs::write(path, bytes).expect("writable");
    }
}

/// Damages every file of the work directory of a stopped run, one by one and in every way, and has
/// `again` go on.
fn damaged(
    stopped: &Sandbox,
    expected: &str,
    which: impl Fn(&Path) -> bool,
    again: impl Fn(&Sandbox, &[&str]) -> crate::support::Run,
) {
    let mut chance = Pcg64Mcg::seed_from_u64(7);
    let names: Vec<PathBuf> = files(&stopped.path("work"))
        .iter()
        .map(|path| {
            path.strip_prefix(stopped.path(""))
                .expect("below")
                .to_owned()
        })
        .filter(|path| which(path))
        .collect();
    let sealed = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "sealed");
    assert!(names.iter().any(sealed), "{names:?}");
    for name in &names {
        for damage in [Damage::Flip, Damage::Truncate, Damage::Delete] {
            let reported = format!("{damage:?} {name:?}");
            let sandbox = copy(stopped);
            damage.of(&sandbox.path(&name.to_string_lossy()), &mut chance);
            let run = again(&sandbox, &[]);
            if run.code == Some(0) {
                assert_eq!(sandbox.dataset().digest(), expected, "{reported}");
                continue;
            }
            // Whose run it is, is not known any more: nothing is guessed.
            assert!(name.ends_with("run.json"), "{reported}: {}", run.stderr);
            let reported = run.expect(2);
            let refused = reported.contains("--fresh") || reported.contains("claim");
            assert!(refused, "{reported}");
            fs::remove_dir_all(sandbox.path("out")).expect("removable");
            again(&sandbox, &["--fresh"]).expect(0);
            assert_eq!(sandbox.dataset().digest(), expected, "{reported}");
        }
    }
}

#[test]
fn damage_to_spooled_files_is_noticed() {
    let asked = Asked::new("s", 2);
    let stopped = Sandbox::new();
    stopped.write_compressed_input(&corpus::in_files(&corpus::events(8, 1500), 2, "a"));
    let whole = copy(&stopped);
    whole.export(&asked, &[]).expect(0);
    let expected = whole.dataset().digest();
    stopped.export_killed(&asked, "upload.stage.before:1");
    damaged(
        &stopped,
        &expected,
        |_| true,
        |sandbox, more| sandbox.export(&asked, more),
    );
}

#[cfg(feature = "kusto-emulator")]
#[test]
fn damage_to_censuses_and_rounds_is_noticed() {
    let stopped = Sandbox::new();
    let emulator = crate::support::kusto::Emulator::start(&stopped, "", 0, &[]);
    let whole = Sandbox::new();
    emulator.export(&whole, &[]).expect(0);
    let expected = whole.dataset().digest();
    let killed = emulator.export_killed(&stopped, "upload.stage.before:1", &[]);
    assert_eq!(killed.code, None, "{}", killed.stderr);
    // One chunk of the eight stands for all.
    let files = |path: &Path| {
        !path.to_string_lossy().contains("h8-") || path.to_string_lossy().contains("h8-3-")
    };
    damaged(&stopped, &expected, files, |sandbox, more| {
        emulator.export(sandbox, more)
    });
}
