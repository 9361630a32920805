//! The emulator, as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::{Run, Sandbox, words};

/// A running emulator; it ends with the test.
pub struct Emulator {
    process: Child,
    pub address: String,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same telemetry in every test.
pub const CONVERSATIONS: u32 = 2000;

/// Of Copilot Chat telemetry, which has many rows.
pub const TELEMETRY_CONVERSATIONS: u32 = 700;

impl Emulator {
    /// Starts one that fails as `faults` says, on a port of its own, or on `port`.
    pub fn start(sandbox: &Sandbox, faults: &str, port: u16, more: &[&str]) -> Self {
        let file = sandbox.write("faults.toml", faults);
        let conversations = match more.contains(&"copilot_chat") {
            true => TELEMETRY_CONVERSATIONS,
            false => CONVERSATIONS,
        };
        let file = file.display().to_string();
        let (conversations, port) = (conversations.to_string(), port.to_string());
        let args = [
            "--conversations",
            &conversations,
            "--seed",
            "7",
            "--port",
            &port,
        ];
        Self::of(&[&args[..], &["--faults", &file], more].concat())
    }

    /// Starts one with so many conversations of turns, which are made as they are asked for.
    pub fn plain(conversations: u64) -> Self {
        Self::of(&[
            "--plain",
            "--conversations",
            &conversations.to_string(),
            "--port",
            "0",
        ])
    }

    fn of(args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_gleaner-kusto-emulator"))
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator starts");
        let out = process.stdout.take().expect("its output");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("its address");
        Self {
            process,
            address: address.to_owned(),
        }
    }

    pub fn port(&self) -> u16 {
        let (_, port) = self.address.rsplit_once(':').expect("a port");
        port.parse().expect("a port")
    }

    /// Exports from it to `out/d`.
    pub fn export(&self, sandbox: &Sandbox, more: &[&str]) -> Run {
        self.run("export", sandbox, more)
    }

    /// Plans that export.
    pub fn plan(&self, sandbox: &Sandbox) -> Run {
        self.run_plan(sandbox, &[])
    }

    /// Plans an export with more settings.
    pub fn run_plan(&self, sandbox: &Sandbox, more: &[&str]) -> Run {
        self.run("plan", sandbox, more)
    }

    /// Exports from it, and is killed at the n-th time that a site is reached: `seal:3`.
    pub fn export_killed(&self, sandbox: &Sandbox, site: &str, more: &[&str]) -> Run {
        let mut command = self.command("export", sandbox, more);
        command.envs(super::kill_at(site));
        command.output().expect("the binary runs").into()
    }

    fn run(&self, command: &str, sandbox: &Sandbox, more: &[&str]) -> Run {
        let mut command = self.command(command, sandbox, more);
        command.output().expect("the binary runs").into()
    }

    fn command(&self, command: &str, sandbox: &Sandbox, more: &[&str]) -> Command {
        let cluster = format!("source.kusto.cluster={}", self.address);
        let mut args = vec![command];
        args.extend(common(more).map(|arg| -> &str { arg }));
        args.extend(["--set", &cluster, "--set", "source.kind=kusto"]);
        if !more.contains(&"--schema") {
            args.extend(["--schema", "turns"]);
        }
        args.extend(more);
        sandbox.command(&args)
    }
}

const COMMON: &str = "--out out --name d --work-dir work --progress none --json --chunks 8 \
    --set selection.targets.train={short=150,medium=250,long=150} \
    --set selection.targets.val={short=15,medium=25,long=15} \
    --set selection.targets.test={short=15,medium=25,long=15} \
    --set sink.sort_keys=always \
    --set source.synthetic.conversations=2000 --set source.synthetic.seed=7";

/// All of the telemetry, unless a test wants another window.
fn common(more: &[&str]) -> impl Iterator<Item = &'static str> + use<> {
    let is_given = ["--window-last", "--window-start"].map(|flag| more.contains(&flag));
    let is_given = is_given.contains(&true);
    let window = "--window-start 2025-01-01T00:00:00Z --window-end 2025-06-01T00:00:00Z";
    let window = if is_given { "" } else { window };
    words(COMMON).into_iter().chain(words(window))
}

/// The same export without Kusto in between.
pub fn export_synthetic(sandbox: &Sandbox, more: &[&str]) -> Run {
    let mut args = vec!["export"];
    args.extend(words(COMMON));
    args.extend(["--set", "source.kind=synthetic"]);
    args.extend(more);
    sandbox.run(&args)
}

/// Passes requests on to an emulator, and counts the bytes that come back.
pub struct Meter {
    pub address: String,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    pub fn before(emulator: &Emulator) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (port, bytes) = (emulator.port(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&bytes);
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                let server = TcpStream::connect(("127.0.0.1", port)).expect("the emulator listens");
                let (asking, asked) = (client.try_clone(), server.try_clone());
                let (asking, asked) = (asking.expect("a socket"), asked.expect("a socket"));
                thread::spawn(move || pass_on(asking, asked, &AtomicU64::new(0)));
                thread::spawn(move || pass_on(server, client, &counted));
            }
        });
        Self { address, bytes }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        counted.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown(Shutdown::Write);
}
