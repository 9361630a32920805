//! The table `AppEvents`, and what the queries of Copilot Chat telemetry find in it. Written from what
//! the queries say, not from gleaner's own reading of such rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use gleaner::domain::record::row::RowShape;
use gleaner::domain::record::timestamp::{self, Ticks, UtcInstant};
use gleaner::domain::selection::kusto_hash;
use gleaner::source::synthetic::settings::{Synthetic, TelemetryStyle};
use gleaner::source::synthetic::telemetry;
use serde_json::{Value, json};

use crate::answer::Asked;

/// From the year 1, where Kusto begins to count, to 1970.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;

/// What a query says of a row that has no position.
const NO_POSITION: i64 = 4_294_967_295;

const PREFIXES: [&str; 3] = ["GitHub.copilot-chat", "GitHub.copilot.chat", "copilot-chat"];

const OF_CONVERSATIONS: [&str; 8] = [
    "conversation.messageText",
    "interactiveSessionMessage",
    "interactiveSessionResponse",
    "toolCallDetailsInternal",
    "engine.messages.length",
    "engine.messages",
    "model.modelCall.input",
    "model.modelCall.output",
];

/// A row of an event that the queries name.
#[derive(Debug)]
struct AppRow {
    at: Ticks,
    /// `TimeGenerated`, `Name`, `Properties`, `Measurements` and `ItemCount`, as JSON.
    columns: String,
    event: String,
    /// Its conversation; empty: none, or it is a shared row.
    conversation: String,
    /// `hash(conversation)`
    hash: i64,
    /// The id of its message or options.
    shared: String,
    request: String,
    call: String,
    position: i64,
    mode: String,
    /// When a name of a user was sent, and what it leaves divided by 100.
    user: Option<(Ticks, i64)>,
    bytes: u64,
}

/// The table.
#[derive(Debug, Default)]
pub struct AppEvents(Vec<AppRow>);

/// What a census says of a group of rows.
#[derive(Debug, Clone)]
struct Group {
    request: String,
    begun: Ticks,
    ended: Ticks,
    first: i64,
    last: i64,
    agent: u64,
    other: u64,
    rows: u64,
    bytes: u64,
    user: Option<(Ticks, i64)>,
}

impl AppEvents {
    /// Reads files, and all files of folders: rows of `AppEvents` as JSON lines, also packed.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn read(paths: &[PathBuf]) -> io::Result<Self> {
        let mut rows = Vec::new();
        for path in paths {
            read(path, &mut |row| rows.extend(AppRow::new(row)))?;
        }
        Ok(Self(rows))
    }

    /// Rows such as Copilot Chat would have sent in synthetic conversations.
    pub fn synthetic(conversations: u64, seed: u64) -> Self {
        let settings = Synthetic {
            conversations,
            seed,
            schema: RowShape::CopilotChat,
        };
        let rows = (0..conversations)
            .flat_map(|number| telemetry::rows(settings, TelemetryStyle::default(), number))
            .filter_map(|row| AppRow::new(&serde_json::from_slice(&row).ok()?));
        Self(rows.collect())
    }

    /// The rows of conversations in the chunk that is asked for.
    fn of_chunk<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = &'a AppRow> {
        self.0.iter().filter(|row| {
            kusto_hash::modulo(row.hash, asked.chunks) == asked.chunk
                && asked.sees(row.at)
                && !row.conversation.is_empty()
                && row.conversation != "undefined"
                && !asked.ignored.contains(&row.conversation)
        })
    }

    /// The census: conversations, and of each its rows by request.
    fn census<'a>(&'a self, asked: &'a Asked) -> BTreeMap<&'a str, Vec<Group>> {
        let mut places: BTreeMap<(&str, String), Group> = BTreeMap::new();
        for row in self.of_chunk(asked) {
            let place = match row.call.as_str() {
                "" => format!("request/{}", row.request),
                call => format!("call/{call}"),
            };
            let group = Group::of(row);
            let key = (row.conversation.as_str(), place);
            add(places.entry(key), group);
        }
        let mut requests: BTreeMap<(&str, String), Group> = BTreeMap::new();
        for ((conversation, _), group) in places {
            let key = (conversation, group.request.clone());
            add(requests.entry(key), group);
        }
        let mut conversations: BTreeMap<&str, Vec<Group>> = BTreeMap::new();
        for ((conversation, _), group) in requests {
            conversations.entry(conversation).or_default().push(group);
        }
        conversations
    }

    /// The rows of the census.
    pub fn census_rows(&self, asked: &Asked, by_user: bool) -> Vec<String> {
        let row = |(id, groups): (&str, Vec<Group>)| {
            let detail = |group: &Group| group.detail(by_user);
            let details: Vec<Value> = groups.iter().map(detail).collect();
            let ended = groups.iter().map(|group| group.ended).max();
            let sum = |of: fn(&Group) -> u64| groups.iter().map(of).sum::<u64>();
            let last = UtcInstant::from_ticks(ended.unwrap_or_default());
            let last = last.map_or_else(String::new, |last| last.to_string());
            let (rows, bytes) = (sum(|group| group.rows), sum(|group| group.bytes));
            let mut row = json!([id, turns(&groups), last, rows, bytes, details]);
            if by_user && let Some(cells) = row.as_array_mut() {
                cells.push(json!(user(&groups)));
            }
            row.to_string()
        };
        self.census(asked).into_iter().map(row).collect()
    }

    /// The number of conversations of the census and their checksum.
    pub fn checksum(&self, asked: &Asked) -> String {
        let (mut count, mut sum) = (0_u64, 0_i64);
        for id in self.census(asked).into_keys() {
            count += 1;
            sum += kusto_hash::hash(id.as_bytes()).rem_euclid(1_000_000_007);
        }
        json!([count, sum]).to_string()
    }

    /// The numbers of conversations of the census by residue and turns.
    pub fn counts(&self, asked: &Asked, by_user: bool) -> Vec<String> {
        let mut counts = BTreeMap::<(i64, u64), u64>::new();
        for (id, groups) in self.census(asked) {
            let residue = match user(&groups) {
                user @ 0.. if by_user => user,
                _ => kusto_hash::hash(id.as_bytes()).rem_euclid(100),
            };
            *counts.entry((residue, turns(&groups))).or_default() += 1;
        }
        let row = |((residue, turns), count)| json!([residue, turns, count]).to_string();
        counts.into_iter().map(row).collect()
    }

    /// The rows that are asked for by their ids; `lite`: without shared ones.
    pub fn rows<'a>(
        &'a self,
        asked: &'a Asked,
        lite: bool,
    ) -> Box<dyn Iterator<Item = String> + 'a> {
        let found = self.0.iter().filter(move |row| {
            let is_named = match row.shared.is_empty() {
                true => {
                    asked.conversations.contains(&row.conversation)
                        && !asked.ignored.contains(&row.conversation)
                        && (!lite || row.event != "engine.messages")
                }
                false => !lite && asked.shared.contains(&row.shared),
            };
            asked.sees(row.at) && is_named
        });
        Box::new(found.map(move |row| {
            let (conversation, shared) = (json!(row.conversation), json!(row.shared));
            match lite {
                true => format!("[{conversation},{}]", row.columns),
                false => format!("[{conversation},{shared},{}]", row.columns),
            }
        }))
    }
}

/// The greatest of what the users of some groups leave; -1 if none has one.
fn user(groups: &[Group]) -> i64 {
    let users = groups.iter().filter_map(|group| group.user);
    users.map(|(_, residue)| residue).max().unwrap_or(-1)
}

fn turns(groups: &[Group]) -> u64 {
    let is_turn = |group: &&Group| !group.request.is_empty() && group.last > 0;
    groups.iter().filter(is_turn).count() as u64
}

fn add<K: Ord>(entry: std::collections::btree_map::Entry<'_, K, Group>, group: Group) {
    entry
        .and_modify(|sum| {
            sum.request = std::mem::take(&mut sum.request).max(group.request.clone());
            sum.begun = sum.begun.min(group.begun);
            sum.ended = sum.ended.max(group.ended);
            sum.first = sum.first.min(group.first);
            sum.last = sum.last.max(group.last);
            sum.agent += group.agent;
            sum.other += group.other;
            sum.rows += group.rows;
            sum.bytes += group.bytes;
            sum.user = sum.user.into_iter().chain(group.user).min();
        })
        .or_insert(group);
}

impl Group {
    fn of(row: &AppRow) -> Self {
        Self {
            request: row.request.clone(),
            begun: row.at,
            ended: row.at,
            first: if row.position == 0 {
                NO_POSITION
            } else {
                row.position
            },
            last: row.position,
            agent: u64::from(row.mode == "agent"),
            other: u64::from(!matches!(row.mode.as_str(), "" | "agent")),
            rows: 1,
            bytes: row.bytes,
            user: row.user,
        }
    }

    fn detail(&self, by_user: bool) -> Value {
        let mut detail = json!({
            "id": self.request, "begun": self.begun + UNIX_EPOCH,
            "first": self.first, "last": self.last, "agent": self.agent, "other": self.other,
        });
        if by_user {
            detail["group"] = json!(self.user.map_or(-1, |(_, residue)| residue));
        }
        detail
    }
}

/// What the queries read of a row by name.
struct Columns<'a> {
    event: &'a str,
    source: String,
    properties: &'a Value,
    measurements: &'a Value,
}

impl<'a> Columns<'a> {
    /// `None`: the queries do not name the event.
    fn new(row: &'a Value) -> Option<Self> {
        let (prefix, event) = row["Name"].as_str()?.rsplit_once('/')?;
        let columns = Self {
            event,
            source: tostring(&row["Properties"]["source"]),
            properties: &row["Properties"],
            measurements: &row["Measurements"],
        };
        let is_named = OF_CONVERSATIONS.contains(&event) || !columns.shared().is_empty();
        let is_odd =
            columns.is_text() && !matches!(columns.source.as_str(), "user" | "model" | "offTopic");
        (PREFIXES.contains(&prefix) && is_named && !is_odd).then_some(columns)
    }

    fn text(&self, name: &str) -> String {
        tostring(&self.properties[name])
    }

    /// A name; what is no text names nothing.
    fn named(&self, name: &str) -> String {
        match self.properties[name].as_str() {
            Some("undefined") | None => String::new(),
            Some(id) => id.to_owned(),
        }
    }

    fn measured(&self, name: &str) -> String {
        match tostring(&self.measurements[name]) {
            number if number.is_empty() => self.text(name),
            number => number,
        }
    }

    fn is_text(&self) -> bool {
        self.event == "conversation.messageText"
    }

    fn is_session(&self) -> bool {
        self.event.starts_with("interactiveSession")
    }

    fn is_host(&self) -> bool {
        !self.named("initiatorClientType").is_empty()
    }

    /// The id of what conversations share, or nothing.
    fn shared(&self) -> String {
        match self.event {
            "model.message.added" => self.text("messageUuid"),
            "model.request.options.added" => self.text("requestOptionsId"),
            _ => String::new(),
        }
    }

    fn conversation(&self) -> String {
        match self.is_session() && self.properties["conversationId"].is_null() {
            true => self.text("sessionId"),
            false => self.text("conversationId"),
        }
    }

    /// The place of the turn from 1 on; 0: the row names none.
    fn position(&self) -> i64 {
        let from_host = i64::from(self.is_host());
        let (number, from) = match (self.event, self.source.as_str()) {
            ("conversation.messageText", "user") => (self.text("turnIndex"), 1),
            ("conversation.messageText", "model") => (self.text("turnIndex"), from_host),
            ("toolCallDetailsInternal", _) => (self.measured("turnIndex"), from_host),
            _ if self.is_session() => (self.measured("turnNumber"), 0),
            _ => (String::new(), 0),
        };
        let number = number.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        number.map_or(0, |number| number as i64 + from)
    }

    fn request(&self) -> String {
        if self.is_host() {
            return match self.position() {
                0 => String::new(),
                position => format!("#{position}"),
            };
        }
        let ids = match self.is_text() && self.source == "offTopic" {
            true => ["userMessageId", "messageId", "headerRequestId"],
            false => ["messageId", "requestId", "headerRequestId"],
        };
        let known = |id: &String| !id.is_empty() && id != "unknown";
        let mut found = ids.iter().map(|name| self.named(name)).filter(known);
        found.next().unwrap_or_default()
    }
}

impl AppRow {
    /// A row of an event that the queries name.
    fn new(row: &Value) -> Option<Self> {
        let columns = Columns::new(row)?;
        let (event, properties, measurements) =
            (columns.event, columns.properties, columns.measurements);
        let shared = columns.shared();
        let conversation = match shared.is_empty() {
            true => columns.conversation(),
            false => String::new(),
        };
        let is_of_call = event.starts_with("engine.") || event.starts_with("model.");
        let named_if = |is_read: bool, name| match is_read {
            true => columns.named(name),
            false => String::new(),
        };
        let at = timestamp::parse(row["TimeGenerated"].as_str()?.as_bytes())?;
        let user = match columns.named("common.userName") {
            name if name.is_empty() => columns.named("common_userName"),
            name => name,
        };
        let residue = kusto_hash::hash(user.as_bytes()).rem_euclid(100);
        Some(Self {
            at,
            user: (!user.trim().is_empty()).then_some((at, residue)),
            columns: format!(
                "{},{},{properties},{measurements},{}",
                row["TimeGenerated"], row["Name"], row["ItemCount"]
            ),
            event: event.to_owned(),
            hash: kusto_hash::hash(conversation.as_bytes()),
            conversation,
            shared,
            request: columns.request(),
            call: named_if(is_of_call, "modelCallId"),
            position: columns.position(),
            mode: named_if(columns.is_text(), "mode"),
            bytes: (properties.to_string().len() + measurements.to_string().len()) as u64,
        })
    }
}

/// What `tostring` makes of a member of a bag.
fn tostring(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn read(path: &Path, take: &mut dyn FnMut(&Value)) -> io::Result<()> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path)?;
        let paths: Result<BTreeSet<PathBuf>, _> = entries.map(|e| Ok(e?.path())).collect();
        return paths.and_then(|paths: BTreeSet<PathBuf>| {
            paths.iter().try_for_each(|path| read(path, take))
        });
    }
    let file = File::open(path)?;
    let reader: Box<dyn Read> = match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(MultiGzDecoder::new(file)),
        Some("zst") => {
            let mut decoder = zstd::Decoder::new(file)?;
            decoder.window_log_max(27)?;
            Box::new(decoder)
        }
        _ => Box::new(file),
    };
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = line.trim_ascii();
        if !line.is_empty() {
            let row = serde_json::from_slice(line).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{}: {error}", path.display()),
                )
            })?;
            take(&row);
        }
    }
    Ok(())
}
