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
//! | `_selected(residue, turns, rank)` | whether a conversation is wanted; `residue` is `hash_xxhash64(conversationId) % 100` |
//!
//! Values are literals that are written here and nowhere else: no text from outside is spliced
//! into a query.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::record::timestamp::UtcInstant;
use crate::domain::sampling::selector::RankRanges;
use crate::domain::scheduling::chunk::HashChunk;
use crate::domain::selection::cut::Cut;
use crate::domain::selection::stratum::Selection;

/// The line before the values.
pub const VALUES: &str = "// gleaner:values";

/// The line behind them.
pub const QUERY: &str = "// gleaner:query";

/// Makes of a census its chunk checksum: a count and a checksum that does not depend on order.
pub const CERTIFICATE: &str = "| summarize conversations = count(), checksum = sum(hash_xxhash64(conversationId) % 1000000007)";

/// Makes of a census the counts of a plan.
pub const COUNTS: &str = "| summarize conversations = count() by residue = hash_xxhash64(conversationId) % 100, turnCount";

/// The first instant that KQL has.
const FIRST: &str = "0001-01-01T00:00:00Z";

/// The last one.
const LAST: &str = "9999-12-31T23:59:59.9999999Z";

/// Names that a query must use, and what goes wrong if it does not.
const NEEDED: [(&str, &str); 4] = [
    ("_chunk", "every chunk would have all conversations"),
    ("_chunks", "every chunk would have all conversations"),
    ("_window_start", "the window would not be kept"),
    ("_window_end", "rows that arrive meanwhile would be read"),
];

/// The errors of a query file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A marker is missing or stands elsewhere.
    #[error(
        "there is no line \"{0}\" in its place; the values of a run go between \"// gleaner:values\" and \"// gleaner:query\""
    )]
    Marker(&'static str),
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
        for (name, why) in NEEDED {
            if !uses(&code, name) {
                return Err(QueryError::Unused { name, why });
            }
        }
        Ok(Self {
            head: head.to_owned(),
            defaults: defaults.to_owned(),
            body: body.trim_end().trim_end_matches(';').trim_end().to_owned(),
        })
    }

    /// Whether the query does with conversations that are cut what `selection.cut` says.
    ///
    /// # Errors
    /// If it does not use the value that it needs for that.
    pub fn handles(&self, cut: Cut) -> Result<(), QueryError> {
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

    /// Whether the query can be asked for some ranks only.
    pub fn selects(&self) -> bool {
        uses(&without_comments(&self.body), "_selected")
    }

    /// The names of the columns, if the query ends with `project`: all that is known of them
    /// without understanding KQL.
    pub fn projected(&self) -> Option<Vec<String>> {
        let code = without_comments(&self.body);
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

/// What columns lack that a run needs; with a type that is known to be another they are lacking
/// too.
pub fn missing_columns(columns: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let last = match columns.contains_key("turnsArray") {
        true => ("turnsArray", "dynamic"),
        false => ("lastTimestamp", "datetime"),
    };
    let needed = [("conversationId", "string"), ("turnCount", "long"), last];
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

/// The values of one request.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// First instant inside the window.
    pub start: Option<UtcInstant>,
    /// First instant outside.
    pub end: Option<UtcInstant>,
    /// The end of the rows that exist for the run.
    pub look_end: Option<UtcInstant>,
    /// The treatment of conversations that are cut.
    pub cut: Cut,
    /// The chunk.
    pub chunk: HashChunk,
    /// Ids that stand for "no id".
    pub ignored: &'a [String],
    /// Strata, targets and seed.
    pub selection: &'a Selection,
    /// The ranks of the conversations wanted; `None`: all.
    pub wanted: Option<&'a RankRanges>,
}

impl Values<'_> {
    fn prelude(&self) -> String {
        let ignored: Vec<String> = self.ignored.iter().map(|id| literal(id)).collect();
        let start = instant(self.start, FIRST);
        let end = instant(self.end, LAST);
        let look_end = instant(self.look_end, LAST);
        format!(
            "let _window_start = datetime({start});\n\
             let _window_end = datetime({end});\n\
             let _look_end = datetime({look_end});\n\
             let _keep_cut = {};\n\
             let _chunks = {};\n\
             let _chunk = {};\n\
             let _ignored_ids = dynamic([{}]);\n\
             let _seed = {};\n\
             let _bucket = (turns:long) {{ {} }};\n\
             let _selected = (residue:long, turns:long, rank:long) {{ {} }};\n",
            self.cut == Cut::Keep,
            self.chunk.count,
            self.chunk.index,
            ignored.join(", "),
            literal(self.selection.seed()),
            buckets(self.selection),
            selected(self.selection, self.wanted),
        )
    }
}

/// An instant within the years that KQL knows.
fn instant(at: Option<UtcInstant>, otherwise: &str) -> String {
    match at.map(|at| at.to_string()) {
        // Years before the first have a sign, and sort before it.
        Some(at) if at.as_str() >= FIRST => at,
        Some(_) => FIRST.to_owned(),
        None => otherwise.to_owned(),
    }
}

fn buckets(selection: &Selection) -> String {
    let mut case = String::from("case(");
    for bucket in selection.buckets() {
        let [first, last] = bucket.turns;
        // Writing to a text does not fail.
        let _ = write!(
            case,
            "turns between ({first} .. {}), {}, ",
            bounded(last),
            literal(&bucket.name)
        );
    }
    case + "\"\")"
}

/// KQL has signed longs.
fn bounded(turns: u64) -> i64 {
    i64::try_from(turns).unwrap_or(i64::MAX)
}

fn selected(selection: &Selection, wanted: Option<&RankRanges>) -> String {
    let Some(ranges) = wanted else {
        return "turns > 0".to_owned();
    };
    let mut clauses = Vec::new();
    for (stratum, range) in ranges.iter() {
        let [first, last] = selection.bucket(stratum).turns;
        let Some(residues) = selection.residues(stratum) else {
            continue;
        };
        let mut clause = format!(
            "(residue between ({} .. {}) and turns between ({first} .. {})",
            residues.start(),
            residues.end(),
            bounded(last)
        );
        if let Some(above) = range.above {
            let _ = write!(clause, " and rank > {}", long(above.0));
        }
        if let Some(up_to) = range.up_to {
            let _ = write!(clause, " and rank <= {}", long(up_to.0));
        }
        clauses.push(clause + ")");
    }
    match clauses.is_empty() {
        true => "false".to_owned(),
        false => clauses.join(" or "),
    }
}

/// The smallest long has no literal: its digits alone would be too large.
fn long(value: i64) -> String {
    match value {
        i64::MIN => "(-9223372036854775807 - 1)".to_owned(),
        value => value.to_string(),
    }
}

/// A string literal, which is also one of JSON.
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Other controls, and what some editors and parsers take for the end of a line.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
