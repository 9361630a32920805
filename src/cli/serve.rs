//! `--serve`: the live page of a run, its state as JSON, and its metrics for Prometheus.
//!
//! It only reads. It runs on a thread of its own, so a slow reader cannot slow the run, and holds at
//! most 64 connections, so that it leaves the run its files; a peer has 5 s for the headers of a request.
//! It speaks HTTP/1 alone. A request must name a host that is this one: a page from elsewhere that has
//! its own name point here (DNS rebinding) is refused.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use super::exit::CliError;
use crate::pipeline::Controller;
use crate::telemetry::{View, metrics, report};

/// How often a live page gets the state of the run.
const EVERY: Duration = Duration::from_millis(500);

/// How long the server stays after the run, for pages to learn its end.
const LINGER: Duration = Duration::from_secs(2);

/// Connections at once; further ones wait in the system's queue. A browser opens six.
const MAX_CONNECTIONS: usize = 64;

/// How long a peer may take for the headers of a request, also for the first byte of the next one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest head of a request that is read.
const MAX_HEADERS: usize = 16 * 1024;

/// A pause after the system has refused a connection (too many open files, say).
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// The page loads nothing from elsewhere, and cannot be framed.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// An address that is taken, before there is a run.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    metrics: PrometheusHandle,
}

/// A server at work.
pub struct Serving {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Clone)]
struct Shown {
    run: Controller,
    metrics: PrometheusHandle,
    port: u16,
}

impl Server {
    /// Takes the address, and says where the page will be.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn bind(address: SocketAddr) -> Result<Self, CliError> {
        let refused = |error: std::io::Error| {
            CliError::usage(
                format!("cannot serve on {address}: {error}"),
                "choose another address with --serve, such as 127.0.0.1:0",
            )
        };
        let listener = std::net::TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if ::metrics::set_global_recorder(recorder).is_ok() {
            metrics::describe();
        }
        eprintln!("serving on http://{address}/ (metrics: http://{address}/metrics)");
        Ok(Self {
            listener,
            address,
            metrics: handle,
        })
    }

    /// Serves a run until [`Serving::finish`].
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(self, run: Controller) -> Result<Serving, CliError> {
        let (stop, stopped) = oneshot::channel::<()>();
        let life = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let served = runtime.and_then(|runtime| runtime.block_on(self.serve(run, stopped)));
            if let Err(error) = served {
                tracing::warn!(%error, "the live page is gone");
            }
        };
        let thread = std::thread::Builder::new().name("gleaner-serve".to_owned());
        let thread = thread.spawn(life).map_err(|error| {
            CliError::failure(
                format!("cannot start: {error}"),
                "check the system's limits",
            )
        })?;
        Ok(Serving { stop, thread })
    }

    async fn serve(self, run: Controller, stopped: oneshot::Receiver<()>) -> std::io::Result<()> {
        let shown = Shown {
            run,
            metrics: self.metrics,
            port: self.address.port(),
        };
        let router = Router::new()
            .route("/", get(page))
            .route("/events", get(events))
            .route("/status", get(status))
            .route("/metrics", get(prometheus))
            .layer(middleware::from_fn_with_state(shown.clone(), guard))
            .with_state(shown);
        let listener = TcpListener::from_std(self.listener)?;
        let connections = GracefulShutdown::new();
        tokio::select! {
            () = accept(listener, router, &connections) => {}
            // Either way the run has ended.
            _ = stopped => {}
        }
        // A page that does not go away is not waited for.
        let _ = tokio::time::timeout(LINGER, connections.shutdown()).await;
        Ok(())
    }
}

/// Takes connections, as many as may be open at once, for ever.
async fn accept(listener: TcpListener, router: Router, connections: &GracefulShutdown) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS);
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // How it ended is the peer's affair.
            let _ = connection.await;
            drop(slot);
        });
    }
}

impl Serving {
    /// The run has ended: informs the pages that are open, and stops.
    pub fn finish(self) {
        drop(self.stop);
        // Its end is all that matters here.
        let _ = self.thread.join();
    }
}

/// Refuses requests for another host, and sets the headers of all answers.
async fn guard(State(shown): State<Shown>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    let mut response = match host.is_some_and(|host| is_own(host, shown.port)) {
        true => next.run(request).await,
        false => (
            StatusCode::MISDIRECTED_REQUEST,
            "this host has another name: use the address that gleaner printed\n",
        )
            .into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Whether a `Host` header names this server: an address, which no name server can give away, or
/// `localhost`, with the port.
fn is_own(host: &str, port: u16) -> bool {
    let Ok(authority) = format!("http://{host}/").parse::<Uri>() else {
        return false;
    };
    let Some(authority) = authority.authority() else {
        return false;
    };
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_here = name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok();
    is_here
        && authority.port_u16().unwrap_or(80) == port
        && authority.as_str() == host
        && !host.contains('@')
}

async fn page() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        report::LIVE,
    )
}

async fn status(State(shown): State<Shown>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        json(&shown.run.status()),
    )
}

async fn prometheus(State(shown): State<Shown>) -> impl IntoResponse {
    metrics::publish(&shown.run.status());
    let text = shown.metrics.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn json(view: &View) -> String {
    // A view always serializes: its keys are strings and its numbers finite.
    let text = serde_json::to_string(view).unwrap_or_default();
    crate::secrets::redacted(text)
}

/// A view now and then, and one more when the run has ended: then it is over.
async fn events(State(shown): State<Shown>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    struct Watched {
        run: Controller,
        first: bool,
        over: bool,
    }
    let watched = Watched {
        run: shown.run,
        first: true,
        over: false,
    };
    let views = stream::unfold(watched, |mut watched| async move {
        if watched.over {
            return None;
        }
        if !std::mem::replace(&mut watched.first, false) {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = watched.run.ended() => {}
            }
        }
        let view = watched.run.status();
        watched.over = view.state.is_final();
        Some((Ok(Event::default().data(json(&view))), watched))
    });
    Sse::new(views).keep_alive(KeepAlive::default())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use super::*;

    /// A server whose one page waits for a permission; gives its address.
    async fn serving(router: Router) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            accept(listener, router, &GracefulShutdown::new()).await;
        });
        address
    }

    async fn send(address: SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a server");
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_its_headers_slowly_or_not_at_all_is_cut_off() {
        let address = serving(Router::new().route("/", get(page))).await;
        for sent in ["", "GET / HTTP/1.1\r\nHost: "] {
            let began = tokio::time::Instant::now();
            let mut stream = send(address, sent).await;
            let mut answer = Vec::new();
            // It may be reset.
            let _ = stream.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{sent:?}");
            let waited = began.elapsed();
            assert!(waited <= 2 * HEADER_TIMEOUT, "{sent:?}: {waited:?}");
        }
        let mut answer = String::new();
        let mut stream = send(address, REQUEST).await;
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn connections_are_limited_and_the_next_one_waits() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(0)));
        let (go, full) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
        let (counted, highest, permitted, filled) =
            (now.clone(), most.clone(), go.clone(), full.clone());
        let handler = move || async move {
            let open = counted.fetch_add(1, Ordering::SeqCst) + 1;
            {
                let mut highest = highest.lock().expect("no panic");
                *highest = open.max(*highest);
            }
            if open == MAX_CONNECTIONS {
                filled.notify_one();
            }
            permitted.acquire().await.expect("open").forget();
            counted.fetch_sub(1, Ordering::SeqCst);
        };
        let address = serving(Router::new().route("/", get(handler))).await;
        let mut streams = Vec::new();
        for _ in 0..MAX_CONNECTIONS + 9 {
            streams.push(send(address, REQUEST).await);
        }
        full.notified().await;
        go.add_permits(MAX_CONNECTIONS + 9);
        for mut stream in streams {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!(*most.lock().expect("no panic"), MAX_CONNECTIONS);
    }

    #[tokio::test]
    async fn only_http_1_is_spoken() {
        let address = serving(Router::new().route("/", get(page))).await;
        let mut stream = send(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let mut answer = Vec::new();
        // It may be reset.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{answer:?}"
        );
    }

    #[test]
    fn only_addresses_and_localhost_with_the_port_are_this_host() {
        for own in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "10.0.0.7:8080",
        ] {
            assert!(is_own(own, 8080), "{own}");
        }
        for other in [
            "evil.example:8080",
            "localhost",
            "localhost:80",
            "127.0.0.1.evil.example:8080",
            "localhost.evil.example:8080",
            "user@127.0.0.1:8080",
            "127.0.0.1:8080/x",
            "",
            "127.0.0.1:8080, evil.example:8080",
        ] {
            assert!(!is_own(other, 8080), "{other}");
        }
        assert!(
            is_own("127.0.0.1", 80),
            "the default port need not be written"
        );
    }
}
