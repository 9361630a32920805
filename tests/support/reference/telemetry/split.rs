//! Values that were split, put together: TELEMETRY-MAPPING, "Values that were split".

use std::io::Read;

use super::json::{Json, Units, units};

/// What a value may have lost, from nothing to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Loss {
    Nothing,
    /// White space at both ends.
    Ends,
    /// The same, and perhaps some where it was cut.
    Perhaps,
    /// White space where it was cut.
    Inside,
    /// A character that was cut in two, both halves of which were replaced.
    Character,
    /// The rest.
    Rest,
}

#[derive(Clone)]
pub struct Value {
    pub text: Units,
    pub loss: Loss,
}

const REPLACED: u16 = 0xFFFD;

pub fn is_space(unit: u16) -> bool {
    // Line terminators and white space of ECMAScript: Unicode's without U+0085, with U+FEFF.
    unit == 0xFEFF || unit != 0x85 && char::from_u32(unit.into()).is_some_and(char::is_whitespace)
}

pub fn trim_end(mut text: &[u16]) -> &[u16] {
    while let [rest @ .., last] = text {
        if !is_space(*last) {
            break;
        }
        text = rest;
    }
    text
}

pub fn trim(text: &[u16]) -> &[u16] {
    let mut text = trim_end(text);
    while let [first, rest @ ..] = text {
        if !is_space(*first) {
            break;
        }
        text = rest;
    }
    text
}

/// Parts that were cut after so many units.
fn join(parts: &[Units], cut: usize) -> Value {
    let mut loss = Loss::Ends;
    for pair in parts.windows(2) {
        let is_short = pair[0].len() < cut;
        loss = loss.max(if is_short {
            Loss::Inside
        } else {
            Loss::Perhaps
        });
        if pair[0].last() == Some(&REPLACED) && pair[1].first() == Some(&REPLACED) {
            loss = Loss::Character;
        }
    }
    let is_full = parts.last().is_some_and(|part| part.len() >= cut);
    if cut == 8192 && is_full && (parts.len() == 1 || parts.len() == 50) {
        loss = Loss::Rest;
    }
    Value {
        text: parts.concat(),
        loss,
    }
}

/// Pieces that came in events of 8,000 units each.
pub fn join_events(pieces: &[Units]) -> Value {
    let mut value = join(pieces, 8000);
    if pieces.len() == 1 {
        value.loss = Loss::Nothing;
    }
    value
}

/// The properties of a row: keys with dots as underscores.
#[derive(Clone, Default)]
pub struct Bag(pub Vec<(String, Json)>);

impl Bag {
    pub fn new(object: &Json) -> Option<Self> {
        let Json::Object(members) = object else {
            return None;
        };
        let key = |key: &Units| String::from_utf16_lossy(key);
        Some(Self(
            members
                .iter()
                .map(|(name, value)| (key(name), value.clone()))
                .collect(),
        ))
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        let other = key.replace('.', "_");
        let found = self
            .0
            .iter()
            .rfind(|(name, _)| name == key || *name == other);
        found.map(|(_, value)| value)
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A text that is not absent in one of its ways.
    pub fn known(&self, key: &str) -> Option<&Units> {
        let text = self.get(key)?.text()?;
        (!text.is_empty() && *text != units("undefined")).then_some(text)
    }

    /// Parts of the compressed family, in their order, whatever is missing.
    fn chunks(&self, key: &str) -> Vec<(u64, Units)> {
        let families = [format!("{key}Chunk"), key.replace("Json", "JSON") + "Chunk"];
        let mut chunks = Vec::new();
        for (name, value) in &self.0 {
            for family in families
                .iter()
                .take(if key == "messagesJson" { 2 } else { 1 })
            {
                let Some(rest) = name.strip_prefix(family.as_str()) else {
                    continue;
                };
                let number = match rest.strip_prefix('_') {
                    Some(digits) => digits.parse().unwrap_or(0),
                    None => 1,
                };
                if (rest.is_empty() || number > 1)
                    && let Some(text) = value.text()
                {
                    chunks.push((number, text.clone()));
                }
            }
        }
        chunks.sort();
        chunks
    }

    /// Parts with numbers, in their order, whatever is missing.
    fn numbered(&self, key: &str) -> Vec<(u64, Units)> {
        let other = key.replace('.', "_");
        let number = |name: &str| {
            let rest = name
                .strip_prefix(key)
                .or_else(|| name.strip_prefix(other.as_str()));
            let digits = rest?.strip_prefix('_').filter(|digits| digits.len() == 2)?;
            digits.parse().ok().filter(|number| *number > 1)
        };
        let part = |(name, value): &(String, Json)| Some((number(name)?, as_text(value)?));
        let mut parts: Vec<(u64, Units)> = self.0.iter().filter_map(part).collect();
        parts.sort();
        parts
    }

    /// The value of a key, put together.
    pub fn value(&self, key: &str, limit: usize) -> Option<Value> {
        let chunks = self.chunks(key);
        if !chunks.is_empty()
            && let Some(text) = unpack(&chunks, limit)
        {
            return Some(Value {
                text,
                loss: Loss::Nothing,
            });
        }
        let whole = self.get(key).and_then(as_text);
        let parts: Vec<Units> = whole
            .into_iter()
            .chain(self.numbered(key).into_iter().map(|part| part.1))
            .collect();
        (!parts.is_empty()).then(|| join(&parts, 8192))
    }

    /// Whether the parts of this key are all there and say the same.
    pub fn is_whole(&self, key: &str, limit: usize) -> bool {
        let follows = |parts: &[(u64, Units)], first: u64| {
            (first..).zip(parts).all(|(wanted, part)| wanted == part.0)
        };
        let (numbered, chunks) = (self.numbered(key), self.chunks(key));
        if !numbered.is_empty() && (self.get(key).is_none() || !follows(&numbered, 2)) {
            return false;
        }
        if chunks.is_empty() {
            return true;
        }
        let Some(whole) = unpack(&chunks, limit).filter(|_| follows(&chunks, 1)) else {
            return false;
        };
        let beginning = self.get(key).and_then(as_text).unwrap_or_default();
        let mut beginning = trim(&beginning);
        if let [head @ .., 0xD800..=0xDBFF] = beginning {
            beginning = head;
        }
        let start = whole
            .iter()
            .position(|unit| !is_space(*unit))
            .unwrap_or(whole.len());
        whole[start..].starts_with(beginning)
    }
}

/// Whether a name is the key, with its dots or with underscores in place of them.
pub fn is_called(name: &str, key: &str) -> bool {
    let same = |(a, b): (u8, u8)| a == b || (a, b) == (b'_', b'.');
    name.len() == key.len() && name.bytes().zip(key.bytes()).all(same)
}

fn as_text(value: &Json) -> Option<Units> {
    match value {
        Json::Text(text) => Some(text.clone()),
        Json::Number(digits) => Some(units(digits)),
        _ => None,
    }
}

fn unpack(chunks: &[(u64, Units)], limit: usize) -> Option<Units> {
    let digits: Vec<u8> = chunks
        .iter()
        .flat_map(|(_, part)| part.iter().map(|unit| *unit as u8))
        .collect();
    let packed = base64(&digits)?;
    let mut text = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
    decoder.read_to_end(&mut text).ok()?;
    (text.len() <= limit).then_some(())?;
    Some(units(&String::from_utf8(text).ok()?))
}

fn base64(digits: &[u8]) -> Option<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    digits.len().is_multiple_of(4).then_some(())?;
    let body = digits
        .strip_suffix(b"==")
        .or_else(|| digits.strip_suffix(b"="))
        .unwrap_or(digits);
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in body {
        let value = DIGITS.iter().position(|other| other == digit)? as u32;
        bits = bits << 6 | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}
