//! Recognizes which of gleaner's queries is asked, with its values.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use gleaner::domain::record::timestamp;
use gleaner::domain::record::timestamp::Ticks;
use gleaner::source::kusto::query::{
    CERTIFICATE, COUNTS, GROUP_COUNTS, Template, counted, selected,
};
use gleaner::source::kusto::query_file::SHIPPED;

use crate::telemetry::Header;

/// The kinds of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// Ids, turn counts, last timestamps.
    Census {
        /// And what users' names leave divided by 100.
        by_user: bool,
    },
    /// Their count and checksum.
    ChunkChecksum,
    /// Counts and checksums of all of them and of those that are selected, by residue, of ids or of users' names, and
    /// bucket.
    Counts {
        /// Of users' names.
        by_user: bool,
    },
    /// Their counts by residue, of ids or of users' names, and turns.
    Plan {
        /// Of users' names.
        by_user: bool,
    },
    /// Whole conversations.
    Payload {
        /// With the tool calls.
        trajectory: bool,
    },
    /// The census of conversations of Copilot Chat.
    AppEvents(Summary),
    /// Rows of Copilot Chat telemetry.
    Rows {
        /// Without those that several conversations name.
        lite: bool,
    },
}

/// What is asked of the census of `AppEvents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summary {
    /// Its rows.
    Census {
        /// And what users' names leave divided by 100.
        by_user: bool,
    },
    /// Their count and checksum.
    ChunkChecksum,
    /// Their counts by residue, of ids or of users' names, and turns.
    Plan {
        /// Of users' names.
        by_user: bool,
    },
}

impl Query {
    /// As fault files name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Census { .. } | Self::AppEvents(Summary::Census { .. }) => "census",
            Self::ChunkChecksum | Self::AppEvents(Summary::ChunkChecksum) => "chunk_checksum",
            Self::Counts { .. } => "counts",
            Self::Plan { .. } | Self::AppEvents(Summary::Plan { .. }) => "plan",
            Self::Payload { .. } | Self::Rows { .. } => "payload",
        }
    }
}

/// A part of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Every row.
    All,
    /// Perhaps some rows.
    Some,
    /// No row.
    None,
}

/// A clause of `_selected`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    residues: RangeInclusive<i64>,
    turns: RangeInclusive<i64>,
    above: Option<i64>,
    up_to: Option<i64>,
}

/// The values of a query.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The query.
    pub query: Query,
    /// `_chunks`
    pub chunks: u32,
    /// `_chunk`
    pub chunk: u32,
    /// `_seed`
    pub seed: String,
    /// `_ignored_ids`
    pub ignored: BTreeSet<String>,
    /// `_window_start`
    pub start: Option<Ticks>,
    /// `_window_end`
    pub end: Option<Ticks>,
    /// `_look_end`
    pub look_end: Option<Ticks>,
    /// `_keep_cut`
    pub keeps_cut: bool,
    /// When the rows were written that have arrived since the first request; `None`: none have.
    pub arrived: Option<Ticks>,
    /// `_conversation_ids`
    pub conversations: BTreeSet<String>,
    /// `_shared_ids`
    pub shared: BTreeSet<String>,
    selected: Vec<Clause>,
    /// The turns of the buckets of `_bucket`.
    buckets: Vec<RangeInclusive<i64>>,
}

/// The values at the head of a query.
struct Values<'a> {
    defaults: &'a str,
    /// Whether the query names only what it uses.
    may_lack: bool,
}

impl<'a> Values<'a> {
    fn get(&self, name: &str) -> Result<&'a str, String> {
        let begins = format!("let {name} = ");
        self.defaults
            .lines()
            .find_map(|line| line.strip_prefix(&begins)?.strip_suffix(';'))
            .ok_or_else(|| format!("there is no value {name}"))
    }

    fn or_else(&self, name: &str, otherwise: &'static str) -> Result<&'a str, String> {
        match self.get(name) {
            Err(_) if self.may_lack => Ok(otherwise),
            found => found,
        }
    }

    fn list(&self, name: &str) -> Result<BTreeSet<String>, String> {
        let list = self
            .get(name)?
            .strip_prefix("dynamic(")
            .and_then(|list| list.strip_suffix(')'))
            .and_then(|list| serde_json::from_str(list).ok());
        list.ok_or_else(|| format!("{name} is no list"))
    }

    fn number(&self, name: &str) -> Result<u32, String> {
        let text = self.or_else(name, "1")?;
        text.parse().map_err(|_| format!("{name} is {text}"))
    }
}

impl Asked {
    /// Reads a query.
    ///
    /// # Errors
    /// If it is none of gleaner's own.
    pub fn parse(csl: &str) -> Result<Self, String> {
        let template = Template::new(csl).map_err(|error| error.to_string())?;
        let query = kind(&template.body).ok_or(
            "this emulator runs no KQL: it answers the queries that gleaner ships, as they are",
        )?;
        let values = Values {
            defaults: &template.defaults,
            may_lack: matches!(query, Query::Rows { .. } | Query::AppEvents(_)),
        };
        let (conversations, shared) = match query {
            Query::Rows { lite: true } => (values.list("_conversation_ids")?, BTreeSet::new()),
            Query::Rows { lite: false } => (
                values.list("_conversation_ids")?,
                values.list("_shared_ids")?,
            ),
            _ => (BTreeSet::new(), BTreeSet::new()),
        };
        let selected = match (query, values.get("_selected")) {
            (Query::Payload { .. } | Query::Counts { .. }, function) => clauses(function?)?,
            (Query::Census { .. }, Ok(function)) => clauses(function)?,
            _ => vec![everything()],
        };
        let buckets = match query {
            Query::Counts { .. } => buckets(values.get("_bucket")?)?,
            _ => Vec::new(),
        };
        Ok(Self {
            query,
            chunks: values.number("_chunks")?,
            chunk: values.number("_chunk")?,
            seed: serde_json::from_str(values.or_else("_seed", "\"\"")?)
                .map_err(|_| "_seed is no text")?,
            ignored: values.list("_ignored_ids")?,
            start: instant(values.get("_window_start")?),
            end: instant(values.or_else("_window_end", "")?),
            look_end: instant(values.get("_look_end")?),
            keeps_cut: values
                .or_else("_keep_cut", "false")?
                .parse()
                .map_err(|_| "_keep_cut is no bool")?,
            arrived: None,
            conversations,
            shared,
            selected,
            buckets,
        })
    }

    /// Whether a row exists for the run.
    pub fn sees(&self, at: Ticks) -> bool {
        self.start.is_none_or(|start| start <= at) && self.look_end.is_none_or(|end| at < end)
    }

    /// Whether a row that exists is not behind the window.
    pub fn is_in_window(&self, at: Ticks) -> bool {
        self.end.is_none_or(|end| at < end)
    }

    /// How much of what was written from one time to another, both included, is in the window, and
    /// whether any of it exists.
    pub fn holds_of(&self, first: Ticks, last: Ticks) -> Share {
        let is_inside = |at| self.sees(at) && self.is_in_window(at);
        let is_before = self.start.is_some_and(|start| last < start);
        let is_after = self.look_end.is_some_and(|end| end <= first);
        match is_inside(first) && is_inside(last) {
            true => Share::All,
            false if is_before || is_after => Share::None,
            false => Share::Some,
        }
    }

    /// What decides the split of a conversation: its user's residue, if the query tells it, or its id's.
    pub fn residue(&self, header: &Header) -> i64 {
        let by_user = match self.query {
            Query::Census { by_user } | Query::Counts { by_user } | Query::Plan { by_user } => {
                by_user
            }
            _ => false,
        };
        match by_user && header.user >= 0 {
            true => header.user,
            false => header.hash.rem_euclid(100),
        }
    }

    /// The number of the bucket of a conversation, -1 if it is in none.
    pub fn bucket(&self, header: &Header) -> i64 {
        let place = self
            .buckets
            .iter()
            .position(|turns| turns.contains(&header.turns));
        place.map_or(-1, |place| place as i64)
    }

    /// Whether the query finds only what `_selected` says.
    pub fn finds(&self, header: &Header, rank: i64) -> bool {
        matches!(self.query, Query::Counts { .. }) || self.selects(header, rank)
    }

    /// Whether `_selected` says so.
    pub fn selects(&self, header: &Header, rank: i64) -> bool {
        let residue = self.residue(header);
        self.selected.iter().any(|clause| {
            clause.residues.contains(&residue)
                && clause.turns.contains(&header.turns)
                && clause.above.is_none_or(|above| rank > above)
                && clause.up_to.is_none_or(|up_to| rank <= up_to)
        })
    }
}

fn kind(body: &str) -> Option<Query> {
    let text = |path: &str| {
        let (_, text) = SHIPPED.iter().find(|(known, _)| *known == path)?;
        Some(Template::new(text).ok()?.body)
    };
    let shipped = |name: &str| text(&format!("queries/turns/{name}"));
    let of_telemetry = |name: &str| text(&format!("queries/{name}"));
    let censuses = [
        ("sft_census_hash_chunked.kql", COUNTS, false),
        ("sft_census_by_user.kql", GROUP_COUNTS, true),
    ];
    for (name, counts, by_user) in censuses {
        let (census, events) = (shipped(name)?, of_telemetry(name)?);
        let with = |body: &str, suffix: &str| format!("{body}\n{suffix}");
        let of_ids = Query::Census { by_user };
        let of_events = Summary::Census { by_user };
        let bodies = [
            (census.clone(), of_ids),
            (with(&census, &selected(by_user)), of_ids),
            (with(&census, &counted(by_user)), Query::Counts { by_user }),
            (with(&census, CERTIFICATE), Query::ChunkChecksum),
            (with(&census, counts), Query::Plan { by_user }),
            (events.clone(), Query::AppEvents(of_events)),
            (
                with(&events, CERTIFICATE),
                Query::AppEvents(Summary::ChunkChecksum),
            ),
            (
                with(&events, counts),
                Query::AppEvents(Summary::Plan { by_user }),
            ),
        ];
        if let Some((_, query)) = bodies.into_iter().find(|(known, _)| known == body) {
            return Some(query);
        }
    }
    let bodies = [
        (
            shipped("sft_candidates_hash_chunked.kql")?,
            Query::Payload { trajectory: true },
        ),
        (
            shipped("sft_test_100_lite.kql")?,
            Query::Payload { trajectory: false },
        ),
        (
            of_telemetry("sft_candidates_hash_chunked.kql")?,
            Query::Rows { lite: false },
        ),
        (
            of_telemetry("sft_test_100_lite.kql")?,
            Query::Rows { lite: true },
        ),
    ];
    let found = bodies.into_iter().find(|(known, _)| known == body);
    found.map(|(_, query)| query)
}

/// `datetime(...)`; anything else, such as `ago(15d)`, is no bound here.
fn instant(text: &str) -> Option<Ticks> {
    let text = text.strip_prefix("datetime(")?.strip_suffix(')')?;
    timestamp::parse(text.as_bytes())
}

fn everything() -> Clause {
    Clause {
        residues: 0..=99,
        turns: 1..=i64::MAX,
        above: None,
        up_to: None,
    }
}

/// The body of `_selected`, as gleaner writes it.
fn clauses(function: &str) -> Result<Vec<Clause>, String> {
    let body = function
        .split_once('{')
        .and_then(|(_, body)| body.trim_end().strip_suffix('}'))
        .ok_or("_selected is no function")?
        .trim();
    if body == "false" {
        return Ok(Vec::new());
    }
    body.split(" or ").map(clause).collect()
}

/// The ranges of turns in the body of `_bucket`, as gleaner writes it.
fn buckets(function: &str) -> Result<Vec<RangeInclusive<i64>>, String> {
    let ranges = function.split("turns between (").skip(1);
    let range = |text: &str| {
        let (low, high) = text.split_once(')')?.0.split_once(" .. ")?;
        Some(low.parse().ok()?..=high.parse().ok()?)
    };
    let ranges = ranges.map(|text| range(text).ok_or_else(|| format!("_bucket has {text}")));
    ranges.collect()
}

fn clause(text: &str) -> Result<Clause, String> {
    let odd = || format!("this emulator does not know the condition {text}");
    let long = |text: &str| match text {
        "(-9223372036854775807 - 1)" => Ok(i64::MIN),
        text => text.parse::<i64>().map_err(|_| odd()),
    };
    let range = |text: &str| {
        let inner = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
        let (low, high) = inner.and_then(|t| t.split_once(" .. ")).ok_or_else(odd)?;
        Ok::<_, String>(long(low)?..=long(high)?)
    };
    let mut clause = everything();
    let inner = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    for part in inner.unwrap_or(text).split(" and ") {
        if let Some(residues) = part.strip_prefix("residue between ") {
            clause.residues = range(residues)?;
        } else if let Some(turns) = part.strip_prefix("turns between ") {
            clause.turns = range(turns)?;
        } else if let Some(above) = part.strip_prefix("rank > ") {
            clause.above = Some(long(above)?);
        } else if let Some(up_to) = part.strip_prefix("rank <= ") {
            clause.up_to = Some(long(up_to)?);
        } else if part != "turns > 0" {
            return Err(odd());
        }
    }
    Ok(clause)
}
