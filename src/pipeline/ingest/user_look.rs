//! The conversations of the users that a list of exclusions names. Where it names some, the input is looked through before anything of it
//! is kept: a row that names the user may come behind all other rows of its conversation, and none of these may
//! ever lie in a spool (docs/adr/0013).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use memchr::memchr;

use super::chunk_reader::{AnyRow, Reading, RowRules};
use crate::domain::copilot_chat;
use crate::domain::copilot_chat::row::{ReadRow, RowKey};
use crate::domain::json::JsonError;
use crate::domain::record::row::{self, RowKind};
use crate::domain::record::users;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::selection::exclude::{ExcludeList, FoundUsers};
use crate::pipeline::lifecycle::run_control::PauseGate;
use crate::runtime::CpuPool;
use crate::source::{
    BlockReader, ConversationSource, FetchOrder, Pass, RowBlock, RowSink, SourceError,
};

/// What is looked through, and how.
pub struct UserLook<'a> {
    /// The source of rows.
    pub source: &'a dyn ConversationSource,
    /// All of its chunks.
    pub chunks: &'a [Chunk],
    /// How rows are read.
    pub rules: RowRules,
    /// The threads of CPU work.
    pub pool: &'a Arc<CpuPool>,
    /// Closed while the run is paused.
    pub gate: &'a PauseGate,
}

impl UserLook<'_> {
    /// The conversations of the users that a list names.
    ///
    /// # Errors
    /// If the input cannot be read.
    pub async fn find(self, list: &ExcludeList) -> Result<FoundUsers, SourceError> {
        let stop = StopOnDrop::default();
        let mut rows = Look {
            seen: Some(Seen {
                rules: Arc::new(self.rules),
                list: list.clone(),
                found: FoundUsers::default(),
                is_telemetry: false,
            }),
            pool: Arc::clone(self.pool),
            stop: Arc::clone(&stop.0),
        };
        for &chunk in self.chunks {
            self.gate.pass().await;
            let order = FetchOrder {
                chunk,
                attempt: 1,
                pass: Pass::All,
                ranks: None,
            };
            self.source.fetch(order, &mut rows).await?;
        }
        Ok(rows.seen.take().ok_or(SourceError::Stopped)?.found)
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

/// What was seen so far.
struct Seen {
    rules: Arc<RowRules>,
    list: ExcludeList,
    found: FoundUsers,
    is_telemetry: bool,
}

impl Seen {
    fn look_at(&mut self, block: &RowBlock) {
        let (mut start, mut record) = (0, Vec::new());
        let mut parsed = block.parsed.iter();
        while let Some(rest) = block.bytes.get(start..).filter(|rest| !rest.is_empty()) {
            let parsed = parsed.next();
            let length = match parsed {
                Some(parsed) => rest.len().min(parsed.length as usize),
                None => memchr(b'\n', rest).unwrap_or(rest.len()),
            };
            let text = row::trim(&rest[..length]);
            start += length + 1;
            if text.is_empty() {
                continue;
            }
            let rules = Arc::clone(&self.rules);
            let reading = Reading {
                rules: &rules,
                read: row::read_by_fields,
                expects_telemetry: self.is_telemetry,
            };
            // A row that cannot be read names nobody; its conversation is damaged.
            if let Ok(read) = reading.row(&mut record, block, text, block.is_utf8, parsed) {
                // What was read as a row is JSON.
                let _ = self.note(&read, text);
            }
        }
    }

    /// Notes the users that a row names.
    fn note(&mut self, read: &AnyRow<'_>, text: &[u8]) -> Result<(), JsonError> {
        let Self { list, found, .. } = self;
        let mut of = |id: &[u8], name: &[u8]| {
            if let Some(user) = list.user(name) {
                found.add(id, user);
            }
        };
        match read {
            AnyRow::Telemetry(ReadRow::Used(row)) => {
                self.is_telemetry = true;
                match &row.key {
                    RowKey::Conversation(id) => {
                        copilot_chat::users::of_row(text, |name| of(id, name))
                    }
                    RowKey::Shared(_) => Ok(()),
                }
            }
            AnyRow::Telemetry(_) => Ok(()),
            AnyRow::Row(row) => match row.kind {
                RowKind::Census { .. } => Ok(()),
                RowKind::Turn { .. } | RowKind::Conversation { .. } => {
                    users::of_row(text, |name| of(&row.id, name))
                }
            },
        }
    }
}

/// Takes the rows of the input, and keeps none.
struct Look {
    /// Absent while a job has it, and after a job has failed.
    seen: Option<Seen>,
    pool: Arc<CpuPool>,
    stop: Arc<AtomicBool>,
}

impl Look {
    /// Does something on a thread for CPU work.
    async fn step<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Seen) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let mut seen = self.seen.take().ok_or(SourceError::Stopped)?;
        let work = move || {
            let result = job(&mut seen);
            (seen, result)
        };
        let (seen, result) = self.pool.run(work).await?;
        self.seen = Some(seen);
        result
    }
}

impl RowSink for Look {
    fn write(&mut self, block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        let look = self.step(move |seen| {
            seen.look_at(&block);
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
        let look = self.step(move |seen| {
            let mut block = RowBlock::default();
            while !stop.load(Ordering::Relaxed) {
                block.clear();
                if !reader.read_block(&mut block)? {
                    return Ok(());
                }
                seen.look_at(&block);
            }
            Err(SourceError::Stopped)
        });
        look.boxed()
    }
}
