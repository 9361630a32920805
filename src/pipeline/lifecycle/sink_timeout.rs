//! Timeouts for calls of a sink outside of actors.

use std::future::Future;
use std::time::Duration;

use crate::domain::scheduling::roles::longer_timeout;
use crate::sink::{DatasetSink, SinkError};

/// A sink whose answers are waited for only so long. Actors need none: the supervisor notices one that stalls.
pub struct SinkWithTimeout<'a> {
    /// The sink.
    pub sink: &'a dyn DatasetSink,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl<'a> SinkWithTimeout<'a> {
    /// A sink, in a run where any part may take so long.
    pub fn new(sink: &'a dyn DatasetSink, own: Duration) -> Self {
        Self {
            sink,
            timeout: longer_timeout(own, sink.operation_timeout()),
        }
    }

    /// Waits for an answer, for a while.
    ///
    /// # Errors
    /// The answer's, or that there was none: all of it can be done again by the next start.
    pub async fn wait<T>(
        &self,
        action: &'static str,
        path: &str,
        answer: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkError> {
        let timeout = self.timeout;
        let silent = |_| SinkError::Timeout {
            action,
            path: path.to_owned(),
            timeout,
        };
        let answer = tokio::time::timeout(timeout, answer).await;
        answer.map_err(silent)?
    }
}
