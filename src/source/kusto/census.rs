//! A census of some ranks: the cluster counts all conversations of a chunk, and delivers those that are wanted.
//!
//! What is delivered is held against the counts. The counts themselves cannot be: of one small chunk that the seed
//! chooses they are held against its whole census before anything else is done.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::client::Receiver;
use super::counts::Numbers;
use super::error::{Attempt, Failure, Purpose};
use super::frames::{self, Column, TableSink};
use super::query::{self, Reading};
use super::rows::{GROUP, Type, decoded, places};
use super::{KustoSource, LOGIN_RETRY, LOGINS};
use crate::domain::json::{Value, number};
use crate::domain::record::row::MalformedReason;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::selection::kusto_hash;
use crate::domain::selection::stratum::{Membership, Selection};
use crate::source::{
    Action, PopulationSample, RowBlock, RowEncoding, SourceError, UndeliveredCount,
};

/// Conversations of the chunk whose counts are held against its census, about.
const CHECKED: u64 = 5_000;

/// Conversations of one residue and bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    residue: u32,
    /// The turns of one of them.
    turns: u64,
    all: ChunkChecksum,
    delivered: ChunkChecksum,
}

/// What the cluster counts of a chunk.
#[derive(Debug)]
pub(super) struct Counts(Vec<Count>);

impl Counts {
    fn sum(&self, of: fn(&Count) -> ChunkChecksum) -> ChunkChecksum {
        let mut sum = ChunkChecksum::default();
        self.0.iter().for_each(|count| sum.add(of(count)));
        sum
    }

    /// All conversations.
    pub(super) fn all(&self) -> ChunkChecksum {
        self.sum(|count| count.all)
    }

    /// Those that are wanted.
    pub(super) fn delivered(&self) -> ChunkChecksum {
        self.sum(|count| count.delivered)
    }

    /// Those that are not, as a block without rows.
    pub(super) fn undelivered(&self) -> RowBlock {
        let undelivered = self.0.iter().map(|count| UndeliveredCount {
            residue: count.residue,
            turns: count.turns,
            conversations: count.all.conversations - count.delivered.conversations,
        });
        RowBlock {
            encoding: RowEncoding::Census,
            undelivered: undelivered.filter(|one| one.conversations > 0).collect(),
            ..RowBlock::default()
        }
    }
}

/// Conversations by residue and by the first number of turns of their bucket, 0 without one.
type ByClass = BTreeMap<(u32, u64), ChunkChecksum>;

fn class(selection: &Selection, residue: u32, turns: u64) -> (u32, u64) {
    let bucket = selection.bucket_of(turns);
    (residue, bucket.map_or(0, |bucket| bucket.turns[0]))
}

impl KustoSource {
    /// Counts the conversations of a chunk, and those of some ranks; without ranks all of them are wanted.
    pub(super) async fn counted(
        &self,
        chunk: HashChunk,
        wanted: Option<&RankRanges>,
        attempt: Option<Attempt>,
    ) -> Result<Counts, SourceError> {
        let mut values = self.values(chunk, wanted);
        values.reading = Reading::Counts;
        let by_group = self.selection.split_by().is_some();
        let csl = self.census.with(&values, &query::counted(by_group));
        let query = "counts";
        let numbers = Numbers::new(&[
            "residue",
            "turns",
            "conversations",
            "checksum",
            "delivered",
            "deliveredChecksum",
        ]);
        let purpose = Purpose { query, attempt };
        let answered = self.client.query(purpose, &csl, self.max_record, numbers);
        let answered = answered.await?;
        let counts = answered.receiver.rows.iter().map(|row| count(row));
        match counts.collect() {
            Some(counts) => Ok(Counts(counts)),
            None => Err(answered.fails(frames::damaged("its counts cannot be"))),
        }
    }

    /// How many conversations of each stratum there are in one chunk, if there are about so many conversations at least
    /// in all. The counts of a small chunk are held against its census then.
    pub(super) async fn sampled(
        &self,
        least: u64,
    ) -> Result<Option<PopulationSample>, SourceError> {
        let chunk = self.drawn(
            HashChunk::count_apart_from_splits(self.chunks.get()),
            "sample",
        );
        let again = "cannot count yet, it is tried again";
        let count = |chunk| self.counted(chunk, None, Some(Self::sample(chunk))).boxed();
        let (chunk, counts) = Self::patiently(chunk, again, count).await?;
        let conversations = counts.all().conversations * u64::from(chunk.count);
        if conversations < least {
            return Ok(None);
        }
        let parts = u32::try_from(conversations / CHECKED).unwrap_or(u32::MAX);
        let chunk_to_check = self.drawn(parts.max(1), "check");
        let again = "the counts are checked again";
        let check = |chunk| self.check_counts(chunk).boxed();
        Self::patiently(chunk_to_check, again, check).await?;
        let mut sample = PopulationSample {
            share: 1.0 / f64::from(chunk.count),
            ..PopulationSample::default()
        };
        for count in &counts.0 {
            let membership = self
                .selection
                .membership_of_residue(count.residue, count.turns);
            if let Membership::Stratum(stratum) = membership {
                *sample.strata.entry(stratum).or_default() += count.all.conversations;
            }
        }
        tracing::info!(
            conversations,
            "the census goes as far as candidates are wanted"
        );
        Ok(Some(sample))
    }

    /// One of so many chunks, which the seed chooses.
    fn drawn(&self, count: u32, what: &str) -> HashChunk {
        let draw = kusto_hash::hash(format!("{}/{what}", self.selection.seed()).as_bytes());
        HashChunk {
            count,
            index: kusto_hash::modulo(draw, count),
            depth: 0,
        }
    }

    /// Asks about a chunk. What may pass is tried again, but not for long: it is the first that a run asks. Where that
    /// is too much for one query, a third of the chunk is asked for instead.
    async fn patiently<'a, T>(
        mut chunk: HashChunk,
        again: &str,
        ask: impl Fn(HashChunk) -> BoxFuture<'a, Result<T, SourceError>>,
    ) -> Result<(HashChunk, T), SourceError> {
        let mut failures = 0;
        loop {
            let error = match ask(chunk).await {
                Ok(answer) => return Ok((chunk, answer)),
                Err(error) => error,
            };
            failures += 1;
            if error.action() == Action::Fail || failures == LOGINS {
                return Err(error);
            }
            tracing::warn!(%error, "{again}");
            let asked = match error.action() {
                Action::Split | Action::RetryThenSplit => {
                    chunk.count = chunk.count.saturating_mul(3);
                    continue;
                }
                Action::Throttle { retry_after } => retry_after,
                Action::Retry | Action::RetryThenRefetchCensus | Action::Fail => None,
            };
            let delay = asked.unwrap_or_else(|| LOGIN_RETRY.delay(failures, 0.0));
            tokio::time::sleep(delay).await;
        }
    }

    /// Holds the counts of a chunk against its whole census. A row may arrive between the two queries.
    async fn check_counts(&self, chunk: HashChunk) -> Result<(), SourceError> {
        let counts = self.counted(chunk, None, Some(Self::sample(chunk))).await?;
        let mut counted = ByClass::new();
        for count in &counts.0 {
            let class = class(&self.selection, count.residue, count.turns);
            counted.entry(class).or_default().add(count.all);
        }
        let purpose = Purpose {
            query: "census",
            attempt: Some(Self::sample(chunk)),
        };
        let csl = self.census.with(&self.values(chunk, None), "");
        let rows = CensusClasses {
            selection: self.selection.clone(),
            places: [0; 2],
            group: None,
            classes: ByClass::new(),
        };
        let answered = self.client.query(purpose, &csl, self.max_record, rows);
        let answered = answered.await?;
        if answered.receiver.classes == counted {
            return Ok(());
        }
        let mut found = ChunkChecksum::default();
        answered
            .receiver
            .classes
            .values()
            .for_each(|&one| found.add(one));
        Err(answered.fails(Failure::Miscounted {
            chunk: Chunk::Hash(chunk),
            found: found.conversations,
            counted: counts.all().conversations,
        }))
    }
}

/// A row of counts; `None` if it cannot be one.
fn count(row: &[u64]) -> Option<Count> {
    let &[residue, turns, all, checksum, delivered, delivered_checksum] = row else {
        return None;
    };
    let residue = u32::try_from(residue)
        .ok()
        .filter(|&residue| residue < 100)?;
    let sum = |conversations, checksum| ChunkChecksum {
        conversations,
        checksum,
    };
    (delivered <= all).then(|| Count {
        residue,
        turns,
        all: sum(all, checksum),
        delivered: sum(delivered, delivered_checksum),
    })
}

/// Counts the rows of a census.
#[derive(Debug)]
struct CensusClasses {
    selection: std::sync::Arc<Selection>,
    /// Of the id and the number of turns.
    places: [usize; 2],
    /// Of the group, if groups decide the split.
    group: Option<usize>,
    classes: ByClass,
}

impl TableSink for CensusClasses {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        let needed = [
            ("conversationId", Type::String),
            ("turnCount", Type::Integer),
        ];
        self.places = places(columns, needed)?;
        self.group = match self.selection.split_by() {
            Some(_) => Some(places(columns, [(GROUP, Type::Integer)])?[0]),
            None => None,
        };
        Ok(())
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        let [id, turns] = self.places.map(|at| cells[at]);
        let hash = kusto_hash::hash(&decoded(&id));
        let natural =
            |cell: Value<'_>| number::integer(cell.text).and_then(|n| u64::try_from(n).ok());
        let group = self.group.and_then(|at| natural(cells[at]));
        let residue = match group.and_then(|residue| u32::try_from(residue).ok()) {
            Some(residue) => residue,
            None => kusto_hash::modulo(hash, 100),
        };
        let class = class(&self.selection, residue, natural(turns).unwrap_or(0));
        self.classes.entry(class).or_default().count(hash);
        Ok(())
    }

    fn reject(&mut self, _: &[Value<'_>], reason: MalformedReason) -> Result<(), Failure> {
        let what = format!("a row of the census is malformed ({reason:?})");
        Err(frames::damaged(what))
    }
}

impl Receiver for CensusClasses {
    type Sink = Self;

    fn sink(&mut self) -> &mut Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_conversations_of_all_residues() {
        for (chunks, sampled) in [(1, 1), (2, 3), (4, 7), (25, 27), (40, 41), (100, 101)] {
            assert_eq!(HashChunk::count_apart_from_splits(chunks), sampled);
            let mut residues: Vec<u32> = (0..100 * sampled).filter(|n| n % sampled == 0).collect();
            residues.iter_mut().for_each(|n| *n %= 100);
            residues.sort_unstable();
            assert_eq!(residues, Vec::from_iter(0..100));
        }
    }

    #[test]
    fn counts_are_read_or_refused() {
        let row = [7, 3, 10, 1000, 4, 400];
        let good = count(&row).expect("good");
        assert_eq!((good.residue, good.turns), (7, 3));
        for bad in [
            &row[..5],
            &[100, 3, 10, 1000, 4, 400],
            &[7, 3, 10, 1000, 11, 1100],
        ] {
            assert_eq!(count(bad), None, "{bad:?}");
        }
        let all = Count {
            delivered: good.all,
            ..good
        };
        let counts = Counts(vec![good, all]);
        assert_eq!(counts.all().conversations, 20);
        assert_eq!(counts.delivered().checksum, 1400);
        let undelivered = counts.undelivered().undelivered;
        let (residue, turns, conversations) = (7, 3, 6);
        let rest = UndeliveredCount {
            residue,
            turns,
            conversations,
        };
        assert_eq!(undelivered, [rest]);
    }
}
