use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

use azure_core::credentials::TokenRequestOptions;
use azure_core::error::{Error, ErrorKind};
use futures_util::future::{BoxFuture, ready};

use super::*;
use crate::source::Action;

/// Gives `1 SCOPE`, `2 SCOPE`, ... that last so many seconds; 0: refuses.
#[derive(Debug)]
struct Fake {
    given: Arc<AtomicU32>,
    seconds: Arc<AtomicU32>,
}

impl TokenCredential for Fake {
    fn get_token<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        scopes: &'b [&'c str],
        _: Option<TokenRequestOptions<'d>>,
    ) -> BoxFuture<'e, azure_core::Result<AccessToken>>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
        Self: 'e,
    {
        let seconds = self.seconds.load(Ordering::Relaxed);
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let ends =
            azure_core::time::OffsetDateTime::now_utc() + Duration::from_secs(u64::from(seconds));
        let token = AccessToken::new(format!("{number} {}", scopes.join(" ")), ends);
        Box::pin(ready(match seconds {
            0 => Err(Error::with_message(ErrorKind::Credential, "no\nluck")),
            _ => Ok(token),
        }))
    }
}

struct Scene {
    login: Login,
    client: Client,
    /// Tokens given.
    given: Arc<AtomicU32>,
    seconds: Arc<AtomicU32>,
    made: Arc<AtomicU32>,
    /// Paths that were asked for.
    asked: Receiver<String>,
}

/// A login at a cluster whose metadata are answered so, in turn.
fn scene(metadata: &[(u16, &str)]) -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let cluster = format!("http://{}/a/b", listener.local_addr().expect("an address"));
    let (seen, asked) = channel();
    let answers: Vec<String> = metadata
        .iter()
        .map(|(status, body)| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        })
        .collect();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                request.push(byte[0]);
            }
            // A test that is over asks for nothing any more.
            let _ = seen.send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let (given, seconds, made): (Arc<AtomicU32>, Arc<AtomicU32>, Arc<AtomicU32>) =
        Default::default();
    seconds.store(3600, Ordering::Relaxed);
    let (lasting, making) = (Arc::clone(&seconds), Arc::clone(&made));
    let counted = Arc::clone(&given);
    let login = Login {
        kind: Some(Credential::DeveloperTools),
        make: Box::new(move || {
            making.fetch_add(1, Ordering::Relaxed);
            Ok(Arc::new(Fake {
                given: Arc::clone(&given),
                seconds: Arc::clone(&lasting),
            }))
        }),
        cluster: cluster.parse().expect("an address"),
        trusted: vec!["kusto.gov".parse().expect("a rule")],
        state: Mutex::default(),
    };
    Scene {
        login,
        client: crate::azure::http_client()
            .no_proxy()
            .build()
            .expect("a client"),
        given: counted,
        seconds,
        made,
        asked,
    }
}

impl Scene {
    async fn token(&self, fresh: bool) -> Result<String, Failure> {
        let token = self.login.token(&self.client, fresh).await?;
        Ok(token.expect("one is needed").secret().to_owned())
    }

    fn last(&self, seconds: u32) {
        self.seconds.store(seconds, Ordering::Relaxed);
    }
}

const NOT_FOUND: (u16, &str) = (404, "");

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_it_ends_and_a_refused_one_is_not() {
    let scene = scene(&[NOT_FOUND]);
    let first = "1 https://kusto.kusto.windows.net/.default";
    assert_eq!(scene.token(false).await.as_deref(), Ok(first));
    assert_eq!(scene.token(false).await.as_deref(), Ok(first), "kept");
    assert!(scene.token(true).await.expect("another").starts_with("2 "));
    assert_eq!(scene.made.load(Ordering::Relaxed), 2, "with a new cache");
    scene.last(RENEW_BEFORE.as_secs() as u32 - 1);
    assert!(scene.token(true).await.expect("another").starts_with("3 "));
    assert!(
        scene.token(false).await.expect("another").starts_with("4 "),
        "renewed in time"
    );
    let request = scene.asked.recv().expect("the metadata");
    assert!(
        request.starts_with("GET /v1/rest/auth/metadata "),
        "{request}"
    );
    assert!(
        !request.to_lowercase().contains("authorization"),
        "{request}"
    );
}

#[tokio::test]
async fn a_login_that_has_worked_may_fail_for_a_while() {
    let scene = scene(&[NOT_FOUND]);
    scene.last(0);
    let failure = scene.token(false).await.expect_err("no login");
    assert_eq!(failure.action(), Action::Fail);
    let reported = failure.to_string();
    assert!(reported.contains("no luck; run `az login`"), "{reported}");
    scene.last(RENEW_BEFORE.as_secs() as u32 - 1);
    let token = scene.token(false).await.expect("a login");
    scene.last(0);
    assert_eq!(scene.token(false).await, Ok(token), "it still lasts");
    scene.last(LAST_USE.as_secs() as u32 - 1);
    scene.token(false).await.expect("a short one");
    scene.last(0);
    let failure = scene.token(false).await.expect_err("it lasts no more");
    assert_eq!(failure.action(), Action::Retry, "{failure}");
    let failure = scene.token(true).await.expect_err("nor is there another");
    assert_eq!(failure.action(), Action::Retry, "{failure}");
}

#[tokio::test]
async fn the_scope_is_what_the_cluster_names() {
    let named =
        r#"{"AzureAD":{"KustoServiceResourceId":"https://kusto.gov/","LoginEndpoint":"x"}}"#;
    for (metadata, scope) in [
        ((200, named), "https://kusto.gov/.default"),
        (NOT_FOUND, "https://kusto.kusto.windows.net/.default"),
        ((401, "no"), "https://kusto.kusto.windows.net/.default"),
    ] {
        let token = scene(&[metadata]).token(false).await.expect("a token");
        assert_eq!(token, format!("1 {scope}"));
    }
    // The cluster is not well: it may be asked again.
    for metadata in [(503, ""), (429, ""), (200, "<html>"), (200, "{}")] {
        let scene = scene(&[metadata, (200, named)]);
        let failure = scene.token(false).await.expect_err("no scope");
        assert_eq!(failure.action(), Action::Retry, "{failure}");
        assert_eq!(
            scene.token(false).await.as_deref(),
            Ok("1 https://kusto.gov/.default")
        );
    }
}

#[tokio::test]
async fn a_cluster_that_names_another_audience_gets_no_token() {
    for resource in [
        "https://management.azure.com/",
        "https://graph.microsoft.com",
        "https://kusto.windows.net.example.com",
    ] {
        let metadata = format!(r#"{{"AzureAD":{{"KustoServiceResourceId":"{resource}"}}}}"#);
        let scene = scene(&[(200, &metadata)]);
        let failure = scene.token(false).await.expect_err("none of Kusto's");
        assert_eq!(failure.action(), Action::Fail, "{failure}");
        assert!(failure.to_string().contains(resource), "{failure}");
        assert_eq!(scene.given.load(Ordering::Relaxed), 0, "{resource}");
    }
}

#[tokio::test]
async fn metadata_without_an_end_are_not_held() {
    let large = format!(
        r#"{{"x":"{}","AzureAD":{{"KustoServiceResourceId":"https://kusto.gov"}}}}"#,
        "x".repeat(MOST_METADATA)
    );
    let scene = scene(&[(200, &large)]);
    let failure = scene.token(false).await.expect_err("too large");
    assert!(failure.to_string().contains("64 KB"), "{failure}");
    assert_eq!(scene.given.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn where_none_is_needed_none_is_had() {
    let client = crate::azure::http_client().build().expect("a client");
    for (cluster, kind) in [
        ("http://127.0.0.1:9", Credential::DeveloperTools),
        ("https://localhost:9", Credential::None),
    ] {
        let login = Login::new(cluster.parse().expect("an address"), kind, Vec::new());
        assert_eq!(login.token(&client, false).await, Ok(None));
    }
}
