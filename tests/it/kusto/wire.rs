//! The Kusto client against a server that answers whatever the test says: every kind of answer, cut
//! in any way, each with the action that it must lead to.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::time::Duration;

use gleaner::azure::Credential;
use gleaner::source::Action;
use gleaner::source::kusto::client::{KustoClient, Stop};
use gleaner::source::kusto::settings::Kusto;

use crate::support::packed::gzip;
use crate::support::wire::{
    PURPOSE, Reply, Rows, Then, ask, ask_for, read_request, runtime, serve, settings,
};

const ANSWER: &str = r#"[{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0"}
,{"FrameType":"TableHeader","TableId":1,"TableKind":"PrimaryResult","TableName":"t","Columns":[{"ColumnName":"a","ColumnType":"string"}]}
,{"FrameType":"TableFragment","TableFragmentType":"DataAppend","TableId":1,"Rows":[["x"],["y"]]}
,{"FrameType":"TableCompletion","TableId":1,"RowCount":2}
,{"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}
]
"#;

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
    // Names of codings know no case, and a gzip file may have members.
    assert_eq!(
        whole(Reply::new(200, "content-encoding: GZIP\r\n", &packed)),
        Ok(2)
    );
    assert_eq!(
        whole(Reply::new(
            200,
            "content-encoding: identity\r\n",
            ANSWER.as_bytes()
        )),
        Ok(2)
    );
    let (begin, end) = ANSWER.as_bytes().split_at(100);
    assert_eq!(whole(as_gzip(&[gzip(begin), gzip(end)].concat())), Ok(2));
    let retry = |reply: Reply| {
        let failure = ask_for(vec![reply]).expect_err("void");
        assert_eq!(failure.action(), Action::Retry, "{failure}");
    };
    // Cut, with a length that says so and with one that does not.
    retry(as_gzip(&packed[..packed.len() - 4]));
    retry(as_gzip(&packed).cut(4));
    retry(as_gzip(&[gzip(begin), gzip(end)[..20].to_vec()].concat()));
    retry(as_gzip(&[&packed[..], b"more"].concat()));
    // Packed and not saying so, and the other way round.
    retry(Reply::ok(&packed));
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
        then: Then::Close,
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

/// How a query ends whose answer stands still: its deadline comes on a paused clock, once the server
/// has the request and, if the answer `begins`, the client has the first of it.
fn left(reply: Reply, begins: bool) -> Action {
    let (cluster, requests) = serve("127.0.0.1:0", vec![reply]);
    let client = KustoClient::new(&settings(cluster)).expect("an address");
    let (begun, has_begun) = channel();
    let rows = Rows {
        begun: Some(begun),
        ..Rows::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    let answered = runtime.expect("a runtime").block_on(async {
        // A paused clock stands still while a blocking task runs.
        let gate = tokio::task::spawn_blocking(move || {
            requests.recv().expect("a request");
            if begins {
                has_begun.recv().expect("the columns");
            }
        });
        let (answered, gate) = tokio::join!(client.query(PURPOSE, "T", 1 << 20, rows), gate);
        gate.expect("it was passed");
        answered
    });
    match answered.expect_err("no end comes") {
        Stop::Failed(error) => error.source.action(),
        Stop::Source(error) => panic!("{error}"),
    }
}

#[test]
fn a_server_that_does_not_come_to_an_end_is_left_at_the_deadline() {
    let silent = Reply {
        bytes: Vec::new(),
        piece: 1,
        then: Then::Hold,
    };
    // Longer than the pieces in which the client looks at an answer (512 KiB).
    let long = ANSWER.replace(r#"["y"]"#, &(" ".repeat(1 << 20) + r#"["y"]"#));
    let begun = Reply::ok(long.as_bytes()).cut(100);
    let refused = Reply::new(503, "", &[b'x'; 1000]).cut(500);
    // Nothing at all, or no more than a refusal: another try may find the server awake.
    assert_eq!(left(silent, false), Action::Retry);
    assert_eq!(left(refused.then(Then::Hold), false), Action::Retry);
    // A part of an answer, or one that comes too slowly: it takes too long, so less is asked for.
    assert_eq!(left(begun.then(Then::Hold), true), Action::Split);
    let mut endless = Reply::ok(&vec![b'x'; 1 << 24]).cut(1 << 24);
    endless.bytes.extend_from_slice(&long.as_bytes()[..1 << 20]);
    assert_eq!(left(endless.then(Then::Drip), true), Action::Split);
}

#[test]
fn a_connection_is_used_again_and_given_up_with_its_request() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let cluster = format!("http://{}", listener.local_addr().expect("an address"));
    let (left, gone) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("one connection");
        let reply = Reply::ok(ANSWER.as_bytes()).bytes;
        let reply = String::from_utf8(reply).expect("text");
        let reply = reply.replace("connection: close\r\n", "");
        for _ in 0..2 {
            read_request(&mut stream).expect("a request on the same connection");
            stream.write_all(reply.as_bytes()).expect("it is open");
        }
        read_request(&mut stream).expect("a third request");
        left.send(true).expect("the test goes on");
        // No answer comes; the client goes.
        left.send(read_request(&mut stream).is_some())
            .expect("the test goes on");
    });
    let settings = settings(cluster);
    let client = KustoClient::new(&settings).expect("an address");
    let ask = || client.query(PURPOSE, "T", 1 << 20, Rows::default());
    runtime().block_on(async {
        for _ in 0..2 {
            assert_eq!(ask().await.expect("whole").receiver.rows.len(), 2);
        }
        let asked = tokio::task::spawn_blocking(move || {
            assert!(gone.recv().expect("the third has come"));
            gone
        });
        tokio::select! {
            _ = ask() => panic!("nobody answers the third"),
            gone = asked => {
                let gone = gone.expect("it has come");
                // The future was dropped; its connection must go with it.
                let more = tokio::task::spawn_blocking(move || gone.recv()).await;
                assert_eq!(more.expect("an answer"), Ok(false));
            }
        }
    });
}

#[test]
fn a_redirect_is_not_followed_and_its_secrets_are_not_printed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
    elsewhere.set_nonblocking(true).expect("a setting");
    let address = elsewhere.local_addr().expect("an address");
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: http://me:hush@{address}/login?state=hush\r\n");
        let failure = ask_for(vec![Reply::new(status, &location, b"")]).expect_err("elsewhere");
        assert_eq!(failure.action(), Action::Fail, "{failure}");
        let reported = failure.to_string();
        assert!(
            reported.contains(&address.to_string()) && !reported.contains("hush"),
            "{reported}"
        );
    }
    let followed = elsewhere.accept().expect_err("nobody comes");
    assert_eq!(followed.kind(), std::io::ErrorKind::WouldBlock);
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
    for cluster in [
        "http://example.com",
        "ftp://example.com",
        "example.com",
        "",
        "https://name:password@example.com",
        "https://example.com/a?sig=b",
        "https://example.com/#b",
    ] {
        assert!(
            KustoClient::new(&settings(cluster.to_owned())).is_err(),
            "{cluster}"
        );
    }
    assert!(KustoClient::new(&settings("https://example.com/a/b".to_owned())).is_ok());
}

#[test]
fn a_token_goes_to_kusto_to_azure_monitor_and_to_trusted_hosts_alone() {
    let client = |cluster: &str, credential, trusted: &[&str]| {
        let rule = |rule: &&str| rule.parse().expect("a rule");
        KustoClient::new(&Kusto {
            credential,
            trusted_hosts: trusted.iter().map(rule).collect(),
            ..settings(cluster.to_owned())
        })
    };
    let login = Credential::DeveloperTools;
    for cluster in [
        "https://a.westeurope.kusto.windows.net",
        "https://A.Kusto.Windows.Net",
        "https://ade.loganalytics.io/subscriptions/a",
        "https://adx.monitor.azure.us/subscriptions/a",
        // No token goes there.
        "http://127.0.0.1:9",
    ] {
        assert!(client(cluster, login, &[]).is_ok(), "{cluster}");
    }
    for cluster in [
        "https://a.kusto.windows.net.example.com",
        "https://example.com",
        "https://127.0.0.1:9",
        "https://localhost:9",
    ] {
        let refused = client(cluster, login, &[]).expect_err(cluster);
        assert!(refused.contains("source.kusto.trusted_hosts"), "{refused}");
        assert!(client(cluster, Credential::None, &[]).is_ok(), "{cluster}");
    }
    let trusted = ["*.example.com", "127.0.0.1"];
    assert!(client("https://a.example.com", login, &trusted).is_ok());
    assert!(client("https://127.0.0.1:9", login, &trusted).is_ok());
    assert!(client("https://example.com", login, &trusted).is_err());
    assert!(client("http://a.example.com", login, &trusted).is_err());
}

#[test]
fn a_table_whose_columns_follow_its_rows_is_read_at_any_size() {
    let mut rows = String::new();
    for number in 0..9000 {
        let comma = if number == 0 { "" } else { "," };
        rows += &format!("{comma}[\"{number} {}\"]", "x".repeat(1000));
    }
    let body = format!(
        r#"[{{"FrameType":"DataSetHeader","Version":"v2.0"}},{{"FrameType":"DataTable","Rows":[{rows}],"Columns":[{{"ColumnName":"a","ColumnType":"string"}}],"TableKind":"PrimaryResult","TableId":1}},{{"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}}]"#
    );
    assert!(body.len() > 2 * (4 << 20));
    // The columns are learned from the first answer and hold for the second.
    for body in [body.clone().into_bytes(), gzip(body.as_bytes())] {
        let headers = match body[0] {
            b'[' => "",
            _ => "content-encoding: gzip\r\n",
        };
        let reply = Reply::new(200, headers, &body);
        let rows = ask_for(vec![reply.clone(), reply]).expect("whole");
        assert_eq!(rows.columns, ["a"]);
        assert_eq!(rows.rows.len(), 9000);
        let number = |row: &Vec<String>| row[0][1..].split(' ').next().map(str::to_owned);
        let in_order = rows.rows.iter().enumerate();
        assert!(
            in_order
                .into_iter()
                .all(|(at, row)| number(row) == Some(at.to_string()))
        );
    }
}

#[test]
fn a_login_that_cannot_be_says_what_to_set() {
    // Nobody listens there, and nobody is asked before there is something to log in with.
    let settings = Kusto {
        credential: Credential::ClientSecret,
        trusted_hosts: vec!["localhost".parse().expect("a host")],
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
    let reported = failure.to_string();
    assert!(
        reported.contains("set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"),
        "{reported}"
    );
}
