//! Input files that are missing, change, or cannot be read whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{asked, evaluated, file, good};
use crate::support::packed::{gzip, zst};
use crate::support::{Sandbox, words};

#[test]
fn an_empty_file_gives_no_dataset() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", "");
    let run = sandbox.export(&asked(), &[]);
    run.says(1, &["the input has no rows"]);
    assert!(!sandbox.path("out/d/metadata.json").exists());
}

#[test]
fn no_input_is_a_usage_error_that_names_the_path() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("empty")).expect("a folder");
    sandbox.write("in/a.txt", "x");
    for path in ["empty", "none/*.jsonl", "none.jsonl", "in/a.txt", "in"] {
        let rest = words("--out out --progress none");
        let run = sandbox.run(&[&["export", "--input", path], &rest[..]].concat());
        run.says(2, &[path]);
        assert!(
            !sandbox.path("out").exists(),
            "nothing is claimed for {path}"
        );
        let runs = sandbox.run(&["status", "--json"]).json()["runs"].clone();
        assert_eq!(runs, serde_json::json!([]), "no run is left for {path}");
    }
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn a_file_that_changes_during_a_run_fails_it_and_is_named() {
    type Change = fn(&std::path::Path);
    let changes: [(Change, &str); 3] = [
        (
            |path| fs::remove_file(path).expect("there"),
            "not there any more",
        ),
        (
            |path| fs::write(path, fs::read(path).expect("there").repeat(2)).expect("writable"),
            "length or time",
        ),
        (
            |path| fs::write(path.with_file_name("b.jsonl"), "").expect("writable"),
            "it was not there",
        ),
    ];
    for (change, words) in changes {
        let sandbox = Sandbox::new();
        sandbox.write_input(&file(&good()));
        sandbox.write("in/z.jsonl", "");
        // The first start is killed when everything is read and the inputs are pinned.
        sandbox.export_killed(&asked(), "upload.stage.before:1");
        change(&sandbox.path("in/a.jsonl"));
        let run = sandbox.export(&asked(), &[]);
        run.says(1, &["jsonl has changed", words, "--fresh"]);
        assert!(!sandbox.path("out/d/metadata.json").exists());
    }
}

#[test]
fn a_file_without_read_permission_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    let path = sandbox.path("in/a.jsonl");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("ours");
    if fs::File::open(&path).is_ok() {
        eprintln!("this user may read everything: the test was left out");
        return;
    }
    let run = sandbox.export(&asked(), &[]);
    run.says(1, &["in/a.jsonl", "right"]);
}

#[test]
fn what_is_no_regular_file_is_refused_wherever_it_is_found() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    for (name, what) in [("pipe.jsonl", "a pipe"), ("socket.jsonl.gz", "a socket")] {
        fs::create_dir_all(sandbox.path("odd")).expect("a folder");
        let path = sandbox.path("odd").join(name);
        if what == "a pipe" {
            let made = Command::new("mkfifo").arg(&path).status();
            assert!(made.is_ok_and(|status| status.success()));
            // Whoever opens it is not kept waiting: the test would fail instead of hanging.
            let pipe = path.clone();
            std::thread::spawn(
                move || while fs::OpenOptions::new().write(true).open(&pipe).is_ok() {},
            );
        } else {
            std::os::unix::net::UnixListener::bind(&path).expect("a short path");
        }
        for input in [&format!("odd/{name}"), "odd", "odd/*"] {
            let run = sandbox.export(&asked(), &["--input", input]);
            let message = format!("odd/{name} is {what}, and only regular files can be read");
            run.says(2, &[&message, "hint: write what it gives into a file"]);
            assert!(!sandbox.path("work").exists() && !sandbox.path("out").exists());
        }
        fs::remove_dir_all(sandbox.path("odd")).expect("ours");
    }
    // Nobody takes these for rows, unless they are named.
    let device = ["--input", "/dev/null"];
    let run = sandbox.export(&asked(), &device);
    run.says(2, &["/dev/null is a device"]);
    let made = Command::new("mkfifo")
        .arg(sandbox.path("in/control"))
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    sandbox.export(&asked(), &[]).expect(3);
}

#[test]
fn a_link_that_leads_nowhere_is_named_with_its_target() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    fs::create_dir(sandbox.path("linked")).expect("a folder");
    // The second might be a folder of rows on a disk that is not mounted.
    for name in ["a.jsonl", "day1"] {
        let link = sandbox.path("linked").join(name);
        std::os::unix::fs::symlink("/nowhere/rows", &link).expect("a link");
        for input in [&format!("linked/{name}"), "linked", "linked/*"] {
            let run = sandbox.export(&asked(), &["--input", input]);
            let message = format!("linked/{name} is a link to /nowhere/rows, which does not exist");
            run.says(2, &[&message, "hint: bring back what it leads to"]);
        }
        fs::remove_file(&link).expect("ours");
    }
    // Links that lead somewhere are followed.
    fs::rename(sandbox.path("in"), sandbox.path("elsewhere")).expect("ours");
    fs::create_dir(sandbox.path("in")).expect("a folder");
    let target = sandbox.path("elsewhere/a.jsonl");
    std::os::unix::fs::symlink(target, sandbox.path("in/a.jsonl")).expect("a link");
    sandbox.export(&asked(), &[]).expect(3);
    assert_eq!(sandbox.dataset().count("rows_read"), good().len() as u64);
}

#[test]
fn a_truncated_compressed_file_fails_the_run_and_is_named() {
    let lines = good().join("\n").repeat(20);
    let (zst, gz) = (zst(lines.as_bytes()), gzip(lines.as_bytes()));
    for (name, bytes) in [("a.jsonl.zst", zst), ("a.jsonl.gz", gz)] {
        for cut in [0, bytes.len() / 2, bytes.len() - 1] {
            let sandbox = Sandbox::new();
            sandbox.write(&format!("in/{name}"), &bytes[..cut]);
            let run = sandbox.export(&asked(), &[]);
            assert!(
                run.expect(1).contains(name) && run.stderr.contains("damaged"),
                "{cut}: {}",
                run.stderr
            );
            assert!(!sandbox.path("out/d/metadata.json").exists());
        }
    }
}

#[test]
fn marks_line_ends_and_blank_lines_are_no_fault() {
    let lines = good();
    let plain = evaluated(&file(&lines)).1.digest();
    let variants = [
        (
            "\u{feff}".to_owned() + &lines.join("\n") + "\n",
            "a byte order mark",
        ),
        (lines.join("\r\n") + "\r\n", "CR before LF"),
        (lines.join("\n"), "no final newline"),
        (
            "\n\n".to_owned() + &lines.join("\n \t\n\r\n") + "\n\n",
            "blank lines",
        ),
    ];
    for (text, what) in variants {
        let (_sandbox, dataset, _) = evaluated(&vec![("a.jsonl".to_owned(), text.into_bytes())]);
        assert_eq!(dataset.digest(), plain, "{what}");
        assert_eq!(dataset.count("malformed"), 0, "{what}");
    }
}
