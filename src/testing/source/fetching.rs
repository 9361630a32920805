//! Fetching as a pipeline does: blocks are taken with pauses, readers are run off the thread.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, pending, select};
use tokio::sync::oneshot;

use crate::domain::record::row;
use crate::domain::sampling::rank_ranges::ChunkChecksum;
use crate::runtime::blocking;
use crate::source::{BlockReader, ConversationSource, FetchOrder, RowBlock, RowSink, SourceError};

/// Fetches a chunk, and gives its rows in the order of their delivery, each without the white space
/// around it; blank lines are none.
///
/// # Errors
/// What the source says.
pub async fn collect(
    source: &dyn ConversationSource,
    order: FetchOrder,
) -> Result<Vec<Vec<u8>>, SourceError> {
    let fetched = fetch(source, order).await?;
    let lines = fetched.blocks.iter().flat_map(lines).map(row::trim);
    let rows = lines.filter(|row| !row.is_empty());
    Ok(rows.map(<[u8]>::to_vec).collect())
}

/// The lines of a block, without their newlines.
pub(super) fn lines(block: &RowBlock) -> impl Iterator<Item = &[u8]> {
    let lines = block.bytes.split_inclusive(|&byte| byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// The result of an attempt.
pub(super) struct Fetched {
    pub blocks: Vec<RowBlock>,
    pub chunk_checksum: Option<ChunkChecksum>,
}

pub(super) async fn fetch(
    source: &dyn ConversationSource,
    order: FetchOrder,
) -> Result<Fetched, SourceError> {
    let mut taking = Taking::default();
    let chunk_checksum = source.fetch(order, &mut taking).await?;
    Ok(Fetched {
        blocks: taking.blocks,
        chunk_checksum,
    })
}

/// The end of a fetch whose sink did not take all.
pub(super) enum Ended {
    /// With fewer blocks than that.
    Before,
    /// With what the source answered to the sink's refusal, and what it wrote after that.
    Refused(Result<Option<ChunkChecksum>, SourceError>, usize),
    /// It was dropped.
    Dropped,
}

/// Fetches, and refuses the block behind the first `taken` ones.
pub(super) async fn refused(
    source: &dyn ConversationSource,
    order: FetchOrder,
    taken: usize,
) -> Ended {
    let mut taking = Taking {
        limit: Some((taken, Limit::Refuse)),
        ..Taking::default()
    };
    let result = source.fetch(order, &mut taking).await;
    match taking.beyond {
        0 => Ended::Before,
        beyond => Ended::Refused(result, beyond - 1),
    }
}

/// Fetches, and drops the fetch while it waits for the sink to take the block behind the first
/// `taken` ones.
pub(super) async fn dropped(
    source: &dyn ConversationSource,
    order: FetchOrder,
    taken: usize,
) -> Result<Ended, SourceError> {
    let (reached, when) = oneshot::channel();
    let mut taking = Taking {
        limit: Some((taken, Limit::Wait(Some(reached)))),
        ..Taking::default()
    };
    // In a scope of its own: what is left of the two is dropped at its end.
    match select(source.fetch(order, &mut taking), when).await {
        Either::Left((result, _)) => result.map(|_| Ended::Before),
        Either::Right(_) => Ok(Ended::Dropped),
    }
}

/// Takes blocks and keeps them.
#[derive(Default)]
struct Taking {
    blocks: Vec<RowBlock>,
    /// Number of blocks that are taken, and what follows.
    limit: Option<(usize, Limit)>,
    /// Blocks that came when no more were taken.
    beyond: usize,
}

enum Limit {
    Refuse,
    /// Waits for ever, and reports it once.
    Wait(Option<oneshot::Sender<()>>),
}

impl Taking {
    async fn take(&mut self, block: RowBlock) -> Result<(), SourceError> {
        // Others come first.
        tokio::task::yield_now().await;
        match &mut self.limit {
            Some((taken, limit)) if self.blocks.len() == *taken => {
                self.beyond += 1;
                let Limit::Wait(reached) = limit else {
                    return Err(SourceError::Stopped);
                };
                if let Some(reached) = reached.take() {
                    // The caller may be gone.
                    let _ = reached.send(());
                }
                pending().await
            }
            _ => {
                self.blocks.push(block);
                Ok(())
            }
        }
    }
}

impl RowSink for Taking {
    fn write(&mut self, block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        self.take(block).boxed()
    }

    fn drain(
        &mut self,
        mut reader: Box<dyn BlockReader>,
    ) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            loop {
                let reading = blocking(move || {
                    let mut block = RowBlock::default();
                    block.clear();
                    let more = reader.read_block(&mut block);
                    more.map(|more| (reader, block, more))
                });
                let (block, more);
                (reader, block, more) = reading.await??;
                if !more {
                    return Ok(());
                }
                self.take(block).await?;
            }
        }
        .boxed()
    }
}
