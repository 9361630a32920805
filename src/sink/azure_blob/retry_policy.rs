//! Retries of requests to a container.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use azure_core::http::headers::{HeaderName, RETRY_AFTER};
use azure_core::http::policies::{Policy, PolicyResult, RetryHeaders, RetryPolicy};
use azure_core::http::{AsyncRawResponse, Context, Request, StatusCode};
use azure_core::time::Duration as Span;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::failure::describe_try;
use crate::domain::scheduling::retry::Backoff;

/// Pauses between tries. The client's own ones overflow after some ten minutes.
const PAUSES: Backoff = Backoff {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(10),
};

/// Retries until this much time has passed since the first failure; `Retry-After` is honoured.
#[derive(Debug)]
pub struct DeadlineRetryPolicy {
    limit: Span,
    headers: RetryHeaders,
}

impl DeadlineRetryPolicy {
    /// DeadlineRetryPolicy of this length.
    pub fn new(limit: Duration) -> Self {
        let milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"].map(HeaderName::from_static);
        Self {
            limit: limit.try_into().unwrap_or(Span::MAX),
            headers: RetryHeaders {
                retry_headers: milliseconds.into_iter().chain([RETRY_AFTER]).collect(),
            },
        }
    }
}

impl RetryPolicy for DeadlineRetryPolicy {
    fn is_expired(&self, since_first_failure: Span, _: u32) -> bool {
        since_first_failure >= self.limit
    }

    fn retry_headers(&self) -> Option<&RetryHeaders> {
        Some(&self.headers)
    }

    fn retry_status_codes(&self) -> &[StatusCode] {
        // The client's own: 408, 429, 500, 502, 503, 504.
        &[]
    }

    fn sleep_duration(&self, failures: u32) -> Span {
        let chance = getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX));
        let pause = PAUSES.delay(failures, chance);
        pause.try_into().unwrap_or(Span::MAX)
    }
}

/// Takes an answer only whole: one that breaks off has failed and is requested again. No answer is
/// longer than one request asks for. The first failed attempt after a good one is logged, so that
/// an outage is visible.
#[derive(Debug)]
pub struct WholeAnswers {
    limit: Duration,
    /// Whether the last try failed.
    failing: AtomicBool,
}

impl WholeAnswers {
    /// A policy with this limit.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            failing: AtomicBool::new(false),
        }
    }

    /// Notes how a try ended: `None` if it was answered.
    fn tried(&self, failure: Option<String>) {
        let Some(reason) = failure else {
            self.failing.store(false, Ordering::Relaxed);
            return;
        };
        if !self.failing.swap(true, Ordering::Relaxed) {
            let limit = self.limit.as_secs_f64();
            tracing::warn!("Azure Storage: {reason}; retrying for up to {limit} s");
        }
    }
}

/// Whether a status is one that is tried again.
fn is_transient(status: StatusCode) -> bool {
    matches!(u16::from(status), 408 | 429 | 500 | 502 | 503 | 504)
}

impl Policy for WholeAnswers {
    // As `#[async_trait]` would write it.
    fn send<'a, 'b, 'c, 'd, 'f>(
        &'a self,
        context: &'b Context<'_>,
        request: &'c mut Request,
        next: &'d [Arc<dyn Policy>],
    ) -> BoxFuture<'f, PolicyResult>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
        'd: 'f,
    {
        async move {
            let whole = async {
                let answer = next[0].send(context, request, &next[1..]).await?;
                let (status, headers, body) = answer.deconstruct();
                Ok((status, headers, body.collect().await?))
            };
            let whole: azure_core::Result<_> = whole.await;
            self.tried(match &whole {
                Err(error) => Some(describe_try(error)),
                Ok((status, ..)) if is_transient(*status) => {
                    Some(format!("HTTP {}", u16::from(*status)))
                }
                Ok(_) => None,
            });
            let (status, headers, bytes) = whole?;
            Ok(AsyncRawResponse::from_bytes(status, headers, bytes))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_long_however_often_it_failed() {
        let policy = DeadlineRetryPolicy::new(Duration::from_secs(3600));
        let pause = |failures| policy.sleep_duration(failures).whole_milliseconds();
        assert!((200..=240).contains(&pause(1)));
        for failures in [7, 64, 1000, u32::MAX] {
            assert!((10_000..=12_000).contains(&pause(failures)), "{failures}");
        }
    }

    #[test]
    fn it_ends_with_time_and_not_with_tries() {
        let policy = DeadlineRetryPolicy::new(Duration::from_secs(60));
        assert!(!policy.is_expired(Span::seconds(59), u32::MAX));
        assert!(policy.is_expired(Span::seconds(60), 0));
    }
}
