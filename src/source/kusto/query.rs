//! Query files and the values of a run.
//!
//! A query file is KQL that runs by itself. Between the lines [`VALUES`] and [`QUERY`] stand `let`
//! statements with defaults; gleaner puts the run's own values in their place:
//!
//! | name | value |
//! |---|---|
//! | `_window_start`, `_window_end` | datetime; `start <= Timestamp < end` |
//! | `_look_end` | datetime; the rows `_window_start <= Timestamp < _look_end` exist for the run: those behind the window only show which conversations its end cuts |
//! | `_keep_cut` | bool; rows outside the window and the mode are left out before anything is decided (`selection.cut = "keep"`) |
//! | `_chunks`, `_chunk` | the chunk: `hash(conversationId) % _chunks == _chunk` |
//! | `_ignored_ids` | dynamic array of ids that stand for "no id" |
//! | `_seed` | of the ranks: `hash_xxhash64(strcat(_seed, "/", conversationId))` |
//! | `_bucket(turns)` | the bucket's name, or `""` |
//! | `_selected(residue, turns, rank)` | whether a conversation is wanted; `residue` is `hash_xxhash64(conversationId) % 100` (with `selection.split_by` it is not looked at: gleaner leaves out rows of other splits itself) |
//! | `_ranked(residue, rank)` | whether a conversation may be wanted, by its id alone; a query that uses it early reads less |
//! | `_agent_modes` | dynamic array of the modes that count as an agent's |
//! | `_conversation_ids` | dynamic array of the ids of the conversations that are wanted, of Copilot Chat telemetry |
//! | `_shared_ids` | dynamic array of the ids of messages and options that are wanted |
//! | `_terms` | dynamic array: every row that is wanted has one of these words; empty: not known |
//!
//! Values are literals that are written here and nowhere else: no text from outside is spliced
//! into a query.

use std::collections::BTreeMap;

use crate::domain::selection::cut::Cut;
pub use values::{Asked, Reading, Values, literal};

mod values;

/// The line before the values.
pub const VALUES: &str = "// gleaner:values";

/// The line behind them.
pub const QUERY: &str = "// gleaner:query";

/// Makes of a census its chunk checksum: a count and a checksum that does not depend on order.
pub const CERTIFICATE: &str = "| summarize conversations = count(), checksum = sum(hash_xxhash64(conversationId) % 1000000007)";

/// Makes of a census the counts of a plan.
pub const COUNTS: &str = "| summarize conversations = count() by residue = hash_xxhash64(conversationId) % 100, turnCount";

/// The same for a census that says what the name of a conversation's group leaves divided by 100, or a number below 0.
pub const GROUP_COUNTS: &str = "| summarize conversations = count() by residue = iff(groupResidue >= 0, groupResidue, hash_xxhash64(conversationId) % 100), turnCount";

/// What chooses the split of a conversation in a census: its id, or its group if the census says which that is.
fn residue(by_group: bool) -> &'static str {
    match by_group {
        false => "hash_xxhash64(conversationId) % 100",
        true => "iff(groupResidue >= 0, groupResidue, hash_xxhash64(conversationId) % 100)",
    }
}

/// Leaves of a census the conversations that are wanted.
pub fn selected(by_group: bool) -> String {
    let residue = residue(by_group);
    format!(
        r#"| where _selected({residue}, turnCount, hash_xxhash64(strcat(_seed, "/", conversationId)))"#
    )
}

/// Makes of a census a chunk checksum for each residue and bucket, of all conversations and of those that are wanted.
/// `turns` are those of one of them.
pub fn counted(by_group: bool) -> String {
    let residue = residue(by_group);
    format!(
        r#"| extend residue = {residue}, bucket = _bucket(turnCount), part = hash_xxhash64(conversationId) % 1000000007
| extend isWanted = _selected(residue, turnCount, hash_xxhash64(strcat(_seed, "/", conversationId)))
| summarize conversations = count(), checksum = sum(part), delivered = countif(isWanted), deliveredChecksum = sumif(part, isWanted), turns = min(turnCount) by residue, bucket"#
    )
}

/// Names that a query must use, and what goes wrong if it does not.
const GROUPS: &str = "groupResidue";
const CHUNK: (&str, &str) = ("_chunk", "every chunk would have all conversations");
const CHUNKS: (&str, &str) = ("_chunks", "every chunk would have all conversations");
const START: (&str, &str) = ("_window_start", "the window would not be kept");
const END: (&str, &str) = ("_window_end", "rows that arrive meanwhile would be read");
const LOOK_END: (&str, &str) = ("_look_end", "rows that arrive meanwhile would be read");

/// What a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    /// A table of one row a turn, as whole conversations, or their census.
    Conversations,
    /// A census of Copilot Chat telemetry: it makes a column `requests`.
    TelemetryCensus,
    /// Rows of Copilot Chat telemetry as they are: it uses `_conversation_ids`.
    Telemetry,
}

impl QueryKind {
    fn of(code: &str) -> Self {
        match () {
            () if uses(code, "_conversation_ids") => Self::Telemetry,
            () if uses(code, "requests") => Self::TelemetryCensus,
            () => Self::Conversations,
        }
    }

    /// Whether it asks for Copilot Chat telemetry.
    pub fn is_telemetry(self) -> bool {
        self != Self::Conversations
    }

    fn needed(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Conversations => &[CHUNK, CHUNKS, START, END],
            Self::TelemetryCensus => &[CHUNK, CHUNKS, START, LOOK_END],
            Self::Telemetry => &[START, LOOK_END],
        }
    }
}

/// What a query asks for, by its text; a text that is no query file counts as conversations.
pub fn kind_of(text: &str) -> QueryKind {
    let text = text.replace("\r\n", "\n");
    let body = cut(&text, QUERY).map_or("", |(_, body)| body);
    QueryKind::of(&without_comments(body))
}

/// The errors of a query file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A marker is missing or stands elsewhere.
    #[error(
        "there is no line \"{0}\" in its place; the values of a run go between \"// gleaner:values\" and \"// gleaner:query\""
    )]
    Marker(&'static str),
    /// The query of the payloads and the census stand in each other's place.
    #[error(
        "it is a census, or the census is none; name the query of rows in source.kusto.query, the census in source.kusto.census"
    )]
    Exchanged,
    /// The census asks for another kind of telemetry than the query.
    #[error(
        "this census is of another kind of telemetry than the query: one asks AppEvents, the other a table of one row a turn; name two that belong together in source.kusto.query and source.kusto.census"
    )]
    OtherSchema,
    /// A value is not used.
    #[error("the query does not use {name}: {why}")]
    Unused {
        /// The name.
        name: &'static str,
        /// The consequence.
        why: &'static str,
    },
}

/// A query file, cut where the values go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    head: String,
    /// The default values.
    pub defaults: String,
    /// The query itself.
    pub body: String,
    /// What it asks for.
    pub kind: QueryKind,
}

impl Template {
    /// Cuts a query file.
    ///
    /// # Errors
    /// If it has no place for the values or does not use what it must.
    pub fn new(text: &str) -> Result<Self, QueryError> {
        let text = text.replace("\r\n", "\n");
        let (head, rest) = cut(&text, VALUES).ok_or(QueryError::Marker(VALUES))?;
        let (defaults, body) = cut(rest, QUERY).ok_or(QueryError::Marker(QUERY))?;
        let code = without_comments(body);
        let kind = QueryKind::of(&code);
        for &(name, why) in kind.needed() {
            if !uses(&code, name) {
                return Err(QueryError::Unused { name, why });
            }
        }
        Ok(Self {
            head: head.to_owned(),
            defaults: defaults.to_owned(),
            body: body.trim_end().trim_end_matches(';').trim_end().to_owned(),
            kind,
        })
    }

    /// Whether the query does with conversations that are cut what `selection.cut` says.
    ///
    /// # Errors
    /// If it does not use the value that it needs for that.
    pub fn handles(&self, cut: Cut) -> Result<(), QueryError> {
        if self.kind.is_telemetry() {
            // It only says what there is: which conversations are cut is decided here.
            return Ok(());
        }
        let code = without_comments(&self.body);
        let is_used = |name| uses(&code, name);
        match cut {
            Cut::Drop if !is_used("_look_end") => Err(QueryError::Unused {
                name: "_look_end",
                why: "conversations that continue behind the window would count as complete; read the rows up to it and leave out the conversations that the window cuts, as the shipped queries do, or set selection.cut = \"keep\"",
            }),
            // One that sees no row behind the window drops nothing for it.
            Cut::Keep if is_used("_look_end") && !is_used("_keep_cut") => Err(QueryError::Unused {
                name: "_keep_cut",
                why: "conversations that the window or the mode cuts would be left out in spite of selection.cut = \"keep\"",
            }),
            _ => Ok(()),
        }
    }

    /// Whether a census says of each conversation which group it is of.
    ///
    /// # Errors
    /// If it does not use the column for that.
    pub fn tells_groups(&self) -> Result<(), QueryError> {
        match uses(&without_comments(&self.body), GROUPS) {
            true => Ok(()),
            false => Err(QueryError::Unused {
                name: GROUPS,
                why: "selection.split_by needs to know the group of each conversation before its payload; let the census project groupResidue = hash_xxhash64(VALUE) % 100, or -1 where there is no text, as queries/sft_census_by_user.kql does; the rows must have the field too",
            }),
        }
    }

    /// Whether the query can be asked for some conversations only.
    pub fn selects(&self) -> bool {
        self.kind == QueryKind::Telemetry || uses(&without_comments(&self.body), "_selected")
    }

    /// Whether the query can be asked for the rows that others name: bodies of messages and options.
    pub fn finds_shared(&self) -> bool {
        uses(&without_comments(&self.body), "_shared_ids")
    }

    /// The names of the columns, if the query ends with `project`: all that is known of them
    /// without understanding KQL.
    pub fn projected(&self) -> Option<Vec<String>> {
        projected(&without_comments(&self.body))
    }

    /// The query with these values; `suffix` processes its result.
    pub fn with(&self, values: &Values<'_>, suffix: &str) -> String {
        let suffix = match suffix {
            "" => String::new(),
            suffix => format!("\n{suffix}"),
        };
        format!(
            "{}{VALUES}\n{}{QUERY}\n{}{suffix}\n",
            self.head,
            values.prelude(),
            self.body
        )
    }
}

fn projected(code: &str) -> Option<Vec<String>> {
    let (_, last) = code.rsplit_once('|')?;
    let list = last.trim_start().strip_prefix("project")?;
    if !list.starts_with(char::is_whitespace) {
        // `project-away` and its like.
        return None;
    }
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for c in list.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        match c {
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            c => item.push(c),
        }
    }
    items.push(item);
    let name = |item: &String| item.split('=').next().unwrap_or_default().trim().to_owned();
    Some(items.iter().map(name).collect())
}

/// What columns lack that a run needs; with a type that is known to be another they are lacking
/// too.
pub fn missing_columns(kind: QueryKind, columns: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let (id, turns) = (("conversationId", "string"), ("turnCount", "long"));
    let needed = match kind {
        QueryKind::Telemetry => vec![
            id,
            ("TimeGenerated", "datetime"),
            ("Name", "string"),
            ("Properties", "dynamic"),
            ("Measurements", "dynamic"),
        ],
        QueryKind::TelemetryCensus => vec![
            id,
            turns,
            ("lastTimestamp", "datetime"),
            ("rowCount", "long"),
            ("byteCount", "long"),
            ("requests", "dynamic"),
        ],
        QueryKind::Conversations if columns.contains_key("turnsArray") => {
            vec![id, turns, ("turnsArray", "dynamic")]
        }
        QueryKind::Conversations => vec![id, turns, ("lastTimestamp", "datetime")],
    };
    let lacking = |(name, kind): (&str, &str)| match columns.get(name) {
        None => Some(format!("its result has no column {name} ({kind})")),
        Some(Some(found)) if found != kind && !(kind == "long" && found == "int") => {
            Some(format!("its column {name} is {found}, it must be {kind}"))
        }
        Some(_) => None,
    };
    needed.into_iter().filter_map(lacking).collect()
}

/// Cuts a text at a line.
fn cut<'t>(text: &'t str, line: &str) -> Option<(&'t str, &'t str)> {
    let mut start = 0;
    for found in text.split_inclusive('\n') {
        if found.trim_end() == line {
            return Some((&text[..start], &text[start + found.len()..]));
        }
        start += found.len();
    }
    None
}

/// Comments end with their line. `//` in a string would end it too early, which can only make
/// the check below stricter.
fn without_comments(code: &str) -> String {
    let lines = code.lines().map(|line| match line.find("//") {
        Some(at) => &line[..at],
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn uses(code: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.split(|c: char| !is_name(c)).any(|word| word == name)
}

#[cfg(test)]
mod tests;
