//! What was read, seen as a whole: mixed shapes, malformed rows with their places, the limit.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::error::RunError;
use crate::domain::chunk::Chunk;
use crate::domain::header::Position;
use crate::domain::ledger::{EXAMPLES_PER_REASON, MalformedReport, RowPlace};
use crate::domain::row::{MalformedReason, RowShape};
use crate::source::{InputStamp, SourceError};
use crate::spool::payloads::Payloads;
use crate::spool::tally::ChunkTally;

/// Tallies of all chunks. Pieces of one file stand together, in their order.
pub type Tallies = BTreeMap<Chunk, ChunkTally>;

/// Examples named in an error message.
const NAMED: usize = 3;

/// Judges what was read.
#[derive(Debug, Clone)]
pub struct RowsReport {
    /// The input files, by number.
    pub inputs: Vec<InputStamp>,
    /// For the place of rows that were spooled.
    pub payloads: Payloads,
    /// `limits.max_malformed_percent`
    pub max_percent: f64,
}

impl RowsReport {
    /// The shape of all rows; `None` if there is no good row.
    pub fn shape(&self, tallies: &Tallies) -> Option<RowShape> {
        tallies.values().find_map(
            |tally| match (tally.first_conversation, tally.first_event) {
                (Some(_), _) => Some(RowShape::Conversations),
                (None, Some(_)) => Some(RowShape::Events),
                (None, None) => None,
            },
        )
    }

    /// Mixed shapes or too many malformed rows end a run.
    ///
    /// # Errors
    /// If so.
    pub fn judge(&self, tallies: &Tallies) -> Result<(), RunError> {
        let first = |line: fn(&ChunkTally) -> Option<u64>| {
            self.places(tallies)
                .find_map(|(file, base, tally)| Some(format!("{file}:{}", base + line(tally)?)))
        };
        let conversation = first(|tally| tally.first_conversation);
        let event = first(|tally| tally.first_event);
        if let (Some(conversation), Some(event)) = (conversation, event) {
            return Err(SourceError::MixedShapes {
                conversation,
                event,
            }
            .into());
        }
        self.judge_all(tallies, &[])
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
                Some(format!("{name} at {}:{}", place.file, place.line))
            })
            .take(NAMED)
            .collect();
        Err(RunError::TooManyMalformed {
            malformed,
            rows,
            percent: self.max_percent,
            examples: format!("; the first: {}", named.join(", ")),
            report: Box::new(report),
        })
    }

    /// All malformed rows with their places in the files.
    pub fn malformed(&self, tallies: &Tallies, too_large: &[Position]) -> MalformedReport {
        let mut report = MalformedReport::new();
        for (file, base, tally) in self.places(tallies) {
            for (&reason, lines) in &tally.malformed {
                let all = report.entry(reason).or_default();
                all.count += lines.count;
                let room = EXAMPLES_PER_REASON - all.examples.len();
                all.examples
                    .extend(lines.lines.iter().take(room).map(|line| RowPlace {
                        file: file.clone(),
                        line: base + line,
                    }));
            }
        }
        if !too_large.is_empty() {
            let all = report.entry(MalformedReason::TooLarge).or_default();
            all.count += too_large.len() as u64;
            let mut sorted: Vec<_> = too_large.to_vec();
            sorted.sort_by_key(|position| (position.store, position.offset));
            let room = EXAMPLES_PER_REASON - all.examples.len();
            all.examples
                .extend(sorted.iter().take(room).map(|position| RowPlace {
                    file: self.payloads.path(position.store).display().to_string(),
                    line: line_at(self.payloads.path(position.store), position.offset),
                }));
        }
        report
    }

    /// Each chunk's file, and how many lines of it come before the chunk.
    fn places<'a>(
        &'a self,
        tallies: &'a Tallies,
    ) -> impl Iterator<Item = (String, u64, &'a ChunkTally)> {
        let mut lines_before = (u32::MAX, 0);
        tallies.iter().map(move |(chunk, tally)| match chunk {
            Chunk::Piece(piece) => {
                if lines_before.0 != piece.file {
                    lines_before = (piece.file, 0);
                }
                let base = lines_before.1;
                lines_before.1 += tally.lines;
                let input = self.inputs.get(piece.file as usize);
                let file = input.map_or_else(String::new, |i| i.path.display().to_string());
                (file, base, tally)
            }
            Chunk::Hash(_) => (format!("chunk {chunk}"), 0, tally),
        })
    }
}

/// The stable name of a reason.
pub fn reason_name(reason: MalformedReason) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{reason:?}"),
    }
}

/// The line that an offset of a file stands in; 0 if the file cannot be read.
fn line_at(path: PathBuf, offset: u64) -> u64 {
    let Ok(file) = File::open(path) else { return 0 };
    let mut reader = file.take(offset);
    let mut buffer = vec![0; 1 << 18];
    let mut lines = 1;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return lines,
            Ok(n) => lines += memchr::memchr_iter(b'\n', &buffer[..n]).count() as u64,
            Err(_) => return 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chunk::Piece;

    fn report() -> RowsReport {
        let input = |name: &str| InputStamp {
            path: name.into(),
            bytes: 0,
            modified_ns: 0,
        };
        RowsReport {
            inputs: vec![input("a"), input("b")],
            payloads: Payloads::default(),
            max_percent: 50.0,
        }
    }

    fn piece(file: u32, start: u64) -> Chunk {
        Chunk::Piece(Piece {
            file,
            start,
            end: start + 1,
        })
    }

    #[test]
    fn lines_count_from_the_beginning_of_the_file() {
        let mut tallies = Tallies::new();
        for chunk in [piece(0, 0), piece(0, 10), piece(1, 0)] {
            let mut tally = ChunkTally {
                lines: 7,
                ..ChunkTally::default()
            };
            tally.malformed(MalformedReason::NotJson, 2);
            tallies.insert(chunk, tally);
        }
        let found = report().malformed(&tallies, &[]);
        let places: Vec<_> = found[&MalformedReason::NotJson]
            .examples
            .iter()
            .map(|place| (place.file.as_str(), place.line))
            .collect();
        assert_eq!(places, [("a", 2), ("a", 9), ("b", 2)]);
        assert!(matches!(
            report().judge(&tallies),
            Err(RunError::TooManyMalformed {
                malformed: 3,
                rows: 3,
                ..
            })
        ));
    }

    #[test]
    fn mixed_shapes_name_the_first_row_of_each() {
        let mut tallies = Tallies::new();
        let mut first = ChunkTally {
            lines: 4,
            ..ChunkTally::default()
        };
        first.shape(RowShape::Events, 3);
        let mut second = ChunkTally::default();
        second.shape(RowShape::Conversations, 5);
        tallies.insert(piece(1, 0), first);
        tallies.insert(piece(1, 10), second);
        let error = report().judge(&tallies).expect_err("mixed").to_string();
        assert!(error.contains("b:9") && error.contains("b:3"), "{error}");
    }
}
