//! The storage emulator that `test.sh` starts, and exports into it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::{Run, Sandbox};

/// Of the emulator's account, whose key everybody knows; until 2099.
pub const SIGNATURE: &str = "sv=2019-12-12&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&sig=YKAtmJudHaH98kax9IHOYkiCF9veHhGg4TBHNwluLXo%3D";
/// The same without the right to delete.
pub const KEEPING: &str = "sv=2019-12-12&ss=b&srt=sco&sp=rwlac&se=2099-01-01T00:00:00Z&sig=uatANjPzui4cezoLjnkUKbpKcCAVoA9UTmIKTuSzCMs%3D";
/// The same without the right to write.
pub const READING: &str = "sv=2019-12-12&ss=b&srt=sco&sp=rl&se=2099-01-01T00:00:00Z&sig=7Rw2roonwPIqsjG7r6moymYMTkdTaqWfwL7AbpSMvgk%3D";
/// It has expired.
pub const EXPIRED: &str = "sv=2019-12-12&ss=b&srt=sco&sp=rwdlac&se=2020-01-01T00:00:00Z&sig=9Fmk1%2BdAECwyNjP55SE6zDY0k1e6eXTeh6Kh2WGZOxA%3D";

pub fn emulator() -> String {
    std::env::var("GLEANER_TEST_AZURITE").unwrap_or_else(|_| {
        panic!("GLEANER_TEST_AZURITE is not set: run the tests with ./test.sh, which starts what they need")
    })
}

/// The emulator's host and port.
pub fn host() -> String {
    let address = emulator();
    let host = address.trim_start_matches("http://").split('/').next();
    host.expect("a host").to_owned()
}

/// The emulator's whole answer.
pub fn ask(method: &str, path: &str, headers: &[&str], body: &[u8]) -> String {
    let host = host();
    let mut stream = TcpStream::connect(&host).expect("the emulator");
    let more: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!(
        "{method} /devstoreaccount1/{path}&{SIGNATURE} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nx-ms-version: 2021-12-02\r\n{more}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Telemetry and targets that give files of several blocks.
const EXPORT: &str = "--name d --progress none --json --chunks 4 \
    --set source.kind=synthetic --set source.synthetic.conversations=400 --set source.synthetic.seed=7 \
    --set selection.targets.train={short=30,medium=20,long=10} \
    --set selection.targets.val={short=3,medium=3,long=2} --set selection.targets.test={short=3,medium=3,long=2}";

/// The same export into a folder: its digest.
pub fn in_a_folder(sandbox: &Sandbox, more: &[&str]) -> String {
    let mut args = vec!["export", "--out", "out", "--work-dir", "local-work"];
    args.extend(EXPORT.split_whitespace());
    args.extend(more);
    let run = sandbox.run(&args);
    run.expect(0);
    digest(&run)
}

/// The digest of that export, in a folder of its own.
pub fn undisturbed() -> String {
    in_a_folder(&Sandbox::new(), &[])
}

pub fn digest(run: &Run) -> String {
    let digest = run.json()["content_sha256"].as_str().map(str::to_owned);
    digest.expect("a digest")
}

/// A container of its own for each test, and how to reach it.
pub struct Blob<'a> {
    pub sandbox: &'a Sandbox,
    pub endpoint: String,
    pub container: String,
    pub signature: &'static str,
}

impl<'a> Blob<'a> {
    pub fn new(sandbox: &'a Sandbox, endpoint: String, container: &str) -> Self {
        let blob = Self {
            sandbox,
            endpoint,
            // Other test programs use the same emulator.
            container: format!("{}-{container}", env!("CARGO_CRATE_NAME").replace('_', "-")),
            signature: SIGNATURE,
        };
        blob.make();
        blob
    }

    pub fn make(&self) {
        let path = format!("{}?restype=container", self.container);
        let made = ask("PUT", &path, &[], b"");
        assert!(made.contains("201 Created"), "{made}");
    }

    /// Where a file of the dataset is, for `ask`.
    pub fn path(&self, file: &str) -> String {
        format!("{}/some/prefix/d/{file}", self.container)
    }

    /// The emulator's whole answer about a file of the dataset.
    pub fn ask(&self, method: &str, file: &str) -> String {
        ask(method, &format!("{}?", self.path(file)), &[], b"")
    }

    /// Whether a file of the dataset is there.
    pub fn has(&self, file: &str) -> bool {
        let answer = self.ask("HEAD", file);
        assert!(
            answer.contains(" 200 ") || answer.contains(" 404 "),
            "{answer}"
        );
        answer.contains(" 200 ")
    }

    /// Puts a file of others there.
    pub fn put(&self, file: &str, headers: &[&str], body: &[u8]) {
        let mut all = vec!["x-ms-blob-type: BlockBlob"];
        all.extend(headers);
        let answer = ask("PUT", &format!("{}?", self.path(file)), &all, body);
        assert!(answer.contains("201 Created"), "{answer}");
    }

    pub fn command(&self, args: &[&str], more: &[&str]) -> Command {
        let endpoint = format!("sink.azure_blob.endpoint={}", self.endpoint);
        let common = "--set sink.azure_blob.credential=sas --set sink.azure_blob.block=64KiB --set sink.azure_blob.checksum=md5";
        let mut all = args.to_vec();
        all.extend(["--set", &endpoint]);
        all.extend(common.split_whitespace());
        all.extend(more);
        let mut command = self.sandbox.command(&all);
        command.env("AZURE_STORAGE_SAS_TOKEN", self.signature);
        command.env("RUST_LOG", "debug");
        command
    }

    pub fn export_command(&self, more: &[&str]) -> Command {
        let out = format!("az://devstoreaccount1/{}/some/prefix", self.container);
        let mut args = vec!["export", "--out", &out, "--work-dir", "work"];
        args.extend(EXPORT.split_whitespace());
        self.command(&args, more)
    }

    pub fn export(&self, more: &[&str]) -> Run {
        run(self.export_command(more))
    }

    /// Exports, and is killed at the n-th time that a site is reached: `stage:3`.
    pub fn export_killed(&self, site: &str) {
        let mut command = self.export_command(&[]);
        command.envs(super::kill_at(site));
        let killed = run(command);
        assert_eq!(
            killed.code, None,
            "{site} was never reached: {}",
            killed.stderr
        );
    }

    pub fn verify(&self, more: &[&str]) -> Run {
        let dataset = format!("az://devstoreaccount1/{}/some/prefix/d", self.container);
        run(self.command(&["verify", &dataset, "--json"], more))
    }

    /// Publishes with the same command, and what is there is what a folder would have got.
    #[track_caller]
    pub fn finishes(&self, expected: &str, reported: &str) -> Run {
        let run = self.export(&[]);
        run.expect(0);
        assert_eq!(digest(&run), expected, "{reported}");
        self.verify(&[]).expect(0);
        assert!(!self.has(".claim.json"), "{reported}: the claim is left");
        run
    }
}

/// No signature is ever told.
pub fn run(mut command: Command) -> Run {
    let run: Run = command.output().expect("the binary runs").into();
    for text in [&run.stdout, &run.stderr] {
        for signature in [SIGNATURE, KEEPING, READING, EXPIRED] {
            let (_, secret) = signature.split_once("sig=").expect("a signature");
            assert!(
                !text.contains(&secret[..20]),
                "a signature was told: {text}"
            );
        }
    }
    run
}
