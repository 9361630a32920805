//! What can go wrong between gleaner and a cluster, and what to do about each.
//!
//! Every error names one [`Action`]; the supervisor does what it says and knows nothing of Kusto.
//! The table is that of Kusto's documentation of query limits and partial failures, with what its
//! own clients do where it is silent.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::domain::scheduling::chunk::Chunk;
use crate::secrets::redacted;
use crate::source::{Action, QUERY_HINT, RERUN};

/// Characters of a server's message that are shown.
const MESSAGE_CHARS: usize = 600;

/// The purpose of a request; every error names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// `census`, `chunk_checksum`, `payload`, `plan`, `sample`; `first` if it came to none.
    pub query: &'static str,
    /// The attempt on a chunk; `None` for requests without one.
    pub attempt: Option<Attempt>,
}

/// A try of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Of which chunk.
    pub chunk: Chunk,
    /// The number of the attempt on the chunk, from 1.
    pub number: u32,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} query", self.query)?;
        match self.attempt {
            Some(Attempt { chunk, number }) => write!(f, " of chunk {chunk} (attempt {number})"),
            None => Ok(()),
        }
    }
}

/// A request that did not bring what was asked for. Nothing of its answer is kept.
#[derive(Debug, Error)]
#[error("{purpose} failed{ids}", ids = Ids(.activity_id, .request_id))]
pub struct KustoError {
    /// The purpose of the request.
    pub purpose: Purpose,
    /// The id that gleaner gave the request; empty before there was one.
    pub request_id: String,
    /// The id that the server gave it, if it answered at all.
    pub activity_id: Option<String>,
    /// What happened.
    pub source: Failure,
}

struct Ids<'a>(&'a Option<String>, &'a str);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(activity) => write!(f, " (activity id {activity}, client request id {})", self.1),
            None if self.1.is_empty() => Ok(()),
            None => write!(f, " (client request id {})", self.1),
        }
    }
}

/// The failures of a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The cluster has enough to do.
    #[error("the cluster is throttling: {message}")]
    Throttled {
        /// The delay that the server asks for (`Retry-After`).
        retry_after: Option<Duration>,
        /// The message of the cluster.
        message: String,
    },
    /// The query took longer than the server allows.
    #[error("the query timed out on the server: {0}")]
    ServerTimeout(String),
    /// The client's own deadline has passed.
    #[error("no whole answer within {} s (source.kusto.client_timeout)", .0.as_secs())]
    ClientTimeout(Duration),
    /// The result is larger than the server gives.
    #[error("the result is too large: {0}")]
    TooLarge(String),
    /// The query used more than the server allows.
    #[error("runaway query: {0}")]
    Runaway(String),
    /// The cluster is short of memory.
    #[error("the cluster lacks memory: {0}")]
    LowMemory(String),
    /// The token was refused, also a fresh one.
    #[error("the cluster refuses the login (401): {0}")]
    Unauthorized(String),
    /// No token could be had.
    #[error("cannot log in: {0}")]
    Login(String),
    /// The cluster names an audience that is none of Kusto's.
    #[error("cannot log in: {0}")]
    Audience(String),
    /// No other token could be had, though one was had before.
    #[error("cannot log in again: {0}")]
    LoginAgain(String),
    /// The server says that asking again is no use.
    #[error("the server refuses the query: {0}")]
    Permanent(String),
    /// The server says something else, or is not well.
    #[error("the server fails: {0}")]
    Server(String),
    /// The connection could not be made, or broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The answer is not one, or not a whole one.
    #[error("the answer is damaged: {0}")]
    Damaged(String),
    /// The answer is whole, but its rows are not those that the chunk checksum counts.
    #[error(
        "the answer has {rows} conversations with checksum {sum}, the cluster counts {expected_rows} with {expected_sum}"
    )]
    NotAsCertified {
        /// Rows delivered.
        rows: u64,
        /// Their checksum.
        sum: u64,
        /// Rows by the chunk checksum.
        expected_rows: u64,
        /// Checksum by the chunk checksum.
        expected_sum: u64,
    },
    /// A row of another chunk or rank.
    #[error("{foreign} of {rows} rows do not belong to what was asked for")]
    Foreign {
        /// Rows of another chunk or rank.
        foreign: u64,
        /// All rows.
        rows: u64,
    },
    /// No row at all is where gleaner's own hash puts it.
    #[error(
        "all {0} rows belong elsewhere by gleaner's hash (xxHash64 of the id): does the query filter by hash(conversationId) % _chunks == _chunk?"
    )]
    OtherHash(u64),
    /// The cluster counts other conversations of a chunk than its census has.
    #[error(
        "chunk {chunk} has {found} conversations in its census, and {counted} or others by split and number of turns where the cluster counts them"
    )]
    Miscounted {
        /// The chunk.
        chunk: Chunk,
        /// Conversations of the census.
        found: u64,
        /// Conversations that are counted.
        counted: u64,
    },
    /// The query's columns are not those that gleaner needs.
    #[error("the query's result does not fit: {0}")]
    Columns(String),
}

impl Failure {
    /// An answer that has other rows than the cluster counts.
    pub fn not_as_certified(delivered: ChunkChecksum, expected: ChunkChecksum) -> Self {
        Self::NotAsCertified {
            rows: delivered.conversations,
            sum: delivered.checksum,
            expected_rows: expected.conversations,
            expected_sum: expected.checksum,
        }
    }

    /// The same without any secret that a server may have sent back.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        match &mut self {
            Self::Throttled { message: text, .. }
            | Self::ServerTimeout(text)
            | Self::TooLarge(text)
            | Self::Runaway(text)
            | Self::LowMemory(text)
            | Self::Unauthorized(text)
            | Self::Login(text)
            | Self::LoginAgain(text)
            | Self::Permanent(text)
            | Self::Server(text)
            | Self::Connection(text)
            | Self::Damaged(text)
            | Self::Audience(text)
            | Self::Columns(text) => *text = redacted(std::mem::take(text)),
            Self::ClientTimeout(_)
            | Self::NotAsCertified { .. }
            | Self::Foreign { .. }
            | Self::Miscounted { .. }
            | Self::OtherHash(_) => {}
        }
        self
    }

    /// What the pipeline does next.
    pub fn action(&self) -> Action {
        match self {
            Self::Throttled { retry_after, .. } => Action::Throttle {
                retry_after: *retry_after,
            },
            Self::ServerTimeout(_) | Self::ClientTimeout(_) => Action::Split,
            Self::TooLarge(_) | Self::Runaway(_) => Action::Split,
            Self::LowMemory(_) => Action::RetryThenSplit,
            Self::Server(_)
            | Self::LoginAgain(_)
            | Self::Connection(_)
            | Self::Damaged(_)
            | Self::NotAsCertified { .. }
            | Self::Miscounted { .. }
            | Self::Foreign { .. } => Action::Retry,
            Self::Unauthorized(_)
            | Self::Login(_)
            | Self::Audience(_)
            | Self::Permanent(_)
            | Self::OtherHash(_)
            | Self::Columns(_) => Action::Fail,
        }
    }
}

impl Failure {
    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Login(_) | Self::LoginAgain(_) | Self::Unauthorized(_) => {
                "log in, or set source.kusto.credential; then run the same command again: it resumes where it stopped"
            }
            Self::Audience(_) => {
                "check source.kusto.cluster; if it is yours and that is the right audience, add the audience's host to source.kusto.trusted_hosts"
            }
            Self::Permanent(_) => {
                "correct the cluster, the database, the query or your rights on them; what is sealed stays"
            }
            Self::Columns(_) | Self::OtherHash(_) => QUERY_HINT,
            Self::ServerTimeout(_)
            | Self::ClientTimeout(_)
            | Self::TooLarge(_)
            | Self::Runaway(_)
            | Self::LowMemory(_) => {
                "more and smaller chunks (--chunks) or a shorter window (--window-last) ask for less at once"
            }
            Self::NotAsCertified { .. } | Self::Foreign { .. } => {
                "let the window end earlier (window.ingestion_lag) so that late rows have arrived, or run the same command again"
            }
            Self::Miscounted { .. } => {
                "let the window end earlier (window.ingestion_lag) so that late rows have arrived, or take a census of all conversations: source.kusto.census_mode = \"full\""
            }
            Self::Connection(_) => {
                "check source.kusto.cluster and the network; then run the same command again: it resumes where it stopped"
            }
            Self::Throttled { .. } | Self::Server(_) | Self::Damaged(_) => RERUN,
        }
    }
}

/// The failure that an HTTP status and its body tell of.
pub fn of_status(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Failure {
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let error = parsed.as_ref().and_then(|value| value.get("error"));
    let message = match error {
        Some(error) => message_of(error),
        None => printable(body),
    };
    let message = format!("HTTP {status}: {message}");
    if let Some(failure) = error.and_then(|error| of_code(error, retry_after)) {
        return failure;
    }
    let is_permanent = error.and_then(|error| error["@permanent"].as_bool());
    match (status, is_permanent) {
        (401, _) => Failure::Unauthorized(message),
        (429, _) => Failure::Throttled {
            retry_after,
            message,
        },
        (504, _) => Failure::ServerTimeout(message),
        (408, _) | (400, Some(false)) => Failure::Server(message),
        // Asking again is no use: the request itself is refused, or there is nothing there.
        (300..=499, _) | (_, Some(true)) => Failure::Permanent(message),
        _ => Failure::Server(message),
    }
}

/// The failure that an error inside an answer reports: `{"error": {...}}` or a list of those.
pub fn of_one_api(errors: &Value) -> Failure {
    let list = match errors {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut inner = list.iter().map(|error| error.get("error").unwrap_or(error));
    // An answer that has started and then failed is void, even if it says `@permanent: false`: only
    // the codes that have an action of their own are distinguished, anywhere in the list.
    let reported = inner.clone().find_map(|error| of_code(error, None));
    reported.unwrap_or_else(|| {
        let first = inner.next().unwrap_or(&Value::Null);
        Failure::Damaged(format!(
            "the server reports a partial failure: {}",
            message_of(first)
        ))
    })
}

/// Codes that say more than the status; also in the text, where the code is a general one.
fn of_code(error: &Value, retry_after: Option<Duration>) -> Option<Failure> {
    let code = error["code"].as_str().unwrap_or_default();
    let text = format!(
        "{code} {} {} {}",
        error["@type"].as_str().unwrap_or_default(),
        error["@message"].as_str().unwrap_or_default(),
        error["innererror"]
    );
    let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let message = || message_of(error);
    if has(&["TooManyRequests", "QueryThrottled", "QuotaExceeded"]) {
        return Some(Failure::Throttled {
            retry_after,
            message: message(),
        });
    }
    if has(&["E_RUNAWAY_QUERY"]) {
        return Some(Failure::Runaway(message()));
    }
    if has(&["LowMemoryCondition", "80DA0007", "E_LOW_MEMORY_CONDITION"]) {
        return Some(Failure::LowMemory(message()));
    }
    if has(&["E_QUERY_RESULT_SET_TOO_LARGE", "80DA0003", "LimitsExceeded"]) {
        return Some(Failure::TooLarge(message()));
    }
    if has(&["RequestExecutionTimeout", "E_QUERY_TIMEOUT"]) {
        return Some(Failure::ServerTimeout(message()));
    }
    None
}

fn message_of(error: &Value) -> String {
    let message = ["@message", "message"]
        .iter()
        .find_map(|key| error[*key].as_str())
        .unwrap_or("no message");
    match error["code"].as_str() {
        Some(code) => printable(format!("{code}: {message}").as_bytes()),
        None => printable(message.as_bytes()),
    }
}

/// The beginning of a server's text on one line, fit for a terminal.
pub fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    // Before it is cut: of a secret not even the beginning is shown.
    let line = redacted(line);
    match line.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None if line.is_empty() => "no message".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(code: &str, message: &str, permanent: bool) -> Vec<u8> {
        json!({"error": {"code": code, "message": "m", "@message": message, "@permanent": permanent}})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn every_status_has_its_action() {
        use Action::{Fail, Retry, RetryThenSplit, Split};

        let seconds = |n| Some(Duration::from_secs(n));
        let throttle = |after| Action::Throttle { retry_after: after };
        for (status, body, action) in [
            (429, b"slow down".to_vec(), throttle(seconds(7))),
            (400, error("QuotaExceeded", "", false), throttle(seconds(7))),
            (503, b"".to_vec(), Retry),
            (502, b"<html>".to_vec(), Retry),
            (500, error("Internal", "x", false), Retry),
            (520, b"".to_vec(), Retry),
            (408, b"".to_vec(), Retry),
            (504, b"".to_vec(), Split),
            (500, error("RequestExecutionTimeout", "", false), Split),
            (500, error("General", "(E_RUNAWAY_QUERY)", false), Split),
            (400, error("LimitsExceeded", "80DA0003", false), Split),
            (500, error("LowMemoryCondition", "", false), RetryThenSplit),
            (400, error("General_BadRequest", "syntax", true), Fail),
            (400, error("Internal", "passing", false), Retry),
            (403, error("Forbidden", "", false), Fail),
            (400, b"plain text".to_vec(), Fail),
            (500, error("Internal", "x", true), Fail),
            (401, b"".to_vec(), Fail),
            (403, b"".to_vec(), Fail),
            (404, b"".to_vec(), Fail),
            (302, b"".to_vec(), Fail),
        ] {
            let failure = of_status(status, seconds(7), &body);
            assert_eq!(failure.action(), action, "{status} {failure}");
        }
    }

    #[test]
    fn a_partial_failure_voids_the_attempt_even_if_it_says_permanent() {
        let unknown = json!([{"error": {"code": "Internal", "@message": "x", "@permanent": true}}]);
        assert_eq!(of_one_api(&unknown).action(), Action::Retry);
        let large = json!([{"error": {"code": "LimitsExceeded", "@message": "E_QUERY_RESULT_SET_TOO_LARGE"}}]);
        assert_eq!(of_one_api(&large).action(), Action::Split);
        assert_eq!(of_one_api(&json!("odd")).action(), Action::Retry);
        assert_eq!(of_one_api(&json!([])).action(), Action::Retry);
        let both = json!([unknown[0], large[0]]);
        assert_eq!(
            of_one_api(&both).action(),
            Action::Split,
            "the second tells"
        );
    }

    #[test]
    fn a_servers_text_is_cut_and_put_on_one_line() {
        let reported = printable(format!("a\n\u{1b}[31m  b{}", "x".repeat(5000)).as_bytes());
        assert!(
            reported.starts_with("a [31m b") && reported.len() < 700,
            "{reported}"
        );
    }
}
