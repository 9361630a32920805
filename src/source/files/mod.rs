//! Exports that already lie on disk: JSONL (plain, gz, zst) and Parquet.
//!
//! Plain files are cut into byte ranges and their rows stay where they are; compressed files are
//! one piece each, Parquet files are cut by row groups, and their rows are spooled. No piece is
//! closed: the rows of a conversation may lie anywhere.

use std::fs::{self, Metadata};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    BlockReader, ConversationSource, FetchOrder, InputFingerprint, RowSink, SourceError, Survey,
};
use crate::domain::chunk::{Chunk, Piece};
use crate::domain::selector::ChunkChecksum;
use crate::runtime::blocking;

mod compressed;
mod discover;
mod lines;
mod parquet;

pub use discover::{FileKind, discover, kind_of};

/// A piece of a plain file is at least this long: less is not worth a lease.
const SMALLEST_PIECE: u64 = 1 << 20;

/// Files that the description lists by name.
const DESCRIBED: usize = 1000;

/// A source of files.
#[derive(Debug, Clone)]
pub struct FilesSource {
    paths: Vec<PathBuf>,
    pieces: NonZeroU32,
    max_record: u64,
    /// Found by the survey, which comes before any fetch.
    inputs: Arc<OnceLock<Vec<InputFingerprint>>>,
    large: LargeRow,
}

/// Held by a reader while it holds a row that is larger than a block, so that several readers
/// never hold large rows at once.
pub(crate) type LargeRow = Arc<Mutex<()>>;

impl FilesSource {
    /// Reads files, folders and globs. Plain and Parquet files are cut into about `pieces` pieces
    /// altogether; a row larger than `max_record` bytes is rejected.
    pub fn new(paths: Vec<PathBuf>, pieces: NonZeroU32, max_record: u64) -> Self {
        Self {
            paths,
            pieces,
            max_record,
            inputs: Arc::default(),
            large: LargeRow::default(),
        }
    }

    fn survey_now(&self) -> Result<Survey, SourceError> {
        let mut inputs = Vec::new();
        for path in discover(&self.paths)? {
            inputs.push(fingerprint(&path)?);
        }
        let bytes: u64 = inputs.iter().map(|input| input.bytes).sum();
        let piece = (bytes.div_ceil(u64::from(self.pieces.get()))).max(SMALLEST_PIECE);
        let mut chunks = Vec::new();
        for (file, input) in (0..).zip(&inputs) {
            for (start, end) in cuts(input, piece)? {
                chunks.push(Chunk::Piece(Piece { file, start, end }));
            }
        }
        let input_fingerprints = self.inputs.get_or_init(|| inputs).clone();
        Ok(Survey {
            bytes: Some(bytes),
            input_fingerprints,
            ..Survey::of(chunks, false)
        })
    }

    fn open(&self, piece: Piece) -> Result<Box<dyn BlockReader>, SourceError> {
        let input = self.input(piece)?;
        let path = input.path.clone();
        Ok(match discover::kind_of(&input.path) {
            Some(FileKind::Plain) => Box::new(lines::plain(
                path,
                piece,
                self.max_record,
                Arc::clone(&self.large),
            )?),
            Some(FileKind::Parquet) => {
                Box::new(parquet::ParquetReader::open(path, piece, self.max_record)?)
            }
            Some(kind) => Box::new(lines::spooled(
                compressed::open(path.clone(), kind)?,
                path,
                self.max_record,
                Arc::clone(&self.large),
            )),
            None => return Err(unknown(piece)),
        })
    }

    fn input(&self, piece: Piece) -> Result<&InputFingerprint, SourceError> {
        let inputs = self.inputs.get();
        inputs
            .and_then(|inputs| inputs.get(piece.file as usize))
            .ok_or_else(|| unknown(piece))
    }

    /// A file must be what it was when the run started.
    fn check(&self, piece: Piece) -> Result<(), SourceError> {
        let input = self.input(piece)?;
        let changed = |what: &str| SourceError::Changed {
            path: input.path.clone(),
            what: what.to_owned(),
        };
        let now = fingerprint(&input.path).map_err(|error| match error {
            SourceError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                changed("it is not there any more")
            }
            other => other,
        })?;
        if now == *input {
            Ok(())
        } else {
            Err(changed("its length or time is another"))
        }
    }
}

fn unknown(piece: Piece) -> SourceError {
    SourceError::NoInput(format!("there is no input {}", piece.file))
}

/// How a file is cut: units from and to.
fn cuts(input: &InputFingerprint, piece: u64) -> Result<Vec<(u64, u64)>, SourceError> {
    Ok(match discover::kind_of(&input.path) {
        Some(FileKind::Plain) => {
            let pieces = input.bytes.div_ceil(piece).max(1);
            let at = |i: u64| (u128::from(input.bytes) * u128::from(i) / u128::from(pieces)) as u64;
            (0..pieces).map(|i| (at(i), at(i + 1))).collect()
        }
        Some(FileKind::Parquet) => parquet::cuts(&input.path, input.bytes, piece)?,
        _ => vec![(0, 1)],
    })
}

fn fingerprint(path: &Path) -> Result<InputFingerprint, SourceError> {
    let io = |error| SourceError::Io {
        path: path.to_owned(),
        error,
    };
    let metadata = fs::metadata(path).map_err(io)?;
    Ok(InputFingerprint {
        path: path.to_owned(),
        bytes: metadata.len(),
        modified_ns: modified_ns(&metadata).map_err(io)?,
    })
}

fn modified_ns(metadata: &Metadata) -> std::io::Result<i128> {
    let modified = metadata.modified()?;
    Ok(match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    })
}

impl ConversationSource for FilesSource {
    fn describe(&self) -> Value {
        let inputs = self.inputs.get().map_or(&[][..], Vec::as_slice);
        let files: Vec<Value> = inputs
            .iter()
            .take(DESCRIBED)
            .map(|input| json!({"path": input.path, "bytes": input.bytes}))
            .collect();
        json!({
            "kind": "files",
            "paths": self.paths,
            "file_count": inputs.len(),
            "bytes": inputs.iter().map(|input| input.bytes).sum::<u64>(),
            "files": files,
        })
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let source = self.clone();
        async move { blocking(move || source.survey_now()).await? }.boxed()
    }

    fn fetch<'a>(
        &'a self,
        order: FetchOrder,
        rows: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Result<Option<ChunkChecksum>, SourceError>> {
        async move {
            let Chunk::Piece(piece) = order.chunk else {
                return Err(SourceError::NoInput(format!(
                    "files have no chunk {}",
                    order.chunk
                )));
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

/// Waits for the right to hold a large row. The guard is of a lock without content, so a
/// poisoned one is as good.
pub(crate) fn take_large(large: &LargeRow) -> std::sync::MutexGuard<'_, ()> {
    large.lock().unwrap_or_else(PoisonError::into_inner)
}
