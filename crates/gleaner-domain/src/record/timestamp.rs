//! Instants as telemetry has them: RFC 3339, compared in ticks of 100 ns, as Kusto does.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// 100 ns since 1970-01-01T00:00:00Z, negative before.
pub type Ticks = i64;

/// Ticks in a second.
pub const TICKS_PER_SECOND: i64 = 10_000_000;

/// An instant as settings and records of a run have it: ticks, written as RFC 3339. Its last one is
/// the last that Kusto knows, its first one some 10,000 years before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcInstant(Ticks);

impl UtcInstant {
    /// `9999-12-31T23:59:59.9999999Z`
    pub const MAX: Self = Self(253_402_300_800 * TICKS_PER_SECOND - 1);

    /// `-009999-01-02T01:59:59Z`
    pub const MIN: Self = Self(-377_705_023_201 * TICKS_PER_SECOND);

    /// So many ticks since 1970. `None`: before the first or behind the last instant.
    pub fn from_ticks(ticks: Ticks) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&ticks)
            .then_some(Self(ticks))
    }

    /// From text as [`parse`] reads it, or as it is displayed.
    fn read(text: &str) -> Option<Self> {
        let ticks = match text.strip_prefix('-') {
            None => parse(text.as_bytes())?,
            // A year before 0 has six digits, the first two of them 0: it is moved by as many whole
            // cycles of the calendar as make it one that is not.
            Some(text) => {
                const CYCLES: i64 = 25;
                let (year, rest) = text.split_at_checked(6)?;
                let year = digits(year.as_bytes())?;
                let moved = (CYCLES * 400).checked_sub(year)?;
                let moved = parse(format!("{moved:04}{rest}").as_bytes())?;
                moved - CYCLES * 146_097 * 86_400 * TICKS_PER_SECOND
            }
        };
        Self::from_ticks(ticks)
    }

    /// Ticks since 1970.
    pub fn ticks(self) -> Ticks {
        self.0
    }

    /// So much earlier, or the first instant.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        let by = Ticks::try_from(by.as_nanos() / 100).unwrap_or(Ticks::MAX);
        Self(self.0.saturating_sub(by).max(Self::MIN.0))
    }

    /// So much later, or the last instant.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        let by = Ticks::try_from(by.as_nanos() / 100).unwrap_or(Ticks::MAX);
        Self(self.0.saturating_add(by).min(Self::MAX.0))
    }
}

/// A text that is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no instant (RFC 3339)")]
pub struct NotAnInstant;

impl FromStr for UtcInstant {
    type Err = NotAnInstant;

    fn from_str(text: &str) -> Result<Self, NotAnInstant> {
        Self::read(text).ok_or(NotAnInstant)
    }
}

impl fmt::Display for UtcInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_text(i128::from(self.0) * 100))
    }
}

impl Serialize for UtcInstant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcInstant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads an RFC 3339 timestamp. The offset may be missing and is then UTC; digits beyond 100 ns
/// are cut off; a leap second counts as the first instant of the next minute.
pub fn parse(text: &[u8]) -> Option<Ticks> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    let [_, _, _, _, b'-', _, _, b'-', _, _] = date else {
        return None;
    };
    let [b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _] = time else {
        return None;
    };
    let (year, month, day) = (
        digits(&date[..4])?,
        digits(&date[5..7])?,
        digits(&date[8..])?,
    );
    let (hour, minute, second) = (
        digits(&time[1..3])?,
        digits(&time[4..6])?,
        digits(&time[7..])?,
    );
    if !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (fraction, rest) = fraction(rest)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        - offset_seconds(rest)?;
    Some(seconds * TICKS_PER_SECOND + fraction)
}

/// An instant in RFC 3339, in UTC, with as many digits as it needs, from nanoseconds since 1970. A
/// year of more than four digits or before 0 has a sign and at least six (ISO 8601).
pub fn to_text(nanoseconds: i128) -> String {
    let mut text = Vec::with_capacity(32);
    write(nanoseconds, &mut text);
    // It is ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// Appends what [`to_text`] gives.
pub fn write(nanoseconds: i128, out: &mut Vec<u8>) {
    const SECOND: i128 = 1_000_000_000;
    // Nearly all fit into 64 bits, which are divided in much less time.
    let (seconds, mut fraction) = match i64::try_from(nanoseconds) {
        Ok(short) => {
            let second = SECOND as i64;
            (short.div_euclid(second).into(), short.rem_euclid(second))
        }
        Err(_) => (
            nanoseconds.div_euclid(SECOND),
            nanoseconds.rem_euclid(SECOND) as i64,
        ),
    };
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400) as i64;
    match year {
        0..=9999 => {
            write_two(year as i64 / 100, out);
            write_two(year as i64 % 100, out);
        }
        _ => out.extend_from_slice(format!("{year:+07}").as_bytes()),
    }
    let parts = [
        month as i64,
        day as i64,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
    ];
    for (before, part) in b"--T::".iter().zip(parts) {
        out.push(*before);
        write_two(part, out);
    }
    if fraction > 0 {
        let mut digits = [b'0'; 9];
        for digit in digits.iter_mut().rev() {
            *digit += (fraction % 10) as u8;
            fraction /= 10;
        }
        let zeros = digits
            .iter()
            .rev()
            .take_while(|digit| **digit == b'0')
            .count();
        out.push(b'.');
        out.extend_from_slice(&digits[..digits.len() - zeros]);
    }
    out.push(b'Z');
}

/// Appends a number below 100 in two digits.
fn write_two(number: i64, out: &mut Vec<u8>) {
    out.extend([b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

/// The inverse of [`days_from_civil`]: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`.
fn civil_from_days(days: i128) -> (i128, i128, i128) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    (year, month, day)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// `.digits`, if there: its ticks, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (all, rest) = rest.split_at(length);
    let used = &all[..length.min(7)];
    let missing = 7 - used.len() as u32;
    (length > 0).then_some((digits(used)? * 10i64.pow(missing), rest))
}

/// `Z`, `+hh:mm`, `-hh:mm` or nothing.
fn offset_seconds(text: &[u8]) -> Option<i64> {
    match text {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let seconds = hours * 3600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_fractions_and_forms() {
        let base = parse(b"2025-01-01T00:00:00Z").expect("valid");
        assert_eq!(base, 1_735_689_600 * TICKS_PER_SECOND);
        for (text, ticks) in [
            ("2025-01-01T00:00:00", 0),
            ("2025-01-01t00:00:00z", 0),
            ("2025-01-01 00:00:00+00:00", 0),
            ("2025-01-01T01:00:00+01:00", 0),
            ("2024-12-31T18:30:00-05:30", 0),
            ("2025-01-01T00:00:00.1", 1_000_000),
            ("2025-01-01T00:00:00.1234567Z", 1_234_567),
            ("2025-01-01T00:00:00.12345678999Z", 1_234_567),
            ("2024-12-31T23:59:60Z", 0),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(base + ticks), "{text}");
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2025-01-01",
            "2025-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:00:61Z",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00+1:00",
            "2025-01-01T00:00:00 UTC",
            "20250101T000000Z",
            "+025-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_calendar_library(second in -60_000_000_000i64..250_000_000_000, nanos in 0i32..1_000_000_000) {
            let instant = jiff::Timestamp::new(second, 0).expect("in range");
            let text = instant.to_string().replace('Z', &format!(".{nanos:09}Z"));
            if text.starts_with(|c: char| c.is_ascii_digit()) {
                let all = i128::from(second) * 1_000_000_000 + i128::from(nanos);
                let trimmed = format!("{}Z", text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.'));
                if nanos > 0 {
                    prop_assert_eq!(to_text(all), trimmed);
                }
                prop_assert_eq!(
                    parse(text.as_bytes()),
                    Some(second * TICKS_PER_SECOND + i64::from(nanos) / 100),
                    "{}", text
                );
            }
        }
    }

    #[test]
    fn instants_are_written_in_full_up_to_the_last_day_there_is() {
        const SECOND: i128 = 1_000_000_000;
        for (nanoseconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (
                1_735_689_600 * SECOND + 120,
                "2025-01-01T00:00:00.00000012Z",
            ),
            (253_402_300_799 * SECOND, "9999-12-31T23:59:59Z"),
            (253_402_300_800 * SECOND, "+010000-01-01T00:00:00Z"),
            (-62_167_219_200 * SECOND, "0000-01-01T00:00:00Z"),
            (-62_167_219_201 * SECOND, "-000001-12-31T23:59:59Z"),
        ] {
            assert_eq!(to_text(nanoseconds), text);
        }
    }

    #[test]
    fn an_instant_is_its_text_from_the_first_to_the_last() {
        for text in [
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59Z",
            "2025-01-01T00:00:00.5Z",
            "0000-01-01T00:00:00Z",
            "-000001-12-31T23:59:59Z",
            "-000400-02-29T12:00:00Z",
            "-009999-01-02T01:59:59Z",
        ] {
            let instant = UtcInstant::read(text).expect("an instant");
            assert_eq!(instant.to_string(), text);
            let json = serde_json::to_string(&instant).expect("JSON");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<UtcInstant>(&json).ok(),
                Some(instant)
            );
        }
        assert_eq!(
            UtcInstant::read("9999-12-31T23:59:59.99999999Z"),
            Some(UtcInstant::MAX)
        );
        assert_eq!(
            UtcInstant::read("-009999-01-02T01:59:59Z"),
            Some(UtcInstant::MIN)
        );
        for text in [
            "9999-12-31T23:59:59-00:01",
            "-009999-01-02T01:59:58Z",
            "-1-01-01T00:00:00Z",
            "x",
        ] {
            assert_eq!(UtcInstant::read(text), None, "{text}");
        }
    }

    #[test]
    fn an_instant_stays_within_its_range() {
        let at = UtcInstant::read("2025-01-01T00:00:00Z").expect("an instant");
        let day = Duration::from_secs(86_400);
        assert_eq!(at.saturating_add(day).to_string(), "2025-01-02T00:00:00Z");
        assert_eq!(at.saturating_sub(day).to_string(), "2024-12-31T00:00:00Z");
        assert_eq!(at.saturating_add(Duration::MAX), UtcInstant::MAX);
        assert_eq!(at.saturating_sub(Duration::MAX), UtcInstant::MIN);
        assert_eq!(UtcInstant::MAX.saturating_add(day), UtcInstant::MAX);
    }

    #[test]
    fn a_month_has_its_days_and_no_more() {
        let valid = |year: i32, month: usize, day: u32| {
            let text = format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
            parse(text.as_bytes()).is_some()
        };
        for (year, leap) in [
            (0, true),
            (4, true),
            (1900, false),
            (2000, true),
            (2023, false),
            (2024, true),
            (2025, false),
            (2100, false),
            (2400, true),
        ] {
            let february = if leap { 29 } else { 28 };
            let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, last) in (1..).zip(days) {
                assert!(valid(year, month, 1) && valid(year, month, last));
                assert!(!valid(year, month, 0), "{year}-{month}");
                assert!(!valid(year, month, last + 1), "{year}-{month}");
            }
        }
    }

    #[test]
    fn an_offset_is_less_than_a_day() {
        let read = |offset: &str| parse(format!("1970-01-01T00:00:00{offset}").as_bytes());
        let furthest = (23 * 3600 + 59 * 60) * TICKS_PER_SECOND;
        assert_eq!(read("-23:59"), Some(furthest));
        assert_eq!(read("+23:59"), Some(-furthest));
        for offset in ["+24:00", "-24:00", "+00:60", "-23:60", "+99:59", "+24:60"] {
            assert_eq!(read(offset), None, "{offset}");
        }
    }
}
