//! Looks through all rows of a source, and keeps none: what is wanted is known before a run begins, or without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use memchr::memchr;

use super::chunk_reader::{AnyRow, Reading, RowRules};
use crate::domain::record::row::{self, MalformedRow, RowShape};
use crate::domain::scheduling::chunk::Chunk;
use crate::pipeline::lifecycle::run_control::PauseGate;
use crate::runtime::CpuPool;
use crate::source::{
    BlockReader, ConversationSource, FetchOrder, Pass, Reject, RowBlock, RowSink, SourceError,
};

/// Is shown every row.
pub(super) trait Watch: Send + Sized + 'static {
    /// Takes a row: what it is, its text, and where it stands.
    fn row(&mut self, read: Result<AnyRow<'_>, MalformedRow<'_>>, text: &[u8], place: Place);

    /// Takes a row that its reader had to leave out.
    fn reject(&mut self, _reject: &Reject, _place: Place) {}
}

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The number of its line, counted as in its block.
    #[cfg_attr(
        not(feature = "cli"),
        allow(dead_code, reason = "the program names places")
    )]
    pub line: u64,
    /// The input file, if it is of one.
    #[cfg_attr(
        not(feature = "cli"),
        allow(dead_code, reason = "the program names places")
    )]
    pub file: Option<u32>,
}

/// What is looked through, and how.
pub struct Look<'a> {
    /// The source of rows.
    pub source: &'a dyn ConversationSource,
    /// How rows are read.
    pub rules: Arc<RowRules>,
    /// The threads of CPU work.
    pub pool: &'a Arc<CpuPool>,
    /// Closed while the run is paused.
    pub gate: &'a PauseGate,
}

impl Look<'_> {
    /// Shows all rows of some chunks.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(super) async fn through<W: Watch>(
        &self,
        chunks: &[Chunk],
        watch: W,
    ) -> Result<W, SourceError> {
        let stop = StopOnDrop::default();
        let mut rows = Rows {
            reader: Some(Reader::new(Arc::clone(&self.rules), watch)),
            pool: Arc::clone(self.pool),
            stop: Arc::clone(&stop.0),
        };
        for &chunk in chunks {
            self.gate.pass().await;
            if let Some(reader) = &mut rows.reader {
                reader.file = match chunk {
                    Chunk::Piece(piece) => Some(piece.file),
                    Chunk::Hash(_) => None,
                };
            }
            let order = FetchOrder {
                chunk,
                attempt: 1,
                pass: Pass::All,
                ranks: None,
            };
            self.source.fetch(order, &mut rows).await?;
        }
        Ok(rows.reader.take().ok_or(SourceError::Stopped)?.watch)
    }
}

/// Has work on threads stop when the look is over or dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads the rows of blocks.
pub(super) struct Reader<W> {
    rules: Arc<RowRules>,
    /// The file of the chunk that is read.
    file: Option<u32>,
    is_telemetry: bool,
    /// Is shown every row.
    pub(super) watch: W,
}

impl<W: Watch> Reader<W> {
    /// A reader that knows no row yet.
    pub(super) fn new(rules: Arc<RowRules>, watch: W) -> Self {
        Self {
            is_telemetry: rules.schema == Some(RowShape::CopilotChat),
            rules,
            file: None,
            watch,
        }
    }

    /// Shows the rows of a block.
    pub(super) fn look_at(&mut self, block: &RowBlock) {
        let (mut start, mut record) = (0, Vec::new());
        let mut parsed = block.parsed.iter();
        let mut rejects = block.rejects.iter().peekable();
        let mut line = block.first_line;
        let file = self.file;
        while let Some(rest) = block.bytes.get(start..).filter(|rest| !rest.is_empty()) {
            while let Some(reject) = rejects.next_if(|reject| reject.line <= line) {
                self.watch.reject(
                    reject,
                    Place {
                        line: reject.line,
                        file,
                    },
                );
                line = line.max(reject.line + 1);
            }
            let parsed = parsed.next();
            let length = match parsed {
                Some(parsed) => rest.len().min(parsed.length as usize),
                None => memchr(b'\n', rest).unwrap_or(rest.len()),
            };
            let text = row::trim(&rest[..length]);
            start += length + 1;
            if !text.is_empty() {
                let reading = Reading {
                    rules: &self.rules,
                    read: row::read_by_fields,
                    expects_telemetry: self.is_telemetry,
                };
                let read = reading.row(&mut record, block, text, block.is_utf8, parsed);
                self.is_telemetry |= matches!(read, Ok(AnyRow::Telemetry(_)));
                self.watch.row(read, text, Place { line, file });
            }
            line += 1;
        }
        for reject in rejects {
            self.watch.reject(
                reject,
                Place {
                    line: reject.line,
                    file,
                },
            );
        }
    }
}

/// Takes the rows of the input, and keeps none.
struct Rows<W> {
    /// Absent while a job has it, and after a job has failed.
    reader: Option<Reader<W>>,
    pool: Arc<CpuPool>,
    stop: Arc<AtomicBool>,
}

impl<W: Watch> Rows<W> {
    /// Does something on a thread for CPU work.
    async fn step<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Reader<W>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let mut reader = self.reader.take().ok_or(SourceError::Stopped)?;
        let work = move || {
            let result = job(&mut reader);
            (reader, result)
        };
        let (reader, result) = self.pool.run(work).await?;
        self.reader = Some(reader);
        result
    }
}

impl<W: Watch> RowSink for Rows<W> {
    fn write(&mut self, block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        let look = self.step(move |rows| {
            rows.look_at(&block);
            Ok(())
        });
        look.boxed()
    }

    fn drain(
        &mut self,
        mut reader: Box<dyn BlockReader>,
    ) -> BoxFuture<'_, Result<(), SourceError>> {
        reader.stop_with(Arc::clone(&self.stop));
        let stop = Arc::clone(&self.stop);
        let look = self.step(move |rows| {
            let mut block = RowBlock::default();
            while !stop.load(Ordering::Relaxed) {
                block.clear();
                if !reader.read_block(&mut block)? {
                    return Ok(());
                }
                rows.look_at(&block);
            }
            Err(SourceError::Stopped)
        });
        look.boxed()
    }
}
