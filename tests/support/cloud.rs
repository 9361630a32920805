//! A storage emulator of its own that speaks https and takes tokens, and somebody who gives them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::Sandbox;

/// It ends with the test.
pub struct Cloud {
    logins: Child,
    storage: Child,
    /// Of the storage account.
    pub endpoint: String,
    /// Where logins go.
    pub authority: String,
    /// Whom both are certified by.
    pub ca: PathBuf,
    /// What every login gives.
    pub token: String,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        for process in [&mut self.logins, &mut self.storage] {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What `test.sh` installs.
pub fn tool(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run the tests with ./test.sh, which installs what they need")
    })
}

impl Cloud {
    pub fn start(sandbox: &Sandbox) -> Self {
        let mut logins = Command::new(tool("GLEANER_TEST_PYTHON"))
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/tools/identity.py"
            ))
            .arg(sandbox.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let reported: serde_json::Value =
            serde_json::from_str(&line(&mut logins, |_| true)).expect("JSON");
        let main = "/node_modules/azurite/dist/src/blob/main.js";
        let mut storage = Command::new("node")
            .arg(tool("GLEANER_TEST_NODE") + main)
            .args([
                "--blobHost",
                "127.0.0.1",
                "--blobPort",
                "0",
                "--oauth",
                "basic",
            ])
            .args([
                "--disableTelemetry",
                "--skipApiVersionCheck",
                "--inMemoryPersistence",
            ])
            .args(["--silent", "--cert", "cert.pem", "--key", "key.pem"])
            .current_dir(sandbox.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node");
        let listening = line(&mut storage, |line| line.contains("listens on https://"));
        let (_, address) = listening.split_once("listens on ").expect("an address");
        let address = address.trim().trim_end_matches('.');
        Self {
            endpoint: format!("{address}/devstoreaccount1"),
            authority: format!("https://127.0.0.1:{}", reported["port"]),
            ca: sandbox.path("ca.pem"),
            token: reported["token"].as_str().expect("a token").to_owned(),
            logins,
            storage,
        }
    }
}

/// The first line of its output that is wanted. The rest goes nowhere.
fn line(process: &mut Child, wanted: impl Fn(&str) -> bool) -> String {
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    let line = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| wanted(line));
    std::thread::spawn(move || lines.for_each(drop));
    line.expect("a line")
}
