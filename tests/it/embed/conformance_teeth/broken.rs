//! A source that is right but for its fault.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gleaner::domain::sampling::rank_ranges::ChunkChecksum;
use gleaner::source::{
    BlockReader, ConversationSource, FetchFuture, FetchOrder, RowBlock, RowSink, SourceError,
    Survey,
};
use gleaner::testing::MemorySource;
use serde_json::{Value, json};

/// Changes something, the nth time that it passes.
pub type On<T> = fn(&mut T, u32);

/// Changes a block of an order.
pub type OnBlock = fn(&mut RowBlock, &FetchOrder, u32);

/// What a source does wrong; the numbers count its surveys, descriptions and fetches from 1.
#[derive(Clone, Copy)]
pub struct Fault {
    pub describe: On<Value>,
    pub survey: On<Survey>,
    pub order: On<FetchOrder>,
    pub block: OnBlock,
    pub chunk_checksum: fn(&mut Option<ChunkChecksum>),
    /// Goes on when its sink refuses.
    pub is_deaf: bool,
    /// Does not clean up behind a fetch that was dropped.
    pub is_untidy: bool,
}

pub const NONE: Fault = Fault {
    describe: |_, _| (),
    survey: |_, _| (),
    order: |_, _| (),
    block: |_, _, _| (),
    chunk_checksum: |_| (),
    is_deaf: false,
    is_untidy: false,
};

pub struct Broken<S> {
    source: S,
    fault: Fault,
    surveys: AtomicU32,
    descriptions: AtomicU32,
    fetches: AtomicU32,
    is_busy: AtomicBool,
}

impl<S: ConversationSource> Broken<S> {
    pub fn new(source: S, fault: Fault) -> Self {
        Self {
            source,
            fault,
            surveys: AtomicU32::new(0),
            descriptions: AtomicU32::new(0),
            fetches: AtomicU32::new(0),
            is_busy: AtomicBool::new(false),
        }
    }
}

fn next(counter: &AtomicU32) -> u32 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

impl<S: ConversationSource> ConversationSource for Broken<S> {
    fn describe(&self) -> Value {
        let mut described = self.source.describe();
        (self.fault.describe)(&mut described, next(&self.descriptions));
        described
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        async move {
            let mut survey = self.source.survey().await?;
            (self.fault.survey)(&mut survey, next(&self.surveys));
            Ok(survey)
        }
        .boxed()
    }

    fn fetch<'a>(&'a self, mut order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            let nth = next(&self.fetches);
            if self.is_busy.swap(self.fault.is_untidy, Ordering::Relaxed) {
                return Ok(None);
            }
            let mut rows = Tampering {
                rows,
                fault: self.fault,
                order: order.clone(),
                nth,
            };
            (self.fault.order)(&mut order, nth);
            let mut chunk_checksum = self.source.fetch(order, &mut rows).await?;
            (self.fault.chunk_checksum)(&mut chunk_checksum);
            self.is_busy.store(false, Ordering::Relaxed);
            Ok(chunk_checksum)
        }
        .boxed()
    }
}

/// Changes what passes.
struct Tampering<R> {
    rows: R,
    fault: Fault,
    order: FetchOrder,
    nth: u32,
}

impl RowSink for Tampering<&mut dyn RowSink> {
    fn write(&mut self, mut block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            (self.fault.block)(&mut block, &self.order, self.nth);
            let written = self.rows.write(block).await;
            if self.fault.is_deaf { Ok(()) } else { written }
        }
        .boxed()
    }

    fn drain(&mut self, reader: Box<dyn BlockReader>) -> BoxFuture<'_, Result<(), SourceError>> {
        self.rows.drain(Box::new(Tampering {
            rows: reader,
            fault: self.fault,
            order: self.order.clone(),
            nth: self.nth,
        }))
    }
}

impl BlockReader for Tampering<Box<dyn BlockReader>> {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        let more = self.rows.read_block(block)?;
        (self.fault.block)(block, &self.order, self.nth);
        Ok(more)
    }
}

pub fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("some")
}

/// Blocks of four, in three chunks.
pub fn memory() -> MemorySource {
    let turn = json!({"turnIndex": 1, "userMessage": "SECRET"});
    let rows: Vec<_> = (0..40)
        .map(|i| json!({"conversationId": format!("c{i}"), "turnsArray": vec![&turn; 1 + i % 3]}))
        .collect();
    let blocks = NonZeroUsize::new(4).expect("some");
    MemorySource::new(&rows).in_chunks(n(3)).in_blocks(blocks)
}

/// Takes the last line of a block away.
pub fn pop(block: &mut RowBlock) -> Vec<u8> {
    let body = &block.bytes[..block.bytes.len() - 1];
    let start = body
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |at| at + 1);
    block.bytes.split_off(start)
}

/// Has the line of a conversation so often.
pub fn times(block: &mut RowBlock, id: &str, times: usize) {
    let text = String::from_utf8(block.bytes.clone()).expect("text");
    let id = format!("\"{id}\"");
    let line = |line: &str| line.repeat(if line.contains(&id) { times } else { 1 });
    let lines: String = text.split_inclusive('\n').map(line).collect();
    block.bytes = lines.into_bytes();
}
