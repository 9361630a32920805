//! The storage emulator that `test.sh` starts, and a proxy in front of it that fails on demand.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Of the emulator's account, whose key everybody knows; until 2099.
pub const SIGNATURE: &str = "sv=2019-12-12&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&sig=YKAtmJudHaH98kax9IHOYkiCF9veHhGg4TBHNwluLXo%3D";

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset after this many bytes of the body.
    Reset(usize),
    /// This status, after the body, with a Retry-After of a second if told so.
    Status(u16, &'static str, bool),
    /// No answer.
    Hang,
    /// The service does it, its answer is lost.
    LostReply,
    /// A byte of the body is another.
    Flip,
    /// The body goes on at this many bytes a second.
    Slow(usize),
    /// The container is deleted first.
    Delete,
}

/// Which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Block,
    Commit,
    Manifest,
}

impl On {
    fn fits(self, line: &str) -> bool {
        line.starts_with("PUT")
            && match self {
                Self::Block => line.contains("comp=block&"),
                Self::Commit => line.contains("comp=blocklist"),
                Self::Manifest => line.contains("metadata.json"),
            }
    }
}

/// A fault for the requests of a kind from the n-th on, so many times.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub on: On,
    pub skip: u32,
    pub times: u32,
    pub fault: Fault,
}

/// A proxy; it ends with the process.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    hits: u32,
    blocks: u32,
}

impl Proxy {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that goes away ends the exchange.
                thread::spawn(move || exchange(client, &state).ok());
            }
        });
        Self { address, state }
    }

    /// From now on.
    pub fn fail(&self, plan: Option<Plan>) {
        *self.state.lock().expect("whole") = State {
            plan,
            ..State::default()
        };
    }

    /// How often the fault has happened.
    pub fn hits(&self) -> u32 {
        let state = self.state.lock().expect("whole");
        state.plan.map_or(0, |plan| {
            state.hits.saturating_sub(plan.skip).min(plan.times)
        })
    }

    /// Blocks that came.
    pub fn blocks(&self) -> u32 {
        self.state.lock().expect("whole").blocks
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}/devstoreaccount1", self.address)
    }
}

pub fn emulator() -> String {
    std::env::var("GLEANER_TEST_AZURITE").unwrap_or_else(|_| {
        panic!("GLEANER_TEST_AZURITE is not set: run the tests with ./test.sh, which starts what they need")
    })
}

/// The emulator's answer to a small request: its status line.
pub fn ask(method: &str, path: &str) -> String {
    let host = emulator();
    let host = host
        .trim_start_matches("http://")
        .split('/')
        .next()
        .expect("a host")
        .to_owned();
    let mut stream = TcpStream::connect(&host).expect("the emulator");
    let head = format!(
        "{method} /devstoreaccount1/{path}&{SIGNATURE} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nx-ms-version: 2021-12-02\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// One request and its answer; the connection is then closed.
fn exchange(mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    let fault = {
        let mut state = state.lock().expect("whole");
        state.blocks += u32::from(On::Block.fits(&line));
        match state.plan {
            Some(plan) if plan.on.fits(&line) => {
                state.hits += 1;
                let hit = plan.skip < state.hits && state.hits <= plan.skip + plan.times;
                hit.then_some(plan.fault)
            }
            _ => None,
        }
    };
    let mut body = vec![0; length];
    match fault {
        Some(Fault::Reset(after)) => {
            client.read_exact(&mut body[..after.min(length)])?;
            // What is unread when it is closed makes it a reset.
            return Ok(());
        }
        Some(Fault::Slow(rate)) => {
            for piece in body.chunks_mut(rate / 10) {
                client.read_exact(piece)?;
                #[expect(clippy::disallowed_methods, reason = "a slow link is what is tested")]
                thread::sleep(Duration::from_millis(100));
            }
        }
        _ => client.read_exact(&mut body)?,
    }
    match fault {
        Some(Fault::Status(status, code, later)) => {
            let later = if later { "Retry-After: 1\r\n" } else { "" };
            let answer = format!(
                "HTTP/1.1 {status} Fault\r\n{later}x-ms-error-code: {code}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            return client.write_all(answer.as_bytes());
        }
        Some(Fault::Hang) => {
            // Until the client gives up.
            return client.read(&mut byte).map(drop);
        }
        Some(Fault::Flip) => body[length / 2] ^= 1,
        Some(Fault::Delete) => {
            let container = line.split('/').nth(2).unwrap_or_default();
            ask("DELETE", &format!("{container}?restype=container"));
        }
        _ => {}
    }
    let host = emulator();
    let host = host
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap_or_default();
    let mut service = TcpStream::connect(host)?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    service.write_all(head.as_bytes())?;
    service.write_all(&body)?;
    let mut answer = Vec::new();
    service.read_to_end(&mut answer)?;
    if fault == Some(Fault::LostReply) {
        return client.shutdown(Shutdown::Both);
    }
    client.write_all(&answer)
}
