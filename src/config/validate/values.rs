//! One value of a key: a choice, a number, a size, a duration or an instant.

use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SpanRelativeTo;

use crate::config::ConfigError;
use crate::config::raw::{Number, Text};
use crate::config::settings::Source;
use crate::domain::record::timestamp::{self, UtcInstant};

pub(super) fn bad(
    key: &'static str,
    value: impl ToString,
    reason: impl Into<String>,
) -> ConfigError {
    ConfigError::Bad {
        key,
        value: value.to_string(),
        reason: reason.into(),
    }
}

/// The defaults have every text.
pub(super) fn text(value: Option<Text>) -> String {
    value.map(|Text(text)| text).unwrap_or_default()
}

pub(super) fn texts(values: Option<Vec<Text>>) -> Vec<String> {
    let values = values.unwrap_or_default();
    values.into_iter().map(|Text(text)| text).collect()
}

pub(super) fn choice<T: Clone>(
    key: &'static str,
    value: Option<Text>,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    let value = text(value);
    let found = choices.iter().find(|(name, _)| *name == value);
    found.map(|(_, choice)| choice.clone()).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        bad(
            key,
            &value,
            format!("it must be one of {}", names.join(", ")),
        )
    })
}

pub(super) fn at_least_one(
    key: &'static str,
    value: Option<Number<u32>>,
) -> Result<NonZeroU32, ConfigError> {
    let value = value.map_or(0, |Number(n)| n);
    let count = NonZeroU32::new(value).filter(|n| n.get() <= 100_000);
    count.ok_or_else(|| bad(key, value, "it must be between 1 and 100000"))
}

pub(super) fn workers_of(
    key: &'static str,
    value: Option<Number<usize>>,
) -> Result<NonZeroUsize, ConfigError> {
    let value = value.map_or(0, |Number(n)| n);
    NonZeroUsize::new(value)
        .filter(|n| n.get() <= 256)
        .ok_or_else(|| bad(key, value, "it must be between 1 and 256"))
}

/// Heartbeats are read four times in this time.
pub(super) fn stall_timeout(value: Option<Text>) -> Result<Duration, ConfigError> {
    let value = text(value);
    let timeout = duration("workers.stall_timeout", &value)?;
    if timeout < Duration::from_secs(1) {
        return Err(bad(
            "workers.stall_timeout",
            value,
            "it must be at least 1 s",
        ));
    }
    Ok(timeout)
}

/// Every piece of a file is needed; only hash chunks can be missing.
pub(super) fn allow_missing(
    value: Option<Number<u32>>,
    source: &Source,
) -> Result<u32, ConfigError> {
    let value = value.map_or(0, |Number(n)| n);
    if value > 0 && matches!(source, Source::Files(_)) {
        let reason = "it does not go with files: every piece of a file is needed; leave it out, or leave the damaged file out of the input";
        return Err(bad("chunks.allow_missing", value, reason));
    }
    Ok(value)
}

pub(super) fn percent(value: Option<Number<f64>>) -> Result<f64, ConfigError> {
    let value = value.map_or(0.0, |Number(n)| n);
    if (0.0..=100.0).contains(&value) {
        return Ok(value);
    }
    let key = "limits.max_malformed_percent";
    Err(bad(key, value, "it must be between 0 and 100"))
}

pub(super) fn bytes(key: &'static str, value: Option<Text>) -> Result<u64, ConfigError> {
    let value = text(value);
    ByteSize::from_str(&value)
        .ok()
        .map(|size| size.as_u64())
        .filter(|&size| size > 0)
        .ok_or_else(|| {
            bad(
                key,
                &value,
                "it must be a size above zero, such as \"64MB\" or \"1GiB\"",
            )
        })
}

/// A duration such as `15d`, `1h` or `30m`; a day has 24 hours.
pub(super) fn duration(key: &'static str, value: &str) -> Result<Duration, ConfigError> {
    exact_duration(value)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            bad(
                key,
                value,
                "it must be a duration above zero, such as \"15d\", \"1h\" or \"30m\"",
            )
        })
}

/// The same, and `0s`.
pub(super) fn duration_or_zero(key: &'static str, value: &str) -> Result<Duration, ConfigError> {
    let reason = "it must be a duration such as \"1d\", \"1h\" or \"0s\"";
    exact_duration(value).ok_or_else(|| bad(key, value, reason))
}

fn exact_duration(value: &str) -> Option<Duration> {
    let span = value.parse::<jiff::Span>().ok()?;
    let exact = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(exact).ok()
}

pub(super) fn instant(
    key: &'static str,
    value: Option<Text>,
) -> Result<Option<UtcInstant>, ConfigError> {
    let Some(Text(value)) = value else {
        return Ok(None);
    };
    let at = timestamp::parse(value.as_bytes()).and_then(UtcInstant::from_ticks);
    let reason =
        "it must be an instant such as \"2025-01-01T00:00:00Z\" (RFC 3339), before the year 10000";
    at.map(Some).ok_or_else(|| bad(key, value, reason))
}
