//! The values of a request as KQL.

use std::fmt::Write as _;

use crate::domain::copilot_chat::rules::AGENT_MODES;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::sampling::rank_ranges::RankRanges;
use crate::domain::scheduling::chunk::HashChunk;
use crate::domain::selection::cut::Cut;
use crate::domain::selection::stratum::Selection;

/// The first instant that KQL has.
pub(super) const FIRST: &str = "0001-01-01T00:00:00Z";

/// The last one.
pub(super) const LAST: &str = "9999-12-31T23:59:59.9999999Z";

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
    /// Which rows of Copilot Chat telemetry.
    pub asked: Asked<'a>,
}

/// Rows of Copilot Chat telemetry that are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The ids of conversations.
    pub conversations: &'a [String],
    /// The ids of messages and options.
    pub shared: &'a [String],
    /// Whether the cluster finds rows by their words without reading them.
    pub by_words: bool,
}

impl Asked<'_> {
    /// Of each id the longest word that Kusto's index has of it; none at all if there is no such word.
    fn terms(&self) -> Vec<&str> {
        if !self.by_words {
            return Vec::new();
        }
        let ids = self.conversations.iter().chain(self.shared);
        let terms: Option<Vec<&str>> = ids.map(|id| term(id)).collect();
        let mut terms = terms.unwrap_or_default();
        terms.sort_unstable();
        terms.dedup();
        terms
    }
}

/// The longest run of letters and digits of an id. The index has no words of fewer than 4 characters;
/// what it makes of other characters is not documented.
fn term(id: &str) -> Option<&str> {
    if !id.is_ascii() {
        return None;
    }
    let words = id.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .max_by_key(|word| word.len())
        .filter(|word| word.len() >= 4)
}

impl Values<'_> {
    /// The `let` statements.
    pub(super) fn prelude(&self) -> String {
        let Asked {
            conversations,
            shared,
            ..
        } = self.asked;
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
             let _ignored_ids = {};\n\
             let _seed = {};\n\
             let _bucket = (turns:long) {{ {} }};\n\
             let _selected = (residue:long, turns:long, rank:long) {{ {} }};\n\
             let _agent_modes = {};\n\
             let _conversation_ids = {};\n\
             let _shared_ids = {};\n\
             let _terms = {};\n",
            self.cut == Cut::Keep,
            self.chunk.count,
            self.chunk.index,
            list(self.ignored),
            literal(self.selection.seed()),
            buckets(self.selection),
            selected(self.selection, self.wanted),
            list(AGENT_MODES),
            list(conversations),
            list(shared),
            list(&self.asked.terms()),
        )
    }
}

/// An instant within the years that KQL knows.
pub(super) fn instant(at: Option<UtcInstant>, otherwise: &str) -> String {
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

pub(super) fn selected(selection: &Selection, wanted: Option<&RankRanges>) -> String {
    let Some(ranges) = wanted else {
        return "turns > 0".to_owned();
    };
    let mut clauses = Vec::new();
    for (stratum, range) in ranges.iter() {
        let [first, last] = selection.bucket(stratum).turns;
        let Some(residues) = selection.residues(stratum) else {
            continue;
        };
        // The residue is the id's: where groups decide, it says nothing.
        let mut clause = match selection.split_by() {
            None => format!(
                "(residue between ({} .. {}) and ",
                residues.start(),
                residues.end()
            ),
            Some(_) => "(".to_owned(),
        };
        let _ = write!(clause, "turns between ({first} .. {})", bounded(last));
        if let Some(above) = range.above {
            let _ = write!(clause, " and rank > {}", long(above.0));
        }
        if let Some(up_to) = range.up_to {
            let _ = write!(clause, " and rank <= {}", long(up_to.0));
        }
        clause.push(')');
        if !clauses.contains(&clause) {
            clauses.push(clause);
        }
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

/// A dynamic literal of texts.
fn list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| literal(text.as_ref())).collect();
    format!("dynamic([{}])", texts.join(", "))
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
