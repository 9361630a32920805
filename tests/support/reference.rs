//! The reference evaluator: a sequential, plain reading of the specification. It shares no code
//! with the pipeline; every other test holds the pipeline against it. It is slow, holds all rows in
//! memory, and does one thing after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh64::xxh64;

/// What is asked for.
#[derive(Clone)]
pub struct Asked {
    pub seed: String,
    /// (split, bucket) -> target, in the splits and buckets of the specification.
    pub targets: BTreeMap<(&'static str, &'static str), usize>,
    pub ignore: Vec<String>,
    /// Half open, in ticks.
    pub window: (i64, i64),
    pub max_record: usize,
    pub sort_keys: bool,
}

pub const SPLITS: [(&str, i64); 3] = [("train", 83), ("val", 92), ("test", 100)];
pub const BUCKETS: [(&str, usize, usize, &str); 3] = [
    ("short", 3, 5, "short_3_to_5_turns"),
    ("medium", 6, 10, "medium_6_to_10_turns"),
    ("long", 11, 20, "long_11_to_20_turns"),
];

impl Asked {
    pub fn new(seed: &str, target: usize) -> Self {
        let pairs = SPLITS
            .iter()
            .flat_map(|s| BUCKETS.iter().map(|b| (s.0, b.0)));
        Self {
            seed: seed.to_owned(),
            targets: pairs.map(|pair| (pair, target)).collect(),
            ignore: vec!["unknown".to_owned()],
            window: (i64::MIN, i64::MAX),
            max_record: 64_000_000,
            sort_keys: false,
        }
    }
}

/// What comes out.
#[derive(Default, Debug)]
pub struct Outcome {
    pub rows: BTreeMap<&'static str, u64>,
    pub strata: BTreeMap<(&'static str, &'static str), Stratum>,
    pub warnings: BTreeMap<&'static str, u64>,
    /// File and line of every malformed row.
    pub malformed: BTreeSet<(String, usize)>,
}

#[derive(Default, Debug)]
pub struct Stratum {
    pub population: usize,
    pub records: Vec<Vec<u8>>,
    /// Ids with their codes.
    pub invalid: Vec<(String, Vec<&'static str>)>,
}

pub fn hash(text: &[u8]) -> i64 {
    xxh64(text, 0) as i64
}

pub fn split_of(id: &str) -> &'static str {
    let residue = hash(id.as_bytes()).rem_euclid(100);
    SPLITS
        .iter()
        .find(|split| residue < split.1)
        .expect("below 100")
        .0
}

fn bucket_of(turns: usize) -> Option<(&'static str, &'static str)> {
    let bucket = BUCKETS.iter().find(|b| (b.1..=b.2).contains(&turns))?;
    Some((bucket.0, bucket.3))
}

/// An object's members in their order, values as they stand.
#[derive(Clone)]
pub struct Object(Vec<(String, Box<RawValue>)>);

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
    fn get(&self, name: &str) -> Option<&RawValue> {
        Some(&*self.0.iter().rfind(|(key, _)| key == name)?.1)
    }
}

/// The content of a JSON string; half a character becomes U+FFFD.
fn text(value: &RawValue) -> String {
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

fn as_text(value: Option<&RawValue>) -> Option<String> {
    value.filter(|v| v.get().starts_with('"')).map(text)
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn is_blank(value: Option<&RawValue>) -> bool {
    as_text(value).is_some_and(|t| t.chars().all(char::is_whitespace))
}

/// Absent, null or blank.
fn is_missing(value: Option<&RawValue>) -> bool {
    value.is_none_or(is_null) || is_blank(value)
}

/// The value of a number that is an integer of 64 bits, exactly.
fn integer(value: Option<&RawValue>) -> Option<i64> {
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
fn has_lone_surrogate(json: &str) -> bool {
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

fn depth(json: &str) -> usize {
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

const TURN: [&str; 7] = [
    "turnIndex",
    "userMessage",
    "modelMessage",
    "promptTokens",
    "completionTokens",
    "llmCallCount",
    "trajectory",
];
const OTHERS: [&str; 7] = [
    "Timestamp",
    "conversationId",
    "userName",
    "mode",
    "turnCount",
    "bucket",
    "turnsArray",
];

fn has_twice(object: &Object, known: &[&str]) -> bool {
    let count = |name: &&str| object.0.iter().filter(|(key, _)| key == name).count();
    known.iter().any(|name| count(name) > 1)
}

/// A row that can be read.
enum Row {
    Event {
        id: String,
        turn: i64,
        at: i64,
        agent: bool,
        object: Object,
        bytes: usize,
    },
    Conversation {
        id: String,
        turns: usize,
        line: String,
    },
}

fn read(line: &[u8], asked: &Asked) -> Option<Row> {
    let line = line.trim_ascii();
    let json = std::str::from_utf8(line)
        .ok()
        .filter(|json| json.len() <= asked.max_record)?;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.disable_recursion_limit();
    if depth(json) > 128 {
        return None;
    }
    let object = Object::deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    if has_twice(&object, &TURN) || has_twice(&object, &OTHERS) {
        return None;
    }
    let id = as_text(object.get("conversationId")).filter(|id| !id.is_empty())?;
    if has_lone_surrogate(object.get("conversationId")?.get()) {
        return None;
    }
    if let Some(array) = object.get("turnsArray") {
        let turns: Vec<Object> = serde_json::from_str(array.get()).ok()?;
        if turns.iter().any(|turn| has_twice(turn, &TURN)) {
            return None;
        }
        return Some(Row::Conversation {
            id,
            turns: turns.len(),
            line: filled(json, &object, turns.len()),
        });
    }
    let turn = integer(object.get("turnIndex"))?;
    let at = ticks(&as_text(object.get("Timestamp"))?)?;
    let agent = as_text(object.get("mode")).as_deref() == Some("agent");
    Some(Row::Event {
        id,
        turn,
        at,
        agent,
        object,
        bytes: json.len(),
    })
}

/// A conversation row as it is written: what it lacks of the number of turns and the bucket stands
/// before its closing brace.
fn filled(json: &str, object: &Object, turns: usize) -> String {
    let mut out = json[..json.len() - 1].to_owned();
    if object.get("turnCount").is_none() {
        out += &format!(",\"turnCount\":{turns}");
    }
    if object.get("bucket").is_none() {
        let bucket = bucket_of(turns).map_or("null".to_owned(), |b| format!("\"{}\"", b.0));
        out += &format!(",\"bucket\":{bucket}");
    }
    out + "}"
}

/// A value as it is written.
fn written(value: &RawValue, sorted: bool) -> String {
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

fn turn_text(row: &Object, turn: i64, sorted: bool) -> String {
    let or_null = |name: &str| {
        row.get(name)
            .map_or("null".to_owned(), |v| written(v, sorted))
    };
    let mut out = format!("{{\"turnIndex\":{turn}");
    for name in &TURN[1..6] {
        out += &format!(",\"{name}\":{}", or_null(name));
    }
    if row.get("trajectory").is_some_and(|v| !is_null(v)) {
        out += &format!(",\"trajectory\":{}", or_null("trajectory"));
    }
    let names: BTreeSet<&str> = row.0.iter().map(|(key, _)| key.as_str()).collect();
    let no_place = ["Timestamp", "conversationId", "userName", "mode"];
    for name in names {
        if !TURN.contains(&name) && !no_place.contains(&name) && !row.get(name).is_some_and(is_null)
        {
            out += &format!(
                ",{}:{}",
                serde_json::to_string(name).expect("text"),
                or_null(name)
            );
        }
    }
    out + "}"
}

/// Which of two rows of one turn is the last word: the smaller of these.
fn order(row: &Object, turn: i64, at: i64) -> (i64, i64, [u8; 32], [u8; 32]) {
    let message = |name| as_text(row.get(name)).unwrap_or_default();
    let messages = format!(
        "{}\u{1f}{}",
        message("userMessage"),
        message("modelMessage")
    );
    let user = match row.get("userName") {
        Some(name) if name.get().starts_with('"') => text(name),
        Some(name) if !is_null(name) => name.get().to_owned(),
        _ => String::new(),
    };
    let all = format!("{}\u{1f}{user}", turn_text(row, turn, true));
    // Rows that are equal up to here may still be written differently.
    let user = row
        .get("userName")
        .map_or("null".to_owned(), |v| written(v, false));
    let as_written = format!("{}\u{1f}{user}", turn_text(row, turn, false));
    (
        -at,
        hash(messages.as_bytes()),
        Sha256::digest(all).into(),
        Sha256::digest(as_written).into(),
    )
}

fn assembled(id: &str, turns: &BTreeMap<i64, Object>, sorted: bool) -> String {
    let name = turns
        .values()
        .find_map(|row| row.get("userName").filter(|v| !is_missing(Some(v))));
    let name = name.map_or("null".to_owned(), |v| written(v, sorted));
    let bucket = bucket_of(turns.len()).map_or("null".to_owned(), |b| format!("\"{}\"", b.0));
    let array: Vec<String> = turns
        .iter()
        .map(|(i, row)| turn_text(row, *i, sorted))
        .collect();
    let mut out = format!(
        "{{\"conversationId\":{},\"userName\":{name},\"turnCount\":{},\"bucket\":{bucket},\"turnsArray\":[{}]",
        serde_json::to_string(id).expect("text"),
        turns.len(),
        array.join(","),
    );
    for field in ["promptTokens", "completionTokens", "llmCallCount"] {
        let counts: Vec<i64> = turns
            .values()
            .filter_map(|row| integer(row.get(field)))
            .collect();
        let sum: i128 = counts.iter().map(|n| i128::from(*n)).sum();
        let sum = if counts.is_empty() {
            "null".to_owned()
        } else {
            sum.to_string()
        };
        out += &format!(",\"{field}\":{sum}");
    }
    out + "}"
}

/// Fatal codes and warnings of a record.
pub fn judge(record: &str, split: &str) -> (Vec<&'static str>, Vec<&'static str>) {
    let object: Object = serde_json::from_str(record).expect("checked");
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let id = as_text(object.get("conversationId"));
    let turns: Option<Vec<Object>> = object
        .get("turnsArray")
        .and_then(|array| serde_json::from_str(array.get()).ok());
    let mut fatal = |wrong: bool, code| {
        if wrong {
            errors.push(code)
        }
    };
    fatal(
        is_missing(object.get("conversationId")),
        "missing_field:conversationId",
    );
    fatal(is_missing(object.get("userName")), "missing_field:userName");
    fatal(is_missing(object.get("bucket")), "missing_field:bucket");
    fatal(turns.is_none(), "missing_field:turnsArray");
    fatal(
        id.is_some_and(|id| split_of(&id) != split),
        "split_mismatch",
    );
    let turns = turns.unwrap_or_default();
    let indices: Vec<Option<i64>> = turns.iter().map(|t| integer(t.get("turnIndex"))).collect();
    fatal(indices.first() != Some(&Some(1)), "first_turn");
    fatal(
        (1..).zip(&indices).any(|(i, index)| *index != Some(i)),
        "turn_sequence",
    );
    let declared = as_text(object.get("bucket"));
    let fits = bucket_of(turns.len()).is_some_and(|(name, file)| {
        declared.as_deref() == Some(name) || declared.as_deref() == Some(file)
    });
    let counted = integer(object.get("turnCount")) == Some(turns.len() as i64);
    fatal(
        !(fits || is_missing(object.get("bucket"))) || !counted,
        "bucket_mismatch",
    );
    let blank = |name| {
        turns
            .iter()
            .any(|t| as_text(t.get(name)).is_none_or(|m| m.chars().all(char::is_whitespace)))
    };
    fatal(blank("userMessage"), "empty_user_message");
    fatal(has_lone_surrogate(record), "lone_surrogate");
    if blank("modelMessage") {
        warnings.push("empty_model_message");
    }
    let number = |name| object.get(name).and_then(|v| v.get().parse::<f64>().ok());
    if !number("promptTokens").is_some_and(|n| n > 0.0)
        || !number("completionTokens").is_some_and(|n| n >= 0.0)
    {
        warnings.push("token_counts");
    }
    (errors, warnings)
}

/// A delivery of a turn: its instant, its row, its length, its file and line.
type Delivered = (i64, Object, usize, (String, usize));

/// A conversation of a stratum: its rank, its id, its number of turns, its record.
type Ranked = (i64, String, usize, String);

/// The rows of a file: its lines, or the elements of its one array. An element that spans lines
/// is written without the white space between its tokens.
fn rows_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    if !bytes.trim_ascii_start().starts_with(b"[") {
        return bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    }
    let elements: Vec<Box<RawValue>> = serde_json::from_slice(bytes).expect("a whole array");
    let mut rows = Vec::new();
    for element in elements {
        let text = element.get();
        if !text.contains(['\n', '\r']) {
            rows.push(text.as_bytes().to_vec());
            continue;
        }
        let (mut row, mut in_string, mut escaped) = (String::new(), false, false);
        for c in text.chars() {
            if in_string || !c.is_ascii_whitespace() {
                row.push(c);
            }
            in_string ^= c == '"' && !escaped;
            escaped = in_string && c == '\\' && !escaped;
        }
        rows.push(row.into_bytes());
    }
    rows
}

/// Evaluates files of lines and of arrays.
pub fn evaluate(files: &[(String, Vec<u8>)], asked: &Asked) -> Outcome {
    let mut out = Outcome::default();
    let count = |out: &mut Outcome, key, n: u64| *out.rows.entry(key).or_default() += n;
    let mut events: BTreeMap<String, BTreeMap<i64, Vec<Delivered>>> = BTreeMap::new();
    let mut whole: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (name, bytes) in files {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (number, line) in (1..).zip(rows_of(bytes)) {
            let line = &line[..];
            if line.trim_ascii().is_empty() {
                continue;
            }
            count(&mut out, "rows_read", 1);
            match read(line, asked) {
                None => {
                    out.malformed.insert((name.clone(), number));
                }
                Some(Row::Event {
                    id,
                    turn,
                    at,
                    agent,
                    object,
                    bytes,
                }) => {
                    let (start, end) = asked.window;
                    if !agent || at < start || at >= end || asked.ignore.contains(&id) {
                        count(&mut out, "filtered", 1);
                    } else {
                        let rows = events.entry(id).or_default().entry(turn).or_default();
                        rows.push((at, object, bytes, (name.clone(), number)));
                    }
                }
                Some(Row::Conversation { id, turns, line }) => {
                    if asked.ignore.contains(&id) {
                        count(&mut out, "filtered", 1);
                    } else {
                        whole.entry(id).or_default().push((turns, line));
                    }
                }
            }
        }
    }
    let mut records: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (id, mut rows) in whole {
        rows.sort_by_key(|(turns, line)| {
            (usize::MAX - turns, <[u8; 32]>::from(Sha256::digest(line)))
        });
        count(&mut out, "duplicate_conversations", rows.len() as u64 - 1);
        count(&mut out, "kept_rows", 1);
        records.insert(id, rows.swap_remove(0));
    }
    for (id, mut turns) in events {
        let mut places = Vec::new();
        let mut chosen = BTreeMap::new();
        for (turn, rows) in &mut turns {
            rows.sort_by_key(|(at, row, _, _)| order(row, *turn, *at));
            count(&mut out, "duplicate_turns", rows.len() as u64 - 1);
            places.push(rows[0].3.clone());
            chosen.insert(*turn, rows[0].1.clone());
        }
        let complete = (1..).zip(chosen.keys()).all(|(i, turn)| i == *turn);
        let record = assembled(&id, &chosen, asked.sort_keys);
        if complete && record.len() > asked.max_record {
            out.malformed.extend(places);
            continue;
        }
        count(&mut out, "kept_rows", chosen.len() as u64);
        if complete {
            records.insert(id, (chosen.len(), record));
        } else {
            count(&mut out, "incomplete", 1);
            count(&mut out, "conversations", 1);
        }
    }
    let malformed = out.malformed.len() as u64;
    count(&mut out, "malformed", malformed);
    let mut strata: BTreeMap<(&str, &str), Vec<Ranked>> = BTreeMap::new();
    for (id, (turns, record)) in records {
        count(&mut out, "conversations", 1);
        let Some((bucket, _)) = bucket_of(turns) else {
            count(&mut out, "out_of_range", 1);
            continue;
        };
        let stratum = (split_of(&id), bucket);
        if asked.targets.get(&stratum).copied().unwrap_or(0) == 0 {
            count(&mut out, "no_target", 1);
            continue;
        }
        let rank = hash(format!("{}/{id}", asked.seed).as_bytes());
        strata
            .entry(stratum)
            .or_default()
            .push((rank, id, turns, record));
    }
    for (&stratum, &target) in asked.targets.iter().filter(|(_, target)| **target > 0) {
        let mut candidates = strata.remove(&stratum).unwrap_or_default();
        candidates.sort();
        let mut done = Stratum {
            population: candidates.len(),
            ..Stratum::default()
        };
        for (_, id, _, record) in candidates {
            if done.records.len() == target {
                break;
            }
            let (errors, warnings) = judge(&record, stratum.0);
            if errors.is_empty() {
                done.records.push(record.into_bytes());
                for code in warnings {
                    *out.warnings.entry(code).or_default() += 1;
                }
            } else {
                done.invalid.push((id, errors));
            }
        }
        out.strata.insert(stratum, done);
    }
    out
}
