//! A source that fails as planned.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{Faults, Kind, Site};
use crate::source::{
    Action, BlockReader, ConversationSource, FetchFuture, FetchOrder, Prepared, RowBlock, RowSink,
    SourceError, Survey,
};

/// Duration of a slow block.
const SLOW: Duration = Duration::from_secs(30);

/// A source in front of another. What it damages it also reports, as every source must: rows that
/// are cut off or changed on the way void the attempt.
pub struct FaultySource {
    inner: Arc<dyn ConversationSource>,
    faults: Faults,
}

impl FaultySource {
    /// In front of a source.
    pub fn new(inner: Arc<dyn ConversationSource>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl ConversationSource for FaultySource {
    fn describe(&self) -> Value {
        self.inner.describe()
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        self.inner.survey()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<Option<Prepared>, SourceError>> {
        self.inner.prepare()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            let due = self.faults.due(Site::Fetch);
            match due {
                Some(Kind::Transient) => return Err(broken(io::ErrorKind::ConnectionReset)),
                Some(Kind::Io) => return Err(broken(io::ErrorKind::Other)),
                Some(Kind::Throttle) => {
                    let action = Action::Throttle { retry_after: None };
                    return Err(refused("throttled", action));
                }
                Some(Kind::AuthExpiry) => {
                    return Err(refused("the login has expired", Action::Fail));
                }
                Some(Kind::Hang) => pending().await,
                _ => {}
            }
            let mut faulty = FaultyRows {
                inner: rows,
                faults: self.faults.clone(),
            };
            let delivered = self.inner.fetch(order, &mut faulty).await?;
            match due {
                Some(Kind::AckLost) => Err(broken(io::ErrorKind::TimedOut)),
                _ => Ok(delivered),
            }
        }
        .boxed()
    }
}

fn broken(kind: io::ErrorKind) -> SourceError {
    SourceError::Io {
        path: "injected".into(),
        source: kind.into(),
    }
}

fn refused(what: &str, action: Action) -> SourceError {
    SourceError::Custom {
        reason: format!("injected: {what}"),
        action,
    }
}

/// Damages a block; the error that follows.
fn damage(block: &mut RowBlock, kind: Kind) -> SourceError {
    if kind == Kind::Truncated {
        block.bytes.truncate(block.bytes.len() / 2);
        return broken(io::ErrorKind::UnexpectedEof);
    }
    let middle = block.bytes.len() / 2;
    if let Some(byte) = block.bytes.get_mut(middle) {
        *byte ^= 0x20;
    }
    broken(io::ErrorKind::InvalidData)
}

struct FaultyRows<'a> {
    inner: &'a mut dyn RowSink,
    faults: Faults,
}

impl RowSink for FaultyRows<'_> {
    fn write(&mut self, mut block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            match self.faults.due(Site::Block) {
                Some(kind @ (Kind::Truncated | Kind::Corrupt)) => {
                    block.parsed.clear();
                    block.is_utf8 = false;
                    let error = damage(&mut block, kind);
                    self.inner.write(block).await?;
                    return Err(error);
                }
                Some(Kind::Slow) => tokio::time::sleep(SLOW).await,
                _ => {}
            }
            self.inner.write(block).await
        }
        .boxed()
    }

    fn drain(&mut self, reader: Box<dyn BlockReader>) -> BoxFuture<'_, Result<(), SourceError>> {
        self.inner.drain(Box::new(FaultyReader {
            inner: reader,
            faults: self.faults.clone(),
            broken: None,
        }))
    }
}

struct FaultyReader {
    inner: Box<dyn BlockReader>,
    faults: Faults,
    broken: Option<SourceError>,
}

impl BlockReader for FaultyReader {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let more = self.inner.read_block(block)?;
        // A thread that is slow is like a thread that has much to do: nothing to see here.
        if let Some(kind @ (Kind::Truncated | Kind::Corrupt)) = self.faults.due(Site::Block) {
            block.is_utf8 = false;
            self.broken = Some(damage(block, kind));
            return Ok(true);
        }
        Ok(more)
    }

    fn memory(&self) -> u64 {
        self.inner.memory()
    }

    fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.inner.stop_with(stop);
    }
}
