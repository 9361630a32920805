//! What was read, seen as a whole: mixed shapes, malformed rows with their places, the limit.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::domain::dataset::accounting::{
    EXAMPLES_PER_REASON, Malformed, MalformedReport, ModesSeen, RowPlace,
};
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::json::Scanner;
use crate::domain::record::header::Position;
use crate::domain::record::row::{MalformedReason, RowShape};
use crate::domain::record::row_fault;
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::selection::group::GroupField;
use crate::pipeline::error::RunError;
use crate::source::{InputFingerprint, SourceError};
use crate::spool::payloads::{Payloads, Store};

/// Tallies of all chunks. Pieces of one file stand together, in their order.
pub type Tallies = BTreeMap<Chunk, ChunkTally>;

/// Examples named in an error message.
const NAMED: usize = 3;

/// Where a malformed row is, and what is wrong with it.
type Example<'t> = (Origin, u64, Option<&'t str>);

/// What lines count from, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Chunk(HashChunk),
    /// An input file, by number.
    File(u32),
}

/// Judges what was read.
#[derive(Debug, Clone)]
pub struct RowsReport {
    /// The input files, by number.
    pub inputs: Vec<InputFingerprint>,
    /// For the place of rows that were spooled.
    pub payloads: Payloads,
    /// `limits.max_malformed_percent`
    pub max_percent: f64,
    /// `limits.max_record`, in bytes.
    pub max_record: u64,
    /// `source.schema`, if it says one.
    pub schema: Option<RowShape>,
    /// `source.allow_sampled`
    pub allow_sampled: bool,
    /// Whether values of rows may be shown: not if secrets or personal data are looked for.
    pub quotes_values: bool,
    /// `selection.split_by`; `None`: the id.
    pub split_by: Option<GroupField>,
}

impl RowsReport {
    /// The shape of all rows; `None` if there is no good row.
    pub fn shape(&self, tallies: &Tallies) -> Option<RowShape> {
        let firsts = tallies.values().flat_map(ChunkTally::firsts);
        firsts.map(|(shape, _)| shape).next()
    }

    /// Mixed schemas, another one than was said, sampled telemetry or too many malformed rows end a
    /// run.
    ///
    /// # Errors
    /// If so.
    pub fn judge(&self, tallies: &Tallies) -> Result<(), RunError> {
        let mut first: BTreeMap<RowShape, String> = BTreeMap::new();
        for (file, base, tally) in self.places(tallies) {
            for (shape, line) in tally.firsts() {
                let place = || format!("{file}:{}", base + line);
                first.entry(shape).or_insert_with(place);
            }
        }
        if let Some(said) = self.schema {
            let rows: Vec<_> = first.into_iter().filter(|(is, _)| *is != said).collect();
            if !rows.is_empty() {
                return Err(SourceError::OtherSchema { said, rows }.into());
            }
        } else if first.len() > 1 {
            let rows = first.into_iter().collect();
            return Err(SourceError::MixedShapes { rows }.into());
        }
        self.judge_sampled(tallies)?;
        self.judge_all(tallies, &[])?;
        self.judge_groups(tallies)
    }

    /// Telemetry that is sampled ends a run, unless it is allowed.
    fn judge_sampled(&self, tallies: &Tallies) -> Result<(), RunError> {
        let rows = tallies.values().map(|tally| tally.telemetry.sampled_rows);
        let rows: u64 = rows.sum();
        if self.allow_sampled || rows == 0 {
            return Ok(());
        }
        let first = self.places(tallies).find_map(|(file, base, tally)| {
            let line = tally.telemetry.first_sampled?;
            Some(format!("{file}:{}", base + line))
        });
        let first = first.unwrap_or_default();
        Err(SourceError::Sampled { rows, first }.into())
    }

    /// Rows of which none names a group end a run whose groups decide.
    fn judge_groups(&self, tallies: &Tallies) -> Result<(), RunError> {
        let Some(field) = &self.split_by else {
            return Ok(());
        };
        let named = |tally: &ChunkTally| tally.groups.named;
        if tallies.values().map(named).sum::<u64>() > 0 {
            return Ok(());
        }
        let mut places = self.places(tallies);
        let first = places.find_map(|(file, base, tally)| {
            let (line, fields) = tally.groups.first_unnamed.as_ref()?;
            Some((format!("{file}:{}", base + line), fields.clone()))
        });
        let Some((first, fields)) = first else {
            return Ok(());
        };
        let shape = self.shape(tallies);
        let shape = shape.filter(|shape| *shape != RowShape::Conversations && !field.is_user());
        Err(SourceError::NoGroups {
            field: field.name().to_owned(),
            assembled: shape,
            first,
            fields,
        }
        .into())
    }

    /// Too many malformed rows end a run, those counted whose conversation is too large.
    ///
    /// # Errors
    /// If so.
    pub fn judge_all(&self, tallies: &Tallies, too_large: &[Position]) -> Result<(), RunError> {
        let rows: u64 = tallies.values().map(|tally| tally.rows_read).sum();
        let of_reason = |tally: &ChunkTally| tally.malformed.values().map(|m| m.count).sum::<u64>();
        let malformed = tallies.values().map(of_reason).sum::<u64>() + too_large.len() as u64;
        if malformed as f64 * 100.0 <= rows as f64 * self.max_percent {
            return Ok(());
        }
        let report = self.malformed(tallies, too_large);
        let named: Vec<String> = report
            .iter()
            .filter_map(|(reason, of_reason)| {
                let place = of_reason.examples.first()?;
                let name = reason_name(*reason);
                Some(format!("{name} at {place}"))
            })
            .take(NAMED)
            .collect();
        Err(RunError::TooManyMalformed {
            malformed,
            rows,
            percent: self.max_percent,
            examples: format!("; the first: {}", named.join("; ")),
            report: Box::new(report),
        })
    }

    /// All malformed rows with their places in the files.
    pub fn malformed(&self, tallies: &Tallies, too_large: &[Position]) -> MalformedReport {
        let mut found: BTreeMap<MalformedReason, (u64, Vec<Example>)> = BTreeMap::new();
        for (origin, base, tally) in origins(tallies) {
            for (&reason, lines) in &tally.malformed {
                let (count, examples) = found.entry(reason).or_default();
                *count += lines.count;
                let room = EXAMPLES_PER_REASON.saturating_sub(examples.len());
                let first = lines.examples().take(room);
                examples.extend(first.map(|(line, what)| (origin, base + line, what)));
            }
        }
        if !too_large.is_empty() {
            let (count, examples) = found.entry(MalformedReason::TooLarge).or_default();
            *count += too_large.len() as u64;
            let places = self.first_places(tallies, too_large).into_iter();
            examples.extend(places.map(|(origin, line)| (origin, line, None)));
            examples.sort_unstable();
            examples.truncate(EXAMPLES_PER_REASON);
        }
        let named = |reason, (count, examples): (u64, Vec<Example>)| Malformed {
            count,
            examples: examples
                .into_iter()
                .map(|(origin, line, what)| RowPlace {
                    file: self.name(origin),
                    line,
                    what: self.what(reason, what),
                })
                .collect(),
        };
        found
            .into_iter()
            .map(|(reason, of_reason)| (reason, named(reason, of_reason)))
            .collect()
    }

    /// What is wrong with a row; of one that is too large also what the limit is.
    fn what(&self, reason: MalformedReason, what: Option<&str>) -> Option<String> {
        if reason != MalformedReason::TooLarge {
            return what.map(str::to_owned);
        }
        let what = what.unwrap_or("more than limits.max_record");
        Some(format!("{what} ({} bytes)", self.max_record))
    }

    /// Why turns that could be read do not come out, as far as their rows say: other modes, and no
    /// `userMessage`. A sentence each. Other modes are as they should be unless they are nearly
    /// `agent`, or `all` is asked for: if nothing came out.
    pub fn explain(&self, tallies: &Tallies, all: bool) -> Vec<String> {
        let mut modes = ModesSeen::default();
        for tally in tallies.values() {
            modes.merge(&tally.modes_seen);
        }
        if !all {
            let nearly = |mode: &str| mode.trim_matches(['"', ' ']).eq_ignore_ascii_case("agent");
            modes.rows.retain(|mode, _| nearly(mode));
            modes.others = 0;
        }
        let mut sentences = sentences_of_modes(&modes, self.quotes_values);
        let without = tallies.values().filter_map(|t| t.no_user_message.as_ref());
        let count: u64 = without.map(|rows| rows.count).sum();
        let first = self.places(tallies).find_map(|(file, base, tally)| {
            let first = tally.no_user_message.as_ref()?;
            Some(format!("{file}:{}: {}", base + first.line, first.what))
        });
        if let Some(first) = first {
            sentences.push(format!(
                "{} no userMessage, so their conversations are invalid; the first is {first}. A row must hold a whole turn: join rows of one message each, the user's and the model's, before",
                rows_have(count)
            ));
        }
        sentences
    }

    /// The places of the first of some rows that were kept, as many as are listed.
    fn first_places(&self, tallies: &Tallies, rows: &[Position]) -> Vec<(Origin, u64)> {
        // Chunks of one file are in the order of their lines, and so are the rows of a store.
        let mut stores = BTreeMap::new();
        for row in rows {
            stores
                .entry(row.store)
                .or_insert_with(|| match self.payloads.store(row.store) {
                    Store::Input(_) => (Origin::File(row.store), None),
                    Store::Sealed(chunk) => (origin(chunk.chunk()), Some(chunk.chunk())),
                });
        }
        let mut first: Vec<_> = rows.iter().map(|row| (row.store, row.offset)).collect();
        first.sort_unstable_by_key(|&(store, offset)| (stores[&store], offset));
        first.truncate(EXAMPLES_PER_REASON);
        first
            .chunk_by(|a, b| a.0 == b.0)
            .flat_map(|of_store| {
                let store = of_store[0].0;
                let origin = stores[&store].0;
                let offsets: Vec<u64> = of_store.iter().map(|&(_, offset)| offset).collect();
                let lines = self.lines(tallies, store, &offsets);
                lines.into_iter().map(move |line| (origin, line))
            })
            .collect()
    }

    /// The lines of rows at offsets of a store, which are in order; 0 for what cannot be read.
    fn lines(&self, tallies: &Tallies, store: u32, offsets: &[u64]) -> Vec<u64> {
        match self.payloads.store(store) {
            Store::Input(path) => lines_at(&path, offsets),
            Store::Sealed(chunk) => {
                let mut chunks = tallies.keys().zip(origins(tallies));
                let found = chunks.find(|&(&at, _)| at == chunk.chunk());
                let base = found.map_or(0, |(_, (_, base, _))| base);
                chunk.lines_of(offsets).map_or_else(
                    |_| vec![0; offsets.len()],
                    |lines| lines.into_iter().map(|line| base + line).collect(),
                )
            }
        }
    }

    /// Each chunk's origin, by name, and how many lines of it come before the chunk.
    fn places<'a>(
        &'a self,
        tallies: &'a Tallies,
    ) -> impl Iterator<Item = (String, u64, &'a ChunkTally)> {
        origins(tallies).map(|(origin, base, tally)| (self.name(origin), base, tally))
    }

    fn name(&self, origin: Origin) -> String {
        match origin {
            Origin::Chunk(chunk) => format!("chunk {}", Chunk::Hash(chunk)),
            Origin::File(file) => match self.inputs.get(file as usize) {
                Some(input) => input.path.display().to_string(),
                // Of a table.
                None => format!("part {file}"),
            },
        }
    }
}

fn origin(chunk: Chunk) -> Origin {
    match chunk {
        Chunk::Hash(chunk) => Origin::Chunk(chunk),
        Chunk::Piece(piece) => Origin::File(piece.file),
    }
}

/// Each chunk's origin, and how many lines of it come before the chunk.
fn origins(tallies: &Tallies) -> impl Iterator<Item = (Origin, u64, &ChunkTally)> {
    let mut before = (None, 0);
    tallies.iter().map(move |(&chunk, tally)| {
        let origin = origin(chunk);
        if before.0 != Some(origin) {
            before = (Some(origin), 0);
        }
        let base = before.1;
        before.1 += tally.lines;
        (origin, base, tally)
    })
}

/// Most rows first.
fn sentences_of_modes(modes: &ModesSeen, quotes_values: bool) -> Vec<String> {
    let mut seen: Vec<_> = modes.rows.iter().collect();
    seen.sort_by_key(|&(mode, &rows)| (std::cmp::Reverse(rows), mode));
    let mut sentences: Vec<String> = seen
        .into_iter()
        .map(
            |(mode, &rows)| match Scanner::new(mode.as_bytes()).value() {
                _ if mode.is_empty() => format!("{} no mode, wanted \"agent\"", rows_have(rows)),
                Ok(_) if !quotes_values => {
                    format!("{} another mode, wanted \"agent\"", rows_have(rows))
                }
                Ok(value) => {
                    let mode = row_fault::shown_value(&value);
                    format!("{} mode {mode}, wanted \"agent\"", rows_have(rows))
                }
                Err(_) => format!("{} a long mode, wanted \"agent\"", rows_have(rows)),
            },
        )
        .collect();
    if modes.others > 0 {
        let rows = rows_have(modes.others);
        sentences.push(format!("{rows} further modes, wanted \"agent\""));
    }
    sentences
}

fn rows_have(rows: u64) -> String {
    match rows {
        1 => "1 row has".to_owned(),
        rows => format!("{rows} rows have"),
    }
}

/// The stable name of a reason.
pub fn reason_name(reason: MalformedReason) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{reason:?}"),
    }
}

/// The lines that offsets of a file stand in, which are in order; 0 for those that cannot be read.
/// Reads the file once, up to the last of them.
fn lines_at(path: &Path, offsets: &[u64]) -> Vec<u64> {
    let mut lines = vec![0; offsets.len()];
    let Ok(mut file) = File::open(path) else {
        return lines;
    };
    let mut buffer = vec![0; 1 << 18];
    let (mut at, mut line) = (0, 1);
    for (offset, found) in offsets.iter().zip(&mut lines) {
        while at < *offset {
            let wanted = (offset - at).min(buffer.len() as u64) as usize;
            match file.read(&mut buffer[..wanted]) {
                Ok(0) | Err(_) => return lines,
                Ok(n) => {
                    at += n as u64;
                    line += memchr::memchr_iter(b'\n', &buffer[..n]).count() as u64;
                }
            }
        }
        *found = line;
    }
    lines
}

#[cfg(test)]
mod tests;
