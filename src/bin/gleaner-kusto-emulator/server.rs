//! The routes, and what goes wrong below the frames.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use gleaner::domain::record::timestamp::Ticks;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::answer::Asked;
use crate::faults::{Fault, Faults, Kind};
use crate::frames::{Form, StratumFill, Tables, Writer};

/// The largest request.
const REQUEST: usize = 1 << 20;

/// The server's data and state.
pub struct Server {
    /// The rows.
    pub tables: Arc<Tables>,
    /// The faults to inject.
    pub faults: Faults,
    /// The database's name.
    pub database: String,
    /// Whether answers are packed.
    pub gzip: bool,
    /// Whether every conversation gets another turn after the first request.
    pub arriving: bool,
    /// When that turn is written: where the rows of the first request end.
    pub arrival: OnceLock<Ticks>,
}

impl Server {
    /// When the rows were written that have arrived before a request.
    fn arrived(&self, asked: &Asked) -> Option<Ticks> {
        let end = asked.look_end.filter(|_| self.arriving)?;
        match self.arrival.set(end) {
            Ok(()) => None,
            Err(_) => self.arrival.get().copied(),
        }
    }
}

/// The service. A cluster's address may have a path before the route, so that is looked at here.
pub fn routes(server: Server) -> Router {
    Router::new().fallback(handle).with_state(Arc::new(server))
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if !path.ends_with("/v2/rest/query") {
        return refuse(404, "General_NotFound", &format!("no route {path}"), true);
    }
    let headers = request.headers().clone();
    let body = match axum::body::to_bytes(request.into_body(), REQUEST).await {
        Ok(body) => body,
        Err(error) => return refuse(400, "General_BadRequest", &error.to_string(), true),
    };
    match serde_json::from_slice::<Value>(&body) {
        Ok(asked) => answer(&server, &headers, &asked).await,
        Err(error) => refuse(400, "General_BadRequest", &error.to_string(), true),
    }
}

fn refuse(status: u16, code: &str, message: &str, permanent: bool) -> Response<Body> {
    let error = json!({"error": {"code": code, "message": "Request is invalid and cannot be executed.", "@type": "Kusto.Data.Exceptions", "@message": message, "@permanent": permanent}});
    respond(
        status,
        "application/json; charset=utf-8",
        &error.to_string(),
    )
}

fn respond(status: u16, kind: &str, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    set(response.headers_mut(), "content-type", kind);
    set(
        response.headers_mut(),
        "x-ms-activity-id",
        "emulated-activity",
    );
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

async fn answer(server: &Arc<Server>, headers: &HeaderMap, request: &Value) -> Response<Body> {
    let database = request["db"].as_str().unwrap_or_default();
    if ![server.database.as_str(), "NetDefaultDB"].contains(&database) {
        let message = format!("Database '{database}' not found");
        return refuse(400, "BadRequest_DatabaseNotExist", &message, true);
    }
    let mut asked = match Asked::parse(request["csl"].as_str().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => return refuse(400, "General_BadRequest", &message, true),
    };
    asked.arrived = server.arrived(&asked);
    let fault = server.faults.strike(&asked);
    if let Some(fault) = fault
        && let Some(response) = instead(fault).await
    {
        return response;
    }
    let takes_gzip = headers
        .get("accept-encoding")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let packed = server.gzip && takes_gzip;
    let mut response = Response::new(body(server, asked, form(request), fault, packed));
    let out = response.headers_mut();
    set(out, "content-type", "application/json; charset=utf-8");
    set(out, "x-ms-activity-id", "emulated-activity");
    if packed {
        set(out, "content-encoding", "gzip");
    }
    response
}

/// The official clients send the properties as a text.
fn form(request: &Value) -> Form {
    let properties = match &request["properties"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    let options = &properties["Options"];
    let is = |name: &str| match &options[name] {
        Value::Bool(is) => *is,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    Form {
        fragments: is("results_v2_fragment_primary_tables"),
        newlines: is("results_v2_newlines_between_frames"),
        placement: match options["results_error_reporting_placement"].as_str() {
            Some("end_of_table") => StratumFill::EndOfTable,
            Some("end_of_dataset") => StratumFill::EndOfDataset,
            _ => StratumFill::InData,
        },
    }
}

/// The answer that comes instead of one with rows.
async fn instead(fault: Fault) -> Option<Response<Body>> {
    Some(match fault.kind {
        Kind::Throttle => {
            let mut response = refuse(429, "TooManyRequests", "throttled", false);
            if let Some(seconds) = fault.retry_after {
                set(response.headers_mut(), "retry-after", &seconds.to_string());
            }
            response
        }
        Kind::Unavailable => refuse(503, "ServiceUnavailable", "unavailable", false),
        Kind::Internal => refuse(500, "Internal", "an internal error", false),
        Kind::GatewayTimeout => refuse(504, "RequestExecutionTimeout", "timed out", false),
        Kind::Unauthorized => refuse(401, "Unauthorized", "no bearer", false),
        Kind::Forbidden => refuse(403, "Forbidden", "not allowed", true),
        Kind::Semantic => refuse(400, "General_BadRequest", "Syntax error", true),
        Kind::PlainText => respond(400, "text/plain", "Bad request"),
        Kind::Html => respond(200, "text/html", "<html><body>Sign in</body></html>"),
        Kind::Empty => respond(200, "application/json", ""),
        Kind::NoContent => respond(204, "application/json", ""),
        Kind::Redirect => {
            let mut response = respond(302, "text/plain", "");
            set(response.headers_mut(), "location", "http://127.0.0.1:9/");
            response
        }
        Kind::Hang => std::future::pending().await,
        _ => return None,
    })
}

/// The body of an answer, made on a blocking thread while it is sent.
fn body(
    server: &Arc<Server>,
    asked: Asked,
    form: Form,
    fault: Option<Fault>,
    packed: bool,
) -> Body {
    let (pieces, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    let tables = Arc::clone(&server.tables);
    tokio::task::spawn_blocking(move || {
        let limit = fault
            .filter(|fault| matches!(fault.kind, Kind::Cut | Kind::Reset | Kind::Drip))
            .map(|fault| fault.after_bytes as usize);
        let mut packer = packed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let mut sent = 0;
        let mut send = |piece: Vec<u8>| {
            let piece = match &mut packer {
                Some(packer) => match packer.write_all(&piece) {
                    Ok(()) => std::mem::take(packer.get_mut()),
                    Err(_) => return false,
                },
                None => piece,
            };
            let room = limit.map_or(usize::MAX, |limit| limit.saturating_sub(sent));
            let whole = piece.len() <= room;
            let mut piece = Bytes::from(piece);
            piece.truncate(room);
            sent += piece.len();
            pieces.blocking_send(Ok(piece)).is_ok() && whole
        };
        let mut writer = Writer {
            form,
            fault: fault.map(|fault| fault.kind),
            send: &mut send,
        };
        writer.write(&tables, &asked);
        match fault.map(|fault| fault.kind) {
            Some(Kind::Reset) => {
                // The client may be gone before its connection breaks.
                let _ = pieces.blocking_send(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Some(Kind::Drip) => {
                // Open until the client has had enough.
                while !pieces.is_closed() {
                    std::thread::park_timeout(std::time::Duration::from_millis(20));
                }
            }
            Some(Kind::Cut) => {}
            _ => {
                if let Some(Ok(rest)) = packer.map(GzEncoder::finish) {
                    let _ = pieces.blocking_send(Ok(rest.into()));
                }
            }
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    Body::from_stream(pieces)
}
