//! Calls of a sink: made again when it asks for it, and waited for only so long.
//!
//! Every call of a sink by a run goes through here, so the sink promises that each may be made again.
//! A call is given up when all attempts are used up; the error then says what was tried, how often,
//! and what the sink said last.

use std::future::Future;
use std::time::Duration;

use crate::config::settings::Settings;
use crate::domain::describe_error;
use crate::domain::scheduling::retry::{Action, RETRY, RetryPolicy, Tries};
use crate::domain::scheduling::roles::longer_timeout;
use crate::domain::selection::kusto_hash;
use crate::sink::{DatasetSink, SinkError};
use crate::telemetry::heartbeat::Heartbeat;
use crate::telemetry::{Event, Telemetry};

/// Makes a call again when the sink asks for it.
#[derive(Debug, Clone)]
pub struct SinkRetry {
    policy: RetryPolicy,
    telemetry: Telemetry,
}

impl SinkRetry {
    /// As often as the settings say.
    pub fn new(settings: &Settings, telemetry: Telemetry) -> Self {
        let policy = RetryPolicy {
            backoff: RETRY,
            max_attempts: settings.chunks.max_attempts.get(),
            max_throttled: settings.workers.stall_timeout,
        };
        Self { policy, telemetry }
    }

    /// Makes a call until it succeeds or is given up. A worker that waits for the next try makes
    /// no progress meanwhile: its `heartbeat` says so.
    ///
    /// # Errors
    /// The sink's; [`SinkError::GivenUp`] if no attempt succeeded.
    pub async fn run<T, F>(
        &self,
        action: &'static str,
        path: &str,
        heartbeat: Option<&Heartbeat>,
        call: impl Fn() -> F,
    ) -> Result<T, SinkError>
    where
        F: Future<Output = Result<T, SinkError>>,
    {
        let mut tries = Tries::default();
        loop {
            let error = match call().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let jitter = jitter(path, tries.count());
            let asked = error.action();
            let Some(wait) = tries.after(asked, &self.policy, jitter) else {
                return Err(match asked {
                    Action::Fail => error,
                    _ => SinkError::GivenUp {
                        action,
                        path: path.to_owned(),
                        attempts: tries.count().max(1),
                        source: Box::new(error),
                    },
                });
            };
            self.telemetry.events.publish(Event::SinkRetry {
                action: action.to_owned(),
                path: path.to_owned(),
                attempt: tries.count(),
                seconds: wait.as_secs_f64(),
                reason: describe_error(&error),
            });
            let _held_back = heartbeat.map(Heartbeat::paused);
            tokio::time::sleep(wait).await;
        }
    }
}

/// From 0 to 1: another one for each file and try, the same in each run.
fn jitter(path: &str, tries: u32) -> f64 {
    let drawn = kusto_hash::hash(format!("{path}/{tries}").as_bytes());
    drawn.rem_euclid(1000) as f64 / 1000.0
}

/// A sink whose answers are waited for only so long, outside of actors. Actors need no such limit: the
/// supervisor notices one that stalls.
pub struct SinkCalls<'a> {
    /// The sink.
    pub sink: &'a dyn DatasetSink,
    /// How long one answer may take.
    pub timeout: Duration,
    retry: SinkRetry,
}

impl<'a> SinkCalls<'a> {
    /// The calls of a run's sink.
    pub fn new(sink: &'a dyn DatasetSink, settings: &Settings, telemetry: &Telemetry) -> Self {
        Self {
            sink,
            timeout: longer_timeout(settings.workers.stall_timeout, sink.operation_timeout()),
            retry: SinkRetry::new(settings, telemetry.clone()),
        }
    }

    /// Makes a call, again if the sink asks for it, and waits a while for each answer.
    ///
    /// # Errors
    /// The answer's, or that there was none: all of it can be done again by the next start.
    pub async fn call<T, F>(
        &self,
        action: &'static str,
        path: &str,
        call: impl Fn() -> F,
    ) -> Result<T, SinkError>
    where
        F: Future<Output = Result<T, SinkError>>,
    {
        let timeout = self.timeout;
        let call = || async {
            let answer = tokio::time::timeout(timeout, call()).await;
            answer.unwrap_or_else(|_| {
                Err(SinkError::Timeout {
                    action,
                    path: path.to_owned(),
                    timeout,
                })
            })
        };
        self.retry.run(action, path, None, call).await
    }
}
