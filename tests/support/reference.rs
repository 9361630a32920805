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
    /// Rows so far behind the window's end exist, in ticks.
    pub slack: i64,
    /// `selection.cut = "keep"`
    pub keep_cut: bool,
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
            slack: 86_400 * 10_000_000,
            keep_cut: false,
            max_record: 64_000_000,
            sort_keys: false,
        }
    }
}

/// What comes out.
#[derive(Default, Debug)]
pub struct Outcome {
    pub rows: BTreeMap<&'static str, u64>,
    pub filtered_by: BTreeMap<&'static str, u64>,
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

/// The top-level id of a malformed row, as far as a scanner comes: its string closed, and the only
/// one. Of a row that is too large it sees the beginning.
pub fn readable_id(line: &[u8], asked: &Asked) -> Option<String> {
    let line = line.trim_ascii();
    let held = String::from_utf8_lossy(&line[..line.len().min(asked.max_record)]);
    let mut rest = held.strip_prefix('{')?.trim_start_matches(JSON_SPACE);
    let (mut seen, mut id) = (0, None);
    while let Some((key, after)) = one_value(rest).filter(|_| rest.starts_with('"')) {
        let Some(after) = after.trim_start_matches(JSON_SPACE).strip_prefix(':') else {
            break;
        };
        let is_id = text(&key) == "conversationId";
        seen += u32::from(is_id);
        let Some((value, after)) = one_value(after.trim_start_matches(JSON_SPACE)) else {
            break;
        };
        if depth(value.get()) + 1 > 128 {
            break;
        }
        if is_id {
            id = Some(value);
        }
        let Some(after) = after.trim_start_matches(JSON_SPACE).strip_prefix(',') else {
            break;
        };
        rest = after.trim_start_matches(JSON_SPACE);
    }
    let id = id.filter(|_| seen == 1)?;
    let has_bad_bytes = std::str::from_utf8(line).is_err() && id.get().contains('\u{fffd}');
    if has_bad_bytes || has_lone_surrogate(id.get()) {
        return None;
    }
    as_text(Some(&id)).filter(|id| !id.is_empty())
}

const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The JSON value that a text begins with, and what follows it.
fn one_value(text: &str) -> Option<(Box<RawValue>, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
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

/// What decides between two rows of one turn: the smaller of these is the last word.
type Order = (i64, bool, i64, [u8; 32], [u8; 32], bool);

fn order(row: &ReceivedRow, turn: i64) -> Order {
    let (at, row, agent) = (row.at, &row.object, row.agent);
    let message = |name| as_text(row.get(name)).unwrap_or_default();
    let reply = message("modelMessage");
    let messages = format!("{}\u{1f}{reply}", message("userMessage"));
    let user = match row.get("userName") {
        Some(name) if name.get().starts_with('"') => text(name),
        Some(name) if !is_null(name) => name.get().to_owned(),
        _ => String::new(),
    };
    let all = format!("{}\u{1f}{user}", turn_text(row, turn, true));
    // Rows that are equal up to here may still be written differently, or have another mode.
    let user = row
        .get("userName")
        .map_or("null".to_owned(), |v| written(v, false));
    let as_written = format!("{}\u{1f}{user}", turn_text(row, turn, false));
    (
        -at,
        reply.chars().all(char::is_whitespace),
        hash(messages.as_bytes()),
        Sha256::digest(all).into(),
        Sha256::digest(as_written).into(),
        !agent,
    )
}

/// How many turns of a conversation row have a reply that is not blank.
fn replies(line: &str) -> usize {
    let object: Object = serde_json::from_str(line).expect("checked");
    let turns: Vec<Object> =
        serde_json::from_str(object.get("turnsArray").expect("checked").get()).expect("checked");
    let reply = |turn: &&Object| {
        let reply = as_text(turn.get("modelMessage")).unwrap_or_default();
        !reply.chars().all(char::is_whitespace)
    };
    turns.iter().filter(reply).count()
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

/// A delivery of a turn.
struct ReceivedRow {
    at: i64,
    agent: bool,
    object: Object,
    /// File and line.
    place: (String, usize),
}

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
    let filter = |out: &mut Outcome, reason, n: u64| {
        if n == 0 {
            return;
        }
        count(out, "filtered", n);
        *out.filtered_by.entry(reason).or_default() += n;
    };
    let (start, end) = asked.window;
    let mut events: BTreeMap<String, BTreeMap<i64, Vec<ReceivedRow>>> = BTreeMap::new();
    let mut whole: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    let mut damaged: BTreeSet<String> = BTreeSet::new();
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
                    let id = readable_id(line, asked);
                    damaged.extend(id.filter(|id| !asked.ignore.contains(id)));
                }
                Some(Row::Event {
                    id,
                    turn,
                    at,
                    agent,
                    object,
                }) => {
                    let exists = start <= at && at < end.saturating_add(asked.slack);
                    if !exists {
                        filter(&mut out, "window", 1);
                    } else if asked.ignore.contains(&id) {
                        filter(&mut out, "ignored_ids", 1);
                    } else {
                        let rows = events.entry(id).or_default().entry(turn).or_default();
                        rows.push(ReceivedRow {
                            at,
                            agent,
                            object,
                            place: (name.clone(), number),
                        });
                    }
                }
                Some(Row::Conversation { id, turns, line }) => {
                    if asked.ignore.contains(&id) {
                        filter(&mut out, "ignored_ids", 1);
                    } else {
                        whole.entry(id).or_default().push((turns, line));
                    }
                }
            }
        }
    }
    // All that is left of these are rows that cannot be read.
    let known = |id: &&String| !events.contains_key(*id) && !whole.contains_key(*id);
    let lost = damaged.iter().filter(known).count() as u64;
    count(&mut out, "damaged", lost);
    count(&mut out, "conversations", lost);
    let mut records: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (id, mut rows) in whole {
        rows.sort_by_key(|(turns, line)| {
            let digest = <[u8; 32]>::from(Sha256::digest(line));
            (usize::MAX - turns, usize::MAX - replies(line), digest)
        });
        count(&mut out, "duplicate_conversations", rows.len() as u64 - 1);
        count(&mut out, "kept_rows", 1);
        if damaged.contains(&id) {
            count(&mut out, "damaged", 1);
            count(&mut out, "conversations", 1);
        } else {
            records.insert(id, rows.swap_remove(0));
        }
    }
    let in_window = |row: &ReceivedRow| row.at < end;
    for (id, mut turns) in events {
        if asked.keep_cut {
            // The rows outside are left out before the winner is chosen.
            for rows in turns.values_mut() {
                let modes = rows.iter().filter(|row| !row.agent).count() as u64;
                let late = |row: &&ReceivedRow| row.agent && !in_window(row);
                let windows = rows.iter().filter(late).count() as u64;
                filter(&mut out, "mode", modes);
                filter(&mut out, "window", windows);
                rows.retain(|row| row.agent && in_window(row));
            }
            turns.retain(|_, rows| !rows.is_empty());
            if turns.is_empty() {
                continue;
            }
        }
        for (turn, rows) in &mut turns {
            rows.sort_by_key(|row| order(row, *turn));
        }
        let winners: Vec<(i64, &ReceivedRow)> =
            turns.iter().map(|(n, rows)| (*n, &rows[0])).collect();
        if !winners.iter().any(|(_, row)| row.agent && in_window(row)) {
            // Not a conversation.
            for rows in turns.values() {
                let reason = if rows[0].agent { "window" } else { "mode" };
                filter(&mut out, reason, rows.len() as u64);
            }
            continue;
        }
        let all: u64 = turns.values().map(|rows| rows.len() as u64).sum();
        count(&mut out, "duplicate_turns", all - winners.len() as u64);
        let fault = if damaged.contains(&id) {
            Some("damaged")
        } else if winners.iter().any(|(_, row)| !row.agent) {
            Some("cut_by_mode")
        } else if winners.iter().any(|(_, row)| !in_window(row)) {
            Some("cut_by_window")
        } else if !(1..).zip(&winners).all(|(i, (turn, _))| i == *turn) {
            Some("incomplete")
        } else {
            None
        };
        let chosen = winners
            .iter()
            .map(|(turn, row)| (*turn, row.object.clone()));
        let chosen: BTreeMap<i64, Object> = chosen.collect();
        let record = assembled(&id, &chosen, asked.sort_keys);
        if fault.is_none() && record.len() > asked.max_record {
            let places = winners.iter().map(|(_, row)| row.place.clone());
            out.malformed.extend(places);
            count(&mut out, "damaged", 1);
            count(&mut out, "conversations", 1);
            continue;
        }
        count(&mut out, "kept_rows", chosen.len() as u64);
        match fault {
            None => drop(records.insert(id, (chosen.len(), record))),
            Some(fault) => {
                count(&mut out, fault, 1);
                count(&mut out, "conversations", 1);
            }
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
