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

fn served(folder: &Path) -> Served {
    let mut export = export(folder)
        .args(["--serve", "127.0.0.1:0", "--report"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
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
fn the_page_shows_every_part_of_a_view_whatever_is_in_it() {
    look(&["--sample"]);
}

#[test]
fn a_run_is_seen_live_and_its_report_shows_it_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut served = served(folder.path());
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
    } = served(folder.path());
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

#[test]
fn an_address_that_is_taken_is_told_before_anything_is_begun() {
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
