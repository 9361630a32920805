//! `--serve`: the live page of a run, its state as JSON, and its metrics for Prometheus.
//!
//! It only reads. It runs on a thread of its own, so a slow reader cannot slow the run. A request
//! must name a host that is this one: a page from elsewhere that has its own name point here (DNS
//! rebinding) is refused.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
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
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::exit::CliError;
use crate::pipeline::Controller;
use crate::telemetry::{View, metrics, report};

/// How often a live page is told how the run is.
const EVERY: Duration = Duration::from_millis(500);

/// How long the server stays after the run, for pages to be told its end.
const LINGER: Duration = Duration::from_secs(2);

/// Nothing from elsewhere is loaded by the page, and nobody frames it.
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
        let (leave, left) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // Either way the run has ended.
            let _ = stopped.await;
            drop(leave);
        });
        tokio::select! {
            served = serving => served,
            // A page that does not go away is not waited for.
            () = async { let _ = left.await; tokio::time::sleep(LINGER).await } => Ok(()),
        }
    }
}

impl Serving {
    /// The run has ended: tells the pages that are open, and stops.
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
    serde_json::to_string(view).unwrap_or_default()
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
    use super::*;

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
