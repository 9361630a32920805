//! Rows as the kit knows them again.

use std::collections::BTreeMap;

use super::fetching::{Fetched, lines};
use crate::domain::record::row;
use crate::domain::record::row::{MalformedReason, Row, RowKind, trim};
use crate::domain::record::timestamp::Ticks;
use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::stratum::{Bucket, Selection, Split};
use crate::source::RowEncoding;

/// Reads rows for their headers.
pub(super) struct Reading {
    /// Any will do: it judges flaws, which are of no interest here.
    selection: Selection,
}

impl Reading {
    pub fn new() -> Self {
        let split = Split {
            name: "all".to_owned(),
            percent: 100,
        };
        let bucket = Bucket {
            name: "all".to_owned(),
            turns: [1, u64::MAX],
            file: "all".to_owned(),
        };
        let targets = [("all".to_owned(), "all".to_owned(), 1)];
        let selection = Selection::new("", 0.0, vec![split], vec![bucket], &targets);
        Self {
            selection: selection.expect("a selection of everything"),
        }
    }

    /// A row's header; `None` if it is malformed.
    pub fn read<'a>(&self, encoding: RowEncoding, text: &'a [u8]) -> Option<Row<'a>> {
        std::str::from_utf8(text).ok()?;
        let row = match encoding {
            RowEncoding::Census => row::read_census(text),
            _ => row::read(text, &self.selection),
        };
        row.ok()
    }

    /// The contents of a fetch.
    pub fn contents_of(&self, fetched: &Fetched) -> ChunkContents {
        let mut contents = ChunkContents {
            chunk_checksum: fetched.chunk_checksum,
            ..ChunkContents::default()
        };
        for block in &fetched.blocks {
            for text in lines(block).map(trim).filter(|text| !text.is_empty()) {
                *contents.rows.entry(text.to_vec()).or_default() += 1;
                let Some(row) = self.read(block.encoding, text) else {
                    contents.malformed += 1;
                    continue;
                };
                let (turns, last) = match row.kind {
                    RowKind::Turn { .. } => (None, None),
                    RowKind::Conversation { turns, .. } => (Some(i64::from(turns)), None),
                    RowKind::Census { turns, last, .. } => (Some(i64::from(turns)), Some(last)),
                };
                let header = Header {
                    turns,
                    last,
                    text: text.to_vec(),
                };
                contents
                    .headers
                    .entry(row.id.to_vec())
                    .or_default()
                    .push(header);
            }
            for reject in &block.rejects {
                *contents.rejects.entry(reject.reason).or_default() += 1;
            }
            let received = block.received.iter();
            contents
                .received
                .extend(received.map(|d| (d.id_hash, d.turns, d.last)));
        }
        contents.received.sort_unstable();
        contents
    }
}

/// A row that can be read.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// The number of turns, for a conversation.
    pub turns: Option<i64>,
    /// From a census.
    pub last: Option<Ticks>,
    /// The whole row.
    pub text: Vec<u8>,
}

/// The contents of a fetch, without the order of delivery.
#[derive(Debug, Default)]
pub(super) struct ChunkContents {
    /// Number of deliveries of each row.
    pub rows: BTreeMap<Vec<u8>, u64>,
    /// The headers of rows that can be read, by id.
    pub headers: BTreeMap<Vec<u8>, Vec<Header>>,
    /// Number of rows that cannot be read.
    pub malformed: u64,
    /// Rows that never became lines.
    pub rejects: BTreeMap<MalformedReason, u64>,
    /// Hash, turns and time of what was delivered, sorted.
    pub received: Vec<(i64, Option<i64>, Option<Ticks>)>,
    /// The chunk checksum of the source.
    pub chunk_checksum: Option<ChunkChecksum>,
}

impl ChunkContents {
    /// The first difference to another fetch of the same rows, without their text.
    pub fn difference(&self, other: &Self) -> Option<String> {
        difference(&self.rows, &other.rows).or_else(|| {
            let (one, two) = (&self.rejects, &other.rejects);
            (one != two).then(|| format!("the rejects are {two:?}, not {one:?}"))
        })
    }

    /// Adds what another fetch has brought.
    pub fn add(&mut self, other: Self) {
        for (row, times) in other.rows {
            *self.rows.entry(row).or_default() += times;
        }
        for (reason, times) in other.rejects {
            *self.rejects.entry(reason).or_default() += times;
        }
        self.malformed += other.malformed;
        for (id, headers) in other.headers {
            self.headers.entry(id).or_default().extend(headers);
        }
        self.received.extend(other.received);
        self.received.sort_unstable();
    }

    /// The chunk checksum of the rows; `None` if not all ids are known.
    pub fn checksum(&self) -> Option<ChunkChecksum> {
        let mut chunk_checksum = ChunkChecksum::default();
        let is_whole = self.malformed == 0 && self.rejects.is_empty();
        if !self.received.is_empty() {
            self.received.iter().for_each(|d| chunk_checksum.count(d.0));
        } else if is_whole {
            let hashes = self.headers.keys().map(|id| kusto_hash::hash(id));
            hashes.for_each(|hash| chunk_checksum.count(hash));
        } else {
            return None;
        }
        Some(chunk_checksum)
    }
}

/// The first difference between rows, without their text.
pub(super) fn difference(
    expected: &BTreeMap<Vec<u8>, u64>,
    found: &BTreeMap<Vec<u8>, u64>,
) -> Option<String> {
    let beyond = |one: &BTreeMap<Vec<u8>, u64>, two: &BTreeMap<Vec<u8>, u64>| -> u64 {
        let of = |row| two.get(row).copied().unwrap_or(0);
        one.iter()
            .map(|(row, times)| times.saturating_sub(of(row)))
            .sum()
    };
    let (missing, surplus) = (beyond(expected, found), beyond(found, expected));
    (missing + surplus > 0).then(|| format!("{missing} rows are missing, {surplus} are too many"))
}
