//! A server that answers whatever a test says, and the Kusto client in front of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Requests, Sender, channel};
use std::time::Duration;

use gleaner::azure::Credential;
use gleaner::domain::json::Value;
use gleaner::domain::record::row::MalformedReason;
use gleaner::domain::scheduling::chunk::{Chunk, HashChunk};
use gleaner::source::SourceError;
use gleaner::source::kusto::client::{KustoClient, Receiver, Stop};
use gleaner::source::kusto::error::{Attempt, Failure, Purpose};
use gleaner::source::kusto::frames::{Column, TableSink};
use gleaner::source::kusto::query_file::QueryFile;
use gleaner::source::kusto::settings::{CensusMode, Kusto};

/// What the requests are for.
pub const PURPOSE: Purpose = Purpose {
    query: "census",
    attempt: Some(Attempt {
        chunk: Chunk::Hash(HashChunk {
            count: 40,
            index: 7,
            depth: 0,
        }),
        number: 1,
    }),
};

/// What the server does with a request.
#[derive(Clone)]
pub struct Reply {
    /// Status line, headers and body as they go over the wire.
    pub bytes: Vec<u8>,
    /// Sent in pieces of this size.
    pub piece: usize,
    /// What comes then, until the client goes.
    pub then: Then,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    Close,
    /// Nothing, but the connection stays open.
    Hold,
    /// A blank now and then.
    Drip,
}

impl Reply {
    pub fn new(status: u16, headers: &str, body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\nx-ms-activity-id: act-1\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Self {
            bytes,
            piece: usize::MAX,
            then: Then::Close,
        }
    }

    pub fn ok(body: &[u8]) -> Self {
        Self::new(200, "", body)
    }

    /// Only the first bytes of the body come.
    pub fn cut(mut self, by: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - by);
        self
    }

    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

pub fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).ok().filter(|&n| n > 0)?;
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |n| n.trim().parse().expect("a length"));
            if request.len() >= end + 4 + length {
                return Some(text);
            }
        }
    }
}

/// Answers requests in turn; gives the address, and the requests as they come.
pub fn serve(address: &str, replies: Vec<Reply>) -> (String, Requests<String>) {
    let listener = TcpListener::bind(address).expect("a free port");
    let local = listener.local_addr().expect("an address");
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        for reply in replies {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let Some(request) = read_request(&mut stream) else {
                continue;
            };
            // Each piece goes on its own.
            stream.set_nodelay(true).expect("a setting");
            // A test that is over asks for nothing any more.
            let _ = seen.send(request);
            for piece in reply.bytes.chunks(reply.piece) {
                if stream
                    .write_all(piece)
                    .and_then(|()| stream.flush())
                    .is_err()
                {
                    break;
                }
            }
            match reply.then {
                Then::Close => {}
                Then::Hold => {
                    let mut rest = Vec::new();
                    let _ = stream.read_to_end(&mut rest);
                }
                Then::Drip => {
                    while stream.write_all(b" ").is_ok() {
                        std::thread::park_timeout(Duration::from_millis(5));
                    }
                }
            }
        }
    });
    (format!("http://{local}"), requests)
}

#[derive(Debug, Default)]
pub struct Rows {
    /// Gets a message when the columns of a table have come.
    pub begun: Option<Sender<()>>,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl TableSink for Rows {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        self.columns = columns.iter().map(|column| column.name.clone()).collect();
        if let Some(begun) = &self.begun {
            begun.send(()).expect("the test waits for it");
        }
        Ok(())
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        let text = |cell: &Value<'_>| String::from_utf8_lossy(cell.text).into_owned();
        self.rows.push(cells.iter().map(text).collect());
        Ok(())
    }

    fn reject(&mut self, _: &[Value<'_>], _: MalformedReason) -> Result<(), Failure> {
        Ok(())
    }
}

impl Receiver for Rows {
    type Sink = Self;

    fn sink(&mut self) -> &mut Self {
        self
    }

    async fn pass_on(&mut self) -> Result<(), SourceError> {
        Ok(())
    }
}

pub fn settings(cluster: String) -> Kusto {
    let query = QueryFile {
        path: "q.kql".into(),
        text: String::new(),
    };
    Kusto {
        cluster,
        database: "db".to_owned(),
        census: query.clone(),
        query,
        credential: Credential::None,
        trusted_hosts: Vec::new(),
        passes: 2,
        census_mode: CensusMode::Full,
        server_timeout: Duration::from_secs(60),
        client_timeout: Duration::from_secs(60),
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

pub fn ask(settings: &Kusto) -> Result<Rows, Failure> {
    let client = KustoClient::new(settings).expect("an address");
    let asked = client.query(PURPOSE, "T | take \"1\"", 1 << 20, Rows::default());
    let answered = runtime().block_on(asked).map(|answered| answered.receiver);
    answered.map_err(|stop| match stop {
        Stop::Failed(error) => {
            let text = error.to_string();
            assert!(text.contains("chunk h40-7 (attempt 1)"), "{text}");
            assert!(text.contains("gleaner;"), "{text}");
            error.source
        }
        Stop::Source(error) => panic!("{error}"),
    })
}

pub fn ask_for(replies: Vec<Reply>) -> Result<Rows, Failure> {
    let (cluster, _requests) = serve("127.0.0.1:0", replies);
    ask(&settings(cluster))
}
