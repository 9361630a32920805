//! The Kusto client against a server that answers whatever the test says: every kind of answer, cut
//! in any way, each with the action that it must lead to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver as Requests, channel};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use gleaner::config::queries::QueryFile;
use gleaner::config::settings::{Credential, Kusto};
use gleaner::domain::json::Value;
use gleaner::domain::row::MalformedReason;
use gleaner::source::kusto::client::{KustoClient, Purpose, Receiver, Stop};
use gleaner::source::kusto::error::Failure;
use gleaner::source::kusto::frames::{Column, TableSink};
use gleaner::source::{Action, SourceError};

/// What the server does with a request.
#[derive(Clone)]
struct Reply {
    /// Status line, headers and body as they go over the wire.
    bytes: Vec<u8>,
    /// Sent in pieces of this size.
    piece: usize,
    /// Then nothing more comes, and the connection stays open until the client goes.
    hold: bool,
}

impl Reply {
    fn new(status: u16, headers: &str, body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\nx-ms-activity-id: act-1\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Self {
            bytes,
            piece: usize::MAX,
            hold: false,
        }
    }

    fn ok(body: &[u8]) -> Self {
        Self::new(200, "", body)
    }

    /// Only the first bytes of the body come.
    fn cut(mut self, by: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - by);
        self
    }

    fn hold(mut self) -> Self {
        self.hold = true;
        self
    }
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
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
fn serve(address: &str, replies: Vec<Reply>) -> (String, Requests<String>) {
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
            if reply.hold {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest);
            }
        }
    });
    (format!("http://{local}"), requests)
}

#[derive(Debug, Default)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl TableSink for Rows {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        self.columns = columns.iter().map(|column| column.name.clone()).collect();
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

fn settings(cluster: String) -> Kusto {
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
        passes: 2,
        server_timeout: Duration::from_secs(60),
        client_timeout: Duration::from_secs(60),
    }
}

fn ask(settings: &Kusto) -> Result<Rows, Failure> {
    let purpose = Purpose {
        query: "census",
        of: " of chunk h40-7 (attempt 1)".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let client = KustoClient::new(settings).expect("an address");
    let asked = client.query(&purpose, "T | take \"1\"", 1 << 20, Rows::default());
    let answered = runtime.block_on(asked).map(|answered| answered.receiver);
    answered.map_err(|stop| match stop {
        Stop::Failed(error) => {
            let text = error.to_string();
            assert!(text.contains("chunk h40-7 (attempt 1)"), "{text}");
            assert!(text.contains("gleaner;"), "{text}");
            error.failure
        }
        Stop::Source(error) => panic!("{error}"),
    })
}

fn ask_for(replies: Vec<Reply>) -> Result<Rows, Failure> {
    let (cluster, _requests) = serve("127.0.0.1:0", replies);
    ask(&settings(cluster))
}

const ANSWER: &str = r#"[{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0"}
,{"FrameType":"TableHeader","TableId":1,"TableKind":"PrimaryResult","TableName":"t","Columns":[{"ColumnName":"a","ColumnType":"string"}]}
,{"FrameType":"TableFragment","TableFragmentType":"DataAppend","TableId":1,"Rows":[["x"],["y"]]}
,{"FrameType":"TableCompletion","TableId":1,"RowCount":2}
,{"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}
]
"#;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body).expect("memory");
    packed.finish().expect("memory")
}

#[test]
fn a_request_says_what_it_should() {
    let (cluster, requests) = serve("127.0.0.1:0", vec![Reply::ok(ANSWER.as_bytes())]);
    let rows = ask(&settings(format!("{cluster}/subscriptions/a/"))).expect("whole");
    assert_eq!(rows.rows, [["\"x\""], ["\"y\""]]);
    let request = requests.recv().expect("one request");
    assert!(
        request.starts_with("POST /subscriptions/a/v2/rest/query HTTP/1.1\r\n"),
        "{request}"
    );
    for header in [
        "accept: application/json",
        "accept-encoding: gzip",
        "content-type: application/json; charset=utf-8",
        "x-ms-version: 2024-12-12",
        "x-ms-client-request-id: gleaner;",
    ] {
        assert!(
            request.to_lowercase().contains(header),
            "{header}: {request}"
        );
    }
    assert!(
        !request.to_lowercase().contains("authorization"),
        "{request}"
    );
    let body = request.split("\r\n\r\n").nth(1).expect("a body");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["csl"], "T | take \"1\"");
    let options = &body["properties"]["Options"];
    assert_eq!(options["servertimeout"], "00:01:00");
    assert_eq!(options["notruncation"], true);
    assert_eq!(options["results_error_reporting_placement"], "end_of_table");
    assert!(options.get("results_progressive_enabled").is_none());
}

#[test]
fn answers_packed_cut_or_lying() {
    let whole = |reply: Reply| ask_for(vec![reply]).map(|rows| rows.rows.len());
    let packed = gzip(ANSWER.as_bytes());
    let as_gzip = |body: &[u8]| Reply::new(200, "content-encoding: gzip\r\n", body);
    assert_eq!(whole(as_gzip(&packed)), Ok(2));
    let mut in_pieces = as_gzip(&packed);
    in_pieces.piece = 1;
    assert_eq!(whole(in_pieces), Ok(2));
    let retry = |reply: Reply| {
        let failure = ask_for(vec![reply]).expect_err("void");
        assert_eq!(failure.action(), Action::Retry, "{failure}");
    };
    // Cut, with a length that says so and with one that does not.
    retry(as_gzip(&packed[..packed.len() - 4]));
    retry(as_gzip(&packed).cut(4));
    retry(as_gzip(ANSWER.as_bytes()));
    retry(Reply::new(
        200,
        "content-encoding: br\r\n",
        ANSWER.as_bytes(),
    ));
    retry(Reply::ok(ANSWER.as_bytes()).cut(3));
    retry(Reply::ok(&ANSWER.as_bytes()[..ANSWER.len() - 3]));
    let mut flipped = packed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    retry(as_gzip(&flipped));
    // No answer at all.
    retry(Reply::new(204, "", b""));
    retry(Reply::ok(b""));
    retry(Reply::ok(b"<html><body>Sign in</body></html>"));
    retry(Reply {
        bytes: Vec::new(),
        piece: 1,
        hold: false,
    });
}

#[test]
fn a_status_leads_to_its_action() {
    let action = |status, headers: &str, body: &str| {
        let reply = Reply::new(status, headers, body.as_bytes());
        ask_for(vec![reply.clone(), reply])
            .expect_err("refused")
            .action()
    };
    let throttle = |seconds: Option<u64>| Action::Throttle {
        retry_after: seconds.map(Duration::from_secs),
    };
    assert_eq!(
        action(429, "retry-after: 17\r\n", "slow down"),
        throttle(Some(17))
    );
    assert_eq!(action(429, "", ""), throttle(None));
    assert_eq!(action(503, "", ""), Action::Retry);
    assert_eq!(action(504, "", ""), Action::Split);
    assert_eq!(action(403, "", "no"), Action::Fail);
    assert_eq!(action(400, "", "Syntax error"), Action::Fail);
    assert_eq!(
        action(302, "location: http://elsewhere/\r\n", ""),
        Action::Fail
    );
    assert_eq!(action(401, "", ""), Action::Fail);
}

#[test]
fn a_login_that_is_refused_is_renewed_once() {
    let refused = Reply::new(401, "", b"");
    let rows = ask_for(vec![refused, Reply::ok(ANSWER.as_bytes())]).expect("then it is good");
    assert_eq!(rows.rows.len(), 2);
}

#[test]
fn a_server_that_goes_quiet_is_left_at_the_deadline() {
    let quiet = |reply: Reply| {
        let (cluster, _requests) = serve("127.0.0.1:0", vec![reply.hold()]);
        let settings = Kusto {
            client_timeout: Duration::from_millis(300),
            ..settings(cluster)
        };
        ask(&settings).expect_err("nothing more comes")
    };
    // Nothing at all: another try may find the server awake.
    let silent = Reply {
        bytes: Vec::new(),
        piece: 1,
        hold: true,
    };
    assert_eq!(quiet(silent).action(), Action::Retry);
    // A part of an answer: it takes too long, so less is asked for.
    let some = Reply::ok(ANSWER.as_bytes()).cut(100);
    assert_eq!(quiet(some).action(), Action::Split);
}

#[test]
fn nobody_there_is_worth_another_try_and_ipv6_is_an_address_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let failure = ask(&settings(format!("http://{address}"))).expect_err("nobody there");
    assert_eq!(failure.action(), Action::Retry, "{failure}");
    let (cluster, _requests) = serve("[::1]:0", vec![Reply::ok(ANSWER.as_bytes())]);
    assert!(ask(&settings(cluster)).is_ok());
}

#[test]
fn a_token_never_goes_over_plain_http() {
    for cluster in ["http://example.com", "ftp://example.com", "example.com", ""] {
        assert!(
            KustoClient::new(&settings(cluster.to_owned())).is_err(),
            "{cluster}"
        );
    }
    assert!(KustoClient::new(&settings("https://example.com/a/b".to_owned())).is_ok());
}

#[test]
fn a_login_that_cannot_be_says_what_to_set() {
    // Nobody listens there, and nobody is asked before there is something to log in with.
    let settings = Kusto {
        credential: Credential::ClientSecret,
        ..settings("https://localhost:9".to_owned())
    };
    for variable in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"] {
        assert!(
            std::env::var_os(variable).is_none(),
            "{variable} is set here"
        );
    }
    let failure = ask(&settings).expect_err("there is no secret");
    assert_eq!(failure.action(), Action::Fail);
    let told = failure.to_string();
    assert!(
        told.contains("set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"),
        "{told}"
    );
}

/// What a recorded answer must give.
enum Gives {
    Rows(usize),
    Not(Action),
}

/// Answers recorded by the official clients' own tests.
const RECORDED: [(&str, Gives); 26] = [
    ("go_v1_booleanInt.json", Gives::Not(Action::Retry)),
    ("go_v1_dataTypeOnly.json", Gives::Not(Action::Retry)),
    ("go_v1_error.txt", Gives::Not(Action::Retry)),
    ("go_v1_partialError.json", Gives::Not(Action::Retry)),
    ("go_v1_success.json", Gives::Not(Action::Retry)),
    ("go_v2_aliases.json", Gives::Rows(1)),
    ("go_v2_error.txt", Gives::Not(Action::Retry)),
    ("go_v2_partialError.json", Gives::Not(Action::Split)),
    ("go_v2_twoTables.json", Gives::Not(Action::Fail)),
    ("go_v2_validFrames.json", Gives::Rows(2)),
    ("py_adminthenquery.json", Gives::Not(Action::Retry)),
    ("py_alternative_order.json", Gives::Rows(11)),
    // Its last row has fewer cells than there are columns.
    ("py_dataframe.json", Gives::Not(Action::Retry)),
    ("py_deft.json", Gives::Rows(11)),
    ("py_deft_with_progressive_result.json", Gives::Rows(11)),
    ("py_dynamic.json", Gives::Rows(1)),
    ("py_null_values.json", Gives::Rows(1)),
    ("py_pandas_bool.json", Gives::Rows(3)),
    ("py_progressive_result.json", Gives::Rows(5)),
    (
        "py_query_partial_results_defer_is_false.json",
        Gives::Not(Action::Split),
    ),
    (
        "py_query_partial_results_defer_is_true.json",
        Gives::Not(Action::Split),
    ),
    (
        "py_versionshowcommandresult.json",
        Gives::Not(Action::Retry),
    ),
    ("py_zero_results.json", Gives::Rows(0)),
    ("rust_adminthenquery.json", Gives::Not(Action::Retry)),
    ("rust_dataframe.json", Gives::Rows(8)),
    ("README.md", Gives::Not(Action::Retry)),
];

#[test]
fn recorded_answers_are_read_right_or_refused_right() {
    let Ok(shared) = std::env::var("GLEANER_SHARED") else {
        eprintln!("GLEANER_SHARED is not set: the recorded answers were not read");
        return;
    };
    let folder = Path::new(&shared).join("kusto/fixtures");
    for (name, gives) in RECORDED {
        let body = std::fs::read(folder.join(name)).expect(name);
        for piece in [usize::MAX, 1, 7, 4096] {
            let mut reply = Reply::ok(&body);
            reply.piece = piece;
            let found = ask_for(vec![reply]);
            match (&gives, &found) {
                (Gives::Rows(rows), Ok(found)) => {
                    assert_eq!(found.rows.len(), *rows, "{name} in pieces of {piece}");
                }
                (Gives::Not(action), Err(failure)) => {
                    assert_eq!(
                        failure.action(),
                        *action,
                        "{name} in pieces of {piece}: {failure}"
                    );
                }
                (_, Ok(found)) => panic!("{name} gave {} rows", found.rows.len()),
                (_, Err(failure)) => panic!("{name} in pieces of {piece}: {failure}"),
            }
        }
    }
}
