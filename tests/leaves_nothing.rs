//! After `join` nothing of a run is left: no thread, no task, no open file. One test in a program of
//! its own, because it counts what the process has.

use std::fs;
use std::path::Path;

use gleaner::Handle;

#[path = "support/embedded.rs"]
mod embedded;

use embedded::{finish, finish_here, folder, run_in};

/// Threads and open files of this process.
fn holdings() -> (Vec<String>, Vec<String>) {
    let entries = |path: &str| fs::read_dir(path).expect("Linux").flatten();
    let mut threads: Vec<String> = entries("/proc/self/task")
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .collect();
    threads.sort();
    let mut files: Vec<String> = entries("/proc/self/fd")
        .filter_map(|file| fs::read_link(file.path()).ok())
        .map(|file| file.display().to_string())
        // Of another kind each time: the folder that is being listed.
        .filter(|file| !file.starts_with("/proc"))
        .map(|file| {
            file.trim_end_matches(|c: char| c.is_ascii_digit() || "[]".contains(c))
                .to_owned()
        })
        .collect();
    files.sort();
    (threads, files)
}

/// What the process has once the kernel has taken away the threads that were joined: they are listed
/// for a moment after they have ended. A leak stays, however long one looks.
fn left(before: &(Vec<String>, Vec<String>)) -> (Vec<String>, Vec<String>) {
    for _ in 0..100_000 {
        if holdings() == *before {
            break;
        }
        std::thread::yield_now();
    }
    holdings()
}

fn start(folder: &Path) -> Handle {
    let run = run_in(folder).build().expect("ready").spawn_thread();
    run.expect("a thread")
}

#[test]
fn a_run_that_is_joined_leaves_nothing_behind() {
    // What the first run sets up once for the process is no leak.
    let first = folder();
    finish(run_in(first.path())).expect("published");
    let before = holdings();
    let dirty =
        |end: &str, after: &(Vec<String>, Vec<String>)| format!("{end}: {before:?}, {after:?}");

    for _ in 0..3 {
        let folder = folder();
        let run = start(folder.path());
        let (events, stream) = (run.events(), run.event_stream());
        run.join_blocking().expect("published");
        drop((events, stream));
        let after = left(&before);
        assert!(after == before, "{}", dirty("published", &after));
    }
    for cancels in [true, false] {
        let folder = folder();
        let run = start(folder.path());
        run.events().recv().expect("it has begun");
        match cancels {
            true => run.cancel(),
            false => run.drain(),
        }
        let controller = run.controller();
        let result = run.join_blocking();
        let after = left(&before);
        assert!(after == before, "{}", dirty(&format!("{result:?}"), &after));
        // Who still holds the controller holds no more than the counters.
        assert!(controller.status().state.is_final());
    }
    // In a host's system: what is left when the run is joined is the host's own.
    let folder = folder();
    actix_rt::System::new().block_on(async {
        finish_here(run_in(folder.path())).await.expect("published");
        // Those of the run have names; the others are the host's.
        let of_run = || {
            let (mut threads, _) = holdings();
            threads.retain(|name| name.starts_with("gleaner"));
            threads
        };
        let is_gone = (0..100_000).any(|_| {
            std::thread::yield_now();
            of_run().is_empty()
        });
        assert!(is_gone, "{:?}", of_run());
    });
    let after = left(&before);
    assert!(after == before, "{}", dirty("in a system", &after));
}
