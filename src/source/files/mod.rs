//! Exports that already lie on disk: lines, one array of JSON or an answer of the query API (plain,
//! gz, zst), and Parquet.
//!
//! Plain files of lines are cut into byte ranges and their rows stay where they are; arrays, answers
//! and compressed files are one piece each, Parquet files are cut by row groups, and their rows are
//! spooled. No piece is closed: the rows of a conversation may lie anywhere.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tracing::warn;

use super::{
    BLOCK_BYTES, BlockReader, ConversationSource, FetchFuture, FetchOrder, InputFingerprint,
    RowSink, SourceError, Survey,
};
use crate::domain::copilot_chat;
use crate::domain::record::rename::Renames;
use crate::domain::scheduling::chunk::{Chunk, Piece};
use crate::runtime::blocking;

mod ahead;
mod array;
mod compressed;
mod discover;
mod document;
mod extent;
mod fingerprint;
mod lines;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "no_parquet.rs"]
mod parquet;
mod reading;
mod renamed;

use ahead::Readers;
use array::ArrayReader;
pub use discover::{Discovered, FileKind, SkipReason, discover, kind_of};
use document::DocumentReader;
use fingerprint::fingerprint;
use reading::{Input, Layout, TextStream};

/// A piece of a plain file is at least this long: less is not worth a lease.
const SMALLEST_PIECE: u64 = 1 << 20;

/// Rejects in a block: a file of nothing else must not be read at one go.
const MOST_REJECTS: usize = 1000;

/// Files that the description lists by name.
const DESCRIBED: usize = 1000;

/// Files left out that the description lists by name.
const SKIPPED_DESCRIBED: usize = 100;

/// Files left out that a message names.
const SKIPPED_NAMED: usize = 5;

/// A file's text, decoded.
type Text = Input<Box<dyn TextStream>>;

/// A source of files.
#[derive(Debug, Clone)]
pub struct FilesSource {
    paths: Vec<PathBuf>,
    pieces: NonZeroU32,
    max_record: u64,
    max_window: u64,
    is_strict: bool,
    fields: Arc<Renames>,
    /// Found by the survey, which comes before any fetch.
    inputs: Arc<OnceLock<Vec<InputFingerprint>>>,
    skipped: Arc<OnceLock<BTreeMap<PathBuf, SkipReason>>>,
    large: LargeRow,
    readers: Readers,
    footers: parquet::Footers,
}

/// Held by a reader while it holds a row that is larger than a block, so that several readers
/// never hold large rows at once.
pub(crate) type LargeRow = Arc<Mutex<()>>;

/// The pieces of a file.
#[derive(Debug)]
struct Cuts {
    /// From and to, in the file's unit.
    ranges: Vec<(u64, u64)>,
    /// Whether its rows are spooled.
    is_spooled: bool,
    /// Whether they are so large that no other piece should be read meanwhile.
    has_large_rows: bool,
}

/// What a reader does with large rows.
struct RowLimits {
    /// A row of more bytes is a reject.
    max_record: u64,
    large: LargeRow,
    /// The names of fields: rows that are too large are searched for an id.
    fields: Arc<Renames>,
}

#[cfg(test)]
impl RowLimits {
    fn of(max_record: u64) -> Self {
        Self {
            max_record,
            large: LargeRow::default(),
            fields: Arc::default(),
        }
    }
}

impl FilesSource {
    /// Reads files, folders and globs. Plain and Parquet files are cut into about `pieces` pieces
    /// altogether; a row larger than `max_record` bytes is rejected.
    pub fn new(paths: Vec<PathBuf>, pieces: NonZeroU32, max_record: u64) -> Self {
        Self {
            paths,
            pieces,
            max_record,
            max_window: compressed::LEAST_WINDOW,
            is_strict: false,
            fields: Arc::default(),
            inputs: Arc::default(),
            skipped: Arc::default(),
            large: LargeRow::default(),
            readers: Readers::default(),
            footers: parquet::Footers::default(),
        }
    }

    /// Lets a zstd frame ask for a window of up to so many bytes; 128 MiB are allowed in any case.
    pub fn max_window(mut self, bytes: u64) -> Self {
        self.max_window = bytes;
        self
    }

    /// Refuses input with files that are not read, instead of naming them.
    pub fn strict(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    /// Reads fields that have other names in the files (`[source.fields]`).
    pub fn fields(mut self, fields: Renames) -> Self {
        self.fields = Arc::new(fields);
        self
    }

    /// Finds the files, as a survey does.
    pub(crate) fn survey_now(&self) -> Result<Survey, SourceError> {
        let Discovered { files, skipped } = discover(&self.paths)?;
        if !skipped.is_empty() {
            self.report_skipped(&skipped)?;
        }
        let mut inputs = Vec::new();
        for path in files {
            inputs.push(fingerprint(&path)?);
        }
        // Known before they are looked into: a file that cannot be read is one of them.
        self.skipped.get_or_init(|| skipped);
        let inputs = self.inputs.get_or_init(|| inputs);
        let bytes: u64 = inputs.iter().map(|input| input.bytes).sum();
        let piece = (bytes.div_ceil(u64::from(self.pieces.get()))).max(SMALLEST_PIECE);
        let mut chunks = Vec::new();
        let mut spooled_bytes = 0;
        let mut max_concurrency = None;
        for (file, input) in (0..).zip(inputs) {
            let Cuts {
                ranges,
                is_spooled,
                has_large_rows,
            } = self.cuts(input, piece)?;
            if has_large_rows {
                max_concurrency = Some(1);
            }
            // Renamed rows are no longer at their place in the file.
            let is_spooled = is_spooled || !self.fields.is_empty();
            spooled_bytes += if is_spooled { input.bytes } else { 0 };
            for (start, end) in ranges {
                chunks.push(Chunk::Piece(Piece { file, start, end }));
            }
        }
        Ok(Survey {
            bytes: Some(bytes),
            spooled_bytes,
            input_fingerprints: inputs.clone(),
            max_concurrency: max_concurrency.or_else(|| zstd_files_at_once(inputs)),
            ..Survey::of(chunks, false)
        })
    }

    fn report_skipped(&self, skipped: &BTreeMap<PathBuf, SkipReason>) -> Result<(), SourceError> {
        let count = skipped.len();
        let named = skipped.iter().take(SKIPPED_NAMED);
        let mut named: Vec<String> = named
            .map(|(path, reason)| format!("{} ({})", path.display(), reason.text()))
            .collect();
        if count > SKIPPED_NAMED {
            named.push(format!("and {} more", count - SKIPPED_NAMED));
        }
        let listed = named.join(", ");
        if self.is_strict {
            return Err(SourceError::SkippedInput { count, listed });
        }
        let files = if count == 1 { "file" } else { "files" };
        warn!("{count} {files} of the input not read: {listed}");
        Ok(())
    }

    fn cuts(&self, input: &InputFingerprint, piece: u64) -> Result<Cuts, SourceError> {
        let whole = |end| Cuts {
            ranges: vec![(0, end)],
            is_spooled: true,
            has_large_rows: false,
        };
        Ok(match discover::kind_of(&input.path) {
            Some(FileKind::Plain)
                if self.layout(&input.path, FileKind::Plain)? != Layout::Lines =>
            {
                whole(input.bytes)
            }
            Some(FileKind::Plain) => {
                let pieces = input.bytes.div_ceil(piece).max(1);
                let at =
                    |i: u64| (u128::from(input.bytes) * u128::from(i) / u128::from(pieces)) as u64;
                Cuts {
                    ranges: (0..pieces).map(|i| (at(i), at(i + 1))).collect(),
                    is_spooled: false,
                    has_large_rows: false,
                }
            }
            Some(FileKind::Parquet) => {
                parquet::cuts(&self.footers, &input.path, input.bytes, piece)?
            }
            _ => whole(1),
        })
    }

    fn layout(&self, path: &Path, kind: FileKind) -> Result<Layout, SourceError> {
        reading::layout(path, kind, self.max_window, u64::MAX)
    }

    fn open(&self, piece: Piece) -> Result<Box<dyn BlockReader>, SourceError> {
        Ok(self.renamed(self.open_as_named(piece)?))
    }

    /// Reads a piece of a file that another source has surveyed.
    ///
    /// # Errors
    /// If the file is not what it was, cannot be opened, or is damaged where it is opened.
    pub(crate) fn reader_of(
        &self,
        input: &InputFingerprint,
        piece: Piece,
    ) -> Result<Box<dyn BlockReader>, SourceError> {
        self.check_unchanged(input)?;
        // It is the only one here.
        self.inputs.get_or_init(|| vec![input.clone()]);
        self.open(Piece { file: 0, ..piece })
    }

    fn renamed(&self, reader: Box<dyn BlockReader>) -> Box<dyn BlockReader> {
        match self.fields.is_empty() {
            true => reader,
            false => Box::new(renamed::RenamedReader::new(
                reader,
                Arc::clone(&self.fields),
            )),
        }
    }

    /// The input files, once a survey has found them, also if it could not read one of them.
    pub fn inputs(&self) -> Option<&[InputFingerprint]> {
        self.inputs.get().map(Vec::as_slice)
    }

    /// Reads a file from its beginning, for a look at its first rows: reading ends with
    /// [`SourceError::Stopped`] soon after as many (decoded) bytes as one row may have.
    ///
    /// # Errors
    /// If the file cannot be opened, or is damaged where it is opened.
    pub fn first_rows(&self, file: u32) -> Result<Box<dyn BlockReader>, SourceError> {
        self.rows_up_to(file, self.max_record.saturating_add(2 * BLOCK_BYTES as u64))
    }

    /// Reads a file from its beginning: reading ends with [`SourceError::Stopped`] soon after so many
    /// (decoded) bytes; Parquet is read to its end.
    ///
    /// # Errors
    /// As [`Self::first_rows`].
    pub fn rows_up_to(&self, file: u32, most: u64) -> Result<Box<dyn BlockReader>, SourceError> {
        let (start, end) = (0, 1);
        let input = self.input(Piece { file, start, end })?;
        let (path, large) = (&input.path, LargeRow::clone(&self.large));
        let kind = discover::kind_of(path).ok_or_else(|| unknown(Piece { file, start, end }))?;
        if kind == FileKind::Parquet {
            let groups = parquet::cuts(&self.footers, path, input.bytes, u64::MAX)?;
            let end = groups.ranges.first().map_or(0, |(_, end)| *end);
            return self.open(Piece { file, start, end });
        }
        let layout = reading::layout(path, kind, self.max_window, most)?;
        let text = self.text(path, kind)?.limited(most);
        Ok(self.renamed(self.rows(text, layout, large)))
    }

    /// Reads the rows of a text, which are spooled.
    fn rows(&self, text: Text, layout: Layout, large: LargeRow) -> Box<dyn BlockReader> {
        let limits = RowLimits {
            max_record: self.max_record,
            large,
            fields: Arc::clone(&self.fields),
        };
        match layout {
            Layout::Lines => {
                let lines = lines::spooled(text, limits.max_record, limits.large);
                Box::new(lines.with_fields(limits.fields))
            }
            Layout::Array => Box::new(ArrayReader::new(text, limits)),
            Layout::Document => Box::new(DocumentReader::new(text, limits)),
        }
    }

    fn open_as_named(&self, piece: Piece) -> Result<Box<dyn BlockReader>, SourceError> {
        let input = self.input(piece)?;
        let path = input.path.clone();
        let large = Arc::clone(&self.large);
        let kind = discover::kind_of(&path).ok_or_else(|| unknown(piece))?;
        let fields = Arc::clone(&self.fields);
        if kind == FileKind::Parquet {
            return parquet::reader(&self.footers, path, piece, self.max_record, fields);
        }
        // A file that is not lines is one piece, from the beginning.
        let layout = match piece.start {
            0 => self.layout(&path, kind)?,
            _ => Layout::Lines,
        };
        if kind == FileKind::Plain && layout == Layout::Lines {
            let lines = lines::plain(path, piece, self.max_record, large)?;
            return Ok(Box::new(lines.with_fields(fields)));
        }
        let text = self.text(&path, kind)?;
        if layout == Layout::Lines {
            let lines = lines::spooled(text, self.max_record, large).with_fields(fields);
            return Ok(Box::new(lines.ahead(self.readers.enter())));
        }
        Ok(self.rows(text, layout, large))
    }

    /// A file's text from its beginning, decoded.
    fn text(&self, path: &Path, kind: FileKind) -> Result<Text, SourceError> {
        let (text, consumed) = reading::open(path, kind, self.max_window)?;
        Ok(Input::new(text, path.to_owned()).counting(consumed))
    }

    fn input(&self, piece: Piece) -> Result<&InputFingerprint, SourceError> {
        let inputs = self.inputs.get();
        inputs
            .and_then(|inputs| inputs.get(piece.file as usize))
            .ok_or_else(|| unknown(piece))
    }

    fn check(&self, piece: Piece) -> Result<(), SourceError> {
        self.check_unchanged(self.input(piece)?)
    }
}

/// Of input that is all zstd, files that are read at once: each of them keeps two processors busy, one
/// that decodes and one that reads the rows, and the windows of more would only drive each other out of
/// the caches. gzip takes longer to decode than its rows take to read.
fn zstd_files_at_once(inputs: &[InputFingerprint]) -> Option<usize> {
    let is_zstd = |input: &InputFingerprint| discover::kind_of(&input.path) == Some(FileKind::Zstd);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let all = !inputs.is_empty() && inputs.iter().all(is_zstd);
    all.then(|| processors.div_ceil(2))
}

fn unknown(piece: Piece) -> SourceError {
    SourceError::UnknownChunk {
        chunk: Chunk::Piece(piece),
    }
}

impl ConversationSource for FilesSource {
    fn describe(&self) -> Value {
        let inputs = self.inputs.get().map_or(&[][..], Vec::as_slice);
        let files: Vec<Value> = inputs
            .iter()
            .take(DESCRIBED)
            .map(|input| json!({"path": input.path, "bytes": input.bytes}))
            .collect();
        let none = BTreeMap::new();
        let skipped = self.skipped.get().unwrap_or(&none);
        let listed: Vec<Value> = skipped
            .iter()
            .take(SKIPPED_DESCRIBED)
            .map(|(path, reason)| json!({"path": path, "reason": reason}))
            .collect();
        let mut described = json!({
            "kind": "files",
            "paths": self.paths,
            "file_count": inputs.len(),
            "bytes": inputs.iter().map(|input| input.bytes).sum::<u64>(),
            "files": files,
            "skipped": {"count": skipped.len(), "files": listed},
        });
        if !self.fields.is_empty() {
            described["fields"] = json!(self.fields.paths());
        }
        described
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let source = self.clone();
        async move { blocking(move || source.survey_now()).await? }.boxed()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            let Chunk::Piece(piece) = order.chunk else {
                return Err(SourceError::UnknownChunk { chunk: order.chunk });
            };
            let source = self.clone();
            let reader = blocking(move || {
                source.check(piece)?;
                source.open(piece)
            })
            .await??;
            rows.drain(reader).await?;
            let source = self.clone();
            blocking(move || source.check(piece)).await??;
            Ok(None)
        }
        .boxed()
    }
}

/// The id of the conversation of a row that is malformed, or of the beginning of one.
fn readable_id(fields: &Renames, row: &[u8]) -> Option<Box<[u8]>> {
    fields
        .readable_id(row)
        .or_else(|| copilot_chat::row::readable_id(row).map(|id| id.into()))
}

/// Waits for the right to hold a large row. The guard is of a lock without content, so a
/// poisoned one is as good.
pub(crate) fn take_large(large: &LargeRow) -> std::sync::MutexGuard<'_, ()> {
    large.lock().unwrap_or_else(PoisonError::into_inner)
}
