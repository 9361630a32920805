//! Sources: where rows come from.
//!
//! A source is surveyed once, which gives its chunks, and then asked for chunks, any number of
//! times, in any order, from several fetchers at once. It delivers **rows**: JSON objects, one a
//! line, in blocks. It neither parses nor filters them: the pipeline does, the same way for every
//! source.
//!
//! To write one, implement [`ConversationSource`] and hold it against
//! [`testing::source_conformance`](crate::testing::source_conformance), or, if it delivers a census,
//! against [`testing::census_conformance`](crate::testing::census_conformance), which list what it owes
//! clause by clause. [`testing::MemorySource`](crate::testing::MemorySource) is one in memory,
//! [`synthetic`] the smallest example.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};

use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::debug_lengths;
use crate::domain::grouping::dedup::GroupTally;
use crate::domain::record::row::MalformedReason;
use crate::domain::record::timestamp::Ticks;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
pub use crate::domain::sampling::thresholds::{PopulationSample, UndeliveredCount};
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
pub use crate::domain::scheduling::pass::Pass;
pub use crate::domain::scheduling::retry::Action;
use crate::domain::selection::exclude::{ExcludeList, FoundUsers};
#[cfg(feature = "kusto")]
pub(crate) use error::QUERY_HINT;
pub use error::SourceError;
pub(crate) use error::{DEFECT, INPUT_CHANGED, RERUN};

mod error;

pub mod files;
#[cfg(feature = "kusto")]
pub mod kusto;
/// Every build reads and checks the configuration of clusters.
#[cfg(not(feature = "kusto"))]
pub mod kusto {
    #[cfg(feature = "cli")]
    pub mod estimate;
    pub mod host_rule;
    pub mod query_file;
    pub mod settings;
}
pub mod synthetic;

/// Bytes that a block should have: small enough for the caches and for many in flight.
pub const BLOCK_BYTES: usize = 512 * 1024;

/// What [`ConversationSource::fetch`] gives, later.
pub type FetchFuture<'a> = BoxFuture<'a, Result<Option<ChunkChecksum>, SourceError>>;

/// A telemetry source. To write one, implement this trait, and hold it against
/// [`testing::source_conformance`](crate::testing::source_conformance).
///
/// It delivers the same rows to every caller, whenever, and however often: that is what makes a dataset
/// reproducible, and a chunk that failed worth fetching again.
pub trait ConversationSource: Send + Sync + 'static {
    /// What `metadata.json` says about the source: an object with a text `kind`, the same every time
    /// once the source was surveyed, and no secrets.
    fn describe(&self) -> serde_json::Value;

    /// Looks the input over, before anything is fetched: is it there, and which chunks has it?
    /// Asked again by a resumed run, of a new source: what it says must then be the same, the chunks
    /// in their order too; an input that has changed shows in `Survey::input_fingerprints`.
    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>>;

    /// Says which ids and users a run leaves out, after the survey. A source that reads and groups rows itself leaves
    /// their conversations out, and says which are the users'. `None`: the run looks for these itself, in all chunks
    /// ([`Pass::All`]), and leaves rows out as they come.
    fn exclude<'a>(
        &'a self,
        _list: &'a ExcludeList,
    ) -> BoxFuture<'a, Result<Option<FoundUsers>, SourceError>> {
        ready(Ok(None)).boxed()
    }

    /// Does what has to be done before any chunk can be fetched, and takes long: the run has begun and can be resumed.
    /// Asked once a start, after the survey; dropped if the run is to end.
    fn prepare(&self) -> BoxFuture<'_, Result<Option<Prepared>, SourceError>> {
        ready(Ok(None)).boxed()
    }

    /// Delivers the rows of a chunk that are ordered. An error voids the attempt: nothing of it is
    /// kept. A source that has counted what it delivered says so; of a census of some ranks, all conversations of
    /// the chunk.
    ///
    /// Any chunk of the survey may be asked for, and of a hash chunk its halves
    /// ([`HashChunk::split`](crate::domain::scheduling::chunk::HashChunk::split)), again after a failure or a
    /// restart, and several at once. Each brings the same rows every time, in any order. What `rows`
    /// refuses is passed on, and ends the fetch; a fetch may also be dropped wherever it waits, and
    /// must leave nothing behind then.
    ///
    /// # Errors
    /// Anything that keeps the chunk from being whole; [`SourceError::action`] decides what
    /// follows.
    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a>;
}

impl<T: ConversationSource + ?Sized> ConversationSource for Arc<T> {
    fn describe(&self) -> serde_json::Value {
        (**self).describe()
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        (**self).survey()
    }

    fn exclude<'a>(
        &'a self,
        list: &'a ExcludeList,
    ) -> BoxFuture<'a, Result<Option<FoundUsers>, SourceError>> {
        (**self).exclude(list)
    }

    fn prepare(&self) -> BoxFuture<'_, Result<Option<Prepared>, SourceError>> {
        (**self).prepare()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        (**self).fetch(order, rows)
    }
}

/// One fetch of a chunk.
#[derive(Debug, Clone)]
pub struct FetchOrder {
    /// Of which chunk.
    pub chunk: Chunk,
    /// The number of the attempt on the chunk, from 1.
    pub attempt: u32,
    /// Which rows: whole ones, or a census ([`RowEncoding::Census`]). A source whose survey promises no
    /// census is only ever asked for [`Pass::All`].
    pub pass: Pass,
    /// In a round and in a census of some ranks: which conversations, and no others. `None`: all.
    pub ranks: Option<Arc<RankRanges>>,
}

impl FetchOrder {
    /// The chunk, for a source whose chunks are hash chunks.
    ///
    /// # Errors
    /// [`SourceError::UnknownChunk`] if it is a piece of a file.
    pub fn hash_chunk(&self) -> Result<HashChunk, SourceError> {
        match self.chunk {
            Chunk::Hash(chunk) => Ok(chunk),
            chunk @ Chunk::Piece(_) => Err(SourceError::UnknownChunk { chunk }),
        }
    }
}

/// The result of a survey.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The chunks: disjoint, and together the whole population. Hash chunks have the depth 0.
    pub chunks: Vec<Chunk>,
    /// Whether all rows of a conversation are in one chunk (hash chunks), so that a chunk can be
    /// grouped by itself. Pieces of files are not.
    pub self_contained: bool,
    /// Whether the source can deliver a census first, and then the conversations of some ranks
    /// alone ([`Pass`]).
    pub census: bool,
    /// Of a source that can deliver a census of some ranks and count the other conversations ([`Pass::CensusUpTo`]): a
    /// part of the population. With it the run asks for such censuses alone, as far as it wants candidates; without
    /// it for a census of all conversations.
    pub sample: Option<PopulationSample>,
    /// Whether it leaves out incomplete conversations itself, so that they cannot be counted.
    pub only_complete: bool,
    /// Fetches that may run at once; `None`: as many as there are fetchers.
    pub max_concurrency: Option<usize>,
    /// Longest time of a fetch between two signs of progress; `None`: the default.
    pub operation_timeout: Option<Duration>,
    /// Bytes of the input, if the source knows.
    pub bytes: Option<u64>,
    /// Bytes of files that cannot be read by position: they are kept decoded in sealed chunks.
    pub spooled_bytes: u64,
    /// Fingerprints that must not change between two surveys of one run.
    pub input_fingerprints: Vec<InputFingerprint>,
}

/// What a source has found that reads and groups all rows itself before it delivers a census
/// ([`ConversationSource::prepare`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// As [`Survey::sample`]: here of the whole population.
    pub population: PopulationSample,
    /// What became of all rows. It stands in the manifest in the place of what the run counts.
    pub ledger: Arc<Ledger>,
}

/// What became of all rows, of a source that reads and groups them itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The rows, by the piece that they were read from.
    pub tallies: BTreeMap<Chunk, ChunkTally>,
    /// Their conversations. Rows of those that are too large are among the malformed of their pieces.
    pub grouped: GroupTally,
}

impl Survey {
    /// A survey of chunks that are read as they are, and nothing else said.
    pub fn of(chunks: Vec<Chunk>, self_contained: bool) -> Self {
        Self {
            chunks,
            self_contained,
            census: false,
            sample: None,
            only_complete: false,
            max_concurrency: None,
            operation_timeout: None,
            bytes: None,
            spooled_bytes: 0,
            input_fingerprints: Vec::new(),
        }
    }
}

/// An input file as it was when the run started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFingerprint {
    /// Its path, as found.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its modification time in nanoseconds since 1970.
    pub modified_ns: i128,
}

/// Takes the rows of one attempt at a chunk.
pub trait RowSink: Send {
    /// Takes a block from an asynchronous source; waits while too many bytes are in flight.
    fn write(&mut self, block: RowBlock) -> BoxFuture<'_, Result<(), SourceError>>;

    /// Takes all blocks of a blocking reader, which is run on the CPU pool.
    fn drain(&mut self, reader: Box<dyn BlockReader>) -> BoxFuture<'_, Result<(), SourceError>>;
}

/// A blocking producer of blocks.
pub trait BlockReader: Send {
    /// Fills the cleared `block`; `false` when there are no more rows (the block is then empty).
    /// A block may also be empty before that: where the next one needs more [`Self::memory`].
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError>;

    /// Bytes of memory for the next block: the block itself, and buffers and windows of decoders. Is
    /// asked before each block, which is read once so much is free of `limits.in_flight`.
    fn memory(&self) -> u64 {
        BLOCK_BYTES as u64
    }

    /// Is called once before the first block. A reader that may work long on one block looks at this
    /// now and then, and ends with [`SourceError::Stopped`] once it is set.
    fn stop_with(&mut self, _stop: Arc<AtomicBool>) {}
}

/// Some rows: JSON objects, one a line, each with its `\n` (the last one of a fetch may lack it).
/// CR before LF and blank lines are allowed. A row that is no JSON is delivered as it is: it is counted
/// and listed.
#[derive(Default)]
pub struct RowBlock {
    /// The lines.
    pub bytes: Vec<u8>,
    /// The location of the lines, if they need no copy.
    pub location: RowLocation,
    /// The encoding of the rows.
    pub encoding: RowEncoding,
    /// Whether the bytes were found to be UTF-8 before.
    pub is_utf8: bool,
    /// The number of the first line, from 1, in the file or (for a byte range) in the piece;
    /// for a source without files any number that helps to find the row. Behind all lines and
    /// rejects of the blocks before; of a block without lines it means nothing.
    pub first_line: u64,
    /// How many bytes of the input the block took, where that is another number than its length
    /// (compressed input). For progress alone.
    pub input_bytes: Option<u64>,
    /// Rows that the reader had to leave out, with the line that each stood at, in order. The lines
    /// of `bytes` are numbered one after the other and pass over the numbers of the rejects.
    pub rejects: Vec<Reject>,
    /// What the source has found out about each line while it made them, in their order; empty:
    /// nothing, and each line is read.
    pub parsed: Vec<ParsedRow>,
    /// In a census of some ranks ([`Pass::CensusUpTo`]): how many conversations of the chunk are not delivered. All that
    /// are delivered and all that are counted here, in all blocks of a fetch, are those of the chunk.
    pub undelivered: Vec<UndeliveredCount>,
    /// From a source that can deliver a census: every conversation of the block, in any order, the
    /// rejected ones included. They are held against the census.
    pub received: Vec<ReceivedRow>,
}

debug_lengths!(RowBlock { location, encoding, is_utf8, first_line, rejects, received, undelivered } lengths { bytes, parsed });

/// The header of a good row.
#[derive(Clone, PartialEq, Eq)]
pub struct ParsedRow {
    /// The bytes of its line, without the newline.
    pub length: u32,
    /// Its id, decoded, and not empty (of a row that is unread it means nothing).
    pub id: Box<[u8]>,
    /// What it is.
    pub kind: ParsedKind,
}

debug_lengths!(ParsedRow { length, kind } lengths { id });

/// What a row is, as its source has found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParsedKind {
    /// A conversation.
    Conversation {
        /// Turns of its array, each of them an object without a field twice.
        turns: u32,
    },
    /// A turn of the mode `agent` that has a `userMessage`, perhaps null.
    Turn {
        /// Its `turnIndex`.
        turn: i64,
        /// Its `Timestamp`.
        at: Ticks,
    },
    /// Not known, or not plainly good: its line is read.
    Unread,
}

/// A conversation that was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceivedRow {
    /// `hash(id)`
    pub id_hash: i64,
    /// Its number of turns, where the source says.
    pub turns: Option<i64>,
    /// Its last change, if the source knows.
    pub last: Option<Ticks>,
}

impl RowBlock {
    /// Empties the block. Keeps its memory, unless a large row has passed.
    pub fn clear(&mut self) {
        if self.bytes.capacity() > 4 * BLOCK_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.rejects.clear();
        self.parsed.clear();
        self.received.clear();
        self.undelivered.clear();
        self.location = RowLocation::Spool;
        self.encoding = RowEncoding::AsWritten;
        self.is_utf8 = false;
        self.input_bytes = None;
        self.first_line = 1;
    }
}

/// A row that never became a line of a block (too large to hold, not convertible).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its line, counted as `RowBlock::first_line`.
    pub line: u64,
    /// Why.
    pub reason: MalformedReason,
    /// Its conversation's id, decoded, where that could be read: the conversation is damaged.
    pub id: Option<Box<[u8]>>,
}

/// The location of a block's rows, to read them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowLocation {
    /// Nowhere: the pipeline keeps the rows in a sealed chunk.
    #[default]
    Spool,
    /// In the input file itself, from this offset on.
    InFile {
        /// Index into `Survey::input_fingerprints`.
        file: u32,
        /// Offset of the block's first byte.
        offset: u64,
    },
}

/// How rows become records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowEncoding {
    /// A conversation row is a record already and is kept byte for byte.
    #[default]
    AsWritten,
    /// A row was put together from columns (Parquet): a conversation row is written anew, with
    /// the keys in their order.
    Assembled,
    /// A row is the header of a conversation: `conversationId`, `turnCount`, `lastTimestamp`.
    Census,
}
