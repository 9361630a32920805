//! A job that is kept: what its chunks have brought lies on the driver's disk, and is not asked for again.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::Jobs;
use crate::pipeline::engine::Fault;
use crate::pipeline::engine::census::ChunkCensus;
use crate::pipeline::engine::exchange::{Counted, Exchange, Pieces};
use crate::pipeline::engine::frame::FrameSum;
use crate::pipeline::engine::order::{Brings, Order, PieceOrder};
use crate::pipeline::engine::records::RecordsHead;
use crate::pipeline::engine::store::{JobStore, kept_by_chunk};
use crate::source::SourceError;

impl Jobs {
    /// Runs a job, unless it is done; gives what the pieces have counted.
    pub(super) fn once(
        &self,
        store: &JobStore,
        pieces: &[PieceOrder],
        order: Order,
    ) -> Result<Counted, SourceError> {
        if let Some(counted) = store.finished()? {
            return Ok(counted);
        }
        let counted = self.run(store, pieces, order)?.counted;
        store.finish(&counted)?;
        Ok(counted)
    }

    /// Runs a job for the chunks that are not kept. What is kept and was not made of the same frames is brought again.
    fn run(
        &self,
        store: &JobStore,
        pieces: &[PieceOrder],
        order: Order,
    ) -> Result<Pieces, SourceError> {
        let brings_records = matches!(order.brings, Brings::Records | Brings::SharedRows);
        let frames = |bytes: &[u8]| match brings_records {
            true => Ok(RecordsHead::from_bytes(bytes)?.frames),
            false => Ok::<_, Fault>(ChunkCensus::from_bytes(bytes)?.frames),
        };
        let done = kept_by_chunk(store, |bytes| frames(bytes).ok())?;
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
                let sum = frames(bytes).map_err(|fault| fault.of_chunk(chunk.cast_signed()))?;
                store.keep(chunk, bytes)?;
                Ok(sum)
            })
        };
        tracing::info!(
            job = store.name(),
            chunks = order.chunks,
            kept = done.len(),
            "the engine begins a job"
        );
        match exchange(&done) {
            // A table may come in another order after a restart.
            Err(SourceError::Exchange { .. }) if !done.is_empty() => {
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
