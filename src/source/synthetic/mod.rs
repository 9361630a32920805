//! Synthetic telemetry: deterministic, of realistic sizes, with a few per cent of every fault that
//! real telemetry has.
//!
//! Conversation `k` is made from `(seed, k)` alone, so any hash chunk can be made by itself, and
//! for every chunk count, all chunks together are the same rows. It is also the smallest
//! example of a [`ConversationSource`].

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU32;
use std::path::Path;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    BLOCK_BYTES, BlockReader, ConversationSource, FetchFuture, FetchOrder, RowBlock, RowSink,
    SourceError, Survey,
};
use crate::domain::record::row::RowShape;
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::source::synthetic::settings::{Synthetic, TelemetryStyle};

mod dialogue;
pub mod settings;
pub mod telemetry;
mod words;

use dialogue::Conversation;

/// Parts that `write_files` makes.
const PARTS: u64 = 4;

/// Conversations whose turn rows are interleaved in a file.
const INTERLEAVED: u64 = 16;

/// A source of synthetic telemetry.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticSource {
    settings: Synthetic,
    chunks: NonZeroU32,
}

impl SyntheticSource {
    /// Makes up what the settings ask for, in so many chunks.
    pub fn new(settings: Synthetic, chunks: NonZeroU32) -> Self {
        Self { settings, chunks }
    }
}

impl ConversationSource for SyntheticSource {
    fn describe(&self) -> Value {
        json!({
            "kind": "synthetic",
            "conversations": self.settings.conversations,
            "seed": self.settings.seed,
            "schema": self.settings.schema,
        })
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let chunks = HashChunk::cover(self.chunks.get()).map(Chunk::Hash);
        let survey = Survey::of(chunks.collect(), true);
        async move { Ok(survey) }.boxed()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            let chunk = order.hash_chunk()?;
            let reader = ChunkReader {
                settings: self.settings,
                chunk,
                next: 0,
                line: 1,
            };
            rows.drain(Box::new(reader)).await.map(|()| None)
        }
        .boxed()
    }
}

/// Makes the rows of one chunk.
struct ChunkReader {
    settings: Synthetic,
    chunk: HashChunk,
    next: u64,
    line: u64,
}

impl BlockReader for ChunkReader {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        block.first_line = self.line;
        while block.bytes.len() < BLOCK_BYTES && self.next < self.settings.conversations {
            let conversation = Conversation::new(self.settings.seed, self.next);
            self.next += 1;
            if self.chunk.holds(conversation.id().as_bytes()) {
                let number = self.next - 1;
                for row in conversation_rows(self.settings, number) {
                    block.bytes.extend_from_slice(&row);
                    block.bytes.push(b'\n');
                    self.line += 1;
                }
            }
        }
        Ok(!block.bytes.is_empty())
    }
}

/// The rows of one synthetic conversation, each a JSON object: what an emulator serves.
pub fn conversation_rows(settings: Synthetic, number: u64) -> Vec<Vec<u8>> {
    styled_rows(settings, TelemetryStyle::default(), number)
}

fn styled_rows(settings: Synthetic, style: TelemetryStyle, number: u64) -> Vec<Vec<u8>> {
    let is_whole = match settings.schema {
        RowShape::CopilotChat => return telemetry::rows(settings, style, number),
        RowShape::Turns => false,
        RowShape::Conversations => true,
    };
    Conversation::new(settings.seed, number).rows(is_whole)
}

/// Counts of the files that [`write_files`] has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct OutputColumn {
    /// Files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Writes the same rows that the source delivers into `part-00000.jsonl` and so on.
///
/// # Errors
/// If the folder is not empty or cannot be written.
pub fn write_files(
    settings: Synthetic,
    style: TelemetryStyle,
    folder: &Path,
) -> io::Result<OutputColumn> {
    fs::create_dir_all(folder)?;
    if fs::read_dir(folder)?.next().is_some() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the folder is not empty, and nothing is overwritten",
        ));
    }
    let mut written = OutputColumn {
        files: PARTS,
        rows: 0,
        bytes: 0,
    };
    for part in 0..PARTS {
        let from = settings.conversations * part / PARTS;
        let to = settings.conversations * (part + 1) / PARTS;
        let path = folder.join(format!("part-{part:05}.jsonl"));
        let aside = path.with_extension("jsonl.part");
        let mut out = BufWriter::with_capacity(1 << 18, File::create(&aside)?);
        let mut group_start = from;
        while group_start < to {
            let group_end = (group_start + INTERLEAVED).min(to);
            for row in interleaved(settings, style, group_start..group_end) {
                out.write_all(&row)?;
                out.write_all(b"\n")?;
                written.rows += 1;
                written.bytes += row.len() as u64 + 1;
            }
            group_start = group_end;
        }
        out.into_inner()?.sync_all()?;
        fs::rename(&aside, &path)?;
    }
    Ok(written)
}

/// The rows of some conversations, taken from each in turn.
fn interleaved(
    settings: Synthetic,
    style: TelemetryStyle,
    conversations: std::ops::Range<u64>,
) -> Vec<Vec<u8>> {
    let mut each: Vec<_> = conversations
        .map(|k| styled_rows(settings, style, k).into_iter())
        .collect();
    let mut rows = Vec::new();
    if settings.schema == RowShape::Conversations {
        return each.into_iter().flatten().collect();
    }
    loop {
        let before = rows.len();
        rows.extend(each.iter_mut().filter_map(Iterator::next));
        if rows.len() == before {
            return rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::record::row;
    use crate::domain::record::row::RowKind;
    use crate::domain::selection::stratum::fixtures::selection;
    use std::collections::BTreeMap;

    fn settings(shape: RowShape) -> Synthetic {
        Synthetic {
            conversations: 2000,
            seed: 7,
            schema: shape,
        }
    }

    fn rows_of_chunks(settings: Synthetic, chunks: u32) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        for chunk in HashChunk::cover(chunks) {
            let mut reader = ChunkReader {
                settings,
                chunk,
                next: 0,
                line: 1,
            };
            let mut block = RowBlock::default();
            while reader.read_block(&mut block).expect("made up") {
                rows.extend(block.bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec));
                block.clear();
            }
        }
        rows.retain(|row| !row.is_empty());
        rows.sort();
        rows
    }

    #[test]
    fn chunks_of_any_count_and_files_hold_the_same_rows() {
        for shape in [
            RowShape::Turns,
            RowShape::Conversations,
            RowShape::CopilotChat,
        ] {
            let mut settings = settings(shape);
            if shape == RowShape::CopilotChat {
                settings.conversations = 40;
            }
            let rows = rows_of_chunks(settings, 1);
            assert_eq!(rows_of_chunks(settings, 7), rows);
            let folder = tempfile::tempdir().expect("a folder");
            let written =
                write_files(settings, TelemetryStyle::default(), folder.path()).expect("writable");
            let mut found = Vec::new();
            for entry in fs::read_dir(folder.path()).expect("a folder") {
                let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
                found.extend(bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec));
            }
            found.retain(|row| !row.is_empty());
            found.sort();
            assert_eq!(found.len() as u64, written.rows);
            assert!(found == rows, "the files hold other rows than the source");
            assert!(
                write_files(settings, TelemetryStyle::default(), folder.path()).is_err(),
                "never overwritten"
            );
        }
    }

    #[test]
    fn sizes_and_faults_are_as_promised() {
        let rows = rows_of_chunks(settings(RowShape::Turns), 1);
        let (mut malformed, mut other_mode) = (0, 0);
        let mut turns = BTreeMap::<Vec<u8>, Vec<i64>>::new();
        for text in &rows {
            match row::read(text, &selection(1)) {
                Err(_) => malformed += 1,
                Ok(row) => match row.kind {
                    RowKind::Turn {
                        turn, agent: true, ..
                    } => {
                        turns.entry(row.id.to_vec()).or_default().push(turn);
                    }
                    _ => other_mode += 1,
                },
            }
        }
        let bytes: usize = rows.iter().map(Vec::len).sum();
        let per_conversation = bytes / 2000;
        assert!(
            (4_000..20_000).contains(&per_conversation),
            "{per_conversation}"
        );
        assert!(malformed > 0 && malformed * 200 < rows.len());
        assert!(other_mode > 0);
        let mut complete = [0; 4];
        let mut incomplete = 0;
        for list in turns.values_mut() {
            list.sort_unstable();
            list.dedup();
            if list[0] == 1 && list.len() as i64 == list[list.len() - 1] {
                complete[match list.len() {
                    3..=5 => 0,
                    6..=10 => 1,
                    11..=20 => 2,
                    _ => 3,
                }] += 1;
            } else {
                incomplete += 1;
            }
        }
        assert!(complete.iter().all(|&n| n > 20), "{complete:?}");
        assert!(
            complete[0] > 250 && complete[1] > 600 && complete[2] > 400,
            "{complete:?}"
        );
        assert!((20..200).contains(&incomplete), "{incomplete}");
    }
}
