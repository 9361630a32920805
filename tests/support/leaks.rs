//! Everything that a run of any command has shown or stored, searched for what must not be in it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Run;

/// A run that logs all it can.
pub fn traced(mut command: Command) -> Run {
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    command.output().expect("the binary runs").into()
}

/// What a run has written: to its outputs, and into the files of a folder.
pub fn reported(run: &Run, folder: &Path) -> String {
    let mut all = format!("{}\n{}\n", run.stdout, run.stderr);
    collect(folder, &|_| true, &mut all);
    all
}

/// The texts of the files in a folder that are wanted.
pub fn collect(folder: &Path, wanted: &dyn Fn(&Path) -> bool, all: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !wanted(&path) {
            continue;
        }
        match entry.file_type().expect("a type").is_dir() {
            true => collect(&path, wanted, all),
            false => all.push_str(&String::from_utf8_lossy(&fs::read(path).expect("a file"))),
        }
    }
}

/// A secret in the ways in which it could be written.
pub fn forms(secret: &str) -> [String; 3] {
    let plain = secret
        .replace("%3D", "=")
        .replace("%2B", "+")
        .replace("%2F", "/");
    let escaped = |text: &str| {
        text.replace('%', "%25")
            .replace('=', "%3D")
            .replace('+', "%2B")
            .replace('/', "%2F")
    };
    [escaped(&plain), escaped(secret), plain]
}

/// The run has logged all it can, and no secret is in what it has written, nor the beginning of one.
#[track_caller]
pub fn keeps(run: &Run, folder: &Path, secrets: &[&str]) {
    let reported = reported(run, folder);
    // What is refused as a mistake of usage is refused before anything is done.
    let all = run.code == Some(2) || reported.contains("TRACE");
    assert!(all, "not everything is logged: {reported}");
    for secret in secrets {
        for form in forms(secret) {
            let start = &form[..form.len().min(20)];
            assert!(!reported.contains(start), "{form} was shown: {reported}");
        }
    }
}
