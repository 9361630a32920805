//! Requests that fail, as a file says.
//!
//! ```toml
//! [[fault]]
//! query = "payload"        # census, counts, chunk_checksum, payload, plan, any
//! chunk = "40-7"           # only of this chunk; absent: of any
//! nth = 1                  # from the first such request on ...
//! times = 2                # ... two of them; 0: all
//! kind = "cut"
//! after_bytes = 1000       # of the body, for cut, reset and drip
//! retry_after = 1          # seconds, for throttle
//! ```

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::answer::Asked;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 429
    Throttle,
    /// 503
    Unavailable,
    /// 500
    Internal,
    /// 504, the service's own timeout
    GatewayTimeout,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 400, a syntax error
    Semantic,
    /// 400, not JSON
    PlainText,
    /// 200, a page of a proxy
    Html,
    /// 200, no body
    Empty,
    /// 204
    NoContent,
    /// 302
    Redirect,
    /// No answer ever
    Hang,
    /// The body ends early, as if that were all
    Cut,
    /// The connection breaks within the body
    Reset,
    /// The body stops within and nothing more comes
    Drip,
    /// An error behind some rows: the result is too large
    TooLarge,
    /// An error behind some rows: runaway query
    Runaway,
    /// An error behind some rows: low memory
    LowMemory,
    /// An error in the place of a row
    PartialInData,
    /// An error in the completion information alone
    PartialInCompletion,
    /// `HasErrors`
    HasErrors,
    /// `Cancelled`
    Cancelled,
    /// No `DataSetCompletion`
    NoCompletion,
    /// No closing bracket
    NoBracket,
    /// Something behind the closing bracket
    TrailingGarbage,
    /// `RowCount` is one too many
    WrongRowCount,
    /// A row is not there, and nothing says so
    RowLost,
    /// A row comes twice, and nothing says so
    RowDoubled,
    /// A row of another chunk comes along
    RowForeign,
    /// A conversation has another last timestamp than it had
    Changed,
    /// Counts are ten times as high as they should be
    Tenfold,
    /// A row has a cell too few
    WrongArity,
    /// A row has a text where a number should be
    WrongType,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    query: String,
    chunk: Option<String>,
    #[serde(default = "first")]
    nth: u64,
    #[serde(default = "first")]
    times: u64,
    kind: Kind,
    #[serde(default)]
    after_bytes: u64,
    retry_after: Option<u64>,
}

fn first() -> u64 {
    1
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fault: Vec<Rule>,
}

/// A fault that fires.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The kind of the fault.
    pub kind: Kind,
    /// Bytes of the answer that are sent first, for the faults that need it.
    pub after_bytes: u64,
    /// `Retry-After`, in seconds, for throttling.
    pub retry_after: Option<u64>,
}

/// The rules, and how often each has matched.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<(Rule, u64)>>);

impl Faults {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is not as above.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let file: File = toml::from_str(text)?;
        let rules = file.fault.into_iter().map(|rule| (rule, 0)).collect();
        Ok(Self(Mutex::new(rules)))
    }

    /// The fault of a request, if there is one. Every rule counts the requests that it fits.
    pub fn strike(&self, asked: &Asked) -> Option<Fault> {
        let chunk = format!("{}-{}", asked.chunks, asked.chunk);
        // A poisoned lock guards counters only.
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for (rule, seen) in rules.iter_mut() {
            let fits = (rule.query == "any" || rule.query == asked.query.name())
                && rule.chunk.as_ref().is_none_or(|of| *of == chunk);
            if fits {
                *seen += 1;
                let until = match rule.times {
                    0 => u64::MAX,
                    times => rule.nth + times,
                };
                if struck.is_none() && (rule.nth..until).contains(seen) {
                    struck = Some(Fault {
                        kind: rule.kind,
                        after_bytes: rule.after_bytes,
                        retry_after: rule.retry_after,
                    });
                }
            }
        }
        struck
    }
}
