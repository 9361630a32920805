//! One request to a cluster, from the token to the last byte of the answer.
//!
//! The body is read as it arrives and decoded on a blocking thread, some hundred kilobytes at a
//! time: neither an answer nor a chunk is ever held. Dropping the future cancels the request.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::address::holds_more;
use super::auth::Login;
use super::decode::Decoder;
use super::error::{Failure, KustoError, Purpose};
use super::frames::{Column, FrameReader, TableSink, damaged};
use super::trust::{is_monitor_proxy, is_trusted};
use crate::azure::{self, Credential, is_loopback};
use crate::domain::dataset::manifest::hex;
use crate::source::SourceError;
use crate::source::kusto::settings::Kusto;

mod answer;

use answer::{Read, header, read, refusal};

/// The longest server timeout that Kusto takes.
const LONGEST: Duration = Duration::from_secs(3600);

/// The longest query of an Azure Monitor proxy.
const PROXY_LONGEST: Duration = Duration::from_secs(600);

/// Talks to one database.
#[derive(Debug)]
pub struct KustoClient {
    http: Client,
    login: Login,
    address: Url,
    database: String,
    server_timeout: Duration,
    client_timeout: Duration,
    /// Columns of queries whose answers have them behind more rows than can be held.
    late_columns: Mutex<BTreeMap<&'static str, Vec<Column>>>,
}

/// An answer that did not give the result.
enum Ended<R> {
    /// It failed.
    Failed(Failure),
    /// The receiver failed.
    Source(SourceError),
    /// Its columns are known now, and the receiver has seen no row: the query is asked again.
    ColumnsLate(R),
}

impl<R> From<Failure> for Ended<R> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Takes what a request brings, piece by piece.
pub trait Receiver: Send + Sized + 'static {
    /// The type that takes the rows.
    type Sink: TableSink;

    /// Takes the rows of the next piece.
    fn sink(&mut self) -> &mut Self::Sink;

    /// Passes on the rows of a piece; the answer may still turn out to be void.
    /// A receiver that keeps them has nothing to do.
    fn pass_on(&mut self) -> impl Future<Output = Result<(), SourceError>> + Send {
        ready(Ok(()))
    }
}

/// The result of a request, with its ids.
#[derive(Debug)]
pub struct Answered<R> {
    /// The receiver, with the rows.
    pub receiver: R,
    trace: Trace,
}

impl<R> Answered<R> {
    /// The error of an answer that is whole, but not what it should be.
    pub fn fails(&self, failure: Failure) -> SourceError {
        SourceError::Kusto(self.trace.error(failure))
    }
}

/// The reasons why a request ended.
#[derive(Debug)]
pub enum Stop {
    /// The request failed.
    Failed(Box<KustoError>),
    /// The rows are no longer wanted, or cannot be taken.
    Source(SourceError),
}

impl From<Stop> for SourceError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(error) => Self::Kusto(error),
            Stop::Source(error) => error,
        }
    }
}

impl KustoClient {
    /// A client for the cluster of the settings.
    ///
    /// # Errors
    /// If its address is none, or is one that a token must not be sent to.
    pub fn new(settings: &Kusto) -> Result<Self, String> {
        let cluster: Url = settings
            .cluster
            .parse()
            .map_err(|error| format!("it is no address: {error}"))?;
        if holds_more(&cluster) {
            return Err(
                "it must be scheme, host and path alone: no name, no password, no ? and no #"
                    .to_owned(),
            );
        }
        let http = azure::http_client()
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(30))
            .tcp_keepalive(Duration::from_secs(60));
        let http = match (cluster.scheme(), is_loopback(&cluster)) {
            ("https", false) => http,
            ("http" | "https", true) => http.no_proxy(),
            ("http", false) => {
                return Err("it must be https: over plain http anyone could read along".to_owned());
            }
            _ => return Err("it must begin with https://".to_owned()),
        };
        let host = cluster.host_str().unwrap_or_default();
        let sends_token = cluster.scheme() == "https" && settings.credential != Credential::None;
        if sends_token && !is_trusted(host, &settings.trusted_hosts) {
            return Err(format!(
                "no token is sent to {host:?}: it is none of Kusto's or Azure Monitor's own hosts; if you trust it, add it to source.kusto.trusted_hosts, and if it needs no login, set source.kusto.credential to \"none\""
            ));
        }
        let http = http
            .build()
            .map_err(|error| format!("no client can be made: {}", describe_error(&error)))?;
        let mut address = cluster.clone();
        let path = format!("{}/v2/rest/query", cluster.path().trim_end_matches('/'));
        address.set_path(&path);
        let longest = match is_monitor_proxy(&cluster) {
            true => PROXY_LONGEST,
            false => LONGEST,
        };
        let server_timeout = settings.server_timeout.min(longest);
        // The difference of the client and server timeouts stays the same.
        let sooner = settings.server_timeout - server_timeout;
        Ok(Self {
            http,
            login: Login::new(cluster, settings.credential, settings.trusted_hosts.clone()),
            address,
            database: settings.database.clone(),
            server_timeout,
            client_timeout: settings.client_timeout.saturating_sub(sooner),
            late_columns: Mutex::default(),
        })
    }

    /// Whether it is no cluster but a program on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.address)
    }

    /// Whether the cluster is behind an Azure Monitor proxy, with its tighter limits.
    pub fn is_proxied(&self) -> bool {
        is_monitor_proxy(&self.address)
    }

    /// The client's own deadline for a request.
    pub fn client_timeout(&self) -> Duration {
        self.client_timeout
    }

    /// Logs in, if the cluster needs it.
    ///
    /// # Errors
    /// If that fails.
    pub async fn log_in(&self) -> Result<(), Failure> {
        let token = self.login.token(&self.http, false).await;
        token.map(drop).map_err(Failure::redacted)
    }

    /// Asks a query; its rows go to the receiver, which comes back when the answer was whole.
    ///
    /// # Errors
    /// With everything that an answer can fail with; what the receiver has passed on is then void.
    pub async fn query<R: Receiver>(
        &self,
        purpose: Purpose,
        csl: &str,
        max_row: u64,
        mut receiver: R,
    ) -> Result<Answered<R>, Stop> {
        // The second time the columns are known.
        loop {
            match self.query_once(purpose, csl, max_row, receiver).await {
                Ok(answered) => return Ok(answered),
                Err(Ok(stop)) => return Err(stop),
                Err(Err(again)) => receiver = again,
            }
        }
    }

    async fn query_once<R: Receiver>(
        &self,
        purpose: Purpose,
        csl: &str,
        max_row: u64,
        receiver: R,
    ) -> Result<Answered<R>, Result<Stop, R>> {
        let mut trace = Trace {
            purpose,
            request_id: String::new(),
            activity_id: None,
            received: 0,
        };
        trace.request_id =
            request_id().map_err(|failure| Ok(Stop::Failed(trace.error(failure))))?;
        let deadline = Instant::now() + self.client_timeout;
        let asked = self.ask(csl, max_row, receiver, &mut trace);
        let result = match timeout_at(deadline, asked).await {
            Ok(result) => result,
            Err(_) if trace.received == 0 => Err(Ended::Failed(Failure::Connection(format!(
                "no answer within {} s (source.kusto.client_timeout)",
                self.client_timeout.as_secs()
            )))),
            Err(_) => Err(Ended::Failed(Failure::ClientTimeout(self.client_timeout))),
        };
        tracing::debug!(%purpose, request_id = %trace.request_id, activity_id = trace.activity_id, bytes = trace.received, whole = result.is_ok(), "answered");
        match result {
            Ok(receiver) => Ok(Answered { receiver, trace }),
            Err(Ended::Source(source)) => Err(Ok(Stop::Source(source))),
            Err(Ended::Failed(failure)) => Err(Ok(Stop::Failed(trace.error(failure)))),
            Err(Ended::ColumnsLate(receiver)) => {
                tracing::debug!(%purpose, "the columns follow the rows: asked again, now that they are known");
                Err(Err(receiver))
            }
        }
    }

    async fn ask<R: Receiver>(
        &self,
        csl: &str,
        max_row: u64,
        receiver: R,
        trace: &mut Trace,
    ) -> Result<R, Ended<R>> {
        let response = self.answer(csl, trace).await?;
        let headers = response.headers();
        let encoding = header(headers, "content-encoding").unwrap_or_default();
        let packed = match encoding.to_ascii_lowercase().as_str() {
            "" | "identity" => false,
            "gzip" | "x-gzip" => true,
            _ => return Err(damaged(format!("it is encoded as {encoding:?}")).into()),
        };
        let expected = self.late_columns().get(trace.purpose.query).cloned();
        let is_expecting = expected.is_some();
        let frames = FrameReader::new(max_row).expecting(expected);
        let decoder = Decoder::new(packed, frames);
        let (failure, late, receiver) = match read(response, decoder, receiver, trace).await? {
            Read::Whole(receiver) => return Ok(receiver),
            Read::Refused(failure, late, receiver) => (failure, late, receiver),
        };
        let Some(columns) = late else {
            return Err(failure.into());
        };
        self.late_columns().insert(trace.purpose.query, columns);
        match is_expecting {
            // Rows were given away as rows of other columns.
            true => Err(failure.into()),
            false => Err(Ended::ColumnsLate(receiver)),
        }
    }

    fn late_columns(&self) -> MutexGuard<'_, BTreeMap<&'static str, Vec<Column>>> {
        // A poisoned lock guards a map that is whole all the same.
        let locked = self.late_columns.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the query; an answer with another status than 200 is a failure.
    async fn answer(&self, csl: &str, trace: &mut Trace) -> Result<Response, Failure> {
        let body = self.body(csl);
        for fresh in [false, true] {
            let token = self.login.token(&self.http, fresh).await?;
            let mut request = self
                .http
                .post(self.address.clone())
                .header("accept", "application/json")
                .header("accept-encoding", "gzip")
                .header("content-type", "application/json; charset=utf-8")
                .header("x-ms-app", "gleaner")
                .header(
                    "x-ms-client-version",
                    concat!("gleaner:", env!("CARGO_PKG_VERSION")),
                )
                .header("x-ms-client-request-id", &trace.request_id)
                .header("x-ms-version", "2024-12-12")
                .body(body.clone());
            if let Some(token) = token {
                request = request.bearer_auth(token.secret());
            }
            let response = request
                .send()
                .await
                .map_err(|error| Failure::Connection(describe_error(&error)))?;
            trace.activity_id = header(response.headers(), "x-ms-activity-id");
            let status = response.status().as_u16();
            match status {
                200 => return Ok(response),
                204 => return Err(damaged("it is empty (HTTP 204)")),
                401 if !fresh => continue,
                _ => return Err(refusal(response).await),
            }
        }
        Err(Failure::Unauthorized("no message".to_owned()))
    }

    fn body(&self, csl: &str) -> String {
        json!({
            "db": self.database,
            "csl": csl,
            "properties": {"Options": {
                "servertimeout": timespan(self.server_timeout),
                "notruncation": true,
                "request_readonly": true,
                "results_v2_newlines_between_frames": true,
                "results_v2_fragment_primary_tables": true,
                "results_error_reporting_placement": "end_of_table",
            }},
        })
        .to_string()
    }
}

/// The ids and the size of a request.
#[derive(Debug)]
struct Trace {
    purpose: Purpose,
    request_id: String,
    activity_id: Option<String>,
    received: u64,
}

impl Trace {
    fn error(&self, failure: Failure) -> Box<KustoError> {
        Box::new(KustoError {
            purpose: self.purpose,
            request_id: self.request_id.clone(),
            activity_id: self.activity_id.clone(),
            source: failure.redacted(),
        })
    }
}

fn request_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Connection(format!("the system gives no random id: {error}")))?;
    Ok(format!("gleaner;{}", hex(&bytes)))
}

/// An error of the connection with its causes, without the address.
pub(super) fn describe_error(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    match causes.is_empty() {
        true if error.is_timeout() => "timed out".to_owned(),
        true => "no cause is known".to_owned(),
        false => causes.join(": "),
    }
}

/// `hh:mm:ss`
fn timespan(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests;
