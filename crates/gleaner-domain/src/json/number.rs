//! JSON numbers as they are needed: is it an integer, and is it above zero.

/// The value of a JSON number that is an integer of 64 bits: `3`, `3.0` and `30e-1` are 3;
/// `3.5`, `1e30` and anything that is no number are not.
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.len() <= 18 && is_digits(digits) {
        let append = |value, &digit: &u8| value * 10 + i64::from(digit - b'0');
        let magnitude = digits.iter().fold(0, append);
        return Some(if negative { -magnitude } else { magnitude });
    }
    let magnitude = integral_decimal(digits)?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Whether a text is digits alone.
pub fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// `digits[.digits][e[+-]digits]`, if it is integral and below 10^20.
fn integral_decimal(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (text, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let significant = format!("{whole}{fraction}");
    if significant.is_empty() || !significant.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = significant.trim_end_matches('0');
    let dropped = significant.len() - kept.len();
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        return Some(0);
    }
    // An exponent that does not fit is far outside any integer that does.
    let shift = exponent
        .parse::<i64>()
        .ok()?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(i64::try_from(dropped).ok()?)?;
    let shift = u32::try_from(shift).ok()?;
    if kept.len() as u64 + u64::from(shift) > 20 {
        return None;
    }
    Some(kept.parse::<i128>().ok()? * 10i128.pow(shift))
}

/// The value of a JSON number, infinite if it is out of range.
pub fn real(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integral_numbers_are_integers_however_they_are_written() {
        for (text, value) in [
            ("3", 3),
            ("3.0", 3),
            ("-0", 0),
            ("-0.0", 0),
            ("30e-1", 3),
            ("1e2", 100),
            ("1.50E1", 15),
            ("0e999999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("000000000000000000003", 3),
        ] {
            assert_eq!(integer(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "3.5",
            "1e30",
            "9223372036854775808",
            "1e-1",
            "\"3\"",
            "null",
            "",
            "-",
            "1e99999999999999999999",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_number_has_room_or_is_no_integer() {
        for (text, value) in [
            ("123e7", 1_230_000_000),
            ("9e18", 9_000_000_000_000_000_000),
            ("9223372036854775807e0", i64::MAX),
            ("922337203685477580.7E1", i64::MAX),
            ("-922337203685477580.8e1", i64::MIN),
            ("100000000000000000000000000000000000000000e-40", 10),
        ] {
            assert_eq!(integer(text.as_bytes()), Some(value), "{text}");
        }
        // Also what no integer of 128 bits has room for.
        let digits = "9".repeat(60);
        for text in [
            "1e19",
            "1e20",
            "1e21",
            "9e38",
            "1e39",
            "7e4000000000",
            &digits,
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
            assert_eq!(integer(format!("-{text}").as_bytes()), None, "-{text}");
        }
    }
}
