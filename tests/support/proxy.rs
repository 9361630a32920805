//! A proxy in front of the storage emulator that fails on demand, and checks what the emulator does
//! not: a block's CRC-64.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::blob::{ask, host};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset after this many bytes of the body.
    Reset(usize),
    /// This status, after the body, with a Retry-After of a second if told so.
    Status(u16, &'static str, bool),
    /// This status, and what was asked is sent back: the address with its signature as the code of the
    /// error, its message, an id and an address to go to.
    Echo(u16),
    /// No answer.
    Hang,
    /// The service does it, its answer is lost.
    LostReply,
    /// The service does it, its answer breaks off before its last byte.
    CutReply,
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
    Any,
    Block,
    Commit,
    Manifest,
    Release,
    /// Answers with bytes of files.
    Download,
}

impl On {
    fn fits(self, line: &str) -> bool {
        let put = line.starts_with("PUT");
        match self {
            Self::Any => true,
            Self::Block => put && line.contains("comp=block&"),
            Self::Commit => put && line.contains("comp=blocklist"),
            Self::Manifest => put && line.contains("metadata.json"),
            Self::Release => line.starts_with("DELETE"),
            Self::Download => line.starts_with("GET") && line.contains("%2Fd%2F"),
        }
    }
}

/// A fault for the requests of a kind from the n-th on, so many times.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub on: On,
    pub skip: usize,
    pub times: usize,
    pub fault: Fault,
}

/// As long as the plan is in force.
pub const ALWAYS: usize = usize::MAX;

/// A proxy; it ends with the process.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    fitting: usize,
    hits: usize,
    /// First lines, without what stands behind `sig=`.
    requests: Vec<String>,
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

    /// From now on; counts start again.
    pub fn fail(&self, plan: Option<Plan>) {
        *self.state.lock().expect("whole") = State {
            plan,
            ..State::default()
        };
    }

    /// How often the fault has happened.
    pub fn hits(&self) -> usize {
        self.state.lock().expect("whole").hits
    }

    /// Requests of a kind that came.
    pub fn count(&self, on: On) -> usize {
        let state = self.state.lock().expect("whole");
        state.requests.iter().filter(|line| on.fits(line)).count()
    }

    pub fn requests(&self) -> Vec<String> {
        self.state.lock().expect("whole").requests.clone()
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}/devstoreaccount1", self.address)
    }
}

impl State {
    /// Notes a request and says what happens to it.
    fn fault(&mut self, line: &str) -> Option<Fault> {
        let line = line.split("sig=").next().unwrap_or_default();
        self.requests.push(line.to_owned());
        let plan = self.plan.filter(|plan| plan.on.fits(line))?;
        self.fitting += 1;
        let hit = self.fitting > plan.skip && self.hits < plan.times;
        self.hits += usize::from(hit);
        hit.then_some(plan.fault)
    }
}

/// One request and its answer; the connection is then closed.
fn exchange(mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let head = read_head(&mut client)?;
    let line = head.lines().next().unwrap_or_default();
    let length = header(&head, "content-length").and_then(|value| value.parse().ok());
    let length = length.unwrap_or(0);
    let fault = state.lock().expect("whole").fault(line);
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
            return answer(&mut client, status, code, later);
        }
        Some(Fault::Echo(status)) => {
            return client.write_all(echo(line, status).as_bytes());
        }
        Some(Fault::Hang) => {
            // Until the client gives up.
            return client.read(&mut [0]).map(drop);
        }
        Some(Fault::Flip) => body[length / 2] ^= 1,
        Some(Fault::Delete) => {
            let container = line.split('/').nth(2).unwrap_or_default();
            ask(
                "DELETE",
                &format!("{container}?restype=container"),
                &[],
                b"",
            );
        }
        _ => {}
    }
    if header(&head, "x-ms-content-crc64").is_some_and(|reported| reported != base64(crc64(&body)))
    {
        return answer(&mut client, 400, "Crc64Mismatch", false);
    }
    let mut service = TcpStream::connect(host())?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    service.write_all(head.as_bytes())?;
    service.write_all(&body)?;
    let mut reply = Vec::new();
    service.read_to_end(&mut reply)?;
    match fault {
        Some(Fault::LostReply) => client.shutdown(Shutdown::Both),
        Some(Fault::CutReply) => client.write_all(&reply[..reply.len() - 1]),
        _ => client.write_all(&reply),
    }
}

/// An answer with the query of its request in every place.
fn echo(line: &str, status: u16) -> String {
    let asked = line.split(' ').nth(1).unwrap_or_default();
    let (_, query) = asked.split_once('?').unwrap_or_default();
    let plain = query.replace("%3D", "=").replace("%2B", "+");
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{plain}</Code><Message>{query}\n{plain}</Message></Error>"
    );
    format!(
        "HTTP/1.1 {status} {plain}\r\nx-ms-error-code: {query} {plain}\r\nx-ms-request-id: {plain}\r\nlocation: http://127.0.0.1:1/?{query}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn answer(client: &mut TcpStream, status: u16, code: &str, later: bool) -> std::io::Result<()> {
    let later = if later { "Retry-After: 1\r\n" } else { "" };
    let answer = format!(
        "HTTP/1.1 {status} Fault\r\n{later}x-ms-error-code: {code}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    client.write_all(answer.as_bytes())
}

fn read_head(client: &mut TcpStream) -> std::io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    Some(value.trim())
}

/// CRC-64/NVME from its definition, bit by bit; little endian, as the service writes it.
fn crc64(bytes: &[u8]) -> [u8; 8] {
    let mut crc = u64::MAX;
    for byte in bytes {
        crc ^= u64::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x9a6c_9329_ac4b_c9b5 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).to_le_bytes()
}

fn base64(bytes: [u8; 8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // 64 bits and two of padding are eleven digits.
    let bits = u128::from(u64::from_be_bytes(bytes)) << 2;
    let digit = |place: u32| char::from(DIGITS[(bits >> (6 * place)) as usize % 64]);
    let digits: String = (0..11).rev().map(digit).collect();
    digits + "="
}
