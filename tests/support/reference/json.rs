//! JSON as it stands in a row: members in their order, numbers by their digits.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in their order, values as they stand.
#[derive(Clone)]
pub struct Object(pub Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Box<RawValue>>()? {
                    members.push((text(&key), map.next_value()?));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(V)
    }
}

impl Object {
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        Some(&*self.0.iter().rfind(|(key, _)| key == name)?.1)
    }
}

/// The content of a JSON string; half a character becomes U+FFFD.
pub fn text(value: &RawValue) -> String {
    let body = &value.get()[1..value.get().len() - 1];
    let mut units = Vec::new();
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        let c = if c != '\\' {
            c
        } else {
            match chars.next().expect("checked") {
                'u' => {
                    let hex: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&hex, 16).expect("checked"));
                    continue;
                }
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

pub fn as_text(value: Option<&RawValue>) -> Option<String> {
    value.filter(|v| v.get().starts_with('"')).map(text)
}

pub fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

pub fn is_blank(value: Option<&RawValue>) -> bool {
    as_text(value).is_some_and(|t| t.chars().all(char::is_whitespace))
}

/// Absent, null or blank.
pub fn is_missing(value: Option<&RawValue>) -> bool {
    value.is_none_or(is_null) || is_blank(value)
}

/// The value of a number that is an integer of 64 bits, exactly.
pub fn integer(value: Option<&RawValue>) -> Option<i64> {
    let number = value?.get();
    if !number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if matches!(significant, "" | "-") {
        return Some(0);
    }
    let cut = (digits.len() - significant.len()) as i128;
    let zeros = exponent.parse::<i128>().ok()? - fraction.len() as i128 + cut;
    if !(0..=19).contains(&zeros) {
        return None;
    }
    let zeros = "0".repeat(zeros as usize);
    format!("{significant}{zeros}").parse().ok()
}

/// Half a surrogate pair anywhere in a JSON text.
pub fn has_lone_surrogate(json: &str) -> bool {
    let bytes = json.as_bytes();
    let unit = |at: usize| match bytes.get(at..at + 6) {
        Some([b'\\', b'u', hex @ ..]) => {
            u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
        }
        _ => None,
    };
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => return true,
            Some(_) => at += 6,
            None => at += 2,
        }
    }
    false
}

pub fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// 100 ns since 1970.
pub fn ticks(at: &str) -> Option<i64> {
    let (date, rest) = at.split_at_checked(19)?;
    let local: jiff::Timestamp = format!("{}Z", date.replace(' ', "T")).parse().ok()?;
    let digits: String = match rest.strip_prefix('.') {
        Some(rest) => rest.chars().take_while(char::is_ascii_digit).collect(),
        None => String::new(),
    };
    let zone = &rest[digits.len() + usize::from(rest.starts_with('.'))..];
    let offset: i64 = match zone {
        "" | "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if zone.starts_with('-') {
                -seconds
            } else {
                seconds
            }
        }
    };
    if rest.starts_with('.') && digits.is_empty() {
        return None;
    }
    let utc = local.as_second() - offset;
    Some(utc * 10_000_000 + format!("{digits:0<7}")[..7].parse::<i64>().ok()?)
}

pub const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The JSON value that a text begins with, and what follows it.
pub fn one_value(text: &str) -> Option<(Box<RawValue>, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

/// A value as it is written.
pub fn written(value: &RawValue, sorted: bool) -> String {
    match value.get().as_bytes()[0] {
        b'"' if has_lone_surrogate(value.get()) => value.get().to_owned(),
        b'"' => serde_json::to_string(&text(value)).expect("text"),
        b'{' if sorted => {
            let mut members: Object = serde_json::from_str(value.get()).expect("checked");
            members.0.sort_by(|a, b| a.0.cmp(&b.0));
            let each = members.0.iter().map(|(key, value)| {
                format!(
                    "{}:{}",
                    serde_json::to_string(key).expect("text"),
                    written(value, true)
                )
            });
            format!("{{{}}}", each.collect::<Vec<_>>().join(","))
        }
        b'[' if sorted => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(value.get()).expect("checked");
            let each = items.iter().map(|item| written(item, true));
            format!("[{}]", each.collect::<Vec<_>>().join(","))
        }
        _ => value.get().to_owned(),
    }
}
