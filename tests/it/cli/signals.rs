//! A run that is asked to stop ends in order, whatever it is doing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::packed::{gzip, zst};
use crate::support::{Sandbox, hang_at, words};

/// Far longer than it takes, and far shorter than reading the input would.
const LIMIT: Duration = Duration::from_secs(120);

/// A file of some kilobytes that is terabytes long: one line that never ends, in many frames.
fn endless_zst() -> Vec<u8> {
    zst(&vec![b'a'; 64 << 20]).repeat(20_000)
}

/// The same in lines, none of which is a row.
fn endless_gz() -> Vec<u8> {
    let text = b"no row at all\n".repeat(1 << 20);
    gzip(&text).repeat(5_000)
}

/// Starts a command; its standard error comes line by line.
fn started(command: &mut Command) -> (Child, Receiver<String>) {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let lines = lines_of(&mut child);
    (child, lines)
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    std::thread::spawn(move || {
        let mut lines = stderr.lines().map_while(Result::ok);
        lines.try_for_each(|line| sender.send(line))
    });
    lines
}

/// Waits for a line; gives all up to it.
fn wait_for(lines: &Receiver<String>, words: &str) -> String {
    let mut all = String::new();
    loop {
        let line = lines
            .recv_timeout(LIMIT)
            .unwrap_or_else(|e| panic!("{e}: {all}"));
        all += &line;
        all.push('\n');
        if line.contains(words) {
            return all;
        }
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.expect("kill runs").success());
}

/// The signals that end a run. Under nohup, which whatever runs the tests may be, a closed terminal does not.
fn ending() -> impl Iterator<Item = &'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let ignores_hangup = mask.unwrap_or(0) & 1 == 1;
    let words = ["-INT", "-TERM", "-HUP"].into_iter();
    words.filter(move |word| !(ignores_hangup && *word == "-HUP"))
}

/// The rest of an export whose progress can be read.
const REST: &str = "--work-dir work --progress json";

#[test]
fn a_run_in_the_middle_of_a_large_compressed_file_ends_at_every_signal() {
    let inputs = [("a.jsonl.zst", endless_zst()), ("a.jsonl.gz", endless_gz())];
    for (name, input) in inputs {
        let sandbox = Sandbox::new();
        sandbox.write(name, input);
        for word in ending() {
            let args = [&["export", "--input", name], &words(REST)[..]].concat();
            let (mut child, lines) = started(&mut sandbox.command(&args));
            wait_for(&lines, "\"phase\":\"reading\"");
            signal(&child, word);
            let reported = wait_for(&lines, "hint: run the same command again");
            assert!(
                reported.contains("interrupted; nothing was published"),
                "in order, {name} {word}: {reported}"
            );
            let ended = child.wait().expect("a child");
            assert_eq!(ended.code(), Some(130), "{name} {word}: {reported}");
        }
    }
}

#[test]
fn under_nohup_a_closed_terminal_is_no_reason_to_stop() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl.zst", endless_zst());
    let program = sandbox.command(&[]).get_program().to_owned();
    let mut command = Command::new("nohup");
    command
        .arg(program)
        .args(["export", "--input", "a.jsonl.zst"]);
    command.args(words(REST)).current_dir(sandbox.path(""));
    let (mut child, lines) = started(&mut command);
    wait_for(&lines, "\"phase\":\"reading\"");
    signal(&child, "-HUP");
    // Signals are taken in order: had the first one stopped it, the second would have ended it at once.
    wait_for(&lines, "\"phase\":\"reading\"");
    signal(&child, "-TERM");
    let reported = wait_for(&lines, "hint: run the same command again");
    assert!(reported.contains("nothing was published"), "{reported}");
    assert_eq!(child.wait().expect("a child").code(), Some(130));
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn a_run_that_cannot_end_is_ended() {
    for site in ["spool.seal.before:1", "upload.stage.before:1"] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(&words(
            "export --test --set source.kind=synthetic --set source.synthetic.conversations=3000 \
             --work-dir work --name d --progress none",
        ));
        let (mut child, lines) = started(command.envs(hang_at(site)));
        wait_for(&lines, "hanging at");
        signal(&child, "-TERM");
        wait_for(&lines, "before all parts of the run had ended");
        assert_eq!(child.wait().expect("a child").code(), Some(130), "{site}");
        assert!(!sandbox.path("out/d/metadata.json").exists());
    }
}
