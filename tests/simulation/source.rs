//! A source in memory: rows arrive in small blocks, each after a while of virtual time. It remembers
//! what it was asked for, and insists on what no run may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gleaner::domain::record::timestamp;
use gleaner::domain::sampling::rank_ranges::RankRanges;
use gleaner::domain::scheduling::chunk::{Chunk, HashChunk, Piece};
use gleaner::domain::scheduling::pass::ChunkPass;
use gleaner::domain::selection::group::GroupMark;
use gleaner::domain::selection::rank::Ranker;
use gleaner::domain::selection::stratum::Selection;
use gleaner::fault::{Injector, Kind, Site};
use gleaner::source::kusto::error::{Failure, KustoError, Purpose};
use gleaner::source::{
    ConversationSource, FetchFuture, FetchOrder, InputFingerprint, Pass, ReceivedRow, RowBlock,
    RowEncoding, RowLocation, RowSink, SourceError, Survey,
};
use tokio::time::Instant;

use crate::behaviour::{
    Change, LONG_TIMEOUT, RETRY_AFTER, SILENCE, SLOW, STORM, SourceBehaviour, TIMEOUT,
    TRANSIENT_FAILURES,
};
use crate::support::reference::hash;
use crate::world::{Delivery, SimRow, World};

/// Rows in a block.
const ROWS: usize = 8;

/// Conversations changed last at the first instant; the one that changes does so at the second.
const LAST: [&str; 2] = ["2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"];

/// What is the same for all starts of a run.
#[derive(Default)]
pub struct Memory(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// What is being fetched: never the same thing twice at once.
    active: BTreeSet<(Chunk, bool)>,
    /// Requests that failed so that it counts, by chunk and pass.
    failed: BTreeMap<String, u32>,
    /// Answers that would have needed too much memory, by chunk.
    short: BTreeMap<Chunk, u32>,
    refused: u32,
    transient: u32,
    /// Since when, and until when, nothing shall be asked for.
    shut: Option<(Instant, Instant)>,
    slow: u32,
    /// How often the conversation that changes was delivered as it is now.
    changed: u32,
    /// Chunks that were asked for though they were sealed.
    again: u32,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sealed chunks that were fetched again.
    pub fn fetched_again(&self) -> u32 {
        self.lock().again
    }
}

pub struct SimSource {
    pub world: World,
    pub chunks: u32,
    pub selection: Selection,
    /// Where the files of [`Delivery::Files`] lie.
    pub folder: PathBuf,
    /// Where chunks are sealed.
    pub sealed: PathBuf,
    pub behaviour: SourceBehaviour,
    pub memory: Arc<Memory>,
    /// How many there are.
    pub fetchers: usize,
    /// Nothing goes wrong but what the source does by itself: then more can be insisted on.
    pub strict: bool,
}

impl SimSource {
    /// Writes the files, if that is how rows are delivered.
    pub fn prepare(&self) {
        if self.world.delivery == Delivery::Files {
            for (name, bytes) in &*self.world.files {
                std::fs::write(self.folder.join(name), bytes).expect("writable");
            }
        }
    }

    /// The rows that are asked for, with what is known of them.
    pub fn rows(&self, order: &FetchOrder, chunk: HashChunk) -> Vec<&SimRow> {
        let mut ranker = Ranker::new(self.selection.seed());
        let mut is_wanted = |row: &SimRow| {
            let rank = ranker.rank(&row.key);
            let holds = |ranks: &Arc<RankRanges>| {
                ranks.wants(&self.selection, (&row.key, row.group), row.turns, rank)
            };
            order.ranks.as_ref().is_none_or(holds)
        };
        let rows = self.world.rows.iter();
        rows.filter(|row| chunk.holds(&row.key) && is_wanted(row))
            .collect()
    }

    /// What is known of the conversation that changes, as long as a census tells the old.
    fn change(&self, key: &[u8]) -> Option<&Change> {
        let stale = self.behaviour.stale.as_ref();
        let stale = stale.filter(|stale| stale.key == key)?;
        (self.memory.lock().changed < stale.until).then_some(&stale.change)
    }

    fn is_stale(&self, key: &[u8]) -> bool {
        let stale = self.behaviour.stale.as_ref();
        stale.is_some_and(|stale| stale.key == key)
    }

    /// A row's header, as the census tells it; `None` if it does not.
    fn header(&self, row: &SimRow) -> Option<String> {
        let (mut turns, mut last) = (row.turns, usize::from(self.is_stale(&row.key)));
        match self.change(&row.key) {
            Some(Change::Turns(before) | Change::Gone(before)) => (turns, last) = (*before, 0),
            Some(Change::Time) => last = 0,
            Some(Change::New) => return None,
            None => {}
        }
        let id = serde_json::to_string(&String::from_utf8_lossy(&row.key)).expect("text");
        let last = LAST[last];
        let group = row.group.residue().map(i64::from).unwrap_or(-1);
        Some(format!(
            r#"{{"conversationId":{id},"turnCount":{turns},"lastTimestamp":"{last}","groupResidue":{group}}}"#
        ))
    }

    fn received(&self, row: &SimRow) -> ReceivedRow {
        let last = LAST[usize::from(self.is_stale(&row.key))];
        ReceivedRow {
            id_hash: hash(&row.key),
            turns: Some(row.turns as i64),
            last: timestamp::parse(last.as_bytes()),
        }
    }

    /// Why the source does not deliver, if it does not.
    fn refusal(&self, order: &FetchOrder, chunk: HashChunk, rows: &[&SimRow]) -> Option<Failure> {
        let is_payload = matches!(order.pass, Pass::Round(_));
        let is_census = order.pass.is_census();
        let memory = &mut *self.memory.lock();
        let mut counts = || *memory.failed.entry(named(order)).or_default() += 1;
        if let Some((permanently_failing, payloads_only)) = self.behaviour.permanently_failing
            && (permanently_failing == chunk || permanently_failing.is_ancestor_of(&chunk))
            && (is_payload || !is_census || !payloads_only)
        {
            counts();
            return Some(Failure::Server("never".to_owned()));
        }
        if self.behaviour.transient == Some(chunk) && memory.transient < TRANSIENT_FAILURES {
            memory.transient += 1;
            counts();
            return Some(Failure::Server("not yet".to_owned()));
        }
        if self.behaviour.storm == Some(chunk) && memory.refused < STORM {
            memory.refused += 1;
            let now = Instant::now();
            let retry_after = self.behaviour.asks_to_wait.then_some(RETRY_AFTER);
            memory.shut = retry_after.map(|wait| (now, now + wait));
            return Some(Failure::Throttled {
                retry_after,
                message: "a storm".to_owned(),
            });
        }
        let keys: BTreeSet<_> = rows.iter().map(|row| &row.key).collect();
        let capacity = self.behaviour.capacity?;
        (keys.len() > capacity).then(|| match kind_of_failure(chunk) {
            0 => Failure::TooLarge("too many rows".to_owned()),
            1 => Failure::Runaway("too many bytes".to_owned()),
            2 => Failure::ServerTimeout("too slow".to_owned()),
            _ => {
                counts();
                *memory.short.entry(order.chunk).or_default() += 1;
                Failure::LowMemory("too much memory".to_owned())
            }
        })
    }

    async fn deliver(
        &self,
        order: &FetchOrder,
        chunk: HashChunk,
        sink: &mut dyn RowSink,
    ) -> Result<(), SourceError> {
        let rows = self.rows(order, chunk);
        let refusal = self.refusal(order, chunk, &rows);
        let mut blocks: Vec<_> = rows.chunks(ROWS).collect();
        match &refusal {
            // Some of an answer arrives before it breaks off.
            Some(Failure::Runaway(_) | Failure::Server(_)) => blocks.truncate(1),
            Some(Failure::ServerTimeout(_)) => {
                tokio::time::sleep(TIMEOUT).await;
                blocks.clear();
            }
            Some(_) => blocks.clear(),
            None => {}
        }
        let is_slow = self.be_slow(order, chunk, blocks.len()).await;
        let mut line = 1;
        for (number, rows) in blocks.iter().enumerate() {
            pause(order.chunk, number).await;
            if is_slow {
                tokio::time::sleep(SLOW / blocks.len() as u32).await;
            }
            let mut block = RowBlock {
                first_line: line,
                ..RowBlock::default()
            };
            line += rows.len() as u64;
            for row in *rows {
                if order.pass.is_census() {
                    block.encoding = RowEncoding::Census;
                    let Some(header) = self.header(row) else {
                        continue;
                    };
                    block.bytes.extend_from_slice(header.as_bytes());
                } else {
                    block.bytes.extend_from_slice(&row.text);
                }
                block.bytes.push(b'\n');
                if matches!(order.pass, Pass::Round(_)) {
                    block.received.push(self.received(row));
                }
            }
            sink.write(block).await?;
        }
        if let Some(failure) = refusal {
            return Err(refused(failure));
        }
        if matches!(order.pass, Pass::CensusUpTo(_)) {
            sink.write(self.undelivered(order, chunk)).await?;
        }
        self.deliver_change(order, chunk, sink).await
    }

    /// A conversation that is gone is told by an old census alone.
    async fn deliver_change(
        &self,
        order: &FetchOrder,
        chunk: HashChunk,
        sink: &mut dyn RowSink,
    ) -> Result<(), SourceError> {
        let stale = self.behaviour.stale.as_ref();
        let Some(stale) = stale.filter(|stale| chunk.holds(&stale.key)) else {
            return Ok(());
        };
        match order.pass {
            Pass::Round(_) => self.memory.lock().changed += 1,
            Pass::Census if matches!(self.change(&stale.key), Some(Change::Gone(_))) => {
                let gone = SimRow {
                    group: GroupMark::ABSENT,
                    key: stale.key.clone(),
                    turns: 0,
                    text: Vec::new(),
                };
                let block = RowBlock {
                    encoding: RowEncoding::Census,
                    bytes: self.header(&gone).expect("an old census").into_bytes(),
                    first_line: 1_000,
                    ..RowBlock::default()
                };
                sink.write(block).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a chunk shall come slowly; where the source has asked for patience it needs it now.
    async fn be_slow(&self, order: &FetchOrder, chunk: HashChunk, blocks: usize) -> bool {
        let is_slow = self.behaviour.slow.is_some_and(|slow| {
            (slow == chunk || slow.is_ancestor_of(&chunk)) && !order.pass.is_census() && blocks > 1
        });
        let is_slow = is_slow && {
            let slow = &mut self.memory.lock().slow;
            *slow += 1;
            *slow <= 2
        };
        if is_slow && self.behaviour.patient {
            tokio::time::sleep(SILENCE).await;
        }
        is_slow
    }

    async fn deliver_file(&self, piece: Piece, sink: &mut dyn RowSink) -> Result<(), SourceError> {
        let bytes = &self.world.files[piece.file as usize].1;
        let (mut offset, mut line) = (0, 1);
        for (number, lines) in bytes
            .split_inclusive(|&b| b == b'\n')
            .collect::<Vec<_>>()
            .chunks(ROWS)
            .enumerate()
        {
            pause(Chunk::Piece(piece), number).await;
            let block = RowBlock {
                bytes: lines.concat(),
                location: RowLocation::InFile {
                    file: piece.file,
                    offset,
                },
                first_line: line,
                ..RowBlock::default()
            };
            offset += block.bytes.len() as u64;
            line += lines.len() as u64;
            sink.write(block).await?;
        }
        Ok(())
    }

    /// What no run may ask for.
    fn insist(&self, order: &FetchOrder) {
        let memory = &mut *self.memory.lock();
        let most = self.behaviour.at_once.unwrap_or(self.fetchers);
        let at_once = memory.active.len();
        assert!(at_once <= most.min(self.fetchers), "{at_once} at once");
        let Chunk::Hash(chunk) = order.chunk else {
            return;
        };
        if !matches!(order.pass, Pass::Round(_)) {
            let is_sealed = sealed(&self.sealed, chunk, order.pass);
            // A census that is taken again was sealed before.
            let is_census_refetch = self.behaviour.stale.is_some() && memory.changed >= 2;
            memory.again += u32::from(is_sealed && !is_census_refetch);
            let stale = self
                .behaviour
                .stale
                .as_ref()
                .filter(|stale| stale.until == 2);
            if self.strict && is_sealed && stale.is_some() {
                assert_eq!(memory.changed, 2, "{} is doubted too long", order.chunk);
            }
        }
        if !self.strict {
            return;
        }
        assert_eq!(memory.again, 0, "{} is fetched again", order.chunk);
        if let Some((since, until)) = memory.shut {
            let now = Instant::now();
            // What had its lease before comes a moment later.
            let is_before = now <= since + Duration::from_millis(100);
            assert!(is_before || now >= until, "asked too soon");
        }
        if self.behaviour.stale.is_none() && self.behaviour.transient.is_none() {
            let failed = memory.failed.get(&named(order)).copied();
            assert_eq!(order.attempt, 1 + failed.unwrap_or(0), "{}", order.chunk);
        }
        let whole = HashChunk {
            count: chunk.count / 2,
            index: chunk.index % (chunk.count / 2).max(1),
            depth: chunk.depth.saturating_sub(1),
        };
        let short = memory.short.get(&Chunk::Hash(whole)).copied();
        assert!(
            chunk.depth == 0 || short.is_none_or(|times| times >= 2),
            "split too soon"
        );
    }
}

/// Whether a chunk, or a part of it, is sealed.
fn sealed(folder: &Path, chunk: HashChunk, pass: Pass) -> bool {
    let is_there = |chunk: HashChunk| {
        let chunk = Chunk::Hash(chunk);
        let name = format!("{}.sealed", ChunkPass { chunk, pass });
        folder.join(name).exists()
    };
    let halves = chunk.split().into_iter().flatten();
    let quarters = halves.clone().flat_map(|half| half.split()).flatten();
    [chunk]
        .into_iter()
        .chain(halves)
        .chain(quarters)
        .any(is_there)
}

/// A chunk and a pass.
fn named(order: &FetchOrder) -> String {
    format!("{}/{:?}", order.chunk, order.pass)
}

fn kind_of_failure(chunk: HashChunk) -> i64 {
    hash(Chunk::Hash(chunk).to_string().as_bytes()).rem_euclid(4)
}

fn refused(failure: Failure) -> SourceError {
    SourceError::Kusto(Box::new(KustoError {
        purpose: Purpose {
            query: "simulation",
            attempt: None,
        },
        request_id: String::new(),
        activity_id: None,
        source: failure,
    }))
}

/// A block takes 1 to 200 ms.
async fn pause(chunk: Chunk, block: usize) {
    let drawn = hash(format!("{chunk}/{block}").as_bytes()) as u64;
    tokio::time::sleep(Duration::from_millis(1 + drawn % 200)).await;
}

/// Something that is being fetched.
struct Active {
    what: (Chunk, bool),
    memory: Arc<Memory>,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.memory.lock().active.remove(&self.what);
    }
}

impl ConversationSource for SimSource {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!({"kind": "simulation"})
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let mut survey = match self.world.delivery {
            Delivery::Files => {
                let files = self.world.files.iter();
                let pieces = (0..).zip(files.clone()).map(|(file, (_, bytes))| {
                    let end = bytes.len() as u64;
                    Chunk::Piece(Piece {
                        file,
                        start: 0,
                        end,
                    })
                });
                let mut survey = Survey::of(pieces.collect(), false);
                survey.input_fingerprints = files
                    .map(|(name, bytes)| InputFingerprint {
                        path: self.folder.join(name),
                        bytes: bytes.len() as u64,
                        modified_ns: 0,
                    })
                    .collect();
                survey
            }
            delivery => {
                let chunks = HashChunk::cover(self.chunks).map(Chunk::Hash);
                let mut survey = Survey::of(chunks.collect(), true);
                survey.census = delivery != Delivery::Hash;
                survey.sample = (delivery == Delivery::Thresholds).then(|| self.sample());
                survey
            }
        };
        survey.max_concurrency = self.behaviour.at_once;
        survey.operation_timeout = self.behaviour.asks_long_timeout().then_some(LONG_TIMEOUT);
        async move { Ok(survey) }.boxed()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            let what = (order.chunk, order.pass.is_census());
            let is_new = self.memory.lock().active.insert(what);
            assert!(is_new, "{} is fetched twice at once", order.chunk);
            let _active = Active {
                what,
                memory: Arc::clone(&self.memory),
            };
            self.insist(&order);
            match order.chunk {
                Chunk::Hash(chunk) => self.deliver(&order, chunk, rows).await?,
                Chunk::Piece(piece) => self.deliver_file(piece, rows).await?,
            }
            Ok(None)
        }
        .boxed()
    }
}

/// Faults of these kinds at these sites.
pub fn struck(injector: &Injector, is_meant: impl Fn(Site, Kind) -> bool) -> u64 {
    let struck = injector.struck().into_iter();
    struck
        .filter(|struck| is_meant(struck.fault.site, struck.fault.kind))
        .count() as u64
}
