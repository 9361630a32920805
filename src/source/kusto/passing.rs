//! Rows of an answer on their way to a sink.

use tokio::sync::{mpsc, oneshot};

use super::client::{KustoClient, Receiver};
use super::error::{Failure, Purpose};
use super::frames::TableSink;
use crate::source::{RowBlock, RowEncoding, RowSink, SourceError};

/// A block of more bytes has a row that is large by itself. Nothing more is read before it is gone:
/// two such rows are held at most, one as it came and one as it is written.
const LARGE: usize = 4 << 20;

/// Writes the rows of an answer as lines.
pub trait LineWriter: TableSink + Send + 'static {
    /// Takes what has been written.
    fn take(&mut self) -> RowBlock;
}

/// A request whose rows are passed on.
pub struct Passing<'a> {
    /// Whom to ask.
    pub client: &'a KustoClient,
    /// What for.
    pub purpose: Purpose,
    /// The query.
    pub csl: &'a str,
    /// `limits.max_record`
    pub max_record: u64,
    /// How its rows become records.
    pub encoding: RowEncoding,
}

impl Passing<'_> {
    /// Asks, and passes the rows on. When the answer has come to its end, `check` says what it was or
    /// why it is void.
    ///
    /// # Errors
    /// If there is no whole answer, or the sink refuses a row.
    pub async fn pass<W: LineWriter, T>(
        &self,
        writer: W,
        sink: &mut dyn RowSink,
        check: impl FnOnce(&W) -> Result<T, Failure>,
    ) -> Result<(W, T), SourceError> {
        // The receiver must own what it works with, as decoding changes threads; the sink stays
        // here and takes what comes through the channel.
        let (blocks, mut waiting) = mpsc::channel::<PendingBlock>(1);
        let receiver = Writing {
            writer,
            encoding: self.encoding,
            blocks,
        };
        let query = async {
            let query = self
                .client
                .query(self.purpose, self.csl, self.max_record, receiver);
            let answered = query.await?;
            let checked = check(&answered.receiver.writer);
            let checked = checked.map_err(|failure| answered.fails(failure))?;
            // The receiver's sender goes here; then no more blocks are waited for.
            Ok((answered.receiver.writer, checked))
        };
        let pass_on = async {
            while let Some(PendingBlock { block, taken }) = waiting.recv().await {
                sink.write(block).await?;
                // Dropping it says so.
                drop(taken);
            }
            Ok::<_, SourceError>(())
        };
        let (answered, ()) = futures_util::try_join!(query, pass_on)?;
        Ok(answered)
    }
}

/// A block on its way to the sink.
struct PendingBlock {
    block: RowBlock,
    /// Dropped when the sink has taken the block.
    taken: oneshot::Sender<()>,
}

/// Writes rows on a blocking thread and passes them on.
struct Writing<W> {
    writer: W,
    encoding: RowEncoding,
    blocks: mpsc::Sender<PendingBlock>,
}

impl<W: LineWriter> Receiver for Writing<W> {
    type Sink = W;

    fn sink(&mut self) -> &mut W {
        &mut self.writer
    }

    async fn pass_on(&mut self) -> Result<(), SourceError> {
        let mut block = self.writer.take();
        block.encoding = self.encoding;
        // Every row was checked when its frame was read.
        block.is_utf8 = true;
        let is_large = block.bytes.len() > LARGE;
        let (taken, gone) = oneshot::channel();
        let parcel = PendingBlock { block, taken };
        // The receiver is gone: the run is ending.
        let sent = self.blocks.send(parcel).await;
        sent.map_err(|_| SourceError::Stopped)?;
        if is_large {
            // Nothing is ever sent: it ends when the block is gone.
            let _ = gone.await;
        }
        Ok(())
    }
}
