//! Each example runs, and does what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::with_cargo;

fn example(name: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        // They are built already, unless this test is run by itself. With other features than this
        // test's own all would be compiled once more.
        let mut features = Vec::new();
        if cfg!(feature = "fault-injection") {
            features.push("fault-injection");
        }
        if cfg!(feature = "kusto-emulator") {
            features.push("kusto-emulator");
        }
        if cfg!(feature = "tokenizer") {
            features.push("tokenizer");
        }
        let build = with_cargo(env!("CARGO"))
            .args(["build", "--locked", "--examples", "--quiet"])
            .args(["--features", &features.join(",")])
            .status();
        assert!(build.expect("cargo").success());
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_gleaner"));
        binary.parent().expect("a folder").join("examples")
    });
    Command::new(folder.join(name))
}

/// What an example says, in a folder.
fn run(name: &str, folder: &Path) -> String {
    let output = example(name).arg(folder).output().expect("ran");
    let reported = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {reported}{errors}");
    reported
}

/// The last word of the last line: the dataset's digest.
fn digest(reported: &str) -> &str {
    let digest = reported.split_whitespace().next_back().expect("a word");
    assert_eq!(digest.len(), 64, "{reported}");
    digest
}

#[test]
fn a_host_actor_follows_its_run_and_shuts_it_down_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let reported = run("embed_in_actix", folder.path());
    assert!(
        reported.starts_with("drained") || reported.contains("\ndrained\n"),
        "{reported}"
    );
    assert!(reported.contains("train/short: 40 records"), "{reported}");
    digest(&reported);
    assert!(folder.path().join("out/embedded/metadata.json").exists());
}

#[test]
fn own_sources_and_sinks_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let reported = run("custom_source", folder.path());
    assert!(reported.contains("train/short: 20 of "), "{reported}");
    digest(&reported);
    let folder = tempfile::tempdir().expect("a folder");
    let reported = run("custom_sink", folder.path());
    assert!(reported.contains("kept/metadata.json: "), "{reported}");
    assert!(reported.contains(" records were left out"), "{reported}");
    assert!(
        !reported.contains(".blocks") && !reported.contains(".claim"),
        "{reported}"
    );
    digest(&reported);
}

#[test]
fn the_table_of_chunks_that_fail_is_printed() {
    let output = example("chaos_chunk_failures").output().expect("ran");
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{reported}");
    assert!(
        reported.contains("k=40 n=4: published, 160 attempts failed"),
        "{reported}"
    );
}

/// The body of an answer.
fn ask(address: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    body.to_owned()
}

#[test]
fn a_service_starts_shows_and_cancels_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut service = example("embed_in_tokio")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(service.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let url = line();
    let address = url.strip_prefix("http://").expect("an address");
    assert_eq!(ask(address, "GET", "/status"), "nothing was started\n");
    assert_eq!(ask(address, "POST", "/start"), "started\n");
    let status: serde_json::Value =
        serde_json::from_str(&ask(address, "GET", "/status")).expect("JSON");
    assert_eq!(status["run"]["dataset"], "served");
    let cancelled = ask(address, "POST", "/cancel");
    let said = line();
    match cancelled.as_str() {
        "Cancelled\n" => assert_eq!(said, "no dataset: cancelled"),
        // It was over before.
        other => assert_eq!(other, "Published\n"),
    }
    if cancelled == "Cancelled\n" {
        assert_eq!(ask(address, "POST", "/start"), "started\n");
        digest(&line());
    }
    service.kill().expect("it goes on for ever");
    service.wait().expect("ended");
}
