//! The values of a request as KQL.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::domain::copilot_chat::rules::AGENT_MODES;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::sampling::rank_ranges::{RankRange, RankRanges};
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
    /// What is read of them.
    pub reading: Reading,
    /// Which rows of Copilot Chat telemetry.
    pub asked: Asked<'a>,
}

/// What a query is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Whole conversations, or all of a census: it is not known which group each is of.
    Rows,
    /// The census of the conversations that are wanted.
    Census,
    /// Counts of all conversations, and of those that are wanted.
    Counts,
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
             let _ranked = (residue:long, rank:long) {{ {} }};\n\
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
            self.selected(),
            self.ranked(),
            list(AGENT_MODES),
            list(conversations),
            list(shared),
            list(&self.asked.terms()),
        )
    }
}

impl Values<'_> {
    /// Whether the residues of a split are known: where groups decide, whole conversations are asked for by the id's.
    fn knows_residues(&self) -> bool {
        self.selection.split_by().is_none() || self.reading != Reading::Rows
    }

    /// The body of `_selected`.
    pub(super) fn selected(&self) -> String {
        let Some(ranges) = self.wanted else {
            return "turns > 0".to_owned();
        };
        any_of(ranges.iter().filter_map(|(stratum, range)| {
            let [first, last] = self.selection.bucket(stratum).turns;
            let residues = self.selection.residues(stratum)?;
            let mut parts = Vec::new();
            parts.extend(self.knows_residues().then(|| between_residues(&residues)));
            parts.push(format!("turns between ({first} .. {})", bounded(last)));
            parts.extend(bounds(range));
            Some(format!("({})", parts.join(" and ")))
        }))
    }

    /// The body of `_ranked`: of each split the widest range, or of all together, where groups decide the split. Who
    /// counts sees all.
    pub(super) fn ranked(&self) -> String {
        let Some(ranges) = self.wanted.filter(|_| self.reading != Reading::Counts) else {
            return "true".to_owned();
        };
        let by_id = self.selection.split_by().is_none();
        let mut widest = BTreeMap::<Option<[u32; 2]>, RankRange>::new();
        for (stratum, range) in ranges.iter() {
            let Some(residues) = self.selection.residues(stratum) else {
                continue;
            };
            let residues = by_id.then(|| [*residues.start(), *residues.end()]);
            let known = widest.entry(residues).or_insert(range);
            known.above = known.above.min(range.above);
            // No end is the widest.
            known.up_to = known
                .up_to
                .zip(range.up_to)
                .map(|(one, other)| one.max(other));
        }
        any_of(widest.into_iter().map(|(residues, range)| {
            let residues = residues.map(|[first, last]| between_residues(&(first..=last)));
            let parts: Vec<String> = residues.into_iter().chain(bounds(range)).collect();
            match parts.is_empty() {
                true => "true".to_owned(),
                false => format!("({})", parts.join(" and ")),
            }
        }))
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

fn between_residues(residues: &RangeInclusive<u32>) -> String {
    format!(
        "residue between ({} .. {})",
        residues.start(),
        residues.end()
    )
}

/// The conditions of a range of ranks.
fn bounds(range: RankRange) -> impl Iterator<Item = String> {
    let above = range.above.map(|rank| format!("rank > {}", long(rank.0)));
    let up_to = range.up_to.map(|rank| format!("rank <= {}", long(rank.0)));
    above.into_iter().chain(up_to)
}

/// The clauses, each once.
fn any_of(all: impl Iterator<Item = String>) -> String {
    let mut clauses = Vec::new();
    for clause in all {
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
