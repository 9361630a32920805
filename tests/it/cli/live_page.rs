//! The live page, its server and the report: the real binary, looked at in a real browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const CONFIG: &str = "
name = 'd'
source.kind = 'synthetic'
source.synthetic.conversations = 8000
[selection.targets]
train = { short = 80, medium = 80, long = 80 }
val = { short = 8, medium = 8, long = 8 }
test = { short = 8, medium = 8, long = 8 }
";

/// An export that is served, and where.
struct Served {
    export: Child,
    address: SocketAddr,
}

fn export(folder: &Path) -> Command {
    let config = folder.join("config.toml");
    std::fs::write(&config, CONFIG).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
    command
        .arg("export")
        .arg("--config")
        .arg(config)
        .arg("--out")
        .arg(folder.join("out"))
        .arg("--work-dir")
        .arg(folder.join("work"))
        .args(["--progress", "none"]);
    command
}

fn served(folder: &Path, more: &[&str]) -> Served {
    let mut command = export(folder);
    command
        .args(["--serve", "127.0.0.1:0", "--report"])
        .args(more)
        .stdout(Stdio::null());
    spawn(command)
}

fn spawn(mut command: Command) -> Served {
    let mut export = command.stderr(Stdio::piped()).spawn().expect("started");
    let mut line = String::new();
    let errors = export.stderr.as_mut().expect("piped");
    BufReader::new(errors).read_line(&mut line).expect("a line");
    let address = line
        .strip_prefix("serving on http://")
        .and_then(|rest| rest.split_once('/'))
        .unwrap_or_else(|| panic!("no address: {line}"));
    let address = address.0.parse().expect("an address");
    Served { export, address }
}

/// Looks at a page, and says what is wrong with it.
fn look(arguments: &[&str]) {
    let node = std::env::var_os("GLEANER_TEST_NODE").expect("run the tests with ./test.sh");
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    let looked = Command::new("node")
        .arg("tests/page/check.mjs")
        .args(arguments)
        .arg("--screenshots")
        .arg(shots)
        .env("GLEANER_TEST_NODE", node)
        .output()
        .expect("node");
    let reported = String::from_utf8_lossy(&looked.stderr);
    assert!(looked.status.success(), "{reported}");
}

#[test]
#[ignore = "needs Node and Chromium: run ./test.sh"]
fn the_page_shows_every_part_of_a_view_whatever_is_in_it() {
    look(&["--sample"]);
}

#[test]
#[ignore = "needs Node and Chromium: run ./test.sh"]
fn a_run_is_seen_live_and_its_report_shows_it_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    // A browser starts in seconds: the run has work for several times as long.
    let mut more = vec!["--set", "source.synthetic.conversations=60000"];
    more.extend([
        "--set",
        "privacy.secrets=report",
        "--set",
        "privacy.users=drop",
    ]);
    let mut served = served(folder.path(), &more);
    let url = format!("http://{}/", served.address);
    look(&["--url", &url, "--live"]);
    assert!(served.export.wait().expect("ended").success());
    for report in ["work/report.html", "out/d.report.html"] {
        let report = folder.path().join(report).display().to_string();
        look(&["--file", &report]);
    }
}

/// The whole answer to a request, as it comes.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn get(address: SocketAddr, path: &str, host: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
    )
}

#[test]
fn the_server_only_reads_and_only_for_its_own_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let Served {
        mut export,
        address,
    } = served(folder.path(), &[]);
    let own = address.to_string();
    let status = get(address, "/status", &own);
    assert!(
        status.starts_with("HTTP/1.1 200") && status.contains("\"dataset\":\"d\""),
        "{status}"
    );
    let metrics = get(address, "/metrics", &own);
    let (_, id) = metrics.split_once("run=\"").expect("a run");
    let run = format!(",run=\"{}\"", &id[..8]);
    let metrics = metrics.replace(&run, "");
    for name in [
        "# TYPE gleaner_rows_read_total counter",
        "gleaner_stratum_records{dataset=\"d\",stratum=\"train/short\",count=\"target\"} 80",
        "gleaner_actors{dataset=\"d\",role=\"fetcher\",state=\"busy\"}",
        "gleaner_state{dataset=\"d\",state=\"running\"}",
        "gleaner_in_flight_budget_bytes{dataset=\"d\"}",
    ] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    let page = get(address, "/", &own);
    assert!(
        page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    let localhost = format!("localhost:{}", address.port());
    assert!(get(address, "/", &localhost).starts_with("HTTP/1.1 200"));
    for host in [
        "evil.example",
        "evil.example:80",
        "",
        &format!("evil.example:{}", address.port()),
    ] {
        for path in ["/", "/status", "/events", "/metrics", "/nothing"] {
            let answer = get(address, path, host);
            assert!(
                !answer.starts_with("HTTP/1.1 200"),
                "{path} for {host:?}: {answer}"
            );
            assert!(!answer.contains("dataset"), "{path} for {host:?}: {answer}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = format!(
            "{method} /status HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = ask(address, &request);
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
    }
    assert!(get(address, "/../etc/passwd", &own).starts_with("HTTP/1.1 404"));
    assert!(export.wait().expect("ended").success());
}

/// More connections than the process may open files, each with half a request.
#[test]
fn slow_connections_do_not_disturb_the_run() {
    const CONNECTIONS: usize = 1100;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("allowed");
    let undisturbed = tempfile::tempdir().expect("a folder");
    let status = long_export(undisturbed.path(), &[]).status();
    assert!(status.expect("ran").success());

    let folder = tempfile::tempdir().expect("a folder");
    let command = long_export(folder.path(), &["--serve", "127.0.0.1:0"]);
    let Served {
        mut export,
        address,
    } = spawn(command);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    for _ in 0..CONNECTIONS {
        runtime.spawn(async move {
            let connected = tokio::net::TcpStream::connect(address).await;
            if let Ok(stream) = connected {
                // Held until the run has ended; it may be cut off before.
                let _ = stream.try_write(b"GET / HTTP/1.1\r\nHost: ");
                std::future::pending::<()>().await;
            }
        });
    }
    let opened = format!("/proc/{}/fd", export.id());
    let mut most = 0;
    while export.try_wait().expect("ours").is_none() {
        // It may end in between.
        most = most.max(std::fs::read_dir(&opened).map_or(0, Iterator::count));
        std::thread::yield_now();
    }
    let mut reported = String::new();
    let errors = export.stderr.as_mut().expect("piped");
    errors.read_to_string(&mut reported).expect("text");
    assert!(export.wait().expect("ended").success(), "{reported}");
    assert_eq!(reported, "");
    assert!((64..300).contains(&most), "{most} files were open");
    let read = |folder: &Path| {
        let text = std::fs::read(folder.join("out/d/metadata.json")).expect("published");
        let metadata: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        metadata["content_sha256"].clone()
    };
    assert_eq!(read(folder.path()), read(undisturbed.path()));
}

/// An export that takes some seconds and may open 1,024 files.
fn long_export(folder: &Path, more: &[&str]) -> Command {
    let export = export(folder);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 1024; exec \"$0\" \"$@\""])
        .arg(export.get_program())
        .args(export.get_args())
        .args(["--set", "source.synthetic.conversations=12000"])
        .args(more)
        .stdout(Stdio::null());
    command
}

#[test]
fn an_address_in_use_is_reported_before_the_run_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("free");
    let address = taken.local_addr().expect("an address").to_string();
    let refused = export(folder.path())
        .args(["--serve", &address])
        .output()
        .expect("ran");
    let reported = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{reported}");
    assert!(
        reported.contains(&format!("cannot serve on {address}")),
        "{reported}"
    );
    assert!(!folder.path().join("work").exists());
}
