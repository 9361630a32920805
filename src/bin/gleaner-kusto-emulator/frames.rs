//! Answers as frames, in pieces.

use std::borrow::Cow;
use std::sync::Arc;

use gleaner::domain::selection::rank::Ranker;
use serde_json::{Value, json};

use crate::answer::{Asked, Query, Summary};
use crate::app_events::AppEvents;
use crate::faults::Kind;
use crate::telemetry::{Header, Telemetry};

/// Rows in a fragment go up to about this many bytes.
const FRAGMENT: usize = 1 << 20;

/// The layout of the answer that the client asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form {
    /// `results_v2_fragment_primary_tables`
    pub fragments: bool,
    /// `results_v2_newlines_between_frames`
    pub newlines: bool,
    /// `results_error_reporting_placement`
    pub placement: StratumFill,
}

/// The place where errors are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StratumFill {
    /// Among the rows.
    #[default]
    InData,
    /// In the table's completion.
    EndOfTable,
    /// In the answer's completion.
    EndOfDataset,
}

/// Writes an answer; `send` takes its pieces and says whether the client still reads.
pub struct Writer<'a> {
    /// In which form.
    pub form: Form,
    /// With which fault.
    pub fault: Option<Kind>,
    /// Sends a piece to the client; false once the client is gone.
    pub send: &'a mut dyn FnMut(Vec<u8>) -> bool,
}

/// Of a census; the last column if it says what users' names leave.
const CENSUS: [(&str, &str); 4] = [
    ("conversationId", "string"),
    ("turnCount", "long"),
    ("lastTimestamp", "datetime"),
    ("groupResidue", "long"),
];

/// The same of `AppEvents`.
const APP_CENSUS: [(&str, &str); 7] = [
    ("conversationId", "string"),
    ("turnCount", "long"),
    ("lastTimestamp", "datetime"),
    ("rowCount", "long"),
    ("byteCount", "long"),
    ("requests", "dynamic"),
    ("groupResidue", "long"),
];

fn columns(query: Query) -> &'static [(&'static str, &'static str)] {
    match query {
        Query::Census { by_user: false } => &CENSUS[..3],
        Query::Census { by_user: true } => &CENSUS,
        Query::AppEvents(Summary::Census { by_user: false }) => &APP_CENSUS[..6],
        Query::AppEvents(Summary::Census { by_user: true }) => &APP_CENSUS,
        Query::Rows { lite: true } => &[
            ("conversationId", "string"),
            ("TimeGenerated", "datetime"),
            ("Name", "string"),
            ("Properties", "dynamic"),
            ("Measurements", "dynamic"),
            ("ItemCount", "int"),
        ],
        Query::Rows { lite: false } => &[
            ("conversationId", "string"),
            ("sharedId", "string"),
            ("TimeGenerated", "datetime"),
            ("Name", "string"),
            ("Properties", "dynamic"),
            ("Measurements", "dynamic"),
            ("ItemCount", "int"),
        ],
        Query::ChunkChecksum | Query::AppEvents(Summary::ChunkChecksum) => {
            &[("conversations", "long"), ("checksum", "long")]
        }
        Query::Counts { .. } => &[
            ("residue", "long"),
            ("bucket", "string"),
            ("conversations", "long"),
            ("checksum", "long"),
            ("delivered", "long"),
            ("deliveredChecksum", "long"),
            ("turns", "long"),
        ],
        Query::Plan { .. } | Query::AppEvents(Summary::Plan { .. }) => &[
            ("residue", "long"),
            ("turnCount", "long"),
            ("conversations", "long"),
        ],
        Query::Payload { .. } => &[
            ("conversationId", "string"),
            ("userName", "string"),
            ("turnCount", "long"),
            ("bucket", "string"),
            ("turnsArray", "dynamic"),
            ("promptTokens", "long"),
            ("completionTokens", "long"),
            ("llmCallCount", "long"),
            ("lastTimestamp", "datetime"),
        ],
    }
}

fn column_list(columns: &[(&str, &str)]) -> Value {
    columns
        .iter()
        .map(|(name, kind)| json!({"ColumnName": name, "ColumnType": kind}))
        .collect()
}

/// The tables.
pub struct Tables {
    /// `AgentTurnEvents`
    pub turns: Telemetry,
    /// `AppEvents`
    pub app_events: AppEvents,
}

/// The rows of an answer, each as JSON.
fn rows<'a>(
    tables: &'a Tables,
    asked: &'a Asked,
    changed: bool,
) -> Box<dyn Iterator<Item = String> + 'a> {
    let events = &tables.app_events;
    match asked.query {
        Query::AppEvents(Summary::Census { by_user }) => {
            return Box::new(events.census_rows(asked, by_user).into_iter());
        }
        Query::AppEvents(Summary::ChunkChecksum) => {
            return Box::new(std::iter::once(events.checksum(asked)));
        }
        Query::AppEvents(Summary::Plan { by_user }) => {
            return Box::new(events.counts(asked, by_user).into_iter());
        }
        Query::Rows { lite } => return events.rows(asked, lite),
        _ => {}
    }
    let telemetry = &tables.turns;
    // What has changed is the first conversation of the answer.
    let touch = move |(place, header): (usize, Cow<'_, Header>)| {
        let mut header = header.into_owned();
        if changed && place == 0 {
            header.last = "2030-01-01T00:00:00.0000001Z".to_owned();
        }
        header
    };
    let found = telemetry.find(asked);
    match asked.query {
        Query::Payload { trajectory } => Box::new(
            found
                .enumerate()
                .map(touch)
                .map(move |header| telemetry.payload(&header, asked, trajectory)),
        ),
        Query::Census { by_user } => Box::new(found.enumerate().map(touch).map(move |header| {
            match by_user {
                false => json!([header.id, header.turns, header.last]),
                true => json!([header.id, header.turns, header.last, header.user]),
            }
            .to_string()
        })),
        Query::ChunkChecksum => {
            let (mut count, mut sum) = (0u64, 0i64);
            for header in found {
                count += 1;
                sum += header.hash.rem_euclid(1_000_000_007);
            }
            Box::new(std::iter::once(json!([count, sum]).to_string()))
        }
        Query::Counts { .. } => Box::new(checksums(found, asked).into_iter()),
        Query::Plan { .. } => Box::new(counts(found, asked).into_iter()),
        Query::AppEvents(_) | Query::Rows { .. } => Box::new(std::iter::empty()),
    }
}

/// Numbers of conversations by residue, of ids or of users' names, and turns.
fn counts<'a>(found: impl Iterator<Item = Cow<'a, Header>>, asked: &Asked) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<(i64, i64), u64>::new();
    for header in found {
        let class = (asked.residue(&header), header.turns);
        *counts.entry(class).or_default() += 1;
    }
    let row = |((residue, turns), count)| json!([residue, turns, count]).to_string();
    counts.into_iter().map(row).collect()
}

/// Counts and checksums of conversations, and of those that are selected, by residue and bucket.
fn checksums<'a>(found: impl Iterator<Item = Cow<'a, Header>>, asked: &Asked) -> Vec<String> {
    #[derive(Default)]
    struct Class {
        all: (u64, i64),
        selected: (u64, i64),
        turns: Option<i64>,
    }
    let mut classes = std::collections::BTreeMap::<(i64, i64), Class>::new();
    let mut ranker = Ranker::new(&asked.seed);
    for header in found {
        let class = (asked.residue(&header), asked.bucket(&header));
        let class = classes.entry(class).or_default();
        let part = header.hash.rem_euclid(1_000_000_007);
        class.all = (class.all.0 + 1, class.all.1 + part);
        if asked.selects(&header, ranker.rank(header.id.as_bytes()).0) {
            class.selected = (class.selected.0 + 1, class.selected.1 + part);
        }
        class.turns = Some(
            class
                .turns
                .map_or(header.turns, |turns| turns.min(header.turns)),
        );
    }
    let row = |((residue, bucket), class): ((i64, i64), Class)| {
        let Class {
            all,
            selected,
            turns,
        } = class;
        json!([
            residue,
            format!("bucket {bucket}"),
            all.0,
            all.1,
            selected.0,
            selected.1,
            turns
        ])
        .to_string()
    };
    classes.into_iter().map(row).collect()
}

fn one_api(kind: Kind) -> Option<Value> {
    let (code, message) = match kind {
        Kind::TooLarge => (
            "LimitsExceeded",
            "The results of this query exceed the set limit (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003).",
        ),
        Kind::Runaway => (
            "General_InternalServerError",
            "The query was aborted (E_RUNAWAY_QUERY).",
        ),
        Kind::LowMemory => (
            "LowMemoryCondition",
            "Query execution lacks memory resources to complete (80DA0007).",
        ),
        Kind::PartialInData => ("Internal", "A partial failure."),
        _ => return None,
    };
    Some(
        json!({"error": {"code": code, "message": "Request is invalid and cannot be executed.", "@message": message, "@permanent": false}}),
    )
}

impl Writer<'_> {
    fn is(&self, kind: Kind) -> bool {
        self.fault == Some(kind)
    }

    fn frame(&mut self, frame: &Value) -> bool {
        let between = if self.form.newlines { "\n," } else { "," };
        (self.send)(format!("{between}{frame}").into_bytes())
    }

    /// Writes a whole answer, or as much of it as the fault leaves.
    pub fn write(&mut self, tables: &Arc<Tables>, asked: &Asked) {
        let header = json!({"FrameType": "DataSetHeader", "IsProgressive": false, "Version": "v2.0", "IsFragmented": self.form.fragments});
        let properties = json!({
            "FrameType": "DataTable", "TableId": 0, "TableKind": "QueryProperties", "TableName": "@ExtendedProperties",
            "Columns": column_list(&[("TableId", "int"), ("Key", "string"), ("Value", "dynamic")]),
            "Rows": [[1, "Visualization", "{\"Visualization\":null}"]],
        });
        let going = (self.send)(format!("[{header}").into_bytes())
            && self.frame(&properties)
            && self.table(tables, asked);
        if !going {
            return;
        }
        let error = self.fault.and_then(one_api);
        if error.is_none()
            && !self.frame(&completion_information(self.is(Kind::PartialInCompletion)))
        {
            return;
        }
        if self.is(Kind::NoCompletion) {
            (self.send)(b"\n]\n".to_vec());
            return;
        }
        let mut completion = json!({
            "FrameType": "DataSetCompletion",
            "HasErrors": error.is_some() || self.is(Kind::HasErrors),
            "Cancelled": self.is(Kind::Cancelled),
        });
        if let Some(error) = error {
            completion["OneApiErrors"] = json!([error]);
        }
        self.frame(&completion);
        let end: &[u8] = match self.fault {
            Some(Kind::NoBracket) => b"\n",
            Some(Kind::TrailingGarbage) => b"\n]\n<!-- -->",
            _ => b"\n]\n",
        };
        (self.send)(end.to_vec());
    }

    fn table(&mut self, tables: &Arc<Tables>, asked: &Asked) -> bool {
        let columns = column_list(columns(asked.query));
        let error = self.fault.and_then(one_api);
        let in_data = error
            .clone()
            .filter(|_| self.form.placement == StratumFill::InData || self.is(Kind::PartialInData));
        let rows = self.disturbed(rows(tables, asked, self.is(Kind::Changed)), asked);
        let mut count = 0u64;
        if !self.form.fragments {
            let table = json!({"FrameType": "DataTable", "TableId": 1, "TableKind": "PrimaryResult", "TableName": "PrimaryResult", "Columns": columns});
            let between = if self.form.newlines { "\n," } else { "," };
            let table = table.to_string();
            let open = table.trim_end_matches('}');
            let mut piece = format!("{between}{open},\"Rows\":[");
            for row in rows {
                piece.push_str(if count > 0 { "," } else { "" });
                piece.push_str(&row);
                count += 1;
                if piece.len() > FRAGMENT && !(self.send)(std::mem::take(&mut piece).into_bytes()) {
                    return false;
                }
            }
            if let Some(error) = in_data {
                piece.push_str(if count > 0 { "," } else { "" });
                piece.push_str(&json!({"OneApiErrors": [error]}).to_string());
            }
            piece.push_str("]}");
            return (self.send)(piece.into_bytes());
        }
        if !self.frame(&json!({"FrameType": "TableHeader", "TableId": 1, "TableKind": "PrimaryResult", "TableName": "PrimaryResult", "Columns": columns})) {
            return false;
        }
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let mut fragment = String::new();
            while fragment.len() < FRAGMENT
                && let Some(row) = rows.next()
            {
                fragment.push_str(if fragment.is_empty() { "" } else { "," });
                fragment.push_str(&row);
                count += 1;
            }
            if !self.fragment(&fragment) {
                return false;
            }
        }
        if let Some(error) = in_data
            && !self.fragment(&json!({"OneApiErrors": [error]}).to_string())
        {
            return false;
        }
        let count = count + u64::from(self.is(Kind::WrongRowCount));
        let mut completion =
            json!({"FrameType": "TableCompletion", "TableId": 1, "RowCount": count});
        if let Some(error) = error.filter(|_| self.form.placement == StratumFill::EndOfTable) {
            completion["OneApiErrors"] = json!([error]);
        }
        self.frame(&completion)
    }

    fn fragment(&mut self, rows: &str) -> bool {
        let between = if self.form.newlines { "\n," } else { "," };
        (self.send)(
            format!("{between}{{\"FrameType\":\"TableFragment\",\"TableFragmentType\":\"DataAppend\",\"TableId\":1,\"Rows\":[{rows}]}}")
                .into_bytes(),
        )
    }

    /// Rows as the fault leaves them.
    fn disturbed<'r>(
        &self,
        rows: Box<dyn Iterator<Item = String> + 'r>,
        asked: &Asked,
    ) -> Box<dyn Iterator<Item = String> + 'r> {
        let empty = "[]".to_owned();
        match self.fault {
            Some(Kind::RowLost) => Box::new(rows.skip(1)),
            Some(Kind::RowDoubled) => {
                let mut rows = rows.peekable();
                let again = rows.peek().cloned();
                Box::new(again.into_iter().chain(rows))
            }
            Some(Kind::RowForeign) => {
                // An id of the next chunk takes the place of the first one's.
                let foreign = (0u32..)
                    .map(|n| format!("foreign-{n}"))
                    .find(|id| {
                        let hash = gleaner::domain::selection::kusto_hash::hash(id.as_bytes());
                        gleaner::domain::selection::kusto_hash::modulo(hash, asked.chunks)
                            != asked.chunk
                            || asked.chunks == 1
                    })
                    .unwrap_or_default();
                let mut rows = rows.peekable();
                let first = rows.peek().cloned().unwrap_or(empty);
                let end = first.find("\",").map_or(first.len(), |end| end + 1);
                let row = format!("[\"{foreign}\"{}", &first[end..]);
                Box::new(std::iter::once(row).chain(rows))
            }
            Some(Kind::Tenfold) => Box::new(rows.map(|row| {
                let mut cells: Vec<Value> = serde_json::from_str(&row).unwrap_or_default();
                // Of counts by residue and bucket: of all, and of those that are selected.
                for place in [2, 4] {
                    if let Some(count) = cells.get_mut(place) {
                        *count = json!(count.as_u64().unwrap_or(0) * 10);
                    }
                }
                json!(cells).to_string()
            })),
            Some(Kind::WrongArity) => {
                let mut rows = rows.peekable();
                let first = rows.next();
                Box::new(first.map(|_| "[\"x\"]".to_owned()).into_iter().chain(rows))
            }
            Some(Kind::WrongType) => {
                let columns = columns(asked.query);
                let cells = vec!["\"many\""; columns.len()].join(",");
                Box::new(std::iter::once(format!("[{cells}]")).chain(rows.skip(1)))
            }
            _ if self.fault.and_then(one_api).is_some() => Box::new(rows.take(10)),
            _ => rows,
        }
    }
}

fn completion_information(failed: bool) -> Value {
    let columns = [
        ("Timestamp", "datetime"),
        ("ClientRequestId", "string"),
        ("ActivityId", "guid"),
        ("SubActivityId", "guid"),
        ("ParentActivityId", "guid"),
        ("Level", "int"),
        ("LevelName", "string"),
        ("StatusCode", "int"),
        ("StatusCodeName", "string"),
        ("EventType", "int"),
        ("EventTypeName", "string"),
        ("Payload", "string"),
    ];
    let id = "00000000-0000-0000-0000-000000000000";
    let row = match failed {
        true => json!([
            "2025-01-01T00:00:00Z",
            "",
            id,
            id,
            id,
            2,
            "Error",
            -1,
            "Partial failure",
            1,
            "QueryError",
            "{\"Text\":\"a partial failure\"}"
        ]),
        false => json!([
            "2025-01-01T00:00:00Z",
            "",
            id,
            id,
            id,
            4,
            "Info",
            0,
            "S_OK (0)",
            4,
            "QueryInfo",
            "{\"Count\":1,\"Text\":\"Query completed successfully\"}"
        ]),
    };
    json!({
        "FrameType": "DataTable", "TableId": 2, "TableKind": "QueryCompletionInformation", "TableName": "QueryCompletionInformation",
        "Columns": column_list(&columns), "Rows": [row],
    })
}
