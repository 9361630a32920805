//! Chunks, fetched in every way that a run may fetch them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::super::clause::{Clause, Verdict};
use super::fetching::{self, Ended, Fetched};
use super::rows::{ChunkContents, Reading};
use super::{blocks, census, survey};
use crate::domain::sampling::rank_ranges::RankRanges;
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::selection::stratum::Selection;
use crate::runtime::blocking;
use crate::source::{ConversationSource, FetchOrder, Pass, SourceError, Survey};

const SAME: Clause = Clause("a chunk has the same rows whenever it is fetched");
const ONCE: Clause = Clause("no row comes twice");
const HELD: Clause = Clause("a hash chunk has the rows of its ids only");
const HALVES: Clause = Clause("the halves of a hash chunk together have its rows");
const CLOSED: Clause = Clause("a closed chunk has all rows of its conversations");
const DROPPED: Clause = Clause("dropped half-way, a fetch leaves the source as it was");
const PASSED_ON: Clause = Clause("what the sink refuses ends the fetch with that error");
const CERTIFIED: Clause = Clause("a chunk checksum counts what was delivered");
const SOME: Clause = Clause("the kit needs rows");
const SELECTION: Clause = Clause("a census is held against the selection of its source");

/// As many chunks are fetched at once, if the source bears it.
const AT_ONCE: usize = 4;

/// In as many chunks fetches are dropped and refused: one chunk is as good as another for that.
const DISTURBED: usize = 3;

/// A source under test.
pub(super) struct Kit<'a> {
    make: &'a dyn Fn() -> Box<dyn ConversationSource>,
    /// The selection, for a source that promises a census.
    selection: Option<&'a Selection>,
    reading: Arc<Reading>,
}

impl<'a> Kit<'a> {
    pub fn new(
        make: &'a dyn Fn() -> Box<dyn ConversationSource>,
        selection: Option<&'a Selection>,
    ) -> Self {
        Self {
            make,
            selection,
            reading: Arc::new(Reading::new()),
        }
    }

    pub async fn hold(&self) -> Verdict {
        let (source, later) = ((self.make)(), (self.make)());
        let survey = survey::surveyed(&*source, &*later).await?;
        match (survey.census, self.selection) {
            (true, None) => {
                return SELECTION.broken("the survey promises one: call census_conformance");
            }
            (false, Some(_)) => {
                return SELECTION.broken("the survey promises none: call source_conformance");
            }
            _ => {}
        }
        let fetching = Fetching {
            source: &*source,
            survey: &survey,
            reading: &self.reading,
        };
        let all = fetching.pass(&ALL).await?;
        once(&all)?;
        together(&survey, &all)?;
        let later = Fetching {
            source: &*later,
            ..fetching
        };
        later.again(&ALL, &all, "by a later start").await?;
        fetching.disturbed(&all).await?;
        match self.selection {
            Some(selection) => census::hold(fetching, &all, selection).await,
            None => Ok(()),
        }
    }
}

/// The contents of each chunk of a survey.
pub(super) type Chunks = BTreeMap<Chunk, ChunkContents>;

/// Fetches of one source.
#[derive(Clone, Copy)]
pub(super) struct Fetching<'a> {
    pub source: &'a dyn ConversationSource,
    pub survey: &'a Survey,
    pub reading: &'a Arc<Reading>,
}

/// The rows that are requested.
pub(super) struct Asked {
    pub pass: Pass,
    pub ranks: Option<Arc<RankRanges>>,
}

const ALL: Asked = Asked {
    pass: Pass::All,
    ranks: None,
};

pub(super) fn order(chunk: Chunk, attempt: u32, asked: &Asked) -> FetchOrder {
    FetchOrder {
        chunk,
        attempt,
        pass: asked.pass,
        ranks: asked.ranks.clone(),
    }
}

impl Fetching<'_> {
    /// Fetches a chunk and holds its blocks against their contract.
    pub async fn fetch(&self, chunk: Chunk, attempt: u32, asked: &Asked) -> Verdict<ChunkContents> {
        let fetched = fetching::fetch(self.source, order(chunk, attempt, asked)).await;
        let what = format!("attempt {attempt} at {chunk}");
        self.contents(chunk, asked, SAME.succeeds(&what, fetched)?)
            .await
    }

    async fn contents(
        &self,
        chunk: Chunk,
        asked: &Asked,
        fetched: Fetched,
    ) -> Verdict<ChunkContents> {
        let (survey, pass, reading) = (self.survey.clone(), asked.pass, self.reading.clone());
        // Files are looked into.
        let contents = blocking(move || {
            blocks::hold(&survey, pass, &fetched, &reading)?;
            Ok(reading.contents_of(&fetched))
        });
        let contents = SAME.succeeds("looking at the blocks", contents.await)??;
        if let Chunk::Hash(hash) = chunk {
            let foreign = contents.headers.keys().filter(|id| !hash.holds(id)).count();
            HELD.check(foreign == 0, || {
                format!("{chunk} has rows of {foreign} conversations whose ids hash elsewhere")
            })?;
        }
        if let (Some(reported), Some(right)) = (contents.chunk_checksum, contents.checksum()) {
            CERTIFIED.check(reported == right, || {
                format!("the chunk checksum of {chunk} says {reported:?}, what came is {right:?}")
            })?;
        }
        Ok(contents)
    }

    /// Every chunk, and every chunk again: backwards, as another attempt, several at once, halved.
    pub async fn pass(&self, asked: &Asked) -> Verdict<Chunks> {
        let mut chunks = Chunks::new();
        for &chunk in &self.survey.chunks {
            chunks.insert(chunk, self.fetch(chunk, 1, asked).await?);
        }
        self.again(asked, &chunks, "again").await?;
        self.at_once(asked, &chunks).await?;
        for (&chunk, contents) in &chunks {
            if let Chunk::Hash(hash) = chunk
                && let Some(halves) = hash.split()
            {
                self.halves(asked, hash, halves, contents).await?;
            }
        }
        Ok(chunks)
    }

    async fn again(&self, asked: &Asked, chunks: &Chunks, when: &str) -> Verdict {
        for (&chunk, before) in chunks.iter().rev() {
            let now = self.fetch(chunk, 2, asked).await?;
            same(SAME, chunk, before, &now, when)?;
        }
        Ok(())
    }

    async fn at_once(&self, asked: &Asked, chunks: &Chunks) -> Verdict {
        let most = self
            .survey
            .max_concurrency
            .map_or(AT_ONCE, |most| most.min(AT_ONCE));
        for some in self.survey.chunks.chunks(most) {
            let fetches = some.iter().map(|&chunk| self.fetch(chunk, 3, asked));
            for (chunk, now) in some.iter().zip(try_join_all(fetches).await?) {
                same(SAME, *chunk, &chunks[chunk], &now, "at once with others")?;
            }
        }
        Ok(())
    }

    async fn halves(
        &self,
        asked: &Asked,
        whole: HashChunk,
        halves: [HashChunk; 2],
        before: &ChunkContents,
    ) -> Verdict {
        let mut both = ChunkContents::default();
        for half in halves {
            both.add(self.fetch(Chunk::Hash(half), 1, asked).await?);
        }
        same(HALVES, Chunk::Hash(whole), before, &both, "in halves")
    }

    /// Fetches that come to no end, each followed by one that does.
    async fn disturbed(&self, all: &Chunks) -> Verdict {
        let with_rows = all.iter().filter(|(_, contents)| !contents.rows.is_empty());
        for (&chunk, before) in with_rows.take(DISTURBED) {
            for taken in [0, 1] {
                let order = || order(chunk, 4, &ALL);
                let ended = fetching::dropped(self.source, order(), taken).await;
                let ended = DROPPED.succeeds("a fetch that was to be dropped", ended)?;
                let now = self.fetch(chunk, 5, &ALL).await?;
                same(DROPPED, chunk, before, &now, "after a fetch was dropped")?;
                let refused = fetching::refused(self.source, order(), taken).await;
                if let Ended::Refused(result, written) = refused {
                    PASSED_ON.check(matches!(result, Err(SourceError::Stopped)), || {
                        format!("the sink said that the run was stopped, the fetch of {chunk} says {result:?}")
                    })?;
                    PASSED_ON.check(written == 0, || {
                        format!("{written} blocks of {chunk} were written after a refusal")
                    })?;
                    let now = self.fetch(chunk, 6, &ALL).await?;
                    same(PASSED_ON, chunk, before, &now, "after a fetch was refused")?;
                }
                if matches!(ended, Ended::Before) {
                    break;
                }
            }
        }
        Ok(())
    }
}

pub(super) fn same(
    clause: Clause,
    chunk: Chunk,
    before: &ChunkContents,
    now: &ChunkContents,
    when: &str,
) -> Verdict {
    match before.difference(now) {
        None => Ok(()),
        Some(how) => clause.broken(format!("{chunk}, fetched {when}: {how}")),
    }
}

fn once(all: &Chunks) -> Verdict {
    let mut seen = BTreeMap::new();
    for (chunk, contents) in all {
        for (row, times) in &contents.rows {
            ONCE.check(*times == 1, || {
                format!("{chunk} has a row {times} times (no two rows of the kit's population may be alike)")
            })?;
            if let Some(other) = seen.insert(row, chunk) {
                return ONCE.broken(format!("{chunk} and {other} have the same row"));
            }
        }
    }
    SOME.check(!seen.is_empty(), || "no chunk has any".to_owned())
}

/// All rows of a conversation are in one chunk, for a source that says so.
fn together(survey: &Survey, all: &Chunks) -> Verdict {
    let mut seen = BTreeMap::new();
    for (chunk, id) in all
        .iter()
        .flat_map(|(c, h)| h.headers.keys().map(move |id| (c, id)))
    {
        if let Some(other) = seen.insert(id, chunk)
            && survey.self_contained
        {
            return CLOSED.broken(format!("{chunk} and {other} have rows of one conversation"));
        }
    }
    Ok(())
}
