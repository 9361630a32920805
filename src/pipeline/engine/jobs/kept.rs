//! A job that is kept: what its chunks have brought lies on the driver's disk, and is not asked for again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::Jobs;
use crate::pipeline::engine::Fault;
use crate::pipeline::engine::census::ChunkCensus;
use crate::pipeline::engine::exchange::{Counted, Exchange, Outcome};
use crate::pipeline::engine::frame::FrameSum;
use crate::pipeline::engine::order::{Brings, Order, PieceOrder};
use crate::pipeline::engine::records::RecordsHead;
use crate::pipeline::engine::store::{Done, JobStore, kept_by_chunk};
use crate::source::SourceError;

impl Jobs {
    /// Runs a job, unless it is done and all that it brought is there; gives what the pieces have counted.
    pub(super) fn once(
        &self,
        store: &JobStore,
        pieces: &[PieceOrder],
        order: Order,
    ) -> Result<Counted, SourceError> {
        let kept = kept_by_chunk(store, |bytes| frames(&order.brings, bytes).ok())?;
        match store.finished()? {
            Some(done) if done.chunks == kept => return Ok(done.counted),
            _ => {}
        }
        let Outcome {
            counted, chunks, ..
        } = self.run(store, pieces, order, &kept)?;
        let done = Done { counted, chunks };
        store.finish(&done)?;
        Ok(done.counted)
    }

    /// Runs a job for the chunks that are not kept. What is kept and was not made of the same frames is brought again.
    fn run(
        &self,
        store: &JobStore,
        pieces: &[PieceOrder],
        order: Order,
        kept: &BTreeMap<u32, FrameSum>,
    ) -> Result<Outcome, SourceError> {
        let exchange = |done: &BTreeMap<u32, FrameSum>| {
            let exchange = Exchange {
                name: store.name(),
                engine: &*self.parts.engine,
                telemetry: &self.parts.telemetry,
                order: order.clone(),
                pieces,
                done,
            };
            exchange.run(|chunk, bytes| {
                self.unless_stopped()?;
                let sum = frames(&order.brings, bytes);
                let sum = sum.map_err(|fault| fault.of_chunk(chunk.cast_signed()))?;
                store.keep(chunk, bytes)?;
                Ok(sum)
            })
        };
        tracing::info!(
            job = store.name(),
            chunks = order.chunks,
            kept = kept.len(),
            "the engine begins a job"
        );
        match exchange(kept) {
            // A table may come in another order after a restart.
            Err(SourceError::Exchange { .. }) if !kept.is_empty() => {
                store.clear()?;
                exchange(&BTreeMap::new())
            }
            result => result,
        }
    }

    /// Refuses to go on if the job that runs is to end.
    pub(super) fn unless_stopped(&self) -> Result<(), SourceError> {
        match self.stop.load(Ordering::SeqCst) {
            true => Err(SourceError::Stopped),
            false => Ok(()),
        }
    }
}

/// The frames that what a chunk has brought was made of.
fn frames(brings: &Brings, bytes: &[u8]) -> Result<FrameSum, Fault> {
    match brings {
        Brings::Records | Brings::SharedRows => Ok(RecordsHead::from_bytes(bytes)?.frames),
        _ => Ok(ChunkCensus::from_bytes(bytes)?.frames),
    }
}
