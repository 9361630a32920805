//! Reading an answer: its headers, its body, or why it was refused.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName};

use super::{Ended, Receiver, Trace, describe_error};
use crate::runtime::blocking;
use crate::secrets::redact;
use crate::source::kusto::address::without_secrets;
use crate::source::kusto::decode::Decoder;
use crate::source::kusto::error::{self, Failure};
use crate::source::kusto::frames::Column;

/// Bytes that are gathered before they are decoded: changing threads then costs nothing.
const GATHER: usize = 512 * 1024;

/// Bytes of an error's body that are read.
const ERROR_BODY: usize = 64 * 1024;

pub(super) fn header(headers: &HeaderMap, name: &'static str) -> Option<String> {
    let value = headers.get(HeaderName::from_static(name))?.to_str().ok()?;
    let shown: String = value.chars().filter(|c| !c.is_control()).collect();
    // Before it is cut: of a secret not even the beginning is shown.
    Some(redact(&shown).chars().take(100).collect())
}

/// The delay that a server asks for: in seconds, or until an instant by its own clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = header(headers, "retry-after")?;
    if let Ok(seconds) = asked.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let instant = |text: &str| jiff::fmt::rfc2822::parse(text).ok();
    let (until, now) = (instant(&asked)?, instant(&header(headers, "date")?)?);
    Some(until.duration_since(&now).try_into().unwrap_or_default())
}

/// The failure of an answer whose status is not 200.
pub(super) async fn refusal(mut response: Response) -> Failure {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    if (300..400).contains(&status) {
        let to = header(response.headers(), "location").unwrap_or_default();
        let to = without_secrets(&to);
        return Failure::Permanent(format!(
            "HTTP {status}: it points to {to:?}, and a token is never sent on; if that is the cluster, set source.kusto.cluster to it"
        ));
    }
    let mut body = Vec::new();
    // A part of the message is better than none.
    while body.len() < ERROR_BODY
        && let Ok(Some(more)) = response.chunk().await
    {
        body.extend_from_slice(&more);
    }
    error::of_status(status, retry_after, &body)
}

/// The result of reading an answer.
pub(super) enum Read<R> {
    /// It is whole.
    Whole(R),
    /// It is not; with the columns that came too late, if that is why.
    Refused(Failure, Option<Vec<Column>>, R),
}

fn refused<R>(failure: Failure, decoder: &Decoder, receiver: R) -> Read<R> {
    let late = decoder.late_columns().map(<[_]>::to_vec);
    Read::Refused(failure, late, receiver)
}

pub(super) async fn read<R: Receiver>(
    mut response: Response,
    mut decoder: Decoder,
    mut receiver: R,
    trace: &mut Trace,
) -> Result<Read<R>, Ended<R>> {
    let mut more = true;
    while more {
        let (mut gathered, mut length) = (Vec::new(), 0);
        while more && length < GATHER {
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    trace.received += bytes.len() as u64;
                    length += bytes.len();
                    gathered.push(bytes);
                }
                Ok(None) => more = false,
                Err(error) => return Err(Failure::Connection(describe_error(&error)).into()),
            }
        }
        let decoded;
        (decoder, receiver, decoded) = blocking(move || {
            let decoded = decoder.push(&gathered, receiver.sink());
            (decoder, receiver, decoded)
        })
        .await
        .map_err(|error| Ended::Source(error.into()))?;
        if let Err(failure) = decoded {
            return Ok(refused(failure, &decoder, receiver));
        }
        if more {
            receiver.pass_on().await.map_err(Ended::Source)?;
        }
    }
    let finished;
    (decoder, receiver, finished) = blocking(move || {
        let finished = decoder.finish(receiver.sink());
        (decoder, receiver, finished)
    })
    .await
    .map_err(|error| Ended::Source(error.into()))?;
    if let Err(failure) = finished {
        return Ok(refused(failure, &decoder, receiver));
    }
    receiver.pass_on().await.map_err(Ended::Source)?;
    Ok(Read::Whole(receiver))
}
