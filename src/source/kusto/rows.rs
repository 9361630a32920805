//! From the cells of a result to rows as the pipeline reads them: one JSON object a line.
//!
//! Every cell is held against the type of its column, and every row against what was asked for:
//! its chunk, and the range of ranks. What does not belong is counted, and voids the attempt when
//! the answer has ended.

use std::borrow::Cow;
use std::sync::Arc;

use super::error::Failure;
use super::frames::{Column, TableSink, damaged};
use super::passing::LineWriter;
use crate::domain::debug_lengths;
use crate::domain::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value};
use crate::domain::json::{number, text};
use crate::domain::record::row::MalformedReason;
use crate::domain::record::timestamp;
use crate::domain::record::validation::Turns;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::scheduling::chunk::HashChunk;
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::Selection;
use crate::source::{ParsedKind, ParsedRow, ReceivedRow, Reject, RowBlock};

mod groups;

/// The types of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    String,
    /// `int`, `long`
    Integer,
    /// `real`: numbers, and the names of those that JSON does not have.
    Real,
    Bool,
    DateTime,
    Dynamic,
    /// `timespan`, `guid`, `decimal`: text that is not looked into.
    Text,
}

impl Type {
    fn of(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "string" => Self::String,
            "int" | "long" | "int32" | "int64" => Self::Integer,
            "real" | "double" => Self::Real,
            "bool" | "boolean" | "sbyte" => Self::Bool,
            "datetime" | "date" => Self::DateTime,
            "dynamic" | "object" => Self::Dynamic,
            "timespan" | "time" | "guid" | "uuid" | "uniqueid" | "decimal" | "sqldecimal" => {
                Self::Text
            }
            _ => return None,
        })
    }

    pub(super) fn fits(self, cell: &Value<'_>) -> bool {
        match (self, cell.kind) {
            (_, Kind::Null) | (Self::Dynamic, _) => true,
            (Self::String | Self::Text, Kind::String) => true,
            (Self::Text, Kind::Number) => true,
            (Self::Integer, Kind::Number) => number::integer(cell.text).is_some(),
            (Self::Real, Kind::Number) => true,
            (Self::Real, Kind::String) => {
                matches!(cell.text, b"\"NaN\"" | b"\"Infinity\"" | b"\"-Infinity\"")
            }
            (Self::Bool, Kind::Bool) => true,
            (Self::Bool, Kind::Number) => matches!(cell.text, b"0" | b"1"),
            (Self::DateTime, Kind::String) => cell
                .string_body()
                .is_some_and(|body| timestamp::parse(body).is_some()),
            _ => false,
        }
    }
}

/// A column that is written into the rows.
#[derive(Debug)]
struct OutputColumn {
    kind: Type,
    name: String,
    /// `"name":`
    key: Vec<u8>,
    /// Kusto has no null string: an empty name is no name.
    blank_is_null: bool,
}

/// The columns that gleaner reads.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    id: usize,
    turns: Option<usize>,
    turn_count: Option<usize>,
    last: Option<usize>,
    /// In a census, if groups decide the split.
    group: Option<usize>,
}

/// The rows that are requested.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// Which chunk.
    pub chunk: HashChunk,
    /// The ranks of the conversations wanted; `None`: all.
    pub wanted: Option<Arc<RankRanges>>,
    /// Whether only ids, turns and times.
    pub census: bool,
}

/// Writes the rows of one answer.
pub struct RowWriter {
    asked: FetchRequest,
    selection: Arc<Selection>,
    ranker: Ranker,
    columns: Vec<OutputColumn>,
    places: Places,
    /// The rows written since the block was last taken.
    block: RowBlock,
    scratch: Vec<u8>,
    line: u64,
    chunk_checksum: ChunkChecksum,
    foreign: u64,
    /// The turns of the row at hand, if they were counted while they were checked.
    counted: Option<Turns>,
    /// Whether the row at hand may have new lines between its values.
    has_controls: bool,
    /// Whether all rows of the block are known.
    all_known: bool,
}

debug_lengths!(RowWriter { line, foreign, block } lengths { scratch });

const ID: &str = "conversationId";
const TURNS: &str = "turnsArray";
const TURN_COUNT: &str = "turnCount";
const LAST: &str = "lastTimestamp";
pub(super) const GROUP: &str = "groupResidue";

impl RowWriter {
    /// A writer of the rows that are asked for.
    pub fn new(asked: FetchRequest, selection: Arc<Selection>) -> Self {
        Self {
            ranker: Ranker::new(selection.seed()),
            asked,
            selection,
            columns: Vec::new(),
            places: Places::default(),
            block: RowBlock::default(),
            scratch: Vec::new(),
            line: 1,
            chunk_checksum: ChunkChecksum::default(),
            foreign: 0,
            counted: None,
            has_controls: false,
            all_known: true,
        }
    }

    /// The answer was whole: do its rows belong to what was asked for?
    ///
    /// # Errors
    /// If not.
    pub fn finish(&self) -> Result<ChunkChecksum, Failure> {
        unless_foreign(self.chunk_checksum, self.foreign)
    }

    /// Counts a row; gives the hash of its id.
    fn count(&mut self, id: &[u8], turns: Option<i64>, group: GroupMark) -> i64 {
        let hash = kusto_hash::hash(id);
        self.chunk_checksum.count(hash);
        let in_chunk = kusto_hash::modulo(hash, self.asked.chunk.count) == self.asked.chunk.index;
        let wanted = match (&self.asked.wanted, turns) {
            (None, _) | (_, None) => true,
            (Some(ranks), Some(turns)) => {
                let turns = u64::try_from(turns).unwrap_or(0);
                ranks.wants(&self.selection, (id, group), turns, self.ranker.rank(id))
            }
        };
        if !in_chunk || !wanted {
            self.foreign += 1;
        }
        hash
    }

    /// Counts a row, and notes it for the comparison with a census.
    fn deliver(&mut self, id: &[u8], cells: &[Value<'_>], group: GroupMark) {
        let turns = self.turns(cells);
        let id_hash = self.count(id, turns, group);
        self.block.received.push(ReceivedRow {
            id_hash,
            turns,
            last: self.last(cells),
        });
    }

    /// Notes what reading the row would tell, which was written as a line of this length. A row that
    /// is not plainly good is left to be read.
    fn know(&mut self, cell: &Value<'_>, id: Cow<'_, [u8]>, length: usize) {
        match (self.counted.take(), u32::try_from(length)) {
            (Some(turns), Ok(length))
                if !turns.duplicate
                    && !turns.no_object
                    && !id.is_empty()
                    // Half a character is looked for where the row is read.
                    && !cell.escaped
                    && self.all_known =>
            {
                self.block.parsed.push(ParsedRow {
                    length,
                    id: id.into(),
                    kind: ParsedKind::Conversation {
                        // A row of 4 GiB has fewer turns.
                        turns: turns.count as u32,
                    },
                });
            }
            _ => self.all_known = false,
        }
    }

    /// Writes the row as a line; gives its length, without the newline.
    fn write(&mut self, cells: &[Value<'_>]) -> usize {
        let out = &mut self.block.bytes;
        let start = out.len();
        let mut before = b'{';
        for (place, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            if self.places.last == Some(place) && !self.asked.census {
                // Shows changes between the passes; no part of a record.
                continue;
            }
            out.push(before);
            before = b',';
            out.extend_from_slice(&column.key);
            match (column.kind, cell.kind) {
                (Type::Dynamic, Kind::String) => match embedded(cell, &mut self.scratch) {
                    Some(json) => text::write_on_one_line(json, out),
                    None => out.extend_from_slice(cell.text),
                },
                (Type::Dynamic, _) if self.has_controls => text::write_on_one_line(cell.text, out),
                (Type::Bool, Kind::Number) => out.extend_from_slice(match cell.text {
                    b"0" => b"false",
                    _ => b"true",
                }),
                (Type::String, Kind::String)
                    if column.blank_is_null && cell.string_body().is_some_and(text::is_blank) =>
                {
                    out.extend_from_slice(b"null");
                }
                _ => out.extend_from_slice(cell.text),
            }
        }
        out.extend_from_slice(b"}\n");
        out.len() - start - 1
    }

    fn turns(&self, cells: &[Value<'_>]) -> Option<i64> {
        let cell = cells.get(self.places.turn_count?)?;
        (cell.kind == Kind::Number)
            .then(|| number::integer(cell.text))
            .flatten()
    }

    fn last(&self, cells: &[Value<'_>]) -> Option<i64> {
        let cell = cells.get(self.places.last?)?;
        timestamp::parse(cell.string_body()?)
    }
}

impl LineWriter for RowWriter {
    fn take(&mut self) -> RowBlock {
        let mut block = std::mem::take(&mut self.block);
        block.first_line = self.line - block.received.len() as u64;
        if !std::mem::replace(&mut self.all_known, true) {
            block.parsed.clear();
        }
        block
    }
}

impl TableSink for RowWriter {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let last = match self.asked.census {
            true => (LAST, Type::DateTime),
            false => (TURNS, Type::Dynamic),
        };
        places(
            columns,
            [(ID, Type::String), (TURN_COUNT, Type::Integer), last],
        )?;
        self.columns.clear();
        for (at, column) in columns.iter().enumerate() {
            if place(&column.name) != Some(at) {
                return Err(Failure::Columns(format!(
                    "it has two columns {}",
                    column.name
                )));
            }
            let kind = Type::of(&column.kind).ok_or_else(|| {
                Failure::Columns(format!(
                    "its column {} is of the unknown type {}",
                    column.name, column.kind
                ))
            })?;
            let mut key = Vec::new();
            text::write_string(&column.name, &mut key);
            key.push(b':');
            self.columns.push(OutputColumn {
                kind,
                name: column.name.clone(),
                key,
                blank_is_null: column.name == "userName",
            });
        }
        self.places = Places {
            id: place(ID).unwrap_or_default(),
            turns: place(TURNS).filter(|_| !self.asked.census),
            turn_count: place(TURN_COUNT),
            last: place(LAST),
            group: place(GROUP).filter(|_| self.asked.census),
        };
        Ok(())
    }

    fn cell<'a>(
        &mut self,
        index: usize,
        scanner: &mut Scanner<'a>,
    ) -> Result<Value<'a>, JsonError> {
        if index == 0 {
            self.counted = None;
        }
        let cell = match self.places.turns == Some(index) && scanner.kind()? == Kind::Array {
            false => scanner.value()?,
            true => {
                let mut before = scanner.clone();
                self.counted = Some(Turns::read(scanner)?);
                before.passed(scanner)
            }
        };
        self.has_controls = scanner.saw_controls();
        Ok(cell)
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        for (column, cell) in self.columns.iter().zip(cells) {
            if !column.kind.fits(cell) {
                return Err(damaged(format!(
                    "row {} has a {:?} in its column {}",
                    self.line, cell.kind, column.name
                )));
            }
        }
        let id = decoded(&cells[self.places.id]);
        let start = self.block.bytes.len();
        let length = self.write(cells);
        let group = match self.asked.census {
            true => self.group_of_census(cells),
            false => self.group_of_row(start),
        };
        if self.is_of_other_split(&id, cells, group) {
            self.block.bytes.truncate(start);
            return Ok(());
        }
        self.deliver(&id, cells, group);
        self.know(&cells[self.places.id], id, length);
        self.line += 1;
        Ok(())
    }

    fn reject(&mut self, cells: &[Value<'_>], reason: MalformedReason) -> Result<(), Failure> {
        let Some(id) = cells.get(self.places.id).filter(|_| !self.asked.census) else {
            return Err(damaged(format!(
                "row {} is malformed ({reason:?}) before its conversationId; let the query project the id first",
                self.line
            )));
        };
        let id = decoded(id);
        let group = self.group_of_cells(cells);
        if self.is_of_other_split(&id, cells, group) {
            return Ok(());
        }
        self.deliver(&id, cells, group);
        self.block.rejects.push(Reject {
            line: self.line,
            reason,
            id: (!id.is_empty()).then(|| id.as_ref().into()),
        });
        self.line += 1;
        Ok(())
    }
}

/// What was delivered, if no row is of another chunk.
///
/// # Errors
/// [`Failure::OtherHash`] if all rows are: the cluster hashes otherwise.
pub fn unless_foreign(delivered: ChunkChecksum, foreign: u64) -> Result<ChunkChecksum, Failure> {
    let rows = delivered.conversations;
    match foreign {
        0 => Ok(delivered),
        _ if foreign == rows && rows > 1 => Err(Failure::OtherHash(rows)),
        _ => Err(Failure::Foreign { foreign, rows }),
    }
}

/// Where columns of some names and types are.
pub(super) fn places<const N: usize>(
    columns: &[Column],
    needed: [(&str, Type); N],
) -> Result<[usize; N], Failure> {
    let mut found = [0; N];
    for (found, needed) in found.iter_mut().zip(needed) {
        let missing = || Failure::Columns(format!("it has no column {}", needed.0));
        *found = place(columns, needed)?.ok_or_else(missing)?;
    }
    Ok(found)
}

/// Where a column is, if there is one; it must be of this type.
pub(super) fn place(
    columns: &[Column],
    (name, kind): (&str, Type),
) -> Result<Option<usize>, Failure> {
    let Some(at) = columns.iter().position(|column| column.name == name) else {
        return Ok(None);
    };
    match Type::of(&columns[at].kind) == Some(kind) {
        true => Ok(Some(at)),
        false => {
            let found = &columns[at].kind;
            Err(Failure::Columns(format!(
                "its column {name} is of type {found}"
            )))
        }
    }
}

/// A string's content; anything else has none.
pub(super) fn decoded<'a>(cell: &Value<'a>) -> Cow<'a, [u8]> {
    match cell.string_body() {
        Some(body) if cell.escaped => {
            let mut out = Vec::with_capacity(body.len());
            text::decode(body, &mut out);
            Cow::Owned(out)
        }
        Some(body) => Cow::Borrowed(body),
        None => Cow::Borrowed(b""),
    }
}

/// The object or array that a string holds as JSON, as older servers and some queries send
/// dynamic values. One that would make its row too deep stays a string.
pub(super) fn embedded<'b>(cell: &Value<'_>, scratch: &'b mut Vec<u8>) -> Option<&'b [u8]> {
    let body = cell.string_body()?;
    let begins = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(begins, b'{' | b'[' | b'\\') {
        return None;
    }
    scratch.clear();
    let lone = text::decode(body, scratch);
    let mut scanner = Scanner::with_max_depth(scratch, MAX_DEPTH - 1);
    let value = scanner.value().ok()?;
    let is_container = matches!(value.kind, Kind::Object | Kind::Array);
    (!lone && is_container && scanner.end().is_ok()).then_some(value.text)
}
